"""Published configs read as the classes of transformers read them: one layer after the other.

Written from the modelling code of transformers, not from lifesym's families.
"""

from collections.abc import Callable
from typing import Any

from simulator.shapes import Chooser, Experts, Latent, Layer, Shape

Json = dict[str, Any]
NAMES = {"gelu_pytorch_tanh": "gelu_tanh", "gelu_new": "gelu_tanh"}


def shape_of(config: Json) -> Shape:
    """The model of a config."""
    return READERS[config["model_type"]](config)


def _sizes(c: Json, head_dim: int | None = None) -> dict[str, Any]:
    """The sizes that most families spell alike."""
    heads = c["num_attention_heads"]
    return {
        "hidden": c["hidden_size"],
        "heads": heads,
        "kv_heads": c.get("num_key_value_heads") or heads,
        "head_dim": c.get("head_dim") or head_dim or c["hidden_size"] // heads,
        "vocab": c["vocab_size"],
        "wide": c.get("intermediate_size", 0),
        "activation": _function(c.get("hidden_act", "silu")),
        "tied": c.get("tie_word_embeddings", False),
    }


def _function(name: str) -> str:
    return NAMES.get(name, name)


def _rotated(head_dim: int, part: float) -> int:
    """An angle for every second element of the part: cosines and sines are twice as many."""
    return 2 * len(range(0, int(head_dim * part), 2))


def _stack(c: Json, window: Callable[[int], int | None], **layer: Any) -> tuple[Layer, ...]:
    return tuple(Layer(window=window(i), **layer) for i in range(c["num_hidden_layers"]))


def _listed(
    c: Json, window: int | None, usual: Callable[[int], bool]
) -> Callable[[int], int | None]:
    """The window where ``layer_types`` says so, or by the family's rule where it is not there."""
    kinds = c.get("layer_types")
    if kinds:
        return lambda i: window if kinds[i] == "sliding_attention" else None
    return lambda i: window if usual(i) else None


def llama(c: Json) -> Shape:
    sizes, bias = _sizes(c), c.get("attention_bias", False)
    layers = _stack(c, lambda _: None, rotary=sizes["head_dim"])
    more = {"qkv_bias": bias, "out_bias": bias, "mlp_bias": c.get("mlp_bias", False)}
    return Shape(**sizes, **more, layers=layers)


def mistral(c: Json) -> Shape:
    sizes = _sizes(c)
    layers = _stack(c, lambda _: c.get("sliding_window", 4096), rotary=sizes["head_dim"])
    return Shape(**sizes, layers=layers)


def phi3(c: Json) -> Shape:
    """Part of a head is rotated."""
    sizes = _sizes(c)
    rotary = _rotated(sizes["head_dim"], c.get("partial_rotary_factor", 1.0))
    layers = _stack(c, lambda _: c.get("sliding_window"), rotary=rotary)
    return Shape(**sizes, joint_qkv=True, joint_gate_up=True, layers=layers)


def qwen(c: Json) -> Shape:
    third = c["model_type"] == "qwen3"
    sizes, bias = _sizes(c, 128 if third else None), c.get("attention_bias", False)
    window = c.get("sliding_window", 4096) if c.get("use_sliding_window", False) else None
    first = c.get("max_window_layers", 28)
    slides = _listed(c, window, lambda i: i >= first)
    norms = "head" if third else ""
    layers = _stack(c, slides, rotary=sizes["head_dim"], norms=norms)
    qkv, out = (bias, bias) if third else (True, False)
    return Shape(**sizes, qkv_bias=qkv, out_bias=out, layers=layers)


def gemma(c: Json) -> Shape:
    third = c["model_type"] == "gemma3_text"
    sizes, bias = _sizes(c), c.get("attention_bias", False)
    sizes["activation"] = _function(c.get("hidden_activation") or "gelu_pytorch_tanh")
    sizes["tied"] = c.get("tie_word_embeddings", True)
    every = c.get("sliding_window_pattern", 6) if third else 2
    slides = _listed(c, c["sliding_window"], lambda i: (i + 1) % every != 0)
    layers = _stack(c, slides, rotary=sizes["head_dim"], norms="head" if third else "")
    scores = c.get("attn_logit_softcapping", None if third else 50.0)
    logits = c.get("final_logit_softcapping", None if third else 30.0)
    return Shape(
        **sizes,
        qkv_bias=bias,
        out_bias=bias,
        post_norms=True,
        embedding_scaled=True,
        capped_scores=scores is not None,
        capped_logits=logits is not None,
        layers=layers,
    )


