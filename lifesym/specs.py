"""Finding and reading spec files: model configs, hardware and formats.

Every failure is a `SpecError` of one line that names the file, the key and what would be right.
"""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from lifesym.checks import shown
from lifesym.errors import SpecError, nearest

MAX_BYTES = 4_000_000
"""Spec files are small; a larger file is refused before it is parsed."""

_MISSING = re.compile(r"Object missing required field `(\w+)`")

T = TypeVar("T")


@cache
def root() -> Path:
    """The folder of the specs: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "specs"
    return inside if inside.is_dir() else package.parent / "specs"


@cache
def names(kind: str) -> tuple[str, ...]:
    """The names in one folder of the database (``models``, ``hardware``), sorted."""
    return tuple(sorted(path.stem for path in (root() / kind).iterdir() if path.suffix != ".md"))


def find(
    kind: str, name: str | Path, suffix: str, what: str, others: Mapping[str, str] | None = None
) -> Path:
    """The file that a name in the database or a path means; ``others`` are other names of entries.

    Raises:
        SpecError: neither a name in the database nor an existing file, or a name of several.
    """
    if not isinstance(name, str | Path) or not str(name).strip():
        raise SpecError(f"a {what} is a name or the path of a file, not {shown(name)}")
    path = Path(name)
    if str(name) in names(kind):
        return root() / kind / f"{name}{suffix}"
    if path.is_dir():
        raise SpecError(f"{name}: is a folder, not a {what} file")
    if path.is_file():
        return path
    if (known := meant(kind, str(name), what, others or {})) is not None:
        return root() / kind / f"{known}{suffix}"
    if path.suffix[1:].isalpha() or path.name != str(name):
        raise SpecError(f"{name}: no such file")
    hint = nearest(str(name).lower(), [*(others or {}), *names(kind)])
    raise SpecError(f"unknown {what} {str(name)!r}{hint}")


def meant(kind: str, text: str, what: str, others: Mapping[str, str]) -> str | None:
    """The name in the database that a name as people write it means; None where it is none.

    Case and what stands between words and numbers do not count, nor do makers' names before it; a
    memory size, a form factor or a count of cores may be left out where one entry is left.

    >>> meant("hardware", "NVIDIA GeForce RTX4090", "hardware", {})
    'rtx-4090'
    >>> meant("hardware", "H100_PCIe", "hardware", {})
    'h100-pcie-80gb'

    Raises:
        SpecError: it is the beginning of several entries' names.
    """
    known = {name: name for name in names(kind)} | dict(others)
    if text in known:
        return known[text]
    if not _SPELT.fullmatch(text):
        return None
    asked, same, several = _words(text), set[str](), set[str]()
    while asked and not same:
        rests = {name: _words(name)[len(asked) :] for name in known if _begins(name, asked)}
        several = several or {known[name] for name in rests}
        same = {known[name] for name, rest in rests.items() if not rest} or {
            known[name] for name, rest in rests.items() if _LEFT_OUT.fullmatch("-".join(rest))
        }
        asked = asked[1:] if asked[0] in _MAKERS else ()
    if len(same) == 1:
        return same.pop()
    several = same or several
    if len(several) < 2:
        return None
    rest = f" and {len(several) - _LISTED} more" if len(several) > _LISTED else ""
    listed = ", ".join(sorted(several)[:_LISTED]) + rest
    raise SpecError(f"{what} {text!r} may be any of {listed}: say which")


_SPELT = re.compile(r"[A-Za-z][A-Za-z0-9 _.()-]{0,99}|\d[A-Za-z0-9 _.()-]{0,99}")
_MAKERS = {
    *("nvidia", "amd", "intel", "apple", "google", "huawei", "mediatek", "qualcomm", "sambanova"),
    *("geforce", "instinct", "quadro", "radeon", "tesla"),
}
_LEFT_OUT = re.compile(r"((sxm(-\d)?|pcie)-?)?(\d+-gb)?|\d+-core-gpu")
_LISTED = 8


def _begins(name: str, asked: tuple[str, ...]) -> bool:
    return _words(name)[: len(asked)] == asked


@cache
def _words(name: str) -> tuple[str, ...]:
    """Its runs of letters and its numbers: ``RTX4090`` and ``rtx-4090`` have the same."""
    return tuple(re.findall(r"[a-z]+|\d+(?:\.\d+)*", name.lower()))


def read_text(path: Path) -> str:
    """The text of a small file.

    Raises:
        SpecError: unreadable, too large, or not UTF-8.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SpecError(f"{path}: larger than {MAX_BYTES} bytes, so not a spec file")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SpecError(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; duplicate keys are refused. It may hold NaN and infinities.

    Raises:
        SpecError: unreadable, not JSON, or not an object.
    """

    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice = next(key for key, times in Counter(k for k, _ in pairs).items() if times > 1)
            raise SpecError(f"{path}: key {twice!r} is given twice")
        return made

    try:
        data = json.loads(read_text(path), object_pairs_hook=checked)
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}: not JSON ({error.msg}, line {error.lineno})") from None
    except RecursionError:
        raise SpecError(f"{path}: nested too deeply to be a config") from None
    except ValueError as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"{path}: a number too long to be a size") from None
    if not isinstance(data, dict):
        raise SpecError(f"{path}: must hold a JSON object, not {type(data).__name__}")
    return data


def finite(data: Mapping[str, Any], keys: Iterable[str], where: str | Path) -> None:
    """Refuse NaN and infinities in the keys that are read, or anywhere inside of them.

    Raises:
        SpecError: such a number, which Python writes into JSON and reads out of it.
    """
    for key in keys:
        for number in _infinite(data.get(key)):
            raise SpecError(f"{where}: key {key!r}: {number} is not a number that it can hold")


def _infinite(value: object) -> Iterator[float]:
    """Numbers of a value that are not finite: NaN, infinities, or too large for a float."""
    if isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _infinite(part)
    elif isinstance(value, float) and not isfinite(value):
        yield value


def read_toml(path: Path) -> dict[str, Any]:
    """The table in a TOML file, with every decimal number exact.

    Raises:
        SpecError: unreadable or not TOML.
    """
    try:
        return tomllib.loads(read_text(path), parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path}: not TOML ({error})") from None
    except ValueError:
        raise SpecError(f"{path}: a number too long for a spec") from None
    except RecursionError:
        raise SpecError(f"{path}: nested too deeply to be a spec") from None


def convert(data: Any, kind: type[T], where: str | Path) -> T:
    """Validate plain data as a msgspec type.

    Raises:
        SpecError: the first key that is missing, misspelt or of the wrong type.
    """
    _check_keys(data, kind, where)
    try:
        return msgspec.convert(data, kind, builtin_types=(Decimal,))
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at ")
        key = at.strip("`").removeprefix("$.") if at else ""
        if missing := _MISSING.fullmatch(message):
            inside = f"{key}." if key else ""
            raise SpecError(f"{where}: missing key {inside + missing[1]!r}") from None
        raise SpecError(f"{where}: {f'key {key!r}: ' if key else ''}{message}") from None


def _check_keys(data: Any, kind: Any, where: str | Path, inside: str = "") -> None:
    """Refuse an unknown key of a table, or of a table in it, with the nearest one there is."""
    if not (isinstance(data, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key, value in data.items():
        if key in fields:
            annotation = fields[key].type
            for each in (annotation, *get_args(annotation)):
                for i, part in enumerate(value if isinstance(value, list) else [value]):
                    place = f"{key}[{i}]" if isinstance(value, list) else key
                    _check_keys(part, each, where, f"{inside}{place}.")
        elif kind.__struct_config__.forbid_unknown_fields:
            hint = nearest(str(key), fields)
            raise SpecError(f"{where}: unknown key {inside + str(key)!r}{hint}")


_FRACTION = re.compile(r"[\d./+-]{1,40}([eE][+-]?\d{1,2})?")
"""Numbers of which a fraction can be made in no time: a large exponent would take hours."""
_LONGEST_PATH = 4096


def read_fractions(text: str, where: str) -> tuple[Fraction, ...]:
    """Decimals or fractions, separated by commas or white space; or those in a file of that name.

    Raises:
        SpecError: what is no number, or a file that cannot be read.
    """
    if "," not in text and len(text) < _LONGEST_PATH and Path(text).is_file():
        text = read_text(Path(text))
    numbers = []
    for part in text.replace(",", " ").split():
        try:
            if not _FRACTION.fullmatch(part):
                raise ValueError
            numbers.append(Fraction(part))
        except (ValueError, ZeroDivisionError):
            raise SpecError(f"{where}: {part[:40]!r} is not a number") from None
    return tuple(numbers)
