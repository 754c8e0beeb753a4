"""Gemma 2, 3 and 3n: norms before and after each block, windows in most layers, tied embeddings."""

from typing import Any

from msgspec import field
from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import AltUpLayer, CloseStreams, OpenStreams
from lifesym.families.base import (
    Config,
    Count,
    Family,
    StackConfig,
    activation,
    each_layer,
    layer_kinds,
    refuse,
)
from lifesym.families.decoder import RMS, Ends, attention, decoder, layer, mlp, windows
from lifesym.model import Model, Section

Kind = tuple[bool, bool, bool, int]
"""Windowed, reusing an earlier cache, sparse, MLP width."""


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


class Gemma3nConfig(Config, kw_only=True):
    """The text model's keys; defaults are the class's."""

    hidden_size: Count
    num_hidden_layers: Count
    intermediate_size: Count | list[Count]
    vocab_size: Count = 262400
    layer_vocab: Count = field(default=262144, name="vocab_size_per_layer_input")
    layer_embedding: Count = field(default=256, name="hidden_size_per_layer_input")
    num_attention_heads: Count = 8
    num_key_value_heads: Count = 2
    head_dim: Count = 256
    hidden_activation: str = "gelu_pytorch_tanh"
    attention_bias: bool = False
    tie_word_embeddings: bool = True
    sliding_window: Count = 512
    layer_types: list[str] | None = None
    num_kv_shared_layers: int = 15
    activation_sparsity_pattern: list[float] | float | None = None
    altup_num_inputs: Count = 4
    altup_correct_scale: bool = True
    augmented_rank: Count = field(default=64, name="laurel_rank")
    final_logit_softcapping: float | None = 30.0


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


def _kinds(c: Gemma3nConfig) -> list[Kind]:
    """What every layer is; the last ones read the cache of an earlier layer of their type."""
    layers = c.num_hidden_layers
    windowed = layer_kinds(c.layer_types, layers, c.sliding_window, lambda i: (i + 1) % 5 != 0)
    sparsity = c.activation_sparsity_pattern
    if sparsity is None:
        sparsity = [0.95] * 10 + [0.0] * (layers - 10) if layers > 10 else 0.0
    sparse = sparsity if isinstance(sparsity, list) else [sparsity] * layers
    width = c.intermediate_size
    widths = width if isinstance(width, list) else [width] * layers
    for key, values in (("activation_sparsity_pattern", sparse), ("intermediate_size", widths)):
        each_layer(values, layers, key)
    first = layers - c.num_kv_shared_layers
    refuse(c.num_kv_shared_layers < 0, "key 'num_kv_shared_layers': must be at least 0")
    for i, kind in enumerate(windowed):
        refuse(
            i >= first and kind not in windowed[: max(first, 0)],
            "key 'num_kv_shared_layers': leaves no layer whose cache could be shared",
        )
    return [(windowed[i], i >= first, sparse[i] > 0, widths[i]) for i in range(layers)]


def gemma3n(c: Gemma3nConfig, name: str) -> Model:
    """Gemma 3n: streams, embeddings by layer; layers that reuse a cache project no keys."""
    refuse(not c.altup_correct_scale, "key 'altup_correct_scale': false is not modelled")
    function, kinds = activation(c.hidden_activation), _kinds(c)
    same = len({width for *_, width in kinds}) == 1

    def streamed(kind: Kind) -> AltUpLayer:
        windowed, reuses, sparse, number = kind
        width = sym.intermediate if same else Integer(number)
        return AltUpLayer(
            hidden=sym.hidden,
            streams=sym.streams,
            mixer=attention(
                bias=c.attention_bias,
                qk_norm="head",
                value_norm=not reuses,
                reuses=reuses,
                window=sym.window if windowed else None,
            ),
            mlp=mlp(c.hidden_activation, intermediate=width),
            rank=sym.augmented_rank,
            embedding=sym.layer_embedding,
            activation=function,
            width=width,
            sparse=sparse,
        )

    opened = OpenStreams(
        hidden=sym.hidden,
        streams=sym.streams,
        layers=sym.layers,
        embedding=sym.layer_embedding,
        vocab=sym.layer_vocab,
    )
    closed = CloseStreams(hidden=sym.hidden, streams=sym.streams)
    ends = Ends(
        scaled=True,
        softcap=c.final_logit_softcapping is not None,
        before=(Section(label="streams", count=1, block=opened),),
        after=(Section(label="mean", count=1, block=closed),),
    )
    return decoder(
        c,
        name,
        [streamed(kind) for kind in kinds],
        ends,
        intermediate=kinds[0][-1],
        streams=c.altup_num_inputs,
    )


# ``hidden_act`` is what early files held: the class reads ``hidden_activation`` alone.
FAMILIES = {
    "gemma2": Family(GemmaConfig, gemma2, "gemma-2-9b", ignored="hidden_act sliding_window_size"),
    "gemma3_text": Family(Gemma3Config, gemma3, "gemma-3-1b", ignored="hidden_act"),
    "gemma3n_text": Family(
        Gemma3nConfig, gemma3n, "gemma-3n-e4b", ignored="altup_active_idx altup_coef_clip"
    ),
}
FAMILIES["gemma3"] = FAMILIES["gemma3_text"]
