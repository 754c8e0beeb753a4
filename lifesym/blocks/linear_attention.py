"""Linear attention with a state a head: lightning attention, Kimi delta attention."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr

from lifesym.blocks.base import Block, Emitted
from lifesym.nodes import Minimum
from lifesym.operators import (
    Activation,
    CausalConv,
    ChannelDeltaRule,
    LightningScan,
    Linear,
    Norm,
    Operator,
)
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class LightningAttention(Block):
    """MiniMax: activated queries, keys and values, a fixed decay a head, a gated norm of all heads.

    Attributes:
        hidden: size of input and output.
        heads: heads of queries, keys and values.
        head_dim: size of a head.
        chunk: tokens of a block.
        activation: activation function of queries, keys and values.
    """

    hidden: Size
    heads: Size
    head_dim: Size
    chunk: Size
    activation: str = "silu"

    split: ClassVar[tuple[str, ...]] = ("heads",)

    def operators(self, step: ForwardPass) -> Emitted:
        """Fused projection, activation, scan, norm, gate, output projection."""
        tokens, width = step.tokens, self.heads * self.head_dim
        name = "lightning:mixer"
        yield (
            "lightning:qkv_proj",
            Linear(tokens=tokens, in_features=self.hidden, out_features=3 * width),
        )
        yield name, Activation(elements=3 * tokens * width, function=self.activation)
        yield (
            name,
            LightningScan(
                batch=step.batch,
                new=step.new,
                heads=self.heads,
                head_dim=self.head_dim,
                chunk=self.chunk,
            ),
        )
        yield from self.summed(name, Norm(rows=tokens, features=width), tokens)
        gate = Linear(tokens=tokens, in_features=self.hidden, out_features=width)
        yield "lightning:output_gate", gate
        yield name, Activation(elements=tokens * width, function="sigmoid", gated=True)
        out = Linear(tokens=tokens, in_features=width, out_features=self.hidden)
        yield from self.summed("lightning:out_proj", out, tokens * self.hidden)


@dataclass(frozen=True, kw_only=True)
class KimiDelta(Block):
    """Kimi delta attention: a decay and an output gate a channel, through small projections or not.

    Attributes:
        hidden: size of input and output.
        heads: heads of queries, keys and values; each has a state.
        head_dim: size of each of these heads, and of the small projections.
        kernel: taps of the convolution, which covers queries, keys and values.
        chunk: tokens of a chunk.
        activation: activation function after the convolution.
        low_rank: decays and gates come from two projections each, or from one.
        bounded: the logarithm of a decay is a sigmoid times a bound.
    """

    hidden: Size
    heads: Size
    head_dim: Size
    kernel: Size
    chunk: Size
    activation: str = "silu"
    low_rank: bool = True
    bounded: bool = False

    split: ClassVar[tuple[str, ...]] = ("heads",)
    repeated: ClassVar[str] = "kimi_delta:f_a_proj kimi_delta:g_a_proj"

    def operators(self, step: ForwardPass) -> Emitted:
        """Inputs, convolution, norms of queries and keys, gates, delta rule, gated norm, output."""
        tokens, width = step.tokens, self.heads * self.head_dim
        shape = {"batch": step.batch, "new": step.new}
        name = "kimi_delta:mixer"
        for part in ("q", "k", "v"):
            yield self._linear(f"{part}_proj", tokens, self.hidden, width)
        yield (
            name,
            CausalConv(
                **shape, started=Minimum(step.past, 1), channels=3 * width, kernel=self.kernel
            ),
        )
        yield name, Activation(elements=3 * tokens * width, function=self.activation)
        yield from self._small("f", tokens)
        yield self._linear("b_proj", tokens, self.hidden, self.heads)
        yield name, Norm(rows=2 * tokens * self.heads, features=self.head_dim, affine=False)
        yield (
            name,
            ChannelDeltaRule(
                **shape,
                heads=self.heads,
                key_heads=self.heads,
                key_dim=self.head_dim,
                value_dim=self.head_dim,
                chunk=self.chunk,
                bounded=self.bounded,
            ),
        )
        yield from self._small("g", tokens)
        yield name, Norm(rows=tokens * self.heads, features=self.head_dim)
        yield name, Activation(elements=tokens * width, function="sigmoid", gated=True)
        name, out = self._linear("o_proj", tokens, width, self.hidden)
        yield from self.summed(name, out, tokens * self.hidden)

    def _small(self, part: str, tokens: Expr) -> Iterator[tuple[str, Operator]]:
        """A number a channel by two projections, or one."""
        if not self.low_rank:
            yield self._linear(f"{part}_proj", tokens, self.hidden, self.heads * self.head_dim)
            return
        yield self._linear(f"{part}_a_proj", tokens, self.hidden, self.head_dim)
        yield self._linear(f"{part}_b_proj", tokens, self.head_dim, self.heads * self.head_dim)

    @staticmethod
    def _linear(name: str, tokens: Expr, inputs: Size, outputs: Size) -> tuple[str, Operator]:
        return f"kimi_delta:{name}", Linear(tokens=tokens, in_features=inputs, out_features=outputs)
