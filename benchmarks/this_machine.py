"""A real transformers Llama on this machine against its forecast, in fp32 and bf16.

The device's figures come from `lifesym measure` alone, then also from one length of the model's own
timings: that length gives each phase a factor, which the other lengths are forecast with. Prints
one line a length, and the mean error of both. Usage: python benchmarks/this_machine.py [seconds]
"""

import inspect
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import lifesym as ls
from lifesym.calibration.machine import as_spec, measure

SIZES = {
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 6,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "vocab_size": 8192,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}
LENGTHS = (512, 64, 128, 256, 1024)
"""Tokens of the prompt, or in the cache; the first is the one that is calibrated on."""
CACHE = next(  # transformers 5.24 renamed it
    name
    for name in ("cache", "past_key_values")
    if name in inspect.signature(LlamaForCausalLM.forward).parameters
)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Row:
    """One timing in seconds beside its two forecasts."""

    dtype: str
    phase: str
    tokens: int
    measured: float
    alone: float
    calibrated: float


def best(call: Callable[[], Any], seconds: float) -> float:
    call()
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


@torch.no_grad()
def timings(
    sizes: dict[str, Any], lengths: tuple[int, ...], seconds: float
) -> Iterator[tuple[str, str, int, float]]:
    torch.manual_seed(0)
    plain = LlamaForCausalLM(LlamaConfig(**sizes)).eval()
    for name, dtype in DTYPES.items():
        model = plain.to(dtype)
        for tokens in lengths:
            prompt = torch.randint(0, sizes["vocab_size"], (1, tokens))
            prefill = best(lambda p=prompt, m=model: m(p, logits_to_keep=1), seconds)
            yield name, "prefill", tokens, prefill
            cache = model(prompt, use_cache=True).past_key_values

            def step(m: Any = model, c: Any = cache, p: Any = prompt) -> None:
                m(p[:, :1], **{CACHE: c}, use_cache=True)
                c.crop(-1)

            yield name, "decode", tokens, best(step, seconds)


def forecasts(device: ls.Hardware, sizes: dict[str, Any], dtype: str, tokens: int) -> ls.Forecast:
    model = ls.Model.from_hf({"model_type": "llama", **sizes})
    return ls.forecast(
        model, device, prompt=tokens, generate=2, weights=dtype, activations=dtype, kv=dtype
    )


def report(
    sizes: dict[str, Any] = SIZES, lengths: tuple[int, ...] = LENGTHS, seconds: float = 1.0
) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "here.toml"
        path.write_text(as_spec(measure(max(4.0, 4 * seconds)), "this machine"))
        device = ls.load_hardware(path)
    rows: list[Row] = []
    factors: dict[tuple[str, str], float] = {}
    for dtype, phase, tokens, measured in timings(sizes, lengths, seconds):
        found = forecasts(device, sizes, dtype, tokens)
        alone = float(found.ttft if phase == "prefill" else found.tpot.first)
        factor = factors.setdefault((dtype, phase), measured / alone)
        rows.append(Row(dtype, phase, tokens, measured, alone, factor * alone))
    return rows


def mean_errors(rows: list[Row], lengths: tuple[int, ...] = LENGTHS) -> dict[str, float]:
    others = [row for row in rows if row.tokens != lengths[0]]
    return {
        "measure alone": sum(abs(r.alone / r.measured - 1) for r in rows) / len(rows),
        "one length": sum(abs(r.calibrated / r.measured - 1) for r in others) / len(others),
    }


if __name__ == "__main__":
    rows = report(seconds=float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    print("type  phase    tokens   measured      alone            one length")
    for r in rows:
        print(
            f"{r.dtype:5} {r.phase:8} {r.tokens:6} {1e3 * r.measured:8.2f} ms "
            f"{1e3 * r.alone:8.2f} ms {r.alone / r.measured - 1:+6.0%} "
            f"{1e3 * r.calibrated:8.2f} ms {r.calibrated / r.measured - 1:+6.0%}"
        )
    for name, error in mean_errors(rows).items():
        print(f"mean error, {name}: {error:.1%}")
