"""OPT, BLOOM and MPT: learned positions with two spare rows, or ALiBi."""

import msgspec
from msgspec import field

from lifesym import symbols as sym
from lifesym.blocks import NormSpec
from lifesym.families.base import Config, Count, Family, StackConfig, refuse
from lifesym.families.decoder import LAYER_NORM, Ends, attention, decoder, layer, mlp
from lifesym.model import Model


class OPTConfig(StackConfig, kw_only=True):
    """Post-norm where ``do_layer_norm_before`` is false; embeddings may be narrower."""

    intermediate_size: Count = field(name="ffn_dim")
    max_position_embeddings: Count
    word_embed_proj_dim: Count | None = None
    do_layer_norm_before: bool = True
    remove_final_layer_norm: bool = field(default=False, name="_remove_final_layer_norm")
    activation_function: str = "relu"
    enable_bias: bool = True
    layer_norm_elementwise_affine: bool = True
    tie_word_embeddings: bool = True


class BloomConfig(Config, kw_only=True):
    """The MLP is four times the hidden size, always."""

    vocab_size: Count
    hidden_size: Count
    num_hidden_layers: Count = field(name="n_layer")
    num_attention_heads: Count = field(name="n_head")
    tie_word_embeddings: bool = True


class MptAttentionConfig(msgspec.Struct, kw_only=True):
    """What of the attention may differ from the class that transformers has."""

    alibi: bool = True
    attn_type: str = "multihead_attention"
    clip_qkv: float | None = None
    prefix_lm: bool = False
    qk_ln: bool = False


class MptConfig(Config, kw_only=True):
    """Keys as published by MosaicML; the head is tied to the embedding."""

    hidden_size: Count = field(name="d_model")
    num_attention_heads: Count = field(name="n_heads")
    num_hidden_layers: Count = field(name="n_layers")
    vocab_size: Count
    expansion_ratio: Count = 4
    no_bias: bool = True
    tie_word_embeddings: bool = True
    norm_type: str = "low_precision_layernorm"
    attn_config: MptAttentionConfig = field(default_factory=MptAttentionConfig)


def opt(c: OPTConfig, name: str) -> Model:
    """OPT: learned positions in a table with two spare rows."""
    width, bias = c.word_embed_proj_dim or c.hidden_size, c.enable_bias
    norm = NormSpec(features=sym.hidden, kind="layer", affine=c.layer_norm_elementwise_affine)
    each = layer(
        attention(kv_heads=sym.heads, bias=bias, rotary_dim=0),
        mlp(c.activation_function, "activation_function", gated=False, bias=bias),
        norm=norm,
    )
    final = c.do_layer_norm_before and not c.remove_final_layer_norm
    ends = Ends(
        norm=norm if final else None,
        positions=sym.positions,
        width=sym.hidden if width == c.hidden_size else sym.embedding_dim,
    )
    return decoder(
        c,
        name,
        [each] * c.num_hidden_layers,
        ends,
        positions=c.max_position_embeddings + 2,
        embedding_dim=width,
    ).limited(c.max_position_embeddings)


def bloom(c: BloomConfig, name: str) -> Model:
    """BLOOM: ALiBi, fused QKV, a norm of the embeddings."""
    each = layer(
        attention(kv_heads=sym.heads, fused=True, bias=True, rotary_dim=0, alibi=True),
        mlp("gelu_new", gated=False, bias=True),
        norm=LAYER_NORM,
    )
    ends, width = Ends(norm=LAYER_NORM, embedding_norm=LAYER_NORM), 4 * c.hidden_size
    return decoder(c, name, [each] * c.num_hidden_layers, ends, intermediate=width)


def mpt(c: MptConfig, name: str) -> Model:
    """MPT: ALiBi, fused QKV, plain MLPs, no biases; some checkpoints' clamp is not counted."""
    attn = c.attn_config
    refuse(c.expansion_ratio != 4, "key 'expansion_ratio': the class's code knows only 4")
    refuse(not attn.alibi, "key 'attn_config.alibi': false is not modelled")
    refuse(
        attn.attn_type != "multihead_attention",
        f"key 'attn_config.attn_type': {attn.attn_type!r} is not modelled",
    )
    refuse(attn.prefix_lm, "key 'attn_config.prefix_lm': true is not modelled")
    refuse(attn.qk_ln, "key 'attn_config.qk_ln': true is not modelled")
    refuse(not c.no_bias, "key 'no_bias': false is not modelled")
    norm = NormSpec(features=sym.hidden, kind="layer", bias=False)
    each = layer(
        attention(kv_heads=sym.heads, fused=True, rotary_dim=0, alibi=True),
        mlp("gelu", gated=False),
        norm=norm,
    )
    layers, width = [each] * c.num_hidden_layers, c.expansion_ratio * c.hidden_size
    return decoder(c, name, layers, Ends(norm=norm), intermediate=width)


FAMILIES = {
    "opt": Family(OPTConfig, opt, "opt-6.7b"),
    "bloom": Family(
        BloomConfig,
        bloom,
        "bloom-7b1",
        {"n_embed": "hidden_size", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"},
        "n_inner",
    ),
    "mpt": Family(
        MptConfig,
        mpt,
        "mpt-7b",
        ignored="emb_pdrop embedding_fraction init_device learned_pos_emb logit_scale max_seq_len "
        "resid_pdrop tokenizer_name init_config verbose",
        nulls="attn_config",
    ),
}
