r"""Convolutions over images of (channels, height, width), pooling and upsampling.

A window of $\kappa$ rows with dilation $\delta$ spans $\delta (\kappa - 1) + 1$ rows. With padding
p and stride s an image of H rows gives

$$H' = \left\lfloor \frac{H + 2 p - \delta (\kappa - 1) - 1}{s} \right\rfloor + 1$$

rows; with "same" padding $\lceil H / s \rceil$; windows that tile the image give $H / s$. Columns
likewise. Sources: Dumoulin and Visin, arXiv 1603.07285, chapters 2 and 4; depthwise: Howard et
al., MobileNets, 1704.04861.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from sympy import Expr, S, sympify

from lifesym.cost import FLOPS_PER_MAC, Cost
from lifesym.formats import Matrix, Precision, vectors
from lifesym.nodes import CeilDiv, FloorDiv
from lifesym.operators.base import Direction, require
from lifesym.operators.elementwise import Elementwise
from lifesym.symbols import Size

Padding = Size | Literal["same", "tiled"]


def strided(length: Expr, span: Expr, padding: Padding, stride: Size) -> Expr:
    """Positions of a window of so many rows on an image of ``length`` rows.

    >>> from sympy import Integer
    >>> strided(Integer(7), Integer(3), 0, 2), strided(Integer(7), Integer(3), "same", 2)
    (3, 4)
    """
    step = sympify(stride)
    if padding == "same":
        return CeilDiv(length, step)
    if padding == "tiled":
        require(
            not (length / step).is_number or length % step == 0, "windows do not tile the image"
        )
        return length / step
    room = length + 2 * padding - span
    return room + 1 if step is S.One else FloorDiv(room, step) + 1


@dataclass(frozen=True, kw_only=True)
class Image(Elementwise):
    """What they share: a batch of images.

    Attributes:
        batch: images.
        height: rows.
        width: columns.
    """

    batch: Size
    height: Size
    width: Size

    family: ClassVar[str] = "convolution"

    @property
    def pixels(self) -> Expr:
        """Positions of the input, over the batch."""
        return self.batch * self.height * self.width

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """Filters are weights like any other."""
        return vectors(self.parameters, "convolution")


@dataclass(frozen=True, kw_only=True)
class Conv2d(Image):
    r"""A convolution with square windows: $y_{o} = b_o + \sum_{c, i, j} w_{o c i j} x_{c, i, j}$.

    matmul_flops $= 2 \cdot batch \cdot H' W' \cdot C_{out} C_{in} \kappa^2$; a bias is one vector
    operation an output. Each input is read once. The directions are those of "same" padding.

    >>> from lifesym import symbols as sym
    >>> image = {"batch": 1, "height": sym.height, "width": sym.width}
    >>> op = Conv2d(**image, in_channels=3, out_channels=sym.channels, kernel=3)
    >>> op.cost(Precision.of()).matmul_flops
    54*channels*height*width
    """

    in_channels: Size
    out_channels: Size
    kernel: Size
    stride: Size = 1
    padding: Padding = "same"
    dilation: Size = 1
    bias: bool = False

    counted: ClassVar[str] = "2 FLOPs a multiply-add, padding's zeros included; bias 1 an output"
    reference: ClassVar[str] = "Dumoulin and Visin, arXiv 1603.07285, section 2.4"
    monotone: ClassVar[dict[str, Direction]] = {
        "batch": "+",
        "height": "+",
        "width": "+",
        "in_channels": "+",
        "out_channels": "+",
        "kernel": "+",
        "stride": "-",
        "dilation": "-",
    }

    def __post_init__(self) -> None:
        """Check that the window fits."""
        super().__post_init__()
        rows, columns = self.output_size
        fits = all(side.is_nonnegative is not False for side in (rows, columns))
        require(fits, f"a window of {self.span} does not fit into {self.height} x {self.width}")

    @property
    def span(self) -> Expr:
        """Rows that a window covers."""
        return self.dilation * (sympify(self.kernel) - 1) + 1

    @property
    def output_size(self) -> tuple[Expr, Expr]:
        """Rows and columns of the output."""
        sides = (sympify(self.height), sympify(self.width))
        rows, columns = (strided(side, self.span, self.padding, self.stride) for side in sides)
        return rows, columns

    @property
    def filter_elements(self) -> Expr:
        """Weights of all filters."""
        return self.out_channels * self.in_channels * self.kernel**2

    @property
    def parameters(self) -> Expr:
        """The filters and the biases."""
        return self.filter_elements + (self.out_channels if self.bias else 0)

    @property
    def products(self) -> Expr:
        """Multiply-adds: every filter at every position of the output."""
        rows, columns = self.output_size
        return self.batch * rows * columns * self.filter_elements

    def cost(self, precision: Precision) -> Cost:
        """Reads the input and the filters once, writes the output."""
        rows, columns = self.output_size
        outputs = self.batch * rows * columns * self.out_channels
        priced = self.priced(
            precision,
            flops=outputs if self.bias else S.Zero,
            reads=self.pixels * self.in_channels,
            writes=outputs,
        )
        return priced + Cost(matmul_flops=FLOPS_PER_MAC * self.products)


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv2d(Conv2d):
    r"""A convolution of each channel alone, with ``multiplier`` filters: D outputs a channel.

    matmul_flops $= 2 \cdot batch \cdot H' W' \cdot C_{in} D \kappa^2$. ``out_channels`` must be
    ``in_channels * multiplier``.

    >>> from lifesym import symbols as sym
    >>> image = {"batch": 1, "height": sym.height, "width": sym.width}
    >>> op = DepthwiseConv2d.of(**image, channels=sym.channels, kernel=3)
    >>> op.cost(Precision.of()).matmul_flops
    18*channels*height*width
    """

    counted: ClassVar[str] = "2 FLOPs a multiply-add of each channel with its own filters"
    reference: ClassVar[str] = "Howard et al., MobileNets, arXiv 1704.04861, Eq. 4"

    @classmethod
    def of(cls, *, channels: Size, multiplier: Size = 1, **shape: Any) -> Self:
        """The operator of so many channels and filters a channel."""
        return cls(in_channels=channels, out_channels=channels * multiplier, **shape)

    @property
    def filter_elements(self) -> Expr:
        """Weights of all filters: each sees one channel."""
        return self.out_channels * self.kernel**2


@dataclass(frozen=True, kw_only=True)
class Conv1d(Elementwise):
    r"""A convolution along a sequence with "same" padding.

    matmul_flops $= 2 \cdot batch \cdot \lceil length / s \rceil \cdot C_{out} C_{in} \kappa$.

    >>> from lifesym import symbols as sym
    >>> op = Conv1d(batch=1, length=sym.source, in_channels=80, out_channels=4, kernel=3)
    >>> op.cost(Precision.of()).matmul_flops
    1920*source
    """

    batch: Size
    length: Size
    in_channels: Size
    out_channels: Size
    kernel: Size
    stride: Size = 1
    bias: bool = False
    role: str = "convolution"

    family: ClassVar[str] = "convolution"
    counted: ClassVar[str] = "2 FLOPs a multiply-add, padding's zeros included; bias 1 an output"
    reference: ClassVar[str] = "Dumoulin and Visin, arXiv 1603.07285, section 2.4"
    monotone: ClassVar[dict[str, Direction]] = {
        **dict.fromkeys(("batch", "length", "in_channels", "out_channels", "kernel"), "+"),
        "stride": "-",
    }

    @property
    def parameters(self) -> Expr:
        """The filters and the biases."""
        filters = self.in_channels * self.kernel + (1 if self.bias else 0)
        return self.out_channels * filters

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """Filters are weights like any other."""
        return vectors(self.parameters, self.role)

    def cost(self, precision: Precision) -> Cost:
        """Reads the input and the filters once, writes the output."""
        outputs = self.batch * CeilDiv(self.length, sympify(self.stride)) * self.out_channels
        priced = self.priced(
            precision,
            flops=outputs if self.bias else S.Zero,
            reads=self.batch * self.length * self.in_channels,
            writes=outputs,
        )
        macs = outputs * self.in_channels * self.kernel
        return priced + Cost(matmul_flops=FLOPS_PER_MAC * macs)


@dataclass(frozen=True, kw_only=True)
class TransposedConv2d(Conv2d):
    r"""The transpose of a convolution: every input spreads over a window of the output.

    $H' = (H - 1) s - 2 p + \delta (\kappa - 1) + 1 + extra$; with "same" padding $H s$.
    matmul_flops $= 2 \cdot batch \cdot H W \cdot C_{in} C_{out} \kappa^2$.

    >>> from lifesym import symbols as sym
    >>> image = {"batch": 1, "height": sym.height, "width": sym.width}
    >>> op = TransposedConv2d(**image, in_channels=4, out_channels=2, kernel=2, stride=2)
    >>> op.output_size, op.cost(Precision.of()).matmul_flops
    ((2*height, 2*width), 64*height*width)
    """

    extra: Size = 0

    counted: ClassVar[str] = "2 FLOPs a multiply-add of every input with every filter element"
    reference: ClassVar[str] = "Dumoulin and Visin, arXiv 1603.07285, section 4.6"
    monotone: ClassVar[dict[str, Direction]] = {
        **Conv2d.monotone,
        "stride": "+",
        "dilation": "+",
        "extra": "+",
    }

    @property
    def output_size(self) -> tuple[Expr, Expr]:
        """Rows and columns of the output."""
        sides = (sympify(self.height), sympify(self.width))
        if isinstance(self.padding, str):
            return sides[0] * self.stride, sides[1] * self.stride
        margin = self.span - 2 * self.padding + self.extra
        rows, columns = ((side - 1) * self.stride + margin for side in sides)
        return rows, columns

    @property
    def products(self) -> Expr:
        """Multiply-adds: every filter element with every position of the input."""
        return self.pixels * self.filter_elements
