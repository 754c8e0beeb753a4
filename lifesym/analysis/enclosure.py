r"""Enclosures: what a formula, and its elasticities, can be over a box of values.

Interval arithmetic in double precision (`lifesym.analysis.intervals`), over many boxes at once.
Beside the value each enclosure holds an interval for the elasticity in each variable,
$\varepsilon_i = \partial \ln f / \partial \ln x_i$: for the posynomials and maxima of this package
those are narrow (the elasticity of a sum is a mean of its terms' elasticities), and where their
sign is certain the formula is monotone in the variable over the whole box.

Source: R. E. Moore, R. B. Kearfott, M. J. Cloud, "Introduction to Interval Analysis", SIAM 2009,
sections 6.2 and 6.4 (mean value form, monotonicity); the use of logarithmic coordinates is ours.
"""

from collections.abc import Iterator
from functools import reduce

import numpy as np
from sympy import Add, Expr, Mul, Pow, Rational, Symbol, log

from lifesym.analysis.intervals import (
    ULPS,
    Array,
    Enclosure,
    chunks_before,
    extremum,
    last_chunk,
    logarithm,
    outwards,
    pairs,
    power,
    product,
    rounded,
    sum_of_maxima,
    times,
    total,
)
from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.powers import written
from lifesym.remainders import ChunksBefore, LastChunk, without_differences
from lifesym.sums import SumMax


def enclose(expr: Expr, variables: tuple[Symbol, ...], low: Array, high: Array) -> Enclosure:
    """Bounds of a formula over boxes.

    Args:
        expr: a formula in the variables; its values must be positive inside the boxes.
        variables: the symbols of the boxes.
        low: the boxes' lower corners, shape (variables, boxes), not negative.
        high: their upper corners.

    Raises:
        SymbolError: another symbol, or a node that has no enclosure (a sum).
    """
    return _Walk(variables, low, high).enclose(without_differences(expr))


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
            return total([self.enclose(arg) for arg in expr.args])
        if isinstance(expr, Mul):
            return reduce(product, self._factors(expr))
        if isinstance(expr, Pow) and expr.exp.is_Rational:
            return power(self.enclose(expr.base), expr.exp)
        if isinstance(expr, Pow) and expr.base.is_positive and expr.base.is_number:
            return self._exponential(expr.base, self.enclose(expr.exp))
        if isinstance(expr, log):
            return logarithm(self.enclose(expr.args[0]))
        if isinstance(expr, Maximum | Minimum):
            return extremum([self.enclose(arg) for arg in expr.args], isinstance(expr, Maximum))
        if isinstance(expr, SumMax):
            return sum_of_maxima(*(self.enclose(arg) for arg in expr.args))
        if isinstance(expr, CeilDiv | FloorDiv | ChunksBefore | LastChunk):
            return self._stepped(expr)
        raise SymbolError(
            f"no interval bounds are known for {expr.func.__name__}: bind its symbols"
        )

    def _factors(self, expr: Expr) -> Iterator[Enclosure]:
        """A product's factors; of n (n - 1), which is not negative where n is whole, together."""
        left = [*expr.args]
        for count in expr.args:
            if count.is_integer and count.is_nonnegative and count - 1 in left:
                left = [arg for arg in left if arg not in (count, count - 1)]
                yield pairs(self.enclose(count))
        yield from map(self.enclose, left)

    def _stepped(self, expr: Expr) -> Enclosure:
        top, bottom = (self.enclose(arg) for arg in expr.args)
        if isinstance(expr, ChunksBefore):
            return chunks_before(top, bottom)
        if isinstance(expr, LastChunk):
            return last_chunk(top, bottom, self.enclose(ChunksBefore(*expr.args)))
        quotient = product(top, power(bottom, Rational(-1)))
        return rounded(quotient, isinstance(expr, CeilDiv))

    def _constant(self, expr: Expr) -> Enclosure:
        number = float(written(expr))
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
        low = np.exp(ends.min(axis=0)) * (1 - ULPS * (1 + np.abs(ends).max(axis=0)))
        high = np.exp(ends.max(axis=0)) * (1 + ULPS * (1 + np.abs(ends).max(axis=0)))
        logs = times(exponent.low, exponent.high, outwards(slope, -1), outwards(slope, 1))
        least, most = times(exponent.least, exponent.most, *logs)
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
