"""Tables: operators with their work and time, and the legend of symbols."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from sympy import Expr, Symbol, Tuple

from lifesym.checks import checked
from lifesym.formats import Precision
from lifesym.nodes import Active, CeilDiv, FloorDiv
from lifesym.printing import latex
from lifesym.remainders import LastChunk, spelt_out
from lifesym.report.breaking import TEXT_WIDTH, broken
from lifesym.report.units import quantity
from lifesym.roofline import Term
from lifesym.spelling import spelling
from lifesym.sums import Crossing, SumMax
from lifesym.symbols import Notation
from lifesym.trace import Trace

Format = Literal["text", "latex", "markdown"]
Cell = str | tuple[Expr, str]


@checked
def operator_table(
    source: Sequence[Term] | Trace,
    fmt: Format = "markdown",
    precision: Precision | None = None,
    width: float = TEXT_WIDTH,
) -> str:
    """A row an operator: count, operations, bytes, and times where terms are given.

    Numbers are printed with units and expressions in the notation of the table. A trace is priced
    at ``precision`` (bf16 throughout unless given). In LaTeX, expressions are too wide for columns
    of their own: a table with any is a ``longtable`` with one quantity a line, zeros left out,
    and expressions broken into lines so that it is at most ``width`` points wide.
    """
    if isinstance(source, Trace):
        units = {"count": "", "operations": "FLOP", "bytes": "byte"}
        header = ["section", "operator", *units]
        body: list[list[Cell]] = []
        for line in source.table_at(precision or Precision.of()):
            body.append([v if isinstance(v, str) else (v, units[name]) for name, v in line.items()])
    else:
        header = ["section", "operator", "operations", "bytes", "compute", "memory", "time"]
        body = []
        for term in source:
            work = [(term.cost.flops, "FLOP"), (term.cost.bytes, "byte")]
            times = [(term.compute, "s"), (term.memory, "s"), (term.time, "s")]
            body.append([term.section, term.name, *work, *times])
    cells = (cell for row in body for cell in row)
    if fmt == "latex" and any(not isinstance(cell, str) and cell[0].free_symbols for cell in cells):
        return _long(header[2:], body, width - _MARGIN)
    shown = [[_cell(cell, fmt) for cell in row] for row in body]
    return layout(header, shown, fmt, right=len(header) - 2)


@checked
def legend_table(
    rows: Sequence[Notation],
    fmt: Format = "markdown",
    values: Mapping[Symbol, Expr] | None = None,
    width: float | None = None,
) -> str:
    r"""Symbol, meaning and unit of each row; and its number, where some are given.

    In LaTeX meanings are broken into lines where the table would be wider than ``width`` points.

    >>> from lifesym.printing import legend
    >>> from lifesym import symbols as sym
    >>> print(legend_table(legend(sym.batch * sym.past), "text"))
    symbol  meaning                         unit
    batch   sequences computed together     sequences
    past    tokens already in the KV cache  tokens
    """
    body = []
    for row in rows:
        spelt = row.name if fmt == "text" else f"${spelling(row.symbol)}$"
        number = [] if not values else [_number(values.get(row.symbol), row.unit, fmt)]
        body.append([spelt, escape(row.meaning, fmt), *number, escape(row.unit, fmt)])
    header = ["symbol", "meaning", *(["value"] if values else []), "unit"]
    made = layout(header, body, fmt)
    if fmt == "latex" and width is not None and width < _WIDE_LEGEND:
        columns = f"@{{}}lp{{{width - _BESIDE_MEANINGS:g}pt}}" + "l" * (len(header) - 2) + "@{}"
        return made.replace(f"{{{'l' * len(header)}}}", f"{{{columns}}}", 1)
    return made


def _number(value: Expr | None, unit: str, fmt: Format) -> str:
    """A number in a column beside its unit: whole ones with all their digits, rates with few."""
    if value is None or value.free_symbols:
        return ""
    if value.is_Integer and abs(value) < _LONG:
        return str(value)
    mantissa, exponent = f"{float(value):.4g}".replace("e+", "e").partition("e")[::2]
    if not exponent:
        return mantissa
    times = rf"${mantissa} \cdot 10^{{{int(exponent)}}}$"
    return f"{mantissa}e{int(exponent)}" if fmt == "text" else times


_LONG = 10**7
_WIDE_LEGEND = 400
_BESIDE_MEANINGS = 150
"""Points of a legend's other columns."""

_FUNCTIONS = {
    SumMax: ("SumMax(n, a, b, c, d)", "sum of max(a + b*i, c + d*i) over i = 0 ... n - 1"),
    CeilDiv: ("CeilDiv(a, b)", "a/b rounded up"),
    FloorDiv: ("FloorDiv(a, b)", "a/b rounded down"),
    LastChunk: (
        "LastChunk(a, b)",
        "a - b*(CeilDiv(a, b) - 1), from 1 to b",
    ),
    Crossing: ("Crossing(p, q, n)", "how many of p + q*i, i = 0 ... n - 1, are negative"),
    Active: ("Active(a, b, ...)", "1 where a is the largest, else 0"),
}


