"""What the towers share: checked configs, a layer of a vision transformer, sizes of images."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any, Literal, TypeVar

import msgspec

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention, DecoderLayer, NormSpec, WindowAttention
from lifesym.errors import SpecError
from lifesym.families.base import Count, activation, per_head, refuse
from lifesym.specs import convert
from lifesym.symbols import Size
from lifesym.tower import Grid

Sides = Count | list[Count]
"""One number for rows and columns alike, or both."""
T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A multimodal config and what a tower has to know of the model in it.

    Attributes:
        data: the whole config.
        hidden: size of the language model's residual stream.
        where: the file, for errors.
    """

    data: Mapping[str, Any]
    hidden: Size
    where: str

    def read(self, key: str, kind: type[T]) -> T:
        """One of its parts, whose keys have the defaults of its class.

        Raises:
            SpecError: a key of the wrong type or value.
        """
        return convert(dict(self.data[key]), kind, f"{self.where}: {key}")

    def outer(self, kind: type[T]) -> T:
        """The keys of the config itself."""
        return convert(dict(self.data), kind, self.where)


PATCHES = sym.patch_rows * sym.patch_columns
"""Patches of a crop."""


def pair(sides: Sides) -> tuple[int, int]:
    """Rows and columns."""
    if isinstance(sides, int):
        return sides, sides
    refuse(len(sides) != 2, f"{sides} are not rows and columns")
    return sides[0], sides[1]


def side(sides: Sides, key: str) -> int:
    """The rows of a square."""
    rows, columns = pair(sides)
    refuse(rows != columns, f"key {key!r}: {sides} is not square")
    return rows


def vision_layer(
    *,
    hidden: int,
    heads: int,
    intermediate: int,
    function: str,
    head_dim: int | None = None,
    norm: Literal["rms", "layer"] = "layer",
    gated: bool = False,
    bias: bool = True,
    out_bias: bool | None = None,
    mlp_bias: bool | None = None,
    fused: bool = False,
    rotary: bool = False,
    qk_norm: Literal["none", "head", "all"] = "none",
    window: Size | None = None,
    gains: bool = False,
) -> DecoderLayer:
    """A pre-norm layer of a vision transformer, whose attention has no mask."""
    spec = NormSpec(features=hidden, kind=norm)
    per = per_head(hidden, heads, by="heads") if head_dim is None else head_dim
    shape: dict[str, Any] = {
        "hidden": hidden,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": per,
        "fused": fused,
        "qkv_bias": bias,
        "out_bias": bias if out_bias is None else out_bias,
        "rotary_dim": per if rotary else 0,
        "qk_norm": qk_norm,
        "bidirectional": True,
    }
    attention = Attention(**shape) if window is None else WindowAttention(**shape, side=window)
    return DecoderLayer(
        hidden=hidden,
        mixer=attention,
        mlp=MLP(
            hidden=hidden,
            intermediate=intermediate,
            activation=activation(function),
            gated=gated,
            bias=bias if mlp_bias is None else mlp_bias,
        ),
        mixer_norm=spec,
        mlp_norm=spec,
        scaled=gains,
        gains=hidden if gains else 0,
    )


@dataclass(frozen=True, kw_only=True)
class Square:
    """An image is scaled to a square, whatever its size.

    Attributes:
        patches: patches on a side.
        tokens: tokens of the prompt.
    """

    patches: int
    tokens: int

    def __call__(self, height: int, width: int) -> Grid:
        """The same grid always."""
        return Grid(rows=self.patches, columns=self.patches, tokens=self.tokens)


def root_down(number: int, divisor: int) -> int:
    """The square root of a fraction, rounded down.

    >>> root_down(50, 2), root_down(49, 2)
    (5, 4)
    """
    return isqrt(number // divisor)


def root_up(number: int, divisor: int) -> int:
    """The square root of a fraction, rounded up.

    >>> root_up(50, 2), root_up(51, 2)
    (5, 6)
    """
    quotient = -(-number // divisor)
    root = isqrt(quotient)
    return root if root * root == quotient else root + 1


def too_long(height: int, width: int, ratio: int) -> None:
    """Refuse an image that is more than so many times as long as it is wide."""
    if max(height, width) > ratio * min(height, width):
        raise SpecError(f"an image of {height}x{width}: no side may be {ratio} times the other")
