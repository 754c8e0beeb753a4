"""Several copies of the residual stream, of which a layer computes one."""

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
