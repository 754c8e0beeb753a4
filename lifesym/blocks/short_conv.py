"""A short convolution between two gates, in place of attention (LFM2)."""

from dataclasses import dataclass

from sympy import Expr, S

from lifesym.blocks.base import Emitted
from lifesym.blocks.recurrent import RecurrentBlock
from lifesym.nodes import Minimum
from lifesym.operators import CausalConv, Linear, Residual
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class ShortConv(RecurrentBlock):
    """Two gates and an input; the gated input's convolution, gated again; output.

    Attributes:
        hidden: size of input and output, and channels in between.
        kernel: taps of the convolution.
        bias: biases of both projections and of the convolution.
    """

    hidden: Size
    kernel: Size
    bias: bool = False

    def operators(self, step: ForwardPass) -> Emitted:
        """Projection, gate, convolution, gate, projection; a product costs what a sum does."""
        tokens, hidden = step.tokens, self.hidden
        wide = {"tokens": tokens, "in_features": hidden, "bias": self.bias}
        gate = Residual(elements=tokens * hidden)
        yield "short_conv:in_proj", Linear(**wide, out_features=3 * hidden)
        yield "short_conv:mixer", gate
        conv = CausalConv(
            batch=step.batch,
            new=step.new,
            started=Minimum(step.past, 1),
            channels=hidden,
            kernel=self.kernel,
            bias=self.bias,
        )
        yield "short_conv:mixer", conv
        yield "short_conv:mixer", gate
        yield "short_conv:out_proj", Linear(**wide, out_features=hidden)

    def kept(self) -> tuple[Expr, Expr]:
        """Inputs of the convolution."""
        return self.hidden * self.kernel, S.Zero
