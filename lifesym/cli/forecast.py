"""``lifesym forecast``: the speed of a model on a device, in numbers."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifesym.cli.build import build
from lifesym.cli.compare import compare as print_comparison
from lifesym.cli.options import (
    DEVICE,
    Acceptance,
    Activations,
    Adapter,
    Batch,
    CausalOption,
    Chunk,
    Compare,
    DataParallel,
    Draft,
    DraftTokens,
    ExpertParallel,
    FusionOption,
    HardwareName,
    Json,
    Kv,
    KvBudget,
    KvPage,
    KvRank,
    KvShare,
    LoraRank,
    Microbatches,
    MlaOption,
    ModelName,
    OffloadBandwidth,
    OffloadExperts,
    OffloadKv,
    OffloadWeights,
    OverlapOption,
    Past,
    Prefix,
    RoutingOption,
    SequenceParallel,
    Stages,
    TensorParallel,
    Weights,
    size_option,
)
from lifesym.cli.output import note, print_json, table, whole
from lifesym.cli.serving import pipelined, speculated

if TYPE_CHECKING:
    from lifesym.hardware import Hardware
    from lifesym.inference import Forecast
    from lifesym.roofline import Term

Typical = Annotated[
    bool,
    typer.Option(
        "--typical",
        help="With the usual efficiencies of its class, where it has none of its own.",
        rich_help_panel=DEVICE,
    ),
]
Efficiency = Annotated[
    float | None,
    typer.Option(
        metavar="X", help="Attained fraction, instead of the device's.", rich_help_panel=DEVICE
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(metavar="S", help="Seconds to dispatch an operator.", rich_help_panel=DEVICE),
]


def forecast(
    model: ModelName,
    on: HardwareName,
    prompt: Annotated[int, size_option("--prompt", "Prompt tokens of each sequence.")],
    generate: Annotated[int, size_option("--generate", "Tokens generated a sequence.")],
    batch: Batch = 1,
    past: Past = 0,
    weights: Weights = None,
    activations: Activations = None,
    kv: Kv = None,
    chunk: Chunk = None,
    lora: LoraRank = None,
    adapter: Adapter = None,
    fusion: FusionOption = "none",
    prefix: Prefix = None,
    kv_budget: KvBudget = None,
    kv_rank: KvRank = None,
    kv_share: KvShare = None,
    kv_page: KvPage = None,
    tensor_parallel: TensorParallel = 1,
    sequence_parallel: SequenceParallel = False,
    expert_parallel: ExpertParallel = 1,
    data_parallel: DataParallel = 1,
    pipeline: Stages = None,
    microbatches: Microbatches = 1,
    offload_weights: OffloadWeights = None,
    offload_experts: OffloadExperts = None,
    offload_kv: OffloadKv = None,
    offload_bandwidth: OffloadBandwidth = None,
    draft: Draft = None,
    draft_tokens: DraftTokens = 4,
    acceptance: Acceptance = 0.8,
    typical: Typical = False,
    compute_efficiency: Efficiency = None,
    memory_efficiency: Efficiency = None,
    dispatch_time: Seconds = None,
    overlap: OverlapOption = "operator",
    mla: MlaOption = "absorbed",
    causal: CausalOption = "full",
    routing: RoutingOption = "uniform",
    compare: Compare = None,
    json: Json = False,
) -> None:
    """Forecast TTFT, TPOT, TPS, latency, memory and energy on a device.

    Without efficiencies the device runs at its peaks: a bound on its speed.
    """
    options = dict(locals())
    import lifesym as ls  # noqa: PLC0415 (SymPy only where a command needs it)

    chosen = {
        "compute_efficiency": compute_efficiency,
        "memory_efficiency": memory_efficiency,
        "dispatch_time": dispatch_time,
    }
    numbers = {name: value for name, value in chosen.items() if value is not None}
    device = ls.load_hardware(on)
    hardware = (ls.typical(device) if typical else device).with_(**numbers)
    loaded = ls.load_model(model)
    base = {name: value for name, value in options.items() if name not in _ASIDE}
    if compare:
        print_comparison(loaded, hardware, (prompt, generate), base, compare, json=json)
        return
    result = build(loaded, hardware, prompt, generate, base)
    data = summary(result)
    if draft is not None:
        other = (
            None
            if draft == "self"
            else build(ls.load_model(draft), hardware, prompt, generate, {"batch": batch})
        )
        data["speculative"] = speculated(result, other, draft_tokens, acceptance)
    if pipeline is not None:
        data["pipeline"] = pipelined(result, pipeline, microbatches)
    held = data.get("pipeline", data)["memory_bytes"]
    if hardware.capacity is not None and held > hardware.capacity:
        note(
            f"warning: {held / 1e9:.1f} GB do not fit in the "
            f"{float(hardware.capacity) / 1e9:g} GB of {hardware.name}"
        )
    if json:
        print_json(data)
    else:
        _print(data, hardware)


_ASIDE = frozenset(
    {
        *("model", "on", "prompt", "generate", "json", "compare"),
        *("typical", "compute_efficiency", "memory_efficiency", "dispatch_time"),
        *("pipeline", "microbatches", "draft", "draft_tokens", "acceptance"),
    }
)
"""Arguments of the command that are no options of a forecast."""


def summary(result: "Forecast") -> dict[str, Any]:
    """The contract's keys, and the terms of both phases."""
    tpot = result.tpot
    energy = None if result.hardware.static_power is None else float(result.energy)
    return {
        "model": result.model.name,
        "hardware": result.hardware.name,
        "weights": result.precision.weights.name,
        "activations": result.precision.activations.name,
        "kv": result.precision.kv.name,
        "ttft_s": float(result.ttft),
        "tpot_s": float(tpot.mean),
        "tpot_first_s": float(tpot.first),
        "tpot_last_s": float(tpot.last),
        "tps": float(result.tps),
        "latency_s": float(result.latency),
        "memory_bytes": whole(result.memory.expr),
        "energy_j": energy,
        "bottleneck": {phase: result.bottleneck(phase) for phase in ("prefill", "decode")},
        "terms": {"prefill": _terms(result.ttft.terms), "decode": _terms(tpot.mean.terms)},
    }


