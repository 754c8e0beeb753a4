"""``lifesym explore``: a page of sliders, charts and formulas."""

import sys
from collections.abc import Mapping
from shlex import join
from typing import Any

from lifesym.cli.output import write
from lifesym.cli.request import Request
from lifesym.cli.rows import ROWS
from lifesym.explore import page
from lifesym.inference import Forecast
from lifesym.kinds import listed
from lifesym.report.terminal import shown_progress

_BEGIN = {
    "context": "past",
    "price": "hourly_price",
    "chunk": "chunk",
    "tensor_parallel": "devices",
}
"""Options that the page begins with, by the number that it calls so."""


def explore(options: Mapping[str, Any]) -> None:
    """The page, with menus of what was listed; its sliders begin where the options say."""
    fixed = {**options, **dict.fromkeys(("chunk", "weights", "kv")), "tensor_parallel": 1}

    def made(model: str, hardware: str, **changes: Any) -> Forecast:
        given = {**fixed, "model": model, "on": hardware, **changes}
        usual = {row.name: row.default for row in ROWS if row.needs == ("tensor_parallel",)}
        return Request(given | (usual if given["tensor_parallel"] == 1 else {})).forecast()

    start = {of: options[name] for name, of in _BEGIN.items() if options[name] is not None}
    with shown_progress() as progress:
        text = page(
            *(options["models"], listed(options["on"])),
            **{name: listed(options[name]) for name in ("weights", "kv")},
            make=made,
            start={name: float(value) for name, value in start.items()},
            command=join(["lifesym", *sys.argv[1:]]),
            progress=progress,
        )
    write(text, options["output"])
