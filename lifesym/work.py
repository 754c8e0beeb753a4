"""What the terms of a time add up to: operations, bytes by memory, and what bounds them."""

from functools import cmp_to_key
from typing import Literal, get_args

from sympy import Expr, S

from lifesym.errors import SymbolError
from lifesym.formats import load_format
from lifesym.levels import Level
from lifesym.powers import sign
from lifesym.printing import legend
from lifesym.roofline import Term
from lifesym.traffic import added, alone

_ANY = load_format("bf16")
"""Products are counted whatever they are computed in."""
Bound = Literal["compute", "memory", "dispatch", "network"]


def work_of(terms: tuple[Term, ...], levels: tuple[Level, ...]) -> dict[str, Expr]:
    """The device's operations and bytes by role; bytes of other memories, and operations there."""
    device, *others = added(term.work or (alone(term.cost, _ANY),) for term in terms)
    work = {
        "matmul_flops": device.matmul_flops,
        "other_flops": device.other_flops,
        "weight_bytes": device.weight_bytes,
        "activation_bytes": device.activation_bytes,
        "kv_bytes": device.kv_bytes,
    }
    for level, part in zip(levels, others, strict=True):
        work[f"level {level.name}"] = part.bytes
        work[f"operations at {level.name}"] = part.matmul_flops + part.other_flops
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
