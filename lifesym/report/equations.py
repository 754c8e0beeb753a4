"""Equations in paper order, a summand a row (see `lifesym.summands`)."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from textwrap import wrap

from sympy import Add, Expr, Pow, S

from lifesym.checks import checked
from lifesym.errors import SpecError
from lifesym.printing import latex
from lifesym.report.breaking import INDENT, TEXT_WIDTH, broken, width_of
from lifesym.report.rounded import rounded, spread
from lifesym.report.tables import Format, escape
from lifesym.results import Result
from lifesym.spelling import spelling, spelt
from lifesym.summands import BRANCHED, WORKLOAD, Row, summands

_LABELS = re.compile(r"[A-Za-z0-9:._/-]*")
_LABEL = 22
"""Letters of a line of an operator's name in the margin."""
_LETTER = 4.1
"""Points of a letter there."""
_GAP = 24
"""Points between formula and margin, at least."""
_NARROW = 345
"""Points of a line below which names stand above their rows: a margin would eat the column."""
_NAMES = {"mean TPOT": r"\overline{\mathrm{TPOT}}"}
_SIGN = re.compile(r"( [-+*/] |^-|[()])")
"""What stands between names in that of a sum or product of results."""
_NUMBER = re.compile(r"^\d|[.*/+]")
_HEAD = 3
"""A left-hand side that takes more than this part of the width stands in a line of its own."""


@checked
def equation(
    result: Result,
    fmt: Format = "text",
    width: float = TEXT_WIDTH,
    *,
    digits: int | None = None,
    label: str = "",
    siunitx: bool = False,
) -> str:
    r"""The closed form of a result.

    ``text`` is for a terminal, ``latex`` an ``align`` environment (amsmath), ``markdown`` the
    same between double dollars (``aligned``). What is wider than ``width`` points is broken into
    lines (see `lifesym.report.breaking`).

    Args:
        result: what is printed, a row for each of its summands.
        fmt: ``text``, ``latex`` or ``markdown``.
        width: points of a line.
        digits: significant digits of numbers, with their units; exact fractions unless given.
        label: gives the equation a number in LaTeX, to refer to as ``\eqref{label}``.
        siunitx: whether numbers with units are that package's in LaTeX.

    Raises:
        SpecError: a label that LaTeX would not read, or digits that no number has.

    >>> import lifesym as ls
    >>> from lifesym import symbols as sym
    >>> kv = ls.Result(name="KV", unit="byte", expr=4 * sym.batch * sym.past * sym.hidden)
    >>> print(equation(kv))
    KV [byte] =
        4*batch*hidden*past
    """
    rate = _over_sum(result)
    unit = "s" if rate and result.unit == "token/s" else result.unit

    def show(expr: Expr, unit: str = unit) -> str:
        if digits is not None:
            return rounded(expr, unit, digits, fmt, siunitx=siunitx)
        return str(expr) if fmt == "text" else latex(expr)

    numerator, listed = rate or (S.One, result.rows())
    above = show(numerator, "1") if rate else ""
    listed = listed if digits is None else [*_spread_out(listed)]
    if fmt == "text":
        return _text(result, above, listed, show)
    font = r"\scriptsize " if fmt == "latex" else ""  # browsers print it as it stands
    return display(_aligned(result, above, listed, show, width, font), fmt, label)


def display(lines: list[str], fmt: Format, label: str = "") -> str:
    """Lines as a displayed equation, which has a number if it has a label.

    Raises:
        SpecError: a label that LaTeX would not read.
    """
    if not _LABELS.fullmatch(label):
        raise SpecError(f"a label is of letters, digits and : - _ . /, not {label!r}")
    body = " \\\\\n  ".join(lines)
    if fmt == "markdown":
        return f"$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$"
    if not label:
        return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"
    quiet = [rf"{line} \notag" for line in lines[:-1]]
    body = " \\\\\n  ".join([*quiet, rf"{lines[-1]} \label{{{label}}}"])
    return f"\\begin{{align}}\n{body}\n\\end{{align}}"


def left_hand_side(name: str, unit: str, expr: Expr) -> str:
    """LaTeX of a result's name; a time is a function of what is free of the workload."""
    first, *more = filter(None, _SIGN.split(name))
    shown = _named(first) if not more else "".join(map(_operand, (first, *more)))
    free = [spelling(symbol) for symbol in WORKLOAD if symbol in expr.free_symbols]
    return f"{shown}({', '.join(free)})" if unit == "s" and free else shown


