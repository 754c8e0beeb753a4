"""LayerNorm decoders with multi-head attention and plain MLPs: their one kind of layer, stacked."""

from sympy import Expr

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention, DecoderLayer, NormSpec
from lifesym.families.base import (
    Config,
    Decoder,
    activation,
    assemble,
    layer_sections,
    numbers,
)
from lifesym.model import Model
from lifesym.symbols import Size

LAYER_NORM = NormSpec(features=sym.hidden, kind="layer")


def layer_norm_layer(
    *,
    function: str,
    function_key: str = "hidden_act",
    fused: bool = True,
    qkv_bias: bool = True,
    out_bias: bool = True,
    mlp_bias: bool = True,
    rotary_dim: Size = 0,
    alibi: bool = False,
    parallel: bool = False,
    norm: NormSpec = LAYER_NORM,
    mlp_norm: NormSpec | None = LAYER_NORM,
) -> DecoderLayer:
    """A layer of multi-head attention and a plain MLP behind LayerNorms."""
    return DecoderLayer(
        hidden=sym.hidden,
        mixer=Attention(
            hidden=sym.hidden,
            heads=sym.heads,
            kv_heads=sym.heads,
            head_dim=sym.head_dim,
            fused=fused,
            qkv_bias=qkv_bias,
            out_bias=out_bias,
            rotary_dim=rotary_dim,
            alibi=alibi,
        ),
        mlp=MLP(
            hidden=sym.hidden,
            intermediate=sym.intermediate,
            activation=activation(function, function_key),
            gated=False,
            bias=mlp_bias,
        ),
        mixer_norm=norm,
        mlp_norm=mlp_norm,
        parallel=parallel,
    )


def layer_norm_model(
    c: Config,
    name: str,
    layer: DecoderLayer,
    ends: Decoder,
    *,
    layers: int,
    hidden: int,
    heads: int,
    head_dim: int,
    intermediate: int,
    vocab: int,
    positions: int | None = None,
    rotary_dim: int | None = None,
    embedding_dim: int | None = None,
) -> Model:
    """A stack of one kind of layer between its ends."""

    def make(_: Expr | None) -> DecoderLayer:
        return layer

    sections, counts = layer_sections([False] * layers, make)
    sizes = numbers(
        hidden=hidden,
        heads=heads,
        head_dim=head_dim,
        rotary_dim=rotary_dim,
        intermediate=intermediate,
        vocab=vocab,
        positions=positions,
        embedding_dim=embedding_dim,
    )
    return assemble(name, c.model_type, ends.around(sections), counts, sizes)
