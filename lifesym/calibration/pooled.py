r"""One fit to all measurements: parameters as sums of effects, partially pooled.

The parameters of a row, on the scale of the fit, are a usual value plus an effect of everything the
row has in common with others: the class of the device, its maker, the engine, its release, the
device, and the device with that engine. Every effect is drawn towards 0 by a normal prior whose
width is that of its kind (`WIDTHS`), so that what few rows say counts little, and a device that was
never seen has that of its class, maker and engine. With seconds t of a row and a forecast T the fit
minimizes

$$\sum_i \frac{\nu + 1}{2} \ln\Big(1 + \frac{(\ln T_i - \ln t_i)^2}{\nu s^2}\Big)
+ \sum_k \frac{z_k^2}{2 \sigma_k^2}$$

(a t-distribution of the errors, which a wild row moves little) by Gauss-Newton steps with the exact
derivatives of the forecast's formula. Source of the pooling: Gelman and Hill, Data Analysis Using
Regression and Multilevel Models (2007), chapter 12.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lifesym.calibration.formula import Rows
from lifesym.calibration.measurements import Observation
from lifesym.calibration.parameters import NAMES, SPREAD, USUAL
from lifesym.errors import SpecError
from lifesym.extras import needed

WIDTHS = {
    "all": 1.0,
    "class": 0.5,
    "maker": 0.3,
    "engine": 0.5,
    "release": 0.3,
    "device": 0.3,
    "device and engine": 0.2,
}
"""Widths of the effects of each kind, in parts of how far values of all devices lie apart."""
SCALE = 0.05
"""Relative error of rows that nothing is wrong with."""
FREEDOM = 3.0
"""Degrees of freedom of the t-distribution."""
STEPS = 30
DONE = 1e-4
"""Of the objective, the decrease below which a fit is done."""
Effect = tuple[str, ...]


def effects(o: Observation) -> tuple[Effect, ...]:
    """What a row has in common with others, an effect a kind."""
    return (
        ("all",),
        ("class", o.kind),
        ("maker", o.maker),
        ("engine", o.place),
        ("release", o.framework, o.place),
        ("device", o.device),
        ("device and engine", o.device, o.place),
    )


@dataclass(frozen=True)
class Pooled:
    """A fit.

    Attributes:
        places: the number of every effect.
        values: the effects, of shape (effects, parameters), on the fit's scale.
        covariance: of all of them, flattened, by the curvature at the optimum.
        rows: what was fitted to.
    """

    places: dict[Effect, int]
    values: Any
    covariance: Any
    rows: int

    def point(self, o: Observation) -> Any:
        """The parameters of a row; what was never seen has no effect."""
        known = [self.places[each] for each in effects(o) if each in self.places]
        return USUAL + self.values[known].sum(axis=0)

    def spread(self, o: Observation) -> Any:
        """The covariance of the parameters of a row, unseen effects' priors included."""
        size, count = len(NAMES), self.values.size
        picked = np.zeros((size, count))
        added = np.zeros(size)
        for each in effects(o):
            if each in self.places:
                at = self.places[each] * size
                picked[:, at : at + size] += np.eye(size)
            else:
                added += (WIDTHS[each[0]] * SPREAD) ** 2
        return picked @ self.covariance @ picked.T + np.diag(added)


