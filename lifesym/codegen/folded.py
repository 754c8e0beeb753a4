"""Registers under construction of which those that a constant decides are not made.

Lowering has SymPy fold constants; derivatives are made of registers, and fold their own.
"""

from fractions import Fraction

from lifesym.codegen.program import Op
from lifesym.codegen.registers import Registers

_LARGE = Fraction(10**300)
"""Constants between this and its reciprocal are folded; beyond, doubles would end."""


class Folded(Registers):
    """Sums with 0, products with 0 and 1, and either of constants are no operations."""

    def pair(self, kind: str, left: int, right: int) -> int:
        """The register of an operation on two others; a product or sum with a constant folded."""
        if kind not in ("mul", "add"):
            return super().pair(kind, left, right)
        if self.number(left) is None:
            left, right = right, left
        number, other = self.number(left), self.number(right)
        if number is not None and other is not None:
            value = number * other if kind == "mul" else number + other
            return self.const(value) if _plain(value) else super().pair(kind, left, right)
        if kind == "add":
            if left == right:
                return self.pair("mul", self.const(2), left)
            return right if number == 0 else super().pair(kind, left, right)
        if number in (0, 1):
            return right if number else left
        if number is not None and self.ops[right].kind == "mul":
            for inner, register in (self.ops[right].reads, self.ops[right].reads[::-1]):
                factor = self.number(inner)
                if factor is not None and _plain(number * factor):
                    return self.pair("mul", self.const(number * factor), register)
        return super().pair(kind, left, right)

    def quotient(self, above: int, below: int) -> int:
        """A division, by the reciprocal of the divisor where there is one."""
        if self.number(above) == 0:
            return above
        inverse = self.known.get(Op("div", (self.const(1), below)))
        if inverse is not None:
            return self.pair("mul", above, inverse)
        return self.pair("div", above, below)

    def power(self, base: int, exponent: int) -> int:
        """A power; of an exponent 0 or 1 none."""
        number = self.number(exponent)
        if number in (0, 1):
            return base if number else self.const(1)
        return self.pair("pow", base, exponent)

    def negative(self, register: int) -> int:
        """The register times -1."""
        return self.pair("mul", self.const(-1), register)

    def number(self, register: int) -> Fraction | None:
        """The value of a constant register."""
        value = self.ops[register].value
        return value if isinstance(value, Fraction) else None


def _plain(value: Fraction) -> bool:
    return value == 0 or 1 / _LARGE < abs(value) < _LARGE
