"""``lifesym sensitivity``: what a forecast depends on most."""

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
    Context,
    Fraction,
    Generate,
    Lift,
    MetricOption,
    Plot,
    Prompt,
    asked,
    plain,
    shown,
)


def sensitivity(
    model: ModelName,
    on: HardwareName,
    metric: MetricOption = "tpot",
    batch: Batch = 1,
    prompt: Prompt = 512,
    generate: Generate = 128,
    past: Context = None,
    lift: Lift = "",
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
    """Rank what a forecast depends on: elasticities at a point, exact and one-sided at ties.

    An elasticity of -0.9 in bandwidth means: 1 % more bandwidth, 0.9 % less time. "If free" is
    what is left when the symbol costs nothing at all.
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
        fusion=fusion,
        overlap=overlap,
        mla=mla,
        causal=causal,
        routing=routing,
        numbers={
            "compute_efficiency": compute_efficiency,
            "memory_efficiency": memory_efficiency,
            "dispatch_time": dispatch_time,
        },
    )
    from lifesym.analysis import if_free, local_elasticities, regime_at, shares  # noqa: PLC0415 (SymPy)
    from lifesym.symbols import TABLE  # noqa: PLC0415

    quantity, point = question.quantity, question.point
    value = quantity.expr.xreplace(point).doit()
    ranked = local_elasticities(quantity, point)
    freed = {one.symbol: one for one in if_free(quantity, point)}
    parts = shares(quantity, point) if quantity.terms else {}
    if plot is not None:
        from lifesym.plots import elasticity_bars, save  # noqa: PLC0415 (Matplotlib)

        save(elasticity_bars(ranked, quantity.name), plot)
        note(f"wrote {plot}")
    if json:
        rows = []
        for row in ranked:
            sides = {"left": float(row.left), "right": float(row.right)}
            both = None if row.one_sided else float(row.right)
            free = freed.get(row.symbol)
            left = {} if free is None else {"if_free": plain(free.left)}
            rows.append({"symbol": row.symbol.name, "elasticity": both, **sides, **left})
        by_operator = {name: float(part) for name, part in parts.items()}
        bounds = regime_at(quantity, point).bounds if quantity.terms else {}
        data = {"value": float(value), "elasticities": rows, "shares": by_operator}
        print_json(question.head() | data | {"bounds": bounds})
        return
    body = []
    for row in (one for one in ranked if one.largest != 0):
        number = f"{float(row.right):+.4f}"
        if row.one_sided:
            number = f"{float(row.left):+.4f} | {number}"
        free = freed.get(row.symbol)
        limit = "" if free is None else shown(free.left, quantity.unit)
        here = shown(point[row.symbol], TABLE[row.symbol].unit)
        body.append([row.word, here, number, limit])
    header = ["symbol", "value", "elasticity", "if free"]
    table(f"{question.title}: {shown(value, quantity.unit)}", header, body, right=3)
    zeros = [row.word for row in ranked if row.largest == 0]
    if zeros:
        note(f"no effect here: {', '.join(zeros)}")
