"""Decoders that have only code in their checkpoints, against sums written out by hand.

Sources: the ``modeling_*.py`` of Baichuan 2, ChatGLM 3, Qwen 1, InternLM 2, openPangu Embedded,
MiniCPM and Yuan 2, as their repositories have them: the shapes of their weights are written down
here one by one. (Yuan's passes are counted in ``tests/oracle/test_yuan.py``, too.)
"""

from collections.abc import Mapping
from typing import Any

import pytest

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import SpecError
from lifesym.report.structure import structure

pytestmark = pytest.mark.fast

Json = dict[str, Any]
SIZES: Json = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4}
CONFIGS: dict[str, Json] = {
    "baichuan": SIZES | {"intermediate_size": 40, "vocab_size": 70, "max_position_embeddings": 64},
    "baichuan 13b": SIZES | {"intermediate_size": 40, "vocab_size": 70, "model_max_length": 64},
    "chatglm": {
        "hidden_size": 24,
        "num_layers": 3,
        "num_attention_heads": 4,
        "ffn_hidden_size": 40,
        "padded_vocab_size": 70,
        "kv_channels": 8,
        "multi_query_attention": True,
        "multi_query_group_num": 2,
        "add_qkv_bias": True,
    },
    "qwen": SIZES | {"intermediate_size": 40, "vocab_size": 70, "kv_channels": 6},
    "internlm2": SIZES
    | {"intermediate_size": 40, "vocab_size": 70, "num_key_value_heads": 2, "bias": True},
    "PanguEmbedded": SIZES
    | {"intermediate_size": 40, "vocab_size": 70, "num_key_value_heads": 2, "bias": True},
    "minicpm": SIZES | {"intermediate_size": 40, "vocab_size": 70, "num_key_value_heads": 2},
}
WEIGHTS: Mapping[str, list[tuple[int, int, int]]] = {
    # outputs, inputs, biases of every projection of a layer
    "baichuan": [(72, 24, 0), (24, 24, 0), (40, 24, 0), (40, 24, 0), (24, 40, 0)],
    "baichuan 13b": [(72, 24, 0), (24, 24, 0), (40, 24, 0), (40, 24, 0), (24, 40, 0)],
    "chatglm": [(64, 24, 64), (24, 32, 0), (80, 24, 0), (24, 40, 0)],
    "qwen": [(72, 24, 72), (24, 24, 0), (20, 24, 0), (20, 24, 0), (24, 20, 0)],
    "internlm2": [(48, 24, 48), (24, 24, 24), (40, 24, 0), (40, 24, 0), (24, 40, 0)],
    "PanguEmbedded": [
        *((24, 24, 24), (12, 24, 12), (12, 24, 12), (24, 24, 24)),
        *((40, 24, 0), (40, 24, 0), (24, 40, 0)),
    ],
    "minicpm": [
        *((24, 24, 0), (12, 24, 0), (12, 24, 0), (24, 24, 0)),
        *((40, 24, 0), (40, 24, 0), (24, 40, 0)),
    ],
}
HEADS = {
    "chatglm": (4, 2, 8),
    "internlm2": (4, 2, 6),
    "PanguEmbedded": (4, 2, 6),
    "minicpm": (4, 2, 6),
}
"""Query heads, key-value heads, and their size, where they are not 4, 4 and 6."""


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_and_work_are_the_sums_of_their_projections(name: str) -> None:
    model = ls.Model.from_hf(CONFIGS[name] | {"model_type": name.partition(" ")[0]}, strict=True)
    heads, kv_heads, size = HEADS.get(name, (4, 4, 6))
    layer = sum(out * inputs + bias for out, inputs, bias in WEIGHTS[name]) + 2 * 24
    tables = 1 if name == "minicpm" else 2
    assert int(model.parameters) == 3 * layer + 24 + tables * 70 * 24
    assert int(model.kv_bytes(11, "fp16")) == 3 * 11 * 2 * kv_heads * size * 2
    for batch, new, past in ((1, 9, 0), (3, 1, 24), (2, 5, 3)):
        projections = sum(2 * out * inputs for out, inputs, _ in WEIGHTS[name])
        pairs = batch * heads * new * (past + new)
        expected = 3 * (projections * batch * new + 4 * size * pairs) + 2 * 70 * 24 * batch
        cost = model.forward(batch, new, past, logits="last").cost()
        assert int(cost.matmul_flops) == expected


