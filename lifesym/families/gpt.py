"""GPT-2, GPT-NeoX (Pythia) and GPT-J."""

from msgspec import field

from lifesym import symbols as sym
from lifesym.families.base import Config, Count, Family, StackConfig, refuse
from lifesym.families.decoder import (
    LAYER_NORM,
    Ends,
    attention,
    decoder,
    head_size,
    layer,
    mlp,
    turned,
)
from lifesym.model import Model


class GPTConfig(Config, kw_only=True):
    """``n_inner`` null means four times the embedding size."""

    vocab_size: Count
    hidden_size: Count = field(name="n_embd")
    num_hidden_layers: Count = field(name="n_layer")
    num_attention_heads: Count = field(name="n_head")
    n_inner: Count | None = None
    activation_function: str = "gelu_new"


class GPT2Config(GPTConfig, kw_only=True):
    """A table of positions is a hard limit."""

    n_positions: Count
    tie_word_embeddings: bool = True
    add_cross_attention: bool = False


class BigCodeConfig(GPT2Config, kw_only=True):
    """One key-value head unless told otherwise."""

    multi_query: bool = True
    activation_function: str = "gelu_pytorch_tanh"


class GPTNeoConfig(StackConfig, kw_only=True):
    """``intermediate_size`` null means four times the hidden size."""

    max_position_embeddings: Count
    intermediate_size: Count | None = None
    activation_function: str = "gelu_new"
    tie_word_embeddings: bool = True


class NeoXConfig(StackConfig, kw_only=True):
    """``rotary_pct`` of every head is rotated; 0.25 unless given."""

    intermediate_size: Count
    hidden_act: str = "gelu"
    partial_rotary_factor: float = 0.25
    use_parallel_residual: bool = True
    attention_bias: bool = True
    tie_word_embeddings: bool = False
    is_decoder: bool = False


class GPTJConfig(GPTConfig, kw_only=True):
    """``rotary_dim`` null rotates whole heads."""

    rotary_dim: Count | None = 64
    tie_word_embeddings: bool = False


def gpt2(c: GPT2Config, name: str) -> Model:
    """GPT-2: fused QKV, learned positions, tied embeddings; StarCoder: one key-value head."""
    refuse(c.add_cross_attention, "key 'add_cross_attention': true is not modelled")
    single = isinstance(c, BigCodeConfig) and c.multi_query
    each = layer(
        attention(kv_heads=1 if single else sym.heads, fused=True, bias=True, rotary_dim=0),
        mlp(c.activation_function, "activation_function", gated=False, bias=True),
        norm=LAYER_NORM,
    )
    ends = Ends(norm=LAYER_NORM, positions=sym.positions)
    model = decoder(
        c,
        name,
        [each] * c.num_hidden_layers,
        ends,
        intermediate=c.n_inner or 4 * c.hidden_size,
        positions=c.n_positions,
    )
    return model.limited(c.n_positions)


def gpt_neo(c: GPTNeoConfig, name: str) -> Model:
    """GPT-Neo: biases but on queries, keys and values; its local layers mask what they compute."""
    each = layer(
        attention(kv_heads=sym.heads, out_bias=True, rotary_dim=0),
        mlp(c.activation_function, "activation_function", gated=False, bias=True),
        norm=LAYER_NORM,
    )
    ends = Ends(norm=LAYER_NORM, positions=sym.positions)
    width, rows = c.intermediate_size or 4 * c.hidden_size, c.max_position_embeddings
    layers = [each] * c.num_hidden_layers
    return decoder(c, name, layers, ends, intermediate=width, positions=rows).limited(rows)


def gpt_neox(c: NeoXConfig, name: str) -> Model:
    """GPT-NeoX: fused QKV, partial rotary positions, attention and MLP usually in parallel."""
    turns, bias = turned(c), c.attention_bias
    each = layer(
        attention(kv_heads=sym.heads, fused=True, bias=bias, rotary_dim=turns),
        mlp(c.hidden_act, gated=False, bias=True),
        norm=LAYER_NORM,
        parallel=c.use_parallel_residual,
    )
    return decoder(c, name, [each] * c.num_hidden_layers, Ends(norm=LAYER_NORM))


def gptj(c: GPTJConfig, name: str) -> Model:
    """GPT-J: attention and MLP in parallel behind one norm, an LM head with a bias.

    CodeGen has a fused QKV projection.
    """
    head_dim = head_size(c)
    refuse(
        c.rotary_dim is not None and c.rotary_dim > head_dim,
        f"key 'rotary_dim': {c.rotary_dim} is more than a head's {head_dim} elements",
    )
    whole = c.rotary_dim in (None, head_dim)
    each = layer(
        attention(
            kv_heads=sym.heads,
            fused=c.model_type == "codegen",
            rotary_dim=sym.head_dim if whole else sym.rotary_dim,
        ),
        mlp(c.activation_function, "activation_function", gated=False, bias=True),
        norm=LAYER_NORM,
        mlp_norm=None,
        parallel=True,
    )
    ends, width = Ends(norm=LAYER_NORM, head_bias=True), c.n_inner or 4 * c.hidden_size
    return decoder(c, name, [each] * c.num_hidden_layers, ends, intermediate=width)


_GPT_ALIASES = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
}

FAMILIES = {
    "gpt2": Family(GPT2Config, gpt2, "gpt2", _GPT_ALIASES, kin=("gpt-sw3",)),
    "gpt_bigcode": Family(
        BigCodeConfig,
        gpt2,
        "gpt-bigcode-default",
        _GPT_ALIASES,
        ignored="attention_softmax_in_fp32 inference_runner max_batch_size max_sequence_length"
        " num_key_value_heads pad_key_length pre_allocate_kv_cache scale_attention_softmax_in_fp32"
        " validate_runner_input",
    ),
    "gpt_neo": Family(
        GPTNeoConfig,
        gpt_neo,
        "gpt-neo-1.3b",
        {"num_layers": "num_hidden_layers", "num_heads": "num_attention_heads"},
        ignored="attention_layers attention_types window_size",
    ),
    "gpt_neox": Family(
        NeoXConfig, gpt_neox, "pythia-6.9b", {"rotary_pct": "partial_rotary_factor"}
    ),
    "gptj": Family(GPTJConfig, gptj, "gpt-j-6b", _GPT_ALIASES, "n_positions", kin=("codegen",)),
}
