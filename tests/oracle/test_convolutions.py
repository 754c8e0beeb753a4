"""U-Nets against real ones, counted by PyTorch."""

import pytest

import lifesym as ls

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

pytestmark = pytest.mark.oracle


class RealUNet(nn.Module):
    """The network that `lifesym.unet` describes."""

    def __init__(
        self, channels: int, classes: int, levels: int, separable: int, norm: bool, up: str
    ) -> None:
        super().__init__()
        self.separable, self.norm, self.up = separable, norm, up
        widths = [channels * 2**i for i in range(levels + 1)]
        inputs = [3, *widths]
        self.down = nn.ModuleList(self._twice(a, b) for a, b in zip(inputs, widths, strict=False))
        self.rise = nn.ModuleList(self._rise(2 * w, w) for w in widths[-2::-1])
        self.back = nn.ModuleList(self._twice(2 * w, w) for w in widths[-2::-1])
        self.head = nn.Conv2d(channels, classes, 1)

    def _unit(self, inputs: int, outputs: int, kernel: int, groups: int = 1) -> list[nn.Module]:
        padding = kernel // 2
        conv = nn.Conv2d(
            inputs, outputs, kernel, padding=padding, groups=groups, bias=not self.norm
        )
        return [conv, *([nn.BatchNorm2d(outputs)] if self.norm else []), nn.ReLU()]

    def _conv(self, inputs: int, outputs: int) -> list[nn.Module]:
        if not self.separable:
            return self._unit(inputs, outputs, 3)
        deep = inputs * self.separable
        return self._unit(inputs, deep, 3, inputs) + self._unit(deep, outputs, 1)

    def _twice(self, inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(*self._conv(inputs, outputs), *self._conv(outputs, outputs))

    def _rise(self, inputs: int, outputs: int) -> nn.Module:
        if self.up == "transposed":
            return nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        larger = nn.Upsample(scale_factor=2, mode=self.up)
        return nn.Sequential(larger, nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        kept = []
        for i, stage in enumerate(self.down):
            x = stage(x if i == 0 else nn.functional.max_pool2d(x, 2))
            kept.append(x)
        kept.pop()
        for rise, back in zip(self.rise, self.back, strict=True):
            x = back(torch.cat([kept.pop(), rise(x)], dim=1))
        return self.head(x)


@pytest.mark.parametrize("up", ["transposed", "bilinear", "nearest"])
@pytest.mark.parametrize(("separable", "norm"), [(0, True), (0, False), (1, True), (2, False)])
@pytest.mark.parametrize(("levels", "channels", "batch"), [(1, 4, 2), (3, 5, 1)])
def test_unet_equals_the_real_one(
    levels: int, channels: int, batch: int, separable: int, norm: bool, up: str
) -> None:
    real = RealUNet(channels, 2, levels, separable, norm, up).eval().requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        real(torch.randn(batch, 3, 16, 24))
    ours = ls.unet(
        16,
        24,
        batch=batch,
        image_channels=3,
        channels=channels,
        classes=2,
        levels=levels,
        separable=bool(separable),
        depth_multiplier=separable or 1,
        norm=norm,
        upsampling=up,
    )
    assert ours.cost().matmul_flops == counter.get_total_flops()
    assert ours.parameters == sum(p.numel() for p in real.parameters())
