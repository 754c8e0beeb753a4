r"""Recurrent mixers: a short causal convolution, then a scan with a state of constant size.

Each pass reads the state once and writes it once, whatever its tokens. The state of a convolution
is stored in the cache's format; that of a scan in 32 bits, as transformers and the kernels keep it.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from sympy import Expr, Integer, S, sympify

from lifesym.cost import FLOPS_PER_MAC, Cost, bytes_of
from lifesym.formats import Matrix, Precision, vectors
from lifesym.nodes import Maximum, Minimum
from lifesym.operators.base import Direction, Operator
from lifesym.symbols import Size

STATE_BITS = 32
"""Bits of a scan's state: it adds up small terms over the whole sequence."""


def several(new: Expr) -> Expr:
    """1 for a pass of several tokens, 0 for a single one.

    >>> several(Integer(1)), several(Integer(9))
    (0, 1)
    """
    return Minimum(new - 1, 1)


@dataclass(frozen=True, kw_only=True)
class Recurrent(Operator):
    """What they share: learned vectors, and a state of constant size."""

    batch: Size
    new: Size

    family: ClassVar[str] = "recurrent"

    @property
    def state_elements(self) -> Expr:
        """Elements of the state of one sequence."""
        raise NotImplementedError

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """All learned values are small and stay unquantized."""
        return vectors(self.parameters)

    def state_bytes(self, precision: Precision) -> Expr:
        """In 32 bits an element."""
        return bytes_of(self.state_elements, STATE_BITS)

    def state_traffic(self, precision: Precision) -> Cost:
        """The cost of reading and writing the state once."""
        moved = self.batch * self.state_bytes(precision)
        return Cost(kv_read_bytes=moved, kv_write_bytes=moved)

    def priced(
        self, precision: Precision, *, macs: Expr, ops: Expr, reads: Expr, writes: Expr
    ) -> Cost:
        """The cost for operations of one sequence, and elements read and written a token."""
        tokens = self.batch * self.new
        return (
            Cost(
                matmul_flops=FLOPS_PER_MAC * self.batch * macs,
                vector_flops=self.batch * ops,
                activation_read_bytes=precision.activation_bytes(tokens * reads),
                activation_write_bytes=precision.activation_bytes(tokens * writes),
                dispatches=Integer(1),
            )
            + self.state_traffic(precision)
            + precision.read_weights(self.matrices)
        )


@dataclass(frozen=True, kw_only=True)
class RecentInputs(Recurrent):
    """Those whose state is the last inputs, in the cache's format."""

    def state_bytes(self, precision: Precision) -> Expr:
        """As many bits an element as a key or value."""
        return precision.kv_bytes(self.state_elements)

    def state_traffic(self, precision: Precision) -> Cost:
        """Storing a format that is not native costs two operations an element."""
        state = self.batch * self.state_elements
        quantize = S.Zero if precision.kv.native else 2 * state
        written = Cost(vector_flops=quantize, kv_write_bytes=precision.kv_bytes(state))
        return precision.read_cache(state) + written


@dataclass(frozen=True, kw_only=True)
class CausalConv(RecentInputs):
    r"""A causal convolution of each channel with ``kernel`` taps: $y_t = \sum_j w_j x_{t-j} + b$.

    matmul_flops $= 2 \cdot batch \cdot outputs \cdot channels \cdot kernel$. ``new`` outputs are
    enough; with ``padded`` they are what transformers' torch code computes, of which it drops the
    rest: 2 for one token, and for several ``new + kernel - 1``, and ``kernel`` more where a state
    of the past comes before them (a prompt shorter than the kernel is filled up to it). How long
    the past is makes no difference: ``started`` is 1 where there is any. A bias is one vector
    operation an output. The state is the last ``kernel`` inputs. With ``alone="sum"``, as
    RecurrentGemma's code, the taps of a single token are multiplied and added element by element,
    $2 \cdot kernel - 1$ vector operations and no product; several tokens have ``new + kernel - 1``
    outputs whatever the past; and the state is one input less. (``padded`` then says nothing.)

    >>> from lifesym import symbols as sym
    >>> op = CausalConv(batch=1, new=1, channels=sym.inner_size, kernel=sym.conv_kernel)
    >>> op.cost(Precision.of()).matmul_flops
    4*conv_kernel*inner_size
    """

    channels: Size
    kernel: Size
    started: Size = 0
    bias: bool = False
    padded: bool = True
    alone: Literal["product", "sum"] = "product"

    counted: ClassVar[str] = "2 FLOPs a multiply-add; bias one addition an output"
    reference: ClassVar[str] = "Gu and Dao, arXiv 2312.00752, section 3.4 and Figure 3"
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(
        ("batch", "new", "channels", "kernel", "started"), "+"
    )

    @property
    def parameters(self) -> Expr:
        """The taps and the bias of every channel."""
        return self.channels * (self.kernel + (1 if self.bias else 0))

    @property
    def state_elements(self) -> Expr:
        """The last inputs."""
        return self.channels * (self.kernel - (1 if self.alone == "sum" else 0))

    @property
    def outputs(self) -> Expr:
        """Positions computed by products."""
        if self.alone == "sum":
            return (self.new + self.kernel - 1) * several(self.new)
        if not self.padded:
            return self.new
        filled = Maximum(self.kernel - self.new, 0)
        before = self.started * self.kernel + (1 - self.started) * filled
        return self.new + 1 + (self.kernel - 2 + before) * several(self.new)

    def cost(self, precision: Precision) -> Cost:
        """Reads every input and writes every output once."""
        ops = self.new * self.channels if self.bias else S.Zero
        if self.alone == "sum":
            ops += (1 - several(self.new)) * self.channels * (2 * self.kernel - 1)
        return self.priced(
            precision,
            macs=self.outputs * self.channels * self.kernel,
            ops=ops,
            reads=self.channels,
            writes=self.channels,
        )


