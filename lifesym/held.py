"""What one memory holds, and whether it fits."""

from dataclasses import dataclass

from sympy import Expr

from lifesym.checks import checked_fields
from lifesym.results import Result


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Held(Result):
    """Bytes that a memory holds, by role.

    Attributes:
        capacity: bytes that it has room for, if known.
    """

    capacity: Expr | None = None

    @property
    def spare(self) -> Expr | None:
        """Room that is left, below zero where there is too little; None if it is not known."""
        return None if self.capacity is None else self.capacity - self.expr

    @property
    def fits(self) -> bool | None:
        """Whether it all fits; None where that is not known or depends on symbols (see `spare`)."""
        missing = None if self.spare is None else self.spare.is_negative
        return None if missing is None else not missing
