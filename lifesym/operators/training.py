r"""What a training step does beside its forward pass: loss, gradients, optimizer, dropout.

The backward pass of a product $C = AB$ has two products of the same size, $dA = dC\,B^\top$ and
$dB = A^\top dC$. That of an elementwise function is counted as twice the forward's operations: its
derivative, and the product with what comes from above; that of a linear one (a sum, a rotation, a
constant factor) is as large as the function.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from sympy import Add, Expr, Integer, S

from lifesym.cost import Cost, bytes_of
from lifesym.formats import Format, Matrix, Precision, load_format
from lifesym.operators.attention import AttentionScores, AttentionValues
from lifesym.operators.base import Direction, Operator
from lifesym.operators.elementwise import Elementwise, Residual, Scale
from lifesym.operators.embedding import Embedding
from lifesym.operators.fused import Fused
from lifesym.operators.position import Rotary
from lifesym.symbols import Size

_LINEAR = (Residual, Rotary, Scale, Embedding)
"""Whose gradients take as many operations as they do."""


@dataclass(frozen=True, kw_only=True)
class Backward(Operator):
    r"""The gradients of an operator's inputs and weights.

    matmul_flops: twice the forward's. vector_flops: twice, or once of linear functions (sums,
    rotations, constants, tables). It reads the gradient of the output, and what the forward read;
    it writes the gradient of every input. Products are two kernels, each of which reads the
    gradient of the output. The gradients of the weights that the forward read are added to those
    of earlier microbatches: read and written in the format ``gradient``. A fused attention kernel
    has not kept the scores: it computes them, and all that lies between them and the values, once
    more.

    >>> from lifesym import symbols as sym
    >>> from lifesym.operators import Linear
    >>> product = Linear(tokens=sym.batch, in_features=sym.hidden, out_features=sym.intermediate)
    >>> op = Backward(of=product)
    >>> op.cost(Precision.of()).matmul_flops
    4*batch*hidden*intermediate
    >>> op.cost(Precision.of()).weight_bytes  # bf16 weights, and fp32 gradients read and written
    10*hidden*intermediate
    """

    of: Operator
    gradient: Format = field(default_factory=lambda: load_format("fp32"))

    family: ClassVar[str] = "elementwise"
    counted: ClassVar[str] = "2 products for each of the forward; elementwise work twice"
    reference: ClassVar[str] = "Narayanan et al., arXiv 2104.04473, appendix"
    monotone: ClassVar[dict[str, Direction]] = {}

    def __post_init__(self) -> None:
        """Be of the operator's family: its efficiencies are those of the operator."""
        super().__post_init__()
        object.__setattr__(self, "family", self.of.family)

    @property
    def matrices_read(self) -> tuple[Matrix, ...]:
        """Those of the operator, which are held there."""
        return self.of.matrices_read

    def gradient_bytes(self) -> Expr:
        """Bytes of the gradients of the weights that the forward read."""
        values = Add(*(matrix.elements for matrix in self.matrices_read))
        return bytes_of(values, self.gradient.bits_per_value)

    def cost(self, precision: Precision) -> Cost:
        """Two products for one; the scores of a fused attention kernel once more."""
        forward = self.of.cost(precision)
        product = 0 if forward.matmul_flops.is_zero else 1
        anew = Add(*(part.cost(precision).matmul_flops for part in _not_kept(self.of)))
        elementwise = Add(*(part.cost(precision).vector_flops for part in _not_kept(self.of)))
        times = 1 if isinstance(self.of, _LINEAR) else 2
        received, used = forward.activation_write_bytes, forward.activation_read_bytes
        return Cost(
            matmul_flops=2 * forward.matmul_flops + anew,
            vector_flops=times * forward.vector_flops + elementwise,
            dequant_ops=forward.dequant_ops,
            weight_bytes=forward.weight_bytes + 2 * self.gradient_bytes(),
            activation_read_bytes=used + (1 + product) * received,
            activation_write_bytes=used,
            kv_read_bytes=forward.kv_read_bytes,
            kv_write_bytes=forward.kv_write_bytes,
            dispatches=(1 + product) * forward.dispatches,
        )


