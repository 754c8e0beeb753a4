"""Maxima that are decided over ranges: of which one argument is the largest everywhere."""

import math
from collections.abc import Iterable, Iterator, Mapping, Set
from fractions import Fraction
from typing import Any

from sympy import Dummy, Expr, Sum, Symbol

from lifesym.nodes import Maximum, Minimum
from lifesym.remainders import without_differences
from lifesym.spans import Box, End, Span, end, interval, never_negative
from lifesym.sums import SumMax, series
from lifesym.symbols import TABLE

_NODES = (Maximum, Minimum, SumMax)
_BOXES = 64
"""Boxes that a proof may take."""
_FAR = Fraction(1000)


def decided(
    expr: Expr, ranges: Mapping[Symbol, tuple[Any, Any]] | None = None, *, sums: bool = True
) -> Expr:
    r"""The expression without the arguments of maxima and minima that never count.

    That an argument is at least another one everywhere is proved by the signs of the difference's
    coefficients (`lifesym.spans`), where it takes that over a few parts of the ranges. Sums of
    maxima of two lines are series where one line is never below the other.

    Args:
        expr: any expression.
        ranges: the ends of symbols; another symbol has the range of its row in the table.
        sums: whether sums of maxima are decided too.

    >>> from lifesym.symbols import batch, past
    >>> decided(Maximum(3 * batch * past, past + 2)), decided(Maximum(3 * batch, past, 2))
    (max(3*batch*past, past + 2), max(3*batch, past))
    >>> decided(Maximum(3 * batch * past, past + 2), {past: (1, 100)})
    3*batch*past
    """
    if not expr.has(*_NODES):
        return expr
    given = ranges or {}
    free = sorted(expr.free_symbols, key=str)  # their own order is another one in every process
    return _Decider({symbol: _span(symbol, given) for symbol in free}, {*given}, sums).walk(expr)


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

    def __init__(self, box: Box, cut: Set[Symbol], sums: bool = True) -> None:
        self.box = box
        self.cut = cut
        self.sums = sums
        self.points: list[Box] = [*_points(box)]
        self.seen: dict[Expr, Expr] = {}

    def walk(self, expr: Expr) -> Expr:
        if expr.is_Atom or isinstance(expr, Sum) or not expr.has(*_NODES):
            return expr  # within an open sum its index has a range of its own
        if expr not in self.seen:
            node = expr.func(*(self.walk(arg) for arg in expr.args))
            if isinstance(node, Maximum | Minimum):
                node = self._extremum(node)
            elif isinstance(node, SumMax) and self.sums:
                node = self._sum(node)
            self.seen[expr] = node
        return self.seen[expr]

    def _extremum(self, node: Expr) -> Expr:
        ahead = 1 if isinstance(node, Maximum) else -1
        left = list(node.args)
        for arg in node.args:
            rivals = (one for one in left if one != arg and not self._scaled_apart(one, arg))
            if any(self.never_below(ahead * (one - arg)) for one in rivals):
                left.remove(arg)
        return node.func(*left)

    def _scaled_apart(self, one: Expr, other: Expr) -> bool:
        """Whether a factor of one alone makes it as small and large as you like, as a rate does."""
        for first, second in ((one, other), (other, one)):
            powers = first.as_powers_dict()
            for symbol in (first.free_symbols - second.free_symbols) & powers.keys():
                rest = first / symbol ** powers[symbol]
                if self.box[symbol] == (0, math.inf) and not rest.has(symbol):
                    return True
        return False

    def _sum(self, node: SumMax) -> Expr:
        n, a, b, c, d = node.args
        place, ends = Dummy("place", nonnegative=True), interval(n - 1, self.box)
        last = math.inf if ends is None else max(ends[1], Fraction(0))
        along = _Decider({**self.box, place: (Fraction(0), last)}, self.cut)
        for line, other in (((a, b), (c, d)), ((c, d), (a, b))):
            if along.never_below(line[0] - other[0] + (line[1] - other[1]) * place):
                return series(n, *line)
        return node

    def never_below(self, gap: Expr) -> bool:
        """Whether a difference is proved not to be negative; most are refuted at the points."""
        if gap.has(Sum) or any(_negative(gap, point) for point in self.points):
            return False
        terms, waiting = without_differences(gap).expand(), [self.box]
        for _ in range(_BOXES):
            box = waiting.pop()
            if not never_negative(terms, box):
                halves = _halved(box, self.cut & terms.free_symbols)
                if not halves:
                    return False
                waiting += halves
            if not waiting:
                return True
        return False


def _points(box: Box) -> Iterator[Box]:
    """Two corners of a box and its middle, and those with one symbol at an end of its own."""
    places = {symbol: _places(*span) for symbol, span in box.items()}
    low, middle, high = ({s: (ends[i],) * 2 for s, ends in places.items()} for i in range(3))
    yield from (low, high, middle)
    for symbol in places:
        yield from (low | {symbol: high[symbol]}, high | {symbol: low[symbol]})


def _places(low: End, high: End) -> list[Fraction]:
    """The ends of a range and its middle: far ones where it has none, and zero as next to it."""
    last = high if isinstance(high, Fraction) else _FAR
    first = low if isinstance(low, Fraction) else -_FAR
    if not isinstance(high, Fraction):
        last *= max(first, Fraction(1))
    if not isinstance(low, Fraction):
        first *= max(last, Fraction(1))
    if first == 0:
        first = min(1 / _FAR, last / _FAR)
    return [first, (first + last) / 2, last]


def _negative(gap: Expr, point: Box) -> bool:
    ends = interval(gap, point)
    return ends is not None and ends[1] < 0


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
