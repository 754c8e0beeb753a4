"""What the terms of a time add up to: operations, bytes by memory, energy, and what bounds them."""

from collections.abc import Iterable
from functools import cmp_to_key
from typing import Literal, get_args

from sympy import Add, Expr, S

from lifesym.errors import SymbolError
from lifesym.powers import sign
from lifesym.printing import legend
from lifesym.roofline import Place, Term
from lifesym.symbols import exact

Bound = Literal["compute", "memory", "dispatch", "network"]
Work = dict[str, Expr]

OPERATIONS = ("matrix operations", "other operations")
"""The kinds of operations in a `Work`; its other entries are bytes by role or by memory."""


def by_place(terms: Iterable[Term]) -> list[tuple[Place, tuple[Term, ...]]]:
    """The terms by where they run, in order of appearance."""
    places: list[Place] = []
    rows: list[list[Term]] = []
    for term in terms:
        if term.place not in places:
            places.append(term.place)
            rows.append([])
        rows[places.index(term.place)].append(term)
    return [(place, tuple(row)) for place, row in zip(places, rows, strict=True)]


def work_of(terms: tuple[Term, ...], place: Place) -> Work:
    """Of one device: operations, bytes of its own memory by role, and bytes of others."""
    levels = place.levels
    costs = [term.cost for term in terms]
    own = {
        role: 1 - Add(*(level.share(role) for level in levels))
        for role in ("weights", "experts", "kv", "activations")
    }
    weights = [
        own["weights"] * (t.cost.weight_bytes - t.experts) + own["experts"] * t.experts
        for t in terms
    ]
    activations = [c.activation_read_bytes + c.activation_write_bytes for c in costs]
    work = {
        "matrix operations": Add(*(c.matmul_flops for c in costs)),
        "other operations": Add(*(c.vector_flops + c.dequant_ops for c in costs)),
        "weights": Add(*weights),
        "activations": own["activations"] * Add(*activations),
        "KV cache": own["kv"] * Add(*(c.kv_read_bytes + c.kv_write_bytes for c in costs)),
    }
    for level in levels:
        work[level.name] = Add(*(level.bytes(t.cost, t.experts) for t in terms))
    return work


def joules(work: Work, place: Place) -> Work:
    """The energy of some work by the same names, beyond what a device draws whatever it does."""
    device = place.hardware
    rates = dict.fromkeys(work, device.byte_energy) | dict.fromkeys(OPERATIONS, device.flop_energy)
    rates |= {level.name: exact(level.byte_energy) for level in place.levels}
    return {name: rates[name] * done for name, done in work.items()}


def added(works: Iterable[Work]) -> Work:
    """The sums of what has the same name."""
    whole: Work = {}
    for work in works:
        for name, value in work.items():
            whole[name] = whole.get(name, S.Zero) + value
    return whole


def bottleneck(terms: tuple[Term, ...]) -> Bound:
    """What most of the time of some terms is bound by; every term must be a number.

    Raises:
        SymbolError: a symbol is left.
    """
    spent: dict[Bound, Expr] = dict.fromkeys(get_args(Bound), S.Zero)
    for term in terms:
        if term.time.free_symbols:
            left = ", ".join(row.word for row in legend(term.time))
            raise SymbolError(f"the bottleneck depends on {left}: give numbers")
        # a sum left open costs a lot to compare
        number = term.map(lambda expr: expr.doit(powers=False))
        larger: Bound = "compute" if sign(number.compute - number.memory) >= 0 else "memory"
        spent[larger] += number.time - number.dispatch - number.network
        spent["dispatch"] += number.dispatch
        spent["network"] += number.network

    def order(one: Bound, other: Bound) -> int:
        return sign(spent[one] - spent[other])

    return max(spent, key=cmp_to_key(order))
