"""Nemotron by architecture search (nemotron-nas): every layer is described on its own."""

from typing import Any

import msgspec

from lifesym import symbols as sym
from lifesym.blocks import MLP, DecoderLayer
from lifesym.families.base import (
    Config,
    Count,
    Decoder,
    Family,
    activation,
    assemble,
    numbers,
    per_head,
    refuse,
)
from lifesym.families.varied import NORM, alike, llama_attention, varied_layer
from lifesym.model import Model


class NasAttention(msgspec.Struct, kw_only=True):
    """A layer's attention: query heads a key-value head, or none at all."""

    n_heads_in_group: Count | None = None
    no_op: bool = False
    replace_with_linear: bool = False
    sparsify: Any = None
    window_length: int | None = None
    num_sink_tokens: int | None = None


class NasMlp(msgspec.Struct, kw_only=True):
    """A layer's MLP: its multiplier, or none at all."""

    ffn_mult: float | None = None
    no_op: bool = False
    replace_with_linear: bool = False
    sparsify: Any = None


class NasBlock(msgspec.Struct):
    """One layer of nemotron-nas."""

    attention: NasAttention
    ffn: NasMlp


class NasConfig(Config, kw_only=True):
    """A list of layer descriptions."""

    hidden_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    vocab_size: Count
    block_configs: list[NasBlock]
    intermediate_size: Count | None = None
    num_key_value_heads: Count | None = None
    hidden_act: str = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    tie_word_embeddings: bool = False


def nemotron_nas(c: NasConfig, name: str) -> Model:
    """Nemotron by architecture search: layers without attention, MLPs of many widths."""
    refuse(
        len(c.block_configs) != c.num_hidden_layers,
        f"key 'block_configs': {len(c.block_configs)} entries for {c.num_hidden_layers} layers",
    )
    function = activation(c.hidden_act)
    kinds = []
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
        kinds.append((_kv_heads(c, block, i), _width(c, block, i)))

    def make(kind: tuple[int | None, int | None]) -> DecoderLayer:
        kv_heads, width = kind
        attention = None if kv_heads is None else llama_attention(kv_heads, c.attention_bias)
        mlp = None
        if width is not None:
            mlp = MLP(hidden=sym.hidden, intermediate=width, activation=function, bias=c.mlp_bias)
        return varied_layer(attention, mlp)

    ends = Decoder(norm=NORM, tied=c.tie_word_embeddings)
    sizes = numbers(
        hidden=c.hidden_size,
        heads=c.num_attention_heads,
        head_dim=per_head(c.hidden_size, c.num_attention_heads),
        vocab=c.vocab_size,
    )
    return assemble(name, c.model_type, ends.around(alike(kinds, make)), sizes)


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
    "nemotron-nas": Family(NasConfig, nemotron_nas, "llama-3.3-nemotron-super-49b"),
}
