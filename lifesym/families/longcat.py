"""LongCat Flash: layers of two latent attentions and two MLPs, and experts beside the first MLP.

Some experts compute nothing; how many of a token's are such depends on the token. Constant factors
of latents and queries can be put into weights and are not counted. Not counted, either: the first
projections that transformers' class has of experts that compute nothing, and never uses. Source:
LongCat-Flash, arXiv 2509.01322, section 2; transformers 5.24, ``longcat_flash``.
"""

from dataclasses import replace

from lifesym import symbols as sym
from lifesym.blocks import DenseAndExperts
from lifesym.families.base import Config, Count, Family, Whole, refuse
from lifesym.families.decoder import decoder, experts, latent, layer, mlp
from lifesym.families.deepseek import _IGNORED
from lifesym.model import Model


class LongcatConfig(Config, kw_only=True):
    """``num_layers`` pairs, or else half of ``num_hidden_layers``, which counts attentions."""

    vocab_size: Count
    hidden_size: Count
    num_layers: Count | None = None
    num_hidden_layers: Count | None = None
    num_attention_heads: Count
    num_key_value_heads: Count | None = None
    ffn_hidden_size: Count
    expert_ffn_hidden_size: Count
    n_routed_experts: Count
    moe_topk: Count
    zero_expert_num: Whole | None = 256
    zero_expert_type: str = "identity"
    q_lora_rank: Count = 1536
    kv_lora_rank: Count = 512
    qk_nope_head_dim: Count = 128
    qk_rope_head_dim: Count = 64
    v_head_dim: Count = 128
    attention_method: str = "MLA"
    router_bias: bool = False
    hidden_act: str = "silu"
    attention_bias: bool = False
    tie_word_embeddings: bool = False


def longcat_flash(c: LongcatConfig, name: str) -> Model:
    """LongCat Flash: of a pair of layers the first has the experts."""
    heads, pairs = c.num_attention_heads, c.num_layers or (c.num_hidden_layers or 0) // 2
    refuse(pairs == 0, "missing key 'num_layers'")
    depth = c.num_hidden_layers or 2 * pairs
    refuse(
        depth // 2 != pairs,
        f"key 'num_hidden_layers': {depth}, but there are two in each of {pairs} layers",
    )
    refuse(
        c.num_key_value_heads not in (None, heads),
        f"key 'num_key_value_heads': {c.num_key_value_heads}, but latent attention has one for"
        f" each of the {heads} heads",
    )
    kind, attends = c.zero_expert_type, c.attention_method
    refuse(kind != "identity", f"key 'zero_expert_type': {kind!r} is not modelled")
    refuse(attends != "MLA", f"key 'attention_method': {attends!r} is not modelled")
    refuse(c.router_bias, "key 'router_bias': true is not modelled")
    zero, real = c.zero_expert_num or 0, c.n_routed_experts
    dense, mixer = mlp(c.hidden_act), latent(c)
    moe = experts(c.hidden_act, zero=sym.zero_experts if zero else None)
    pair = [layer(mixer, DenseAndExperts(mlp=dense, moe=moe, normed=False)), layer(mixer, dense)]
    model = decoder(
        c,
        name,
        pair * pairs,
        intermediate=c.ffn_hidden_size,
        expert_intermediate=c.expert_ffn_hidden_size,
        active_experts=c.moe_topk,
        zero_experts=zero,
    )
    note = (
        f"{zero} of {real + zero} experts compute nothing: counted are those that do on average, "
        f"{c.moe_topk} x {real} / {real + zero} a token, as if all were equally likely"
    )
    return replace(model, notes=(note,)) if zero else model


FAMILIES = {
    "longcat_flash": Family(
        LongcatConfig,
        longcat_flash,
        "deepseek-v3",
        {
            "intermediate_size": "ffn_hidden_size",
            "moe_intermediate_size": "expert_ffn_hidden_size",
            "num_experts_per_tok": "moe_topk",
        },
        ignored=f"""
            {_IGNORED} expert_parallel first_k_dense_replace mla_scale_kv_lora mla_scale_q_lora
            moe_layer_freq mtp_num_layers n_shared_experts router_dtype use_mla
        """,
    ),
}
