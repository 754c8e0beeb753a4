"""Numbers for people (SI prefixes, four significant digits, the unit beside them), and units.

A unit is ``1``, a name, or names divided: ``byte``, ``token/s``; of several above the line they
are joined by a dot, and each below it has a line of its own: ``W·s``, ``byte/token/s``.
"""

from collections import Counter
from decimal import Decimal
from math import isinf

from sympy import Expr

from lifesym.errors import SpecError

_PREFIXES = (
    (12, "T"),
    (9, "G"),
    (6, "M"),
    (3, "k"),
    (0, ""),
    (-3, "m"),
    (-6, "µ"),
    (-9, "n"),
    (-12, "p"),
)
_DIGITS = 15
"""Digits that a float has for certain."""
_SHORT = {"byte": "B", "byte/s": "B/s", "token/s": "token/s", "FLOP": "FLOP", "s": "s", "J": "J"}


def quantity(value: Expr | int | float, unit: str, digits: int = 4) -> str:
    """A number with an SI prefix (GB is 1e9 bytes) and four significant digits, unless given.

    >>> quantity(13476831232, "byte"), quantity(0.0154, "s"), quantity(0, "s")
    ('13.48 GB', '15.4 ms', '0 s')
    """
    number, prefix = prefixed(float(value), unit, digits)
    return f"{number} {prefix}{_SHORT.get(unit, unit)}".strip()


def prefixed(number: float, unit: str, digits: int) -> tuple[str, str]:
    """The digits of a number of some unit, and the SI prefix that goes with them.

    Raises:
        SpecError: no digits, or more than numbers have.

    >>> prefixed(0.00058999, "s", 3), prefixed(999.96, "s", 4), prefixed(0.25, "1", 3)
    (('590', 'µ'), ('1', 'k'), ('0.25', ''))
    """
    check_digits(digits)
    if number == 0:
        return "0", ""
    number = float(f"{number:.{digits}g}")
    least = _PREFIXES[-1]
    exponent, prefix = next((p for p in _PREFIXES if abs(number) >= 10.0 ** p[0]), least)
    if unit in ("token/s", "1", "") and exponent <= 0:
        exponent, prefix = 0, ""
    return fixed(f"{number / 10.0**exponent:.{digits}g}"), prefix


def check_digits(digits: int) -> None:
    """Refuse a number of significant digits that no number has.

    Raises:
        SpecError: which there may be.
    """
    if not 1 <= digits <= _DIGITS:
        raise SpecError(f"digits must be at least 1 and at most {_DIGITS}, not {digits}")


def fixed(shown: str) -> str:
    """A number without an exponent.

    >>> fixed("1.23e+04"), fixed("1e-12"), fixed("0.25")
    ('12300', '0.000000000001', '0.25')
    """
    return f"{Decimal(shown):f}"


PHYSICAL = ("s", "byte", "byte/s", "FLOP/s", "FLOP", "J", "W", "token/s")
"""Units that have prefixes."""


def amount(value: Expr | int | float, unit: str) -> str:
    """A number with its unit, with a prefix where the unit has any.

    >>> amount(0.0154, "s"), amount(2.5, "1"), amount(31, "sequence"), amount(1e-9, "s/byte")
    ('15.4 ms', '2.5', '31 sequence', '1e-09 s/byte')
    """
    number = float(value)
    if isinf(number):
        return "-∞" if number < 0 else "∞"
    if unit in PHYSICAL:
        return quantity(number, unit)
    shown = f"{number:.0f}" if number.is_integer() else f"{number:.6g}"
    return f"{shown} {unit}".removesuffix(" 1").strip()


def product(one: str, other: str) -> str:
    """The unit of a product.

    >>> product("token/s", "s"), product("1", "byte"), product("W", "s")
    ('token', 'byte', 'W·s')
    """
    above, below = (a + b for a, b in zip(_sides(one), _sides(other), strict=True))
    return _unit(above, below)


def ratio(one: str, other: str) -> str:
    """The unit of a quotient.

    >>> ratio("s", "s"), ratio("byte", "token"), ratio("1", "s"), ratio("token", "token/s")
    ('1', 'byte/token', '1/s', 's')
    """
    (above, below), (over, under) = _sides(one), _sides(other)
    return _unit(above + under, below + over)


def _sides(unit: str) -> tuple[Counter[str], Counter[str]]:
    """The names above the line, and those below it."""
    above, *below = unit.split("/")
    return Counter(name for name in above.split("·") if name != "1"), Counter(below)


def _unit(above: Counter[str], below: Counter[str]) -> str:
    left = "·".join((above - below).elements()) or "1"
    return "/".join([left, *(below - above).elements()])
