"""Mamba-2: a state space of heads that is scanned in chunks."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from sympy import Expr, S, sympify

from lifesym.blocks.base import Block, Emitted
from lifesym.nodes import Maximum, Minimum
from lifesym.operators import Activation, CausalConv, DualScan, Linear, Norm, Scale
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class Mamba2(Block):
    """A state space of heads, scanned in chunks; its output is gated, and usually normalized.

    Attributes:
        hidden: size of input and output.
        heads: heads of the scan.
        head_dim: channels of a head.
        groups: groups of heads that share B and C.
        state: state elements of a channel.
        kernel: taps of the convolution, which covers the channels, B and C.
        chunk: tokens of a chunk.
        activation: activation function after the convolution.
        conv_bias: bias of the convolution.
        bias: bias of the input projection, and of the output's unless given.
        out_bias: bias of the output projection.
        norm: the output is normalized, by groups.
        scaled: what the input projection gives is multiplied by constants.
        group_devices: devices that have one group's heads together.
    """

    hidden: Size
    heads: Size
    head_dim: Size
    groups: Size
    state: Size
    kernel: Size
    chunk: Size
    activation: str = "silu"
    conv_bias: bool = True
    bias: bool = False
    out_bias: bool | None = None
    norm: bool = True
    scaled: bool = False
    group_devices: Size = 1

    split: ClassVar[tuple[str, ...]] = ("heads",)
    kept: ClassVar[tuple[str, ...]] = ("groups",)

    def part(self, n: Expr) -> Self:
        """Its heads, with B and C of at least one group, whose norm devices may have together."""
        groups = sympify(self.groups)
        among = n if groups is S.One else Maximum(S.One, n / groups)
        return replace(super().part(n), group_devices=among)

    def operators(self, step: ForwardPass) -> Emitted:
        """One input projection for gate, channels, B, C and time steps; then as `Mamba`."""
        tokens, inner = step.tokens, self.heads * self.head_dim
        shape = {"batch": step.batch, "new": step.new}
        wide = inner + self._channels + self.heads
        projected = Linear(
            tokens=tokens, in_features=self.hidden, out_features=wide, bias=self.bias
        )
        yield "mamba2_mixer:in_proj", projected
        if self.scaled:
            yield "mamba2_mixer:mixer", Scale(elements=tokens * wide)
        conv = CausalConv(
            **shape,
            started=Minimum(step.past, 1),
            channels=self._channels,
            kernel=self.kernel,
            bias=self.conv_bias,
        )
        yield "mamba2_mixer:mixer", conv
        convolved = Activation(elements=tokens * self._channels, function=self.activation)
        yield "mamba2_mixer:mixer", convolved
        yield (
            "mamba2_mixer:mixer",
            DualScan(
                **shape,
                heads=self.heads,
                head_dim=self.head_dim,
                groups=self.groups,
                state=self.state,
                chunk=self.chunk,
            ),
        )
        gate = Activation(elements=tokens * inner, function="silu", gated=True)
        yield "mamba2_mixer:mixer", gate
        if self.norm:
            of_group: Expr = sympify(inner) / self.groups
            by_group = Norm(rows=tokens * self.groups, features=of_group, sets=self.groups)
            yield from self.summed(
                "mamba2_mixer:mixer", by_group, by_group.rows, self.group_devices
            )
        biased = self.bias if self.out_bias is None else self.out_bias
        out = Linear(tokens=tokens, in_features=inner, out_features=self.hidden, bias=biased)
        yield from self.summed("mamba2_mixer:out_proj", out, tokens * self.hidden)

    @property
    def _channels(self) -> Expr:
        return self.heads * self.head_dim + 2 * self.groups * self.state
