"""Reading configs: spellings of both transformers generations, unknown keys, what is refused."""

import json
import warnings
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sympy import sympify
from test_truth import CONFIGS, LATER

import lifesym as ls
from lifesym import symbols as sym
from lifesym.blocks import TimeMix
from lifesym.errors import SpecError
from lifesym.families import FAMILIES
from lifesym.families.parts import attention, experts, layer, mlp
from lifesym.families.sections import sections_of
from lifesym.huggingface import ConfigWarning, example
from lifesym.specs import names, root

Json = dict[str, Any]
BASE: Json = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 80,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
}
LLAMA = BASE | {"model_type": "llama"}
GROUPED = BASE | {"num_key_value_heads": 2}
MISTRAL = GROUPED | {"model_type": "mistral"}
QWEN2 = GROUPED | {"model_type": "qwen2"}
QWEN3 = GROUPED | {"model_type": "qwen3"}
PHI3 = GROUPED | {"model_type": "phi3"}
MOE = GROUPED | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
QWEN2MOE = MOE | {"model_type": "qwen2_moe", "shared_expert_intermediate_size": 40}
QWEN3MOE = MOE | {"model_type": "qwen3_moe"}
LATENT: Json = BASE | {
    "moe_intermediate_size": 24,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "kv_lora_rank": 12,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
}
V2 = LATENT | {"model_type": "deepseek_v2"}
V3 = LATENT | {"model_type": "deepseek_v3"}
PHIMOE = BASE | {"model_type": "phimoe", "num_local_experts": 4, "num_experts_per_tok": 2}
KIMI = LATENT | {"model_type": "kimi_k2", "q_lora_rank": None, "n_shared_experts": 1}
GLM = LATENT | {"model_type": "glm4_moe_lite"}
HUNYUAN = BASE | {"model_type": "hunyuan_v1_dense", "head_dim": 8}
GEMMA2 = GROUPED | {"model_type": "gemma2", "head_dim": 8, "sliding_window": 16}
GEMMA3 = GEMMA2 | {"model_type": "gemma3_text"}
NEOX = BASE | {"model_type": "gpt_neox"}
GPT: Json = {"vocab_size": 96, "n_embd": 64, "n_layer": 4, "n_head": 8, "n_positions": 128}
GPT2 = GPT | {"model_type": "gpt2"}
GPTJ = GPT | {"model_type": "gptj", "rotary_dim": 4}
FALCON: Json = {
    "model_type": "falcon",
    "vocab_size": 96,
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
}
OPT = FALCON | {"model_type": "opt", "ffn_dim": 80, "max_position_embeddings": 128}
BLOOM: Json = {
    "model_type": "bloom",
    "vocab_size": 96,
    "hidden_size": 64,
    "n_layer": 4,
    "n_head": 8,
}


def same(left: ls.Model, right: ls.Model) -> bool:
    """The same structure and sizes, whatever they are called."""
    return (left.sections, dict(left.values), left.context_limit) == (
        right.sections,
        dict(right.values),
        right.context_limit,
    )


def without(config: Json, *keys: str) -> Json:
    return {key: value for key, value in config.items() if key not in keys}


