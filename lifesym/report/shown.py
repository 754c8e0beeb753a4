"""A forecast's data as rows of tables, in words and with units."""

from collections.abc import Mapping, Sequence
from typing import Any

from lifesym.report.units import quantity

FORMS = {
    "speculative": "speculative decoding",
    "pipeline": "in a pipeline",
    "continuous": "continuous batching",
    "contexts": "at the contexts given",
    "mixed": "of a mixed pass",
    "piggyback": "prefill with decodes",
    "prefix_cache": "mean of hits and misses",
    "disaggregated": "decode on another device",
}
"""What sections of served forms are called."""
FITS = {True: "fits", False: "does not fit", None: "capacity not known"}
_YES = {True: "yes", False: "no", None: "not known"}


def forecast_rows(data: Mapping[str, Any]) -> list[list[str]]:
    """What a forecast says, and what is served beside it."""
    energy = "not known" if data["energy_j"] is None else quantity(data["energy_j"], "J")
    bound = data["bottleneck"]
    decodes = data["tpot_s"] is not None
    first = "TTFT" if decodes else "latency"
    rows = [[first, quantity(data["ttft_s"], "s"), f"{bound['prefill']}-bound"]]
    if decodes:
        rows += [
            ["TPOT, mean", quantity(data["tpot_s"], "s"), f"{bound['decode']}-bound"],
            ["TPOT, first step", quantity(data["tpot_first_s"], "s"), ""],
            ["TPOT, last step", quantity(data["tpot_last_s"], "s"), ""],
            ["TPS", quantity(data["tps"], "token/s"), "all sequences"],
            ["latency", quantity(data["latency_s"], "s"), "prompt and generation"],
        ]
    what = "weights" if data["kv"] is None else "weights, and the cache of all tokens"
    rows += [
        ["memory", quantity(data["memory_bytes"], "byte"), f"{what}; {FITS[data['fits']]}"],
        ["energy", energy, "at the stated power over the latency" if data["energy_j"] else ""],
    ]
    rows += [
        [name, quantity(held["bytes"], "byte"), f"in another memory; {FITS[held['fits']]}"]
        for name, held in [*data["memories"].items()][1:]
    ]
    if "cost_per_million_tokens" in data:
        rows.append(["cost", f"{data['cost_per_million_tokens']:.4g}", "a million tokens"])
    for key, title in FORMS.items():
        section = dict(data.get(key, {}))
        for name, held in section.pop("memories", {}).items():
            rows.append([name, quantity(held["bytes"], "byte"), f"{title}; {FITS[held['fits']]}"])
        for name, value in section.items():
            word, _, suffix = name.rpartition("_")
            unit = {"s": "s", "bytes": "byte", "j": "J"}.get(suffix)
            said = quantity(value, unit) if unit else _plain(value)
            rows.append([(word if unit else name).replace("_", " "), said, title])
    return rows


def term_rows(terms: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The times of operators, those of one name together, slowest first."""
    merged: dict[str, dict[str, float]] = {}
    summed = ("compute_s", "memory_s", "time_s", "share")
    for term in terms:
        row = merged.setdefault(term["name"], dict.fromkeys(summed, 0.0))
        for key in row:
            row[key] += term[key]
    return [
        [name, *(quantity(row[key], "s") for key in summed[:3]), f"{100 * row['share']:.1f} %"]
        for name, row in sorted(merged.items(), key=lambda item: -item[1]["time_s"])
    ]


def _plain(value: float | Sequence[float] | bool | None) -> str:
    """A number without a unit, or several; or whether something is so."""
    if value is None or isinstance(value, bool):
        return _YES[value]
    return ", ".join(f"{one:.3g}" for one in (value if isinstance(value, list) else [value]))
