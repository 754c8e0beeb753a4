"""Decoders that have only code in their checkpoints, against sums written out by hand.

Sources: the ``modeling_*.py`` of Baichuan 2, ChatGLM 3, Qwen 1, InternLM 2, openPangu Embedded and
MiniCPM, as their repositories have them: the shapes of their weights are written down here one by
one.
"""

from collections.abc import Mapping
from typing import Any

import pytest

import lifesym as ls
from lifesym.errors import SpecError

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


REFUSED = {
    "pre_seq_len": ("chatglm", {"pre_seq_len": 128}),
    "rotary_pct": ("qwen", {"rotary_pct": 0.5}),
    "kv_channels": ("qwen", {"kv_channels": 8}),
    "num_experts": ("minicpm", {"num_experts": 8}),
    "sparse_config": ("minicpm", {"sparse_config": {"topk": 64}}),
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_is_not_modelled_is_refused(key: str) -> None:
    kind, more = REFUSED[key]
    with pytest.raises(SpecError, match=key):
        ls.Model.from_hf(CONFIGS[kind] | more | {"model_type": kind})


def test_the_thinker_of_an_omni_model_is_its_text_model() -> None:
    text = SIZES | {"intermediate_size": 40, "vocab_size": 70, "num_key_value_heads": 2}
    outer = {"model_type": "qwen2_5_omni", "thinker_config": {"text_config": text}}
    model = ls.Model.from_hf(outer | {"talker_config": {"hidden_size": 8}})
    alone = ls.Model.from_hf(text | {"model_type": "qwen2"})
    assert (model.family, model.sections) == ("qwen2_5_omni_text", alone.sections)
    assert any("tower" in note for note in model.notes)
