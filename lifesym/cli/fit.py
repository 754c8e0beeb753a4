"""``lifesym fit``: how much a device's memory holds."""

from collections.abc import Mapping
from typing import Any

from lifesym.capacity import Fit
from lifesym.cli.output import line, note, print_json, table
from lifesym.cli.request import Request
from lifesym.report.summary import whole
from lifesym.report.units import quantity

_GIVEN = ("block", "reserve", "communication", "batched", "cache_memory")


def fit(options: Mapping[str, Any]) -> None:
    """Sequences, tokens, blocks and adapters that fit, and what takes the rest of the memory."""
    form = Request(options).forecast()
    given = {name: options[name] for name in _GIVEN if options[name] is not None}
    found = Fit(
        forecast=form,
        share=options["memory_share"],
        stages=options["pipeline"] or 1,
        **given,
    )
    parts = {part.name: whole(part.value) for part in found.room.parts}
    values = {result.name.replace(" ", "_"): whole(result.expr) for result in found.results}
    tokens = whole(form.past + form.prompt + form.generate)
    if options["json"]:
        head = {"model": form.model.name, "hardware": form.hardware.name}
        said = {"notes": list(form.notes), "origins": dict(form.precision.origins)}
        print_json(head | {"tokens_of_a_sequence": tokens} | values | {"parts_bytes": parts} | said)
        return
    kept = f"a sequence keeps {tokens:,} tokens"
    for said_line in (form.precision.described, *form.notes, kept):
        line(said_line)
    rows = [[f"  {name}", quantity(value, "byte"), f"{value:,}"] for name, value in parts.items()]
    for result in found.results:
        value = values[result.name.replace(" ", "_")]
        shown = quantity(value, "byte") if result.unit == "byte" else f"{value:,} {result.unit}s"
        rows.append([result.name, shown, f"{value:,}"])
    table(f"{form.model.name} in {form.hardware.name}", ["", "", "exact"], rows, right=2)
    if values["missing_memory"]:
        note(f"not one sequence fits: {values['missing_memory']:,} bytes are missing")
