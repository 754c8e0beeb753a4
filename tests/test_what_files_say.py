"""Configs read as their classes read them: heads, left out keys, ties, infinities, hints.

``data/class_truth.json`` has counts of the real classes (transformers 5.24, torch 2.13, meta
device), each for one thing that a config says or leaves out.
"""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from sympy import Integer

import lifesym as ls
from lifesym import SpecError
from lifesym import symbols as sym
from lifesym.errors import misspelt
from lifesym.families import MODEL_TYPES
from lifesym.huggingface import ConfigWarning

TRUTH = json.loads((Path(__file__).parent / "data" / "class_truth.json").read_text())
KEPT = [case for case in TRUTH if not case.get("refused")]
REFUSED = {
    "starcoder2_sliding_window_of_1": "'sliding_window': a window of 1",
    "minimax_m2_rotary_dim_larger_than_head_dim": "'rotary_dim': 4 is more than head_dim = 2",
    "hunyuan_v1_dense_without_head_dim": "missing key 'head_dim'",
    "nemotron_without_num_key_value_heads": "missing key 'num_key_value_heads'",
    "dbrx_tied": "'tie_word_embeddings'",
}
LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 500,
}
BODY = 93_696 + 64
"""Parameters of it without a head: embedding 32,000, layers, and the last norm of 64."""
BERT: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": 500,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def read(config: dict[str, Any], **changes: Any) -> ls.Model:
    return ls.Model.from_hf({**config, **changes})


@pytest.mark.parametrize("case", KEPT, ids=[case["name"] for case in KEPT])
def test_counts_are_the_real_class(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(case["config"]))  # Python writes Infinity, as published files do
    model = ls.Model.from_hf(path)
    # of multimodal classes it is the language model that was counted
    assert replace(model, towers=()).parameters == case["parameters"]
    for step in case.get("passes", ()):
        sized = model.with_source(step["source"]) if "source" in step else model
        shape = step["batch"], step["new"], step["past"]
        trace = sized.forward(*shape, logits=step["logits"])
        assert trace.cost().matmul_flops == step["matmul_flops"]
    if (held := case.get("kv_bytes_of_5_tokens_fp32")) is not None:
        assert model.kv_bytes(5, "fp32") == held


def test_what_no_class_can_run_is_refused() -> None:
    assert {case["name"] for case in TRUTH if case.get("refused")} == set(REFUSED)
    for case in TRUTH:
        if case.get("refused"):
            with pytest.raises(SpecError, match=REFUSED[case["name"]]):
                ls.Model.from_hf(case["config"])


HEADS = {  # beside the body of 93,760
    "LlamaForCausalLM": 500 * 64,
    "LlamaModel": 0,
    "LlamaForSequenceClassification": 3 * 64,  # GenericForSequenceClassification: no bias
    "LlamaForTokenClassification": 3 * 64 + 3,
    "LlamaForQuestionAnswering": 2 * 64 + 2,
    "LlamaForRewardModel": 3 * 64,
    "Qwen2ForRewardModel": 64 * 64 + 64 + 64 + 1,  # modeling_qwen2_rm.py: two layers, one label
    "Qwen2ForProcessRewardModel": 64 * 64 + 64 + 2 * 64 + 2,
}


@pytest.mark.parametrize("name", HEADS)
def test_the_class_of_a_decoder_decides_its_head(name: str) -> None:
    labels = {str(i): f"LABEL_{i}" for i in range(3)}
    model = read(LLAMA, architectures=[name], id2label=labels)
    assert model.parameters == BODY + HEADS[name]
    assert model.generates == (name == "LlamaForCausalLM")


def test_labels_are_named_or_counted_or_two() -> None:
    one = {"architectures": ["LlamaForSequenceClassification"]}
    assert read(LLAMA, **one).parameters == BODY + 2 * 64
    assert read(LLAMA, **one, num_labels=5).parameters == BODY + 5 * 64
    assert read(LLAMA, **one, id2label={"0": "good"}, num_labels=5).parameters == BODY + 64
    assert read(LLAMA, architectures=["LlamaForRewardModel"]).parameters == BODY + 64
    with pytest.raises(SpecError, match="'num_labels': 0 is not a number of labels"):
        read(LLAMA, **one, num_labels=0)
    with pytest.raises(SpecError, match="'architectures': must be a list of names"):
        read(LLAMA, architectures="LlamaModel")
    with pytest.raises(SpecError, match="the head of 'LlamaForRewardModelWithGating' is not"):
        read(LLAMA, architectures=["LlamaForRewardModelWithGating"])


def test_a_tied_table_stays_where_its_head_goes() -> None:
    model = read(LLAMA, architectures=["LlamaModel"], tie_word_embeddings=True)
    assert model.parameters == BODY
    assert model.weight_roles["embedding"] == 500 * 64


