"""The published sets that goals are stated for, and the ways of forecasting them."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from lifesym.calibration import Observation, Pooled, Rows, fit, load, summary, usable
from lifesym.specs import root

FILE = root() / "measurements" / "published.csv"
BENCH = "argonne-lcf/LLM-Inference-Bench Plots/All_results.csv"
SERVED = ("llama-2-7b", "llama-3-8b", "mistral-7b-v0.1")
NVIDIA = ("A100 40GB", "H100 SXM 80GB")


@cache
def published() -> tuple[Observation, ...]:
    return tuple(load(FILE)[0])


def rows_of(observations: Sequence[Observation]) -> Rows:
    """Those of some observations that can be forecast: formulas are derived for them alone."""
    return usable(observations)[0]


def chosen(rows: Rows, which: Callable[[Observation], bool]) -> Rows:
    return rows.take([i for i, o in enumerate(rows.observations) if which(o)])


def is_llamacpp(o: Observation, nvidia: bool = True) -> bool:
    """The homogeneous set: one source, one device, one sequence, decode steps and prefills."""
    return (
        o.phase != "request"
        and "XiongjieDai" in o.source
        and (o.devices, o.batch) == (1, 1)
        and (not nvidia or ("@aa72e0e" in o.source and not o.device.startswith("M")))
    )


def llamacpp(nvidia: bool = True) -> Rows:
    return rows_of([o for o in published() if is_llamacpp(o, nvidia)])


def is_served(o: Observation, framework: str, device: str, several: bool = False) -> bool:
    """Batches of 7B and 8B models from LLM-Inference-Bench."""
    return (
        o.source == BENCH
        and (o.framework, o.device) == (framework, device)
        and o.model in SERVED
        and (several or o.devices == 1)
    )


def served(several: bool = False) -> Rows:
    """Those of vLLM and TensorRT-LLM on the devices of the goals."""
    sets = [(name, device) for name in ("vLLM", "TensorRT-LLM") for device in NVIDIA]
    sets.append(("vLLM", "MI300X"))
    return rows_of([o for o in published() if any(is_served(o, *one, several) for one in sets)])


def measured(rows: Rows) -> np.ndarray:
    return np.array([o.seconds for o in rows.observations])


def errors(forecast: np.ndarray, rows: Rows) -> np.ndarray:
    return np.abs(forecast / measured(rows) - 1)


def of(one: Pooled, rows: Rows) -> np.ndarray:
    """Errors of a fit's forecasts."""
    return errors(one.forecast(rows), rows)


def leave_device_out(rows: Rows, phase: str) -> tuple[np.ndarray, Rows]:
    """Forecasts of a phase of each device from one fit to all the others, of both phases."""
    found, kept = [], []
    for device in dict.fromkeys(o.device for o in rows.observations):
        own = [i for i, o in enumerate(rows.observations) if (o.device, o.phase) == (device, phase)]
        if own:
            others = fit(chosen(rows, lambda o, device=device: o.device != device))
            found.append(others.forecast(rows.take(own)))
            kept += own
    return np.concatenate(found), rows.take(kept)


def accuracy(rows: Rows, phase: str) -> dict[str, float]:
    """Of forecasts for devices left out of the fit."""
    forecast, own = leave_device_out(rows, phase)
    return summary(forecast, measured(own))  # type: ignore[return-value]
