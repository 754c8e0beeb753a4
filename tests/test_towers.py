"""Towers of multimodal models: whole models' sizes, what an image becomes, and their pass."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from command_line import CommandLine
from sympy import Integer, expand

import lifesym as ls
from lifesym.roofline import total
from lifesym.serving import pipeline
from lifesym.symbols import resolve

Json = dict[str, Any]

QWEN_7B: Json = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "tie_word_embeddings": False,
}
QWEN2_5_VL = QWEN_7B | {
    "model_type": "qwen2_5_vl",
    "vision_config": {
        "depth": 32,
        "hidden_act": "silu",
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "in_chans": 3,
        "out_hidden_size": 3584,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "temporal_patch_size": 2,
    },
}
QWEN2_VL = QWEN_7B | {
    "model_type": "qwen2_vl",
    "vision_config": {
        "depth": 32,
        "embed_dim": 1280,
        "mlp_ratio": 4,
        "num_heads": 16,
        "in_chans": 3,
        "hidden_size": 3584,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}
LLAVA: Json = {
    "model_type": "llava",
    "tie_word_embeddings": False,
    "text_config": {
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32064,
    },
    "vision_config": {
        "model_type": "clip_vision_model",
        "hidden_size": 1024,
        "image_size": 336,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "patch_size": 14,
    },
}
MISTRAL: Json = {
    "model_type": "mistral3",
    "transformers_version": "4.50.0.dev0",  # 5 would tie where no key says so
    "spatial_merge_size": 2,
    "multimodal_projector_bias": False,
    "text_config": {
        "model_type": "mistral",
        "head_dim": 128,
        "hidden_size": 5120,
        "intermediate_size": 32768,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "num_hidden_layers": 40,
        "vocab_size": 131072,
        "tie_word_embeddings": False,
        "sliding_window": None,
    },
    "vision_config": {
        "model_type": "pixtral",
        "hidden_size": 1024,
        "image_size": 1540,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "patch_size": 14,
    },
}
INTERNVL: Json = {
    "model_type": "internvl",
    "tie_word_embeddings": False,
    "text_config": {
        "model_type": "qwen2",
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151674,
        "tie_word_embeddings": False,
    },
    "vision_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "attention_bias": True,
        "image_size": [448, 448],
        "patch_size": [14, 14],
        "norm_type": "layer_norm",
    },
}
SMALL: Json = {
    "model_type": "qwen2_5_vl",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 8,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
    "vision_config": {
        "depth": 16,
        "hidden_size": 1024,
        "intermediate_size": 2736,
        "num_heads": 16,
        "in_chans": 3,
        "out_hidden_size": 2048,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15],
    },
}

WHOLE: dict[str, tuple[str | Json, int]] = {
    "Qwen2.5-VL-7B": (QWEN2_5_VL, 8_292_166_656),
    "Qwen2-VL-7B": (QWEN2_VL, 8_291_375_616),
    "LLaVA-1.5-7B": (LLAVA, 7_063_427_072),
    "Mistral-Small-3.1-24B": (MISTRAL, 24_011_361_280),
    "InternVL2.5-1B": (INTERNVL, 938_193_024),
    "Qwen3-VL-8B": ("qwen3-vl-8b", 8_767_123_696),
    "Llama-4-Scout": ("llama-4-scout", 108_641_793_536),
    "Llama-4-Maverick": ("llama-4-maverick", 401_583_781_376),
    "gemma-3-4b": ("gemma-3-4b", 4_300_079_472),
    "Qwen3.5-27B": ("qwen3.5-27b", 27_356_728_560),
    "gemma-4-31B": ("gemma-4-31b", 31_273_086_512),
    "gemma-4-26B-A4B": ("gemma-4-26b-a4b", 25_805_933_872),
}
"""Parameters of whole models: the Hub's totals of their safetensors; of the last four, those of
the class that transformers 5.23 builds on the meta device, as their files in the database say."""


def loaded(config: str | Json) -> ls.Model:
    """A model of the database, or of a config."""
    return ls.load_model(config) if isinstance(config, str) else ls.Model.from_hf(config)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_models_have_their_published_parameters(name: str) -> None:
    config, parameters = WHOLE[name]
    model = loaded(config)
    assert model.parameters + model.tower_parameters == parameters
    assert model.weight_bytes("bf16") == 2 * parameters
    assert not model.notes


def test_a_tower_alone_has_its_published_parameters() -> None:
    """676,550,144 are those of ``model.visual`` of Qwen2.5-VL-7B, printed by a public notebook."""
    model = loaded(QWEN2_5_VL)
    text = replace(model, towers=())
    assert text.parameters == 7_615_616_512
    assert model.tower_parameters == 676_550_144


def test_weights_of_a_small_file() -> None:
    assert loaded(SMALL).weight_bytes("bf16") == 1_691_677_696


IMAGES: list[tuple[str | Json, tuple[int, int] | None, int, int]] = [
    (LLAVA, None, 576, 1),
    ("gemma-3-4b", (1000, 30), 256, 1),
    (QWEN2_5_VL, (448, 448), 256, 1),
    (QWEN2_5_VL, (1080, 1920), 39 * 69, 1),
    (QWEN2_5_VL, (8000, 6000), 147 * 110, 1),
    (QWEN2_5_VL, (42, 70), 4, 1),
    ("qwen3-vl-8b", (1080, 1920), 34 * 60, 1),
    ("qwen3-vl-8b", (50, 700), 3 * 30, 1),
    (MISTRAL, (1540, 1540), 55 * 56, 1),
    (MISTRAL, (100, 200), 4 * 9, 1),
    (INTERNVL, (448, 448), 256 + 2, 1),
    (INTERNVL, (896, 1344), 7 * 256 + 2, 7),
    ("llama-4-scout", (336, 336), 144 + 3, 1),
    ("llama-4-scout", (672, 672), 5 * 144 + 7, 5),
    ("gemma-4-31b", (768, 1024), 14 * 19, 1),
]
"""Tokens and crops of images, from the processors of transformers 5.24 (``smart_resize`` and its
like; compared on many more sizes in ``tests/oracle/test_image_tokens.py``)."""


@pytest.mark.parametrize(("config", "size", "tokens", "crops"), IMAGES)
def test_an_image_becomes_tokens(
    config: str | Json, size: tuple[int, int] | None, tokens: int, crops: int
) -> None:
    (tower,) = loaded(config).towers
    chosen = size or tower.size
    assert chosen is not None
    grid = tower.rule(*chosen)
    assert (grid.tokens, grid.crops) == (tokens, crops)


@pytest.fixture(scope="module")
def h100() -> ls.Hardware:
    """A device."""
    return ls.load_hardware("h100-sxm-80gb")


def test_text_alone_costs_what_it_did(h100: ls.Hardware) -> None:
    """Only the weights in memory know of a tower that sees nothing."""
    model = loaded(SMALL)
    text = replace(model, towers=())
    assert model.forward(2, 100).cost() == text.forward(2, 100).cost()
    whole, alone = (ls.forecast(each, h100, 100, 8) for each in (model, text))
    assert whole.ttft.expr == alone.ttft.expr
    assert whole.latency.expr == alone.latency.expr
    assert whole.memory.expr - alone.memory.expr == 2 * 228_168_192


def test_images_add_their_pass_and_their_tokens(h100: ls.Hardware) -> None:
    model = loaded(SMALL)
    with_images = ls.forecast(model, h100, 100, 8, batch=2, images=3, image_size=448)
    text = ls.forecast(model, h100, 100 + 3 * 256, 8, batch=2)
    seen = [term for term in with_images.ttft.terms if term.section.startswith("vision ")]
    assert {term.section for term in seen} == {
        "vision embed",
        "vision window_layers",
        "vision full_layers",
        "vision merger",
    }
    assert with_images.prompt == 868
    assert with_images.tpot.expr == text.tpot.expr
    assert expand(with_images.ttft.expr - text.ttft.expr - total(tuple(seen))) == 0
    (tower,) = model.towers
    flops = model.tower_trace(tower, 6, tower.rule(448, 448)).cost().matmul_flops
    assert sum(term.cost.matmul_flops for term in seen) == flops
    assert any("3 x 256 image tokens" in note for note in with_images.model.notes)


def test_windows_are_counted_with_their_edges() -> None:
    """A grid of 20 x 28 patches in windows of 8 x 8: sides 8 8 4 and 8 8 8 4."""
    model = loaded(SMALL)
    (tower,) = model.towers
    trace = model.tower_trace(tower, 1, tower.rule(280, 392))
    scores = {e.section: e.operator for e in trace if e.name == "attn_qk"}
    pairs = sum((r * c) ** 2 for r in (8, 8, 4) for c in (8, 8, 8, 4))
    assert scores["vision window_layers"].pairs == pairs
    assert scores["vision full_layers"].pairs == (20 * 28) ** 2


def test_images_may_be_a_symbol(h100: ls.Hardware) -> None:
    images = resolve("images")
    model = loaded(SMALL)
    open_form = ls.forecast(model, h100, 100, 8, images=images, image_size=448)
    closed = ls.forecast(model, h100, 100, 8, images=2, image_size=448)
    assert expand(open_form.ttft.expr.xreplace({images: Integer(2)}) - closed.ttft.expr) == 0


def test_towers_stay_in_16_bits_unless_asked(h100: ls.Hardware) -> None:
    """GGUF keeps vectors in 32 bits, a tower's too."""
    model = loaded(SMALL)
    text = replace(model, towers=())
    tower = 2 * (model.tower_parameters)
    (one,) = model.towers
    held = model.tower_trace(one).matrices()
    vectors = sum(int(each.elements) for each in held if each.role == "vector")
    for weights, more in (("int4-g128", 0), ("fp8", 0), ("q4_k_m", 2 * vectors)):
        whole, alone = (
            ls.forecast(each, h100, 100, 8, weights=weights).memory.expr for each in (model, text)
        )
        assert whole - alone == tower + more
    plain = ls.forecast(model, h100, 100, 8).memory.expr
    asked = ls.forecast(model, h100, 100, 8, roles={"vision": "int8"}).memory.expr
    assert plain - asked == tower / 2 - vectors
    patches = ls.forecast(model, h100, 100, 8, roles={"vision_patch": "int8"}).memory.expr
    assert plain - patches == 3 * 2 * 14**2 * 1024


