"""What notebooks show: answers as HTML tables, results as equations in Markdown.

Each function below says the rows of a class: those of the command line, with units. A class asks
for it by being a `lifesym.display.Tabular`.
"""

from collections.abc import Iterable, Sequence
from functools import singledispatch
from html import escape
from itertools import islice
from typing import Any

from sympy import Expr

from lifesym.analysis import Approximation, Design, Meeting, Regime
from lifesym.analysis.uncertainty import Spread
from lifesym.capacity import Fit
from lifesym.convnet import ConvForecast
from lifesym.errors import LifesymError
from lifesym.formats import Precision
from lifesym.hardware import Hardware
from lifesym.image_capacity import ImageFit
from lifesym.inference import Forecast
from lifesym.metrics import measure
from lifesym.model import Model
from lifesym.quantities import amount
from lifesym.report import equation, paper_form
from lifesym.report.database import figures, shown_entry
from lifesym.report.shown import FITS, forecast_rows
from lifesym.report.structure import sections, structure
from lifesym.report.summary import summary
from lifesym.report.units import apart
from lifesym.results import Result
from lifesym.symbols import TABLE
from lifesym.timed import Timed
from lifesym.trace import Trace

_METRICS = ("ttft", "tpot", "tps", "latency", "memory", "energy")
_LONG = 40
"""Rows of the longest table; the rest is counted."""


def html(shown: Any) -> str:
    """An object as an HTML table; where it has no numbers to show, the line that says why."""
    try:
        return _rows(shown)
    except LifesymError as error:
        return _table(type(shown).__name__, [], [[str(error)]])


@singledispatch
def _rows(shown: Any) -> str:
    """The table of an object of a class."""
    raise NotImplementedError(type(shown).__name__)


@_rows.register
def _(shown: Timed) -> str:
    title = f"{shown.model.name} on {shown.hardware.name}"
    said = [shown.described, f"engine {shown.engine.name}, {shown.attained}", *shown.notes]
    if isinstance(shown, Forecast | ConvForecast) and _is_number(shown):
        return _table(title, ["", "forecast", ""], forecast_rows(summary(shown)), said)
    rows = [[one.name, str(one).removeprefix(f"{one.single.name} ")] for one in _results(shown)]
    if shown.fits is not None:
        rows.append(["the memory", FITS[shown.fits]])
    return _table(f"{title}: {type(shown).__name__}", ["", ""], rows, said)


def _results(form: Timed) -> Iterable[Result]:
    """What is asked of every form, and its own results; what has no meaning for it is left out."""
    for metric in _METRICS:
        try:
            yield measure(form, metric)
        except LifesymError:
            continue
    yield from (one for one in form.more.values() if isinstance(one, Result))


def _is_number(form: Timed) -> bool:
    return not form.latency.expr.free_symbols and not form.memory.expr.free_symbols


@_rows.register
def _(shown: Model) -> str:
    rows = [
        ["family", shown.family],
        ["kind", shown.kind],
        ["parameters", _said(shown.parameters)],
        ["sections", sections(shown)],
        *([kind, "\n".join(lines)] for kind, lines in structure(shown).items()),
    ]
    if shown.context_limit is not None:
        rows.append(["positions", f"{shown.context_limit}"])
    return _table(shown.name, ["", ""], rows, shown.notes)


@_rows.register
def _(shown: Hardware) -> str:
    return _table(shown.name, ["", ""], shown_entry(figures(shown)), shown.notes)


@_rows.register
def _(shown: Trace) -> str:
    units = {"count": "", "operations": "FLOP", "bytes": "byte"}
    rows = [
        [v if isinstance(v, str) else _said(v, units[name]) for name, v in line.items()]
        for line in shown.table_at(Precision.of())
    ]
    header = ["section", "operator", *units]
    return _table(f"{len(shown)} operators, in bf16", header, rows, right=len(units))


@_rows.register
def _(shown: Design) -> str:
    word, own = TABLE[shown.symbol].word, TABLE[shown.symbol].unit
    rows = [[f"{shown.want} {word}", _said(shown.answer, own)]]
    if shown.next_misses is None:
        rows.append([f"{shown.name} there", _said(shown.achieved, shown.unit)])
    else:
        here, further = apart(shown.achieved, shown.next_misses, shown.unit)
        rows += [[f"{shown.name} there", here], [f"{shown.name} one further", further]]
    if shown.formula is not None:
        rows.append(["formula", str(shown.formula)])
    return _table(f"{shown.name}: target {_said(shown.target, shown.unit)}", ["", ""], rows)


