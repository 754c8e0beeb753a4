"""Delta nets in most layers: Qwen3-Next and 3.5, Lara mini, OLMo hybrid; Kimi Linear and Ling 3.

Sources: Kimi Linear, arXiv 2510.26692, section 4; transformers, ``kimi_linear`` and
``bailing_hybrid``.
"""

from collections.abc import Sequence
from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block, DeltaNet, KimiDelta
from lifesym.families.base import Config, expect, refuse
from lifesym.families.decoder import decoder
from lifesym.families.mamba import check_groups
from lifesym.families.parts import (
    AROUND,
    attention,
    experts,
    feeds,
    function,
    latent,
    layer,
    layers,
    mlp,
)
from lifesym.families.patterns import dense_layers, listed, sparse_steps
from lifesym.families.sizes import own_keys, turned
from lifesym.model import Model

CHUNK = 64
"""Tokens of a chunk: a constant of transformers' code, not of the config."""


def _delta_net(c: Config, **options: Any) -> DeltaNet:
    """A gated delta net of four input projections unless told otherwise, its sizes symbols."""
    usual: dict[str, Any] = {"inputs": "four"}
    return DeltaNet(
        hidden=sym.hidden,
        key_heads=sym.linear_key_heads,
        value_heads=sym.linear_value_heads,
        key_dim=sym.linear_key_dim,
        value_dim=sym.linear_value_dim,
        kernel=sym.conv_kernel,
        chunk=sym.scan_chunk,
        activation=function(c),
        **usual | options,
    )


_PATTERN = "linear sliding linear full sliding"
"""The mixers of Lara's layers, in turn."""


def lara_mini(c: Config) -> Model:
    """Lara mini: Qwen 3.5's delta nets, Qwen 3's attention with and without windows, experts."""
    pattern, depth = [f"{word}_attention" for word in _PATTERN.split()], c.num_hidden_layers
    usual: dict[str, Any] = {"qk_norm": "head", "rotary_dim": turned(c)}
    mixers: dict[str, Block] = {
        "linear_attention": _delta_net(c),
        "full_attention": attention(c, **usual),
        "sliding_attention": attention(c, window=sym.window, **usual),
    }
    types = c.layer_types or [pattern[i % len(pattern)] for i in range(depth)]
    layers = [layer(mixer, experts(c, shared=True)) for mixer in listed(types, depth, mixers)]
    check_groups(c.linear_num_value_heads, c.linear_num_key_heads)
    return decoder(c, layers, scan_chunk=CHUNK)


def qwen_next(c: Config) -> Model:
    """Qwen3-Next and 3.5: gated delta nets, and gated attention with partly rotated heads.

    Qwen3.5 has four input projections in a delta net, not two. Its checkpoints are
    multimodal: the vision tower is not part of the formula.
    """
    check_groups(c.linear_num_value_heads, c.linear_num_key_heads)
    mixers: dict[str, Block] = {
        "full_attention": attention(c, gated=True, qk_norm="head", rotary_dim=sym.rotary_dim),
        "linear_attention": _delta_net(c, inputs="two" if c.model_type == "qwen3_next" else "four"),
    }
    depth, every, kinds = c.num_hidden_layers, c.full_attention_interval, list(mixers)
    types = c.layer_types
    if types is None:
        types = [kinds[(i + 1) % every != 0] for i in range(depth)]
    blocks: list[Block] = [mlp(c)] * depth
    if hasattr(c, "num_experts"):
        moe = experts(c, shared=True, shared_gate=True)
        blocks = feeds(c, sparse_steps(c), moe)
    return decoder(c, layers(listed(types, depth, mixers), blocks), scan_chunk=CHUNK)


