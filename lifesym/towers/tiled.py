"""Llama 4's and InternVL's towers: an image is cut into tiles of one size, and shrunk to one more.

Sources: InternVL 1.5, arXiv 2404.16821, section 3; transformers 5.24 ``models/llama4`` and
``internvl`` (the image processor is ``got_ocr2``'s).
"""

from dataclasses import dataclass
from fractions import Fraction

import msgspec

from lifesym.blocks import Closing, NormSpec, PatchEmbed, Projector
from lifesym.families.base import Count, activation, refuse
from lifesym.tower import Grid, Stage, Tower
from lifesym.towers.base import PATCHES, Sides, Whole, side, vision_layer


@dataclass(frozen=True, kw_only=True)
class _Tiles:
    """What both rules know.

    Attributes:
        pixels: rows of a tile.
        patches: patches on a side of a tile.
        each: tokens of a tile.
        most: most tiles of an image, the shrunken one not counted.
    """

    pixels: int
    patches: int
    each: int
    most: int

    def _grid(self, crops: int, tokens: int) -> Grid:
        return Grid(rows=self.patches, columns=self.patches, tokens=tokens, crops=crops)


class LlamaTiles(_Tiles):
    """The canvas of tiles that magnifies the image least, or shrinks it least.

    Beside the tiles' tokens stand one between those of a row, one after each row, one each before
    and after the shrunken image, and one at the start.
    """

    def __call__(self, height: int, width: int) -> Grid:
        """As ``find_supported_resolutions`` and ``get_best_fit``."""
        canvases = [
            (rows, columns)
            for count in range(self.most, 0, -1)
            for rows in range(1, count + 1)
            if count % rows == 0
            for columns in (count // rows,)
        ]

        def scale(canvas: tuple[int, int]) -> Fraction:
            rows, columns = canvas
            return min(Fraction(rows * self.pixels, height), Fraction(columns * self.pixels, width))

        growing = [scale(canvas) for canvas in canvases if scale(canvas) >= 1]
        chosen = min(growing) if growing else max(map(scale, canvases))
        fitting = [canvas for canvas in canvases if scale(canvas) == chosen]
        rows, columns = min(fitting, key=lambda canvas: canvas[0] * canvas[1])
        tiles = rows * columns
        if tiles == 1:
            return self._grid(1, self.each + 3)
        return self._grid(tiles + 1, (tiles + 1) * self.each + tiles + 3)


class InternTiles(_Tiles):
    """The grid of tiles whose sides are nearest the image's, and two tokens around them all."""

    def __call__(self, height: int, width: int) -> Grid:
        """As ``get_optimal_tiled_canvas``: of grids alike, a larger one for a large image."""
        grids = sorted(
            {
                (across, down)
                for across in range(1, self.most + 1)
                for down in range(1, self.most + 1)
                if across * down <= self.most
            },
            key=lambda grid: grid[0] * grid[1],
        )
        ratio, best, least = Fraction(width, height), (1, 1), None
        for across, down in grids:
            off = abs(ratio - Fraction(across, down))
            if least is None or off < least:
                least, best = off, (across, down)
            elif off == least and 2 * height * width > self.pixels**2 * across * down:
                best = (across, down)
        tiles = best[0] * best[1]
        crops = tiles + (1 if tiles > 1 else 0)
        return self._grid(crops, crops * self.each + 2)


class Llama4Vision(msgspec.Struct, kw_only=True):
    """The defaults of the class."""

    hidden_size: Count = 768
    num_hidden_layers: Count = 34
    num_attention_heads: Count = 16
    num_channels: Count = 3
    intermediate_size: Count = 5632
    vision_output_dim: Count = 7680
    image_size: Sides = 448
    patch_size: Sides = 14
    pixel_shuffle_ratio: float = 0.5
    projector_input_dim: Count = 4096
    projector_output_dim: Count = 4096


def _merged(ratio: float, key: str) -> int:
    """Rows of patches that a ratio below 1 makes one of."""
    refuse(not 0 < ratio <= 1 or (1 / ratio) % 1 != 0, f"key {key!r}: {ratio} is not modelled")
    return int(1 / ratio)


def llama4(whole: Whole) -> tuple[Tower, ...]:
    """Llama 4: a class token at the end, rotary positions beside learned ones, an adapter."""
    c = whole.read("vision_config", Llama4Vision)
    patch = side(c.patch_size, "vision_config.patch_size")
    pixels = side(c.image_size, "vision_config.image_size")
    patches = pixels // patch
    merged = _merged(c.pixel_shuffle_ratio, "vision_config.pixel_shuffle_ratio") ** 2
    norm = NormSpec(features=c.hidden_size, kind="layer")
    embed = PatchEmbed(
        features=c.num_channels * patch**2,
        hidden=c.hidden_size,
        class_token=True,
        positions=patches**2 + 1,
        norm=norm,
    )
    layer = vision_layer(
        hidden=c.hidden_size,
        heads=c.num_attention_heads,
        intermediate=c.intermediate_size,
        function="gelu",
        rotary=True,
    )
    adapter = Projector(
        widths=(c.intermediate_size, c.projector_input_dim, c.projector_output_dim),
        bias=False,
        activated=True,
        prefix="adapter",
    )
    project = Projector(widths=(c.vision_output_dim, whole.hidden), bias=False)
    after = PATCHES / merged
    stages = (
        Stage(label="embed", count=1, block=embed, positions=PATCHES + 1),
        Stage(label="layers", count=c.num_hidden_layers, block=layer, positions=PATCHES + 1),
        Stage(label="norm", count=1, block=Closing(norm=norm), positions=PATCHES + 1),
        Stage(label="adapter", count=1, block=adapter, positions=after),
        Stage(label="projector", count=1, block=project, positions=after),
    )
    rule = LlamaTiles(pixels=pixels, patches=patches, each=patches**2 // merged, most=16)
    return (Tower(label="vision", stages=stages, rule=rule, size=(pixels, pixels)),)


class InternVision(msgspec.Struct, kw_only=True):
    """The defaults of the class."""

    hidden_size: Count = 1024
    num_hidden_layers: Count = 24
    num_attention_heads: Count = 16
    attention_bias: bool = False
    use_qk_norm: bool = False
    intermediate_size: Count = 4096
    hidden_act: str = "gelu"
    norm_type: str = "layer_norm"
    image_size: Sides = 448
    patch_size: Sides = 14
    num_channels: Count = 3
    use_mask_token: bool = False
    use_absolute_position_embeddings: bool = True
    use_mean_pooling: bool = True


class _Intern(msgspec.Struct, kw_only=True):
    downsample_ratio: float = 0.5
    projector_hidden_act: str = "gelu"


def internvl(whole: Whole) -> tuple[Tower, ...]:
    """InternVL: a class token, learned gains of both branches, squares of patches merged."""
    c, outer = whole.read("vision_config", InternVision), whole.outer(_Intern)
    norms = {"layer_norm": "layer", "rms_norm": "rms"}
    refuse(
        c.norm_type not in norms, f"key 'vision_config.norm_type': {c.norm_type!r} is not modelled"
    )
    refuse(c.use_mask_token, "key 'vision_config.use_mask_token': true is not modelled")
    patch = side(c.patch_size, "vision_config.patch_size")
    pixels = side(c.image_size, "vision_config.image_size")
    patches = pixels // patch
    merged = _merged(outer.downsample_ratio, "downsample_ratio") ** 2
    embed = PatchEmbed(
        features=c.num_channels * patch**2,
        hidden=c.hidden_size,
        bias=True,
        class_token=True,
        positions=patches**2 + 1 if c.use_absolute_position_embeddings else None,
    )
    layer = vision_layer(
        hidden=c.hidden_size,
        heads=c.num_attention_heads,
        intermediate=c.intermediate_size,
        function=c.hidden_act,
        norm="layer" if c.norm_type == "layer_norm" else "rms",
        bias=c.attention_bias,
        out_bias=True,
        mlp_bias=True,
        qk_norm="all" if c.use_qk_norm else "none",
        gains=True,
    )
    wide = c.hidden_size * merged
    project = Projector(
        widths=(wide, whole.hidden, whole.hidden),
        norm=NormSpec(features=wide, kind="layer"),
        activation=activation(outer.projector_hidden_act, "projector_hidden_act"),
    )
    closing = Closing(norm=NormSpec(features=c.hidden_size, kind="layer"))
    norm = Stage(label="norm", count=1, block=closing, positions=PATCHES + 1)
    stages = (
        Stage(label="embed", count=1, block=embed, positions=PATCHES + 1),
        Stage(label="layers", count=c.num_hidden_layers, block=layer, positions=PATCHES + 1),
        *(() if c.use_mean_pooling else (norm,)),
        Stage(label="projector", count=1, block=project, positions=PATCHES / merged),
    )
    rule = InternTiles(pixels=pixels, patches=patches, each=patches**2 // merged, most=12)
    return (Tower(label="vision", stages=stages, rule=rule, size=(pixels, pixels)),)
