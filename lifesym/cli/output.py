"""Printing: one JSON object, or Rich tables on a terminal of any width."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sympy import Expr

    from lifesym.formats import Precision
    from lifesym.hardware import Hardware
    from lifesym.model import Model


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


def whole(value: "Expr") -> int:
    """An exact integer; part of a byte is rounded up."""
    from lifesym.nodes import CeilDiv  # noqa: PLC0415 (SymPy only where a command needs it)

    number = value.doit()
    return int(CeilDiv(number.p, number.q) if number.is_Rational else number)


def note(message: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"lifesym: {message}\n")


def said_of(precision: "Precision", *sources: "Model | Hardware") -> list[str]:
    """What an answer must say: the formats, who chose them, and what is not known."""
    return [precision.described, *(said for source in sources for said in source.notes)]


def line(text: str) -> None:
    """A line of text, broken where the terminal ends."""
    from rich.console import Console  # noqa: PLC0415 (slow to import)
    from rich.text import Text  # noqa: PLC0415

    Console().print(Text(text))


def table(title: str, header: Sequence[str], body: Sequence[Sequence[str]], right: int = 0) -> None:
    """A Rich table; the last ``right`` columns are aligned to the right."""
    from rich.console import Console  # noqa: PLC0415 (slow to import)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table(header_style="bold")
    for i, name in enumerate(header):
        numeric = i >= len(header) - right
        side: Any = "right" if numeric else "left"
        grid.add_column(name, justify=side, no_wrap=numeric, overflow="fold")
    for row in body:
        grid.add_row(*(Text(cell) for cell in row))
    console = Console()
    console.print(Text(title, style="bold"))
    console.print(grid)
