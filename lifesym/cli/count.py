"""``lifesym count``: the exact cost of one forward pass."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lifesym import symbols as sym
from lifesym.cli.output import line, print_json, table
from lifesym.cli.request import Request
from lifesym.engines import PLAIN
from lifesym.errors import SpecError
from lifesym.report.summary import whole
from lifesym.report.units import quantity

_FIELDS = (
    *("matmul_flops", "vector_flops", "dequant_ops", "weight_bytes", "activation_read_bytes"),
    *("activation_write_bytes", "kv_read_bytes", "kv_write_bytes", "dispatches"),
)


def count(options: Mapping[str, Any]) -> None:
    """Operations, bytes and dispatches, by operator and in all."""
    served = {"prompt": options["new"], "generate": None, "context": None, "prefix": None}
    counted = {"on": None, "engine": options["engine"] or PLAIN}
    request = Request({**options, **served, **counted}, generates=False)
    model = request.model
    if options["source"] is not None:
        request = replace(request, loaded=model.with_source(options["source"]))
    elif model.kind == "encoder-decoder" and sym.source not in model.values:
        raise SpecError(f"{model.name} has an encoder: give its positions with --source")
    form, model = request.forecast(), request.model
    precision = form.precision
    trace = form.trace(options["new"], options["past"], options["logits"])
    cost = trace.cost_at(precision)
    totals = {name: whole(getattr(cost, name)) for name in _FIELDS}
    bare = "decoder" not in model.kind and options["logits"] == "none"
    owned = replace(model, towers=()).matrices("none" if bare else "all")
    totals["parameters"] = sum(whole(matrix.elements) for matrix in owned)
    if model.towers:
        totals["tower_parameters"] = whole(model.tower_parameters)
    totals["kv_bytes_per_token"] = whole(model.kv_bytes_per_token(precision.kv, form.cached_form))
    costs = {name: part.cost_at(precision) for name, part in trace.group_by("name").items()}
    if options["json"]:
        flops = {name: whole(part.matmul_flops) for name, part in costs.items()}
        by_operator = {name: value for name, value in flops.items() if value}
        formats = {role: getattr(precision, role).name for role in ("weights", "activations", "kv")}
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
    for said_line in (precision.described, *form.notes):
        line(said_line)
    header = ["operator", "matrix", "elementwise", "weights", "other bytes"]
    table(f"{model.name}: one forward pass", header, rows, right=4)
    exact = [[name, f"{value:,}"] for name, value in totals.items()]
    table("Totals", ["quantity", "exact"], exact, right=1)
