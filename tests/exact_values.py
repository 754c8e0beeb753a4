"""Values of formulas in exact fractions, node by node: fast enough for thousands of cases."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce
from operator import add, mul

from sympy import Add, Expr, Mul, Pow, Symbol, postorder_traversal

from lifesym.nodes import Active, CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.remainders import ChunksBefore, LastChunk
from lifesym.sums import Crossing, SumMax

Number = int | Fraction


def _crossing(p: Number, q: Number, n: Number) -> Number:
    if q == 0:
        return n if p < 0 else 0
    return min(n, max(0, -(p // q)))


def _power(base: Number, exponent: Number) -> Number:
    return _whole(Fraction(base) ** int(exponent))


def _whole(value: Fraction) -> Number:
    return value.numerator if value.denominator == 1 else value


def _active(first: Number, *others: Number) -> Number:
    ties = 1 + sum(other == first for other in others)
    return 0 if any(other > first for other in others) else _whole(Fraction(1, ties))


RULES: dict[type, Callable[..., Number]] = {
    Add: lambda *args: reduce(add, args),
    Mul: lambda *args: reduce(mul, args),
    Pow: _power,
    Maximum: max,
    Active: _active,
    Minimum: min,
    CeilDiv: lambda a, b: -(-a // b),
    FloorDiv: lambda a, b: a // b,
    ChunksBefore: lambda a, b: -(-a // b) - 1,
    LastChunk: lambda a, b: a - b * (-(-a // b) - 1),
    Crossing: _crossing,
}


class Exact:
    """An expression as a list of steps, each with the places of its arguments.

    Whole numbers stay of type int, whose arithmetic is several times faster than Fraction's.
    """

    def __init__(self, expr: Expr) -> None:
        written = expr.replace(lambda node: isinstance(node, SumMax), SumMax.closed_form)
        places: dict[Expr, int] = {}
        self.values: list[Number] = []
        self.symbols: list[tuple[int, Symbol]] = []
        self.steps: list[tuple[int, Callable[..., Number], tuple[int, ...]]] = []
        for node in postorder_traversal(written):
            if node in places:
                continue
            place = places[node] = len(places)
            self.values.append(
                _whole(Fraction(int(node.p), int(node.q))) if node.is_Rational else 0
            )
            if node.is_Symbol:
                self.symbols.append((place, node))
            elif not node.is_Rational:
                self.steps.append((place, RULES[node.func], tuple(places[a] for a in node.args)))

    def __call__(self, numbers: Mapping[Symbol, Number]) -> Number:
        """The value; every symbol must have a number."""
        values = self.values.copy()
        for place, symbol in self.symbols:
            values[place] = numbers[symbol]
        for place, rule, args in self.steps:
            values[place] = rule(*[values[i] for i in args])
        return values[-1]
