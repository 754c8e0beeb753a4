"""Random tiny configs of every family, valid for the real code; the same seed, the same config."""

from collections.abc import Callable
from random import Random
from typing import Any

from drawn import drawn

Config = dict[str, Any]


def grouped(rng: Random) -> tuple[int, int]:
    kv_heads = rng.choice([1, 2, 3])
    return kv_heads * rng.choice([1, 2, 4]), kv_heads


def decoder(rng: Random, family: str, **more: Any) -> Config:
    """Keys shared by Llama's kin."""
    heads, kv_heads = grouped(rng)
    head_dim = rng.choice([4, 8, 16])
    return {
        "model_type": family,
        "vocab_size": rng.randint(40, 200),
        "hidden_size": heads * head_dim,
        "intermediate_size": rng.randint(10, 90),
        "num_hidden_layers": rng.randint(1, 4),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "max_position_embeddings": 256,
        "pad_token_id": None,
        "tie_word_embeddings": rng.random() < 0.5,
    } | more


def windowed(rng: Random, config: Config) -> Config:
    kinds = ["full_attention", "sliding_attention"]
    types = [rng.choice(kinds) for _ in range(config["num_hidden_layers"])]
    return config | {"sliding_window": rng.randint(3, 20), "layer_types": types}


def llama(rng: Random) -> Config:
    """Biases, and heads whose size is not hidden / heads."""
    config = decoder(rng, "llama", attention_bias=rng.random() < 0.5, mlp_bias=rng.random() < 0.5)
    return config | {"hidden_size": config["num_attention_heads"] * rng.randint(2, 9)}


def mistral(rng: Random) -> Config:
    """With and without a window."""
    return decoder(rng, "mistral", sliding_window=rng.choice([None, 5, 11, 30]))


def qwen2(rng: Random) -> Config:
    """Windows from some layer on."""
    config = decoder(rng, "qwen2")
    config.pop("head_dim")
    window = {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1}
    return config | (window if rng.random() < 0.5 else {})


def qwen3(rng: Random) -> Config:
    """Normalized queries and keys."""
    return decoder(rng, "qwen3", attention_bias=rng.random() < 0.5)


def gemma2(rng: Random) -> Config:
    """Alternate windows."""
    config = decoder(rng, "gemma2", query_pre_attn_scalar=16, pad_token_id=0)
    return windowed(rng, config)


def gemma3_text(rng: Random) -> Config:
    """Windows in most layers."""
    return windowed(rng, decoder(rng, "gemma3_text", query_pre_attn_scalar=16, pad_token_id=0))


def phi3(rng: Random) -> Config:
    """Fused projections."""
    config = decoder(rng, "phi3", sliding_window=rng.choice([None, 6]))
    config.pop("head_dim")
    return config


def gpt2(rng: Random) -> Config:
    """With and without an inner size."""
    heads = rng.choice([1, 2, 3])
    return {
        "model_type": "gpt2",
        "vocab_size": rng.randint(40, 200),
        "n_positions": 128,
        "n_embd": heads * 8,
        "n_layer": rng.randint(1, 3),
        "n_head": heads,
        "n_inner": rng.choice([None, 30]),
    }


def gpt_neox(rng: Random) -> Config:
    """Sequential and parallel blocks."""
    config = decoder(rng, "gpt_neox", use_parallel_residual=rng.random() < 0.5)
    for key in ("num_key_value_heads", "head_dim"):
        config.pop(key)
    return config | {"attention_bias": rng.random() < 0.5}


def gptj(rng: Random) -> Config:
    """Partial rotary positions."""
    config = gpt2(rng)
    return config | {"model_type": "gptj", "rotary_dim": 4}


def opt(rng: Random) -> Config:
    """Post-norm and narrow embeddings."""
    heads = rng.choice([1, 2, 4])
    return {
        "model_type": "opt",
        "vocab_size": rng.randint(40, 200),
        "hidden_size": heads * 8,
        "num_hidden_layers": rng.randint(1, 3),
        "ffn_dim": rng.randint(10, 90),
        "num_attention_heads": heads,
        "max_position_embeddings": 128,
        "word_embed_proj_dim": rng.choice([heads * 8, 12]),
        "do_layer_norm_before": rng.random() < 0.7,
        "enable_bias": rng.random() < 0.7,
    }


def bloom(rng: Random) -> Config:
    """ALiBi."""
    heads = rng.choice([1, 2, 4])
    return {
        "model_type": "bloom",
        "vocab_size": rng.randint(40, 200),
        "hidden_size": heads * 8,
        "n_layer": rng.randint(1, 3),
        "n_head": heads,
    }


