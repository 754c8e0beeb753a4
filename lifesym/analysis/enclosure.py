r"""Enclosures: what a formula, and its elasticities, can be over a box of values.

Interval arithmetic in double precision, rounded outwards after every operation, over many boxes at
once. Beside the value each enclosure holds an interval for the elasticity in each variable,
$\varepsilon_i = \partial \ln f / \partial \ln x_i$: for the posynomials and maxima of this package
those are narrow (the elasticity of a sum is a mean of its terms' elasticities), and where their
sign is certain the formula is monotone in the variable over the whole box.

Source: R. E. Moore, R. B. Kearfott, M. J. Cloud, "Introduction to Interval Analysis", SIAM 2009,
sections 6.2 and 6.4 (mean value form, monotonicity); the use of logarithmic coordinates is ours.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sympy import Add, Expr, Mul, Pow, Rational, Symbol, log

from lifesym.errors import SymbolError
from lifesym.nodes import Maximum, Minimum

Array: TypeAlias = np.ndarray[Any, Any]
_ULPS = 2e-15  # more than four units in the last place, for powers, logarithms and exponentials


@dataclass(frozen=True)
class Enclosure:
    """Bounds over n boxes: values of shape (n,), elasticities of shape (variables, n)."""

    low: Array
    high: Array
    least: Array
    most: Array


def enclose(expr: Expr, variables: tuple[Symbol, ...], low: Array, high: Array) -> Enclosure:
    """Bounds of a formula over boxes.

    Args:
        expr: a formula in the variables; its values must be positive inside the boxes.
        variables: the symbols of the boxes.
        low: the boxes' lower corners, shape (variables, boxes), not negative.
        high: their upper corners.

    Raises:
        SymbolError: another symbol, or a node that has no enclosure (a rounded quotient, a sum).
    """
    return _Walk(variables, low, high).enclose(expr)


class _Walk:
    def __init__(self, variables: tuple[Symbol, ...], low: Array, high: Array) -> None:
        self.variables = variables
        self.low, self.high = low, high
        self.seen: dict[Expr, Enclosure] = {}

    def enclose(self, expr: Expr) -> Enclosure:
        if expr not in self.seen:
            self.seen[expr] = self._enclose(expr)
        return self.seen[expr]

    def _enclose(self, expr: Expr) -> Enclosure:
        if expr.is_number:
            return self._constant(expr)
        if isinstance(expr, Symbol):
            return self._variable(expr)
        if isinstance(expr, Add):
            if (positive := _without_a_minus(expr)) is not expr:
                return self.enclose(positive)
            return _sum([self.enclose(arg) for arg in expr.args])
        if isinstance(expr, Mul):
            product = self.enclose(expr.args[0])
            for arg in expr.args[1:]:
                product = _product(product, self.enclose(arg))
            return product
        if isinstance(expr, Pow) and expr.exp.is_Rational:
            return _power(self.enclose(expr.base), expr.exp)
        if isinstance(expr, Pow) and expr.base.is_positive and expr.base.is_number:
            return self._exponential(expr.base, self.enclose(expr.exp))
        if isinstance(expr, Maximum | Minimum):
            return _extremum([self.enclose(arg) for arg in expr.args], isinstance(expr, Maximum))
        raise SymbolError(
            f"no interval bounds are known for {expr.func.__name__}: bind its symbols"
        )

    def _constant(self, expr: Expr) -> Enclosure:
        number = float(expr)
        shape, boxes = self.low.shape, self.low.shape[1]
        zero = np.zeros(shape)
        if expr.is_Integer and abs(number) < 2**53:
            low = high = np.full(boxes, number)
        else:
            low = np.full(boxes, np.nextafter(number, -np.inf))
            high = np.full(boxes, np.nextafter(number, np.inf))
        return Enclosure(low, high, zero, zero)

    def _variable(self, symbol: Symbol) -> Enclosure:
        if symbol not in self.variables:
            raise SymbolError(f"{symbol.name} is not in the box: give it a range or a number")
        i = self.variables.index(symbol)
        unit = np.zeros_like(self.low)
        unit[i] = 1.0
        return Enclosure(self.low[i], self.high[i], unit, unit)

    def _exponential(self, base: Expr, exponent: Enclosure) -> Enclosure:
        slope = float(log(base))
        ends = np.stack([exponent.low * slope, exponent.high * slope])
        low = np.exp(ends.min(axis=0)) * (1 - _ULPS * (1 + np.abs(ends).max(axis=0)))
        high = np.exp(ends.max(axis=0)) * (1 + _ULPS * (1 + np.abs(ends).max(axis=0)))
        logs = _times(exponent.low, exponent.high, _out(slope, -1), _out(slope, 1))
        least, most = _times(exponent.least, exponent.most, *logs)
        return Enclosure(np.maximum(low, 0.0), high, least, most)


def _without_a_minus(expr: Expr) -> Expr:
    """The difference a - min(a, b), of the tokens beyond a window, as max(0, a - b)."""
    for arg in expr.args:
        node = -arg
        if not isinstance(node, Minimum):
            continue
        for whole in expr.args:
            if whole in node.args:
                rest = [other for other in expr.args if other not in (arg, whole)]
                return Add(*rest, Maximum(*(whole - other for other in node.args)))
    return expr


def _out(value: Array | float, side: int) -> Array:
    return np.nextafter(value, side * np.inf)


def _times(a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array]:
    """The product of the intervals [a, b] and [c, d], outwards."""
    if np.all(a >= 0) and np.all(c >= 0):
        return np.maximum(_out(a * c, -1), 0.0), _out(b * d, 1)
    corners = np.stack(np.broadcast_arrays(a * c, a * d, b * c, b * d))
    corners = np.where(np.isnan(corners), 0.0, corners)  # 0 times an unbounded end
    return _out(corners.min(axis=0), -1), _out(corners.max(axis=0), 1)


def _product(x: Enclosure, y: Enclosure) -> Enclosure:
    low, high = _times(x.low, x.high, y.low, y.high)
    return Enclosure(low, high, *_plus(x.least, x.most, y.least, y.most))


def _plus(a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array]:
    """The sum of two intervals; exact zeros and small integers need no rounding."""
    with np.errstate(invalid="ignore"):
        low, high = a + c, b + d
    low = np.where(np.isnan(low), -np.inf, low)  # unbounded on both sides
    high = np.where(np.isnan(high), np.inf, high)
    exact = (low == np.rint(low)) & (np.abs(low) < 2**53) & (a == np.rint(a)) & (c == np.rint(c))
    fine = (high == np.rint(high)) & (np.abs(high) < 2**53) & (b == np.rint(b)) & (d == np.rint(d))
    return np.where(exact, low, _out(low, -1)), np.where(fine, high, _out(high, 1))


def _sum(parts: list[Enclosure]) -> Enclosure:
    low, high = parts[0].low, parts[0].high
    for one in parts[1:]:
        low, high = _plus(low, high, one.low, one.high)
    if all(np.all(one.low >= 0) for one in parts):
        low = np.maximum(low, 0.0)
        return Enclosure(low, high, *_mean(parts))
    least, most = np.zeros_like(parts[0].least), np.zeros_like(parts[0].least)
    for one in parts:
        moved = _times(one.least, one.most, one.low[None], one.high[None])
        least, most = _plus(least, most, *moved)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = (
            np.where(low > 0, _out(1 / high, -1), 0.0),
            np.where(low > 0, _out(1 / low, 1), np.inf),
        )
    return Enclosure(low, high, *_times(least, most, inverse[0][None], inverse[1][None]))


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
        total = weights.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (weights * ranked).sum(axis=0) / total
        best = np.minimum(best, np.where(np.isnan(mean), np.inf, mean))
    slack = _ULPS * len(parts) * (1 + np.abs(ranked).max(axis=0))
    best = np.where(np.isfinite(best), best - slack, ranked[0])
    bound: Array = best if lower else -best
    return bound


def _values(parts: list[Enclosure], which: str) -> Array:
    return np.stack([getattr(one, which) for one in parts])[:, None, :]


def _power(base: Enclosure, exponent: Rational) -> Enclosure:
    power = float(exponent)
    if exponent != 1 and not np.all(base.low >= 0):
        raise SymbolError("no interval bounds are known for the power of a negative number")
    with np.errstate(divide="ignore"):
        ends = np.stack([base.low**power, base.high**power])
    low, high = ends.min(axis=0) * (1 - _ULPS), ends.max(axis=0) * (1 + _ULPS)
    pair = (base.least * power, base.most * power)
    least, most = pair if power > 0 else pair[::-1]
    if not exponent.is_Integer:
        least, most = _out(least, -1), _out(most, 1)
    return Enclosure(low, high, least, most)


def _extremum(parts: list[Enclosure], largest: bool) -> Enclosure:
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