def mixtral(c: Json) -> Shape:
    sizes = _sizes(c)
    routed = Experts(
        count=c["num_local_experts"], chosen=c["num_experts_per_tok"], wide=c["intermediate_size"]
    )
    slides = _stack(c, lambda _: c.get("sliding_window"), rotary=sizes["head_dim"], experts=True)
    return Shape(**sizes, experts=routed, layers=slides)


def olmoe(c: Json) -> Shape:
    sizes, bias = _sizes(c), c.get("attention_bias", False)
    routed = Experts(
        count=c["num_experts"], chosen=c["num_experts_per_tok"], wide=c["intermediate_size"]
    )
    layers = _stack(c, lambda _: None, rotary=sizes["head_dim"], norms="all", experts=True)
    return Shape(**sizes, qkv_bias=bias, out_bias=bias, experts=routed, layers=layers)


def gpt_oss(c: Json) -> Shape:
    sizes, bias = _sizes(c, 64), c.get("attention_bias", True)
    routed = Experts(
        count=c["num_local_experts"],
        chosen=c["num_experts_per_tok"],
        wide=c["intermediate_size"],
        bias=True,
        router_bias=True,
    )
    slides = _listed(c, c.get("sliding_window", 128), lambda i: i % 2 == 0)
    layers = _stack(c, slides, rotary=sizes["head_dim"], experts=True)
    return Shape(**sizes, qkv_bias=bias, out_bias=bias, sinks=True, experts=routed, layers=layers)


def qwen_moe(c: Json) -> Shape:
    """Every so-manieth layer has experts; a window in alternate first layers, or in all."""
    second = c["model_type"] == "qwen2_moe"
    sizes, bias = _sizes(c), c.get("attention_bias", False)
    window = c.get("sliding_window", 4096) if c.get("use_sliding_window", False) else None
    first, step = c.get("max_window_layers", 28), c.get("decoder_sparse_step", 1)
    routed = Experts(
        count=c["num_experts"],
        chosen=c["num_experts_per_tok"],
        wide=c["moe_intermediate_size"],
        shared=c["shared_expert_intermediate_size"] if second else None,
        shared_gate=second,
    )
    layers = tuple(
        Layer(
            window=window if not second or (i % 2 == 0 and i < first) else None,
            rotary=sizes["head_dim"],
            norms="" if second else "head",
            experts=(i + 1) % step == 0,
        )
        for i in range(c["num_hidden_layers"])
    )
    qkv = c.get("qkv_bias", True) if second else bias
    out = False if second else bias
    return Shape(**sizes, qkv_bias=qkv, out_bias=out, experts=routed, layers=layers)


def deepseek(c: Json) -> Shape:
    """Latent attention; the first layers are dense. Heads have no one size.

    In V3.2 every layer's queries choose keys; in GLM 5 those of every so-manieth do.
    """
    third = c["model_type"] != "deepseek_v2"
    sizes, shared = _sizes(c, 1), c.get("n_shared_experts", 1 if third else 2)
    latents = Latent(
        queries=c.get("q_lora_rank", 1536),
        rank=c["kv_lora_rank"],
        plain=c["qk_nope_head_dim"],
        rotated=c["qk_rope_head_dim"],
        value=c["v_head_dim"],
        bias=c.get("attention_bias", False),
    )
    routed = Experts(
        count=c["n_routed_experts"],
        chosen=c["num_experts_per_tok"],
        wide=c["moe_intermediate_size"],
        sigmoid=third,
        shared=shared * c["moe_intermediate_size"] if shared else None,
    )
    dense = c.get("first_k_dense_replace", 3 if third else 0)
    chooser, every, first = None, c.get("index_topk_freq", 1), c.get("index_skip_topk_offset", 2)
    if "index_topk" in c:
        chooser = Chooser(heads=c["index_n_heads"], size=c["index_head_dim"], top=c["index_topk"])
    own = [max(i - first + 1, 0) % every == 0 for i in range(c["num_hidden_layers"])]
    choices = ["" if chooser is None else "own" if each else "earlier" for each in own]
    layers = tuple(Layer(experts=i >= dense, choice=each) for i, each in enumerate(choices))
    return Shape(**sizes, latent=latents, chooser=chooser, experts=routed, layers=layers)


