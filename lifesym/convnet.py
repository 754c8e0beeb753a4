r"""Convolutional networks: a trace of images through levels of halved size.

`unet` is the U-Net of Ronneberger et al. (arXiv 1505.04597, Figure 1) with "same" padding: n
levels of two convolutions, each level with half the rows and columns and twice the channels of the
one before, and the way back with the encoder's outputs joined in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from sympy import Add, Expr, S

from lifesym import symbols as sym
from lifesym.blocks.convolution import ConvUnit, Shape
from lifesym.checks import checked, shown
from lifesym.cost import FLOPS_PER_MAC, Cost
from lifesym.dataflow import dataflow
from lifesym.devices import as_hardware
from lifesym.efficiencies import check_words
from lifesym.engines import Engine
from lifesym.errors import SpecError, SymbolError
from lifesym.formats import Format, Precision
from lifesym.hardware import Hardware
from lifesym.nodes import Maximum
from lifesym.operators import Concat, Conv2d, Operator, Pool2d, TransposedConv2d, Upsample
from lifesym.precisions import choose_precision
from lifesym.results import Part, Result, StepTime
from lifesym.roofline import Overlap, Place, time_terms, total
from lifesym.symbols import Number, Size, exact, size
from lifesym.timed import Timed
from lifesym.trace import Entry, Trace

Row = tuple[str, str, Operator, Expr]
"""A section, a name, an operator, and the values of others that are kept while it runs."""
Rows = Iterator[Row]
Named = Iterator[tuple[str, str, Operator]]
Upsampling = Literal["transposed", "bilinear", "nearest"]
Beside = Overlap | Literal["dataflow"]
"""How operators overlap, or that all layers run at once (see `lifesym.dataflow`)."""


@dataclass(frozen=True, kw_only=True)
class UNet:
    """A U-Net for images of one size; `unet` says what the fields are."""

    height: Size
    width: Size
    batch: Size
    image_channels: Size
    channels: Size
    classes: Size
    levels: int
    width_multiplier: Number
    separable: bool
    depth_multiplier: Size
    norm: bool
    upsampling: Upsampling
    name: str = "U-Net"
    notes: tuple[str, ...] = ()

    opens: ClassVar[Mapping[str, str]] = {
        name: name
        for name in (
            *("height", "width", "batch", "image_channels", "channels", "classes"),
            *("width_multiplier", "depth_multiplier"),
        )
    }
    generates: ClassVar[bool] = False
    """Whether it gives tokens."""

    def __post_init__(self) -> None:
        """Check what the fields mean together."""
        levels = self.levels
        if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
            raise SymbolError(f"levels must be an integer of at least 1, not {shown(levels)}")
        for name in ("batch", "image_channels", "classes", "depth_multiplier"):
            size(getattr(self, name), name)
        if self.depth_multiplier != 1 and not self.separable:
            raise SymbolError("depth_multiplier goes with separable convolutions only")
        if self.upsampling not in get_args(Upsampling):
            known = "transposed, bilinear or nearest"
            raise SymbolError(f"upsampling: {known}, not {shown(self.upsampling)}")
        for name in ("height", "width"):
            side = size(getattr(self, name), name)
            if side.is_Integer and side % 2**levels:
                raise SymbolError(f"{name} = {side} is not a multiple of 2**levels = {2**levels}")
        base = self._base
        if base.is_number and not (base.is_Integer and base > 0):
            raise SymbolError(f"channels times width_multiplier must be a size, not {base}")
        if exact(self.width_multiplier).is_nonpositive:
            raise SymbolError(f"width_multiplier must be above 0, not {self.width_multiplier}")

    @property
    def silent(self) -> str:
        """Why it generates no tokens, for errors."""
        return f"{self.name} is a convolutional network: it generates no tokens"

    @cached_property
    def trace(self) -> Trace:
        """The operators of a pass."""
        entries = (
            Entry(section=section, name=name, count=S.One, operator=operator, copies=S.One)
            for section, name, operator, _ in self._rows
        )
        return Trace(tuple(entries))

    @property
    def parameters(self) -> Expr:
        """Learned values."""
        return sum(self.trace.weight_roles().values(), S.Zero)

    @property
    def macs(self) -> Expr:
        """Multiply-adds of a pass."""
        return self.cost().matmul_flops / FLOPS_PER_MAC

    @checked
    def cost(self, weights: str | Format = "bf16", activations: str | Format = "bf16") -> Cost:
        """Operations and bytes of a pass."""
        return self.trace.cost(weights, activations)

    @checked
    def in_flight(self, precision: Precision) -> Expr:
        """Bytes of activations: the largest live set of the pass.

        While an operator runs its inputs and outputs are live, and with them the outputs of the
        levels above, which wait to be joined in on the way back. Workspaces of kernels are not
        counted.
        """
        live = []
        for _, _, operator, kept in self._rows:
            cost = operator.cost(precision)
            moved = cost.activation_read_bytes + cost.activation_write_bytes
            live.append(moved + precision.activation_bytes(kept))
        return Maximum(*live)

    @checked
    def forecast(
        self,
        hardware: Hardware | str | Path,
        weights: str | Format | None = None,
        activations: str | Format | None = None,
        overlap: Beside = "operator",
        shares: Mapping[str, Number] | None = None,
    ) -> "ConvForecast":
        """A pass on a device, with everything that is asked of a forecast.

        Formats that are not given are those of `lifesym.forecast`. ``overlap="dataflow"`` is a
        machine on which every layer has units of its own, ``shares`` of the peaks by section.

        Raises:
            SpecError: an unknown name or format, or, when it is asked for a time, one the device
                has no peak for.
            SymbolError: an efficiency of an operator that the network does not have, or shares
                of layers that do not run at once.
        """
        if shares is not None and overlap != "dataflow":
            raise SymbolError("shares are those of layers that run at once: overlap='dataflow'")
        device = as_hardware(hardware)
        check_words(device.own, [entry.name for entry in self.trace], self.name)
        chosen = choose_precision(device, weights, activations, kv=activations)  # it has none
        origins = {role: who for role, who in chosen.origins.items() if role != "kv"}
        return ConvForecast(
            model=self,
            hardware=device,
            precision=replace(chosen, origins=origins),
            overlap=overlap,
            shares=shares,
        )

    @checked
    def time(
        self,
        hardware: Hardware | str | Path,
        weights: str | Format | None = None,
        activations: str | Format | None = None,
        overlap: Beside = "operator",
        shares: Mapping[str, Number] | None = None,
    ) -> Result:
        """The time of a pass on a device (see `lifesym.roofline`).

        Raises:
            SpecError: an unknown name or format, or one the device has no peak for.
        """
        return self.forecast(hardware, weights, activations, overlap, shares).ttft

    @property
    def _base(self) -> Expr:
        return size(self.channels, "channels") * exact(self.width_multiplier, "width_multiplier")

    @cached_property
    def _rows(self) -> tuple[Row, ...]:
        unit = ConvUnit(
            channels=self._base,
            separable=self.separable,
            multiplier=self.depth_multiplier,
            norm=self.norm,
        )
        image = Shape(
            batch=size(self.batch, "batch"),
            channels=size(self.image_channels, "image_channels"),
            height=size(self.height, "height"),
            width=size(self.width, "width"),
        )
        classes = size(self.classes, "classes")
        return tuple(_unet(image, unit, self.levels, classes, self.upsampling))


@dataclass(frozen=True, kw_only=True)
class ConvForecast(Timed):
    """A pass of a convolutional network on a device.

    TTFT and the latency are the time of the pass. It generates nothing, so that it has no TPOT. The
    memory is that of the weights; `capacity` has the activations too.

    Attributes:
        model: the network; how many images it sees together is said there.
        hardware: where it runs.
        precision: the formats of its numbers.
        overlap: how operators overlap memory and compute (see `lifesym.roofline`), or that layers
            run at once: then it is the time between results.
        shares: of the peaks in each layer, where they do; None: every layer takes as long.
        engine: a kernel an operator.
    """

    # fields without a default, in place of the base's properties of the same names
    model: UNet = field()
    hardware: Hardware = field()
    precision: Precision = field()
    overlap: Beside = "operator"
    shares: Mapping[str, Number] | None = None
    engine: Engine = field(default_factory=Engine)

    @cached_property
    def batch(self) -> Expr:
        """Images that it sees together."""
        return exact(self.model.batch)

    @cached_property
    def generate(self) -> Expr:
        """No tokens."""
        return S.Zero

    @property
    def counted(self) -> Trace:
        """The pass, whose operations and bytes are counted."""
        return self.model.trace

    @property
    def places(self) -> tuple[Place, ...]:
        """The device."""
        return (Place(hardware=self.hardware),)

    @property
    def described(self) -> str:
        """The formats; a network has no cache."""
        return self.precision.words("weights", "activations")

    @cached_property
    def ttft(self) -> Result:
        """The time of the pass; where layers run at once, that between results."""
        if self.overlap == "dataflow":
            terms = dataflow(self.model.trace, self.hardware, self.precision, self.shares)
            return Result(name="time between results", unit="s", expr=total(terms), terms=terms)
        terms = time_terms(self.model.trace, self.hardware, self.precision, self.overlap)
        return Result(name="time of a pass", unit="s", expr=total(terms), terms=terms)

    @property
    def tpot(self) -> StepTime:
        """None.

        Raises:
            SpecError: always.
        """
        raise SpecError(self.model.silent)

    @cached_property
    def memory(self) -> Result:
        """Bytes of the weights; activations are not in it."""
        expr = Add(*map(self.precision.weight_bytes, self.model.trace.matrices()))
        parts = (Part(name="weights", value=expr),)
        return Result(name="memory", unit="byte", expr=expr, parts=parts)

    @cached_property
    def capacity(self) -> Result:
        """Peak bytes: the weights, and activations in flight."""
        live = self.model.in_flight(self.precision)
        parts = (*self.memory.parts, Part(name="activations", value=live))
        expr = self.memory.expr + live
        return Result(name="capacity", unit="byte", expr=expr, parts=parts)


def unet(
    height: Size = sym.height,
    width: Size = sym.width,
    *,
    batch: Size = 1,
    image_channels: Size = sym.image_channels,
    channels: Size = sym.channels,
    classes: Size = sym.classes,
    levels: int = 4,
    width_multiplier: Number = 1,
    separable: bool = False,
    depth_multiplier: Size = 1,
    norm: bool = True,
    upsampling: Upsampling = "transposed",
) -> UNet:
    """A U-Net whose MACs and bytes are closed forms in the image's size and its channels.

    Args:
        height: rows of the image, a multiple of 2**levels.
        width: columns, likewise.
        batch: images.
        image_channels: channels of the image.
        channels: channels of the first level.
        classes: channels of the output.
        levels: halvings of the image.
        width_multiplier: factor on the channels of every level (MobileNet's alpha).
        separable: depthwise-separable convolutions instead of full ones.
        depth_multiplier: depthwise filters a channel, in separable ones.
        norm: batch norms after the convolutions, which have biases otherwise.
        upsampling: a transposed convolution, or interpolation and a convolution of 1 x 1.

    >>> net = unet(channels=64, image_channels=3, classes=2, levels=1, norm=False)
    >>> net.macs
    212800*height*width

    Raises:
        SymbolError: no level, an image that cannot be halved so often, channels that are no
            size, a depth multiplier of full convolutions, or an unknown upsampling.
    """
    return UNet(
        height=height,
        width=width,
        batch=batch,
        image_channels=image_channels,
        channels=channels,
        classes=classes,
        levels=levels,
        width_multiplier=width_multiplier,
        separable=separable,
        depth_multiplier=depth_multiplier,
        norm=norm,
        upsampling=upsampling,
    )


def _unet(image: Shape, unit: ConvUnit, levels: int, classes: Expr, upsampling: str) -> Rows:
    shape = image
    joined: list[Expr] = []
    for level in range(levels + 1):
        width = unit.channels * 2**level
        yield from _while(joined, _twice(f"down_{level}", shape, replace(unit, channels=width)))
        shape = replace(shape, channels=width)
        if level < levels:
            pool = Pool2d(**shape.image, channels=width, kernel=2, stride=2, padding="tiled")
            yield f"down_{level}", "pool", pool, Add(*joined)
            joined.append(shape.elements)
            shape = _scaled(shape, S.Half)
    for level in reversed(range(levels)):
        width = unit.channels * 2**level
        yield from _while(joined, _upsample(f"up_{level}", shape, width, upsampling))
        joined.pop()
        shape = replace(_scaled(shape, S(2)), channels=2 * width)
        yield f"up_{level}", "concat", Concat(**shape.image, channels=2 * width), Add(*joined)
        yield from _while(joined, _twice(f"up_{level}", shape, replace(unit, channels=width)))
        shape = replace(shape, channels=width)
    last = Conv2d(
        **shape.image, in_channels=shape.channels, out_channels=classes, kernel=1, bias=True
    )
    yield "head", "conv", last, S.Zero


def _while(joined: Sequence[Expr], rows: Named) -> Rows:
    """Rows that run while the outputs of levels above wait to be joined in."""
    for section, name, operator in rows:
        yield section, name, operator, Add(*joined)


def _twice(section: str, shape: Shape, unit: ConvUnit) -> Named:
    for name, operator in unit.operators(shape):
        yield section, f"{name}_1", operator
    for name, operator in unit.operators(replace(shape, channels=unit.channels)):
        yield section, f"{name}_2", operator


def _upsample(section: str, shape: Shape, width: Expr, upsampling: str) -> Named:
    sizes: dict[str, Any] = {"in_channels": shape.channels, "out_channels": width, "bias": True}
    if upsampling == "transposed":
        yield section, "up_conv", TransposedConv2d(**shape.image, **sizes, kernel=2, stride=2)
        return
    larger = _scaled(shape, S(2))
    mode: Literal["nearest", "bilinear"] = "bilinear" if upsampling == "bilinear" else "nearest"
    operator = Upsample(**shape.image, channels=shape.channels, factor=2, mode=mode)
    yield section, "upsample", operator
    yield section, "up_conv", Conv2d(**larger.image, **sizes, kernel=1)


def _scaled(shape: Shape, factor: Expr) -> Shape:
    """The image with so many times the rows and columns; halves are exact by assumption."""
    return replace(shape, height=shape.height * factor, width=shape.width * factor)
