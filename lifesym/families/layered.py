"""Decoders with LayerNorms: starcoder2, stablelm, nemotron, phi and persimmon."""

from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention
from lifesym.families.base import Count, Family, refuse
from lifesym.families.decoder import LAYER_NORM, Ends, attention, decoder, layer, mlp, turned
from lifesym.families.llama import BiasedConfig, LlamaConfig
from lifesym.model import Model


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
}
