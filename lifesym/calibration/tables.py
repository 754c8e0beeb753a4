"""Tables of measurements: each row is mapped to observations, or listed with its reason.

A row becomes at most one decode and one prefill observation, or one of a whole request; what
cannot be mapped is listed, never dropped in silence.
"""

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lifesym.calibration import notes as words
from lifesym.calibration.measurements import Observation
from lifesym.errors import SpecError
from lifesym.huggingface import load_model
from lifesym.specs import names

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
MOST_BITS = 64
PARALLEL = ("batch", "n_gpus", "pipeline", "expert_parallel")
"""Columns of counts, 1 where a row leaves them empty."""


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
            reader = csv.DictReader(file, restval="")
            names = reader.fieldnames or ()
            rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise SpecError(f"{path}: not CSV ({error})") from None
    except (OSError, ValueError) as error:  # no text, or a name that no file can have
        raise SpecError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if missing := [name for name in COLUMNS if name not in names]:
        raise SpecError(f"{path}: missing columns {', '.join(missing)}")
    found = [item for line, row in rows for item in _mapped(row, line, f"{path}: line {line}")]
    observations = [item for item in found if isinstance(item, Observation)]
    return observations, [item for item in found if isinstance(item, Unmapped)]


def _mapped(row: dict[str, str], line: int, where: str) -> Iterator[Observation | Unmapped]:
    model = _model(row["model"])
    common = _common(row, where)  # read first: a field that is no number is always an error
    times = [_number(row, key, where) / 1e3 for key in ("ttft_ms", "tpot_ms")]
    prompt, output = (_number(row, key, where) for key in ("prompt", "output_or_ctx"))
    reason = _reason(row, model)
    if reason:
        yield Unmapped(line, reason)
        return
    notes, whole = row["notes"], words.request_seconds(row["notes"])
    ttft, tpot = times if whole else _from_rates(times, row, common["batch"], prompt, where)
    common |= {"model": model, "line": line, "generate": 0, "context": 0.0}
    if tpot:
        context = words.context(notes, prompt, output)
        if context:
            yield Observation(**{**common, "phase": "decode", "seconds": tpot, "context": context})
        else:
            yield Unmapped(line, "the context's length is not given")
    if ttft and common["batch"] > 1 and words.CLIENTS in notes:
        yield Unmapped(line, "the batch is one of clients, whose requests queue")
    elif ttft and prompt:
        yield Observation(**{**common, "phase": "prefill", "seconds": ttft})
    elif ttft:
        yield Unmapped(line, "the prompt's length is not given")
    if ttft or tpot:
        return
    if whole and prompt and output > 1:
        lengths = {"generate": int(output), "context": prompt + output / 2}
        yield Observation(**{**common, "phase": "request", "seconds": whole, **lengths})
    else:
        missing = "no time of a phase, or of a request of known lengths"
        yield Unmapped(line, f"{missing}, beside its power" if common["power"] else missing)


def _reason(row: dict[str, str], model: str) -> str:
    """Why a row is not mapped, or nothing."""
    if model not in names("models"):
        return f"model {row['model']!r} is not in the database"
    if not _generates(model):
        return f"{model} is no decoder: neither phase is modelled"
    return words.suspect(row)


@cache
def _generates(model: str) -> bool:
    return load_model(model).kind == "decoder"


@cache
def _model(written: str) -> str:
    """The database's name for a model as tables write it: with its format, or its publisher."""
    plain = re.sub(r"\s+(BF16|F16|Q\d.*|MXFP4.*)$", "", written.strip())
    if plain in MODELS:
        return MODELS[plain]
    lower = plain.lower().rsplit("/", 1)[-1].replace("meta-llama", "llama")
    short = re.sub(r"-(hf|chat|instruct|it|base)$", "", lower)
    return next((name for name in (lower, short) if name in names("models")), lower)


def _common(row: dict[str, str], where: str) -> dict[str, Any]:
    """What a row says of the device, the formats, the sizes and how they were computed."""
    bits = {key: _number(row, key, where) or 16.0 for key in ("weight_bits", "kv_bits")}
    for key, value in bits.items():
        if value > MOST_BITS:
            raise SpecError(f"{where}: {key} must be at most {MOST_BITS}, not {value:g}")
    batch, devices, pipeline, experts = (_whole(row, key, where) or 1 for key in PARALLEL)
    if devices % pipeline or devices // pipeline % experts:
        raise SpecError(
            f"{where}: {devices} devices cannot be {pipeline} stages "
            f"of devices that {experts} share experts"
        )
    depth = words.DEPTH.search(row["notes"])
    return {
        **words.read(row, batch, devices),
        "devices": devices,
        "pipeline": pipeline,
        "experts": experts,
        "prompt": _whole(row, "prompt", where),
        "bits": bits["weight_bits"],
        "kv_bits": bits["kv_bits"],
        "device": row["hardware"],
        "peak": 1e12 * _number(row, "peak_tflops", where),
        "peak_type": row.get("peak_dtype") or "",
        "bandwidth": 1e9 * _number(row, "mem_bw_gbs", where),
        "framework": row["framework"],
        "past": int(depth[1]) if depth else 0,
        "power": _number(row, "power_w", where),
        "source": row["source"],
    }


def _from_rates(
    times: list[float], row: dict[str, str], batch: int, prompt: float, where: str
) -> tuple[float, float]:
    """Both times, from tokens a second where a table gives only those."""
    rates = [_number(row, key, where) for key in ("pp_tok_s", "tg_tok_s")]
    ttft, tpot = (
        time or (amount / rate if rate else 0.0)
        for time, amount, rate in zip(times, (batch * prompt, batch), rates, strict=True)
    )
    return ttft, tpot


def _whole(row: dict[str, str], key: str, where: str) -> int:
    value = _number(row, key, where)
    if value != int(value):
        raise SpecError(f"{where}: {key} must be a whole number, not {row[key]!r}")
    if value == 0 and (row.get(key) or "").strip() and key != "prompt":
        raise SpecError(f"{where}: {key} must be at least 1, not {row[key]!r}")
    return int(value)


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
