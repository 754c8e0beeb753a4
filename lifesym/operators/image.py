"""What CNNs do between convolutions: pooling, upsampling, normalization, joining."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from sympy import Expr, S, sympify

from lifesym.cost import Cost
from lifesym.formats import Precision
from lifesym.operators.base import Direction, require
from lifesym.operators.convolution import Image, Padding, strided
from lifesym.symbols import Size


@dataclass(frozen=True, kw_only=True)
class Pool2d(Image):
    r"""The maximum or mean of each window: $\kappa^2 - 1$ operations an output, a mean one more.

    >>> from lifesym import symbols as sym
    >>> image = {"batch": 1, "height": sym.height, "width": sym.width}
    >>> Pool2d(**image, channels=1, kernel=2, stride=2, padding=0).output_size
    (FloorDiv(height - 2, 2) + 1, FloorDiv(width - 2, 2) + 1)
    """

    channels: Size
    kernel: Size
    stride: Size
    padding: Padding = "same"
    mean: bool = False

    counted: ClassVar[str] = (
        "kernel^2 - 1 comparisons or additions an output; a mean 1 product more"
    )
    reference: ClassVar[str] = "Dumoulin and Visin, arXiv 1603.07285, chapter 3"
    monotone: ClassVar[dict[str, Direction]] = {
        "batch": "+",
        "height": "+",
        "width": "+",
        "channels": "+",
        "kernel": "+",
        "stride": "-",
    }

    @property
    def output_size(self) -> tuple[Expr, Expr]:
        """Rows and columns of the output."""
        sides = (sympify(self.height), sympify(self.width))
        span = sympify(self.kernel)
        rows, columns = (strided(side, span, self.padding, self.stride) for side in sides)
        return rows, columns

    def cost(self, precision: Precision) -> Cost:
        """Reads every input once, writes the output."""
        rows, columns = self.output_size
        outputs = self.batch * rows * columns * self.channels
        each = self.kernel**2 - (0 if self.mean else 1)
        return self.priced(
            precision, flops=each * outputs, reads=self.pixels * self.channels, writes=outputs
        )


@dataclass(frozen=True, kw_only=True)
class Upsample(Image):
    """A larger image: each pixel repeated, or four of them interpolated.

    >>> from lifesym import symbols as sym
    >>> image = {"batch": 1, "height": sym.height, "width": sym.width}
    >>> op = Upsample(**image, channels=1, factor=2, mode="bilinear")
    >>> op.cost(Precision.of()).vector_flops
    28*height*width
    """

    channels: Size
    factor: Size
    mode: Literal["nearest", "bilinear"] = "nearest"

    counted: ClassVar[str] = "bilinear: 4 products and 3 sums an output; nearest: none"
    reference: ClassVar[str] = (
        "Odena et al., Deconvolution and Checkerboard Artifacts, 2016, Fig. 5"
    )
    monotone: ClassVar[dict[str, Direction]] = {
        "batch": "+",
        "height": "+",
        "width": "+",
        "channels": "+",
        "factor": "+",
    }

    def __post_init__(self) -> None:
        """Check the mode."""
        super().__post_init__()
        require(self.mode in ("nearest", "bilinear"), f"unknown mode {self.mode!r}")

    def cost(self, precision: Precision) -> Cost:
        """Reads the input once, writes the larger output."""
        elements = self.pixels * self.channels
        outputs = elements * self.factor**2
        flops = 7 * outputs if self.mode == "bilinear" else S.Zero
        return self.priced(precision, flops=flops, reads=elements, writes=outputs)


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Image):
    """Scale and shift of every channel, the running statistics folded into them: 2 an element.

    >>> from lifesym import symbols as sym
    >>> image = {"batch": 1, "height": sym.height, "width": sym.width}
    >>> BatchNorm(**image, channels=sym.channels).parameters
    2*channels
    """

    channels: Size

    counted: ClassVar[str] = "1 product and 1 sum an element; the statistics are constants"
    reference: ClassVar[str] = "Ioffe and Szegedy, arXiv 1502.03167, Algorithm 2"
    monotone: ClassVar[dict[str, Direction]] = {
        "batch": "+",
        "height": "+",
        "width": "+",
        "channels": "+",
    }

    @property
    def parameters(self) -> Expr:
        """A gain and an offset a channel."""
        return 2 * sympify(self.channels)

    def cost(self, precision: Precision) -> Cost:
        """Reads and writes every element."""
        elements = self.pixels * self.channels
        return self.priced(precision, flops=2 * elements, reads=elements, writes=elements)


@dataclass(frozen=True, kw_only=True)
class Concat(Image):
    """Two images of the same size become one: no operations, everything is copied.

    >>> from lifesym import symbols as sym
    >>> image = {"batch": 1, "height": sym.height, "width": sym.width}
    >>> Concat(**image, channels=2).cost(Precision.of()).activation_write_bytes
    4*height*width
    """

    channels: Size

    counted: ClassVar[str] = "0 operations; one read and one write an element"
    reference: ClassVar[str] = "Ronneberger et al., arXiv 1505.04597, section 2"
    monotone: ClassVar[dict[str, Direction]] = {
        "batch": "+",
        "height": "+",
        "width": "+",
        "channels": "+",
    }

    def cost(self, precision: Precision) -> Cost:
        """Reads both, writes the sum of their channels."""
        elements = self.pixels * self.channels
        return self.priced(precision, flops=S.Zero, reads=elements, writes=elements)
