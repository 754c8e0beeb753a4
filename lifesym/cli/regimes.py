"""``lifesym regimes`` and ``lifesym crossover``: what binds where, and where that changes."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    listed,
    plain,
)
from lifesym.errors import SymbolError

if TYPE_CHECKING:
    import numpy as np
    from sympy import Symbol

    from lifesym.analysis import Stretch
    from lifesym.cli.meet import Side

_CELLS = 200
WIDE = 50  # the ratio of ends from which an axis is logarithmic, as in lifesym.plots.style


def regimes(
    model: ModelName,
    on: HardwareName,
    over: Annotated[
        str, typer.Option("--over", metavar="X[,Y]", help="The symbol, or two for a map.")
    ],
    metric: MetricOption = "tpot",
    low: Low = None,
    high: High = None,
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
    """Show which operators are bound by compute, memory or dispatch, in order along a symbol.

    With two symbols the regimes of a 200 x 200 grid are listed by area. --from and --to belong to
    the first symbol.
    """
    question = asked(
        model,
        on,
        metric,
        batch=batch,
        prompt=prompt,
        generate=generate,
        past=past,
        weights=weights,
        activations=activations,
        kv=kv,
        chunk=chunk,
        fusion=fusion,
        overlap=overlap,
        mla=mla,
        causal=causal,
        routing=routing,
        over=over,
        numbers={
            "compute_efficiency": compute_efficiency,
            "memory_efficiency": memory_efficiency,
            "dispatch_time": dispatch_time,
        },
    )
    names = listed(over)
    if len(names) == 1:
        _line(question, names[0], low, high, plot, json)
    elif len(names) == 2:
        _map(question, names, low, high, plot, json)
    else:
        raise SymbolError(f"--over takes one symbol, or two with a comma, not {over!r}")


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


def _stretches(
    question: Asked, over: str, low: float | None, high: float | None
) -> "tuple[Symbol, tuple[Stretch, ...]]":
    from lifesym.analysis import regimes as along  # noqa: PLC0415 (SymPy)
    from lifesym.analysis.questions import symbol_of  # noqa: PLC0415

    symbol = symbol_of(question.quantity, over)
    ends = question.range_of(symbol, low, high)
    others = {other: value for other, value in question.point.items() if other != symbol}
    return symbol, along(question.quantity, symbol, ends, others)


def _line(
    question: Asked, over: str, low: float | None, high: float | None, plot: str | None, json: bool
) -> None:
    symbol, found = _stretches(question, over, low, high)
    _draw_line(question, symbol, found, plot)
    if json:
        rows = [
            {
                "from": plain(one.low),
                "to": plain(one.high),
                "exact": one.exact,
                "bounds": one.regime.bounds,
                "formula": str(one.regime.expr),
                "conditions": [str(condition) for condition in one.regime.conditions],
            }
            for one in found
        ]
        print_json(question.head(symbol) | {"over": symbol.name, "regimes": rows})
        return
    body = []
    for one in found:
        counts = [len(one.regime.operators(r)) for r in ("compute", "memory", "dispatch")]
        changes = "; ".join(f"{name} {a} → {b}" for name, a, b in one.changes)
        ends = [f"{float(one.low):.6g}", f"{float(one.high):.6g}"]
        body.append([changes or "(start)", *ends, *map(str, counts)])
    header = ["change", "from", "to", "compute", "memory", "dispatch"]
    table(f"{question.title}: operators bound by each, over {over}", header, body, right=5)


def _draw_line(
    question: Asked, symbol: "Symbol", found: "tuple[Stretch, ...]", plot: str | None
) -> None:
    if plot is None:
        return
    from lifesym.plots import save, stacked_time  # noqa: PLC0415 (Matplotlib)

    grid = _grid(float(found[0].low), float(found[-1].high), 400)
    others = {other: value for other, value in question.point.items() if other != symbol}
    save(stacked_time(question.quantity, symbol, grid, others, boundaries=found), plot)
    note(f"wrote {plot}")


def _map(
    question: Asked,
    names: list[str],
    low: float | None,
    high: float | None,
    plot: str | None,
    json: bool,
) -> None:
    import numpy as np  # noqa: PLC0415 (only for a grid)

    from lifesym.analysis import regime_map  # noqa: PLC0415 (SymPy)
    from lifesym.analysis.questions import symbol_of  # noqa: PLC0415

    pair = [symbol_of(question.quantity, name) for name in names]
    ends = [question.range_of(pair[0], low, high), question.range_of(pair[1], None, None)]
    grids = [_grid(float(a), float(b)) for a, b in ends]
    others = {other: value for other, value in question.point.items() if other not in pair}
    chart = regime_map(question.quantity, pair, grids[0], grids[1], others)
    if plot is not None:
        from lifesym.plots import regime_chart, save  # noqa: PLC0415 (Matplotlib)

        save(regime_chart(chart), plot)
        note(f"wrote {plot}")
    cells = np.bincount(chart.ids.ravel(), minlength=len(chart.regimes)) / chart.ids.size
    if json:
        rows = [
            {"area": float(area), "bounds": dict(bounds)}
            for area, bounds in zip(cells, chart.regimes, strict=True)
        ]
        head = question.head(*pair) | {"over": [symbol.name for symbol in pair]}
        print_json(head | {"regimes": rows})
        return
    from lifesym.plots import summaries  # noqa: PLC0415 (SymPy)

    body = []
    named = summaries(chart.regimes, most=3)
    for area, bounds, text in zip(cells, chart.regimes, named, strict=True):
        counts = [str(list(bounds.values()).count(r)) for r in ("compute", "memory", "dispatch")]
        body.append([text.replace("\n", "; "), f"{100 * area:.2f} %", *counts])
    header = ["where the regimes differ", "area", "compute", "memory", "dispatch"]
    table(f"{question.title}: operators bound by each", header, body, right=4)


def _grid(low: float, high: float, count: int = _CELLS) -> "np.ndarray[Any, Any]":
    """Evenly spaced in ratio where the ends are far apart, so that a plot's cells are even."""
    import numpy as np  # noqa: PLC0415 (only for a grid)

    wide = low > 0 and high / low > WIDE
    return (np.geomspace if wide else np.linspace)(low, high, count)


def _changes(
    question: Asked, over: str, low: float | None, high: float | None, plot: str | None, json: bool
) -> None:
    from lifesym.analysis import meeting_points  # noqa: PLC0415 (SymPy)
    from lifesym.analysis.regime import operators  # noqa: PLC0415

    symbol, found = _stretches(question, over, low, high)
    _draw_line(question, symbol, found, plot)
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
    sides: "list[Side]",
    over: str,
    low: float | None,
    high: float | None,
    plot: str | None,
    json: bool,
) -> None:
    from lifesym.symbols import resolve  # noqa: PLC0415 (SymPy)

    symbol = resolve(over)
    ends = question.range_of(symbol, low, high)
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
        table(title, [over, "smaller above it", "formula"], body)
