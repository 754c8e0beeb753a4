r"""Scans of linear attention other than the gated delta rule: lightning, Kimi delta, mLSTM.

They run in chunks as `lifesym.operators.chunked` says.
"""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr, sympify

from lifesym.cost import Cost
from lifesym.formats import Precision
from lifesym.nodes import FloorDiv
from lifesym.operators.base import Direction
from lifesym.operators.chunked import ChunkedScan, DeltaRule
from lifesym.operators.recurrent import RecentInputs
from lifesym.symbols import Size


@dataclass(frozen=True, kw_only=True)
class LightningScan(RecentInputs, ChunkedScan):
    r"""$S_t = \lambda_h S_{t-1} + k_t v_t^\top$, $y_t = q_t S_t$, a fixed decay a head.

    S is (D, D) = (head_dim, head_dim) for each head. matmul_flops of one token: $4 \cdot batch
    \cdot heads \cdot D^2$, its outer product and its output, both products in torch code. Several
    tokens run in blocks of Q, the last one as short as it is; with $\sum b^2$ over the blocks'
    lengths:

    $$4 \cdot batch \cdot heads \cdot D \left(new \cdot D + \sum b^2\right)$$

    vector_flops a head: $2 D^2$ a token (decay, sum); or 3 D a token (decays of query and key; sum
    of the two parts), 1 a score of a block (decay) and $2 D^2$ a block. (Torch code that goes on
    after a past takes several tokens in steps; here they are blocks, as kernels run them.) The
    decays are constants. The state is in the cache's format: transformers and vLLM keep it in the
    model's type, not in 32 bits.

    >>> from lifesym import symbols as sym
    >>> step = LightningScan(batch=1, new=1, heads=sym.heads, head_dim=sym.head_dim, chunk=256)
    >>> step.cost(Precision.of()).matmul_flops
    4*head_dim**2*heads
    """

    heads: Size
    head_dim: Size

    counted: ClassVar[str] = "2 FLOPs a multiply-add, of the outer product of a step, too"
    reference: ClassVar[str] = "MiniMax-01, arXiv 2501.08313, section 2.2, Algorithm 1"
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(
        ("batch", "new", "heads", "head_dim"), "+"
    )

    @property
    def parameters(self) -> Expr:
        """None: the decays follow from the head and the layer."""
        return self.heads * 0

    @property
    def state_elements(self) -> Expr:
        """Every head's state."""
        return self.heads * self.head_dim**2

    def step(self) -> tuple[Expr, Expr]:
        """Outer product and output; decay and sum."""
        return 2 * self.state_elements, 2 * self.state_elements

    def chunked(self, count: Expr, length: Expr) -> tuple[Expr, Expr]:
        """Scores inside blocks that are not filled up, and the state from block to block."""
        whole = FloorDiv(self.new, length)
        rest = self.new - whole * length
        scores = self.heads * (whole * length**2 + rest**2)
        rows = self.heads * self.new * self.head_dim
        macs = 2 * scores * self.head_dim + 2 * self.new * self.state_elements
        return macs, 3 * rows + scores + 2 * count * self.state_elements

    def cost(self, precision: Precision) -> Cost:
        """Reads queries, keys and values of every token."""
        macs, ops = self.core()
        width = self.heads * self.head_dim
        return self.priced(precision, macs=macs, ops=ops, reads=3 * width, writes=width)


@dataclass(frozen=True, kw_only=True)
class ChannelDeltaRule(DeltaRule):
    r"""The delta rule whose decay is a number a channel of the keys (Kimi delta attention).

    $$S_t = A_t S_{t-1} + \beta_t k_t (v_t - (A_t S_{t-1})^\top k_t)^\top$$

    with $A_t = \mathrm{Diag}(\alpha_t)$.

    Queries and keys have as many heads as values. One token needs no matrix product; several do in
    $c = \lceil new / Q \rceil$ chunks of Q

    $$2 \cdot batch \cdot heads \cdot c Q (Q (K + 2 V) + 3 K V)$$

    matmul_flops: the inverse of a chunk's triangular system times values and decayed keys, scores
    times values, then the products of `DeltaRule` with the state. Scores of a chunk are no product
    in torch code, as a decay a channel stands between both of their factors: vector_flops 8 K a
    score of the two kinds together (decay 2, products and sums 6). The inverse itself takes
    $Q (Q - 1) (2 Q - 1) / 3$ a chunk. (Kernels take tiles of scores as products.)

    vector_flops besides: a token and head 3 ($\beta$) and 5 K ($\alpha$; 6 where its logarithm is
    ``bounded``, a sigmoid times a number); then K + 7 K V + 2 V a step, or 8 K + 3 V a padded row
    and 2 K V a chunk.

    >>> from lifesym import symbols as sym
    >>> sizes = {"heads": 1, "key_dim": sym.linear_key_dim, "value_dim": sym.linear_value_dim}
    >>> op = ChannelDeltaRule(batch=1, new=64, key_heads=1, **sizes, chunk=64)
    >>> op.parameters
    linear_key_dim + 1
    """

    bounded: bool = False

    reference: ClassVar[str] = "Kimi Linear, arXiv 2510.26692, sections 3.1 and 3.2"
    monotone: ClassVar[dict[str, Direction]] = DeltaRule.monotone

    @property
    def parameters(self) -> Expr:
        """The decay of every head, and the bias of every channel."""
        return self.heads * (self.key_dim + 1)

    def step(self) -> tuple[Expr, Expr]:
        """Vector operations alone."""
        return self.heads * 0, self.heads * (
            self.key_dim + 2 * self.value_dim
        ) + 7 * self.state_elements

    def chunked(self, count: Expr, length: Expr) -> tuple[Expr, Expr]:
        """Inside chunks by an inverse, then from chunk to chunk."""
        rows = count * length * self.heads
        keys, values = self.key_dim, self.value_dim
        macs = rows * (length * (keys + 2 * values) + 3 * keys * values)
        inverse = (length - 1) * (2 * length - 1) / 3
        ops = rows * (inverse + 8 * length * keys + 8 * keys + 3 * values)
        return macs, ops + 2 * count * self.state_elements

    def cost(self, precision: Precision) -> Cost:
        """Reads queries, keys, values and both gates, one of which has every channel."""
        macs, ops = self.core()
        channels = self.heads * self.key_dim
        return self.priced(
            precision,
            macs=macs,
            ops=self.new * (3 * self.heads + (6 if self.bounded else 5) * channels) + ops,
            reads=2 * self.key_heads * self.key_dim + channels + self.heads * (self.value_dim + 1),
            writes=self.heads * self.value_dim,
        )


