"""Random tiny configs of any class: its default config, with small numbers for its sizes.

What a config of transformers holds is known from the class's own defaults; so a new family is
drawn as soon as it is known, without a generator of its own.
"""

from random import Random
from typing import Any

from transformers import CONFIG_MAPPING

Config = dict[str, Any]

SMALL: dict[str, tuple[int, ...]] = {
    "vocab_size": tuple(range(40, 120)),
    "num_hidden_layers": (2, 3, 4),
    "intermediate_size": tuple(range(10, 60)),
    "moe_intermediate_size": tuple(range(5, 40)),
    "shared_expert_intermediate_size": tuple(range(5, 40)),
    "dense_intermediate_size": tuple(range(10, 60)),
    "moe_shared_expert_intermediate_size": tuple(range(5, 40)),
    "prefix_dense_intermediate_size": tuple(range(10, 60)),
    "shared_intermediate_size": (0, 7, 12),
    "sliding_window": tuple(range(3, 21)),
    "max_position_embeddings": (128,),
    "n_group": (1,),
    "topk_group": (1,),
    "num_shared_experts": (0, 1, 2),
    "n_shared_experts": (1, 2),
    "first_k_dense_replace": (0, 1, 2),
    "num_dense_layers": (0, 1, 2),
    "q_lora_rank": (6, 10),
    "kv_lora_rank": (4, 10),
    "qk_nope_head_dim": (4, 8),
    "qk_rope_head_dim": (2, 4),
    "v_head_dim": (4, 6),
    "rotary_dim": (4,),
    "n_inner": (30, 44),
    "ffn_dim": tuple(range(10, 60)),
    "dff": tuple(range(10, 60)),
    "conv_L_cache": (3, 4),
    "keep_window_size": tuple(range(3, 41)),
}
"""Sizes by key, of those that nothing else depends on."""
ROPE: Config = {"rope_type": "default", "rope_theta": 10000.0}
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
CHOSEN = ("num_experts_per_tok", "moe_topk", "moe_k", "num_experts_per_token")
SWITCHES = (
    *("attention_bias", "mlp_bias", "use_bias", "use_qkv_bias", "qkv_bias", "o_bias"),
    *("tie_word_embeddings", "multi_query", "attention_out_bias"),
)
PATTERNS = ("layer_types", "mlp_layer_types")
"""Lists with a word for each layer; the words are those of the defaults."""


def drawn(rng: Random, kind: str) -> Config:
    """A tiny config of a class: its defaults, made small."""
    usual = CONFIG_MAPPING[kind]()
    spelt = {name: key for name, key in usual.attribute_map.items() if key is not None}
    found = usual.to_dict()
    config: Config = {"model_type": kind, "pad_token_id": 0}

    def give(name: str, value: Any) -> None:
        key = spelt.get(name, name)
        if key in found:
            config[key] = value

    kv_heads = rng.choice([1, 2, 3])
    heads = kv_heads * rng.choice([1, 2, 4])
    if found.get("kv_lora_rank"):
        kv_heads = heads
    head_dim = rng.choice([4, 8, 16])
    give("num_attention_heads", heads)
    give("num_key_value_heads", kv_heads)
    give("hidden_size", heads * head_dim)
    if found.get("head_dim") is not None and not found.get("kv_lora_rank"):
        give("head_dim", head_dim)
    for name, choices in SMALL.items():
        key = spelt.get(name, name)
        if name == "sliding_window" and found.get(key) is None:
            continue
        give(name, rng.choice(choices))
    experts = rng.randint(3, 5)
    for name in EXPERTS:
        give(name, experts)
    for name in CHOSEN:
        give(name, rng.randint(1, 3))
    for name in SWITCHES:
        if isinstance(found.get(name), bool):
            give(name, rng.random() < 0.5)
    layers = config.get(spelt.get("num_hidden_layers", "num_hidden_layers"))
    for name in PATTERNS:
        words = sorted(set(found.get(name) or ()))
        if words and layers:
            config[name] = [rng.choice(words) for _ in range(layers)]
    return config | _own(rng, config)


