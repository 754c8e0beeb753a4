"""Equations in paper order: one operator a row for times, one monomial a row for polynomials.

The order is the model's own (embedding, layer, head; highest power first), never SymPy's. Rows
with the same expression are joined, and dispatch times, which every operator has, come last.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import zip_longest
from textwrap import wrap
from typing import Literal

from sympy import Add, Expr, Poly, Pow, S, Sum, Symbol, expand, factor

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.nodes import Maximum
from lifesym.printing import latex
from lifesym.report.breaking import TEXT_WIDTH, broken, width_of
from lifesym.report.tables import escape
from lifesym.results import Result
from lifesym.roofline import Term
from lifesym.sums import SumMax

Format = Literal["text", "latex", "markdown"]

_LABEL = 22
"""Letters of a line of an operator's name in the margin."""
_LETTER = 4.1
"""Points of a letter there."""
_GAP = 24
"""Points between formula and margin, at least."""
_WORKLOAD = (sym.batch, sym.prompt, sym.generated, sym.new, sym.past, sym.chunk)
_BRANCHED = (Maximum, SumMax, Sum)
_LHS = {
    "TTFT": r"\mathrm{TTFT}",
    "TPOT": r"\mathrm{TPOT}(T)",
    "mean TPOT": r"\overline{\mathrm{TPOT}}",
}


@dataclass(frozen=True)
class Row:
    """A summand of an equation and what it stands for."""

    value: Expr
    label: str


@checked
def equation(result: Result, fmt: Format = "text", width: float = TEXT_WIDTH) -> str:
    r"""The closed form of a result.

    ``text`` is for a terminal, ``latex`` an ``align`` environment (amsmath), ``markdown`` the
    same between double dollars (``aligned``). What is wider than ``width`` points is broken into
    lines (see `lifesym.report.breaking`).

    >>> import lifesym as ls
    >>> kv = ls.Result(name="KV", unit="byte", expr=4 * sym.batch * sym.past * sym.hidden)
    >>> print(equation(kv))
    KV [byte] =
        4*batch*hidden*past
    """
    if fmt == "text":
        return _text(result)
    font = r"\scriptsize " if fmt == "latex" else ""  # browsers print it as it stands
    body = _aligned(result, width, font)
    if fmt == "latex":
        return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"
    return f"$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$"


def rows(result: Result) -> list[Row]:
    """The summands of a result in paper order; their sum is the result's expression."""
    if result.terms:
        return _term_rows(result.terms)
    if result.parts:
        parts = (part for part in result.parts if part.value != 0)
        return [Row(value, part.name) for part in parts for value in _summands(part.value)]
    return _polynomial_rows(result.expr)


def left_hand_side(result: Result) -> str:
    """LaTeX of a result's name."""
    return _LHS.get(result.name, rf"\mathrm{{{result.name.replace(' ', '~')}}}")


def _term_rows(terms: Iterable[Term]) -> list[Row]:
    """Operators in order, equal ones joined; then the link, then all dispatches."""
    busy: dict[Expr, list[str]] = {}
    serial: dict[str, Expr] = {"link": S.Zero, "dispatch": S.Zero}
    for term in terms:
        if term.busy != 0:
            busy.setdefault(term.busy, []).append(term.name)
        serial["link"] += term.network
        serial["dispatch"] += term.dispatch
    joined = [Row(len(names) * value, _names(names)) for value, names in busy.items()]
    shown = ((name, factor(expand(value))) for name, value in serial.items())
    return joined + [Row(value, name) for name, value in shown if value != 0]


def _names(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _polynomial_rows(expr: Expr) -> list[Row]:
    """Monomials of the workload, highest degree first, with factored coefficients."""
    variables = [symbol for symbol in _WORKLOAD if symbol in expr.free_symbols]
    if not variables or not expr.is_polynomial(*variables):
        return [Row(term, "") for term in _summands(expr)]
    polynomial = Poly(expand(expr), *variables)
    monomials = sorted(polynomial.terms(), key=lambda item: (-sum(item[0]), item[0]))
    return [
        Row(factor(coefficient) * _product(variables, powers), "")
        for powers, coefficient in monomials
    ]


def _summands(expr: Expr) -> list[Expr]:
    """A sum with maxima, or a multiple of one, term by term; polynomials in one piece."""
    outside, inside = expr.as_independent(*_BRANCHED, as_Add=False)
    if not isinstance(inside, Add):
        return [expr]
    return [outside * term for term in inside.as_ordered_terms()]


def _over_sum(result: Result) -> tuple[Expr, list[Row]] | None:
    """Numerator and rows of the denominator of a rate, such as tokens over a sum of times."""
    if result.terms or result.parts:
        return None
    outside, inside = result.expr.as_independent(*_BRANCHED, as_Add=False)
    if not (isinstance(inside, Pow) and inside.exp == -1 and isinstance(inside.base, Add)):
        return None
    return outside, [Row(term, "") for term in _summands(inside.base)]


def _product(variables: list[Symbol], powers: tuple[int, ...]) -> Expr:
    product = S.One
    for variable, power in zip(variables, powers, strict=True):
        product *= variable**power
    return product


def signed(
    listed: list[Row], show: Callable[[Expr], str], enclosed: str = r"\left(%s\right)"
) -> list[tuple[str, str]]:
    """Each row's sign and the rest of it; a sum behind a minus sign needs parentheses."""
    shown = []
    for row in listed:
        negative = row.value.as_coeff_Mul()[0].is_negative
        rest = -row.value if negative else row.value
        printed = show(rest)
        if isinstance(rest, Add) and (negative or printed.startswith("-")):
            printed = enclosed % printed
        shown.append(("-" if negative else "+", printed))
    return shown


def _text(result: Result) -> str:
    over = _over_sum(result)
    numerator, listed = over or (S.One, rows(result))
    lines = [f"{result.name} [{result.unit}] ="]
    if over:
        lines[0] += f" {numerator} / ("
    for i, ((sign, printed), row) in enumerate(
        zip(signed(listed, str, "(%s)"), listed, strict=True)
    ):
        lead = "    " if i == 0 and sign == "+" else f"  {sign} "
        note = f"    # {row.label}" if row.label else ""
        lines.append(f"{lead}{printed}{note}")
    if over:
        lines.append("    )")
    return "\n".join(lines) if listed else f"{lines[0]} 0"


def _aligned(result: Result, width: float, font: str) -> str:
    over = _over_sum(result)
    numerator, listed = over or (S.One, rows(result))
    labels = [wrap(row.label, _LABEL) for row in listed]
    margin = max((_LETTER * len(line) + _GAP for lines in labels for line in lines), default=0)
    head = f"{left_hand_side(result)} ={{}} "
    room = width - margin - width_of(head) - width_of(" + ")
    lines = []
    for i, (sign, printed) in enumerate(signed(listed, latex)):
        lead = "" if i == 0 and sign == "+" else f"{{}}{sign} "
        for j, (part, label) in enumerate(
            zip_longest(broken(printed, room), labels[i], fillvalue="")
        ):
            lines.append(f"&{'' if j else lead}{part}{_text_label(label, font)}")
    if over:
        lines = [rf"&{latex(numerator)} \Big/ \Bigl(", *lines]
        lines[-1] += r" \Bigr)"
    return head + " \\\\\n  ".join(lines or ["&0"])


def _text_label(label: str, font: str) -> str:
    return rf" && \text{{{font}{escape(label, 'latex')}}}" if label else ""
