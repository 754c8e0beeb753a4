"""Which operators' times the maxima of a formula are."""

from collections.abc import Iterable, Mapping
from typing import Any

from sympy import Expr

from lifesym.decided import decided
from lifesym.nodes import Maximum
from lifesym.results import Result

_SIDES = ("compute", "memory")


def labels(
    quantities: Iterable[Any], box: Mapping[Any, Any]
) -> tuple[dict[Expr, tuple[str, ...]], list[str]]:
    """Operators by the maximum that is their time, and lines on those that need none in the box."""
    found: dict[Expr, dict[str, None]] = {}
    always: dict[str, set[str]] = {}
    contested = set()  # operators that are bound by either side somewhere
    for term in (term for each in quantities if isinstance(each, Result) for term in each.terms):
        busy = decided(term.busy, box) if box else term.busy
        for node in busy.atoms(Maximum):
            if node.free_symbols:
                found.setdefault(node, {})[term.name] = None
        if term.busy.has(Maximum):
            contested.add(term.name)
        sides = [side for side in _SIDES if busy == decided(getattr(term, side), box)]
        # where both are the same time, neither binds alone
        always.setdefault(term.name, set()).add(sides[0] if len(sides) == 1 else "")
    said = []
    for side in _SIDES if box else ():  # of several operators of one name all must be
        if names := [n for n, bound in always.items() if bound == {side} and n in contested]:
            said.append(f"Bound by {side} everywhere in these ranges: {', '.join(names)}.")
    return {node: tuple(names) for node, names in found.items()}, said