@dataclass(frozen=True, kw_only=True)
class MatrixMemory(RecentInputs, ChunkedScan):
    r"""The mLSTM: $C_t = f_t C_{t-1} + i_t k_t v_t^\top$, $n_t = f_t n_{t-1} + i_t k_t$.

    The output is $C_t^\top q_t / \max(|n_t^\top q_t|, e^{-m_t})$, gates are exponential, and $m_t$
    is the largest exponent so far. C is (K, V) = (key_dim, value_dim) for each head. One token
    takes $2 \cdot batch \cdot heads \cdot (2 K V + K)$ matmul_flops: the outer product and both
    outputs are products in torch code. As many whole chunks of Q as there are take each

    $$2 \cdot batch \cdot heads \cdot Q \left(Q (K + V) + 2 K V + K\right)$$

    and the tokens that are left over one step each. vector_flops a head: 13 + 4 K + V + 3 K V a
    step; 16 + 4 K + 2 V + 8 Q a token of a chunk and 3 + K + 2 K V a chunk. The state is in the
    cache's format, as transformers keeps it.

    >>> from lifesym import symbols as sym
    >>> sizes = {"heads": 1, "key_dim": sym.linear_key_dim, "value_dim": sym.linear_value_dim}
    >>> step = MatrixMemory(batch=1, new=1, **sizes, chunk=64).cost(Precision.of())
    >>> step.matmul_flops
    4*linear_key_dim*linear_value_dim + 2*linear_key_dim
    """

    heads: Size
    key_dim: Size
    value_dim: Size

    counted: ClassVar[str] = "2 FLOPs a multiply-add, of the outer product of a step, too"
    reference: ClassVar[str] = "Beck et al., xLSTM, arXiv 2405.04517 (mLSTM)"
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(
        ("batch", "new", "heads", "key_dim", "value_dim"), "+"
    )

    @property
    def parameters(self) -> Expr:
        """None: gates come from projections."""
        return self.heads * 0

    @property
    def state_elements(self) -> Expr:
        """Matrix, normalizer and exponent of every head."""
        return self.heads * (self.key_dim * self.value_dim + self.key_dim + 1)

    def step(self) -> tuple[Expr, Expr]:
        """Outer product and outputs; gates, decays and sums, division."""
        keys, matrix = self.heads * self.key_dim, self.heads * self.key_dim * self.value_dim
        ops = 13 * self.heads + 4 * keys + self.heads * self.value_dim + 3 * matrix
        return 2 * matrix + keys, ops

    def chunked(self, count: Expr, length: Expr) -> tuple[Expr, Expr]:
        """Scores inside whole chunks, in and out of their states."""
        rows, keys, values = count * length * self.heads, self.key_dim, self.value_dim
        macs = rows * (length * (keys + values) + 2 * keys * values + keys)
        ops = rows * (16 + 4 * keys + 2 * values + 8 * length)
        return macs, ops + count * self.heads * (3 + keys + 2 * keys * values)

    def core(self) -> tuple[Expr, Expr]:
        """Whole chunks, and steps for what is left over."""
        if self.chunk is None:
            return super().core()
        length = sympify(self.chunk)
        whole = FloorDiv(self.new, length)
        rest = self.new - whole * length
        macs, ops = self.step()
        chunk_macs, chunk_ops = self.chunked(whole, length)
        return rest * macs + chunk_macs, rest * ops + chunk_ops

    def cost(self, precision: Precision) -> Cost:
        """Reads queries, keys, values and two gates of every token."""
        macs, ops = self.core()
        width = self.heads * self.value_dim
        reads = self.heads * (2 * self.key_dim + 2) + width
        return self.priced(precision, macs=macs, ops=ops, reads=reads, writes=width)
