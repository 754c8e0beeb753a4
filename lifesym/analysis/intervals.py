r"""Interval arithmetic for values and elasticities, rounded outwards, over many boxes at once."""

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from sympy import Rational

from lifesym.errors import SymbolError

Array: TypeAlias = np.ndarray[Any, Any]
ULPS = 2e-15  # more than four units in the last place, for powers, logarithms and exponentials
_SERIES = 1e-12  # of a closed sum, whose parts are at most a few times the whole


@dataclass(frozen=True)
class Enclosure:
    """Bounds over n boxes: values of shape (n,), elasticities of shape (variables, n)."""

    low: Array
    high: Array
    least: Array
    most: Array


def outwards(value: Array | float, side: int) -> Array:
    """The next number down (side -1) or up (1)."""
    return np.nextafter(value, side * np.inf)


def times(a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array]:
    """The product of the intervals [a, b] and [c, d], outwards."""
    zero = ((a == 0) & (b == 0)) | ((c == 0) & (d == 0))  # exactly, or any share would be unbounded
    with np.errstate(invalid="ignore", over="ignore"):  # 0 times an unbounded end is 0
        if np.all(a >= 0) and np.all(c >= 0):
            low = np.fmax(outwards(a * c, -1), 0.0)
            high = np.fmax(outwards(b * d, 1), 0.0)
        else:
            corners = np.stack(np.broadcast_arrays(a * c, a * d, b * c, b * d))
            corners = np.where(np.isnan(corners), 0.0, corners)
            low, high = outwards(corners.min(axis=0), -1), outwards(corners.max(axis=0), 1)
    return np.where(zero, 0.0, low), np.where(zero, 0.0, high)


def product(x: Enclosure, y: Enclosure) -> Enclosure:
    """Elasticities add up."""
    low, high = times(x.low, x.high, y.low, y.high)
    return Enclosure(low, high, *plus(x.least, x.most, y.least, y.most))


def plus(a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array]:
    """The sum of two intervals; exact zeros and small integers need no rounding."""
    with np.errstate(invalid="ignore"):
        low, high = a + c, b + d
    low = np.where(np.isnan(low), -np.inf, low)  # unbounded on both sides
    high = np.where(np.isnan(high), np.inf, high)
    exact = (low == np.rint(low)) & (np.abs(low) < 2**53) & (a == np.rint(a)) & (c == np.rint(c))
    fine = (high == np.rint(high)) & (np.abs(high) < 2**53) & (b == np.rint(b)) & (d == np.rint(d))
    return np.where(exact, low, outwards(low, -1)), np.where(fine, high, outwards(high, 1))


def total(parts: list[Enclosure]) -> Enclosure:
    """Of a sum: its elasticity is a mean of those of its terms, if they are positive."""
    low, high = parts[0].low, parts[0].high
    for one in parts[1:]:
        low, high = plus(low, high, one.low, one.high)
    if all(np.all(one.low >= 0) for one in parts):
        low = np.maximum(low, 0.0)
        return Enclosure(low, high, *_mean(parts))
    least, most = np.zeros_like(parts[0].least), np.zeros_like(parts[0].least)
    for one in parts:
        moved = times(one.least, one.most, one.low[None], one.high[None])
        least, most = plus(least, most, *moved)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        inverse = (
            np.where(low > 0, outwards(1 / high, -1), 0.0),
            np.where(low > 0, outwards(1 / low, 1), np.inf),
        )
    return Enclosure(low, high, *times(least, most, inverse[0][None], inverse[1][None]))


def _mean(parts: list[Enclosure]) -> tuple[Array, Array]:
    """The elasticity of a sum of positive terms: the mean of theirs, weighted by their shares."""
    least = np.min(np.stack([one.least for one in parts]), axis=0)
    most = np.max(np.stack([one.most for one in parts]), axis=0)
    if len(parts) > 1 and bool(np.any(least < most)):
        # The mean of intervals with weights in intervals is extreme where the weight of each
        # term is at one of its ends: sort the terms and move weight to one side.
        least = np.maximum(least, _weighted(parts, lower=True))
        most = np.minimum(most, _weighted(parts, lower=False))
    return least, most


