"""Configs of multimodal models: the language model is in their ``text_config``.

Only wrappers that are known to leave the language model alone are taken off; another may give it
layers of its own, as one with cross-attention to images does.
"""

import re
from collections.abc import Mapping
from typing import Any

from lifesym.errors import SpecError, misspelt
from lifesym.families.classes import why_refused

_ANY = """
    aria audioflamingo3 aya_vision blip-2 cohere2_vision cohere_compass cosmos3_edge cosmos3_omni
    deepseek_ocr2 deepseek_vl deepseek_vl_hybrid exaone4_5 fast_vlm fuyu gemma4_unified glm46v
    glm_ocr glmasr glmga got_ocr2 granite4_vision granite_docling granite_speech hunyuan_vl
    hyperclovax_vision_v2 idefics2 idefics3 instructblip instructblipvideo internvl janus kimi_k25
    lfm2_vl lfm3_vl lighton_ocr llava llava_next llava_next_video llava_onevision maira2 minicpm_ocr
    minicpmv4_6 minicpmv4_7 mistral3 moss_transcribe_diarize musicflamingo nemotron_h_omni ovis2
    paddleocr_vl paligemma perception_lm pp_chart2table qianfan_ocr qwen2_5_omni_thinker qwen2_audio
    qwen3_asr qwen3_omni_moe_thinker shieldgemma2 smolvlm step3p7 vibevoice_asr video_llama_3
    video_llava vipllava voxtral
"""
WRAPPERS: dict[str, str | None] = {
    "apertus1p5": "apertus1p5_text",
    "dots3_note": "dots3_note_text",
    "emu3": "emu3_text_model",
    "ernie4_5_vl_moe": "ernie4_5_vl_moe_text",
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "glm4v": "glm4v_text",
    "glm4v_moe": "glm4v_moe_text",
    "llama4": "llama4_text",
    "mistral_large4": "mistral_large4_text",
    "mllama": "mllama_text_model",
    "qwen2_vl": "qwen2_vl_text",
    "qwen2_5_vl": "qwen2_5_vl_text",
    "qwen3_vl": "qwen3_vl_text",
    "qwen3_vl_moe": "qwen3_vl_moe_text",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
}
_KEYS = {
    "deepseek_vl_v2": "language_config",
    "internvl_chat": "llm_config",
    "llava_llama": "llm_cfg",
}
"""Types whose code is in their checkpoints, and their key for what others call ``text_config``."""
WRAPPERS |= dict.fromkeys((*_ANY.split(), *_KEYS))
"""Multimodal types and the type of their ``text_config``; None: any.

In transformers 5.24, or the code in their checkpoints, each builds the language model of its text
config as it stands, with a plain LM head: nothing of the other towers is in its layers.
"""
_TEXT = {
    outer: text
    for text, outers in {
        "aria_text": "aria",
        "cohere2": "aya_vision cohere2_vision",
        "cohere_compass_text": "cohere_compass",
        "cosmos3_edge_text": "cosmos3_edge",
        "deepseek_ocr2_text": "deepseek_ocr2",
        "deepseek_v2": "deepseek_vl_v2",
        "deepseek_v3": "kimi_k25",
        "exaone4": "exaone4_5",
        "gemma": "paligemma",
        "gemma3_text": "shieldgemma2",
        "gemma4_unified_text": "gemma4_unified",
        "glm4v_text": "glm46v glmga",
        "glm_ocr_text": "glm_ocr",
        "granite": "granite_speech",
        "granite4_vision_text": "granite4_vision",
        "granite_docling_text": "granite_docling",
        "hunyuan_vl_text": "hunyuan_vl",
        "hyperclovax": "hyperclovax_vision_v2",
        "lfm2": "lfm2_vl",
        "lfm3": "lfm3_vl",
        "mistral": "idefics2 mistral3",
        "nemotron_h": "nemotron_h_omni",
        "opt": "blip-2 instructblip instructblipvideo",
        "paddleocr_vl_text": "paddleocr_vl",
        "persimmon": "fuyu",
        "qwen2": "audioflamingo3 fast_vlm got_ocr2 internvl llava_onevision musicflamingo ovis2"
        " pp_chart2table qwen2_audio vibevoice_asr video_llama_3",
        "qwen2_5_omni_text": "qwen2_5_omni_thinker",
        "qwen3": "lighton_ocr moss_transcribe_diarize qianfan_ocr qwen3_asr",
        "qwen3_5_text": "minicpm_ocr minicpmv4_6 minicpmv4_7",
        "qwen3_omni_moe_text": "qwen3_omni_moe_thinker",
        "qwen3_vl_text": "cosmos3_omni",
        "step3p5": "step3p7",
    }.items()
    for outer in outers.split()
}
"""Types that a text config without one has; those of the other wrappers are Llamas."""
FLAT = {"llava": "llama", "llava_llama": "llama", "molmo": "molmo", "phi3_v": "phi3_v"}
"""Types that may have their language model's keys beside those of the tower, and how it is read.

Sources: haotian-liu/LLaVA, whose ``LlavaConfig`` is Llama's with more keys; ``modeling_phi3_v.py``
and ``modeling_molmo.py`` on the Hub.
"""
_MINICPMV = {2.6: "qwen2", 4: "llama"}
"""The language model of MiniCPM-V by the version that its file says.

Sources: ``modeling_minicpmv.py`` of openbmb/MiniCPM-V-2_6 and MiniCPM-V-4 on the Hub.
"""
_OF_TOWER = re.compile(
    r"(tune_|freeze_|unfreeze_|use_)?mm_.*|image_.*|img_processor|version|vision_.*|query_num|"
    r"slice_.*|batch_vision_input|drop_vision_last_layer|patch_size|use_image_id|unfreeze_.*"
)
"""Keys of the tower in a flat file."""
_RUN_AS = ("architectures", "id2label", "num_labels")
"""Keys of the whole model that say what it is run as."""
_STORED = (
    *("quantization_config", "compression_config", "transformers_version"),
    *("dtype", "torch_dtype"),
)
"""Keys of the whole model that say what its files hold."""
_EITHER = frozenset({"llava", "llava_next_video", "llava_onevision", "qwen2_vl", "qwen2_5_vl"})
"""Multimodal types whose embeddings are tied if the outer or the inner config says so."""
_TIED_BY_CLASS = """
    aya_vision cohere2_vision deepseek_vl deepseek_vl_hybrid gemma3 gemma3n gemma4 gemma4_unified
    glmasr got_ocr2 granite_docling granite_speech hunyuan_vl hyperclovax_vision_v2 internvl janus
    kimi_k25 lfm2_vl lfm3_vl lighton_ocr minicpm_ocr mistral3 moss_transcribe_diarize ovis2
    paddleocr_vl paligemma pp_chart2table qwen3_asr shieldgemma2
"""
_TIED = frozenset(_TIED_BY_CLASS.split())
"""Types that transformers 5 ties where the outer config does not say."""
_NEVER = frozenset(
    {
        *("audioflamingo3", "cosmos3_edge", "musicflamingo", "qwen2_audio", "vibevoice_asr"),
        *("mllama", "voxtral"),
    }
)
"""Types that transformers 5 never ties; transformers 4 believed their text config."""
_INNER = frozenset({"blip-2", "instructblip", "instructblipvideo", "llama4", *_KEYS})
"""Types whose language model is built of the text config alone."""


