"""CLIP and SigLIP, which see a square of pixels, as LLaVA 1.5, Gemma 3 and GIT use them.

Sources: Radford et al., arXiv 2103.00020; Zhai et al., 2303.15343; Liu et al., 2310.03744; Gemma 3,
2503.19786, section 2.1; Wang et al., GIT, 2205.14100; transformers 5.24 ``models/clip``,
``siglip``, ``llava``, ``gemma3``, ``git``.
"""

from dataclasses import replace
from math import isqrt

import msgspec

from lifesym.blocks import (
    AttentionPool,
    Closing,
    DecoderLayer,
    NormSpec,
    PatchEmbed,
    PatchPool,
    Projector,
)
from lifesym.families.base import Count, activation, refuse
from lifesym.tower import Stage, Tower
from lifesym.towers.base import PATCHES, Sides, Square, Whole, side, vision_layer
from lifesym.towers.pixtral import pixtral


class Vision(msgspec.Struct, kw_only=True):
    """Keys that both share, with the defaults of SigLIP's class."""

    hidden_size: Count = 768
    intermediate_size: Count = 3072
    num_hidden_layers: Count = 12
    num_attention_heads: Count = 12
    num_channels: Count = 3
    image_size: Sides = 224
    patch_size: Sides = 16
    hidden_act: str = "gelu_pytorch_tanh"
    vision_use_head: bool = True

    @property
    def patch(self) -> int:
        """Rows of a patch."""
        return side(self.patch_size, "vision_config.patch_size")

    @property
    def grid(self) -> int:
        """Patches on a side."""
        pixels = side(self.image_size, "vision_config.image_size")
        refuse(pixels < self.patch, f"key 'vision_config.image_size': {pixels} holds no patch")
        return pixels // self.patch

    @property
    def features(self) -> int:
        """Values of a patch."""
        return self.num_channels * self.patch**2


class ClipVision(Vision, kw_only=True):
    """The defaults of CLIP's class."""

    patch_size: Sides = 32
    hidden_act: str = "quick_gelu"


def clip(c: ClipVision) -> tuple[Stage, ...]:
    """CLIP: a class token, norms before and after the layers, of which the last sees it alone."""
    norm = NormSpec(features=c.hidden_size, kind="layer")
    embed = PatchEmbed(
        features=c.features,
        hidden=c.hidden_size,
        class_token=True,
        positions=c.grid**2 + 1,
        norm=norm,
    )
    return (
        Stage(label="embed", count=1, block=embed, positions=PATCHES + 1),
        Stage(label="layers", count=c.num_hidden_layers, block=_layer(c), positions=PATCHES + 1),
        Stage(label="pool", count=1, block=Closing(norm=norm), positions=1),
    )


def siglip(c: Vision) -> tuple[Stage, ...]:
    """SigLIP: no class token, a norm after the layers, and a pooling head unless it is left out."""
    norm = NormSpec(features=c.hidden_size, kind="layer")
    embed = PatchEmbed(features=c.features, hidden=c.hidden_size, bias=True, positions=c.grid**2)
    layer = _layer(c)
    stages = (
        Stage(label="embed", count=1, block=embed, positions=PATCHES),
        Stage(label="layers", count=c.num_hidden_layers, block=layer, positions=PATCHES),
        Stage(label="norm", count=1, block=Closing(norm=norm), positions=PATCHES),
    )
    if layer.mlp is None or not c.vision_use_head:
        return stages
    pool = AttentionPool(
        hidden=c.hidden_size, heads=c.num_attention_heads, norm=norm, mlp=layer.mlp
    )
    return (*stages, Stage(label="pool", count=1, block=pool, positions=PATCHES))


def _layer(c: Vision) -> DecoderLayer:
    return vision_layer(
        hidden=c.hidden_size,
        heads=c.num_attention_heads,
        intermediate=c.intermediate_size,
        function=c.hidden_act,
    )


class _Llava(msgspec.Struct, kw_only=True):
    projector_hidden_act: str = "gelu"
    multimodal_projector_bias: bool = True
    vision_feature_select_strategy: str = "default"
    vision_feature_layer: int | list[int] = -2


