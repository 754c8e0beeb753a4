"""Gemma 2 and 3: norms before and after each block, windows in most layers, tied embeddings."""

from typing import Any

from lifesym.families.base import Count, Family, StackConfig, refuse
from lifesym.families.decoder import RMS, Ends, attention, decoder, layer, mlp, windows
from lifesym.model import Model


class GemmaConfig(StackConfig, kw_only=True):
    """Keys of gemma2; the defaults are the class's, which published configs leave out.

    A null ``sliding_window`` is no size: the code makes both masks, whatever its layers need.
    """

    intermediate_size: Count
    vocab_size: Count = 256000
    num_attention_heads: Count = 8
    num_key_value_heads: Count = 4
    head_dim: Count = 256
    hidden_activation: str | None = "gelu_pytorch_tanh"
    tie_word_embeddings: bool = True
    attention_bias: bool = False
    sliding_window: Count = 4096
    layer_types: list[str] | None = None
    final_logit_softcapping: float | None = 30.0
    attn_logit_softcapping: float | None = 50.0
    use_bidirectional_attention: bool | None = None


class Gemma3Config(GemmaConfig, kw_only=True):
    """Keys of gemma3_text: five windowed layers to a full one, normalized queries and keys.

    The class reads ``sliding_window_pattern`` and writes it with an underscore, which it never
    reads again: such configs list their ``layer_types``.
    """

    vocab_size: Count = 262208
    sliding_window_pattern: Count = 6
    final_logit_softcapping: float | None = None
    attn_logit_softcapping: float | None = None


def _gemma(c: GemmaConfig, name: str, pattern: int, **options: Any) -> Model:
    refuse(
        bool(c.use_bidirectional_attention),
        "key 'use_bidirectional_attention': true is not modelled",
    )
    block = mlp(c.hidden_activation or "gelu_pytorch_tanh", "hidden_activation")
    capped = c.attn_logit_softcapping is not None
    layers = [
        layer(
            attention(bias=c.attention_bias, softcap=capped, window=span, **options),
            block,
            mixer_post_norm=RMS,
            mlp_post_norm=RMS,
        )
        for span in windows(c, c.sliding_window, lambda i: (i + 1) % pattern != 0)
    ]
    ends = Ends(scaled=True, softcap=c.final_logit_softcapping is not None)
    return decoder(c, name, layers, ends)


def gemma2(c: GemmaConfig, name: str) -> Model:
    """Gemma 2: every other layer windowed, soft caps on scores and logits."""
    return _gemma(c, name, 2)


def gemma3(c: Gemma3Config, name: str) -> Model:
    """Gemma 3's language model, alone or inside a multimodal config."""
    return _gemma(c, name, c.sliding_window_pattern, qk_norm="head")


# ``hidden_act`` is what early files held: the class reads ``hidden_activation`` alone.
FAMILIES = {
    "gemma2": Family(GemmaConfig, gemma2, "gemma-2-9b", ignored="hidden_act sliding_window_size"),
    "gemma3_text": Family(Gemma3Config, gemma3, "gemma-3-1b", ignored="hidden_act"),
}
FAMILIES["gemma3"] = FAMILIES["gemma3_text"]
