"""What rows of measurements say in words: how a prompt was cut, how it was split, and when.

Notes, sources and names of software are read for it; what they do not say stays unknown.
"""

import re
from dataclasses import dataclass
from typing import Any

DEPTH = re.compile(r"(?:depth |@ ?d)(\d+)")
_WHOLE = re.compile(r"e2e_(m?s)=([\d.]+)")
_CHUNK = re.compile(r"\b(?:n_u?batch|ubatch)[ =](\d+)|\bub ?(\d+)|(?:^|\s)-u?b (\d+)")
_FUSED = re.compile(r"\bfa ?([01])\b|\b(non-)?(?:FA\b|flash attention)")
_ROWS = re.compile(r"row[- ]split|split[- ]mode row|-sm row")
_LAYERS = re.compile(r"layer[- ]split|split[- ]mode layer|-sm layer")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)})[a-z]* (20\d\d)")
_DATE = re.compile(r"\b(20\d\d)-(\d\d)\b")
CLIENTS = "concurrency in batch column"
"""In the notes of rows whose batch is one of clients: a first token waits for others' prompts."""
LAYERS_SINCE = "2024-01"
"""llama.cpp splits by layers unless told otherwise since pull request 4766, of that month, and by
rows before."""
LONGEST_CHUNK = 512
"""llama.cpp computes no more prompt tokens at once than ``-ub``, which is this unless given."""


@dataclass(frozen=True)
class _Source:
    """What is known of the rows of a source and does not stand in them.

    Attributes:
        source: text in the row's source.
        framework: text in the name of the software.
        released: year and month of the software.
        pieces: whether the batch is the prompt tokens computed at once, of one sequence.
        flash: whether attention is fused.
        suspect: why the row is not what its phase is modelled as; empty where it is.
    """

    source: str
    framework: str
    released: str = ""
    pieces: bool = False
    flash: bool | None = None
    suspect: str = ""


_SOURCES = (
    # llama.cpp/H100/llama2-7b.sh there: llama-bench -p P -n N -pg P,N -b B -r 1, whose -b is the
    # batch of prompt tokens and whose flash attention is off; H100/README.MD shows September 2024.
    _Source("LLM-Inference-Bench", "llama.cpp", released="2024-09", pieces=True, flash=False),
    # SambaNova_SN40L/README.md there: a client of an HTTP endpoint of the maker's.
    _Source(
        "LLM-Inference-Bench",
        "sambaflow",
        suspect="timed by a client of a cloud service: its queue and network are in the time",
    ),
    _Source("mlc-ai/llm-perf-bench", "llama.cpp", released="2023-10"),
)


def read(row: dict[str, str], batch: int, devices: int) -> dict[str, Any]:
    """What a row's text says, as fields of an observation: the batch, ``chunk``, ``split`` ..."""
    notes, software = row["notes"], row["framework"].lower()
    known = _known(row)
    released = _released(row["framework"], notes, row["source"]) or known.released
    chunks = [int(found) for groups in _CHUNK.findall(notes) for found in groups if found]
    chunk = min(chunks, default=0)
    if known.pieces:
        batch, chunk = 1, min(batch, LONGEST_CHUNK)
    fused = _FUSED.search(notes)
    flash = None if fused is None else fused[1] != "0" and not fused[2]
    return {
        "batch": batch,
        "chunk": chunk,
        "split": _split(notes, released) if devices > 1 and "llama.cpp" in software else "",
        "flash": known.flash if flash is None else flash,
        "released": released,
    }


def suspect(row: dict[str, str]) -> str:
    """Why a row is not the time that its phase is modelled as, or nothing."""
    if "REJECT" in row["notes"]:
        return "rejected by its source's own notes"
    return _known(row).suspect


def request_seconds(notes: str) -> float:
    """The end-to-end time that the notes state, in seconds; 0 where they state none."""
    found = _WHOLE.search(notes)
    return float(found[2]) / (1e3 if found[1] == "ms" else 1) if found else 0.0


def context(notes: str, prompt: float, output: float) -> float:
    """The mean context of the decode steps, by the notes or by the lengths; 0 if unknown."""
    if found := re.search(r"mean ctx (\d+)", notes):
        return float(found[1])
    depth = DEPTH.search(notes)
    if "at stated" in notes or (depth and int(depth[1])):
        return output
    if depth or "empty context" in notes:
        return output / 2
    return prompt + output / 2


def _known(row: dict[str, str]) -> _Source:
    for one in _SOURCES:
        if one.source in row["source"] and one.framework in row["framework"].lower():
            return one
    return _Source("", "")


def _released(*texts: str) -> str:
    """The first month that the texts name, as ``2024-05``."""
    for text in texts:
        if found := _MONTH.search(text):
            return f"{found[2]}-{_MONTHS.index(found[1]) + 1:02}"
        if found := _DATE.search(text):
            return found[0]
    return ""


def _split(notes: str, released: str) -> Any:
    if _ROWS.search(notes):
        return "row"
    if _LAYERS.search(notes):
        return "layer"
    if not released or released == LAYERS_SINCE:
        return ""
    return "layer" if released > LAYERS_SINCE else "row"
