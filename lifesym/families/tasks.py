"""What a model is run as, which a config says in ``architectures``: its class decides the head.

A decoder's class with an LM head generates; the bare model gives a vector a token, and a classifier
or reward model has a small projection in place of the head. These are run as one pass.
Sources: transformers 5.24, ``modeling_layers.py`` (the ``GenericFor...`` classes) and the models'
own classes; reward models of Qwen 2.5: their ``modeling_qwen2_rm.py``.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import Closing, Embed, EncoderHead, Head, TaskHead
from lifesym.errors import SpecError
from lifesym.families.decoder import once
from lifesym.model import Model, Section

_GENERATES = re.compile(
    r".*(CausalLM|ConditionalGeneration|LMHeadModel|ChatModel|ForImageTextToText|"
    r"ForMultimodalLM|ChatGLMModel)$"
)
"""Classes with an LM head."""
_MASKED = re.compile(r".*(ForMaskedLM|LMHeadModel|WithLMHead)$")
"""Classes of encoders with a head of the masked tokens."""
_TASK = re.compile(r".*(SequenceClassification|TokenClassification|QuestionAnswering|RewardModel)$")
_ENCODER_TASK = re.compile(r".*(NextSentencePrediction|MultipleChoice)$")
_BARE = re.compile(r".*(?<!DoubleHeads)(?<!Reward)Model$")
_LABELS = 2
"""Labels of a class whose config names none."""


def run_as(model: Model, config: Mapping[str, Any]) -> Model:
    """The model with the head of the class that its config names; as it is where none is named.

    Raises:
        SpecError: a class whose head is not modelled.
    """
    name = _named(config)
    encoder, both = "decoder" not in model.kind, model.kind == "encoder-decoder"
    if name is None or (_MASKED if encoder else _GENERATES).match(name):
        return model
    if both and name.endswith("EncoderModel"):
        return _encoder(model)
    if both and name.endswith("TokenClassification"):
        return _headed(_encoder(model), name, config)
    if _TASK.match(name) or (encoder and _ENCODER_TASK.match(name)):
        return _headed(model, name, config)
    if encoder and name.endswith("ForPreTraining"):
        return _pretrained(model, config)
    if _BARE.match(name):
        if encoder:
            return model.encoder(bare=True)
        # base models of one tied table are published so, and run with it as their head
        return model if both and _tied(model) else _with(model, name, labels=None)
    raise SpecError(
        f"key 'architectures': the head of {name!r} is not modelled (known: ...ForCausalLM,"
        " ...Model, ...ForSequenceClassification, ...ForTokenClassification,"
        " ...ForQuestionAnswering, ...ForRewardModel)"
    )


def with_outer_head(model: Model, whole: Mapping[str, Any]) -> Model:
    """Ovis 2, not tied: the rows of its LM head are the outer config's, which has its own default.

    Raises:
        SpecError: outer and inner hidden size differ, with which the class cannot run.
    """
    if whole.get("model_type") != "ovis2" or _tied(model):
        return model
    rows, width = whole.get("vocab_size", 151643), whole.get("hidden_size", 1536)
    inner = model.values[sym.hidden]
    if width != inner or isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        raise SpecError(
            f"keys 'hidden_size' and 'vocab_size' beside 'text_config': {width!r} and {rows!r} are"
            f" not sizes of a head of {inner} columns"
        )
    sections = tuple(
        replace(each, block=replace(each.block, vocab=Integer(rows)))
        if isinstance(each.block, Head)
        else each
        for each in model.sections
    )
    return replace(model, sections=sections)


def _named(config: Mapping[str, Any]) -> str | None:
    """The first class that a config names."""
    names = config.get("architectures")
    if names is None or names == []:
        return None
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return str(names[0])
    raise SpecError("key 'architectures': must be a list of names of classes")


def _headed(model: Model, name: str, config: Mapping[str, Any]) -> Model:
    """A model with a projection to labels: of the first token, of the last, or of all."""
    if name.endswith("QuestionAnswering"):
        return _with(model, name, labels=2, fixed=True, bias=True)  # where an answer starts, ends
    if name in ("Qwen2ForRewardModel", "Qwen2ForProcessRewardModel"):
        labels = 2 if "Process" in name else 1
        return _with(model, name, labels=labels, bias=True, dense="relu")
    if name.endswith("NextSentencePrediction"):
        return _with(model, name, labels=2, fixed=True, **_pooled(model))
    if name.endswith("MultipleChoice"):
        return _with(model, name, labels=1, fixed=True, **_pooled(model))
    labels = _labels(config, 1 if name.endswith("RewardModel") else _LABELS)
    if model.kind == "decoder":
        return _with(model, name, labels=labels, bias=name.endswith("TokenClassification"))
    if name.endswith("SequenceClassification"):
        return _with(model, name, labels=labels, **_pooled(model))
    return _with(model, name, labels=labels, bias=True)


def _pooled(model: Model) -> dict[str, Any]:
    """The end of a class that judges whole sequences by one of their tokens."""
    dense = "relu" if model.family == "distilbert" else "tanh"
    return {"bias": True, "dense": dense, "first": True}


def _pretrained(model: Model, config: Mapping[str, Any]) -> Model:
    """An encoder with the masked-LM head and a second one, of its first token."""
    labels = _labels(config, _LABELS) if model.family == "albert" else 2
    end = TaskHead(hidden=sym.hidden, labels=Integer(labels), **_pooled(model))
    return replace(model, sections=(*model.sections, once("pooler", end)))


def _labels(config: Mapping[str, Any], default: int) -> int:
    """How many labels a config has: those that it names, or their number."""
    named, number = config.get("id2label"), config.get("num_labels")
    if isinstance(named, Mapping) and named:
        return len(named)
    if number is None:
        return default
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise SpecError(f"key 'num_labels': {number!r} is not a number of labels")
    return number


def _with(
    model: Model, name: str, *, labels: int | None, fixed: bool = False, **head: Any
) -> Model:
    """The model with another head, which generates nothing."""
    outputs = None if labels is None else Integer(labels) if fixed else sym.labels
    values = dict(model.values)
    if outputs is sym.labels and labels is not None:
        values[sym.labels] = labels
    sections = tuple(_replaced(section, outputs, head) for section in model.sections)
    kind = "encoder" if model.kind == "bare encoder" else model.kind
    return replace(model, sections=sections, values=values, kind=kind, task=name)


def _replaced(section: Section, labels: Any, head: Mapping[str, Any]) -> Section:
    """A section with the other head if it has the LM head; no table is tied to that, nor scaled."""
    block = section.block
    if isinstance(block, Head):
        end = TaskHead(
            hidden=block.hidden, labels=labels, norm=block.norm, projected=block.projected, **head
        )
        return replace(section, block=end)
    if isinstance(block, EncoderHead | TaskHead):
        return replace(section, block=TaskHead(hidden=block.hidden, labels=labels, **head))
    if isinstance(block, Closing):
        return replace(section, block=replace(block, scaled=False))
    if isinstance(block, Embed):
        return replace(section, block=replace(block, tied=False))
    return section


def _encoder(model: Model) -> Model:
    """The encoder of an encoder-decoder alone, with an end that gives its vectors."""
    sections = tuple(replace(each, encoder=False) for each in model.sections if each.encoder)
    ends = once("head", TaskHead(hidden=sym.hidden))
    return replace(model, sections=(*sections, ends), kind="bare encoder")


def _tied(model: Model) -> bool:
    """Whether the head has no matrix of its own."""
    return any(isinstance(each.block, Head) and each.block.tied for each in model.sections)
