"""Normalization: RMSNorm and LayerNorm."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr

from lifesym.cost import Cost
from lifesym.formats import Precision
from lifesym.operators.base import Direction, require
from lifesym.operators.elementwise import Elementwise
from lifesym.symbols import Size

NORM_OPS = {"rms": 4, "layer": 8}
"""RMSNorm: square, add, multiply by the inverse root mean square, multiply by the gain.
LayerNorm: add (mean), subtract, square, add (variance), subtract, multiply, gain, offset."""


@dataclass(frozen=True, kw_only=True)
class Norm(Elementwise):
    r"""RMSNorm ($x / \mathrm{rms}(x) \cdot g$) or LayerNorm ($(x - \mu) / \sigma \cdot g + b$).

    vector_flops 4 (``rms``) or 8 (``layer``) an element. ``rows`` vectors of ``features`` share
    one gain, and for LayerNorm one offset; with ``sets`` there are so many, for heads that each
    have their own.

    >>> from lifesym import symbols as sym
    >>> op = Norm(rows=sym.batch, features=sym.hidden, kind="rms")
    >>> op.cost(Precision.of()).vector_flops, op.parameters
    (4*batch*hidden, hidden)
    """

    rows: Size
    features: Size
    kind: str = "rms"
    affine: bool = True
    bias: bool = True
    sets: Size = 1

    family: ClassVar[str] = "norm"
    counted: ClassVar[str] = "4 an element (RMSNorm), 8 (LayerNorm)"
    reference: ClassVar[str] = "arXiv 1910.07467, Eq. 4 (RMSNorm); 1607.06450, Eq. 4 (LayerNorm)"
    monotone: ClassVar[dict[str, Direction]] = {"rows": "+", "features": "+", "sets": "+"}

    def __post_init__(self) -> None:
        """Check the kind as well as the sizes."""
        super().__post_init__()
        require(self.kind in NORM_OPS, f"Norm.kind must be one of {list(NORM_OPS)}")

    @property
    def parameters(self) -> Expr:
        """A gain, and for LayerNorm an offset, unless it has none."""
        vectors = 0 if not self.affine else 2 if self.kind == "layer" and self.bias else 1
        return vectors * self.sets * self.features

    def cost(self, precision: Precision) -> Cost:
        """Reads and writes each element once."""
        elements = self.rows * self.features
        return self.priced(
            precision, flops=NORM_OPS[self.kind] * elements, reads=elements, writes=elements
        )
