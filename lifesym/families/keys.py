"""Keys of configs that need no field in any type: `specs/families/keys.toml` has them."""

import re

from lifesym.families.records import files

ALIASES: dict[str, str] = files().everywhere["aliases"]
"""Keys that transformers 4 and 5 spell differently in every family."""
SUBCONFIGS = frozenset(files().everywhere["parts"].split())
"""Parts of multimodal models: `lifesym.multimodal` and `lifesym.towers` read them."""

_HARMLESS: dict[str, str] = dict(files().everywhere["harmless"])
HARMLESS_PATTERN = re.compile("|".join(_HARMLESS.pop("patterns").split()))
"""Spellings of keys that change nothing in any family: tokens' numbers, and how it was trained."""
HARMLESS = frozenset(" ".join(_HARMLESS.values()).split())
"""Keys that no operation, byte or dispatch depends on (formats are chosen by the caller)."""
