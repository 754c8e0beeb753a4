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
        elif not any(word.startswith(f"{option}=") for option in dropped):
            kept.append(word)
    return join(["lifesym", *kept])


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
