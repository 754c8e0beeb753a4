"""DeepSeek V3.2, GLM 5: latent attention to the keys that a lightning indexer chooses; experts.

Sources: DeepSeek-V3.2, arXiv 2512.02556, section 2.1; transformers, ``deepseek_v32`` and
``glm_moe_dsa``. Their eager code computes all scores and masks what is not chosen, which is
``windows=False`` here; engines read the chosen keys alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block, Indexer
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import Ends, decoder
from lifesym.families.parts import experts, latent, layer, mlp
from lifesym.families.patterns import dense_layers, listed
from lifesym.families.sizes import own_keys
from lifesym.model import Model


def indexed(c: Config) -> list[bool]:
    """Which layers have an indexer of their own: the first one must."""
    depth = c.num_hidden_layers
    if not hasattr(c, "index_topk_freq"):
        return [True] * depth
    key = "indexer_types" if c.indexer_types is not None else "index_topk_pattern"
    words = getattr(c, key)
    if words is None:
        every, offset = max(c.index_topk_freq, 1), c.index_skip_topk_offset
        return [max(i - offset + 1, 0) % every == 0 for i in range(depth)]
    own = listed(words, depth, {"full": True, "F": True, "shared": False, "S": False}, key)
    refuse(not own[0], f"key {key!r}: the first layer has no earlier one's choice")
    return own


def indexer(c: Config, **options: Any) -> Indexer:
    """The lightning indexer, its sizes symbols.

    Raises:
        SpecError: its heads are smaller than the rotated part of attention's.
    """
    size, turned = c.index_head_dim, c.qk_rope_head_dim
    refuse(size < turned, f"key 'index_head_dim': {size} is less than qk_rope_head_dim = {turned}")
    usual: dict[str, Any] = {
        "hidden": sym.hidden,
        "q_rank": sym.q_rank,
        "heads": sym.index_heads,
        "head_dim": sym.index_dim,
        "rope_dim": sym.rope_dim,
        "top": sym.index_top,
    }
    return Indexer(**usual | options)


def feeds(c: Config, dense: Sequence[bool], **options: Any) -> list[Block]:
    """What follows attention in each layer."""
    usual: dict[str, Any] = {"shared": c.n_shared_experts, "sigmoid": True}
    routed = experts(c, **usual | options)
    return [mlp(c) if alone else routed for alone in dense]


def put_together(
    c: Config, layers: Sequence[Block], ends: Ends | None = None, **sizes: Any
) -> Model:
    """The decoder of these layers, with the size of the shared experts together."""
    shared = c.n_shared_experts and c.n_shared_experts * c.moe_intermediate_size
    return decoder(c, layers, ends, **{"shared_intermediate": shared or None} | sizes)


def deepseek_v32(c: Config) -> Model:
    """DeepSeek V3.2 and GLM 5: sparse latent attention, shared experts, dense layers."""
    own_keys(c)
    follows = latent(c, top=sym.index_top)
    mixers = {True: replace(follows, indexer=indexer(c)), False: follows}
    parts = zip(indexed(c), feeds(c, dense_layers(c)), strict=True)
    return put_together(c, [layer(mixers[own], block) for own, block in parts])
