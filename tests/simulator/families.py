"""Random configs of every family that `configs` reads, with keys left out at random."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]
Draw = st.DrawFn

widths = st.sampled_from([8, 12, 16, 24, 48, 96]) | st.integers(1, 300)
windows = st.sampled_from([2, 3, 5, 8, 13]) | st.integers(2, 60)
flags = st.booleans()


def _maybe(draw: Draw, config: Json, **choices: st.SearchStrategy[Any]) -> None:
    """Set each key to one of its choices, or leave it out."""
    for key, values in choices.items():
        if draw(flags):
            config[key] = draw(values)


def _heads(draw: Draw) -> tuple[int, int, int]:
    """Heads, key heads that divide them, and an even size of a head."""
    heads = draw(st.sampled_from([1, 2, 3, 4, 6, 8, 8, 12]))
    keys = draw(st.sampled_from([n for n in range(1, heads + 1) if heads % n == 0]))
    return heads, keys, draw(st.sampled_from([2, 4, 6, 8, 30]))


def _base(draw: Draw, *, grouped: bool = True) -> Json:
    """Sizes that most families spell alike."""
    heads, keys, size = _heads(draw)
    config = {
        "hidden_size": heads * size,
        "intermediate_size": draw(widths),
        "num_hidden_layers": draw(st.integers(1, 5)),
        "num_attention_heads": heads,
    }
    return config | ({"num_key_value_heads": keys} if grouped else {})


def _head_dim(draw: Draw, config: Json, *, needed: bool = False) -> None:
    if needed or draw(flags):
        config["head_dim"] = draw(st.sampled_from([2, 4, 6, 8, 30]))


def _function(draw: Draw, config: Json, key: str = "hidden_act") -> None:
    _maybe(draw, config, **{key: st.sampled_from(["silu", "gelu", "relu", "gelu_pytorch_tanh"])})


def _kinds(draw: Draw, config: Json) -> st.SearchStrategy[list[str]]:
    kind = st.sampled_from(["full_attention", "sliding_attention"])
    depth = config["num_hidden_layers"]
    return st.lists(kind, min_size=depth, max_size=depth)


def _llama(draw: Draw, family: str) -> Json:
    config = _base(draw)
    _head_dim(draw, config)
    _function(draw, config)
    _maybe(draw, config, attention_bias=flags, mlp_bias=flags)
    return config


def _mistral(draw: Draw, family: str) -> Json:
    config = _base(draw)
    _head_dim(draw, config)
    config["sliding_window"] = draw(st.none() | windows)
    if family == "phi3":
        _maybe(draw, config, partial_rotary_factor=st.sampled_from([0.5, 1.0]))
    return config


def _qwen(draw: Draw, family: str) -> Json:
    config = _base(draw)
    config["sliding_window"] = draw(windows)
    _head_dim(draw, config, needed=family == "qwen3" and draw(st.integers(0, 3)) > 0)
    first = st.integers(0, config["num_hidden_layers"])
    _maybe(draw, config, use_sliding_window=st.just(True), max_window_layers=first)
    if family == "qwen3":
        _maybe(draw, config, attention_bias=flags)
    if config.get("use_sliding_window"):
        _maybe(draw, config, layer_types=_kinds(draw, config))
    return config


def _gemma(draw: Draw, family: str) -> Json:
    config = _base(draw)
    _head_dim(draw, config, needed=True)
    _function(draw, config, "hidden_activation")
    config["sliding_window"] = draw(windows)
    _maybe(
        draw,
        config,
        attention_bias=flags,
        layer_types=_kinds(draw, config),
        attn_logit_softcapping=st.sampled_from([None, 50.0]),
        final_logit_softcapping=st.sampled_from([None, 30.0]),
    )
    if family == "gemma3_text" and "layer_types" not in config:
        _maybe(draw, config, sliding_window_pattern=st.sampled_from([1, 2, 3, 6]))
    return config


def _gpt(draw: Draw, family: str) -> Json:
    heads, _, size = _heads(draw)
    config = {
        "n_embd": heads * size,
        "n_layer": draw(st.integers(1, 5)),
        "n_head": heads,
        "n_positions": 4096,
        "n_inner": draw(st.none() | widths),
    }
    if family == "gptj":
        config["rotary_dim"] = draw(st.sampled_from([None, 2, size]))
    return config


def _gpt_neox(draw: Draw, family: str) -> Json:
    config = _base(draw, grouped=False)
    _function(draw, config)
    _maybe(
        draw,
        config,
        use_parallel_residual=flags,
        attention_bias=flags,
        rotary_pct=st.sampled_from([0.25, 0.5, 1.0]),
    )
    return config


def _opt(draw: Draw, family: str) -> Json:
    config = _base(draw, grouped=False)
    config["ffn_dim"] = config.pop("intermediate_size")
    config["max_position_embeddings"] = 4096
    _maybe(
        draw,
        config,
        word_embed_proj_dim=widths,
        do_layer_norm_before=flags,
        _remove_final_layer_norm=flags,
        enable_bias=flags,
        layer_norm_elementwise_affine=flags,
    )
    return config


def _bloom(draw: Draw, family: str) -> Json:
    config = _base(draw, grouped=False)
    config["n_head"] = config.pop("num_attention_heads")
    config["n_layer"] = config.pop("num_hidden_layers")
    del config["intermediate_size"]
    return config


def _falcon(draw: Draw, family: str) -> Json:
    config = _base(draw)
    keys = config.pop("num_key_value_heads")
    del config["intermediate_size"]
    _maybe(
        draw,
        config,
        new_decoder_architecture=flags,
        multi_query=flags,
        bias=flags,
        alibi=flags,
        ffn_hidden_size=widths,
        num_ln_in_parallel_attn=st.sampled_from([None, 1, 2]),
    )
    if config.get("new_decoder_architecture"):
        _maybe(draw, config, num_kv_heads=st.just(keys))
    else:
        _maybe(draw, config, parallel_attn=flags)
        if config.get("parallel_attn", True) and config.get("num_ln_in_parallel_attn") == 2:
            config["num_ln_in_parallel_attn"] = 1  # two norms are the new architecture's
    return config


def _routed(draw: Draw, config: Json, count: str = "num_experts") -> None:
    experts = draw(st.sampled_from([1, 2, 4, 6, 8]))
    config[count] = experts
    config["num_experts_per_tok"] = draw(st.integers(1, min(3, experts)))


def _mixtral(draw: Draw, family: str) -> Json:
    config = _base(draw)
    _head_dim(draw, config, needed=True)
    _function(draw, config)
    _routed(draw, config, "num_local_experts")
    config["sliding_window"] = draw(windows if family == "gpt_oss" else st.none() | windows)
    return config


def _olmoe(draw: Draw, family: str) -> Json:
    config = _base(draw)
    _routed(draw, config)
    _maybe(draw, config, attention_bias=flags)
    return config


def _qwen_moe(draw: Draw, family: str) -> Json:
    config = _base(draw)
    _head_dim(draw, config)
    _routed(draw, config)
    config["moe_intermediate_size"] = draw(st.sampled_from([8, 12, 24]))
    config["sliding_window"] = draw(windows)
    first = st.integers(0, config["num_hidden_layers"])
    _maybe(draw, config, decoder_sparse_step=st.integers(1, 2), use_sliding_window=st.just(True))
    if family == "qwen2_moe":
        config["shared_expert_intermediate_size"] = draw(st.sampled_from([8, 16]))
        config["max_window_layers"] = draw(first)
        _maybe(draw, config, qkv_bias=flags)
    else:
        _maybe(draw, config, attention_bias=flags)
    return config


def _deepseek(draw: Draw, family: str) -> Json:
    config = _base(draw)
    config["num_key_value_heads"] = config["num_attention_heads"]
    experts = draw(st.sampled_from([2, 4, 8]))
    return config | {
        "q_lora_rank": draw(st.sampled_from([None, 6, 8])),
        "kv_lora_rank": draw(st.sampled_from([4, 6, 10])),
        "qk_nope_head_dim": draw(st.sampled_from([2, 4])),
        "qk_rope_head_dim": draw(st.sampled_from([2, 4])),
        "v_head_dim": draw(st.sampled_from([2, 4, 6])),
        "n_routed_experts": experts,
        "num_experts_per_tok": draw(st.integers(1, 2)),
        "moe_intermediate_size": draw(st.sampled_from([8, 12])),
        "n_shared_experts": draw(st.sampled_from([None, 1, 2])),
        "first_k_dense_replace": draw(st.integers(0, config["num_hidden_layers"])),
        "attention_bias": draw(flags),
    }


def _chosen(draw: Draw, family: str) -> Json:
    """Sparse attention: DeepSeek's latents, of which queries choose some."""
    config = _deepseek(draw, family)
    config["q_lora_rank"] = draw(st.sampled_from([6, 8]))
    config["index_n_heads"] = draw(st.integers(1, 3))
    config["index_head_dim"] = config["qk_rope_head_dim"] + draw(st.sampled_from([0, 2, 4]))
    config["index_topk"] = draw(st.sampled_from([1, 2, 3, 6, 17]))
    if family == "glm_moe_dsa":
        every, first = st.integers(1, 3), st.integers(1, 3)
        _maybe(draw, config, index_topk_freq=every, index_skip_topk_offset=first)
    return config