def test_encoders_have_the_heads_of_their_classes() -> None:
    body = read(BERT, architectures=["BertModel"]).parameters - (32 * 32 + 32)  # its pooler
    dense = 32 * 32 + 32
    heads = {
        "BertForSequenceClassification": dense + 2 * 32 + 2,
        "BertForTokenClassification": 2 * 32 + 2,
        "BertForQuestionAnswering": 2 * 32 + 2,
        "BertForMultipleChoice": dense + 32 + 1,
        "BertForNextSentencePrediction": dense + 2 * 32 + 2,
        "BertForMaskedLM": dense + 2 * 32 + 500,  # transform, norm, bias; the table is tied
        "BertForPreTraining": 2 * dense + 2 * 32 + 500 + 2 * 32 + 2,
    }
    for name, parameters in heads.items():
        assert read(BERT, architectures=[name]).parameters == body + parameters, name


@pytest.mark.usefixtures("eager")
def test_one_pass_is_forecast_and_no_generation() -> None:
    device = ls.load_hardware("h100-sxm-80gb")
    model = read(LLAMA, architectures=["LlamaForSequenceClassification"], num_labels=1)
    once = ls.forecast(model, device, prompt=9)
    assert once.generate == 0
    assert once.latency.expr == once.ttft.expr
    assert once.memory.expr == 2 * (BODY + 64) + 2 * 9 * 2 * 2 * 2 * 16
    assert sum(e.cost(once.precision).matmul_flops for e in once.trace(9, 0)) == 1_148_544
    split = ls.forecast(model, device, prompt=9, tensor_parallel=2)
    assert "score" in {entry.name for entry in split.one_token}
    with pytest.raises(SpecError, match="is a LlamaForSequenceClassification, which has no LM he"):
        ls.forecast(model, device, prompt=9, generate=1)
    with pytest.raises(SpecError, match="generates no tokens"):
        once.cost(1)


def test_one_pass_at_the_command_line(run: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA | {"architectures": ["LlamaModel"]}))
    on = ["--on", "h100-sxm-80gb", "--prompt", "9"]
    result = run("forecast", str(path), *on, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["tpot_s"] is None
    counted = json.loads(run("count", str(path), "--new", "9", "--json").stdout)
    assert (counted["parameters"], counted["matmul_flops"]) == (93_760, 1_147_392)
    refused = run("forecast", str(path), *on, "--generate", "3")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "LlamaModel, which has no LM head" in refused.stderr
    without = run("forecast", "llama-2-7b", *on)
    assert without.returncode == 2
    assert "--generate" in without.stderr


def test_what_was_left_to_a_class_is_said() -> None:
    text = {"model_type": "llama", "vocab_size": 32064}
    model = ls.Model.from_hf({"model_type": "llava", "text_config": text, "vision_config": {}})
    assert replace(model, towers=()).parameters == 6_738_939_904
    assert model.notes == (
        "text_config: hidden_size 4096, intermediate_size 11008, num_hidden_layers 32,"
        " num_attention_heads 32 (defaults of LlamaConfig)",
    )
    alone = read({**LLAMA, "model_type": "gemma", "num_attention_heads": 16, "head_dim": 8})
    assert alone.notes == ()
    with pytest.raises(SpecError, match="config: missing key 'hidden_size'"):
        ls.Model.from_hf({key: value for key, value in LLAMA.items() if key != "hidden_size"})


def test_the_head_of_ovis_2_has_the_rows_of_the_outer_config() -> None:
    config = {"model_type": "ovis2", "tie_word_embeddings": False}
    config |= {"text_config": LLAMA | {"model_type": "qwen2"}, "hidden_size": 64}
    tied = ls.Model.from_hf(config | {"tie_word_embeddings": True})
    assert ls.Model.from_hf(config).parameters == tied.parameters + 151_643 * 64
    assert ls.Model.from_hf(config | {"vocab_size": 7}).parameters == tied.parameters + 7 * 64
    with pytest.raises(SpecError, match="are not sizes of a head of 64 columns"):
        ls.Model.from_hf(config | {"hidden_size": 65})


def test_public_cases_of_heads_infinities_and_defaults(tmp_path: Path) -> None:
    big = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 8}
    big |= {"num_attention_heads": 16, "num_key_value_heads": 4, "vocab_size": 128000}
    # vllm-project/vllm issue 8700: a reward model has one score in place of the head
    one = {"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    assert read(LLAMA, **big, **one).parameters == 748_720_128
    mamba = {"model_type": "mamba2", "hidden_size": 1024, "num_hidden_layers": 4, "expand": 2}
    mamba |= {"vocab_size": 32000, "head_dim": 64, "num_heads": 32, "n_groups": 1}
    mamba |= {"state_size": 64, "conv_kernel": 4, "chunk_size": 256}
    mamba |= {"tie_word_embeddings": False, "time_step_limit": [0.0, float("inf")]}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(mamba))  # ai-dynamo/dynamo pull 3043: files hold Infinity
    assert ls.load_model(path).parameters == 91_414_400
    fuyu = {"model_type": "fuyu", "text_config": {"model_type": "persimmon"}}
    assert ls.Model.from_hf(fuyu).parameters == 9_397_175_296  # PersimmonForCausalLM's defaults