def falcon(rng: Random) -> Config:
    """Both generations."""
    heads, kv_heads = grouped(rng)
    new = rng.random() < 0.5
    config = {
        "model_type": "falcon",
        "vocab_size": rng.randint(40, 200),
        "hidden_size": heads * 8,
        "num_hidden_layers": rng.randint(1, 3),
        "num_attention_heads": heads,
        "new_decoder_architecture": new,
        "multi_query": rng.random() < 0.5,
        "parallel_attn": rng.random() < 0.7,
        "bias": rng.random() < 0.5,
        "alibi": rng.random() < 0.3,
    }
    return config | ({"num_kv_heads": kv_heads} if new else {})


def mixtral(rng: Random) -> Config:
    """Routed experts in every layer."""
    experts = rng.choice([2, 4, 6])
    more = {"num_local_experts": experts, "num_experts_per_tok": rng.randint(1, experts)}
    return decoder(rng, "mixtral", sliding_window=rng.choice([None, 6]), **more)


def _qwen_moe(rng: Random, family: str, **more: Any) -> Config:
    config = decoder(
        rng,
        family,
        num_experts=4,
        num_experts_per_tok=rng.randint(1, 4),
        moe_intermediate_size=rng.randint(5, 40),
        decoder_sparse_step=rng.choice([1, 2]),
        mlp_only_layers=rng.choice([[], [0]]),
        use_sliding_window=rng.random() < 0.5,
        sliding_window=rng.randint(3, 20),
        **more,
    )
    if rng.random() < 0.5:
        config.pop("head_dim")
    return config


def qwen2_moe(rng: Random) -> Config:
    """Shared experts, layers without experts, windows in every other layer."""
    shared = rng.randint(5, 40)
    windowed = rng.randint(0, 4)
    return _qwen_moe(
        rng, "qwen2_moe", shared_expert_intermediate_size=shared, max_window_layers=windowed
    )


def qwen3_moe(rng: Random) -> Config:
    """No shared experts; windows in all layers; heads of hidden / heads unless given."""
    return _qwen_moe(rng, "qwen3_moe")


def olmoe(rng: Random) -> Config:
    """Norms over all heads."""
    config = decoder(rng, "olmoe", num_experts=4, num_experts_per_tok=rng.randint(1, 4))
    config.pop("head_dim")
    return config


def gpt_oss(rng: Random) -> Config:
    """Sinks, biases, alternate windows."""
    config = decoder(rng, "gpt_oss", num_local_experts=4, num_experts_per_tok=rng.randint(1, 4))
    config |= {"hidden_size": config["num_attention_heads"] * 6, "tie_word_embeddings": False}
    return windowed(rng, config)


def _latent(rng: Random, family: str) -> Config:
    heads = rng.choice([1, 2, 4])
    nope, rope = rng.choice([4, 8]), rng.choice([2, 4])
    config = {
        "model_type": family,
        "vocab_size": rng.randint(40, 200),
        "hidden_size": rng.choice([16, 24]),
        "intermediate_size": rng.randint(10, 60),
        "moe_intermediate_size": rng.randint(5, 20),
        "num_hidden_layers": rng.randint(3, 5),
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "n_routed_experts": 4,
        "n_shared_experts": rng.choice([1, 2]),
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": rng.choice([0, 1, 2]),
        "q_lora_rank": rng.choice([None, 6]),
        "kv_lora_rank": rng.choice([4, 10]),
        "qk_nope_head_dim": nope,
        "qk_rope_head_dim": rope,
        "v_head_dim": rng.choice([4, 6]),
        "max_position_embeddings": 256,
        "pad_token_id": None,
        "attention_bias": rng.random() < 0.5,
    }
    for key in ("first_k_dense_replace", "q_lora_rank", "n_shared_experts"):
        if rng.random() < 0.3:
            config.pop(key)
    return config


def deepseek_v2(rng: Random) -> Config:
    """Latent attention with and without compressed queries."""
    return _latent(rng, "deepseek_v2")


def deepseek_v3(rng: Random) -> Config:
    """The same with sigmoid routing."""
    return _latent(rng, "deepseek_v3")


def _indexed(rng: Random, family: str) -> Config:
    config = _latent(rng, family) | {
        "q_lora_rank": 6,
        "n_shared_experts": rng.choice([1, 2]),
        "index_topk": rng.choice([3, 8, 40]),
        "index_head_dim": rng.choice([8, 12]),
        "index_n_heads": rng.choice([1, 2, 4]),
    }
    config.setdefault("first_k_dense_replace", 3)
    return config


def deepseek_v32(rng: Random) -> Config:
    """V3 with an indexer in every layer; the code computes all scores and masks."""
    return _indexed(rng, "deepseek_v32")


