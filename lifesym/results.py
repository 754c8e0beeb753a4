"""Derived quantities: an expression, its unit, and what it is the sum of."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from sympy import Expr, Symbol

from lifesym import symbols as sym
from lifesym.checks import checked, checked_fields
from lifesym.chunks import scaled, summed
from lifesym.errors import SymbolError
from lifesym.printing import latex, legend
from lifesym.roofline import Term, total
from lifesym.symbols import Notation, Number, index


@dataclass(frozen=True, kw_only=True)
class Part:
    """A named part of a result that is not a time, such as the weights' memory."""

    name: str
    value: Expr


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Result:
    """A derived quantity: the expression, and the terms it is the sum of.

    Attributes:
        name: what it is, such as ``TTFT``.
        unit: its SI unit.
        expr: the SymPy expression.
        terms: for times, the operators' parts in order; else empty.
        parts: for other sums, their named parts; else empty.
    """

    name: str
    unit: str
    expr: Expr
    terms: tuple[Term, ...] = ()
    parts: tuple[Part, ...] = ()

    def __float__(self) -> float:
        return _number(self.expr, self.name)

    def latex(self) -> str:
        """The expression in LaTeX, in the table's notation."""
        return latex(self.expr)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def legend(self) -> tuple[Notation, ...]:
        """The rows of the notation table that the expression uses."""
        return legend(self.expr)

    @checked
    def bind(self, values: Mapping[str | Symbol, Number]) -> Expr:
        """The expression with symbols replaced, names and ranges checked.

        Raises:
            SymbolError: an unknown name or a value out of range.
        """
        bound = sym.bind(self.expr, values)
        return bound if bound.free_symbols else bound.doit()


@dataclass(frozen=True, kw_only=True)
class StepTime(Result):
    """TPOT: ``expr`` is one decode step at context `symbols.past`.

    Asked for one number (``float``), it gives the mean over the workload's generation.

    Attributes:
        start: the context of the first decode step, past + prompt.
        steps: decode steps of the generation.
    """

    start: Expr
    steps: Expr

    @cached_property
    def first(self) -> Result:
        """The first decode step of the generation."""
        return self._at("TPOT of the first step", self.start)

    @cached_property
    def last(self) -> Result:
        """The last decode step of the generation."""
        return self._at("TPOT of the last step", self.start + self.steps - 1)

    @cached_property
    def mean(self) -> Result:
        """The exact mean over the generation: the sum of its steps in closed form, over them."""
        each = self._at("", self.start + index).terms
        terms = tuple(scaled(summed(term, self.steps), 1 / self.steps) for term in each)
        return Result(name="mean TPOT", unit=self.unit, expr=total(terms), terms=terms)

    def _at(self, name: str, context: Expr) -> Result:
        at = {sym.past: context}
        terms = tuple(term.map(lambda expr: expr.xreplace(at)) for term in self.terms)
        return Result(name=name, unit=self.unit, expr=total(terms), terms=terms)

    def __float__(self) -> float:
        return float(self.mean)


def _number(expr: Expr, what: str) -> float:
    if expr.free_symbols:
        left = ", ".join(row.word for row in legend(expr))
        raise SymbolError(f"{what} still depends on {left}: bind them first")
    return float(expr.doit(powers=False))
