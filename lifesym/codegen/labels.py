"""Which operators' times the maxima of a formula are."""

from collections.abc import Iterable, Mapping
from typing import Any

from sympy import Expr

from lifesym.decided import decided
from lifesym.nodes import Maximum
from lifesym.results import Result


def labels(
    quantities: Iterable[Any], box: Mapping[Any, Any]
) -> tuple[dict[Expr, tuple[str, ...]], list[str]]:
    """Operators by the maximum that is their time, and lines on those that need none in the box."""
    found: dict[Expr, dict[str, None]] = {}
    always: dict[str, dict[str, None]] = {"compute": {}, "memory": {}}
    for term in (term for each in quantities if isinstance(each, Result) for term in each.terms):
        for node in decided(term.busy, box).atoms(Maximum) if box else term.busy.atoms(Maximum):
            if node.free_symbols:
                found.setdefault(node, {})[term.name] = None
        if term.busy.has(Maximum) and not decided(term.busy, box).has(Maximum):
            side = "compute" if decided(term.busy, box) == term.compute else "memory"
            always[side][term.name] = None
    said = [
        f"Bound by {side} everywhere in these ranges: {', '.join(names)}."
        for side, names in always.items()
        if names
    ]
    return {node: tuple(names) for node, names in found.items()}, said
