"""LaTeX of any expression in the notation of the table, and the legend that goes with it."""

from collections.abc import Iterable
from typing import Any

import sympy
from sympy import Expr

from lifesym.symbols import TABLE, Notation, ordered


def latex(expr: Expr, **settings: Any) -> str:
    r"""LaTeX with the table's names; a symbol never falls through to SymPy's own spelling.

    >>> from lifesym import symbols as sym
    >>> latex(2 * sym.batch * sym.hidden**2)
    '2\\,B\\,d^{2}'
    """
    names = {symbol: row.latex for symbol, row in TABLE.items()}
    options = {"symbol_names": names, "mul_symbol": r"\,", "fold_short_frac": False} | settings
    return str(sympy.latex(expr, **options))


def legend(*exprs: Expr) -> tuple[Notation, ...]:
    """The rows of the table that the expressions use, in the table's order."""
    used: set[sympy.Symbol] = set()
    for expr in exprs:
        used |= expr.free_symbols
    return tuple(TABLE[symbol] for symbol in ordered(used))


def align(lhs: str, terms: Iterable[Expr]) -> str:
    r"""A multi-line equation, one term a row, in the order given.

    >>> from lifesym import symbols as sym
    >>> print(align("T", [sym.batch, sym.past]))
    \begin{align}
    T ={}& B \\
     &{}+ T
    \end{align}
    """
    rows = [latex(term) for term in terms] or ["0"]
    body = " \\\\\n &{}+ ".join(rows)
    return f"\\begin{{align}}\n{lhs} ={{}}& {body}\n\\end{{align}}"