def thinker(data: dict[str, Any]) -> dict[str, Any]:
    """The part of an omni model that reads and writes text; any other config as it is.

    The talker that speaks, and the code that makes sound of it, are other models.
    """
    inner, outer = data.get("thinker_config"), data.get("model_type")
    if not isinstance(inner, dict) or f"{outer}_thinker" not in WRAPPERS:
        return data
    named = {key: data[key] for key in (*_RUN_AS, *_STORED) if key in data}
    return {"model_type": f"{outer}_thinker", **named, **inner}


def renamed(data: dict[str, Any], where: str) -> dict[str, Any]:
    """A config of code in its checkpoint as others are: its language model in ``text_config``.

    A flat file keeps its type; its other keys are the language model's, which `flat` names.

    Raises:
        SpecError: a version of a type whose language model is not known.
    """
    outer = str(data.get("model_type"))
    key = _KEYS.get(outer, "")
    inner = data.get(key)
    if isinstance(inner, dict):
        rest = {name: value for name, value in data.items() if name != key}
        if outer == "deepseek_vl_v2" and not inner.get("use_mla", True):
            inner = {**inner, "model_type": "deepseek_ocr2_text"}
            for name in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "use_mla"):
                inner.pop(name, None)
        return {**rest, "text_config": inner}
    if outer == "minicpmv" and data.get("version") not in _MINICPMV:
        known = ", ".join(map(str, _MINICPMV))
        raise SpecError(f"{where}: key 'version': {data.get('version')!r} is not one of {known}")
    return data


def flat(data: dict[str, Any]) -> dict[str, Any]:
    """The language model's config of a flat multimodal file; any other config as it is."""
    outer = data.get("model_type")
    kind = _MINICPMV[data["version"]] if outer == "minicpmv" else FLAT.get(str(outer))
    original = outer not in ("llava", "llava_llama") or "mm_vision_tower" in data
    if (
        kind is None or not original
    ):  # transformers' LLaVA has no such keys, and would pass over all
        return data
    own = {key: value for key, value in data.items() if not _OF_TOWER.fullmatch(key)}
    return own | {"model_type": kind, "architectures": None}


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
        if reason := why_refused(outer):
            raise SpecError(f"{where}: model_type {outer!r}{reason}")
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
    both = text.pop("use_bidirectional_attention", None) if outer == "paligemma" else None
    named = {key: data[key] for key in _RUN_AS if key in data}
    tied, notes = _tied(data, inner, where)
    if both:
        notes = (*notes, "a prompt is seen both ways: exact causal counts are of a mask it has not")
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
    usual = "gemma" in outer  # whose text class ties as well
    told = tied != inner.get(key, usual)
    note = f"{key} {str(tied).lower()} (default of the class of {outer})"
    return {key: tied}, (note,) if told else ()
