"""``lifesym count``: the exact cost of one forward pass."""

from dataclasses import replace
from typing import Annotated

from lifesym.cli.options import (
    WORKLOAD,
    Activations,
    Batch,
    CausalOption,
    Json,
    Kv,
    Logits,
    MlaOption,
    ModelName,
    Past,
    RoutingOption,
    Weights,
    choice,
    size_option,
)
from lifesym.cli.output import line, print_json, said_of, table, whole
from lifesym.cli.routing import Imbalance, Probabilities, chosen_routing

_FIELDS = (
    "matmul_flops",
    "vector_flops",
    "dequant_ops",
    "weight_bytes",
    "activation_read_bytes",
    "activation_write_bytes",
    "kv_read_bytes",
    "kv_write_bytes",
    "dispatches",
)


def count(
    model: ModelName,
    batch: Batch = 1,
    new: Annotated[int, size_option("--new", "New tokens of each sequence.")] = 1,
    past: Past = 0,
    source: Annotated[
        int | None, size_option("--source", "Positions of the encoder, where a model has one.")
    ] = None,
    logits: Annotated[
        Logits, choice("--logits", "Positions the LM head is applied to.", WORKLOAD)
    ] = "last",
    weights: Weights = None,
    activations: Activations = None,
    kv: Kv = None,
    mla: MlaOption = "absorbed",
    causal: CausalOption = "full",
    routing: RoutingOption = "uniform",
    probabilities: Probabilities = None,
    imbalance: Imbalance = None,
    json: Json = False,
) -> None:
    """Count the operations, bytes and dispatches of one forward pass, exactly.

    Prefill is --new S; a decode step is --new 1 --past T. Part of a byte is rounded up.

    weight_bytes are those that the pass reads.
    """
    import lifesym as ls  # noqa: PLC0415 (SymPy only where a command needs it)
    from lifesym.formats import Precision  # noqa: PLC0415
    from lifesym.gguf_mixes import fitted  # noqa: PLC0415

    loaded = ls.load_model(model)
    held = loaded.stored
    from_config = weights is None and held is not None
    base = (held.base or held.weights) if held and from_config else None
    computed = base if base is not None and base.native else None
    cached = held.kv if held else None
    origin = "default"
    if held is not None and computed is not None:
        origin = held.base_source or f"from {held.source}"
    of_cache = f"from {held.source}" if held and cached else origin
    asked = replace(
        Precision.of(
            (held.weights if held else "bf16") if weights is None else weights,
            (computed or "bf16") if activations is None else activations,
            (cached or computed or "bf16") if kv is None else kv,
        ),
        origins={
            "weights": f"from {held.source}" if held and from_config else _chosen(weights),
            "activations": origin if activations is None else "option",
            "kv": of_cache if kv is None else "option",
        },
    )
    precision = fitted(asked, loaded)
    if source is not None:
        loaded = loaded.with_source(source)
    elif loaded.kind == "encoder-decoder" and ls.symbols.source not in loaded.values:
        raise ls.SpecError(f"{loaded.name} has an encoder: give its positions with --source")
    rule = {"routing": routing, "probabilities": probabilities, "imbalance": imbalance}
    trace = loaded.forward(batch, new, past, logits, mla, causal, chosen_routing(rule))
    cost = trace.cost_at(precision)
    totals = {name: whole(getattr(cost, name)) for name in _FIELDS}
    bare = "decoder" not in loaded.kind and logits == "none"
    owned = replace(loaded, towers=()).matrices("none" if bare else "all")
    totals["parameters"] = sum(whole(matrix.elements) for matrix in owned)
    if loaded.towers:
        totals["tower_parameters"] = whole(loaded.tower_parameters)
    totals["kv_bytes_per_token"] = whole(loaded.kv_bytes_per_token(precision.kv, mla))
    groups = trace.group_by("name")
    costs = {name: part.cost_at(precision) for name, part in groups.items()}
    if json:
        flops = {name: whole(part.matmul_flops) for name, part in costs.items()}
        by_operator = {name: value for name, value in flops.items() if value}
        print_json(totals | {"by_operator": by_operator})
        return
    from lifesym.report.units import quantity  # noqa: PLC0415

    rows = [
        [
            name,
            quantity(part.matmul_flops, "FLOP"),
            quantity(part.vector_flops + part.dequant_ops, "FLOP"),
            quantity(part.weight_bytes, "byte"),
            quantity(part.bytes - part.weight_bytes, "byte"),
        ]
        for name, part in costs.items()
    ]
    for said in said_of(precision, loaded):
        line(said)
    header = ["operator", "matrix", "elementwise", "weights", "other bytes"]
    table(f"{loaded.name}: one forward pass", header, rows, right=4)
    exact = [[name, f"{value:,}"] for name, value in totals.items()]
    table("Totals", ["quantity", "exact"], exact, right=1)


def _chosen(option: str | None) -> str:
    """Who chose a format that no file says."""
    return "default" if option is None else "option"
