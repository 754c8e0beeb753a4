r"""Signs of formulas at a point: exact, without writing long powers out.

The experts that a batch reaches hold powers such as $(3/4)^{500000}$, of a million digits, and of
fractions between two whole batches they hold irrational ones. Both are taken to 60 digits, which
settles nearly every sign. Where the rest cancels to less than half of those digits, the powers are
taken out: what remains is rational, and its sign, or if it is zero that of the powers, decides.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import prod

from sympy import Add, Dummy, Expr, I, Mul, Pow, Rational, S, Symbol

from lifesym.errors import SymbolError
from lifesym.powers import written

Point = Mapping[Symbol, Expr]

_LONG = 1024
_DIGITS = 60
_CLEAR = Rational(1, 10**30)
_NOTHING = Rational(1, 10**25)


def number_at(expr: Expr, values: Point) -> Expr:
    """A formula at a point: exact, but to 60 digits where it has a long or an irrational power."""
    powers = _powers(expr, values)
    return written((expr.xreplace(powers) if powers else expr).xreplace(dict(values)))


def compare(first: Expr, second: Expr, values: Point) -> int:
    """The sign of the difference of two formulas at a point.

    >>> from lifesym.symbols import batch
    >>> compare((S(3) / 4) ** batch + 1, S(1), {batch: S(10**12)})
    1
    """
    one, two = number_at(first, values), number_at(second, values)
    if one.is_Rational and two.is_Rational:
        return _sign(one - two)
    return sign_at(first - second, values)


def sign_at(expr: Expr, values: Point) -> int:
    """The sign of a formula at a point.

    >>> from lifesym.symbols import batch
    >>> sign_at(batch**2 - 2, {batch: S(2) ** S.Half}), sign_at(batch**2 - 2, {batch: S(1)})
    (0, -1)
    """
    powers = _powers(expr, values)
    if not powers:
        return _sign(expr.xreplace(dict(values)))
    if isinstance(expr, Mul):
        return prod(sign_at(factor, values) for factor in expr.args)
    terms = [term.xreplace(powers).xreplace(dict(values)) for term in Add.make_args(expr)]
    parts = [term.evalf(_DIGITS) for term in terms]
    total = Add(*parts)
    if abs(total) > _CLEAR * Add(*(abs(part) for part in parts)):
        return _sign(total)
    marks = {power: Dummy(positive=True) for power in powers}
    numbers = {mark: powers[power] for power, mark in marks.items()}
    left = expr.xreplace(marks).xreplace(dict(values)).expand()
    rest = left.xreplace(dict.fromkeys(numbers, S.Zero))
    small = (left - rest).xreplace(numbers)
    if abs(small) < _CLEAR * abs(rest):
        return _sign(rest)
    return _sign(small if is_zero(rest) else expr.xreplace(dict(values)))


def is_zero(number: Expr) -> bool:
    """Whether a number is zero; square roots cancel exactly."""
    number = written(number)
    if number.is_Rational:
        return bool(number == 0)
    return bool(number.expand() == 0) or bool(number.is_zero)


def _powers(expr: Expr, values: Point) -> dict[Expr, Expr]:
    """The powers that are not written out, each with its value to 60 digits."""
    found = {}
    for power in _with_symbols_above(expr):
        exponent = power.exp.xreplace(dict(values))
        if exponent.is_number and not (exponent.is_Integer and abs(exponent) <= _LONG):
            base = power.base.xreplace(dict(values))
            if base.is_number:
                found[power] = base.evalf(_DIGITS) ** exponent.evalf(_DIGITS)
    return found


@lru_cache(maxsize=4096)
def _with_symbols_above(expr: Expr) -> tuple[Pow, ...]:
    return tuple(power for power in expr.atoms(Pow) if power.exp.free_symbols)


def _sign(number: Expr) -> int:
    """Of a number; irrational ones are evaluated to 30 digits first."""
    number = written(number)
    if not number.is_Rational:
        if number.free_symbols:
            left = ", ".join(sorted(map(str, number.free_symbols)))
            raise SymbolError(f"the formula also depends on {left}: give numbers")
        rough = number.evalf(30)
        if rough.has(I):
            raise SymbolError(
                f"the formula is no real number, but {rough.evalf(4)}, somewhere in the range"
            )
        number = S.Zero if abs(rough) < _NOTHING and is_zero(number) else rough
    return int(bool(number.is_positive)) - int(bool(number.is_negative))
