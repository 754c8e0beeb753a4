r"""The largest share of a sum that one part of it can take over a box, certified.

Branch and bound: boxes are enclosed (`lifesym.analysis.enclosure`), collapsed to a face in every
variable in which the share is certainly monotone, dropped once their upper bound is below what a
point already reaches, and split otherwise. The result is an upper bound that holds everywhere and
a lower one that is reached at a point.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sympy import Expr, Rational, Symbol

from lifesym.analysis.enclosure import enclose

Array: TypeAlias = np.ndarray[Any, Any]
Box: TypeAlias = Mapping[Symbol, tuple[Expr, Expr]]


@dataclass(frozen=True, kw_only=True)
class ShareBound:
    """Bounds of the largest share.

    Attributes:
        lower: a share that is reached, at ``at``.
        upper: a share that is exceeded nowhere in the box.
        at: the point that reaches the lower bound.
        boxes: how many boxes were enclosed.
    """

    lower: float
    upper: float
    at: dict[Symbol, float]
    boxes: int

    @property
    def gap(self) -> float:
        """The relative distance of the bounds: (upper - lower) / upper."""
        return 0.0 if self.upper == 0 else (self.upper - self.lower) / self.upper


def largest_share(
    part: Expr,
    rest: Expr,
    box: Box,
    *,
    gap: float = 0.05,
    stop_below: float = 0.0,
    stop_above: float = 1.0,
    budget: int = 200_000,
) -> ShareBound:
    """The maximum over the box of part / (part + rest), both positive.

    Args:
        part: the part, in the symbols of the box alone.
        rest: all the others, likewise.
        box: the range of each symbol.
        gap: the relative distance of the bounds at which to stop.
        stop_below: stop as soon as the upper bound is at most this.
        stop_above: stop as soon as the lower bound is above this.
        budget: the most boxes to enclose; the gap is then wider than asked for, and says so.

    Raises:
        SymbolError: a node that has no enclosure.
    """
    if part == 0:
        return ShareBound(lower=0.0, upper=0.0, at={}, boxes=0)
    variables = tuple(box)
    low = np.array([[_down(box[symbol][0])] for symbol in variables]).reshape(len(variables), 1)
    high = np.array([[_up(box[symbol][1])] for symbol in variables]).reshape(len(variables), 1)
    lower, at, used = 0.0, low[:, 0], 0
    settled = 0.0  # the largest upper bound of a box that needs no more work
    while True:
        used += low.shape[1]
        bounds, least, most = _shares(part, rest, variables, low, high)
        reached, where = _reached(part, rest, variables, low, high, least, most)
        if reached > lower:
            lower, at = reached, where
        goal = max(lower / (1 - gap), stop_below)
        keep = (bounds > goal) & (low < high).any(axis=0)
        settled = max(settled, float(bounds[~keep].max(initial=0.0)))
        if not keep.any() or lower > stop_above or used >= budget:
            upper = max(settled, float(bounds.max()))
            break
        low, high = _collapse(low[:, keep], high[:, keep], least[:, keep], most[:, keep])
        low, high = _split(low, high, least[:, keep], most[:, keep])
    point = {symbol: float(value) for symbol, value in zip(variables, at, strict=True)}
    return ShareBound(lower=lower, upper=max(upper, lower), at=point, boxes=used)


def _shares(
    part: Expr, rest: Expr, variables: tuple[Symbol, ...], low: Array, high: Array
) -> tuple[Array, Array, Array]:
    """Upper bounds of the share, and bounds of the elasticity of part / rest."""
    one, other = (enclose(expr, variables, low, high) for expr in (part, rest))
    least = np.nextafter(one.least - other.most, -np.inf)
    most = np.nextafter(one.most - other.least, np.inf)
    same = (one.least == one.most) & (other.least == other.most) & (one.least == other.least)
    least, most = np.where(same, 0.0, least), np.where(same, 0.0, most)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        natural = one.high / np.nextafter(one.high + other.low, -np.inf)
        middle = np.where(low > 0, np.sqrt(low) * np.sqrt(high), (low + high) / 2)
        middle = np.clip(middle, low, high)
        left, right = np.log(low / middle), np.log(high / middle)
        corners = np.stack([least * left, least * right, most * left, most * right])
        moved = np.where(low == high, 0.0, corners.max(axis=0)).sum(axis=0)
        here, there = (enclose(expr, variables, middle, middle) for expr in (part, rest))
        ratio = here.high / there.low * np.exp(moved + 1e-12 * (1 + np.abs(moved)))
        centred = ratio / (1 + ratio) * (1 + 1e-14)
    centred = np.where(np.isfinite(centred), centred, 1.0)
    natural = np.where(np.isfinite(natural), np.nextafter(natural, np.inf), 1.0)
    return np.minimum(np.minimum(natural, centred), 1.0), least, most


def _reached(
    part: Expr,
    rest: Expr,
    variables: tuple[Symbol, ...],
    low: Array,
    high: Array,
    least: Array,
    most: Array,
) -> tuple[float, Array]:
    """The best share at a point of each box: the corner that the elasticities point to."""
    middle = (low + high) / 2
    corner = np.where(least >= 0, high, np.where(most <= 0, low, middle))
    ends = np.where(least + most >= 0, high, low)
    points = np.concatenate([corner, ends, middle], axis=1)
    one, other = (enclose(expr, variables, points, points) for expr in (part, rest))
    shares = np.nextafter(one.low / np.nextafter(one.low + other.high, np.inf), 0.0)
    best = int(np.argmax(shares))
    return float(shares[best]), points[:, best]


def _collapse(low: Array, high: Array, least: Array, most: Array) -> tuple[Array, Array]:
    """Monotone variables are put to the end at which the share is largest."""
    rising, falling = least >= 0, (most <= 0) & (least < 0)
    return np.where(rising, high, low), np.where(falling, low, high)


def _split(low: Array, high: Array, least: Array, most: Array) -> tuple[Array, Array]:
    """Each box in two, along the variable that can move the share most."""
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.where(low > 0, np.log(high / low), np.where(high > low, 50.0, 0.0))
    influence = np.nan_to_num(np.maximum(np.abs(least), np.abs(most)) * width, nan=0.0)
    influence = np.where(high > low, influence + 1e-300, -1.0)
    axis = influence.argmax(axis=0)
    column = np.arange(low.shape[1])
    a, b = low[axis, column], high[axis, column]
    cut = np.where((a > 0) & (b > 4 * a), np.sqrt(a) * np.sqrt(b), (a + b) / 2)
    point = ~(b > a)
    lower_high, upper_low = high.copy(), low.copy()
    lower_high[axis, column] = np.where(point, b, cut)
    upper_low[axis, column] = np.where(point, a, cut)
    lows = np.concatenate([low, upper_low[:, ~point]], axis=1)
    highs = np.concatenate([lower_high, high[:, ~point]], axis=1)
    return lows, highs


def _down(value: Expr) -> float:
    number = float(value)
    return number if value == Rational(number) else max(0.0, float(np.nextafter(number, -np.inf)))


def _up(value: Expr) -> float:
    number = float(value)
    return number if value == Rational(number) else float(np.nextafter(number, np.inf))
