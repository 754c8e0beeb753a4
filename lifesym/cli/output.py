"""Printing: one JSON object, or Rich tables on a terminal of any width."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lifesym.cli import NOTES
from lifesym.errors import SpecError
from lifesym.held import too_large
from lifesym.levels import OWN
from lifesym.timed import Timed
from lifesym.units import in_gb, shown_bytes


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


def note(message: str) -> None:
    """A line on standard error, once the command has answered."""
    NOTES.append(f"lifesym: {message}\n")


def warn_if_too_large(form: Timed, where: str = "") -> None:
    """Say that a memory does not hold what it must, where it does not."""
    if (short := too_large(form.stores)) is not None and short.capacity is not None:
        size = f"{shown_bytes(short.capacity)} ({in_gb(float(short.capacity))})"
        name = form.hardware.name if short.name == OWN else short.name
        note(f"warning: {where}{in_gb(float(short))} do not fit in the {size} of {name}")


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


def draw(options: Mapping[str, Any], make: Callable[[Any], Any], *of: Any) -> None:
    """The figure that --plot asks for, made with `lifesym.plots`; captioned by what it is of."""
    if options["plot"] is not None:
        from lifesym import plots  # noqa: PLC0415 (Matplotlib)

        with plots.style(options["width"], plots.figure_caption(*of) if of else None):
            note(f"wrote {plots.save(make(plots), options['plot'])}")
