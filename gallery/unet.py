"""Posso et al., an embedded U-Net on CPU, GPU and FPGA (arXiv 2503.08700).

Read: the abstract. The text could not be read, and none of its 14 tables: no latency, power or
image size of the boards is compared here.
"""

from functools import cache

from base import Number
from sympy import Expr, Rational, limit, oo

import lifesym as ls
from lifesym import symbols as sym
from lifesym.convnet import UNet

WORK = "Embedded U-Net (2503.08700)"
QUARTER = Rational(1, 4)
SIZES = {"image_channels": 3, "channels": 64, "classes": 2}
"""Channels of a photograph, of the first level of the U-Net of 2015, and of its result."""


@cache
def net(side: int = 256, **more: object) -> UNet:
    """The network for square photographs."""
    return ls.unet(side, side, **(SIZES | more))


def cut(of: str, **more: object) -> float:
    """How many times fewer operations or parameters another network has."""
    return float(getattr(net(), of) / getattr(net(**more), of))


def symbolic(*, separable: bool = False) -> Expr:
    """Multiply-adds of a pixel in the channels of the first level, of the image and the result."""
    made = ls.unet(channels=sym.channels, separable=separable)
    return (made.macs / (sym.height * sym.width)).expand()


def separable_limit() -> Expr:
    """How many times fewer multiply-adds separable convolutions have of very many channels."""
    return limit(symbolic() / symbolic(separable=True), sym.channels, oo)


def board(rate: Expr = sym.peak, bandwidth: Expr = sym.bandwidth) -> ls.Hardware:
    """Any board with units for 8-bit products."""
    return ls.Hardware.symbolic().with_(peak=rate, bandwidth=bandwidth)


NUMBERS = (
    Number(
        work=WORK,
        where="abstract",
        what="multiply-adds, full width over a quarter of it",
        published=16,
        mine=lambda: cut("macs", width_multiplier=QUARTER),
        within=0.008,
    ),
    Number(
        work=WORK,
        where="abstract",
        what="parameters, full width over a quarter of it",
        published=16,
        mine=lambda: cut("parameters", width_multiplier=QUARTER),
        within=0.0015,
    ),
    Number(
        work=WORK,
        where="abstract",
        what="multiply-adds, full over separable convolutions",
        published=16,
        mine=lambda: cut("macs", separable=True),
        within=0.61,
        reason="no way to the 16: separable convolutions save at most 179/27 = 6.6",
        refuted=True,
    ),
    Number(
        work=WORK,
        where="abstract",
        what="parameters, full over separable convolutions",
        published=16,
        mine=lambda: cut("parameters", separable=True),
        within=0.68,
        reason="no way to the 16: so the cut is one of width",
        refuted=True,
    ),
)