def _terms(terms: "tuple[Term, ...]") -> list[dict[str, Any]]:
    rows = []
    total = sum(float(term.time.doit()) for term in terms)
    for term in terms:
        seconds = {
            f"{name}_s": float(getattr(term, name).doit())
            for name in ("compute", "memory", "dispatch", "network", "time")
        }
        share = seconds["time_s"] / total if total else 0.0
        rows.append({"name": term.name, "section": term.section, **seconds, "share": share})
    return rows


def _print(data: dict[str, Any], hardware: "Hardware") -> None:
    from lifesym.report.units import quantity  # noqa: PLC0415

    energy = "not known" if data["energy_j"] is None else quantity(data["energy_j"], "J")
    bound = data["bottleneck"]
    rows = [
        ["TTFT", quantity(data["ttft_s"], "s"), f"{bound['prefill']}-bound"],
        ["TPOT, mean", quantity(data["tpot_s"], "s"), f"{bound['decode']}-bound"],
        ["TPOT, first step", quantity(data["tpot_first_s"], "s"), ""],
        ["TPOT, last step", quantity(data["tpot_last_s"], "s"), ""],
        ["TPS", quantity(data["tps"], "token/s"), "all sequences"],
        ["latency", quantity(data["latency_s"], "s"), "prompt and generation"],
        ["memory", quantity(data["memory_bytes"], "byte"), "weights and KV cache"],
        ["energy", energy, "at most, from the TDP" if hardware.static_power else ""],
    ]
    for key, title in (("speculative", "speculative decoding"), ("pipeline", "in a pipeline")):
        for name, value in data.get(key, {}).items():
            word, _, suffix = name.rpartition("_")
            unit = {"s": "s", "bytes": "byte"}.get(suffix)
            shown = quantity(value, unit) if unit else f"{value:.3g}"
            rows.append([(word if unit else name).replace("_", " "), shown, title])
    formats = f"{data['weights']} weights, {data['activations']} activations, {data['kv']} KV"
    table(f"{data['model']} on {data['hardware']} ({formats})", ["", "forecast", ""], rows)
    for phase in ("prefill", "decode"):
        _print_terms(phase, data["terms"][phase])


_SUMMED = ("compute_s", "memory_s", "time_s", "share")


def _print_terms(phase: str, terms: list[dict[str, Any]]) -> None:
    from lifesym.report.units import quantity  # noqa: PLC0415

    merged: dict[str, dict[str, float]] = {}
    for term in terms:
        row = merged.setdefault(term["name"], dict.fromkeys(_SUMMED, 0.0))
        for key in row:
            row[key] += term[key]
    body = [
        [
            name,
            quantity(row["compute_s"], "s"),
            quantity(row["memory_s"], "s"),
            quantity(row["time_s"], "s"),
            f"{100 * row['share']:.1f} %",
        ]
        for name, row in sorted(merged.items(), key=lambda item: -item[1]["time_s"])
    ]
    title = f"{phase}: {'whole prompt' if phase == 'prefill' else 'mean step'}, slowest first"
    table(title, ["operator", "compute", "memory", "time", "share"], body, right=4)
