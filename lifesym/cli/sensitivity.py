"""``lifesym sensitivity``: what a forecast depends on most."""

from collections.abc import Callable, Mapping
from typing import Any

from lifesym import symbols as sym
from lifesym.analysis import if_free, local_elasticities, regime_at, shares, tornado
from lifesym.answers import elasticities
from lifesym.cli.output import draw, note, print_json
from lifesym.cli.question import Question, asked
from lifesym.kinds import listed
from lifesym.report.terminal import table
from lifesym.report.units import shown
from lifesym.symbols import TABLE, ordered

_OPERATORS = 8
_DOUBLED = 14  # batches of a figure: 1, 2, 4 ... 8192, as far as they fit


def sensitivity(options: Mapping[str, Any]) -> None:
    """Elasticities at a point, ranked; the operators that take most of it."""
    question = asked(options)
    all_ = [question, *(asked({**options, "on": name}) for name in listed(options["devices"]))]
    own = options["chart"] in ("throughput", "memory")  # of forms, which say it themselves
    titled = () if own else ([one.result for one in all_], question.point)
    draw(options, lambda plots: _CHARTS[options["chart"]](plots, *all_), *titled)
    quantity, point = question.quantity, question.point
    value = quantity.expr.xreplace(point).doit()
    ranked = local_elasticities(quantity, point)
    freed = {one.symbol: one for one in if_free(quantity, point)}
    parts = shares(quantity, point) if quantity.terms else {}
    bounds = regime_at(quantity, point).bounds if quantity.terms else {}
    if options["json"]:
        rows = elasticities(ranked, freed)
        by_operator = {name: float(part) for name, part in parts.items()}
        data = {"value": float(value), "elasticities": rows, "shares": by_operator}
        print_json(question.head() | data | {"bounds": bounds})
        return
    body = []
    for row in (one for one in ranked if one.largest != 0):
        number = f"{float(row.right):+.4f}"
        if row.one_sided:
            number = f"{float(row.left):+.4f} | {number}"
        free = freed.get(row.symbol)
        limit = "" if free is None else shown(free.left, quantity.unit)
        here = shown(point[row.symbol], TABLE[row.symbol].unit)
        body.append([row.word, here, number, limit])
    header = ["symbol", "value", "elasticity", "if free"]
    question.print_said()
    table(f"{question.title}: {shown(value, quantity.unit)}", header, body, right=3)
    if parts:
        largest = [
            [name, f"{100 * float(part):.2f} %", bounds[name]]
            for name, part in list(parts.items())[:_OPERATORS]
        ]
        table("Operators that take most of it", ["operator", "share", "bound by"], largest, right=1)
    if zeros := [row.word for row in ranked if row.largest == 0]:
        note(f"no effect here: {', '.join(zeros)}")
    unmoved = ordered(quantity.expr.free_symbols - {row.symbol for row in ranked})
    if unmoved:
        words = ", ".join(TABLE[symbol].word for symbol in unmoved)
        note(f"no elasticity, in the range of a sum without a closed form: {words}")


def _map(plots: Any, *questions: Question) -> Any:
    named = [
        (one.form.hardware.name, local_elasticities(one.quantity, one.point)) for one in questions
    ]
    rows = {name: {row.symbol: row.right for row in rows} for name, rows in named}
    return plots.elasticity_map(rows, questions[0].quantity.name)


_CHARTS: Mapping[str, Callable[..., Any]] = {
    "bars": lambda plots, one, *_: plots.elasticity_bars(
        local_elasticities(one.quantity, one.point), one.quantity.name
    ),
    "tornado": lambda plots, one, *_: plots.tornado_bars(
        tornado(one.quantity, one.used(), one.request.options["swing"]),
        one.quantity.name,
        one.quantity.unit,
    ),
    "map": _map,
    "roofline": lambda plots, *all_: plots.rooflines(
        {one.form.hardware.name: plots.Roof.of(one.quantity, one.point) for one in all_}
    ),
    "throughput": lambda plots, *all_: plots.throughput_latency(
        {one.form.hardware.name: one.closed for one in all_}, [2**i for i in range(_DOUBLED)]
    ),
    "memory": lambda plots, one, *_: plots.memory_by_role(
        one.closed, sym.batch, range(1, 2 ** (_DOUBLED - 1))
    ),
}
