"""What a config leaves to its class: the class's own numbers, with a line that says so.

A multimodal file's ``text_config`` holds only what differs from its class. Elsewhere sizes must be
given, but for a few that files leave out although the class has a number of its own
(``specs/class_defaults.toml``).
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from lifesym.specs import convert, read_toml, root

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
