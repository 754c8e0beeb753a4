"""Options of ``lifesym forecast`` that refine an optimization, or ask for more about it."""

from typing import Annotated, Literal

import typer

from lifesym.cli.options import (
    CACHE,
    DEVICE,
    FORMATS,
    OPTIMIZATIONS,
    SHARDING,
    choice,
    size_option,
)

SERVING = "Serving"

AllReduceKind = Literal["ring", "halving_doubling", "tree"]


def _text(name: str, metavar: str, text: str, panel: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        name, metavar=metavar, help=text, rich_help_panel=panel
    )
    return option


def _flag(name: str, text: str, panel: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(name, help=text, rich_help_panel=panel)
    return option


RoleFormat = Annotated[
    list[str] | None,
    _text("--format", "ROLE=FMT", "Format of one kind of weights, such as lm_head.", FORMATS),
]
UnfusedDequant = Annotated[
    bool, _flag("--unfused-dequant", "Weights are dequantized through memory.", FORMATS)
]
LoraTargets = Annotated[
    str | None,
    _text("--lora-targets", "NAME,...", "Projections with LoRA adapters.", OPTIMIZATIONS),
]
LoraAdapters = Annotated[
    int | None, size_option("--lora-adapters", "Different adapters in the batch.", OPTIMIZATIONS)
]
LoraMerged = Annotated[bool, _flag("--lora-merged", "Added to the weights before.", OPTIMIZATIONS)]
Tile = Annotated[
    int | None, size_option("--tile", "Queries a tile of a fused attention kernel.", OPTIMIZATIONS)
]
KvKeep = Annotated[
    float | None, _text("--kv-keep", "X", "Share of the cached tokens that is kept.", CACHE)
]
KvScored = Annotated[bool, _flag("--kv-scored", "Kept tokens are chosen by their scores.", CACHE)]
AllReduce = Annotated[
    AllReduceKind | None,
    choice("--all-reduce", "Algorithm of all-reduces.", SHARDING, AllReduceKind),
]
LinkBandwidth = Annotated[
    float | None, _text("--link-bandwidth", "B", "Bytes a second to another device.", DEVICE)
]
LinkLatency = Annotated[
    float | None, _text("--link-latency", "S", "Seconds of a message to another device.", DEVICE)
]
Links = Annotated[
    str | None,
    _text(
        "--links", "B:S,...", "Bandwidth and latency of links of which the slowest counts.", DEVICE
    ),
]
Slots = Annotated[
    int | None, size_option("--slots", "Continuous batching in so many slots.", SERVING)
]
Contexts = Annotated[
    str | None, _text("--contexts", "N,...", "A decode step at unequal contexts.", SERVING)
]
Mixed = Annotated[
    str | None,
    _text(
        "--mixed", "BxN@T,...", "A pass over B sequences of N tokens after T, and so on.", SERVING
    ),
]
Piggyback = Annotated[
    int | None,
    size_option("--piggyback", "Sequences that decode in every chunk's pass.", SERVING, least=0),
]
PiggybackContext = Annotated[
    int | None,
    size_option("--piggyback-context", "Their context; the prompt unless given.", SERVING, least=0),
]
HitRate = Annotated[
    float | None,
    _text("--hit-rate", "X", "Share of the requests that find the prefix in the cache.", SERVING),
]
DecodeOn = Annotated[
    str | None, _text("--decode-on", "HW", "A device that decodes what this one prefills.", SERVING)
]
TransferBandwidth = Annotated[
    float | None,
    _text("--transfer-bandwidth", "B", "Of the link between them, bytes a second.", SERVING),
]
TransferLatency = Annotated[
    float | None, _text("--transfer-latency", "S", "Seconds before the cache arrives.", SERVING)
]
StagesOn = Annotated[
    str | None, _text("--stages-on", "HW,...", "A pipeline of one stage a device.", SHARDING)
]
Shares = Annotated[
    str | None,
    _text("--shares", "X,...", "The stages' shares of the layers; or 'balanced'.", SHARDING),
]
Price = Annotated[
    float | None, _text("--price", "X", "Price of all devices an hour, for tokens' cost.", SERVING)
]
