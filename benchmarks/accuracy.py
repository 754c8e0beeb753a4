"""The accuracy tables of docs/validation.md, in Markdown. Usage: python benchmarks/accuracy.py"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from measured import (
    errors,
    leave_device_out,
    llamacpp,
    published,
    seconds,
    served,
)

from lifesym.calibration import Observation, fit, grouped, left_out, summary
from lifesym.calibration.accuracy import baselines
from lifesym.calibration.features import NAMES
from lifesym.calibration.fit import matrix

NVIDIA = ("A100 40GB", "H100 SXM 80GB")
LIFE = ("V100", "Ryzen AI", "7950X")
"""What names the devices of LIFE's paper have in the table."""


def heading(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |")
    print("|---|" + "---:|" * (len(cells) - 1))


def figures(name: str, found: np.ndarray, rows: list[Observation]) -> None:
    s = summary(found, seconds(rows))
    shown = [f"{100 * float(s[key]):.1f}" for key in ("mape", "median", "p90", "bias")]
    one = baselines(rows, None, lambda o: o.device)["one efficiency"]
    tau = s["kendall_tau"]
    cells = [name, str(s["rows"]), *shown, f"{tau:.2f}", f"{100 * errors(one, rows).mean():.1f}"]
    print("| " + " | ".join(cells) + " |")


def homogeneous(observations: list[Observation]) -> None:
    heading("set", "rows", "MAPE", "median", "p90", "bias", "tau", "one efficiency")
    for phase in ("decode", "prefill"):
        for nvidia in (True, False):
            rows = llamacpp(observations, phase, nvidia)
            which = "9 NVIDIA devices" if nvidia else "all vendors of that source"
            figures(f"llama.cpp {phase}, {which}", leave_device_out(rows), rows)
    rows = llamacpp(observations, "prefill")
    found = leave_device_out(rows)
    odd = [o.device in ("A100 SXM 80GB", "L40S") and not o.quantized for o in rows]
    kept = [i for i, no in enumerate(odd) if not no]
    figures("the same NVIDIA prefills without the 8 odd rows", found[kept], [rows[i] for i in kept])


def serving(observations: list[Observation]) -> None:
    heading("software and device", "rows", "own fit", "other device's fit")
    for several in (False, True):
        for software in ("vLLM", "TensorRT-LLM"):
            for name in NVIDIA:
                rows = served(observations, software, name, several)
                others = [
                    o
                    for other in NVIDIA
                    if other != name
                    for o in served(observations, software, other, several)
                ]
                own = errors(fit("request", rows).forecast(rows), rows).mean()
                unseen = errors(fit("request", others).forecast(rows), rows).mean()
                count = "1 to 8 devices" if several else "one device"
                print(f"| {software}, {name}, {count} | {len(rows)} | {own:.1%} | {unseen:.1%} |")


def every_row(observations: list[Observation]) -> None:
    heading("software", "rows", "MAPE", "median", "bias")
    for phase in ("decode", "prefill", "request"):
        rows = [o for o in observations if o.phase == phase]
        found = left_out(phase, rows, lambda o: o.device)  # type: ignore[arg-type]
        parts = {"all": summary(found, seconds(rows))}
        parts |= grouped(found, rows, lambda o: o.groups[1] if len(o.groups) > 2 else o.groups[0])
        for name, s in parts.items():
            numbers = " | ".join(f"{100 * float(s[k]):.1f}" for k in ("mape", "median", "bias"))
            print(f"| {phase}, {name} | {s['rows']} | {numbers} |")


def life(observations: list[Observation]) -> Iterator[str]:
    heading("device, software, model, phase, tokens", "measured", "forecast", "implied efficiency")
    for phase in ("decode", "prefill"):
        rows = [o for o in observations if o.phase == phase]
        found = left_out(phase, rows, lambda o: o.device)  # type: ignore[arg-type]
        for o, forecast in zip(rows, found, strict=True):
            if not any(name in o.device for name in LIFE) or "8060S" in o.device:
                continue
            resource = "memory" if phase == "decode" else "compute"
            factors = matrix(phase, [o])  # type: ignore[arg-type]
            needed = factors[..., NAMES[phase].index(resource)].sum()
            tokens = o.context or o.prompt
            yield (
                f"| {o.device}, {o.framework}, {o.model}, {phase}, {tokens:.0f} "
                f"| {1e3 * o.seconds:.1f} ms | {1e3 * forecast:.1f} ms "
                f"| {needed / o.seconds:.2f} of {resource} |"
            )


if __name__ == "__main__":
    everything = published()
    homogeneous(everything)
    print()
    serving(everything)
    print()
    every_row(everything)
    print()
    print("\n".join(life(everything)))
