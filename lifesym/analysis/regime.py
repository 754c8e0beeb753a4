"""Regimes: which operators are bound by compute, memory or dispatch, and where.

At a point a regime is a formula without maxima and the inequalities of the region in which it
equals the full one exactly. Along a line the regimes come in order with exact boundaries; over two
symbols they make a map (`lifesym.analysis.maps`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

from sympy import Expr, Symbol

from lifesym.analysis.branches import branch_at
from lifesym.analysis.line import flats, pieces
from lifesym.analysis.questions import (
    Derived,
    Quantity,
    Values,
    formula,
    plain,
    point_of,
    symbol_of,
    terms_of,
)
from lifesym.analysis.regions import Branch
from lifesym.analysis.roots import between as middle
from lifesym.analysis.roots import distinct, roots
from lifesym.analysis.signs import number_at
from lifesym.checks import checked
from lifesym.display import Tabular
from lifesym.errors import SymbolError
from lifesym.powers import written
from lifesym.results import Result
from lifesym.roofline import Term
from lifesym.symbols import TABLE, Number, constant

RESOURCES = ("compute", "memory", "dispatch", "network")
Range = tuple[Number, Number]


@dataclass(frozen=True, kw_only=True)
class Regime(Branch, Tabular):
    """A max-free formula, the region it is valid in, and what each operator is bound by.

    Attributes:
        bounds: for each operator, the largest of its compute, memory, dispatch and link times.
    """

    bounds: dict[str, str]

    def operators(self, resource: str) -> list[str]:
        """The operators that are bound by a resource."""
        return [name for name, bound in self.bounds.items() if bound == resource]


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """One regime of a line.

    Attributes:
        low: where it begins.
        high: where it ends (and the next one begins).
        regime: the formula, its region and the operators' bounds.
        changes: what changed at ``low``, as (operator, before, after).
        exact: whether ``low`` is the boundary itself, and not the middle of a tight bracket.
    """

    low: Expr
    high: Expr
    regime: Regime
    changes: tuple[tuple[str, str, str], ...] = ()
    exact: bool = True


def operators(quantity: Derived) -> Iterator[tuple[str, Term]]:
    """The terms with a name each: the operator's, with its section where several share it.

    Raises:
        SymbolError: as `terms_of`.
    """
    terms = terms_of(quantity)
    names = [term.name for term in terms]
    used: dict[str, int] = {}
    for term in terms:
        name = term.name if names.count(term.name) == 1 else f"{term.section}.{term.name}"
        used[name] = used.get(name, 0) + 1
        yield (name if used[name] == 1 else f"{name}#{used[name]}"), term


@checked
def regime_at(quantity: Derived, at: Values) -> Regime:
    """The regime of a point.

    Raises:
        SymbolError: an unknown name, a value out of range, or one missing.
    """
    values = point_of(quantity, at)
    return _regime(formula(quantity), dict(_times(quantity, {})), values)


@checked
def regimes(
    quantity: Derived, over: str | Symbol, between: Range, at: Values | None = None
) -> tuple[Stretch, ...]:
    """The regimes along one symbol, in order, with exact boundaries.

    Args:
        quantity: a time with its operators.
        over: the symbol.
        between: the ends of the line.
        at: the values of the other symbols.

    Raises:
        SymbolError: a symbol that the formula does not have, a value missing or out of range, or
            an empty range.
    """
    symbol = symbol_of(quantity, over)
    low, high = span(symbol, between, quantity)
    values = point_of(quantity, at or {}, free=[symbol])
    expr = plain(quantity).xreplace(values)
    times = dict(_times(quantity, values))
    contests = dict.fromkeys(_contests(times))
    cuts: dict[Expr, bool] = {}
    for flat in flats([expr, *contests], symbol, low, high):
        cuts.setdefault(flat.low, flat.exact)
        for piece in pieces(expr.xreplace(flat.whole), symbol, flat.low, flat.high):
            cuts.setdefault(piece.low, piece.exact)
        for contest in dict.fromkeys(one.xreplace(flat.whole) for one in contests):
            for piece in pieces(contest, symbol, flat.low, flat.high):
                cuts.setdefault(piece.low, piece.exact)
                for root in roots(piece.expr, symbol, piece.low, piece.high):
                    cuts.setdefault(root.value, root.exact)
    ends = distinct([low, high, *cuts])
    found: list[Stretch] = []
    for left, right in pairwise(ends):
        regime = _regime(formula(quantity), times, values | {symbol: middle(left, right)})
        before = found[-1].regime if found else regime
        changes = tuple(
            (name, before.bounds[name], bound)
            for name, bound in regime.bounds.items()
            if before.bounds[name] != bound
        )
        if found and not changes and before.expr == regime.expr:
            found[-1] = replace(found[-1], high=right)
            continue
        found.append(
            Stretch(
                low=left, high=right, regime=regime, changes=changes, exact=cuts.get(left, True)
            )
        )
    return tuple(found)


def span(symbol: Symbol, between: Range, *asked: Quantity) -> tuple[Expr, Expr]:
    """The ends of a line as exact numbers within the symbol's range.

    Raises:
        SymbolError: an end that is no number or out of the symbol's range, nothing between them, or
            a beginning at which what is asked about has no decode step.
    """
    word, row = TABLE[symbol].word, TABLE[symbol]
    low, high = (constant(end, word) for end in between)
    if not low < high:
        raise SymbolError(f"nothing lies between {word} = {low} and {word} = {high}")
    least = row.minimum if row.minimum is not None else 0
    if low < least or (row.maximum is not None and high > row.maximum):
        most = "" if row.maximum is None else f" and at most {row.maximum}"
        raise SymbolError(f"{word} must be at least {least}{most}, not {low} to {high}")
    for each in asked:
        if isinstance(each, Result):
            each.check_steps({symbol: low})
    return low, high


def _times(
    quantity: Derived, values: Mapping[Symbol, Expr]
) -> Iterator[tuple[str, dict[str, Expr]]]:
    """What each resource takes of each operator's time, where some values are known."""
    for name, term in operators(quantity):
        parts = {part: written(getattr(term, part)) for part in RESOURCES}
        yield name, {part: time.xreplace(dict(values)) for part, time in parts.items()}


def _contests(times: Mapping[str, Mapping[str, Expr]]) -> Iterator[Expr]:
    """What changes sign where what an operator is bound by changes."""
    for parts in times.values():
        for first, second in combinations([part for part in parts.values() if part != 0], 2):
            yield first - second


def _regime(
    expr: Expr, times: Mapping[str, Mapping[str, Expr]], values: Mapping[Symbol, Expr]
) -> Regime:
    branch = branch_at(expr, values)
    bounds = {}
    for name, parts in times.items():
        numbers = {part: number_at(time, values).doit() for part, time in parts.items()}
        bounds[name] = max(numbers, key=lambda part: numbers[part])
    return Regime(
        expr=branch.expr, conditions=branch.conditions, choices=branch.choices, bounds=bounds
    )