_REMAINDER = r"$a - b (\lceil a/b \rceil - 1)$, from 1 to $b$"


@checked
def function_table(expr: Expr, fmt: Format = "text") -> str:
    r"""What lifesym's own functions in an expression mean, as its plain text spells them.

    LaTeX and Markdown need it for the last chunk alone: the others are printed in the usual
    notation.

    >>> from lifesym import symbols as sym
    >>> print(function_table(CeilDiv(sym.prompt, sym.chunk)))
    function       meaning
    CeilDiv(a, b)  a/b rounded up
    >>> print(function_table(LastChunk(sym.prompt, sym.chunk), "markdown").splitlines()[2])
    | $R_{a,b}$ | $a - b (\lceil a/b \rceil - 1)$, from 1 to $b$ |
    """
    if fmt == "text":
        used = Tuple(expr, spelt_out(expr))  # pieces before the last are spelt by their quotient
        body = [list(row) for function, row in _FUNCTIONS.items() if used.has(function)]
    else:
        body = [["$R_{a,b}$", _REMAINDER]] if expr.has(LastChunk) else []
    return layout(["function", "meaning"], body, fmt) if body else ""


def layout(
    header: Sequence[str], body: Sequence[Sequence[str]], fmt: Format, right: int = 0
) -> str:
    """A table in one of the formats; the last ``right`` columns are aligned to the right."""
    return _LAYOUTS[fmt](header, body, right)


def _cell(cell: Cell, fmt: Format) -> str:
    if isinstance(cell, str):
        return escape(cell, fmt)
    value, unit = cell
    if value.is_number:
        return escape(quantity(value.doit(powers=False), unit), fmt)
    return str(value) if fmt == "text" else f"${latex(value)}$"


_SAFE = str.maketrans(
    {character: f"\\{character}" for character in "_%&#$"}
    | {"{": r"\{", "}": r"\}", "\\": r"\textbackslash{}", "µ": r"$\mu$"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


def escape(text: str, fmt: Format) -> str:
    """Plain text made safe for a format: what LaTeX would take for commands is escaped."""
    if fmt == "markdown":
        return text.replace("|", r"\|")
    if fmt != "latex":
        return text
    return text.translate(_SAFE)


def _text(header: Sequence[str], body: Sequence[Sequence[str]], right: int) -> str:
    lines = [list(header), *(list(row) for row in body)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    left = len(header) - right

    def padded(line: list[str]) -> str:
        cells = (
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return "\n".join(padded(line) for line in lines)


def _markdown(header: Sequence[str], body: Sequence[Sequence[str]], right: int) -> str:
    left = len(header) - right
    rule = ["---" if i < left else "---:" for i in range(len(header))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *body))


def _latex(header: Sequence[str], body: Sequence[Sequence[str]], right: int) -> str:
    columns = "l" * (len(header) - right) + "r" * right
    lines = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule"]
    lines += [" & ".join(header) + " \\\\", "\\midrule"]
    lines += [" & ".join(row) + " \\\\" for row in body]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"])


_MARGIN = 190
"""Points of the two columns beside the expressions."""
_STRUT = r"\rule[-2.9ex]{0pt}{7ex}"
"""Height of a line with a fraction: rows of a table touch otherwise."""


def _long(quantities: Sequence[str], body: Sequence[Sequence[Cell]], room: float) -> str:
    """A long table: a heading for each section, operators, and a line for each quantity of one."""
    lines = ["\\begin{longtable}[l]{@{}lll@{}}", "\\toprule"]
    lines += ["operator & quantity & expression \\\\", "\\midrule", "\\endhead"]
    lines += ["\\bottomrule", "\\endfoot"]
    section = None
    for here, name, *cells in body:
        if here != section:
            lines.append(f"\\multicolumn{{3}}{{@{{}}l}}{{\\textit{{{_cell(here, 'latex')}}}}} \\\\")
            section = here
        label = _cell(name, "latex")
        for word, cell in zip(quantities, cells, strict=True):
            if isinstance(cell, str) or cell[0] != 0:
                lines.append(f"{label} & {word} & {_stacked(cell, room)} \\\\")
                label = ""
    return "\n".join([*lines, "\\end{longtable}"])


def _stacked(cell: Cell, room: float) -> str:
    """A cell whose expression takes several lines where it is wider than the room."""
    if isinstance(cell, str) or cell[0].is_number:
        return _cell(cell, "latex")
    parts = [
        f"\\displaystyle {part}{_STRUT if 'frac' in part else ''}"
        for part in broken(latex(cell[0]), room)
    ]
    if len(parts) == 1:
        return f"${parts[0]}$"
    lines = " \\\\ ".join(parts)
    return f"$\\begin{{array}}[t]{{@{{}}l@{{}}}} {lines} \\end{{array}}$"


_LAYOUTS: dict[str, Callable[[Sequence[str], Sequence[Sequence[str]], int], str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
}
