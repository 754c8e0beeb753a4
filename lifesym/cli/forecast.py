"""``lifesym forecast``: the speed of a model on a device, in numbers."""

from collections.abc import Mapping
from typing import Any

from lifesym.cli.output import print_json, warn_if_too_large
from lifesym.cli.request import Request, changes_of
from lifesym.convnet import UNet
from lifesym.errors import SpecError
from lifesym.report.shown import forecast_rows, term_rows
from lifesym.report.summary import section, summary
from lifesym.report.terminal import line, table
from lifesym.report.units import quantity
from lifesym.timed import Timed, described, said_of

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
    model = request.model
    if options["prompt"] is None and not isinstance(model, UNet):
        raise SpecError(f"--prompt: {model.name} reads tokens; say how many")
    if options["generate"] is None and model.generates:
        raise SpecError(f"--generate: {model.name} generates tokens; say how many")
    if options["compare"]:
        _compare(request, options["compare"])
        return
    plain, forms = request.plain(), request.forms()
    sections = {name: section(form) for name, form in forms.items()}
    data = summary(plain) | sections
    served = [*forms.values()] or [plain]
    data["efficiencies"] = "; ".join(dict.fromkeys(form.attained for form in served))
    data["notes"] = list(dict.fromkeys(note for form in served for note in form.notes))
    if options["price"] is not None:
        for form, part in ((plain, data), *((forms[n], part) for n, part in sections.items())):
            part["cost_per_million_tokens"] = float(form.cost(options["price"]))
    if options["interval"] is not None:
        asked = (name for name in ("ttft", "tpot", "latency") if data[f"{name}_s"] is not None)
        level = options["interval"] / 100
        data["intervals"] = {f"{n}_s": getattr(plain, n).interval(level) for n in asked}
    for form in served:
        warn_if_too_large(form)
    if options["json"]:
        print_json(data)
    else:
        _print(data, plain)


def _print(data: dict[str, Any], f: Timed) -> None:
    """The same as tables."""
    for key, (low, high) in data.get("intervals", {}).items():
        line(f"{key.removesuffix('_s')}: {quantity(low, 's')} to {quantity(high, 's')}")
    for said in (f.described, f"engine {f.engine.name}, {data['efficiencies']}", *data["notes"]):
        line(said)
    table(f"{data['model']} on {data['hardware']}", ["", "forecast", ""], forecast_rows(data))
    header = ["operator", "compute", "memory", "time", "share"]
    titles = {"prefill": "whole prompt" if data["kv"] else "all images", "decode": "mean step"}
    for phase in titles if data["tpot_s"] is not None else ("prefill",):
        title = f"{phase}: {titles[phase]}, slowest first"
        table(title, header, term_rows(data["terms"][phase]), right=4)


def _compare(request: Request, sets: list[str]) -> None:
    """The base options, then each set on top of them, with ratios to the base."""
    rows, told = [], dict[str, None]()
    for text in ["base", *sets]:
        changed = {} if text == "base" else changes_of(text, "--compare")
        form = request.but(**changed).form()
        found = {key: None for key, _, _ in _COMPARED} | section(form)
        warn_if_too_large(form, f"{text}: ")
        kept = {key: found[key] for key, _, _ in _COMPARED}
        said = {"efficiencies": form.attained, "notes": list(form.notes)}
        rows.append(
            {"options": text, **kept, "fits": form.fits, "engine": form.engine.name, **said}
        )
        told |= dict.fromkeys([described(form), *form.notes])
    plain = request.plain()
    if request.options["json"]:
        head = {"model": plain.model.name, "hardware": plain.hardware.name}
        print_json({**head, "engine": plain.engine.name, "compared": rows})
        return
    body = [
        [_folded(row), *(_ratio(row, rows[0], k, unit) for k, _, unit in _COMPARED)] for row in rows
    ]
    header = ["options", *(title for _, title, _ in _COMPARED)]
    for text in dict.fromkeys([*said_of(plain), *told]):
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
