"""GGUF mixes by the quantizer's rules, against the sizes of published files.

A file holds the tensors and its metadata: the vocabulary, names, padding. So what a published file
has beyond the weights must be what its vocabulary takes, the same for models that share one.
"""

from typing import Any

import pytest
from sympy import Float, Integer, Rational

import lifesym as ls
from lifesym import symbols as sym
from lifesym.formats import Precision, known_formats, load_format
from lifesym.gguf_mixes import fitted, resolve

VOCABULARIES = {
    "llama-2": (730_000, 760_000),
    "llama-3": (7_820_000, 7_880_000),
    "qwen": (5_940_000, 5_975_000),
    "o200k": (13_000_000, 13_010_000),
}
"""Bytes of metadata of files with each vocabulary."""
PUBLISHED = [
    ("phi-3-mini-4k", "q4_k_m", "llama-2", 2_393_231_072),
    ("mistral-7b-v0.3", "q4_k_m", "llama-2", 4_372_812_000),
    ("llama-3.1-8b", "q4_k_m", "llama-3", 4_920_739_232),
    ("llama-3.3-70b", "q4_k_m", "llama-3", 42_520_398_432),
    ("llama-3.2-1b", "q4_k_m", "llama-3", 807_694_464),
    ("llama-3.2-3b", "q4_k_m", "llama-3", 2_019_377_696),
    ("qwen2.5-0.5b", "q4_k_m", "qwen", 397_808_192),
    ("qwen2.5-7b", "q4_k_m", "qwen", 4_683_074_240),
    ("qwen3-30b-a3b", "q4_k_m", "qwen", 18_556_685_824),
    ("qwen3-30b-a3b", "q3_k_s", "qwen", 13_292_468_800),
    ("gpt-oss-20b", "mxfp4_moe", "o200k", 12_109_566_624),
]
"""Sizes of files as the Hub lists them.

Of the repositories microsoft/Phi-3-mini-4k-instruct-gguf (fused QKV and gate-up), bartowski's of
the Llamas (tied embeddings in 3.2; 70B's values) and Qwen2.5-0.5B (rows of 896), Qwen's of
Qwen2.5-7B and Qwen3-30B-A3B (experts; unsloth's in Q3_K_S), lmstudio-community's of gpt-oss-20b.
"""


@pytest.mark.parametrize(("name", "mix", "vocabulary", "size"), PUBLISHED)
def test_weights_are_a_published_file_but_for_its_metadata(
    name: str, mix: str, vocabulary: str, size: int
) -> None:
    least, most = VOCABULARIES[vocabulary]
    assert least <= size - int(ls.load_model(name).weight_bytes(mix)) <= most


LOGS = [
    ("qwen3-30b-a3b", "q4_k_m", "17.28"),  # ggml-org/llama.cpp, issue 14235
    ("llama-2-13b", "q4_k_m", "7.33"),  # geerlingguy/ai-benchmarks, issue 46
    ("phi-3-mini-4k", "q4_k_m", "2.23"),
    ("deepseek-v2-lite", "q4_k_m", "9.65"),  # experts of 1,408 columns
    ("gpt-oss-120b", "mxfp4_moe", "59.02"),
]
"""GiB that llama.cpp prints of the tensors of a file."""


@pytest.mark.parametrize(("name", "mix", "printed"), LOGS)
def test_weights_are_what_is_printed_at_loading(name: str, mix: str, printed: str) -> None:
    gib = float(ls.load_model(name).weight_bytes(mix)) / 2**30
    assert f"{gib:.2f}" == printed


CASES: dict[int, dict[str, Any]] = {
    302_299_136: {
        "model_type": "qwen3_moe",
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "moe_intermediate_size": 512,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 128,
        "num_experts": 32,
        "num_experts_per_tok": 4,
        "norm_topk_prob": True,
        "vocab_size": 32000,
        "tie_word_embeddings": False,
    },
    112_871_936: {
        "model_type": "qwen2",
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 8,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 32000,
        "tie_word_embeddings": True,
    },
}
"""Small configs whose tensors were added up by hand: experts, and rows of 896."""


@pytest.mark.parametrize("size", CASES)
def test_small_models_tensor_by_tensor(size: int) -> None:
    assert ls.Model.from_hf(CASES[size]).weight_bytes("q4_k_m") == size


def _parts(role: str, mix: str, model: ls.Model) -> dict[str, Rational]:
    found = dict(resolve(mix, model).roles)[role]
    return {part.name: share for share, part in found.parts} or {found.name: Integer(1)}


def test_tensors_of_a_published_file_by_type() -> None:
    """Qwen2.5-0.5B: 132 q5_0, 13 q8_0, 12 q4_K, 12 q6_K (ollama/ollama, issue 9031)."""
    model, half = ls.load_model("qwen2.5-0.5b"), Rational(1, 2)
    for role in ("attn_q", "attn_k", "attn_o", "mlp_gate", "mlp_up"):
        assert _parts(role, "q4_k_m", model) == {"q5_0": 1}  # 5 x 24, and half of the values
    assert _parts("attn_v", "q4_k_m", model) == {"q5_0": half, "q8_0": half}
    assert _parts("mlp_down", "q4_k_m", model) == {"q4_k": half, "q6_k": half}
    assert _parts("tied_embedding", "q4_k_m", model) == {"q8_0": 1}


