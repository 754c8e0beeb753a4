"""Recorded answers of the command line: `data/commands.txt` and what each of its lines says.

``python tests/record_commands.py`` runs every line, shows what differs from the recording, and
writes it anew.
"""

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import chdir
from csv import reader
from hashlib import sha256
from math import fsum, isclose
from pathlib import Path
from typing import Any
from unittest import mock

from command_line import run_here

from lifesym import __version__

DATA = Path(__file__).parent / "data"
COMMANDS = DATA / "commands.txt"
RECORDED = DATA / "commands.jsonl"
FILES = DATA / "command_files"
"""What the lines name: it lies in the folder they run in."""
PICTURES = (".png", ".pdf", ".svg")
RELATIVE = 1e-12
LONGEST = 1500
"""Characters of a text that is recorded as it is."""
MOST = 8
"""Texts of a list that is."""

Record = dict[str, Any]


def commands() -> dict[str, list[str]]:
    """The lines of each group, in order.

    Raises:
        ValueError: a line that is in the file twice, or before any group.
    """
    groups: dict[str, list[str]] = {}
    seen: set[str] = set()
    for text in COMMANDS.read_text(encoding="utf-8").splitlines():
        line = text.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            group = groups.setdefault(line.strip("[]"), [])
            continue
        if line in seen:
            raise ValueError(f"{COMMANDS.name}: {line!r} is there twice")
        seen.add(line)
        group.append(line)
    return groups


def recorded() -> dict[str, Record]:
    """The recording of each line."""
    if not RECORDED.exists():
        return {}
    rows = map(json.loads, RECORDED.read_text(encoding="utf-8").splitlines())
    return {row.pop("command"): row for row in rows}


def answer(line: str, folder: Path) -> Record:
    """What a line says in an empty folder: its status, answer, lines on stderr and files."""
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    given = {path.name for path in folder.iterdir()}
    with chdir(folder), mock.patch.dict(os.environ, {"COLUMNS": "80"}):
        result = run_here(*shlex.split(line))
    record: Record = {"status": result.returncode}
    if result.stdout.startswith("{"):
        record["json"] = _short(json.loads(result.stdout))
    elif result.stdout:
        record["text"] = _text(result.stdout)
    if result.stderr:
        record["stderr"] = [_short(text) for text in result.stderr.splitlines()]
    written = sorted(path for path in folder.iterdir() if path.name not in given)
    if written:
        record["files"] = {path.name: _file(path) for path in written}
    return record


def _file(path: Path) -> Any:
    if path.suffix in PICTURES:
        return "a picture" if path.stat().st_size else "empty"
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        return [[_cell(cell) for cell in row] for row in reader(text.splitlines())]
    return _text(text)


def _cell(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _text(text: str) -> list[str] | str:
    """The lines of a text, so that a difference has a line; the release is no answer."""
    text = text.replace(f"lifesym {__version__}", "lifesym VERSION")
    return text.splitlines() if len(text) <= LONGEST else _short(text)


def _short(value: Any) -> Any:
    """Long texts as digests, and tables of terms as their sums: every number still counts."""
    if isinstance(value, dict):
        return {
            key: {phase: _summed(rows) for phase, rows in inner.items()}
            if key == "terms" and isinstance(inner, dict)
            else _short(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        texts = [inner for inner in value if isinstance(inner, str)]
        if len(texts) > MOST:
            return f"{len(texts)} texts of digest {_digest(*texts)}"
        return [_short(inner) for inner in value]
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{len(value)} characters of digest {_digest(value)}"
    return value


def _summed(rows: list[Record]) -> Record:
    numbers: dict[str, list[float]] = defaultdict(list)
    words: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for key, value in row.items():
            (words if isinstance(value, str) else numbers)[key].append(value)
    sums: Record = {key: fsum(values) for key, values in numbers.items()}
    return sums | {key: f"{len(said)} of {_digest(*said)}" for key, said in words.items()}


def _digest(*texts: str) -> str:
    return sha256("\n".join(texts).encode()).hexdigest()[:16]


def differences(old: Any, new: Any, at: str = "$") -> Iterator[str]:
    """Where two answers differ, as JSON paths with both values.

    Floats are equal within a relative 1e-12; all else, and the kind of a number, is exact.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if key not in new:
                yield f"{at}.{key}: gone, was {_said(old[key])}"
            elif key not in old:
                yield f"{at}.{key}: new, is {_said(new[key])}"
            else:
                yield from differences(old[key], new[key], f"{at}.{key}")
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{at}: {len(new)} items, were {len(old)}"
        for i, (one, other) in enumerate(zip(old, new, strict=False)):
            yield from differences(one, other, f"{at}[{i}]")
    elif type(old) is not type(new) or (
        not isclose(old, new, rel_tol=RELATIVE) if isinstance(old, float) else old != new
    ):
        yield f"{at}: {_said(new)}, was {_said(old)}"


def _said(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."


def main() -> None:
    """Record every line; show the paths that differ, with the lines they differ in."""
    before, rows = recorded(), []
    changed: dict[str, list[str]] = defaultdict(list)
    for line in (line for group in commands().values() for line in group):
        with tempfile.TemporaryDirectory() as folder:
            record = answer(line, Path(folder))
        rows.append(json.dumps({"command": line} | record, ensure_ascii=False))
        if line in before:
            for one in differences(before[line], record):
                path = re.sub(r"\[\d+\]", "[]", one.partition(": ")[0])
                changed[path].append(f"{one}\n    {line}")
    RECORDED.write_text("\n".join(rows) + "\n", encoding="utf-8")
    for path, found in changed.items():
        sys.stdout.write(f"{path}: {len(found)} differences, the first\n  {found[0]}\n")
    sys.stdout.write(f"recorded {len(rows)} lines\n")


if __name__ == "__main__":
    main()
