"""Model families, by Hugging Face ``model_type``: every module here that has a ``FAMILIES``."""

from importlib import import_module
from pkgutil import iter_modules

from lifesym.families.base import Family

FAMILIES: dict[str, Family] = {}
for _module in iter_modules(__path__):
    FAMILIES |= getattr(import_module(f"{__name__}.{_module.name}"), "FAMILIES", {})

MODEL_TYPES: dict[str, str] = {kin: name for name, each in FAMILIES.items() for kin in each.kin}
MODEL_TYPES |= {name: name for name in FAMILIES}
"""Every known ``model_type``, with the family that it belongs to."""
