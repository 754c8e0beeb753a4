"""Layers with several residual streams: AltUp, LAuReL and embeddings by layer (Gemma 3n)."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr

from lifesym.blocks.base import Block, Emitted, NormSpec
from lifesym.blocks.layer import DecoderLayer
from lifesym.operators import (
    Activation,
    Embedding,
    Linear,
    MixStreams,
    Norm,
    Residual,
    Scale,
)
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class AltUpLayer(Block):
    """One stream goes through attention and MLP; the others are predicted and corrected.

    Attributes:
        hidden: size of a stream.
        streams: how many there are.
        mixer: the attention.
        mlp: the feed-forward block.
        rank: rank of the learned residual beside the attention.
        embedding: size of the token's embedding for this layer.
        activation: of the gate on that embedding.
        sparse: the MLP's gate keeps what exceeds a cut-off.
        width: size of that gate.
        scaled: the corrected stream is scaled by a learned vector.
    """

    hidden: Size
    streams: Size
    mixer: Block
    mlp: Block
    rank: Size
    embedding: Size
    activation: str
    width: Size
    sparse: bool = False
    scaled: bool = True

    split: ClassVar[tuple[str, ...]] = ("width",)
    repeated: ClassVar[str] = (
        "altup_norm altup_router altup_act altup_predict altup_correct altup_mix "
        "attn_norm laurel laurel_up laurel_norm attn_post_norm attn_residual attn_scale "
        "mlp_norm mlp_post_norm mlp_residual "
        "layer_embed_in layer_embed_act layer_embed_out layer_embed_norm layer_embed_residual"
    )

    def operators(self, step: ForwardPass) -> Emitted:
        """Mixing, attention beside the learned residual, MLP, the layer's embedding."""
        tokens, hidden = step.tokens, self.hidden
        elements = tokens * hidden
        norm = NormSpec(features=hidden)
        yield from self._mixing(tokens)
        yield "attn_norm", norm.over(tokens)
        yield "laurel", Linear(tokens=tokens, in_features=hidden, out_features=self.rank)
        up = Linear(tokens=tokens, in_features=self.rank, out_features=hidden, role="laurel_up")
        yield "laurel_up", up
        yield "laurel_norm", norm.over(tokens)
        yield from self.mixer.operators(step)
        yield "attn_post_norm", norm.over(tokens)
        yield "attn_residual", Residual(elements=elements, inputs=4)
        yield "attn_scale", Scale(elements=elements)
        yield "mlp_norm", norm.over(tokens)
        if self.sparse:
            gate = Activation(elements=tokens * self.width, function="gaussian_topk")
            yield "mlp_sparse", gate
        yield from self.mlp.operators(step)
        yield "mlp_post_norm", norm.over(tokens)
        yield "mlp_residual", Residual(elements=elements)
        yield from gated_embedding(tokens, hidden, self.embedding, self.activation)
        yield "layer_embed_residual", Residual(elements=elements * (self.streams - 1))

    def _mixing(self, tokens: Expr) -> Emitted:
        """Coefficients from the input for the prediction, from the output for the correction."""
        streams = self.streams
        yield "altup_norm", Norm(rows=2 * tokens, features=self.hidden)
        yield (
            "altup_router",
            Linear(tokens=2 * tokens, in_features=self.hidden, out_features=streams),
        )
        yield "altup_act", Activation(elements=2 * tokens * streams, function="tanh")
        for name, outputs in (("altup_predict", streams**2), ("altup_correct", streams)):
            yield name, Linear(tokens=tokens, in_features=streams, out_features=outputs)
        yield (
            "altup_mix",
            MixStreams(tokens=tokens, hidden=self.hidden, streams=streams, scaled=self.scaled),
        )


