"""Maxima that are decided over ranges: of which one argument is the largest everywhere."""

import math
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from sympy import Dummy, Expr, Rational, Sum, Symbol

from lifesym.nodes import Maximum, Minimum
from lifesym.powers import replaced, sign
from lifesym.spans import Box, End, Span, end, interval, never_negative
from lifesym.sums import SumMax, series
from lifesym.symbols import TABLE

_NODES = (Maximum, Minimum, SumMax)
_BOXES = 64
"""Boxes that a proof may take."""
_FAR = Fraction(1000)
_PATTERNS = ("0", "2", "1", "02", "20", "0022", "2200")
"""At which end of its range, or between them (1), each symbol is at a point."""


def decided(expr: Expr, ranges: Mapping[Symbol, tuple[Any, Any]] | None = None) -> Expr:
    r"""The expression without the arguments of maxima and minima that never count.

    That an argument is at least another one everywhere is proved by the signs of the difference's
    coefficients (`lifesym.spans`), where it takes that over a few parts of the ranges. Sums of
    maxima of two lines are series where one line is never below the other.

    Args:
        expr: any expression.
        ranges: the ends of symbols; another symbol has the range of its row in the table.

    >>> from lifesym.symbols import batch, past
    >>> decided(Maximum(3 * batch * past, past + 2)), decided(Maximum(3 * batch, past, 2))
    (max(3*batch*past, past + 2), max(3*batch, past))
    >>> decided(Maximum(3 * batch * past, past + 2), {past: (1, 100)})
    3*batch*past
    """
    if not expr.has(*_NODES):
        return expr
    given = ranges or {}
    return _Decider({symbol: _span(symbol, given) for symbol in expr.free_symbols}).walk(expr)


def _span(symbol: Symbol, ranges: Mapping[Symbol, tuple[Any, Any]]) -> Span:
    if symbol in ranges:
        low, high = ranges[symbol]
        return end(low), end(high)
    row = TABLE.get(symbol)
    if row is None:
        return (Fraction(0) if symbol.is_nonnegative else -math.inf), math.inf
    return end(row.minimum or 0), math.inf if row.maximum is None else end(row.maximum)


class _Decider:
    """One walk over an expression, from the inside out."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.points = [*_points(box)]
        self.seen: dict[Expr, Expr] = {}

    def walk(self, expr: Expr) -> Expr:
        if expr.is_Atom or not expr.has(*_NODES):
            return expr
        if expr not in self.seen:
            node = expr.func(*(self.walk(arg) for arg in expr.args))
            if isinstance(node, Maximum | Minimum):
                node = self._extremum(node)
            elif isinstance(node, SumMax):
                node = self._sum(node)
            self.seen[expr] = node
        return self.seen[expr]

    def _extremum(self, node: Expr) -> Expr:
        ahead = 1 if isinstance(node, Maximum) else -1
        left = list(node.args)
        for arg in node.args:
            if any(self.never_below(ahead * (one - arg)) for one in left if one != arg):
                left.remove(arg)
        return node.func(*left)

    def _sum(self, node: SumMax) -> Expr:
        n, a, b, c, d = node.args
        place, ends = Dummy("place", nonnegative=True), interval(n - 1, self.box)
        last = math.inf if ends is None else max(ends[1], Fraction(0))
        along = _Decider({**self.box, place: (Fraction(0), last)})
        for line, other in (((a, b), (c, d)), ((c, d), (a, b))):
            if along.never_below(line[0] - other[0] + (line[1] - other[1]) * place):
                return series(n, *line)
        return node

    def never_below(self, gap: Expr) -> bool:
        """Whether a difference is proved not to be negative; most are refuted at the points."""
        if gap.has(Sum) or any(_negative(gap, point) for point in self.points):
            return False
        terms, waiting = gap.expand(), [self.box]
        for _ in range(_BOXES):
            box = waiting.pop()
            if not never_negative(terms, box):
                halves = _halved(box, terms.free_symbols)
                if not halves:
                    return False
                waiting += halves
            if not waiting:
                return True
        return False


def _points(box: Box) -> Iterator[dict[Symbol, Expr]]:
    """Some corners of a box, and points between them."""
    ends = {symbol: _places(*span) for symbol, span in box.items()}
    for pattern in _PATTERNS:
        yield {
            symbol: places[int(pattern[i % len(pattern)])]
            for i, (symbol, places) in enumerate(ends.items())
        }


def _places(low: End, high: End) -> list[Expr]:
    """The ends of a range and its middle: far ones where it has none, and zero as next to it."""
    last = high if isinstance(high, Fraction) else max(_FAR, low * _FAR)
    first = low if isinstance(low, Fraction) else min(-_FAR, last * _FAR)
    if first == 0:
        first = min(1 / _FAR, last / _FAR)
    return [Rational(each) for each in (first, (first + last) / 2, last)]


def _negative(gap: Expr, point: Mapping[Symbol, Expr]) -> bool:
    value = replaced(gap, point)
    return bool(value.is_number) and sign(value) < 0


def _halved(box: Box, free: Iterable[Symbol]) -> list[Box]:
    """The halves of a box, cut across its longest side; none where no side has two ends."""
    lengths = {
        symbol: (high - low) / (abs(high) + abs(low))
        for symbol in sorted(free, key=str)
        for low, high in [box[symbol]]
        if isinstance(low, Fraction) and isinstance(high, Fraction) and low < high
    }
    if not lengths:
        return []
    longest = max(lengths, key=lambda symbol: lengths[symbol])
    low, high = box[longest]
    middle = (low + high) / 2 if high <= 4 * low else Fraction(math.isqrt(int(low * high)) or 1)
    middle = middle if low < middle < high else (low + high) / 2
    return [{**box, longest: (low, middle)}, {**box, longest: (middle, high)}]