def test_every_device_has_the_tower_whole(h100: ls.Hardware) -> None:
    model = loaded(SMALL)
    text = replace(model, towers=())
    tower = 2 * (model.tower_parameters)
    for options in ({"tensor_parallel": 2}, {"tensor_parallel": 4, "sequence_parallel": True}):
        whole, alone = (
            ls.forecast(each, h100, 100, 8, **options).memory.expr for each in (model, text)
        )
        assert whole - alone == tower


def test_a_pipeline_has_the_tower_on_its_first_stage(h100: ls.Hardware) -> None:
    model = loaded(SMALL)
    text = replace(model, towers=())
    tower = 2 * (model.tower_parameters)
    cut = [pipeline([ls.forecast(each, h100, 100, 8)] * 2) for each in (model, text)]
    (first, last), (plain, end) = ([held for held, _ in each.residents] for each in cut)
    assert (first - plain, last - end) == (tower, 0)
    equal = pipeline(ls.forecast(model, h100, 100, 8), 2)
    assert equal.memory.expr == cut[0].memory.expr


@pytest.mark.parametrize(
    ("config", "options", "told"),
    [
        (SMALL, {"images": 1}, "sees images of any size: give image_size"),
        (SMALL, {"image_size": 448}, "image_size needs images"),
        (SMALL, {"images": 1, "image_size": (10, 4000)}, "no side may be 200 times the other"),
        (SMALL, {"images": 1, "image_size": 2**21}, "whole numbers up to"),
        (SMALL, {"images": 1, "image_size": 0}, "image_size must be an integer of at least 1"),
        (SMALL, {"images": -1}, "images must be an integer of at least 0"),
        ("llama-3.1-8b", {"images": 1}, "has no vision tower that is modelled: leave out images"),
    ],
)
def test_what_cannot_be_seen_is_refused(
    h100: ls.Hardware, config: str | Json, options: Json, told: str
) -> None:
    with pytest.raises(ls.LifesymError, match=told):
        ls.forecast(loaded(config), h100, 100, 8, **options)


