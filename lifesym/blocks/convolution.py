"""Blocks of convolutional networks: they know the image they get and say which one they give."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sympy import Expr, sympify

from lifesym.operators import (
    Activation,
    BatchNorm,
    Conv2d,
    DepthwiseConv2d,
    Operator,
)
from lifesym.symbols import Size

Emitted = Iterator[tuple[str, Operator]]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A batch of images of (channels, height, width)."""

    batch: Size
    channels: Size
    height: Size
    width: Size

    @property
    def image(self) -> dict[str, Any]:
        """What every operator on images is told."""
        return {"batch": self.batch, "height": self.height, "width": self.width}

    @property
    def elements(self) -> Expr:
        """Values of all images."""
        return sympify(self.batch) * self.channels * self.height * self.width


@dataclass(frozen=True, kw_only=True)
class ConvUnit:
    """A convolution, its batch norm and its activation, with "same" padding and stride 1.

    Attributes:
        channels: output channels.
        kernel: rows and columns of a window.
        separable: a depthwise convolution, then one of 1 x 1 over the channels.
        multiplier: depthwise filters a channel.
        norm: a batch norm after every convolution, which then has no bias.
        activation: activation function; None for none.
    """

    channels: Size
    kernel: Size = 3
    separable: bool = False
    multiplier: Size = 1
    norm: bool = True
    activation: str | None = "relu"

    def operators(self, shape: Shape) -> Emitted:
        """The convolution or the two of a separable one, each with norm and activation."""
        if not self.separable:
            yield from self._after(self._conv(shape, self.kernel), shape)
            return
        deep = DepthwiseConv2d.of(
            **shape.image,
            channels=shape.channels,
            multiplier=self.multiplier,
            kernel=self.kernel,
            bias=not self.norm,
        )
        yield from self._after(deep, shape)
        wide = replace(shape, channels=deep.out_channels)
        yield from self._after(self._conv(wide, 1), wide)

    def _conv(self, shape: Shape, kernel: Size) -> Conv2d:
        return Conv2d(
            **shape.image,
            in_channels=shape.channels,
            out_channels=self.channels,
            kernel=kernel,
            bias=not self.norm,
        )

    def _after(self, conv: Conv2d, shape: Shape) -> Emitted:
        yield "depthwise" if isinstance(conv, DepthwiseConv2d) else "conv", conv
        out = replace(shape, channels=conv.out_channels)
        if self.norm:
            yield "batch_norm", BatchNorm(**out.image, channels=out.channels)
        if self.activation:
            yield "activation", Activation(elements=out.elements, function=self.activation)
