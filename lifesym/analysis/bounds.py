r"""The largest share of a sum that one part of it can take over a box, certified.

Branch and bound: boxes are enclosed (`lifesym.analysis.enclosure`), collapsed to a face in every
variable in which the share is certainly monotone, dropped once their upper bound is below what a
point already reaches, and split otherwise, those with the largest upper bound first. The result is
an upper bound that holds everywhere and a lower one that is reached at a point. Shares are of
positive formulas: a part that is negative somewhere, or that the enclosures cannot show to be
positive, is an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from sympy import Expr, Rational, Symbol

from lifesym.analysis.boxes import Array, Boxes, halves, steepest
from lifesym.analysis.enclosure import enclose
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.remainders import ChunksBefore, LastChunk
from lifesym.symbols import TABLE, Number, constant

Box: TypeAlias = Mapping[Symbol, tuple[Expr, Expr]]

_ROUND = 8192  # boxes enclosed at once
_AHEAD = 7  # halvings before the first round, of a formula with steps


@dataclass(frozen=True, kw_only=True)
class ShareBound:
    """Bounds of the largest share.

    Attributes:
        lower: a share that is reached, at ``at``.
        upper: a share that is exceeded nowhere in the box.
        at: the point that reaches the lower bound.
        boxes: how many boxes were enclosed.
        complete: whether the gap that was asked for is reached; False if the budget ran out.
    """

    lower: float
    upper: float
    at: dict[Symbol, float]
    boxes: int
    complete: bool = True

    @property
    def gap(self) -> float:
        """The relative distance of the bounds: (upper - lower) / upper."""
        return 0.0 if self.upper == 0 else (self.upper - self.lower) / self.upper


@checked
def largest_share(
    part: Expr,
    rest: Expr,
    box: Mapping[Symbol, tuple[Number, Number]],
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

    In formulas of a prompt in chunks, sizes are whole numbers.

    Raises:
        SymbolError: a budget below 1, an empty box, a node that has no enclosure, or a part or a
            rest that is negative somewhere, or cannot be shown not to be within the budget.
    """
    if budget < 1:
        raise SymbolError(f"budget must be at least 1, not {budget}")
    if part == 0:
        return ShareBound(lower=0.0, upper=0.0, at={}, boxes=0)
    if not box:
        raise SymbolError("the box is empty: give the range of a symbol")
    exactly = {s: (constant(low, s.name), constant(high, s.name)) for s, (low, high) in box.items()}
    variables = tuple(box)
    # the last chunk of a prompt is no number of tokens but where the prompt is
    stepped = part.has(ChunksBefore, LastChunk) or rest.has(ChunksBefore, LastChunk)
    whole = np.array([stepped and s in TABLE and TABLE[s].whole for s in variables])
    low = np.array([[_down(exactly[symbol][0])] for symbol in variables]).reshape(len(variables), 1)
    high = np.array([[_up(exactly[symbol][1])] for symbol in variables]).reshape(len(variables), 1)
    low[whole], high[whole] = np.ceil(low[whole]), np.floor(high[whole])
    lower, at, used = 0.0, low[:, 0], 0
    settled = 0.0  # the largest upper bound of a box that needs no more work
    waiting, none = Boxes(low, high, np.ones(1)), Boxes(low[:, :0], high[:, :0], np.ones(0))
    for _ in range(_AHEAD if stepped else 0):  # a round of many boxes takes as long as one of few
        even = np.ones(waiting.low.shape)
        axes = steepest(waiting.low, waiting.high, even, even)
        waiting = none.with_halves(waiting.low, waiting.high, waiting.bounds, axes, whole)
    while True:
        low, high, waiting = waiting.take(min(_ROUND, budget - used))
        used += low.shape[1]
        bounds, least, most = _shares(part, rest, variables, low, high)
        reached, where = _reached(part, rest, variables, low, high, least, most, whole)
        if reached > lower:
            lower, at = reached, where
        goal = max(lower / (1 - gap), stop_below)
        keep = (bounds > goal) & (low < high).any(axis=0)
        settled = max(settled, float(bounds[~keep].max(initial=0.0)))
        least, most = least[:, keep], most[:, keep]
        low, high = _collapse(low[:, keep], high[:, keep], least, most)
        axes = steepest(low, high, least, most)
        unsure = ~(np.isfinite(least) & np.isfinite(most)).all(axis=0)
        cut = low[:, unsure], high[:, unsure], axes[unsure]
        axes[unsure] = _tried(part, rest, variables, *cut, whole)
        waiting = waiting.with_halves(low, high, bounds[keep], axes, whole)
        done, waiting = waiting.above(goal)
        settled = max(settled, done)
        if not waiting.bounds.size or lower > stop_above or used >= budget:
            upper = max(settled, float(waiting.bounds.max(initial=0.0)))
            break
    if not np.isfinite(upper):
        raise SymbolError(f"{part} or the rest cannot be shown to be positive over the box")
    point = {symbol: float(value) for symbol, value in zip(variables, at, strict=True)}
    upper = min(max(upper, lower), 1.0)
    complete = not waiting.bounds.size or lower > stop_above
    return ShareBound(lower=lower, upper=upper, at=point, boxes=used, complete=complete)


