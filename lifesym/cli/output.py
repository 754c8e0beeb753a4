"""Printing: one JSON object, or Rich tables on a terminal of any width."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lifesym.errors import SpecError
from lifesym.timed import Timed
from lifesym.units import shown_bytes


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


def note(message: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"lifesym: {message}\n")


def said_of(form: Timed) -> list[str]:
    """What an answer must say: formats and who chose them, efficiencies, what is not known."""
    return [form.precision.described, described(form), *form.notes]


def described(form: Timed) -> str:
    """The engine and the efficiencies that times are with."""
    return f"engine {form.engine.name}, {form.attained}"


def warn_if_too_large(form: Timed, held: int, where: str = "") -> None:
    """Say that a device's memory does not hold so many bytes, where it does not."""
    capacity = form.hardware.capacity
    if capacity is not None and held > capacity:
        size = f"{shown_bytes(capacity)} ({float(capacity) / 1e9:.1f} GB)"
        note(
            f"warning: {where}{held / 1e9:.1f} GB do not fit in the {size} of {form.hardware.name}"
        )


def line(text: str) -> None:
    """A line of text, broken where the terminal ends."""
    Console().print(Text(text))


def table(title: str, header: Sequence[str], body: Sequence[Sequence[str]], right: int = 0) -> None:
    """A Rich table; the last ``right`` columns are aligned to the right."""
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


def write(text: str, path: str | None) -> None:
    """Text to a file, or to standard output where none is named.

    Raises:
        SpecError: the file cannot be written.
    """
    if path is None:
        sys.stdout.write(text)
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise SpecError(f"{path}: {problem.strerror}") from None
    note(f"wrote {path}")


def save_plot(figure: Any, path: str) -> None:
    """A figure to a file."""
    from lifesym.plots import save  # noqa: PLC0415 (Matplotlib)

    note(f"wrote {save(figure, path)}")
