"""``lifesym sensitivity``: what a forecast depends on most."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lifesym import symbols as sym
from lifesym.analysis import if_free, local_elasticities, regime_at, shares, tornado
from lifesym.answers import elasticities
from lifesym.cli.output import note, print_json, save_plot, table
from lifesym.cli.question import Question, asked, listed
from lifesym.errors import SymbolError
from lifesym.report.units import shown
from lifesym.symbols import TABLE, ordered

_OPERATORS = 8


def sensitivity(options: Mapping[str, Any]) -> None:
    """Elasticities at a point, ranked; the operators that take most of it."""
    question = asked(options)
    if options["plot"] is not None:
        others = [asked({**options, "on": name}) for name in listed(options["devices"])]
        save_plot(_CHARTS[options["chart"]]([question, *others]), options["plot"])
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


def _bars(questions: Sequence[Question]) -> Any:
    from lifesym.plots import elasticity_bars  # noqa: PLC0415 (Matplotlib)

    one = questions[0]
    return elasticity_bars(local_elasticities(one.quantity, one.point), one.quantity.name)


def _tornado(questions: Sequence[Question]) -> Any:
    from lifesym.plots import tornado_bars  # noqa: PLC0415 (Matplotlib)

    one = questions[0]
    bars = tornado(one.quantity, one.used(), one.request.options["swing"])
    return tornado_bars(bars, one.quantity.name, one.quantity.unit)


def _map(questions: Sequence[Question]) -> Any:
    from lifesym.plots import elasticity_map  # noqa: PLC0415 (Matplotlib)

    rows = {
        one.form.hardware.name: {
            row.symbol: row.right for row in local_elasticities(one.quantity, one.point)
        }
        for one in questions
    }
    return elasticity_map(rows, questions[0].quantity.name)


def _roofline(questions: Sequence[Question]) -> Any:
    from lifesym.plots import roofline  # noqa: PLC0415 (Matplotlib)

    one = questions[0]
    for symbol in (sym.peak, sym.compute_efficiency, sym.bandwidth, sym.memory_efficiency):
        if symbol not in one.point:
            raise SymbolError(f"a roofline is of one device: {symbol} has several values here")
    peak = one.point[sym.peak] * one.point[sym.compute_efficiency]
    bandwidth = one.point[sym.bandwidth] * one.point[sym.memory_efficiency]
    return roofline(one.quantity, one.point, peak=float(peak), bandwidth=float(bandwidth))


_CHARTS: Mapping[str, Callable[[Sequence[Question]], Any]] = {
    "bars": _bars,
    "tornado": _tornado,
    "map": _map,
    "roofline": _roofline,
}
