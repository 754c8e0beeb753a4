"""Copies that an engine makes of what it has: of cached keys and values, and of adapted weights."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr, Integer

from lifesym.cost import FLOPS_PER_MAC, Cost
from lifesym.formats import Matrix, Precision
from lifesym.nodes import FloorDiv, Minimum
from lifesym.operators.base import Direction, Operator
from lifesym.symbols import Size


@dataclass(frozen=True, kw_only=True)
class CacheCopy(Operator):
    r"""Cached keys or values written once more: in a longer tensor, or once for every query head.

    ``read`` elements are read and ``written`` ones written, both in the cache's format.

    >>> from lifesym import symbols as sym
    >>> copy = CacheCopy(read=sym.kv_heads * sym.past, written=sym.heads * sym.past)
    >>> copy.cost(Precision.of()).kv_write_bytes
    2*heads*past
    """

    read: Size
    written: Size

    family: ClassVar[str] = "kv_cache"
    counted: ClassVar[str] = "no operations"
    reference: ClassVar[str] = "transformers 5.24, cache_utils.py (DynamicLayer) and repeat_kv"
    monotone: ClassVar[dict[str, Direction]] = {"read": "+", "written": "+"}

    def cost(self, precision: Precision) -> Cost:
        """One kernel that moves the cache."""
        return Cost(
            kv_read_bytes=precision.kv_bytes(self.read),
            kv_write_bytes=precision.kv_bytes(self.written),
            dispatches=Integer(1),
        )


@dataclass(frozen=True, kw_only=True)
class WeightCopy(Operator):
    r"""Quantized weights unpacked by a kernel of its own, for a product of many tokens.

    From ``least`` tokens on the stored weights are read, and written in the activations' format for
    the product to read; below, nothing is done. The bytes of the weights are counted where they
    are: by the product, which reads so many activations fewer.

    >>> from lifesym import symbols as sym
    >>> copy = WeightCopy(tokens=64, in_features=sym.hidden, out_features=sym.hidden, least=32)
    >>> copy.cost(Precision.of("int4-g128")).activation_write_bytes
    2*hidden**2
    """

    tokens: Size
    in_features: Size
    out_features: Size
    least: Size
    role: str = "linear"
    part: str = ""

    family: ClassVar[str] = "elementwise"
    counted: ClassVar[str] = "what the format needs to unpack a weight"
    reference: ClassVar[str] = "llama.cpp in 2024, ggml-cuda.cu (ggml_cuda_op_mul_mat_cublas)"
    monotone: ClassVar[dict[str, Direction]] = {
        "tokens": "+",
        "in_features": "+",
        "out_features": "+",
        "least": "-",
    }

    def cost(self, precision: Precision) -> Cost:
        """One kernel, where there are tokens enough."""
        matrix = Matrix(
            role=self.role, part=self.part, rows=self.out_features, columns=self.in_features
        )
        if precision.is_computed_as_stored(matrix):
            return Cost()
        return Minimum(Integer(1), FloorDiv(self.tokens, self.least)) * Cost(
            dequant_ops=precision.dequant_ops(matrix),
            activation_read_bytes=precision.weight_bytes(matrix),
            activation_write_bytes=precision.activation_bytes(matrix.elements),
            dispatches=Integer(1),
        )


@dataclass(frozen=True, kw_only=True)
class AdapterMerge(Operator):
    r"""An adapter merged into its matrix in the pass: $W + s\,B A$, of which the product is next.

    matmul_flops $= 2 \cdot in \cdot out \cdot rank$ for $B A$, vector_flops 2 an element of $W$,
    the scale and the sum: $in \cdot out \cdot (2\,rank + 2)$ in all. $W$ itself is read where its
    product counts it, and the sum is written and read again in the activations' format.

    >>> from lifesym import symbols as sym
    >>> merge = AdapterMerge(in_features=sym.hidden, out_features=sym.intermediate, rank=sym.rank)
    >>> merge.cost(Precision.of()).flops
    2*hidden*intermediate*rank + 2*hidden*intermediate
    """

    in_features: Size
    out_features: Size
    rank: Size

    family: ClassVar[str] = "linear"
    counted: ClassVar[str] = "2 FLOPs a multiply-add; 2 an element of the matrix to scale and add"
    reference: ClassVar[str] = "LIFE, arXiv 2508.00904, Eq. 7; Hu et al., 2106.09685, section 4.1"
    monotone: ClassVar[dict[str, Direction]] = {
        "in_features": "+",
        "out_features": "+",
        "rank": "+",
    }

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The adapter's two matrices."""
        return (
            Matrix(role="adapter", rows=self.rank, columns=self.in_features),
            Matrix(role="adapter", rows=self.out_features, columns=self.rank),
        )

    @property
    def parameters(self) -> Expr:
        """Those of the adapter."""
        return (self.in_features + self.out_features) * self.rank

    def cost(self, precision: Precision) -> Cost:
        """The product of the two matrices, and its sum with the one they adapt."""
        elements = self.in_features * self.out_features
        moved = precision.activation_bytes(elements)
        return Cost(
            matmul_flops=FLOPS_PER_MAC * elements * self.rank,
            vector_flops=2 * elements,
            activation_read_bytes=moved,
            activation_write_bytes=moved,
            dispatches=Integer(2),
        ) + precision.read_weights(self.matrices)
