r"""Normal forms for print, each with a history.

Costs and memory become polynomials: collected by batch and tokens, highest degree first, with
factored coefficients. Times keep the shape $F/(e_c P)$ and $Q/(e_m \mathit{BW})$: numerators are
tidied, arguments of maxima that never count are left out, equal maxima are joined, and a common
factor is taken out of a maximum. Every rewrite is recorded with what it was and what it became, and
can be proven.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from sympy import (
    Add,
    Expr,
    Function,
    Mul,
    Poly,
    S,
    Symbol,
    default_sort_key,
    expand,
    factor,
    fraction,
    gcd_terms,
    igcd,
)

from lifesym import symbols as sym
from lifesym.analysis.equality import Verdict, same
from lifesym.analysis.questions import Quantity, formula
from lifesym.checks import checked
from lifesym.decided import decided
from lifesym.nodes import Maximum, Minimum
from lifesym.printing import latex

WORKLOAD = (sym.batch, sym.prompt, sym.generated, sym.new, sym.past, sym.chunk)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One rewrite: its rule, and the formula before and after it."""

    rule: str
    before: Expr
    after: Expr

    def proof(self) -> Verdict:
        """Whether it kept the formula's value (see `lifesym.analysis.equality.same`)."""
        return same(self.before, self.after)


@dataclass(frozen=True, kw_only=True)
class Tidy:
    """A formula with the rewrites that led to it. Rewriting gives a new one."""

    original: Expr
    expr: Expr
    history: tuple[Step, ...] = ()

    def rewrite(self, rule: str, change: Callable[[Expr], Expr]) -> Self:
        """The formula after a change, which is recorded if it changed anything."""
        after = change(self.expr)
        if after == self.expr:
            return self
        step = Step(rule=rule, before=self.expr, after=after)
        return replace(self, expr=after, history=(*self.history, step))

    def proof(self) -> Verdict:
        """Whether every rewrite kept the value: the weakest verdict of the history."""
        verdicts = {step.proof() for step in self.history}
        for verdict in ("different", "undecided"):
            if verdict in verdicts:
                return verdict
        return "equal"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {latex(self.expr)}$"


@checked
def tidy(quantity: Quantity) -> Tidy:
    """The normal form of a result or an expression, with its history.

    >>> done = tidy(sym.batch * (sym.hidden + 1) + 2 * sym.batch * sym.hidden)
    >>> done.expr, [step.rule for step in done.history], done.proof()
    (batch*(3*hidden + 1), ['collect by workload'], 'equal')
    """
    expr = formula(quantity)
    start = Tidy(original=expr, expr=expr)
    if _is_polynomial(expr):
        return start.rewrite("collect by workload", collected)
    return (
        start.rewrite("leave out what no maximum can be", decided)
        .rewrite("multiply out over sums", _multiplied_out)
        .rewrite("collect numerators by workload", _tidy_quotients)
        .rewrite("take common factors out of maxima", _pulled_out)
        .rewrite("join equal terms", _joined)
    )


def collected(expr: Expr) -> Expr:
    """A polynomial collected by the workload's symbols, with factored coefficients."""
    variables = [symbol for symbol in WORKLOAD if symbol in expr.free_symbols]
    if not variables:
        return factor(expr)
    terms = Poly(expand(expr), *variables).terms()
    ranked = sorted(terms, key=lambda item: (-sum(item[0]), item[0]))
    return Add(*(factor(c) * _monomial(variables, powers) for powers, c in ranked))


def _monomial(variables: list[Symbol], powers: tuple[int, ...]) -> Expr:
    return Mul(*(variable**power for variable, power in zip(variables, powers, strict=True)))


def _is_polynomial(expr: Expr) -> bool:
    return bool(expr.is_polynomial(*expr.free_symbols)) and not expr.atoms(Function)


def _multiplied_out(expr: Expr) -> Expr:
    return Add(*(term.expand(deep=False) for term in Add.make_args(expr)))


def _tidy_quotients(expr: Expr) -> Expr:
    """Every quotient F/(e P), inside maxima too, with a tidy numerator."""
    if isinstance(expr, Maximum | Minimum):
        return expr.func(*(_tidy_quotients(arg) for arg in expr.args))
    if isinstance(expr, Add):
        return Add(*(_tidy_quotients(arg) for arg in expr.args))
    if expr.atoms(Function):
        factors = [_tidy_quotients(arg) if arg.atoms(Function) else arg for arg in expr.args]
        return expr.func(*factors)
    numerator, denominator = fraction(expr)
    if not _is_polynomial(numerator):
        return expr
    return collected(numerator) / denominator


def _pulled_out(expr: Expr) -> Expr:
    """max(k a, k b) as k max(a, b), for the positive factor k that all arguments have."""

    def pull(node: Expr) -> Expr:
        parts = [[gcd_terms(term) for term in Add.make_args(arg)] for arg in node.args]
        terms = [term for part in parts for term in part]
        factors = [set(Mul.make_args(term)) for term in terms]
        common = sorted(set.intersection(*factors), key=default_sort_key)
        outside = Mul(*(f for f in common if f.is_positive and not f.is_Number))
        numbers = [term.as_coeff_Mul()[0] for term in terms]
        if all(number.is_Integer for number in numbers):
            outside *= igcd(*numbers)
        return outside * node.func(*(Add(*(term / outside for term in part)) for part in parts))

    return expr.replace(lambda node: isinstance(node, Maximum | Minimum), pull)


def _joined(expr: Expr) -> Expr:
    """Terms that are the same but for a factor without functions, as one term."""
    grouped: dict[Expr, Expr] = {}
    for term in Add.make_args(expr):
        plain, special = term.as_independent(Function, as_Add=False)
        grouped[special] = grouped.get(special, S.Zero) + plain
    return Add(
        *(
            c * special
            if special == 1
            else factor(c) * special
            if c.is_polynomial()
            else c * special
            for special, c in grouped.items()
        )
    )