@dataclass(frozen=True, kw_only=True)
class SelectiveScan(Recurrent):
    r"""$h_t = e^{\Delta_t A} h_{t-1} + \Delta_t B_t x_t$, $y_t = C_t h_t + D x_t$, gated by z.

    h has ``state`` elements a channel; A is (inner, state); B and C are shared by the channels, or
    by those of each of several ``groups``.
    matmul_flops $= 2 \cdot batch \cdot new \cdot inner \cdot state$, the product $C_t h_t$ alone,
    which torch code does as a matrix product; vector_flops 6 a token and element of the state
    ($\Delta A$, its exponential, $\Delta B$, times x, decay, sum) and 10 a token and channel
    (softplus 3; D and its sum 2; SiLU of z and product 5). The bias of $\Delta$ belongs to its
    projection. $A = -e^{\log A}$, once a pass, is not counted.

    >>> from lifesym import symbols as sym
    >>> op = SelectiveScan(batch=1, new=1, inner=sym.inner_size, state=sym.state_size)
    >>> op.cost(Precision.of()).matmul_flops, op.cost(Precision.of()).kv_read_bytes
    (2*inner_size*state_size, 4*inner_size*state_size)
    """

    inner: Size
    state: Size
    groups: Size = 1

    counted: ClassVar[str] = "2 FLOPs a multiply-add of C h; 6 a state element, 10 a channel"
    reference: ClassVar[str] = "Gu and Dao, arXiv 2312.00752, Eq. 2 and 4, Algorithm 2"
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(
        ("batch", "new", "inner", "state", "groups"), "+"
    )

    @property
    def parameters(self) -> Expr:
        """A, and D."""
        return self.inner * (self.state + 1)

    @property
    def state_elements(self) -> Expr:
        """Every channel's state."""
        return self.inner * self.state

    def cost(self, precision: Precision) -> Cost:
        """Reads x, the time steps, z, B and C of every token."""
        return self.priced(
            precision,
            macs=self.new * self.state_elements,
            ops=self.new * (6 * self.state_elements + 10 * self.inner),
            reads=3 * self.inner + 2 * self.groups * self.state,
            writes=self.inner,
        )


@dataclass(frozen=True, kw_only=True)
class GatedUnit(Recurrent):
    r"""The RG-LRU: $h_t = a_t h_{t-1} + \sqrt{1 - a_t^2}\, (i_t x_t)$ with $a_t = e^{c\, r_t}$.

    $r_t$ and $i_t$ are sigmoids of two numbers a channel that come from projections, $c = -8
    \,\mathrm{softplus}(\Lambda)$ a learned vector, once a pass and not counted. vector_flops 15 a
    token and channel: 6 for the sigmoids, 2 for a, 3 for the root, 2 products with x, decay and
    sum. No matrix product.

    >>> from lifesym import symbols as sym
    >>> op = GatedUnit(batch=1, new=1, channels=sym.inner_size)
    >>> op.cost(Precision.of()).vector_flops, op.cost(Precision.of()).kv_read_bytes
    (15*inner_size, 4*inner_size)
    """

    channels: Size

    counted: ClassVar[str] = "15 a token and channel"
    reference: ClassVar[str] = "De et al., Griffin, arXiv 2402.19427, section 2"
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(("batch", "new", "channels"), "+")

    @property
    def parameters(self) -> Expr:
        """The decay of every channel."""
        return sympify(self.channels)

    @property
    def state_elements(self) -> Expr:
        """A number a channel."""
        return sympify(self.channels)

    def cost(self, precision: Precision) -> Cost:
        """Reads x and what both gates are made of."""
        ops = 15 * self.new * self.channels
        wide = {"reads": 3 * self.channels, "writes": sympify(self.channels)}
        return self.priced(precision, macs=S.Zero, ops=ops, **wide)
