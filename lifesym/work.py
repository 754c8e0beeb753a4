"""What the terms of a time add up to: operations, bytes by memory, and what bounds them."""

from functools import cmp_to_key
from typing import Literal, get_args

from sympy import Add, Expr, S

from lifesym.errors import SymbolError
from lifesym.levels import Level
from lifesym.powers import sign
from lifesym.printing import legend
from lifesym.roofline import Term

Bound = Literal["compute", "memory", "dispatch", "network"]


def work_of(terms: tuple[Term, ...], levels: tuple[Level, ...]) -> dict[str, Expr]:
    """Operations, bytes of the device's own memory by role, and bytes of other memories."""
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
        "matmul_flops": Add(*(c.matmul_flops for c in costs)),
        "other_flops": Add(*(c.vector_flops + c.dequant_ops for c in costs)),
        "weight_bytes": Add(*weights),
        "activation_bytes": own["activations"] * Add(*activations),
        "kv_bytes": own["kv"] * Add(*(c.kv_read_bytes + c.kv_write_bytes for c in costs)),
    }
    for level in levels:
        served = (level.bytes(t.cost, t.experts) for t in terms)
        work[f"level {level.name}"] = Add(*served)
    return work


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
