"""Convolutions against loops that count, and U-Nets against a hand-written sum."""

import itertools

import pytest
from sympy import Integer, Rational, cancel, expand

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import SymbolError
from lifesym.formats import Precision
from lifesym.operators import Conv2d, DepthwiseConv2d, Pool2d, TransposedConv2d, Upsample

SHAPES = list(itertools.product((5, 6, 9), (1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 2)))


def positions(length: int, kernel: int, stride: int, padding: int, dilation: int) -> list[int]:
    """First rows of all windows that fit into the padded image."""
    padded = length + 2 * padding
    return [i for i in range(0, padded, stride) if i + dilation * (kernel - 1) < padded]


@pytest.mark.parametrize(("length", "kernel", "stride", "padding", "dilation"), SHAPES)
def test_convolution_counts_its_windows(
    length: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    rows = positions(length, kernel, stride, padding, dilation)
    columns = positions(length + 1, kernel, stride, padding, dilation)
    filters = 4 * 3 * kernel**2
    macs = 2 * len(rows) * len(columns) * filters
    image = {"batch": 2, "height": length, "width": length + 1}
    window = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    conv = Conv2d(**image, in_channels=3, out_channels=4, bias=True, **window)
    cost = conv.cost(Precision.of())
    assert conv.output_size == (len(rows), len(columns))
    assert cost.matmul_flops == 2 * macs
    assert cost.vector_flops == 2 * len(rows) * len(columns) * 4
    assert conv.parameters == filters + 4
    assert cost.weight_bytes == 2 * (filters + 4)
    assert cost.activation_read_bytes == 2 * 2 * 3 * length * (length + 1)
    deep = DepthwiseConv2d.of(**image, channels=3, multiplier=2, **window)
    assert deep.cost(Precision.of()).matmul_flops == 4 * len(rows) * len(columns) * 6 * kernel**2
    assert deep.parameters == 6 * kernel**2


@pytest.mark.parametrize(("length", "kernel", "stride", "padding", "dilation"), SHAPES)
def test_a_transposed_convolution_undoes_the_shape(
    length: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    """Its output is the image whose convolution has the input's size; the products are as many."""
    window = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    image = {"batch": 1, "height": length, "width": length}
    back = TransposedConv2d(**image, in_channels=3, out_channels=4, **window)
    rows = back.output_size[0]
    if rows < 1:
        return
    image = {"batch": 1, "height": rows, "width": rows}
    forth = Conv2d(**image, in_channels=4, out_channels=3, **window)
    assert forth.output_size == (length, length)
    assert forth.products == back.products == length**2 * 12 * kernel**2


def test_pooling_and_upsampling() -> None:
    image = {"batch": 2, "height": 6, "width": 8}
    for mean, each in ((False, 8), (True, 9)):
        pool = Pool2d(**image, channels=3, kernel=3, stride=2, padding=1, mean=mean)
        rows = [len(positions(side, 3, 2, 1, 1)) for side in (6, 8)]
        cost = pool.cost(Precision.of())
        assert list(pool.output_size) == rows
        assert cost.vector_flops == 2 * 3 * rows[0] * rows[1] * each
    up = Upsample(**image, channels=3, factor=2, mode="nearest").cost(Precision.of())
    assert (up.flops, up.activation_write_bytes) == (0, 2 * 2 * 3 * 12 * 16)


def test_separable_convolutions_save_what_mobilenets_say() -> None:
    """The ratio of Eq. 5: one over the outputs and one over the window."""
    image = {"batch": 1, "height": sym.height, "width": sym.width}
    outputs = sym.classes
    full = Conv2d(**image, in_channels=sym.channels, out_channels=outputs, kernel=sym.kernel_size)
    deep = DepthwiseConv2d.of(**image, channels=sym.channels, kernel=sym.kernel_size)
    point = Conv2d(**image, in_channels=sym.channels, out_channels=outputs, kernel=1)
    ratio = (deep.products + point.products) / full.products
    assert cancel(ratio - 1 / outputs - 1 / sym.kernel_size**2) == 0


@pytest.mark.parametrize("levels", [1, 2, 3, 5])
def test_unet_is_the_sum_of_its_levels(levels: int) -> None:
    """Written out: at level i a pixel is 4**i of the image's, and channels are c * 2**i."""
    c, k = sym.channels, Integer(9)
    area = sym.height * sym.width
    total = k * sym.image_channels * c * area + k * c**2 * area
    for i in range(1, levels + 1):
        total += k * (2 ** (2 * i - 1) + 4**i) * c**2 * area / 4**i
        total += 4 * (2 ** (2 * i - 1)) * c**2 * area / 4**i
        total += k * (2 ** (2 * i - 1) + 4 ** (i - 1)) * c**2 * area / 4 ** (i - 1)
    total += c * sym.classes * area
    assert expand(ls.unet(levels=levels).macs - total) == 0


def test_unet_scales_with_its_multipliers() -> None:
    assert ls.unet(width_multiplier=Rational(1, 2)).macs == ls.unet().macs.subs(
        sym.channels, sym.channels / 2
    )
    numbers = ls.unet(64, 96, channels=8, image_channels=3, classes=2)
    symbolic = ls.unet().macs.subs(
        {
            sym.height: 64,
            sym.width: 96,
            sym.channels: 8,
            sym.image_channels: 3,
            sym.classes: 2,
        }
    )
    assert numbers.macs == symbolic
    assert float(numbers.time(ls.load_hardware("v100"), "fp16", "fp16")) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 0}, "levels must be an integer of at least 1"),
        ({"levels": 2.5}, "levels must be an integer of at least 1, not 2.5"),
        ({"separable": True, "depth_multiplier": 0}, "depth_multiplier must be an integer"),
        ({"depth_multiplier": 3}, "goes with separable convolutions only"),
        ({"width_multiplier": 0}, "must be a size, not 0"),
        ({"width_multiplier": -1}, "width_multiplier must be above 0"),
        ({"channels": 3, "width_multiplier": Rational(1, 2)}, "must be a size, not 3/2"),
        ({"height": 100, "levels": 3}, "height = 100 is not a multiple"),
        ({"upsampling": "cubic"}, "transposed, bilinear or nearest"),
    ],
)
def test_bad_unets_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SymbolError, match=message):
        ls.unet(**options)


def test_a_window_that_does_not_fit() -> None:
    with pytest.raises(SymbolError, match="does not fit"):
        Conv2d(batch=1, height=2, width=9, in_channels=1, out_channels=1, kernel=4, padding=0)