LLAMA3_ROPE = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}
ALTERNATE = ["sliding_attention", "full_attention"] * 2
GEMMA4 = GROUPED | {
    "model_type": "gemma4_text",
    "hidden_size_per_layer_input": 0,
    "layer_types": ALTERNATE,
}
SPELLINGS: dict[str, tuple[Json, Json]] = {
    "rope": (
        LLAMA | {"rope_theta": 5e5, "rope_scaling": LLAMA3_ROPE},
        LLAMA | {"rope_parameters": LLAMA3_ROPE | {"rope_theta": 5e5}},
    ),
    "dtype": (LLAMA | {"torch_dtype": "bfloat16"}, LLAMA | {"dtype": "bfloat16"}),
    "heads left out": (LLAMA, LLAMA | {"num_key_value_heads": 8, "head_dim": 8}),
    "no window": (
        MISTRAL | {"sliding_window": None},
        MISTRAL | {"layer_types": ["full_attention"] * 4},
    ),
    "default window": (MISTRAL, MISTRAL | {"sliding_window": 4096}),
    "windows unused": (
        QWEN2 | {"sliding_window": 32, "use_sliding_window": False, "max_window_layers": 0},
        QWEN2 | {"sliding_window": None, "layer_types": ["full_attention"] * 4},
    ),
    "window layers": (
        QWEN2 | {"sliding_window": 32, "use_sliding_window": True, "max_window_layers": 2},
        QWEN2
        | {"sliding_window": 32, "use_sliding_window": True}
        | {"layer_types": ["full_attention"] * 2 + ["sliding_attention"] * 2},
    ),
    "qwen3 heads": (QWEN3, QWEN3 | {"head_dim": 128}),
    "qwen2 moe saved by transformers 5": (
        QWEN2MOE | {"sliding_window": 0},
        QWEN2MOE | {"layer_types": ["full_attention"] * 4},
    ),
    "qwen2 moe windows": (
        QWEN2MOE | {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 2},
        QWEN2MOE
        | {"use_sliding_window": True, "sliding_window": 9}
        | {"layer_types": ["sliding_attention", *["full_attention"] * 3]},
    ),
    "qwen3 moe windows": (
        QWEN3MOE | {"use_sliding_window": True, "max_window_layers": 4},
        QWEN3MOE | {"use_sliding_window": True, "sliding_window": 4096},
    ),
    "qwen3 moe heads": (QWEN3MOE, QWEN3MOE | {"head_dim": 8}),
    "deepseek v2 defaults": (
        V2,
        V2 | {"q_lora_rank": 1536, "n_shared_experts": 2, "first_k_dense_replace": 0},
    ),
    "deepseek v3 defaults": (
        V3,
        V3 | {"q_lora_rank": 1536, "n_shared_experts": 1, "first_k_dense_replace": 3},
    ),
    "glm dense layer": (
        GLM | {"first_k_dense_replace": 2},
        GLM | {"mlp_layer_types": ["dense", "sparse", "sparse", "sparse"], "q_lora_rank": 768},
    ),
    "no shared experts": (V3 | {"n_shared_experts": 0}, V3 | {"n_shared_experts": None}),
    "phi3 rotary": (
        PHI3 | {"partial_rotary_factor": 0.5},
        PHI3 | {"rope_parameters": {"partial_rotary_factor": 0.5, "rope_theta": 1e4}},
    ),
    "neox rotary": (
        NEOX | {"rotary_pct": 0.5, "rotary_emb_base": 10000},
        NEOX | {"rope_parameters": {"partial_rotary_factor": 0.5, "rope_theta": 1e4}},
    ),
    "neox rotary default": (NEOX, NEOX | {"rotary_pct": 0.25}),
    "gemma activation": (
        GEMMA2 | {"hidden_act": "silu"},
        GEMMA2 | {"hidden_activation": "gelu_pytorch_tanh"},
    ),
    "gemma activation null": (GEMMA2, GEMMA2 | {"hidden_activation": None}),
    "gemma2 layer types": (GEMMA2, GEMMA2 | {"layer_types": ALTERNATE}),
    "gemma3 pattern written, not read": (GEMMA3, GEMMA3 | {"_sliding_window_pattern": 2}),
    "gemma3 pattern": (
        GEMMA3 | {"sliding_window_pattern": 2},
        GEMMA3 | {"_sliding_window_pattern": 2, "layer_types": ALTERNATE},
    ),
    "gemma3 nested": (
        GEMMA3,
        {"model_type": "gemma3", "vision_config": {"depth": 3}, "text_config": GEMMA3},
    ),
    "tied outside": (
        LLAMA | {"tie_word_embeddings": True},
        {"model_type": "idefics3", "tie_word_embeddings": True, "text_config": LLAMA},
    ),
    "tied inside, saved by transformers 4": (
        LLAMA | {"tie_word_embeddings": True},
        {"model_type": "llava", "tie_word_embeddings": False}
        | {"text_config": LLAMA | {"tie_word_embeddings": True}},
    ),
    "gpt2 general names": (
        GPT2,
        without(GPT2, "n_embd", "n_layer", "n_head", "n_positions")
        | {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 8}
        | {"max_position_embeddings": 128},
    ),
    "gptj general names": (
        GPTJ,
        without(GPTJ, "n_embd", "n_layer", "n_head")
        | {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 8},
    ),
    "gpt2 inner": (GPT2, GPT2 | {"n_inner": 256}),
    "falcon names": (
        FALCON,
        without(FALCON, "num_hidden_layers", "num_attention_heads") | {"n_layer": 4, "n_head": 8},
    ),
    "falcon grouped names": (
        FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2},
        FALCON | {"new_decoder_architecture": True, "n_head_kv": 2},
    ),
    "bloom names": (
        BLOOM,
        without(BLOOM, "hidden_size", "n_layer") | {"n_embed": 64, "num_hidden_layers": 4},
    ),
    "opt width": (OPT, OPT | {"word_embed_proj_dim": 64, "_remove_final_layer_norm": False}),
    "activation names": (LLAMA | {"hidden_act": "silu"}, LLAMA | {"hidden_act": "swish"}),
}


