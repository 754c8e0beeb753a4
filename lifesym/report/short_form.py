r"""A certified short form as text, LaTeX and Markdown: few terms, and what they cost at worst."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Protocol, runtime_checkable

from sympy import Add, Expr, Symbol

from lifesym.amounts import coefficients
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.named import Named
from lifesym.named_rates import launches, with_rates
from lifesym.printing import latex
from lifesym.report.breaking import TEXT_WIDTH
from lifesym.report.equations import display
from lifesym.report.paper_form import definition, joined, lines_of, plain
from lifesym.report.rounded import rounded
from lifesym.report.tables import Format
from lifesym.report.units import quantity
from lifesym.spelling import letter, spelling, spelt
from lifesym.summands import Row

_LETTERS = {
    "weights": ("M_w", "byte", "bytes of the weights"),
    "KV cache": ("m_kv", "byte", "cached bytes a token"),
    "activations": ("m_a", "byte", "bytes of activations"),
    "lookups": ("m_l", "byte", "bytes of rows that are looked up"),
    "traffic": ("M", "byte", "bytes"),
    "memory": ("M", "byte", "bytes"),
    "products": ("F", "FLOP", "operations of products"),
    "elementwise": ("F_v", "FLOP", "elementwise operations"),
    "compute": ("F", "FLOP", "operations"),
}


class Bound(Protocol):
    """What an error is at most, and where what is reached."""

    @property
    def lower(self) -> float:
        """An error that is reached."""

    @property
    def upper(self) -> float:
        """One that is exceeded nowhere."""

    @property
    def at(self) -> dict[Symbol, float]:
        """Where the lower one is reached."""


@runtime_checkable
class Shortened(Protocol):
    """A formula of which terms were dropped."""

    @property
    def name(self) -> str:
        """What it is of."""

    @property
    def unit(self) -> str:
        """Its SI unit."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """The terms that were kept."""

    @property
    def error(self) -> Bound:
        """The error of that."""

    @property
    def box(self) -> dict[Symbol, tuple[Expr, Expr]]:
        """Where it holds."""

    @property
    def values(self) -> dict[Symbol, Expr]:
        """The numbers of the other symbols."""


@dataclass(frozen=True)
class _Name:
    """A coefficient's name, value and what it is."""

    name: str
    part: Expr
    unit: str
    said: str


@checked
def short_form(
    short: Shortened,
    fmt: Format = "text",
    width: float = TEXT_WIDTH,
    *,
    digits: int | None = None,
    label: str = "",
    siunitx: bool = False,
    known: Collection[str] = (),
) -> str:
    """A short form with its error, where it holds, and what its names stand for.

    With ``digits`` its numbers stand in the formula, with units. Names that are ``known`` are not
    explained again.
    """
    if not isinstance(short, Shortened):
        raise SymbolError(f"a short form is what approximate gives, not {type(short).__name__}")
    if digits is not None:
        return _in_numbers(short, fmt, width, digits, label, siunitx)
    shown, names = _shown(short)
    rates = _rates(shown, {*known, *(name.name for name in names)})
    if fmt == "text":
        lines = [f"{short.name} [{short.unit}] {_sign(short, fmt)}"]
        for i, row in enumerate(shown):
            note = f"    # {row.label}" if row.label else ""
            lines.append(f"  {'+' if i else ' '} {row.value}{note}")
        lines.append(f"with {error_of(short)}")
        lines += [
            f"    {n.name} = {_value(n, short.values)}    # {n.said}: {n.part}" for n in names
        ]
        return "\n".join(lines)
    body = joined(plain(latex(row.value, fold_short_frac=True)) for row in shown)
    head = f"{spelt(short.name)} {_sign(short, fmt)}{{}} "
    parts = [display(lines_of(head, body, width), fmt, label)]
    said = [f"${definition(name, rate)}$" for name, rate in rates.items()]
    said += [f"${spelt(n.name)}$ = {_tex(_value(n, short.values))} ({n.said})" for n in names]
    parts.append(f"with {error_of(short, fmt)}" + (": " + ", ".join(said) if said else "") + ".")
    return "\n".join(parts)


