"""A list of registers under construction: equal ones are made once."""

from collections.abc import Iterable
from fractions import Fraction

from lifesym.codegen.program import COMMUTATIVE, Op
from lifesym.errors import SymbolError

_LARGEST_NUMBER = 1.7e308


class Registers:
    """Operations in order, and the place of each."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.known: dict[Op, int] = {}

    def put(self, op: Op) -> int:
        """The register of an operation."""
        if op not in self.known:
            self.known[op] = len(self.ops)
            self.ops.append(op)
        return self.known[op]

    def const(self, value: Fraction | int) -> int:
        """The register of a rational.

        Raises:
            SymbolError: it is too large for a double.
        """
        if abs(Fraction(value)) > _LARGEST_NUMBER:
            raise SymbolError("a constant of the formula leaves the range of double")
        return self.put(Op("const", (), Fraction(value)))

    def pair(self, kind: str, left: int, right: int) -> int:
        """The register of an operation on two others."""
        pair = (min(left, right), max(left, right)) if kind in COMMUTATIVE else (left, right)
        return self.put(Op(kind, pair))

    def chain(self, kind: str, parts: Iterable[int]) -> int:
        """The register of an operation on one or more others, from the left."""
        first, *others = parts
        for other in others:
            first = self.pair(kind, first, other)
        return first

    def active(self, first: int, *others: int) -> int:
        """1 where the first is the largest, 0 elsewhere, 1/k at a tie of k.

        A tie is one of computed numbers: where rounding parts equal lines, one of them is ahead.
        """
        one, zero, minus = self.const(1), self.const(0), self.const(-1)
        if len(others) == 1:
            ahead = self.pair("add", first, self.pair("mul", minus, others[0]))
            behind = self.pair("add", others[0], self.pair("mul", minus, first))
            half = self.const(Fraction(1, 2))
            return self.put(Op("pick", (ahead, one, self.put(Op("pick", (behind, zero, half))))))
        leads, wins = [], []
        for other in others:
            ahead = self.pair("add", first, self.pair("mul", minus, other))
            behind = self.pair("add", other, self.pair("mul", minus, first))
            leads.append(self.put(Op("pick", (ahead, zero, one))))
            wins.append(self.put(Op("pick", (behind, zero, one))))
        ties, share = self.chain("add", [one, *leads]), one
        for count in range(
            2, len(others) + 2
        ):  # choices: a quotient of uncertain counts has no bound
            more = self.pair("add", ties, self.const(Fraction(1, 2) - count))
            share = self.put(Op("pick", (more, self.const(Fraction(1, count)), share)))
        return self.chain("mul", [share, *wins])
