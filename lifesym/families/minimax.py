"""MiniMax-Text-01 and M1: lightning and full attention; M3: blocks of keys that indexers choose.

Sources: MiniMax-01, arXiv 2501.08313, section 2; transformers, ``minimax``, and ``minimax_m3_vl``
(the text model), whose eager code computes all scores and masks what is not chosen:
``windows=False`` here.
"""

from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import BlockIndexer, LightningAttention
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import decoder
from lifesym.families.parts import HEADS, attention, experts, function, layer, layers, mlp
from lifesym.families.patterns import dense_layers, each_layer, listed
from lifesym.families.records import struct
from lifesym.families.sizes import head_size
from lifesym.model import Model


def _full(c: Config) -> list[bool]:
    """Which layers have full attention: listed in words or as 0 and 1, or else every other one."""
    depth, types = c.num_hidden_layers, c.attn_type_list
    if c.layer_types is not None:
        return listed(c.layer_types, depth, {"linear_attention": False, "full_attention": True})
    if types is None:
        return [i % 2 == 0 for i in range(depth)]
    return listed([str(each) for each in types], depth, {"0": False, "1": True}, "attn_type_list")


def _scaled(c: Config, part: str) -> bool:
    """Whether the layers of a kind multiply one side of each of their sums by a constant."""
    counts = [
        sum(getattr(c, f"{name}_{side}_factor") != 1 for side in ("alpha", "beta"))
        for name in (part, "mlp")
    ]
    refuse(
        counts not in ([0, 0], [1, 1]),
        f"key '{part}_alpha_factor': only one factor other than 1 a sum, in both sums of a layer or"
        " in none, is modelled",
    )
    return counts == [1, 1]


def minimax(c: Config) -> Model:
    """MiniMax: blocks of lightning attention, full attention with partly rotated heads, experts."""
    size, turned = head_size(c), c.rotary_dim
    refuse((turned or 0) > size, f"key 'rotary_dim': {turned} of a head of {size}")
    lightning = LightningAttention(**HEADS, chunk=sym.scan_chunk, activation=function(c))
    whole = attention(rotary_dim=sym.head_dim if turned in (None, size) else sym.rotary_dim)
    kinds = [(whole, "full_attn") if full else (lightning, "linear_attn") for full in _full(c)]
    each = [layer(mixer, experts(c), scaled=_scaled(c, part)) for mixer, part in kinds]
    return decoder(c, each, rotary_dim=turned)


def _index(c: Config) -> Any:
    """What the indexer is like: the nested config goes before flat keys."""
    return c.sparse_attention_config or struct("sparse_attention")(
        sparse_num_index_heads=c.index_n_heads,
        sparse_index_dim=c.index_head_dim,
        sparse_block_size=c.index_block_size,
        sparse_topk_blocks=c.index_topk_blocks,
        sparse_local_block=c.index_local_blocks,
    )


def _numbered(numbers: list[int] | None, depth: int, key: str, *, usual: bool) -> list[bool]:
    """Which layers a list of numbers has a part in."""
    if numbers is None:
        return [usual] * depth
    each_layer(numbers, depth, key)
    return [number != 0 for number in numbers]


def _check(c: Config, own: Any, sparse: list[bool]) -> None:
    """Refuse what would change the choice of blocks."""
    refuse(c.hidden_act not in ("silu", "swigluoai"), f"key 'hidden_act': {c.hidden_act!r}")
    heads, local = own.sparse_num_index_heads, own.sparse_local_block
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
    refuse(
        any(sparse) and heads != c.num_key_value_heads,
        f"key 'sparse_num_index_heads': {heads}, but each of the {c.num_key_value_heads} key heads"
        " has a choice of its own",
    )
    least = min(head_size(c), own.sparse_index_dim) if any(sparse) else head_size(c)
    refuse(c.rotary_dim > least, f"key 'rotary_dim': {c.rotary_dim} of a head of {least}")


def minimax_m3(c: Config) -> Model:
    """MiniMax M3: normalized queries and keys, partly rotated heads, a shared expert."""
    depth, own = c.num_hidden_layers, _index(c)
    if c.layer_types is not None:
        known = {"minimax_m3_sparse": True, "full_attention": False}
        sparse = listed(c.layer_types, depth, known)
    else:
        sparse = _numbered(own.sparse_attention_freq, depth, "sparse_attention_freq", usual=False)
    if c.mlp_layer_types is not None:
        routed = [not each for each in dense_layers(c)]
    else:
        routed = _numbered(c.moe_layer_freq, depth, "moe_layer_freq", usual=True)
    _check(c, own, sparse)
    indexer = BlockIndexer(
        hidden=sym.hidden,
        heads=sym.kv_heads,
        head_dim=sym.index_dim,
        rotary_dim=sym.rotary_dim,
        block=sym.index_block,
        top=sym.index_blocks,
    )
    mixers = [
        attention(qk_norm="head", rotary_dim=sym.rotary_dim, indexer=indexer if each else None)
        for each in sparse
    ]
    blocks = {True: experts("silu", shared=True, sigmoid=True), False: mlp("silu", fused=True)}
    return decoder(
        c,
        layers(mixers, [blocks[moe] for moe in routed]),
        rotary_dim=c.rotary_dim,
        intermediate=c.dense_intermediate_size,
        expert_intermediate=c.intermediate_size,
        index_dim=own.sparse_index_dim,
        index_block=own.sparse_block_size,
        index_blocks=own.sparse_topk_blocks,
    )