def _shown(short: Shortened) -> tuple[list[Row], list[_Name]]:
    """The rows in names of their coefficients."""
    shown, names = [], []
    for row in short.rows:
        letters, unit, said = _LETTERS.get(row.label, ("", "", ""))
        if not letters:
            value = launches(row.value) if row.label == "launches" else with_rates(row.value)
            shown.append(Row(value, row.label))
            continue
        taken = {spelling(symbol) for each in short.rows for symbol in each.value.free_symbols}
        letters = rf"\bar{{{spelt(letters)}}}" if spelt(letters) in taken else letters
        value, parts = coefficients(row.value, letters)
        names += [_Name(name, part, unit, said) for name, part in parts.items()]
        shown.append(Row(value, row.label))
    return shown, names


def _rates(rows: Iterable[Row], known: Collection[str]) -> dict[str, Expr]:
    """The names of rates in some rows."""
    nodes = {node for row in rows for node in row.value.atoms(Named)}
    found = {str(node): node.args[0] for node in nodes}
    return {name: found[name] for name in sorted(found) if name not in known}


def _value(name: _Name, values: Mapping[Symbol, Expr]) -> str:
    return quantity(name.part.xreplace(dict(values)), name.unit, 3)


def _tex(text: str) -> str:
    return text.replace("µ", r"$\mu$").replace(" ", "~").replace("%", r"\%")


def _in_numbers(
    short: Shortened, fmt: Format, width: float, digits: int, label: str, siunitx: bool
) -> str:
    """The formula in the symbols of the box alone."""
    whole = Add(*(row.value for row in short.rows)).xreplace(short.values)
    shown = rounded(whole, short.unit, digits, fmt, siunitx=siunitx)
    if fmt == "text":
        return f"{short.name} {_sign(short, fmt)} {shown}    # {error_of(short)}"
    head = f"{spelt(short.name)} {_sign(short, fmt)}{{}} "
    parts = [display(lines_of(head, shown, width), fmt, label), f"with {error_of(short, fmt)}."]
    return "\n".join(parts)


def _sign(short: Shortened, fmt: Format) -> str:
    """Whether the formula is the long one, or near it."""
    if short.error.upper == 0:
        return "="
    return "≈" if fmt == "text" else r"\approx"


def error_of(short: Shortened, fmt: Format = "text") -> str:
    """The error, where it is reached, and the box, in words."""
    where = box_of(short.box, fmt)
    if short.error.upper < _NOTHING:
        return f"no terms left out, so exact, for {where}"
    free = [s for s in short.error.at if s in short.box]
    spelt_ = spelling if fmt != "text" else letter
    equal = ", ".join(f"{spelt_(s)} = {short.error.at[s]:.4g}" for s in free)
    at = equal if fmt == "text" else f"${equal}$"
    most, reached = (f"{100 * e:.2g} %" for e in (_up(short.error.upper), short.error.lower))
    said = f"an error of at most {most} for {where} ({reached} at {at})"
    return said if fmt != "latex" else said.replace(" %", r"\,\%")


_NOTHING = 1e-9


def _up(error: float) -> float:
    """An error rounded up in its second digit, as it is printed."""
    step = 10.0 ** (floor(log10(error)) - 1)
    return ceil(error / step) * step


def box_of(box: Mapping[Symbol, tuple[Expr, Expr]], fmt: Format = "text") -> str:
    """The ranges of a box in words."""
    ends = [
        f"{low} <= {letter(symbol)} <= {high}"
        if fmt == "text"
        else rf"${low} \le {spelling(symbol)} \le {high}$"
        for symbol, (low, high) in box.items()
    ]
    return " and ".join(ends)
