"""What joins an encoder to a decoder: cross-attention, and what only such models have."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr

from lifesym import symbols as sym
from lifesym.blocks.base import Block, Emitted, NormSpec
from lifesym.operators import (
    AttentionScores,
    AttentionValues,
    Embedding,
    Linear,
    Scale,
    Softmax,
    SourceAppend,
)
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class CrossAttention(Block):
    """Attention of every new token to all positions of the encoder.

    Their keys and values are computed in the pass that runs the encoder and cached.

    Attributes:
        hidden: size of input and output.
        heads: heads of queries, keys and values.
        head_dim: size of a head.
        bias: biases on the query, value and output projections.
        key_bias: keys have one too, where values have.
        source: positions of the encoder.
    """

    hidden: Size
    heads: Size
    head_dim: Size
    bias: bool = False
    key_bias: bool = False
    source: Size = sym.source

    split: ClassVar[tuple[str, ...]] = ("heads",)

    def operators(self, step: ForwardPass) -> Emitted:
        """Queries; keys and values once; then every query against every position."""
        width = self.heads * self.head_dim

        def project(tokens: Expr, bias: bool) -> Linear:
            return Linear(tokens=tokens, in_features=self.hidden, out_features=width, bias=bias)

        yield "cross_q", project(step.tokens, self.bias)
        if step.encode:
            positions = step.batch * self.source
            yield "cross_k", project(positions, self.bias and self.key_bias)
            yield "cross_v", project(positions, self.bias)
            yield (
                "cross_append",
                SourceAppend(
                    tokens=positions,
                    source=self.source,
                    heads=self.heads,
                    elements=2 * self.head_dim,
                ),
            )
        pairs = step.new * self.source
        shape = {
            "batch": step.batch,
            "heads": self.heads,
            "kv_heads": self.heads,
            "head_dim": self.head_dim,
            "new": step.new,
            "keys": self.source,
            "pairs": pairs,
        }
        yield "cross_qk", AttentionScores(**shape)
        yield "cross_softmax", Softmax(elements=step.batch * self.heads * pairs)
        yield "cross_av", AttentionValues(**shape)
        out = Linear(
            tokens=step.tokens, in_features=width, out_features=self.hidden, bias=self.bias
        )
        yield from self.summed("cross_o", out, step.tokens * self.hidden)


@dataclass(frozen=True, kw_only=True)
class RelativePositions(Block):
    """One learned bias a head and bucket, looked up once for every pair and used in all layers.

    Attributes:
        buckets: buckets of distances.
        heads: heads, each with its own biases.
    """

    buckets: Size
    heads: Size

    split: ClassVar[tuple[str, ...]] = ("heads",)

    def operators(self, step: ForwardPass) -> Emitted:
        """The look-up; the same for every sequence of the batch."""
        pairs = step.new * (step.past + step.new)
        yield (
            "relative_positions",
            Embedding(tokens=pairs, rows=self.buckets, features=self.heads, role="positions"),
        )


@dataclass(frozen=True, kw_only=True)
class LearnedPositions(Block):
    """A table of positions added to embeddings that another section looks up, and their norm.

    Attributes:
        rows: rows of the table.
        hidden: size of the residual stream.
        norm: norm of the sum.
    """

    rows: Size
    hidden: Size
    norm: NormSpec

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "positions embedding_norm"

    def operators(self, step: ForwardPass) -> Emitted:
        """Look-up, sum, norm."""
        table = Embedding(
            tokens=step.tokens,
            rows=self.rows,
            features=self.hidden,
            added=True,
            role="positions",
        )
        yield "positions", table
        yield "embedding_norm", self.norm.over(step.tokens)


@dataclass(frozen=True, kw_only=True)
class Closing(Block):
    """What follows a stack of layers before its output is used.

    Attributes:
        norm: norm of every position.
        scaled: the result is multiplied by a constant.
    """

    norm: NormSpec
    scaled: bool = False

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "final_norm final_scale"

    def operators(self, step: ForwardPass) -> Emitted:
        """Norm, scale."""
        yield "final_norm", self.norm.over(step.tokens)
        if self.scaled:
            yield "final_scale", Scale(elements=step.tokens * self.norm.features)
