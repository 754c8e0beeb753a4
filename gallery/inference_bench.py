"""LLM-Inference-Bench (arXiv 2411.00136): the authors' measured data beside forecasts.

Read: the repository argonne-lcf/LLM-Inference-Bench, ``Plots`` (Fig. 1b at 691ffab, Fig. 16 at
4211f5d, parallelism at afdf070), as far as `specs/measurements/published.csv` holds it.
"""

from dataclasses import replace

from base import Number
from measured import Compared, compared, number

import lifesym as ls
from lifesym.calibration import Observation
from lifesym.calibration.rates import hardware

WORK = "LLM-Inference-Bench (2411.00136)"
HEAT = "Fig_1_b/Heatmap_input_vs_output.csv"
WAYS = "InferenceGraphPlotter/data/Parallelism"
POWER = "Fig_16_a_b/power_results.csv"


def heat_map() -> tuple[Compared, ...]:
    """Llama-3-8B on an A100 with TensorRT-LLM: lengths in and out."""
    return compared(HEAT)


def ways() -> tuple[Compared, ...]:
    """Tensor, pipeline and expert parallelism."""
    return compared(WAYS)


def _lengths(row: Observation) -> str:
    return f"{int(row.prompt)} in, {int(row.generate)} out, {row.batch} together"


def _split(row: Observation) -> str:
    tensor = row.devices // row.pipeline
    named = {"TP": tensor, "PP": row.pipeline, "EP": row.experts}
    how = ", ".join(f"{name} {n}" for name, n in named.items() if n > 1) or "one device"
    return f"{row.model}, {how}, {_lengths(row)}"


def powered() -> tuple[Compared, ...]:
    """Requests whose power was measured."""
    return tuple(each for each in compared(POWER) if each.row.power)


def energy(row: Observation) -> float:
    """Joules at the TDP, for the time that devices of its class take."""
    made = ls.forecast(
        ls.load_model(row.model),
        ls.typical(hardware(row)),
        int(row.prompt),
        int(row.generate),
        int(row.batch),
        weights="fp16",
    )
    return float(made.energy)


def _run(row: Observation) -> str:
    return f"{row.model}, {_lengths(row)}, {row.framework} on {row.device}"


def _way(each: Compared) -> Number:
    made = number(each, WORK, "parallelism", _split, 0.145)
    if each.row.model != "llama-2-7b" or each.row.batch == 1 or each.row.pipeline == 1:
        return made
    reason = "not explained: 1.6 to 3.3 times the forecast, and more than on one device"
    return replace(made, within=0.705, reason=reason)


NUMBERS: tuple[Number, ...] = (
    *(number(each, WORK, "Fig. 1b", _lengths, 0.085) for each in heat_map()),
    *map(_way, ways()),
    *(
        Number(
            work=WORK,
            where="Fig. 16",
            what=f"energy of {_run(each.row)} (J)",
            published=each.row.power * each.row.seconds,
            mine=lambda each=each: energy(each.row),
            within=0.66,
            reason="the forecast's power is the TDP, drawn for the forecast's time",
        )
        for each in powered()
    ),
)
