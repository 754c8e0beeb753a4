"""Multimodal models from their whole config, against the real code: a pass of text alone."""

from dataclasses import replace
from typing import Any

import pytest

import lifesym as ls

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

TEXT: dict[str, Any] = {
    "vocab_size": 70,
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rope_parameters": {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0},
}
EXPERTS = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 9,
    "decoder_sparse_step": 2,
    "mlp_only_layers": [],
}
VISION = {
    "depth": 1,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_heads": 2,
    "patch_size": 4,
    "out_hidden_size": 24,
    "num_position_embeddings": 16,
    "deepstack_visual_indexes": [0],
}
OLDER = {"depth": 1, "num_heads": 2, "patch_size": 4}
SIZES = {
    "qwen2_vl": OLDER | {"embed_dim": 16, "hidden_size": 24, "mlp_ratio": 1},
    "qwen2_5_vl": OLDER | {"hidden_size": 16, "intermediate_size": 16, "out_hidden_size": 24},
    "qwen3_vl": VISION,
    "qwen3_vl_moe": VISION,
}
IDS = {"image_token_id": 60, "video_token_id": 61}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("family", SIZES)
def test_text_passes_equal_the_real_code(family: str, tied: bool) -> None:
    text = TEXT | (EXPERTS if family == "qwen3_vl_moe" else {})
    if family.startswith("qwen2"):
        text = {key: value for key, value in text.items() if key != "head_dim"}
        text["hidden_size"] = 32
    text |= {"model_type": f"{family}_text"}
    config = IDS | {
        "tie_word_embeddings": tied,
        "text_config": text,
        "vision_config": SIZES[family],
    }
    parsed = transformers.AutoConfig.for_model(family, **config)
    parsed.text_config._experts_implementation = "eager"  # the grouped kernel is not counted
    auto = transformers.AutoModelForImageTextToText
    real = auto.from_config(parsed, attn_implementation="eager").eval().requires_grad_(False)
    model = ls.Model.from_hf({"model_type": family} | config)
    unique = {id(p): p.numel() for p in real.parameters()}
    assert int(model.parameters + model.tower_parameters) == sum(unique.values())
    parts = (real.model.language_model, real.lm_head)
    language = {id(p): p.numel() for part in parts for p in part.parameters()}
    assert int(replace(model, towers=()).parameters) == sum(language.values())
    with FlopCounterMode(display=False) as counter:
        real(input_ids=torch.randint(0, 50, (2, 9)))
    rotary = sum(
        sum(counts.values())
        for name, counts in counter.get_flop_counts().items()
        if name.endswith("rotary_emb")
    )
    counted = model.forward(2, 9, 0, logits="all").cost().matmul_flops
    assert int(counted) == counter.get_total_flops() - rotary
