"""Mixture-of-experts kin of Llama: mixtral, olmoe, gpt_oss."""

from typing import Literal

from sympy import Expr, Symbol

from lifesym import symbols as sym
from lifesym.blocks import Attention, Block, DecoderLayer, NormSpec
from lifesym.families.base import (
    Count,
    Decoder,
    Family,
    grouped,
    numbers,
    per_head,
    refuse,
)
from lifesym.families.decoder import attention, decoder, experts, layer, windows
from lifesym.families.llama import DERIVED, LlamaConfig
from lifesym.model import Model, Section


class MixtralConfig(LlamaConfig, kw_only=True):
    """``intermediate_size`` is that of one expert."""

    num_local_experts: Count
    num_experts_per_tok: Count
    sliding_window: Count | None = None
    layer_types: list[str] | None = None


class OlmoeConfig(LlamaConfig, kw_only=True):
    """Queries and keys are normalized over all heads together."""

    num_experts: Count
    num_experts_per_tok: Count
    head_dim: Count = DERIVED
    clip_qkv: float | None = None


class GptOssConfig(MixtralConfig, kw_only=True):
    """Biases everywhere, one learned sink a head, windows in alternate layers."""

    head_dim: Count = 64
    sliding_window: Count = 128
    attention_bias: bool = True


Sizes = dict[Symbol, int]


def _check(experts: int, active: int) -> None:
    refuse(active > experts, f"key 'num_experts_per_tok': {active} of only {experts} experts")


def rotary_attention(
    window: Expr | None = None,
    *,
    qkv_bias: bool = False,
    out_bias: bool = False,
    qk_norm: Literal["none", "head", "all"] = "none",
    sinks: bool = False,
    fused: bool = False,
    rotary_dim: Expr = sym.head_dim,
) -> Attention:
    """Attention with grouped queries and rotary positions, its sizes symbols."""
    return Attention(
        hidden=sym.hidden,
        heads=sym.heads,
        kv_heads=sym.kv_heads,
        head_dim=sym.head_dim,
        qkv_bias=qkv_bias,
        out_bias=out_bias,
        rotary_dim=rotary_dim,
        qk_norm=qk_norm,
        sinks=sinks,
        fused=fused,
        window=window,
    )


def pre_norm_layer(mixer: Block, mlp: Block) -> DecoderLayer:
    """A layer with RMSNorms before both of its parts."""
    norm = NormSpec(features=sym.hidden)
    return DecoderLayer(hidden=sym.hidden, mixer=mixer, mlp=mlp, mixer_norm=norm, mlp_norm=norm)


def rounded_head(c: LlamaConfig) -> int:
    """Hidden / heads, rounded down as some classes do that take no remainder for a fault."""
    size = c.hidden_size // c.num_attention_heads
    refuse(size == 0, f"key 'hidden_size': {c.hidden_size} is less than num_attention_heads")
    return size


def moe_sizes(
    c: LlamaConfig, *, experts: int, active: int, width: int, **more: int | None
) -> Sizes:
    """The sizes of a Llama-like decoder whose MLPs are experts."""
    _check(experts, active)
    heads = c.num_attention_heads
    return numbers(
        hidden=c.hidden_size,
        heads=heads,
        kv_heads=grouped(heads, c.num_key_value_heads or heads),
        head_dim=c.head_dim or per_head(c.hidden_size, heads),
        vocab=c.vocab_size,
        experts=experts,
        active_experts=active,
        expert_intermediate=width,
        **more,
    )


def llama_ends(c: LlamaConfig, sections: tuple[Section, ...]) -> tuple[Section, ...]:
    """Embedding before the layers, RMSNorm and LM head after them."""
    ends = Decoder(norm=NormSpec(features=sym.hidden), tied=c.tie_word_embeddings)
    return ends.around(sections)


def mixtral(c: MixtralConfig, name: str) -> Model:
    """Mixtral: experts in every layer."""
    refuse(c.num_key_value_heads is None, "missing key 'num_key_value_heads'")
    spans, block = windows(c, c.sliding_window, alike=True), experts(c.hidden_act)
    layers = [layer(attention(window=span), block) for span in spans]
    return decoder(c, name, layers, expert_intermediate=c.intermediate_size)


def expert_sections(
    dense: list[bool], plain: Block, routed: Block
) -> tuple[tuple[Section, ...], Sizes]:
    """Sections of dense and expert layers; the expert layers are ``layers - dense_layers``."""
    count = sum(dense)
    values = {sym.layers: len(dense)}
    if count in (0, len(dense)):
        block = plain if count else routed
        return (Section(label="layers", count=sym.layers, block=block),), values
    values[sym.dense_layers] = count
    return (
        Section(label="dense_layers", count=sym.dense_layers, block=plain),
        Section(label="expert_layers", count=sym.layers - sym.dense_layers, block=routed),
    ), values


def olmoe(c: OlmoeConfig, name: str) -> Model:
    """OLMoE: experts in every layer, normalized queries and keys."""
    each = layer(attention(bias=c.attention_bias, qk_norm="all"), experts(c.hidden_act))
    layers = [each] * c.num_hidden_layers
    return decoder(c, name, layers, expert_intermediate=c.intermediate_size)


def gpt_oss(c: GptOssConfig, name: str) -> Model:
    """gpt-oss: biased experts, sinks, sliding windows in every other layer."""
    refuse(c.num_key_value_heads is None, "missing key 'num_key_value_heads'")
    block = experts(c.hidden_act, bias=True, router_bias=True)
    layers = [
        layer(attention(window=span, bias=c.attention_bias, sinks=True), block)
        for span in windows(c, c.sliding_window, lambda i: i % 2 == 0)
    ]
    return decoder(c, name, layers, expert_intermediate=c.intermediate_size)


FAMILIES = {
    "mixtral": Family(MixtralConfig, mixtral, "mixtral-8x7b"),
    "olmoe": Family(OlmoeConfig, olmoe, "olmoe-1b-7b"),
    "gpt_oss": Family(
        GptOssConfig,
        gpt_oss,
        "gpt-oss-20b",
        ignored="experts_per_token initial_context_length swiglu_alpha swiglu_limit",
    ),
}
