r"""A short LaTeX article of a forecast, that an author can paste from.

TTFT and TPOT in the paper form, short forms with certified errors, the symbols with their numbers,
a table of operators, a figure, the conventions in a footnote, and BibTeX of the sources of every
operator. It needs amsmath and graphicx, and has booktabs where that is installed.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from sympy import Expr, S, Symbol

from lifesym import symbols as sym
from lifesym.analysis.regime import Range
from lifesym.checks import checked
from lifesym.derivation import Printed, Shortening, derivation
from lifesym.errors import LifesymError, SpecError, one_of
from lifesym.operators import Operator
from lifesym.operators.fused import Fused
from lifesym.printing import legend
from lifesym.references import bibtex, cited
from lifesym.report import equation, legend_table, work_table
from lifesym.report.tables import escape
from lifesym.results import Result
from lifesym.symbols import Notation
from lifesym.timed import Timed

Columns = Literal["one", "two"]
_WIDTHS = {"one": 480, "two": 240}
_PACKAGES = r"""\usepackage[a4paper,textwidth=498pt,textheight=730pt,columnsep=18pt]{geometry}
\usepackage{amsmath,graphicx,longtable}
\IfFileExists{booktabs.sty}{\usepackage{booktabs}}%
  {\let\toprule\hline\let\midrule\hline\let\bottomrule\hline}
\allowdisplaybreaks
\sloppy
"""
_BIBLIOGRAPHY = r"""\bibliographystyle{plain}
{\footnotesize\bibliography{references}}"""
_BATCHES, _CONTEXTS, _PROMPTS = (1, 64), (0, 8192), (128, 8192)
_OURS = "lifesym, after LIFE, arXiv 2508.00904"


@checked
def document(
    form: Timed,
    title: str,
    columns: Columns = "one",
    *,
    figure: str = "",
    keep: int = 3,
    box: Mapping[str | Symbol, Range] | None = None,
) -> str:
    """The LaTeX source of the article.

    Args:
        form: a forecast, or what is served.
        title: of the article.
        columns: one or two on a page.
        figure: the file of a figure, which is then included.
        keep: groups of terms in the short forms.
        box: where those hold; unless given 1 to 64 sequences, contexts up to 8,192 tokens and
            prompts from 128 to 8,192, as far as the model has positions.

    Raises:
        SpecError, SymbolError: what cannot be printed.
    """
    one_of(columns, get_args(Columns), "columns")
    width = _WIDTHS[columns]
    options = "10pt,twocolumn" if columns == "two" else "10pt"
    parts = [
        rf"\documentclass[{options}]{{article}}" + "\n" + _PACKAGES + r"\begin{document}",
        rf"\section*{{{escape(title, 'latex')}}}",
        _about(form),
    ]
    formulas: list[list[str]] = []
    symbols: set[Symbol] = set()
    values: Mapping[Symbol, Expr] = {}
    for result, label, ranges in _results(form):
        known = ranges | {sym.resolve(name): ends for name, ends in (box or {}).items()}
        free = result.in_symbols.expr.free_symbols
        mine = {symbol: ends for symbol, ends in known.items() if symbol in free}
        found, used, values = _formula(form, result, label, width, keep, mine)
        formulas.append([rf"\subsection*{{{escape(result.name, 'latex')}}}", *found])
        symbols |= used
    tables = [_symbols(legend(*symbols), values)] if symbols else []
    tables += [_work(form)]
    floats = _floats([table for table in tables if table], _figure(form, figure), columns)
    first, *others = formulas
    parts += [*first, *floats, *(part for formula in others for part in formula)]
    keys = ",".join(entry.key for entry in cited(_sources(form)))
    parts.append(rf"\nocite{{{keys}}}" + "\n" + _BIBLIOGRAPHY)
    return "\n\n".join([*parts, "\\end{document}\n"])


@checked
def write_article(
    form: Timed, folder: str | Path, title: str = "", columns: Columns = "two", **options: Any
) -> Path:
    """The article with all that it includes: ``article.tex``, ``figure.pdf``, ``references.bib``.

    Returns the path of the article.

    Raises:
        SpecError: a folder that cannot be written; and as `document`.
    """
    from lifesym.plots import save, style  # noqa: PLC0415 (Matplotlib)

    target = Path(folder)
    title = title or f"{form.model.name} on {form.hardware.name}"
    try:
        target.mkdir(parents=True, exist_ok=True)
        made = _drawn(form, style(_WIDTHS["two"]))
        if made is not None:
            save(made, target / "figure.pdf")
        figure = "figure.pdf" if made is not None else ""
        text = document(form, title, columns, figure=figure, **options)
        (target / "article.tex").write_text(text, encoding="utf-8")
        (target / "references.bib").write_text(bibtex(_sources(form)), encoding="utf-8")
    except OSError as problem:
        raise SpecError(f"{folder}: {problem.strerror}") from None
    return target / "article.tex"


def _results(form: Timed) -> list[tuple[Result, str, dict[Symbol, Range]]]:
    """What the article is about: TTFT, and TPOT of what generates, with labels and ranges."""
    rows: list[tuple[Result, str, dict[Symbol, Range]]]
    rows = [(form.ttft, "eq:ttft", {sym.batch: _BATCHES, sym.prompt: _PROMPTS})]
    if form.generate != 0:
        rows.append((form.tpot, "eq:tpot", {sym.batch: _BATCHES, sym.past: _CONTEXTS}))
    limit = getattr(form.model, "context_limit", None)
    if limit is not None and S(limit).is_number:
        for _, _, ranges in rows:
            for symbol in {sym.prompt, sym.past} & ranges.keys():
                low, high = ranges[symbol]
                ranges[symbol] = (min(low, limit // 2), min(high, limit // 2))
    return rows


def _formula(
    form: Timed,
    result: Result,
    label: str,
    width: float,
    keep: int,
    box: Mapping[Symbol, Range],
) -> tuple[list[str], frozenset[Symbol], Mapping[Symbol, Expr]]:
    """A formula in the paper form and its short form; as it is where it has neither."""
    opened = result.in_symbols
    if not opened.terms:
        plain = equation(result, "latex", width, label=label)
        return [plain], frozenset(result.expr.free_symbols), {}
    known = {symbol for symbol, value in form.point.items() if value.is_number}
    lacking = opened.expr.free_symbols - known - box.keys()
    short = None if lacking or not box else Shortening(box=box, keep=keep)
    how = Printed(form="paper", fmt="latex", width=width, digits=3, label=label)
    try:
        made = derivation(form, result, how, short)
    except LifesymError:  # a node without interval bounds: the formula is printed without
        if short is None:
            raise
        made = derivation(form, result, how)
    return [*made.parts], made.symbols, made.values


def _about(form: Timed) -> str:
    """What the formulas are of, with the conventions in a footnote."""
    names = f"{escape(form.model.name, 'latex')} on {escape(form.hardware.name, 'latex')}"
    said = [
        f"engine {form.engine.name}: {form.engine.meaning}",
        f"{form.attained}",
        "a multiply-add is two operations",
        "1 GB is a billion bytes",
        *form.notes,
    ]
    notes = escape("; ".join(text.rstrip(".") for text in said), "latex")
    formats = escape(form.described, "latex")
    return (
        f"Times of {names}, with {formats}.\\footnote{{Conventions: {notes}.}} Each operator takes "
        "the longer of its compute time and its memory time, and its launch."
    )


def _symbols(rows: Sequence[Notation], values: Mapping[Symbol, Expr]) -> str:
    """The table of symbols."""
    table = legend_table(rows, "latex", values, _WIDTHS["two"])
    return f"{table}\n\\caption{{Symbols and their values.}}\\label{{tab:symbols}}"


def _work(form: Timed) -> str:
    """The table of operators, of a decode step at the first context or a pass; if in numbers."""
    result = form.ttft if form.generate == 0 else form.tpot.first
    what = "one pass" if form.generate == 0 else "one decode step"
    if not result.terms or any(term.time.free_symbols for term in result.terms):
        return ""
    table = work_table(result, {}, "latex", width=_WIDTHS["two"])
    return f"{table}\n\\caption{{Work of {what}, all layers together.}}\\label{{tab:work}}"


def _floats(tables: Sequence[str], figure: str, columns: Columns) -> list[str]:
    """Tables and figure, all of a column's width: a float each, or side by side in one."""
    small = "\\centering\\scriptsize\\setlength{\\tabcolsep}{2pt}\n"
    if columns == "two":
        made = [f"\\begin{{table}}[tb]\n{small}{table}\n\\end{{table}}" for table in tables]
        return [*made, f"\\begin{{figure}}[tb]\n{figure}\n\\end{{figure}}"] if figure else made
    shown = f"\\makeatletter\\def\\@captype{{figure}}\\makeatother\n{figure}" if figure else ""
    sides = ["\n\n\\bigskip\n".join(tables), shown]
    page = f"\\begin{{minipage}}[t]{{{_WIDTHS['two']}pt}}\n{small}"
    inside = "\\hfill\n".join(f"{page}{side}\n\\end{{minipage}}" for side in sides if side)
    return [f"\\begin{{table}}[!tb]\n{inside}\n\\end{{table}}"] if inside else []


