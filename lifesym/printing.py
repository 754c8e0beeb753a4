"""LaTeX of any expression in the notation of the table, and the legend that goes with it."""

from functools import cached_property
from typing import Any

import sympy
from sympy import Add, Expr, S, fraction
from sympy.printing.latex import LatexPrinter

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.spelling import spelling
from lifesym.symbols import TABLE, Notation, known, ordered

WORKLOAD = frozenset(
    {sym.batch, sym.new, sym.past, sym.prompt, sym.generated, sym.chunk, sym.prefix}
)
"""The symbols of a workload, which stand first in a product."""


class _Printer(LatexPrinter):  # type: ignore[misc]  # SymPy is untyped
    """SymPy's order of terms, but never a negative one first; factors in the table's order."""

    def _as_ordered_terms(self, expr: Expr, order: str | None = None) -> list[Expr]:
        terms: list[Expr] = super()._as_ordered_terms(expr, order=order)
        first = next((i for i, t in enumerate(terms) if not t.could_extract_minus_sign()), 0)
        return [terms[first], *terms[:first], *terms[first + 1 :]]

    def _print_Mul(self, expr: Expr) -> str:  # noqa: N802 (SymPy's name)
        if any(arg.is_Number for arg in expr.args[1:]) or not expr.is_commutative:
            return str(super()._print_Mul(expr))  # a product left unevaluated
        sign = "- " if expr.could_extract_minus_sign() else ""
        above, below = fraction(-expr if sign else expr, exact=True)
        printed = self._product(above)
        if below is not S.One and self._settings["fold_short_frac"] and not above.is_Add:
            divisor = self._product(below)
            return rf"{sign}{printed}/" + (
                rf"({divisor})" if below.is_Mul or below.is_Add else divisor
            )
        if below is not S.One:
            return rf"{sign}\frac{{{printed}}}{{{self._product(below)}}}"
        return (
            rf"{sign}\left({printed}\right)" if sign and isinstance(above, Add) else sign + printed
        )

    def _product(self, expr: Expr) -> str:
        """Number, workload, layers, then the table's order; sums and functions last."""
        if not expr.is_Mul:
            return str(self._print(expr))
        text = ""
        factors = sorted(expr.as_ordered_factors(), key=self._rank)
        for i, factor in enumerate(factors):
            printed = self._print(factor)
            if self._needs_mul_brackets(factor, first=i == 0, last=i == len(factors) - 1):
                printed = rf"\left({printed}\right)"
            both = text[-1:].isdigit() and printed[:1].isdigit()
            text += (r" \cdot " if both else r"\," if text else "") + printed
        return text

    def _rank(self, factor: Expr) -> tuple[int, int]:
        """Where a factor stands in a product."""
        base = factor.as_base_exp()[0]
        if factor.is_Number:
            return 0, 0
        if base in self._places:
            group = 1 if base in WORKLOAD else 2 if TABLE[base].unit == "layers" else 3
            return group, self._places[base]
        if getattr(base, "is_name", False):
            return (2 if len(str(base)) == 1 else 4), 0
        return 4 if base.is_Atom else 5, 0

    @cached_property
    def _places(self) -> dict[Expr, int]:
        return {symbol: i for i, symbol in enumerate(TABLE)}


@checked
def latex(expr: Expr, **settings: Any) -> str:
    r"""LaTeX with the table's names; a symbol never falls through to SymPy's own spelling.

    >>> from lifesym import symbols as sym
    >>> latex(2 * sym.batch * sym.hidden**2)
    '2\\,B\\,d^{2}'
    >>> latex(sym.layers - sym.full_layers)
    'L - L_{\\mathrm{full}}'
    >>> latex(sym.past / (sym.generated - 1), fold_short_frac=True)
    'T/(G - 1)'

    Raises:
        SymbolError: a symbol that is not the table's.
    """
    known(expr, "the formula")
    names = {symbol: spelling(symbol) for symbol in TABLE}
    options = {"symbol_names": names, "mul_symbol": r"\,", "fold_short_frac": False} | settings
    return str(_Printer(options).doprint(expr))


@checked
def legend(*exprs: Expr) -> tuple[Notation, ...]:
    """The rows of the table that the expressions use, in the table's order."""
    used: set[sympy.Symbol] = set()
    for expr in exprs:
        used |= expr.free_symbols
    return tuple(TABLE[symbol] for symbol in ordered(used))