@pytest.mark.parametrize(
    ("name", "mix", "role", "parts"),
    [
        ("qwen3-30b-a3b", "q4_k_m", "experts_down", {"q6_k": "1/2", "q4_k": "1/2"}),
        ("qwen3-30b-a3b", "q4_k_m", "router", {"fp32": "1"}),
        ("mixtral-8x7b", "q4_k_m", "attn_v", {"q8_0": "1"}),
        ("mixtral-8x7b", "q4_k_m", "attn_k", {"q8_0": "1"}),
        ("mixtral-8x7b", "q4_k_m", "attn_o", {"q5_k": "1"}),
        ("llama-3-70b", "q4_k_m", "attn_v", {"q6_k": "1/2", "q5_k": "1/2"}),
        ("llama-3-8b", "q4_k_s", "attn_v", {"q5_k": "1/8", "q4_k": "7/8"}),
        ("llama-3-8b", "q3_k_m", "attn_v", {"q5_k": "1/16", "q4_k": "15/16"}),
        ("llama-3-8b", "gguf-q2_k", "attn_v", {"q4_k": "1"}),
        ("llama-2-7b", "gguf-q2_k", "attn_v", {"q3_k": "1"}),
        ("llama-3-8b", "iq3_xs", "mlp_up", {"iq3_s": "1/4", "iq3_xxs": "3/4"}),
        ("llama-3-8b", "gguf-iq2_xs", "embedding", {"q2_k": "1"}),
        ("llama-3-8b", "gguf-iq2_xs", "lm_head", {"q5_k": "1"}),
        ("phi-3-mini-4k", "q4_k_m", "attn_qkv_fused", {"q5_k": "1"}),
        ("phi-3-mini-4k", "q5_k_m", "attn_qkv_fused", {"q6_k": "1"}),
        ("falcon-7b", "q4_k_m", "tied_embedding", {"q8_0": "1"}),
        ("deepseek-v2-lite", "q4_k_m", "attn_kv_b", {"q5_0": "1/2", "q4_k": "1/2"}),
        ("deepseek-v3", "q4_k_m", "moe_shared_gate", {"q4_k": "1"}),
        ("deepseek-v3", "gguf-q8_0", "experts_down", {"q8_0": "1"}),
        ("gpt2", "gguf-q8_0", "positions", {"fp32": "1"}),
        ("gpt-oss-20b", "mxfp4_moe", "experts_up", {"mxfp4": "1"}),
        ("mamba-130m", "q4_k_m", "mamba_mixer:dt_proj", {"fp16": "1"}),
    ],
)
def test_rules(name: str, mix: str, role: str, parts: dict[str, str]) -> None:
    expected = {kind: Rational(share) for kind, share in parts.items()}
    assert _parts(role, mix, ls.load_model(name)) == expected


MIXES = [name for name, found in known_formats().items() if found.roles and name != "awq"]


@pytest.mark.parametrize("mix", MIXES)
def test_every_mix_is_exact_and_near_its_average(mix: str) -> None:
    model = ls.load_model("llama-3-8b")
    found = model.weight_bytes(mix)
    assert found.is_Integer
    average = Precision.of(weights=mix)
    plain = sum(float(average.weight_bytes(matrix)) for matrix in model.whole.matrices())
    assert float(found) == pytest.approx(plain, rel=0.08)
    assert resolve(resolve(mix, model), model) == resolve(mix, model)


def test_symbolic_and_toy_models_keep_the_averages() -> None:
    symbolic = ls.Model.symbolic("llama")
    assert resolve("q4_k_m", symbolic) == load_format("q4_k_m")
    lifted = ls.load_model("llama-3-8b").lift("layers")
    assert resolve("q4_k_m", lifted) == load_format("q4_k_m")
    assert sym.layers in lifted.weight_bytes("q4_k_m").free_symbols
    toy = ls.Model.from_hf(CASES[112_871_936] | {"hidden_size": 112})
    assert resolve("q4_k_m", toy) == load_format("q4_k_m")
    wide = ls.load_model("llama-3-8b").lift("vocab")
    assert not wide.weight_bytes("q4_k_m").has(Float)
    assert wide.weight_bytes("q4_k_m").subs(sym.vocab, 128256) == 4_912_898_048


def test_a_file_may_be_named_with_the_prefix() -> None:
    assert load_format("gguf-q4_k_m") is load_format("q4_k_m")
    assert load_format("GGUF-Q2_K").roles
    assert not load_format("q2_k").roles
    with pytest.raises(ls.SpecError, match="unknown number format 'gguf-bf17'"):
        load_format("gguf-bf17")
    with pytest.raises(ls.SpecError, match="unknown number format 'gguf-nf4'"):
        load_format("gguf-nf4")


def test_a_role_that_is_asked_for_comes_before_the_mix() -> None:
    model = ls.load_model("qwen3-30b-a3b")
    f = ls.forecast(model, ls.load_hardware("h100-sxm-80gb"), 9, 2, weights="q4_k_m")
    g = ls.forecast(
        *(model, ls.load_hardware("h100-sxm-80gb"), 9, 2),
        weights="q4_k_m",
        roles={"experts": "fp8"},
    )
    assert f.precision.weight_format("experts", "down").parts
    assert g.precision.weight_format("experts", "down").name == "fp8"
    assert fitted(f.precision, model) == f.precision