@dataclass(frozen=True, kw_only=True)
class LayerEmbeddings(Block):
    """After the embedding: every layer's own embedding of the token.

    Attributes:
        hidden: size of the residual stream.
        layers: layers, each with an embedding.
        embedding: its size.
        vocab: rows of the table of those embeddings.
    """

    hidden: Size
    layers: Size
    embedding: Size
    vocab: Size

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = (
        "layer_embedding layer_embedding_scale layer_embedding_proj layer_embedding_norm "
        "layer_embedding_sum"
    )

    def operators(self, step: ForwardPass) -> Emitted:
        """Look-up, its sum with a projection of the token embedding."""
        tokens, width = step.tokens, self.layers * self.embedding
        table = Embedding(tokens=tokens, rows=self.vocab, features=width, role="layer_embedding")
        yield "layer_embedding", table
        yield "layer_embedding_scale", Scale(elements=tokens * width)
        projected = Linear(tokens=tokens, in_features=self.hidden, out_features=width)
        yield "layer_embedding_proj", projected
        yield "layer_embedding_scale", Scale(elements=tokens * width)
        norm = Norm(rows=tokens * self.layers, features=self.embedding)
        yield "layer_embedding_norm", norm
        yield "layer_embedding_sum", Residual(elements=tokens * width)
        yield "layer_embedding_scale", Scale(elements=tokens * width)


def gated_embedding(tokens: Expr, hidden: Size, inner: Size, activation: str) -> Emitted:
    """A layer's embedding of the token, gated by its output, projected and normalized."""
    yield "layer_embed_in", Linear(tokens=tokens, in_features=hidden, out_features=inner)
    gated = Activation(elements=tokens * inner, function=activation, gated=True)
    yield "layer_embed_act", gated
    yield "layer_embed_out", Linear(tokens=tokens, in_features=inner, out_features=hidden)
    yield "layer_embed_norm", NormSpec(features=hidden).over(tokens)


@dataclass(frozen=True, kw_only=True)
class EmbeddedLayer(Block):
    """A layer that ends with its embedding of the token, and a constant factor (Gemma 4).

    Attributes:
        layer: the layer before that.
        embedding: size of the token's embedding for this layer.
        activation: of the gate on that embedding.
    """

    layer: DecoderLayer
    embedding: Size
    activation: str

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = (
        "layer_embed_in layer_embed_act layer_embed_out layer_embed_norm layer_embed_residual "
        "layer_scale"
    )

    def operators(self, step: ForwardPass) -> Emitted:
        """The layer, its embedding, the factor."""
        hidden = self.layer.hidden
        elements = step.tokens * hidden
        yield from self.layer.operators(step)
        yield from gated_embedding(step.tokens, hidden, self.embedding, self.activation)
        yield "layer_embed_residual", Residual(elements=elements)
        yield "layer_scale", Scale(elements=elements)


@dataclass(frozen=True, kw_only=True)
class OpenStreams(LayerEmbeddings):
    """The same, and the other streams.

    Attributes:
        streams: how many there are.
    """

    streams: Size

    repeated: ClassVar[str] = f"{LayerEmbeddings.repeated} streams_open streams_open_norm"

    def operators(self, step: ForwardPass) -> Emitted:
        """The embeddings, then the streams."""
        yield from LayerEmbeddings.operators(self, step)
        yield from _others(self.hidden, self.streams, step.tokens, "streams_open")


@dataclass(frozen=True, kw_only=True)
class CloseStreams(Block):
    """Before the head: the streams are projected and averaged.

    Attributes:
        hidden: size of a stream.
        streams: how many there are.
    """

    hidden: Size
    streams: Size

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "streams_close streams_close_norm streams_mean"

    def operators(self, step: ForwardPass) -> Emitted:
        """Projections, their magnitudes, the mean."""
        tokens = step.tokens
        yield from _others(self.hidden, self.streams, tokens, "streams_close")
        yield "streams_mean", Residual(elements=tokens * self.hidden, inputs=self.streams)


def _others(hidden: Size, streams: Size, tokens: Expr, name: str) -> Emitted:
    """A projection of every stream but the first, brought to the first one's magnitude."""
    others = streams - 1
    yield (
        name,
        Linear(tokens=tokens, in_features=hidden, out_features=others * hidden),
    )
    yield f"{name}_norm", Norm(rows=tokens * others, features=hidden, affine=False)
