"""Llamas whose attention has one more idea: DiffLlama, JetMoE and Doge."""

from typing import Any

from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import DifferentialAttention, RoutedAttention, ValueMaskedAttention
from lifesym.families.base import Config, Count, Family, grouped, refuse
from lifesym.families.decoder import decoder, experts, layer, mlp
from lifesym.families.llama import BiasedConfig, LlamaConfig
from lifesym.model import Model


class JetMoeConfig(Config, kw_only=True):
    """``intermediate_size`` is that of one expert; heads follow from the other numbers."""

    vocab_size: Count
    hidden_size: Count
    num_hidden_layers: Count
    num_key_value_heads: Count
    kv_channels: Count = 128
    intermediate_size: Count
    num_local_experts: Count = 8
    num_experts_per_tok: Count = 2
    activation_function: str = "silu"
    tie_word_embeddings: bool = True


class DogeConfig(BiasedConfig, kw_only=True):
    """``keep_window_size`` keys are left for a query."""

    keep_window_size: Count = 2048
    is_moe: bool = False


def _heads(**options: Any) -> dict[str, Any]:
    """The sizes of whole heads, all rotated."""
    usual = {"hidden": sym.hidden, "heads": sym.heads, "kv_heads": sym.kv_heads}
    return usual | {"head_dim": sym.head_dim, "rotary_dim": sym.head_dim} | options


def diffllama(c: LlamaConfig, name: str) -> Model:
    """DiffLlama: Llama whose pairs of heads give the difference of two attention maps."""
    heads = grouped(c.num_attention_heads, c.num_key_value_heads or c.num_attention_heads)
    refuse(heads % 2 != 0, f"key 'num_key_value_heads': {heads} is odd: heads are pairs")
    bias = c.attention_bias
    mixer = DifferentialAttention(**_heads(qkv_bias=bias, out_bias=bias))
    return decoder(c, name, [layer(mixer, mlp(c.hidden_act))] * c.num_hidden_layers)


def jetmoe(c: JetMoeConfig, name: str) -> Model:
    """JetMoE: experts in every layer, and experts for the projections of queries and outputs."""
    chosen = {"experts": sym.experts, "active": sym.active_experts}
    mixer = RoutedAttention(**_heads(heads=sym.kv_heads * sym.active_experts), **chosen)
    moe = experts(c.activation_function, sum_bias=True)
    return decoder(
        c,
        name,
        [layer(mixer, moe)] * c.num_hidden_layers,
        expert_intermediate=c.intermediate_size,
        kv_heads=c.num_key_value_heads,
        head_dim=c.kv_channels,
    )


def doge(c: DogeConfig, name: str) -> Model:
    """Doge: masks that values make, normalized queries and keys, weighted residual streams.

    All pairs of queries and keys are computed, as in its class, and those not chosen masked.
    """
    refuse(c.is_moe, "key 'is_moe': experts of one row each are not modelled")
    bias = c.attention_bias
    mixer = ValueMaskedAttention(
        **_heads(qkv_bias=bias, out_bias=bias, qk_norm="head"), top=Integer(c.keep_window_size)
    )
    each = layer(mixer, mlp(c.hidden_act, bias=c.mlp_bias), carried=sym.hidden)
    return decoder(c, name, [each] * c.num_hidden_layers)


FAMILIES = {
    "diffllama": Family(LlamaConfig, diffllama, "llama-2-7b", ignored="lambda_std_dev"),
    "jetmoe": Family(
        JetMoeConfig,
        jetmoe,
        "mixtral-8x7b",
        ignored="hidden_act num_attention_heads",
    ),
    "doge": Family(
        DogeConfig,
        doge,
        "llama-2-7b",
        ignored="num_experts num_experts_per_tok norm_topk_prob",
    ),
}