def _weighted(parts: list[Enclosure], *, lower: bool) -> Array:
    """A bound of sum(e_i v_i) / sum(v_i) with v_i anywhere in its interval."""
    edge = np.stack([one.least if lower else -one.most for one in parts])
    order = np.argsort(edge, axis=0)
    ranked = np.take_along_axis(edge, order, axis=0)
    shape = edge.shape
    low = np.take_along_axis(np.broadcast_to(_values(parts, "low"), shape), order, axis=0)
    high = np.take_along_axis(np.broadcast_to(_values(parts, "high"), shape), order, axis=0)
    best = np.full(shape[1:], np.inf)
    for cut in range(len(parts) + 1):
        weights = np.concatenate([high[:cut], low[cut:]])
        weight = weights.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (weights * ranked).sum(axis=0) / weight
        best = np.minimum(best, np.where(np.isnan(mean), np.inf, mean))
    slack = ULPS * len(parts) * (1 + np.abs(ranked).max(axis=0))
    best = np.where(np.isfinite(best), best - slack, ranked[0])
    bound: Array = best if lower else -best
    return bound


def _values(parts: list[Enclosure], which: str) -> Array:
    return np.stack([getattr(one, which) for one in parts])[:, None, :]


def power(base: Enclosure, exponent: Rational) -> Enclosure:
    """Of a power with a number as its exponent.

    Raises:
        SymbolError: a base that can be negative.
    """
    degree = float(exponent)
    if exponent != 1 and not np.all(base.low >= 0):
        raise SymbolError("no interval bounds are known for the power of a negative number")
    with np.errstate(divide="ignore"):
        ends = np.stack([base.low**degree, base.high**degree])
    low, high = ends.min(axis=0) * (1 - ULPS), ends.max(axis=0) * (1 + ULPS)
    pair = (base.least * degree, base.most * degree)
    least, most = pair if degree > 0 else pair[::-1]
    if not exponent.is_Integer:
        least, most = outwards(least, -1), outwards(most, 1)
    return Enclosure(low, high, least, most)


def logarithm(inside: Enclosure) -> Enclosure:
    r"""Of a logarithm of at least 1: its elasticity is that of the inside over the logarithm.

    Raises:
        SymbolError: it can be negative, so that it has no elasticity of a positive value.
    """
    if not np.all(inside.low >= 1):
        raise SymbolError("no interval bounds are known for the logarithm of less than 1")
    low, high = np.log(inside.low) * (1 - ULPS), np.log(inside.high) * (1 + ULPS)
    with np.errstate(divide="ignore"):
        inverse = outwards(1 / high, -1), outwards(1 / low, 1)
    return Enclosure(low, high, *times(inside.least, inside.most, *inverse))


def extremum(parts: list[Enclosure], largest: bool) -> Enclosure:
    """The elasticity is that of any argument that can be the largest (smallest) in the box."""
    pick = np.max if largest else np.min
    low = pick(np.stack([one.low for one in parts]), axis=0)
    high = pick(np.stack([one.high for one in parts]), axis=0)
    least = np.full_like(parts[0].least, np.inf)
    most = np.full_like(parts[0].least, -np.inf)
    for one in parts:
        possible = (one.high >= low) if largest else (one.low <= high)
        least = np.where(possible, np.minimum(least, one.least), least)
        most = np.where(possible, np.maximum(most, one.most), most)
    return Enclosure(low, high, least, most)


def rounded(quotient: Enclosure, up: bool) -> Enclosure:
    """Of a quotient rounded to a whole number: its steps go the way that the quotient goes."""
    low, high = (np.ceil if up else np.floor)(np.stack([quotient.low, quotient.high]))
    level = low == high
    least = np.where(level | (quotient.least >= 0), 0.0, -np.inf)
    most = np.where(level | (quotient.most <= 0), 0.0, np.inf)
    return Enclosure(low, high, least, most)


def pairs(count: Enclosure) -> Enclosure:
    """Of n (n - 1), for a whole n that steps."""
    least, most = (np.maximum(end, 1.0) for end in (count.low, count.high))
    return replace(
        count,
        low=outwards(least * (least - 1), -1).clip(0.0),
        high=outwards(most * (most - 1), 1),
        least=np.where(count.least < 0, -np.inf, 0.0),
        most=np.where(count.most > 0, np.inf, 0.0),
    )


