r"""Intervals of expressions over ranges of symbols, and polynomials that are nowhere negative.

A polynomial is proved not to be negative by the signs of its coefficients: in each variable counted
from the lower end L of its range, or where there is an upper end U too with $(L + U t)/(1 + t)$ for
it, $t \ge 0$. What is no power of a symbol, such as a rounded quotient or $q^x$, is a variable of
its own within the interval of its values. Everything is exact but for powers and logarithms, which
are rounded outwards.

Source: G. T. Cargo, O. Shisha, "The Bernstein form of a polynomial", J. Res. NBS 70B, 1966: the
coefficients in t are those of the Bernstein form, each times a positive number.
"""

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import product
from typing import TypeAlias

from sympy import Add, Expr, Mul, Pow, S, Symbol, log

from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.powers import LongPower
from lifesym.remainders import ChunksBefore, LastChunk

End: TypeAlias = Fraction | float
"""An exact number, or an infinite one."""
Span: TypeAlias = tuple[End, End]
Box: TypeAlias = Mapping[Symbol, Span]
_Polynomial: TypeAlias = dict[tuple[int, ...], Fraction]

_MOST_TERMS = 4096
_MOST_POWER = 64
_LARGEST = 600.0
"""Of a logarithm whose number is still one of a double."""


def end(number: object) -> End:
    """A number as an exact fraction, or an infinite float."""
    if isinstance(number, float) and math.isinf(number):
        return number
    exact = Fraction(number) if isinstance(number, float | int) else S(number)
    return exact if isinstance(exact, Fraction) else Fraction(int(exact.p), int(exact.q))


def never_negative(terms: Expr, box: Box) -> bool:
    """Whether a sum of products is proved not to be negative anywhere in a box.

    >>> from lifesym.symbols import batch, past
    >>> ends = {batch: (Fraction(1), math.inf), past: (Fraction(0), Fraction(8))}
    >>> never_negative(batch * past + batch - 1, ends), never_negative(8 * batch - past, ends)
    (True, True)
    >>> never_negative(7 * batch - past, ends)
    False
    """
    made = _polynomial(terms, box)
    if made is None:
        return False
    polynomial, spans = made
    if all(low >= 0 for low, _ in spans) and min(polynomial.values()) >= 0:
        return True
    for place, span in enumerate(spans):
        polynomial = _moved(polynomial, place, *span)
        if not 0 < len(polynomial) <= _MOST_TERMS:
            return False
    return min(polynomial.values()) >= 0


def _polynomial(terms: Expr, box: Box) -> tuple[_Polynomial, list[Span]] | None:
    """The coefficients by powers of the variables, and their spans; None where one has no bounds.

    It is multiplied by what is in denominators, which is not negative.
    """
    places: dict[Expr, int] = {}
    spans: list[Span] = []
    rows: list[tuple[Fraction, dict[int, int]]] = []
    for term in Add.make_args(terms):
        coefficient, rest = term.as_coeff_Mul()
        powers: dict[int, int] = {}
        for base, exponent in rest.as_powers_dict().items():
            whole = exponent.is_Integer and (base.is_Symbol or exponent > 0)
            variable, count = (base, int(exponent)) if whole else (Pow(base, exponent), 1)
            if variable not in places:
                span = interval(variable, box)
                if span is None:
                    return None
                places[variable] = len(spans)
                spans.append(span)
            if count < 0 and spans[places[variable]][0] < 0:
                return None
            powers[places[variable]] = count
        rows.append((Fraction(int(coefficient.p), int(coefficient.q)), powers))
    least = [min(0, *(powers.get(i, 0) for _, powers in rows)) for i in range(len(spans))]
    found: _Polynomial = {}
    for number, powers in rows:
        key = tuple(powers.get(i, 0) - low for i, low in enumerate(least))
        found[key] = found.get(key, Fraction(0)) + number
    return found, spans


def _moved(polynomial: _Polynomial, place: int, low: End, high: End) -> _Polynomial:
    """The polynomial with one variable counted from its end, or by t where it has two."""
    degree = max(powers[place] for powers in polynomial)
    if degree == 0 or (low == 0 and high == math.inf):
        return polynomial
    if isinstance(low, float):
        return {}
    one = Fraction(1)
    if isinstance(high, float):
        rows = [_power_of(low, one, e) for e in range(degree + 1)]
    else:
        rows = [
            _product(_power_of(low, high, e), _power_of(one, one, degree - e))
            for e in range(degree + 1)
        ]
    found: _Polynomial = {}
    for powers, coefficient in polynomial.items():
        for e, factor in enumerate(rows[powers[place]]):
            key = (*powers[:place], e, *powers[place + 1 :])
            found[key] = found.get(key, Fraction(0)) + coefficient * factor
    return found


def _power_of(constant: Fraction, slope: Fraction, power: int) -> list[Fraction]:
    """The coefficients of (constant + slope t)^power."""
    return [math.comb(power, i) * constant ** (power - i) * slope**i for i in range(power + 1)]


