"""Gemma 4's tower: images of any shape within a budget of patches, means of squares of them.

Source: transformers 5.24 ``models/gemma4`` (``get_aspect_ratio_preserving_size``).
"""

from dataclasses import dataclass

import msgspec

from lifesym.blocks import MLP, Attention, DecoderLayer, NormSpec, PatchEmbed, PatchPool, Projector
from lifesym.errors import SpecError
from lifesym.families.base import Count, activation, grouped, refuse
from lifesym.tower import Grid, Stage, Tower
from lifesym.towers.base import PATCHES, Whole, root_down


class Gemma4Vision(msgspec.Struct, kw_only=True):
    """The defaults of the class."""

    hidden_size: Count = 768
    intermediate_size: Count = 3072
    num_hidden_layers: Count = 16
    num_attention_heads: Count = 12
    num_key_value_heads: Count = 12
    head_dim: Count = 64
    hidden_activation: str = "gelu_pytorch_tanh"
    pooling_kernel_size: Count = 3
    patch_size: Count = 16
    position_embedding_size: Count = 10240


class _Outer(msgspec.Struct, kw_only=True):
    vision_soft_tokens_per_image: Count = 280


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The largest image of about the same shape whose patches are at most so many.

    Attributes:
        patch: rows of a patch.
        kernel: rows of patches that make a token.
        most: most tokens of an image.
    """

    patch: int
    kernel: int
    most: int

    def __call__(self, height: int, width: int) -> Grid:
        """The image's own patches; the code computes as many as the budget has, masked."""
        rows = root_down(self.most * height, width)
        columns = root_down(self.most * width, height)
        if rows == 0:
            rows, columns = 1, min(width // height, self.most)
        elif columns == 0:
            rows, columns = min(height // width, self.most), 1
        if rows * columns > self.most:
            raise SpecError(f"an image of {height}x{width} is too long for {self.most} tokens")
        return Grid(rows=rows * self.kernel, columns=columns * self.kernel, tokens=rows * columns)


def gemma4(whole: Whole) -> tuple[Tower, ...]:
    """Norms before and after both branches, of queries, keys and values, and of the means."""
    c = whole.read("vision_config", Gemma4Vision)
    refuse(c.patch_size < 1, "key 'vision_config.patch_size': no pixels")
    norm = NormSpec(features=c.hidden_size)
    layer = DecoderLayer(
        hidden=c.hidden_size,
        mixer=Attention(
            hidden=c.hidden_size,
            heads=c.num_attention_heads,
            kv_heads=grouped(c.num_attention_heads, c.num_key_value_heads),
            head_dim=c.head_dim,
            rotary_dim=c.head_dim,
            qk_norm="head",
            value_norm=True,
            bidirectional=True,
        ),
        mlp=MLP(
            hidden=c.hidden_size,
            intermediate=c.intermediate_size,
            activation=activation(c.hidden_activation, "hidden_activation"),
        ),
        mixer_norm=norm,
        mlp_norm=norm,
        mixer_post_norm=norm,
        mlp_post_norm=norm,
    )
    embed = PatchEmbed(
        features=3 * c.patch_size**2, hidden=c.hidden_size, positions=2 * c.position_embedding_size
    )
    after = PATCHES / c.pooling_kernel_size**2
    pool = PatchPool(hidden=c.hidden_size, joined=c.pooling_kernel_size**2)
    project = Projector(
        widths=(c.hidden_size, whole.hidden),
        norm=NormSpec(features=c.hidden_size, affine=False),
        bias=False,
    )
    stages = (
        Stage(label="embed", count=1, block=embed, positions=PATCHES),
        Stage(label="layers", count=c.num_hidden_layers, block=layer, positions=PATCHES),
        Stage(label="pooling", count=1, block=pool, positions=after),
        Stage(label="projector", count=1, block=project, positions=after),
    )
    most = whole.outer(_Outer).vision_soft_tokens_per_image
    rule = Budget(patch=c.patch_size, kernel=c.pooling_kernel_size, most=most)
    return (Tower(label="vision", stages=stages, rule=rule),)
