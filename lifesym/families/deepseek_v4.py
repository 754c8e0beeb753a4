"""DeepSeek V4: windows beside compressed keys, hyper-connections, experts in every layer.

Source: transformers 5.24, ``deepseek_v4``. Its eager code computes the scores of all compressed
keys and masks those that are not chosen, but has real windows: that is ``windows=True`` where no
query sees more than ``index_topk`` of them; engines read the chosen keys alone.
"""

from collections.abc import Mapping
from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import (
    CollapsedStreams,
    CompressedAttention,
    CompressedIndexer,
    Compressor,
    HyperLayer,
)
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import Ends, decoder, once
from lifesym.families.parts import HEADS, RMS, STREAMS, experts
from lifesym.families.patterns import listed
from lifesym.model import Model
from lifesym.symbols import Size

WINDOW = "sliding_attention"
CHOSEN = "compressed_sparse_attention"
ALL = "heavily_compressed_attention"
_BY_RATE = {0: WINDOW, 4: CHOSEN, 128: ALL}
"""What a number in ``compress_ratios`` stands for, whatever ``compress_rates`` says."""


def _turned(c: Config) -> int:
    """Rotated elements of a head."""
    if c.partial_rotary_factor is None:
        return c.qk_rope_head_dim or int(c.head_dim * 64 / 512)
    return int(c.head_dim * c.partial_rotary_factor)


def _kinds(c: Config) -> list[str]:
    """What each layer attends to."""
    depth, words = c.num_hidden_layers, c.layer_types
    if words is None and c.compress_ratios is not None:
        for rate in c.compress_ratios:
            refuse(rate not in _BY_RATE, f"key 'compress_ratios': {rate} is not 0, 4 or 128")
        words = [_BY_RATE[rate] for rate in c.compress_ratios]
    if words is None:
        return [CHOSEN if i > 1 and i % 2 else ALL for i in range(depth)]
    known = dict(zip(_BY_RATE.values(), _BY_RATE.values(), strict=True))
    # the module that predicts further tokens is listed after the layers
    key = "compress_ratios" if c.layer_types is None else "layer_types"
    return listed(words[:depth], depth, known, key)


def _hashed(c: Config) -> list[bool]:
    """In which layers the token decides on the experts."""
    depth, words = c.num_hidden_layers, c.mlp_layer_types
    if words is None:
        return [i < c.num_hash_layers for i in range(depth)]
    return listed(words[:depth], depth, {"hash_moe": True, "moe": False}, "mlp_layer_types")


def _rates(c: Config) -> Mapping[str, int]:
    """Tokens of a compressed key."""
    rates = {CHOSEN: 4, ALL: 128} if c.compress_rates is None else dict(c.compress_rates)
    for kind, old in ((CHOSEN, c.compress_rate_csa), (ALL, c.compress_rate_hca)):
        rates |= {} if old is None else {kind: old}
        refuse(kind not in rates, f"key 'compress_rates': has no {kind!r}")
    return rates


def deepseek_v4(c: Config) -> Model:
    """DeepSeek V4: one head of keys that are values, sinks, a shared expert."""
    width = c.num_attention_heads * c.head_dim
    refuse(width % c.o_groups != 0, f"key 'o_groups': {c.o_groups} does not divide {width}")
    least, turned = min(c.head_dim, c.index_head_dim), _turned(c)
    refuse(
        turned % 2 != 0 or not 0 < turned <= least,
        f"key 'qk_rope_head_dim': {turned} is no even part of a head of {least}",
    )
    scores = {"sqrtsoftplus": {"root": True}, "sigmoid": {"sigmoid": True}, "softmax": {}}
    scored = scores.get(c.scoring_func)
    refuse(scored is None, f"key 'scoring_func': {c.scoring_func!r} is not modelled")

    def compressor(rate: Size, **options: Any) -> Compressor:
        usual = {"hidden": sym.hidden, "features": sym.head_dim, "rope_dim": sym.rope_dim}
        return Compressor(rate=rate, **usual | options)

    rate = sym.compress_rate
    indexer = CompressedIndexer(
        compressor=compressor(rate, overlap=True, features=sym.index_dim, label="index"),
        q_rank=sym.q_rank,
        heads=sym.index_heads,
        top=sym.index_top,
    )
    parts: dict[str, dict[str, Any]] = {
        WINDOW: {},
        CHOSEN: {"compressor": compressor(rate, overlap=True), "indexer": indexer},
        ALL: {"compressor": compressor(sym.heavy_rate)},
    }

    def one(kind: str, hashed: bool) -> HyperLayer:
        mixer = CompressedAttention(
            **HEADS,
            rope_dim=sym.rope_dim,
            q_rank=sym.q_rank,
            groups=sym.out_groups,
            out_rank=sym.out_rank,
            window=sym.window,
            **parts[kind],
        )
        moe = experts(c, shared=True, shared_bias=c.mlp_bias, hashed=hashed, **scored or {})
        rounds = c.hc_sinkhorn_iters
        return HyperLayer(**STREAMS, mixer=mixer, mlp=moe, norm=RMS, rounds=rounds)

    rates, closed = _rates(c), CollapsedStreams(**STREAMS)
    return decoder(
        c,
        [one(kind, hashed) for kind, hashed in zip(_kinds(c), _hashed(c), strict=True)],
        Ends(after=(once("collapse", closed),)),
        rope_dim=turned,
        compress_rate=rates[CHOSEN],
        heavy_rate=rates[ALL],
    )
