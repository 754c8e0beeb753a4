"""What a generated text was made from: its command, and digests of its inputs."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from hashlib import sha256
from pathlib import Path
from shlex import join, split
from typing import Any

from lifesym.errors import SpecError
from lifesym.specs import read_text

MADE = "Made by: "
"""Before the command, in the comment of a generated text."""
LICENCE = "SPDX-License-Identifier: CC0-1.0"
"""What is generated is its user's, without conditions."""


def digest(value: Any) -> str:
    """Twelve hexadecimal digits that change when anything in a record does.

    >>> digest({"b": 1, "a": (2, 3)}) == digest({"a": (2, 3), "b": 1})
    True
    """
    return sha256(_canonical(value).encode()).hexdigest()[:12]


def _canonical(value: Any) -> str:
    """Nested records as text, the same in every process."""
    if is_dataclass(value):
        shown = [field for field in fields(value) if field.compare]
        return _canonical({field.name: getattr(value, field.name) for field in shown})
    if isinstance(value, Mapping):
        return f"{{{','.join(sorted(f'{k}:{_canonical(v)}' for k, v in value.items()))}}}"
    if isinstance(value, set | frozenset):
        return f"{{{','.join(sorted(map(_canonical, value)))}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_canonical, value))}]"
    return str(value)


def command(words: Iterable[str], without: Iterable[str]) -> str:
    """A command line as it is typed, without some options and their values."""
    kept: list[str] = []
    dropped = {*without}
    rest = iter(words)
    for word in rest:
        if word in dropped:
            next(rest, None)
        elif not any(_holds(word, option) for option in dropped):
            kept.append(word)
    return join(["lifesym", *kept])


def _holds(word: str, option: str) -> bool:
    """Whether a word is an option with its value: ``--output=FILE``, ``-oFILE``."""
    return word.startswith(f"{option}=" if option.startswith("--") else option)


def made_by(path: str) -> list[str]:
    """The words of the command that a generated file says it was made by, without ``lifesym``.

    Raises:
        SpecError: it cannot be read, or says none.
    """
    text = read_text(Path(path))
    line = next((each for each in text.splitlines() if MADE in each), None)
    try:
        words = [] if line is None else split(line.partition(MADE)[2])
    except ValueError:
        words = []
    if words[:1] != ["lifesym"]:
        raise SpecError(f"{path}: no line says '{MADE}lifesym ...': it was not exported by lifesym")
    return words[1:]


def checking(words: list[str]) -> list[str]:
    """The words of a command line that checks a file, with those that the file was made by.

    Raises:
        SpecError: something beside the file, or one that another command made.
    """
    option, *rest = [part for word in words[1:] for part in word.split("=", 1)]
    if option != "--check" or len(rest) != 1:
        raise SpecError("--check stands alone, for the file says the rest: export --check FILE")
    made = made_by(rest[0])
    if made[:1] != ["export"]:
        raise SpecError(f"{rest[0]}: made by lifesym {made[0]}, which has no --check")
    return [*made, "--check", rest[0]]
