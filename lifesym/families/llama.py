"""Llama and its closest kin: llama, mistral, ministral3, qwen2, qwen3, phi3.

Pre-norm decoders with RMSNorm, rotary positions, grouped queries and a gated MLP. They differ
in biases, windows, norms of queries and keys, and fused projections.
"""

from typing import Any

from lifesym.families.base import Count, Family, StackConfig, Whole, refuse
from lifesym.families.decoder import attention, decoder, layer, mlp, turned, windows
from lifesym.model import Model

WINDOW = 4096
"""The window of Mistral's and Qwen's classes where a config leaves the key out."""
ABSENT = 0
"""A number of key-value heads that is left out, where a null is another thing."""
DERIVED = 0
"""A head size that is left out: hidden / heads. Many a class calculates with a null, and fails."""


class LlamaConfig(StackConfig, kw_only=True):
    """Keys shared by all of them; ``num_key_value_heads`` absent means multi-head attention."""

    intermediate_size: Count
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


def llama(c: BiasedConfig, name: str) -> Model:
    """Llama 1 to 3 and models that reuse the class."""
    each = layer(attention(bias=c.attention_bias), mlp(c.hidden_act, bias=c.mlp_bias))
    return decoder(c, name, [each] * c.num_hidden_layers)


def mistral(c: MistralConfig, name: str) -> Model:
    """Mistral: every layer has the window, where one is given."""
    refuse(c.num_key_value_heads is None, "missing key 'num_key_value_heads'")
    spans, block = windows(c, c.sliding_window, alike=True), mlp(c.hidden_act)
    return decoder(c, name, [layer(attention(window=span), block) for span in spans])


def _qwen(c: QwenConfig, name: str, **options: Any) -> Model:
    refuse(c.num_key_value_heads == ABSENT, "missing key 'num_key_value_heads'")
    spans, block = windows(c, c.window, lambda i: i >= c.max_window_layers), mlp(c.hidden_act)
    return decoder(c, name, [layer(attention(window=span, **options), block) for span in spans])


def qwen2(c: Qwen2Config, name: str) -> Model:
    """Qwen 1.5 to 2.5: biases on queries, keys and values."""
    return _qwen(c, name, qkv_bias=True)


def qwen3(c: Qwen3Config, name: str) -> Model:
    """Qwen 3: queries and keys are normalized over each head."""
    return _qwen(c, name, bias=c.attention_bias, qk_norm="head")


def phi3(c: PhiConfig, name: str) -> Model:
    """Phi 3 and 4: fused QKV, fused gate and up, partial rotary embedding."""
    spans, block = windows(c, c.sliding_window, alike=True), mlp(c.hidden_act, fused=True)
    turns = turned(c)
    layers = [layer(attention(fused=True, rotary_dim=turns, window=w), block) for w in spans]
    return decoder(c, name, layers)


FAMILIES = {
    "llama": Family(BiasedConfig, llama, "llama-2-7b", kin=("emu3_text_model",)),
    "mistral": Family(MistralConfig, mistral, "mistral-7b-v0.1"),
    "ministral3": Family(MinistralConfig, mistral, "ministral-3-14b"),
    "qwen2": Family(
        Qwen2Config,
        qwen2,
        "qwen2.5-7b",
        ignored="image_token_id video_token_id vision_end_token_id vision_start_token_id "
        "vision_token_id",
        kin=(
            *("mimo", "qwen2_vl", "qwen2_vl_text", "qwen2_5_vl", "qwen2_5_vl_text"),
            "qwen2_5_omni_text",
        ),
    ),
    "qwen3": Family(Qwen3Config, qwen3, "qwen3-8b", kin=("qwen3_vl_text",)),
    "phi3": Family(
        PhiConfig,
        phi3,
        "phi-3-mini-4k",
        ignored="embd_layer image_input_id speech_lora vision_lora",
        kin=("phi3_v", "phi4_multimodal", "phi4mm"),
    ),
}
