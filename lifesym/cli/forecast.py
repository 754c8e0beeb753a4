"""``lifesym forecast``: the speed of a model on a device, in numbers."""

from typing import Annotated, Any

import typer

from lifesym.cli.build import build
from lifesym.cli.compare import compare as print_comparison
from lifesym.cli.optimizations import (
    AllReduce,
    Contexts,
    KvKeep,
    KvScored,
    LinkBandwidth,
    LinkLatency,
    LoraAdapters,
    LoraMerged,
    LoraTargets,
    Price,
    RoleFormat,
    Slots,
    Tile,
    UnfusedDequant,
)
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
from lifesym.cli.output import note, print_json
from lifesym.cli.serving import at_contexts, continuous, pipelined, speculated
from lifesym.cli.summary import print_summary, summary

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
    format: RoleFormat = None,
    unfused_dequant: UnfusedDequant = False,
    chunk: Chunk = None,
    lora: LoraRank = None,
    lora_targets: LoraTargets = None,
    lora_adapters: LoraAdapters = None,
    lora_merged: LoraMerged = False,
    adapter: Adapter = None,
    fusion: FusionOption = "none",
    tile: Tile = None,
    prefix: Prefix = None,
    kv_budget: KvBudget = None,
    kv_keep: KvKeep = None,
    kv_scored: KvScored = False,
    kv_rank: KvRank = None,
    kv_share: KvShare = None,
    kv_page: KvPage = None,
    tensor_parallel: TensorParallel = 1,
    all_reduce: AllReduce = "ring",
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
    slots: Slots = None,
    contexts: Contexts = None,
    price: Price = None,
    compute_efficiency: Efficiency = None,
    memory_efficiency: Efficiency = None,
    dispatch_time: Seconds = None,
    link_bandwidth: LinkBandwidth = None,
    link_latency: LinkLatency = None,
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
        "link_bandwidth": link_bandwidth,
        "link_latency": link_latency,
    }
    numbers = {name: value for name, value in chosen.items() if value is not None}
    device = ls.load_hardware(on)
    hardware = (ls.typical(device) if typical else device).with_(**numbers)
    loaded = ls.load_model(model)
    base = {name: value for name, value in options.items() if name not in _ASIDE}
    _check(options)
    if compare:
        print_comparison(loaded, hardware, (prompt, generate), base, compare, json=json)
        return
    result = build(loaded, hardware, prompt, generate, base)
    data = summary(result)
    if draft is not None:
        shared = {name: value for name, value in base.items() if name in _DRAFT}
        other = None
        if draft != "self":
            other = build(ls.load_model(draft), hardware, prompt, generate, shared)
        data["speculative"] = speculated(result, other, draft_tokens, acceptance)
    if pipeline is not None:
        data["pipeline"] = pipelined(result, pipeline, microbatches)
    if slots is not None:
        data["continuous"] = continuous(result, slots)
    if contexts is not None:
        data["contexts"] = at_contexts(result, _contexts(contexts))
    if price is not None:
        data["cost_per_million_tokens"] = float(result.cost(price))
    held = data.get("pipeline", data.get("speculative", data))["memory_bytes"]
    if hardware.capacity is not None and held > hardware.capacity:
        note(
            f"warning: {held / 1e9:.1f} GB do not fit in the "
            f"{float(hardware.capacity) / 1e9:g} GB of {hardware.name}"
        )
    if json:
        print_json(data)
    else:
        print_summary(data, hardware)


_ASIDE = frozenset(
    {
        *("model", "on", "prompt", "generate", "json", "compare"),
        *("typical", "compute_efficiency", "memory_efficiency", "dispatch_time"),
        *("link_bandwidth", "link_latency"),
        *("pipeline", "microbatches", "draft", "draft_tokens", "acceptance"),
        *("slots", "contexts", "price"),
    }
)
"""Arguments of the command that are no options of a forecast."""
_DRAFT = frozenset(
    {
        *("batch", "past", "fusion", "tile", "tensor_parallel", "all_reduce", "data_parallel"),
        *("sequence_parallel", "overlap", "causal", "mla", "routing"),
    }
)
"""Options that the draft model shares: how it runs, but not its formats, adapters or cache."""


def _check(options: dict[str, Any]) -> None:
    """Refuse what would be left out without a word."""
    from lifesym.errors import SpecError  # noqa: PLC0415

    if options["compare"]:
        for name in ("pipeline", "draft", "slots", "contexts", "price"):
            if options[name] is not None:
                raise SpecError(f"--{name} cannot be compared: leave out --compare")
    if options["pipeline"] is None and options["microbatches"] != 1:
        raise SpecError("--microbatches needs --pipeline")
    if not 0 <= options["acceptance"] <= 1:
        raise SpecError(f"acceptance must be between 0 and 1, not {options['acceptance']}")


def _contexts(text: str) -> list[int]:
    from lifesym.errors import SpecError  # noqa: PLC0415

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and part.isascii() and len(part) <= 15 for part in parts):
        raise SpecError(f"--contexts: {text!r} is not a list of whole numbers")
    return [int(part) for part in parts]