def _spread_out(listed: Iterable[Row]) -> Iterator[Row]:
    """Rows as rounding prints them: a product of a sum behind a minus sign is several."""
    for row in listed:
        parts = spread(row.value).as_ordered_terms()
        negative = row.value.as_coeff_Mul()[0].is_negative
        yield from (Row(part, row.label) for part in (parts if negative else [row.value]))


def _named(name: str) -> str:
    return _NAMES.get(name) or spelt(name)


def _operand(text: str) -> str:
    """LaTeX of a sign, of a result's name, or of a number, in the name of a sum or product."""
    if _SIGN.fullmatch(text):
        return text.replace("*", r"\cdot")
    return rf"\text{{{escape(text, 'latex')}}}" if _NUMBER.search(text) else _named(text)


def _over_sum(result: Result) -> tuple[Expr, list[Row]] | None:
    """Numerator and rows of the denominator of a rate, such as tokens over a sum of times."""
    if result.terms or result.parts:
        return None
    outside, inside = result.expr.as_independent(*BRANCHED, as_Add=False)
    if not (isinstance(inside, Pow) and inside.exp == -1 and isinstance(inside.base, Add)):
        return None
    return outside, [Row(term, "") for term in summands(inside.base)]


def signed(
    listed: list[Row], show: Callable[[Expr], str], enclosed: str = r"\left(%s\right)"
) -> list[tuple[str, str]]:
    """Each row's sign and the rest of it; a sum behind a minus sign needs parentheses."""
    shown = []
    for row in listed:
        negative = row.value.as_coeff_Mul()[0].is_negative
        rest = -row.value if negative else row.value
        printed = show(rest)
        if printed.startswith("-") or (isinstance(rest, Add) and negative):
            printed = enclosed % printed
        shown.append(("-" if negative else "+", printed))
    return shown


def _text(result: Result, above: str, listed: list[Row], show: Callable[[Expr], str]) -> str:
    lines = [f"{result.name} [{result.unit}] ="]
    if above:
        lines[0] += f" {above} / ("
    for i, ((sign, printed), row) in enumerate(
        zip(signed(listed, show, "(%s)"), listed, strict=True)
    ):
        lead = "    " if i == 0 and sign == "+" else f"  {sign} "
        note = f"    # {row.label}" if row.label else ""
        lines.append(f"{lead}{printed}{note}")
    if above:
        lines.append("    )")
    return "\n".join(lines) if listed else f"{lines[0]} 0"


def _aligned(
    result: Result,
    above: str,
    listed: list[Row],
    show: Callable[[Expr], str],
    width: float,
    font: str,
) -> list[str]:
    beside = width >= _NARROW
    labels = [wrap(row.label, _LABEL) if beside else [] for row in listed]
    margin = max((_LETTER * len(line) + _GAP for lines in labels for line in lines), default=0)
    head = f"{left_hand_side(result.name, result.unit, result.expr)} ={{}} "
    lines = [] if beside and width_of(head) < width / _HEAD else [f"&{head}"]
    shift = INDENT if lines else width_of(head)
    room = width - margin - shift - width_of(" + ")
    indent = r"\quad " if lines else ""
    for i, (sign, printed) in enumerate(signed(listed, show)):
        lead = "" if i == 0 and sign == "+" else f"{{}}{sign} "
        if listed[i].label and not beside:
            lines.append(rf"&{indent}\text{{{font}{escape(listed[i].label, 'latex')}:}}")
        for j, (part, label) in enumerate(
            zip_longest(broken(printed, room), labels[i], fillvalue="")
        ):
            lines.append(f"&{indent}{'' if j else lead}{part}{_text_label(label, font)}")
    if above:
        lines = [
            *lines[: bool(indent)],
            rf"&{indent}{above} \Big/ \Bigl(",
            *lines[bool(indent) :],
        ]
        lines[-1] += r" \Bigr)"
    lines = lines or ["&0"]
    return lines if indent else [head + lines[0], *lines[1:]]


def _text_label(label: str, font: str) -> str:
    return rf" && \text{{{font}{escape(label, 'latex')}}}" if label else ""
