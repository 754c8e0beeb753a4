"""Decoders whose layers differ in heads or widths: openelm, deci (DeciLM) and nemotron-nas.

What differs stands as numbers in the layers, what all share as symbols.
"""

from typing import Any

import msgspec

from lifesym.families.base import Config, Count, Family, StackConfig, each_layer, grouped, refuse
from lifesym.families.decoder import Ends, attention, decoder, layer, mlp
from lifesym.model import Model


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


class DeciConfig(StackConfig, kw_only=True):
    """Key-value heads by layer."""

    intermediate_size: Count
    num_key_value_heads_per_layer: list[Count]
    num_key_value_heads: Count | None = None
    hidden_act: str = "silu"
    attention_bias: bool = False
    tie_word_embeddings: bool = False


class NasPart(msgspec.Struct, kw_only=True):
    """A part of a layer, which may have none."""

    no_op: bool = False
    replace_with_linear: bool = False
    sparsify: Any = None


class NasAttention(NasPart, kw_only=True):
    """A layer's attention: query heads a key-value head."""

    n_heads_in_group: Count | None = None
    window_length: int | None = None
    num_sink_tokens: int | None = None


class NasMlp(NasPart, kw_only=True):
    """A layer's MLP: its multiplier."""

    ffn_mult: float | None = None


class NasBlock(msgspec.Struct):
    """One layer of nemotron-nas."""

    attention: NasAttention
    ffn: NasMlp


class NasConfig(StackConfig, kw_only=True):
    """A list of layer descriptions."""

    block_configs: list[NasBlock]
    intermediate_size: Count | None = None
    num_key_value_heads: Count | None = None
    hidden_act: str = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    tie_word_embeddings: bool = False


def openelm(c: OpenElmConfig, name: str) -> Model:
    """OpenELM: layers widen with depth (layer-wise scaling, arXiv 2404.14619, section 2)."""
    depth = c.num_transformer_layers
    for key in ("num_query_heads", "num_kv_heads", "ffn_multipliers"):
        refuse(len(getattr(c, key)) != depth, f"key {key!r}: needs one entry for each layer")
    refuse(c.normalization_layer_name != "rms_norm", "key 'normalization_layer_name': not modelled")
    widths = [_divisible(m * c.model_dim, c.ffn_dim_divisor) for m in c.ffn_multipliers]
    gated, normed = c.ffn_with_glu, "head" if c.normalize_qk_projections else "none"
    layers = [
        layer(
            attention(heads=heads, kv_heads=grouped(heads, kv), fused=True, qk_norm=normed),
            mlp(c.activation_fn_name, intermediate=width, gated=gated, fused=gated),
        )
        for heads, kv, width in zip(c.num_query_heads, c.num_kv_heads, widths, strict=True)
    ]
    return decoder(c, name, layers, Ends(tied=c.share_input_output_layers), hidden=c.model_dim)


def _divisible(value: float, divisor: int) -> int:
    """Apple's rounding: to the nearest multiple, never more than a tenth below the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def deci(c: DeciConfig, name: str) -> Model:
    """DeciLM: grouped queries with a group size of each layer's own."""
    kv = c.num_key_value_heads_per_layer
    each_layer(kv, c.num_hidden_layers, "num_key_value_heads_per_layer")
    heads, block = c.num_attention_heads, mlp(c.hidden_act)
    return decoder(
        c,
        name,
        [layer(attention(kv_heads=grouped(heads, n), bias=c.attention_bias), block) for n in kv],
    )


def nemotron_nas(c: NasConfig, name: str) -> Model:
    """Nemotron by architecture search: layers without attention, MLPs of many widths."""
    each_layer(c.block_configs, c.num_hidden_layers, "block_configs")
    layers = []
    for i, block in enumerate(c.block_configs):
        for part in (block.attention, block.ffn):
            refuse(
                part.replace_with_linear or bool(part.sparsify),
                f"key 'block_configs[{i}]': linear or sparse replacements are not modelled",
            )
        refuse(
            block.attention.window_length is not None or bool(block.attention.num_sink_tokens),
            f"key 'block_configs[{i}].attention': windows and sinks are not modelled",
        )
        kv_heads, width = _kv_heads(c, block, i), _width(c, block, i)
        mixer = attention(kv_heads=kv_heads, bias=c.attention_bias) if kv_heads else None
        feed = mlp(c.hidden_act, intermediate=width, bias=c.mlp_bias) if width else None
        layers.append(layer(mixer, feed))
    return decoder(c, name, layers)


def _kv_heads(c: NasConfig, block: NasBlock, i: int) -> int | None:
    if block.attention.no_op:
        return None
    group = block.attention.n_heads_in_group
    where = f"block_configs[{i}].attention.n_heads_in_group"
    if group is None or c.num_attention_heads % group:
        refuse(True, f"key {where!r}: must divide num_attention_heads = {c.num_attention_heads}")
    return c.num_attention_heads // (group or 1)


def _width(c: NasConfig, block: NasBlock, i: int) -> int | None:
    if block.ffn.no_op:
        return None
    factor = block.ffn.ffn_mult
    refuse(not factor or factor <= 0, f"key 'block_configs[{i}].ffn.ffn_mult': must be above 0")
    width = int(2 * (factor or 0) * c.hidden_size / 3)
    return -(-width // 256) * 256


FAMILIES = {
    "openelm": Family(
        OpenElmConfig,
        openelm,
        "openelm-270m",
        ignored="ffn_dim_divisor max_context_length num_gqa_groups qkv_multipliers "
        "rope_freq_constant rope_max_length",
    ),
    "deci": Family(DeciConfig, deci, "decilm-7b", ignored="use_bfloat16"),
    "nemotron-nas": Family(NasConfig, nemotron_nas, "llama-3.3-nemotron-super-49b"),
}
