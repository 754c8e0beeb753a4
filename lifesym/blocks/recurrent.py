"""Token mixers whose memory of a sequence does not grow: Mamba, gated delta net, RG-LRU, mLSTM."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from sympy import Expr

from lifesym.blocks.base import Block, Emitted
from lifesym.nodes import Minimum
from lifesym.operators import (
    Activation,
    CausalConv,
    DeltaRule,
    GatedUnit,
    HeadLinear,
    Linear,
    MatrixMemory,
    Norm,
    Scale,
    SelectiveScan,
)
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class Mamba(Block):
    """A selective state space: gate and input, convolution, scan, output.

    Its operators are named as the parts of the mixer; ``mixer`` is what no projection does. (The
    time steps' projection is there too, since transformers multiplies by its matrix directly.)

    Attributes:
        hidden: size of input and output.
        inner: channels.
        state: state elements of a channel.
        kernel: taps of the convolution.
        rank: rank of the time steps.
        activation: activation function after the convolution.
        conv_bias: bias of the convolution.
        bias: biases of the input and output projections.
        norms: RMSNorms of the time steps, B and C, without or with gains.
    """

    hidden: Size
    inner: Size
    state: Size
    kernel: Size
    rank: Size
    activation: str = "silu"
    conv_bias: bool = True
    bias: bool = False
    norms: Literal["none", "plain", "affine"] = "none"

    split: ClassVar[tuple[str, ...]] = ("inner",)
    repeated: ClassVar[str] = "mamba_mixer:mixer"
    unshared: ClassVar[str] = "mamba_mixer:mixer"

    def operators(self, step: ForwardPass) -> Emitted:
        """Input, convolution, time steps with B and C, scan, output."""
        tokens, inner = step.tokens, self.inner
        shape = {"batch": step.batch, "new": step.new}
        yield (
            "mamba_mixer:in_proj",
            Linear(tokens=tokens, in_features=self.hidden, out_features=2 * inner, bias=self.bias),
        )
        conv = CausalConv(
            **shape,
            started=Minimum(step.past, 1),
            channels=inner,
            kernel=self.kernel,
            bias=self.conv_bias,
        )
        yield "mamba_mixer:mixer", conv
        yield "mamba_mixer:mixer", Activation(elements=tokens * inner, function=self.activation)
        together = self.rank + 2 * self.state
        steps = Linear(tokens=tokens, in_features=inner, out_features=together)
        yield from self.summed("mamba_mixer:x_proj", steps, tokens * together)
        if self.norms != "none":
            for features in (self.rank, self.state, self.state):
                norm = Norm(rows=tokens, features=features, affine=self.norms == "affine")
                yield "mamba_mixer:mixer", norm
        yield (
            "mamba_mixer:mixer",
            Linear(
                tokens=tokens,
                in_features=self.rank,
                out_features=inner,
                bias=True,
                role="mamba_mixer:dt_proj",
            ),
        )
        yield "mamba_mixer:mixer", SelectiveScan(**shape, inner=inner, state=self.state)
        out = Linear(tokens=tokens, in_features=inner, out_features=self.hidden, bias=self.bias)
        yield from self.summed("mamba_mixer:out_proj", out, tokens * self.hidden)


@dataclass(frozen=True, kw_only=True)
class DeltaNet(Block):
    """Linear attention with the gated delta rule; its output is normalized, then gated.

    Attributes:
        hidden: size of input and output.
        key_heads: heads of queries and keys.
        value_heads: heads of values; each has a state.
        key_dim: size of a key head.
        value_dim: size of a value head.
        kernel: taps of the convolution, which covers queries, keys and values.
        chunk: tokens of a chunk.
        activation: activation function after the convolution and of the output's gate.
        inputs: two projections (all vectors, all scalars), four, or one for each of the six.
        negative: strengths of corrections are doubled, so that the state may change its sign.
    """

    hidden: Size
    key_heads: Size
    value_heads: Size
    key_dim: Size
    value_dim: Size
    kernel: Size
    chunk: Size
    activation: str = "silu"
    inputs: Literal["two", "four", "six"] = "two"
    negative: bool = False

    split: ClassVar[tuple[str, ...]] = ("key_heads", "value_heads")

    def operators(self, step: ForwardPass) -> Emitted:
        """Inputs, convolution, norms of queries and keys, delta rule, norm and gate, output."""
        tokens, values = step.tokens, self.value_heads * self.value_dim
        shape = {"batch": step.batch, "new": step.new}
        for part, width in self._inputs():
            projection = Linear(tokens=tokens, in_features=self.hidden, out_features=width)
            yield f"delta_net:in_proj_{part}", projection
            if part == "b" and self.negative:
                yield "delta_net:mixer", Scale(elements=tokens * width)
        name = "delta_net:mixer"
        yield (
            name,
            CausalConv(
                **shape, started=Minimum(step.past, 1), channels=self._channels, kernel=self.kernel
            ),
        )
        yield name, Activation(elements=tokens * self._channels, function=self.activation)
        rows = 2 * tokens * self.key_heads
        yield name, Norm(rows=rows, features=self.key_dim, affine=False)
        yield (
            name,
            DeltaRule(
                **shape,
                heads=self.value_heads,
                key_heads=self.key_heads,
                key_dim=self.key_dim,
                value_dim=self.value_dim,
                chunk=self.chunk,
            ),
        )
        yield name, Norm(rows=tokens * self.value_heads, features=self.value_dim)
        yield name, Activation(elements=tokens * values, function="silu", gated=True)
        out = Linear(tokens=tokens, in_features=values, out_features=self.hidden)
        yield from self.summed("delta_net:out_proj", out, tokens * self.hidden)

    @property
    def _channels(self) -> Expr:
        return 2 * self.key_heads * self.key_dim + self.value_heads * self.value_dim

    def _inputs(self) -> tuple[tuple[str, Expr], ...]:
        gate: Expr = self.value_heads * self.value_dim
        heads, keys = self.value_heads, self.key_heads * self.key_dim
        if self.inputs == "two":
            return (("qkvz", self._channels + gate), ("ba", 2 * heads))
        if self.inputs == "six":
            named = (("q", keys), ("k", keys), ("v", gate))
            return (*named, ("z", gate), ("b", heads), ("a", heads))
        return (("qkv", self._channels), ("z", gate), ("b", heads), ("a", heads))


@dataclass(frozen=True, kw_only=True)
class GatedRecurrence(Block):
    """Griffin's recurrent block: a convolution and an RG-LRU beside a gate, with biases everywhere.

    Attributes:
        hidden: size of input and output.
        heads: blocks of the matrices that make the RG-LRU's gates.
        head_dim: channels of a block.
        kernel: taps of the convolution.
        activation: activation function of the gate.
    """

    hidden: Size
    heads: Size
    head_dim: Size
    kernel: Size
    activation: str

    split: ClassVar[tuple[str, ...]] = ("heads",)

    def operators(self, step: ForwardPass) -> Emitted:
        """Two inputs, convolution, gates, unit, product of both branches, output."""
        tokens, inner = step.tokens, self.heads * self.head_dim
        shape = {"batch": step.batch, "new": step.new, "channels": inner}
        wide = {"tokens": tokens, "in_features": self.hidden, "bias": True}
        name = "rg_lru:mixer"
        for part in ("y", "x"):
            yield f"rg_lru:linear_{part}", Linear(**wide, out_features=inner)
        yield name, CausalConv(**shape, kernel=self.kernel, bias=True, alone="sum")
        for part in ("input", "recurrent"):
            yield (
                f"rg_lru:{part}_gate",
                HeadLinear(
                    tokens=tokens,
                    heads=self.heads,
                    in_features=self.head_dim,
                    out_features=self.head_dim,
                    bias=True,
                ),
            )
        yield name, GatedUnit(**shape)
        yield name, Activation(elements=tokens * inner, function=self.activation, gated=True)
        out = Linear(tokens=tokens, in_features=inner, out_features=self.hidden, bias=True)
        yield from self.summed("rg_lru:linear_out", out, tokens * self.hidden)


@dataclass(frozen=True, kw_only=True)
class MatrixLSTM(Block):
    """xLSTM's mixer: a memory that is a matrix a head, a norm a head, an output gate.

    Attributes:
        hidden: size of input and output.
        heads: heads; each has a memory.
        key_dim: size of a head's query and key.
        value_dim: size of a head's value.
        chunk: tokens of a chunk.
        capped: a soft cap on the input and forget gates.
    """

    hidden: Size
    heads: Size
    key_dim: Size
    value_dim: Size
    chunk: Size
    capped: bool = True

    split: ClassVar[tuple[str, ...]] = ("heads",)

    def operators(self, step: ForwardPass) -> Emitted:
        """Projections, soft cap of the gates, memory, norm, output gate, output."""
        tokens, keys, values = step.tokens, self.heads * self.key_dim, self.heads * self.value_dim
        vectors = {"q": keys, "k": keys, "v": values, "ogate_preact": values}
        gates = {"igate_preact": self.heads, "fgate_preact": self.heads}
        name = "mlstm:mixer"
        for part, width in (vectors | gates).items():
            inner = {"tokens": tokens, "in_features": self.hidden, "out_features": width}
            yield f"mlstm:{part}", Linear(**inner, bias=part in gates)
        if self.capped:
            yield name, Scale(elements=2 * tokens * self.heads, softcap=True)
        yield (
            name,
            MatrixMemory(
                batch=step.batch,
                new=step.new,
                heads=self.heads,
                key_dim=self.key_dim,
                value_dim=self.value_dim,
                chunk=self.chunk,
            ),
        )
        rows = {"rows": tokens * self.heads, "features": self.value_dim, "sets": self.heads}
        yield name, Norm(**rows, kind="layer", bias=False)
        yield name, Activation(elements=tokens * values, function="sigmoid", gated=True)
        out = Linear(tokens=tokens, in_features=values, out_features=self.hidden)
        yield from self.summed("mlstm:out_proj", out, tokens * self.hidden)
