"""What colours and hatches mean: resources and groups of operators, alike in every figure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lifesym.plots.style import COLOURS


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
GROUPS: Mapping[str, Look] = {  # `lifesym.operator_groups.GROUPS`, from the bottom up
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


def in_order(names: Iterable[str]) -> list[str]:
    """Groups in the order of a stack."""
    present = set(names)
    return [name for name in GROUPS if name in present]
