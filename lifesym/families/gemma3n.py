"""Gemma 3n: several residual streams, embeddings by layer, caches shared by the last layers."""

from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import AltUpLayer, CloseStreams, OpenStreams
from lifesym.families.base import Config, Count, Family, activation, each_layer, layer_kinds, refuse
from lifesym.families.decoder import Ends, attention, decoder, mlp
from lifesym.model import Model, Section

Kind = tuple[bool, bool, bool, int]
"""Windowed, reusing an earlier cache, sparse, MLP width."""


class Gemma3nConfig(Config, kw_only=True):
    """The text model's keys; defaults are the class's."""

    hidden_size: Count
    num_hidden_layers: Count
    intermediate_size: Count | list[Count]
    vocab_size: Count = 262400
    vocab_size_per_layer_input: Count = 262144
    hidden_size_per_layer_input: Count = 256
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
    laurel_rank: Count = 64
    final_logit_softcapping: float | None = 30.0


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

    def layer(kind: Kind) -> AltUpLayer:
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
        [layer(kind) for kind in kinds],
        ends,
        intermediate=kinds[0][-1],
        streams=c.altup_num_inputs,
        augmented_rank=c.laurel_rank,
        layer_embedding=c.hidden_size_per_layer_input,
        layer_vocab=c.vocab_size_per_layer_input,
    )


FAMILIES = {
    "gemma3n_text": Family(
        Gemma3nConfig, gemma3n, "gemma-3n-e4b", ignored="altup_active_idx altup_coef_clip"
    )
}
