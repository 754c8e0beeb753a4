"""``lifesym design``: the value of a symbol that meets a target."""

from typing import Annotated, Any

import typer

from lifesym.cli.options import (
    Activations,
    Batch,
    CausalOption,
    Chunk,
    FusionOption,
    HardwareName,
    Json,
    Kv,
    LoraRank,
    MlaOption,
    ModelName,
    RoutingOption,
    Weights,
)
from lifesym.cli.output import note, print_json, table
from lifesym.cli.question import (
    Context,
    Fraction,
    Generate,
    High,
    Low,
    MetricOption,
    Over,
    Plot,
    Prompt,
    apart,
    asked,
    plain,
    shown,
)

_RATES = ("FLOP/s", "byte/s", "FLOP", "byte")
Target = Annotated[float | None, typer.Option(metavar="X", help="In the metric's SI unit.")]


def design(
    model: ModelName,
    on: HardwareName,
    over: Over,
    metric: MetricOption = "tpot",
    at_most: Target = None,
    at_least: Target = None,
    low: Low = None,
    high: High = None,
    lift: Annotated[
        str, typer.Option(metavar="NAME,...", help="Dimensions of the model kept as symbols.")
    ] = "",
    batch: Batch = 1,
    prompt: Prompt = 512,
    generate: Generate = 128,
    past: Context = None,
    weights: Weights = None,
    activations: Activations = None,
    kv: Kv = None,
    chunk: Chunk = None,
    lora: LoraRank = None,
    fusion: FusionOption = "none",
    compute_efficiency: Fraction = None,
    memory_efficiency: Fraction = None,
    dispatch_time: Fraction = None,
    mla: MlaOption = "absorbed",
    causal: CausalOption = "full",
    routing: RoutingOption = "uniform",
    plot: Plot = None,
    json: Json = False,
) -> None:
    """Solve for the bandwidth, peak, batch, context, bits, rank or chunk that meets a target.

    Everything but the symbol that is asked for is as given, or the device's own. The answer is
    put back exactly; of a size, the next whole number is checked to miss the target.
    """
    question = asked(
        model,
        on,
        metric,
        batch=batch,
        prompt=prompt,
        generate=generate,
        past=past,
        lift=lift,
        weights=weights,
        activations=activations,
        kv=kv,
        chunk=chunk,
        lora=lora,
        over=over,
        fusion=fusion,
        mla=mla,
        causal=causal,
        routing=routing,
        numbers={
            "compute_efficiency": compute_efficiency,
            "memory_efficiency": memory_efficiency,
            "dispatch_time": dispatch_time,
        },
    )
    from lifesym.analysis import design as solve  # noqa: PLC0415 (SymPy)
    from lifesym.analysis.questions import symbol_of  # noqa: PLC0415
    from lifesym.symbols import TABLE  # noqa: PLC0415

    symbol = symbol_of(question.quantity, over)
    others = {other: value for other, value in question.point.items() if other != symbol}
    ends: Any = None
    if low is not None or high is not None:
        ends = question.range_of(symbol, low, high)
    found = solve(
        question.quantity, symbol, others, at_most=at_most, at_least=at_least, between=ends
    )
    unit, own = question.quantity.unit, TABLE[symbol].unit
    if plot is not None:
        from lifesym.plots import against_target, save  # noqa: PLC0415 (Matplotlib)

        save(against_target(question.quantity, found, others, unit, question.quantity.name), plot)
        note(f"wrote {plot}")
    if json:
        data = {
            "over": symbol.name,
            "want": found.want,
            "target": plain(found.target),
            "answer": plain(found.answer),
            "solution": plain(found.solution),
            "formula": None if found.formula is None else str(found.formula),
            "achieved": plain(found.achieved),
            "next_misses": None if found.next_misses is None else plain(found.next_misses),
            "feasible": [[plain(one.low), plain(one.high)] for one in found.feasible],
        }
        print_json(question.head(symbol) | data)
        return
    whole = str(found.answer) if found.answer.is_Integer and own not in _RATES else None
    rows = [[f"{found.want} {TABLE[symbol].word}", whole or shown(found.answer, own)]]
    if found.next_misses is None:
        rows.append([f"{question.metric} there", shown(found.achieved, unit)])
    else:
        here, further = apart(found.achieved, found.next_misses, unit)
        rows.append([f"{question.metric} there", here])
        rows.append([f"{question.metric} one further", further])
    if found.formula is not None:
        rows.append(["formula", str(found.formula)])
    bound = "at most" if at_most is not None else "at least"
    question.print_said()
    table(f"{question.title}: {bound} {shown(found.target, unit)}", ["", ""], rows)
