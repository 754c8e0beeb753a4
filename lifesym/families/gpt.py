"""GPT-2, GPT-NeoX (Pythia) and GPT-J."""

from lifesym import symbols as sym
from lifesym.families.base import Config, Count, Decoder, Family, per_head, refuse, rotated
from lifesym.families.layer_norm import LAYER_NORM, layer_norm_layer, layer_norm_model
from lifesym.model import Model

_SIZES = ("n_embd", "n_head")


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


def gpt2(c: GPT2Config, name: str) -> Model:
    """GPT-2: fused QKV, learned positions, tied embeddings."""
    head_dim = per_head(c.n_embd, c.n_head, *_SIZES)
    refuse(c.add_cross_attention, "key 'add_cross_attention': true is not modelled")
    return layer_norm_model(
        c,
        name,
        layer_norm_layer(function=c.activation_function, function_key="activation_function"),
        Decoder(norm=LAYER_NORM, tied=c.tie_word_embeddings, positions=sym.positions),
        layers=c.n_layer,
        hidden=c.n_embd,
        heads=c.n_head,
        head_dim=head_dim,
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
        head_dim=head_dim,
        intermediate=c.intermediate_size,
        vocab=c.vocab_size,
        rotary_dim=rotary_dim if rotary_dim != head_dim else None,
    )


def gptj(c: GPTJConfig, name: str) -> Model:
    """GPT-J: attention and MLP in parallel behind one norm, an LM head with a bias."""
    head_dim = per_head(c.n_embd, c.n_head, *_SIZES)
    refuse(
        c.rotary_dim is not None and c.rotary_dim > head_dim,
        f"key 'rotary_dim': {c.rotary_dim} is more than a head's {head_dim} elements",
    )
    partial = c.rotary_dim is not None and c.rotary_dim < head_dim
    layer = layer_norm_layer(
        function=c.activation_function,
        function_key="activation_function",
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
        head_dim=head_dim,
        intermediate=c.n_inner or 4 * c.n_embd,
        vocab=c.vocab_size,
        rotary_dim=c.rotary_dim if partial else None,
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
}
