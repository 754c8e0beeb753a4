"""Decoders with LayerNorms: starcoder2, stablelm, nemotron, phi and persimmon."""

from dataclasses import replace

from sympy import Expr

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention, DecoderLayer
from lifesym.families.base import Count, Decoder, Family, refuse
from lifesym.families.hybrid import attention
from lifesym.families.llama import BiasedConfig, LlamaConfig
from lifesym.families.stacked import LAYER, mlp, stacked, turned, turned_size
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


def _layer(mixer: Attention, block: MLP, *, parallel: bool = False) -> DecoderLayer:
    return DecoderLayer(
        hidden=sym.hidden,
        mixer=mixer,
        mlp=block,
        mixer_norm=LAYER,
        mlp_norm=None if parallel else LAYER,
        parallel=parallel,
    )


def starcoder2(c: Starcoder2Config, name: str) -> Model:
    """StarCoder 2: biases and a plain MLP."""
    bias = c.use_bias
    windowed = c.sliding_window is not None
    refuse(c.sliding_window == 1, "key 'sliding_window': a window of 1 is not modelled")

    def layer(window: Expr | None) -> DecoderLayer:
        mixer = attention(rotary_dim=sym.head_dim, qkv_bias=bias, out_bias=bias, window=window)
        return _layer(mixer, mlp(c, gated=False, bias=bias))

    kinds = [windowed] * c.num_hidden_layers
    ends = Decoder(norm=LAYER, tied=c.tie_word_embeddings)
    return stacked(c, name, layer, ends, kinds=kinds, window=c.sliding_window)


def stablelm(c: StableLmConfig, name: str) -> Model:
    """StableLM 2 and 3B: partly rotated heads; the 12B normalizes each and runs in parallel."""
    c.head_dim = None
    normed = "each" if c.qk_layernorm else "none"

    def layer(_: Expr | None) -> DecoderLayer:
        mixer = turned(
            c,
            c.partial_rotary_factor,
            qkv_bias=c.use_qkv_bias,
            qk_norm=normed,
            qk_norm_kind="layer",
        )
        return _layer(mixer, mlp(c), parallel=c.use_parallel_residual)

    ends = Decoder(norm=LAYER, tied=c.tie_word_embeddings)
    return stacked(c, name, layer, ends, rotary_dim=turned_size(c, c.partial_rotary_factor))


def nemotron(c: NemotronConfig, name: str) -> Model:
    """Nemotron 3 and 4, Minitron: a plain MLP with squared ReLU, partly rotated heads."""
    refuse(c.num_key_value_heads is None, "missing key 'num_key_value_heads'")
    bias = c.attention_bias

    def layer(_: Expr | None) -> DecoderLayer:
        mixer = turned(c, c.partial_rotary_factor, qkv_bias=bias, out_bias=bias)
        return _layer(mixer, mlp(c, gated=False, bias=c.mlp_bias))

    ends = Decoder(norm=LAYER, tied=c.tie_word_embeddings)
    return stacked(c, name, layer, ends, rotary_dim=turned_size(c, c.partial_rotary_factor))


def phi(c: PhiConfig, name: str) -> Model:
    """Phi 1 to 2: attention and MLP side by side, biases on all of them and on the LM head."""
    mixer = turned(c, c.partial_rotary_factor, qkv_bias=True, out_bias=True)
    if c.qk_layernorm:
        mixer = replace(mixer, qk_norm="head", qk_norm_kind="layer")

    def layer(_: Expr | None) -> DecoderLayer:
        return _layer(mixer, mlp(c, gated=False, bias=True), parallel=True)

    ends = Decoder(norm=LAYER, tied=c.tie_word_embeddings, head_bias=True)
    return stacked(c, name, layer, ends, rotary_dim=turned_size(c, c.partial_rotary_factor))


def persimmon(c: PersimmonConfig, name: str) -> Model:
    """Persimmon, and the language model of Fuyu: a fused QKV projection, biases, a plain MLP."""
    refuse(c.num_key_value_heads is not None, "key 'num_key_value_heads': not one of Persimmon's")
    mixer = turned(c, c.partial_rotary_factor, fused=True, qkv_bias=True, out_bias=True)
    if c.qk_layernorm:
        mixer = replace(mixer, qk_norm="head", qk_norm_kind="layer")

    def layer(_: Expr | None) -> DecoderLayer:
        return _layer(mixer, mlp(c, gated=False, bias=True))

    ends = Decoder(norm=LAYER, tied=c.tie_word_embeddings)
    return stacked(c, name, layer, ends, rotary_dim=turned_size(c, c.partial_rotary_factor))


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
