"""GPT-2, GPT-NeoX (Pythia), GPT-J, OPT and BLOOM: LayerNorm decoders with plain MLPs."""

from sympy import Expr

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention, DecoderLayer, NormSpec
from lifesym.families.base import (
    Config,
    Count,
    Decoder,
    Family,
    activation,
    assemble,
    layer_sections,
    numbers,
    per_head,
    refuse,
    rotated,
)
from lifesym.model import Model
from lifesym.symbols import Size

LAYER_NORM = NormSpec(features=sym.hidden, kind="layer")


class GPT2Config(Config, kw_only=True):
    """``n_inner`` null means four times the embedding size."""

    vocab_size: Count
    n_embd: Count
    n_layer: Count
    n_head: Count
    n_positions: Count
    n_inner: Count | None = None
    activation_function: str = "gelu_new"
    tie_word_embeddings: bool = True
    add_cross_attention: bool = False


class NeoXConfig(Config, kw_only=True):
    """``rotary_pct`` of every head is rotated; 0.25 unless given."""

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    vocab_size: Count
    hidden_act: str = "gelu"
    partial_rotary_factor: float = 0.25
    use_parallel_residual: bool = True
    attention_bias: bool = True
    tie_word_embeddings: bool = False
    is_decoder: bool = False


class GPTJConfig(Config, kw_only=True):
    """``rotary_dim`` null rotates whole heads."""

    vocab_size: Count
    n_embd: Count
    n_layer: Count
    n_head: Count
    n_inner: Count | None = None
    rotary_dim: Count | None = 64
    activation_function: str = "gelu_new"
    tie_word_embeddings: bool = False


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
    remove_final_layer_norm: bool = False
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


def layer_norm_layer(
    *,
    function: str,
    fused: bool = True,
    qkv_bias: bool = True,
    out_bias: bool = True,
    mlp_bias: bool = True,
    rotary_dim: Size = 0,
    alibi: bool = False,
    parallel: bool = False,
    norm: NormSpec = LAYER_NORM,
    mlp_norm: NormSpec | None = LAYER_NORM,
) -> DecoderLayer:
    """A layer of multi-head attention and a plain MLP behind LayerNorms."""
    return DecoderLayer(
        hidden=sym.hidden,
        mixer=Attention(
            hidden=sym.hidden,
            heads=sym.heads,
            kv_heads=sym.heads,
            head_dim=sym.head_dim,
            fused=fused,
            qkv_bias=qkv_bias,
            out_bias=out_bias,
            rotary_dim=rotary_dim,
            alibi=alibi,
        ),
        mlp=MLP(
            hidden=sym.hidden,
            intermediate=sym.intermediate,
            activation=activation(function),
            gated=False,
            bias=mlp_bias,
        ),
        mixer_norm=norm,
        mlp_norm=mlp_norm,
        parallel=parallel,
    )


def layer_norm_model(
    c: Config,
    name: str,
    layer: DecoderLayer,
    ends: Decoder,
    *,
    layers: int,
    hidden: int,
    heads: int,
    intermediate: int,
    vocab: int,
    positions: int | None = None,
    rotary_dim: int | None = None,
    embedding_dim: int | None = None,
) -> Model:
    """A stack of one kind of layer between its ends."""

    def make(_: Expr | None) -> DecoderLayer:
        return layer

    sections, counts = layer_sections([False] * layers, make)
    sizes = numbers(
        hidden=hidden,
        heads=heads,
        head_dim=per_head(hidden, heads),
        rotary_dim=rotary_dim,
        intermediate=intermediate,
        vocab=vocab,
        positions=positions,
        embedding_dim=embedding_dim,
    )
    return assemble(name, c.model_type, ends.around(sections), counts, sizes)


def gpt2(c: GPT2Config, name: str) -> Model:
    """GPT-2: fused QKV, learned positions, tied embeddings."""
    refuse(c.add_cross_attention, "key 'add_cross_attention': true is not modelled")
    return layer_norm_model(
        c,
        name,
        layer_norm_layer(function=c.activation_function),
        Decoder(norm=LAYER_NORM, tied=c.tie_word_embeddings, positions=sym.positions),
        layers=c.n_layer,
        hidden=c.n_embd,
        heads=c.n_head,
        intermediate=c.n_inner or 4 * c.n_embd,
        vocab=c.vocab_size,
        positions=c.n_positions,
    ).limited(c.n_positions)


def gpt_neox(c: NeoXConfig, name: str) -> Model:
    """GPT-NeoX: fused QKV, partial rotary positions, attention and MLP usually in parallel."""
    head_dim = per_head(c.hidden_size, c.num_attention_heads)
    rotary_dim = rotated(head_dim, c.partial_rotary_factor)
    layer = layer_norm_layer(
        function=c.hidden_act,
        qkv_bias=c.attention_bias,
        out_bias=c.attention_bias,
        rotary_dim=sym.head_dim if rotary_dim == head_dim else sym.rotary_dim,
        parallel=c.use_parallel_residual,
    )
    return layer_norm_model(
        c,
        name,
        layer,
        Decoder(norm=LAYER_NORM, tied=c.tie_word_embeddings),
        layers=c.num_hidden_layers,
        hidden=c.hidden_size,
        heads=c.num_attention_heads,
        intermediate=c.intermediate_size,
        vocab=c.vocab_size,
        rotary_dim=rotary_dim if rotary_dim != head_dim else None,
    )


def gptj(c: GPTJConfig, name: str) -> Model:
    """GPT-J: attention and MLP in parallel behind one norm, an LM head with a bias."""
    head_dim = per_head(c.n_embd, c.n_head)
    partial = c.rotary_dim is not None and c.rotary_dim < head_dim
    layer = layer_norm_layer(
        function=c.activation_function,
        fused=False,
        qkv_bias=False,
        out_bias=False,
        rotary_dim=sym.rotary_dim if partial else sym.head_dim,
        parallel=True,
        mlp_norm=None,
    )
    return layer_norm_model(
        c,
        name,
        layer,
        Decoder(norm=LAYER_NORM, tied=c.tie_word_embeddings, head_bias=True),
        layers=c.n_layer,
        hidden=c.n_embd,
        heads=c.n_head,
        intermediate=c.n_inner or 4 * c.n_embd,
        vocab=c.vocab_size,
        rotary_dim=c.rotary_dim if partial else None,
    )


def opt(c: OPTConfig, name: str) -> Model:
    """OPT: learned positions in a table with two spare rows."""
    width = c.word_embed_proj_dim or c.hidden_size
    norm = NormSpec(features=sym.hidden, kind="layer", affine=c.layer_norm_elementwise_affine)
    layer = layer_norm_layer(
        function=c.activation_function,
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
        intermediate=4 * c.hidden_size,
        vocab=c.vocab_size,
    )


_GPT_ALIASES = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
}

FAMILIES = {
    "gpt2": Family(GPT2Config, gpt2, "gpt2", _GPT_ALIASES),
    "gpt_neox": Family(
        NeoXConfig, gpt_neox, "pythia-6.9b", {"rotary_pct": "partial_rotary_factor"}
    ),
    "gptj": Family(GPTJConfig, gptj, "gpt-j-6b", _GPT_ALIASES, "n_positions"),
    "opt": Family(
        OPTConfig, opt, "opt-6.7b", {"_remove_final_layer_norm": "remove_final_layer_norm"}
    ),
    "bloom": Family(
        BloomConfig,
        bloom,
        "bloom-7b1",
        {"n_embed": "hidden_size", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"},
        "n_inner",
    ),
}
