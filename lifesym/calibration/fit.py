"""Fits by relative least squares, with bounds, a robust loss and confidence intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lifesym.calibration.features import EFFICIENCIES, NAMES, columns, predict, shared
from lifesym.calibration.measurements import Observation, Phase
from lifesym.errors import SpecError

_TYPICAL = {
    **{"memory": 1.1, "compute": 1.6, "layer": 5e-5, "sequence": 1e-5, "collective": 1e-5},
    **{"link": 2.0, "serial": 1e-8, "scores": 10.0, "unpack": 40.0, "products": 10.0},
}
_STARTS = [
    {**_TYPICAL, "stored_quantized": q, "stored_16": f}
    for q in (3.0, 7.0, 12.0)
    for f in (15.0, 30.0, 45.0)
]
"""Where fits of decode steps begin: on both sides of every maximum of common devices."""
_OTHER_STARTS = [
    {**_TYPICAL, "stored_quantized": 7.0, "stored_16": 30.0, "layer": layer, "compute": compute}
    for layer, compute in ((5e-5, 1.3), (2e-4, 3.0), (1e-5, 1.6))
]
FASTEST = 0.95
"""Of the time that memory traffic needs: figures of bandwidth and file size are rounded."""
ENOUGH = 20
"""Observations that a group needs for a fit of its own."""
IMPLAUSIBLE = 0.05
"""An efficiency below it says that something else than the resource is waited for."""


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
        named = dict(zip(NAMES[self.phase], map(float, self.theta), strict=True))
        return {k: 1 / v if k in EFFICIENCIES and v else v for k, v in named.items()}

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % intervals of the physical values; nan where the data do not determine one."""
        low, high = np.maximum(self.theta - self.spread, 0), self.theta + self.spread
        ends = dict(zip(NAMES[self.phase], zip(low, high, strict=True), strict=True))
        return {
            name: (1 / top, 1 / max(bottom, 1.0)) if name in EFFICIENCIES else (bottom, top)
            for name, (bottom, top) in ends.items()
        }

    def flags(self) -> dict[str, str]:
        """Parameters that are not to be believed, with the reason."""
        found = dict.fromkeys(self.unidentified, "not determined by these measurements")
        for name in EFFICIENCIES:
            value = self.parameters()[name]
            if name not in found and value > 0.999:
                found[name] = "at its bound of 1"
            if name not in found and value < IMPLAUSIBLE:
                found[name] = "implausibly low: something else is waited for"
        return found

    def forecast(self, observations: Sequence[Observation]) -> Any:
        """Seconds for each observation's workload."""
        return predict(self.phase, matrix(self.phase, observations), self.theta)


def matrix(phase: Phase, observations: Sequence[Observation]) -> Any:
    """The factors of some observations: (rows, parts, parameters)."""
    rows = [columns(o) for o in observations]
    return np.array(
        [[[part.get(name, 0.0) for name in NAMES[phase]] for part in row] for row in rows]
    )


def fit(phase: Phase, observations: Sequence[Observation], robust: float = 0.05) -> Fit:
    """Fit the phase's closed form to observations, by relative error.

    Args:
        phase: ``decode``, ``prefill`` or ``request``.
        observations: of that phase.
        robust: relative error from which residuals count linearly (``soft_l1``).

    Raises:
        SpecError: no observation.
    """
    from scipy.optimize import least_squares  # noqa: PLC0415 (an extra)

    if not observations:
        raise SpecError(f"no {phase} measurement to fit")
    names, factors = NAMES[phase], matrix(phase, observations)
    seconds = np.array([o.seconds for o in observations])
    parts = factors / seconds[:, None, None]
    scale = np.maximum(parts.max(axis=(0, 1)), 1e-300)
    used = scale > 1e-200
    low = np.array([float(name in EFFICIENCIES) for name in names])

    def residuals(scaled: Any) -> Any:
        return predict(phase, factors, scaled / scale) / seconds - 1

    bounds = (low * scale, np.where(used, np.inf, low * scale + 1e-9))

    def solve(values: dict[str, float]) -> Any:
        start = np.array([values[name] for name in names]) * scale
        start = np.clip(start, bounds[0] + 1e-12, bounds[1] - 1e-12)
        return least_squares(residuals, start, bounds=bounds, loss="soft_l1", f_scale=robust)

    # maxima make basins: some starts have memory bind, others the work
    starts = _STARTS if phase == "decode" else _OTHER_STARTS
    found = min((solve(start) for start in starts), key=lambda one: one.cost)
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


def fits(phase: Phase, observations: Sequence[Observation]) -> dict[str, Fit]:
    """A fit for each group with enough observations, and ``all`` for what is like none of them."""
    groups: dict[str, list[Observation]] = {}
    for o in observations:
        for name in o.groups if o.phase == phase else ():
            groups.setdefault(name, []).append(o)
    return {
        name: fit(phase, rows)
        for name, rows in groups.items()
        if name == "all" or len(rows) >= ENOUGH
    }


def forecasts(found: Mapping[str, Fit], observations: Sequence[Observation]) -> Any:
    """Seconds of observations of one phase, each by the fit of the group most like it."""
    seconds = np.empty(len(observations))
    chosen = [next(name for name in o.groups if name in found) for o in observations]
    for name in dict.fromkeys(chosen):
        here = [i for i, other in enumerate(chosen) if other == name]
        seconds[here] = found[name].forecast([observations[i] for i in here])
    return seconds


def left_out(
    phase: Phase,
    observations: Sequence[Observation],
    key: Callable[[Observation], str],
    progress: Callable[[str], None] | None = None,
) -> Any:
    """Forecasts of every observation from fits to those with another key (another device).

    Raises:
        SpecError: every observation has the same key.
    """
    keys = [key(o) for o in observations]
    if len(set(keys)) < 2:
        raise SpecError(f"all {phase} measurements are of {keys[0]}: none is left to fit to")
    seconds = np.empty(len(observations))
    for each in dict.fromkeys(keys):
        if progress:
            progress(f"{phase} without {each}")
        others = [o for o, k in zip(observations, keys, strict=True) if k != each]
        here = [i for i, k in enumerate(keys) if k == each]
        seconds[here] = forecasts(fits(phase, others), [observations[i] for i in here])
    return seconds


def usable(
    observations: Sequence[Observation],
) -> tuple[list[Observation], list[tuple[Observation, str]]]:
    """Those that can be forecast, and the others with the reason.

    A decode step or a request that took less time than its memory traffic needs at the full
    bandwidth of all its devices was not what its table says: such rows are left aside too.
    """
    good: list[Observation] = []
    bad: list[tuple[Observation, str]] = []
    for o in observations:
        try:
            parts = columns(o)
        except SpecError as error:
            bad.append((o, str(error)))
            continue
        needed = 0.0 if o.phase == "prefill" else sum(part.get("memory", 0.0) for part in parts)
        if o.seconds < FASTEST * needed * shared(o) / o.devices:
            bad.append((o, "faster than the memory's bandwidth allows: not as its table says"))
        else:
            good.append(o)
    return good, bad
