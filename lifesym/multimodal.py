"""Configs of multimodal models: the language model is in their ``text_config``.

Only wrappers that are known to leave the language model alone are taken off; another may give it
layers of its own, as one with cross-attention to images does.
"""

from collections.abc import Mapping
from typing import Any

from lifesym.errors import SpecError, nearest

_ANY = """
    audioflamingo3 cohere2_vision fuyu got_ocr2 idefics2 idefics3 internvl janus kimi_k25 llava
    llava_next llava_next_video llava_onevision mistral3 ovis2 qwen2_audio smolvlm video_llava
    vipllava voxtral
"""
WRAPPERS: dict[str, str | None] = {
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "llama4": "llama4_text",
    "qwen2_vl": "qwen2_vl_text",
    "qwen2_5_vl": "qwen2_5_vl_text",
    "qwen3_vl": "qwen3_vl_text",
    "qwen3_vl_moe": "qwen3_vl_moe_text",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
} | dict.fromkeys(_ANY.split())
"""Multimodal types and the type of their ``text_config``; None: any.

In transformers 5.24 each builds the language model of its text config as it stands, with a plain
LM head: nothing of the other towers is in its layers.
"""
_RUN_AS = ("architectures", "id2label", "num_labels")
"""Keys of the whole model that say what it is run as."""
_EITHER = frozenset({"llava", "llava_next_video", "llava_onevision"})
"""Multimodal types whose embeddings are tied if the outer or the inner config says so."""


def unnest(data: dict[str, Any], where: str) -> dict[str, Any]:
    """The text model's config of a multimodal one; any other config as it is.

    Raises:
        SpecError: a wrapper that is not known, or one that says other things than its text config.
    """
    inner = data.get("text_config")
    if inner is None:
        return data
    if not isinstance(inner, dict):
        raise SpecError(f"{where}: key 'text_config' must be an object")
    outer = data.get("model_type")
    if not isinstance(outer, str) or outer not in WRAPPERS:
        raise SpecError(
            f"{where}: key 'model_type': {outer!r} around a 'text_config' is not modelled"
            f"{nearest(str(outer), WRAPPERS)} (the text config alone is one file, too)"
        )
    text = dict(inner)
    wanted = WRAPPERS[outer]
    if wanted is not None and text.setdefault("model_type", wanted) != wanted:
        found = text["model_type"]
        raise SpecError(f"{where}: key 'text_config.model_type': {found!r} is not {wanted!r}")
    named = {key: data[key] for key in _RUN_AS if key in data}
    return text | named | _tied(data, inner, where)


def _tied(data: Mapping[str, Any], inner: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Whether a multimodal model's embeddings are tied, which either config may say.

    Raises:
        SpecError: they disagree: transformers 4 believed the inner one, 5 believes the outer.
    """
    key = "tie_word_embeddings"
    said = [config[key] for config in (data, inner) if key in config]
    if len(said) == 2 and said[0] != said[1]:
        if data["model_type"] not in _EITHER:
            raise SpecError(f"{where}: keys {key!r} and 'text_config.{key}' disagree")
        said = [True]
    return {key: said[0]} if said else {}
