"""Qwen's mixtures of experts: qwen2_moe and qwen3_moe.

Their layers differ in two ways: some have an ordinary MLP, some a sliding window.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from sympy import Symbol

from lifesym.blocks import MoE
from lifesym.families.base import Count, Family, Whole, refuse
from lifesym.families.decoder import attention, decoder, experts, layer, mlp, windows
from lifesym.families.llama import DERIVED, LlamaConfig
from lifesym.model import Model


class QwenMoeConfig(LlamaConfig, kw_only=True):
    """Every ``decoder_sparse_step``-th layer has experts, unless listed in ``mlp_only_layers``."""

    num_experts: Count
    num_experts_per_tok: Count
    moe_intermediate_size: Count
    head_dim: Count = DERIVED
    decoder_sparse_step: Count = 1
    mlp_only_layers: list[Annotated[int, msgspec.Meta(ge=0)]] | None = None
    use_sliding_window: bool = False
    sliding_window: Whole | None = 4096
    layer_types: list[str] | None = None


class Qwen2MoeConfig(QwenMoeConfig, kw_only=True):
    """A window, if used, in every other layer up to ``max_window_layers``."""

    shared_expert_intermediate_size: Count
    qkv_bias: bool = True
    max_window_layers: int = 28


class Qwen3MoeConfig(QwenMoeConfig, kw_only=True):
    """A window, if used, in every layer."""


def _model(
    c: QwenMoeConfig, name: str, spans: Sequence[Symbol | None], moe: MoE, **options: Any
) -> Model:
    refuse(c.num_key_value_heads is None, "missing key 'num_key_value_heads'")
    only, step = set(c.mlp_only_layers or ()), c.decoder_sparse_step
    plain = mlp(c.hidden_act)
    layers = [
        layer(attention(window=span, **options), plain if i in only or (i + 1) % step else moe)
        for i, span in enumerate(spans)
    ]
    return decoder(c, name, layers)


def _window(c: QwenMoeConfig) -> int | None:
    """The window in use."""
    if not c.use_sliding_window:
        return None
    refuse(not c.sliding_window, "key 'sliding_window': needed with 'use_sliding_window'")
    return c.sliding_window


def qwen2_moe(c: Qwen2MoeConfig, name: str) -> Model:
    """Qwen 1.5 and 2 MoE: a gated shared expert beside the routed ones."""
    spans = windows(c, _window(c), lambda i: i % 2 == 0 and i < c.max_window_layers)
    moe = experts(c.hidden_act, shared=True, shared_gate=True)
    return _model(c, name, spans, moe, qkv_bias=c.qkv_bias)


def qwen3_moe(c: Qwen3MoeConfig, name: str) -> Model:
    """Qwen 3 MoE: no shared expert; queries and keys normalized over each head."""
    window = _window(c)
    spans = windows(c, window)
    refuse(
        len(set(spans)) > 1 or (window is not None and None in spans),
        "key 'layer_types': every layer has the window, or none",
    )
    return _model(c, name, spans, experts(c.hidden_act), bias=c.attention_bias, qk_norm="head")


FAMILIES = {
    "qwen2_moe": Family(Qwen2MoeConfig, qwen2_moe, "qwen1.5-moe-a2.7b"),
    "qwen3_moe": Family(
        Qwen3MoeConfig,
        qwen3_moe,
        "qwen3-30b-a3b",
        {"num_local_experts": "num_experts"},
        ignored="max_window_layers qkv_bias shared_expert_intermediate_size use_qk_norm",
        kin=("qwen3_vl_moe_text", "qwen3_omni_moe_text"),
    ),
}
