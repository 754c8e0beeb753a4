"""The paper form of a time in MathML, with a place for the number of every part of it.

A row is a summand: what it is, its number, and the roofline that it is made of, whose two branches
are marked so that a page can show which of them is active.
"""

import re
from collections.abc import Callable, Iterable
from html import escape

from sympy import Expr, Mul, S, Symbol

from lifesym import symbols as sym
from lifesym.extras import needed
from lifesym.named import Named
from lifesym.nodes import Maximum
from lifesym.paper import Paper
from lifesym.printing import latex
from lifesym.report.paper_form import definition, plain
from lifesym.tau import Tau, roofline

Place = Callable[[Expr], int]
"""Where the number of an expression is found among the results of the page's function."""
_RATES: frozenset[Symbol] = frozenset({sym.bandwidth, sym.memory_efficiency})
_MANY = 3
"""Rooflines in one name that are shown at once; more are folded."""


def formula(form: Paper, place: Place) -> str:
    """The rows of a table: summand, number, share, and what it stands for."""
    rows = []
    for count, summands in form.groups:
        for each in summands:
            rows.append(_row(form, count * each, place))
    return "".join(rows)


def names(form: Paper) -> str:
    """What the names in the rows stand for."""
    said = [_math(definition(name, value)) for name, value in {**form.rates, **form.sizes}.items()]
    if form.rooflines:
        arguments, value = roofline()
        said.append(_math(rf"\tau({', '.join(arguments)}) = {plain(latex(value))}"))
    return ", ".join(said)


def _row(form: Paper, summand: Expr, place: Place) -> str:
    labels = [str(node.args[1]) for node in summand.atoms(Named) if str(node.args[1]) in form.parts]
    parts = [part for label in labels for part in form.parts[label]]
    operators = ", ".join(name for label in labels for name in form.operators.get(label, ()))
    made = "".join(f"<div>{_roofline(part, place)}</div>" for part in parts)
    if len(parts) > _MANY:
        made = f"<details><summary>{len(parts)} operators</summary>{made}</details>"
    said = f'<div class="of">{escape(operators)}</div>' if operators else ""
    number = place(summand)
    return (
        f'<tr><th scope="row">{_math(plain(latex(summand)))}</th>'
        f'<td class="number" data-number="{number}"></td>'
        f'<td class="number" data-share="{number}"></td><td>{made}{said}</td></tr>'
    )


def _roofline(part: Expr, place: Place) -> str:
    """How often a roofline runs, and its branches, each with its number."""
    nodes = [arg for arg in Mul.make_args(part) if isinstance(arg, Tau | Maximum)]
    if len(nodes) != 1:
        return _branch(part, "", place)
    branches = list(_branches(nodes[0]))
    count = part / nodes[0]
    times = "" if count == S.One else f"{_math(plain(latex(count)))} · "
    inside = ", ".join(_branch(each, resource, place) for resource, each in branches)
    return f"{times}max({inside})"


def _branches(node: Expr) -> Iterable[tuple[str, Expr]]:
    if isinstance(node, Tau):
        matrix, vector, moved, *rates = node.args
        yield "compute", matrix / rates[0] + vector / rates[1]
        yield "memory", moved / rates[2]
        return
    for each in node.args:
        yield ("memory" if _written(each) & _RATES else "compute"), each


def _written(expr: Expr) -> frozenset[Symbol]:
    """The symbols of an expression and of what is named in it."""
    inside = (node.args[0] for node in expr.atoms(Named))
    return frozenset(expr.free_symbols).union(*(each.free_symbols for each in inside))


def _branch(expr: Expr, resource: str, place: Place) -> str:
    number = place(expr)
    return (
        f'<span class="branch" data-branch="{number}" data-resource="{resource}">'
        f'{_math(plain(latex(expr, fold_short_frac=True)))}<b data-number="{number}"></b></span>'
    )


_WORD = re.compile(r'<mrow>((?:<mi mathvariant="normal">\w</mi>|<mo>&#x0002C;</mo>)+)</mrow>')
_TAGS = re.compile(r"<[^>]*>")


def _math(text: str) -> str:
    """LaTeX in MathML, upright words as one identifier and not letter by letter."""
    made: str = needed("latex2mathml.converter").convert(text)
    return _WORD.sub(lambda found: f"<mi>{_TAGS.sub('', found[1])}</mi>", made)
