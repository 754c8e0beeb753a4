"""Drafts that read the cache of their target, against their classes with made-up keys."""

from random import Random
from typing import Any

import pytest

import lifesym as ls

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

INNER = {
    "gemma4_assistant": "gemma4_text",
    "gemma4_unified_assistant": "gemma4_unified_text",
}


def drawn(rng: Random, kind: str) -> dict[str, Any]:
    kv, wide_kv, keys_are_values = rng.choice([1, 2]), rng.choice([1, 2]), rng.random() < 0.5
    layers = rng.choice([2, 3, 4])
    words = ["sliding_attention", "full_attention"]
    text = {
        "model_type": INNER[kind],
        "vocab_size": 96,
        "hidden_size": rng.choice([16, 24]),
        "intermediate_size": rng.randint(10, 40),
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": kv,
        "num_global_key_value_heads": wide_kv,
        "attention_k_eq_v": keys_are_values,
        "head_dim": 8,
        "global_head_dim": 16,
        "sliding_window": rng.randint(4, 20),
        "layer_types": [words[0], *(rng.choice(words) for _ in range(layers - 2)), words[1]],
        "hidden_size_per_layer_input": 0,
        "vocab_size_per_layer_input": 0,
        "enable_moe_block": False,
        "use_double_wide_mlp": False,
        "num_kv_shared_layers": layers,
        "pad_token_id": 0,
    }
    return {
        "model_type": kind,
        "text_config": text,
        "backbone_hidden_size": rng.choice([20, 32]),
        "use_ordered_embeddings": rng.random() < 0.5,
        "num_centroids": 8,
        "centroid_intermediate_top_k": rng.randint(1, 4),
        "tie_word_embeddings": rng.random() < 0.7,
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", INNER)
def test_a_draft_reads_what_its_target_has_cached(kind: str, seed: int) -> None:
    config = drawn(Random(f"{kind} {seed}"), kind)
    given = {key: value for key, value in config.items() if key != "model_type"}
    parsed = transformers.AutoConfig.for_model(kind, **given)
    auto = transformers.AutoModelForCausalLM
    real = auto.from_config(parsed, attn_implementation="eager").eval().requires_grad_(False)
    if real.masked_embedding is not None:
        real.masked_embedding.token_ordering.copy_(torch.arange(96))
    unique = {id(p): p.numel() for p in real.parameters()}
    model = ls.Model.from_hf(config, strict=True)
    assert int(model.parameters) == sum(unique.values())
    text = config["text_config"]
    wide = text["num_global_key_value_heads" if text["attention_k_eq_v"] else "num_key_value_heads"]
    for batch, past in ((1, 3), (2, 40)):
        near = min(past, text["sliding_window"])
        kinds = {
            "full_attention": torch.rand(batch, wide, past, 16),
            "sliding_attention": torch.rand(batch, text["num_key_value_heads"], near, 8),
        }
        with FlopCounterMode(display=False) as counter:
            real(
                inputs_embeds=torch.rand(batch, 1, 2 * config["backbone_hidden_size"]),
                position_ids=torch.full((batch, 1), past),
                shared_kv_states={key: (each, each) for key, each in kinds.items()},
            )
        rotary = sum(
            sum(counts.values())
            for name, counts in counter.get_flop_counts().items()
            if name.endswith("rotary_emb")
        )
        counted = model.forward(batch, 1, past).cost().matmul_flops
        assert int(counted) == counter.get_total_flops() - rotary, config
    assert model.kv_bytes(50) == 0
