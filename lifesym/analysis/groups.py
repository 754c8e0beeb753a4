r"""The summands of a time in groups that a reader knows: by role, by what binds, or by phase.

Over a box each operator's maximum is decided where it can be (`lifesym.decided`): it is then its
memory time, of bytes by role (weights, KV cache, activations), or its compute time, of matrix and
elementwise operations. One that is bound by one thing in one part of the box and by the other in
another is $\max(a, b) = a + \max(0, b - a)$, with a the larger one in the middle of the box: what
the other bound adds there is a group of its own, ``switching``. The groups add up to the formula
exactly. Rates are told by their symbols: a time in numbers is grouped in symbols, and bound again.
"""

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any, Literal

from sympy import Add, Expr, S, Symbol, expand, sqrt

from lifesym import symbols as sym
from lifesym.analysis.questions import Quantity, terms_of, title
from lifesym.decided import decided
from lifesym.errors import SymbolError
from lifesym.named_rates import by_rate, rate_name
from lifesym.nodes import Maximum
from lifesym.powers import replaced
from lifesym.results import Result
from lifesym.roofline import Term
from lifesym.summands import Row
from lifesym.sums import SumMax, series
from lifesym.symbols import exact

Grouping = Literal["term", "role", "regime", "phase"]
Decide = Callable[[Expr], Expr]
_ROLES = {
    "weights": ("weight_bytes",),
    "KV cache": ("kv_read_bytes", "kv_write_bytes"),
    "activations": ("activation_read_bytes", "activation_write_bytes"),
}
_OWN = {"weights": "weights", "cache": "KV cache", "activations": "activations"}
"""Groups by the roles that a device may have rates of their own for."""


def groups(quantity: Quantity, by: Grouping, ranges: Mapping[Symbol, tuple[Any, Any]]) -> list[Row]:
    """The summands in groups, in the order in which a step meets them.

    Raises:
        SymbolError: a formula without operators, or without phases.
    """
    if by == "phase":
        return _phases(quantity)
    found: dict[str, list[Expr]] = {}
    opened, values = _opened(quantity)
    box = {**ranges, **{symbol: (value, value) for symbol, value in values.items()}}
    middle = {symbol: _middle(*map(exact, ends)) for symbol, ends in box.items()}
    point = {symbol: exact(low) for symbol, (low, high) in box.items() if low == high}
    for term in terms_of(opened):
        for label, value in _pieces(term, lambda expr: decided(expr.xreplace(point), box), middle):
            key = _regime(label) if by == "regime" else label
            found.setdefault(key, []).append(value.xreplace(values))
    order = [*_ROLES, *(name for name in found if name not in _ROLES)]
    summed = {name: Add(*found[name]) for name in order if name in found}
    return [Row(value, name) for name, value in summed.items() if value != 0]


def _opened(quantity: Quantity) -> tuple[Quantity, dict[Symbol, Expr]]:
    """A time in symbols, and the numbers of those that it had as numbers."""
    if not isinstance(quantity, Result) or quantity.form is None:
        return quantity, {}
    opened = quantity.in_symbols
    new = opened.expr.free_symbols - quantity.expr.free_symbols
    known = quantity.form.point.items()
    return opened, {symbol: value for symbol, value in known if symbol in new}


def _middle(low: Expr, high: Expr) -> Expr:
    """A number between two: their geometric mean, rounded, unless it begins at zero."""
    return (low + high) / 2 if low in (0, high) else exact(round(float(sqrt(low * high))))


def _phases(quantity: Quantity) -> list[Row]:
    """The parts of a latency."""
    parts = getattr(quantity, "parts", ())
    if not parts:
        raise SymbolError(f"{title(quantity)} has no phases: latency has")
    return [Row(part.value, part.name) for part in parts if part.value != 0]


def _regime(label: str) -> str:
    """What binds the operators of a group."""
    if label in _ROLES or label in ("traffic", "lookups"):
        return "memory"
    return "compute" if label in ("products", "elementwise") else label


