"""The summands of a formula in paper order: one an operator for times, one a monomial else.

The order is the model's own (embedding, layer, head; highest power first), never SymPy's. Operators
of the same time are joined, and dispatch times, which every operator has, come last.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sympy import Add, Expr, Poly, S, Sum, Symbol, expand, factor

from lifesym import symbols as sym
from lifesym.nodes import Maximum
from lifesym.roofline import Term
from lifesym.sums import SumMax

WORKLOAD = (sym.batch, sym.prompt, sym.generated, sym.new, sym.past, sym.chunk)
BRANCHED = (Maximum, SumMax, Sum)


@dataclass(frozen=True)
class Row:
    """A summand of an equation and what it stands for."""

    value: Expr
    label: str


def term_rows(terms: Iterable[Term]) -> list[Row]:
    """Operators in order, equal ones joined; then the link, then all dispatches."""
    busy: dict[Expr, list[str]] = {}
    serial: dict[str, Expr] = {"link": S.Zero, "dispatch": S.Zero}
    for term in terms:
        if term.busy != 0:
            busy.setdefault(term.busy, []).append(term.name)
        serial["link"] += term.network
        serial["dispatch"] += term.dispatch
    joined = [Row(len(names) * value, _names(names)) for value, names in busy.items()]
    shown = ((name, factor(expand(value))) for name, value in serial.items())
    return joined + [Row(value, name) for name, value in shown if value != 0]


def _names(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def polynomial_rows(expr: Expr) -> list[Row]:
    """Monomials of the workload, highest degree first, with factored coefficients."""
    variables = [symbol for symbol in WORKLOAD if symbol in expr.free_symbols]
    if not variables or not expr.is_polynomial(*variables):
        return [Row(term, "") for term in summands(expr)]
    polynomial = Poly(expand(expr), *variables)
    monomials = sorted(polynomial.terms(), key=lambda item: (-sum(item[0]), item[0]))
    return [
        Row(factor(coefficient) * _product(variables, powers), "")
        for powers, coefficient in monomials
    ]


def summands(expr: Expr) -> list[Expr]:
    """A sum with maxima, or a multiple of one, term by term; polynomials in one piece."""
    outside, inside = expr.as_independent(*BRANCHED, as_Add=False)
    if not isinstance(inside, Add):
        return [expr]
    return [outside * term for term in inside.as_ordered_terms()]


def _product(variables: list[Symbol], powers: tuple[int, ...]) -> Expr:
    product = S.One
    for variable, power in zip(variables, powers, strict=True):
        product *= variable**power
    return product
