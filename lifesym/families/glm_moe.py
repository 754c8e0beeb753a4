"""GLM 4.5 and 4.6: grouped queries, dense layers, then experts beside a shared one."""

from lifesym import symbols as sym
from lifesym.blocks import MLP, MoE
from lifesym.families.base import (
    Count,
    Family,
    activation,
    assemble,
    per_head,
    refuse,
    rotated,
)
from lifesym.families.deepseek import Few
from lifesym.families.hybrid import pruned
from lifesym.families.llama import DERIVED, LlamaConfig
from lifesym.families.moe import (
    expert_sections,
    llama_ends,
    moe_sizes,
    pre_norm_layer,
    rotary_attention,
)
from lifesym.model import Model


class GlmMoeConfig(LlamaConfig, kw_only=True):
    """The first layers are dense; half of each head is rotated unless told otherwise."""

    moe_intermediate_size: Count
    head_dim: Count = DERIVED
    n_routed_experts: Count
    num_experts_per_tok: Count
    n_shared_experts: Few = 1
    first_k_dense_replace: Few = 1
    use_qk_norm: bool = False
    partial_rotary_factor: float = 0.5


def glm_moe(c: GlmMoeConfig, name: str) -> Model:
    """GLM 4.5 and 4.6: sigmoid routing, biases on queries, keys and values where it says so."""
    refuse(c.num_key_value_heads is None, "missing key 'num_key_value_heads'")
    head_dim = c.head_dim or per_head(c.hidden_size, c.num_attention_heads)
    turned = rotated(head_dim, c.partial_rotary_factor)
    partial = turned != head_dim
    function = activation(c.hidden_act)
    attention = rotary_attention(
        qkv_bias=c.attention_bias,
        qk_norm="head" if c.use_qk_norm else "none",
        rotary_dim=sym.rotary_dim if partial else sym.head_dim,
    )
    shared = c.n_shared_experts * c.moe_intermediate_size or None
    moe = MoE(
        hidden=sym.hidden,
        experts=sym.experts,
        active=sym.active_experts,
        intermediate=sym.expert_intermediate,
        activation=function,
        sigmoid=True,
        shared=sym.shared_intermediate if shared else None,
    )
    mlp = MLP(hidden=sym.hidden, intermediate=sym.intermediate, activation=function)
    dense = [i < c.first_k_dense_replace for i in range(c.num_hidden_layers)]
    sections, counts = expert_sections(
        dense, pre_norm_layer(attention, mlp), pre_norm_layer(attention, moe)
    )
    sizes = moe_sizes(
        c,
        experts=c.n_routed_experts,
        active=c.num_experts_per_tok,
        width=c.moe_intermediate_size,
        shared_intermediate=shared,
        intermediate=c.intermediate_size if any(dense) else None,
        rotary_dim=turned if partial else None,
    )
    return pruned(assemble(name, c.model_type, llama_ends(c, sections), counts, sizes))


FAMILIES = {
    "glm4_moe": Family(
        GlmMoeConfig,
        glm_moe,
        "glm-4.5",
        {"num_local_experts": "n_routed_experts"},
        ignored="n_group num_mtp_layers num_nextn_predict_layers routed_scaling_factor topk_group",
    )
}
