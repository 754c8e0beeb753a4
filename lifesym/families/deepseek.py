"""DeepSeek V2 and V3, Kimi K2, GLM 4.7 Flash: latent attention, dense layers, then experts."""

from typing import Literal

from lifesym.families.base import Count, Family, StackConfig, Whole, per_head, refuse
from lifesym.families.decoder import RMS, Ends, decoder, experts, latent, layer, mlp
from lifesym.model import Model


class DeepseekConfig(StackConfig, kw_only=True):
    """``q_lora_rank`` null: queries are not compressed. Its defaults are those of each class."""

    intermediate_size: Count
    moe_intermediate_size: Count
    n_routed_experts: Count
    num_experts_per_tok: Count
    num_key_value_heads: Count | None = None
    kv_lora_rank: Count
    qk_nope_head_dim: Count
    qk_rope_head_dim: Count
    v_head_dim: Count
    q_lora_rank: Count | None
    n_shared_experts: Whole | None
    moe_layer_freq: Count = 1
    hidden_act: str = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    tie_word_embeddings: bool = False


class KimiConfig(DeepseekConfig, kw_only=True):
    """The first layers are dense; nothing that changes the model is left to a default."""

    first_k_dense_replace: Whole


class DeepseekV2Config(KimiConfig, kw_only=True):
    """Every layer has experts unless told otherwise."""

    q_lora_rank: Count | None = 1536
    n_shared_experts: Whole | None = 2
    first_k_dense_replace: Whole = 0


class DeepseekV3Config(KimiConfig, kw_only=True):
    """Three dense layers unless told otherwise."""

    num_key_value_heads: Count | None = 128
    q_lora_rank: Count | None = 1536
    n_shared_experts: Whole | None = 1
    first_k_dense_replace: Whole = 3


class GlmConfig(DeepseekConfig, kw_only=True):
    """Dense layers are listed, or else it is the first one, whatever the config says besides."""

    num_key_value_heads: Count = 20
    q_lora_rank: Count | None = 768
    n_shared_experts: Whole | None = 1
    mlp_layer_types: list[Literal["dense", "sparse"]] | None = None


class AxkConfig(GlmConfig, kw_only=True):
    """A.X K1: dense layers are listed, or the first so many."""

    num_key_value_heads: Count = 64
    q_lora_rank: Count = 1536
    first_k_dense_replace: Whole = 1


class SarvamConfig(KimiConfig, kw_only=True):
    """One dense layer, and queries that are not compressed, unless told otherwise."""

    q_lora_rank: Count | None = None
    n_shared_experts: Whole | None = 1
    first_k_dense_replace: Whole = 1


class Mistral4Config(SarvamConfig, kw_only=True):
    """Every layer has experts unless told otherwise."""

    q_lora_rank: Count | None = 1024
    first_k_dense_replace: Whole = 0


class DenseConfig(DeepseekConfig, kw_only=True):
    """No layer has experts, and no key is of them."""

    moe_intermediate_size: Count = 1
    n_routed_experts: Count = 1
    num_experts_per_tok: Count = 1
    tie_word_embeddings: bool = True
    q_lora_rank: Count | None = 1536
    n_shared_experts: Whole | None = None


class MiniCpm3Config(DenseConfig, kw_only=True):
    """Values have heads of hidden / heads unless given."""

    q_lora_rank: Count | None = 768
    v_head_dim: Count = 0


def _dense(c: DeepseekConfig) -> list[bool]:
    """Which layers have no experts."""
    if isinstance(c, DenseConfig):
        return [True] * c.num_hidden_layers
    if isinstance(c, KimiConfig):
        return [i < c.first_k_dense_replace for i in range(c.num_hidden_layers)]
    listed = c.mlp_layer_types if isinstance(c, GlmConfig) else None
    if listed is None:
        first = c.first_k_dense_replace if isinstance(c, AxkConfig) else 1
        return [i < first for i in range(c.num_hidden_layers)]
    refuse(len(listed) != c.num_hidden_layers, f"key 'mlp_layer_types': {len(listed)} entries")
    return [kind == "dense" for kind in listed]


def deepseek(c: DeepseekConfig, name: str) -> Model:
    """DeepSeek V2 and V3, Kimi K2, GLM 4.7 Flash: latent attention, shared experts, dense layers.

    V2 and Mistral 4 route by softmax, the others by sigmoid; the bias they add to the scores is a
    buffer. A.X K1 normalizes what experts give. Youtu and MiniCPM 3 have no experts; the latter
    scales embeddings, branches and, counted on the logits, the last state.
    """
    refuse(c.moe_layer_freq != 1, "key 'moe_layer_freq': only 1 is modelled")
    dense = _dense(c)
    refuse(c.mlp_bias and not all(dense), "key 'mlp_bias': true is not modelled")
    heads = c.num_attention_heads
    kv_heads = c.num_key_value_heads or heads
    refuse(  # the classes repeat heads as if they were grouped, and then fail
        heads // kv_heads > 1,
        f"key 'num_key_value_heads': {kv_heads}, but latent attention has one for each of the"
        f" {heads} heads",
    )
    refuse(
        c.num_experts_per_tok > c.n_routed_experts,
        f"key 'num_experts_per_tok': {c.num_experts_per_tok} of {c.n_routed_experts} experts",
    )
    mixer = latent(c)
    shared = c.n_shared_experts or 0  # none of them is as good as null
    sigmoid = c.model_type not in ("deepseek_v2", "mistral4")
    after = RMS if isinstance(c, AxkConfig) else None
    scaled = isinstance(c, MiniCpm3Config)
    routed = experts(c.hidden_act, sigmoid=sigmoid, shared=shared > 0)
    moe = layer(mixer, routed, mlp_post_norm=after)
    plain = layer(mixer, mlp(c.hidden_act, bias=c.mlp_bias), scaled=scaled)
    return decoder(
        c,
        name,
        [plain if alone else moe for alone in dense],
        Ends(scaled=scaled, head_scaled=scaled),
        value_dim=c.v_head_dim or per_head(c.hidden_size, heads),
        shared_intermediate=shared * c.moe_intermediate_size,
    )


_IGNORED = """
    aux_loss_alpha ep_size head_dim n_group norm_topk_prob
    num_nextn_predict_layers qk_head_dim rope_interleave routed_scaling_factor scoring_func seq_aux
    topk_group topk_method
"""
"""The multi-token-prediction module is not part of an ordinary pass; groups only mask scores."""

FAMILIES = {
    "deepseek_v2": Family(DeepseekV2Config, deepseek, "deepseek-v2", ignored=_IGNORED),
    "deepseek_v3": Family(DeepseekV3Config, deepseek, "deepseek-v3", ignored=_IGNORED),
    "kimi_k2": Family(KimiConfig, deepseek, "kimi-k2", ignored=_IGNORED),
    "glm4_moe_lite": Family(
        GlmConfig, deepseek, "glm-4.7-flash", ignored=_IGNORED + " first_k_dense_replace"
    ),
    "axk1": Family(AxkConfig, deepseek, "ax-k1", ignored=_IGNORED),
    "sarvam_mla": Family(SarvamConfig, deepseek, "sarvam-105b", ignored=_IGNORED),
    "mistral4": Family(Mistral4Config, deepseek, "mistral-small-4", ignored=_IGNORED),
    "youtu": Family(DenseConfig, deepseek, "youtu-llm-2b", ignored=_IGNORED),
    "minicpm3": Family(
        MiniCpm3Config,
        deepseek,
        "minicpm3-4b",
        ignored=_IGNORED + " dim_model_base scale_depth scale_emb",
    ),
}
