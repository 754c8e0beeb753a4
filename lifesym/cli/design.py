"""``lifesym design``: the value of a symbol that meets a target."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sympy import Expr

from lifesym.analysis import design as solve
from lifesym.analysis.questions import symbol_of
from lifesym.analysis.usual import possible
from lifesym.answers import design as design_data
from lifesym.cli.output import print_json
from lifesym.cli.question import asked
from lifesym.cli.rows import ROWS
from lifesym.errors import LifesymError
from lifesym.held import all_fit, unfit
from lifesym.kinds import in_unit
from lifesym.metrics import measure
from lifesym.report.terminal import table
from lifesym.report.units import apart, shown
from lifesym.symbols import TABLE

_RATES = ("FLOP/s", "byte/s", "FLOP", "byte")


def design(options: Mapping[str, Any]) -> None:
    """The answer, its formula, and what it achieves."""
    question = asked(options, options["over"])
    quantity = question.quantity
    symbol = symbol_of(quantity, options["over"])
    others = {other: value for other, value in question.point.items() if other != symbol}
    o, unit = question.request.options, quantity.unit
    given = possible(question.form, question.point, symbol, o["from_"], o["to"])
    target: dict[str, Any] = {
        name: in_unit(o[name], unit, f"--{name.replace('_', '-')}")
        for name in ("at_most", "at_least")
    }
    ends: Any = question.ends(symbol) if any(end is not None for end in given) else None
    row = next((row for row in ROWS if row.symbol == TABLE[symbol].word), None)

    def accepts(value: Expr) -> bool:
        with suppress(LifesymError):
            if row is not None:
                measure(question.request.but(**{row.name: int(value)}).form(), question.metric)
            return True
        return False

    found = solve(quantity, symbol, others, between=ends, accepts=accepts, **target)
    there = question.held(**{symbol.name: found.answer})
    own = TABLE[symbol].unit
    drawn, room = (quantity, found, others, unit, quantity.name), question.room(symbol)
    question.draw(lambda plots: plots.against_target(*drawn, room=room), symbol)
    if options["json"]:
        data = design_data(found) | {"fits_there": all_fit(there)}
        print_json(question.head(symbol) | data)
        return
    whole = str(found.answer) if found.answer.is_Integer and own not in _RATES else None
    rows = [[f"{found.want} {TABLE[symbol].word}", whole or shown(found.answer, own)]]
    metric = question.metric
    if found.next_misses is None:
        rows.append([f"{metric} there", shown(found.achieved, unit)])
    else:
        here, further = apart(found.achieved, found.next_misses, unit)
        rows += [[f"{metric} there", here], [f"{metric} one further", further]]
    rows += [["memory there", text] for text in unfit(there)]
    if found.formula is not None:
        rows.append(["formula", str(found.formula)])
    bound = "at most" if options["at_most"] is not None else "at least"
    question.print_said()
    table(f"{question.title}: {bound} {shown(found.target, unit)}", ["", ""], rows)