@_rows.register
def _(shown: Regime) -> str:
    bounds = dict.fromkeys(shown.bounds.values())
    rows = [[f"{bound}-bound", ", ".join(shown.operators(bound))] for bound in bounds]
    rows += [["holds where", "\n".join(map(str, shown.conditions)) or "always"]]
    rows += [["formula", str(shown.expr)]]
    return _table("Regime", ["", ""], rows)


@_rows.register
def _(shown: Approximation) -> str:
    labels = {row.value: row.label for row in shown.rows}
    rows = [
        [labels.get(term, ""), str(term), f"{100 * shown.shares[term]:.3g} %"]
        for term in shown.kept
    ]
    error = f"{100 * shown.error.upper:.3g} %"
    title = f"{shown.name}: {len(shown.kept)} terms, {len(shown.dropped)} dropped"
    box = (f"{TABLE[s].word} from {_said(a)} to {_said(b)}" for s, (a, b) in shown.box.items())
    said = [f"at most {error} below the full formula, for {', '.join(box)}"]
    return _table(title, ["", f"term [{shown.unit}]", "share at most"], rows, said, right=1)


@_rows.register
def _(shown: Meeting) -> str:
    word, unit = TABLE[shown.symbol].word, TABLE[shown.symbol].unit
    rows = [[word, _said(shown.value, unit)]]
    if not shown.exact:
        rows.append(["between", f"{_said(shown.low, unit)} and {_said(shown.high, unit)}"])
    rows.append(["smaller above it", shown.smaller])
    if shown.formula is not None:
        rows.append(["formula", str(shown.formula)])
    return _table("Meeting", ["", ""], rows)


@_rows.register
def _(shown: Spread) -> str:
    rows = [
        [shown.name, _said(shown.value, shown.unit)],
        ["standard deviation", _said(shown.deviation, shown.unit)],
    ]
    rows += [
        [f"from {TABLE[symbol].word}", f"{100 * float(part):.3g} % of the variance"]
        for symbol, part in shown.parts.items()
    ]
    return _table("First-order propagation", ["", ""], rows)


@_rows.register(Fit)
@_rows.register(ImageFit)
def _(shown: Fit | ImageFit) -> str:
    form = shown.forecast
    rows = [[f"  {part.name}", _said(part.value, "byte")] for part in shown.room.parts]
    rows += [[result.name, str(result)] for result in shown.results]
    title = f"{form.model.name} in {form.hardware.name}"
    return _table(title, ["", ""], rows, [form.described, *form.notes], right=1)


def markdown(result: Result) -> str:
    r"""A result with name and unit: its number, or its equation, of a time in the paper form.

    >>> from lifesym import symbols as sym
    >>> print(markdown(Result(name="KV", unit="byte", expr=sym.batch * sym.past)))
    KV [byte]
    <BLANKLINE>
    $$
    \begin{aligned}
    \mathrm{KV} ={} &B\,T
    \end{aligned}
    $$
    """
    name = escape(result.name)
    number = "" if result.single.expr.free_symbols else str(result)
    if number and not result.expr.free_symbols:
        return f"{name}: {number}"
    in_terms = paper_form(result.paper(), "markdown") if result.terms else ""
    printed = in_terms or equation(result, "markdown")
    mean = f"\n\nMean over the generation: {number}" if number else ""
    return f"{name} [{result.unit}]\n\n{printed}{mean}"


def _said(value: Expr, unit: str = "") -> str:
    """A number with its unit, or a formula."""
    number = value.doit()
    return str(value) if number.free_symbols else amount(number, unit)


def _table(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    said: Iterable[str] = (),
    right: int = 0,
) -> str:
    """An HTML table with lines of text below; its last ``right`` columns are numbers."""
    columns = len(rows[0]) if rows else 0
    sides = ["left"] * (columns - right) + ["right"] * right

    def line(cells: Sequence[str], tag: str) -> str:
        made = (
            f'<{tag} style="text-align:{side}">{_text(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )
        return f"<tr>{''.join(made)}</tr>"

    body = [line(row, "td") for row in islice(rows, _LONG)]
    head = f"<thead>{line(header, 'th')}</thead>" if any(header) else ""
    left = [f"and {len(rows) - _LONG} rows more"] if len(rows) > _LONG else []
    below = "".join(f"<p>{_text(text)}</p>" for text in [*left, *said])
    caption = f'<caption style="text-align:left"><b>{_text(title)}</b></caption>'
    return f"<table>{caption}{head}<tbody>{''.join(body)}</tbody></table>{below}"


def _text(text: str) -> str:
    """Text of any kind in HTML, line by line."""
    return "<br>".join(escape(line) for line in text.splitlines())