def deepseek_v4(rng: Random) -> Config:
    """A window that all tokens fit into: the code has real windows, but scores all other keys."""
    return drawn(rng, "deepseek_v4") | {"sliding_window": 40, "index_topk": rng.randint(1, 9)}


def glm_moe_dsa(rng: Random) -> Config:
    """The same where layers may use an earlier one's choice: listed, by letters, or by a rule."""
    config = _indexed(rng, "glm_moe_dsa")
    more = [rng.choice(["full", "shared"]) for _ in range(config["num_hidden_layers"] - 1)]
    letters = "F" + "".join(kind[0].upper() for kind in more)
    ruled = {"index_topk_freq": rng.randint(1, 3), "index_skip_topk_offset": rng.randint(1, 3)}
    return config | rng.choice(
        [{"indexer_types": ["full", *more]}, {"index_topk_pattern": letters}, ruled]
    )


def minimax_m3_vl_text(rng: Random) -> Config:
    """Blocks of keys that each key head chooses, dense layers, a shared expert."""
    config = decoder(rng, "minimax_m3_vl_text", num_hidden_layers=3)
    return config | {
        "head_dim": 8,
        "rotary_dim": rng.choice([4, 8]),
        "dense_intermediate_size": rng.randint(10, 60),
        "shared_intermediate_size": rng.randint(5, 20),
        "num_local_experts": 4,
        "num_experts_per_tok": rng.randint(1, 3),
        "index_n_heads": config["num_key_value_heads"],
        "index_head_dim": rng.choice([8, 12]),
        "index_block_size": rng.choice([2, 3, 5]),
        "index_topk_blocks": rng.choice([1, 2, 4]),
        "layer_types": ["full_attention", "minimax_m3_sparse", "minimax_m3_sparse"],
        "mlp_layer_types": ["dense", "sparse", rng.choice(["dense", "sparse"])],
    }


def glm4_moe_lite(rng: Random) -> Config:
    """V3 whose dense layers are listed, or the first alone, whatever else the config says."""
    config = _latent(rng, "glm4_moe_lite")
    types = [rng.choice(["dense", "sparse"]) for _ in range(config["num_hidden_layers"])]
    return config | rng.choice([{}, {"mlp_layer_types": types}])


def glm4_moe(rng: Random) -> Config:
    """Shared experts, norms or biases of queries and keys, partly rotated heads."""
    experts = rng.randint(2, 5)
    config = decoder(
        rng,
        "glm4_moe",
        n_routed_experts=experts,
        num_experts_per_tok=rng.randint(1, 2),
        moe_intermediate_size=rng.randint(5, 40),
        n_shared_experts=rng.choice([1, 2]),
        first_k_dense_replace=rng.choice([0, 1, 2]),
        use_qk_norm=rng.random() < 0.5,
        attention_bias=rng.random() < 0.5,
        n_group=1,
        topk_group=1,
    )
    for key in ("head_dim", "first_k_dense_replace", "n_shared_experts"):
        if rng.random() < 0.3:
            config.pop(key)
    return config


def ministral3(rng: Random) -> Config:
    """Mistral with long-context rotary factors."""
    return mistral(rng) | {"model_type": "ministral3"}


def _experts(rng: Random, family: str) -> Config:
    return decoder(
        rng,
        family,
        num_local_experts=rng.randint(2, 5),
        num_experts_per_tok=rng.randint(1, 2),
    )


def granitemoe(rng: Random) -> Config:
    """Scaled residual branches."""
    config = _experts(rng, "granitemoe") | {"attention_bias": rng.random() < 0.5}
    config.pop("head_dim")
    return config


def phimoe(rng: Random) -> Config:
    """Biases, and the two experts a token that its router chooses."""
    config = _experts(rng, "phimoe") | {"num_experts_per_tok": 2}
    config["sliding_window"] = rng.choice([None, 7, 15])
    config.pop("head_dim")
    return config | {"attention_bias": rng.random() < 0.5, "lm_head_bias": rng.random() < 0.5}


def minimax_m2(rng: Random) -> Config:
    """Norms over all heads, sigmoid routing."""
    return _experts(rng, "minimax_m2") | {"rotary_dim": 4}


def dbrx(rng: Random) -> Config:
    """Nested keys."""
    heads, kv_heads = grouped(rng)
    experts = {"ffn_hidden_size": rng.randint(5, 40), "moe_num_experts": 4, "moe_top_k": 2}
    return {
        "model_type": "dbrx",
        "d_model": heads * rng.choice([4, 8]),
        "n_heads": heads,
        "n_layers": rng.randint(1, 3),
        "max_seq_len": 256,
        "vocab_size": rng.randint(40, 200),
        "attn_config": {"kv_n_heads": kv_heads, "clip_qkv": 8.0, "rope_theta": 10000.0},
        "ffn_config": experts,
        "pad_token_id": None,
    }