def _pieces(term: Term, decide: Decide, middle: Mapping[Symbol, Expr]) -> list[tuple[str, Expr]]:
    """One operator's time by group."""
    rest = [("launches", term.dispatch), ("links", term.network)]
    busy = decide(term.busy)
    if busy == 0:
        return rest
    if expand(busy - decide(term.memory)) == 0:
        return [*_by_role(term), *rest]
    if expand(busy - decide(term.compute)) == 0:
        return [*_by_unit(term.compute), *rest]
    memory, compute = (float(replaced(each, middle)) for each in (term.memory, term.compute))
    larger, other = sorted((term.memory, term.compute), key=lambda each: each is term.compute)
    if compute > memory:
        larger, other = other, larger
    added = _added(term.busy, larger, other)
    if added is None:
        return [("compute or memory", term.busy), *rest]
    split = _by_role(term) if larger is term.memory else _by_unit(term.compute)
    return [*split, ("switching", added), *rest]


def _added(busy: Expr, larger: Expr, other: Expr) -> Expr | None:
    """What a time is beyond one of its two bounds; None where it is not their maximum."""
    count, node = busy.as_independent(Maximum, SumMax, as_Add=False)
    if isinstance(node, Maximum) and len(node.args) == 2 and count != 0:
        for first, second in (node.args, node.args[::-1]):
            if expand(count * first - larger) == 0 and expand(count * second - other) == 0:
                return count * Maximum(S.Zero, expand(second - first))
    if isinstance(node, SumMax):
        n, *lines = node.args
        for a, b, c, d in (lines, [*lines[2:], *lines[:2]]):
            if expand(count * series(n, a, b) - larger) == 0:
                return count * SumMax(n, S.Zero, S.Zero, c - a, d - b)
    return None


def _by_role(term: Term) -> list[tuple[str, Expr]]:
    """A memory time by the role of its bytes: every rate moves those of some of the roles."""
    moved = by_rate(term.memory)
    roles = {name: Add(*(getattr(term.cost, f) for f in fs)) for name, fs in _ROLES.items()}
    roles = {name: bytes_ for name, bytes_ in roles.items() if bytes_ != 0}
    own = {rate: _OWN.get(rate_name(rate).partition("_")[2], "") for rate in moved or {}}
    usual = {name: bytes_ for name, bytes_ in roles.items() if name not in own.values()}
    pieces: list[tuple[str, Expr]] = []
    for rate, amount in (moved or {}).items():
        mine = {own[rate]: roles[own[rate]]} if own[rate] in roles else usual
        names = _adding_up(mine, amount)
        if names is None:
            return [("traffic", term.memory)]
        for name in names:
            looked_up = _looked_up(roles[name]) if name == "weights" else S.Zero
            pieces += [(name, (roles[name] - looked_up) / rate), ("lookups", looked_up / rate)]
    return pieces if moved else [("traffic", term.memory)]


def _looked_up(weights: Expr) -> Expr:
    """The bytes of weights that each sequence reads for itself: rows of tables."""
    terms = Add.make_args(expand(weights))
    return Add(
        *(each for each in terms if each.has(sym.batch) and not (each / sym.batch).has(sym.batch))
    )


def _adding_up(roles: Mapping[str, Expr], amount: Expr) -> tuple[str, ...] | None:
    """The roles whose bytes are an amount."""
    for count in range(len(roles), 0, -1):
        for names in combinations(roles, count):
            if expand(Add(*(roles[name] for name in names)) - amount) == 0:
                return names
    return None


def _by_unit(compute: Expr) -> list[tuple[str, Expr]]:
    """A compute time by what computes."""
    done = by_rate(compute)
    if done is None:
        return [("products", compute)]
    vector = Add(*(ops / rate for rate, ops in done.items() if rate.has(sym.vector_peak)))
    others = Add(*(ops / rate for rate, ops in done.items() if not rate.has(sym.vector_peak)))
    return [
        (n, value)
        for n, value in (("products", others), ("elementwise", vector))
        if value != S.Zero
    ]
