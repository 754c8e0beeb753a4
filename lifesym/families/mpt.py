"""MPT: ALiBi, a fused QKV projection, and no biases anywhere."""

import msgspec

from lifesym import symbols as sym
from lifesym.blocks import NormSpec
from lifesym.families.base import Config, Count, Decoder, Family, per_head, refuse
from lifesym.families.layer_norm import layer_norm_layer, layer_norm_model
from lifesym.model import Model


class MptAttentionConfig(msgspec.Struct, kw_only=True):
    """What of the attention may differ from the class that transformers has."""

    alibi: bool = True
    attn_type: str = "multihead_attention"
    clip_qkv: float | None = None
    prefix_lm: bool = False
    qk_ln: bool = False


class MptConfig(Config, kw_only=True):
    """Keys as published by MosaicML; the head is tied to the embedding."""

    d_model: Count
    n_heads: Count
    n_layers: Count
    vocab_size: Count
    expansion_ratio: Count = 4
    no_bias: bool = True
    tie_word_embeddings: bool = True
    norm_type: str = "low_precision_layernorm"
    attn_config: MptAttentionConfig = msgspec.field(default_factory=MptAttentionConfig)


def mpt(c: MptConfig, name: str) -> Model:
    """MPT: ALiBi, fused QKV, plain MLPs, no biases; some checkpoints' clamp is not counted."""
    attention = c.attn_config
    refuse(c.expansion_ratio != 4, "key 'expansion_ratio': the class's code knows only 4")
    refuse(not attention.alibi, "key 'attn_config.alibi': false is not modelled")
    refuse(
        attention.attn_type != "multihead_attention",
        f"key 'attn_config.attn_type': {attention.attn_type!r} is not modelled",
    )
    refuse(attention.prefix_lm, "key 'attn_config.prefix_lm': true is not modelled")
    refuse(attention.qk_ln, "key 'attn_config.qk_ln': true is not modelled")
    refuse(not c.no_bias, "key 'no_bias': false is not modelled")
    norm = NormSpec(features=sym.hidden, kind="layer", bias=False)
    layer = layer_norm_layer(
        function="gelu",
        qkv_bias=False,
        out_bias=False,
        mlp_bias=False,
        alibi=True,
        norm=norm,
        mlp_norm=norm,
    )
    return layer_norm_model(
        c,
        name,
        layer,
        Decoder(norm=norm, tied=c.tie_word_embeddings),
        layers=c.n_layers,
        hidden=c.d_model,
        heads=c.n_heads,
        head_dim=per_head(c.d_model, c.n_heads, "d_model", "n_heads"),
        intermediate=c.expansion_ratio * c.d_model,
        vocab=c.vocab_size,
    )


FAMILIES = {
    "mpt": Family(
        MptConfig,
        mpt,
        "mpt-7b",
        ignored="emb_pdrop embedding_fraction init_device learned_pos_emb logit_scale max_seq_len "
        "resid_pdrop tokenizer_name init_config verbose",
        nulls="attn_config",
    ),
}
