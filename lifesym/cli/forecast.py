"""``lifesym forecast``: the speed of a model on a device, in numbers."""

from typing import Annotated

import typer

from lifesym.cli.compare import compare as print_comparison
from lifesym.cli.optimizations import (
    AllReduce,
    Contexts,
    DecodeOn,
    HitRate,
    KvKeep,
    KvScored,
    LinkBandwidth,
    LinkLatency,
    Links,
    LoraAdapters,
    LoraMerged,
    LoraTargets,
    Mixed,
    Piggyback,
    PiggybackContext,
    Price,
    RoleFormat,
    Shares,
    Slots,
    StagesOn,
    Tile,
    TransferBandwidth,
    TransferLatency,
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
    Images,
    ImageSize,
    Json,
    Kv,
    KvBudget,
    KvPage,
    KvRank,
    KvShare,
    LoraOption,
    Microbatches,
    MlaOption,
    ModelName,
    OffloadActivations,
    OffloadBandwidth,
    OffloadCapacity,
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
from lifesym.cli.output import print_json
from lifesym.cli.routing import Imbalance, Probabilities
from lifesym.cli.serving import served
from lifesym.cli.setting import Setting
from lifesym.cli.summary import print_summary, summary, warn_if_too_large

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
    generate: Annotated[
        int, size_option("--generate", "Tokens generated a sequence; 0 for an encoder.", least=0)
    ],
    batch: Batch = 1,
    past: Past = 0,
    images: Images = 0,
    image_size: ImageSize = None,
    weights: Weights = None,
    activations: Activations = None,
    kv: Kv = None,
    format: RoleFormat = None,
    unfused_dequant: UnfusedDequant = False,
    chunk: Chunk = None,
    lora: LoraOption = None,
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
    all_reduce: AllReduce = None,
    sequence_parallel: SequenceParallel = False,
    expert_parallel: ExpertParallel = 1,
    data_parallel: DataParallel = 1,
    pipeline: Stages = None,
    stages_on: StagesOn = None,
    shares: Shares = None,
    microbatches: Microbatches = None,
    offload_weights: OffloadWeights = None,
    offload_experts: OffloadExperts = None,
    offload_kv: OffloadKv = None,
    offload_activations: OffloadActivations = None,
    offload_bandwidth: OffloadBandwidth = None,
    offload_capacity: OffloadCapacity = None,
    draft: Draft = None,
    draft_tokens: DraftTokens = None,
    acceptance: Acceptance = None,
    typical: Typical = False,
    slots: Slots = None,
    contexts: Contexts = None,
    mixed: Mixed = None,
    piggyback: Piggyback = None,
    piggyback_context: PiggybackContext = None,
    hit_rate: HitRate = None,
    decode_on: DecodeOn = None,
    transfer_bandwidth: TransferBandwidth = None,
    transfer_latency: TransferLatency = None,
    price: Price = None,
    compute_efficiency: Efficiency = None,
    memory_efficiency: Efficiency = None,
    dispatch_time: Seconds = None,
    link_bandwidth: LinkBandwidth = None,
    link_latency: LinkLatency = None,
    links: Links = None,
    overlap: OverlapOption = "operator",
    mla: MlaOption = "absorbed",
    causal: CausalOption = "full",
    routing: RoutingOption = "uniform",
    probabilities: Probabilities = None,
    imbalance: Imbalance = None,
    compare: Compare = None,
    json: Json = False,
) -> None:
    """Forecast TTFT, TPOT, TPS, latency, memory and energy on a device.

    Without efficiencies the device runs at its peaks. With --causal exact, --fusion layer and the
    type that its kernels multiply in that is a bound on its speed; by default it is the time of
    unfused kernels over the whole square of scores, which others can beat.
    """
    setting = Setting(dict(locals()))
    setting.check()
    hardware = setting.hardware
    if compare:
        print_comparison(setting, compare, json=json)
        return
    result = setting.forecast()
    data = summary(result) | served(setting, result)
    held = data.get("pipeline", data.get("speculative", data))["memory_bytes"]
    warn_if_too_large(held, hardware)
    if json:
        print_json(data)
    else:
        print_summary(data, result)
