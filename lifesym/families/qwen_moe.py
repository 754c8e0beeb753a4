"""Qwen's mixtures of experts: qwen2_moe and qwen3_moe.

Their layers differ in two ways: some have an ordinary MLP, some a sliding window.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from lifesym import symbols as sym
from lifesym.blocks import MLP, MoE
from lifesym.families.base import Count, Family, activation, assemble, layer_kinds, refuse
from lifesym.families.llama import DERIVED, LlamaConfig
from lifesym.families.mixed import mixed_sections
from lifesym.families.moe import llama_ends, moe_sizes, pre_norm_layer, rotary_attention
from lifesym.model import Model

Window = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
"""A window; transformers 5 stores 0 where none is used."""


class QwenMoeConfig(LlamaConfig, kw_only=True):
    """Every ``decoder_sparse_step``-th layer has experts, unless listed in ``mlp_only_layers``."""

    num_experts: Count
    num_experts_per_tok: Count
    moe_intermediate_size: Count
    head_dim: Count = DERIVED
    decoder_sparse_step: Count = 1
    mlp_only_layers: list[Annotated[int, msgspec.Meta(ge=0)]] | None = None
    use_sliding_window: bool = False
    sliding_window: Window | None = 4096
    layer_types: list[str] | None = None


class Qwen2MoeConfig(QwenMoeConfig, kw_only=True):
    """A window, if used, in every other layer up to ``max_window_layers``."""

    shared_expert_intermediate_size: Count
    qkv_bias: bool = True
    max_window_layers: int = 28


class Qwen3MoeConfig(QwenMoeConfig, kw_only=True):
    """A window, if used, in every layer."""


def _model(
    c: QwenMoeConfig,
    name: str,
    slides: Sequence[bool],
    shared: int | None = None,
    **options: Any,
) -> Model:
    refuse(c.num_key_value_heads is None, "missing key 'num_key_value_heads'")
    only, step = set(c.mlp_only_layers or ()), c.decoder_sparse_step
    dense = [i in only or (i + 1) % step != 0 for i in range(c.num_hidden_layers)]
    function = activation(c.hidden_act)
    moe = MoE(
        hidden=sym.hidden,
        experts=sym.experts,
        active=sym.active_experts,
        intermediate=sym.expert_intermediate,
        activation=function,
        shared=None if shared is None else sym.shared_intermediate,
        shared_gate=shared is not None,
    )
    mlp = MLP(hidden=sym.hidden, intermediate=sym.intermediate, activation=function)
    sections, counts = mixed_sections(
        [not slide for slide in slides],
        dense,
        lambda full, plain: pre_norm_layer(
            rotary_attention(None if full else sym.window, **options), mlp if plain else moe
        ),
        other="sliding",
    )
    sizes = moe_sizes(
        c,
        experts=c.num_experts,
        active=c.num_experts_per_tok,
        width=c.moe_intermediate_size,
        shared_intermediate=shared,
        intermediate=c.intermediate_size if any(dense) else None,
        window=c.sliding_window if any(slides) else None,
    )
    return assemble(name, c.model_type, llama_ends(c, sections), counts, sizes)


def _window(c: QwenMoeConfig) -> int | None:
    """The window in use."""
    if not c.use_sliding_window:
        return None
    refuse(not c.sliding_window, "key 'sliding_window': needed with 'use_sliding_window'")
    return c.sliding_window


def qwen2_moe(c: Qwen2MoeConfig, name: str) -> Model:
    """Qwen 1.5 and 2 MoE: a gated shared expert beside the routed ones."""
    slides = layer_kinds(
        c.layer_types,
        c.num_hidden_layers,
        _window(c),
        lambda i: i % 2 == 0 and i < c.max_window_layers,
    )
    shared = c.shared_expert_intermediate_size
    return _model(c, name, slides, shared, qkv_bias=c.qkv_bias)


def qwen3_moe(c: Qwen3MoeConfig, name: str) -> Model:
    """Qwen 3 MoE: no shared expert; queries and keys normalized over each head."""
    window = _window(c)
    slides = layer_kinds(c.layer_types, c.num_hidden_layers, window, lambda _: True)
    refuse(
        any(slides) != all(slides) or (window is not None and not any(slides)),
        "key 'layer_types': every layer has the window, or none",
    )
    bias = c.attention_bias
    return _model(c, name, slides, qkv_bias=bias, out_bias=bias, qk_norm="head")


FAMILIES = {
    "qwen2_moe": Family(Qwen2MoeConfig, qwen2_moe, "qwen1.5-moe-a2.7b"),
    "qwen3_moe": Family(
        Qwen3MoeConfig,
        qwen3_moe,
        "qwen3-30b-a3b",
        {"num_local_experts": "num_experts"},
        ignored="max_window_layers qkv_bias shared_expert_intermediate_size use_qk_norm",
        kin=("qwen3_vl_moe_text",),
    ),
}
