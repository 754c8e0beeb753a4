"""Fits by relative least squares, with bounds, a robust loss and confidence intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lifesym.calibration.features import EFFICIENCIES, NAMES, UNITS, active, columns, predict
from lifesym.calibration.measurements import Observation, Phase
from lifesym.errors import SpecError
from lifesym.extras import needed

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
    {**_STARTS[0], "layer": layer, "compute": compute, "products": products}
    for layer, compute in ((5e-5, 1.3), (2e-4, 3.0), (1e-5, 1.6))
    for products in (10.0, 30.0)
]
"""Where others begin: on both sides of attention's maximum, at small and large launches."""

UNSEEN = 1e-6
"""Below it, a parameter's unit changes no forecast by more than rounding."""
ALIKE = 0.995
"""Cosine of two columns of the Jacobian from which two parameters are hardly told apart."""
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
        confused: pairs whose effects on the data are nearly proportional, with the cosine.
    """

    phase: Phase
    theta: Any
    spread: Any
    rows: int
    unidentified: tuple[str, ...] = ()
    confused: tuple[tuple[str, str, float], ...] = ()

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
        for one, other, cosine in self.confused:
            found.setdefault(one, f"hardly told apart from {other} (cosine {cosine:.4f})")
        return found

    def report(self) -> dict[str, Any]:
        """All of this as plain data: values, units, intervals (None where unknown), flags."""
        values, ends = self.parameters(), self.intervals()
        return {
            "rows": self.rows,
            "values": values,
            "units": {name: UNITS[name] for name in values},
            "intervals": {
                name: None if np.isnan(pair).any() else [float(end) for end in pair]
                for name, pair in ends.items()
            },
            "flags": self.flags(),
        }

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
        LifesymError: SciPy is not installed.
    """
    least_squares = needed("scipy.optimize").least_squares

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
    spread, weak, pairs = _spread(phase, factors, seconds, theta)
    return Fit(phase, theta, spread, len(observations), weak, pairs)


def _spread(
    phase: Phase, factors: Any, seconds: Any, theta: Any
) -> tuple[Any, tuple[str, ...], tuple[tuple[str, str, float], ...]]:
    """95 % half widths, what the data do not determine, and pairs that they hardly tell apart.

    The closed form is piecewise linear in its parameters, so its Jacobian is exact: the factors of
    the branch that is active in each part.
    """
    names = NAMES[phase]
    jacobian = active(phase, factors, theta).sum(axis=1) / seconds[:, None]
    seen = np.linalg.norm(jacobian, axis=0) > UNSEEN
    kept = jacobian[:, seen] / np.linalg.norm(jacobian[:, seen], axis=0)
    residuals = predict(phase, factors, theta) / seconds - 1
    variance = float(np.sum(residuals**2)) / max(1, len(seconds) - int(seen.sum()))
    inverse = np.linalg.pinv(kept.T @ kept)
    scale = np.linalg.norm(jacobian[:, seen], axis=0)
    widths = np.full(len(names), np.nan)
    widths[seen] = 1.96 * np.sqrt(np.maximum(np.diag(inverse), 0) * variance) / scale
    alike = kept.T @ kept
    known = [name for name, yes in zip(names, seen, strict=True) if yes]
    pairs = tuple(
        (known[i], known[j], float(alike[i, j]))
        for i in range(len(known))
        for j in range(i)
        if alike[i, j] > ALIKE
    )
    return widths, tuple(name for name, yes in zip(names, seen, strict=True) if not yes), pairs
