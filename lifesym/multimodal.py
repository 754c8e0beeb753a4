"""Configs of multimodal models: the language model is in their ``text_config``.

Only wrappers that are known to leave the language model alone are taken off; another may give it
layers of its own, as one with cross-attention to images does.
"""

from collections.abc import Mapping
from typing import Any

from lifesym.errors import SpecError, misspelt

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
_TEXT = dict.fromkeys(("internvl", "got_ocr2", "ovis2"), "qwen2")
_TEXT |= dict.fromkeys(("audioflamingo3", "llava_onevision", "qwen2_audio"), "qwen2")
_TEXT |= dict.fromkeys(("idefics2", "mistral3"), "mistral")
_TEXT |= {"cohere2_vision": "cohere2", "fuyu": "persimmon", "kimi_k25": "deepseek_v3"}
"""Types that a text config without one has; those of the other wrappers are Llamas."""
_RUN_AS = ("architectures", "id2label", "num_labels")
"""Keys of the whole model that say what it is run as."""
_EITHER = frozenset({"llava", "llava_next_video", "llava_onevision", "qwen2_vl", "qwen2_5_vl"})
"""Multimodal types whose embeddings are tied if the outer or the inner config says so."""
_TIED = frozenset(
    {
        *("cohere2_vision", "gemma3", "gemma3n", "gemma4", "got_ocr2", "internvl", "janus"),
        *("kimi_k25", "mistral3", "ovis2"),
    }
)
"""Types that transformers 5 ties where the outer config does not say."""
_NEVER = frozenset({"audioflamingo3", "qwen2_audio", "voxtral"})
"""Types that transformers 5 never ties; transformers 4 believed their text config."""
_INNER = frozenset({"llama4"})
"""Types whose language model is built of the text config alone."""


def unnest(data: dict[str, Any], where: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The text model's config of a multimodal one, and notes on it; any other config as it is.

    Raises:
        SpecError: a wrapper that is not known, or one that says other things than its text config.
    """
    inner = data.get("text_config")
    if inner is None:
        return data, ()
    if not isinstance(inner, dict):
        raise SpecError(f"{where}: key 'text_config' must be an object")
    outer = data.get("model_type")
    if not isinstance(outer, str) or outer not in WRAPPERS:
        raise SpecError(
            f"{where}: key 'model_type': {outer!r} around a 'text_config' is not modelled"
            f"{misspelt(str(outer), WRAPPERS)} (the text config alone is one file, too)"
        )
    text = dict(inner)
    wanted = WRAPPERS[outer]
    if wanted is not None and text.setdefault("model_type", wanted) != wanted:
        found = text["model_type"]
        raise SpecError(f"{where}: key 'text_config.model_type': {found!r} is not {wanted!r}")
    text.setdefault("model_type", _TEXT.get(outer, "llama"))
    named = {key: data[key] for key in _RUN_AS if key in data}
    tied, notes = _tied(data, inner, where)
    return text | named | tied, notes


def _tied(
    data: Mapping[str, Any], inner: Mapping[str, Any], where: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Whether a multimodal model's embeddings are tied, and a note where its class decides.

    Transformers 4 believed the inner config and took the outer where that says nothing; 5 believes
    the outer one, or its class. A file without a version is read as 5 does.

    Raises:
        SpecError: they disagree, and no version says which of them counts.
    """
    key, outer = "tie_word_embeddings", data["model_type"]
    said = [config[key] for config in (inner, data) if key in config]
    version = str(data.get("transformers_version") or "").partition(".")[0]
    older = version.isdecimal() and int(version) < 5
    if outer in _INNER or (older and outer in _NEVER):
        return {key: inner[key]} if key in inner else {}, ()
    if outer in _NEVER:
        return {key: False}, ()
    if outer in _EITHER:
        return {key: True in said} if said else {}, ()
    if older:
        return {key: said[0]} if said else {}, ()
    if len(said) == 2 and said[0] != said[1] and not version:
        raise SpecError(f"{where}: keys {key!r} and 'text_config.{key}' disagree")
    if key in data:
        return {key: data[key]}, ()
    tied = outer in _TIED
    usual = outer.startswith("gemma")  # whose text class ties as well
    told = tied != inner.get(key, usual)
    note = f"{key} {str(tied).lower()} (default of the class of {outer})"
    return {key: tied}, (note,) if told else ()
