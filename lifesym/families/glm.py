"""GLM 4 and GLM 4.5: partly rotated heads, biases on queries, keys and values; experts in 4.5."""

from lifesym.families.base import Count, Family, Whole, refuse
from lifesym.families.decoder import (
    RMS,
    attention,
    decoder,
    experts,
    layer,
    mlp,
    rounded_head,
    turned,
)
from lifesym.families.llama import DERIVED, LlamaConfig
from lifesym.model import Model


class GlmConfig(LlamaConfig, kw_only=True):
    """Half of each head is rotated unless told otherwise; null is no size of a head."""

    num_key_value_heads: Count | None = 2
    head_dim: Count = 128
    attention_bias: bool = True
    partial_rotary_factor: float = 0.5


class GlmVisionConfig(GlmConfig, kw_only=True):
    """The text model of GLM 4.1V and GLM-OCR: heads of hidden / heads unless given."""

    head_dim: Count = DERIVED


class GlmMoeConfig(LlamaConfig, kw_only=True):
    """The first layers are dense; half of each head is rotated unless told otherwise."""

    moe_intermediate_size: Count
    head_dim: Count = DERIVED
    n_routed_experts: Count
    num_experts_per_tok: Count
    n_shared_experts: Whole = 1
    first_k_dense_replace: Whole = 1
    use_qk_norm: bool = False
    partial_rotary_factor: float = 0.5


def glm(c: GlmConfig, name: str) -> Model:
    """GLM-4-9B, and GLM-4-0414 (glm4), which also normalizes what attention and MLP give."""
    after = None if c.model_type == "glm" else RMS
    each = layer(
        attention(rotary_dim=turned(c, pairs=True), qkv_bias=c.attention_bias),
        mlp(c.hidden_act, fused=True),
        mixer_post_norm=after,
        mlp_post_norm=after,
    )
    return decoder(c, name, [each] * c.num_hidden_layers)


def glm_moe(c: GlmMoeConfig, name: str) -> Model:
    """GLM 4.5 and 4.6: sigmoid routing, biases on queries, keys and values where it says so."""
    refuse(c.num_key_value_heads is None, "missing key 'num_key_value_heads'")
    c.head_dim = c.head_dim or rounded_head(c)
    mixer = attention(
        qkv_bias=c.attention_bias, qk_norm="head" if c.use_qk_norm else "none", rotary_dim=turned(c)
    )
    shared = c.n_shared_experts * c.moe_intermediate_size
    moe = layer(mixer, experts(c.hidden_act, sigmoid=True, shared=shared > 0))
    dense, first = layer(mixer, mlp(c.hidden_act)), c.first_k_dense_replace
    layers = [dense if i < first else moe for i in range(c.num_hidden_layers)]
    return decoder(c, name, layers, shared_intermediate=shared)


FAMILIES = {
    "glm": Family(GlmConfig, glm, "glm-4-9b", kin=("glm4",)),
    "glm4v_text": Family(
        GlmVisionConfig, glm, "glm-4.1v-9b", kin=("glm4v", "glm_ocr_text", "glm46v_text")
    ),
    "glm4_moe": Family(
        GlmMoeConfig,
        glm_moe,
        "glm-4.5",
        {"num_local_experts": "n_routed_experts"},
        kin=("glm4v_moe", "glm4v_moe_text", "sarvam_moe"),
        ignored="n_group num_mtp_layers num_nextn_predict_layers routed_scaling_factor topk_group",
    ),
}
