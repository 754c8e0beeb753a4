"""MiniMax M3: attention to blocks of keys that an indexer chooses, dense layers, then experts.

Source: transformers, ``minimax_m3_vl`` (the text model), whose eager code computes all scores and
masks what is not chosen: ``windows=False`` here.
"""

import msgspec

from lifesym import symbols as sym
from lifesym.blocks import BlockIndexer
from lifesym.families.base import Count, Family, StackConfig, Whole, each_layer, listed, refuse
from lifesym.families.decoder import attention, decoder, experts, head_size, layer, mlp
from lifesym.model import Model


class SparseAttention(msgspec.Struct, kw_only=True):
    """The indexer's sizes, and which layers have one, as checkpoints nest them."""

    sparse_num_index_heads: Count = 4
    sparse_index_dim: Count = 128
    sparse_block_size: Count = 128
    sparse_topk_blocks: Count = 16
    sparse_local_block: Whole = 1
    sparse_init_block: Whole = 0
    sparse_score_type: str = "max"
    sparse_attention_freq: list[Whole] | None = None
    sparse_disable_index_value: list[Whole] | None = None


class MiniMaxM3Config(StackConfig, kw_only=True):
    """``intermediate_size`` is that of an expert; the nested config goes before flat keys."""

    intermediate_size: Count
    dense_intermediate_size: Count
    shared_intermediate_size: Count
    num_key_value_heads: Count
    num_local_experts: Count
    num_experts_per_tok: Count
    head_dim: Count = 128
    rotary_dim: Count = 64
    sparse_attention_config: SparseAttention | None = None
    index_n_heads: Count = 4
    index_head_dim: Count = 128
    index_block_size: Count = 128
    index_topk_blocks: Count = 16
    index_local_blocks: Whole = 1
    layer_types: list[str] | None = None
    mlp_layer_types: list[str] | None = None
    moe_layer_freq: list[Whole] | None = None
    n_shared_experts: Count = 1
    hidden_act: str = "silu"
    attention_output_gate: bool = False
    use_qk_norm: bool = True
    qk_norm_type: str = "per_head"
    scoring_func: str = "sigmoid"
    tie_word_embeddings: bool = False

    @property
    def index(self) -> SparseAttention:
        """What the indexer is like, whichever way it is said."""
        return self.sparse_attention_config or SparseAttention(
            sparse_num_index_heads=self.index_n_heads,
            sparse_index_dim=self.index_head_dim,
            sparse_block_size=self.index_block_size,
            sparse_topk_blocks=self.index_topk_blocks,
            sparse_local_block=self.index_local_blocks,
        )


def _flags(
    words: list[str] | None, numbers: list[int] | None, on: str, keys: str, n: int
) -> list[bool]:
    """Which of n layers are ``on``, by words or else by numbers."""
    named, numbered = keys.split()
    if words is not None:
        off = {"minimax_m3_sparse": "full_attention", "sparse": "dense"}[on]
        return listed(words, n, {on: True, off: False}, named)
    if numbers is None:
        return [on == "sparse"] * n
    each_layer(numbers, n, numbered)
    return [number != 0 for number in numbers]


def _check(c: MiniMaxM3Config, sparse: list[bool]) -> None:
    """What the class does not have, and what would change the choice."""
    own = c.index
    refuse(c.attention_output_gate, "key 'attention_output_gate': true is not modelled")
    refuse(not c.use_qk_norm, "key 'use_qk_norm': false is not modelled")
    refuse(c.qk_norm_type != "per_head", f"key 'qk_norm_type': {c.qk_norm_type!r} is not modelled")
    refuse(c.scoring_func != "sigmoid", f"key 'scoring_func': {c.scoring_func!r} is not modelled")
    refuse(c.n_shared_experts != 1, "key 'n_shared_experts': only 1 is modelled")
    refuse(c.hidden_act not in ("silu", "swigluoai"), f"key 'hidden_act': {c.hidden_act!r}")
    kind, local = own.sparse_score_type, own.sparse_local_block
    refuse(kind != "max", f"key 'sparse_score_type': {kind!r} is not modelled")
    refuse(own.sparse_init_block != 0, "key 'sparse_init_block': only 0 is modelled")
    refuse(
        not 1 <= local <= own.sparse_topk_blocks,
        f"key 'sparse_local_block': {local} of {own.sparse_topk_blocks} chosen blocks",
    )
    valued = own.sparse_disable_index_value or [1] * len(sparse)
    each_layer(valued, len(sparse), "sparse_disable_index_value")
    refuse(
        any(each == 0 for each, chosen in zip(valued, sparse, strict=True) if chosen),
        "key 'sparse_disable_index_value': 0 in a layer with an indexer is not modelled",
    )
    heads = own.sparse_num_index_heads
    refuse(
        any(sparse) and heads != c.num_key_value_heads,
        f"key 'sparse_num_index_heads': {heads}, but each of the {c.num_key_value_heads} key heads"
        " has a choice of its own",
    )
    least = min(head_size(c), own.sparse_index_dim) if any(sparse) else head_size(c)
    refuse(c.rotary_dim > least, f"key 'rotary_dim': {c.rotary_dim} of a head of {least}")


def minimax_m3(c: MiniMaxM3Config, name: str) -> Model:
    """MiniMax M3: normalized queries and keys, partly rotated heads, a shared expert."""
    depth, own = c.num_hidden_layers, c.index
    chosen = own.sparse_attention_freq
    keys = "layer_types sparse_attention_freq"
    sparse = _flags(c.layer_types, chosen, "minimax_m3_sparse", keys, depth)
    keys = "mlp_layer_types moe_layer_freq"
    routed = _flags(c.mlp_layer_types, c.moe_layer_freq, "sparse", keys, depth)
    _check(c, sparse)
    indexer = BlockIndexer(
        hidden=sym.hidden,
        heads=sym.kv_heads,
        head_dim=sym.index_dim,
        rotary_dim=sym.rotary_dim,
        block=sym.index_block,
        top=sym.index_blocks,
    )
    mixers = {
        each: attention(
            qk_norm="head", rotary_dim=sym.rotary_dim, indexer=indexer if each else None
        )
        for each in (True, False)
    }
    blocks = {True: experts("silu", shared=True, sigmoid=True), False: mlp("silu", fused=True)}
    parts = zip(sparse, routed, strict=True)
    return decoder(
        c,
        name,
        [layer(mixers[choosing], blocks[moe]) for choosing, moe in parts],
        rotary_dim=c.rotary_dim,
        intermediate=c.dense_intermediate_size,
        expert_intermediate=c.intermediate_size,
        index_dim=own.sparse_index_dim,
        index_block=own.sparse_block_size,
        index_blocks=own.sparse_topk_blocks,
    )


FAMILIES = {
    "minimax_m3": Family(
        MiniMaxM3Config,
        minimax_m3,
        "minimax-m3",
        {"num_experts": "num_local_experts"},
        ignored="""
            first_k_dense_replace moe_intermediate_size num_mtp_modules num_nextn_predict_layers
            routed_scaling_factor swiglu_alpha swiglu_limit use_gemma_norm use_routing_bias
        """,
        kin=("minimax_m3_vl_text",),
    )
}
