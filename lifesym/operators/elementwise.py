"""Work done element by element: residual sums and scales, and what all such operators share.

Each operator states its operations an element. The convention of all of them: an addition,
multiplication, division, comparison, exponential, hyperbolic tangent, error function or square
root is one operation. What is constant over a row (a mean's division by its length) is not
counted.
"""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr, Integer, S, sympify

from lifesym.cost import Cost
from lifesym.formats import Matrix, Precision, vectors
from lifesym.operators.base import Direction, Operator
from lifesym.symbols import Size


@dataclass(frozen=True, kw_only=True)
class Elementwise(Operator):
    """Operations, inputs and outputs by the element, and learned vectors (gains, offsets)."""

    family: ClassVar[str] = "elementwise"

    def priced(self, precision: Precision, *, flops: Expr, reads: Expr, writes: Expr) -> Cost:
        """The cost of so many operations, elements read and elements written."""
        return Cost(
            vector_flops=flops,
            activation_read_bytes=precision.activation_bytes(reads),
            activation_write_bytes=precision.activation_bytes(writes),
            dispatches=Integer(1),
        ) + precision.read_weights(self.matrices)

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """All learned values are vectors."""
        return vectors(self.parameters)


@dataclass(frozen=True, kw_only=True)
class Residual(Elementwise):
    """The sum of ``inputs`` tensors, one addition an element and extra input.

    >>> from lifesym import symbols as sym
    >>> Residual(elements=sym.batch * sym.hidden).cost(Precision.of()).vector_flops
    batch*hidden
    """

    elements: Size
    inputs: Size = 2

    family: ClassVar[str] = "residual"
    counted: ClassVar[str] = "1 addition an element for each input after the first"
    reference: ClassVar[str] = "He et al., arXiv 1512.03385, Eq. 1"
    monotone: ClassVar[dict[str, Direction]] = {"elements": "+", "inputs": "+"}

    def saved(self, precision: Precision) -> Expr:
        """A sum needs nothing."""
        return S.Zero

    def cost(self, precision: Precision) -> Cost:
        """Reads every input and writes one output an element."""
        return self.priced(
            precision,
            flops=(self.inputs - 1) * self.elements,
            reads=self.inputs * self.elements,
            writes=self.elements,
        )


@dataclass(frozen=True, kw_only=True)
class Gate(Elementwise):
    """The product of two tensors element by element, one multiplication each.

    It is a kernel of its own where an engine does not take it together with the activation of the
    gate, which `Activation` does.

    >>> from lifesym import symbols as sym
    >>> Gate(elements=sym.batch * sym.intermediate).cost(Precision.of()).activation_read_bytes
    4*batch*intermediate
    """

    elements: Size

    family: ClassVar[str] = "activation"
    counted: ClassVar[str] = "1 multiplication an element"
    reference: ClassVar[str] = "Shazeer, arXiv 2002.05202, Eq. 6"
    monotone: ClassVar[dict[str, Direction]] = {"elements": "+"}

    def cost(self, precision: Precision) -> Cost:
        """Reads both inputs and writes one output an element."""
        return self.priced(
            precision, flops=self.elements, reads=2 * self.elements, writes=self.elements
        )


@dataclass(frozen=True, kw_only=True)
class Scale(Elementwise):
    r"""Multiplication by a constant, or with ``softcap`` $c \tanh(x / c)$: 1 or 3 an element.

    ``gains`` of the constants are learned, one a channel.

    >>> from lifesym import symbols as sym
    >>> Scale(elements=sym.batch * sym.vocab, softcap=True).cost(Precision.of()).vector_flops
    3*batch*vocab
    """

    elements: Size
    softcap: bool = False
    gains: Size = 0

    counted: ClassVar[str] = "1 an element; 3 for a soft cap (divide, tanh, multiply)"
    reference: ClassVar[str] = "Gemma 2, arXiv 2408.00118, section 2"
    monotone: ClassVar[dict[str, Direction]] = {"elements": "+", "gains": "+"}

    @property
    def parameters(self) -> Expr:
        """The learned constants."""
        return sympify(self.gains)

    def saved(self, precision: Precision) -> Expr:
        """The input of a soft cap or of learned gains; a constant needs nothing."""
        learned = self.softcap or self.gains != 0
        return precision.activation_bytes(self.elements) if learned else S.Zero

    def cost(self, precision: Precision) -> Cost:
        """Reads and writes each element once."""
        return self.priced(
            precision,
            flops=(3 if self.softcap else 1) * self.elements,
            reads=self.elements,
            writes=self.elements,
        )


@dataclass(frozen=True, kw_only=True)
class Merge(Elementwise):
    r"""The sum of ``inputs`` tensors that each get a learned offset and a learned factor first.

    vector_flops 2 an element and input, and the sum; both are vectors of ``features``.

    >>> from lifesym import symbols as sym
    >>> op = Merge(elements=sym.batch * sym.hidden, features=sym.hidden)
    >>> op.cost(Precision.of()).vector_flops, op.parameters
    (5*batch*hidden, 4*hidden)
    """

    elements: Size
    features: Size
    inputs: Size = 2

    family: ClassVar[str] = "residual"
    counted: ClassVar[str] = "2 an element and input; 1 addition for each input after the first"
    reference: ClassVar[str] = "transformers 5.24, models/zaya (ZayaResidualScaling)"
    monotone: ClassVar[dict[str, Direction]] = {"elements": "+", "features": "+", "inputs": "+"}

    @property
    def parameters(self) -> Expr:
        """An offset and a factor for each input."""
        return 2 * self.inputs * self.features

    def cost(self, precision: Precision) -> Cost:
        """Reads every input and writes one output an element."""
        return self.priced(
            precision,
            flops=(3 * self.inputs - 1) * self.elements,
            reads=self.inputs * self.elements,
            writes=self.elements,
        )


@dataclass(frozen=True, kw_only=True)
class Ranking(Elementwise):
    """Adding each score to its token's total and comparing it: 2 operations an element.

    >>> from lifesym import symbols as sym
    >>> Ranking(elements=sym.batch * sym.heads * sym.past).cost(Precision.of()).vector_flops
    2*batch*heads*past
    """

    elements: Size

    counted: ClassVar[str] = "2 a score: an addition to its token's total, a comparison"
    reference: ClassVar[str] = "H2O, arXiv 2306.14048, section 4.1"
    monotone: ClassVar[dict[str, Direction]] = {"elements": "+"}

    def cost(self, precision: Precision) -> Cost:
        """Reads each score once."""
        return self.priced(
            precision, flops=2 * self.elements, reads=self.elements, writes=self.elements * 0
        )
