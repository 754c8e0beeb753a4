"""``lifesym sweep``: a labelled dataset."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lifesym.cli.options import ModelName
from lifesym.cli.output import note

Values = Annotated[str | None, typer.Option(metavar="A:B:N | A,B,...", help="Values of the axis.")]
_MOST = 10**6
"""Values of an axis."""
Words = Annotated[str | None, typer.Option(metavar="A,B,...", help="Formats, one after another.")]


def sweep(
    model: ModelName,
    on: Annotated[str, typer.Option(metavar="HW,...", help="Devices.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .nc or .csv file.")],
    prompt: Values = "512",
    generate: Values = "128",
    batch: Values = None,
    weights: Words = None,
    kv: Words = None,
    metrics: Annotated[
        str, typer.Option(metavar="NAME,...", help="What is computed.")
    ] = "ttft,tpot",
    chunks: Annotated[int | None, typer.Option(help="Points a side of a Dask chunk.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler.")] = None,
) -> None:
    """Forecast over devices, formats and ranges of sizes; write NetCDF or CSV.

    MODEL may be several names, separated by commas. A:B:N is N values from A to B, rounded to
    whole numbers.
    """
    import lifesym as ls  # noqa: PLC0415 (SymPy only where a command needs it)
    from lifesym.errors import SpecError  # noqa: PLC0415

    if output.suffix not in (".nc", ".csv"):
        raise SpecError(f"{output}: the file must end in .nc or .csv")
    axes: dict[str, Any] = {"model": model.split(","), "hardware": on.split(",")}
    for name, text in (("weights", weights), ("kv", kv)):
        if text is not None:
            axes[name] = text.split(",")
    for name, text in (("prompt", prompt), ("generated", generate), ("batch", batch or "1")):
        axes[name] = _values(name, text or "")

    def made(model: str, hardware: str, **formats: Any) -> Any:
        return ls.forecast(
            ls.load_model(model), ls.load_hardware(hardware), batch=ls.symbols.batch, **formats
        )

    longest = ls.symbols.exact(max(axes["prompt"]) + max(axes["generated"]) - 1)
    for name in axes["model"]:
        ls.load_model(name).check_length(longest)
    client = _client(scheduler)
    with _progress() as progress:
        data = ls.sweep(made, axes, metrics.split(","), chunks=chunks, progress=progress)
        data = data.compute() if chunks is not None or client is not None else data
    try:
        if output.suffix == ".nc":
            data.to_netcdf(output)
        else:
            data.to_dataframe().to_csv(output)
    except OSError as problem:
        raise SpecError(f"{output}: {problem.strerror or problem}") from None
    note(f"wrote {output} ({' x '.join(map(str, data.sizes.values()))} points)")


def _values(name: str, text: str) -> list[int]:
    """Whole numbers of an axis.

    Raises:
        SpecError: not A:B:N or A,B,..., a number below 1, or too many.
    """
    from lifesym.errors import SpecError  # noqa: PLC0415

    try:
        if ":" in text:
            low, high, count = (int(part) for part in text.split(":"))
            count = min(count, abs(high - low) + 1, _MOST + 1)  # no more of them differ
            step = (high - low) / max(count - 1, 1)
            numbers = list(dict.fromkeys(round(low + step * i) for i in range(count)))
        else:
            numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise SpecError(f"--{name}: {text!r} is not A:B:N or A,B,...") from None
    if len(numbers) > _MOST:
        raise SpecError(f"--{name}: more than {_MOST} values")
    if not numbers or min(numbers) < 1:
        raise SpecError(f"--{name}: values must be at least 1, not {text!r}")
    return numbers


def _client(address: str | None) -> Any:
    if address is None:
        return None
    from distributed import Client  # noqa: PLC0415 (an extra)

    from lifesym.errors import SpecError  # noqa: PLC0415

    try:
        connect: Any = Client
        return connect(address, timeout=10)
    except (OSError, TimeoutError, ValueError) as problem:
        raise SpecError(f"no Dask scheduler at {address}: {problem}") from None


class _progress:  # noqa: N801 (used as a function)
    """A bar on standard error while formulas are derived."""

    def __enter__(self) -> Any:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import Progress  # noqa: PLC0415

        console = Console(stderr=True)
        # where there is no terminal, stopping a bar would still print an empty line
        self.bar = Progress(console=console, transient=True, disable=not console.is_terminal)
        task = self.bar.add_task("formulas", total=None)
        self.bar.start()
        return lambda done, total: self.bar.update(task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
