"""``lifesym sensitivity``: what a forecast depends on most."""

from typing import Any

from lifesym.cli.charts import ChartOption, Devices, Swing, draw
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
    listed,
    plain,
    shown,
)

_OPERATORS = 8


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
    lora: LoraRank = None,
    fusion: FusionOption = "none",
    compute_efficiency: Fraction = None,
    memory_efficiency: Fraction = None,
    dispatch_time: Fraction = None,
    overlap: OverlapOption = "operator",
    mla: MlaOption = "absorbed",
    causal: CausalOption = "full",
    routing: RoutingOption = "uniform",
    plot: Plot = None,
    chart: ChartOption = "bars",
    swing: Swing = 0.1,
    devices: Devices = "",
    json: Json = False,
) -> None:
    """Rank what a forecast depends on: elasticities at a point, exact and one-sided at ties.

    An elasticity of -0.9 in bandwidth means: 1 % more bandwidth, 0.9 % less time. "If free" is
    what is left when the symbol costs nothing at all. --lift also takes chunk, rank, weight_bits,
    activation_bits and kv_bits. --plot draws the elasticities, or with --chart a tornado, a map of
    elasticities by device, or the operators under the roofline.
    """
    options: dict[str, Any] = {
        "batch": batch,
        "prompt": prompt,
        "generate": generate,
        "past": past,
        "lift": lift,
        "weights": weights,
        "activations": activations,
        "kv": kv,
        "chunk": chunk,
        "lora": lora,
        "fusion": fusion,
        "overlap": overlap,
        "mla": mla,
        "causal": causal,
        "routing": routing,
        "numbers": {
            "compute_efficiency": compute_efficiency,
            "memory_efficiency": memory_efficiency,
            "dispatch_time": dispatch_time,
        },
    }
    question = asked(model, on, metric, **options)
    if plot is not None:
        others = [asked(model, name, metric, **options) for name in listed(devices)]
        draw(chart, [question, *others], plot, swing)
    from lifesym.analysis import if_free, local_elasticities, regime_at, shares  # noqa: PLC0415 (SymPy)
    from lifesym.symbols import TABLE, ordered  # noqa: PLC0415

    quantity, point = question.quantity, question.point
    value = quantity.expr.xreplace(point).doit()
    ranked = local_elasticities(quantity, point)
    freed = {one.symbol: one for one in if_free(quantity, point)}
    parts = shares(quantity, point) if quantity.terms else {}
    bounds = regime_at(quantity, point).bounds if quantity.terms else {}
    if json:
        rows = []
        for row in ranked:
            sides = {"left": float(row.left), "right": float(row.right)}
            both = None if row.one_sided else float(row.right)
            free = freed.get(row.symbol)
            left = {} if free is None else {"if_free": plain(free.left)}
            rows.append({"symbol": row.symbol.name, "elasticity": both, **sides, **left})
        by_operator = {name: float(part) for name, part in parts.items()}
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
    question.print_said()
    table(f"{question.title}: {shown(value, quantity.unit)}", header, body, right=3)
    if parts:
        largest = [
            [name, f"{100 * float(part):.2f} %", bounds[name]]
            for name, part in list(parts.items())[:_OPERATORS]
        ]
        table("Operators that take most of it", ["operator", "share", "bound by"], largest, right=1)
    zeros = [row.word for row in ranked if row.largest == 0]
    if zeros:
        note(f"no effect here: {', '.join(zeros)}")
    unmoved = ordered(quantity.expr.free_symbols - {row.symbol for row in ranked})
    if unmoved:
        words = ", ".join(TABLE[symbol].word for symbol in unmoved)
        note(f"no elasticity, in the range of a sum without a closed form: {words}")
