"""Activation functions, plain and gated."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr, Integer

from lifesym.cost import Cost
from lifesym.formats import Precision
from lifesym.operators.base import Direction, require
from lifesym.operators.elementwise import Elementwise
from lifesym.symbols import Size

ACTIVATION_OPS = {
    "relu": 1,  # compare
    "relu2": 2,  # compare, square
    "silu": 4,  # exponential, add, divide, multiply: x / (1 + exp(-x))
    "gelu": 5,  # scale, erf, add, multiply, multiply: Eq. 2 of arXiv 1606.08415
    "gelu_tanh": 9,  # cube (2), scale, add, scale, tanh, add, multiply, multiply: ibid.
    "quick_gelu": 5,  # scale, exponential, add, divide, multiply: x * sigmoid(1.702 x)
    "sigmoid": 3,  # exponential, add, divide
    "softplus": 3,  # exponential, add, logarithm
    "xielu": 7,  # compare; of its longer branch minimum, exponential, subtract, scale, scale, add
    "tanh": 1,
    "gaussian_topk": 6,  # sum; subtract, square, sum; subtract a cut-off, compare: sparse gates
}
"""Operations an element of each activation function, the sign of an exponent being free."""
TABLE, POLYNOMIAL = "table", "polynomial_"
"""Names of approximations in place of a function; that of a polynomial ends in its degree."""
LEARNED = {"xielu": 2}
"""Learned numbers of an activation function: the slopes of its branches, arXiv 2411.13010."""


def operations(function: str) -> int:
    r"""Operations an element of an activation function, or of what approximates it.

    A table of lines takes a multiplication and an addition, a polynomial of degree n
    $n(n + 1)/2 + n$: each power by itself, and n additions.
    Source: LIFE, arXiv 2508.00904, table 1.

    >>> operations("silu"), operations("table"), operations("polynomial_3")
    (4, 2, 9)

    Raises:
        SymbolError: another name.
    """
    degree = function.removeprefix(POLYNOMIAL)
    if degree != function and degree.isdecimal() and int(degree) > 0:
        return int(degree) * (int(degree) + 1) // 2 + int(degree)
    known = {**ACTIVATION_OPS, TABLE: 2}
    require(
        function in known,
        f"Activation.function must be one of {', '.join(known)}, {POLYNOMIAL}1 ..., "
        f"not {function!r}",
    )
    return known[function]


@dataclass(frozen=True, kw_only=True)
class Activation(Elementwise):
    r"""$f(x)$, or $f(x) \odot y$ when gated (SwiGLU, GeGLU).

    vector_flops: `operations` an element, one more for the gate's product; a gated one reads
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
        operations(self.function)

    @property
    def parameters(self) -> Expr:
        """Those of the function, if it learns any."""
        return Integer(LEARNED.get(self.function, 0))

    def cost(self, precision: Precision) -> Cost:
        """Reads one or two inputs and writes one output an element."""
        gate = 1 if self.gated else 0
        return self.priced(
            precision,
            flops=(operations(self.function) + gate) * self.elements,
            reads=(1 + gate) * self.elements,
            writes=self.elements,
        )
