"""Arguments and options that several commands share."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

import typer

import lifesym

WORKLOAD = "Workload"
FORMATS = "Number formats"
MODELLING = "Modelling"
DEVICE = "Device"
OPTIMIZATIONS = "Optimizations"
CACHE = "KV cache"
SHARDING = "Several devices"
OFFLOAD = "Another memory"
SPECULATION = "Speculative decoding"

Logits = Literal["last", "all", "none"]
MLA = Literal["absorbed", "decompressed", "expand"]
Causal = Literal["full", "exact"]
Routing = Literal["uniform", "all", "active"]
Overlap = Literal["operator", "pass", "none"]
Fusion = Literal["none", "flash", "full", "layer"]

_LARGEST = 2**48


def _version(value: bool) -> None:
    if value:
        typer.echo(f"lifesym {lifesym.__version__}")
        raise typer.Exit


def _whole_number(least: int) -> Callable[[str | int], int]:
    def parse(text: str | int) -> int:
        digits = str(text).strip()  # Typer also parses defaults, which are integers
        if not (digits.isdecimal() and digits.isascii()) or len(digits) > len(str(_LARGEST)):
            raise typer.BadParameter(f"{digits[:40]!r} is not a whole number of at least {least}")
        if not least <= int(digits) <= _LARGEST:
            raise typer.BadParameter(f"{digits} is not between {least} and {_LARGEST}")
        return int(digits)

    return parse


def size_option(
    name: str, text: str, panel: str = WORKLOAD, least: int = 1
) -> typer.models.OptionInfo:
    """A plain integer of at least ``least``."""
    option: typer.models.OptionInfo = typer.Option(
        name, parser=_whole_number(least), metavar="N", help=text, rich_help_panel=panel
    )
    return option


def choice(name: str, text: str, panel: str, of: object = None) -> typer.models.OptionInfo:
    """One of the words of a `Literal`; words of a long one, ``of``, are listed in the text."""
    more: dict[str, Any] = {}
    if of is not None:
        text, more = f"{text[:-1]}: {', '.join(get_args(of))}.", {"metavar": "WORD"}
    option: typer.models.OptionInfo = typer.Option(name, help=text, rich_help_panel=panel, **more)
    return option


def format_option(name: str, text: str) -> typer.models.OptionInfo:
    """The name of a number format."""
    option: typer.models.OptionInfo = typer.Option(
        name, metavar="FMT", help=text, rich_help_panel=FORMATS
    )
    return option


show_version = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
]
ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A name in the database, a config.json, a folder with one, or a GGUF file.",
    ),
]
HardwareName = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="HW",
        help="A device in the database, or a TOML file.",
        rich_help_panel=DEVICE,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

Batch = Annotated[int, size_option("--batch", "Sequences computed together.")]
Past = Annotated[int, size_option("--past", "Tokens already in the cache.", least=0)]
Images = Annotated[
    int, size_option("--images", "Images in each prompt, whose tokens are added to it.", least=0)
]
ImageSize = Annotated[
    str | None,
    typer.Option(
        "--image-size",
        metavar="HxW",
        help="Rows and columns of an image's pixels, or the side of a square one.",
        rich_help_panel=WORKLOAD,
    ),
]
MlaOption = Annotated[MLA, choice("--mla", "Latent attention.", MODELLING, MLA)]
CausalOption = Annotated[
    Causal, choice("--causal", "Count all scores, or what the mask leaves.", MODELLING)
]
RoutingOption = Annotated[Routing, choice("--routing", "How tokens choose experts.", MODELLING)]
OverlapOption = Annotated[
    Overlap,
    choice("--overlap", "Memory and compute overlap: by operator, overall, never.", MODELLING),
]
Weights = Annotated[str | None, format_option("--weights", "Format of the weights.")]
Activations = Annotated[str | None, format_option("--activations", "Format that is computed in.")]
Kv = Annotated[str | None, format_option("--kv", "Format of the KV cache.")]
Chunk = Annotated[int | None, size_option("--chunk", "Tokens of a prefill chunk.", OPTIMIZATIONS)]
LoraRank = Annotated[
    int | None,
    size_option("--lora", "Rank of adapters on the attention projections.", OPTIMIZATIONS, least=0),
]


def _rank_or_file(text: str | int) -> int | str:
    """A rank, or the path of the adapters' config."""
    name = str(text)
    return _whole_number(0)(name) if name.lstrip("+-").isdigit() else name


