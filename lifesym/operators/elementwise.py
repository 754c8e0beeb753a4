"""Work done element by element: norms, activations, residuals, positions, soft caps.

Each operator states its operations an element. The convention of all of them: an addition,
multiplication, division, comparison, exponential, hyperbolic tangent, error function or square
root is one operation. What is constant over a row (a mean's division by its length) is not
counted.
"""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr, Integer, S

from lifesym.cost import Cost
from lifesym.formats import Precision
from lifesym.operators.base import Direction, Operator, require
from lifesym.symbols import Size

NORM_OPS = {"rms": 4, "layer": 8}
"""RMSNorm: square, add, multiply by the inverse root mean square, multiply by the gain.
LayerNorm: add (mean), subtract, square, add (variance), subtract, multiply, gain, offset."""

ACTIVATION_OPS = {
    "relu": 1,  # compare
    "relu2": 2,  # compare, square
    "silu": 4,  # exponential, add, divide, multiply: x / (1 + exp(-x))
    "gelu": 5,  # scale, erf, add, multiply, multiply: Eq. 2 of arXiv 1606.08415
    "gelu_tanh": 9,  # cube (2), scale, add, scale, tanh, add, multiply, multiply: ibid.
    "quick_gelu": 5,  # scale, exponential, add, divide, multiply: x * sigmoid(1.702 x)
    "sigmoid": 3,  # exponential, add, divide
    "tanh": 1,
}
"""Operations an element of each activation function, the sign of an exponent being free."""


@dataclass(frozen=True, kw_only=True)
class _Elementwise(Operator):
    """Shared cost: operations an element, inputs and outputs an element, and a vector of weights."""

    family: ClassVar[str] = "elementwise"

    def _elementwise(
        self, precision: Precision, *, flops: Expr, reads: Expr, writes: Expr
    ) -> Cost:
        return Cost(
            vector_flops=flops,
            weight_bytes=precision.weight_bytes(self.parameters, "vector"),
            activation_read_bytes=precision.activation_bytes(reads),
            activation_write_bytes=precision.activation_bytes(writes),
            dispatches=Integer(1),
        )

    @property
    def weight_roles(self) -> dict[str, Expr]:
        """All learned values are vectors."""
        return {"vector": self.parameters}


