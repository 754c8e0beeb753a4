"""ERNIE 4.5 with experts: an interval of layers has them, beside shared ones."""

from lifesym import symbols as sym
from lifesym.blocks import MLP, MoE, NormSpec
from lifesym.families.base import Count, Decoder, Family, Whole, activation, assemble
from lifesym.families.hybrid import pruned
from lifesym.families.llama import LlamaConfig
from lifesym.families.moe import (
    expert_sections,
    moe_sizes,
    pre_norm_layer,
    rotary_attention,
)
from lifesym.model import Model


class ErnieMoeConfig(LlamaConfig, kw_only=True):
    """Every ``moe_layer_interval``-th layer from a start to an end (-1: the last) has experts."""

    num_key_value_heads: Count | None = 4
    tie_word_embeddings: bool = True
    use_bias: bool = False
    moe_intermediate_size: Count = 1536
    moe_k: Count = 6
    moe_num_experts: Count = 64
    moe_num_shared_experts: Whole = 2
    moe_layer_start_index: int = 1
    moe_layer_end_index: int = -1
    moe_layer_interval: Count = 1


def ernie_moe(c: ErnieMoeConfig, name: str) -> Model:
    """ERNIE 4.5: experts chosen by corrected scores, shared experts, dense layers at the ends."""
    function, bias = activation(c.hidden_act), c.use_bias
    end = c.num_hidden_layers - 1 if c.moe_layer_end_index == -1 else c.moe_layer_end_index
    routed = range(c.moe_layer_start_index, end + 1)
    dense = [
        (i + 1) % c.moe_layer_interval != 0 or i not in routed for i in range(c.num_hidden_layers)
    ]
    shared = c.moe_num_shared_experts * c.moe_intermediate_size or None
    moe = MoE(
        hidden=sym.hidden,
        experts=sym.experts,
        active=sym.active_experts,
        intermediate=sym.expert_intermediate,
        activation=function,
        router_bias=True,
        shared=sym.shared_intermediate if shared else None,
        shared_bias=bias,
    )
    mlp = MLP(hidden=sym.hidden, intermediate=sym.intermediate, activation=function, bias=bias)
    attention = rotary_attention(qkv_bias=bias, out_bias=bias)
    sections, counts = expert_sections(
        dense, pre_norm_layer(attention, mlp), pre_norm_layer(attention, moe)
    )
    sizes = moe_sizes(
        c,
        experts=c.moe_num_experts,
        active=c.moe_k,
        width=c.moe_intermediate_size,
        shared_intermediate=shared,
        intermediate=c.intermediate_size if any(dense) else None,
    )
    ends = Decoder(norm=NormSpec(features=sym.hidden), tied=c.tie_word_embeddings, head_bias=bias)
    return pruned(assemble(name, c.model_type, ends.around(sections), counts, sizes))


FAMILIES = {
    "ernie4_5_moe": Family(
        ErnieMoeConfig,
        ernie_moe,
        "ernie-4.5-21b-a3b",
        {
            "num_experts": "moe_num_experts",
            "num_experts_per_tok": "moe_k",
        },
        ignored="moe_capacity moe_gate moe_norm_min moe_use_aux_free",
    )
}
