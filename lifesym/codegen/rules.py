"""Interval and errors of one operation from those of what it reads.

An operation's own rounding and underflow are added by `lifesym.codegen.ranges`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from lifesym.codegen.running import Arithmetic, Range
from lifesym.errors import SymbolError

Rule = Callable[[Sequence[Range], Arithmetic], Range]


def _add(parts: Sequence[Range], kind: Arithmetic) -> Range:
    a, b = parts
    alike = a.signed * b.signed > 0
    relative = math.inf
    if alike:  # the error of one may also be a small part of the sum
        relative = max(a.relative, b.relative)
        for one, other in ((a, b), (b, a)):
            part = one.error / (a.nearest + b.nearest) if a.nearest + b.nearest else math.inf
            relative = min(relative, other.relative + part)
    least = min(a.least, b.least) if alike else 0.0
    if a.error == b.error == 0:  # whole numbers
        relative, least = 0.0, 1.0
    return Range(a.low + b.low, a.high + b.high, a.error + b.error, relative, least)


def _mul(parts: Sequence[Range], kind: Arithmetic) -> Range:
    a, b = parts
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    error = a.size * b.error + b.size * a.error + a.error * b.error
    # not (1 + a)(1 + b) - 1, which loses errors of the size of a double's own rounding
    relative = a.relative + b.relative
    if math.isfinite(relative):
        relative += a.relative * b.relative
    return Range(min(corners), max(corners), error, relative, a.least * b.least)


def _div(parts: Sequence[Range], kind: Arithmetic) -> Range:
    a, b = parts
    corners = _quotients(a, b)
    nearest = min(abs(b.low), abs(b.high))
    off = min(b.error / nearest, b.relative)
    if off >= 1:
        raise SymbolError("a divisor can be zero in this box, by its rounding")
    error = (a.error / nearest + max(map(abs, corners)) * off) / (1 - off)
    relative = (a.relative + b.relative) / (1 - b.relative) if b.relative < 1 else math.inf
    return Range(min(corners), max(corners), error, relative, a.least / b.size)


def _quotients(a: Range, b: Range) -> list[float]:
    if b.low <= 0 <= b.high:
        raise SymbolError("a divisor can be zero in this box")
    return [x / y for x in (a.low, a.high) for y in (b.low, b.high)]


def _max(parts: Sequence[Range], kind: Arithmetic) -> Range:
    a, b = parts
    return _either(a, b, max(a.low, b.low), max(a.high, b.high))


def _min(parts: Sequence[Range], kind: Arithmetic) -> Range:
    a, b = parts
    return _either(a, b, min(a.low, b.low), min(a.high, b.high))


def _either(a: Range, b: Range, low: float, high: float) -> Range:
    """One of two: their errors, relative ones where both have one sign."""
    alike = a.signed * b.signed > 0
    relative = max(a.relative, b.relative) if alike else math.inf
    error = max(a.error, b.error)
    return Range(low, high, error, relative if error else 0.0, min(a.least, b.least))


def _ceil(parts: Sequence[Range], kind: Arithmetic) -> Range:
    """As rounded, and of exact whole operands above zero at least the lower end rounded up."""
    made = _round(parts, kind)
    if made.error == 0 and made.low >= 0:  # a quotient within a unit of a whole number is that
        least = min(_quotients(*parts))
        low = float(math.ceil(least * (1 - 4 * 2.0**-53)))
        return replace(made, low=low, least=max(made.least, low))
    return made


def _round(parts: Sequence[Range], kind: Arithmetic) -> Range:
    """Exact for exact whole operands: a quotient that is no integer is 1/b away from one.

    Others are off by the error of the quotient, and by one where that moves it past an integer.
    """
    a, b = parts
    corners = _quotients(a, b)
    low, high = float(math.floor(min(corners))), float(math.ceil(max(corners)))
    if a.error == b.error == 0 and max(a.size, b.size) <= kind.whole:
        return Range(low, high, 0.0, 0.0, 1.0)
    quotient = _div(parts, kind).rounded(kind)
    return Range(low, high, 1.0 + quotient.error, math.inf, 1.0)


def remainder(parts: Sequence[Range], least: int, kind: Arithmetic) -> Range:
    """Exact and within its bounds for exact whole operands.

    Of others the quotient may be off by one, and the remainder by a divisor.
    """
    top, taken, bottom = parts
    if top.error == taken.error == bottom.error == 0 and max(top.size, taken.size) <= kind.whole:
        low = max(float(least), top.low - taken.high)
        high = min(bottom.high - 1 + least, top.high if top.low >= least else math.inf)
        return Range(low, max(low, high), 0.0, 0.0, 1.0)
    error = top.error + taken.error + bottom.size + kind.roundoff * 1.01 * (top.size + taken.size)
    return Range(0.0, bottom.high, error, math.inf)


def _cross(parts: Sequence[Range], kind: Arithmetic) -> Range:
    """A crossing index; one off by rounding changes its sum by less than the lines' own errors.

    At the index the two lines are equal, so a neighbouring index adds or drops a term that is
    zero up to the rounding of the lines, which is in their error already.
    """
    return Range(-kind.largest / 4, kind.largest / 4, 0.0, 0.0, 1.0)


def _pick(parts: Sequence[Range], kind: Arithmetic) -> Range:
    _, a, b = parts
    made = _either(a, b, min(a.low, b.low), max(a.high, b.high))
    return replace(made, relative=max(a.relative, b.relative))


def _pow(parts: Sequence[Range], kind: Arithmetic) -> Range:
    base, exponent = parts
    if base.low < 0:
        raise SymbolError("the base of a power can be negative in this box")
    if base.low == 0 and exponent.low <= 0:
        raise SymbolError("a power of zero has no value")
    try:
        corners = [x**y for x in (base.low, base.high) for y in (exponent.low, exponent.high)]
        smallest = [max(base.least, 5e-324) ** y for y in (exponent.low, exponent.high)]
    except OverflowError:
        raise SymbolError(f"a power leaves the range of {kind.name}") from None
    logs = abs(math.log(max(base.least, 1e-300))), abs(math.log(max(base.high, 1e-300)))
    relative = math.inf
    if base.relative < 1:
        # with (1 + d)^y = exp(y log(1 + d)), and log(1 + d) at its worst for a negative d
        worst = (exponent.size + exponent.error) * -math.log1p(-base.relative)
        relative = math.expm1(min(worst + max(logs) * exponent.error, 700.0))
    relative += (1 + relative) * 4 * kind.roundoff
    error = max(corners) * relative
    return Range(min(corners), max(corners), error, relative, min(*smallest, *_positive(corners)))


def _power(parts: Sequence[Range], kind: Arithmetic) -> Range:
    """By squarings: n factors, each as far off as the base, and less than n roundings.

    Together they are at most e^(n g) of the true power, g being both as logarithms. The absolute
    error x^n (e^(n g) - 1) is largest at one n, from which on the power itself falls faster.
    """
    made, (base, exponent) = _pow(parts, kind), parts
    rate = math.log1p(base.relative) + math.log1p(1.01 * kind.roundoff)
    if not math.isfinite(rate):
        return made
    falls = -math.log(base.high) if base.high > 0 else math.inf
    worst = -math.log1p(-rate / falls) / rate if falls > rate > 0 else math.inf
    n = max(exponent.low, min(exponent.high, worst))
    error = base.high**n * math.expm1(min(n * rate, 700.0))
    relative = math.expm1(min(exponent.high * rate, 700.0))
    # no square on the way is smaller, but for its rounding
    return Range(made.low, made.high, error, relative, made.least / (1 + relative))


def _positive(numbers: Sequence[float]) -> list[float]:
    return [x for x in numbers if x > 0]


def _log(parts: Sequence[Range], kind: Arithmetic) -> Range:
    (a,) = parts
    if a.low <= 0:
        raise SymbolError("a logarithm of zero or less in this box")
    if a.relative >= 1:
        raise SymbolError("a logarithm of zero or less in this box, by its rounding")
    low, high = math.log(a.low), math.log(a.high)
    error = a.relative / (1 - a.relative) + 2 * kind.roundoff * max(abs(low), abs(high))
    return Range(low, high, error, math.inf)


RULES: dict[str, Rule] = {
    "add": _add,
    "mul": _mul,
    "div": _div,
    "max": _max,
    "min": _min,
    "ceil": _ceil,
    "floor": _round,
    "cross": _cross,
    "pick": _pick,
    "pow": _pow,
    "power": _power,
    "log": _log,
}
