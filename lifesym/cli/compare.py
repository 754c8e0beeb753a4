"""Several sets of options side by side."""

from typing import TYPE_CHECKING, Any

from lifesym.cli.build import Chosen, build, parse_set
from lifesym.cli.output import print_json, table, whole

if TYPE_CHECKING:
    from lifesym.hardware import Hardware
    from lifesym.inference import Forecast
    from lifesym.model import Model

_MEASURES = (
    ("ttft_s", "TTFT", "s"),
    ("tpot_s", "TPOT", "s"),
    ("tps", "TPS", "token/s"),
    ("latency_s", "latency", "s"),
    ("memory_bytes", "memory", "byte"),
)


def compare(
    model: "Model",
    hardware: "Hardware",
    workload: tuple[int, int],
    base: Chosen,
    sets: list[str],
    *,
    json: bool,
) -> None:
    """The base options, then each set on top of them, with ratios to the base."""
    rows = [_measures("base", build(model, hardware, *workload, base))]
    for text in sets:
        forecast = build(model, hardware, *workload, {**base, **parse_set(text)})
        rows.append(_measures(text, forecast))
    if json:
        print_json({"model": model.name, "hardware": hardware.name, "compared": rows})
        return
    from lifesym.report.units import quantity  # noqa: PLC0415

    body = [
        [_folded(row["options"])]
        + [
            f"{quantity(row[key], unit)}\n{row[key] / rows[0][key]:.2f}x"
            for key, _, unit in _MEASURES
        ]
        for row in rows
    ]
    header = ["options", *(title for _, title, _ in _MEASURES)]
    table(f"{model.name} on {hardware.name}", header, body, right=len(_MEASURES))


def _measures(options: str, forecast: "Forecast") -> dict[str, Any]:
    return {
        "options": options,
        "ttft_s": float(forecast.ttft),
        "tpot_s": float(forecast.tpot),
        "tps": float(forecast.tps),
        "latency_s": float(forecast.latency),
        "memory_bytes": whole(forecast.memory.expr),
    }


def _folded(options: str) -> str:
    """One option a line, with its value on the next one where both are long."""
    pairs = [pair.strip() for pair in options.split(",")]
    return "\n".join(pair if len(pair) <= _WIDTH else pair.replace("=", "\n  =") for pair in pairs)


_WIDTH = 15
"""Characters of a line beside five columns of numbers on a terminal of 80."""
