"""``lifesym derive``: a closed form with its legend."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sympy import Tuple

from lifesym import symbols as sym
from lifesym.cli.output import note, print_json, said_of
from lifesym.cli.question import listed
from lifesym.cli.request import RUNNING, Request, symbolic_sizes
from lifesym.decided import decided
from lifesym.errors import SpecError, one_of
from lifesym.metrics import METRICS, measure
from lifesym.report import equation, function_table, legend_table
from lifesym.report.breaking import TEXT_WIDTH
from lifesym.results import Result
from lifesym.timed import Timed

_LEAST_WIDTH = 100


def derive(options: Mapping[str, Any]) -> None:
    """The formula in text, LaTeX, Markdown or JSON; what must be said of it goes to the errors."""
    fmt, width = options["format"], options["width"]
    if width is not None and fmt not in ("latex", "markdown"):
        raise SpecError(f"--width does nothing to --format {fmt}")
    if width is not None and width < _LEAST_WIDTH:
        raise SpecError(f"--width is at least {_LEAST_WIDTH} points, not {width}")
    result, form = formula(options)
    expr, *busy = decided(Tuple(result.expr, *(term.busy for term in result.terms)))
    terms = tuple(replace(term, busy=b) for term, b in zip(result.terms, busy, strict=True))
    result = replace(result, expr=expr, terms=terms)
    _print(result, form, options["metric"], fmt, width or TEXT_WIDTH)
    if fmt == "text" and not options["symbolic"]:
        for said in said_of(form):
            note(said)


def formula(options: Mapping[str, Any], arguments: tuple[str, ...] = ()) -> tuple[Result, Timed]:
    """A metric's formula, in symbols for what is not given or is an argument; and its form."""
    metric = options["metric"]
    names = tuple(sym.resolve(name) for name in (*listed(options.get("lift")), *arguments))
    one_of(metric, METRICS, "--metric")
    request = Request(symbolic_sizes(options), about=names)
    form = request.form()
    further = [name for name in names if name not in RUNNING.values()]
    form = form.open(*further) if further else form
    result = measure(form, metric)
    values = {s: value for s, value in request.running().items() if s not in names}
    return (replace(result, expr=result.bind(values)) if values else result), form


def _print(result: Result, form: Timed, metric: str, fmt: Any, width: int) -> None:
    rows = result.legend()
    if fmt == "json":
        told = ("word", "latex", "unit", "meaning")
        legend = [{"symbol": r.name} | {name: getattr(r, name) for name in told} for r in rows]
        data: dict[str, Any] = {"metric": metric, "unit": result.unit, "expr": str(result.expr)}
        data |= {"latex": result.latex(), "legend": legend, "engine": form.engine.name}
        print_json(data | {"efficiencies": form.attained, "notes": list(form.notes)})
        return
    parts = [equation(result, fmt, width)]
    parts += [legend_table(rows, fmt)] if rows else []
    functions = function_table(result.expr, fmt)
    sys.stdout.write("\n\n".join([*parts, *([functions] if functions else [])]) + "\n")
