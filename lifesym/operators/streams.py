"""Several copies of the residual stream: AltUp computes one, hyper-connections a sum of them."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr, Integer

from lifesym.cost import FLOPS_PER_MAC, Cost
from lifesym.formats import Precision
from lifesym.operators.base import Direction
from lifesym.operators.elementwise import Elementwise
from lifesym.symbols import Size


@dataclass(frozen=True, kw_only=True)
class MixStreams(Elementwise):
    r"""Predict the streams of a layer's output from its input, and correct them by its output.

    Every token has an (A, A) matrix that mixes its A streams of ``hidden`` elements:
    matmul_flops $= 2 \cdot tokens \cdot A^2 \cdot hidden$. The prediction adds the streams (A an
    element); the correction subtracts (1), multiplies and adds (2 A). With ``scaled`` the
    corrected stream is multiplied by a learned vector. The projections that give the
    coefficients are operators of their own.

    >>> from lifesym import symbols as sym
    >>> op = MixStreams(tokens=sym.batch, hidden=sym.hidden, streams=4)
    >>> op.cost(Precision.of()).matmul_flops
    32*batch*hidden
    """

    tokens: Size
    hidden: Size
    streams: Size
    scaled: bool = False

    family: ClassVar[str] = "residual"
    counted: ClassVar[str] = "2 FLOPs a multiply-add of the mixing; 3 A + 1 an element besides"
    reference: ClassVar[str] = "Baykal et al., arXiv 2301.13310, Algorithm 1"
    monotone: ClassVar[dict[str, Direction]] = {"tokens": "+", "hidden": "+", "streams": "+"}

    @property
    def parameters(self) -> Expr:
        """The vector that scales the output."""
        return self.hidden * (1 if self.scaled else 0)

    def cost(self, precision: Precision) -> Cost:
        """Reads the streams twice, the layer's output once, and the coefficients of both steps."""
        elements: Expr = self.tokens * self.hidden
        additions = 3 * self.streams + 1 + (1 if self.scaled else 0)
        priced = self.priced(
            precision,
            flops=additions * elements,
            reads=(2 * self.streams + 1) * elements
            + self.tokens * self.streams * (self.streams + 1),
            writes=(2 * self.streams + (1 if self.scaled else 0)) * elements,
        )
        products = FLOPS_PER_MAC * elements * self.streams**2
        return priced + Cost(matmul_flops=products, dispatches=Integer(1))


@dataclass(frozen=True, kw_only=True)
class StreamWeights(Elementwise):
    r"""Weights of A streams from their projections: sigmoids, and a doubly stochastic matrix.

    Every token has A weights of the sum that a block reads; with ``spread`` A more of what each
    stream gets of the output; with ``mixed`` an (A, A) matrix, whose rows and columns are
    normalized in turn: ``rounds`` times each, but the rows by a softmax the first time.
    vector_flops: a learned scale a number (1), a sigmoid (3) and a constant (1); of the matrix the
    scale, the softmax (5), a constant (1), and an addition and a division a normalization.

    >>> from lifesym import symbols as sym
    >>> op = StreamWeights(tokens=sym.batch, streams=4, rounds=20)
    >>> op.cost(Precision.of()).vector_flops, op.parameters
    (1400*batch, 3)
    """

    tokens: Size
    streams: Size
    rounds: Size = 1
    spread: bool = True
    mixed: bool = True

    family: ClassVar[str] = "residual"
    counted: ClassVar[str] = "5 a weight; 7 an element of the matrix, 2 more a normalization"
    reference: ClassVar[str] = "Xie et al., arXiv 2512.24880, section 4; transformers, deepseek_v4"
    monotone: ClassVar[dict[str, Direction]] = {"tokens": "+", "streams": "+", "rounds": "+"}

    @property
    def parameters(self) -> Expr:
        """A scale for each kind of weights."""
        return Integer(1 + self.spread + self.mixed)

    def cost(self, precision: Precision) -> Cost:
        """Reads and writes each number once."""
        weights = (2 if self.spread else 1) * self.streams
        square = self.streams**2 if self.mixed else Integer(0)
        elements = self.tokens * (weights + square)
        flops = 5 * weights + (5 + 4 * self.rounds) * square
        return self.priced(precision, flops=self.tokens * flops, reads=elements, writes=elements)


@dataclass(frozen=True, kw_only=True)
class CollapseStreams(Elementwise):
    r"""The weighted sum of A streams that a block reads: $2 A - 1$ operations an element.

    >>> from lifesym import symbols as sym
    >>> op = CollapseStreams(tokens=sym.batch, hidden=sym.hidden, streams=4)
    >>> op.cost(Precision.of()).vector_flops
    7*batch*hidden
    """

    tokens: Size
    hidden: Size
    streams: Size

    family: ClassVar[str] = "residual"
    counted: ClassVar[str] = "1 multiplication an element of a stream, 1 addition after the first"
    reference: ClassVar[str] = "Zhu et al., arXiv 2409.19606, Eq. 2"
    monotone: ClassVar[dict[str, Direction]] = {"tokens": "+", "hidden": "+", "streams": "+"}

    def cost(self, precision: Precision) -> Cost:
        """Reads every stream and its weight, writes one."""
        elements = self.tokens * self.hidden
        return self.priced(
            precision,
            flops=(2 * self.streams - 1) * elements,
            reads=self.streams * (elements + self.tokens),
            writes=elements,
        )


@dataclass(frozen=True, kw_only=True)
class SpreadStreams(Elementwise):
    r"""A block's output, weighted for each of A streams, added to what is kept of these.

    vector_flops: a multiplication and an addition an element of a stream. Streams are kept as they
    are, or with ``mixed`` multiplied by an (A, A) matrix of the token:
    matmul_flops $= 2 \cdot tokens \cdot A^2 \cdot hidden$.

    >>> from lifesym import symbols as sym
    >>> op = SpreadStreams(tokens=sym.batch, hidden=sym.hidden, streams=4, mixed=True)
    >>> op.cost(Precision.of()).matmul_flops
    32*batch*hidden
    """

    tokens: Size
    hidden: Size
    streams: Size
    mixed: bool = False

    family: ClassVar[str] = "residual"
    counted: ClassVar[str] = "2 an element of a stream; 2 FLOPs a multiply-add of the mixing"
    reference: ClassVar[str] = "Zhu et al., arXiv 2409.19606, Eq. 2"
    monotone: ClassVar[dict[str, Direction]] = {"tokens": "+", "hidden": "+", "streams": "+"}

    def cost(self, precision: Precision) -> Cost:
        """Reads the streams, the output and the weights, writes the streams."""
        elements = self.tokens * self.hidden
        every, square = self.streams * elements, self.streams**2 if self.mixed else Integer(0)
        priced = self.priced(
            precision,
            flops=2 * every,
            reads=every + elements + self.tokens * (self.streams + square),
            writes=every,
        )
        return priced + Cost(matmul_flops=FLOPS_PER_MAC * elements * square)
