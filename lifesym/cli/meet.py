"""Two sides that meet: two configurations, or two groups of operators of one."""

from typing import TYPE_CHECKING, TypeAlias

import typer

from lifesym.cli.question import Asked, listed
from lifesym.errors import SymbolError

if TYPE_CHECKING:
    from sympy import Expr, Symbol

    from lifesym.analysis import Meeting
    from lifesym.analysis.regime import Range

    Side: TypeAlias = tuple[str, Expr, dict[Symbol, Expr]]

AGAINST = "Comparison"


def against(name: str, metavar: str, text: str) -> typer.models.OptionInfo:
    """An option that names the other side."""
    option: typer.models.OptionInfo = typer.Option(
        name, metavar=metavar, help=text, rich_help_panel=AGAINST
    )
    return option


def of_parts(question: Asked, text: str) -> "list[Side]":
    """The summed times of two groups of operators, named by how their names begin.

    Raises:
        SymbolError: not two groups, or one without operators.
    """
    from lifesym.analysis import part  # noqa: PLC0415 (SymPy)

    names = listed(text)
    if len(names) != 2:
        raise SymbolError(f"--parts takes two beginnings of operators' names, not {text!r}")
    return [(name, part(question.quantity, name), question.point) for name in names]


def meetings(sides: "list[Side]", symbol: "Symbol", ends: "Range") -> "tuple[Meeting, ...]":
    """Where two sides meet; with a formula in the other symbols where they have the same values."""
    from lifesym.analysis import crossover  # noqa: PLC0415 (SymPy)

    (_, one, here), (_, two, there) = sides
    shared = (one.free_symbols & two.free_symbols) - {symbol}
    if all(here[other] == there[other] for other in shared):
        others = {other: value for other, value in (here | there).items() if other != symbol}
        return crossover(one, two, symbol, ends, others)
    return crossover(bound(one, here, symbol), bound(two, there, symbol), symbol, ends)


def bound(expr: "Expr", point: "dict[Symbol, Expr]", symbol: "Symbol") -> "Expr":
    """A side in the symbol alone."""
    return expr.xreplace({other: value for other, value in point.items() if other != symbol})
