"""The header of a GGUF file: its keys, and the name, shape and type of every tensor.

Tensor data is not read, so a header alone will do: the first megabytes of a file that is still
being downloaded. Layout: the GGUF specification, versions 2 and 3, ``docs/gguf.md`` of ggml.
"""

import re
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from sympy import Expr, Integer

from lifesym.errors import SpecError
from lifesym.formats import Format, known_formats

MAGIC = b"GGUF"
KINDS = {
    **{0: "fp32", 1: "fp16", 2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0", 9: "q8_1"},
    **{10: "q2_k", 11: "q3_k", 12: "q4_k", 13: "q5_k", 14: "q6_k", 15: "q8_k", 16: "iq2_xxs"},
    **{17: "iq2_xs", 18: "iq3_xxs", 19: "iq1_s", 20: "iq4_nl", 21: "iq3_s", 22: "iq2_s"},
    **{23: "iq4_xs", 24: "int8", 25: "int16", 26: "int32", 27: "int64", 28: "fp64", 29: "iq1_m"},
    **{30: "bf16", 34: "tq1_0", 35: "tq2_0", 39: "mxfp4", 40: "nvfp4", 41: "q1_0"},
}
"""Our names of the types of tensors (``enum ggml_type``)."""
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS |= {12: "d"}
_STRING, _ARRAY = 8, 9
_LONGEST_LIST = 4096
"""Longer lists are vocabularies, of which only the length counts."""
_MOST = 1_000_000
"""Keys, tensors, and characters of a name: a header with more is no header."""
_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor as the header lists it; the first size of its shape is the length of a row."""

    name: str
    shape: tuple[int, ...]
    format: Format

    @property
    def elements(self) -> Expr:
        """Its values."""
        return Integer(prod(self.shape))

    @property
    def bytes(self) -> Expr:
        """Its data, as it lies in the file."""
        return self.elements * self.format.bits_per_value / 8


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file says of a model.

    Attributes:
        path: the file, the first one of a model in several.
        keys: its keys with numbers, words and short lists; long lists are left out.
        tensors: every tensor, of all the files.
    """

    path: Path
    keys: dict[str, Any]
    tensors: tuple[Tensor, ...]

    @property
    def architecture(self) -> str:
        """The name that llama.cpp has for the model's structure."""
        return str(self.keys.get("general.architecture", ""))


def read_header(path: Path) -> Header:
    """The header of a GGUF file, with the tensors of the other files where it is split.

    Raises:
        SpecError: no GGUF file, one that ends inside its header, or an unknown type.
    """
    keys, tensors = _read_one(path)
    split = _SPLIT.search(path.name)
    if split is not None and keys.get("split.count", int(split[2])) > 1:
        if int(split[1]) != 1:
            first = _SPLIT.sub(f"-00001-of-{split[2]}.gguf", path.name)
            raise SpecError(f"{path}: part {int(split[1])} of a model: give its first, {first}")
        for part in range(2, int(split[2]) + 1):
            other = path.with_name(_SPLIT.sub(f"-{part:05}-of-{split[2]}.gguf", path.name))
            if not other.is_file():
                raise SpecError(f"{path}: its part {other.name} is not beside it")
            tensors += _read_one(other)[1]
    return Header(path=path, keys=keys, tensors=tuple(tensors))


def _read_one(path: Path) -> tuple[dict[str, Any], list[Tensor]]:
    try:
        with path.open("rb") as file:
            return _Reader(file, path).read()
    except struct.error:
        raise SpecError(f"{path}: ends inside its GGUF header") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: a name in its GGUF header is not UTF-8") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from None


class _Reader:
    """Reads numbers and strings one after the other."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file, self.path, self.order = file, path, "<"

    def read(self) -> tuple[dict[str, Any], list[Tensor]]:
        if self.file.read(4) != MAGIC:
            raise SpecError(f"{self.path}: not a GGUF file")
        version = self.number("I")
        if version & 0xFFFF == 0:  # written by a machine of the other byte order
            self.order = ">"
            version = int.from_bytes(version.to_bytes(4, "little"), "big")
        if version not in (2, 3):
            raise SpecError(f"{self.path}: version {version} of GGUF is not known (known: 2, 3)")
        tensors, keys = self.count("tensors"), self.count("keys")
        found = {}
        for _ in range(keys):
            name = self.text()
            value = self.value(self.number("I"))
            if value is not None:
                found[name] = value
        return found, [self.tensor() for _ in range(tensors)]

    def number(self, kind: str) -> Any:
        size = struct.calcsize(kind)
        return struct.unpack(self.order + kind, self.file.read(size))[0]

    def count(self, what: str) -> int:
        number = int(self.number("Q"))
        if number > _MOST:
            raise SpecError(f"{self.path}: {number} {what} cannot be: the header is damaged")
        return number

    def text(self) -> str:
        length = self.count("characters")
        data = self.file.read(length)
        if len(data) < length:
            raise struct.error
        return data.decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            inner, length = self.number("I"), self.number("Q")
            return self.list(inner, length)
        if kind not in _SCALARS:
            raise SpecError(f"{self.path}: a key of type {kind} is not known")
        return self.number(_SCALARS[kind])

    def list(self, inner: int, length: int) -> list[Any] | None:
        if inner in _SCALARS and length > _LONGEST_LIST:
            self.file.seek(length * struct.calcsize(_SCALARS[inner]), 1)
            return None
        if inner == _STRING and length > _LONGEST_LIST:
            for _ in range(length):
                self.file.seek(self.number("Q"), 1)
            return None
        return [self.value(inner) for _ in range(length)]

    def tensor(self) -> Tensor:
        name = self.text()
        dimensions = self.number("I")
        if not 1 <= dimensions <= 8:
            raise SpecError(f"{self.path}: tensor {name!r} of {dimensions} dimensions cannot be")
        shape = tuple(self.number("Q") for _ in range(dimensions))
        kind, _ = self.number("I"), self.number("Q")
        if kind not in KINDS:
            raise SpecError(f"{self.path}: tensor {name!r} of type {kind} is not known")
        made = Tensor(name=name, shape=shape, format=known_formats()[KINDS[kind]])
        if not made.bytes.is_Integer:
            raise SpecError(f"{self.path}: tensor {name!r}: rows of {shape[0]} are no whole blocks")
        return made
