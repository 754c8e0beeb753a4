"""Decoders whose layers differ in heads or widths: openelm and deci (DeciLM).

Layers that are alike are one section, whatever their order: the cost of a pass is a sum. What
differs stands as numbers in the layer, what all share as symbols.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention, DecoderLayer, NormSpec
from lifesym.families.base import (
    Config,
    Count,
    Decoder,
    Family,
    activation,
    assemble,
    grouped,
    numbers,
    per_head,
    refuse,
)
from lifesym.model import Model, Section

NORM = NormSpec(features=sym.hidden)


class OpenElmConfig(Config, kw_only=True):
    """Heads and MLP multipliers by layer; widths are rounded to ``ffn_dim_divisor``."""

    model_dim: Count
    head_dim: Count
    num_transformer_layers: Count
    num_query_heads: list[Count]
    num_kv_heads: list[Count]
    ffn_multipliers: list[float]
    vocab_size: Count
    ffn_dim_divisor: Count = 256
    ffn_with_glu: bool = True
    normalize_qk_projections: bool = False
    share_input_output_layers: bool = True
    activation_fn_name: str = "swish"
    normalization_layer_name: str = "rms_norm"


class DeciConfig(Config, kw_only=True):
    """Key-value heads by layer."""

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    vocab_size: Count
    num_key_value_heads_per_layer: list[Count]
    num_key_value_heads: Count | None = None
    hidden_act: str = "silu"
    attention_bias: bool = False
    tie_word_embeddings: bool = False


def alike(layers: Sequence[Hashable], make: Callable[[Any], DecoderLayer]) -> tuple[Section, ...]:
    """One section for each kind of layer, in the order of first appearance."""
    kinds = Counter(layers)
    return tuple(
        Section(label=f"layers_{i}", count=Integer(count), block=make(kind))
        for i, (kind, count) in enumerate(kinds.items(), start=1)
    )


def varied_layer(attention: Attention | None, mlp: MLP | None) -> DecoderLayer:
    """A layer that may lack its attention or its MLP."""
    return DecoderLayer(
        hidden=sym.hidden,
        mixer=attention,
        mlp=mlp,
        mixer_norm=NORM if attention else None,
        mlp_norm=NORM if mlp else None,
    )


def openelm(c: OpenElmConfig, name: str) -> Model:
    """OpenELM: layers widen with depth (layer-wise scaling, arXiv 2404.14619, section 2)."""
    layers = c.num_transformer_layers
    for key in ("num_query_heads", "num_kv_heads", "ffn_multipliers"):
        refuse(len(getattr(c, key)) != layers, f"key {key!r}: needs one entry for each layer")
    refuse(c.normalization_layer_name != "rms_norm", "key 'normalization_layer_name': not modelled")
    widths = [_divisible(m * c.model_dim, c.ffn_dim_divisor) for m in c.ffn_multipliers]
    function = activation(c.activation_fn_name)

    def make(kind: tuple[int, int, int]) -> DecoderLayer:
        heads, kv_heads, width = kind
        attention = Attention(
            hidden=sym.hidden,
            heads=heads,
            kv_heads=grouped(heads, kv_heads),
            head_dim=sym.head_dim,
            fused=True,
            rotary_dim=sym.head_dim,
            qk_norm="head" if c.normalize_qk_projections else "none",
        )
        gated = c.ffn_with_glu
        mlp = MLP(
            hidden=sym.hidden, intermediate=width, activation=function, gated=gated, fused=gated
        )
        return varied_layer(attention, mlp)

    kinds = list(zip(c.num_query_heads, c.num_kv_heads, widths, strict=True))
    ends = Decoder(norm=NORM, tied=c.share_input_output_layers)
    sizes = numbers(hidden=c.model_dim, head_dim=c.head_dim, vocab=c.vocab_size)
    return assemble(name, c.model_type, ends.around(alike(kinds, make)), sizes)


def _divisible(value: float, divisor: int) -> int:
    """Apple's rounding: to the nearest multiple, never more than a tenth below the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def deci(c: DeciConfig, name: str) -> Model:
    """DeciLM: grouped queries with a group size of each layer's own."""
    kv = c.num_key_value_heads_per_layer
    refuse(
        len(kv) != c.num_hidden_layers,
        f"key 'num_key_value_heads_per_layer': {len(kv)} entries for {c.num_hidden_layers} layers",
    )
    function = activation(c.hidden_act)

    def make(kv_heads: int) -> DecoderLayer:
        attention = llama_attention(grouped(c.num_attention_heads, kv_heads), c.attention_bias)
        mlp = MLP(hidden=sym.hidden, intermediate=sym.intermediate, activation=function)
        return varied_layer(attention, mlp)

    ends = Decoder(norm=NORM, tied=c.tie_word_embeddings)
    sizes = numbers(
        hidden=c.hidden_size,
        intermediate=c.intermediate_size,
        heads=c.num_attention_heads,
        head_dim=per_head(c.hidden_size, c.num_attention_heads),
        vocab=c.vocab_size,
    )
    return assemble(name, c.model_type, ends.around(alike(kv, make)), sizes)


def llama_attention(kv_heads: int, bias: bool) -> Attention:
    """Rotary attention with so many key-value heads."""
    return Attention(
        hidden=sym.hidden,
        heads=sym.heads,
        kv_heads=kv_heads,
        head_dim=sym.head_dim,
        qkv_bias=bias,
        out_bias=bias,
        rotary_dim=sym.head_dim,
    )


FAMILIES = {
    "openelm": Family(
        OpenElmConfig,
        openelm,
        "openelm-270m",
        ignored="ffn_dim_divisor max_context_length num_gqa_groups qkv_multipliers "
        "rope_freq_constant rope_max_length",
    ),
    "deci": Family(DeciConfig, deci, "decilm-7b", ignored="use_bfloat16"),
}