def minimax_m3(c: Json) -> Shape:
    """Normalized and partly rotated heads; in some layers each key head's queries choose blocks."""
    sizes = _sizes(c)
    sizes["wide"] = c["dense_intermediate_size"]
    own, depth = c["sparse_attention_config"], c["num_hidden_layers"]
    chooser = Chooser(
        heads=sizes["kv_heads"],
        size=own["sparse_index_dim"],
        top=own["sparse_topk_blocks"],
        block=own["sparse_block_size"],
        rotated=c["rotary_dim"],
    )
    routed = c.get("moe_layer_freq", [1] * depth)
    layers = tuple(
        Layer(rotary=c["rotary_dim"], norms="head", choice="own" * chosen, experts=moe == 1)
        for chosen, moe in zip(own["sparse_attention_freq"], routed, strict=True)
    )
    moe = Experts(
        count=c["num_local_experts"],
        chosen=c["num_experts_per_tok"],
        wide=c["intermediate_size"],
        sigmoid=True,
        shared=c["shared_intermediate_size"],
    )
    return Shape(**sizes, joint_gate_up=True, chooser=chooser, experts=moe, layers=layers)


def llama4(c: Json) -> Shape:
    """Chunks where positions are rotated; elsewhere none, and queries scaled by their position."""
    sizes, bias = _sizes(c, 128), c.get("attention_bias", False)
    sizes["wide"] = c.get("intermediate_size_mlp", 16384)
    chunk, every = c.get("attention_chunk_size", 8192), c.get("no_rope_layer_interval", 4)
    step = c.get("interleave_moe_layer_step", 1)
    norms = "plain" if c.get("use_qk_norm", True) else ""
    layers = []
    for i in range(c["num_hidden_layers"]):
        routed = (i + 1) % step == 0
        if (i + 1) % every:
            layer = Layer(
                window=chunk,
                chunked=chunk is not None,
                rotary=sizes["head_dim"],
                norms=norms,
                experts=routed,
            )
        else:
            scaled = c.get("attn_temperature_tuning", True)
            layer = Layer(queries_scaled=scaled, experts=routed)
        layers.append(layer)
    moe = Experts(
        count=c.get("num_local_experts", 16),
        chosen=c.get("num_experts_per_tok", 1),
        wide=c["intermediate_size"],
        sigmoid=True,
        shared=c["intermediate_size"],
    )
    return Shape(**sizes, qkv_bias=bias, out_bias=bias, experts=moe, layers=tuple(layers))


def _gpt(c: Json, **more: Any) -> dict[str, Any]:
    """The keys of gpt2 and gptj that begin with ``n_``."""
    hidden, heads = c["n_embd"], c["n_head"]
    return {
        "hidden": hidden,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": hidden // heads,
        "vocab": c["vocab_size"],
        "wide": c.get("n_inner") or 4 * hidden,
        "activation": _function(c.get("activation_function", "gelu_new")),
        "gated": False,
        "norm": "layer",
        "mlp_bias": True,
        **more,
    }


def gpt2(c: Json) -> Shape:
    return Shape(
        **_gpt(c),
        tied=c.get("tie_word_embeddings", True),
        joint_qkv=True,
        qkv_bias=True,
        out_bias=True,
        positions=c["n_positions"],
        layers=(Layer(),) * c["n_layer"],
    )


def gptj(c: Json) -> Shape:
    """One norm before attention and MLP, which are side by side; a bias of the logits."""
    sizes = _gpt(c)
    rotary = c.get("rotary_dim", 64) or sizes["head_dim"]
    return Shape(
        **sizes,
        tied=c.get("tie_word_embeddings", False),
        head_bias=True,
        parallel=True,
        mlp_norm=False,
        layers=(Layer(rotary=rotary),) * c["n_layer"],
    )


def _layer_norm(c: Json, function: str, **more: Any) -> dict[str, Any]:
    """Multi-head decoders with plain MLPs."""
    sizes = _sizes({**c, "num_key_value_heads": None})
    plain = {"activation": _function(function), "gated": False, "norm": "layer", "mlp_bias": True}
    return {**sizes, **plain, **more}


