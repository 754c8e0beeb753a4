"""Which multimodal models have which towers, and what is said of those that are not modelled."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lifesym import symbols as sym
from lifesym.errors import SpecError
from lifesym.model import Model
from lifesym.multimodal import WRAPPERS
from lifesym.tower import Tower
from lifesym.towers.base import Whole
from lifesym.towers.gemma4 import gemma4
from lifesym.towers.pixtral import mistral3
from lifesym.towers.qwen import qwen2_5_vl, qwen2_vl, qwen3_5, qwen3_vl
from lifesym.towers.square import gemma3, llava
from lifesym.towers.tiled import internvl, llama4

Build = Callable[[Whole], tuple[Tower, ...]]
VISION: dict[str, Build] = {
    "gemma3": gemma3,
    "gemma4": gemma4,
    "internvl": internvl,
    "llama4": llama4,
    "llava": llava,
    "mistral3": mistral3,
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "qwen3_vl_moe": qwen3_vl,
    "qwen3_5": qwen3_5,
    "qwen3_5_moe": qwen3_5,
}
"""Towers of images by the model type of the whole config."""
AUDIO: dict[str, Build] = {}
"""Towers of audio."""
HEARING = frozenset({"audioflamingo3", "qwen2_audio", "voxtral"})
"""Multimodal types that have a tower of audio and none of images."""


def with_towers(model: Model, data: Mapping[str, Any], where: str) -> Model:
    """The model with the towers of its whole config, and a note for each that is left out.

    Raises:
        SpecError: a tower's key is invalid, or has a value that is not modelled.
    """
    kind = data["model_type"]
    towers: list[Tower] = []
    notes: list[str] = []
    whole = Whole(data=data, hidden=model.values.get(sym.hidden, sym.hidden), where=where)
    for label, known in (("vision", VISION), ("audio", AUDIO)):
        key = f"{label}_config"
        given = data.get(key)
        usual = "audio" if kind in HEARING else "vision"
        multimodal = kind in WRAPPERS and label == usual and key not in data
        if given is None and not multimodal:
            continue
        short = "memory and TTFT are the language model's alone, and more may not fit"
        if given is None:
            notes.append(f"no {key!r} in the config, so no {label} tower: {short}")
        elif not isinstance(given, Mapping):
            raise SpecError(f"{where}: key {key!r} must be an object")
        elif kind not in known:
            notes.append(f"the {label} tower of {kind!r} is not modelled: {short}")
        else:
            towers += _built(known[kind], whole)
    if not towers and not notes:
        return model
    return replace(model, towers=tuple(towers), notes=(*model.notes, *notes))


def _built(build: Build, whole: Whole) -> tuple[Tower, ...]:
    try:
        return build(whole)
    except SpecError as error:
        told = str(error)
        named = told if told.startswith(whole.where) else f"{whole.where}: {told}"
        raise SpecError(named) from None
