"""Mamba-2 beside attention: in other layers (Bamba, Granite 4, Nemotron-H), or in the same."""

from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block, Mamba2, ParallelMixers
from lifesym.families.base import Config, activation, refuse, rotated
from lifesym.families.decoder import SCALED, Ends, decoder
from lifesym.families.mamba import check_groups, scan_heads
from lifesym.families.parts import attention, experts, function, layer, mlp
from lifesym.families.patterns import listed
from lifesym.families.sizes import head_size
from lifesym.model import Model


def _head_scan(c: Config, wide: int | None = None, **options: Any) -> Mamba2:
    """The mixer of a config, as wide as its heads together; as ``mamba_expand`` says by default.

    Raises:
        SpecError: heads that do not make up the channels, or groups that do not divide heads.
    """
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
    layers = [layer(mixers[each], block, scaled=True) for each in attends]
    wide = c.intermediate_size
    return decoder(c, layers, SCALED, expert_intermediate=wide)


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