def olmo_hybrid(c: Config) -> Model:
    """OLMo hybrid: gated delta nets with norms before, OLMo 2's attention with norms after."""
    heads, depth, kinds = c.num_attention_heads, c.num_hidden_layers, ("linear", "full")
    types = c.layer_types or [f"{kinds[i % 4 == 3]}_attention" for i in range(depth)]
    if c.layer_types is None and "full_attention" not in types:
        types[-1] = "full_attention"
    refuse(len(set(types)) < 2, "key 'layer_types': both kinds of layers are needed")
    key_heads = c.linear_num_key_heads or heads
    value_heads = c.linear_num_value_heads or heads
    key_dim = c.linear_key_head_dim or 3 * c.hidden_size // (4 * key_heads)
    refuse(key_dim == 0, f"key 'linear_num_key_heads': {key_heads} for {c.hidden_size} hidden")
    check_groups(value_heads, key_heads)
    turns = sym.head_dim if (c.rope_parameters or {}).get("rope_theta") else 0
    full = attention(c, qk_norm="all", rotary_dim=turns)
    scan = _delta_net(c, inputs="six", negative=c.linear_allow_neg_eigval)
    layers = {
        "full_attention": layer(full, mlp(c), None, **AROUND),
        "linear_attention": layer(scan, mlp(c)),
    }
    return decoder(
        c,
        listed(types, depth, layers),
        linear_key_heads=key_heads,
        linear_value_heads=value_heads,
        linear_key_dim=key_dim,
        linear_value_dim=c.linear_value_head_dim or 2 * key_dim,
        scan_chunk=CHUNK,
    )


def _hybrid(
    c: Config, full: Sequence[bool], whole: Block, linear: dict[str, Any], **sizes: Any
) -> Model:
    """Latent attention in full layers, elsewhere delta attention with these options; experts."""
    own_keys(c)
    if c.layer_types is not None:
        known = {"linear_attention": False, "full_attention": True}
        full = listed(c.layer_types, c.num_hidden_layers, known)
    delta = KimiDelta(
        hidden=sym.hidden,
        heads=sym.linear_value_heads,
        head_dim=sym.linear_value_dim,
        kernel=sym.conv_kernel,
        chunk=sym.scan_chunk,
        activation=function(c),
        **linear,
    )
    shared = c.n_shared_experts * c.moe_intermediate_size
    moe = experts(c, shared=shared, sigmoid=True)
    each = layers([whole if one else delta for one in full], feeds(c, dense_layers(c), moe))
    return decoder(c, each, shared_intermediate=shared, scan_chunk=CHUNK, **sizes)


def kimi_linear(c: Config) -> Model:
    """Kimi Linear: latent attention without positions, shared experts; not what Kimi K3 adds."""
    nested, depth = c.linear_attn_config, c.num_hidden_layers
    full, linear = nested.full_attn_layers, nested.kda_layers
    if full is None or linear is None:
        full = [i + 1 for i in range(depth) if i > 0 and i % 4 == 0]
    elif c.layer_types is None:
        refuse(
            sorted([*full, *linear]) != list(range(1, depth + 1)),
            f"key 'linear_attn_config': its lists must have each of the {depth} layers once",
        )
    return _hybrid(
        c,
        [i in full for i in range(1, depth + 1)],
        latent(c, rotated=False),
        {},
        linear_value_heads=nested.num_heads or c.linear_num_heads,
        linear_value_dim=nested.head_dim or c.linear_head_dim,
        conv_kernel=nested.short_conv_kernel_size or c.linear_conv_kernel_dim,
    )


def bailing_hybrid(c: Config) -> Model:
    """Ling 3: latent attention with a gate a head, decays from one projection."""
    size, depth = c.layer_group_size, c.num_hidden_layers
    expect(c, "moe_shared_expert_intermediate_size", c.moe_intermediate_size)
    refuse(
        c.layer_types is None and depth % size != 0,
        f"key 'layer_group_size': {size} of {depth} layers",
    )
    return _hybrid(
        c,
        [(i + 1) % size == 0 for i in range(depth)],
        latent(c, gate="head"),
        {"low_rank": False, "bounded": c.kda_safe_gate},
        linear_value_heads=c.num_attention_heads,
        linear_value_dim=c.head_dim,
        conv_kernel=c.short_conv_kernel_size,
    )
