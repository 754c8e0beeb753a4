"""``lifesym regimes``: what binds where, along a symbol and over two."""

from typing import TYPE_CHECKING, Annotated, Any

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
    MlaOption,
    ModelName,
    OverlapOption,
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

_CELLS = 200
_STEPS = 16  # of a rounded quotient, unless a range is given: each takes some rows of the table
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


def stretches(
    question: Asked, over: str, low: float | None, high: float | None
) -> "tuple[Symbol, tuple[Stretch, ...]]":
    """The symbol that a question is about, and its regimes in order."""
    from lifesym.analysis import regimes as along  # noqa: PLC0415 (SymPy)
    from lifesym.analysis.questions import symbol_of  # noqa: PLC0415

    symbol = symbol_of(question.quantity, over)
    others = {other: value for other, value in question.point.items() if other != symbol}
    expr = question.quantity.expr.xreplace(others)
    ends = question.line_of(symbol, low, high, [expr], steps=_STEPS)
    return symbol, along(question.quantity, symbol, ends, others)


def _line(
    question: Asked, over: str, low: float | None, high: float | None, plot: str | None, json: bool
) -> None:
    symbol, found = stretches(question, over, low, high)
    draw_line(question, symbol, found, plot)
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
    body: list[list[str]] = []
    for one in found:
        counts = [len(one.regime.operators(r)) for r in ("compute", "memory", "dispatch")]
        changes = "; ".join(f"{name} {a} → {b}" for name, a, b in one.changes)
        ends = [f"{float(one.low):.6g}", f"{float(one.high):.6g}"]
        body.append([changes or ("(step)" if body else "(start)"), *ends, *map(str, counts)])
    header = ["change", "from", "to", "compute", "memory", "dispatch"]
    question.print_said()
    table(f"{question.title}: operators bound by each, over {over}", header, body, right=5)


def draw_line(
    question: Asked, symbol: "Symbol", found: "tuple[Stretch, ...]", plot: str | None
) -> None:
    """Write the plot of a line's regimes, where one is asked for."""
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
    question.print_said()
    table(f"{question.title}: operators bound by each", header, body, right=4)


def _grid(low: float, high: float, count: int = _CELLS) -> "np.ndarray[Any, Any]":
    """Evenly spaced in ratio where the ends are far apart, so that a plot's cells are even."""
    import numpy as np  # noqa: PLC0415 (only for a grid)

    wide = low > 0 and high / low > WIDE
    return (np.geomspace if wide else np.linspace)(low, high, count)
