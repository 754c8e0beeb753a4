r"""Scans of heads that run in chunks: the state-space dual of Mamba-2, the gated delta rule.

A pass of several tokens runs in chunks of ``chunk`` tokens, by matrix products; a pass of one
token takes one step of the recurrence. `matmul_flops` are those of transformers' torch code, which
pads the last chunk. (That code also pads a prompt of one token to a chunk; here it is one step, so
that the cost does not depend on the past.) Without ``chunk`` every token takes one step: the least
products, and the most vector operations.
"""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr, S, sympify

from lifesym.cost import Cost
from lifesym.formats import Precision
from lifesym.nodes import CeilDiv
from lifesym.operators.base import Direction
from lifesym.operators.recurrent import Recurrent, several
from lifesym.symbols import Size


@dataclass(frozen=True, kw_only=True)
class ChunkedScan(Recurrent):
    """A scan of heads that runs in chunks of ``chunk`` tokens, or without one token by token."""

    chunk: Size | None = None

    def step(self) -> tuple[Expr, Expr]:
        """Multiply-adds of products, and vector operations, of one token."""
        raise NotImplementedError

    def chunked(self, count: Expr, length: Expr) -> tuple[Expr, Expr]:
        """The same of so many chunks of a length, the padding of the last one included."""
        raise NotImplementedError

    def core(self) -> tuple[Expr, Expr]:
        """The same of the whole pass: one step, or the chunks of several tokens."""
        macs, ops = self.step()
        if self.chunk is None:
            return self.new * macs, self.new * ops
        many = several(self.new)
        length = sympify(self.chunk)
        chunk_macs, chunk_ops = self.chunked(CeilDiv(self.new, length), length)
        return (1 - many) * macs + many * chunk_macs, (1 - many) * ops + many * chunk_ops


@dataclass(frozen=True, kw_only=True)
class DualScan(ChunkedScan):
    r"""The scan of Mamba-2: $h_t = e^{\Delta_t A} h_{t-1} + \Delta_t x_t B_t^\top, y_t = h_t C_t$.

    h is (P, N) = (head_dim, state) for each head, A one number a head; the heads of a group share
    B and C. matmul_flops of one token: $2 \cdot batch \cdot heads \cdot P N$. Of several tokens in
    $c = \lceil new / Q \rceil$ chunks of Q:

    $$2 \cdot batch \cdot heads \cdot \left(c Q (Q (N + P) + 2 P N) + (c + 1)^2 P N\right)$$

    for the scores $C B^\top$ of a chunk, their product with x, each chunk's state, its part of the
    output, and the states at every boundary from all chunks. (The last is quadratic in c as in the
    paper's listing; kernels pass the state on instead, a vector operation.)

    vector_flops a token and head: 5 + 3 P ($\Delta$: bias, softplus, times A; $\Delta x$; D), then
    1 + 3 P N a step (decay; outer product, decay, sum) or 4 + N + 2 P + 3 Q a padded row
    (cumulative decays; times B, times the output and its sum; three a score). Decays between
    chunks are not counted.

    >>> from lifesym import symbols as sym
    >>> sizes = {"heads": 1, "head_dim": sym.scan_dim, "groups": 1, "state": sym.state_size}
    >>> step = DualScan(batch=1, new=1, **sizes, chunk=sym.scan_chunk)
    >>> step.cost(Precision.of()).matmul_flops
    2*scan_dim*state_size
    """

    heads: Size
    head_dim: Size
    groups: Size
    state: Size

    counted: ClassVar[str] = "2 FLOPs a multiply-add of the products of a chunked scan, or of h C"
    reference: ClassVar[str] = "Dao and Gu, arXiv 2405.21060, section 6 and Listing 1"
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(
        ("batch", "new", "heads", "head_dim", "groups", "state"), "+"
    )

    @property
    def parameters(self) -> Expr:
        """A, D and the time step's bias of every head."""
        return 3 * self.heads

    @property
    def state_elements(self) -> Expr:
        """Every head's state."""
        return self.heads * self.head_dim * self.state

    def step(self) -> tuple[Expr, Expr]:
        """Only the output is a matrix product."""
        return self.state_elements, self.heads + 3 * self.state_elements

    def chunked(self, count: Expr, length: Expr) -> tuple[Expr, Expr]:
        """Inside chunks, in and out of their states, and between chunks."""
        inside = self.heads * length * (self.state + self.head_dim)
        rows = count * length
        macs = rows * (inside + 2 * self.state_elements) + (count + 1) ** 2 * self.state_elements
        return macs, rows * self.heads * (4 + self.state + 2 * self.head_dim + 3 * length)

    def cost(self, precision: Precision) -> Cost:
        """Reads x, the time steps, B and C of every token."""
        macs, ops = self.core()
        channels = self.heads * self.head_dim
        return self.priced(
            precision,
            macs=macs,
            ops=self.new * (5 * self.heads + 3 * channels) + ops,
            reads=channels + self.heads + 2 * self.groups * self.state,
            writes=channels,
        )


