"""Which multimodal models have which towers, and what is said of those that are not modelled."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lifesym import symbols as sym
from lifesym.errors import SpecError
from lifesym.model import Model
from lifesym.multimodal import FLAT, WRAPPERS
from lifesym.tower import Tower
from lifesym.towers.audio import qwen2_audio, voxtral
from lifesym.towers.base import Whole
from lifesym.towers.gemma4 import gemma4
from lifesym.towers.pixtral import mistral3
from lifesym.towers.qwen import qwen2_5_vl, qwen2_vl, qwen3_5, qwen3_vl
from lifesym.towers.square import gemma3, git, llava
from lifesym.towers.tiled import internvl, llama4

Build = Callable[[Whole], tuple[Tower, ...]]
VISION: dict[str, Build] = {
    "gemma3": gemma3,
    "gemma4": gemma4,
    "git": git,
    "internvl": internvl,
    "llama4": llama4,
    "llava": llava,
    "mistral3": mistral3,
    "mistral_large4": mistral3,
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "qwen3_vl_moe": qwen3_vl,
    "qwen3_5": qwen3_5,
    "qwen3_5_moe": qwen3_5,
}
"""Towers of images by the model type of the whole config."""
AUDIO: dict[str, Build] = {"qwen2_audio": qwen2_audio, "voxtral": voxtral}
"""Towers of audio."""
HEARING = frozenset(
    {
        *("audioflamingo3", "glmasr", "granite_speech", "moss_transcribe_diarize"),
        *("musicflamingo", "qwen2_audio", "qwen3_asr", "vibevoice_asr", "voxtral"),
    }
)
"""Multimodal types that have a tower of audio and none of images."""


def with_towers(model: Model, data: Mapping[str, Any], where: str) -> Model:
    """The model with the towers of its whole config, and a note for each that is left out.

    Raises:
        SpecError: a key of a tower has the wrong type.
    """
    kind = data["model_type"]
    towers: list[Tower] = []
    notes: list[str] = []
    whole = Whole(data=data, hidden=model.values.get(sym.hidden, sym.hidden), where=where)
    for label, known in (("vision", VISION), ("audio", AUDIO)):
        key = f"{label}_config"
        given = data.get(key)
        usual = "audio" if kind in HEARING else "vision"
        multimodal = kind in {*WRAPPERS, *FLAT, *VISION} and label == usual and key not in data
        if given is None and not multimodal:
            continue
        if given is None:
            notes.append(_short(f"no {key!r} in the config, so no {label} tower"))
        elif not isinstance(given, Mapping):
            raise SpecError(f"{where}: key {key!r} must be an object")
        elif kind not in known:
            notes.append(_short(f"the {label} tower of {kind!r} is not modelled"))
        else:
            try:
                towers += known[kind](whole)
            except SpecError as error:
                if str(error).startswith(where):
                    raise  # a key of a wrong type, not one that is not modelled
                notes.append(_short(f"the {label} tower is left out ({error})"))
    if not towers and not notes:
        return model
    return replace(model, towers=tuple(towers), notes=(*model.notes, *notes))


def _short(why: str) -> str:
    """What is said where a tower is missing."""
    return f"{why}: memory and TTFT are the language model's alone, and the whole may not fit"
