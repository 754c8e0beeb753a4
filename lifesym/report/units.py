"""Numbers for people: SI prefixes, four significant digits, the unit beside them."""

from decimal import Decimal

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


def plain(value: Expr) -> int | float | None:
    """A JSON number; null for an infinite one."""
    number = value.doit()
    if not number.is_finite:
        return None
    return int(number) if number.is_Integer else float(number)


def shown(value: Expr, unit: str) -> str:
    """A number with its unit, for a table: sizes as plain numbers."""
    if not value.is_finite:
        return "∞"
    return quantity(value, unit) if unit in PHYSICAL else f"{float(value):.6g}"


def apart(one: Expr, other: Expr, unit: str) -> tuple[str, str]:
    """Two numbers with as many digits, four or more, as it takes to tell them apart."""
    for digits in range(4, 16):
        pair = quantity(one, unit, digits), quantity(other, unit, digits)
        if pair[0] != pair[1]:
            break
    return pair
