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
from lifesym.errors import SpecError
from lifesym.families.base import Count, Family, StackConfig, Whole, listed, refuse
from lifesym.families.decoder import RMS, Ends, decoder, experts
from lifesym.model import Model, Section
from lifesym.symbols import Size

WINDOW = "sliding_attention"
CHOSEN = "compressed_sparse_attention"
ALL = "heavily_compressed_attention"
_BY_RATE = {0: WINDOW, 4: CHOSEN, 128: ALL}
"""What a number in ``compress_ratios`` stands for, whatever ``compress_rates`` says."""


class DeepseekV4Config(StackConfig, kw_only=True):
    """Layers are listed by word, or by the tokens of a compressed key, or by the class's rule."""

    moe_intermediate_size: Count
    n_routed_experts: Count
    num_experts_per_tok: Count
    num_key_value_heads: Count = 1
    head_dim: Count = 512
    q_lora_rank: Count = 1024
    n_shared_experts: Whole = 1
    scoring_func: str = "sqrtsoftplus"
    layer_types: list[str] | None = None
    compress_ratios: list[Whole] | None = None
    compress_rates: dict[str, Count] | None = None
    compress_rate_csa: Count | None = None
    compress_rate_hca: Count | None = None
    mlp_layer_types: list[str] | None = None
    num_hash_layers: Whole = 3
    sliding_window: Count = 128
    hc_mult: Count = 4
    hc_sinkhorn_iters: Count = 20
    o_groups: Count = 8
    o_lora_rank: Count = 1024
    index_n_heads: Count = 64
    index_head_dim: Count = 128
    index_topk: Count = 512
    qk_rope_head_dim: Count | None = None
    partial_rotary_factor: float | None = None
    hidden_act: str = "silu"
    mlp_bias: bool = False
    tie_word_embeddings: bool = False

    @property
    def turned(self) -> int:
        """Rotated elements of a head."""
        if self.partial_rotary_factor is None:
            return self.qk_rope_head_dim or int(self.head_dim * 64 / 512)
        return int(self.head_dim * self.partial_rotary_factor)


def _kinds(c: DeepseekV4Config) -> list[str]:
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


def _hashed(c: DeepseekV4Config) -> list[bool]:
    """In which layers the token decides on the experts."""
    depth, words = c.num_hidden_layers, c.mlp_layer_types
    if words is None:
        return [i < c.num_hash_layers for i in range(depth)]
    return listed(words[:depth], depth, {"hash_moe": True, "moe": False}, "mlp_layer_types")


def _rates(c: DeepseekV4Config) -> Mapping[str, int]:
    """Tokens of a compressed key."""
    rates = {CHOSEN: 4, ALL: 128} if c.compress_rates is None else dict(c.compress_rates)
    for kind, old in ((CHOSEN, c.compress_rate_csa), (ALL, c.compress_rate_hca)):
        rates |= {} if old is None else {kind: old}
        refuse(kind not in rates, f"key 'compress_rates': has no {kind!r}")
    return rates


def deepseek_v4(c: DeepseekV4Config, name: str) -> Model:
    """DeepSeek V4: one head of keys that are values, sinks, a shared expert."""
    refuse(c.num_key_value_heads != 1, "key 'num_key_value_heads': only 1 is modelled")
    refuse(c.n_shared_experts != 1, "key 'n_shared_experts': only 1 is modelled")
    refuse(c.sliding_window == 1, "key 'sliding_window': a window of 1 is not modelled")
    width = c.num_attention_heads * c.head_dim
    refuse(width % c.o_groups != 0, f"key 'o_groups': {c.o_groups} does not divide {width}")
    least = min(c.head_dim, c.index_head_dim)
    refuse(
        c.turned % 2 != 0 or not 0 < c.turned <= least,
        f"key 'qk_rope_head_dim': {c.turned} is no even part of a head of {least}",
    )
    scores = {"sqrtsoftplus": {"root": True}, "sigmoid": {"sigmoid": True}, "softmax": {}}
    if c.scoring_func not in scores:
        raise SpecError(f"key 'scoring_func': {c.scoring_func!r} is not modelled")

    def compressor(rate: Size, **options: Any) -> Compressor:
        usual = {"hidden": sym.hidden, "features": sym.head_dim, "rope_dim": sym.rope_dim}
        return Compressor(rate=rate, **usual | options)

    indexer = CompressedIndexer(
        compressor=compressor(
            sym.compress_rate, overlap=True, features=sym.index_dim, label="index"
        ),
        q_rank=sym.q_rank,
        heads=sym.index_heads,
        top=sym.index_top,
    )
    parts: dict[str, dict[str, Any]] = {
        WINDOW: {},
        CHOSEN: {"compressor": compressor(sym.compress_rate, overlap=True), "indexer": indexer},
        ALL: {"compressor": compressor(sym.heavy_rate)},
    }

    def one(kind: str, hashed: bool) -> HyperLayer:
        mixer = CompressedAttention(
            hidden=sym.hidden,
            heads=sym.heads,
            head_dim=sym.head_dim,
            rope_dim=sym.rope_dim,
            q_rank=sym.q_rank,
            groups=sym.out_groups,
            out_rank=sym.out_rank,
            window=sym.window,
            **parts[kind],
        )
        moe = experts(
            c.hidden_act, shared=True, shared_bias=c.mlp_bias, hashed=hashed,
            **scores[c.scoring_func],
        )  # fmt: skip
        return HyperLayer(
            hidden=sym.hidden,
            streams=sym.streams,
            mixer=mixer,
            mlp=moe,
            norm=RMS,
            rounds=c.hc_sinkhorn_iters,
        )

    closed = CollapsedStreams(hidden=sym.hidden, streams=sym.streams)
    rates = _rates(c)
    return decoder(
        c,
        name,
        [one(kind, hashed) for kind, hashed in zip(_kinds(c), _hashed(c), strict=True)],
        Ends(after=(Section(label="collapse", count=1, block=closed),)),
        shared_intermediate=c.moe_intermediate_size,
        rope_dim=c.turned,
        streams=c.hc_mult,
        out_groups=c.o_groups,
        out_rank=c.o_lora_rank,
        compress_rate=rates[CHOSEN],
        heavy_rate=rates[ALL],
        index_heads=c.index_n_heads,
        index_dim=c.index_head_dim,
        index_top=c.index_topk,
    )


FAMILIES = {
    "deepseek_v4": Family(
        DeepseekV4Config,
        deepseek_v4,
        "deepseek-v4-flash",
        ignored="""
            attention_bias compress_rope_theta hc_eps intermediate_size num_nextn_predict_layers
            routed_scaling_factor scale_fmt swiglu_limit topk_method expert_dtype
        """,
        kin=("deepseek_ref",),  # what the first files of DeepSeek and SGLang call it
    ),
}