YUAN: Json = {"model_type": "yuan", "vocab_size": 70, **SIZES}
M32 = {"moe_num_experts": 5, "moe_top_k": 2, "ffn_hidden_size": 11, "gated_linear_unit": True}


def test_yuans_queries_and_keys_are_of_filtered_inputs() -> None:
    filters = 24 * 12 * 2  # weights of one of two convolutions, through half the size
    model = ls.Model.from_hf(YUAN | {"intermediate_size": 40}, strict=True)
    projections = 4 * 24 * 24 + 3 * 24 * 40
    layer = projections + 2 * filters + 12 + 24 + 3 * 24
    assert int(model.parameters) == 3 * layer + 24 + 70 * 24
    assert int(model.kv_bytes(11, "fp16")) == 3 * (11 * 2 * 24 + 2 * 24) * 2
    (cache,) = structure(model)["cache"]
    assert cache.endswith("keys and values of every token, and two inputs of the filter")
    # outputs of both convolutions with a zero at either end, and with two inputs of a past
    for batch, new, past, first, second in ((1, 9, 0, 10, 10), (3, 1, 24, 4, 3), (2, 5, 3, 8, 7)):
        filtered = 2 * filters * (first + second) * batch
        pairs = batch * 4 * new * (past + new)
        expected = 3 * (2 * projections * batch * new + 4 * 6 * pairs + filtered)
        cost = model.forward(batch, new, past, logits="last").cost()
        assert int(cost.matmul_flops) == expected + 2 * 70 * 24 * batch


def test_m32s_scores_of_experts_attend_to_each_other() -> None:
    config = YUAN | {"attention_projection_size": 32, "moe_config": M32}
    model = ls.Model.from_hf(config, strict=True)
    filters, attention, router, expert = 24 * 12 * 2, 4 * 24 * 32, 3 * 24 * 5, 3 * 24 * 11
    layer = attention + 2 * filters + 12 + 24 + router + 5 * expert + 3 * 24
    assert int(model.parameters) == 3 * layer + 24 + 70 * 24
    work = 2 * (attention + router + 2 * expert) + 4 * 5 * 5
    expected = 3 * (9 * work + 4 * 8 * 4 * 9 * 9 + 2 * filters * 20) + 2 * 70 * 24
    assert int(model.forward(1, 9, 0, logits="last").cost().matmul_flops) == expected
    assert model.lift("head_dim").values[sym.rotary_dim] == 6
    # none of the experts: as without them
    plain = ls.Model.from_hf(YUAN | {"intermediate_size": 40})
    none = {"intermediate_size": 40, "moe_config": M32 | {"moe_num_experts": 0}}
    assert ls.Model.from_hf(YUAN | none).sections == plain.sections


REFUSED = {
    "pre_seq_len": ("chatglm", {"pre_seq_len": 128}),
    "rotary_pct": ("qwen", {"rotary_pct": 0.5}),
    "use_shareqk": ("yuan", {"use_shareqk": True}),
    "moe_config.moe_top_k": ("yuan", {"moe_config": M32 | {"moe_top_k": 6}}),
    "moe_config.router_type": ("yuan", {"moe_config": M32 | {"router_type": "linear"}}),
    "attention_projection_size": ("yuan", {"attention_projection_size": 20}),
    "hidden_size": ("yuan", {"hidden_size": 25, "num_attention_heads": 5}),
    "kv_channels": ("qwen", {"kv_channels": 8}),
    "num_experts": ("minicpm", {"num_experts": 8}),
    "sparse_config": ("minicpm", {"sparse_config": {"topk": 64}}),
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_is_not_modelled_is_refused(key: str) -> None:
    kind, more = REFUSED[key]
    with pytest.raises(SpecError, match=key):
        ls.Model.from_hf(CONFIGS.get(kind, YUAN) | more | {"model_type": kind})


def test_the_thinker_of_an_omni_model_is_its_text_model() -> None:
    text = SIZES | {"intermediate_size": 40, "vocab_size": 70, "num_key_value_heads": 2}
    outer = {"model_type": "qwen2_5_omni", "thinker_config": {"text_config": text}}
    model = ls.Model.from_hf(outer | {"talker_config": {"hidden_size": 8}})
    alone = ls.Model.from_hf(text | {"model_type": "qwen2"})
    assert (model.family, model.sections) == ("qwen2_5_omni_text", alone.sections)
    assert any("tower" in note for note in model.notes)
