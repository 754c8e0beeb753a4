"""A short convolution between two gates, in place of attention (LFM2)."""

from dataclasses import dataclass
from typing import ClassVar

from lifesym.blocks.base import Block, Emitted, share
from lifesym.nodes import Minimum
from lifesym.operators import CausalConv, Linear, Residual
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class ShortConv(Block):
    """Two gates and an input; the gated input's convolution, gated again; output.

    Attributes:
        hidden: size of input and output, and channels in between.
        kernel: taps of the convolution.
        bias: biases of both projections and of the convolution.
    """

    hidden: Size
    kernel: Size
    bias: bool = False

    split: ClassVar[tuple[str, ...]] = ()

    def operators(self, step: ForwardPass) -> Emitted:
        """Projection, gate, convolution, gate, projection; a product costs what a sum does."""
        tokens, hidden, channels = step.tokens, self.hidden, share(self, "hidden", self.devices)
        wide = {"tokens": tokens, "bias": self.bias}
        gate = Residual(elements=tokens * channels)
        into = Linear(**wide, in_features=hidden, out_features=3 * channels)
        yield "short_conv:in_proj", into
        yield "short_conv:mixer", gate
        conv = CausalConv(
            batch=step.batch,
            new=step.new,
            started=Minimum(step.past, 1),
            channels=channels,
            kernel=self.kernel,
            bias=self.bias,
        )
        yield "short_conv:mixer", conv
        yield "short_conv:mixer", gate
        out = Linear(**wide, in_features=channels, out_features=hidden)
        yield from self.summed("short_conv:out_proj", out, tokens * hidden)
