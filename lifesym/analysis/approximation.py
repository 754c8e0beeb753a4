"""A shorter formula with a certified error: terms that never matter over a box are dropped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sympy import Add, Dummy, Expr, S, Symbol

from lifesym.analysis.bounds import Box, ShareBound, largest_share
from lifesym.analysis.groups import Grouping, groups
from lifesym.analysis.per_step import counted_from_zero, per_step
from lifesym.analysis.questions import Quantity, Values, plain, point_of, symbol_of, title
from lifesym.analysis.regime import Range, span
from lifesym.checks import checked
from lifesym.decided import decided
from lifesym.display import Tabular
from lifesym.errors import SymbolError
from lifesym.nodes import Maximum
from lifesym.summands import Row
from lifesym.symbols import By

_COARSE = 0.2
_FEW, _BOXES = 10_000, 200_000  # to rank the terms, and to certify an error


@dataclass(frozen=True, kw_only=True)
class Approximation(Tabular):
    """A formula with fewer terms.

    It is never above the full one: the relative error is the dropped terms' share.

    Attributes:
        name: what it is of.
        unit: its SI unit.
        expr: the kept terms' sum, in all symbols.
        rows: the kept terms in paper order, with the names of their groups.
        kept: the kept terms, the one with the largest share first.
        dropped: the dropped terms.
        error: bounds of the worst relative error, (full - short) / full, over the box.
        box: where the bound holds.
        values: the values of the other symbols.
        shares: the certified largest share of each term, an upper bound.
    """

    name: str
    unit: str
    expr: Expr
    rows: tuple[Row, ...]
    kept: tuple[Expr, ...]
    dropped: tuple[Expr, ...]
    error: ShareBound
    box: dict[Symbol, tuple[Expr, Expr]]
    values: dict[Symbol, Expr]
    shares: dict[Expr, float]


@checked
def approximate(
    quantity: Quantity,
    box: By[Range],
    at: Values | None = None,
    *,
    share: float | None = None,
    keep: int | None = None,
    error: float | None = None,
    group: Grouping = "term",
    gap: float = 0.05,
) -> Approximation:
    """Drop terms, and certify what that costs at worst over a box.

    Each maximum that one of its arguments certainly wins over the whole box is replaced by it;
    the others stay. The formula is then written as a sum of products, and terms are dropped; or
    as a sum of groups (see `lifesym.analysis.groups`), of which some are dropped whole.

    Args:
        quantity: a result or an expression; every term must be positive over the box.
        box: the range of each symbol that varies.
        at: the values of the other symbols.
        share: drop the terms whose share is below this everywhere.
        keep: or keep this many terms, those with the largest shares.
        error: or drop as many terms as this worst relative error allows.
        group: what is dropped: single terms, or the terms of a ``role`` (weights, KV cache,
            activations, launches ...), a ``regime`` (what binds) or a ``phase`` of a latency.
        gap: how far apart the error's two bounds may be.

    Raises:
        SymbolError: not exactly one of share, keep and error; an empty range, an unknown symbol or
            a value missing; a node that has no interval bounds; or a term that is
            negative somewhere in the box, or cannot be shown not to be.

    >>> from lifesym import symbols as sym
    >>> short = approximate(100 * sym.hidden + sym.past, {"past": (0, 20)}, {"hidden": 1}, keep=1)
    >>> short.expr, round(short.error.lower, 4), round(short.error.upper, 4)
    (100*hidden, 0.1667, 0.1667)
    """
    if sum(rule is not None for rule in (share, keep, error)) != 1:
        raise SymbolError("give one of share, keep and error")
    for rule, least, most, word in (
        (share, 0, 1, "share"),
        (error, 0, 1, "error"),
        (gap, 1e-6, 0.999, "gap"),
        (keep, 1, None, "keep"),
    ):
        if rule is not None and not (rule >= least and (most is None or rule <= most)):
            end = "" if most is None else f" and at most {most}"
            raise SymbolError(f"{word} must be at least {least}{end}, not {rule}")
    ranges = {symbol_of(quantity, name): ends for name, ends in box.items()}
    checked = {symbol: span(symbol, ends, quantity) for symbol, ends in ranges.items()}
    values = point_of(quantity, at or {}, free=checked)
    rows = _rows(quantity, group, checked, values)
    terms = [row.value for row in rows]
    shifts = counted_from_zero(terms, checked)
    numeric = {term: per_step(term.xreplace(values).xreplace(shifts)) for term in terms}
    shifted = {
        symbol: (low - 1, high - 1) if symbol in shifts else (low, high)
        for symbol, (low, high) in checked.items()
    }

    def bounded(out: Sequence[Expr], within: float, budget: int = _BOXES) -> ShareBound:
        dropped = set(out)
        rest = Add(*(numeric[term] for term in terms if term not in dropped))
        short = Add(*(numeric[term] for term in out))
        bound = largest_share(short, rest, shifted, gap=within, budget=budget)
        at = {symbol: value + 1.0 * (symbol in shifts) for symbol, value in bound.at.items()}
        return replace(bound, at=at)

    shares = {term: bounded([term], _COARSE, _FEW).upper for term in terms}
    ranked = sorted(terms, key=lambda term: -shares[term])
    total = len(ranked)

    if keep is not None:
        count = min(keep, total)
    elif share is not None:
        count = sum(shares[term] >= share for term in ranked)
    else:
        most = error or 0
        count = next(n for n in range(1, total + 1) if bounded(ranked[n:], gap).upper <= most)
    if count < 1:
        raise SymbolError(f"{title(quantity)} would have no term left: lower the share")
    kept, dropped = tuple(ranked[:count]), tuple(ranked[count:])
    return Approximation(
        name=title(quantity),
        unit=getattr(quantity, "unit", ""),
        expr=Add(*kept),
        rows=tuple(row for row in rows if row.value in kept),
        kept=kept,
        dropped=dropped,
        error=bounded(dropped, gap),
        box=checked,
        values=values,
        shares=shares,
    )


def _rows(
    quantity: Quantity, group: Grouping, box: Box, values: Mapping[Symbol, Expr]
) -> list[Row]:
    """What may be dropped, with its name: single terms have none."""
    if group == "term":
        return [Row(term, "") for term in terms_over(plain(quantity), box, values)]
    return groups(quantity, group, {**box, **{s: (value, value) for s, value in values.items()}})


def terms_over(expr: Expr, box: Box, values: Mapping[Symbol, Expr]) -> list[Expr]:
    """The terms of a formula after every maximum that one argument wins over the box."""
    ranges = {**box, **{symbol: (value, value) for symbol, value in values.items()}}
    short = decided(expr, ranges, sums=False)  # a series, multiplied out, has negative terms
    grouped: dict[Expr, Expr] = {}
    for term in Add.make_args(_spread(short)):
        coefficient, rest = term.as_coeff_Mul()
        grouped[rest] = grouped.get(rest, S.Zero) + coefficient
    return [coefficient * rest for rest, coefficient in grouped.items()]


def _spread(expr: Expr) -> Expr:
    """The formula multiplied out; maxima, and sums with a negative term, are left as they are."""
    names: dict[Expr, Expr] = {}

    def masked(node: Expr) -> Expr:
        if isinstance(node, Maximum) or (isinstance(node, Add) and _has_minus(node)):
            return names.setdefault(node, Dummy(positive=True))
        if node.is_Atom:
            return node
        return node.func(*(masked(arg) for arg in node.args))

    hidden = masked(expr).expand()
    return hidden.xreplace({name: node for node, name in names.items()})


def _has_minus(expr: Expr) -> bool:
    return any(arg.could_extract_minus_sign() for arg in expr.args)
