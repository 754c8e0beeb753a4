"""``lifesym fit``: how much a device's memory holds."""

from collections.abc import Mapping
from typing import Any

from lifesym.capacity import Fit
from lifesym.cli.output import note, print_json
from lifesym.cli.request import Request
from lifesym.convnet import ConvForecast
from lifesym.errors import SpecError
from lifesym.image_capacity import ImageFit
from lifesym.report.summary import whole
from lifesym.report.terminal import line, table
from lifesym.report.units import quantity

_ONE = {Fit: "sequence", ImageFit: "image"}
_GIVEN = ("block", "reserve", "communication", "batched", "cache_memory")


def fit(options: Mapping[str, Any]) -> None:
    """Sequences, tokens, blocks and adapters that fit, and what takes the rest of the memory."""
    form = Request(options).plain()
    given = {name: options[name] for name in _GIVEN if options[name] is not None}
    share = options["memory_share"]
    head: dict[str, Any] = {"model": form.model.name, "hardware": form.hardware.name}
    kept: list[str] = []
    if isinstance(form, ConvForecast):
        given = {name: value for name, value in given.items() if value}
        for name in given.keys() - {"reserve"}:
            raise SpecError(f"--{name.replace('_', '-')} is of language models' caches")
        found: Fit | ImageFit = ImageFit(forecast=form, share=share, **given)
    else:
        found = Fit(forecast=form, share=share, stages=options["pipeline"] or 1, **given)
        tokens = whole(form.past + form.prompt + form.generate)
        head["tokens_of_a_sequence"] = tokens
        kept = [f"a sequence keeps {tokens:,} tokens"]
    parts = {part.name: whole(part.value) for part in found.room.parts}
    values = {result.name.replace(" ", "_"): whole(result.expr) for result in found.results}
    if options["json"]:
        said = {"notes": list(form.notes), "origins": dict(form.precision.origins)}
        print_json(head | values | {"parts_bytes": parts} | said)
        return
    for said_line in (form.described, *form.notes, *kept):
        line(said_line)
    rows = [[f"  {name}", quantity(value, "byte"), f"{value:,}"] for name, value in parts.items()]
    for result in found.results:
        value = values[result.name.replace(" ", "_")]
        shown = quantity(value, "byte") if result.unit == "byte" else f"{value:,} {result.unit}s"
        rows.append([result.name, shown, f"{value:,}"])
    table(f"{form.model.name} in {form.hardware.name}", ["", "", "exact"], rows, right=2)
    if values["missing_memory"]:
        note(f"not one {_ONE[type(found)]} fits: {values['missing_memory']:,} bytes are missing")
