"""``lifesym count``: the exact cost of one forward pass."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lifesym import symbols as sym
from lifesym.cli.output import print_json
from lifesym.cli.request import NETWORK, Request
from lifesym.convnet import UNet
from lifesym.errors import SpecError
from lifesym.hardware import EAGER
from lifesym.report.counts import counts
from lifesym.report.summary import whole
from lifesym.report.terminal import line, table
from lifesym.report.units import quantity


def count(options: Mapping[str, Any]) -> None:
    """Operations, bytes and dispatches, by operator and in all."""
    plain = None if options["model"] == NETWORK else EAGER
    counted = {"new": None, "engine": options["engine"] or plain}
    request = Request({**options, **counted}, generates=False)
    if options["source"] is not None:
        request = replace(request, loaded=request.text.with_source(options["source"]))
    model = request.model
    if isinstance(model, UNet):
        if asked := [n for n in ("new", "logits") if options[n] not in (1, "last")]:
            raise SpecError(f"--{asked[0]} is of language models: {model.name} reads images")
    else:
        if model.kind == "encoder-decoder" and sym.source not in model.values:
            raise SpecError(f"{model.name} has an encoder: give its positions with --source")
        request = replace(request, loaded=model).but(prompt=options["new"])
    form = request.plain()
    precision = form.precision
    totals, costs = counts(form, options["new"], options["past"], options["logits"])
    if options["json"]:
        by_operator = {n: f for n, part in costs.items() if (f := whole(part.matmul_flops))}
        formats = {role: getattr(precision, role).name for role in precision.origins}
        said = {"origins": dict(precision.origins), "notes": list(form.notes)}
        print_json(totals | {"by_operator": by_operator} | formats | said)
        return
    rows = [
        [
            name,
            quantity(part.matmul_flops, "FLOP"),
            quantity(part.vector_flops + part.dequant_ops, "FLOP"),
            quantity(part.weight_bytes, "byte"),
            quantity(part.bytes - part.weight_bytes, "byte"),
        ]
        for name, part in costs.items()
    ]
    for said_line in (form.described, *form.notes):
        line(said_line)
    header = ["operator", "matrix", "elementwise", "weights", "other bytes"]
    table(f"{model.name}: one forward pass", header, rows, right=4)
    exact = [[name, f"{value:,}"] for name, value in totals.items()]
    table("Totals", ["quantity", "exact"], exact, right=1)
