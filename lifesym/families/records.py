"""What configs say: the keys of every type, as the tables of ``specs/families`` have them.

A file there belongs to the module of its name, whose functions build the types in it. A table
``[deepseek_v3]`` says what a config of that ``model_type`` holds, and ``[keys.NAME]`` what several
types have in common, or what a table inside of a config holds. ``[kinds]`` in ``keys.toml`` has the
kind of value of every key.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import NODEFAULT, UNSET, UnsetType

from lifesym.errors import SpecError
from lifesym.families.base import Count, Whole
from lifesym.specs import convert, read_toml, root

KINDS: dict[str, Any] = {
    "count": Count,
    "whole": Whole,
    "taps": Annotated[int, msgspec.Meta(ge=2, le=2**10)],  # with one there is nothing to convolve
    "integer": int,
    "number": float,
    "switch": bool,
    "word": str,
    "auto": Literal["auto"],
    "anything": Any,
}
"""Kinds of values. Others are made of them, or are tables of keys.

There are "list of count", "table of word", "layers of word" (a table whose keys are numbers of
layers), "switch or word", and, of two words, "softmax|sigmoid".
"""


class Table(msgspec.Struct, forbid_unknown_fields=True):
    """What a config of a type holds, or of several types; lists are words with spaces between them.

    Attributes:
        like: whose keys these are too; what is said here goes before what is said there.
        build: the function that builds it: by default the one of its name, or that of ``like``.
        example: a config in the database that has the family's usual structure.
        kin: other types whose configs are read in the same way.
        needs: keys that a config must have.
        may: keys that a config may leave out, or have as null.
        usual: keys that may be left out, and what the class takes then (a size of 0: see `sizes`).
        only: keys of which one value is modelled, which is also the usual one.
        never: keys that must be null or left out.
        unset: keys whose null is another thing than their absence.
        nullable: keys with a null that is another thing than their usual value.
        why: what else to say of a value that is refused by ``only`` or ``never``.
        kinds: kinds of keys that are of another kind elsewhere.
        spelt: keys that have another name here, by that name.
        aliases: other spellings of keys.
        nulls: keys whose null is false to the class, or not given where they are no switch.
        ignored: keys that change nothing.
    """

    like: str = ""
    build: str = ""
    example: str = ""
    kin: str = ""
    needs: str = ""
    may: str = ""
    usual: dict[str, Any] = {}
    only: dict[str, Any] = {}
    never: str = ""
    unset: str = ""
    nullable: str = ""
    why: dict[str, str] = {}
    kinds: dict[str, str] = {}
    spelt: dict[str, str] = {}
    aliases: dict[str, str] = {}
    nulls: str = ""
    ignored: str = ""


class Key(NamedTuple):
    """A key of a config: its name here, kind and default, and the one value that it may have."""

    name: str
    kind: str
    default: Any = NODEFAULT
    null: bool = False
    only: Any = UNSET


class _Files(NamedTuple):
    """The types of each file, the tables of all, kinds of keys, and what holds of every type."""

    types: dict[str, dict[str, Table]]
    tables: dict[str, Table]
    kinds: dict[str, str]
    everywhere: dict[str, Any]


@cache
def files() -> _Files:
    """What the files hold.

    Raises:
        SpecError: one that is not as `Table` says, or two tables of one name.
    """
    types, tables = dict[str, dict[str, Table]](), dict[str, Table]()
    common = read_toml(root() / "families" / "keys.toml")
    kinds = {key: kind for kind, each in common.pop("kinds").items() for key in each.split()}
    everywhere = common.pop("everywhere")
    for path in sorted((root() / "families").glob("*.toml")):
        data = common if path.stem == "keys" else read_toml(path)
        shared = data.pop("keys", {})
        for name, table in (data | shared).items():
            where = f"{path}: [{name}]"
            if name in tables:
                raise SpecError(f"{where}: another table has that name")
            tables[name] = convert(table, Table, where)
        types[path.stem] = {name: tables[name] for name in data}
    return _Files(types, tables, kinds, everywhere)


def chain(name: str) -> dict[str, Table]:
    """A table after those that it is like, by their names."""
    if (table := files().tables.get(name)) is None:
        raise SpecError(f"specs/families: no table {name!r}")
    return (chain(table.like) if table.like else {}) | {name: table}


@cache
def keys(name: str) -> dict[str, Key]:
    """The keys of a table, by their spelling in a config."""
    found: dict[str, Key] = {}
    for table in chain(name).values():
        said: dict[str, dict[str, Any]] = {
            **{key: {"default": None} for key in table.may.split()},
            **{key: {"default": None, "only": None} for key in table.never.split()},
            **{key: {"default": UNSET} for key in table.unset.split()},
            **{key: {"default": _plain(value)} for key, value in table.usual.items()},
            **{key: dict.fromkeys(("default", "only"), _plain(v)) for key, v in table.only.items()},
        }
        said |= {key: said.get(key, {}) | {"default": NODEFAULT} for key in table.needs.split()}
        ours = {key: name_here for name_here, key in table.spelt.items()}
        for key in dict.fromkeys([*said, *table.kinds, *ours]):
            old = found.get(key) or Key(key, files().kinds.get(key, ""))
            new = old._replace(name=ours.get(key, old.name), kind=table.kinds.get(key, old.kind))
            if key in said:
                new = Key(new.name, new.kind, null=key in table.nullable.split(), **said[key])
            found[key] = new
    return found


@cache
def struct(name: str, base: type[msgspec.Struct] = msgspec.Struct) -> Any:
    """The class of what has the keys of a table."""
    fields: list[tuple[str, Any, Any]] = []
    for key, each in keys(name).items():
        if not each.kind:
            raise SpecError(f"specs/families: [{name}]: key {key!r} is of no kind")
        kind = _type(each.kind)
        null = kind | None if each.null or each.default in (None, UNSET) else kind
        whole = null | UnsetType if each.default is UNSET else null
        fields.append((each.name, whole, _default(each.default, kind)))
    spelt = {each.name: key for key, each in keys(name).items()}
    return msgspec.defstruct(name, fields, bases=(base,), kw_only=True, rename=spelt)


def fixed(name: str, inside: str = "") -> Iterator[tuple[str, Any]]:
    """The keys of which one value is modelled, with that value; a key in a table has its path."""
    for each in keys(name).values():
        if each.only is not UNSET:
            yield inside + each.name, each.only
        elif each.kind in files().tables:
            yield from fixed(each.kind, f"{inside}{each.name}.")


def _type(kind: str) -> Any:
    """The type that a kind means."""
    if " or " in kind:
        return reduce(or_, map(_type, kind.split(" or ")))
    outer, _, inner = kind.partition(" of ")
    if inner:
        part: Any = _type(inner)
        return {"list": list[part], "table": dict[str, part], "layers": dict[Any, part]}[outer]
    if "|" in kind:
        return Literal[tuple(int(w) if w.isdigit() else w for w in kind.split("|"))]
    return KINDS[kind] if kind in KINDS else struct(kind)


def _plain(value: Any) -> Any:
    """A value as a config has it."""
    return float(value) if isinstance(value, Decimal) else value


def _default(value: Any, kind: Any) -> Any:
    """The default of a field; one that could be changed is made anew each time."""
    if isinstance(value, dict):
        return msgspec.field(default_factory=lambda: msgspec.convert(value, kind))
    return value


ALIASES: dict[str, str] = files().everywhere["aliases"]
"""Keys that transformers 4 and 5 spell differently in every family."""
SUBCONFIGS = frozenset(files().everywhere["parts"].split())
"""Parts of multimodal models: `lifesym.multimodal` and `lifesym.towers` read them."""

_HARMLESS: dict[str, str] = dict(files().everywhere["harmless"])
HARMLESS_PATTERN = re.compile("|".join(_HARMLESS.pop("patterns").split()))
"""Spellings of keys that change nothing in any family: tokens' numbers, and how it was trained."""
HARMLESS = frozenset(" ".join(_HARMLESS.values()).split())
"""Keys that no operation, byte or dispatch depends on (formats are chosen by the caller)."""
