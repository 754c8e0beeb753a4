"""``lifesym measure``: this machine as a hardware spec."""

from pathlib import Path
from typing import Annotated

import typer

from lifesym.cli.output import note


def measure(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; standard output unless given.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Time to spend.")] = 8.0,
    name: Annotated[str | None, typer.Option(help="Of the machine.")] = None,
) -> None:
    """Measure this machine's products, bandwidth and calls; write them as a hardware spec."""
    from lifesym.calibration.machine import as_spec  # noqa: PLC0415 (needs NumPy)
    from lifesym.calibration.machine import measure as measured  # noqa: PLC0415
    from lifesym.errors import SpecError  # noqa: PLC0415

    text = as_spec(measured(seconds, lambda what: note(f"measuring {what}")), name)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise SpecError(f"{output}: {problem.strerror}") from None
    note(f"wrote {output}")
