"""``lifesym derive``: a closed form with its legend."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from lifesym import symbols as sym
from lifesym.cli.output import note, print_json
from lifesym.cli.request import RUNNING, Request, symbolic_sizes
from lifesym.cli.rows import WORKLOAD, Row
from lifesym.derivation import asked, derivation
from lifesym.errors import SpecError, one_of
from lifesym.kinds import listed
from lifesym.metrics import METRICS, measure
from lifesym.printing import legend
from lifesym.report import function_table, legend_table
from lifesym.results import Result
from lifesym.serving.server_step import ARGUMENTS, OF_PASS
from lifesym.spelling import notation
from lifesym.symbols import TABLE
from lifesym.timed import Timed, said_of

_LEAST_WIDTH = 100


def derive(options: Mapping[str, Any]) -> None:
    """The formula in text, LaTeX, Markdown or JSON; what must be said of it goes to the errors."""
    fmt, width = options["format"], options["width"]
    if width is not None and fmt in ("text", "json"):
        raise SpecError(f"--width does nothing to --format {fmt}")
    if width is not None and width < _LEAST_WIDTH:
        raise SpecError(f"--width is at least {_LEAST_WIDTH} points, not {width}")
    result, form = formula(options)
    with notation(options["notation"] or ""):
        made = derivation(form, result, *asked(options))
        rows = legend(*made.symbols)
        if fmt == "json":
            print_json({"metric": options["metric"]} | made.data(form))
            return
        shown: Any = fmt
        parts = [*made.parts, legend_table(rows, shown, made.values)] if rows else made.parts
        functions = function_table(made.result.expr, shown)
    sys.stdout.write("\n\n".join([*parts, *([functions] if functions else [])]) + "\n")
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
    running = {*RUNNING.values(), *(ARGUMENTS if metric in OF_PASS else ())}
    further = [name for name in names if name not in running]
    form = form.open(*further) if further else form
    result = measure(form, metric)
    values = {s: value for s, value in request.running().items() if s not in names}
    return (result.at(values) if values else result), form


def sized(options: Mapping[str, Any], given: Iterable[Row], free: Iterable[str]) -> dict[str, Any]:
    """The options, with one sequence where nothing says how many and that is not ``free``.

    Raises:
        SpecError: a size of requests among those given, where a server's pass is asked about: it
            has its own.
    """
    if not {*listed(options["metric"])} <= {*OF_PASS}:
        one = options["batch"] is None and "batch" not in free
        return {**options, "batch": 1} if one else dict(options)
    for row in given:
        if row.panel == WORKLOAD or row.name in ("chunk", "prefix"):
            words = ", ".join(TABLE[symbol].word for symbol in ARGUMENTS)
            raise SpecError(f"{row.spelt}: a server's pass is a function of {words}: leave it out")
    return dict(options)
