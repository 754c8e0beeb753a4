"""Reading Hugging Face configs: which family, which keys, and what they may not say.

A config is data from outside. Keys that decide the arithmetic are typed by the family's config
class; keys that do not are listed in `HARMLESS`; every other key is reported in one warning, or
refused with ``strict=True``. Nothing is guessed.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from sympy import Expr, sympify

from lifesym import symbols as sym
from lifesym.blocks import Attention, Block, LatentAttention
from lifesym.errors import SpecError, misspelt
from lifesym.families import DRAFTS, FAMILIES, MODEL_TYPES
from lifesym.families.base import Family
from lifesym.families.classes import left_out, why_refused
from lifesym.families.drafts import drafts_as, unwrapped
from lifesym.families.records import ALIASES, HARMLESS, HARMLESS_PATTERN, SUBCONFIGS
from lifesym.families.tasks import run_as, with_outer_head
from lifesym.model import Model
from lifesym.multimodal import WRAPPERS, flat, renamed, thinker, unnest
from lifesym.quantization import with_stored
from lifesym.specs import convert, find, finite, read_json
from lifesym.towers import with_towers

_LISTED = " (`lifesym specs` lists those that are known)"


class ConfigWarning(UserWarning):
    """Keys of a config that lifesym does not know and did not use."""


def load_model(name_or_path: str | Path, *, strict: bool = False) -> Model:
    """The model of a name in ``specs/models``, a Hub id that it has, or a path.

    A path is that of any ``config.json``, of a folder with one, or of a GGUF file.

    >>> load_model("llama-2-7b").parameters
    6738415616

    Raises:
        SpecError: an unknown name, or a config that cannot be used (see `Model.from_hf`).
    """
    from lifesym.containers import load  # noqa: PLC0415 (it reads configs by this module)

    return load(name_or_path, strict=strict)


def as_model(model: Model | str | Path) -> Model:
    """A model as it is, or that of a name or path (see `load_model`)."""
    return model if isinstance(model, Model) else load_model(model)


def read_config(
    config: Mapping[str, Any] | str | Path, *, strict: bool = False, where: str = "config"
) -> Model:
    """The model of a config given as a mapping or a path (see `Model.from_hf`)."""
    from lifesym.containers import looks_like, open_model  # noqa: PLC0415 (it reads configs here)

    if isinstance(config, str | Path):
        return open_model(Path(config), strict=strict)
    written_out = getattr(config, "to_dict", None)  # a config object of transformers
    given = written_out() if callable(written_out) else config
    if not isinstance(given, Mapping):
        raise SpecError(f"a config is a dict or a path, not {type(config).__name__}")
    data, name = (
        renamed(thinker(unwrapped(dict(given))), where),
        str(given.get("model_type", "model")),
    )
    whole, draft = data, DRAFTS.get(drafts_as(data, where))
    data, notes = unnest(data, where)
    data = flat(data)
    family = data.get("model_type")
    if draft is not None:
        family = "llama"
    if family is None:
        raise SpecError(f"{where}: {looks_like(data)}")
    if not isinstance(family, str) or family not in MODEL_TYPES:
        if reason := why_refused(family):
            raise SpecError(f"{where}: model_type {family!r}{reason}")
        hint = misspelt(str(family), MODEL_TYPES)
        raise SpecError(f"{where}: unknown model_type {family!r}{hint}{_LISTED}")
    chosen = draft or FAMILIES[MODEL_TYPES[family]]
    written = data
    data = _rename(data, chosen, where)
    wrapper = whole["model_type"] if whole.get("text_config") is not None else None
    data = _nulls(data, chosen)
    more, filled = left_out(data, wrapper)
    data |= more
    finite(data, (*sorted(_fields(chosen)), "num_labels"), where)
    _refuse_unread(data, chosen, where)
    _report_unknown(data, chosen, where, strict)
    try:
        parsed = convert(data, chosen.config, f"{where}: text_config" if wrapper else where)
    except SpecError as error:
        raise SpecError(_as_written(str(error), written, chosen)) from None
    try:
        model = chosen.model(parsed)
        if not draft:
            model = run_as(with_outer_head(model, whole), data)
        _refuse_odd_rotations(model)
    except SpecError as error:
        raise SpecError(f"{where}: {_as_written(str(error), written, chosen)}") from None
    named = replace(model, name=name, notes=(*model.notes, *notes, *filled))
    model = with_towers(named, whole, where)
    return with_stored(model, whole, where)


def example(family: str) -> Model:
    """The model that stands for the structure of a family or of its kin in `Model.symbolic`.

    Kin have no example of their own, nor has a family whose files are not published: a config of
    another type that has all its keys is read as one of this.
    """
    if family not in MODEL_TYPES:
        raise SpecError(f"unknown family {family!r}{misspelt(family, MODEL_TYPES)}{_LISTED}")
    config = read_json(find("models", FAMILIES[MODEL_TYPES[family]].example, ".json", "model"))
    inner = config.get("model_type") in WRAPPERS
    return read_config(config if inner else config | {"model_type": family})


def _refuse_odd_rotations(model: Model) -> None:
    """Rotary positions turn pairs of elements: an odd number has no meaning."""
    for section in model.sections:
        for turned in _rotated(section.block):
            number = sympify(sympify(turned).xreplace(model.values))
            if number.is_odd:
                other = ", or what gives the rotated part of a head" * (turned != sym.head_dim)
                raise SpecError(
                    f"key 'head_dim'{other}: {number} is odd: rotary positions turn pairs"
                )


def _rotated(block: Block) -> Iterator[Expr | int]:
    """The rotated elements of a head, of every attention in a block."""
    if isinstance(block, Attention):
        yield block.rotary_dim
    elif isinstance(block, LatentAttention):
        yield block.rope_dim
    else:
        for part in vars(block).values():
            if isinstance(part, Block):
                yield from _rotated(part)


def _fields(family: Family) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(family.config)}


def _rename(data: dict[str, Any], family: Family, where: str) -> dict[str, Any]:
    """The config with every key spelt as the config class spells it."""
    renamed, fields = dict(data), _fields(family)
    for old, new in (ALIASES | family.aliases).items():
        if old in renamed:
            value = renamed.pop(old)
            if renamed.setdefault(new, value) != value and new in fields:
                raise SpecError(
                    f"{where}: keys {old!r} and {new!r} mean the same and disagree: "
                    f"{value!r} and {renamed[new]!r}"
                )
    rope = renamed.get("rope_parameters")
    if isinstance(rope, dict) and "partial_rotary_factor" in rope:
        renamed.setdefault("partial_rotary_factor", rope["partial_rotary_factor"])
    return renamed


def _nulls(data: dict[str, Any], family: Family) -> dict[str, Any]:
    """The config without nulls that the class takes for false, or for nothing."""
    for key in family.nulls.split():
        if key in data and data[key] is None:
            kind = next(f.type for f in msgspec.structs.fields(family.config) if f.name == key)
            data = {name: value for name, value in data.items() if name != key}
            data |= {key: False} if kind is bool else {}
    return data


def _as_written(message: str, written: Mapping[str, Any], family: Family) -> str:
    """An error about a key, with the spelling that the file has."""
    fields = msgspec.structs.fields(family.config)
    named = {field.name: field.encode_name for field in fields if field.name != field.encode_name}
    spelt = {
        new: old for old, new in family.aliases.items() if {old, new} & written.keys() == {old}
    }
    for change in (named, spelt):
        for ours, theirs in change.items():
            message = re.sub(rf"(?<![\w.]){ours}(?!\w)", theirs, message)
    return message


def _refuse_unread(data: Mapping[str, Any], family: Family, where: str) -> None:
    """A window, or layers of their own, in a family that has none: a count would be wrong."""
    kind = data["model_type"]
    if data.get("per_layer_config") and "per_layer_config" not in _fields(family):
        raise SpecError(f"{where}: key 'per_layer_config': not modelled for {kind!r}")
    read = _fields(family) | set(family.ignored.split())
    types = data.get("layer_types")
    windowed = {
        "sliding_window": data.get("sliding_window") and data.get("use_sliding_window", True),
        "layer_types": isinstance(types, list) and any(each != "full_attention" for each in types),
    }
    for key, given in windowed.items():
        if given and key not in read:
            raise SpecError(f"{where}: key {key!r}: a window is not modelled for {kind!r}")


def _report_unknown(data: Mapping[str, Any], family: Family, where: str, strict: bool) -> None:
    known = _fields(family) | HARMLESS | SUBCONFIGS | set(family.ignored.split())
    unknown = sorted(
        key
        for key, value in data.items()
        if not (key in known or value is None or key.startswith("_"))
        and not HARMLESS_PATTERN.fullmatch(key)
    )
    if not unknown:
        return
    message = f"{where}: unknown keys, not used: {', '.join(unknown)}"
    if strict:
        raise SpecError(message)
    warnings.warn(message, ConfigWarning, stacklevel=4)
