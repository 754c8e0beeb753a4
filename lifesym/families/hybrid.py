"""Attention in some layers, something shorter in most, or in the same ones.

Mamba in Jamba, Mamba-2 in Bamba, Falcon-H1, Granite 4 and Nemotron-H, convolutions in LFM2 and 3.
"""

from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block, Mamba2, ParallelMixers, ShortConv
from lifesym.families.base import Config, activation, refuse, rotated
from lifesym.families.decoder import SCALED, Ends, decoder
from lifesym.families.mamba import check_groups, scan, scan_heads, step_rank
from lifesym.families.parts import AROUND, attention, experts, feeds, function, layer, layers, mlp
from lifesym.families.patterns import dense_layers, listed
from lifesym.families.sizes import head_size
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
    """Short convolutions (``conv``) and the other mixers that are listed."""
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
    return decoder(c, layers(mixers, mlp("silu")), intermediate=_width(c))


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
    """LFM2 with experts: short convolutions or attention, sigmoid scores."""
    mixers = _mixers(c, c.layer_types, {"full_attention": attention(qk_norm="head")})
    blocks = feeds("silu", dense_layers(c), experts("silu", sigmoid=True))
    return decoder(c, layers(mixers, blocks))


def lfm3(c: Config) -> Model:
    """LFM3: short convolutions, windows and full attention, gates by head, norms around."""
    gated: Any = {"qk_norm": "head", "gate": "head" if c.use_attention_gate else "none"}
    known: dict[str, Block] = {
        "full_attention": attention(c, **gated),
        "sliding_attention": attention(c, window=sym.window, **gated),
    }
    around, mixers = AROUND if c.use_sandwich_norm else {}, _mixers(c, c.layer_types, known)
    return decoder(c, layers(mixers, mlp("silu"), **around))


def _head_scan(c: Config, wide: int | None = None, **options: Any) -> Mamba2:
    """The mixer of a config, as wide as its heads together; as ``mamba_expand`` says by default."""
    wide = wide or c.mamba_expand * c.hidden_size
    heads, head_dim = c.mamba_n_heads, c.mamba_d_head
    refuse(wide % heads != 0, f"key 'mamba_n_heads': {heads} does not divide {wide} channels")
    right = wide // heads
    refuse(head_dim not in ("auto", right), f"key 'mamba_d_head': {head_dim} should be {right}")
    check_groups(heads, c.mamba_n_groups)
    c.mamba_d_head = right
    usual = {"conv_bias": c.mamba_conv_bias, "bias": c.mamba_proj_bias}
    return scan_heads(activation=function(c), **usual | options)


def bamba(c: Config) -> Model:
    """Bamba: Mamba-2 layers, and attention with half-rotated heads in the layers listed."""
    full, depth = c.attn_layer_indices or (), c.num_hidden_layers
    scan = layer(_head_scan(c), mlp(c))
    attend = layer(attention(c, rotary_dim=sym.rotary_dim), mlp(c))
    layers = [attend if i in full else scan for i in range(depth)]
    return decoder(c, layers, rotary_dim=rotated(head_size(c), 0.5))


def falcon_h1(c: Config) -> Model:
    """Falcon-H1: Mamba-2 and attention side by side in every layer, all branches scaled."""
    options = {"out_bias": c.projectors_bias, "norm": c.mamba_rms_norm, "scaled": True}
    scan = _head_scan(c, c.mamba_d_ssm, **options)
    mixer = ParallelMixers(hidden=sym.hidden, attention=attention(c), scan=scan)
    return decoder(c, layer(mixer, mlp(c, scaled=True)), SCALED)


_ATTENDS = {"mamba": False, "linear_attention": False, "attention": True, "full_attention": True}
"""Whether a layer of that type has attention; transformers 4 and 5 name them differently."""


def granitemoehybrid(c: Config) -> Model:
    """Granite 4: Mamba-2 or attention layers, each with experts and a shared one, or that alone."""
    depth, every, active = c.num_hidden_layers, c.num_local_experts, c.num_experts_per_tok
    attends = listed(c.layer_types or ["mamba"] * depth, depth, _ATTENDS)
    where = c.position_embedding_type
    refuse(where not in (None, "rope", "nope"), f"key 'position_embedding_type': {where!r}")
    refuse(
        every > 0 and not 0 < active <= every,
        f"key 'num_experts_per_tok': {active} of {every} experts",
    )
    block: Block = mlp(c, intermediate=sym.shared_intermediate, fused=True)
    if every:
        block = experts(c, shared=True)
    mixers = {
        False: _head_scan(c),
        True: attention(c, rotary_dim=sym.head_dim if where == "rope" else 0),
    }
    return decoder(c, layers([mixers[each] for each in attends], block, scaled=True), SCALED)


_LETTERS = {"M": "linear_attention", "*": "full_attention", "-": "mlp", "E": "moe"}
_OLD_NAMES = {"mamba": "linear_attention", "attention": "full_attention"}
_NEEDED = {
    "mlp": "intermediate_size",
    "moe": "n_routed_experts num_experts_per_tok moe_intermediate_size"
    " moe_shared_expert_intermediate_size",
}
"""Keys that a kind of layer needs."""


def nemotron_h(c: Config) -> Model:
    """Nemotron-H and 3: one block a layer: Mamba-2, attention without positions, MLP or experts.

    Experts are plain, and may see a projection.
    """
    check_groups(c.mamba_num_heads, c.n_groups)
    where, given = "layers_block_type", c.layers_block_type
    if given is None:
        where, given = "hybrid_override_pattern", list(c.hybrid_override_pattern or "")
        refuse(not given, "missing key 'hybrid_override_pattern'")
    kinds = [_LETTERS.get(kind, _OLD_NAMES.get(kind, kind)) for kind in given]
    for kind in kinds:
        for key in _NEEDED.get(kind, "").split():
            refuse(getattr(c, key) is None, f"missing key '{key}'")
    mamba = scan_heads(
        activation=activation(c.mamba_hidden_act), conv_bias=c.use_conv_bias, bias=c.use_bias
    )
    named = c.mlp_hidden_act
    latent = None if c.moe_latent_size is None else sym.expert_latent
    moe = experts(named, gated=False, sigmoid=True, shared=True, latent=latent)
    layers = {
        "linear_attention": layer(mamba, None),
        "full_attention": layer(attention(rotary_dim=0), None),
        "mlp": layer(None, mlp(named, gated=False)),
        "moe": layer(None, moe),
    }
    each = listed(kinds, c.num_hidden_layers or len(kinds), layers, where)
    return decoder(c, each, Ends(tied=False), expert_latent=c.moe_latent_size)
