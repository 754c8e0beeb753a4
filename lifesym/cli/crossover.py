"""``lifesym crossover``: where a bottleneck changes, and where two configurations meet."""

from typing import Annotated, Any

import typer

from lifesym.cli.options import (
    Activations,
    Batch,
    CausalOption,
    FusionOption,
    HardwareName,
    Json,
    Kv,
    MlaOption,
    ModelName,
    RoutingOption,
    Weights,
)
from lifesym.cli.output import note, print_json, table
from lifesym.cli.question import (
    Asked,
    Context,
    Fraction,
    Generate,
    High,
    Low,
    MetricOption,
    Over,
    Plot,
    Prompt,
    asked,
    plain,
)
from lifesym.cli.regimes import draw_line, stretches
from lifesym.errors import SymbolError


def crossover(
    model: ModelName,
    on: HardwareName,
    over: Over,
    metric: MetricOption = "tpot",
    low: Low = None,
    high: High = None,
    against_on: Annotated[
        str | None, typer.Option("--against-on", metavar="HW", help="Compare with this device.")
    ] = None,
    against_weights: Annotated[
        str | None, typer.Option("--against-weights", metavar="FMT", help="... these weights.")
    ] = None,
    against_model: Annotated[
        str | None, typer.Option("--against-model", metavar="MODEL", help="... this model.")
    ] = None,
    batch: Batch = 1,
    prompt: Prompt = 512,
    generate: Generate = 128,
    past: Context = None,
    weights: Weights = None,
    activations: Activations = None,
    kv: Kv = None,
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
    """Find where the bottleneck of an operator changes, as a formula and a number.

    With one of the --against options: where two configurations take the same time.
    """
    options: dict[str, Any] = {
        "batch": batch,
        "prompt": prompt,
        "generate": generate,
        "past": past,
        "activations": activations,
        "kv": kv,
        "fusion": fusion,
        "mla": mla,
        "causal": causal,
        "routing": routing,
        "numbers": {
            "compute_efficiency": compute_efficiency,
            "memory_efficiency": memory_efficiency,
            "dispatch_time": dispatch_time,
        },
    }
    question = asked(model, on, metric, weights=weights, **options)
    if against_on or against_weights or against_model:
        other = asked(
            against_model or model,
            against_on or on,
            metric,
            weights=against_weights or weights,
            **options,
        )
        _compare(question, other, over, low, high, plot, json)
    else:
        _changes(question, over, low, high, plot, json)


def _changes(
    question: Asked, over: str, low: float | None, high: float | None, plot: str | None, json: bool
) -> None:
    from lifesym.analysis import meeting_points  # noqa: PLC0415 (SymPy)
    from lifesym.analysis.regime import operators  # noqa: PLC0415

    symbol, found = stretches(question, over, low, high)
    draw_line(question, symbol, found, plot)
    terms = dict(operators(question.quantity))
    rows = []
    for one in found:
        for name, before, after in one.changes:
            times = (getattr(terms[name], before), getattr(terms[name], after))
            try:
                points = meeting_points(times[0], times[1], symbol)
            except SymbolError:
                points = ()
            here = [p for p in points if p.xreplace(question.point) == one.low]
            rows.append(
                {
                    "operator": name,
                    "before": before,
                    "after": after,
                    "value": plain(one.low),
                    "exact": one.exact,
                    "formula": str(here[0]) if here else None,
                }
            )
    if json:
        print_json(question.head(symbol) | {"over": symbol.name, "crossovers": rows})
        return
    body = [
        [
            str(row["operator"]),
            f"{row['before']} → {row['after']}",
            f"{row['value']:.6g}",
            str(row["formula"] or "no closed form"),
        ]
        for row in rows
    ]
    if not body:
        note(f"no bottleneck changes over this range of {over}")
        return
    header = ["operator", "bound by", over, "formula"]
    table(f"{question.title}: where the bottleneck changes", header, body)


def _compare(
    question: Asked,
    other: Asked,
    over: str,
    low: float | None,
    high: float | None,
    plot: str | None,
    json: bool,
) -> None:
    from lifesym.analysis import crossover as meet  # noqa: PLC0415 (SymPy)
    from lifesym.analysis.questions import symbol_of  # noqa: PLC0415

    symbol = symbol_of(question.quantity, over)
    ends = question.range_of(symbol, low, high)
    one, two = (
        asked_one.quantity.expr.xreplace({s: v for s, v in asked_one.point.items() if s != symbol})
        for asked_one in (question, other)
    )
    found = meet(one, two, symbol, ends)
    if plot is not None:
        from lifesym.plots import save, two_curves  # noqa: PLC0415 (Matplotlib)

        curves = {question.label: one, other.label: two}
        save(two_curves(curves, symbol, ends, found, question.quantity), plot)
        note(f"wrote {plot}")
    rows = [
        {
            "value": plain(m.value),
            "low": plain(m.low),
            "high": plain(m.high),
            "exact": m.exact,
            "smaller_above": m.smaller,
        }
        for m in found
    ]
    if json:
        print_json(question.head(symbol) | {"over": symbol.name, "crossovers": rows})
    elif not rows:
        note(f"the two do not meet over this range of {over}")
    else:
        labels = {"first": question.label, "second": other.label, "neither": "(they touch)"}
        body = [[f"{row['value']:.6g}", labels[str(row["smaller_above"])]] for row in rows]
        title = f"{question.metric}: {question.label} against {other.label}"
        table(title, [over, "smaller above it"], body)
