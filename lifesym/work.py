"""What the terms of a time add up to: operations, bytes by memory, energy, and what bounds them."""

from collections.abc import Iterable
from functools import cmp_to_key
from typing import Literal, get_args

from sympy import Expr, S

from lifesym.errors import SymbolError
from lifesym.formats import load_format
from lifesym.levels import Level
from lifesym.powers import sign
from lifesym.printing import legend
from lifesym.roofline import Place, Term
from lifesym.symbols import exact
from lifesym.traffic import added as summed
from lifesym.traffic import alone

_ANY = load_format("bf16")
"""Products are counted whatever they are computed in."""
Bound = Literal["compute", "memory", "dispatch", "network"]
Work = dict[str, Expr]

OPERATIONS = ("matrix operations", "other operations")
"""A device's kinds of operations in a `Work`."""


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
    """Of one device: its operations and bytes by role; other memories' bytes and operations."""
    device, *others = summed(term.work or (alone(term.cost, _ANY),) for term in terms)
    work = {
        "matrix operations": device.matmul_flops,
        "other operations": device.other_flops,
        "weights": device.weight_bytes,
        "activations": device.activation_bytes,
        "KV cache": device.kv_bytes,
    }
    for level, part in zip(place.levels, others, strict=True):
        work[_named(level)] = part.bytes
        work[f"operations at {level.name}"] = part.matmul_flops + part.other_flops
    return work


_ROLES = ("weights", "activations", "KV cache")


def _named(level: Level) -> str:
    """The entry of a memory's bytes, which no other one has."""
    return f"memory {level.name}" if level.name in (*OPERATIONS, *_ROLES) else level.name


def is_operation(name: str) -> bool:
    """Whether an entry of a `Work` counts operations; the others are bytes by role or memory."""
    return name in OPERATIONS or name.startswith("operations at ")


def joules(work: Work, place: Place) -> Work:
    """The energy of some work by the same names, beyond what a device draws whatever it does."""
    device = place.hardware
    rates = dict.fromkeys(work, device.byte_energy) | dict.fromkeys(OPERATIONS, device.flop_energy)
    for level in place.levels:
        rates[_named(level)] = exact(level.byte_energy)
        rates[f"operations at {level.name}"] = exact(level.flop_energy)
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