def gemma3n_text(rng: Random) -> Config:
    """Streams, embeddings by layer, sparse gates, shared caches."""
    heads, kv_heads = grouped(rng)
    kinds = ["sliding_attention", "full_attention", rng.choice(["full", "sliding"]) + "_attention"]
    layers = rng.randint(3, 5)
    types = kinds + [rng.choice(kinds) for _ in range(layers - 3)]
    return {
        "model_type": "gemma3n_text",
        "vocab_size": rng.randint(40, 90),
        "vocab_size_per_layer_input": 30,
        "hidden_size": heads * rng.choice([4, 6]),
        "hidden_size_per_layer_input": rng.choice([4, 6]),
        "intermediate_size": [rng.choice([10, 20]) for _ in range(layers)],
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": 8,
        "sliding_window": rng.randint(3, 20),
        "layer_types": types,
        "num_kv_shared_layers": rng.randint(0, layers - 2),
        "activation_sparsity_pattern": [rng.choice([0.0, 0.9]) for _ in range(layers)],
        "altup_num_inputs": rng.randint(2, 4),
        "laurel_rank": rng.choice([2, 4]),
        "max_position_embeddings": 256,
        "pad_token_id": 0,
    }


def gemma4_text(rng: Random) -> Config:
    """Heads of two sizes, by layer or by kind, experts beside an MLP, values that are keys."""
    heads, kv_heads = grouped(rng)
    layers = rng.randint(2, 4)
    types = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
    full = {"head_dim": rng.choice([8, 12]), "num_key_value_heads": kv_heads}
    own = {str(i): full for i in range(layers) if i % 2 or i == layers - 1}
    by_layer = {"per_layer_config": own | ({"0": {"head_dim": 4}} if layers == 2 else {})}
    layered = {
        "hidden_size_per_layer_input": rng.choice([4, 6]),
        "vocab_size_per_layer_input": 90,
        "num_kv_shared_layers": rng.randint(0, layers - 2),
        "use_double_wide_mlp": rng.random() < 0.5,
    }
    more = (by_layer if rng.random() < 0.5 else {}) | (layered if rng.random() < 0.6 else {})
    return {
        "model_type": "gemma4_text",
        "vocab_size": rng.randint(40, 90),
        "hidden_size": heads * rng.choice([4, 6]),
        "hidden_size_per_layer_input": 0,
        "intermediate_size": rng.randint(10, 30),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "num_global_key_value_heads": 1,
        "head_dim": 8,
        "global_head_dim": 16,
        "attention_k_eq_v": rng.random() < 0.5,
        "sliding_window": rng.randint(3, 20),
        "layer_types": types[:layers],
        "enable_moe_block": rng.random() < 0.6,
        "num_experts": 4,
        "top_k_experts": 2,
        "moe_intermediate_size": rng.randint(5, 20),
        "max_position_embeddings": 256,
        "pad_token_id": 0,
    } | more


def mpt(rng: Random) -> Config:
    """ALiBi without biases."""
    heads = rng.choice([2, 4])
    return {
        "model_type": "mpt",
        "d_model": heads * rng.choice([4, 8]),
        "n_heads": heads,
        "n_layers": rng.randint(1, 3),
        "max_seq_len": 256,
        "vocab_size": rng.randint(40, 200),
    }


def llama4_text(rng: Random) -> Config:
    """Chunks, layers without positions, and experts, of which the code runs every one."""
    experts = rng.randint(2, 4)
    return decoder(
        rng,
        "llama4_text",
        intermediate_size_mlp=rng.randint(10, 90),
        num_local_experts=experts,
        num_experts_per_tok=experts,
        interleave_moe_layer_step=rng.randint(1, 3),
        no_rope_layer_interval=rng.randint(2, 4),
        attention_chunk_size=rng.choice([None, 5, 7]),
        use_qk_norm=rng.random() < 0.5,
        attention_bias=rng.random() < 0.5,
    )


FAMILIES: tuple[Callable[[Random], Config], ...] = (
    llama,
    mistral,
    qwen2,
    qwen3,
    gemma2,
    gemma3_text,
    phi3,
    gpt2,
    gpt_neox,
    gptj,
    opt,
    bloom,
    falcon,
    mixtral,
    qwen2_moe,
    qwen3_moe,
    olmoe,
    gpt_oss,
    deepseek_v2,
    deepseek_v3,
    deepseek_v32,
    deepseek_v4,
    glm_moe_dsa,
    minimax_m3_vl_text,
    glm4_moe_lite,
    glm4_moe,
    ministral3,
    granitemoe,
    phimoe,
    minimax_m2,
    dbrx,
    gemma3n_text,
    gemma4_text,
    mpt,
    llama4_text,
)