def _figure(form: Timed, path: str) -> str:
    what = "TTFT over the prompt" if form.generate == 0 else "A decode step's time over its context"
    if not path:
        return ""
    return (
        f"\\centering\\includegraphics{{{path}}}\n"
        f"\\caption{{{what}, by group of operators.}}\\label{{fig:time}}"
    )


def _drawn(form: Timed, style: Any) -> Any:
    """The figure; None of what has symbols left, or no sum of operators."""
    import numpy as np  # noqa: PLC0415 (slow to import)

    from lifesym.plots import stacked_time  # noqa: PLC0415 (Matplotlib)

    result, _, ranges = _results(form)[-1]
    over = sym.prompt if form.generate == 0 else sym.past
    opened = result.in_symbols
    values = {s: v for s, v in form.point.items() if v.is_number and s != over}
    if not opened.terms or over not in opened.expr.free_symbols:
        return None
    if opened.expr.free_symbols - {over} - values.keys():
        return None
    low, high = ranges[over]
    with style:
        return stacked_time(opened, over, np.linspace(float(low), float(high), 65), values)


def _sources(form: Timed) -> Iterable[str]:
    """The sources of the model of time and of every operator that runs."""
    found = [_OURS]
    trace = getattr(form.main, "trace", None)
    if trace is not None:
        for entry in trace(new=1, past=0 if form.generate == 0 else 1):
            found += _references(entry.operator)
    return found


def _references(operator: Operator) -> list[str]:
    if isinstance(operator, Fused):
        return [operator.reference, *(r for part in operator.parts for r in _references(part))]
    return [operator.reference]