def _product(one: list[Fraction], other: list[Fraction]) -> list[Fraction]:
    found = [Fraction(0)] * (len(one) + len(other) - 1)
    for (i, a), (j, b) in product(enumerate(one), enumerate(other)):
        found[i + j] += a * b
    return found


def interval(expr: Expr, box: Box) -> Span | None:
    """Ends between which all values of an expression are; None where none are known.

    >>> from lifesym.symbols import batch
    >>> ends = interval(CeilDiv(batch, 8) + 1, {batch: (Fraction(1), Fraction(20))})
    >>> [int(each) for each in ends]
    [2, 4]
    """
    if expr.is_Symbol:
        return box.get(expr)
    found = _interval(expr, box)
    if (found is None or found[0] < 0) and expr.is_nonnegative:
        return Fraction(0), math.inf if found is None else found[1]
    return found


def _interval(expr: Expr, box: Box) -> Span | None:
    if expr.is_Rational:
        return end(expr), end(expr)
    if expr.is_number and not isinstance(expr, LongPower) and expr.is_finite:
        number = Fraction(float(expr))
        return number - abs(number) / 10**12, number + abs(number) / 10**12
    parts = [interval(arg, box) for arg in expr.args]
    known = [part for part in parts if part is not None]
    if isinstance(expr, Maximum | Minimum):
        return _extreme(known, isinstance(expr, Maximum), len(known) == len(parts))
    if len(known) < len(parts):
        return None
    if isinstance(expr, Add):
        return _total(low for low, _ in known), _total(high for _, high in known)
    if isinstance(expr, Mul):
        found: Span = (Fraction(1), Fraction(1))
        for part in known:
            corners = [_times(x, y) for x, y in product(found, part)]
            found = min(corners), max(corners)
        return found
    if isinstance(expr, Pow | LongPower):
        return _power(*known)
    if isinstance(expr, CeilDiv | FloorDiv):
        return _quotient(*known, up=isinstance(expr, CeilDiv))
    if isinstance(expr, ChunksBefore):
        return interval(expr.closed_form(), box)
    if isinstance(expr, LastChunk):
        (least, most), (_, piece) = known
        return Fraction(0), min(most, piece) if least > 0 else piece  # of none it is a piece
    if isinstance(expr, log) and known[0][0] > 0:
        ends = [_log(each) for each in known[0]]
        return end(ends[0] - abs(ends[0]) * 1e-14), end(ends[1] + abs(ends[1]) * 1e-14)
    return None


def _extreme(known: list[Span], largest: bool, every: bool) -> Span | None:
    """Of a maximum: no less than any part; no more than the largest, if all parts are known."""
    if not known:
        return None
    choose = max if largest else min
    low, high = (choose(span[side] for span in known) for side in (0, 1))
    if every:
        return low, high
    return (low, math.inf) if largest else (-math.inf, high)


def _quotient(top: Span, bottom: Span, *, up: bool) -> Span | None:
    if top[0] < 0 or bottom[0] <= 0:
        return None
    low, high = (_times(x, _inverse(y)) for x, y in zip(top, reversed(bottom), strict=True))
    whole = math.ceil if up else math.floor
    first, last = (e if isinstance(e, float) else Fraction(whole(e)) for e in (low, high))
    return first, last


def _power(base: Span, exponent: Span) -> Span | None:
    """Of what is not negative: monotone in both, so extreme at the corners."""
    low, high = base
    first, last = exponent
    if low < 0:
        return None
    if first == last and isinstance(first, Fraction) and first.denominator == 1:
        count = int(first)
        if abs(count) <= _MOST_POWER:
            ends = (low, high) if count > 0 else (_inverse(high), _inverse(low))
            return ends[0] ** abs(count), ends[1] ** abs(count)
    if low == 0 or isinstance(first, float):
        return (Fraction(0), Fraction(1)) if high <= 1 and first >= 0 else None
    corners: list[tuple[End, End]]
    corners = [(_times(_log(x), y), y) for x, y in product(base, exponent)]
    return (
        min(_exponential(*each, -1) for each in corners),
        max(_exponential(*each, 1) for each in corners),
    )


def _exponential(logarithm: End, exponent: End, side: int) -> End:
    """The power of a logarithm, past what that and the power itself are off by."""
    power, times = float(logarithm), float(exponent)
    if abs(power) > _LARGEST:
        if (power > 0) == (side > 0):
            return math.inf if side > 0 else Fraction(0)
        return Fraction(math.exp(-side * _LARGEST))
    return Fraction(math.exp(power + side * 1e-15 * (1 + abs(power) + abs(times))))


def _log(number: End) -> float:
    if isinstance(number, float) or 1e-300 < number < 1e300:
        return math.log(number)
    return math.log(number.numerator) - math.log(number.denominator)


def _total(ends: Iterable[End]) -> End:
    return sum(ends, start=Fraction(0))


def _times(x: End, y: End) -> End:
    """A product; of nothing it is nothing."""
    return Fraction(0) if 0 in (x, y) else x * y


def _inverse(x: End) -> End:
    if x == 0:
        return math.inf
    return Fraction(0) if isinstance(x, float) else 1 / x
