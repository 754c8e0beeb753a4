"""Gemma 1 to 3, VaultGemma and 3n: scaled and tied embeddings, windows in most layers."""

from typing import Any

from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import AltUpLayer, CloseStreams, OpenStreams
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import Ends, decoder, once
from lifesym.families.parts import (
    AROUND,
    BY_LAYER,
    STREAMS,
    attention,
    function,
    layer,
    layers,
    mixers,
    mlp,
)
from lifesym.families.patterns import each_layer, windows
from lifesym.model import Model

Kind = tuple[bool, bool, bool, int]
"""Windowed, reusing an earlier cache, sparse, MLP width."""


def gemma(c: Config) -> Model:
    """Gemma 1: wide heads, a gated GELU, scaled and tied embeddings."""
    named = "gelu_pytorch_tanh" if c.hidden_act == "gelu" else c.hidden_act
    return decoder(c, layer(attention(c), mlp(named)), Ends(scaled=True))


def _windowed(c: Config, period: int, around: dict[str, Any], **options: Any) -> Model:
    """Windows in all layers but every n-th, perhaps soft caps on scores and logits."""
    capped = c.attn_logit_softcapping is not None
    each = mixers(c, lambda i: (i + 1) % period != 0, softcap=capped, **options)
    return decoder(c, layers(each, mlp(c), **around), Ends(scaled=True))


def gemma2(c: Config) -> Model:
    """Gemma 2: every other layer windowed, soft caps on scores and logits."""
    return _windowed(c, 2, AROUND)


def vaultgemma(c: Config) -> Model:
    """VaultGemma: Gemma 2 without norms after attention and MLP."""
    return _windowed(c, 2, {})


def gemma3_text(c: Config) -> Model:
    """Gemma 3's language model, alone or inside a multimodal config."""
    return _windowed(c, c.sliding_window_pattern, AROUND, qk_norm="head")


def _kinds(c: Config) -> list[Kind]:
    """What every layer is; the last ones read the cache of an earlier layer of their type."""
    layers = c.num_hidden_layers
    windowed = [span is not None for span in windows(c, lambda i: (i + 1) % 5 != 0)]
    sparsity = c.activation_sparsity_pattern
    if sparsity is None:
        sparsity = [0.95] * 10 + [0.0] * (layers - 10) if layers > 10 else 0.0
    sparse = sparsity if isinstance(sparsity, list) else [sparsity] * layers
    width = c.intermediate_size
    widths = width if isinstance(width, list) else [width] * layers
    for key, values in (("activation_sparsity_pattern", sparse), ("intermediate_size", widths)):
        each_layer(values, layers, key)
    first = layers - c.num_kv_shared_layers
    for i, kind in enumerate(windowed):
        refuse(
            i >= first and kind not in windowed[: max(first, 0)],
            "key 'num_kv_shared_layers': leaves no layer whose cache could be shared",
        )
    return [(windowed[i], i >= first, sparse[i] > 0, widths[i]) for i in range(layers)]


def gemma3n_text(c: Config) -> Model:
    """Gemma 3n: streams, embeddings by layer; layers that reuse a cache project no keys."""
    kinds = _kinds(c)
    same = len({width for *_, width in kinds}) == 1

    def streamed(kind: Kind) -> AltUpLayer:
        windowed, reuses, sparse, number = kind
        width = sym.intermediate if same else Integer(number)
        mixer = attention(
            c,
            qk_norm="head",
            value_norm=not reuses,
            reuses=reuses,
            window=sym.window if windowed else None,
        )
        return AltUpLayer(
            **STREAMS,
            mixer=mixer,
            mlp=mlp(c, intermediate=width),
            rank=sym.augmented_rank,
            embedding=sym.layer_embedding,
            activation=function(c),
            width=width,
            sparse=sparse,
        )

    opened = OpenStreams(**STREAMS, **BY_LAYER)
    ends = Ends(
        scaled=True,
        before=(once("streams", opened),),
        after=(once("mean", CloseStreams(**STREAMS)),),
    )
    layers = [streamed(kind) for kind in kinds]
    return decoder(c, layers, ends, intermediate=kinds[0][-1], augmented_rank=c.laurel_rank)