LoraOption = Annotated[
    str | None,
    typer.Option(
        "--lora",
        parser=_rank_or_file,
        metavar="N|FILE",
        help="Rank of adapters on the attention projections, or their adapter_config.json.",
        rich_help_panel=OPTIMIZATIONS,
    ),
]
FusionOption = Annotated[Fusion, choice("--fusion", "Operators fused.", OPTIMIZATIONS)]
Adapter = Annotated[
    int | None,
    size_option("--adapter", "Size of bottleneck adapters.", OPTIMIZATIONS, least=0),
]
Prefix = Annotated[
    int | None, size_option("--prefix", "First tokens of the prompt already cached.", CACHE, 0)
]
KvBudget = Annotated[
    int | None, size_option("--kv-budget", "Most cached tokens kept of a sequence.", CACHE)
]
KvRank = Annotated[
    int | None, size_option("--kv-rank", "Elements kept of each key and value head.", CACHE)
]
KvShare = Annotated[int | None, size_option("--kv-share", "Layers that share one cache.", CACHE)]
KvPage = Annotated[int | None, size_option("--kv-page", "Tokens of a cache page.", CACHE)]
TensorParallel = Annotated[
    int, size_option("--tensor-parallel", "Devices that split every layer.", SHARDING)
]
SequenceParallel = Annotated[
    bool,
    typer.Option(
        "--sequence-parallel",
        help="They split norms and residuals too.",
        rich_help_panel=SHARDING,
    ),
]
ExpertParallel = Annotated[
    int, size_option("--expert-parallel", "Devices that split the experts.", SHARDING)
]
DataParallel = Annotated[
    int, size_option("--data-parallel", "Replicas that share the batch.", SHARDING)
]
Stages = Annotated[
    int | None, size_option("--pipeline", "Stages that the layers are cut into.", SHARDING)
]
Microbatches = Annotated[
    int | None, size_option("--microbatches", "Pieces of the batch in the pipeline.", SHARDING)
]


def share_option(role: str) -> typer.models.OptionInfo:
    """The share of a kind of traffic that another memory serves."""
    option: typer.models.OptionInfo = typer.Option(
        f"--offload-{role}", metavar="X", help=f"Share of the {role}.", rich_help_panel=OFFLOAD
    )
    return option


OffloadWeights = Annotated[float | None, share_option("weights")]
OffloadExperts = Annotated[float | None, share_option("experts")]
OffloadKv = Annotated[float | None, share_option("kv")]
OffloadActivations = Annotated[float | None, share_option("activations")]
OffloadBandwidth = Annotated[
    float | None,
    typer.Option(metavar="B", help="Its bandwidth, bytes a second.", rich_help_panel=OFFLOAD),
]
OffloadCapacity = Annotated[
    float | None,
    typer.Option(metavar="B", help="Bytes that it holds.", rich_help_panel=OFFLOAD),
]
Draft = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Draft model; 'self' for a prediction module of the model itself.",
        rich_help_panel=SPECULATION,
    ),
]
DraftTokens = Annotated[
    int | None,
    size_option("--draft-tokens", "Drafted tokens a step; 4 unless given.", SPECULATION),
]
Acceptance = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Chance that a drafted token is accepted; 0.8 unless given.",
        rich_help_panel=SPECULATION,
    ),
]
Compare = Annotated[
    list[str] | None,
    typer.Option(
        "--compare",
        metavar="NAME=VALUE,...",
        help="Other options beside these, one set each time it is given.",
    ),
]
