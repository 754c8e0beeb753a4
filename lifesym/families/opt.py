"""OPT and BLOOM: learned positions with two spare rows, and ALiBi behind normalized embeddings."""

from msgspec import field

from lifesym import symbols as sym
from lifesym.blocks import NormSpec
from lifesym.families.base import Config, Count, Decoder, Family, per_head
from lifesym.families.layer_norm import LAYER_NORM, layer_norm_layer, layer_norm_model
from lifesym.model import Model


class OPTConfig(Config, kw_only=True):
    """Post-norm where ``do_layer_norm_before`` is false; embeddings may be narrower."""

    vocab_size: Count
    hidden_size: Count
    num_hidden_layers: Count
    ffn_dim: Count
    num_attention_heads: Count
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
    n_layer: Count
    n_head: Count
    tie_word_embeddings: bool = True


def opt(c: OPTConfig, name: str) -> Model:
    """OPT: learned positions in a table with two spare rows."""
    width = c.word_embed_proj_dim or c.hidden_size
    norm = NormSpec(features=sym.hidden, kind="layer", affine=c.layer_norm_elementwise_affine)
    layer = layer_norm_layer(
        function=c.activation_function,
        function_key="activation_function",
        fused=False,
        qkv_bias=c.enable_bias,
        out_bias=c.enable_bias,
        mlp_bias=c.enable_bias,
        norm=norm,
        mlp_norm=norm,
    )
    final = c.do_layer_norm_before and not c.remove_final_layer_norm
    ends = Decoder(
        norm=norm if final else None,
        tied=c.tie_word_embeddings,
        positions=sym.positions,
        width=sym.hidden if width == c.hidden_size else sym.embedding_dim,
    )
    return layer_norm_model(
        c,
        name,
        layer,
        ends,
        layers=c.num_hidden_layers,
        hidden=c.hidden_size,
        heads=c.num_attention_heads,
        head_dim=per_head(c.hidden_size, c.num_attention_heads),
        intermediate=c.ffn_dim,
        vocab=c.vocab_size,
        positions=c.max_position_embeddings + 2,
        embedding_dim=width if width != c.hidden_size else None,
    ).limited(c.max_position_embeddings)


def bloom(c: BloomConfig, name: str) -> Model:
    """BLOOM: ALiBi, fused QKV, a norm of the embeddings."""
    return layer_norm_model(
        c,
        name,
        layer_norm_layer(function="gelu_new", alibi=True),
        Decoder(norm=LAYER_NORM, tied=c.tie_word_embeddings, embedding_norm=LAYER_NORM),
        layers=c.n_layer,
        hidden=c.hidden_size,
        heads=c.n_head,
        head_dim=per_head(c.hidden_size, c.n_head, by="n_head"),
        intermediate=4 * c.hidden_size,
        vocab=c.vocab_size,
    )


FAMILIES = {
    "opt": Family(OPTConfig, opt, "opt-6.7b"),
    "bloom": Family(
        BloomConfig,
        bloom,
        "bloom-7b1",
        {"n_embed": "hidden_size", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"},
        "n_inner",
    ),
}
