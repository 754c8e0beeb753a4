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
from lifesym.families.base import Count, Family, listed, refuse
from lifesym.families.decoder import Ends, decoder, experts, latent, layer, mlp
from lifesym.families.deepseek import _IGNORED, DeepseekV3Config
from lifesym.model import Model


class SparseConfig(DeepseekV3Config, kw_only=True):
    """V3 with an indexer, whose queries come from the compressed ones."""

    q_lora_rank: Count = 1536
    index_topk: Count = 2048
    index_head_dim: Count = 128
    index_n_heads: Count = 64
    mlp_layer_types: list[str] | None = None


class GlmSparseConfig(SparseConfig, kw_only=True):
    """``shared`` layers use the choice of an earlier one, as they are listed or by a rule."""

    num_key_value_heads: Count | None = 64
    q_lora_rank: Count = 2048
    index_n_heads: Count = 32
    indexer_types: list[str] | None = None
    index_topk_freq: int = 1
    index_skip_topk_offset: int = 2
    index_topk_pattern: str | list[str] | None = None


def dense(c: SparseConfig) -> list[bool]:
    """Which layers have no experts."""
    depth, words = c.num_hidden_layers, c.mlp_layer_types
    if words is None:
        return [i < c.first_k_dense_replace for i in range(depth)]
    return listed(words, depth, {"dense": True, "sparse": False}, "mlp_layer_types")


def indexed(c: SparseConfig) -> list[bool]:
    """Which layers have an indexer of their own: the first one must."""
    depth = c.num_hidden_layers
    if not isinstance(c, GlmSparseConfig):
        return [True] * depth
    key = "indexer_types" if c.indexer_types is not None else "index_topk_pattern"
    words = getattr(c, key)
    if words is None:
        every, offset = max(c.index_topk_freq, 1), c.index_skip_topk_offset
        return [max(i - offset + 1, 0) % every == 0 for i in range(depth)]
    own = listed(words, depth, {"full": True, "F": True, "shared": False, "S": False}, key)
    refuse(not own[0], f"key {key!r}: the first layer has no earlier one's choice")
    return own


def checked(c: SparseConfig, *, grouped: bool = True) -> None:
    """Refuse what the classes do not have; ``grouped``: the config says how many key heads."""
    refuse(c.moe_layer_freq != 1, "key 'moe_layer_freq': only 1 is modelled")
    refuse(c.mlp_bias, "key 'mlp_bias': true is not modelled")
    heads, size = c.num_attention_heads, c.index_head_dim
    refuse(
        grouped and c.num_key_value_heads not in (None, heads),
        f"key 'num_key_value_heads': {c.num_key_value_heads}, but latent attention has one for"
        f" each of the {heads} heads",
    )
    refuse(
        size < c.qk_rope_head_dim,
        f"key 'index_head_dim': {size} is less than qk_rope_head_dim = {c.qk_rope_head_dim}",
    )


def indexer(**options: Any) -> Indexer:
    """The lightning indexer, its sizes symbols."""
    usual: dict[str, Any] = {
        "hidden": sym.hidden,
        "q_rank": sym.q_rank,
        "heads": sym.index_heads,
        "head_dim": sym.index_dim,
        "rope_dim": sym.rope_dim,
        "top": sym.index_top,
    }
    return Indexer(**usual | options)


def shared_size(c: SparseConfig) -> int | None:
    """The size of the shared experts together; none of them is as good as null."""
    return (c.n_shared_experts and c.n_shared_experts * c.moe_intermediate_size) or None


def feeds(c: SparseConfig, **options: Any) -> dict[bool, Block]:
    """What follows attention, by whether a layer is dense."""
    shared = shared_size(c) is not None
    routed = experts(c.hidden_act, **{"shared": shared, "sigmoid": True} | options)
    return {True: mlp(c.hidden_act), False: routed}


def put_together(
    c: SparseConfig, name: str, layers: Sequence[Block], ends: Ends | None = None, **sizes: Any
) -> Model:
    """The decoder of these layers, with the sizes of the indexer and of shared experts."""
    usual = {
        "shared_intermediate": shared_size(c),
        "index_heads": c.index_n_heads,
        "index_dim": c.index_head_dim,
        "index_top": c.index_topk,
    }
    return decoder(c, name, layers, ends, **usual | sizes)


def sparse(c: SparseConfig, name: str) -> Model:
    """DeepSeek V3.2 and GLM 5: sparse latent attention, shared experts, dense layers."""
    checked(c)
    follows = latent(c, top=sym.index_top)
    mixers = {True: replace(follows, indexer=indexer()), False: follows}
    blocks = feeds(c)
    parts = zip(indexed(c), dense(c), strict=True)
    return put_together(c, name, [layer(mixers[own], blocks[plain]) for own, plain in parts])


SPARSE = (
    _IGNORED
    + """
    index_share_for_mtp_iteration indexer_rope_interleave layer_types moe_router_dtype
"""
)
"""How the indexer rotates pairs, and what the multi-token-prediction module shares with it."""

FAMILIES = {
    "deepseek_v32": Family(SparseConfig, sparse, "deepseek-v3.2", ignored=SPARSE),
    "glm_moe_dsa": Family(GlmSparseConfig, sparse, "glm-5", ignored=SPARSE),
}