def gpt_neox(c: Json) -> Shape:
    sizes, bias = _layer_norm(c, c.get("hidden_act", "gelu")), c.get("attention_bias", True)
    rotary = _rotated(sizes["head_dim"], c.get("rotary_pct", 0.25))
    return Shape(
        **sizes,
        joint_qkv=True,
        qkv_bias=bias,
        out_bias=bias,
        parallel=c.get("use_parallel_residual", True),
        layers=(Layer(rotary=rotary),) * c["num_hidden_layers"],
    )


def opt(c: Json) -> Shape:
    """Positions have two spare rows; embeddings may be narrower than the stream."""
    hidden, bias = c["hidden_size"], c.get("enable_bias", True)
    width = c.get("word_embed_proj_dim") or hidden
    sizes = _layer_norm(c, c.get("activation_function", "relu"), wide=c["ffn_dim"], mlp_bias=bias)
    sizes["tied"] = c.get("tie_word_embeddings", True)
    if not c.get("layer_norm_elementwise_affine", True):
        sizes["norm"] = "bare"
    before, removed = c.get("do_layer_norm_before", True), c.get("_remove_final_layer_norm", False)
    return Shape(
        **sizes,
        qkv_bias=bias,
        out_bias=bias,
        positions=c["max_position_embeddings"] + 2,
        embedding_width=width if width != hidden else None,
        final_norm=before and not removed,
        layers=(Layer(),) * c["num_hidden_layers"],
    )


def bloom(c: Json) -> Shape:
    same = {"num_attention_heads": c["n_head"], "intermediate_size": 4 * c["hidden_size"]}
    sizes = _layer_norm(c | same, "gelu_new")
    sizes["tied"] = c.get("tie_word_embeddings", True)
    return Shape(
        **sizes,
        joint_qkv=True,
        qkv_bias=True,
        out_bias=True,
        alibi=True,
        embedding_norm=True,
        layers=(Layer(),) * c["n_layer"],
    )


def falcon(c: Json) -> Shape:
    """Two generations: many queries to one key head, or groups with a norm for each branch."""
    hidden, heads, bias = c["hidden_size"], c["num_attention_heads"], c.get("bias", False)
    new, beside = c.get("new_decoder_architecture", False), c.get("parallel_attn", True)
    sizes = _layer_norm(c, c.get("activation", "gelu"), mlp_bias=bias)
    sizes["tied"] = c.get("tie_word_embeddings", True)
    sizes["wide"] = c.get("ffn_hidden_size") or 4 * hidden
    sizes["kv_heads"] = heads
    if new:
        sizes["kv_heads"] = c.get("num_kv_heads") or heads
    elif c.get("multi_query", True):
        sizes["kv_heads"] = 1
    norms = c.get("num_ln_in_parallel_attn") or (2 if new else 1)
    alibi = c.get("alibi", False)
    rotary = 0 if alibi else sizes["head_dim"]
    return Shape(
        **sizes,
        joint_qkv=True,
        qkv_bias=bias,
        out_bias=bias,
        alibi=alibi,
        parallel=beside,
        mlp_norm=norms == 2 or not beside,
        layers=(Layer(rotary=rotary),) * c["num_hidden_layers"],
    )


READERS: dict[str, Callable[[Json], Shape]] = {
    "llama": llama,
    "mistral": mistral,
    "qwen2": qwen,
    "qwen3": qwen,
    "phi3": phi3,
    "gemma2": gemma,
    "gemma3_text": gemma,
    "gpt2": gpt2,
    "gpt_neox": gpt_neox,
    "gptj": gptj,
    "opt": opt,
    "bloom": bloom,
    "falcon": falcon,
    "mixtral": mixtral,
    "olmoe": olmoe,
    "gpt_oss": gpt_oss,
    "qwen2_moe": qwen_moe,
    "qwen3_moe": qwen_moe,
    "deepseek_v2": deepseek,
    "deepseek_v3": deepseek,
    "deepseek_v32": deepseek,
    "glm_moe_dsa": deepseek,
    "llama4_text": llama4,
    "minimax_m3": minimax_m3,
}
