"""Every option of the command line, once: a row each.

A row says what an option is called, of what kind its value is, what it does without one, and what
it needs beside it. The commands take rows by their panels; compared sets and axes of sweeps read
the same rows. Nothing here imports SymPy, so that ``--help`` answers at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import typer

from lifesym.errors import SpecError, nearest
from lifesym.kinds import (
    PIXELS,
    RANK,
    SHARES,
    SIZE,
    SIZE_OR_0,
    SLOTS,
    SWITCH,
    TOKENS,
    TOKENS_OR_0,
    Kind,
    link,
    number,
    real,
    several,
    text,
    words,
)

WORKLOAD = "Workload"
FORMATS = "Number formats"
OPTIMIZATIONS = "Optimizations"
CACHE = "KV cache"
SHARDING = "Several devices"
MEMORIES = "Other memories"
SPECULATION = "Speculative decoding"
SERVING = "Serving"
DEVICE = "Device"
MODELLING = "Modelling"
IMAGES = "Images"
QUESTION = "Question"


@dataclass(frozen=True)
class Row:
    """One option.

    Attributes:
        name: its name in Python; spelt with hyphens on the command line.
        kind: of what kind its value is.
        help: what it does.
        default: what it is unless given.
        panel: where the help lists it.
        common: whether plain ``--help`` lists it.
        needs: options of which one must be given beside it, or a value such as ``fusion=flash``.
        symbol: the word of the symbol that its number is when it is asked about.
        rewrite: the class and the field of a rewrite that its value makes, where it is no keyword
            of `lifesym.forecast`.
        short: another spelling, such as ``-o``.
        argument: whether it is an argument and no option.
        required: whether it must be given.
    """

    name: str
    kind: Kind
    help: str
    default: Any = None
    panel: str = QUESTION
    common: bool = False
    needs: tuple[str, ...] = ()
    symbol: str = ""
    rewrite: str = ""
    short: str = ""
    argument: bool = False
    required: bool = False

    def __post_init__(self) -> None:
        """A switch that is not given is off."""
        if self.kind.switch:
            object.__setattr__(self, "default", False)

    @property
    def spelt(self) -> str:
        """As it is written on the command line."""
        return f"--{self.name.rstrip('_').replace('_', '-')}"

    def parameter(self) -> tuple[Any, Any]:
        """Its annotation for Typer, and its default."""
        kind = self.kind
        more: dict[str, Any] = {"help": self.help}
        if kind.words:
            shown: Any = Literal[kind.words]
        elif kind.switch:
            shown = bool
        else:
            shown = list[str] if kind.many else str
        if not (kind.words or kind.switch or kind.many):
            more["parser"] = _parser(kind)
        if kind.metavar:
            more["metavar"] = kind.metavar
        if self.argument:
            made: Any = typer.Argument(**more)
        else:
            spellings = [self.spelt, self.short] if self.short else [self.spelt]
            panel = None if self.panel == QUESTION else self.panel
            more |= {"hidden": not (self.common or self.required), "rich_help_panel": panel}
            option: Any = typer.Option
            made = option(*spellings, **more)
        optional = self.default is None and not self.required
        return Annotated[shown | None if optional else shown, made], self.default


def _parser(kind: Kind) -> Callable[[Any], Any]:
    def parse(given: Any) -> Any:
        try:
            return kind.parse(str(given))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    parse.__name__ = kind.metavar or "value"
    return parse


def _panel(name: str, common: Sequence[Row], others: Sequence[Row] = ()) -> tuple[Row, ...]:
    """The rows of a panel; plain help lists the first ones alone."""
    shown = (replace(row, panel=name, common=True) for row in common)
    return (*shown, *(replace(row, panel=name) for row in others))


def needing(needs: str, *rows: Row) -> tuple[Row, ...]:
    """Rows that do nothing without one of some options."""
    return tuple(replace(row, needs=tuple(needs.split())) for row in rows)


_MODEL = "A name in the database, a config.json, a folder with one, or a GGUF file."
MODEL = Row("model", text("MODEL"), _MODEL, argument=True, required=True)
ON = Row("on", text("HW"), "A device in the database, or a TOML file.", required=True, panel=DEVICE)
JSON = Row("json", SWITCH, "Print one JSON object.", common=True)
_NARROW = "lifesym.transforms.Bottleneck."
_OWN = "Of its own: attention.compute=0.3,weights.memory=0.9,norm.dispatch=2e-6 ..."
_LATENT = words("absorbed", "decompressed", "expand", "by_phase")
_REDUCE = words("ring", "halving_doubling", "recursive_doubling", "tree")
_ROLES = ("weights", "experts", "kv", "activations")

ROWS: tuple[Row, ...] = (
    *_panel(
        WORKLOAD,
        (
            Row("prompt", TOKENS, "Prompt tokens of each sequence.", 512, symbol="prompt"),
            Row(
                "generate", TOKENS_OR_0, "Tokens that each sequence generates.", symbol="generated"
            ),
            Row("batch", SIZE, "Sequences computed together.", 1, symbol="batch"),
            Row(
                "context", TOKENS_OR_0, "Context of a decode step; else the first's.", symbol="past"
            ),
        ),
        (
            Row("past", TOKENS_OR_0, "Tokens cached before the prompt.", 0),
            Row("new", TOKENS, "New tokens of a pass, for what it counts.", symbol="new"),
            Row("images", SIZE_OR_0, "Images in each prompt, whose tokens are added to it.", 0),
            *needing("images", Row("image_size", PIXELS, "Their rows and columns.")),
            Row("audio", SIZE_OR_0, "Pieces of audio in each prompt, likewise added.", 0),
        ),
    ),
    *_panel(
        FORMATS,
        (
            Row("weights", text("FMT"), "Format of the weights: fp8, int4-g128, q4_k_m ..."),
            Row("activations", text("FMT"), "Format that is computed in: bf16, fp8, int8 ..."),
            Row("kv", text("FMT"), "Format of the KV cache: fp8, int8 ..."),
        ),
        (
            Row("roles", text("ROLE=FMT", many=True), "Format of some weights, as experts=mxfp4."),
            Row("activation_roles", text("ROLE=FMT", many=True), "Of what some products read."),
            Row("unfused_dequant", SWITCH, "Kernels of their own dequantize weights."),
        ),
    ),
    *_panel(
        OPTIMIZATIONS,
        (
            Row("chunk", TOKENS, "Tokens of a prefill chunk.", symbol="chunk"),
            Row(
                "lora", RANK, "Rank of LoRA adapters, or their adapter_config.json.", symbol="rank"
            ),
            Row("fusion", words("none", "flash", "full", "layer"), "What is fused."),
        ),
        (
            *needing("chunk", Row("whole_chunks", SWITCH, "The chunk divides the prompt.")),
            *needing(
                "lora",
                Row("lora_targets", text("NAME,...", axis=False), "Operators: attn_q,attn_v ..."),
                Row("lora_adapters", SIZE, "Different adapters in the batch."),
                Row("lora_merged", SWITCH, "Adapters are merged into the weights."),
                Row("lora_inline", SWITCH, "They are merged so in every pass."),
            ),
            Row("adapter", SIZE_OR_0, "Width of bottleneck adapters.", rewrite=f"{_NARROW}width"),
            *needing(
                "adapter",
                Row("adapter_tasks", SIZE, "Tasks with their own.", rewrite=f"{_NARROW}adapters"),
                Row("adapter_used", SIZE, "Tasks in a pass; else all.", rewrite=f"{_NARROW}used"),
                Row("adapter_shared", SWITCH, "Shared as layers.", rewrite=f"{_NARROW}shared"),
            ),
            *needing(
                "fusion=flash fusion=full engine",
                Row("tile", SIZE, "Queries a tile of a fused attention kernel.", symbol="tile"),
            ),
        ),
    ),
    *_panel(
        CACHE,
        (),
        (
            Row("prefix", TOKENS_OR_0, "First tokens of the prompt that are cached."),
            Row("kv_budget", TOKENS, "Most cached tokens kept of a sequence.", symbol="budget"),
            Row("kv_keep", number(), "Share of the cached tokens that is kept.", symbol="keep"),
            Row("kv_scored", SWITCH, "Kept tokens are chosen by their scores."),
            Row("kv_rank", SIZE, "Elements kept of each key and value head.", symbol="cache_rank"),
            Row("kv_share", SIZE, "Layers that share one cache.", symbol="cache_layers"),
            Row("kv_page", TOKENS, "Tokens of a cache page.", symbol="page"),
        ),
    ),
    *_panel(
        SHARDING,
        (Row("tensor_parallel", SIZE, "Devices that split every layer.", 1, symbol="devices"),),
        (
            *needing(
                "tensor_parallel",
                Row("all_reduce", _REDUCE, "Of all-reduces, and of their halves."),
                Row("sequence_parallel", SWITCH, "They also split norms and residuals."),
            ),
            Row("expert_parallel", SIZE, "Devices that split the experts.", 1),
            Row("data_parallel", SIZE, "Replicas that share the batch.", 1, symbol="replicas"),
            Row("pipeline", SIZE, "Stages that the layers are cut into.", symbol="stages"),
            Row("stages_on", several(str, "HW,..."), "A pipeline with a stage on each of these."),
            *needing(
                "pipeline stages_on",
                Row("shares", SHARES, "Shares of the layers; or 'balanced'."),
                Row("microbatches", SIZE, "Pieces of the batch.", symbol="microbatches"),
                Row("overlap_sends", SWITCH, "A stage sends while it computes."),
                Row("by_chunk", SWITCH, "Equal stages hand on every chunk of a prompt at once."),
            ),
        ),
    ),
    *_panel(
        MEMORIES,
        (),
        (
            Row("memory", text("NAME=X,...", many=True), "name=host,bandwidth=80e9,experts=1 ..."),
            *(
                Row(f"offload_{r}", number(), f"Share of the {r} in another memory.")
                for r in _ROLES
            ),
            *needing(
                " ".join(f"offload_{role}" for role in _ROLES),
                Row("offload_bandwidth", number("B/S"), "Of that memory, bytes a second."),
                Row("offload_capacity", number("B"), "Bytes that it holds."),
            ),
        ),
    ),
    *_panel(
        SPECULATION,
        (),
        (
            Row("draft", text("MODEL"), "Draft model; 'self' for a module of the model itself."),
            *needing(
                "draft",
                Row("draft_tokens", SIZE, "Drafted tokens a step; 4 unless given.", symbol="draft"),
                Row("acceptance", number(), "Their chance; else 0.8.", symbol="acceptance"),
                Row("accepted_rate", number(), "Instead: accepted tokens over drafted ones."),
                Row("position_rates", several(real, "X,..."), "Instead: rates by position."),
                Row("tokens_per_step", number(), "Instead: mean tokens, with the target's."),
            ),
        ),
    ),
    *_panel(
        SERVING,
        (),
        (
            Row("slots", SLOTS, "Continuous batching in so many; or 'fit'.", symbol="slots"),
            *needing(
                "slots",
                Row("requests", SIZE, "Served in all, until the last is done.", symbol="requests"),
                Row("preempted", number(), "Times that a request is computed again."),
            ),
            Row(
                "contexts",
                several(TOKENS_OR_0.parse, "N,..."),
                "One decode step at these contexts.",
            ),
            Row("mixed", text("BxN@T,...", axis=False), "One pass: B sequences of N after T."),
            Row("piggyback", SIZE_OR_0, "Sequences that decode in every chunk's pass."),
            *needing(
                "piggyback",
                Row("piggyback_context", TOKENS_OR_0, "Their context; else the prompt."),
            ),
            *needing("prefix", Row("hit_rate", number(), "Share of requests with a cached one.")),
            Row("decode_on", text("HW"), "A device that decodes what this one prefills."),
            *needing(
                "decode_on",
                Row("transfer_bandwidth", number("B/S"), "Of the link to it, bytes a second."),
                Row("transfer_latency", number("S"), "Seconds before the cache arrives."),
            ),
            Row(
                "price",
                number(),
                "Of all devices an hour, for tokens' cost.",
                symbol="hourly_price",
            ),
        ),
    ),
    *_panel(
        DEVICE,
        (
            Row("typical", SWITCH, "With the usual efficiencies of its class, if it has none."),
            Row("compute_efficiency", number(), "Attained fraction of the peak."),
            Row("memory_efficiency", number(), "Attained fraction of the bandwidth."),
            Row("dispatch_time", number("S"), "Seconds to dispatch an operator."),
        ),
        (
            Row("efficiency", text("PART.NUMBER=X,...", axis=False), _OWN),
            Row("layer_time", number("S"), "Seconds to dispatch a layer, beside its operators'."),
            Row("sampling_time", number("S"), "Seconds to sample a token and hand it out."),
            Row("score_time", number("S"), "Seconds to start a block of threads for a score."),
            Row(
                "dequantization_rate", number("FLOP/S"), "Peak of unpacking stored values, FLOP/s."
            ),
            Row("serial_peak", number("X"), "Peak of bit-serial units, FLOP/s times bits."),
            Row("collective_latency", number("S"), "Seconds of a collective beside its messages'."),
            Row("link_bandwidth", number("B/S"), "Bytes a second to another device."),
            Row("link_latency", number("S"), "Seconds of a message to another device."),
            Row("links", several(link, "B:S,..."), "Several links: the slowest counts."),
            Row("power", number("W"), "Power drawn while it runs, in watts."),
            Row("flop_energy", number("J"), "Joules of an operation, beyond that."),
            Row("byte_energy", number("J"), "Joules of a byte moved, beyond that."),
        ),
    ),
    *_panel(
        MODELLING,
        (
            Row("engine", text("ENGINE"), "How operators become kernels: ideal, vllm ... or TOML."),
            Row("overlap", words("operator", "pass", "none", "dataflow"), "Of memory and compute."),
            Row("causal", words("full", "exact"), "Scores: all, or what the mask leaves."),
        ),
        (
            Row("mla", _LATENT, "How latents become keys and values."),
            Row("routing", words("uniform", "all", "active"), "Choice of experts.", "uniform"),
            Row("probabilities", text("P,...", axis=False), "Of each expert, or a file of them."),
            Row("imbalance", number(), "Busiest device's work over the mean.", symbol="imbalance"),
        ),
    ),
    *_panel(
        IMAGES,
        (),
        (
            Row("image_height", SIZE, "Rows of the images of a 'unet'.", symbol="height"),
            Row("image_width", SIZE, "Columns of them.", symbol="width"),
            Row("image_channels", SIZE, "Their channels.", 1, symbol="image_channels"),
            Row("channels", SIZE, "Channels of its first level.", 64, symbol="channels"),
            Row("classes", SIZE, "Channels that it gives.", 2, symbol="classes"),
            Row("levels", SIZE, "Halvings of the image.", 4),
            Row("width_multiplier", number(), "Factor on its channels.", 1),
            Row("separable", SWITCH, "Depthwise-separable convolutions."),
            *needing("separable", Row("depth_multiplier", SIZE, "Filters a channel of them.", 1)),
            Row("norm", words("batch", "none"), "After a convolution; 'none': biases.", "batch"),
            Row("upsampling", words("transposed", "bilinear", "nearest"), "How.", "transposed"),
        ),
    ),
)
"""The options that shape a formula: every command that asks one takes all of them."""

OFF = tuple(row for row in ROWS if row.symbol and row.panel in (OPTIMIZATIONS, CACHE))
"""Options in numbers of what is not there without them."""
NAMED: Mapping[str, Row] = {row.name: row for row in ROWS}
_OF_BOTH = (DEVICE, IMAGES, "batch", "weights", "activations", "overlap")
"""Panels and rows that networks of images take."""


def shown_rows() -> dict[str, dict[str, str | None]]:
    """Every option that shapes a formula as text, by its spelling."""
    return {
        row.spelt: {
            "value": "|".join(row.kind.words) or row.kind.metavar,
            "default": None if row.kind.switch or row.default is None else str(row.default),
            "needs": " or ".join(f"--{need}".replace("_", "-") for need in row.needs) or None,
            "meaning": row.help,
        }
        for row in ROWS
    }


def parsed(where: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Values of options from NAME=VALUE pairs, such as those of a compared set.

    Raises:
        SpecError: an unknown name, one that is no single value, or a value of the wrong kind.
    """
    chosen: dict[str, Any] = {}
    for name, value in pairs:
        row = NAMED.get(name.replace("-", "_"))
        if row is None:
            known = [known.spelt[2:] for known in ROWS]
            raise SpecError(f"{where}: unknown option {name!r}{nearest(name, known)}")
        chosen[row.name] = read(row, value, f"{where}: {row.spelt[2:]}")
    return chosen