TEXT = LLAVA["text_config"]
VOXTRAL: Json = {
    "model_type": "voxtral",
    "audio_config": {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32},
    "text_config": {
        "model_type": "llama",
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 30,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 131072,
        "tie_word_embeddings": True,
    },
}


def test_audio_is_heard(h100: ls.Hardware) -> None:
    """Voxtral has 12.5 tokens a second of audio (arXiv 2507.13264, section 2.2): 375 of 30 s."""
    model = ls.Model.from_hf(VOXTRAL)
    heard = ls.forecast(model, h100, 20, 4, audio=2)
    assert heard.prompt == 20 + 2 * 375
    assert {term.section.partition(" ")[0] for term in heard.ttft.terms[:6]} == {"audio"}
    assert any("2 x 375 audio tokens" in note for note in heard.model.notes)
    with pytest.raises(ls.LifesymError, match="no vision tower that is modelled: leave out images"):
        ls.forecast(model, h100, 20, 4, images=1)


NOTED: list[tuple[Json, str]] = [
    ({"model_type": "idefics3", "text_config": TEXT}, "no 'vision_config' in the config"),
    (
        {"model_type": "idefics3", "text_config": TEXT, "vision_config": {}},
        "the vision tower of 'idefics3' is not modelled",
    ),
    (
        LLAVA | {"vision_config": {"model_type": "aimv2"}},
        "the vision tower is left out .*'aimv2' is not modelled",
    ),
    ({"model_type": "audioflamingo3", "text_config": TEXT}, "no 'audio_config' in the config"),
]


