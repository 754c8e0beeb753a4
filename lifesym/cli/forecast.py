"""``lifesym forecast``: the speed of a model on a device, in numbers."""

from collections.abc import Mapping
from typing import Any

from lifesym.cli.output import line, note, print_json, said_of, table, warn_if_too_large, whole
from lifesym.cli.request import Request, changes_of
from lifesym.errors import LifesymError, SpecError
from lifesym.inference import Forecast
from lifesym.metrics import measure
from lifesym.report.units import quantity
from lifesym.results import Result
from lifesym.roofline import Term
from lifesym.timed import Timed

_SUFFIXES = {"s": "_s", "byte": "_bytes", "J": "_j"}
_SECTION = {
    "ttft": "ttft",
    "tpot": "tpot_mean",
    "tps": "tps",
    "latency": "latency",
    "memory": "memory",
    "energy": "energy",
}
"""What every form says, and the metric that it is."""
_TITLES = {
    "speculative": "speculative decoding",
    "pipeline": "in a pipeline",
    "continuous": "continuous batching",
    "contexts": "at the contexts given",
    "mixed": "of a mixed pass",
    "piggyback": "prefill with decodes",
    "prefix_cache": "mean of hits and misses",
    "disaggregated": "decode on another device",
}
_COMPARED = (
    ("ttft_s", "TTFT", "s"),
    ("tpot_s", "TPOT", "s"),
    ("tps", "TPS", "token/s"),
    ("latency_s", "latency", "s"),
    ("memory_bytes", "memory", "byte"),
)
_WIDTH = 15
"""Characters of a line beside five columns of numbers on a terminal of 80."""


def forecast(options: Mapping[str, Any]) -> None:
    """The forecast, and what is served beside it; or several sets of options side by side."""
    request = Request(options)
    if options["generate"] is None and request.model.generates:
        raise SpecError(f"--generate: {request.model.name} generates tokens; say how many")
    if options["compare"]:
        _compare(request, options["compare"])
        return
    plain, forms = request.forecast(), request.forms()
    sections = {name: section(form) for name, form in forms.items()}
    data = _summary(plain) | sections
    if options["price"] is not None:
        data["cost_per_million_tokens"] = float(plain.cost(options["price"]))
    held = [(forms[name], part) for name, part in sections.items()] or [(plain, data)]
    for form, part in held:
        if "memory_bytes" in part:
            warn_if_too_large(form, part["memory_bytes"])
    if options["json"]:
        print_json(data)
    else:
        _print(data, plain)


def section(form: Timed) -> dict[str, Any]:
    """What a form says of itself in numbers, by names with their units."""
    found: dict[str, Any] = {}
    for name, metric in _SECTION.items():
        try:
            result = measure(form, metric)
        except LifesymError:  # it has no meaning for the form, or the device says too little
            continue
        found |= _entry(name, result)
    for name, more in form.more.items():
        found |= _entry(name, more)
    return found


def _entry(name: str, result: Any) -> dict[str, Any]:
    if not isinstance(result, Result):
        return {name: [float(each) for each in result]}
    key = name + _SUFFIXES.get(result.unit, "")
    exact = result.unit in ("byte", "tokens", "passes")
    return {key: whole(result.expr) if exact else float(result)}


def _summary(f: Forecast) -> dict[str, Any]:
    """The contract's keys, and the terms of both phases; null is what an encoder does not have."""
    decodes = f.generate != 0
    return {
        "model": f.model.name,
        "hardware": f.hardware.name,
        "weights": f.precision.weights.name,
        "activations": f.precision.activations.name,
        "kv": f.precision.kv.name,
        "origins": dict(f.precision.origins),
        "efficiencies": f.hardware.attained,
        "notes": list(f.notes),
        "ttft_s": float(f.ttft),
        "tpot_s": float(f.tpot.mean) if decodes else None,
        "tpot_first_s": float(f.tpot.first) if decodes else None,
        "tpot_last_s": float(f.tpot.last) if decodes else None,
        "tps": float(f.tps) if decodes else None,
        "latency_s": float(f.latency),
        "memory_bytes": whole(f.memory.expr),
        "fits": f.fits,
        "capacity_bytes": {part.name: whole(part.value) for part in f.capacity.parts},
        "energy_j": None if f.hardware.static_power is None else float(f.energy),
        "bottleneck": {
            "prefill": f.bottleneck("prefill"),
            "decode": f.bottleneck("decode") if decodes else None,
        },
        "terms": {
            "prefill": _terms(f.ttft.terms),
            "decode": _terms(f.tpot.mean.terms) if decodes else [],
        },
    }


