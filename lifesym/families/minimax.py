"""MiniMax-Text-01 and M1: lightning attention, every eighth layer full attention; experts.

Sources: MiniMax-01, arXiv 2501.08313, section 2; transformers, ``minimax``.
"""

from lifesym import symbols as sym
from lifesym.blocks import Block, LightningAttention
from lifesym.families.base import Count, Family, StackConfig, Whole, activation, listed, refuse
from lifesym.families.decoder import attention, decoder, experts, head_size, layer
from lifesym.model import Model


class MiniMaxConfig(StackConfig, kw_only=True):
    """Layers are listed in words or as 0 (lightning) and 1 (full), or else full ones alternate."""

    intermediate_size: Count
    num_local_experts: Count
    num_experts_per_tok: Count
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    rotary_dim: Whole | None = None
    block_size: Count = 256
    layer_types: list[str] | None = None
    attn_type_list: list[int] | None = None
    hidden_act: str = "silu"
    sliding_window: Count | None = None
    shared_intermediate_size: Whole | None = None
    full_attn_alpha_factor: float = 1
    full_attn_beta_factor: float = 1
    linear_attn_alpha_factor: float = 1
    linear_attn_beta_factor: float = 1
    mlp_alpha_factor: float = 1
    mlp_beta_factor: float = 1
    tie_word_embeddings: bool = False


def _full(c: MiniMaxConfig) -> list[bool]:
    """Which layers have full attention."""
    depth, types = c.num_hidden_layers, c.attn_type_list
    if c.layer_types is not None:
        return listed(c.layer_types, depth, {"linear_attention": False, "full_attention": True})
    if types is None:
        return [i % 2 == 0 for i in range(depth)]
    return listed([str(each) for each in types], depth, {"0": False, "1": True}, "attn_type_list")


def _scaled(c: MiniMaxConfig, part: str) -> bool:
    """Whether the layers of a kind multiply one side of each of their sums by a constant."""
    sides = [
        [getattr(c, f"{name}_{side}_factor") != 1 for side in ("alpha", "beta")]
        for name in (part, "mlp")
    ]
    counts = [sum(each) for each in sides]
    refuse(
        counts not in ([0, 0], [1, 1]),
        f"key '{part}_alpha_factor': only one factor other than 1 a sum, in both sums of a layer or"
        " in none, is modelled",
    )
    return counts == [1, 1]


def minimax(c: MiniMaxConfig, name: str) -> Model:
    """MiniMax: blocks of lightning attention, full attention with partly rotated heads, experts."""
    refuse(c.sliding_window is not None, "key 'sliding_window': only null is modelled")
    refuse(bool(c.shared_intermediate_size), "key 'shared_intermediate_size': not modelled here")
    size, turned = head_size(c), c.rotary_dim
    refuse((turned or 0) > size, f"key 'rotary_dim': {turned} of a head of {size}")
    whole = turned in (None, size)
    function = activation(c.hidden_act)
    mixers: dict[bool, Block] = {
        True: attention(rotary_dim=sym.head_dim if whole else sym.rotary_dim),
        False: LightningAttention(
            hidden=sym.hidden,
            heads=sym.heads,
            head_dim=sym.head_dim,
            chunk=sym.scan_chunk,
            activation=function,
        ),
    }
    moe = experts(c.hidden_act)
    parts = {True: "full_attn", False: "linear_attn"}
    layers = [layer(mixers[full], moe, scaled=_scaled(c, parts[full])) for full in _full(c)]
    return decoder(
        c,
        name,
        layers,
        rotary_dim=turned,
        scan_chunk=c.block_size,
        expert_intermediate=c.intermediate_size,
    )


_ALIASES = {
    f"layernorm_{theirs}_{side}": f"{ours}_{side}_factor"
    for theirs, ours in (
        ("full_attention", "full_attn"),
        ("linear_attention", "linear_attn"),
        ("mlp", "mlp"),
    )
    for side in ("alpha", "beta")
}

FAMILIES = {
    "minimax": Family(
        MiniMaxConfig,
        minimax,
        "minimax-m1",
        _ALIASES | {"num_experts": "num_local_experts"},
        ignored="postnorm shared_moe_mode",
        kin=("minimax_m1", "minimax_text_01"),
    )
}
