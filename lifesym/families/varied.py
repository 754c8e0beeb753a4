"""Decoders whose layers differ in heads or widths: openelm, deci (DeciLM) and nemotron-nas.

What differs stands as numbers in the layers, what all share as symbols.
"""

from typing import Any

from lifesym.families.base import Config, grouped, refuse
from lifesym.families.decoder import Ends, decoder
from lifesym.families.parts import attention, layer, mlp
from lifesym.families.patterns import each_layer
from lifesym.model import Model


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