def _terms(terms: tuple[Term, ...]) -> list[dict[str, Any]]:
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


def _print(data: dict[str, Any], f: Forecast) -> None:
    """The same as tables."""
    energy = "not known" if data["energy_j"] is None else quantity(data["energy_j"], "J")
    bound = data["bottleneck"]
    decodes = data["tpot_s"] is not None
    fits = {True: "fits", False: "does not fit", None: "capacity not known"}[data["fits"]]
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
    what = "weights, and the cache of all tokens"
    rows += [
        ["memory", quantity(data["memory_bytes"], "byte"), f"{what}; {fits}"],
        ["energy", energy, "at the stated power over the latency" if data["energy_j"] else ""],
    ]
    if "cost_per_million_tokens" in data:
        rows.append(["cost", f"{data['cost_per_million_tokens']:.4g}", "a million tokens"])
    for key, title in _TITLES.items():
        for name, value in data.get(key, {}).items():
            word, _, suffix = name.rpartition("_")
            unit = {"s": "s", "bytes": "byte", "j": "J"}.get(suffix)
            shown = quantity(value, unit) if unit else _plain(value)
            rows.append([(word if unit else name).replace("_", " "), shown, title])
    for said in said_of(f):
        line(said)
    table(f"{data['model']} on {data['hardware']}", ["", "forecast", ""], rows)
    for phase in ("prefill", "decode") if decodes else ("prefill",):
        _print_terms(phase, data["terms"][phase])


def _plain(value: float | list[float]) -> str:
    """A number without a unit, or several."""
    return ", ".join(f"{one:.3g}" for one in (value if isinstance(value, list) else [value]))


def _print_terms(phase: str, terms: list[dict[str, Any]]) -> None:
    merged: dict[str, dict[str, float]] = {}
    summed = ("compute_s", "memory_s", "time_s", "share")
    for term in terms:
        row = merged.setdefault(term["name"], dict.fromkeys(summed, 0.0))
        for key in row:
            row[key] += term[key]
    body = [
        [name, *(quantity(row[key], "s") for key in summed[:3]), f"{100 * row['share']:.1f} %"]
        for name, row in sorted(merged.items(), key=lambda item: -item[1]["time_s"])
    ]
    title = f"{phase}: {'whole prompt' if phase == 'prefill' else 'mean step'}, slowest first"
    table(title, ["operator", "compute", "memory", "time", "share"], body, right=4)


def _compare(request: Request, sets: list[str]) -> None:
    """The base options, then each set on top of them, with ratios to the base."""
    rows = []
    for text in ["base", *sets]:
        changed = {} if text == "base" else changes_of(text, "--compare")
        form = request.but(**changed).form()
        found = {key: None for key, _, _ in _COMPARED} | section(form)
        warn_if_too_large(form, found["memory_bytes"], f"{text}: ")
        kept = {key: found[key] for key, _, _ in _COMPARED}
        rows.append({"options": text, **kept, "fits": form.fits})
    plain = request.forecast()
    if request.options["json"]:
        model, device = plain.model.name, plain.hardware.name
        print_json({"model": model, "hardware": device, "compared": rows})
        return
    body = [
        [_folded(row), *(_ratio(row, rows[0], k, unit) for k, _, unit in _COMPARED)] for row in rows
    ]
    header = ["options", *(title for _, title, _ in _COMPARED)]
    for said in said_of(plain):
        note(said)
    title = f"{plain.model.name} on {plain.hardware.name}"
    table(title, header, body, right=len(_COMPARED))


def _ratio(row: Mapping[str, Any], base: Mapping[str, Any], key: str, unit: str) -> str:
    if row[key] is None:
        return "none"
    return f"{quantity(row[key], unit)}\n{row[key] / base[key]:.2f}x"


def _folded(row: Mapping[str, Any]) -> str:
    """One option a line, with its value on the next one where both are long; whether it fits."""
    pairs = [pair.strip() for pair in row["options"].split(",")]
    short = [pair if len(pair) <= _WIDTH else pair.replace("=", "\n  =") for pair in pairs]
    return "\n".join([*short, *(["does not fit"] if row["fits"] is False else [])])
