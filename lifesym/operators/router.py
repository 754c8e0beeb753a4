"""What a router does between its projections and the choice of experts."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Integer, sympify

from lifesym.cost import FLOPS_PER_MAC, Cost
from lifesym.formats import Precision
from lifesym.operators.base import Direction, Operator
from lifesym.symbols import Size


@dataclass(frozen=True, kw_only=True)
class RouterAttention(Operator):
    r"""The scores of a token's experts attend to each other: $\mathrm{softmax}(q k^\top) v$.

    Queries, keys and values have one element an expert, so the map of a token has E x E elements:
    matmul_flops $= 4 \cdot tokens \cdot E^2$, vector_flops 5 an element for the softmax. Reads
    queries, keys and values and writes the scores; the map is not written.

    >>> from lifesym import symbols as sym
    >>> RouterAttention(tokens=sym.batch, experts=32).cost(Precision.of()).matmul_flops
    4096*batch
    """

    tokens: Size
    experts: Size

    family: ClassVar[str] = "router"
    counted: ClassVar[str] = "2 FLOPs a multiply-add of both products; 5 an element of the softmax"
    reference: ClassVar[str] = "Wu et al., Yuan 2.0 M32, arXiv 2405.17976"
    monotone: ClassVar[dict[str, Direction]] = {"tokens": "+", "experts": "+"}

    def cost(self, precision: Precision) -> Cost:
        """One kernel."""
        scores, square = self.tokens * self.experts, sympify(self.experts) ** 2
        return Cost(
            matmul_flops=2 * FLOPS_PER_MAC * self.tokens * square,
            vector_flops=5 * self.tokens * square,
            activation_read_bytes=precision.activation_bytes(3 * scores),
            activation_write_bytes=precision.activation_bytes(scores),
            dispatches=Integer(1),
        )
