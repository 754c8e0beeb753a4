r"""Fits of the parameters to measurements: sums of effects, partially pooled.

Every software on every kind of back end (llama.cpp on CUDA) has a fit of its own. The parameters of
a row, on the scale of the fit, are a usual value plus an effect of everything that the row has in
common with others there: the class of the device, its maker, the release, and the device. Every
effect is drawn towards 0 by a normal prior whose width is that of its kind (`WIDTHS`), so that
what few rows say counts little, and a device that was never seen has the effects of its class and
maker. Software that was never seen on a back end has the mean of its others, or of everything. With
seconds t of a row and a forecast T a fit minimizes

$$\sum_i \frac{\nu + 1}{2} \ln\Big(1 + \frac{(\ln T_i - \ln t_i)^2}{\nu s^2}\Big)
+ \sum_k \frac{z_k^2}{2 \sigma_k^2}$$

(a t-distribution of the errors, which a wild row moves little) by Gauss-Newton steps with the exact
derivatives of the forecast's formula. Source of the pooling: Gelman and Hill, Data Analysis Using
Regression and Multilevel Models (2007), chapter 12.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np

from lifesym.calibration.formula import Rows
from lifesym.calibration.measurements import Observation, gathered
from lifesym.calibration.parameters import NAMES, PARAMETERS, SPREAD, USUAL, slopes
from lifesym.errors import SpecError
from lifesym.extras import needed

WIDTHS = {"engine": 1.0, "class": 0.2, "maker": 0.1, "release": 0.6, "device": 0.05}
"""Widths of the effects of each kind, in parts of how far values of all devices lie apart."""
SCALE = 0.05
"""Relative error of rows that nothing is wrong with."""
WIDER = {"decode": 1.7, "prefill": 3.8, "request": 1.5}
"""How much wider errors of devices left out of published.csv are than the fit says: nine tenths of
these rows are then within their 90 % intervals."""
TRUST = 4.0
"""How much wider a prior from other devices' rows is taken than their fit says, as a variance."""
FREEDOM = 5.0
"""Degrees of freedom of the t-distribution."""
STEPS = 60
STUCK = 1e6
DONE = 1e-4
"""Of the objective, the decrease below which steps end."""
UNDETERMINED = 0.7
"""Of a prior's width, that of a parameter which the data say little of."""
IMPLAUSIBLE = 0.05
"""An efficiency below it says that something else than the resource is waited for."""
ROUNDS = 4
SETTLED = 0.01
"""Steps between rounds, on the fit's scale, below which a fit is done."""
Effect = tuple[str, ...]


def effects(o: Observation) -> tuple[Effect, ...]:
    """What a row has in common with others of its software and back end, an effect a kind."""
    return (
        ("engine", o.place),
        ("class", o.kind),
        ("maker", o.maker),
        ("release", o.framework, o.split),
        ("device", o.device),
    )


