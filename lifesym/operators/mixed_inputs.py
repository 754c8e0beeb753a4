r"""What attention does to its inputs or projections: convolutions over tokens, a delay by one.

Sources: Figliolia et al., compressed convolutional attention, arXiv 2510.04476; transformers 5.24,
models/zaya; Wu et al., Yuan 2.0, 2311.15786. The states are in the cache's format.
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


@dataclass(frozen=True, kw_only=True)
class LocalFilter(RecentInputs):
    r"""Two causal convolutions of all channels together, through fewer of them in between.

    With k = ``kernel`` taps each matmul_flops are

    $$2 \cdot batch \cdot channels \cdot inner \cdot k \left(2 new + (k - 1)(2 + 3 started)\right)$$

    which is what the torch code of IEITYuan/Yuan2-2B-hf computes: each convolution gives k - 1 more
    outputs than it has inputs, for zeros behind the last, and after a past (``started`` is 1 then)
    the first one has its last 2 (k - 1) inputs before the new ones, and the second one k - 1. A
    bias is one vector operation an output. The state is these last 2 (k - 1) inputs.

    >>> from lifesym import symbols as sym
    >>> filters = LocalFilter(batch=1, new=sym.new, channels=sym.hidden, inner=sym.hidden / 2)
    >>> filters.cost(Precision.of()).matmul_flops
    2*hidden**2*(2*new_tokens + 2)
    """

    channels: Size
    inner: Size
    kernel: Size = 2
    started: Size = 0

    counted: ClassVar[str] = "2 FLOPs a multiply-add, padding's zeros included; bias 1 an output"
    reference: ClassVar[str] = "Wu et al., Yuan 2.0, arXiv 2311.15786"
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(
        ("batch", "new", "channels", "inner", "kernel", "started"), "+"
    )

    @property
    def parameters(self) -> Expr:
        """Taps and biases of both."""
        taps = 2 * self.channels * self.inner * self.kernel
        return taps + self.inner + self.channels

    @property
    def state_elements(self) -> Expr:
        """The last inputs."""
        return sympify(2 * self.channels * (self.kernel - 1))

    def cost(self, precision: Precision) -> Cost:
        """Reads every input and writes every output once."""
        more = self.kernel - 1
        first = self.new + more * (1 + 2 * self.started)
        second = self.new + more * (1 + self.started)
        return self.priced(
            precision,
            macs=self.channels * self.inner * self.kernel * (first + second),
            ops=sympify(first * self.inner + second * self.channels),
            reads=sympify(self.channels),
            writes=sympify(self.channels),
        )
