"""The parts of a layer, their sizes symbols: attention, MLP, experts and norms."""

from collections.abc import Callable, Sequence
from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention, Block, DecoderLayer, LatentAttention, MoE, NormSpec
from lifesym.families.base import Config, activation
from lifesym.families.patterns import windows
from lifesym.symbols import Size

RMS = NormSpec(features=sym.hidden)
LAYER_NORM = NormSpec(features=sym.hidden, kind="layer")
OFFSETLESS = NormSpec(features=sym.hidden, kind="layer", bias=False)
"""A LayerNorm with gains and no offsets."""
STREAMS = {"hidden": sym.hidden, "streams": sym.streams}
"""Sizes of blocks with several residual streams."""
HEADS = {"hidden": sym.hidden, "heads": sym.heads, "head_dim": sym.head_dim}
TABLE = {"vocab": sym.vocab, "width": sym.hidden, "hidden": sym.hidden}
"""Sizes of a token table."""
BY_LAYER = {"layers": sym.layers, "embedding": sym.layer_embedding, "vocab": sym.layer_vocab}
"""Sizes of embeddings by layer."""
AROUND = {"mixer_post_norm": RMS, "mlp_post_norm": RMS}
"""Options of a layer that normalizes what its parts give."""


def attention(
    c: Config | None = None, *, of: Any = Attention, bias: bool | None = None, **options: Any
) -> Any:
    """Grouped queries with whole heads rotated, its sizes symbols; ``of``: its class.

    ``bias``: on all projections; where it is not said, as ``attention_bias`` of the config.
    """
    biased = getattr(c, "attention_bias", False) if bias is None else bias
    usual: dict[str, Any] = {
        "hidden": sym.hidden,
        "heads": sym.heads,
        "kv_heads": sym.kv_heads,
        "head_dim": sym.head_dim,
        "rotary_dim": sym.head_dim,
        "qkv_bias": biased,
        "out_bias": biased,
    }
    return of(**usual | options)


def latent(c: Config, **options: Any) -> LatentAttention:
    """Latent attention, its sizes symbols; queries are compressed, and have biases, as c says."""
    usual: dict[str, Any] = {
        "hidden": sym.hidden,
        "heads": sym.heads,
        "q_rank": None if c.q_lora_rank is None else sym.q_rank,
        "kv_rank": sym.kv_rank,
        "nope_dim": sym.nope_dim,
        "rope_dim": sym.rope_dim,
        "value_dim": sym.value_dim,
        "bias": c.attention_bias,
    }
    return LatentAttention(**usual | options)


def mlp(of: Config | str, **options: Any) -> MLP:
    """A gated MLP, its sizes symbols; activation function and biases by a config, or by name."""
    usual = {
        "hidden": sym.hidden,
        "intermediate": sym.intermediate,
        "bias": getattr(of, "mlp_bias", False),
    }
    return MLP(activation=function(of), **usual | options)


def experts(of: Config | str, *, shared: int | None = 0, **options: Any) -> MoE:
    """Experts, perhaps with shared ones (of any size); their sizes symbols, as with `mlp`."""
    usual: dict[str, Any] = {
        "hidden": sym.hidden,
        "experts": sym.experts,
        "active": sym.active_experts,
        "intermediate": sym.expert_intermediate,
        "shared": sym.shared_intermediate if shared else None,
    }
    return MoE(activation=function(of), **usual | options)


def function(of: Config | str) -> str:
    """Our name of an activation function, under whatever key a config has it."""
    if isinstance(of, str):
        return activation(of)
    key = next(key for key in _FUNCTIONS if hasattr(of, key))
    return activation(getattr(of, key), key)


_FUNCTIONS = ("hidden_act", "hidden_activation", "activation_function", "activation")


def feeds(of: Config | str, dense: Sequence[bool], moe: Block) -> list[Block]:
    """What follows attention in each layer: an MLP in the dense ones, in the others experts."""
    return [mlp(of) if alone else moe for alone in dense]


def mixers(
    c: Config,
    slides: Callable[[int], bool] = lambda _: True,
    *,
    alike: bool = False,
    whole: Size = sym.head_dim,
    **options: Any,
) -> list[Block]:
    """Attention by layer, with windows by a rule unless they are listed: see `windows`.

    ``whole``: how much of a head rotates where there is no window.
    """
    spans = windows(c, slides, alike=alike)
    turns = [sym.head_dim if span else whole for span in spans]
    made: list[dict[str, Any]] = [
        {"window": span, "rotary_dim": turn} for span, turn in zip(spans, turns, strict=True)
    ]
    return [attention(c, **each | options) for each in made]


def layers(
    mixers: Sequence[Block],
    blocks: Block | Sequence[Block],
    norm: NormSpec | None = RMS,
    **options: Any,
) -> list[DecoderLayer]:
    """Layers of these mixers, and of these blocks, in order, or of one that all have."""
    each = [blocks] * len(mixers) if isinstance(blocks, Block) else blocks
    parts = zip(mixers, each, strict=True)
    return [layer(mixer, block, norm, **options) for mixer, block in parts]


def layer(
    mixer: Block | None, mlp: Block | None, norm: NormSpec | None = RMS, **options: Any
) -> DecoderLayer:
    """A layer with a norm before each of its parts, of which it may lack one."""
    usual: dict[str, Any] = {
        "mixer_norm": norm if mixer else None,
        "mlp_norm": norm if mlp else None,
    }
    return DecoderLayer(hidden=sym.hidden, mixer=mixer, mlp=mlp, **usual | options)
