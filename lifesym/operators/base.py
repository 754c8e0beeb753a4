"""What every operator is: sizes in, cost out; no phase, no hardware."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import ClassVar, Literal

from sympy import Add, Expr, Rational, S

from lifesym.cost import Cost
from lifesym.errors import SymbolError
from lifesym.formats import Matrix, Precision
from lifesym.symbols import Size, size

Direction = Literal["+", "-", "0"]


@dataclass(frozen=True, kw_only=True)
class Operator:
    """An operator: a frozen record of sizes with one method, `cost`.

    A subclass declares its family, what it counts, where its formula is from, and in which
    direction each size moves its cost (``+`` never lowers any field of the cost, ``-`` never
    raises one, ``0`` changes none). Those rows make whole-model monotonicity a tested fact.
    """

    family: ClassVar[str]
    counted: ClassVar[str]
    reference: ClassVar[str]
    monotone: ClassVar[Mapping[str, Direction]]
    averages: ClassVar[tuple[str, ...]] = ()
    """Sizes that are means, and need not be whole."""

    def __post_init__(self) -> None:
        """Turn integers into exact SymPy integers; refuse negative and fractional sizes."""
        kind: type = type(self)
        for name in _sizes(kind):
            value = getattr(self, name)
            mean = name in self.averages and isinstance(value, Rational)
            if mean and value >= 0:
                continue
            checked = size(value, f"{kind.__name__}.{name}", minimum=0)
            if checked is not value:
                object.__setattr__(self, name, checked)

    @property
    def parameters(self) -> Expr:
        """Learned values the operator owns (a tied matrix belongs to its embedding)."""
        return S.Zero

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The learned values by shape and role, for formats that differ by them."""
        return ()

    @property
    def matrices_read(self) -> tuple[Matrix, ...]:
        """The learned values that one execution reads: its own, unless it says otherwise."""
        return self.matrices

    @property
    def weight_roles(self) -> Mapping[str, Expr]:
        """The learned values by role."""
        return by_role(self.matrices)

    @property
    def idle(self) -> Expr:
        """Operations that its products could do in the time they take and do not."""
        return S.Zero

    def state_bytes(self, precision: Precision) -> Expr:
        """Bytes of a state of constant size that one sequence keeps here."""
        return S.Zero

    def saved(self, precision: Precision) -> Expr:
        """Bytes that are kept for its gradients: its inputs, unless it says otherwise."""
        return self.cost(precision).activation_read_bytes

    def cost(self, precision: Precision) -> Cost:
        """Operations, bytes by role and dispatches of one execution."""
        raise NotImplementedError


@cache
def _sizes(kind: type) -> tuple[str, ...]:
    """The fields of an operator that are sizes."""
    return tuple(item.name for item in fields(kind) if item.type in (Size, "Size"))


def by_role(matrices: Iterable[Matrix]) -> dict[str, Expr]:
    """How many learned values each role has."""
    roles: dict[str, list[Expr]] = {}
    for matrix in matrices:
        roles.setdefault(matrix.role, []).append(matrix.elements)
    return {role: Add(*elements) for role, elements in roles.items()}


def require(condition: bool, message: str) -> None:
    """Raise `SymbolError` unless the condition holds."""
    if not condition:
        raise SymbolError(message)