def llava(whole: Whole) -> tuple[Tower, ...]:
    """LLaVA: CLIP, SigLIP or Pixtral's tower, and a projector of two layers.

    All layers run, as in transformers, though the features are those of the last but one.
    """
    c = whole.outer(_Llava)
    kind = whole.data["vision_config"].get("model_type", "clip_vision_model")
    known = ("clip_vision_model", "siglip_vision_model", "pixtral")
    refuse(kind not in known, f"key 'vision_config.model_type': {kind!r} is not modelled")
    joined = 1 if isinstance(c.vision_feature_layer, int) else len(c.vision_feature_layer)

    def projector(width: int, extra: int = 0) -> Stage:
        block = Projector(
            widths=(width * joined, whole.hidden, whole.hidden),
            bias=c.multimodal_projector_bias,
            activation=activation(c.projector_hidden_act, "projector_hidden_act"),
        )
        return Stage(label="projector", count=1, block=block, positions=PATCHES + extra)

    if kind == "pixtral":
        return pixtral(whole, merge=1, projector=projector)
    if kind == "siglip_vision_model":
        vision = whole.read("vision_config", Vision)
        stages, extra = siglip(vision), 0
    else:
        vision = whole.read("vision_config", ClipVision)
        stages, extra = clip(vision), int(c.vision_feature_select_strategy == "full")
    if kind == "siglip_vision_model" and c.vision_feature_select_strategy == "default":
        extra = -1  # the first patch is dropped as if it were a class token
    rule = Square(patches=vision.grid, tokens=vision.grid**2 + extra)
    made = (*stages, projector(vision.hidden_size, extra))
    return (Tower(label="vision", stages=made, rule=rule, size=(rule.patches * vision.patch,) * 2),)


class _Gemma3(msgspec.Struct, kw_only=True):
    mm_tokens_per_image: Count = 256


def gemma3(whole: Whole) -> tuple[Tower, ...]:
    """Gemma 3: SigLIP, means of squares of patches, a norm and one projection.

    The image is one square of pixels: crops of it ("pan and scan") are off unless asked for.
    """
    c = whole.read("vision_config", Vision)
    tokens = isqrt(whole.outer(_Gemma3).mm_tokens_per_image)
    refuse(
        c.grid % tokens != 0,
        f"key 'mm_tokens_per_image': {tokens} x {tokens} do not divide {c.grid} x {c.grid} patches",
    )
    kernel = c.grid // tokens
    norm = NormSpec(features=c.hidden_size)
    pool = PatchPool(hidden=c.hidden_size, joined=kernel**2, norm=norm)
    after = PATCHES / kernel**2
    project = Projector(widths=(c.hidden_size, whole.hidden), bias=False)
    stages = (
        *siglip(c),
        Stage(label="pooling", count=1, block=pool, positions=after),
        Stage(label="projector", count=1, block=project, positions=after),
    )
    rule = Square(patches=c.grid, tokens=tokens**2)
    return (Tower(label="vision", stages=stages, rule=rule, size=(c.grid * c.patch,) * 2),)


class _GitVision(ClipVision, kw_only=True):
    patch_size: Sides = 16


class _Git(msgspec.Struct, kw_only=True):
    num_image_with_embedding: Count | None = None


def git(whole: Whole) -> tuple[Tower, ...]:
    """GIT: CLIP whose last norm is of every position, one projection, and a norm of its result."""
    frames = whole.outer(_Git).num_image_with_embedding
    refuse(frames is not None, "key 'num_image_with_embedding': videos are not modelled")
    c = whole.read("vision_config", _GitVision)
    places = PATCHES + 1
    stages = tuple(replace(stage, positions=places) for stage in clip(c))
    project = Projector(widths=(c.hidden_size, whole.hidden))
    norm = Closing(norm=NormSpec(features=whole.hidden, kind="layer"))
    after = (("projector", project), ("norm", norm))
    made = (Stage(label=label, count=1, block=block, positions=places) for label, block in after)
    rule = Square(patches=c.grid, tokens=c.grid**2 + 1)
    return (
        Tower(label="vision", stages=(*stages, *made), rule=rule, size=(c.grid * c.patch,) * 2),
    )