def chunks_before(top: Enclosure, bottom: Enclosure) -> Enclosure:
    """Of a quotient rounded up, less one; that of two whole numbers is rounded exactly."""
    quotient = product(top, power(bottom, Rational(-1)))
    ends = []
    for over, under, side in ((top.low, bottom.high, -1), (top.high, bottom.low, 1)):
        plain = over / under
        exact = (over == np.rint(over)) & (under == np.rint(under)) & (over < 2**53)
        ends.append(np.ceil(np.where(exact, plain, outwards(plain, side))) - 1)
    level = ends[0] == ends[1]
    least = np.where(level | (quotient.least >= 0), 0.0, -np.inf)
    most = np.where(level | (quotient.most <= 0), 0.0, np.inf)
    return Enclosure(np.maximum(ends[0], 0.0), np.maximum(ends[1], 0.0), least, most)


def last_chunk(top: Enclosure, bottom: Enclosure, before: Enclosure) -> Enclosure:
    """Of what is over the pieces before the last: exact where these are one number, else a piece.

    Where they are, the remainder rises with what is cut, by as much; elsewhere it falls back
    wherever a piece is full.
    """
    taken = product(before, bottom)
    rest = total([top, Enclosure(-taken.high, -taken.low, taken.least, taken.most)])
    level = before.low == before.high
    most = np.minimum(top.high, bottom.high)
    return Enclosure(
        low=np.where(level, np.maximum(rest.low, 0.0), 0.0),
        high=np.where(level, np.minimum(rest.high, most), most),
        least=np.where(level, rest.least, -np.inf),
        most=np.where(level, rest.most, np.inf),
    )


def sum_of_maxima(
    count: Enclosure, start: Enclosure, step: Enclosure, other: Enclosure, pace: Enclosure
) -> Enclosure:
    r"""Of $\sum_{i<n} \max(a + b i, c + d i)$, which rises in n and in all four, none negative.

    Its elasticity in n is from 1, of a level line, to $2 + 1/(n-1)$, of one that begins at zero;
    to it comes a mean of those of the lines that can be the larger.
    """
    low = _line_sum(count.low, start.low, step.low, other.low, pace.low) * (1 - _SERIES)
    high = _line_sum(count.high, start.high, step.high, other.high, pace.high) * (1 + _SERIES)
    last = np.maximum(count.high - 1, 0.0)
    possible = (
        ~((other.low > start.high) & (other.low + pace.low * last > start.high + step.high * last)),
        ~((start.low > other.high) & (start.low + step.low * last > other.high + pace.high * last)),
    )
    least = np.full_like(count.least, np.inf)
    most = np.full_like(count.least, -np.inf)
    for part, line in ((start, 0), (step, 0), (other, 1), (pace, 1)):
        counts = possible[line] & (part.high > 0)
        least = np.where(counts, np.minimum(least, part.least), least)
        most = np.where(counts, np.maximum(most, part.most), most)
    lines = np.where(least <= most, least, 0.0), np.where(least <= most, most, 0.0)
    with np.errstate(divide="ignore"):
        quickest = np.where(count.low > 1, 2 + (1 + ULPS) / np.maximum(count.low - 1, 0.0), np.inf)
    length = times(count.least, count.most, np.ones(1), quickest)
    return Enclosure(np.maximum(low, 0.0), high, *plus(*length, *lines))


def _line_sum(n: Array, a: Array, b: Array, c: Array, d: Array) -> Array:
    """The closed form of `lifesym.sums.SumMax`."""
    gap, slope = a - c, b - d
    q = np.abs(slope)
    p = np.minimum(gap, gap + slope * (n - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        k = np.where(q > 0, np.clip(np.ceil(-p / q), 0, n), np.where(p < 0, n, 0.0))
    summed: Array = n * c + d * n * (n - 1) / 2 + (n - k) * p + q * (n * (n - 1) - k * (k - 1)) / 2
    return summed