@pytest.mark.parametrize(("old", "new"), SPELLINGS.values(), ids=SPELLINGS)
def test_two_spellings_are_one_model(old: Json, new: Json) -> None:
    assert same(ls.Model.from_hf(old, strict=True), ls.Model.from_hf(new, strict=True))


def test_where_the_models_do_differ() -> None:
    """The comparison above is not blind."""
    assert not same(ls.Model.from_hf(LLAMA), ls.Model.from_hf(LLAMA | {"num_key_value_heads": 4}))
    assert not same(ls.Model.from_hf(NEOX), ls.Model.from_hf(NEOX | {"rotary_pct": 0.5}))


REFUSED: list[tuple[Json, str]] = [
    ({}, "missing key 'model_type'"),
    ({"model_type": "lama"}, r"unknown model_type 'lama'; did you mean 'llama'\?"),
    ({"model_type": 3}, "unknown model_type 3"),
    (without(LLAMA, "hidden_size"), "missing key 'hidden_size'"),
    (LLAMA | {"hidden_size": "64"}, "key 'hidden_size': Expected `int`, got `str`"),
    (LLAMA | {"hidden_size": 64.5}, "key 'hidden_size': Expected `int`"),
    (LLAMA | {"hidden_size": True}, "key 'hidden_size': Expected `int`, got `bool`"),
    (LLAMA | {"num_hidden_layers": 0}, "key 'num_hidden_layers': Expected `int` >= 1"),
    (LLAMA | {"vocab_size": -5}, "key 'vocab_size': Expected `int` >= 1"),
    (LLAMA | {"vocab_size": 2**41}, "key 'vocab_size': Expected `int` <= "),
    (LLAMA | {"num_attention_heads": 7}, "64 is not divisible by num_attention_heads = 7"),
    (LLAMA | {"num_key_value_heads": 3}, "key 'num_key_value_heads': 3 does not divide"),
    (LLAMA | {"hidden_act": "softmax"}, "key 'hidden_act': 'softmax' is not modelled"),
    (LLAMA | {"tie_word_embeddings": "yes"}, "key 'tie_word_embeddings': Expected `bool`"),
    (BASE | {"model_type": "mistral"}, "missing key 'num_key_value_heads'"),
    (BASE | {"model_type": "qwen2"}, "missing key 'num_key_value_heads'"),
    (MISTRAL | {"sliding_window": 0}, "key 'sliding_window'"),
    (QWEN2 | {"layer_types": ["full_attention"]}, "key 'layer_types': 1 entries for 4 layers"),
    (QWEN2 | {"layer_types": ["linear_attention"] * 4}, "'linear_attention' is not modelled"),
    (QWEN2 | {"layer_types": ALTERNATE}, "key 'sliding_window': needed by the sliding layers"),
    (QWEN3MOE | {"mlp_only_layers": [-1]}, r"key 'mlp_only_layers\[0\]': Expected `int` >= 0"),
    (QWEN3MOE | {"use_sliding_window": True, "sliding_window": None}, "needed with 'use_sliding"),
    (QWEN3MOE | {"layer_types": ALTERNATE}, "key 'sliding_window': needed by the sliding layers"),
    (V3 | {"first_k_dense_replace": -1}, "key 'first_k_dense_replace': Expected `int` >= 0"),
    (
        without(BASE, "intermediate_size", "num_attention_heads")
        | {"model_type": "mamba", "state_size": 4, "expand": -1},
        "key 'expand': -1 times hidden_size is no size",
    ),
    (KIMI, "missing key 'first_k_dense_replace'"),
    (PHI3 | {"partial_rotary_factor": 0.0}, "key 'partial_rotary_factor': 0.0 is not in"),
    (NEOX | {"rotary_pct": 1.5}, "key 'rotary_pct': 1.5 is not in"),
    (NEOX | {"partial_rotary_factor": 1.5}, "key 'partial_rotary_factor': 1.5 is not in"),
    (NEOX | {"rotary_pct": 0.5, "partial_rotary_factor": 0.25}, "disagree: 0.5 and 0.25"),
    (GPT2 | {"hidden_size": 128}, "keys 'hidden_size' and 'n_embd' mean the same and disagree"),
    (GPT2 | {"n_embd": 66}, "key 'n_embd': 66 is not divisible by n_head = 8"),
    (without(GPT2, "n_embd") | {"hidden_size": 66}, "key 'hidden_size': 66 .* by n_head = 8"),
    (without(GPT2, "n_embd") | {"hidden_size": -1}, "key 'hidden_size': Expected `int` >= 1"),
    (GPT2 | {"activation_function": "mish"}, "key 'activation_function': 'mish' is not modelled"),
    (GEMMA2 | {"hidden_activation": "mish"}, "key 'hidden_activation': 'mish' is not modelled"),
    (GPTJ | {"rotary_dim": 64}, "key 'rotary_dim': 64 is more than a head's 8 elements"),
    (QWEN3 | {"head_dim": None}, "key 'head_dim': Expected `int`, got `null`"),
    (LLAMA | {"sliding_window": 8}, "key 'sliding_window': a window is not modelled for 'llama'"),
    (
        FALCON | {"new_decoder_architecture": True, "num_kv_heads": 3},
        "key 'num_kv_heads': 3 does not divide num_attention_heads = 8",
    ),
    (FALCON | {"multi_query": False, "num_kv_heads": 2}, "key 'num_kv_heads': without multi_query"),
    (
        FALCON | {"new_decoder_architecture": True, "num_ln_in_parallel_attn": 3},
        "key 'num_ln_in_parallel_attn': 3 is not 1 or 2",
    ),
    (GEMMA4 | {"global_head_dim": None}, "key 'global_head_dim': null is no size without"),
    (FALCON | {"num_ln_in_parallel_attn": 2}, "key 'num_ln_in_parallel_attn': 2 needs new_dec"),
    (GEMMA2 | {"use_bidirectional_attention": True}, "key 'use_bidirectional_attention'"),
    (GEMMA2 | {"num_key_value_heads": 3}, "key 'num_key_value_heads': 3 does not divide"),
    (GPT2 | {"add_cross_attention": True}, "key 'add_cross_attention': true is not modelled"),
    (FALCON | {"new_decoder_architecture": True, "parallel_attn": False}, "key 'parallel_attn'"),
    (GEMMA4 | {"per_layer_config": {"1": {"head_dim": 4}}}, "full layers must be alike"),
    (GEMMA4 | {"per_layer_config": {"9": {}}}, r"per_layer_config\[9\]': not one of 4 layers"),
    (GEMMA4 | {"per_layer_config": {"0": {"head_dim": 0}}}, "Expected `int` >= 1"),
    (BASE | {"model_type": "phi", "partial_rotary_factor": 0.4}, "rotates 3, no pairs"),
    (GEMMA4 | {"num_kv_shared_layers": 2}, "needs a 'hidden_size_per_layer_input'"),
    (GEMMA4 | {"num_kv_shared_layers": 3}, "leaves no layer whose cache could be shared"),
    (GEMMA4 | {"per_layer_config": {"0": {"sliding_window": 7}}}, "'sliding_window' is not mod"),
    (LLAMA | {"per_layer_config": {"0": {"head_dim": 4}}}, "not modelled for 'llama'"),
    ({"model_type": "gemma3", "text_config": 7}, "key 'text_config' must be an object"),
    (
        MISTRAL | {"sliding_window": 8, "layer_types": ALTERNATE},
        "key 'layer_types': layers are all",
    ),
    (PHI3 | {"sliding_window": 8, "layer_types": ALTERNATE}, "key 'layer_types': layers are all"),
    (MISTRAL | {"sliding_window": 1}, "key 'sliding_window': a window of 1 is not modelled"),
    (GEMMA2 | {"sliding_window": 1}, "key 'sliding_window': a window of 1 is not modelled"),
    (QWEN2 | {"sliding_window": 0, "use_sliding_window": True}, "key 'sliding_window': 0 with"),
    (PHI3 | {"head_dim": None}, "key 'head_dim': Expected `int`, got `null`"),
    (QWEN2 | {"head_dim": None}, "key 'head_dim': Expected `int`, got `null`"),
    (GEMMA2 | {"sliding_window": None}, "key 'sliding_window': Expected `int`, got `null`"),
    (GEMMA3 | {"head_dim": None}, "key 'head_dim': Expected `int`, got `null`"),
    (LLAMA | {"head_dim": 17}, "key 'head_dim': 17 is odd: rotary positions turn pairs"),
    (LLAMA | {"layer_types": ALTERNATE}, "key 'layer_types': a window is not modelled for 'llama'"),
    (GPTJ | {"rotary_dim": 3}, "3 is odd: rotary positions turn pairs"),
    (V2 | {"num_key_value_heads": 4}, "key 'num_key_value_heads': 4, but latent attention has one"),
    (GLM | {"num_attention_heads": 40}, "key 'num_key_value_heads': 20, but latent attention"),
    (PHIMOE, "missing key 'num_key_value_heads'"),
    (GEMMA4 | {"global_head_dim": 7}, "key 'global_head_dim': 7 is odd"),
    (V3 | {"qk_rope_head_dim": 5}, "5 is odd: rotary positions turn pairs"),
    (HUNYUAN | {"use_cla": True}, "key 'use_cla': true is not modelled, only false: layers that"),
    (HUNYUAN | {"use_qk_norm": False}, "'use_qk_norm': false"),
    ({"model_type": "git2", "text_config": LLAMA}, "key 'model_type': 'git2' around a 'text_c"),
    ({"model_type": "llama", "text_config": LLAMA}, "'llama' around a 'text_config' is not"),
    ({"text_config": LLAMA}, "key 'model_type': None around a 'text_config' is not modelled"),
    ({"model_type": "gemma3", "text_config": LLAMA}, "'text_config.model_type': 'llama' is not 'g"),
    (
        {"model_type": "mistral3", "tie_word_embeddings": True}
        | {"text_config": MISTRAL | {"tie_word_embeddings": False}},
        "keys 'tie_word_embeddings' and 'text_config.tie_word_embeddings' disagree",
    ),
]


