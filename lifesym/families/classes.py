"""Classes of transformers: which there are, why some are refused, what a config leaves to its own.

A multimodal file's ``text_config`` holds only what differs from its class. Elsewhere sizes must be
given, but for a few that files leave out although the class has a number of its own
(``specs/class_defaults.toml``).
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from lifesym.specs import convert, read_toml, root


class Classes(msgspec.Struct, forbid_unknown_fields=True):
    """The classes of one release.

    Attributes:
        release: of transformers; the families are compared with its classes.
        causal: types of causal language models, with the year of their copyright (0: not known).
        multimodal: types that make text of images and text.
        refused: why a type is not read.
    """

    release: str
    causal: dict[str, int]
    multimodal: list[str]
    refused: dict[str, str]


@cache
def classes() -> Classes:
    """What the file holds."""
    path = root() / "transformers.toml"
    return convert(read_toml(path), Classes, str(path))


def why_refused(kind: object) -> str:
    """The reason that a type is refused for, as the end of an error; empty if none is known."""
    reason = classes().refused.get(str(kind))
    return f" is not modelled: {reason}" if reason else ""


Plain = int | bool | str
_SWITCHED = {"max_window_layers": "use_sliding_window"}
"""Keys that say nothing without another one."""
_LISTED = {"first_k_dense_replace": "mlp_layer_types", "sliding_window_pattern": "layer_types"}
"""Keys that say nothing where a list has an entry for every layer."""


class _Defaults(msgspec.Struct, forbid_unknown_fields=True, rename={"name": "class"}):
    name: str
    source: str
    flat: dict[str, Plain] = {}
    nested: dict[str, Plain] = {}


@cache
def _tables() -> dict[str, _Defaults]:
    path = root() / "class_defaults.toml"
    return {
        family: convert(table, _Defaults, f"{path}: [{family}]")
        for family, table in read_toml(path).items()
    }


def left_out(config: Mapping[str, Any], wrapper: str | None) -> tuple[dict[str, Any], list[str]]:
    """The keys that a config leaves to its class, and a line for every class that gives some.

    ``wrapper`` is the type of the multimodal model whose ``text_config`` it is, if of one.
    """
    found: dict[str, Any] = {}
    notes: list[str] = []
    for family in (wrapper, str(config["model_type"])):
        known = _tables().get(family or "")
        if known is None:
            continue
        both = known.flat | (known.nested if wrapper else {})
        more = {
            key: value
            for key, value in both.items()
            if key not in {*config, *found}
            and config.get(_SWITCHED.get(key, "model_type"))
            and not config.get(_LISTED.get(key, ""))
        }
        if more:
            sizes = ", ".join(f"{key} {value}" for key, value in more.items())
            inside = "text_config: " if wrapper else ""
            plural = "s" if len(more) > 1 else ""
            notes.append(f"{inside}{sizes} (default{plural} of {known.name})")
            found |= more
    return found, notes
