"""``lifesym crossover``: where a bottleneck changes, and where two configurations meet."""

from typing import TYPE_CHECKING, Annotated, Any

from lifesym.cli.meet import AGAINST, against, bound, meetings, of_parts
from lifesym.cli.options import (
    MLA,
    Activations,
    Batch,
    CausalOption,
    Chunk,
    FusionOption,
    HardwareName,
    Json,
    Kv,
    MlaOption,
    ModelName,
    OverlapOption,
    RoutingOption,
    Weights,
    choice,
    size_option,
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

if TYPE_CHECKING:
    from lifesym.cli.meet import Side


def crossover(
    model: ModelName,
    on: HardwareName,
    over: Over,
    metric: MetricOption = "tpot",
    low: Low = None,
    high: High = None,
    against_on: Annotated[
        str | None, against("--against-on", "HW", "Compare with this device.")
    ] = None,
    against_weights: Annotated[
        str | None, against("--against-weights", "FMT", "... these weights.")
    ] = None,
    against_model: Annotated[
        str | None, against("--against-model", "MODEL", "... this model.")
    ] = None,
    against_kv: Annotated[str | None, against("--against-kv", "FMT", "... this cache.")] = None,
    against_mla: Annotated[
        MLA | None, choice("--against-mla", "... this latent attention.", AGAINST)
    ] = None,
    against_chunk: Annotated[
        int | None,
        size_option("--against-chunk", "... chunks of so many tokens; 0 for none.", AGAINST, 0),
    ] = None,
    parts: Annotated[
        str,
        against("--parts", "A,B", "Compare operators whose names begin so: attn,mlp."),
    ] = "",
    batch: Batch = 1,
    prompt: Prompt = 512,
    generate: Generate = 128,
    past: Context = None,
    weights: Weights = None,
    activations: Activations = None,
    kv: Kv = None,
    chunk: Chunk = None,
    fusion: FusionOption = "none",
    compute_efficiency: Fraction = None,
    memory_efficiency: Fraction = None,
    dispatch_time: Fraction = None,
    overlap: OverlapOption = "operator",
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
        "fusion": fusion,
        "overlap": overlap,
        "over": over,
        "causal": causal,
        "routing": routing,
        "numbers": {
            "compute_efficiency": compute_efficiency,
            "memory_efficiency": memory_efficiency,
            "dispatch_time": dispatch_time,
        },
    }
    own: dict[str, Any] = {"weights": weights, "kv": kv, "mla": mla, "chunk": chunk}
    theirs = {"weights": against_weights, "kv": against_kv, "mla": against_mla}
    changed: dict[str, Any] = {name: value for name, value in theirs.items() if value is not None}
    if against_chunk is not None:
        changed["chunk"] = against_chunk or None
    question = asked(model, on, metric, **own, **options)
    if changed or against_on or against_model:
        device = against_on or on
        other = asked(against_model or model, device, metric, **(own | changed), **options)
        if parts:
            raise SymbolError("give --parts or one of the --against options, not both")
        sides = [
            (one.described(changed), one.quantity.expr, one.point) for one in (question, other)
        ]
        _compare(question, sides, over, low, high, plot, json)
    elif parts:
        _compare(question, of_parts(question, parts), over, low, high, plot, json)
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
    question.print_said()
    table(f"{question.title}: where the bottleneck changes", header, body)


def _compare(
    question: Asked,
    sides: "list[Side]",
    over: str,
    low: float | None,
    high: float | None,
    plot: str | None,
    json: bool,
) -> None:
    from lifesym.symbols import resolve  # noqa: PLC0415 (SymPy)

    symbol = resolve(over)
    ends = question.line_of(symbol, low, high, [bound(*side[1:], symbol) for side in sides])
    found = meetings(sides, symbol, ends)
    if plot is not None:
        from lifesym.plots import save, two_curves  # noqa: PLC0415 (Matplotlib)

        curves = {label: bound(expr, point, symbol) for label, expr, point in sides}
        save(two_curves(curves, symbol, ends, found, question.quantity), plot)
        note(f"wrote {plot}")
    rows = [
        {
            "value": plain(m.value),
            "low": plain(m.low),
            "high": plain(m.high),
            "exact": m.exact,
            "smaller_above": m.smaller,
            "formula": None if m.formula is None else str(m.formula),
        }
        for m in found
    ]
    first, second = (label for label, _, _ in sides)
    if json:
        print_json(question.head(symbol) | {"over": symbol.name, "crossovers": rows})
    elif not rows:
        note(f"the two do not meet over this range of {over}")
    else:
        labels = {"first": first, "second": second, "neither": "(they touch)"}
        body = [
            [
                f"{row['value']:.6g}",
                labels[str(row["smaller_above"])],
                str(row["formula"] or "no closed form"),
            ]
            for row in rows
        ]
        title = f"{question.metric}: {first} against {second}"
        question.print_said()
        table(title, [over, "smaller above it", "formula"], body)
