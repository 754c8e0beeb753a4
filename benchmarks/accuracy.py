"""The accuracy tables of docs/validation.md, in Markdown. Usage: python benchmarks/accuracy.py"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from measured import (
    NVIDIA,
    chosen,
    errors,
    is_served,
    leave_device_out,
    llamacpp,
    measured,
    of,
    published,
    served,
)

from lifesym.calibration import Observation, Rows, fit, grouped, left_out, summary, usable
from lifesym.calibration.accuracy import baselines

LIFE = ("V100", "Ryzen AI (XDNA2)", "7950X")
"""What names the devices of LIFE's paper have in the table."""
LENGTHS = (2048, 32768)
"""Contexts shown of the second, which has eight."""


def heading(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |")
    print("|---|" + "---:|" * (len(cells) - 1))


def by_device(o: Observation) -> str:
    return o.device


def figures(name: str, found: np.ndarray, rows: Rows) -> None:
    s = summary(found, measured(rows))
    shown = [f"{100 * float(s[key]):.1f}" for key in ("mape", "median", "p90", "bias")]
    one = baselines(rows, None, by_device)["one efficiency"]
    tau = s["kendall_tau"]
    cells = [name, str(s["rows"]), *shown, f"{tau:.2f}", f"{100 * errors(one, rows).mean():.1f}"]
    print("| " + " | ".join(cells) + " |")


def homogeneous() -> None:
    heading("set", "rows", "MAPE", "median", "p90", "bias", "tau", "one efficiency")
    sets = {"9 NVIDIA devices": llamacpp(), "all vendors of that source": llamacpp(nvidia=False)}
    for phase in ("decode", "prefill"):
        for which, rows in sets.items():
            figures(f"llama.cpp {phase}, {which}", *leave_device_out(rows, phase))
    found, rows = leave_device_out(sets["9 NVIDIA devices"], "prefill")
    odd = [o.device in ("A100 SXM 80GB", "L40S") and not o.quantized for o in rows.observations]
    kept = [i for i, no in enumerate(odd) if not no]
    figures("the same NVIDIA prefills without the 8 odd rows", found[kept], rows.take(kept))


def serving() -> None:
    heading("software and device", "rows", "own fit", "other device's fit")
    for several in (False, True):
        rows = served(several)
        for software in ("vLLM", "TensorRT-LLM"):
            sets = {name: chosen(rows, _served(software, name, several)) for name in NVIDIA}
            fits = {name: fit(some) for name, some in sets.items()}
            for name, other in (NVIDIA, NVIDIA[::-1]):
                own, unseen = (of(fits[each], sets[name]).mean() for each in (name, other))
                count = "1 to 8 devices" if several else "one device"
                print(
                    f"| {software}, {name}, {count} | {len(sets[name])} "
                    f"| {own:.1%} | {unseen:.1%} |"
                )


def _served(software: str, name: str, several: bool) -> Callable[[Observation], bool]:
    return lambda o: is_served(o, software, name, several)


def every_row(rows: Rows, found: np.ndarray) -> None:
    heading("software", "rows", "MAPE", "median", "bias")
    for phase in ("decode", "prefill", "request"):
        here = [i for i, o in enumerate(rows.observations) if o.phase == phase]
        some, forecast = rows.take(here), found[here]
        parts = {"all": summary(forecast, measured(some))}
        parts |= grouped(forecast, some.observations, _software)
        for name, s in parts.items():
            numbers = " | ".join(f"{100 * float(s[k]):.1f}" for k in ("mape", "median", "bias"))
            print(f"| {phase}, {name} | {s['rows']} | {numbers} |")


def _software(o: Observation) -> str:
    return o.place if o.devices == 1 else f"{o.place}, several devices"


def life(rows: Rows, found: np.ndarray) -> None:
    heading("device, software, model, phase, tokens", "measured", "forecast", "implied efficiency")
    parts = {"decode": ("memory", rows.streaming), "prefill": ("the roofline", rows.at_peaks)}
    for phase, (resource, needed) in parts.items():
        for i, o in enumerate(rows.observations):
            named = any(name in o.device for name in LIFE)
            many = LIFE[1] in o.device and o.context not in LENGTHS
            if named and o.phase == phase and not many:
                print(
                    f"| {o.device}, {o.framework}, {o.model}, {phase}, {o.context or o.prompt:.0f} "
                    f"| {1e3 * o.seconds:.1f} ms | {1e3 * found[i]:.1f} ms "
                    f"| {needed[i] / o.seconds:.2f} of {resource} |"
                )


if __name__ == "__main__":
    homogeneous()
    print()
    serving()
    print()
    everything = usable(published())[0]
    unseen, _ = left_out(everything, by_device)
    every_row(everything, unseen)
    print()
    life(everything, unseen)
