"""Groups of operators that figures, pages and corrections tell apart."""

from sympy import Add, Expr, S

from lifesym.errors import SymbolError
from lifesym.roofline import Term

GROUPS = (
    *("projections", "feed-forward", "experts", "attention", "recurrence", "convolutions"),
    *("embedding and head", "vector work", "links"),
)
"""Their names, from the bottom of a stack to its top."""
LAUNCHES = "launches"
"""What dispatches take, where that is told apart from the operators' own times."""
SPREAD = 0.3
"""How far a group's time is thought to be off before anything is measured, as a part of it."""
NOISE = 0.05
"""How far a single measured time is thought to be off."""
LEAST = 0.05
"""The least scale: no group takes less time than a part of what is computed."""
_FAMILIES = {
    "collective": "links",
    "embedding": "embedding and head",
    "lm_head": "embedding and head",
    "attention": "attention",
    "softmax": "attention",
    "kv_cache": "attention",
    "experts": "experts",
    "router": "experts",
    "recurrent": "recurrence",
    "convolution": "convolutions",
}
_NAMES = (
    ("moe_", "experts"),
    ("attn_core", "attention"),
    ("mlp_", "feed-forward"),
    ("channel_mix", "feed-forward"),
)
"""Beginnings of the names of products, whose family says nothing else."""


def group_of(term: Term) -> str:
    """The group of an operator, by its family and, of products, its name.

    Vector work beside products (norms, residuals, activations) is a group of its own.
    """
    if term.family in _FAMILIES:
        return _FAMILIES[term.family]
    if term.family not in ("linear", "fused") or term.cost.matmul_flops == 0:
        return "vector work"
    name = term.name.rpartition(".")[2]
    return next((group for start, group in _NAMES if name.startswith(start)), "projections")


def times_by_group(terms: tuple[Term, ...]) -> dict[str, Expr]:
    """Seconds of each group, of launches and of links, which add up to the time.

    Raises:
        SymbolError: the time of a whole pass, whose operators are not told apart.
    """
    found: dict[str, Expr] = dict.fromkeys((*GROUPS, LAUNCHES), S.Zero)
    for term in terms:
        if term.name == "total":
            raise SymbolError(
                'with overlap="pass" operators are not told apart: there are no groups'
            )
        found[group_of(term)] += term.busy
        found["links"] += term.network
        found[LAUNCHES] += term.dispatch
    return {name: Add(time) for name, time in found.items() if time != 0}