def _not_kept(operator: Operator) -> tuple[Operator, ...]:
    """What a fused attention kernel computes again: the scores and what is done with them."""
    if not isinstance(operator, Fused):
        return ()
    if not any(isinstance(part, AttentionScores) for part in operator.parts):
        return ()
    return tuple(part for part in operator.parts if not isinstance(part, AttentionValues))


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(Elementwise):
    r"""The loss of every token: a softmax over its logits, 5 operations a logit.

    $-\log p_y = \log \sum_v e^{z_v} - z_y$. Its gradient $p - 1_y$ needs the probabilities, which
    are kept in fp32. What devices that share the vocabulary exchange (three numbers a token) is not
    counted.

    >>> from lifesym import symbols as sym
    >>> CrossEntropy(tokens=sym.batch, vocab=sym.vocab).cost(Precision.of()).vector_flops
    5*batch*vocab
    """

    tokens: Size
    vocab: Size

    family: ClassVar[str] = "softmax"
    counted: ClassVar[str] = "5 a logit: compare, subtract, exponentiate, add, divide"
    reference: ClassVar[str] = "Shoeybi et al., Megatron-LM, arXiv 1909.08053, section 3"
    monotone: ClassVar[dict[str, Direction]] = {"tokens": "+", "vocab": "+"}

    def cost(self, precision: Precision) -> Cost:
        """Reads the logits; a loss a token is written, which is not counted."""
        logits = self.tokens * self.vocab
        return self.priced(precision, flops=5 * logits, reads=logits, writes=S.Zero)

    def saved(self, precision: Precision) -> Expr:
        """The probabilities in fp32."""
        return 4 * self.tokens * self.vocab


@dataclass(frozen=True, kw_only=True)
class Dropout(Elementwise):
    r"""Elements set to zero at random, the others scaled: 2 operations an element.

    A mask of one byte an element is kept for the backward pass; and the result, where a product
    is next that needs it (``for_product``).

    >>> from lifesym import symbols as sym
    >>> Dropout(elements=sym.batch * sym.hidden).saved(Precision.of())
    batch*hidden
    """

    elements: Size
    for_product: bool = False

    counted: ClassVar[str] = "2 an element: compare with a random number, scale"
    reference: ClassVar[str] = "Korthikanti et al., arXiv 2205.05198, section 4.1"
    monotone: ClassVar[dict[str, Direction]] = {"elements": "+"}

    def cost(self, precision: Precision) -> Cost:
        """Reads and writes each element once."""
        once = self.elements
        return self.priced(precision, flops=2 * once, reads=once, writes=once)

    def saved(self, precision: Precision) -> Expr:
        """The mask, and the result that a product reads."""
        result = precision.activation_bytes(self.elements) if self.for_product else S.Zero
        return self.elements + result


@dataclass(frozen=True, kw_only=True)
class OptimizerStep(Operator):
    r"""Adam's update of ``values`` weights, 15 operations each.

    Two decaying means (3 and 4), their corrections (2), a root, a sum and a quotient (3), and the
    step with weight decay (3). The gradient, the fp32 weight and both means are read; the latter
    three are written, and the weight once more in its own format.

    >>> from lifesym import symbols as sym
    >>> OptimizerStep(values=sym.hidden).cost(Precision.of()).weight_bytes
    30*hidden
    """

    values: Size
    gradient: Format = field(default_factory=lambda: load_format("fp32"))

    family: ClassVar[str] = "elementwise"
    counted: ClassVar[str] = "15 a weight"
    reference: ClassVar[str] = "Kingma and Ba, arXiv 1412.6980, Algorithm 1"
    monotone: ClassVar[dict[str, Direction]] = {"values": "+"}

    STATES: ClassVar[int] = 3
    """Numbers of 32 bits that are kept a weight: the weight and two means."""

    def cost(self, precision: Precision) -> Cost:
        """Everything once; a kernel for all."""
        bits = self.gradient.bits_per_value + 2 * self.STATES * 32
        moved = bytes_of(self.values, bits + precision.weights.bits_per_value)
        return Cost(vector_flops=15 * self.values, weight_bytes=moved, dispatches=Integer(1))
