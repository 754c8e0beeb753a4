"""The calibration that comes with lifesym: `specs/calibration.json`.

It is a fit to all measurements of the database (`python benchmarks/calibration.py` makes it anew).
What the effects of devices have in common with others is left out of it: their values are there,
with the width that effects of devices have.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lifesym.calibration.parameters import NAMES, SPREAD
from lifesym.calibration.pooled import WIDTHS, Calibration, Pooled
from lifesym.specs import names, root

DIGITS = 9
SHIPPED = "shipped"
"""The name of the calibration that comes with lifesym, where measurements are asked for."""


def path() -> Path:
    """Where it is."""
    return root() / "calibration.json"


@cache
def shipped() -> Calibration:
    """The fits of every software on every back end."""
    found = json.loads(path().read_text(encoding="utf-8"))
    return Calibration({place: _read(one) for place, one in found["fits"].items()})


def written(calibration: Calibration, source: str) -> str:
    """The file of a calibration."""
    fits = {place: _packed(one) for place, one in calibration.fits.items()}
    head = {"source": source, "parameters": [*NAMES]}
    parts = (f"{json.dumps(place)}: {json.dumps(one)}" for place, one in fits.items())
    return json.dumps(head)[:-1] + ', "fits": {\n' + ",\n".join(parts) + "\n}}\n"


def _packed(one: Pooled) -> dict[str, Any]:
    shared = [effect for effect in one.places if effect[0] != "device"]
    devices = [effect for effect in one.places if effect[0] == "device"]
    values, covariance = one.joint([*shared, *devices])
    size = len(shared) * len(NAMES)
    lower = covariance[:size, :size][np.tril_indices(size)]
    return {
        "rows": one.rows,
        "shared": shared,
        "devices": [name for _, name in devices],
        "values": [[_short(x) for x in row] for row in values],
        "covariance": [_short(x) for x in lower],
    }


def _short(x: Any) -> float:
    return float(f"{float(x):.{DIGITS}g}")


def _read(one: Mapping[str, Any]) -> Pooled:
    effects = [*map(tuple, one["shared"]), *(("device", name) for name in one["devices"])]
    size, whole = len(one["shared"]) * len(NAMES), len(effects) * len(NAMES)
    covariance = np.zeros((size, size))
    covariance[np.tril_indices(size)] = one["covariance"]
    covariance += np.tril(covariance, -1).T
    curvature = np.zeros((whole, whole))
    curvature[:size, :size] = np.linalg.inv(covariance)
    width = np.tile(1 / (WIDTHS["device"] * SPREAD) ** 2, len(one["devices"]))
    curvature[range(size, whole), range(size, whole)] = width
    places = {effect: i for i, effect in enumerate(effects)}
    return Pooled(places, np.array(one["values"]), curvature, one["rows"])


def measurements(name: str) -> Path:
    """The file of measurements that a name of the database (published, fresh) or a path means."""
    return root() / "measurements" / f"{name}.csv" if name in names("measurements") else Path(name)
