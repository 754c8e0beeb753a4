"""The published sets that goals are stated for, and the ways of forecasting them."""

import numpy as np

from lifesym.calibration import Observation, fit, load, summary, usable
from lifesym.specs import root

FILE = root() / "measurements" / "published.csv"
BENCH = "argonne-lcf/LLM-Inference-Bench Plots/All_results.csv"
SERVED = ("llama-2-7b", "llama-3-8b", "mistral-7b-v0.1")


def published() -> list[Observation]:
    return usable(load(FILE)[0])[0]


def llamacpp(observations: list[Observation], phase: str, nvidia: bool = True) -> list[Observation]:
    """The homogeneous set: one source, one device, one sequence."""
    return [
        o
        for o in observations
        if o.phase == phase
        and "XiongjieDai" in o.source
        and (o.devices, o.batch) == (1, 1)
        and (not nvidia or ("@aa72e0e" in o.source and not o.device.startswith("M")))
    ]


def served(
    observations: list[Observation], framework: str, device: str, several: bool = False
) -> list[Observation]:
    """Batches of 7B and 8B models from LLM-Inference-Bench."""
    return [
        o
        for o in observations
        if o.source == BENCH
        and (o.framework, o.device) == (framework, device)
        and o.model in SERVED
        and (several or o.devices == 1)
    ]


def seconds(rows: list[Observation]) -> np.ndarray:
    return np.array([o.seconds for o in rows])


def errors(forecast: np.ndarray, rows: list[Observation]) -> np.ndarray:
    return np.abs(forecast / seconds(rows) - 1)


def leave_device_out(rows: list[Observation]) -> np.ndarray:
    """Forecasts of each device from one fit to all the others."""
    found = np.empty(len(rows))
    for device in {o.device for o in rows}:
        here = [i for i, o in enumerate(rows) if o.device == device]
        others = [o for o in rows if o.device != device]
        found[here] = fit(rows[0].phase, others).forecast([rows[i] for i in here])
    return found


def accuracy(rows: list[Observation]) -> dict[str, float]:
    """Of forecasts for devices left out of the fit."""
    return summary(leave_device_out(rows), seconds(rows))  # type: ignore[return-value]
