"""Vision towers against the real code: parameters of whole models, and FLOPs of their passes."""

from random import Random
from typing import Any

import pytest

import lifesym as ls

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from lifesym.tower import Grid  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

Config = dict[str, Any]
TEXT: Config = {
    "vocab_size": 70,
    "hidden_size": 32,
    "intermediate_size": 20,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
ROPE = {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 1e4}}
WIDE = TEXT | {"head_dim": 8}


def sizes(rng: Random) -> Config:
    """A vision transformer of the usual keys."""
    heads = rng.choice([1, 2, 4])
    return {
        "hidden_size": heads * 8,
        "intermediate_size": rng.randint(9, 40),
        "num_hidden_layers": rng.randint(1, 3),
        "num_attention_heads": heads,
    }


def qwen(rng: Random, more: Config) -> Config:
    """The same in Qwen's spelling."""
    usual = sizes(rng)
    return {
        "depth": usual["num_hidden_layers"],
        "num_heads": usual["num_attention_heads"],
        "hidden_size": usual["hidden_size"],
        "intermediate_size": usual["intermediate_size"],
        "patch_size": rng.choice([3, 4]),
        "out_hidden_size": 32,
    } | more


def qwen2_vl(rng: Random) -> Config:
    """The embedding's size has a name of its own."""
    vision = qwen(rng, {"mlp_ratio": rng.choice([1, 2])})
    vision |= {"embed_dim": vision["hidden_size"], "hidden_size": 32}
    return {"text_config": TEXT | ROPE, "vision_config": vision}


def qwen2_5_vl(rng: Random) -> Config:
    """Windows of 2 x 2 or 3 x 3 tokens in some of the layers."""
    vision = qwen(rng, {"fullatt_block_indexes": rng.choice([[], [0], [0, 2], [0, 1, 2]])})
    vision["window_size"] = vision["patch_size"] * 2 * rng.choice([2, 3])
    return {"text_config": TEXT | ROPE, "vision_config": vision}


def qwen3_vl(rng: Random) -> Config:
    """Outputs of no, one or two layers handed on."""
    vision = qwen(rng, {"num_position_embeddings": 16, "deepstack_visual_indexes": []})
    vision["deepstack_visual_indexes"] = list(range(rng.randint(0, vision["depth"])))
    return {"text_config": WIDE | ROPE, "vision_config": vision}


def gemma3(rng: Random) -> Config:
    """With and without a pooling head."""
    vision = sizes(rng) | {"image_size": 24, "patch_size": 3, "vision_use_head": rng.random() < 0.5}
    vision["model_type"] = "siglip_vision_model"
    return {
        "text_config": WIDE,
        "vision_config": vision,
        "mm_tokens_per_image": rng.choice([4, 16]),
    }


def llava(rng: Random) -> Config:
    """CLIP's tower or SigLIP's."""
    kind = rng.choice(["clip_vision_model", "siglip_vision_model"])
    vision = sizes(rng) | {"model_type": kind, "image_size": 24, "patch_size": 4}
    if kind != "clip_vision_model":
        vision["vision_use_head"] = False
    return {
        "text_config": TEXT | {"model_type": "llama"},
        "vision_config": vision,
        "multimodal_projector_bias": rng.random() < 0.5,
        "vision_feature_select_strategy": rng.choice(["default", "full"]),
        "vision_feature_layer": rng.choice([-2, [-2, -1]]),
    }


def mistral3(rng: Random) -> Config:
    """Merged squares of patches."""
    vision = sizes(rng) | {"model_type": "pixtral", "image_size": 48, "patch_size": 4}
    return {
        "text_config": WIDE | {"model_type": "mistral"},
        "vision_config": vision,
        "spatial_merge_size": rng.choice([1, 2]),
        "multimodal_projector_bias": rng.random() < 0.5,
    }


