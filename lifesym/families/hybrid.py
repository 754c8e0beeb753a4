"""Attention in some layers, something shorter in most: jamba (Mamba) and LFM2, 3 (convolutions)."""

from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block, ShortConv
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import decoder
from lifesym.families.mamba import scan, step_rank
from lifesym.families.parts import AROUND, attention, experts, feeds, layer, layers, mlp
from lifesym.families.patterns import dense_layers, listed
from lifesym.families.sizes import shared_size
from lifesym.model import Model


def jamba(c: Config) -> Model:
    """Jamba: Mamba layers that normalize time steps, B and C, among attention without positions."""
    chosen: list[list[bool]] = []
    for part in ("attn", "expert"):
        offset, period = getattr(c, f"{part}_layer_offset"), getattr(c, f"{part}_layer_period")
        refuse(
            not 0 <= offset < period,
            f"key '{part}_layer_offset': {offset} is not below {part}_layer_period = {period}",
        )
        chosen.append([i % period == offset for i in range(c.num_hidden_layers)])
    full = attention(rotary_dim=0)
    mamba = scan(c, conv_bias=c.mamba_conv_bias, bias=c.mamba_proj_bias, norms="affine")
    moe = experts(c, intermediate=sym.intermediate)
    attends, routed = chosen
    blocks = feeds(c, [not each or c.num_experts == 1 for each in routed], moe)
    each = layers([full if one else mamba for one in attends], blocks)
    wide, rank = c.mamba_expand * c.hidden_size, step_rank(c.mamba_dt_rank, c.hidden_size)
    return decoder(c, each, inner_size=wide, step_rank=rank)


def _mixers(c: Config, types: list[str] | None, known: dict[str, Block]) -> list[Block]:
    """Short convolutions (``conv``) and the other mixers that are listed.

    Raises:
        SpecError: no list, one of another length than the layers, or an unknown type.
    """
    if types is None:
        refuse(True, "missing key 'layer_types'")
    conv = ShortConv(hidden=sym.hidden, kernel=sym.conv_kernel, bias=c.conv_bias)
    return listed(types or (), c.num_hidden_layers, known | {"conv": conv})


def lfm2(c: Config) -> Model:
    """LFM2: gated short convolutions, and attention with normalized queries and keys."""
    depth = c.num_hidden_layers
    chosen = range(depth) if c.full_attn_idxs is None else c.full_attn_idxs
    types = c.layer_types or ["full_attention" if i in chosen else "conv" for i in range(depth)]
    mixers = _mixers(c, types, {"full_attention": attention(qk_norm="head")})
    return decoder(c, [layer(mixer, mlp("silu")) for mixer in mixers], intermediate=_width(c))


def _width(c: Config) -> int:
    """The size of the MLP of LFM2: two thirds, rounded up, unless it is not to be adjusted."""
    width, step = int(c.intermediate_size), int(c.block_multiple_of)
    if not c.block_auto_adjust_ff_dim:
        return width
    width = int(2 * width / 3)
    if c.block_ffn_dim_multiplier is None:
        return width
    width = int(c.block_ffn_dim_multiplier * width)
    return -(-width // step) * step


def lfm2_moe(c: Config) -> Model:
    """LFM2 with experts: short convolutions or attention, sigmoid scores, SiLU."""
    c.hidden_act = "silu"
    mixers = _mixers(c, c.layer_types, {"full_attention": attention(qk_norm="head")})
    moe = experts(c, sigmoid=True, shared=shared_size(c))
    return decoder(c, layers(mixers, feeds(c, dense_layers(c), moe)))


def lfm3(c: Config) -> Model:
    """LFM3: short convolutions, windows and full attention, gates by head, norms around."""
    gated: Any = {"qk_norm": "head", "gate": "head" if c.use_attention_gate else "none"}
    known: dict[str, Block] = {
        "full_attention": attention(c, **gated),
        "sliding_attention": attention(c, window=sym.window, **gated),
    }
    around, mixers = AROUND if c.use_sandwich_norm else {}, _mixers(c, c.layer_types, known)
    return decoder(c, [layer(mixer, mlp("silu"), **around) for mixer in mixers])
