"""What operators do and take, at numbers: seven columns that fit a column of a paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sympy import Expr

from lifesym.checks import checked
from lifesym.errors import SymbolError, one_of
from lifesym.printing import legend
from lifesym.report.tables import Format, escape, layout
from lifesym.report.units import prefixed
from lifesym.results import Result
from lifesym.roofline import Term
from lifesym.symbols import By, Number

Per = Literal["layer", "all"]
_HEADER = ("operator", "runs", "FLOP", "byte", "FLOP/B", "time", "bound")
_NAMES = 2
"""Operators of one kind whose names are listed; in a column one."""
_COLUMN = 300
_LETTERS, _NAME_WIDTH = 17, 60
"""Letters of the longest name that stands in one line of a column; points of one that is broken."""
_WORDS = {"compute": "comp.", "memory": "mem.", "launch": "launch", "link": "link"}


@dataclass(frozen=True)
class _Line:
    """Operators that do the same equally often: runs, operations, bytes and seconds of all."""

    names: tuple[str, ...]
    numbers: tuple[float, float, float, float]
    bound: str


@checked
def work_table(
    result: Result,
    at: By[Number],
    fmt: Format = "text",
    *,
    per: Per = "all",
    digits: int = 3,
    width: float | None = None,
) -> str:
    r"""A row for each kind of operator: runs, operations, bytes, intensity, time, what binds.

    Operators of one work and time share a row. In LaTeX it is a ``tabular`` of booktabs.

    Args:
        result: a time that is a sum of operators'.
        at: numbers for the symbols in it.
        fmt: text, LaTeX or Markdown.
        per: what a row counts: one execution in a ``layer``, or ``all`` of them.
        digits: significant digits, 1 to 15.
        width: points across; in less than 300 of them names and words are short.

    Raises:
        SymbolError: no operators, or a symbol without a number.
        SpecError: no digits, or more than numbers have.

    >>> import lifesym as ls
    >>> f = ls.forecast("llama-2-7b", "v100", prompt=2048, generate=2)
    >>> print("\n".join(work_table(f.ttft, {}).splitlines()[:3]))
    operator                     runs    FLOP    byte    FLOP/B     time    bound
    embedding                       1       0  33.6 M         0  37.3 µs   memory
    attn_norm, mlp_norm            64  2.15 G  2.15 G         1  2.39 ms   memory
    """
    one_of(per, get_args(Per), "per")
    if not result.terms:
        raise SymbolError(f"{result.name} has no table of operators: it is no sum of their times")
    fixed = result.at(at) if at else result
    lines = _lines(fixed.terms)
    narrow = width is not None and width < _COLUMN
    body = [_cells(line, per, digits, fmt, narrow) for line in lines]
    header = [escape(word, fmt) for word in _HEADER]
    if not narrow or fmt != "latex":
        return layout(header, body, fmt, right=len(_HEADER) - 1)
    column = "l"
    if any(len(cells[0]) > _LETTERS for cells in body):
        column = f"p{{{_NAME_WIDTH}pt}}"
        body = [[cells[0].replace(r"\_", r"\_\allowbreak{}"), *cells[1:]] for cells in body]
    made = layout(header, body, fmt, right=len(_HEADER) - 1)
    return made.replace("{lrrrrrr}", f"{{@{{}}{column}rrrrrr@{{}}}}", 1)


def _lines(terms: Sequence[Term]) -> list[_Line]:
    """Terms of one work and time together, in order."""
    found: dict[tuple[float, ...], list[Term]] = {}
    for term in terms:
        cost = term.cost
        numbers = tuple(map(_number, (cost.dispatches, cost.flops, cost.bytes, term.time)))
        if any(numbers[1:]):
            found.setdefault(numbers, []).append(term)
    lines = []
    for (runs, flops, moved, time), alike in found.items():
        n = len(alike)
        names = tuple(dict.fromkeys(term.name for term in alike))
        lines.append(_Line(names, (n * runs, n * flops, n * moved, n * time), _bound(alike[0])))
    return lines


def _number(value: Expr) -> float:
    if value.free_symbols:
        words = ", ".join(row.word for row in legend(value))
        raise SymbolError(f"the table of operators needs numbers for {words}")
    return float(value.doit(powers=False))


def _bound(term: Term) -> str:
    """What a term's time is most of."""
    times = {
        "compute": _number(term.compute),
        "memory": _number(term.memory),
    }
    busy = max(times, key=lambda name: times[name])
    others = {"launch": _number(term.dispatch), "link": _number(term.network)}
    worst = max(others, key=lambda name: others[name])
    return worst if others[worst] > times[busy] else busy


def _cells(line: _Line, per: Per, digits: int, fmt: Format, narrow: bool) -> list[str]:
    runs, flops, moved, time = line.numbers
    each = runs if per == "layer" and runs else 1.0
    listed = 1 if narrow else _NAMES
    more = len(line.names) - listed
    names = ", ".join(line.names[:listed]) + (f" +{more}" if more > 0 else "")
    work = [_short(value / each, digits) for value in (flops, moved)]
    intensity = f"{flops / moved:.{digits}g}" if moved else "-"
    shown = " ".join(prefixed(time / each, "s", digits)) + "s"
    bound = _WORDS[line.bound] if narrow else line.bound
    cells = [names, f"{runs:.6g}", *work, intensity, shown, bound]
    return [escape(cell, fmt) for cell in cells]


def _short(value: float, digits: int) -> str:
    return " ".join(prefixed(value, "FLOP", digits)).strip()
