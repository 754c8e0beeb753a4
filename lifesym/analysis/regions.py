"""A max-free formula, the inequalities of the region it holds in, and what it was chosen from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sympy import Expr, Ge, Gt, Symbol
from sympy.core.relational import Relational

from lifesym.analysis.signs import compare


@dataclass(frozen=True, kw_only=True)
class Condition:
    """The inequality ``left >= right``, or ``left > right`` if it is strict."""

    left: Expr
    right: Expr
    strict: bool = False

    @property
    def relation(self) -> Relational:
        """It as a SymPy relation, to print or to solve."""
        return (Gt if self.strict else Ge)(self.left, self.right)

    @property
    def margin(self) -> Expr:
        """How far it is from failing: left - right."""
        return self.left - self.right

    def holds(self, values: Mapping[Symbol, Expr]) -> bool:
        """Whether it is true at a point that binds every symbol."""
        order = compare(self.left, self.right, values)
        return order > 0 if self.strict else order >= 0

    def __str__(self) -> str:
        return f"{self.left} {'>' if self.strict else '>='} {self.right}"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which argument a maximum or minimum was replaced by, or a rounded quotient's number.

    ``tied`` is True where another one would have served just as well: at a kink or a step.
    """

    node: Expr
    taken: Expr
    tied: bool = False


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A max-free formula and where it holds.

    Attributes:
        expr: the formula without maxima.
        conditions: the inequalities of its region, in the order of the formula's nodes.
        choices: what each maximum was replaced by.
    """

    expr: Expr
    conditions: tuple[Condition, ...]
    choices: tuple[Choice, ...] = field(repr=False, default=())

    def holds(self, values: Mapping[Symbol, Expr]) -> bool:
        """Whether a point lies in the region."""
        return all(condition.holds(values) for condition in self.conditions)

    @property
    def tied(self) -> tuple[Choice, ...]:
        """The choices that another argument would have served as well."""
        return tuple(choice for choice in self.choices if choice.tied)
