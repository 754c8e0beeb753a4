"""What a comparison with a published work is: a formula or a number, and what is said of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from sympy import Expr, cancel, factor

GALLERY = Path(__file__).parent
SAID = 0.01
"""A number that is further off than this share says why."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A formula of a paper.

    Attributes:
        work: the paper.
        where: the equation or table.
        what: what it says.
        mine: lifesym's formula, or a function of conventions that gives one.
        theirs: the paper's.
        conventions: those under which they are equal; none: as they are.
        over: where they differ, the ranges over which the difference is bounded.
        within: the largest share of theirs that it is there.
        reason: why they differ.
    """

    work: str
    where: str
    what: str
    mine: Any
    theirs: Any
    conventions: tuple[str, ...] = ()
    over: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    within: float = 0.0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number of a paper.

    Attributes:
        work: the paper.
        where: the table, figure or section.
        what: what it is, with its unit.
        published: the number.
        mine: gives lifesym's, in the same unit.
        within: the largest share of the published number that the difference is.
        reason: why they differ, where that is more than `SAID`.
        refuted: the work's claim does not hold in lifesym: the reason says what does.
    """

    work: str
    where: str
    what: str
    published: float
    mine: Callable[[], Any]
    within: float
    reason: str = ""
    refuted: bool = False

    def __hash__(self) -> int:
        return hash((self.work, self.where, self.what))

    def off(self) -> float:
        """Mine less theirs, as a share of theirs."""
        return found(self) / self.published - 1


@cache
def found(number: Number) -> float:
    """Lifesym's own of a number, computed once."""
    return float(number.mine())


def works() -> list[str]:
    """The names of the notebooks, each of which has a module with its numbers."""
    return sorted(path.stem for path in GALLERY.glob("*.ipynb"))


def numbers(work: str) -> tuple[Number, ...]:
    """The numbers of a work's module."""
    found: tuple[Number, ...] = import_module(work.replace("-", "_")).NUMBERS
    return found


def table(rows: Iterable[Number]) -> str:
    """Numbers in Markdown: what, the work's, lifesym's and the difference."""
    lines = ["| | published | lifesym | difference |", "|---|---:|---:|---:|"]
    for row in rows:
        off = f"{100 * row.off():+.2g} %" if abs(row.off()) > 5e-9 else "0"
        lines.append(f"| {row.what} | {row.published:.5g} | {found(row):.5g} | {off} |")
    return "\n".join(lines)


def beside(mine: Expr, theirs: Expr) -> Expr:
    """Mine over theirs, as 1 and what is not 1: a form that is easily bounded."""
    return 1 + factor(cancel(mine / theirs) - 1)
