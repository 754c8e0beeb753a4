r"""What attention does to its projections before its norms: convolutions, a delay by one token.

Source: Figliolia et al., compressed convolutional attention, arXiv 2510.04476; transformers 5.24,
models/zaya. The states are in the cache's format.
"""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr, S, sympify

from lifesym.cost import Cost
from lifesym.formats import Precision
from lifesym.operators.base import Direction
from lifesym.operators.recurrent import RecentInputs
from lifesym.symbols import Size


@dataclass(frozen=True, kw_only=True)
class HeadConv(RecentInputs):
    r"""A causal convolution of each channel, then one of each head's channels with each other.

    With taps $a$ = ``kernel`` and $b$ = ``head_kernel`` matmul_flops are

    $$2 \cdot batch \cdot channels \left((new + b - 1) a + new \cdot head\_dim \cdot b\right)$$

    since the first one also gives what the second one sees of the past, and its bias is added to
    as many. The state is the last $a + b - 2$ inputs.

    >>> from lifesym import symbols as sym
    >>> sizes = {"channels": sym.hidden, "head_dim": 128, "kernel": 2, "head_kernel": 2}
    >>> HeadConv(batch=1, new=1, **sizes).cost(Precision.of()).matmul_flops
    520*hidden
    """

    channels: Size
    head_dim: Size
    kernel: Size
    head_kernel: Size

    counted: ClassVar[str] = "2 FLOPs a multiply-add; biases one addition an output"
    reference: ClassVar[str] = "Figliolia et al., arXiv 2510.04476; transformers 5.24, models/zaya"
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(
        ("batch", "new", "channels", "head_dim", "kernel", "head_kernel"), "+"
    )

    @property
    def parameters(self) -> Expr:
        """Taps and biases of both."""
        return self.channels * (self.kernel + self.head_dim * self.head_kernel + 2)

    @property
    def state_elements(self) -> Expr:
        """The last inputs."""
        return self.channels * (self.kernel + self.head_kernel - 2)

    def cost(self, precision: Precision) -> Cost:
        """Reads every input and writes every output once."""
        first = self.new + self.head_kernel - 1
        macs = first * self.kernel + self.new * self.head_dim * self.head_kernel
        return self.priced(
            precision,
            macs=self.channels * macs,
            ops=self.channels * (first + self.new),
            reads=sympify(self.channels),
            writes=sympify(self.channels),
        )


@dataclass(frozen=True, kw_only=True)
class Delay(RecentInputs):
    """Each token gets the vector of the one before: no arithmetic, a state of one vector.

    >>> from lifesym import symbols as sym
    >>> Delay(batch=1, new=sym.new, features=sym.hidden).cost(Precision.of()).kv_read_bytes
    2*hidden
    """

    features: Size

    counted: ClassVar[str] = "nothing: vectors are moved"
    reference: ClassVar[str] = "Figliolia et al., arXiv 2510.04476; transformers 5.24, models/zaya"
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(("batch", "new", "features"), "+")

    @property
    def parameters(self) -> Expr:
        """None."""
        return S.Zero

    @property
    def state_elements(self) -> Expr:
        """The last token's vector."""
        return sympify(self.features)

    def cost(self, precision: Precision) -> Cost:
        """Reads and writes every vector once."""
        width = sympify(self.features)
        return self.priced(precision, macs=S.Zero, ops=S.Zero, reads=width, writes=width)
