"""More mixtures of experts: phimoe, dbrx and minimax_m2."""

from dataclasses import replace
from typing import Any

import msgspec

from lifesym import symbols as sym
from lifesym.blocks import MoE, NormSpec
from lifesym.families.base import (
    Config,
    Count,
    Decoder,
    Family,
    activation,
    assemble,
    grouped,
    layer_kinds,
    numbers,
    per_head,
    refuse,
)
from lifesym.families.llama import DERIVED, LlamaConfig
from lifesym.families.moe import moe_sizes, pre_norm_layer, rotary_attention
from lifesym.model import Model, Section


class ExpertsConfig(LlamaConfig, kw_only=True):
    """``intermediate_size`` is that of one expert."""

    num_local_experts: Count
    num_experts_per_tok: Count
    head_dim: Count = DERIVED


class PhimoeConfig(ExpertsConfig, kw_only=True):
    """LayerNorms, and biases in the attention and on the LM head; its class has no null heads."""

    num_key_value_heads: Count
    lm_head_bias: bool = False
    sliding_window: Count | None = None
    layer_types: list[str] | None = None


class MinimaxConfig(ExpertsConfig, kw_only=True):
    """Sigmoid scores; queries and keys normalized over all heads; partial rotary embedding."""

    head_dim: Count = 128
    rotary_dim: Count | None = None
    attn_type_list: list[int] | None = None
    shared_intermediate_size: int = 0
    use_qk_norm: bool = True
    qk_norm_type: str = "per_layer"
    scoring_func: str = "sigmoid"


class DbrxAttentionConfig(msgspec.Struct, kw_only=True):
    """The attention's keys."""

    kv_n_heads: Count = 1
    rope_theta: float
    clip_qkv: float | None = None


class DbrxFunction(msgspec.Struct, kw_only=True):
    """The experts' activation function."""

    name: str = "silu"


class DbrxMlpConfig(msgspec.Struct, kw_only=True):
    """The experts' keys; the defaults are the class's."""

    ffn_hidden_size: Count = 3584
    moe_num_experts: Count = 4
    moe_top_k: Count = 1
    ffn_act_fn: DbrxFunction = msgspec.field(default_factory=DbrxFunction)


class DbrxConfig(Config, kw_only=True):
    """LayerNorms without biases, a fused QKV projection, experts in every layer."""

    d_model: Count
    n_heads: Count
    n_layers: Count
    vocab_size: Count
    attn_config: DbrxAttentionConfig
    ffn_config: DbrxMlpConfig
    tie_word_embeddings: bool = False


def _experts(act: str, *, sigmoid: bool = False) -> MoE:
    return MoE(
        hidden=sym.hidden,
        experts=sym.experts,
        active=sym.active_experts,
        intermediate=sym.expert_intermediate,
        activation=activation(act),
        sigmoid=sigmoid,
    )


def _layers(block: Any) -> tuple[Section, ...]:
    return (Section(label="layers", count=sym.layers, block=block),)


def _moe_sizes(c: ExpertsConfig, **more: int | None) -> dict[Any, int]:
    return moe_sizes(
        c,
        experts=c.num_local_experts,
        active=c.num_experts_per_tok,
        width=c.intermediate_size,
        layers=c.num_hidden_layers,
        **more,
    )


def phimoe(c: PhimoeConfig, name: str) -> Model:
    """Phi-3.5-MoE: LayerNorms, and the window in every layer where one is given."""
    chosen = c.num_experts_per_tok
    refuse(chosen != 2, f"key 'num_experts_per_tok': its router always chooses 2, not {chosen}")
    norm = NormSpec(features=sym.hidden, kind="layer")
    bias = c.attention_bias
    kinds = layer_kinds(
        c.layer_types, c.num_hidden_layers, c.sliding_window, lambda _: True, alike=True
    )
    window = c.sliding_window if any(kinds) else None
    attention = rotary_attention(sym.window if window else None, qkv_bias=bias, out_bias=bias)
    layer = pre_norm_layer(attention, _experts(c.hidden_act))
    ends = Decoder(norm=norm, tied=c.tie_word_embeddings, head_bias=c.lm_head_bias)
    sections = ends.around(_layers(replace(layer, mixer_norm=norm, mlp_norm=norm)))
    return assemble(name, c.model_type, sections, _moe_sizes(c, window=window))


def minimax(c: MinimaxConfig, name: str) -> Model:
    """MiniMax-M2: full attention in every layer; its multi-token modules are left out."""
    refuse(any(kind != 1 for kind in c.attn_type_list or ()), "key 'attn_type_list': only 1")
    refuse(c.shared_intermediate_size != 0, "key 'shared_intermediate_size': only 0 is modelled")
    refuse(c.scoring_func != "sigmoid", "key 'scoring_func': only 'sigmoid' is modelled")
    refuse(not c.use_qk_norm, "key 'use_qk_norm': false is not modelled")
    refuse(c.qk_norm_type != "per_layer", "key 'qk_norm_type': only 'per_layer' is modelled")
    refuse(
        (c.rotary_dim or 0) > c.head_dim,
        f"key 'rotary_dim': {c.rotary_dim} is more than head_dim = {c.head_dim}",
    )
    partial = c.rotary_dim is not None and c.rotary_dim != c.head_dim
    attention = rotary_attention(
        qk_norm="all", rotary_dim=sym.rotary_dim if partial else sym.head_dim
    )
    layer = pre_norm_layer(attention, _experts(c.hidden_act, sigmoid=True))
    ends = Decoder(norm=NormSpec(features=sym.hidden), tied=c.tie_word_embeddings)
    sizes = _moe_sizes(c, rotary_dim=c.rotary_dim if partial else None)
    return assemble(name, c.model_type, ends.around(_layers(layer)), sizes)


def dbrx(c: DbrxConfig, name: str) -> Model:
    """DBRX; the clamp of queries, keys and values is not counted."""
    ffn, heads = c.ffn_config, c.n_heads
    refuse(c.tie_word_embeddings, "key 'tie_word_embeddings': DBRX cannot be tied")
    refuse(ffn.moe_top_k > ffn.moe_num_experts, "key 'ffn_config.moe_top_k': too many experts")
    norm = NormSpec(features=sym.hidden, kind="layer", bias=False)
    layer = pre_norm_layer(rotary_attention(fused=True), _experts(ffn.ffn_act_fn.name))
    sections = Decoder(norm=norm, tied=False).around(
        _layers(replace(layer, mixer_norm=norm, mlp_norm=norm))
    )
    sizes = numbers(
        layers=c.n_layers,
        hidden=c.d_model,
        heads=heads,
        kv_heads=grouped(heads, c.attn_config.kv_n_heads),
        head_dim=per_head(c.d_model, heads),
        vocab=c.vocab_size,
        experts=ffn.moe_num_experts,
        active_experts=ffn.moe_top_k,
        expert_intermediate=ffn.ffn_hidden_size,
    )
    return assemble(name, c.model_type, sections, sizes)


FAMILIES = {
    "phimoe": Family(PhimoeConfig, phimoe, "phi-3.5-moe", ignored="input_jitter_noise"),
    "dbrx": Family(
        DbrxConfig, dbrx, "dbrx", ignored="emb_pdrop max_seq_len num_key_value_heads resid_pdrop"
    ),
    "minimax_m2": Family(
        MinimaxConfig,
        minimax,
        "minimax-m2.7",
        ignored="mtp_transformer_layers num_mtp_modules use_mtp use_routing_bias",
    ),
}