INNER = LLAMA | {"model_type": "mistral", "sliding_window": None, "head_dim": 16}
TIES = {
    # type, version, outer, inner: tied (transformers 4.57 and 5.24: see `lifesym.multimodal`)
    ("mistral3", None, None, None): True,
    ("mistral3", "5.0.0", None, None): True,
    ("mistral3", "5.0.0", True, False): True,
    ("mistral3", "5.0.0", False, True): False,
    ("mistral3", "4.57.1", None, None): False,
    ("mistral3", "4.57.1", True, False): False,
    ("mistral3", "4.57.1", None, True): True,
    ("llava", "5.0.0", False, True): True,
    ("idefics3", "5.0.0", None, True): False,
    ("qwen2_audio", None, True, None): False,
    ("voxtral", "5.1.0", True, True): False,
    ("voxtral", "4.57.1", None, True): True,
}


@pytest.mark.parametrize("case", TIES, ids=str)
def test_who_says_that_embeddings_are_tied(case: tuple[Any, ...]) -> None:
    outer, version, said, inside = case
    key = "tie_word_embeddings"
    config: dict[str, Any] = {"model_type": outer, "text_config": dict(INNER)}
    config |= {"transformers_version": version} if version else {}
    config |= {} if said is None else {key: said}
    config["text_config"] |= {} if inside is None else {key: inside}
    assert ls.Model.from_hf(config).parameters == BODY + (0 if TIES[case] else 500 * 64)


def test_infinities_stop_only_what_is_read() -> None:
    infinite = {"time_step_limit": [0.0, float("inf")], "rope_scaling": {"factor": float("nan")}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert read(LLAMA, **infinite).parameters == read(LLAMA).parameters
    with pytest.raises(SpecError, match="key 'head_dim': inf is not a number that it can hold"):
        read(LLAMA, head_dim=float("inf"))
    partial = {"model_type": "phi3", "rope_parameters": {"partial_rotary_factor": float("inf")}}
    with pytest.raises(SpecError, match="'partial_rotary_factor': inf"):
        read(LLAMA, **partial)


NULLS = {
    "ernie4_5": ("use_bias",),
    "falcon": ("alibi", "bias", "new_decoder_architecture"),
    "qwen2": ("num_key_value_heads",),
}


@pytest.mark.parametrize("family", NULLS)
def test_nulls_that_a_class_takes_for_false_or_for_all(family: str) -> None:
    base = {**LLAMA, "model_type": family, "num_key_value_heads": 4}
    if family == "falcon":
        base = {key: value for key, value in base.items() if key not in ("intermediate_size",)}
        base.pop("num_key_value_heads")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = read(base)
        for key in NULLS[family]:
            assert read(base, **{key: None}).parameters == plain.parameters


def test_no_warning_of_what_changes_nothing() -> None:
    silent = {  # of real files: kimi_k25, minimax_m2, qwen3_moe, whisper, mpt
        **{"top_k": 50, "num_beams": 1, "bad_words_ids": None, "do_sample": False},
        **{"sliding_window": None, "vision_start_token_id": 7, "tokenizer_name": "x"},
        **{"init_config": {"name": "kaiming"}, "internal_version": "1", "embd_pdrop": 0.1},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ls.Model.from_hf(LLAMA | silent, strict=True)
    with pytest.warns(ConfigWarning, match="not used: wormhole_heads$"):
        read(LLAMA, wormhole_heads=3, **silent)


def test_a_hint_is_no_other_architecture() -> None:
    others = "mimo qwen2_5_omni git minimax_m3 umt5 ibert beit phi3small"
    assert [name for name in others.split() if misspelt(name, MODEL_TYPES)] == []
    for wrong, right in (("lama", "llama"), ("Gemma-2", "gemma2"), ("qwen3moe", "qwen3_moe")):
        assert misspelt(wrong, MODEL_TYPES) == f"; did you mean {right!r}?"
    with pytest.raises(SpecError) as error:
        read(LLAMA, model_type="phi3small")
    assert str(error.value) == (
        "config: unknown model_type 'phi3small' (`lifesym specs` lists those that are known)"
    )


def test_labels_are_a_dimension() -> None:
    model = read(LLAMA, architectures=["LlamaForSequenceClassification"])
    assert model.lift("labels").parameters == BODY + 64 * sym.labels
    assert model.values[sym.labels] == Integer(2)
