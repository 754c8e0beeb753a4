"""What fits into the memory of a device, of a network that sees images."""

from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Add, S

from lifesym.capacity import check_share, granted
from lifesym.checks import checked_fields
from lifesym.convnet import ConvForecast
from lifesym.display import Tabular
from lifesym.errors import SymbolError
from lifesym.nodes import FloorDiv, Maximum
from lifesym.results import Part, Result
from lifesym.symbols import Number, exact


@checked_fields
@dataclass(frozen=True, kw_only=True)
class ImageFit(Tabular):
    """How many images a network sees together in a device's memory: activations grow with them.

    >>> from lifesym import unet
    >>> net = unet(512, 512, image_channels=1, channels=64, classes=2)
    >>> found = ImageFit(forecast=net.forecast("rtx-4090"), share=0.9)
    >>> found.image.expr, found.images.expr
    (134217728, 172)

    Attributes:
        forecast: the network's pass; of its images one alone counts.
        share: part of the memory that may be used.
        reserve: bytes of other programs.
    """

    forecast: ConvForecast
    share: Number = 1
    reserve: Number = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_share(self.share)
        if exact(self.reserve, "reserve").is_negative:
            raise SymbolError(f"reserve must be at least 0 bytes, not {self.reserve}")

    @property
    def results(self) -> tuple[Result, ...]:
        """Everything below, in order."""
        return self.room, self.image, self.images, self.spare, self.missing

    @cached_property
    def room(self) -> Result:
        """Bytes for activations; negative if the memory is too small without any."""
        whole = granted(self.forecast.hardware, self.share)
        taken = {"weights": self.forecast.memory.expr, "reserve": exact(self.reserve)}
        parts = [Part(name="granted", value=whole.expr)]
        parts += [Part(name=name, value=-value) for name, value in taken.items()]
        expr = Add(*(part.value for part in parts))
        return Result(name="room for activations", unit="byte", expr=expr, parts=tuple(parts))

    @cached_property
    def image(self) -> Result:
        """Bytes of one image's activations: the largest live set."""
        one = replace(self.forecast.model, batch=1).in_flight(self.forecast.precision)
        return Result(name="bytes of an image", unit="byte", expr=one)

    @cached_property
    def images(self) -> Result:
        """Images whose activations fit together."""
        expr = Maximum(S.Zero, FloorDiv(self.room.expr, self.image.expr))
        return Result(name="images", unit="image", expr=expr)

    @cached_property
    def spare(self) -> Result:
        """Bytes left beside the network's own batch; negative: so many too few."""
        expr = self.room.expr - self.forecast.model.in_flight(self.forecast.precision)
        return Result(name="spare memory", unit="byte", expr=expr)

    @cached_property
    def missing(self) -> Result:
        """Bytes that are too few for a single image; 0 if one fits."""
        expr = Maximum(S.Zero, self.image.expr - self.room.expr)
        return Result(name="missing memory", unit="byte", expr=expr)
