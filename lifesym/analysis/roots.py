r"""Zeros of a formula in one symbol.

Of a rational function they are the roots of a polynomial with rational coefficients, found exactly,
as are those of one in a logarithm (see `lifesym.analysis.through`). Where the symbol is an exponent
beside others, or inside the crossing index of a sum, a zero is a bracket of two
rationals between which the sign changes; that it is there is certain, but two zeros closer together
than a 256th of the range (in ratio) could be missed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cmp_to_key
from math import ceil, fsum

from sympy import (
    Add,
    Expr,
    Poly,
    Rational,
    S,
    Symbol,
    ceiling,
    floor,
    fraction,
    lambdify,
    oo,
    sqrt,
    together,
)

from lifesym.analysis.signs import sign_at
from lifesym.analysis.through import through
from lifesym.errors import SymbolError
from lifesym.powers import doubles, sign
from lifesym.sums import Inside

_PROBES = 256
_WIDTH = Rational(1, 10**12)
_DOUBT = 1e-9


@dataclass(frozen=True, kw_only=True)
class Root:
    """A zero: exact (``low == value == high``), or the middle of a bracket that holds it."""

    value: Expr
    low: Expr
    high: Expr

    @property
    def exact(self) -> bool:
        """Whether the value is the root itself."""
        return bool(self.low == self.high)


def roots(expr: Expr, symbol: Symbol, low: Expr, high: Expr) -> tuple[Root, ...]:
    """The zeros strictly between ``low`` and ``high`` of a formula without maxima, in order.

    None for a formula that is zero everywhere.
    """
    if not expr.has(symbol):
        return ()
    if not expr.is_rational_function(symbol):
        found = through(expr, symbol)
        if found is None:
            return _brackets(expr, symbol, low, high)
        inner = roots(found.expr, found.name, *found.ends(low, high))
        values = distinct([found.back(root.value) for root in inner])
        return tuple(Root(value=value, low=value, high=value) for value in values)
    numerator, denominator = fraction(together(expr))
    polynomial = Poly(numerator, symbol)
    if polynomial.degree() < 1:
        return ()
    inside = [
        value
        for value in distinct(_zeros(polynomial))
        if low < value < high and denominator.xreplace({symbol: value}) != 0
    ]
    return tuple(Root(value=value, low=value, high=value) for value in inside)


def turning(expr: Expr, symbol: Symbol, low: Expr, high: Expr) -> tuple[Root, ...]:
    """Where a formula without maxima may turn from rising to falling or back."""
    found = through(expr, symbol)
    if found is None:
        return roots(expr.diff(symbol), symbol, low, high)
    slope = found.expr.diff(found.name).xreplace({found.name: found.function})
    return roots(slope, symbol, low, high)


def between(low: Expr, high: Expr) -> Expr:
    """A rational strictly between two numbers, of which the upper one may be infinite."""
    if high is oo:
        return Rational(2 * ceiling(low) + 2)
    if low.is_Rational and high.is_Rational:
        return (low + high) / 2
    for digits in (20, 60, 200):
        middle = Rational(str(((low + high) / 2).evalf(digits)))
        if low < middle < high:
            return middle
    raise SymbolError(f"{low} and {high} are too close to tell apart")


def distinct(numbers: list[Expr]) -> list[Expr]:
    """Sorted, each once."""

    def order(a: Expr, b: Expr) -> int:
        return 0 if a == b else sign(a - b)

    ascending = sorted(numbers, key=cmp_to_key(order))
    kept: list[Expr] = []
    for number in ascending:
        if not kept or order(number, kept[-1]) > 0:
            kept.append(number)
    return kept


def _zeros(polynomial: Poly) -> list[Expr]:
    coefficients = polynomial.all_coeffs()
    if len(coefficients) == 2:
        return [-coefficients[1] / coefficients[0]]
    if len(coefficients) == 3:
        a, b, c = coefficients
        inside = b**2 - 4 * a * c
        if inside < 0:
            return []
        return [(-b - sqrt(inside)) / (2 * a), (-b + sqrt(inside)) / (2 * a)]
    return list(polynomial.real_roots(multiple=True))


def _brackets(expr: Expr, symbol: Symbol, low: Expr, high: Expr) -> tuple[Root, ...]:
    if high is oo:
        raise SymbolError(f"give a finite range: the formula is not rational in {symbol.name}")
    sign_of = _signs(expr, symbol)
    probes = _probes(low, high)
    if not _is_finite(expr, {symbol: low}):
        probes = _probes_near(low, high)
    values = [sign_of(probe) for probe in probes]
    found = []
    for i in range(len(probes) - 1):
        if values[i] == 0 and i > 0:
            found.append(Root(value=probes[i], low=probes[i], high=probes[i]))
        elif values[i] * values[i + 1] < 0:
            found.append(_bisected(sign_of, probes[i], probes[i + 1], values[i]))
    return tuple(found)


def _probes(low: Expr, high: Expr) -> list[Expr]:
    """Rationals spread evenly in ratio (or evenly, from zero)."""
    start, stop = float(low), float(high)
    inside = []
    for i in range(1, _PROBES):
        step = i / _PROBES
        guess = start * (stop / start) ** step if start > 0 else start + (stop - start) * step
        inside.append(Rational(str(guess)))
    return [low, *(probe for probe in inside if low < probe < high), high]


def _probes_near(low: Expr, high: Expr) -> list[Expr]:
    """Rationals that come close to the lower end, where the formula has no limit."""
    ratios = (Rational(1, 10**9) ** Rational(_PROBES - i, _PROBES) for i in range(_PROBES + 1))
    return [low + (high - low) * Rational(str(ratio.evalf(17))) ** 2 for ratio in ratios]


def _is_finite(expr: Expr, values: dict[Symbol, Expr]) -> bool:
    return not expr.xreplace(values).has(S.ComplexInfinity, S.NaN, oo)


def _signs(expr: Expr, symbol: Symbol) -> Callable[[Expr], int]:
    """The sign at a value: in double precision where that is beyond doubt, else exactly."""
    inside = {Inside.__name__: lambda p, q: ceil(-p / q)}
    terms = lambdify([symbol], list(Add.make_args(doubles(expr))), [inside, "math"])

    def sign_of(value: Expr) -> int:
        try:
            parts = terms(float(value))
        except (ArithmeticError, ValueError):  # a logarithm of what is no positive double
            return sign_at(expr, {symbol: value})
        total = fsum(parts)
        if abs(total) > _DOUBT * fsum(abs(part) for part in parts):
            return 1 if total > 0 else -1
        return sign_at(expr, {symbol: value})

    return sign_of


def _bisected(sign_of: Callable[[Expr], int], low: Expr, high: Expr, first: int) -> Root:
    while high - low > _WIDTH * high:
        middle = Rational(str(((low + high) / 2).evalf(17)))
        if not low < middle < high:
            break
        at = sign_of(middle)
        if at == 0:
            return Root(value=middle, low=middle, high=middle)
        low, high = (middle, high) if at == first else (low, middle)
    whole = Rational(floor(high))
    if whole >= low and sign_of(whole) == 0:
        return Root(value=whole, low=whole, high=whole)
    return Root(value=(low + high) / 2, low=low, high=high)
