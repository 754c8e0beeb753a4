"""The towers of Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3.5: images of any size, patches merged.

Sources: arXiv 2409.12191, section 2.1; 2502.13923, section 2.1; transformers 5.24
``models/qwen2_vl``, ``qwen2_5_vl``, ``qwen3_vl`` (``smart_resize`` of the image processors).
"""

from dataclasses import dataclass
from fractions import Fraction

import msgspec

from lifesym.blocks import DecoderLayer, NormSpec, PatchEmbed, Projector
from lifesym.families.base import Count, refuse
from lifesym.families.base import Whole as Number
from lifesym.symbols import Size
from lifesym.tower import Grid, Stage, Tower
from lifesym.towers.base import PATCHES, Whole, root_down, root_up, too_long, vision_layer


class _Patches(msgspec.Struct, kw_only=True):
    depth: Count = 32
    num_heads: Count = 16
    in_channels: Count = 3
    patch_size: Count = 14
    spatial_merge_size: Count = 2
    temporal_patch_size: Count = 2

    @property
    def features(self) -> int:
        """Values of a patch: an image is repeated to make up the frames of one."""
        return self.in_channels * self.temporal_patch_size * self.patch_size**2

    @property
    def merged(self) -> int:
        """Patches that make a token."""
        return self.spatial_merge_size**2


class Qwen2Vision(_Patches, kw_only=True):
    """``hidden_size`` is the language model's here."""

    embed_dim: Count = 1280
    hidden_size: Count = 3584
    hidden_act: str = "quick_gelu"
    mlp_ratio: Count = 4


class Qwen25Vision(_Patches, kw_only=True):
    """Windows in all layers but those listed."""

    hidden_size: Count = 3584
    intermediate_size: Count = 3420
    hidden_act: str = "silu"
    window_size: Count = 112
    out_hidden_size: Count = 3584
    fullatt_block_indexes: tuple[Number, ...] = (7, 15, 23, 31)


class Qwen3Vision(_Patches, kw_only=True):
    """Some layers' outputs are merged and handed to the language model, too."""

    depth: Count = 27
    hidden_size: Count = 1152
    intermediate_size: Count = 4304
    hidden_act: str = "gelu_pytorch_tanh"
    patch_size: Count = 16
    out_hidden_size: Count = 3584
    num_position_embeddings: Count = 2304
    deepstack_visual_indexes: tuple[Number, ...] = (8, 16, 24)


@dataclass(frozen=True, kw_only=True)
class Resized:
    """Sides are rounded to multiples of what a token covers, the area kept between two bounds.

    Attributes:
        patch: rows of a patch.
        merge: rows of patches that make a token.
        least: pixels that an image has at least.
        most: pixels that it has at most.
    """

    patch: int
    merge: int
    least: int
    most: int

    def __call__(self, height: int, width: int) -> Grid:
        """As ``smart_resize``: halves are rounded to even, and the square roots are exact."""
        too_long(height, width, 200)
        unit = self.patch * self.merge
        rows, columns = (round(Fraction(n, unit)) for n in (height, width))
        if rows * columns * unit**2 > self.most:
            rows = max(1, root_down(height * self.most, width * unit**2))
            columns = max(1, root_down(width * self.most, height * unit**2))
        elif rows * columns * unit**2 < self.least:
            rows = root_up(height * self.least, width * unit**2)
            columns = root_up(width * self.least, height * unit**2)
        return Grid(rows=rows * self.merge, columns=columns * self.merge, tokens=rows * columns)


_QWEN2 = {"least": 56 * 56, "most": 28 * 28 * 16384}
"""``min_pixels`` and ``max_pixels`` of the published preprocessor_config.json files."""
_QWEN3 = {"least": 256 * 256, "most": 4096 * 4096}
"""``shortest_edge`` and ``longest_edge`` of the published preprocessor_config.json files."""


def _tower(
    c: _Patches, embed: PatchEmbed, layers: tuple[Stage, ...], bounds: dict[str, int]
) -> tuple[Tower, ...]:
    rule = Resized(patch=c.patch_size, merge=c.spatial_merge_size, **bounds)
    first = Stage(label="embed", count=1, block=embed, positions=PATCHES)
    return (Tower(label="vision", stages=(first, *layers), rule=rule),)


