"""Families of 2024 to 2026 with recurrences of their own, or layers in loops: what is refused."""

import json
from typing import Any

import pytest

import lifesym as ls
from lifesym.errors import SpecError
from lifesym.specs import root

HALF = ["full_attention", "mlp"] * 18
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("xlstm-7b", {"weight_mode": "fused"}, "key 'weight_mode': 'fused' is not modelled"),
    ("xlstm-7b", {"use_bias": True}, "key 'use_bias': true is not modelled"),
    ("xlstm-7b", {"qk_dim_factor": 0.01}, "key 'qk_dim_factor': 40 is no multiple of 64"),
    ("xlstm-7b", {"num_heads": 7}, "2048 is not divisible by num_heads = 7"),
    ("xlstm-7b", {"ffn_proj_factor": 0.0}, "key 'ffn_proj_factor': 0.0 times"),
    ("olmo-hybrid-7b", {"layer_types": ["full_attention"] * 32}, "both kinds of layers are needed"),
    ("recurrentgemma-2b", {"lru_width": 2561}, "key 'lru_width': 2561 is not divisible"),
    ("recurrentgemma-2b", {"_block_types": []}, "key '_block_types': empty"),
    ("recurrentgemma-2b", {"attention_window_size": 1}, "a window of 1 is not modelled"),
    ("zamba-7b-v1", {"tie_word_embeddings": False}, "false is not modelled"),
    ("zamba-7b-v1", {"n_mamba_heads": 3}, "key 'n_mamba_heads': 3 does not divide 7424"),
    ("zamba-7b-v1", {"layers_block_type": ["mamba"] * 76}, "no hybrid layer"),
    ("zaya1-8b", {"num_experts_per_tok": 2}, "2 is not modelled, only 1"),
    ("zaya1-8b", {"layer_types": ["hybrid_sliding"] * 40}, "missing key 'sliding_window'"),
    ("zaya1-8b", {"head_dim": 3, "num_key_value_heads": 1}, "do not halve"),
    ("hrm-text-1b", {"num_layers_per_stack": 16}, "should be num_layers_per_stack = 16 times 8"),
    ("dory-4b", {"n_recurrent_layers": 21}, "8 \\+ 21 \\+ 8 are not 36 layers"),
    ("dory-4b", {"recurrent_kv_cache_mode": "last_loop"}, "'last_loop' is not modelled"),
    ("dory-4b", {"layer_types": HALF, "n_input_layers": 7}, "key 'n_input_layers': 7 is odd"),
    ("ettin-decoder-150m", {"local_attention": 1}, "key 'local_attention': 1 leaves no window"),
]


def of(name: str, changes: dict[str, Any]) -> dict[str, Any]:
    text = (root() / "models" / f"{name}.json").read_text(encoding="utf-8")
    return {**json.loads(text), **changes}


@pytest.mark.parametrize(("name", "changes", "message"), REFUSED)
def test_what_is_wrong_or_not_modelled_is_one_clear_line(
    name: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        ls.Model.from_hf(of(name, changes))
    assert "\n" not in str(caught.value)


def test_layers_of_halves_are_those_of_wholes() -> None:
    """Dory's released files count attention and MLP as two layers."""
    sizes = {"num_hidden_layers": 72, "n_input_layers": 16, "n_output_layers": 16}
    types = [word for i in range(36) for word in (TYPES[(i + 1) % 4 == 0], "mlp")]
    changes = sizes | {"n_recurrent_layers": 40, "layer_types": types}
    whole, half = (ls.Model.from_hf(of("dory-4b", each)) for each in ({}, changes))
    assert (half.sections, half.values) == (whole.sections, whole.values)


TYPES = {False: "sliding_attention", True: "full_attention"}


def test_every_turn_of_a_loop_caches_and_reads_weights_anew() -> None:
    """Parameters do not grow with the turns; cached bytes, FLOPs and weights read do."""
    once, twice = (
        ls.Model.from_hf(of("dory-4b", {"n_recurrent_loops": turns})) for turns in (1, 2)
    )
    assert once.parameters == twice.parameters
    assert 36 * twice.kv_bytes(100, "bf16") == 56 * once.kv_bytes(100, "bf16")
    one, two = (each.forward(1, 1, 100).cost() for each in (once, twice))
    assert one.matmul_flops < two.matmul_flops
    assert one.weight_bytes < two.weight_bytes
