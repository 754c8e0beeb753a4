"""Published measurements: typed rows, and what each of them is in lifesym's terms.

A row becomes at most one decode and one prefill observation of a model, a format and a device;
what cannot be mapped is listed with its reason, never dropped in silence.
"""

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lifesym.calibration.rates import backend
from lifesym.errors import SpecError

COLUMNS = (
    "source",
    "hardware",
    "peak_tflops",
    "mem_bw_gbs",
    "framework",
    "model",
    "weight_bits",
    "kv_bits",
    "batch",
    "n_gpus",
    "prompt",
    "output_or_ctx",
    "ttft_ms",
    "tpot_ms",
    "notes",
)
Phase = Literal["decode", "prefill", "request"]

_DEPTH = re.compile(r"depth (\d+)")
_WHOLE = re.compile(r"e2e_(m?s)=([\d.]+)")
MODELS = {
    "Llama-(Vicuna)-7B": "llama-7b",
    "Vicuna-(Llama)-7B": "llama-7b",
    "Llama-33B": "llama-30b",
    "Mistral-7B": "mistral-7b-v0.1",
    "Mixtral-46.7B": "mixtral-8x7b",
    "TinyLlama-1B": "tinyllama-1.1b",
    "OpenLLaMA-7B-v2": "open-llama-7b",
    "OpenLLaMA-3B": "open-llama-3b",
    "DeepSeek-33B": "deepseek-coder-33b",
    "llama 7B": "llama-2-7b",
    "gpt-oss 20B": "gpt-oss-20b",
    "gpt-oss 120B": "gpt-oss-120b",
    "gemma4 26B.A4B": "gemma-4-26b-a4b",
    "gemma4 31B": "gemma-4-31b",
    "qwen35moe 35B.A3B": "qwen3.5-35b-a3b",
    "qwen35moe 122B.A10B": "qwen3.5-122b-a10b",
    "qwen35 27B": "qwen3.5-27b",
    "nemotron_h_moe 120B.A12B": "nemotron-3-super-120b-a12b",
    "minimax-m2 230B.A10B": "minimax-m2.7",
    "mistral3 14B": "ministral-3-14b",
    "deepseek2 30B.A3B": "glm-4.7-flash",
}
"""Names in tables that are not the database's in lower case."""
SOFTWARE = (
    *("llama.cpp", "tensorrt-llm", "vllm", "fastertransformer", "deepspeed", "exllamav2"),
    *("autoawq", "lmdeploy", "mlc llm", "fastflowlm"),
)
"""Kinds of software; in the order in which a name is searched for them."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One measured time.

    Attributes:
        phase: ``decode`` (seconds a step), ``prefill`` (seconds of the prompt) or ``request``
            (seconds from the prompt to the last token, of the whole batch).
        seconds: what was measured.
        device: the device's name in the table.
        peak: its published matrix peak in FLOP/s; 0 where not given.
        bandwidth: its published bandwidth in byte/s; 0 where not given.
        framework: the software, as written.
        model: the model's name in the database.
        bits: bits a weight of the file.
        kv_bits: bits a cached value.
        batch: sequences.
        devices: how many devices.
        prompt: prompt tokens; for decode 0 where the table does not say.
        past: tokens cached before the prompt.
        generate: generated tokens; 0 but for requests.
        context: mean cached tokens of a decode step.
        source: where it was published.
    """

    phase: Phase
    seconds: float
    device: str
    peak: float
    bandwidth: float
    framework: str
    model: str
    bits: float
    kv_bits: float
    batch: int
    devices: int
    prompt: int
    past: int
    generate: int
    context: float
    source: str

    @property
    def quantized(self) -> bool:
        """Whether weights are stored in fewer than 16 bits."""
        return self.bits < 15

    @property
    def software(self) -> str:
        """The software without its release and options."""
        name = self.framework.lower()
        return next((known for known in SOFTWARE if known in name), name.split()[0])

    @property
    def groups(self) -> tuple[str, ...]:
        """What fits may be shared within, the most alike first.

        The same release on the same kind of device, any release of the software on it, the
        software on any, everything.
        """
        where = backend(self.framework, self.device)
        release = f"{self.framework} on {where}"
        return tuple(dict.fromkeys((release, f"{self.software} on {where}", self.software, "all")))


