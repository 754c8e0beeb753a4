"""Several sets of options side by side."""

from typing import TYPE_CHECKING, Any

from lifesym.cli.build import parse_set
from lifesym.cli.output import print_json, table, whole
from lifesym.cli.pipeline import pipelined
from lifesym.cli.serving import speculated
from lifesym.cli.summary import warn_if_too_large

if TYPE_CHECKING:
    from lifesym.cli.setting import Setting

_MEASURES = (
    ("ttft_s", "TTFT", "s"),
    ("tpot_s", "TPOT", "s"),
    ("tps", "TPS", "token/s"),
    ("latency_s", "latency", "s"),
    ("memory_bytes", "memory", "byte"),
)


def compare(setting: "Setting", sets: list[str], *, json: bool) -> None:
    """The base options, then each set on top of them, with ratios to the base.

    Raises:
        LifesymError: a set that cannot be read or forecast.
    """
    model, hardware = setting.model, setting.hardware
    rows = [_measures("base", setting)]
    rows += [_measures(text, setting.with_(parse_set(text))) for text in sets]
    for row in rows:
        warn_if_too_large(row["memory_bytes"], hardware, f"{row['options']}: ")
    if json:
        print_json({"model": model.name, "hardware": hardware.name, "compared": rows})
        return
    from lifesym.report.units import quantity  # noqa: PLC0415

    body = [
        [_folded(row["options"])]
        + [
            "none"
            if row[key] is None
            else f"{quantity(row[key], unit)}\n{row[key] / rows[0][key]:.2f}x"
            for key, _, unit in _MEASURES
        ]
        for row in rows
    ]
    header = ["options", *(title for _, title, _ in _MEASURES)]
    table(f"{model.name} on {hardware.name}", header, body, right=len(_MEASURES))


def _measures(options: str, setting: "Setting") -> dict[str, Any]:
    """Those of the forecast; of its pipeline or speculation, where there is one.

    An encoder has no TPOT and no TPS.
    """
    setting.check()
    forecast = setting.forecast()
    if setting.options["draft"] is not None:
        found = speculated(setting, forecast)
    elif setting.options["pipeline"] is not None or setting.options["stages_on"] is not None:
        found = pipelined(setting, forecast)
    else:
        decodes = forecast.generate != 0
        return {
            "options": options,
            "ttft_s": float(forecast.ttft),
            "tpot_s": float(forecast.tpot) if decodes else None,
            "tps": float(forecast.tps) if decodes else None,
            "latency_s": float(forecast.latency),
            "memory_bytes": whole(forecast.memory.expr),
        }
    ttft, tpot = found["ttft_s"], found["tpot_s"]
    return {
        "options": options,
        "ttft_s": ttft,
        "tpot_s": tpot,
        "tps": float(forecast.batch) / tpot,
        "latency_s": ttft + float(forecast.generate - 1) * tpot,
        "memory_bytes": found["memory_bytes"],
    }


def _folded(options: str) -> str:
    """One option a line, with its value on the next one where both are long."""
    pairs = [pair.strip() for pair in options.split(",")]
    return "\n".join(pair if len(pair) <= _WIDTH else pair.replace("=", "\n  =") for pair in pairs)


_WIDTH = 15
"""Characters of a line beside five columns of numbers on a terminal of 80."""