@dataclass(frozen=True)
class Pooled:
    """A fit to the rows of one software on one back end.

    Attributes:
        places: the number of every effect.
        values: the effects, of shape (effects, parameters), on the fit's scale.
        curvature: of the objective at the optimum, in all of them, flattened.
        rows: how many were fitted to.
    """

    places: Mapping[Effect, int]
    values: Any
    curvature: Any
    rows: int

    def forecast(self, rows: Rows) -> Any:
        """Seconds of some rows."""
        return rows.seconds(_points(self, rows))

    @cached_property
    def inverse(self) -> Any:
        """The covariance of all effects."""
        return np.linalg.inv(self.curvature)

    def report(self) -> dict[str, Any]:
        """The parameters of the software, with 95 % intervals and what is not to be believed."""
        size = len(NAMES)
        inner = self.inverse[:size, :size]
        return described(self.usual, inner, self.rows)

    @property
    def usual(self) -> Any:
        """The parameters of a row that has nothing in common but the software."""
        return USUAL + self.values[0]

    def point(self, o: Observation) -> Any:
        """The parameters of a row; what was never seen has no effect."""
        known = [self.places[each] for each in effects(o) if each in self.places]
        return USUAL + self.values[known].sum(axis=0)

    def covariance(self, o: Observation) -> Any:
        """Of the parameters of a row, the priors of unseen effects included."""
        size, wanted = len(NAMES), effects(o)
        _, joint = self.joint(wanted)
        return joint.reshape(len(wanted), size, len(wanted), size).sum(axis=(0, 2))

    def joint(self, wanted: Sequence[Effect]) -> tuple[Any, Any]:
        """Values and joint covariance of some effects; what was never seen has those of its kind.

        The covariance is flattened as the curvature is.
        """
        size = len(NAMES)
        values = np.zeros((len(wanted), size))
        widths = np.array([WIDTHS[effect[0]] for effect in wanted])
        covariance = np.diag(((widths[:, None] * SPREAD) ** 2).ravel())
        known = [i for i, effect in enumerate(wanted) if effect in self.places]
        seen = np.array([self.places[wanted[i]] for i in known], dtype=int)
        values[known] = self.values[seen]
        here = (np.array(known, dtype=int)[:, None] * size + np.arange(size)).ravel()
        there = (seen[:, None] * size + np.arange(size)).ravel()
        covariance[np.ix_(here, here)] = self.inverse[np.ix_(there, there)]
        return values, covariance


def fit(rows: Rows, start: Pooled | None = None, prior: Pooled | None = None) -> Pooled:
    """The effects that fit some rows of one software and back end best.

    Args:
        rows: the rows.
        start: a fit to begin with.
        prior: what other rows say of the effects: a fit to them, of the same software and back end.
            Rows are then taken to be as far off as those of devices left out were (`WIDER`).

    Raises:
        SpecError: no row.
        LifesymError: SciPy is not installed.
    """
    needed("scipy")
    if not len(rows):
        raise SpecError("no measurement to fit to")
    fitting = _Fitting(rows, prior)
    values = fitting.begun(start)
    for _ in range(ROUNDS):
        fitting.correct(values)
        before, values = values, fitting.solved(values)
        if np.abs(values - before).max() < SETTLED:
            break
    curvature, _ = fitting.curvature(values)
    shaped = values.reshape(-1, len(NAMES))
    return Pooled(fitting.places, shaped, curvature, len(rows))


