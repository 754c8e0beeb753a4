"""``lifesym export``: a stand-alone function."""

import re
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lifesym.cli.options import Activations, Chunk, Kv, ModelName, Weights, size_option
from lifesym.cli.output import note, said_of

Metric = Literal["ttft", "tpot", "tps", "latency", "memory", "energy"]
To = Literal["c", "float", "table", "fixed", "numpy-table", "python", "numpy", "js"]

_IN_C = ("c", "float", "table", "fixed")
"""Where functions of several files share one space of names."""
_LONGEST = 31
"""Letters of a name that every C99 compiler tells apart."""
_TABLES = {"table": "float", "fixed": "fixed", "numpy-table": "numpy"}


def export(
    model: ModelName,
    on: Annotated[str, typer.Option(metavar="HW", help="A device, or 'symbolic'.")],
    args: Annotated[str, typer.Option(metavar="NAME,...", help="The function's arguments.")],
    metric: Annotated[Metric, typer.Option(help="What the function gives.")] = "tpot",
    to: Annotated[
        To, typer.Option(help="C in double or single, tables, Python, JavaScript.")
    ] = "c",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; standard output unless given.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the function; METRIC, in C METRIC_MODEL, unless given.")
    ] = None,
    range_: Annotated[
        list[str] | None,
        typer.Option("--range", metavar="NAME=LOW:HIGH", help="Values an argument may have."),
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", metavar="NAME=X", help="A table's unit of an argument."),
    ] = None,
    error: Annotated[float, typer.Option(help="Largest relative error of a table.")] = 0.01,
    prompt: Annotated[int | None, size_option("--prompt", "Prompt tokens, if no argument.")] = None,
    generate: Annotated[int | None, size_option("--generate", "Generated tokens.")] = None,
    batch: Annotated[int | None, size_option("--batch", "Sequences; 1 unless given.")] = None,
    weights: Weights = None,
    activations: Activations = None,
    kv: Kv = None,
    chunk: Chunk = None,
) -> None:
    """Write a formula as a function of some arguments; the others are bound.

    The arguments are symbols such as past, prompt, batch, bandwidth.
    """
    import lifesym as ls  # noqa: PLC0415 (SymPy only where a command needs it)
    from lifesym.errors import SymbolError  # noqa: PLC0415
    from lifesym.hardware import symbolic_numbers  # noqa: PLC0415
    from lifesym.sweeps import METRICS  # noqa: PLC0415

    names = [each.strip() for each in args.split(",") if each.strip()]
    symbols = [ls.symbols.resolve(each) for each in names]
    hardware = ls.Hardware.symbolic() if on == "symbolic" else ls.load_hardware(on)
    hardware = symbolic_numbers(hardware, symbols)
    free = {symbol.name for symbol in symbols}
    if "past" in free and metric != "tpot":
        raise SymbolError("past is an argument of tpot alone")
    sizes = {"prompt": prompt, "generated": generate, "batch": batch, "chunk": chunk}
    for word, value in sizes.items():
        if word in free and value is not None:
            raise SymbolError(f"{word} is an argument: give it no number")
    given: dict[str, Any] = {"batch": 1 if batch is None else batch}
    given |= {"prompt": prompt} if prompt is not None else {}
    given |= {"generate": generate} if generate is not None else {}
    given |= {word: ls.symbols.resolve(word) for word in ("batch", "chunk") if word in free}
    given |= {"weights": weights, "activations": activations, "kv": kv}
    given.setdefault("chunk", chunk)
    forecast = ls.forecast(ls.load_model(model), hardware, **given)
    step = metric == "tpot" and "past" in free
    result = METRICS["step" if step else metric](forecast)
    ranges = {key: _pair(value) for key, value in map(_named, range_ or [])}
    units = dict(map(_named, unit or []))
    if units and to not in _TABLES:
        raise SymbolError(f"units are of tables, not of {to}")
    doc = f"{metric} of {forecast.model.name} on {hardware.name}, in {result.unit}"
    chosen = [f"{key} {value}" for key, value in given.items() if value and key not in free]
    doc += f", with {', '.join(chosen)}." if chosen else "."
    default = _name(metric, forecast.model.name) if to in _IN_C else metric
    called = name or default
    text = _text(ls, result, symbols, to, called, ranges, units, error, doc)
    if output is None:
        typer.echo(text, nl=False)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as problem:
            raise SymbolError(f"{output}: {problem.strerror}") from None
        note(f"wrote {output}")
    for said in said_of(forecast.precision, forecast.model, hardware):
        note(said)


def _text(
    ls: Any,
    result: Any,
    symbols: Any,
    to: To,
    name: str,
    ranges: dict[str, tuple[float, float]],
    units: dict[str, str],
    error: float,
    doc: str,
) -> str:
    common: dict[str, Any] = {"name": name, "ranges": ranges, "doc": doc}
    if to in _TABLES:
        table = ls.compile(result, symbols, target="table", units=units, error=error, **common)
        return str(table.source(_TABLES[to]))
    if to in ("c", "float"):
        precision = "double" if to == "c" else "float"
        return str(ls.compile(result, symbols, target="c", precision=precision, **common))
    if to == "js":
        return str(ls.compile(result, symbols, target="js", **common))
    function = ls.compile(result, symbols, target=to, **common)
    return str(function.source)


def _name(metric: str, model: str) -> str:
    """A function's name that says of what it is, so that two of them can be used together."""
    full = re.sub(r"[^a-z0-9]+", "_", f"{metric}_{model}".lower()).strip("_")
    if len(full) <= _LONGEST:
        return full
    return f"{full[: _LONGEST - 7]}_{sha256(full.encode()).hexdigest()[:6]}"


def _named(text: str) -> tuple[str, str]:
    from lifesym.errors import SymbolError  # noqa: PLC0415

    name, equals, value = text.partition("=")
    if not equals:
        raise SymbolError(f"{text!r} is not NAME=VALUE")
    return name, value


def _pair(text: str) -> tuple[float, float]:
    from lifesym.errors import SymbolError  # noqa: PLC0415

    low, colon, high = text.partition(":")
    try:
        return float(low), float(high if colon else "")
    except ValueError:
        raise SymbolError(f"a range is LOW:HIGH, not {text!r}") from None