def _llama4(draw: Draw, family: str) -> Json:
    config = _base(draw)
    _head_dim(draw, config, needed=True)
    return config | {
        "intermediate_size_mlp": draw(st.sampled_from([8, 24])),
        "num_local_experts": draw(st.sampled_from([2, 4])),
        "num_experts_per_tok": 1,
        "interleave_moe_layer_step": draw(st.integers(1, 2)),
        "no_rope_layer_interval": draw(st.integers(2, 4)),
        "attention_chunk_size": draw(st.none() | windows),
    }


def _minimax_m3(draw: Draw, family: str) -> Json:
    config = _base(draw)
    _head_dim(draw, config, needed=True)
    depth, keys = config["num_hidden_layers"], config["num_key_value_heads"]
    listed = st.lists(st.integers(0, 1), min_size=depth, max_size=depth)
    dim = draw(st.sampled_from([4, 6]))
    config |= {
        "dense_intermediate_size": draw(widths),
        "shared_intermediate_size": draw(st.sampled_from([8, 16])),
        "rotary_dim": draw(st.sampled_from([2, min(dim, config["head_dim"])])),
        "sparse_attention_config": {
            "sparse_attention_freq": draw(listed),
            "sparse_num_index_heads": keys,
            "sparse_index_dim": dim,
            "sparse_block_size": draw(st.sampled_from([1, 2, 3, 5])),
            "sparse_topk_blocks": draw(st.sampled_from([1, 2, 3, 7])),
        },
    }
    _routed(draw, config, "num_local_experts")
    _maybe(draw, config, moe_layer_freq=listed)
    return config


MAKERS: dict[str, Callable[[Draw, str], Json]] = {
    "llama": _llama,
    "mistral": _mistral,
    "phi3": _mistral,
    "qwen2": _qwen,
    "qwen3": _qwen,
    "gemma2": _gemma,
    "gemma3_text": _gemma,
    "gpt2": _gpt,
    "gptj": _gpt,
    "gpt_neox": _gpt_neox,
    "opt": _opt,
    "bloom": _bloom,
    "falcon": _falcon,
    "mixtral": _mixtral,
    "gpt_oss": _mixtral,
    "olmoe": _olmoe,
    "qwen2_moe": _qwen_moe,
    "qwen3_moe": _qwen_moe,
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "deepseek_v32": _chosen,
    "glm_moe_dsa": _chosen,
    "llama4_text": _llama4,
    "minimax_m3": _minimax_m3,
}


@st.composite
def configs(draw: Draw, family: str) -> Json:
    """A config of a family."""
    config = {"model_type": family, "vocab_size": draw(st.sampled_from([10, 17, 32, 101]))}
    config |= MAKERS[family](draw, family)
    _maybe(draw, config, tie_word_embeddings=flags)
    return config