@dataclass(frozen=True)
class Unmapped:
    """A row, or a phase of it, that gives no observation."""

    row: int
    reason: str


def load(path: str | Path) -> tuple[list[Observation], list[Unmapped]]:
    """The observations of a CSV file, and what could not be mapped.

    Raises:
        SpecError: an unreadable file, a missing column, or a field that is no number (with its
            line).
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise SpecError(f"{path}: missing columns {', '.join(missing)}")
            rows = list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    observations: list[Observation] = []
    unmapped: list[Unmapped] = []
    for number, row in enumerate(rows, start=2):
        for item in _observed(row, number, f"{path}: line {number}"):
            if isinstance(item, Observation):
                observations.append(item)
            else:
                unmapped.append(item)
    return observations, unmapped


def _observed(row: dict[str, str], number: int, where: str) -> Iterator[Observation | Unmapped]:
    from lifesym.specs import names  # noqa: PLC0415 (reads the folder)

    written = re.sub(r"\s+(BF16|F16|Q\d.*|MXFP4.*)$", "", row["model"])
    model = MODELS.get(written, written.lower())
    if model not in names("models"):
        yield Unmapped(number, f"model {row['model']!r} is not in the database")
        return
    ttft, tpot = (_number(row, key, where) for key in ("ttft_ms", "tpot_ms"))
    prompt, output = (_number(row, key, where) for key in ("prompt", "output_or_ctx"))
    whole = _request_seconds(row["notes"])
    if not ttft and not tpot and not (whole and prompt and output):
        yield Unmapped(number, "no time of a phase or of a request of known lengths")
        return
    common = {
        "device": row["hardware"],
        "peak": 1e12 * _number(row, "peak_tflops", where),
        "bandwidth": 1e9 * _number(row, "mem_bw_gbs", where),
        "framework": row["framework"],
        "model": model,
        "bits": _number(row, "weight_bits", where) or 16.0,
        "kv_bits": _number(row, "kv_bits", where) or 16.0,
        "batch": int(_number(row, "batch", where) or 1),
        "devices": int(_number(row, "n_gpus", where) or 1),
        "prompt": int(prompt),
        "past": int(depth[1]) if (depth := _DEPTH.search(row["notes"])) else 0,
        "generate": 0,
        "context": 0.0,
        "source": row["source"],
    }
    if tpot:
        context = _context(row["notes"], prompt, output)
        yield Observation(**{**common, "phase": "decode", "seconds": tpot / 1e3, "context": context})  # type: ignore[arg-type]
    if ttft and prompt:
        yield Observation(**{**common, "phase": "prefill", "seconds": ttft / 1e3})  # type: ignore[arg-type]
    elif ttft:
        yield Unmapped(number, "the prompt's length is not given")
    if not ttft and not tpot:
        lengths = {"generate": int(output), "context": prompt + output / 2}
        yield Observation(**{**common, "phase": "request", "seconds": whole, **lengths})  # type: ignore[arg-type]


def _request_seconds(notes: str) -> float:
    """The end-to-end time that the notes state, in seconds; 0 where they state none."""
    found = _WHOLE.search(notes)
    return float(found[2]) / (1e3 if found[1] == "ms" else 1) if found else 0.0


def _context(notes: str, prompt: float, output: float) -> float:
    """The mean context of the decode steps, by the notes or by the lengths."""
    if found := re.search(r"mean ctx (\d+)", notes):
        return float(found[1])
    depth = _DEPTH.search(notes)
    if "at stated" in notes or (depth and int(depth[1])):
        return output
    if depth:
        return output / 2
    if "empty context" in notes:
        return output / 2
    return prompt + output / 2


def _number(row: dict[str, str], key: str, where: str) -> float:
    text = (row.get(key) or "").strip()
    if not text:
        return 0.0
    try:
        value = float(text)
    except ValueError:
        raise SpecError(f"{where}: {key} must be a number, not {text!r}") from None
    if not math.isfinite(value) or value < 0:
        raise SpecError(f"{where}: {key} must be a number of at least 0, not {text!r}")
    return value
