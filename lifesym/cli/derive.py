"""``lifesym derive``: a closed form with its legend."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lifesym.cli.options import (
    WORKLOAD,
    Activations,
    CausalOption,
    Chunk,
    FusionOption,
    Kv,
    MlaOption,
    ModelName,
    OverlapOption,
    RoutingOption,
    Weights,
    choice,
    size_option,
)
from lifesym.cli.output import note, print_json, said_of
from lifesym.errors import SpecError

if TYPE_CHECKING:
    from lifesym.cost import Cost
    from lifesym.inference import Forecast
    from lifesym.model import Model
    from lifesym.results import Result

Metric = Literal[
    "ttft",
    "tpot",
    "tpot_mean",
    "tps",
    "latency",
    "memory",
    "energy",
    "flops",
    "vector_flops",
    "bytes",
    "weight_bytes",
    "kv_bytes",
    "parameters",
]
_COSTS = {"flops": "matmul_flops", "vector_flops": "vector_flops", "bytes": "bytes"}


def derive(
    model: ModelName,
    metric: Annotated[Metric, typer.Option(help="What to derive.")],
    lift: Annotated[
        str, typer.Option(metavar="NAME,...", help="Dimensions to turn back into symbols.")
    ] = "",
    symbolic: Annotated[
        bool, typer.Option("--symbolic", help="MODEL is a family: every dimension is a symbol.")
    ] = False,
    on: Annotated[
        str, typer.Option("--on", metavar="HW", help="A device, or 'symbolic'.")
    ] = "symbolic",
    batch: Annotated[int | None, size_option("--batch", "Else a symbol.")] = None,
    prompt: Annotated[int | None, size_option("--prompt", "Else a symbol.")] = None,
    generate: Annotated[int | None, size_option("--generate", "Else a symbol.")] = None,
    weights: Weights = None,
    activations: Activations = None,
    kv: Kv = None,
    chunk: Chunk = None,
    fusion: FusionOption = "none",
    overlap: OverlapOption = "operator",
    mla: MlaOption = "absorbed",
    causal: CausalOption = "full",
    routing: RoutingOption = "uniform",
    format: Annotated[
        Literal["text", "latex", "markdown", "json"],
        choice("--format", "How to print it.", WORKLOAD),
    ] = "text",
    width: Annotated[
        int | None,
        typer.Option(
            metavar="POINTS", min=100, help="Of a line in LaTeX and Markdown: 345 is an article's."
        ),
    ] = None,
) -> None:
    """Derive the closed form of a metric, with a legend of its symbols.

    FLOPs and bytes are those of one forward pass of 'new' tokens after 'past'.

    weight_bytes are all the weights as they are stored, tied ones once.

    kv_bytes are the cache of 'past' tokens; memory is the weights and the
    cache of all prompt and generated tokens.
    """
    import lifesym as ls  # noqa: PLC0415 (SymPy only where a command needs it)
    from lifesym import symbols as sym  # noqa: PLC0415
    from lifesym.forecasting import choose_precision  # noqa: PLC0415
    from lifesym.gguf_mixes import fitted  # noqa: PLC0415

    if width is not None and format not in ("latex", "markdown"):
        raise SpecError(f"--width does nothing to --format {format}")
    loaded = ls.Model.symbolic(model) if symbolic else ls.load_model(model)
    loaded = loaded.lift(*(name.strip() for name in lift.split(",") if name.strip()))
    hardware = ls.Hardware.symbolic() if on == "symbolic" else ls.load_hardware(on)
    if "decoder" not in loaded.kind and metric in (*_COSTS, "parameters"):
        chosen = choose_precision(hardware, weights, activations, kv, loaded.stored)
        formats = fitted(chosen, loaded)
        passed = loaded.forward(sym.batch if batch is None else batch, sym.new)
        _print(_pass_result(loaded, passed.cost_at(formats), metric), metric, format, width)
        return
    derived = ls.forecast(
        loaded,
        hardware,
        sym.prompt if prompt is None else prompt,
        sym.generated if generate is None else generate,
        sym.batch if batch is None else batch,
        weights=weights,
        activations=activations,
        kv=kv,
        chunk=chunk,
        fusion=fusion,
        overlap=overlap,
        mla=mla,
        causal=causal,
        routing=routing,
    )
    _print(_result(derived, metric), metric, format, width)
    if format == "text" and not symbolic:
        for said in said_of(derived.precision, derived.model, hardware):
            note(said)


def _pass_result(model: "Model", cost: "Cost", metric: Metric) -> "Result":
    """What one forward pass does, or the model's size."""
    from lifesym.results import Result  # noqa: PLC0415

    if metric == "parameters":
        return Result(name=metric, unit="parameters", expr=model.parameters)
    unit = "byte" if metric == "bytes" else "FLOP"
    return Result(name=metric, unit=unit, expr=getattr(cost, _COSTS[metric]))


def _result(derived: "Forecast", metric: Metric) -> "Result":
    from lifesym import symbols as sym  # noqa: PLC0415
    from lifesym.results import Result  # noqa: PLC0415

    timed: dict[str, Callable[[], Result]] = {
        "ttft": lambda: derived.ttft,
        "tpot": lambda: derived.tpot,
        "tpot_mean": lambda: derived.tpot.mean,
        "tps": lambda: derived.tps,
        "latency": lambda: derived.latency,
        "memory": lambda: derived.memory,
        "energy": lambda: derived.energy,
    }
    if metric in timed:
        return timed[metric]()
    if metric in (*_COSTS, "parameters"):
        cost = derived.trace(sym.new, sym.past).cost_at(derived.precision)
        return _pass_result(derived.model, cost, metric)
    if metric == "weight_bytes":
        expr = derived.model.weight_bytes(derived.precision.weights)
    else:
        expr = derived.model.kv_bytes(sym.past, derived.precision.kv, derived.batch, derived.mla)
    return Result(name=metric, unit="byte", expr=expr)


def _print(result: "Result", metric: str, fmt: Any, width: int | None) -> None:
    from lifesym.report import equation, function_table, legend_table  # noqa: PLC0415
    from lifesym.report.breaking import TEXT_WIDTH  # noqa: PLC0415

    rows = result.legend()
    if fmt == "json":
        legend = [
            {
                "symbol": row.name,
                "word": row.word,
                "latex": row.latex,
                "unit": row.unit,
                "meaning": row.meaning,
            }
            for row in rows
        ]
        data = {"metric": metric, "unit": result.unit, "expr": str(result.expr)}
        print_json(data | {"latex": result.latex(), "legend": legend})
        return
    typer.echo(equation(result, fmt, width or TEXT_WIDTH))
    if rows:
        typer.echo("\n" + legend_table(rows, fmt))
    functions = function_table(result.expr) if fmt == "text" else ""
    if functions:
        typer.echo("\n" + functions)
