"""Every class that a family is said to be like, against random tiny configs of its own."""

from random import Random

import pytest

import lifesym as ls
from lifesym.families import MODEL_TYPES

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from counting import PASSES, RealModel  # noqa: E402
from drawn import drawn  # noqa: E402
from transformers import CONFIG_MAPPING  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

ELSEWHERE = {
    "encoders and encoder-decoders": """
        albert bart bert camembert data2vec-text distilbert ernie mbart mt5 roberta t5 whisper
        xlm-roberta
    """,
    "recurrent.json": """
        bailing_hybrid bamba falcon_h1 falcon_mamba granitemoehybrid jamba lfm2 mamba mamba2 minimax
        nemotron_h qwen3_5_moe_text qwen3_5_text qwen3_next rwkv zamba2
    """,
    "configs.py, whose sizes depend on each other": """
        dbrx deepseek_v2 deepseek_v32 falcon gemma3n_text gemma4_text glm_moe_dsa gpt_neox
        llama4_text mpt opt phimoe persimmon
    """,
    "test_assistants.py": "gemma4_assistant gemma4_unified_assistant",
    "multimodal types, whose text models are drawn": """
        cohere_compass dots3_note gemma3 glm4v glm4v_moe qwen2_5_vl qwen2_vl
    """,
}
"""Types that are drawn in other tests."""
DRAWN = sorted(set(MODEL_TYPES) & set(CONFIG_MAPPING) - set(" ".join(ELSEWHERE.values()).split()))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", DRAWN)
def test_a_class_is_counted_as_it_computes(kind: str, seed: int) -> None:
    config = drawn(Random(f"{kind} {seed}"), kind)
    real = RealModel(config)
    saved = real.config.to_dict()
    for given in (config, saved):
        assert int(ls.Model.from_hf(given).parameters) == real.parameters(), config
    model = ls.Model.from_hf(config)
    for step in PASSES:
        trace = model.forward(step.batch, step.new, step.past, logits=step.logits, mla="expand")
        assert int(trace.cost().matmul_flops) == real.flops(step), (step, config)
    for tokens in (1, 4, 30):
        assert int(model.kv_bytes(tokens, "fp32")) == real.cache_bytes(tokens), (tokens, config)