def _merger(
    hidden: int, out: int, c: _Patches, norm: NormSpec, label: str = "merger", count: Size = 1
) -> Stage:
    wide = hidden * c.merged
    block = Projector(widths=(wide, wide, out), joined=c.merged, norm=norm, prefix="merger")
    return Stage(label=label, count=count, block=block, positions=PATCHES / c.merged)


def _stack(depth: int, layer: DecoderLayer, label: str = "layers") -> Stage:
    return Stage(label=label, count=depth, block=layer, positions=PATCHES)


def qwen2_vl(whole: Whole) -> tuple[Tower, ...]:
    """LayerNorms, rotary positions, a plain MLP."""
    c = whole.read("vision_config", Qwen2Vision)
    layer = vision_layer(
        hidden=c.embed_dim,
        heads=c.num_heads,
        intermediate=c.embed_dim * c.mlp_ratio,
        function=c.hidden_act,
        fused=True,
        rotary=True,
    )
    merger = _merger(c.embed_dim, c.hidden_size, c, NormSpec(features=c.embed_dim, kind="layer"))
    embed = PatchEmbed(features=c.features, hidden=c.embed_dim)
    return _tower(c, embed, (_stack(c.depth, layer), merger), _QWEN2)


def qwen2_5_vl(whole: Whole) -> tuple[Tower, ...]:
    """RMSNorms, a gated MLP, windows in most layers."""
    c = whole.read("vision_config", Qwen25Vision)
    side = c.window_size // c.spatial_merge_size // c.patch_size * c.spatial_merge_size
    refuse(side == 0, f"key 'vision_config.window_size': {c.window_size} holds no token")

    def layer(window: int | None) -> DecoderLayer:
        return vision_layer(
            hidden=c.hidden_size,
            heads=c.num_heads,
            intermediate=c.intermediate_size,
            function=c.hidden_act,
            norm="rms",
            gated=True,
            fused=True,
            rotary=True,
            window=window,
        )

    full = len({i for i in c.fullatt_block_indexes if i < c.depth})
    stacks = (
        *((_stack(c.depth - full, layer(side), "window_layers"),) if full < c.depth else ()),
        *((_stack(full, layer(None), "full_layers"),) if full else ()),
    )
    merger = _merger(c.hidden_size, c.out_hidden_size, c, NormSpec(features=c.hidden_size))
    embed = PatchEmbed(features=c.features, hidden=c.hidden_size)
    return _tower(c, embed, (*stacks, merger), _QWEN2)


def _qwen3(c: Qwen3Vision, handed: int) -> tuple[Tower, ...]:
    layer = vision_layer(
        hidden=c.hidden_size,
        heads=c.num_heads,
        intermediate=c.intermediate_size,
        function=c.hidden_act,
        fused=True,
        rotary=True,
    )
    norm = NormSpec(features=c.hidden_size, kind="layer")
    stages = [_stack(c.depth, layer), _merger(c.hidden_size, c.out_hidden_size, c, norm)]
    if handed:
        wide = NormSpec(features=c.hidden_size * c.merged, kind="layer")
        stages.append(_merger(c.hidden_size, c.out_hidden_size, c, wide, "deepstack", handed))
    embed = PatchEmbed(
        features=c.features, hidden=c.hidden_size, bias=True, positions=c.num_position_embeddings
    )
    return _tower(c, embed, tuple(stages), _QWEN3)


def qwen3_vl(whole: Whole) -> tuple[Tower, ...]:
    """LayerNorms, learned and rotary positions, outputs of some layers handed on."""
    c = whole.read("vision_config", Qwen3Vision)
    return _qwen3(c, len(c.deepstack_visual_indexes))


def qwen3_5(whole: Whole) -> tuple[Tower, ...]:
    """Qwen3-VL's without outputs handed on."""
    return _qwen3(whole.read("vision_config", Qwen3Vision), 0)