class _Fitting:
    """The rows of a fit, and the numbers of their effects.

    Steps are taken on the sums of the rows' terms, which cost little, corrected by the forecasts'
    ratio to these where it need not be 1 (`Rows.open`).
    """

    def __init__(self, rows: Rows, prior: Pooled | None) -> None:
        self.rows, self.open = rows, rows.take(rows.open)
        self.measured = np.log([o.seconds for o in rows.observations])
        self.correction = np.zeros(len(rows))
        self.places: dict[Effect, int] = {}
        self.picked = np.array(
            [
                [self.places.setdefault(e, len(self.places)) for e in effects(o)]
                for o in rows.observations
            ]
        )
        empty = Pooled({}, np.zeros((0, len(NAMES))), np.zeros((0, 0)), 0)
        values, covariance = (prior or empty).joint([*self.places])
        self.mean = values.ravel()
        self.prior = np.linalg.inv(covariance * (TRUST if prior else 1))
        self.scale = SCALE * np.array([WIDER[o.phase] if prior else 1 for o in rows.observations])

    def begun(self, start: Pooled | None) -> Any:
        """Effects to begin with."""
        values = self.mean.reshape(-1, len(NAMES)).copy()
        for effect, place in self.places.items():
            if start is not None and effect in start.places:
                values[place] = start.values[start.places[effect]]
        return values.ravel()

    def points(self, values: Any) -> Any:
        """The parameters of every row."""
        return USUAL + values.reshape(-1, len(NAMES))[self.picked].sum(axis=1)

    def correct(self, values: Any) -> None:
        """Take the forecasts' ratio to the sums of terms at a point."""
        if len(self.open):
            points = self.points(values)[self.rows.open]
            ratio = self.open.seconds(points) / self.open.summed(points)
            self.correction[self.rows.open] = np.log(ratio)

    def solved(self, values: Any) -> Any:
        """The best effects (Levenberg and Marquardt)."""
        linalg = needed("scipy.linalg")
        damping, cost = 1e-3, self.cost(values)
        for _ in range(STEPS):
            curvature, pull = self.curvature(values)
            while damping < STUCK:
                damped = curvature + np.diag(damping * np.diag(curvature))
                moved = values - linalg.cho_solve(linalg.cho_factor(damped), pull)
                after = self.cost(moved)
                if after < cost:
                    break
                damping *= 4
            else:
                break
            gain, values, cost, damping = cost - after, moved, after, damping / 8
            if gain < DONE * abs(cost):
                break
        return values

    def cost(self, values: Any) -> float:
        """The objective."""
        seconds = self.rows.summed(self.points(values))
        errors = (np.log(seconds) + self.correction - self.measured) / self.scale
        likely = (FREEDOM + 1) / 2 * np.log1p(errors**2 / FREEDOM).sum()
        away = values - self.mean
        cost = likely + away @ self.prior @ away / 2
        return float(cost) if np.isfinite(cost) else np.inf

    def curvature(self, values: Any) -> tuple[Any, Any]:
        """The Gauss-Newton matrix of the objective, and its gradient."""
        csr_matrix = needed("scipy.sparse").csr_matrix
        points = self.points(values)
        seconds, parts = self.rows.columns(points)
        errors = (np.log(seconds) + self.correction - self.measured) / self.scale
        weights = np.sqrt((FREEDOM + 1) / (FREEDOM + errors**2))
        size, kinds = len(NAMES), self.picked.shape[1]
        shape = (len(errors), kinds, size)
        columns = (self.picked[:, :, None] * size + np.arange(size)).ravel()
        steep = parts / seconds[:, None] * slopes(points) * (weights / self.scale)[:, None]
        entries = np.broadcast_to(steep[:, None, :], shape).ravel()
        rows = np.repeat(np.arange(len(errors)), kinds * size)
        tall = csr_matrix((entries, (rows, columns)), shape=(len(errors), len(self.mean)))
        matrix = (tall.T @ tall).toarray() + self.prior
        return matrix, tall.T @ (errors * weights) + self.prior @ (values - self.mean)


def described(point: Any, covariance: Any, rows: int) -> dict[str, Any]:
    """Parameters as plain data: values, units, 95 % intervals, and remarks.

    What the data leave about as wide as the prior is not determined by them.
    """
    spread = np.sqrt(np.diag(covariance))
    found: dict[str, Any] = {"rows": rows, "values": {}, "units": {}, "intervals": {}, "flags": {}}
    for i, p in enumerate(PARAMETERS):
        low, value, high = (p.value(point[i] + k * spread[i]) for k in (-1.96, 0.0, 1.96))
        found["values"][p.symbol] = float(value)
        found["units"][p.symbol] = p.unit
        found["intervals"][p.symbol] = [float(low), float(high)]
        if spread[i] > UNDETERMINED * WIDTHS["engine"] * p.spread:
            found["flags"][p.symbol] = "not determined by these measurements"
        elif p.link == "share" and value < IMPLAUSIBLE:
            found["flags"][p.symbol] = "implausibly low: something else is waited for"
    return found