def _shares(
    part: Expr, rest: Expr, variables: tuple[Symbol, ...], low: Array, high: Array
) -> tuple[Array, Array, Array]:
    """Upper bounds of the share, and bounds of the elasticity of part / rest.

    The bound is infinite where the part or the rest is not shown to be positive.
    """
    one, other = (enclose(expr, variables, low, high) for expr in (part, rest))
    with np.errstate(invalid="ignore"):
        least = np.nextafter(one.least - other.most, -np.inf)
        most = np.nextafter(one.most - other.least, np.inf)
    least = np.where(np.isnan(least), -np.inf, least)
    most = np.where(np.isnan(most), np.inf, most)
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
    bounds = np.minimum(np.minimum(natural, centred), 1.0)
    return np.where((one.low < 0) | (other.low < 0), np.inf, bounds), least, most


def _reached(
    part: Expr,
    rest: Expr,
    variables: tuple[Symbol, ...],
    low: Array,
    high: Array,
    least: Array,
    most: Array,
    whole: Array,
) -> tuple[float, Array]:
    """The best share at a point of each box: the corner that the elasticities point to.

    Raises:
        SymbolError: the part or the rest is negative at one of the points.
    """
    middle = (low + high) / 2
    middle[whole] = np.floor(middle[whole])
    corner = np.where(least >= 0, high, np.where(most <= 0, low, middle))
    with np.errstate(invalid="ignore"):  # unbounded both ways: either end
        ends = np.where(least + most >= 0, high, low)
    points = np.concatenate([corner, ends, middle], axis=1)
    one, other = (enclose(expr, variables, points, points) for expr in (part, rest))
    for expr, found in ((part, one), (rest, other)):
        if (found.high < 0).any():
            column = points[:, int(np.argmin(found.high))]
            spot = ", ".join(
                f"{s.name} = {value:g}" for s, value in zip(variables, column, strict=True)
            )
            raise SymbolError(f"{expr} is negative at {spot}: shares are of positive terms")
    shares = np.nextafter(one.low / np.nextafter(one.low + other.high, np.inf), 0.0)
    best = int(np.argmax(shares))
    return float(shares[best]), points[:, best]


def _tried(
    part: Expr,
    rest: Expr,
    variables: tuple[Symbol, ...],
    low: Array,
    high: Array,
    axes: Array,
    whole: Array,
) -> Array:
    """For each box the axis whose two halves have the lowest bounds; the given one of equals.

    At a kink an elasticity is unbounded and tells nothing about which variable to cut.
    """
    best, chosen = np.full(axes.shape, np.inf), axes
    for axis in range(len(variables)) if axes.size else ():
        first, second = (
            _shares(part, rest, variables, *half)[0] for half in halves(low, high, axis, whole)
        )
        both = np.where(axes == axis, 1 - 1e-9, 1.0) * (first + second)
        both = np.where(low[axis] < high[axis], both, np.inf)
        chosen = np.where(both < best, axis, chosen)
        best = np.minimum(best, both)
    return chosen


def _collapse(low: Array, high: Array, least: Array, most: Array) -> tuple[Array, Array]:
    """Monotone variables are put to the end at which the share is largest."""
    rising, falling = least >= 0, (most <= 0) & (least < 0)
    return np.where(rising, high, low), np.where(falling, low, high)


def _down(value: Expr) -> float:
    number = float(value)
    return number if value == Rational(number) else max(0.0, float(np.nextafter(number, -np.inf)))


def _up(value: Expr) -> float:
    number = float(value)
    return number if value == Rational(number) else float(np.nextafter(number, np.inf))