@dataclass(frozen=True, kw_only=True)
class Norm(_Elementwise):
    r"""RMSNorm ($x / \mathrm{rms}(x) \cdot g$) or LayerNorm ($(x - \mu) / \sigma \cdot g + b$).

    vector_flops 4 (``rms``) or 8 (``layer``) an element. ``rows`` vectors of ``features`` share
    one gain, and for LayerNorm one offset.

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

    family: ClassVar[str] = "norm"
    counted: ClassVar[str] = "4 an element (RMSNorm), 8 (LayerNorm)"
    reference: ClassVar[str] = "arXiv 1910.07467, Eq. 4 (RMSNorm); 1607.06450, Eq. 4 (LayerNorm)"
    monotone: ClassVar[dict[str, Direction]] = {"rows": "+", "features": "+"}

    def __post_init__(self) -> None:
        """Check the kind as well as the sizes."""
        super().__post_init__()
        require(self.kind in NORM_OPS, f"Norm.kind must be one of {list(NORM_OPS)}")

    @property
    def parameters(self) -> Expr:
        """A gain, and for LayerNorm an offset, unless it has none."""
        vectors = 0 if not self.affine else 2 if self.kind == "layer" and self.bias else 1
        return vectors * self.features

    def cost(self, precision: Precision) -> Cost:
        """Reads and writes each element once."""
        elements = self.rows * self.features
        return self._elementwise(
            precision, flops=NORM_OPS[self.kind] * elements, reads=elements, writes=elements
        )


@dataclass(frozen=True, kw_only=True)
class Activation(_Elementwise):
    r"""$f(x)$, or $f(x) \odot y$ when gated (SwiGLU, GeGLU).

    vector_flops: `ACTIVATION_OPS` an element, one more for the gate's product; a gated one reads
    two inputs.

    >>> from lifesym import symbols as sym
    >>> op = Activation(elements=sym.batch * sym.intermediate, function="silu", gated=True)
    >>> op.cost(Precision.of()).vector_flops
    5*batch*intermediate
    """

    elements: Size
    function: str
    gated: bool = False

    family: ClassVar[str] = "activation"
    counted: ClassVar[str] = "ACTIVATION_OPS an element, 1 more for a gate"
    reference: ClassVar[str] = "Shazeer, arXiv 2002.05202, Eq. 6; Hendrycks, 1606.08415, Eq. 2"
    monotone: ClassVar[dict[str, Direction]] = {"elements": "+"}

    def __post_init__(self) -> None:
        """Check the function as well as the size."""
        super().__post_init__()
        known = ", ".join(ACTIVATION_OPS)
        require(self.function in ACTIVATION_OPS, f"Activation.function must be one of {known}")

    def cost(self, precision: Precision) -> Cost:
        """Reads one or two inputs and writes one output an element."""
        gate = 1 if self.gated else 0
        return self._elementwise(
            precision,
            flops=(ACTIVATION_OPS[self.function] + gate) * self.elements,
            reads=(1 + gate) * self.elements,
            writes=self.elements,
        )


@dataclass(frozen=True, kw_only=True)
class Residual(_Elementwise):
    """The sum of ``inputs`` tensors, one addition an element and extra input.

    >>> from lifesym import symbols as sym
    >>> Residual(elements=sym.batch * sym.hidden).cost(Precision.of()).vector_flops
    batch*hidden
    """

    elements: Size
    inputs: int = 2

    family: ClassVar[str] = "residual"
    counted: ClassVar[str] = "1 addition an element for each input after the first"
    reference: ClassVar[str] = "He et al., arXiv 1512.03385, Eq. 1"
    monotone: ClassVar[dict[str, Direction]] = {"elements": "+"}

    def cost(self, precision: Precision) -> Cost:
        """Reads every input and writes one output an element."""
        return self._elementwise(
            precision,
            flops=(self.inputs - 1) * self.elements,
            reads=self.inputs * self.elements,
            writes=self.elements,
        )


@dataclass(frozen=True, kw_only=True)
class Scale(_Elementwise):
    r"""Multiplication by a constant, or with ``softcap`` $c \tanh(x / c)$: 1 or 3 an element.

    >>> from lifesym import symbols as sym
    >>> Scale(elements=sym.batch * sym.vocab, softcap=True).cost(Precision.of()).vector_flops
    3*batch*vocab
    """

    elements: Size
    softcap: bool = False

    counted: ClassVar[str] = "1 an element; 3 for a soft cap (divide, tanh, multiply)"
    reference: ClassVar[str] = "Gemma 2, arXiv 2408.00118, section 2"
    monotone: ClassVar[dict[str, Direction]] = {"elements": "+"}

    def cost(self, precision: Precision) -> Cost:
        """Reads and writes each element once."""
        return self._elementwise(
            precision,
            flops=(3 if self.softcap else 1) * self.elements,
            reads=self.elements,
            writes=self.elements,
        )


@dataclass(frozen=True, kw_only=True)
class Rotary(_Elementwise):
    r"""Rotary position embedding of queries and keys: 3 operations a rotated element.

    A pair $(x, y)$ becomes $(x \cos - y \sin,\; x \sin + y \cos)$: four products and two sums for
    two elements. The angles are a table of one cosine and one sine a token and pair, read as
    activations; making the table is not counted. ``rows`` is tokens times rotated heads.

    >>> from lifesym import symbols as sym
    >>> op = Rotary(tokens=sym.batch, heads=sym.heads, rotary_dim=sym.rotary_dim)
    >>> op.cost(Precision.of()).vector_flops
    3*batch*heads*rotary_dim
    """

    tokens: Size
    heads: Size
    rotary_dim: Size

    family: ClassVar[str] = "position"
    counted: ClassVar[str] = "3 a rotated element; the angle table is read, not computed"
    reference: ClassVar[str] = "Su et al., arXiv 2104.09864, Eq. 34"
    monotone: ClassVar[dict[str, Direction]] = {"tokens": "+", "heads": "+", "rotary_dim": "+"}

    def cost(self, precision: Precision) -> Cost:
        """Reads and writes the rotated elements, and reads a cosine and a sine a pair."""
        elements = self.tokens * self.heads * self.rotary_dim
        table = self.tokens * self.rotary_dim
        return self._elementwise(
            precision, flops=3 * elements, reads=elements + table, writes=elements
        )


@dataclass(frozen=True, kw_only=True)
class Alibi(_Elementwise):
    r"""ALiBi: add $m_h \cdot (j - i)$ to every score; one addition an element.

    The slopes' products with the positions are one row a head, which is not counted.

    >>> from lifesym import symbols as sym
    >>> Alibi(elements=sym.batch * sym.heads * sym.past).cost(Precision.of()).vector_flops
    batch*heads*past
    """

    elements: Size

    family: ClassVar[str] = "position"
    counted: ClassVar[str] = "1 addition a score"
    reference: ClassVar[str] = "Press et al., arXiv 2108.12409, section 3"
    monotone: ClassVar[dict[str, Direction]] = {"elements": "+"}

    def cost(self, precision: Precision) -> Cost:
        """Reads and writes each score once."""
        return self._elementwise(
            precision, flops=self.elements, reads=self.elements, writes=self.elements
        )


@dataclass(frozen=True, kw_only=True)
class Embedding(Operator):
    r"""Look up one row a token in a table: no arithmetic, ``tokens * features`` weights read.

    With ``added`` the row is added to an activation (learned positions, token types), one
    addition an element.

    >>> from lifesym import symbols as sym
    >>> op = Embedding(tokens=sym.batch, rows=sym.vocab, features=sym.hidden)
    >>> op.cost(Precision.of()).weight_bytes, op.parameters
    (2*batch*hidden, hidden*vocab)
    """

    tokens: Size
    rows: Size
    features: Size
    added: bool = False
    role: str = "embedding"

    family: ClassVar[str] = "embedding"
    counted: ClassVar[str] = "rows read, not the table; 1 addition an element where it is added"
    reference: ClassVar[str] = "Vaswani et al., arXiv 1706.03762, section 3.4"
    monotone: ClassVar[dict[str, Direction]] = {"tokens": "+", "rows": "0", "features": "+"}

    @property
    def weight_roles(self) -> dict[str, Expr]:
        """The table under its role."""
        return {self.role: self.rows * self.features}

    @property
    def parameters(self) -> Expr:
        """rows x features."""
        return self.rows * self.features

    def cost(self, precision: Precision) -> Cost:
        """Reads one row a token (and the activation it is added to), writes the result."""
        elements = self.tokens * self.features
        moved = precision.activation_bytes(elements)
        return Cost(
            vector_flops=elements if self.added else S.Zero,
            dequant_ops=precision.dequant_ops(elements, self.role),
            weight_bytes=precision.weight_bytes(elements, self.role),
            activation_read_bytes=moved if self.added else S.Zero,
            activation_write_bytes=moved,
            dispatches=Integer(1),
        )
