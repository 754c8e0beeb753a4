"""Decoders whose code is in the files of their checkpoints, read by that code's arithmetic.

Layers of OpenELM, DeciLM and Nemotron by architecture search differ in heads or widths: what
differs stands as numbers in the layers, what all share as symbols.
"""

from typing import Any

from lifesym import symbols as sym
from lifesym.families.base import Config, expect, grouped, per_head, refuse
from lifesym.families.decoder import Ends, decoder
from lifesym.families.parts import AROUND, LAYER_NORM, RMS, attention, layer, mlp
from lifesym.families.patterns import each_layer
from lifesym.model import Model

PLACEHOLDERS = 128
"""Rows of Molmo's table for tokens of images, which have no logits."""


def molmo(c: Config) -> Model:
    """Molmo: fused projections, norms before or after the parts, perhaps of queries and keys."""
    refuse(c.weight_tying or c.tie_word_embeddings, "key 'weight_tying': true is not modelled")
    normed = "all" if c.attention_layer_norm else "none"
    mixer = attention(fused=True, qkv_bias=c.qkv_bias, qk_norm=normed)
    before, after = (None, AROUND) if c.norm_after else (RMS, {})
    return decoder(
        c,
        layer(mixer, mlp("silu", fused=True), before, **after),
        Ends(rows=sym.vocab + PLACEHOLDERS),
        intermediate=_half(c),
        vocab=c.embedding_size or c.vocab_size,
    )


def _half(c: Config) -> int:
    """The size of an MLP whose ``intermediate_size`` is that of both projections into it."""
    refuse(c.intermediate_size % 2 != 0, "key 'intermediate_size': two projections share it")
    return int(c.intermediate_size // 2)


def baichuan(c: Config) -> Model:
    """Baichuan 1 and 2: Llama with a fused QKV projection; the 13B has ALiBi.

    The norm of the LM head's rows is taken once, when it is loaded.
    """
    rotary = c.max_position_embeddings is not None
    turns = sym.head_dim if rotary else 0
    mixer = attention(kv_heads=sym.heads, fused=True, alibi=not rotary, rotary_dim=turns)
    return decoder(c, layer(mixer, mlp(c)))


def chatglm(c: Config) -> Model:
    """ChatGLM 2 and 3: few key-value heads, half of each head rotated, fused projections."""
    refuse(c.kv_channels % 4 != 0, f"key 'kv_channels': half of {c.kv_channels} is no pairs")
    norm, bias = RMS if c.rmsnorm else LAYER_NORM, c.add_bias_linear
    groups = c.multi_query_group_num if c.multi_query_attention else c.num_attention_heads
    refuse(
        c.num_attention_heads % groups != 0,
        f"key 'multi_query_group_num': {groups} does not divide num_attention_heads",
    )
    turns, biased = sym.rotary_dim, bias or c.add_qkv_bias
    mixer = attention(fused=True, qkv_bias=biased, out_bias=bias, rotary_dim=turns)
    return decoder(
        c,
        layer(mixer, mlp("silu", fused=True, bias=bias), norm),
        Ends(norm=norm if c.post_layer_norm else None),
        intermediate=c.ffn_hidden_size,
        kv_heads=groups,
        head_dim=c.kv_channels,
        rotary_dim=c.kv_channels // 2,
    )


def qwen(c: Config) -> Model:
    """Qwen 1: biases on queries, keys and values, a fused QKV projection."""
    size, bias = per_head(c.hidden_size, c.num_attention_heads), not c.no_bias
    expect(c, "kv_channels", size, "hidden_size / num_attention_heads")
    mixer = attention(kv_heads=sym.heads, fused=True, qkv_bias=True, out_bias=bias)
    return decoder(c, layer(mixer, mlp("silu", bias=bias)), intermediate=_half(c))


def internlm2(c: Config) -> Model:
    """InternLM 2 and 2.5: Llama with a fused QKV projection."""
    return decoder(c, layer(attention(c, fused=True), mlp(c)))


def openelm(c: Config) -> Model:
    """OpenELM: layers widen with depth (layer-wise scaling, arXiv 2404.14619, section 2)."""
    depth = c.num_transformer_layers
    for key in ("num_query_heads", "num_kv_heads", "ffn_multipliers"):
        refuse(len(getattr(c, key)) != depth, f"key {key!r}: needs one entry for each layer")
    widths = [_divisible(m * c.model_dim, c.ffn_dim_divisor) for m in c.ffn_multipliers]
    gated, normed = c.ffn_with_glu, "head" if c.normalize_qk_projections else "none"
    layers = [
        layer(
            attention(heads=heads, kv_heads=grouped(heads, kv), fused=True, qk_norm=normed),
            mlp(c.activation_fn_name, intermediate=width, gated=gated, fused=gated),
        )
        for heads, kv, width in zip(c.num_query_heads, c.num_kv_heads, widths, strict=True)
    ]
    return decoder(c, layers, Ends(tied=c.share_input_output_layers), hidden=c.model_dim)


def _divisible(value: float, divisor: int) -> int:
    """Apple's rounding: to the nearest multiple, never more than a tenth below the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def deci(c: Config) -> Model:
    """DeciLM: grouped queries with a group size of each layer's own."""
    kv = c.num_key_value_heads_per_layer
    each_layer(kv, c.num_hidden_layers, "num_key_value_heads_per_layer")
    mixers = [attention(c, kv_heads=grouped(c.num_attention_heads, each)) for each in kv]
    return decoder(c, [layer(mixer, mlp(c)) for mixer in mixers])


def nemotron_nas(c: Config) -> Model:
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
        mixer = attention(c, kv_heads=kv_heads) if kv_heads else None
        feed = mlp(c, intermediate=width) if width else None
        layers.append(layer(mixer, feed))
    return decoder(c, layers)


def _kv_heads(c: Config, block: Any, i: int) -> int | None:
    if block.attention.no_op:
        return None
    group = block.attention.n_heads_in_group
    where = f"block_configs[{i}].attention.n_heads_in_group"
    if group is None or c.num_attention_heads % group:
        refuse(True, f"key {where!r}: must divide num_attention_heads = {c.num_attention_heads}")
    return int(c.num_attention_heads // (group or 1))


def _width(c: Config, block: Any, i: int) -> int | None:
    if block.ffn.no_op:
        return None
    factor = block.ffn.ffn_mult
    refuse(not factor or factor <= 0, f"key 'block_configs[{i}].ffn.ffn_mult': must be above 0")
    width = int(2 * (factor or 0) * c.hidden_size / 3)
    return -(-width // 256) * 256
