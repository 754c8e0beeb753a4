"""Numbers of answers for tables and JSON (see `lifesym.quantities`)."""

from sympy import Expr

from lifesym.quantities import PHYSICAL, check_digits, fixed, prefixed, quantity

__all__ = [
    "PHYSICAL",
    "apart",
    "check_digits",
    "fixed",
    "plain",
    "prefixed",
    "quantity",
    "shown",
]


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
