"""Fitted parameters as a hardware spec: an overlay of a device of the database, with provenance.

The overlay names the engine whose formula was fitted and has every parameter as the number of the
device that it is, so that a forecast on it is the formula at the fit.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from sympy import Integer

from lifesym.calibration.formula import Rows, engine, kind, numbers
from lifesym.calibration.parameters import NAMES, PARAMETERS, factors, logs_by, values
from lifesym.calibration.parameters import numbers as fitted_numbers
from lifesym.calibration.pooled import SCALE, WIDER, Calibration, Pooled, described, fit
from lifesym.calibration.rates import hardware
from lifesym.devices import load_hardware
from lifesym.errors import SpecError
from lifesym.hardware import Hardware
from lifesym.huggingface import load_model

_METRICS = {"decode": "tpot", "prefill": "ttft", "request": "latency"}


@dataclass(frozen=True)
class Own:
    """A device's own fit to the rows of one software.

    Attributes:
        rows: what was fitted to.
        fit: the parameters.
        left: rows of other software.
    """

    rows: Rows
    fit: Pooled
    left: Counter[str]

    @property
    def point(self) -> Any:
        """The parameters of the device, on the fit's scale."""
        return self.fit.point(self.rows.observations[0])

    @property
    def seconds(self) -> Any:
        """The forecasts of the rows."""
        return self.rows.seconds(np.tile(self.point, (len(self.rows), 1)))

    def report(self) -> dict[str, Any]:
        """Values, units, 95 % intervals and remarks, and the mean error by phase."""
        first = self.rows.observations[0]
        found = described(self.point, self.fit.covariance(first), len(self.rows))
        errors: dict[str, list[float]] = {}
        for o, seconds in zip(self.rows.observations, self.seconds, strict=True):
            errors.setdefault(o.phase, []).append(abs(float(seconds) / o.seconds - 1))
        mean = {phase: float(np.mean(parts)) for phase, parts in errors.items()}
        return {"engine": engine(first), **found, "mape": mean}


def own_fit(rows: Rows) -> Own:
    """The fit to the rows of the software that has most of them; those on one device, if any.

    Raises:
        SpecError: no row.
    """
    if not len(rows):
        raise SpecError("no measurement to fit to")
    alone = [i for i, o in enumerate(rows.observations) if o.devices == 1]
    some = rows.take(alone) if alone else rows
    engines = Counter(f"{o.place}, {engine(o)}" for o in some.observations)
    most, _ = engines.most_common(1)[0]
    mine = [i for i, o in enumerate(some.observations) if f"{o.place}, {engine(o)}" == most]
    chosen = some.take(mine)
    del engines[most]
    return Own(chosen, fit(chosen), engines)


def shown(report: dict[str, Any]) -> list[list[str]]:
    """Rows of a table of a report: parameter, unit, remark, value, and its interval's ends."""
    rows = []
    for name, value in report["values"].items():
        numbers = (f"{number:.3g}" for number in (value, *report["intervals"][name]))
        rows.append([name, report["units"][name], report["flags"].get(name, ""), *numbers])
    return rows


def overlay(base: str, own: Own) -> str:
    """The hardware spec that extends a device by fitted values, in TOML."""
    first = own.rows.observations[0]
    known = numbers(first)
    given = fitted_numbers(factors(own.point), known)
    several = any(kind(o).devices > 1 for o in own.rows.observations)
    tables: dict[str, list[str]] = {}
    for parameter in PARAMETERS:
        table, key = parameter.table, parameter.key
        if table != "link" or several:
            tables.setdefault(table, []).append(f"{key} = {_figure(given[parameter.symbol])}")
    source = ", ".join(sorted({o.source for o in own.rows.observations})).replace('"', "'")
    fitted = f"fitted to {source} ({len(own.rows)} rows of {first.place})"
    lines = [f'extends = "{base}"', f'engine = "{engine(first)}"', ""]
    lines += _rates(hardware(first), load_hardware(base))
    for table, entries in tables.items():
        said = [] if "." in table else [f'source = "{fitted}"']
        lines += [f"[{table}]", *entries, *said, ""]
    jacobian = logs_by(own.point)
    spread = jacobian @ own.fit.covariance(first) @ jacobian.T
    names = [name for name in NAMES if several or not name.startswith("link")]
    kept = [NAMES.index(name) for name in names]
    lines += ["[fit]", f"parameters = [{', '.join(map(_quoted, names))}]"]
    rows = (", ".join(f"{spread[i, j]:.4g}" for j in kept) for i in kept)
    lines += ["covariance = [", *(f"    [{row}]," for row in rows), "]"]
    wider = ", ".join(f"{_METRICS[phase]} = {factor}" for phase, factor in WIDER.items())
    lines += [f"error = {SCALE}", f"wider = {{ {wider} }}", f'source = "{fitted}"', ""]
    return "\n".join(lines)


def _rates(device: Hardware, plain: Hardware) -> list[str]:
    """The peaks and the bandwidth that the table of measurements gives in place of the device's."""
    lines = []
    engines = ("matrix", "vector")
    if any(getattr(device, each) != getattr(plain, each) for each in engines):
        for each in engines:
            if known := getattr(device, each):
                lines.append(f"[peak.{each}]")
                lines += [f"{kind} = {_figure(rate)}" for kind, rate in known.items()]
                lines += [f'source = "{device.sources[f"peak.{each}"]}"', ""]
    if device.bandwidth != plain.bandwidth:
        lines += ["[memory]", f"bandwidth = {_figure(device.bandwidth)}"]
        lines += [f"capacity = {_figure(device.capacity)}"] if device.capacity else []
        lines += [f'source = "{device.sources["memory"]}"', ""]
    return lines


def usual(rows: Rows) -> dict[str, dict[str, float]]:
    """What devices of each class usually attain: medians of the rows' fits, on one device each.

    The time of a layer is shared out over its operators' dispatches, of a kernel each.
    """
    fitted, found = Calibration.of(rows), dict[str, dict[str, float]]()
    alone = [o for o in rows.observations if o.devices == 1]
    for kind_of_device in sorted({o.kind for o in alone}):
        here = [o for o in alone if o.kind == kind_of_device]
        points = np.median(values(np.stack([fitted.point(o) for o in here])), axis=0)
        named = dict(zip(NAMES, map(float, points), strict=True))
        found[kind_of_device] = {
            "memory": named["memory_efficiency"],
            "compute": named["compute_efficiency"],
            "dispatch": named["layer_time"] / dispatches("llama-2-7b"),
        }
    return found


def dispatches(model: str) -> float:
    """Dispatches of a layer of a model, unfused."""
    step = load_model(model).forward(1, 1, 0)
    inside = [entry for entry in step if entry.section not in ("embed", "head")]
    layers = max((entry.count for entry in inside), default=Integer(1))
    return float(step.filter(lambda entry: entry in inside).cost().dispatches / layers)


def _figure(value: Any) -> str:
    return f"{float(value):.6g}".replace("+", "")


def _quoted(name: str) -> str:
    return f'"{name}"'