@dataclass(frozen=True)
class Calibration:
    """Fits by software and back end.

    Attributes:
        fits: those there are.
    """

    fits: Mapping[str, Pooled] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Rows, progress: Callable[[str], None] | None = None) -> "Calibration":
        """Fits to all measurements."""
        fits = {}
        for place, here in by_place(rows).items():
            if progress:
                progress(f"{place}: {len(here)} measurements")
            fits[place] = fit(rows.take(here))
        return cls(fits)

    def without(self, rows: Rows, left_out: Collection[int]) -> "Calibration":
        """The same with refits in place of the fits that have seen some rows.

        Args:
            rows: what was fitted to.
            left_out: places of those that are not to be seen.
        """
        fits = dict(self.fits)
        seen = {rows.observations[i].place for i in left_out}
        for place, here in by_place(rows).items():
            if place in seen:
                whole, kept = fits.pop(place), [i for i in here if i not in left_out]
                if kept:
                    fits[place] = fit(rows.take(kept), start=whole)
        return Calibration(fits)

    def point(self, o: Observation) -> Any:
        """The parameters of a row: by the fit of its software and back end, or the nearest ones."""
        return np.mean([one.point(o) for one in self._nearest(o)], axis=0)

    def covariance(self, o: Observation) -> Any:
        """Of these; that of a mean of other fits has how far software lies apart in it."""
        inner = np.mean([one.covariance(o) for one in self._nearest(o)], axis=0)
        if o.place in self.fits:
            return inner
        return inner + np.diag((WIDTHS["engine"] * SPREAD) ** 2)

    def _nearest(self, o: Observation) -> list[Pooled]:
        if o.place in self.fits:
            return [self.fits[o.place]]
        same = [f for place, f in self.fits.items() if place.startswith(f"{o.software} on ")]
        found = same or list(self.fits.values())
        if not found:
            raise SpecError("no measurement to fit to")
        return found

    def forecast(self, rows: Rows) -> Any:
        """Seconds of some rows."""
        return rows.seconds(_points(self, rows))

    def errors(self, rows: Rows) -> Any:
        """Standard deviations of the logarithms of these: of the parameters, and of any row."""
        points = _points(self, rows)
        seconds, parts = rows.columns(points)
        steep = parts / seconds[:, None] * slopes(points)
        spread = np.stack([self.covariance(o) for o in rows.observations])
        errors = np.sqrt(np.einsum("np,npq,nq->n", steep, spread, steep) + SCALE**2)
        return errors * np.array([WIDER[o.phase] for o in rows.observations])


def _points(fitted: "Pooled | Calibration", rows: Rows) -> Any:
    """The parameters of every row, on the fit's scale."""
    return np.stack([fitted.point(o) for o in rows.observations])


def left_out(
    rows: Rows,
    key: Callable[[Observation], str],
    progress: Callable[[str], None] | None = None,
    whole: Calibration | None = None,
) -> tuple[Any, Any]:
    """Forecasts of every row from fits to those with another key (another device).

    Returns:
        Seconds, and the standard deviations of their logarithms.

    Raises:
        SpecError: every row has the same key.
    """
    groups = gathered(rows.observations, key)
    if len(groups) < 2:
        raise SpecError(f"all measurements are of {next(iter(groups))}: none is left to fit to")
    whole = whole or Calibration.of(rows, progress)
    seconds, errors = np.empty(len(rows)), np.empty(len(rows))
    for each, here in groups.items():
        if progress:
            progress(f"without {each}")
        others, mine = whole.without(rows, set(here)), rows.take(here)
        seconds[here], errors[here] = others.forecast(mine), others.errors(mine)
    return seconds, errors


def relevant(training: Sequence[Observation], of: Sequence[Observation]) -> list[Observation]:
    """Those measurements whose fits forecast some rows: of their software, or else all."""
    places = {o.place for o in training}
    wanted = {o.place for o in of}
    lacking = {o.software for o in of if o.place not in places}
    if lacking - {o.software for o in training}:
        return list(training)
    return [o for o in training if o.place in wanted or o.software in lacking]


def by_place(rows: Rows) -> dict[str, list[int]]:
    """The places of rows by their software and back end."""
    return gathered(rows.observations, attrgetter("place"))