def llama4(rng: Random) -> Config:
    """An adapter as wide as the squares of patches it is given."""
    vision = sizes(rng) | {"image_size": 24, "patch_size": 4}
    vision |= {"intermediate_size": 4 * vision["hidden_size"], "projector_input_dim": 12}
    vision |= {"projector_output_dim": 12, "vision_output_dim": 12}
    text = WIDE | {"intermediate_size_mlp": 12, "num_local_experts": 2, "num_experts_per_tok": 1}
    return {"text_config": text, "vision_config": vision}


def internvl(rng: Random) -> Config:
    """Norms of either kind, biases, norms of queries and keys."""
    vision = sizes(rng) | {
        "image_size": 24,
        "patch_size": 4,
        "norm_type": rng.choice(["layer_norm", "rms_norm"]),
        "attention_bias": rng.random() < 0.5,
        "use_qk_norm": rng.random() < 0.5,
        "use_mean_pooling": rng.random() < 0.5,
    }
    return {"text_config": TEXT | {"model_type": "qwen2"}, "vision_config": vision}


def gemma4(rng: Random) -> Config:
    """Norms of queries, keys and values."""
    vision = sizes(rng) | {"patch_size": 4, "head_dim": 8, "position_embedding_size": 64}
    vision["num_key_value_heads"] = vision["num_attention_heads"]
    text = WIDE | {"global_head_dim": 8, "hidden_size_per_layer_input": 0}
    text |= {"num_kv_shared_layers": 0, "layer_types": ["full_attention"]}
    config = {"text_config": text, "vision_config": vision, "audio_config": None}
    return config | {"vision_soft_tokens_per_image": 12}


MAKERS = {
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "gemma3": gemma3,
    "llava": llava,
    "mistral3": mistral3,
    "llama4": llama4,
    "internvl": internvl,
    "gemma4": gemma4,
}


def seen(family: str, config: Config, grid: Grid, images: int) -> Config:
    """What the real code is given: pixels, and what it must know of the grid."""
    vision = config["vision_config"]
    patch = vision["patch_size"]
    height, width = grid.rows * patch, grid.columns * patch
    if family.startswith("qwen"):
        pixels = torch.rand(images * grid.rows * grid.columns, 3 * 2 * patch**2)
        return {
            "pixel_values": pixels,
            "image_grid_thw": torch.tensor([[1, grid.rows, grid.columns]] * images),
        }
    if family == "gemma4":
        spots = [[x, y] for y in range(grid.rows) for x in range(grid.columns)]
        pixels = torch.rand(images, len(spots), 3 * patch**2)
        return {"pixel_values": pixels, "image_position_ids": torch.tensor([spots] * images)}
    pixels = torch.rand(images * grid.crops, 3, height, width)
    given: Config = {"pixel_values": pixels}
    if vision.get("model_type") == "pixtral":
        given["image_sizes"] = torch.tensor([[height, width]] * images)
    if family in ("llava", "llama4"):
        keys = ("vision_feature_layer", "vision_feature_select_strategy")
        given |= {key: config.get(key, "default") for key in keys[family == "llama4" :]}
    return given


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", MAKERS)
def test_towers_equal_the_real_code(family: str, seed: int) -> None:
    rng = Random(f"{family} {seed}")
    config = MAKERS[family](rng)
    parsed = transformers.AutoConfig.for_model(family, **config)
    auto = transformers.AutoModelForImageTextToText
    real = auto.from_config(parsed, attn_implementation="eager").eval().requires_grad_(False)
    text = {"model_type": f"{family}_text"} | config["text_config"]
    tied = {"tie_word_embeddings": parsed.tie_word_embeddings}
    model = ls.Model.from_hf({"model_type": family} | tied | config | {"text_config": text | tied})
    unique = {id(p): p.numel() for p in real.parameters()}
    assert int(model.parameters + model.tower_parameters) == sum(unique.values()), config
    (tower,) = model.towers
    grid = tower.rule(rng.randint(20, 60), rng.randint(20, 60))
    images = 1 if family == "mistral3" else 2  # its code masks the pairs between images
    with FlopCounterMode(display=False) as counter:
        base = real if family == "llama4" else real.model
        made = base.get_image_features(**seen(family, config, grid, images))
        if family == "llama4":
            real.multi_modal_projector(made.last_hidden_state)
    counts = counter.get_flop_counts()
    rotary = sum(
        sum(by.values()) for name, by in counts.items() if name.split(".")[-1] == "rotary_pos_emb"
    )
    counted = model.tower_trace(tower, images, grid).cost().matmul_flops
    if family == "gemma4":  # its code has a product with zeros and ones for the means
        patches = grid.rows * grid.columns
        rotary += 2 * images * grid.tokens * patches * config["vision_config"]["hidden_size"]
    assert int(counted) == counter.get_total_flops() - rotary, (config, grid)