@pytest.mark.parametrize(("config", "told"), NOTED)
def test_a_tower_that_is_left_out_is_said_to_be(config: Json, told: str) -> None:

    (note,) = ls.Model.from_hf(config).notes
    assert re.match(told, note)
    assert note.endswith("may not fit")


def test_an_invalid_tower_is_refused() -> None:
    bad = LLAVA | {"vision_config": LLAVA["vision_config"] | {"hidden_size": "1024"}}
    with pytest.raises(ls.SpecError, match="config: vision_config: key 'hidden_size': Expected"):
        ls.Model.from_hf(bad)
    with pytest.raises(ls.SpecError, match="key 'vision_config' must be an object"):
        ls.Model.from_hf(LLAVA | {"vision_config": 3})


def test_models_without_towers_have_no_notes() -> None:
    assert not ls.load_model("llama-3.1-8b").notes
    assert not ls.load_model("whisper-tiny").notes


ASKED = ("forecast", "gemma-3-4b", "--on", "h100-sxm-80gb", "--prompt", 100, "--generate", 4)


def test_the_command_line_sees_images(run: CommandLine) -> None:
    text, seen = (json.loads(run(*ASKED, *more, "--json").stdout) for more in ([], ["--images", 2]))
    assert seen["ttft_s"] > text["ttft_s"]
    assert seen["memory_bytes"] > text["memory_bytes"]
    table = run(*ASKED, "--images", 1, "--image-size", "896x896").stdout
    assert "vision_attn_o" in table
    for size in ("0", "3x", "12x0", "axb", "1e-3", "10x10x10"):
        refused = run(*ASKED, "--images", 1, "--image-size", size)
        assert refused.returncode == 2
        assert refused.stderr.count("\n") == 1
        assert "is not HxW or one number of pixels" in refused.stderr


def test_images_do_not_share_passes(run: CommandLine) -> None:
    refused = run(*ASKED, "--images", 1, "--slots", 4)
    assert refused.returncode == 2
    assert "images" in refused.stderr
