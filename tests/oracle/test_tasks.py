"""Models with another head than an LM's, as their ``architectures`` say, against the real code."""

from random import Random
from typing import Any

import pytest

import lifesym as ls

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import configs  # noqa: E402
import configs_kin  # noqa: E402
from counting import MASKED, ROTARY  # noqa: E402
from test_encoder_decoders import bart, t5  # noqa: E402
from test_encoders import FAMILIES as ENCODERS  # noqa: E402
from test_encoders import config_of  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

AUTOS = {
    "Model": transformers.AutoModel,
    "SequenceClassification": transformers.AutoModelForSequenceClassification,
    "TokenClassification": transformers.AutoModelForTokenClassification,
    "QuestionAnswering": transformers.AutoModelForQuestionAnswering,
    "MultipleChoice": transformers.AutoModelForMultipleChoice,
    "NextSentencePrediction": transformers.AutoModelForNextSentencePrediction,
    "PreTraining": transformers.AutoModelForPreTraining,
    "Encoder": transformers.AutoModelForTextEncoding,
}


def checked(config: dict[str, Any], task: str) -> None:
    """Parameters and matrix FLOPs of the class that does a task, if the family has one."""
    labels = 1 if task == "SequenceClassification" else 3
    if task == "QuestionAnswering":  # the classes that take their number cannot split another
        labels = 2
    config = config | {"id2label": {i: str(i) for i in range(labels)}}
    settings = {key: value for key, value in config.items() if key != "model_type"}
    parsed = transformers.AutoConfig.for_model(config["model_type"], **settings)
    parsed._experts_implementation = "eager"  # the grouped kernel is not counted
    parsed.pad_token_id = parsed.decoder_start_token_id = 0
    classes = AUTOS[task]._model_mapping
    if type(parsed) not in classes:
        pytest.skip("no such class")
    real = AUTOS[task].from_config(parsed, attn_implementation="eager")
    real = real.eval().requires_grad_(False)
    config = config | {"architectures": [type(real).__name__]}
    model = ls.Model.from_hf(config)
    assert model.generates == (task == "Model" and model.kind == "encoder-decoder")
    unique = {id(p): p.numel() for p in real.parameters()}
    assert int(model.parameters) == sum(unique.values()), config
    if task == "MultipleChoice":
        return  # its sequences are one input
    if model.kind == "encoder-decoder":
        model = model.with_source(9)
    ids = torch.randint(3, parsed.get_text_config().vocab_size, (2, 9))
    if model.kind == "encoder-decoder":
        ids[:, -1] = parsed.eos_token_id  # whose vector BART's classifiers look at
    more = {} if model.kind != "encoder-decoder" or task != "Model" else {"decoder_input_ids": ids}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        real(input_ids=ids, **more)
    rotary = sum(
        sum(counts.values())
        for name, counts in counter.get_flop_counts().items()
        if name.split(".")[-1] == ROTARY
    )
    logits = "none" if model.generates or model.kind == "bare encoder" else "all"
    windows = config["model_type"] not in MASKED
    trace = model.forward(2, 9, 0, logits=logits, mla="expand", windows=windows)
    counted = trace.cost().matmul_flops
    assert int(counted) == counter.get_total_flops() - rotary, config


DECODERS = [*configs.FAMILIES, *configs_kin.FAMILIES]


@pytest.mark.parametrize("task", list(AUTOS)[:4])
@pytest.mark.parametrize("family", DECODERS, ids=lambda family: family.__name__)
def test_decoders(family: Any, task: str) -> None:
    checked(family(Random(f"{family.__name__} {task}")), task)


@pytest.mark.parametrize("task", list(AUTOS)[:-1])
@pytest.mark.parametrize("family", ENCODERS)
def test_encoders(family: str, task: str) -> None:
    checked(config_of(family, Random(f"{family} {task}")), task)


@pytest.mark.parametrize("task", ["Model", *list(AUTOS)[1:4], "Encoder"])
@pytest.mark.parametrize("family", [t5, bart], ids=lambda family: family.__name__)
@pytest.mark.parametrize("seed", range(2))
def test_encoder_decoders(family: Any, task: str, seed: int) -> None:
    checked(family(Random(f"{family.__name__} {task} {seed}")), task)
