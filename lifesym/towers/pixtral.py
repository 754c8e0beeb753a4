"""Pixtral's tower: images of any size in rows of patches, with a token after each row.

Sources: Pixtral 12B, arXiv 2410.07073, section 2.1; transformers 5.24 ``models/pixtral`` and
``mistral3``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from lifesym.blocks import NormSpec, PatchEmbed, Projector
from lifesym.families.base import Count, activation
from lifesym.tower import Grid, Stage, Tower
from lifesym.towers.base import PATCHES, Sides, Whole, side, vision_layer


class PixtralVision(msgspec.Struct, kw_only=True):
    """The defaults of Pixtral's class."""

    hidden_size: Count = 1024
    intermediate_size: Count = 4096
    num_hidden_layers: Count = 24
    num_attention_heads: Count = 16
    num_channels: Count = 3
    image_size: Sides = 1024
    patch_size: Sides = 16
    hidden_act: str = "gelu"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """An image is shrunk to a longest side; its sides are rounded up to what a token covers.

    Attributes:
        longest: most pixels of a side.
        patch: rows of a patch.
        merge: rows of patches that make a token.
    """

    longest: int
    patch: int
    merge: int

    def __call__(self, height: int, width: int) -> Grid:
        """As ``get_resize_output_image_size``; a break token a row, the last one's ends it all."""
        long = max(height, width)
        if long > self.longest:
            height, width = (max(1, n * self.longest // long) for n in (height, width))
        unit = self.patch * self.merge
        rows, columns = -(-height // unit), -(-width // unit)
        tokens = rows * (columns + 1)
        return Grid(rows=rows * self.merge, columns=columns * self.merge, tokens=tokens)


def pixtral(
    whole: Whole, *, merge: int, projector: Callable[[int], Stage], merger: Stage | None = None
) -> tuple[Tower, ...]:
    """RMSNorms, rotary positions, a gated MLP, no biases; then what the model makes of it."""
    c = whole.read("vision_config", PixtralVision)
    patch = side(c.patch_size, "vision_config.patch_size")
    embed = PatchEmbed(
        features=c.num_channels * patch**2,
        hidden=c.hidden_size,
        norm=NormSpec(features=c.hidden_size),
    )
    layer = vision_layer(
        hidden=c.hidden_size,
        heads=c.num_attention_heads,
        intermediate=c.intermediate_size,
        function=c.hidden_act,
        norm="rms",
        gated=True,
        bias=False,
        rotary=True,
    )
    stages = (
        Stage(label="embed", count=1, block=embed, positions=PATCHES),
        Stage(label="layers", count=c.num_hidden_layers, block=layer, positions=PATCHES),
        *((merger,) if merger else ()),
        projector(c.hidden_size),
    )
    longest = side(c.image_size, "vision_config.image_size")
    rule = Rows(longest=longest, patch=patch, merge=merge)
    return (Tower(label="vision", stages=stages, rule=rule),)


class _Mistral3(msgspec.Struct, kw_only=True):
    projector_hidden_act: str = "gelu"
    vision_feature_layer: int | list[int] = -1
    multimodal_projector_bias: bool = False
    spatial_merge_size: Count = 2


def mistral3(whole: Whole) -> tuple[Tower, ...]:
    """Mistral 3: squares of patches are merged before the projector."""
    c, vision = whole.outer(_Mistral3), whole.read("vision_config", PixtralVision)
    joined = 1 if isinstance(c.vision_feature_layer, int) else len(c.vision_feature_layer)
    hidden, merged = vision.hidden_size, c.spatial_merge_size**2
    block = Projector(
        widths=(hidden * merged, hidden),
        joined=merged,
        norm=NormSpec(features=hidden),
        bias=False,
        prefix="merger",
    )
    after = PATCHES / merged

    def projector(width: int) -> Stage:
        made = Projector(
            widths=(width * joined, whole.hidden, whole.hidden),
            bias=c.multimodal_projector_bias,
            activation=activation(c.projector_hidden_act, "projector_hidden_act"),
        )
        return Stage(label="projector", count=1, block=made, positions=after)

    merger = Stage(label="merger", count=1, block=block, positions=after)
    return pixtral(whole, merge=c.spatial_merge_size, projector=projector, merger=merger)