SECTIONED = frozenset(
    {
        *("glm4v_text", "glm_ocr_text", "glm4v_moe_text", "cosmos3_edge_text"),
        *("paddleocr_vl_text", "qwen2_5_omni_text", "hunyuan_vl_text"),
        *("qwen2_vl_text", "qwen2_5_vl_text"),
    }
)
"""Types whose rotary positions are in three parts."""


RARE = frozenset({"diffllama", "ernie4_5_vl_moe_text", "git", "mllama_text_model"})


def _rare(rng: Random, config: Config) -> Config:
    """What models with parts for images ask for, and pairs of heads.

    Llama 3.2 Vision asks its first layer how many tokens are cached, which must then be of text.
    """
    layers = config["num_hidden_layers"]
    if config["model_type"] == "diffllama":
        return {"num_key_value_heads": 2, "num_attention_heads": 4, "hidden_size": 32}
    if config["model_type"] == "git":
        small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
        return {"vision_config": small | {"intermediate_size": 8}}
    if config["model_type"] == "mllama_text_model":
        seeing = rng.sample(range(1, layers), rng.randint(0, layers - 1))
        return {"cross_attention_layers": seeing, "tie_word_embeddings": False}
    size, half = rng.randint(5, 20), config["hidden_size"] // config["num_attention_heads"] // 2
    sections = [half // 4, half // 4, half - half // 4 * 2]
    return {
        "moe_intermediate_size": [2 * size, size],
        "rope_parameters": ROPE | {"mrope_section": sections},
        "mlp_layer_types": [rng.choice(["dense", "sparse"]) for _ in range(layers)],
    }


def _own(rng: Random, config: Config) -> Config:
    """What only one class asks for."""
    layers = config.get("num_hidden_layers", 1)
    match config["model_type"]:
        case "kimi_linear":  # its cache asks a layer of attention how many tokens it has
            words = [*config["layer_types"][1:], "full_attention"]
            return {"tie_word_embeddings": False, "layer_types": words}
        case "internlm3":
            return {"attention_bias": config["mlp_bias"]}
        case "mimo_v2_flash":
            return {"num_attention_heads": 4 * config["num_key_value_heads"]}
        case "lfm2_moe":
            kinds = [rng.choice(["conv", "full_attention"]) for _ in range(layers - 1)]
            return {"layer_types": ["full_attention", *kinds]}
        case "hy_v3":
            return {"num_shared_experts": rng.randint(1, 2)}
        case "gpt_neo":
            return {"attention_types": [[["global", "local"], 1]], "num_layers": 2}
        case "cohere_compass_text":
            kinds = ["full_attention", "sliding_attention"]
            rope = dict.fromkeys(kinds, ROPE)
            types = [rng.choice(kinds) for _ in range(layers)]
            return {"layer_types": types, "rope_parameters": rope}
        case "deepseek_ocr2_text":
            types = [rng.choice(["dense", "sparse"]) for _ in range(layers)]
            return {"mlp_layer_types": types, "mlp_bias": False}
        case "step3p5":
            kinds = ["full_attention", "sliding_attention"]
            return {
                "sliding_window": rng.randint(3, 20),
                "layer_types": [rng.choice(kinds) for _ in range(layers)],
                "mlp_layer_types": [rng.choice(["dense", "sparse"]) for _ in range(layers)],
                "num_sliding_attention_heads": 3 * config["num_key_value_heads"],
                "mlp_bias": False,
                "share_expert_dim": rng.randint(5, 20),
            }
        case "lfm3":
            kinds = ["conv", "full_attention", "sliding_attention"]
            return {
                "layer_types": ["full_attention", *(rng.choice(kinds) for _ in range(layers - 1))]
            }
        case kind if kind in SECTIONED:
            size = config["hidden_size"] // config["num_attention_heads"]
            half = config.get("head_dim", size) // 2
            sections = [half - half // 4 * 2, half // 4, half // 4]
            rope = ROPE | {"mrope_section": sections, "partial_rotary_factor": 1.0}
            return {"rope_parameters": rope, "head_dim": config.get("head_dim", size)}
        case "ministral" | "hunyuan_v1_dense" | "hunyuan_v1_moe":
            return {"head_dim": config["hidden_size"] // config["num_attention_heads"]}
    return _later(rng, config)


def _later(rng: Random, config: Config) -> Config:
    """The same of recurrent classes, and of those whose layers run in loops."""
    layers = config.get("num_hidden_layers", 1)
    match config["model_type"]:
        case "recurrent_gemma":
            heads, size = config["num_attention_heads"], config["hidden_size"]
            kinds = ["recurrent", "attention"]
            return {
                "lru_width": rng.choice([None, size]),
                "head_dim": size // heads,
                "conv1d_width": rng.randint(2, 4),
                "block_types": rng.choice(
                    [kinds, kinds[::-1], ["attention", "recurrent", "recurrent"]]
                ),
            }
        case "zamba":
            words = ["mamba", "hybrid", "mamba", "hybrid"]
            listed = rng.choice([words, None])
            heads = config["num_attention_heads"]
            return {
                "hidden_size": heads * rng.choice([4, 8, 12]),
                "attention_head_dim": None,
                "n_mamba_heads": rng.choice([1, 2, 4]),
                "mamba_d_state": rng.choice([3, 8]),
                "mamba_d_conv": rng.randint(2, 4),
                "mamba_dt_rank": rng.choice(["auto", 5]),
                "layers_block_type": listed,
                "num_hidden_layers": 8 if listed is None else 4,
                "tie_word_embeddings": True,
                **{key: rng.random() < 0.5 for key in ("mamba_conv_bias", "mamba_proj_bias")},
            }
        case "xlstm":
            return {
                "hidden_size": 128 * rng.randint(1, 2),
                "num_heads": rng.choice([1, 2, 4]),
                "v_dim_factor": rng.choice([0.5, 1.0]),
                "chunk_size": rng.choice([2, 4, 16]),
                "ffn_round_up_to_multiple_of": rng.choice([8, 64]),
                "use_bias": False,
            }
        case "zaya":
            words = ["hybrid", "hybrid_sliding"]
            rope = {word: ROPE | {"partial_rotary_factor": rng.choice([0.5, 1])} for word in words}
            return {
                "num_experts_per_tok": 1,
                "cca_time0": rng.randint(2, 3),
                "cca_time1": rng.randint(2, 3),
                "router_hidden_size": rng.choice([6, 10]),
                "lm_head_bias": rng.random() < 0.5,
                "sliding_window": rng.randint(3, 20),
                "layer_types": [rng.choice(words) for _ in range(layers)],
                "rope_parameters": rng.choice([None, rope]),
            }
        case "hrm_text":
            return {key: rng.randint(1, 3) for key in ("H_cycles", "L_cycles")}
        case "dory":
            kinds = ["full_attention", "sliding_attention"]
            first, last, inner = rng.randint(0, 2), rng.randint(1, 2), rng.randint(1, 3)
            depth = first + inner + last
            return {
                "num_hidden_layers": depth,
                "n_input_layers": first,
                "n_output_layers": last,
                "n_recurrent_layers": rng.choice([None, inner]),
                "n_recurrent_loops": rng.randint(1, 3),
                "layer_types": rng.choice([None, [rng.choice(kinds) for _ in range(depth)]]),
            }
        case "modernbert-decoder":
            kinds = ["full_attention", "sliding_attention"]
            return {
                "layer_types": rng.choice([None, [rng.choice(kinds) for _ in range(layers)]]),
                "local_attention": rng.randint(4, 40),
                **{key: rng.random() < 0.5 for key in ("norm_bias", "decoder_bias")},
                "classifier_bias": rng.random() < 0.5,
            }
        case "olmo_hybrid":
            kinds = ["linear_attention", "full_attention"]
            rng.shuffle(kinds)
            key_heads = rng.choice([1, 2])
            return {
                "layer_types": kinds + [rng.choice(kinds) for _ in range(layers - 2)],
                "linear_num_key_heads": key_heads,
                "linear_num_value_heads": key_heads * rng.choice([1, 2]),
                "linear_key_head_dim": rng.choice([4, 8]),
                "linear_value_head_dim": rng.choice([6, 8]),
            }
    return _rare(rng, config) if config["model_type"] in RARE else _chosen(rng, config)


def _chosen(rng: Random, config: Config) -> Config:
    """The same where keys are compressed or chosen, and of 2026's experts."""
    layers = config.get("num_hidden_layers", 1)
    match config["model_type"]:
        case "deepseek_v4":
            kinds = ["sliding", "compressed_sparse", "heavily_compressed"]
            rates = {f"{kind}_attention": rng.randint(2, 6) for kind in kinds[1:]}
            types = [f"{rng.choice(kinds)}_attention" for _ in range(layers)]
            return {
                "num_key_value_heads": 1,
                "layer_types": types,
                "compress_rates": rates,
                "mlp_layer_types": [rng.choice(["hash_moe", "moe"]) for _ in range(layers)],
                "partial_rotary_factor": 0.5,
                "o_groups": rng.choice([config["num_attention_heads"], 1]),
                "o_lora_rank": rng.choice([3, 6]),
                "index_n_heads": rng.choice([1, 2, 4]),
                "index_head_dim": rng.choice([8, 12]),
                "index_topk": 20,  # more than there are: the code scores and reads all
                "hc_mult": rng.randint(2, 4),
                "hc_sinkhorn_iters": rng.randint(1, 3),
                "n_shared_experts": 1,
                "scoring_func": rng.choice(["sqrtsoftplus", "sigmoid"]),  # softmax is no ACT2FN
            }
        case "longcat_flash":
            return {
                "num_layers": rng.randint(1, 2),
                "ffn_hidden_size": rng.randint(10, 60),
                "expert_ffn_hidden_size": rng.randint(5, 40),
                "zero_expert_num": 0,  # which experts are chosen is no average: see below
                "head_dim": config["qk_rope_head_dim"],
                "moe_topk": rng.randint(2, 3),
            }
        case "axk2" | "hy_v4" | "dots3_note_text" | "mistral_large4_text":
            return {"index_topk": 40, "index_head_dim": 8, "index_n_heads": 2, **_kin(rng, config)}
        case "beam":
            types = [rng.choice(["full_attention", "sliding_attention"]) for _ in range(layers)]
            types[-1] = "full_attention"
            return {"layer_types": types, "num_experts": 4, "n_group": 1, "topk_group": 1}
    return {}


def _kin(rng: Random, config: Config) -> Config:
    """What kin of DeepSeek V3.2 ask for besides."""
    layers = config["num_hidden_layers"]
    more = [rng.choice(["full", "shared"]) for _ in range(layers - 1)]
    match config["model_type"]:
        case "axk2":
            return {"gated_norm_rank": rng.randint(2, 9)}
        case "hy_v4":
            return {"indexer_types": ["full", *more], "hc_mult": rng.randint(2, 4)}
        case "mistral_large4_text":
            still = [rng.randint(0, 1) for _ in range(layers)]
            sources = [still.index(each) for each in still]
            own = rng.choice([sources, list(range(layers))])
            return {
                "indexer_types": ["full", *more],
                "no_rope_layers": still,
                "kv_source_layers": own,
                "rope_parameters": ROPE,
            }
    kinds = ["indexed_attention", "sliding_attention", "full_attention"]
    sliding = {
        "swa_num_attention_heads": 3,
        "swa_num_key_value_heads": 3,
        "swa_q_lora_rank": 5,
        "swa_kv_lora_rank": 7,
        "swa_head_dim": 8,
        "swa_qk_nope_head_dim": 4,
        "swa_v_head_dim": 6,
    }
    return sliding | {
        "layer_types": [rng.choice(kinds) for _ in range(layers)],
        "shared_experts_intermediate_size": rng.randint(5, 20),
        "head_dim": config["qk_nope_head_dim"] + config["qk_rope_head_dim"],
        "mlp_bias": False,
    }
