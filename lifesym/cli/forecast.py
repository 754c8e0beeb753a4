"""``lifesym forecast``: the speed of a model on a device, in numbers."""

from collections.abc import Mapping
from typing import Any

from lifesym.cli.output import line, print_json, said_of, table, warn_if_too_large
from lifesym.cli.request import Request, changes_of
from lifesym.errors import SpecError
from lifesym.inference import Forecast
from lifesym.report.summary import section, summary
from lifesym.report.units import quantity

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
    data = summary(plain) | sections
    served = [*forms.values()] or [plain]
    data["efficiencies"] = "; ".join(dict.fromkeys(form.attained for form in served))
    data["notes"] = list(dict.fromkeys(note for form in served for note in form.notes))
    if options["price"] is not None:
        for form, part in ((plain, data), *((forms[n], part) for n, part in sections.items())):
            part["cost_per_million_tokens"] = float(form.cost(options["price"]))
    held = [(forms[name], part) for name, part in sections.items()] or [(plain, data)]
    for form, part in held:
        if "memory_bytes" in part:
            warn_if_too_large(form, part["memory_bytes"])
    if options["json"]:
        print_json(data)
    else:
        _print(data, plain)


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
    for name, held in list(data["memories"].items())[1:]:
        rows.append([name, quantity(held["bytes"], "byte"), "held in another memory"])
    if "cost_per_million_tokens" in data:
        rows.append(["cost", f"{data['cost_per_million_tokens']:.4g}", "a million tokens"])
    for key, title in _TITLES.items():
        for name, value in data.get(key, {}).items():
            word, _, suffix = name.rpartition("_")
            unit = {"s": "s", "bytes": "byte", "j": "J"}.get(suffix)
            shown = quantity(value, unit) if unit else _plain(value)
            rows.append([(word if unit else name).replace("_", " "), shown, title])
    for said in (f.precision.described, data["efficiencies"], *data["notes"]):
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
        said = {"efficiencies": form.attained, "notes": list(form.notes)}
        rows.append({"options": text, **kept, "fits": form.fits, **said})
    plain = request.forecast()
    if request.options["json"]:
        model, device = plain.model.name, plain.hardware.name
        print_json({"model": model, "hardware": device, "compared": rows})
        return
    body = [
        [_folded(row), *(_ratio(row, rows[0], k, unit) for k, _, unit in _COMPARED)] for row in rows
    ]
    header = ["options", *(title for _, title, _ in _COMPARED)]
    told = dict.fromkeys(said_of(plain))
    told |= dict.fromkeys(text for row in rows for text in (row["efficiencies"], *row["notes"]))
    for text in told:
        line(text)
    title = f"{plain.model.name} on {plain.hardware.name}"
    table(title, header, body, right=len(_COMPARED))


def _ratio(row: Mapping[str, Any], base: Mapping[str, Any], key: str, unit: str) -> str:
    if row[key] is None:
        return "none"
    ratio = f"{row[key] / base[key]:.2f}x" if base[key] else ""
    return f"{quantity(row[key], unit)}\n{ratio}"


def _folded(row: Mapping[str, Any]) -> str:
    """One option a line, with its value on the next one where both are long; whether it fits."""
    pairs = [pair.strip() for pair in row["options"].split(",")]
    short = [pair if len(pair) <= _WIDTH else pair.replace("=", "\n  =") for pair in pairs]
    return "\n".join([*short, *(["does not fit"] if row["fits"] is False else [])])
