"""A formula as an author prints it: exact, in the paper form, shortened with a certified error."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from sympy import Add, Expr, Symbol, Tuple

from lifesym.analysis import Approximation, ShareBound, approximate
from lifesym.analysis.approximation import terms_over
from lifesym.analysis.groups import Grouping, groups
from lifesym.analysis.regime import Range
from lifesym.decided import decided
from lifesym.errors import SpecError, one_of
from lifesym.kinds import spans
from lifesym.nodes import Maximum, Minimum
from lifesym.report import equation, paper_form, short_form
from lifesym.report.breaking import TEXT_WIDTH
from lifesym.report.short_form import box_of
from lifesym.report.tables import Format, escape
from lifesym.results import Result
from lifesym.summands import WORKLOAD, Row
from lifesym.sums import SumMax
from lifesym.symbols import resolve
from lifesym.timed import Timed

Form = Literal["terms", "paper", "full"]


@dataclass(frozen=True, kw_only=True)
class Printed:
    """How a formula is printed.

    Attributes:
        form: an operator a row, the paper form, or all of it in one piece.
        fmt: text, LaTeX or Markdown.
        width: points of a line.
        digits: significant digits of numbers, with units; exact unless given.
        label: of the equation, in LaTeX; those of a short form and of numbers have -short and
            -numbers behind it.
        siunitx: whether numbers with units are that package's.
    """

    form: Form = "terms"
    fmt: Format = "text"
    width: float = TEXT_WIDTH
    digits: int | None = None
    label: str = ""
    siunitx: bool = False


@dataclass(frozen=True, kw_only=True)
class Shortening:
    """How a formula is shortened over a box: as far as an error allows, or to so many groups."""

    box: Mapping[str | Symbol, Range]
    within: float | None = None
    keep: int | None = None
    group: Grouping = "role"

    def of(self, form: Timed, result: Result) -> Approximation:
        """The short form of a result, in symbols, at the form's numbers.

        Raises:
            SpecError: no box, or not one of an error and a number of groups.
            SymbolError: as `lifesym.analysis.approximate`.
        """
        if not self.box:
            raise SpecError("a short form holds over ranges: give --range batch=1:64 ...")
        if (self.within is None) == (self.keep is None):
            raise SpecError("a short form is of one of --within and --keep")
        rule: dict[str, Any] = {"error": self.within} if self.keep is None else {"keep": self.keep}
        values = {symbol: value for symbol, value in form.point.items() if value.is_number}
        return approximate(result, self.box, values, group=self.group, gap=0.01, **rule)


def asked(options: Mapping[str, Any]) -> tuple[Printed, Shortening | None]:
    """How options say that a formula is printed, and shortened."""
    how = Printed(
        form=options["form"],
        fmt="text" if options["format"] == "json" else options["format"],
        width=options["width"] or TEXT_WIDTH,
        digits=options["digits"],
        label=options["label"] or "",
        siunitx=options["siunitx"],
    )
    within, keep, box = options["within"], options["keep"], spans(options["range_"])
    if within is None and keep is None:
        return how, None
    return how, Shortening(box=box, within=within, keep=keep, group=options["group"])


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """What is printed of a formula.

    Attributes:
        result: the formula, without what no maximum can be.
        parts: the formula, its short form, and that in numbers: what was asked for.
        symbols: the symbols in them.
        values: their numbers, where the formula stands for a model and a device that are known.
        short: the short form.
    """

    result: Result
    parts: tuple[str, ...]
    symbols: frozenset[Symbol]
    values: Mapping[Symbol, Expr]
    short: Approximation | None = None

    def data(self, form: Timed) -> dict[str, Any]:
        """The formula, its legend and its short form for JSON."""
        result = self.result
        told = ("word", "latex", "unit", "meaning")
        rows = ({"symbol": r.name} | {n: getattr(r, n) for n in told} for r in result.legend())
        said = {"engine": form.engine.name, "efficiencies": form.attained}
        data: dict[str, Any] = {"unit": result.unit, "expr": str(result.expr)}
        data |= {"latex": result.latex(), "legend": [*rows], **said, "notes": list(form.notes)}
        if self.short is not None:
            bound = self.short.error
            at = {symbol.name: value for symbol, value in bound.at.items()}
            kept = [{"group": row.label, "expr": str(row.value)} for row in self.short.rows]
            error = {"at_most": bound.upper, "reached": bound.lower, "at": at}
            data["short"] = {"kept": kept, "error": error}
        return data


def derivation(
    form: Timed, result: Result, how: Printed, short: Shortening | None = None
) -> Derivation:
    """A result's formula, exact or in the paper form; or short, with what that costs at worst.

    Raises:
        SpecError, SymbolError: what cannot be printed so, or shortened.
    """
    one_of(how.form, get_args(Form), "form")
    result = _settled(result)
    opened = result.in_symbols if how.form == "paper" or short else result
    values: dict[Symbol, Expr] = {}
    if opened is not result:
        varied = WORKLOAD if short is None or how.form == "paper" else map(resolve, short.box)
        open_ = frozenset(varied)
        values = {s: v for s, v in form.point.items() if v.is_number and s not in open_}
    parts: list[str] = []
    named: tuple[str, ...] = ()
    if how.form == "paper":
        paper = result.paper()
        named = (*paper.rates, *paper.sizes)
        parts.append(paper_form(paper, how.fmt, how.width, how.label))
    elif short is None:
        parts.append(_exact(result, how))
    symbols = opened.expr.free_symbols
    found = None
    if short is not None:
        found = short.of(form, opened)
        lead = [_regime(form, opened, found, how.fmt)] if how.form == "paper" else []
        label = f"{how.label}-short" if how.label else ""
        parts += [*lead, short_form(found, how.fmt, how.width, label=label, known=named)]
        symbols = symbols if how.form == "paper" else found.expr.free_symbols
    if found is not None and how.digits is not None:
        label = f"{how.label}-numbers" if how.label else ""
        numbers = in_numbers(opened, found)
        more: Any = {"digits": how.digits, "label": label, "siunitx": how.siunitx}
        parts.append(short_form(numbers, how.fmt, how.width, **more))
    return Derivation(
        result=result,
        parts=tuple(parts),
        symbols=frozenset(symbols),
        values=values,
        short=found,
    )


def _settled(result: Result) -> Result:
    """The result without the arguments of maxima that never count."""
    expr, *busy = decided(Tuple(result.expr, *(term.busy for term in result.terms)))
    terms = tuple(replace(term, busy=b) for term, b in zip(result.terms, busy, strict=True))
    return replace(result, expr=expr, terms=terms)


def _exact(result: Result, how: Printed) -> str:
    """The formula by operators, or in one piece."""
    if how.form == "full":
        result = Result(name=result.name, unit=result.unit, expr=result.expr)
    return equation(
        result, how.fmt, how.width, digits=how.digits, label=how.label, siunitx=how.siunitx
    )


def in_numbers(opened: Result, found: Approximation) -> Approximation:
    """All the terms where the ranges decide every maximum, and so without an error; else those."""
    terms = terms_over(opened.expr.xreplace(found.values), found.box, {})
    if any(term.has(Maximum, Minimum, SumMax) for term in terms):
        return found
    exact = ShareBound(lower=0.0, upper=0.0, at={}, boxes=0)
    return replace(found, expr=Add(*terms), rows=tuple(Row(t, "") for t in terms), error=exact)


def _regime(form: Timed, opened: Result, found: Approximation, fmt: Format) -> str:
    """On what, over what, and what binds there."""
    where = {**found.box, **{s: (v, v) for s, v in found.values.items()}}
    rows = groups(opened, "regime", where)
    bound = {row.label for row in rows} - {"launches", "links"}
    said = "operators are bound by memory or by compute"
    if len(bound) == 1 and bound <= {"memory", "compute"}:
        said = f"every operator is bound by {bound.pop()}"
    elif "switching" in bound:
        said = "operators are bound by memory or by compute, and some change between them"
    device = escape(form.hardware.name, fmt)
    return f"On {device}, for {box_of(found.box, fmt)}, {said}:"
