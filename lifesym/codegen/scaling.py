"""Powers of two that keep every value of a program within a format's range.

A register is held as its value times $2^s$, with s such that all its values on the box are normal
numbers. Products and quotients add and subtract s at no cost, and constants take theirs when they
are printed. The two sides of a sum or a comparison need one s; what is a power, a logarithm, a
rounded number or a result needs s = 0. Where s has to change, one product by a power of two is
inserted: it is exact, and joins a constant factor where there is one.
"""

import math
from dataclasses import replace
from fractions import Fraction

from lifesym.codegen.program import Op, Program, pruned
from lifesym.codegen.ranges import DOUBLE, Box, ErrorBound, error_bound, ranges
from lifesym.codegen.running import Arithmetic, Range
from lifesym.codegen.squarings import squared
from lifesym.errors import SymbolError

_WIDE = replace(DOUBLE, smallest=0.0)
_ROOM = 2
"""Binary digits kept free at both ends of a format."""
_STEP = 120
"""Largest power of two of one product."""


def fitted(program: Program, box: Box, kind: Arithmetic) -> tuple[Program, list[ErrorBound]]:
    """The program, its powers by squarings where they count, scaled if it must be.

    And the proved error bound of each of its results.

    Raises:
        SymbolError: as `error_bound`, of what no scaling mends.
    """
    program = squared(program, box, kind)
    try:
        return program, _bounds(program, box, kind)
    except SymbolError as problem:
        try:
            made = scaled(program, box, kind)
            return made, _bounds(made, box, kind)
        except SymbolError:
            raise problem from None


def _bounds(program: Program, box: Box, kind: Arithmetic) -> list[ErrorBound]:
    """Of each result by itself: what the others need spoils none."""
    single = (pruned(replace(program, outputs=(each,))) for each in program.outputs)
    return [error_bound(each, box, kind) for each in single]


def scaled(program: Program, box: Box, kind: Arithmetic) -> Program:
    """The same values, with powers of two on the way to them."""
    return pruned(_Scaler(program, ranges(program, box, _WIDE), kind).scaled())


class _Scaler:
    def __init__(self, program: Program, found: list[Range], kind: Arithmetic) -> None:
        self.program, self.found = program, found
        self.top = math.log2(kind.largest) - _ROOM
        self.bottom = math.log2(kind.smallest) + _ROOM
        self.ops: list[Op] = []
        self.known: dict[Op, int] = {}
        self.place: list[tuple[int, int]] = []

    def scaled(self) -> Program:
        for i, op in enumerate(self.program.ops):
            self.place.append(self._placed(i, op))
        outputs = tuple(self._at(r, 0) for r in self.program.outputs)
        return Program(self.program.args, tuple(self.ops), outputs)

    def _placed(self, i: int, op: Op) -> tuple[int, int]:
        """The register of an operation, and its s."""
        if op.kind == "const":
            s = self._chosen(i, 0)
            return self._put(Op("const", (), Fraction(op.value or 0) * Fraction(2) ** s)), s
        if op.kind in ("mul", "div"):
            return self._monomial(i, op)
        if op.kind in ("add", "max", "min", "rest"):
            s = self._common(i, *op.reads)
            return self._put(replace(op, reads=tuple(self._at(r, s) for r in op.reads))), s
        if op.kind == "pick":  # a factor does not change the sign of its condition
            condition, *sides = op.reads
            s = self._common(i, *sides)
            reads = (self.place[condition][0], *(self._at(r, s) for r in sides))
            return self._put(replace(op, reads=reads)), s
        rounded = op.kind in ("ceil", "floor", "cross")
        s = self._common(op.reads[0], *op.reads) if rounded else 0
        return self._put(replace(op, reads=tuple(self._at(r, s) for r in op.reads))), 0

    def _monomial(self, i: int, op: Op) -> tuple[int, int]:
        """A product or quotient: what its natural s lacks is put on an operand that has room."""
        a, b = op.reads
        sign = 1 if op.kind == "mul" else -1
        sides = [self.place[a][1], self.place[b][1]]
        natural = sides[0] + sign * sides[1]
        s = self._chosen(i, natural)
        more = s - natural
        first, second = (sides[0] + more, sides[1]), (sides[0], sides[1] + sign * more)
        half = (sides[0] + more // 2, sides[1] + sign * (more - more // 2))
        order = [second, first] if self.program.ops[b].kind == "const" else [first, second]
        chosen = next(
            (each for each in order if self._fits(a, each[0]) and self._fits(b, each[1])), half
        )
        reads = self._at(a, chosen[0]), self._at(b, chosen[1])
        return self._put(replace(op, reads=reads)), s

    def _common(self, i: int, *sides: int) -> int:
        """One s for a result and its operands; operands may become small, but not large."""
        for s in (*(self.place[r][1] for r in sides), 0):
            if self._fits(i, s) and all(self._size(r) + s <= self.top for r in sides):
                return s
        return self._chosen(i, 0)

    def _chosen(self, i: int, natural: int) -> int:
        """The natural s or none if it fits; else the one that puts the range in the middle."""
        for s in (natural, 0):
            if self._fits(i, s):
                return s
        least = self.found[i].least
        low = math.log2(least) if least > 0 else 0.0
        return round((self.top + self.bottom) / 2 - (self._size(i) + low) / (1 + (least > 0)))

    def _fits(self, i: int, s: int) -> bool:
        least = self.found[i].least
        small = least > 0 and math.log2(least) + s < self.bottom
        return not small and self._size(i) + s <= self.top

    def _size(self, i: int) -> float:
        size = self.found[i].size
        return math.log2(size) if size > 0 else -math.inf

    def _at(self, i: int, s: int) -> int:
        """A register with another s."""
        register, has = self.place[i]
        while has != s:
            step = max(-_STEP, min(_STEP, s - has))
            register, has = self._times(register, Fraction(2) ** step), has + step
        return register

    def _times(self, register: int, factor: Fraction) -> int:
        op = self.ops[register]
        if isinstance(op.value, Fraction) and op.kind == "const":
            return self._put(replace(op, value=op.value * factor))
        if op.kind == "mul":
            for constant, other in (op.reads, op.reads[::-1]):
                value = self.ops[constant].value
                if isinstance(value, Fraction) and self._normal(value * factor):
                    number = self._put(Op("const", (), value * factor))
                    return self._put(Op("mul", (number, other)))
        return self._put(Op("mul", (self._put(Op("const", (), factor)), register)))

    def _normal(self, value: Fraction) -> bool:
        return value == 0 or self.bottom <= math.log2(abs(value)) <= self.top

    def _put(self, op: Op) -> int:
        if op not in self.known:
            self.known[op] = len(self.ops)
            self.ops.append(op)
        return self.known[op]
