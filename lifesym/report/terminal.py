"""Text and tables on a terminal of any width."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def _rich() -> Any:
    """Rich, whose import takes longer than JSON is worth."""
    import rich.console  # noqa: PLC0415
    import rich.progress  # noqa: PLC0415
    import rich.table  # noqa: PLC0415

    return rich


def line(text: str) -> None:
    """A line of text, broken where the terminal ends."""
    rich = _rich()
    rich.console.Console().print(rich.text.Text(text))


def table(title: str, header: Sequence[str], body: Sequence[Sequence[str]], right: int = 0) -> None:
    """A Rich table; the last ``right`` columns are aligned to the right."""
    rich = _rich()
    grid, text = rich.table.Table(header_style="bold"), rich.text.Text
    for i, name in enumerate(header):
        numeric = i >= len(header) - right
        side: Any = "right" if numeric else "left"
        grid.add_column(name, justify=side, no_wrap=numeric, overflow="fold")
    for row in body:
        grid.add_row(*map(text, row))
    console = rich.console.Console()
    console.print(text(title, style="bold"))
    console.print(grid)


@contextmanager
def shown_progress() -> Iterator[Any]:
    """A bar on standard error while formulas are derived."""
    rich = _rich()
    console = rich.console.Console(stderr=True)
    # where there is no terminal, stopping a bar would still print an empty line
    with rich.progress.Progress(
        console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("formulas", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
