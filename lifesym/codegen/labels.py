"""Which operators' times the parts of a formula are."""

from collections.abc import Iterable, Mapping
from typing import Any

from sympy import Add, Expr

from lifesym.codegen.program import Label
from lifesym.decided import decided
from lifesym.nodes import Maximum
from lifesym.results import Result
from lifesym.roofline import Term

_SIDES = ("compute", "memory")


def labels(
    quantities: Iterable[Any], box: Mapping[Any, Any]
) -> tuple[dict[Expr, Label], list[str]]:
    """What parts of the formulas are, and lines on the operators that need no maximum in the box.

    A maximum is the time of operators, its arguments are their sides. A summand, without its
    number, is the time of operators that one side binds, if all that is added up in it is.
    """
    found = _Found()
    always: dict[str, set[str]] = {}
    contested = set()  # operators that are bound by either side somewhere
    for term in (term for each in quantities if isinstance(each, Result) for term in each.terms):
        busy = decided(term.busy, box) if box else term.busy
        given = {side: decided(getattr(term, side), box) for side in _SIDES}
        sides = [side for side in _SIDES if busy == given[side]]
        # where both are the same time, neither binds alone
        side = sides[0] if len(sides) == 1 else ""
        always.setdefault(term.name, set()).add(side)
        if term.busy.has(Maximum):
            contested.add(term.name)
        found.add(term, busy, given, side)
    said = []
    for side in _SIDES if box else ():  # of several operators of one name all must be
        if names := [n for n, bound in always.items() if bound == {side} and n in contested]:
            said.append(f"Bound by {side} everywhere in these ranges: {', '.join(names)}.")
    return found.labels(), said


class _Found:
    """Parts of formulas, the operators that each is of, and what it is of them."""

    def __init__(self) -> None:
        self.parts: dict[Expr, dict[str, set[str]]] = {}

    def add(self, term: Term, busy: Expr, given: Mapping[str, Expr], side: str) -> None:
        for node in busy.atoms(Maximum):
            if not node.free_symbols:
                continue
            self._put(node, term.name, "time")
            for arg in node.args:
                of = [each for each in _SIDES if _primitive(given[each]) == _primitive(arg)]
                self._put(arg, term.name, of[0] if len(of) == 1 else "")
        pieces = Add.make_args(busy)
        for piece in pieces:
            self._put(piece.as_coeff_Mul()[1], term.name, side if len(pieces) == 1 else "")

    def _put(self, part: Expr, name: str, of: str) -> None:
        self.parts.setdefault(part, {}).setdefault(name, set()).add(of)

    def labels(self) -> dict[Expr, Label]:
        """Of parts that are the same of all of their operators."""
        made = {}
        for part, names in self.parts.items():
            kinds = set().union(*names.values())
            of = "time" if isinstance(part, Maximum) else kinds.pop()
            if of and (of == "time" or not kinds):
                made[part] = Label(tuple(names), of)
        return made


def _primitive(expr: Expr) -> Expr:
    """Without its number: operators count their times before or after a maximum."""
    return expr.as_content_primitive()[1]
