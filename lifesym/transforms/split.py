"""Sizes of one of several devices that split an operator."""

from typing import Any

from sympy import Expr, S, sympify

from lifesym.errors import SymbolError
from lifesym.nodes import Maximum
from lifesym.operators import Operator


def share(operator: Operator, field: str, n: Expr, name: str) -> Expr:
    """A device's part of a size.

    Raises:
        SymbolError: it does not divide.
    """
    whole: Any = sympify(getattr(operator, field))
    part: Expr = whole / n
    if part.is_Rational and not part.is_Integer:
        raise SymbolError(f"{name}: {field} = {whole} cannot be split over {n} devices")
    return part


def kept(operator: Operator, field: str, n: Expr, name: str) -> Expr:
    """A device's part of what is never split itself: at least one, where there are any.

    Raises:
        SymbolError: neither their number nor that of the devices divides the other.
    """
    whole: Any = sympify(getattr(operator, field))
    if whole.is_Integer and n.is_Integer and whole % n != 0 and n % whole != 0:
        raise SymbolError(f"{name}: {field} = {whole} and {n} devices do not divide")
    return whole if whole.is_zero else Maximum(S.One, whole / n)
