"""What Zamba 1 and 2 have: shared transformer blocks, each layer's own link, Mamba in heads."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr, S

from lifesym.blocks.attention import Attention
from lifesym.blocks.base import Block, Emitted, NormSpec, share
from lifesym.blocks.mlp import MLP
from lifesym.nodes import Minimum
from lifesym.operators import (
    Activation,
    CausalConv,
    HeadLinear,
    Linear,
    Residual,
    SelectiveScan,
)
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class SharedTransformer(Block):
    """Attention over the hidden state and the embedding side by side, then an MLP; no residuals.

    Attributes:
        attention: its input is as wide as both.
        mlp: the feed-forward block.
        norm: norm of the attention's input.
        mlp_norm: norm of the MLP's input.
    """

    attention: Attention
    mlp: MLP
    norm: NormSpec
    mlp_norm: NormSpec

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "attn_norm mlp_norm"

    def operators(self, step: ForwardPass) -> Emitted:
        """Norm, attention, norm, MLP."""
        yield "attn_norm", self.norm.over(step.tokens)
        yield from self.attention.operators(step)
        yield "mlp_norm", self.mlp_norm.over(step.tokens)
        yield from self.mlp.operators(step)


@dataclass(frozen=True, kw_only=True)
class Link(Block):
    """What each use of a shared block owns: adapters on its projections, and a projection after it.

    Attributes:
        hidden: size of the residual stream.
        intermediate: size of the shared MLP.
        rank: rank of the adapters; None without any (Zamba 1).
        attention: also adapters on queries, keys and values, as wide as the attention's input.
    """

    hidden: Size
    intermediate: Size
    rank: Size | None = None
    attention: bool = False

    split: ClassVar[tuple[str, ...]] = ("intermediate",)
    repeated: ClassVar[str] = (
        "attn_q_adapter attn_k_adapter attn_v_adapter mlp_gate_up_adapter "
        "shared_out shared_residual"
    )
    unshared: ClassVar[str] = "attn_q_adapter attn_k_adapter attn_v_adapter mlp_gate_up_adapter"

    def operators(self, step: ForwardPass) -> Emitted:
        """Adapters, each added to its projection, then the output and its sum."""
        tokens = step.tokens
        if self.attention:
            wide, mine = 2 * self.hidden, 2 * share(self, "hidden", self.devices)
            for part in ("q", "k", "v"):
                yield from self._adapter(f"attn_{part}_adapter", tokens, wide, mine)
        if self.rank is not None:
            gate_up = 2 * self.intermediate
            yield from self._adapter("mlp_gate_up_adapter", tokens, self.hidden, gate_up)
        link = Linear(tokens=tokens, in_features=self.hidden, out_features=self.hidden)
        yield "shared_out", link
        yield "shared_residual", Residual(elements=tokens * self.hidden)

    def _adapter(self, name: str, tokens: Expr, inputs: Size, outputs: Size) -> Emitted:
        rank = S.Zero if self.rank is None else self.rank
        yield name, Linear(tokens=tokens, in_features=inputs, out_features=rank)
        yield name, Linear(tokens=tokens, in_features=rank, out_features=outputs)
        yield name, Residual(elements=tokens * outputs)


@dataclass(frozen=True, kw_only=True)
class HeadMamba(Block):
    """Zamba's Mamba: time steps, B and C are each head's own, and made of its channels alone.

    Attributes:
        hidden: size of input and output.
        heads: heads.
        head_dim: channels of a head.
        state: state elements of a channel.
        kernel: taps of the convolution.
        rank: rank of the time steps.
        activation: activation function after the convolution.
        conv_bias: bias of the convolution.
        bias: biases of the input and output projections.
    """

    hidden: Size
    heads: Size
    head_dim: Size
    state: Size
    kernel: Size
    rank: Size
    activation: str = "silu"
    conv_bias: bool = True
    bias: bool = False

    split: ClassVar[tuple[str, ...]] = ("heads",)

    def operators(self, step: ForwardPass) -> Emitted:
        """Input, convolution, time steps with B and C, a scan for each head, output."""
        tokens, inner = step.tokens, self.heads * self.head_dim
        name, shape = "head_mamba:mixer", {"batch": step.batch, "new": step.new}
        wide = {"tokens": tokens, "bias": self.bias}
        each = {"tokens": tokens, "heads": self.heads}
        yield (
            "head_mamba:in_proj",
            Linear(**wide, in_features=self.hidden, out_features=2 * inner),
        )
        yield (
            name,
            CausalConv(
                **shape,
                started=Minimum(step.past, 1),
                channels=inner,
                kernel=self.kernel,
                bias=self.conv_bias,
            ),
        )
        yield name, Activation(elements=tokens * inner, function=self.activation)
        together = self.rank + 2 * self.state
        steps = HeadLinear(**each, in_features=self.head_dim, out_features=together)
        yield "head_mamba:x_proj", steps
        yield (
            "head_mamba:dt_proj",
            HeadLinear(**each, in_features=self.rank, out_features=self.head_dim, bias=True),
        )
        yield name, SelectiveScan(**shape, inner=inner, state=self.state, groups=self.heads)
        out = Linear(**wide, in_features=inner, out_features=self.hidden)
        yield from self.summed("head_mamba:out_proj", out, tokens * self.hidden)
