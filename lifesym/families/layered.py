"""Decoders with LayerNorms: falcon, starcoder2, stablelm, nemotron, phi and persimmon."""

from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention
from lifesym.families.base import Count, Family, StackConfig, grouped, refuse
from lifesym.families.decoder import LAYER_NORM, Ends, attention, decoder, layer, mlp, turned
from lifesym.families.llama import BiasedConfig, LlamaConfig
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


class Starcoder2Config(LlamaConfig, kw_only=True):
    """One key for all biases; a window in every layer where one is given."""

    hidden_act: str = "gelu_pytorch_tanh"
    tie_word_embeddings: bool = True
    use_bias: bool = True
    sliding_window: Count | None = None


class StableLmConfig(LlamaConfig, kw_only=True):
    """A quarter of each head is rotated unless told otherwise."""

    use_qkv_bias: bool = False
    qk_layernorm: bool = False
    use_parallel_residual: bool = False
    partial_rotary_factor: float = 0.25


class NemotronConfig(BiasedConfig, kw_only=True):
    """Half of each head is rotated unless told otherwise."""

    hidden_act: str = "relu2"
    partial_rotary_factor: float = 0.5


class PhiConfig(LlamaConfig, kw_only=True):
    """Biases everywhere; half of each head is rotated unless told otherwise."""

    hidden_act: str = "gelu_new"
    qk_layernorm: bool = False
    partial_rotary_factor: float = 0.5


class PersimmonConfig(LlamaConfig, kw_only=True):
    """As many key-value heads as heads; half of each is rotated unless told otherwise."""

    hidden_act: str = "relu2"
    qk_layernorm: bool = True
    partial_rotary_factor: float = 0.5


def _model(
    c: LlamaConfig,
    name: str,
    mixer: Attention,
    block: MLP,
    *,
    parallel: bool = False,
    head_bias: bool = False,
) -> Model:
    after = None if parallel else LAYER_NORM
    each = layer(mixer, block, norm=LAYER_NORM, mlp_norm=after, parallel=parallel)
    ends = Ends(norm=LAYER_NORM, head_bias=head_bias)
    return decoder(c, name, [each] * c.num_hidden_layers, ends)


def _normed(qk_layernorm: bool, per_head: str = "head") -> dict[str, Any]:
    return {"qk_norm": per_head, "qk_norm_kind": "layer"} if qk_layernorm else {}


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
    mixer = attention(
        fused=True, bias=c.bias, rotary_dim=0 if c.alibi else sym.head_dim, alibi=c.alibi
    )
    each = layer(
        mixer,
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


def starcoder2(c: Starcoder2Config, name: str) -> Model:
    """StarCoder 2: biases and a plain MLP."""
    refuse(c.sliding_window == 1, "key 'sliding_window': a window of 1 is not modelled")
    mixer = attention(bias=c.use_bias, window=sym.window if c.sliding_window else None)
    return _model(c, name, mixer, mlp(c.hidden_act, gated=False, bias=c.use_bias))


def stablelm(c: StableLmConfig, name: str) -> Model:
    """StableLM 2 and 3B: partly rotated heads; the 12B normalizes each and runs in parallel."""
    c.head_dim = None
    normed = _normed(c.qk_layernorm, "each")
    mixer = attention(rotary_dim=turned(c, pairs=True), qkv_bias=c.use_qkv_bias, **normed)
    return _model(c, name, mixer, mlp(c.hidden_act), parallel=c.use_parallel_residual)


def nemotron(c: NemotronConfig, name: str) -> Model:
    """Nemotron 3 and 4, Minitron: a plain MLP with squared ReLU, partly rotated heads."""
    refuse(c.num_key_value_heads is None, "missing key 'num_key_value_heads'")
    mixer = attention(rotary_dim=turned(c, pairs=True), bias=c.attention_bias)
    return _model(c, name, mixer, mlp(c.hidden_act, gated=False, bias=c.mlp_bias))


def phi(c: PhiConfig, name: str) -> Model:
    """Phi 1 to 2: attention and MLP side by side, biases on all of them and on the LM head."""
    mixer = attention(rotary_dim=turned(c, pairs=True), bias=True, **_normed(c.qk_layernorm))
    block = mlp(c.hidden_act, gated=False, bias=True)
    return _model(c, name, mixer, block, parallel=True, head_bias=True)


def persimmon(c: PersimmonConfig, name: str) -> Model:
    """Persimmon, and the language model of Fuyu: a fused QKV projection, biases, a plain MLP."""
    refuse(c.num_key_value_heads is not None, "key 'num_key_value_heads': not one of Persimmon's")
    normed = _normed(c.qk_layernorm)
    mixer = attention(rotary_dim=turned(c, pairs=True), fused=True, bias=True, **normed)
    return _model(c, name, mixer, mlp(c.hidden_act, gated=False, bias=True))


FAMILIES = {
    "persimmon": Family(PersimmonConfig, persimmon, "persimmon-8b"),
    "starcoder2": Family(
        Starcoder2Config,
        starcoder2,
        "starcoder2-3b",
        ignored="embedding_dropout mlp_type norm_type residual_dropout",
    ),
    "stablelm": Family(StableLmConfig, stablelm, "stablelm-3b"),
    "nemotron": Family(NemotronConfig, nemotron, "nemotron-4-4b", ignored="kv_channels norm_eps"),
    "phi": Family(PhiConfig, phi, "phi-2"),
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
    ),
}
