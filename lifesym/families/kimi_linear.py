"""Kimi Linear and Ling 3: Kimi delta attention, some layers latent attention; dense ones, experts.

Sources: Kimi Linear, arXiv 2510.26692, section 4; transformers, ``kimi_linear`` and
``bailing_hybrid``.
"""

from collections.abc import Sequence
from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block, KimiDelta
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import decoder
from lifesym.families.parts import experts, feeds, function, latent, layers
from lifesym.families.patterns import dense_layers, listed
from lifesym.families.qwen_next import CHUNK
from lifesym.families.sizes import own_keys
from lifesym.model import Model


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
    shared, depth = c.moe_shared_expert_intermediate_size, c.num_hidden_layers
    refuse(
        shared not in (None, c.moe_intermediate_size),
        f"key 'moe_shared_expert_intermediate_size': {shared}, not {c.moe_intermediate_size}",
    )
    size = c.layer_group_size
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
