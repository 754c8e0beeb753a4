"""No published measurement is faster than the forecast that is called a bound.

The bound is that of a device at its peaks with the engine ``ideal``: attention fused, the scores
that the causal mask leaves, the convention of latent attention by phase, memory and compute
overlapped in every operator; weights and cache have the row's bits, and quantized weights are
multiplied in the fastest of the 16- and 8-bit types. Several devices share the work evenly and at
no cost. Rows that are faster are listed with the reason.
"""

from collections import Counter
from functools import cache
from typing import Any

import lifesym as ls
from lifesym import symbols as sym
from lifesym.calibration import Observation, load
from lifesym.calibration.rates import named
from lifesym.errors import SpecError
from lifesym.formats import load_format, symbolic_format
from lifesym.specs import root

ARGUMENTS = "batch prompt past weight_bits activation_bits kv_bits peak vector_peak bandwidth"
UNBOUNDED = ("m2-max-cpu",)
"""Devices of the tables whose matrix engine has no published peak."""
LEAST = 3500
"""Rows that are compared."""

CHOSEN = "the tokens of a batch chose fewer experts than even routing expects"
EXCEPTIONS = {
    ("TensorRT-LLM", "request"): (6, CHOSEN),
    ("llama.cpp CUDA (Nov 2025)", "decode"): (11, CHOSEN),
}
"""By software and phase: how many rows are faster, and why."""


@cache
def step(model: str, phase: str) -> tuple[Any, list[str]]:
    """Seconds of a prefill or of one decode step, and the arguments of the function."""
    hardware = ls.Hardware.symbolic().with_(
        compute_efficiency=1, memory_efficiency=1, dispatch_time=0
    )
    forecast = ls.forecast(
        ls.load_model(model),
        hardware,
        prompt=sym.prompt,
        generate=2,
        batch=sym.batch,
        past=sym.past if phase == "prefill" else 0,
        weights=symbolic_format("weight"),
        activations=symbolic_format("activation"),
        kv=symbolic_format("kv"),
        engine="ideal",
    )
    expr = (forecast.ttft if phase == "prefill" else forecast.tpot).expr
    names = [name for name in ARGUMENTS.split() if getattr(sym, name) in expr.free_symbols]
    return ls.compile(expr, names, "python"), names


@cache
def rates(device: str, quantized: bool) -> dict[str, float]:
    """A device's peaks and bandwidth; the peak is that of the fastest type a kernel may use."""
    hardware = ls.load_hardware(device)
    peaks = []
    for name in ("fp16", "bf16", *(("fp8", "int8") if quantized else ())):
        try:
            peaks.append(float(hardware.matrix_peak(load_format(name))))
        except SpecError:
            continue
    return {
        "peak": max(peaks),
        "vector_peak": float(hardware.vector_peak(hardware.default_format)),
        "bandwidth": float(hardware.bandwidth),
    }


def bound(o: Observation, device: str) -> float:
    """The shortest time of an observation that a forecast allows."""
    known: dict[str, float] = {
        **rates(device, o.quantized),
        "batch": o.batch,
        "weight_bits": o.bits,
        "activation_bits": 8 if o.quantized else 16,
        "kv_bits": o.kv_bits,
    }

    def least(phase: str, past: int) -> float:
        given = known | {"prompt": o.prompt, "past": past}
        seconds, order = step(o.model, phase)
        return float(seconds(*(given[name] for name in order)))

    context = int(o.context)
    if o.phase == "prefill":
        seconds = least("prefill", o.past)
    elif o.phase == "decode":
        seconds = least("decode", context)
    else:  # all decode steps at the mean context
        seconds = least("prefill", o.past) + (o.generate - 1) * least("decode", context)
    return seconds / o.devices


def test_no_bound_is_beaten() -> None:
    compared, beaten = 0, Counter[tuple[str, str]]()
    files = [root() / "measurements" / f"{name}.csv" for name in ("published", "fresh")]
    for o in (o for file in files for o in load(file)[0]):
        device = named(o.device)
        if not ls.load_hardware(device).bounded:
            assert device in UNBOUNDED, device
            continue
        compared += 1
        if o.seconds < bound(o, device):
            assert (o.framework, o.phase) in EXCEPTIONS, f"line {o.line}: {o}"
            beaten[o.framework, o.phase] += 1
    assert compared >= LEAST
    assert beaten == {key: count for key, (count, _) in EXCEPTIONS.items()}
