"""Falcon: multi-query or grouped attention, rotary positions or ALiBi, parallel blocks."""

from lifesym import symbols as sym
from lifesym.families.base import Count, Family, StackConfig, grouped, refuse
from lifesym.families.decoder import LAYER_NORM, Ends, attention, decoder, layer, mlp
from lifesym.model import Model


class FalconConfig(StackConfig, kw_only=True):
    """Two generations: ``new_decoder_architecture`` has grouped heads and one norm a branch."""

    num_kv_heads: Count | None = None
    ffn_hidden_size: Count | None = None
    activation: str = "gelu"
    num_ln_in_parallel_attn: int | None = None
    alibi: bool = False
    new_decoder_architecture: bool = False
    multi_query: bool = True
    parallel_attn: bool = True
    bias: bool = False
    tie_word_embeddings: bool = True


def falcon(c: FalconConfig, name: str) -> Model:
    """Falcon 7B (multi-query, one norm), 40B and 180B (grouped, two norms), RW (ALiBi)."""
    heads = c.num_attention_heads
    if c.new_decoder_architecture:
        kv_heads = c.num_kv_heads or heads
        refuse(
            c.num_ln_in_parallel_attn not in (None, 1, 2),
            f"key 'num_ln_in_parallel_attn': {c.num_ln_in_parallel_attn} is not 1 or 2",
        )
    else:
        kv_heads = 1 if c.multi_query else c.num_kv_heads or heads
        refuse(
            not c.multi_query and kv_heads != heads,
            f"key 'num_kv_heads': without multi_query it must be num_attention_heads = {heads}",
        )
        refuse(
            c.parallel_attn and c.num_ln_in_parallel_attn == 2,
            "key 'num_ln_in_parallel_attn': 2 needs new_decoder_architecture",
        )
    refuse(
        c.new_decoder_architecture and not c.parallel_attn,
        "key 'parallel_attn': false is not modelled with new_decoder_architecture",
    )
    norms = c.num_ln_in_parallel_attn or (2 if c.new_decoder_architecture else 1)
    turns = 0 if c.alibi else sym.head_dim
    each = layer(
        attention(fused=True, bias=c.bias, rotary_dim=turns, alibi=c.alibi),
        mlp(c.activation, "activation", gated=False, bias=c.bias),
        norm=LAYER_NORM,
        mlp_norm=LAYER_NORM if norms == 2 or not c.parallel_attn else None,
        parallel=c.parallel_attn,
    )
    return decoder(
        c,
        name,
        [each] * c.num_hidden_layers,
        Ends(norm=LAYER_NORM),
        kv_heads=grouped(heads, kv_heads, "num_kv_heads"),
        intermediate=c.ffn_hidden_size or 4 * c.hidden_size,
    )


FAMILIES = {
    "falcon": Family(
        FalconConfig,
        falcon,
        "falcon-7b",
        {
            "n_embed": "hidden_size",
            "n_layer": "num_hidden_layers",
            "n_head": "num_attention_heads",
            "n_head_kv": "num_kv_heads",
        },
        nulls="alibi bias multi_query new_decoder_architecture parallel_attn",
    )
}
