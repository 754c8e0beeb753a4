"""What colours and hatches mean: resources and groups of operators, alike in every figure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lifesym.plots.style import COLOURS
from lifesym.roofline import Term


@dataclass(frozen=True)
class Look:
    """A colour, the hatch that repeats it in grey, and the marker of points."""

    colour: str
    hatch: str
    marker: str = "o"


RESOURCES: Mapping[str, Look] = {
    "memory": Look("#9AD3F5", "\\\\\\"),
    "compute": Look(COLOURS[1], "///"),
    "dispatch": Look("#007A5A", "..."),
    "network": Look("#B85C93", "---"),
}
"""What an operator is bound by: four shades of grey, too, since regions may share their hatches."""
GROUPS: Mapping[str, Look] = {
    "projections": Look(COLOURS[0], "", "s"),
    "feed-forward": Look(COLOURS[4], "///", "o"),
    "experts": Look(COLOURS[5], "\\\\\\", "D"),
    "attention": Look(COLOURS[1], "...", "^"),
    "recurrence": Look(COLOURS[2], "xxx", "v"),
    "convolutions": Look("#882255", "+++", "p"),
    "embedding and head": Look(COLOURS[6], "---", "P"),
    "vector work": Look("#cccccc", "|||", "X"),
    "links": Look(COLOURS[3], "ooo", "*"),
}
"""Groups of operators, from the bottom of a stack to its top."""
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


def in_order(names: Iterable[str]) -> list[str]:
    """Groups in the order of a stack."""
    present = set(names)
    return [name for name in GROUPS if name in present]
