"""Model families, by Hugging Face ``model_type``: the tables of ``specs/families``.

A family is a table in a file there, and a function in the module of that name here.
"""

from collections.abc import Callable
from importlib import import_module

from lifesym.errors import SpecError
from lifesym.families.base import Config, Family
from lifesym.families.records import chain, files, fixed, struct
from lifesym.model import Model


def _function(name: str, file: str) -> Callable[[Config], Model]:
    """What builds a type: the function that its table names, or of its name, or what it is like."""
    module = import_module(f"{__name__}.{file}")
    for each, table in reversed(chain(name).items()):
        function = getattr(module, table.build or each.replace("-", "_"), None)
        if function is not None:
            return function  # type: ignore[no-any-return]
    raise SpecError(f"specs/families/{file}.toml: [{name}]: no function builds it")


def _family(name: str, file: str) -> Family:
    own, tables = files().types[file][name], chain(name).values()
    return Family(
        config=struct(name, Config),
        build=_function(name, file),
        example=own.example,
        aliases={old: new for table in tables for old, new in table.aliases.items()},
        ignored=" ".join(table.ignored for table in tables),
        kin=tuple(own.kin.split()),
        nulls=" ".join(table.nulls for table in tables),
        only=dict(fixed(name)),
        why={key: why for table in tables for key, why in table.why.items()},
    )


_EVERY = {name: _family(name, file) for file, types in files().types.items() for name in types}
FAMILIES = {name: family for name, family in _EVERY.items() if family.example}
DRAFTS = {name: family for name, family in _EVERY.items() if not family.example}
"""Draft heads, of which no config says the type."""

MODEL_TYPES: dict[str, str] = {kin: name for name, each in FAMILIES.items() for kin in each.kin}
MODEL_TYPES |= {name: name for name in FAMILIES}
"""Every known ``model_type``, with the family that it belongs to."""
