"""Model families, by Hugging Face ``model_type``: every module here that has a ``FAMILIES``."""

from importlib import import_module
from pkgutil import iter_modules

from lifesym.families.base import Family

FAMILIES: dict[str, Family] = {}
for _module in iter_modules(__path__):
    FAMILIES |= getattr(import_module(f"{__name__}.{_module.name}"), "FAMILIES", {})