@dataclass(frozen=True, kw_only=True)
class DeltaRule(ChunkedScan):
    r"""The gated delta rule: a decaying state is corrected by its error at each token's key.

    $$S_t = \alpha_t S_{t-1} + \beta_t k_t (v_t - \alpha_t S_{t-1}^\top k_t)^\top$$

    and the output is $S_t^\top q_t$.

    S is (K, V) = (key_dim, value_dim) for each of ``heads`` value heads; queries and keys have
    ``key_heads`` heads. One token needs no matrix product in transformers' torch code:
    matmul_flops 0. Several tokens in $c = \lceil new / Q \rceil$ chunks of Q:

    $$2 \cdot batch \cdot heads \cdot c Q (2 Q K + Q V + 3 K V)$$

    for the products $k k^\top$, $q k^\top$ and scores times values of a chunk, then old state times
    keys, old state times queries, and the new state. Its triangular system of Q rows, solved for
    K + V columns, is no matrix product for PyTorch either: $(Q - 1)(K + V)$ vector_flops a row.

    vector_flops besides: 8 a token and head ($\beta$ 3: sigmoid; $\alpha$ 5: bias, softplus,
    product), then 1 + 7 K V + 2 V a step (decay, state times key 2, outer product and sum 2,
    state times query 2; the error and $\beta$ 2), or 4 + 4 K + 3 V + 4 Q a padded row and 2 K V a
    chunk.
    Norms of queries and keys are operators of their own; $-e^{\log A}$ is not counted.

    >>> from lifesym import symbols as sym
    >>> sizes = {"heads": 1, "key_dim": sym.linear_key_dim, "value_dim": sym.linear_value_dim}
    >>> step = DeltaRule(batch=1, new=1, key_heads=1, **sizes, chunk=64).cost(Precision.of())
    >>> step.matmul_flops, step.kv_write_bytes
    (0, 4*linear_key_dim*linear_value_dim)
    """

    heads: Size
    key_heads: Size
    key_dim: Size
    value_dim: Size

    counted: ClassVar[str] = "2 FLOPs a multiply-add of the products of a chunked scan; steps: none"
    reference: ClassVar[str] = "Yang et al., arXiv 2412.06464, sections 3.1 and 3.3"
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(
        ("batch", "new", "heads", "key_heads", "key_dim", "value_dim"), "+"
    )

    @property
    def parameters(self) -> Expr:
        """The decay and its bias of every head."""
        return 2 * self.heads

    @property
    def state_elements(self) -> Expr:
        """Every head's state."""
        return self.heads * self.key_dim * self.value_dim

    def step(self) -> tuple[Expr, Expr]:
        """Vector operations alone."""
        return S.Zero, self.heads * (1 + 2 * self.value_dim) + 7 * self.state_elements

    def chunked(self, count: Expr, length: Expr) -> tuple[Expr, Expr]:
        """Inside chunks by products and a triangular system, then from chunk to chunk."""
        rows = count * length * self.heads
        keys, values = self.key_dim, self.value_dim
        macs = rows * (length * (2 * keys + values) + 3 * keys * values)
        solve = (length - 1) * (keys + values)
        ops = rows * (solve + 4 + 4 * keys + 3 * values + 4 * length)
        return macs, ops + 2 * count * self.state_elements

    def cost(self, precision: Precision) -> Cost:
        """Reads queries, keys, values and the two gates of every token."""
        macs, ops = self.core()
        return self.priced(
            precision,
            macs=macs,
            ops=8 * self.new * self.heads + ops,
            reads=2 * self.key_heads * self.key_dim + self.heads * (self.value_dim + 2),
            writes=self.heads * self.value_dim,
        )
