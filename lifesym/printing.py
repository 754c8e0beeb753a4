"""LaTeX of any expression in the notation of the table, and the legend that goes with it."""

from collections.abc import Iterable
from typing import Any

import sympy
from sympy import Expr
from sympy.printing.latex import LatexPrinter

from lifesym.checks import checked
from lifesym.symbols import TABLE, Notation, known, ordered


class _Printer(LatexPrinter):  # type: ignore[misc]  # SymPy is untyped
    """SymPy's order of terms, but never a negative one first where there is another."""

    def _as_ordered_terms(self, expr: Expr, order: str | None = None) -> list[Expr]:
        terms: list[Expr] = super()._as_ordered_terms(expr, order=order)
        first = next((i for i, t in enumerate(terms) if not t.could_extract_minus_sign()), 0)
        return [terms[first], *terms[:first], *terms[first + 1 :]]


@checked
def latex(expr: Expr, **settings: Any) -> str:
    r"""LaTeX with the table's names; a symbol never falls through to SymPy's own spelling.

    >>> from lifesym import symbols as sym
    >>> latex(2 * sym.batch * sym.hidden**2)
    '2\\,B\\,d^{2}'
    >>> latex(sym.layers - sym.full_layers)
    'L - L_{\\mathrm{full}}'

    Raises:
        SymbolError: a symbol that is not the table's.
    """
    known(expr, "the formula")
    names = {symbol: row.latex for symbol, row in TABLE.items()}
    options = {"symbol_names": names, "mul_symbol": r"\,", "fold_short_frac": False} | settings
    return str(_Printer(options).doprint(expr))


@checked
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
