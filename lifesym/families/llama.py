"""Llama and its closest kin: llama, mistral, ministral3, qwen2, qwen3, phi3.

Pre-norm decoders with RMSNorm, rotary positions, grouped queries and a gated MLP. They differ
in biases, windows, norms of queries and keys, and fused projections.
"""

from typing import Literal

from sympy import Expr

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention, DecoderLayer, NormSpec
from lifesym.families.base import (
    Config,
    Count,
    Decoder,
    Family,
    Whole,
    activation,
    assemble,
    grouped,
    layer_kinds,
    layer_sections,
    numbers,
    per_head,
    refuse,
    rotated,
)
from lifesym.model import Model

WINDOW = 4096
"""The window of Mistral's and Qwen's classes where a config leaves the key out."""
ABSENT = 0
"""A number of key-value heads that is left out, where a null is another thing."""
DERIVED = 0
"""A head size that is left out: hidden / heads. Many a class calculates with a null, and fails."""


class LlamaConfig(Config, kw_only=True):
    """Keys shared by all of them; ``num_key_value_heads`` absent means multi-head attention."""

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    vocab_size: Count
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    hidden_act: str = "silu"
    tie_word_embeddings: bool = False
    attention_bias: bool = False


class BiasedConfig(LlamaConfig, kw_only=True):
    """Llama itself: its MLP may have biases, which no kin of it has."""

    mlp_bias: bool = False


class MistralConfig(LlamaConfig, kw_only=True):
    """``sliding_window`` null means full attention; the class's own default is a window."""

    sliding_window: Count | None = WINDOW
    layer_types: list[str] | None = None


class MinistralConfig(MistralConfig, kw_only=True):
    """Full attention and heads of 128 unless given; null is no size."""

    sliding_window: Count | None = None
    head_dim: Count = 128


class QwenConfig(LlamaConfig, kw_only=True):
    """A window only with ``use_sliding_window``, from layer ``max_window_layers`` on.

    Configs saved without the switch write a ``sliding_window`` of 0, which is none.
    """

    sliding_window: Whole | None = WINDOW
    layer_types: list[str] | None = None
    use_sliding_window: bool = False
    max_window_layers: int = 28
    use_mrope: bool | None = None

    @property
    def window(self) -> int | None:
        """The window that layers may have.

        Raises:
            SpecError: it is switched on and 0.
        """
        if not self.use_sliding_window:
            return None
        refuse(self.sliding_window == 0, "key 'sliding_window': 0 with 'use_sliding_window'")
        return self.sliding_window


class Qwen2Config(QwenConfig, kw_only=True):
    """A null head size is no size; a null number of key-value heads is that of heads."""

    num_key_value_heads: Whole | None = ABSENT
    head_dim: Count = DERIVED


class Qwen3Config(QwenConfig, kw_only=True):
    """Heads of 128 unless given; null is no size, and as many key-value heads as heads."""

    num_key_value_heads: Whole | None = ABSENT
    head_dim: Count = 128


class PhiConfig(LlamaConfig, kw_only=True):
    """Fused projections and partial rotary embedding; full attention unless a window is given."""

    head_dim: Count = DERIVED
    sliding_window: Count | None = None
    layer_types: list[str] | None = None

    partial_rotary_factor: float = 1.0
    embd_pdrop: float = 0.0


