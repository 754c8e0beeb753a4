"""Fits by relative least squares, with bounds, a robust loss and confidence intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lifesym.calibration.features import (
    DECODE,
    LOWER,
    PREFILL,
    Columns,
    decode_columns,
    predict,
    prefill_columns,
)
from lifesym.calibration.measurements import Observation, Phase
from lifesym.errors import SpecError

_NAMES: dict[str, tuple[str, ...]] = {"decode": DECODE, "prefill": PREFILL}
_COLUMNS: dict[str, Callable[[Observation], Columns]] = {
    "decode": decode_columns,
    "prefill": prefill_columns,
}
_EFFICIENCIES = ("memory", "compute")
_TYPICAL = {"memory": 1.1, "layer": 5e-5, "collective": 1e-5, "compute": 1.6}
_STARTS = [
    {**_TYPICAL, "stored_quantized": q, "stored_16": f, "scores": 5.0, "unpack": 20.0}
    for q in (3.0, 7.0, 12.0)
    for f in (15.0, 30.0, 45.0)
]
"""Where fits begin: on both sides of every maximum of common devices."""


@dataclass(frozen=True)
class Fit:
    """Fitted parameters of a phase.

    Attributes:
        phase: what they forecast.
        theta: values in the order of the phase's names; inverse efficiencies for two of them.
        spread: half widths of their 95 % intervals; nan where the data say nothing of one.
        rows: observations used.
        unidentified: parameters that the data do not determine.
    """

    phase: Phase
    theta: Any
    spread: Any
    rows: int
    unidentified: tuple[str, ...] = field(default=())

    def parameters(self) -> dict[str, float]:
        """Physical values: efficiencies, seconds a layer, operations a value."""
        named = dict(zip(_NAMES[self.phase], map(float, self.theta), strict=True))
        return {k: 1 / v if k in _EFFICIENCIES and v else v for k, v in named.items()}

    def forecast(self, observations: Sequence[Observation]) -> Any:
        """Seconds for each observation's workload."""
        return predict(self.phase, matrix(self.phase, observations), self.theta)


def matrix(phase: Phase, observations: Sequence[Observation]) -> Any:
    """The columns of some observations: (rows, parts, parameters)."""
    names = _NAMES[phase]
    rows = [_COLUMNS[phase](o) for o in observations]
    return np.array([[[part.get(name, 0.0) for name in names] for part in row] for row in rows])


def fit(phase: Phase, observations: Sequence[Observation], robust: float = 0.05) -> Fit:
    """Fit the phase's closed form to observations, by relative error.

    Args:
        phase: ``decode`` or ``prefill``.
        observations: of that phase.
        robust: relative error from which residuals count linearly (``soft_l1``).

    Raises:
        SpecError: no observation.
    """
    from scipy.optimize import least_squares  # noqa: PLC0415 (an extra)

    if not observations:
        raise SpecError(f"no {phase} measurement to fit")
    names, columns = _NAMES[phase], matrix(phase, observations)
    seconds = np.array([o.seconds for o in observations])
    parts = columns / seconds[:, None, None]
    scale = np.maximum(parts.max(axis=(0, 1)), 1e-300)
    used = scale > 1e-200
    low = np.array([LOWER.get(name, 0.0) for name in names])

    def residuals(scaled: Any) -> Any:
        return predict(phase, columns, scaled / scale) / seconds - 1

    bounds = (low * scale, np.where(used, np.inf, low * scale + 1e-9))

    def solve(values: dict[str, float]) -> Any:
        start = np.array([values[name] for name in names]) * scale
        start = np.clip(start, bounds[0] + 1e-12, bounds[1] - 1e-12)
        return least_squares(residuals, start, bounds=bounds, loss="soft_l1", f_scale=robust)

    # maxima make basins: some starts have memory bind, others the work
    found = min((solve(start) for start in _STARTS), key=lambda one: one.cost)
    theta = np.where(used, found.x / scale, low)
    spread, weak = _spread(found, scale, names, used)
    return Fit(phase, theta, spread, len(observations), weak)


def _spread(
    found: Any, scale: Any, names: tuple[str, ...], used: Any
) -> tuple[Any, tuple[str, ...]]:
    """95 % half widths from the Jacobian; parameters it does not see are unidentified."""
    jacobian = found.jac[:, used]
    freedom = max(1, jacobian.shape[0] - jacobian.shape[1])
    variance = 2 * found.cost / freedom
    inverse = np.linalg.pinv(jacobian.T @ jacobian)
    widths = np.full(len(names), np.nan)
    widths[used] = 1.96 * np.sqrt(np.maximum(np.diag(inverse), 0) * variance) / scale[used]
    flat = np.linalg.norm(found.jac, axis=0) < 1e-9
    weak = tuple(name for name, no in zip(names, flat | ~used, strict=True) if no)
    return widths, weak


def by_family(phase: Phase, observations: Sequence[Observation]) -> dict[str, Fit]:
    """One fit for each kind of software, and ``all`` for software that none was seen of."""
    chosen = [o for o in observations if o.phase == phase]
    groups: dict[str, list[Observation]] = {"all": chosen}
    for o in chosen:
        groups.setdefault(o.family, []).append(o)
    return {name: fit(phase, rows) for name, rows in groups.items() if rows}


def left_out(
    phase: Phase, observations: Sequence[Observation], key: Callable[[Observation], str]
) -> Any:
    """Forecasts of every observation from a fit to those with another key (another device)."""
    seconds = np.empty(len(observations))
    keys = [key(o) for o in observations]
    for each in dict.fromkeys(keys):
        others = [o for o, k in zip(observations, keys, strict=True) if k != each]
        here = [i for i, k in enumerate(keys) if k == each]
        seconds[here] = fit(phase, others).forecast([observations[i] for i in here])
    return seconds


def usable(
    observations: Sequence[Observation],
) -> tuple[list[Observation], list[tuple[Observation, str]]]:
    """Those whose device is known well enough, and the others with the reason."""
    good: list[Observation] = []
    bad: list[tuple[Observation, str]] = []
    for o in observations:
        try:
            _COLUMNS[o.phase](o)
        except SpecError as error:
            bad.append((o, str(error)))
        else:
            good.append(o)
    return good, bad