class Fitting:
    """The rows of a fit with their effects, and the steps that fit them."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        """Derive and compile the formulas of the rows.

        Raises:
            SpecError: no observation, or one without a known bandwidth or peak.
            LifesymError: SciPy is not installed.
        """
        if not observations:
            raise SpecError("no measurement to fit to")
        needed("scipy")
        self.rows = Rows.of(observations)
        self.measured = np.log([o.seconds for o in observations])
        self.places: dict[Effect, int] = {}
        listed = [effects(o) for o in observations]
        self.picked = np.array(
            [[self.places.setdefault(e, len(self.places)) for e in row] for row in listed]
        )
        widths = np.array([WIDTHS[effect[0]] for effect in self.places])
        self.prior = (1 / (widths[:, None] * SPREAD) ** 2).ravel()

    def points(self, values: Any) -> Any:
        """The parameters of every row."""
        return USUAL + values.reshape(-1, len(NAMES))[self.picked].sum(axis=1)

    def fit(self, progress: Callable[[str], None] | None = None) -> Pooled:
        """The effects that fit the rows best."""
        values, damping = np.zeros(len(self.prior)), 1e-3
        logs, slopes = self.rows.evaluate(self.points(values))
        cost = self._cost(logs, values)
        for step in range(STEPS):
            errors, weights = self._weighted(logs)
            curvature, pull = self._curvature(slopes, errors, weights)
            pull += self.prior * values
            for _ in range(8):
                moved = values - self._solved(curvature, pull, damping)
                found = self.rows.evaluate(self.points(moved))
                after = self._cost(found[0], moved)
                if after < cost:
                    break
                damping *= 4
            else:
                break
            gain = cost - after
            values, (logs, slopes), cost, damping = moved, found, after, damping / 4
            if progress:
                progress(f"step {step + 1}: {cost:.1f}")
            if gain < DONE * abs(cost):
                break
        errors, weights = self._weighted(logs)
        curvature, _ = self._curvature(slopes, errors, weights)
        self.linear = (values, slopes, errors, weights, curvature)
        covariance = np.linalg.inv(curvature + np.diag(self.prior))
        return Pooled(self.places, values.reshape(-1, len(NAMES)), covariance, len(logs))

    def without(self, left_out: Any) -> Any:
        """The effects of a fit without some rows: one Gauss-Newton step from that to all.

        Args:
            left_out: which, as booleans.
        """
        values, slopes, errors, weights, curvature = self.linear
        some = np.nonzero(left_out)[0]
        less, pull = self._curvature(slopes, errors, weights, some)
        _, whole = self._curvature(slopes, errors, weights)
        step = self._solved(curvature - less, whole - pull + self.prior * values, 0.0)
        return (values - step).reshape(-1, len(NAMES))

    def _cost(self, logs: Any, values: Any) -> float:
        errors = (logs - self.measured) / SCALE
        likely = (FREEDOM + 1) / 2 * np.log1p(errors**2 / FREEDOM).sum()
        return float(likely + (self.prior * values**2).sum() / 2)

    def _weighted(self, logs: Any) -> tuple[Any, Any]:
        errors = (logs - self.measured) / SCALE
        return errors, (FREEDOM + 1) / (FREEDOM + errors**2)

    def _curvature(self, slopes: Any, errors: Any, weights: Any, some: Any = None) -> Any:
        """The Gauss-Newton matrix of some rows, and the gradient of their part of the objective."""
        csr_matrix = needed("scipy.sparse").csr_matrix
        rows = np.arange(len(errors)) if some is None else some
        size, kinds = len(NAMES), self.picked.shape[1]
        columns = (self.picked[rows][:, :, None] * size + np.arange(size)).reshape(-1)
        root = np.sqrt(weights[rows])[:, None, None] / SCALE
        shape = (len(rows), kinds, size)
        entries = (np.broadcast_to(slopes[rows][:, None, :], shape) * root).reshape(-1)
        index = np.repeat(np.arange(len(rows)), kinds * size)
        tall = csr_matrix((entries, (index, columns)), shape=(len(rows), len(self.prior)))
        return (tall.T @ tall).toarray(), tall.T @ (errors[rows] * np.sqrt(weights[rows]))

    def _solved(self, curvature: Any, pull: Any, damping: float) -> Any:
        linalg = needed("scipy.linalg")
        whole = curvature + np.diag(self.prior * (1 + damping) + damping * np.diag(curvature))
        return linalg.cho_solve(linalg.cho_factor(whole, overwrite_a=True), pull)