def _decoder(
    c: LlamaConfig,
    name: str,
    *,
    kinds: list[bool],
    window: int | None = None,
    qkv_bias: bool = False,
    out_bias: bool = False,
    qk_norm: Literal["none", "head", "all"] = "none",
    fused: bool = False,
    rotary_factor: float = 1.0,
    mlp_bias: bool = False,
) -> Model:
    heads = c.num_attention_heads
    kv_heads = grouped(heads, c.num_key_value_heads or heads)
    head_dim = c.head_dim or per_head(c.hidden_size, heads)
    rotary_dim = rotated(head_dim, rotary_factor)
    norm = NormSpec(features=sym.hidden)

    def layer(window: Expr | None) -> DecoderLayer:
        return DecoderLayer(
            hidden=sym.hidden,
            mixer=Attention(
                hidden=sym.hidden,
                heads=sym.heads,
                kv_heads=sym.kv_heads,
                head_dim=sym.head_dim,
                fused=fused,
                qkv_bias=qkv_bias,
                out_bias=out_bias,
                rotary_dim=sym.head_dim if rotary_dim == head_dim else sym.rotary_dim,
                qk_norm=qk_norm,
                window=window,
            ),
            mlp=MLP(
                hidden=sym.hidden,
                intermediate=sym.intermediate,
                activation=activation(c.hidden_act),
                fused=fused,
                bias=mlp_bias,
            ),
            mixer_norm=norm,
            mlp_norm=norm,
        )

    sections, counts = layer_sections(kinds, layer)
    return assemble(
        name,
        c.model_type,
        Decoder(norm=norm, tied=c.tie_word_embeddings).around(sections),
        counts,
        numbers(
            hidden=c.hidden_size,
            intermediate=c.intermediate_size,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            rotary_dim=rotary_dim if rotary_dim != head_dim else None,
            vocab=c.vocab_size,
            window=window if any(kinds) else None,
        ),
    )


def llama(c: BiasedConfig, name: str) -> Model:
    """Llama 1 to 3 and models that reuse the class."""
    return _decoder(
        c,
        name,
        kinds=[False] * c.num_hidden_layers,
        qkv_bias=c.attention_bias,
        out_bias=c.attention_bias,
        mlp_bias=c.mlp_bias,
    )


def mistral(c: MistralConfig, name: str) -> Model:
    """Mistral: every layer has the window, where one is given."""
    refuse(c.num_key_value_heads is None, "missing key 'num_key_value_heads'")
    kinds = layer_kinds(
        c.layer_types, c.num_hidden_layers, c.sliding_window, lambda _: True, alike=True
    )
    return _decoder(c, name, kinds=kinds, window=c.sliding_window)


def _qwen(c: QwenConfig, name: str, *, bias: bool, norm: Literal["none", "head"]) -> Model:
    window, first = c.window, c.max_window_layers
    kinds = layer_kinds(c.layer_types, c.num_hidden_layers, window, lambda i: i >= first)
    out_bias = c.attention_bias and norm == "head"
    return _decoder(
        c, name, kinds=kinds, window=window, qkv_bias=bias, out_bias=out_bias, qk_norm=norm
    )


def qwen2(c: Qwen2Config, name: str) -> Model:
    """Qwen 1.5 to 2.5: biases on queries, keys and values."""
    refuse(c.num_key_value_heads == ABSENT, "missing key 'num_key_value_heads'")
    return _qwen(c, name, bias=True, norm="none")


def qwen3(c: Qwen3Config, name: str) -> Model:
    """Qwen 3: queries and keys are normalized over each head."""
    refuse(c.num_key_value_heads == ABSENT, "missing key 'num_key_value_heads'")
    return _qwen(c, name, bias=c.attention_bias, norm="head")


def phi3(c: PhiConfig, name: str) -> Model:
    """Phi 3 and 4: fused QKV, fused gate and up, partial rotary embedding."""
    kinds = layer_kinds(
        c.layer_types, c.num_hidden_layers, c.sliding_window, lambda _: True, alike=True
    )
    return _decoder(
        c,
        name,
        kinds=kinds,
        window=c.sliding_window,
        fused=True,
        rotary_factor=c.partial_rotary_factor,
    )


FAMILIES = {
    "llama": Family(BiasedConfig, llama, "llama-2-7b"),
    "mistral": Family(MistralConfig, mistral, "mistral-7b-v0.1"),
    "ministral3": Family(MinistralConfig, mistral, "ministral-3-14b"),
    "qwen2": Family(
        Qwen2Config,
        qwen2,
        "qwen2.5-7b",
        ignored="image_token_id video_token_id vision_end_token_id vision_start_token_id "
        "vision_token_id",
        kin=("qwen2_vl", "qwen2_vl_text", "qwen2_5_vl", "qwen2_5_vl_text"),
    ),
    "qwen3": Family(Qwen3Config, qwen3, "qwen3-8b", kin=("qwen3_vl_text",)),
    "phi3": Family(PhiConfig, phi3, "phi-3-mini-4k"),
}
