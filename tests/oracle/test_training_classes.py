"""Operations of a real backward pass, and what it keeps of the forward one."""

from random import Random

import pytest

import lifesym as ls

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from counting import RealModel  # noqa: E402
from drawn import drawn  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

KINDS = [
    "arcee",
    "cohere",
    "cohere2",
    "deepseek_v3",
    "dots1",
    "exaone4",
    "gemma",
    "gemma2",
    "gemma3_text",
    "glm",
    "glm4_moe",
    "gpt2",
    "gpt_oss",
    "gptj",
    "granite",
    "llama",
    "minimax_m2",
    "ministral",
    "mistral",
    "mixtral",
    "nemotron",
    "olmo2",
    "olmoe",
    "phi",
    "phi3",
    "qwen2",
    "qwen2_moe",
    "qwen3",
    "qwen3_moe",
    "smollm3",
    "stablelm",
    "starcoder2",
]


@pytest.mark.parametrize("recompute", ["none", "full"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_step_is_counted_as_it_computes(kind: str, recompute: str) -> None:
    config = drawn(Random(f"{kind} trained"), kind)
    real = RealModel(config)
    counted = real.training_flops(batch=2, tokens=9, again=recompute == "full")
    device = ls.Hardware.symbolic()
    asked = {"causal": "full", "engine": "eager", "recompute": recompute}
    step = ls.training_step(ls.Model.from_hf(config), device, 9, 2, **asked)
    assert int(step.flops.expr) == counted, config
