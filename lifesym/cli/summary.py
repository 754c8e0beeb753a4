"""What ``lifesym forecast`` says: the numbers of a forecast, as data and as tables."""

from typing import TYPE_CHECKING, Any

from lifesym.cli.output import line, note, table, whole

if TYPE_CHECKING:
    from lifesym.hardware import Hardware
    from lifesym.inference import Forecast
    from lifesym.roofline import Term


def summary(result: "Forecast") -> dict[str, Any]:
    """The contract's keys, and the terms of both phases; null is what an encoder does not have."""
    decodes = result.generate != 0
    energy = None if result.hardware.static_power is None else float(result.energy)
    return {
        "model": result.model.name,
        "hardware": result.hardware.name,
        "weights": result.precision.weights.name,
        "activations": result.precision.activations.name,
        "kv": result.precision.kv.name,
        "origins": dict(result.precision.origins),
        "notes": [*result.model.notes, *result.hardware.notes],
        "ttft_s": float(result.ttft),
        "tpot_s": float(result.tpot.mean) if decodes else None,
        "tpot_first_s": float(result.tpot.first) if decodes else None,
        "tpot_last_s": float(result.tpot.last) if decodes else None,
        "tps": float(result.tps) if decodes else None,
        "latency_s": float(result.latency),
        "memory_bytes": whole(result.memory.expr),
        "capacity_bytes": {part.name: whole(part.value) for part in result.capacity.parts},
        "energy_j": energy,
        "bottleneck": {
            "prefill": result.bottleneck("prefill"),
            "decode": result.bottleneck("decode") if decodes else None,
        },
        "terms": {
            "prefill": _terms(result.ttft.terms),
            "decode": _terms(result.tpot.mean.terms) if decodes else [],
        },
    }


def warn_if_too_large(held: int, hardware: "Hardware", where: str = "") -> None:
    """Say that a device's memory does not hold so many bytes, where it does not."""
    if hardware.capacity is not None and held > hardware.capacity:
        from lifesym.units import shown_bytes  # noqa: PLC0415 (imports SymPy)

        whole = float(hardware.capacity) / 1e9
        note(
            f"warning: {where}{held / 1e9:.1f} GB do not fit in the "
            f"{shown_bytes(hardware.capacity)} ({whole:.1f} GB) of {hardware.name}"
        )


def _terms(terms: "tuple[Term, ...]") -> list[dict[str, Any]]:
    rows = []
    total = sum(float(term.time.doit(powers=False)) for term in terms)
    for term in terms:
        seconds = {
            f"{name}_s": float(getattr(term, name).doit(powers=False))
            for name in ("compute", "memory", "dispatch", "network", "time")
        }
        share = seconds["time_s"] / total if total else 0.0
        rows.append({"name": term.name, "section": term.section, **seconds, "share": share})
    return rows


_MORE = {
    "speculative": "speculative decoding",
    "pipeline": "in a pipeline",
    "continuous": "continuous batching",
    "contexts": "at the contexts given",
    "mixed": "of a mixed pass",
    "piggyback": "prefill with decodes",
    "prefix_cache": "mean of hits and misses",
    "disaggregated": "decode on another device",
}


def print_summary(data: dict[str, Any], result: "Forecast") -> None:
    """The same as tables."""
    from lifesym.report.units import quantity  # noqa: PLC0415

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
    rows += [
        ["memory", quantity(data["memory_bytes"], "byte"), "weights, and the cache of all tokens"],
        [
            "energy",
            energy,
            "at the stated power over this time" if result.hardware.static_power else "",
        ],
    ]
    if "cost_per_million_tokens" in data:
        rows.append(["cost", f"{data['cost_per_million_tokens']:.4g}", "a million tokens"])
    for key, title in _MORE.items():
        for name, value in data.get(key, {}).items():
            word, _, suffix = name.rpartition("_")
            unit = {"s": "s", "bytes": "byte"}.get(suffix)
            shown = quantity(value, unit) if unit else _plain(value)
            rows.append([(word if unit else name).replace("_", " "), shown, title])
    line(result.precision.described)
    for said in data["notes"]:
        line(said)
    table(f"{data['model']} on {data['hardware']}", ["", "forecast", ""], rows)
    for phase in ("prefill", "decode") if decodes else ("prefill",):
        _print_terms(phase, data["terms"][phase])


def _plain(value: float | list[float]) -> str:
    """A number without a unit, or several."""
    return ", ".join(f"{one:.3g}" for one in (value if isinstance(value, list) else [value]))


_SUMMED = ("compute_s", "memory_s", "time_s", "share")


def _print_terms(phase: str, terms: list[dict[str, Any]]) -> None:
    from lifesym.report.units import quantity  # noqa: PLC0415

    merged: dict[str, dict[str, float]] = {}
    for term in terms:
        row = merged.setdefault(term["name"], dict.fromkeys(_SUMMED, 0.0))
        for key in row:
            row[key] += term[key]
    body = [
        [
            name,
            quantity(row["compute_s"], "s"),
            quantity(row["memory_s"], "s"),
            quantity(row["time_s"], "s"),
            f"{100 * row['share']:.1f} %",
        ]
        for name, row in sorted(merged.items(), key=lambda item: -item[1]["time_s"])
    ]
    title = f"{phase}: {'whole prompt' if phase == 'prefill' else 'mean step'}, slowest first"
    table(title, ["operator", "compute", "memory", "time", "share"], body, right=4)
