"""Answers about a formula as plain data: the keys of the command line's JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from sympy import Expr, Symbol

from lifesym import symbols as sym
from lifesym.analysis import Design, Elasticity, Meeting, Stretch, meeting_points
from lifesym.analysis.questions import Derived
from lifesym.analysis.regime import operators
from lifesym.analysis.whatif import Freed
from lifesym.errors import SymbolError
from lifesym.held import Held
from lifesym.report.units import plain
from lifesym.results import Result
from lifesym.timed import Timed

Row = dict[str, Any]


def held_by(form: Timed, quantity: Result) -> tuple[Held, ...]:
    """What memories hold where a quantity is asked: at a context what a step there needs."""
    return (form.in_step if sym.past in quantity.expr.free_symbols else form).stores


def elasticities(ranked: Sequence[Elasticity], freed: Mapping[Symbol, Freed]) -> list[Row]:
    """Elasticities with both sides, and what is left where a symbol costs nothing."""
    rows = []
    for row in ranked:
        sides = {"left": float(row.left), "right": float(row.right)}
        both = None if row.one_sided else float(row.right)
        free = freed.get(row.symbol)
        left = {} if free is None else {"if_free": plain(free.left)}
        rows.append({"symbol": row.symbol.name, "elasticity": both, **sides, **left})
    return rows


def regimes(found: Sequence[Stretch]) -> list[Row]:
    """Regimes in order along a symbol."""
    return [
        {
            "from": plain(one.low),
            "to": plain(one.high),
            "exact": one.exact,
            "bounds": one.regime.bounds,
            "formula": str(one.regime.expr),
            "conditions": [str(condition) for condition in one.regime.conditions],
        }
        for one in found
    ]


def changes(
    quantity: Derived, found: Sequence[Stretch], symbol: Symbol, point: Mapping[Symbol, Expr]
) -> list[Row]:
    """Where operators' bottlenecks change along a symbol, with formulas where there are any."""
    terms = dict(operators(quantity))
    rows = []
    for one in found:
        for name, before, after in one.changes:
            times = (getattr(terms[name], before), getattr(terms[name], after))
            try:
                points = meeting_points(times[0], times[1], symbol)
            except SymbolError:
                points = ()
            here = [p for p in points if p.xreplace(dict(point)) == one.low]
            rows.append(
                {
                    "operator": name,
                    "before": before,
                    "after": after,
                    "value": plain(one.low),
                    "exact": one.exact,
                    "formula": str(here[0]) if here else None,
                }
            )
    return rows


def meetings(found: Sequence[Meeting]) -> list[Row]:
    """Where two formulas meet."""
    return [
        {
            "value": plain(m.value),
            "low": plain(m.low),
            "high": plain(m.high),
            "exact": m.exact,
            "smaller_above": m.smaller,
            "formula": None if m.formula is None else str(m.formula),
        }
        for m in found
    ]


def design(found: Design) -> Row:
    """The value of a symbol that meets a target."""
    return {
        "over": found.symbol.name,
        "want": found.want,
        "target": plain(found.target),
        "answer": plain(found.answer),
        "solution": plain(found.solution),
        "formula": None if found.formula is None else str(found.formula),
        "achieved": plain(found.achieved),
        "next_misses": None if found.next_misses is None else plain(found.next_misses),
        "feasible": [[plain(one.low), plain(one.high)] for one in found.feasible],
    }
