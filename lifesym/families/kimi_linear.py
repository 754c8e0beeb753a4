"""Kimi Linear and Ling 3: Kimi delta attention, some layers latent attention; dense ones, experts.

Sources: Kimi Linear, arXiv 2510.26692, section 4; transformers, ``kimi_linear`` and
``bailing_hybrid``.
"""

from typing import Any

import msgspec

from lifesym import symbols as sym
from lifesym.blocks import Block, KimiDelta
from lifesym.families.base import (
    Count,
    Family,
    StackConfig,
    Whole,
    activation,
    listed,
    refuse,
)
from lifesym.families.decoder import decoder, experts, latent, layer, mlp
from lifesym.families.mamba import Kernel
from lifesym.model import Model

CHUNK = 64
"""Tokens of a chunk: a constant of transformers' code, not of the config."""


class LinearConfig(msgspec.Struct, kw_only=True):
    """Sizes of the delta attention, and which layers have it, counted from 1."""

    head_dim: Count | None = None
    num_heads: Count | None = None
    short_conv_kernel_size: Kernel | None = None
    full_attn_layers: list[int] | None = None
    kda_layers: list[int] | None = None
    use_full_rank_gate: bool = False


class HybridConfig(StackConfig, kw_only=True):
    """What both have; no class of them ties its LM head to the embedding."""

    intermediate_size: Count
    moe_intermediate_size: Count
    num_experts: Count
    num_experts_per_tok: Count
    kv_lora_rank: Count
    qk_nope_head_dim: Count
    qk_rope_head_dim: Count
    v_head_dim: Count
    q_lora_rank: Count | None = None
    num_key_value_heads: Count | None = None
    n_shared_experts: Whole = 1
    first_k_dense_replace: Whole = 1
    layer_types: list[str] | None = None
    mlp_layer_types: list[str] | None = None
    hidden_act: str = "silu"
    attention_bias: bool = False
    tie_word_embeddings: bool = False


class KimiLinearConfig(HybridConfig, kw_only=True):
    """What the nested config has goes before flat keys of the same."""

    moe_layer_freq: Count = 1
    linear_attn_config: LinearConfig | None = None
    linear_head_dim: Count = 128
    linear_num_heads: Count = 32
    linear_conv_kernel_dim: Kernel = 4
    mla_use_nope: bool = True
    mla_use_output_gate: bool = False
    moe_router_activation_func: str = "sigmoid"
    routed_expert_hidden_size: Count | None = None
    attn_res_block_size: Count | None = None


class BailingConfig(HybridConfig, kw_only=True):
    """The last layer of each group has latent attention; the delta attention has as many heads."""

    first_k_dense_replace: Whole = 2
    head_dim: Count = 128
    short_conv_kernel_size: Kernel = 4
    layer_group_size: Count = 6
    kda_safe_gate: bool = True
    no_kda_lora: bool = True
    gated_attention_proj_granularity_type: str = "head_wise"
    moe_shared_expert_intermediate_size: Count | None = None
    score_function: str = "sigmoid"
    use_bias: bool = False
    use_qkv_bias: bool = False
    use_mla_nope: bool = False


def _full(c: HybridConfig, nested: LinearConfig) -> list[bool]:
    """Which layers have latent attention."""
    depth = c.num_hidden_layers
    if c.layer_types is not None:
        return listed(c.layer_types, depth, {"linear_attention": False, "full_attention": True})
    if isinstance(c, BailingConfig):
        size = c.layer_group_size
        refuse(depth % size != 0, f"key 'layer_group_size': {size} of {depth} layers")
        return [(i + 1) % size == 0 for i in range(depth)]
    full, linear = nested.full_attn_layers, nested.kda_layers
    if full is None or linear is None:
        return [i > 0 and i % 4 == 0 for i in range(depth)]
    refuse(
        sorted([*full, *linear]) != list(range(1, depth + 1)),
        f"key 'linear_attn_config': its lists must have each of the {depth} layers once",
    )
    return [i in full for i in range(1, depth + 1)]


def _dense(c: HybridConfig) -> list[bool]:
    """Which layers have no experts."""
    depth, words = c.num_hidden_layers, c.mlp_layer_types
    if words is None:
        return [i < c.first_k_dense_replace for i in range(depth)]
    return listed(words, depth, {"dense": True, "sparse": False}, "mlp_layer_types")


def _check(c: HybridConfig) -> None:
    """What both refuse."""
    refuse(c.tie_word_embeddings, "key 'tie_word_embeddings': the class has a head of its own")
    heads = c.num_attention_heads
    refuse(
        c.num_key_value_heads not in (None, heads),
        f"key 'num_key_value_heads': {c.num_key_value_heads}, but latent attention has one for"
        f" each of the {heads} heads",
    )


