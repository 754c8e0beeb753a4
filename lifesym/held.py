"""What one memory holds, and whether it fits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sympy import Expr, Symbol

from lifesym.checks import checked_fields
from lifesym.nodes import Minimum
from lifesym.powers import sign
from lifesym.results import Result
from lifesym.units import in_gb, shown_bytes


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
        left = self.spare
        if left is None:
            return None
        if not left.free_symbols:
            return sign(left) >= 0
        missing = left.is_negative
        return None if missing is None else not missing

    @property
    def said(self) -> str:
        """How much it is of how much, where both are numbers."""
        room = "" if self.capacity is None else f" of {shown_bytes(self.capacity)}"
        return f"{in_gb(float(self))}{room}"

    def at(self, values: Mapping[Symbol, Expr]) -> "Held":
        """The same at a point."""
        room = None if self.capacity is None else self.capacity.xreplace(dict(values)).doit()
        return replace(self, expr=self.expr.xreplace(dict(values)).doit(), capacity=room)


def all_fit(held: Iterable[Held]) -> bool | None:
    """Whether each memory holds what it must; None where that is not known."""
    found = [each.fits for each in held]
    return False if False in found else None if None in found else True


def least(held: Iterable[Held]) -> Expr | None:
    """Room in the memory that has least of it; None if no capacity is known."""
    left = [each.spare for each in held if each.spare is not None]
    return Minimum(*left) if left else None


def too_large(held: Iterable[Held]) -> Held | None:
    """The memory that lacks most, of those whose contents are numbers; None if none lacks any."""
    short = [each for each in held if each.fits is False and not each.expr.free_symbols]
    return max(short, key=lambda each: float(each) - float(each.capacity or 0), default=None)


def unfit(held: Sequence[Held]) -> list[str]:
    """That something does not fit, in a line; none where it does or where that is not known."""
    bytes_ = "" if (short := too_large(held)) is None else f": {short.said}"
    return [f"does not fit{bytes_}"] if all_fit(held) is False else []
