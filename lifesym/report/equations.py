"""Equations in paper order: one operator a row for times, one monomial a row for polynomials.

The order is the model's own (embedding, layer, head; highest power first), never SymPy's. Rows
with the same expression are joined, and dispatch times, which every operator has, come last.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from sympy import Add, Expr, Poly, S, Symbol, expand, factor

from lifesym import symbols as sym
from lifesym.printing import latex
from lifesym.results import Result
from lifesym.roofline import Term

Format = Literal["text", "latex", "markdown"]

_WORKLOAD = (sym.batch, sym.prompt, sym.generated, sym.new, sym.past, sym.chunk)
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


def equation(result: Result, fmt: Format = "text") -> str:
    r"""The closed form of a result.

    ``text`` is for a terminal, ``latex`` an ``align`` environment (amsmath), ``markdown`` the
    same between double dollars (``aligned``).

    >>> import lifesym as ls
    >>> kv = ls.Result(name="KV", unit="byte", expr=4 * sym.batch * sym.past * sym.hidden)
    >>> print(equation(kv))
    KV [byte] =
        4*batch*hidden*past
    """
    listed = rows(result)
    if fmt == "text":
        return _text(result, listed)
    body = _aligned(result, listed)
    if fmt == "latex":
        return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"
    return f"$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$"


def rows(result: Result) -> list[Row]:
    """The summands of a result in paper order; their sum is the result's expression."""
    if result.terms:
        return _term_rows(result.terms)
    if result.parts:
        return [Row(part.value, part.name) for part in result.parts if part.value != 0]
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
        return [Row(term, "") for term in Add.make_args(expr)]
    polynomial = Poly(expand(expr), *variables)
    monomials = sorted(polynomial.terms(), key=lambda item: (-sum(item[0]), item[0]))
    return [
        Row(factor(coefficient) * _product(variables, powers), "")
        for powers, coefficient in monomials
    ]


def _product(variables: list[Symbol], powers: tuple[int, ...]) -> Expr:
    product = S.One
    for variable, power in zip(variables, powers, strict=True):
        product *= variable**power
    return product


def _signed(listed: list[Row], show: Callable[[Expr], str]) -> list[tuple[str, str]]:
    """Each row's sign and printed absolute value; a sum keeps its own signs."""
    signed = []
    for row in listed:
        negative = not row.value.is_Add and row.value.could_extract_minus_sign()
        printed = show(-row.value if negative else row.value)
        bare = printed.startswith("-")
        signed.append(("-" if negative else "+", f"({printed})" if bare else printed))
    return signed


def _text(result: Result, listed: list[Row]) -> str:
    lines = [f"{result.name} [{result.unit}] ="]
    for i, ((sign, printed), row) in enumerate(zip(_signed(listed, str), listed, strict=True)):
        lead = "    " if i == 0 and sign == "+" else f"  {sign} "
        note = f"    # {row.label}" if row.label else ""
        lines.append(f"{lead}{printed}{note}")
    return "\n".join(lines) if listed else f"{lines[0]} 0"


def _aligned(result: Result, listed: list[Row]) -> str:
    lines = []
    for i, (sign, printed) in enumerate(_signed(listed, latex)):
        lead = "" if i == 0 and sign == "+" else f"{{}}{sign} "
        label = _text_label(listed[i].label)
        lines.append(f"&{lead}{printed}{label}")
    return f"{left_hand_side(result)} ={{}} " + " \\\\\n  ".join(lines or ["&0"])


def _text_label(label: str) -> str:
    if not label:
        return ""
    escaped = label.replace("_", r"\_")
    return rf" && \text{{{escaped}}}"
