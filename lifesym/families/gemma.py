"""Gemma 2 and 3: norms before and after each block, windows in most layers, tied embeddings."""

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
    grouped,
    layer_kinds,
    layer_sections,
    numbers,
    refuse,
)
from lifesym.model import Model


class GemmaConfig(Config, kw_only=True):
    """Keys of gemma2; the defaults are the class's, which published configs leave out.

    A null ``sliding_window`` is no size: the code makes both masks, whatever its layers need.
    """

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
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


def _gemma(c: GemmaConfig, name: str, *, pattern: int, qk_norm: bool) -> Model:
    refuse(
        bool(c.use_bidirectional_attention),
        "key 'use_bidirectional_attention': true is not modelled",
    )
    grouped(c.num_attention_heads, c.num_key_value_heads)
    kinds = layer_kinds(
        c.layer_types, c.num_hidden_layers, c.sliding_window, lambda i: (i + 1) % pattern != 0
    )
    norm = NormSpec(features=sym.hidden)

    def layer(window: Expr | None) -> DecoderLayer:
        return DecoderLayer(
            hidden=sym.hidden,
            mixer=Attention(
                hidden=sym.hidden,
                heads=sym.heads,
                kv_heads=sym.kv_heads,
                head_dim=sym.head_dim,
                qkv_bias=c.attention_bias,
                out_bias=c.attention_bias,
                rotary_dim=sym.head_dim,
                qk_norm="head" if qk_norm else "none",
                softcap=c.attn_logit_softcapping is not None,
                window=window,
            ),
            mlp=MLP(
                hidden=sym.hidden,
                intermediate=sym.intermediate,
                activation=activation(
                    c.hidden_activation or "gelu_pytorch_tanh", "hidden_activation"
                ),
            ),
            mixer_norm=norm,
            mixer_post_norm=norm,
            mlp_norm=norm,
            mlp_post_norm=norm,
        )

    sections, counts = layer_sections(kinds, layer)
    ends = Decoder(
        norm=norm,
        tied=c.tie_word_embeddings,
        scaled=True,
        softcap=c.final_logit_softcapping is not None,
    )
    return assemble(
        name,
        c.model_type,
        ends.around(sections),
        counts,
        numbers(
            hidden=c.hidden_size,
            intermediate=c.intermediate_size,
            heads=c.num_attention_heads,
            kv_heads=c.num_key_value_heads,
            head_dim=c.head_dim,
            vocab=c.vocab_size,
            window=c.sliding_window if any(kinds) else None,
        ),
    )


def gemma2(c: GemmaConfig, name: str) -> Model:
    """Gemma 2: every other layer windowed, soft caps on scores and logits."""
    return _gemma(c, name, pattern=2, qk_norm=False)


def gemma3(c: Gemma3Config, name: str) -> Model:
    """Gemma 3's language model, alone or inside a multimodal config."""
    return _gemma(c, name, pattern=c.sliding_window_pattern, qk_norm=True)


# ``hidden_act`` is what early files held: the class reads ``hidden_activation`` alone.
FAMILIES = {
    "gemma2": Family(GemmaConfig, gemma2, "gemma-2-9b", ignored="hidden_act sliding_window_size"),
    "gemma3_text": Family(Gemma3Config, gemma3, "gemma-3-1b", ignored="hidden_act"),
}
FAMILIES["gemma3"] = FAMILIES["gemma3_text"]
