"""``lifesym regimes``: what binds where, along a symbol and over two."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sympy import Symbol

from lifesym import answers
from lifesym.analysis import Stretch, regime_map
from lifesym.analysis import regimes as along
from lifesym.analysis.questions import symbol_of
from lifesym.cli.output import print_json
from lifesym.cli.question import Question, asked
from lifesym.errors import SymbolError
from lifesym.kinds import listed
from lifesym.plots import summaries
from lifesym.plots.style import WIDE
from lifesym.report.terminal import table

_CELLS = 200
_STEPS = 16  # of a rounded quotient, unless a range is given: each takes some rows of the table
_BOUNDS = ("compute", "memory", "dispatch")


def regimes(options: Mapping[str, Any]) -> None:
    """The regimes in order along a symbol, or by area over two."""
    question = asked(options, options["over"])
    names = listed(options["over"])
    if len(names) == 1:
        _line(question, names[0])
    elif len(names) == 2:
        _map(question, names)
    else:
        raise SymbolError(f"--over takes one symbol, or two with a comma, not {options['over']!r}")


def stretches(question: Question, over: str) -> tuple[Symbol, tuple[Stretch, ...]]:
    """The symbol that a question is about, and its regimes in order; drawn where asked for."""
    symbol = symbol_of(question.quantity, over)
    others = {other: value for other, value in question.point.items() if other != symbol}
    expr = question.quantity.expr.xreplace(others)
    ends = question.ends(symbol, [expr], _STEPS)
    found = along(question.quantity, symbol, ends, others)
    grid, room = _grid(float(found[0].low), float(found[-1].high), 400), question.room(symbol)
    drawn = question.quantity, symbol, grid, others
    question.draw(lambda p: p.stacked_time(*drawn, boundaries=found, room=room), symbol)
    return symbol, found


def _line(question: Question, over: str) -> None:
    symbol, found = stretches(question, over)
    if question.request.options["json"]:
        rows = answers.regimes(found)
        print_json(question.head(symbol) | {"over": symbol.name, "regimes": rows})
        return
    body: list[list[str]] = []
    for one in found:
        counts = [len(one.regime.operators(resource)) for resource in _BOUNDS]
        changes = "; ".join(f"{name} {a} → {b}" for name, a, b in one.changes)
        ends = [f"{float(one.low):.6g}", f"{float(one.high):.6g}"]
        body.append([changes or ("(step)" if body else "(start)"), *ends, *map(str, counts)])
    header = ["change", "from", "to", *_BOUNDS]
    question.print_said()
    table(f"{question.title}: operators bound by each, over {over}", header, body, right=5)


def _map(question: Question, names: Sequence[str]) -> None:
    pair = [symbol_of(question.quantity, name) for name in names]
    second = replace(question, request=question.request.but(from_=None, to=None))
    ends = [question.ends(pair[0]), second.ends(pair[1])]
    grids = [_grid(float(a), float(b)) for a, b in ends]
    others = {other: value for other, value in question.point.items() if other not in pair}
    chart = regime_map(question.quantity, pair, grids[0], grids[1], others)
    question.draw(lambda plots: plots.regime_chart(chart, room=question.room(*pair)), *pair)
    cells = np.bincount(chart.ids.ravel(), minlength=len(chart.regimes)) / chart.ids.size
    if question.request.options["json"]:
        rows = [
            {"area": float(area), "bounds": dict(bounds)}
            for area, bounds in zip(cells, chart.regimes, strict=True)
        ]
        head = question.head(*pair) | {"over": [symbol.name for symbol in pair]}
        print_json(head | {"regimes": rows})
        return
    body = []
    named = summaries(chart.regimes, most=3)
    for area, bounds, text in zip(cells, chart.regimes, named, strict=True):
        counts = [str(list(bounds.values()).count(resource)) for resource in _BOUNDS]
        body.append([text.replace("\n", "; "), f"{100 * area:.2f} %", *counts])
    header = ["where the regimes differ", "area", *_BOUNDS]
    question.print_said()
    table(f"{question.title}: operators bound by each", header, body, right=4)


def _grid(low: float, high: float, count: int = _CELLS) -> "np.ndarray[Any, Any]":
    """Evenly spaced in ratio where the ends are far apart, so that a plot's cells are even."""
    wide = low > 0 and high / low > WIDE
    return (np.geomspace if wide else np.linspace)(low, high, count)
