"""Ranges and rounding errors of every register over a box of arguments.

Interval arithmetic in doubles, widened outwards by a few units in the last place after every
operation. Errors are first-order running bounds in the target's unit roundoff with the second
order bounded above: a proof, not an estimate, as long as nothing overflows or is subnormal, which
is checked.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from sympy import Symbol

from lifesym.codegen.program import Op, Program
from lifesym.errors import SymbolError
from lifesym.symbols import TABLE

_OUT = 1e-15


@dataclass(frozen=True)
class Range:
    """An interval, and a bound of the absolute error of its computed value."""

    low: float
    high: float
    error: float = 0.0

    @property
    def size(self) -> float:
        """The largest absolute value."""
        return max(abs(self.low), abs(self.high))


Box = Mapping[Symbol, tuple[float, float]]


@dataclass(frozen=True)
class Arithmetic:
    """A format: unit roundoff, largest and smallest normal numbers, exact whole numbers."""

    name: str
    roundoff: float
    largest: float
    smallest: float
    whole: float


DOUBLE = Arithmetic("double", 2.0**-53, 1.7e308, 2.3e-308, 2.0**53)
FLOAT = Arithmetic("float", 2.0**-24, 3.4e38, 1.2e-38, 2.0**24)


def ranges(program: Program, box: Box, kind: Arithmetic = DOUBLE) -> list[Range]:
    """The range and error of every register.

    Raises:
        SymbolError: an argument without a range, a division by a range that holds zero, a value
            outside the format's normal numbers, or a rounded quotient that rounding could miss.
    """
    found: list[Range] = []
    for op in program.ops:
        found.append(_range(op, found, program, box, kind))
    return found


@dataclass(frozen=True)
class ErrorBound:
    """How far the first output can be off: relative to it, or in its unit where it can be zero."""

    value: float
    relative: bool

    def __str__(self) -> str:
        kind = "Relative" if self.relative else "Absolute"
        return f"{kind} error of the arithmetic: at most {self.value:.3g}"


def error_bound(program: Program, box: Box, kind: Arithmetic = DOUBLE) -> ErrorBound:
    """A proved bound of the error of the first output over a box.

    Raises:
        SymbolError: as `ranges`.
    """
    result = ranges(program, box, kind)[program.outputs[0]]
    if result.low <= 0 <= result.high:
        return ErrorBound(result.error * 1.001, relative=False)
    least = min(abs(result.low), abs(result.high))
    return ErrorBound(result.error / least * 1.001, relative=True)


def _range(op: Op, found: list[Range], program: Program, box: Box, kind: Arithmetic) -> Range:
    if op.kind == "arg":
        return _argument(program.args[int(op.value or 0)], box, kind)
    if op.kind == "const":
        value = _constant(op, kind)
        exact = value == op.value and abs(value) <= kind.whole and value == int(value)
        return Range(value, value, 0.0 if exact else abs(value) * kind.roundoff)
    parts = [found[r] for r in op.reads]
    low, high, error = _RULES[op.kind](parts, kind)
    wide = Range(low - abs(low) * _OUT, high + abs(high) * _OUT)
    rounded = op.kind not in ("max", "min", "pick", "ceil", "floor", "cross")
    if rounded and not _is_whole(op, parts, wide, kind):
        error += (wide.size + error) * kind.roundoff * 1.01
    if wide.size > kind.largest:
        raise SymbolError(f"a value of {wide.size:.3g} leaves the range of {kind.name}")
    if rounded and 0 < min(abs(wide.low), abs(wide.high)) < kind.smallest and wide.low > 0:
        raise SymbolError(f"a value of {wide.low:.3g} is too small for {kind.name}")
    return Range(wide.low, wide.high, error)


def _constant(op: Op, kind: Arithmetic) -> float:
    """A constant as a double, if the format has a normal number for it.

    Raises:
        SymbolError: too large or too small for the format.
    """
    exact = Fraction(op.value or 0)
    if abs(exact) > Fraction(kind.largest):
        raise SymbolError(f"a constant of 1e{_magnitude(exact)} leaves the range of {kind.name}")
    if exact and abs(exact) < Fraction(kind.smallest):
        raise SymbolError(f"a constant of 1e{_magnitude(exact)} is too small for {kind.name}")
    return float(exact)


def _magnitude(value: Fraction) -> int:
    """About the decimal exponent of a number that no float may hold."""
    return round((value.numerator.bit_length() - value.denominator.bit_length()) * 0.30103)


def _argument(symbol: Symbol, box: Box, kind: Arithmetic) -> Range:
    word = TABLE[symbol].word if symbol in TABLE else symbol.name
    if symbol not in box:
        raise SymbolError(f"{word} needs a range")
    low, high = box[symbol]
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise SymbolError(f"{word}: a range is two finite numbers in order, not {low}, {high}")
    row = TABLE.get(symbol)
    whole = row is not None and row.kind == "size" and max(abs(low), abs(high)) <= kind.whole
    return Range(low, high, 0.0 if whole else max(abs(low), abs(high)) * kind.roundoff)


def _is_whole(op: Op, parts: Sequence[Range], out: Range, kind: Arithmetic) -> bool:
    """Sums and products of exact whole numbers are exact while they are representable."""
    exact = op.kind in ("add", "mul") and all(part.error == 0 for part in parts)
    return exact and out.size <= kind.whole


def _add(parts: Sequence[Range], kind: Arithmetic) -> tuple[float, float, float]:
    a, b = parts
    return a.low + b.low, a.high + b.high, a.error + b.error


def _mul(parts: Sequence[Range], kind: Arithmetic) -> tuple[float, float, float]:
    a, b = parts
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    error = a.size * b.error + b.size * a.error + a.error * b.error
    return min(corners), max(corners), error


def _div(parts: Sequence[Range], kind: Arithmetic) -> tuple[float, float, float]:
    a, b = parts
    if b.low <= 0 <= b.high:
        raise SymbolError("a divisor can be zero in this box")
    corners = [x / y for x in (a.low, a.high) for y in (b.low, b.high)]
    least = _sure(b)
    error = (a.error + max(map(abs, corners)) * b.error) / (least - b.error)
    return min(corners), max(corners), error


def _sure(divisor: Range) -> float:
    """The least size of a divisor whose computed value cannot be zero.

    Raises:
        SymbolError: its rounding error is as large as it may be itself.
    """
    least = min(abs(divisor.low), abs(divisor.high))
    if divisor.error >= least:
        raise SymbolError("a divisor's rounding error can make it zero in this box")
    return least


def _max(parts: Sequence[Range], kind: Arithmetic) -> tuple[float, float, float]:
    a, b = parts
    return max(a.low, b.low), max(a.high, b.high), max(a.error, b.error)


def _min(parts: Sequence[Range], kind: Arithmetic) -> tuple[float, float, float]:
    a, b = parts
    return min(a.low, b.low), min(a.high, b.high), max(a.error, b.error)


def _round(parts: Sequence[Range], kind: Arithmetic) -> tuple[float, float, float]:
    """Exact for exact whole operands: a quotient that is no integer is 1/b away from one.

    Otherwise one more than the quotient is off, by its operands' errors and its own rounding.
    """
    a, b = parts
    if b.low <= 0 <= b.high:
        raise SymbolError("a divisor can be zero in this box")
    corners = [x / y for x in (a.low, a.high) for y in (b.low, b.high)]
    low, high = math.floor(min(corners)), math.ceil(max(corners))
    sharp = a.error == b.error == 0 and max(a.size, b.size) <= kind.whole
    if sharp:
        return float(low), float(high), 0.0
    largest, least = max(map(abs, corners)), _sure(b)
    off = (a.error + largest * b.error) / (least - b.error)
    return float(low), float(high), 1.0 + off + (largest + off) * kind.roundoff


def _cross(parts: Sequence[Range], kind: Arithmetic) -> tuple[float, float, float]:
    """A crossing index; one off by rounding changes its sum by less than the lines' own errors.

    At the index the two lines are equal, so a neighbouring index adds or drops a term that is
    zero up to the rounding of the lines, which is in their error already.
    """
    return -kind.largest / 4, kind.largest / 4, 0.0


def _pick(parts: Sequence[Range], kind: Arithmetic) -> tuple[float, float, float]:
    condition, a, b = parts
    low, high, error = min(a.low, b.low), max(a.high, b.high), max(a.error, b.error)
    if condition.low - condition.error <= 0 < condition.high + condition.error:
        error += high - low  # rounding may choose the other one
    return low, high, error


def _pow(parts: Sequence[Range], kind: Arithmetic) -> tuple[float, float, float]:
    base, exponent = parts
    if base.low < 0:
        raise SymbolError("the base of a power can be negative in this box")
    if base.low == 0 and exponent.low <= 0:
        raise SymbolError("a power of zero has no value")
    corners = [x**y for x in (base.low, base.high) for y in (exponent.low, exponent.high)]
    largest = max(corners)
    least = max(base.low, 1e-300)
    slope = exponent.size * base.error / least + abs(math.log(least)) * exponent.error
    return min(corners), largest, largest * (slope + 4 * kind.roundoff) * 1.01


def _log(parts: Sequence[Range], kind: Arithmetic) -> tuple[float, float, float]:
    (a,) = parts
    if a.low <= 0:
        raise SymbolError("a logarithm of zero or less in this box")
    low, high = math.log(a.low), math.log(a.high)
    return low, high, a.error / a.low + 2 * kind.roundoff * max(abs(low), abs(high))


_RULES = {
    "add": _add,
    "mul": _mul,
    "div": _div,
    "max": _max,
    "min": _min,
    "ceil": _round,
    "floor": _round,
    "cross": _cross,
    "pick": _pick,
    "pow": _pow,
    "log": _log,
}
