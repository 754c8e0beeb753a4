"""Llama with experts: mixtral, olmoe, gpt_oss, phimoe, minimax_m2, dbrx and ernie4_5_moe."""

import msgspec
from msgspec import field

from lifesym import symbols as sym
from lifesym.blocks import NormSpec
from lifesym.families.base import Config, Count, Family, Whole, grouped, refuse
from lifesym.families.decoder import (
    LAYER_NORM,
    Ends,
    attention,
    decoder,
    experts,
    layer,
    mlp,
    windows,
)
from lifesym.families.llama import DERIVED, LlamaConfig
from lifesym.model import Model


class MixtralConfig(LlamaConfig, kw_only=True):
    """``intermediate_size`` is that of one expert."""

    num_local_experts: Count
    num_experts_per_tok: Count
    sliding_window: Count | None = None
    layer_types: list[str] | None = None


class OlmoeConfig(LlamaConfig, kw_only=True):
    """Queries and keys are normalized over all heads together."""

    num_experts: Count
    num_experts_per_tok: Count
    head_dim: Count = DERIVED
    clip_qkv: float | None = None


class GptOssConfig(MixtralConfig, kw_only=True):
    """Biases everywhere, one learned sink a head, windows in alternate layers."""

    head_dim: Count = 64
    sliding_window: Count = 128
    attention_bias: bool = True


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
    ffn_act_fn: DbrxFunction = field(default_factory=DbrxFunction)


class DbrxConfig(Config, kw_only=True):
    """LayerNorms without biases, a fused QKV projection, experts in every layer."""

    hidden_size: Count = field(name="d_model")
    num_attention_heads: Count = field(name="n_heads")
    num_hidden_layers: Count = field(name="n_layers")
    vocab_size: Count
    attn_config: DbrxAttentionConfig
    ffn_config: DbrxMlpConfig
    tie_word_embeddings: bool = False


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


def mixtral(c: MixtralConfig, name: str) -> Model:
    """Mixtral: experts in every layer."""
    refuse(c.num_key_value_heads is None, "missing key 'num_key_value_heads'")
    spans, block = windows(c, c.sliding_window, alike=True), experts(c.hidden_act)
    layers = [layer(attention(window=span), block) for span in spans]
    return decoder(c, name, layers, expert_intermediate=c.intermediate_size)


def olmoe(c: OlmoeConfig, name: str) -> Model:
    """OLMoE: experts in every layer, normalized queries and keys."""
    each = layer(attention(bias=c.attention_bias, qk_norm="all"), experts(c.hidden_act))
    layers = [each] * c.num_hidden_layers
    return decoder(c, name, layers, expert_intermediate=c.intermediate_size)


def gpt_oss(c: GptOssConfig, name: str) -> Model:
    """gpt-oss: biased experts, sinks, sliding windows in every other layer."""
    refuse(c.num_key_value_heads is None, "missing key 'num_key_value_heads'")
    block = experts(c.hidden_act, bias=True, router_bias=True)
    layers = [
        layer(attention(window=span, bias=c.attention_bias, sinks=True), block)
        for span in windows(c, c.sliding_window, lambda i: i % 2 == 0)
    ]
    return decoder(c, name, layers, expert_intermediate=c.intermediate_size)


def phimoe(c: PhimoeConfig, name: str) -> Model:
    """Phi-3.5-MoE: LayerNorms, and the window in every layer where one is given."""
    chosen = c.num_experts_per_tok
    refuse(chosen != 2, f"key 'num_experts_per_tok': its router always chooses 2, not {chosen}")
    layers = [
        layer(attention(window=span, bias=c.attention_bias), experts(c.hidden_act), norm=LAYER_NORM)
        for span in windows(c, c.sliding_window, alike=True)
    ]
    ends = Ends(norm=LAYER_NORM, head_bias=c.lm_head_bias)
    return decoder(c, name, layers, ends, expert_intermediate=c.intermediate_size)


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
    turns = sym.head_dim if c.rotary_dim in (None, c.head_dim) else sym.rotary_dim
    block = experts(c.hidden_act, sigmoid=True)
    layers = [layer(attention(qk_norm="all", rotary_dim=turns), block)] * c.num_hidden_layers
    return decoder(c, name, layers, expert_intermediate=c.intermediate_size)


def dbrx(c: DbrxConfig, name: str) -> Model:
    """DBRX; the clamp of queries, keys and values is not counted."""
    ffn = c.ffn_config
    refuse(c.tie_word_embeddings, "key 'tie_word_embeddings': DBRX cannot be tied")
    refuse(ffn.moe_top_k > ffn.moe_num_experts, "key 'ffn_config.moe_top_k': too many experts")
    norm = NormSpec(features=sym.hidden, kind="layer", bias=False)
    each = layer(attention(fused=True), experts(ffn.ffn_act_fn.name), norm=norm)
    return decoder(
        c,
        name,
        [each] * c.num_hidden_layers,
        Ends(norm=norm),
        kv_heads=grouped(c.num_attention_heads, c.attn_config.kv_n_heads, "attn_config.kv_n_heads"),
        experts=ffn.moe_num_experts,
        active_experts=ffn.moe_top_k,
        expert_intermediate=ffn.ffn_hidden_size,
    )


def ernie_moe(c: ErnieMoeConfig, name: str) -> Model:
    """ERNIE 4.5: experts chosen by corrected scores, shared experts, dense layers at the ends."""
    bias = c.use_bias
    end = c.num_hidden_layers - 1 if c.moe_layer_end_index == -1 else c.moe_layer_end_index
    routed = range(c.moe_layer_start_index, end + 1)
    dense = [
        (i + 1) % c.moe_layer_interval != 0 or i not in routed for i in range(c.num_hidden_layers)
    ]
    shared = c.moe_num_shared_experts * c.moe_intermediate_size
    moe = experts(c.hidden_act, router_bias=True, shared=shared > 0, shared_bias=bias)
    plain = mlp(c.hidden_act, bias=bias)
    return decoder(
        c,
        name,
        [layer(attention(bias=bias), plain if each else moe) for each in dense],
        Ends(head_bias=bias),
        experts=c.moe_num_experts,
        active_experts=c.moe_k,
        shared_intermediate=shared,
    )


FAMILIES = {
    "mixtral": Family(MixtralConfig, mixtral, "mixtral-8x7b"),
    "olmoe": Family(OlmoeConfig, olmoe, "olmoe-1b-7b"),
    "gpt_oss": Family(
        GptOssConfig,
        gpt_oss,
        "gpt-oss-20b",
        ignored="experts_per_token initial_context_length swiglu_alpha swiglu_limit",
    ),
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
    "ernie4_5_moe": Family(
        ErnieMoeConfig,
        ernie_moe,
        "ernie-4.5-21b-a3b",
        {"num_experts": "moe_num_experts", "num_experts_per_tok": "moe_k"},
        ignored="moe_capacity moe_gate moe_norm_min moe_use_aux_free",
        nulls="use_bias",
    ),
}