def read(row: Row, value: str, where: str = "") -> Any:
    """The value of one option from its text; ``none`` is that it is not given.

    Raises:
        SpecError: a value of the wrong kind.
    """
    if value == "none" and row.default is None and not row.kind.words:
        return None
    try:
        return [value] if row.kind.many else row.kind.parse(value)
    except ValueError as error:
        raise SpecError(f"{where or row.spelt}: {error}") from None


def check_kind(given: Mapping[str, Any], of_images: bool) -> None:
    """Refuse an option of the other kind of model.

    Raises:
        SpecError: the option, and whose it is.
    """
    for row in (row for row in ROWS if is_given(row, given)):
        if of_images and not {row.panel, row.name} & {*_OF_BOTH}:
            raise SpecError(f"{row.spelt} is of language models: a U-Net reads images")
        if not of_images and row.panel == IMAGES:
            raise SpecError(f"{row.spelt} is of U-Nets: {given['model']} is none")


def check(given: Mapping[str, Any], rows: Iterable[Row] | None = None) -> None:
    """Refuse an option that would do nothing without another one.

    Raises:
        SpecError: the option, and what it needs.
    """
    named = {row.name: row for row in (ROWS if rows is None else rows)}
    known = {**NAMED, **named}

    def there(need: str) -> bool:
        name, _, value = need.partition("=")
        return given.get(name) == value if value else is_given(known[name], given)

    def spelt(need: str) -> str:
        name, _, value = need.partition("=")
        return f"{known[name].spelt} {value}".strip()

    for row in named.values():
        if row.needs and is_given(row, given) and not any(map(there, row.needs)):
            raise SpecError(f"{row.spelt} needs {' or '.join(map(spelt, row.needs))}")


def is_given(row: Row, values: Mapping[str, Any]) -> bool:
    """Whether an option has another value than without it."""
    value = values.get(row.name)
    return not (value is None or value is False or value == row.default)
