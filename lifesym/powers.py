r"""Long powers: $(1 - k/E)^m$ of numbers, exact without its thousands of digits.

The experts that no token of a prompt chooses are a share of $(31/32)^{4096}$, a fraction of two
numbers of 6,000 digits: nothing to read, and more than Python prints. Such a power stays a node,
`LongPower`, which is a number in everything but its spelling: `doit` writes it out, ``float`` and
comparisons take it exactly.
"""

from collections.abc import Mapping
from typing import Any

from sympy import Expr, Float, Function, Pow, Rational, S, Symbol

_LONGEST = 128
"""The largest exponent of a power that is written out."""
_LONGEST_OPEN = 16
"""The same of a sum with symbols: SymPy would seek the roots of a polynomial of that degree."""
_BITS = 1024
"""Binary digits of the longest number that is: as many as a double's range has."""

Printer = Any


class LongPower(Function):
    r"""A power of a positive fraction whose digits would fill lines; short ones are written out.

    So is one of a sum with symbols, such as $1 - k/E$, to learn whose sign SymPy would factor a
    polynomial of that degree. Anything but these to a whole number is SymPy's own power.

    >>> from lifesym.symbols import batch
    >>> LongPower(Rational(3, 4), Rational(2)), LongPower(Rational(3, 4), batch)
    (9/16, (3/4)**batch)
    >>> LongPower(Rational(31, 32), Rational(4096)), 1 - LongPower(Rational(1, 2), Rational(4096))
    ((31/32)**4096, 1 - (1/2)**4096)
    """

    nargs = 2

    @classmethod
    def eval(cls, base: Expr, exponent: Expr) -> Expr | None:
        """SymPy's power, unless it would be written out in too many digits."""
        if base.is_Add and not base.is_number and exponent.is_Integer and exponent > _LONGEST_OPEN:
            return None
        if not (base.is_Rational and base > 0 and base != 1 and exponent.is_Integer):
            return base**exponent
        digits = max(int(base.p - 1).bit_length(), int(base.q - 1).bit_length())
        if abs(exponent) <= _LONGEST and abs(exponent) * digits <= _BITS:
            return base**exponent
        return None

    def doit(self, **hints: bool) -> Expr:
        """The fraction, written out; with ``powers=False`` it stays as it is."""
        return Pow(*self.args) if hints.get("powers", True) else self

    def fdiff(self, argindex: int = 1) -> Expr:
        """The slope in the base."""
        base, exponent = self.args
        return exponent * LongPower(base, exponent - 1)

    def _eval_is_rational(self) -> bool | None:
        rational: bool | None = self.args[0].is_rational
        return rational

    def _eval_is_nonnegative(self) -> bool | None:
        base, exponent = self.args
        return True if base.is_nonnegative or exponent.is_even else None

    def _eval_is_positive(self) -> bool | None:
        positive: bool | None = self.args[0].is_positive
        return positive

    def _eval_is_integer(self) -> bool | None:
        base, exponent = self.args
        if base.is_Rational:
            return bool((base if exponent > 0 else 1 / base).is_Integer)
        return True if base.is_integer else None

    def _eval_evalf(self, prec: int) -> Expr:
        base, exponent = self.args
        room = prec + int(exponent).bit_length() + 8  # the base's own rounding, that many times
        return (base._evalf(room) ** exponent)._evalf(prec)

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        base, exponent = (printer._print(arg) for arg in self.args)
        body = rf"\left({base}\right)^{{{exponent}}}"
        return rf"\left({body}\right)^{{{exp}}}" if exp else body

    def _sympystr(self, printer: Printer) -> str:
        base, exponent = (printer._print(arg) for arg in self.args)
        return f"({base})**{exponent}"

    def _numpycode(self, printer: Printer) -> str:
        base, exponent = self.args
        return f"(({printer._print(base)})**{float(exponent)!r})"

    _pythoncode = _numpycode

    def _ccode(self, printer: Printer) -> str:
        base, exponent = self.args
        return f"pow({printer._print(base)}, {float(exponent)!r})"


def is_irrational(expr: Expr) -> bool:
    """Whether an expression is a number that is no fraction: a logarithm, or a long power."""
    return not expr.is_Rational and bool(expr.is_number) and expr.is_finite is not False


def written(expr: Expr) -> Expr:
    """An expression with its long powers written out."""
    long = {power: power.doit() for power in expr.atoms(LongPower)}
    return expr.xreplace(long) if long else expr


def doubles(expr: Expr) -> Expr:
    """An expression for arithmetic in doubles: the code of longer numbers could not be printed."""
    long = (n for n in expr.atoms(Rational) if max(abs(n.p), n.q).bit_length() > _BITS)
    rounded = {number: Float(number, 17) for number in long}
    return expr.xreplace(rounded) if rounded else expr


def sign(number: Expr) -> int:
    """The sign of a number: exact, and of most without writing a long power out.

    >>> sign(Rational(1, 10**9) - LongPower(Rational(31, 32), Rational(4096)))
    1
    """
    if not number.is_Rational:
        rough = number.evalf(15)
        if rough.is_Float and rough._prec > 1:
            number = rough
        else:  # SymPy gives what cancels a precision of 1
            number = number.doit()
            if rough.is_Float and not number.is_Rational:  # nothing is left of 100 digits
                number = S.Zero
    return int(bool(number > 0)) - int(bool(number < 0))


def replaced(expr: Expr, values: Mapping[Symbol, Expr]) -> Expr:
    """An expression with numbers for symbols; powers that become long ones stay closed.

    >>> from lifesym.symbols import batch
    >>> replaced(1 - Rational(31, 32) ** batch, {batch: Rational(10**6)})
    1 - (31/32)**1000000
    """
    rule: dict[Expr, Expr] = dict(values)
    for power in expr.atoms(Pow):
        if not power.exp.is_number and not power.exp.free_symbols.isdisjoint(values):
            rule[power] = LongPower(*(replaced(arg, values) for arg in power.args))
    return expr.xreplace(rule)
