"""Llama with experts: Mixtral, OLMoE, gpt-oss, Phi, MiniMax M2, DBRX, ERNIE, Qwen, GLM, Granite.

And Llama 4, with chunks.
"""

from lifesym import symbols as sym
from lifesym.families.base import Config, grouped, refuse
from lifesym.families.decoder import SCALED, Ends, decoder
from lifesym.families.parts import (
    LAYER_NORM,
    OFFSETLESS,
    attention,
    experts,
    feeds,
    layer,
    layers,
    mixers,
    mlp,
)
from lifesym.families.patterns import dense_layers, sparse_steps, still_layers, windows
from lifesym.families.sizes import rounded_head, turned
from lifesym.model import Model


def mixtral(c: Config) -> Model:
    """Mixtral: experts in every layer."""
    return decoder(c, layers(mixers(c, alike=True, bias=False), experts(c)))


def olmoe(c: Config) -> Model:
    """OLMoE: experts in every layer, normalized queries and keys."""
    return decoder(c, layer(attention(c, qk_norm="all"), experts(c)))


def gpt_oss(c: Config) -> Model:
    """gpt-oss: biased experts, sinks, sliding windows in every other layer."""
    block = experts(c, bias=True, router_bias=True)
    return decoder(c, layers(mixers(c, lambda i: i % 2 == 0, sinks=True), block))


def phimoe(c: Config) -> Model:
    """Phi-3.5-MoE: LayerNorms, and the window in every layer where one is given."""
    each, ends = mixers(c, alike=True), Ends(norm=LAYER_NORM, head_bias=c.lm_head_bias)
    return decoder(c, layers(each, experts(c), LAYER_NORM), ends)


def minimax_m2(c: Config) -> Model:
    """MiniMax-M2: full attention in every layer; its multi-token modules are left out."""
    refuse(any(kind != 1 for kind in c.attn_type_list or ()), "key 'attn_type_list': only 1")
    refuse(
        (c.rotary_dim or 0) > c.head_dim,
        f"key 'rotary_dim': {c.rotary_dim} is more than head_dim = {c.head_dim}",
    )
    turns = sym.head_dim if c.rotary_dim in (None, c.head_dim) else sym.rotary_dim
    each = layer(attention(qk_norm="all", rotary_dim=turns), experts(c, sigmoid=True))
    return decoder(c, each)


def dbrx(c: Config) -> Model:
    """DBRX; the clamp of queries, keys and values is not counted."""
    ffn = c.ffn_config
    refuse(ffn.moe_top_k > ffn.moe_num_experts, "key 'ffn_config.moe_top_k': too many experts")
    return decoder(
        c,
        layer(attention(fused=True), experts(ffn.ffn_act_fn.name), OFFSETLESS),
        Ends(norm=OFFSETLESS),
        kv_heads=grouped(c.num_attention_heads, c.attn_config.kv_n_heads, "attn_config.kv_n_heads"),
        experts=ffn.moe_num_experts,
        active_experts=ffn.moe_top_k,
        expert_intermediate=ffn.ffn_hidden_size,
    )


def ernie4_5_moe(c: Config) -> Model:
    """ERNIE 4.5: experts chosen by corrected scores, shared experts, dense layers at the ends."""
    bias, depth = c.use_bias, c.num_hidden_layers
    end = depth - 1 if c.moe_layer_end_index == -1 else c.moe_layer_end_index
    routed = range(c.moe_layer_start_index, end + 1)
    dense = [(i + 1) % c.moe_layer_interval != 0 or i not in routed for i in range(depth)]
    moe = experts(c, router_bias=True, shared=c.moe_num_shared_experts, shared_bias=bias)
    layers = [layer(attention(bias=bias), mlp(c, bias=bias) if each else moe) for each in dense]
    return decoder(c, layers, Ends(head_bias=bias))


def qwen2_moe(c: Config) -> Model:
    """Qwen 1.5 and 2 MoE: a gated shared expert; windows, if used, in every other first layer."""
    _window(c)
    moe = experts(c, shared=True, shared_gate=True)
    slides, bias = lambda i: i % 2 == 0 and i < c.max_window_layers, c.qkv_bias
    each = mixers(c, slides, bias=False, qkv_bias=bias)
    return decoder(c, layers(each, feeds(c, sparse_steps(c), moe)))


def qwen3_moe(c: Config) -> Model:
    """Qwen 3 MoE: no shared expert; queries and keys normalized over each head."""
    _window(c)
    spans = windows(c)
    refuse(
        len(set(spans)) > 1 or (c.sliding_window is not None and None in spans),
        "key 'layer_types': every layer has the window, or none",
    )
    return decoder(c, layers(mixers(c, qk_norm="head"), feeds(c, sparse_steps(c), experts(c))))


def _window(c: Config) -> None:
    """Leave only a window in use."""
    if not c.use_sliding_window:
        c.sliding_window = None
    refuse(
        c.use_sliding_window and not c.sliding_window,
        "key 'sliding_window': needed with 'use_sliding_window'",
    )


def glm4_moe(c: Config) -> Model:
    """GLM 4.5 and 4.6: sigmoid routing, biases on queries, keys and values where it says so."""
    c.head_dim = c.head_dim or rounded_head(c)
    normed = "head" if c.use_qk_norm else "none"
    mixer = attention(qkv_bias=c.attention_bias, qk_norm=normed, rotary_dim=turned(c))
    moe = experts(c, sigmoid=True, shared=c.n_shared_experts)
    return decoder(c, [layer(mixer, block) for block in feeds(c, dense_layers(c), moe)])


def granitemoe(c: Config) -> Model:
    """Granite MoE: experts in every layer, with or without (granitemoe) a shared one."""
    shared = 0
    if c.model_type != "granitemoe":
        shared = c.shared_intermediate_size
        c.head_dim = c.head_dim or rounded_head(c)
    return decoder(c, layer(attention(c), experts(c, shared=shared), scaled=True), SCALED)


def llama4_text(c: Config) -> Model:
    """Llama 4: attention in chunks or, without positions, to everything; experts in some layers.

    Chunks have the cache of a sliding window as long, as in transformers. Counted are the chosen
    experts; transformers' code runs every expert on every token.
    """
    still, chunks = still_layers(c), c.sliding_window is not None
    local = "chunked_attention" if chunks else "full_attention"
    refuse(
        c.layer_types not in (None, ["full_attention" if each else local for each in still]),
        "key 'layer_types': only chunks where 'no_rope_layers' has rotary positions are modelled",
    )
    depth, step = range(c.num_hidden_layers), c.interleave_moe_layer_step
    routed = set(depth[step - 1 :: step] if c.moe_layers is None else c.moe_layers)
    moe, normed = experts(c, sigmoid=True, shared=True), "plain" if c.use_qk_norm else "none"
    near = attention(c, qk_norm=normed, window=sym.window if chunks else None, chunked=chunks)
    far = attention(c, rotary_dim=0, query_scaled=c.attn_temperature_tuning)
    return decoder(
        c,
        [
            layer(far if each else near, moe if i in routed else mlp(c))
            for i, each in enumerate(still)
        ],
        intermediate=c.intermediate_size_mlp,
        expert_intermediate=c.intermediate_size,
        shared_intermediate=c.intermediate_size,
    )
