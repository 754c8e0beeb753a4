"""``lifesym crossover``: where a bottleneck changes, and where two configurations meet."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sympy import Expr, Symbol

from lifesym.analysis import part
from lifesym.analysis.usual import alone, meetings
from lifesym.answers import changes
from lifesym.answers import meetings as meeting_rows
from lifesym.cli.output import draw, note, print_json
from lifesym.cli.question import Question, asked
from lifesym.cli.regimes import stretches
from lifesym.cli.request import changes_of
from lifesym.errors import SymbolError
from lifesym.kinds import listed
from lifesym.report.terminal import table
from lifesym.results import Result
from lifesym.symbols import resolve

Side: TypeAlias = tuple[str, Expr, dict[Symbol, Expr], Expr | None]
"""A name, a formula, the point that it is asked at, and the bytes of memory that are left."""


def crossover(options: Mapping[str, Any]) -> None:
    """Where a bottleneck changes; or where two configurations, or groups of operators, meet."""
    question = asked(options, options["over"])
    against, parts = options["against"], listed(options["parts"])
    if against and parts:
        raise SymbolError("give --parts or --against, not both")
    if against:
        changed = changes_of(against, "--against")
        other = asked({**options, **changed}, options["over"])
        symbol = resolve(options["over"])
        sides = [
            (one.described(changed), one.quantity.expr, one.point, one.room(symbol))
            for one in (question, other)
        ]
        _compare(question, sides, [question.result, other.result])
    elif parts:
        if len(parts) != 2:
            text = options["parts"]
            raise SymbolError(f"--parts takes two beginnings of operators' names, not {text!r}")
        for n in parts:
            taken = (term.name for term in question.quantity.terms if term.name.startswith(n))
            note(f"{n}: {', '.join(dict.fromkeys(taken))}")
        point, room = question.point, question.room(resolve(options["over"]))
        sides = [(n, part(question.quantity, n), point, room) for n in parts]
        _compare(question, sides, [question.result])
    else:
        _changes(question)


def _changes(question: Question) -> None:
    over = question.request.options["over"]
    symbol, found = stretches(question, over)
    rows = changes(question.quantity, found, symbol, question.point)
    if question.request.options["json"]:
        print_json(question.head(symbol) | {"over": symbol.name, "crossovers": rows})
        return
    body = [
        [
            str(row["operator"]),
            f"{row['before']} → {row['after']}",
            f"{row['value']:.6g}",
            str(row["formula"] or "no closed form"),
        ]
        for row in rows
    ]
    if not body:
        note(f"no bottleneck changes over this range of {over}")
        return
    question.print_said()
    header = ["operator", "bound by", over, "formula"]
    table(f"{question.title}: where the bottleneck changes", header, body)


def _compare(question: Question, sides: Sequence[Side], results: Sequence[Result]) -> None:
    options = question.request.options
    symbol = resolve(options["over"])
    ends = question.ends(symbol, [alone(*side[1:3], symbol) for side in sides])
    found = meetings(sides[0][1:3], sides[1][1:3], symbol, ends)
    curves = {label: alone(expr, point, symbol) for label, expr, point, _ in sides}
    rooms = {label: room for label, _, _, room in sides}
    draw(
        options,
        lambda plots: plots.two_curves(curves, symbol, ends, found, question.quantity, rooms=rooms),
        results,
        dict(sides[0][2].items() & sides[1][2].items()),  # what is the same on both
        [symbol],
    )
    rows = meeting_rows(found)
    first, second = (side[0] for side in sides)
    if options["json"]:
        print_json(question.head(symbol) | {"over": symbol.name, "crossovers": rows})
    elif not rows:
        note(f"the two do not meet over this range of {options['over']}")
    else:
        labels = {"first": first, "second": second, "neither": "(they touch)"}
        body = [
            [
                f"{row['value']:.6g}",
                labels[str(row["smaller_above"])],
                str(row["formula"] or "no closed form"),
            ]
            for row in rows
        ]
        question.print_said()
        header = [options["over"], "smaller above it", "formula"]
        table(f"{question.metric}: {first} against {second}", header, body)