def whisper(rng: Random) -> Config:
    """Whisper's encoder in Voxtral's spelling."""
    usual = sizes(rng) | {"num_mel_bins": 8, "max_source_positions": 24}
    return usual | {"intermediate_size": usual["hidden_size"] * rng.choice([2, 4])}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", ["qwen2_audio", "voxtral"])
def test_audio_towers_equal_the_real_code(family: str, seed: int) -> None:
    rng = Random(f"{family} {seed}")
    audio = whisper(rng)
    if family == "qwen2_audio":
        names = {
            "hidden_size": "d_model",
            "intermediate_size": "encoder_ffn_dim",
            "num_hidden_layers": "encoder_layers",
            "num_attention_heads": "encoder_attention_heads",
        }
        audio = {names.get(key, key): value for key, value in audio.items()}
    kind = "qwen2" if family == "qwen2_audio" else "llama"
    config = {"audio_config": audio, "text_config": WIDE | {"model_type": kind}}
    parsed = transformers.AutoConfig.for_model(family, **config)
    auto = transformers.AutoModelForMultimodalLM
    real = auto.from_config(parsed, attn_implementation="eager").eval().requires_grad_(False)
    tied = {"tie_word_embeddings": real.lm_head.weight is real.get_input_embeddings().weight}
    text = config["text_config"] | tied
    model = ls.Model.from_hf({"model_type": family} | tied | config | {"text_config": text})
    unique = {id(p): p.numel() for p in real.parameters()}
    assert int(model.parameters + model.tower_parameters) == sum(unique.values()), config
    (tower,) = model.towers
    grid = tower.rule(1, 1)
    with FlopCounterMode(display=False) as counter:
        base = real.model
        heard = base.audio_tower(torch.rand(3, 8, 48)).last_hidden_state
        if family == "voxtral":
            heard = heard.reshape(-1, audio["intermediate_size"])
        base.multi_modal_projector(heard)
    counted = model.tower_trace(tower, 3, grid).cost().matmul_flops
    assert int(counted) == counter.get_total_flops(), config


@pytest.mark.parametrize("seed", range(4))
def test_gits_tower_equals_the_real_code(seed: int) -> None:
    """A flat config, whose class has tower and projection in its base model."""
    rng = Random(seed)
    vision = sizes(rng) | {"image_size": 24, "patch_size": rng.choice([3, 4])}
    config = {key: TEXT[key] for key in TEXT.keys() - {"num_key_value_heads"}}
    config |= {"max_position_embeddings": 64, "vision_config": vision}
    parsed = transformers.AutoConfig.for_model("git", **config)
    auto = transformers.AutoModelForImageTextToText
    real = auto.from_config(parsed, attn_implementation="eager").eval().requires_grad_(False)
    model = ls.Model.from_hf({"model_type": "git"} | config, strict=True)
    unique = {id(p): p.numel() for p in real.parameters()}
    assert int(model.parameters + model.tower_parameters) == sum(unique.values()), config
    (tower,) = model.towers
    grid = tower.rule(30, 50)
    with FlopCounterMode(display=False) as counter:
        seen = real.git.image_encoder(torch.rand(2, 3, 24, 24)).last_hidden_state
        made = real.git.visual_projection(seen)
    assert made.shape[1] == grid.tokens
    counted = model.tower_trace(tower, 2, grid).cost().matmul_flops
    assert int(counted) == counter.get_total_flops(), (config, grid)
