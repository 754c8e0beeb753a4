"""``lifesym sweep``: a labelled dataset."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from lifesym.cli.options import ModelName
from lifesym.cli.output import note, said_of

Values = Annotated[str | None, typer.Option(metavar="A:B:N | A,B,...", help="Values of the axis.")]
Words = Annotated[str | None, typer.Option(metavar="A,B,...", help="One after another.")]

_SYMBOLS = {"generate": "generated"}
_MOST = 10**6
"""Values of an axis."""


def sweep(
    model: ModelName,
    on: Annotated[str, typer.Option(metavar="HW,...", help="Devices.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .nc or .csv file.")],
    prompt: Values = "512",
    generate: Values = "128",
    batch: Values = None,
    chunk: Values = None,
    weights: Words = None,
    activations: Words = None,
    kv: Words = None,
    fusion: Words = None,
    routing: Words = None,
    overlap: Words = None,
    lora: Values = None,
    tensor_parallel: Values = None,
    expert_parallel: Values = None,
    data_parallel: Values = None,
    metrics: Annotated[
        str, typer.Option(metavar="NAME,...", help="What is computed.")
    ] = "ttft,tpot",
    chunks: Annotated[int | None, typer.Option(help="Points a side of a Dask chunk.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler.")] = None,
) -> None:
    """Forecast over devices, formats and ranges of sizes; write NetCDF or CSV.

    MODEL may be several names, separated by commas. 1:4096:50 is 50 values from 1 to 4096, rounded
    to whole numbers. With --chunks the file is written while it is computed: it may be larger than
    memory, and the points may be computed by the workers of a Dask scheduler.
    """
    import lifesym as ls  # noqa: PLC0415 (SymPy only where a command needs it)
    from lifesym.errors import SpecError  # noqa: PLC0415
    from lifesym.sweeps import write  # noqa: PLC0415

    if output.suffix not in (".nc", ".csv"):
        raise SpecError(f"{output}: the file must end in .nc or .csv")
    if scheduler is not None and chunks is None:
        raise SpecError("--scheduler needs --chunks: its workers compute chunks")
    axes: dict[str, Any] = {"model": model.split(","), "hardware": on.split(",")}
    words = {
        "weights": weights,
        "activations": activations,
        "kv": kv,
        "fusion": fusion,
        "routing": routing,
        "overlap": overlap,
    }
    axes |= {name: text.split(",") for name, text in words.items() if text is not None}
    numbers = {
        "lora": lora,
        "tensor_parallel": tensor_parallel,
        "expert_parallel": expert_parallel,
        "data_parallel": data_parallel,
        "prompt": prompt,
        "generate": generate,
        "batch": batch or "1",
        "chunk": chunk,
    }
    for name, text in numbers.items():
        if text is not None:
            word = name.replace("_", "-")
            axes[_SYMBOLS.get(name, name)] = _values(word, text, 0 if name == "lora" else 1)

    said: dict[str, None] = {}

    def made(model: str, hardware: str, **options: Any) -> Any:
        if chunk is not None:
            options["chunk"] = ls.symbols.chunk
        forecast = ls.forecast(
            ls.load_model(model), ls.load_hardware(hardware), batch=ls.symbols.batch, **options
        )
        for text in said_of(forecast.precision, forecast.model, forecast.hardware):
            said.setdefault(f"{forecast.model.name} on {forecast.hardware.name}: {text}")
        return forecast

    longest = ls.symbols.exact(max(axes["prompt"]) + max(axes["generated"]) - 1)
    for name in axes["model"]:
        ls.load_model(name).check_length(longest)
    with _client(scheduler), _progress() as progress:
        data = ls.sweep(made, axes, metrics.split(","), chunks=chunks, progress=progress)
        try:
            write(data, output)
        except OSError as problem:
            why = os.strerror(problem.errno) if problem.errno else problem
            raise SpecError(f"{output}: {why}") from None
    note(f"wrote {output} ({' x '.join(map(str, data.sizes.values()))} points)")
    for text in said:
        note(text)


def _values(name: str, text: str, least: int = 1) -> list[int]:
    """Whole numbers of an axis.

    Raises:
        SpecError: not A:B:N or A,B,..., a number that is too small, or too many.
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
    if not numbers or min(numbers) < least:
        raise SpecError(f"--{name}: values must be at least {least}, not {text!r}")
    return numbers


def _client(address: str | None) -> Any:
    if address is None:
        return nullcontext()
    from lifesym.errors import SpecError  # noqa: PLC0415
    from lifesym.extras import needed  # noqa: PLC0415

    connect = needed("distributed").Client
    try:
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
