"""Formulas at every whole value of a range: where quotients are rounded, nothing else is exact."""

from typing import TYPE_CHECKING, Any

from sympy import Expr, Integer, Symbol, oo

from lifesym.analysis.signs import sign_at
from lifesym.errors import SymbolError

if TYPE_CHECKING:
    import numpy as np

_LONGEST_SCAN = 2**22


def scan(one: Expr, two: Expr, symbol: Symbol, low: Expr, high: Expr) -> tuple[int, list[int]]:
    """The first whole value of a range, and the sign of the difference at it and all after it.

    Signs come from double precision, and from exact arithmetic wherever the two are close and on
    both sides of every change.

    Raises:
        SymbolError: the range is infinite or too long.
    """
    import numpy as np  # noqa: PLC0415 (only where arrays are needed)

    start, (first, second) = _tabulated([one, two], symbol, low, high)
    signs = np.sign(first - second).astype(int)
    close = np.abs(first - second) <= 1e-9 * np.maximum(np.abs(first), np.abs(second))
    changes = np.flatnonzero(np.diff(signs))
    for i in {*np.flatnonzero(close).tolist(), *changes.tolist(), *(changes + 1).tolist()}:
        signs[i] = sign_at(one - two, {symbol: Integer(start + i)})
    return start, signs.tolist()


def extremes(expr: Expr, symbol: Symbol, low: Expr, high: Expr) -> list[Expr]:
    """The whole values of a range at which a formula is smallest and largest.

    In double precision: of values closer together than that, any may be given.

    Raises:
        SymbolError: the range is infinite or too long.
    """
    start, (found,) = _tabulated([expr], symbol, low, high)
    return [Integer(start + int(place)) for place in (found.argmin(), found.argmax())]


def _tabulated(
    exprs: list[Expr], symbol: Symbol, low: Expr, high: Expr
) -> "tuple[int, list[np.ndarray[Any, Any]]]":
    """The first whole value of a range, and formulas at it and at all after it."""
    import numpy as np  # noqa: PLC0415 (only where arrays are needed)

    from lifesym.codegen.functions import on_grid  # noqa: PLC0415 (likewise)

    if high is oo or high - low > _LONGEST_SCAN:
        raise SymbolError(
            "formulas with rounded quotients are compared at every whole value: "
            f"give a range of at most {_LONGEST_SCAN} values"
        )
    start, stop = int(low.ceiling()), int(high.floor())
    return start, on_grid(exprs, [symbol])(np.arange(start, stop + 1, dtype=float))