@pytest.mark.parametrize(("config", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_wrong_or_not_modelled_is_an_error(config: Json, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        ls.Model.from_hf(config)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("config")


def test_half_a_pair_is_rotated_as_a_whole_one() -> None:
    """As the real code does: it makes an angle of every other element."""
    config = NEOX | {"hidden_size": 48, "rotary_pct": 0.5}  # 3 of a head's 6 elements
    assert ls.Model.from_hf(config).values[sym.rotary_dim] == 4


def test_keys_that_a_class_does_not_read_are_reported() -> None:
    for config, key in ((GEMMA2, "sliding_window_pattern"), (MISTRAL, "mlp_bias")):
        with pytest.warns(ConfigWarning, match=f"unknown keys, not used: {key}"):
            model = ls.Model.from_hf(config | {key: 1})
        assert same(model, ls.Model.from_hf(config))


def test_unknown_keys_give_one_warning_or_an_error() -> None:
    config = LLAMA | {"wormhole_heads": 3, "another_thing": 1, "_private": 1}
    with pytest.warns(ConfigWarning) as caught:
        model = ls.Model.from_hf(config)
    assert [str(warning.message) for warning in caught] == [
        "config: unknown keys, not used: another_thing, wormhole_heads"
    ]
    assert same(model, ls.Model.from_hf(LLAMA))
    with pytest.raises(SpecError, match="unknown keys, not used: another_thing, wormhole_heads"):
        ls.Model.from_hf(config, strict=True)


@pytest.mark.parametrize("name", [n for n, c in CONFIGS.items() if c["model_type"] not in LATER])
def test_real_configs_of_transformers_5_have_no_unknown_key(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ls.Model.from_hf(CONFIGS[name], strict=True).parameters > 0


def supported() -> list[str]:
    """The models of the database whose family is known."""
    found = []
    for name in names("models"):
        text = (root() / "models" / f"{name}.json").read_text(encoding="utf-8")
        if json.loads(text).get("model_type") in FAMILIES:
            found.append(name)
    return found


@pytest.mark.parametrize("name", supported())
def test_every_model_of_the_database_loads(name: str) -> None:
    model = ls.load_model(name, strict=True)
    assert model.name == name
    assert model.parameters > 10**6
    assert model.forward(1, 1, 0).cost().matmul_flops > 0


PUBLISHED = {
    "llama-2-7b": 6_738_415_616,
    "llama-2-70b": 68_976_648_192,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-405b": 405_853_388_800,
    "mistral-7b-v0.1": 7_241_732_096,
    "qwen2.5-7b": 7_615_616_512,
    "qwen3-8b": 8_190_735_360,
    "gemma-2-9b": 9_241_705_984,
    "gemma-3-1b": 999_885_952,
    "phi-3-mini-4k": 3_821_079_552,
    "gpt2": 124_439_808,
    "gpt2-xl": 1_557_611_200,
    "gpt-j-6b": 6_050_882_784,
    "pythia-6.9b": 6_857_302_016,
    "opt-6.7b": 6_658_473_984,
    "bloom-176b": 176_247_271_424,
    "falcon-7b": 6_921_720_704,
    "seed-oss-36b": 36_151_104_512,
    "smollm3-3b": 3_075_098_624,
    "openpangu-embedded-7b": 8_030_887_936,
    "tiny-aya": 3_349_227_520,
    "codestral-mamba-7b": 7_285_403_648,
    "whisper-tiny": 37_760_640,
}
"""Parameters as published on the models' pages or counted there from the checkpoint."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameter_counts(name: str) -> None:
    assert ls.load_model(name).parameters == PUBLISHED[name]


def test_a_config_file_is_named_after_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "my-model" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps(LLAMA), encoding="utf-8")
    assert ls.load_model(path).name == "my-model"
    assert same(ls.Model.from_hf(path), ls.Model.from_hf(LLAMA))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "must hold a JSON object, not list"),
        ('{"model_type": "llama", "model_type": "gpt2"}', "key 'model_type' is given twice"),
        (json.dumps(LLAMA | {"head_dim": float("nan")}), "'head_dim': nan is not a number"),
        ("[" * 100_000, "nested too deeply"),
        ('{"x": ' + "9" * 5000 + "}", "a number too long"),
    ],
    ids=["cut", "list", "twice", "nan", "deep", "long"],
)
def test_unreadable_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=message):
        ls.load_model(path)


@pytest.mark.parametrize("name", [None, 5, "", " "])
def test_what_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(SpecError, match="a model is a name or the path of a file, not"):
        ls.load_model(name)
    with pytest.raises(SpecError, match="a hardware is a name or the path of a file, not"):
        ls.load_hardware(name)


def test_unknown_models_have_a_hint() -> None:
    with pytest.raises(SpecError, match="unknown model 'llama-2-7'; did you mean 'llama-2-7b'"):
        ls.load_model("llama-2-7")
    with pytest.raises(SpecError, match="unknown family 'lama'"):
        ls.Model.symbolic("lama")
    with pytest.raises(SpecError, match=r"unknown family 'olmo33' .`lifesym specs` lists"):
        ls.Model.symbolic("olmo33")
    with pytest.raises(SpecError, match="unknown family 'starcodr2'; did you mean 'starcoder2'"):
        ls.Model.symbolic("starcodr2")


def test_layers_that_share_caches_compute_only_what_is_wanted() -> None:
    model = ls.load_model("gemma-4-e2b")

    def work(new: int, logits: str, name: str) -> int:
        trace = model.forward(1, new, 0, logits=logits)
        return int(trace.filter(section="shared_full_layers", name=name).cost().matmul_flops)

    one = work(1, "all", "attn_q")
    assert work(100, "last", "attn_q") == one
    assert work(100, "all", "attn_q") == work(100, "none", "attn_q") == 100 * one
    assert work(100, "last", "attn_qk") == 100 * work(1, "all", "attn_qk")  # it sees all tokens


def test_lifting_takes_values_away() -> None:
    model = ls.load_model("llama-2-7b")
    lifted = model.lift("layers", "hidden")
    assert {symbol.name for symbol in lifted.parameters.free_symbols} == {"layers", "hidden"}
    assert lifted.parameters.xreplace(dict(model.values)) == model.parameters
    assert lifted.lift("hidden") == lifted
    for family in ("llama", "deepseek_v3"):
        assert ls.Model.symbolic(family).lift("hidden", "layers") == ls.Model.symbolic(family)
    for each in (model, ls.Model.symbolic("llama")):
        with pytest.raises(ValueError, match=r" has no dimension 'window' to lift"):
            each.lift("window")


@pytest.mark.parametrize("family", FAMILIES)
def test_symbolic_models_bind_to_their_example(family: str) -> None:
    config = example(family)
    symbolic = ls.Model.symbolic(family)
    assert symbolic.parameters.free_symbols
    assert symbolic.parameters.xreplace(dict(config.values)) == config.parameters


def test_kin_have_symbolic_models_of_their_own_structure() -> None:
    olmo3, glm4 = ls.Model.symbolic("olmo3"), ls.Model.symbolic("glm4")
    assert (olmo3.name, olmo3.family) == ("olmo3", "olmo3")
    window = ls.symbols.window
    assert window in olmo3.kv_bytes(ls.symbols.past).free_symbols
    assert window not in ls.Model.symbolic("olmo2").kv_bytes(ls.symbols.past).free_symbols
    more = glm4.parameters - ls.Model.symbolic("glm").parameters  # the gains of two norms a layer
    assert more.expand() == 2 * ls.symbols.layers * ls.symbols.hidden


def test_every_config_of_the_database_loads_without_a_warning() -> None:
    for name in names("models"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert ls.load_model(name).parameters > 0, name


MIXERS = {
    "full": attention(),
    "sliding": attention(window=sym.window),
    "recurrent": TimeMix(hidden=sym.hidden, channels=sym.hidden),
    "": None,
}
FEEDS = {"dense": mlp("silu"), "expert": experts("silu"), "": None}


@pytest.mark.parametrize("seed", range(60))
def test_sections_of_a_list_of_layers_are_its_kinds_and_their_counts(seed: int) -> None:
    rng = Random(seed)
    kinds = [(m, f) for m in MIXERS for f in FEEDS if m or f]
    few = rng.sample(kinds, rng.randint(1, 5))
    listed = [layer(MIXERS[m], FEEDS[f]) for m, f in (rng.choice(few) for _ in range(40))]
    sections, values = sections_of(listed)
    counts = {each.block: sympify(each.count).xreplace(values) for each in sections}
    assert counts == Counter(listed)
    assert len({each.label for each in sections}) == len(sections)
    assert values.get(sym.layers, 40) == 40
    assert set(values) == set().union(*(sympify(each.count).free_symbols for each in sections))


def test_a_count_has_a_symbol_only_where_it_does_not_follow() -> None:
    cross = [layer(MIXERS[m], FEEDS[f]) for m in ("sliding", "full") for f in ("dense", "expert")]
    sections, _ = sections_of(cross)
    assert [(each.label, str(each.count)) for each in sections] == [
        ("sliding_dense_layers", "dense_layers - full_dense_layers"),
        ("sliding_expert_layers", "-dense_layers + full_dense_layers - full_layers + layers"),
        ("full_dense_layers", "full_dense_layers"),
        ("full_expert_layers", "-full_dense_layers + full_layers"),
    ]
    narrow = layer(attention(kv_heads=1), FEEDS["dense"])
    sections, values = sections_of([cross[2], narrow, narrow])
    assert [(each.label, each.count) for each in sections] == [("layers_1", 1), ("layers_2", 2)]
    assert values == {}