def _hybrid(
    c: HybridConfig,
    name: str,
    nested: LinearConfig,
    full: dict[str, Any],
    linear: dict[str, Any],
    **sizes: Any,
) -> Model:
    """The stack of both, with options of the two kinds of attention."""
    _check(c)
    mixers: dict[bool, Block] = {
        True: latent(c, **full),
        False: KimiDelta(
            hidden=sym.hidden,
            heads=sym.linear_value_heads,
            head_dim=sym.linear_value_dim,
            kernel=sym.conv_kernel,
            chunk=sym.scan_chunk,
            activation=activation(c.hidden_act),
            **linear,
        ),
    }
    shared = c.n_shared_experts
    blocks: dict[bool, Block] = {
        True: mlp(c.hidden_act),
        False: experts(c.hidden_act, shared=shared > 0, sigmoid=True),
    }
    parts = zip(_full(c, nested), _dense(c), strict=True)
    return decoder(
        c,
        name,
        [layer(mixers[attends], blocks[dense]) for attends, dense in parts],
        shared_intermediate=shared * c.moe_intermediate_size,
        scan_chunk=CHUNK,
        **sizes,
    )


def kimi_linear(c: KimiLinearConfig, name: str) -> Model:
    """Kimi Linear: latent attention without positions, shared experts; not what Kimi K3 adds."""
    nested, scores = c.linear_attn_config or LinearConfig(), c.moe_router_activation_func
    refuse(c.moe_layer_freq != 1, "key 'moe_layer_freq': only 1 is modelled")
    refuse(not c.mla_use_nope, "key 'mla_use_nope': false is not modelled")
    refuse(c.mla_use_output_gate, "key 'mla_use_output_gate': true is not modelled")
    refuse(nested.use_full_rank_gate, "key 'use_full_rank_gate': true is not modelled")
    refuse(scores != "sigmoid", f"key 'moe_router_activation_func': {scores!r} is not modelled")
    for key in ("routed_expert_hidden_size", "attn_res_block_size"):
        refuse(getattr(c, key) is not None, f"key {key!r}: not modelled")
    return _hybrid(
        c,
        name,
        nested,
        {"rotated": False},
        {},
        linear_value_heads=nested.num_heads or c.linear_num_heads,
        linear_value_dim=nested.head_dim or c.linear_head_dim,
        conv_kernel=nested.short_conv_kernel_size or c.linear_conv_kernel_dim,
    )


def bailing(c: BailingConfig, name: str) -> Model:
    """Ling 3: latent attention with a gate a head, decays from one projection."""
    kind, shared = c.gated_attention_proj_granularity_type, c.moe_shared_expert_intermediate_size
    refuse(kind != "head_wise", f"key 'gated_attention_proj_granularity_type': {kind!r}")
    refuse(
        shared not in (None, c.moe_intermediate_size),
        f"key 'moe_shared_expert_intermediate_size': {shared}, not {c.moe_intermediate_size}",
    )
    refuse(not c.no_kda_lora, "key 'no_kda_lora': false is not modelled")
    refuse(c.score_function != "sigmoid", f"key 'score_function': {c.score_function!r}")
    for key in ("use_bias", "use_qkv_bias", "use_mla_nope"):
        refuse(getattr(c, key), f"key {key!r}: true is not modelled")
    return _hybrid(
        c,
        name,
        LinearConfig(),
        {"gate": "head"},
        {"low_rank": False, "bounded": c.kda_safe_gate},
        linear_value_heads=c.num_attention_heads,
        linear_value_dim=c.head_dim,
        conv_kernel=c.short_conv_kernel_size,
    )


_ALIASES = {
    "num_experts_per_token": "num_experts_per_tok",
    "num_shared_experts": "n_shared_experts",
    "num_local_experts": "num_experts",
}
_IGNORED = """
    moe_renormalize n_group num_expert_group num_nextn_predict_layers qk_head_dim rope_interleave
    routed_scaling_factor topk_group topk_method
"""

FAMILIES = {
    "kimi_linear": Family(
        KimiLinearConfig,
        kimi_linear,
        "kimi-linear-48b-a3b",
        _ALIASES,
        ignored=f"{_IGNORED} head_dim latent_moe_use_norm use_grouped_topk",
    ),
    "bailing_hybrid": Family(
        BailingConfig,
        bailing,
        "ling-3.0-tiny",
        _ALIASES,
        ignored=f"""{_IGNORED}
            group_norm_size kda_lower_bound linear_silu moe_router_enable_expert_bias
            mtp_loss_scaling_factor num_mtp_layers rotary_dim router_dtype scoring_func use_kda_lora
            use_qk_norm
        """,
    ),
}
