r"""Formulas with numbers as people write them: so many digits, SI prefixes, the unit beside them.

>>> from lifesym import symbols as sym
>>> from sympy import Rational
>>> rounded(Rational("0.0147") + Rational("592e-9") * sym.batch * sym.past, "s", 3)
'14.7 ms + 592 ns·B·T'
"""

from itertools import chain

from sympy import Add, Expr, Float, Mul, Rational, S, Symbol

from lifesym.checks import checked
from lifesym.errors import SpecError
from lifesym.nodes import Maximum, Minimum
from lifesym.powers import written
from lifesym.printing import latex
from lifesym.report.tables import Format
from lifesym.report.units import PHYSICAL, check_digits, fixed, prefixed
from lifesym.spelling import letter
from lifesym.summands import WORKLOAD
from lifesym.sums import SumMax
from lifesym.symbols import TABLE, ordered

_UNITS = {"byte": "B", "byte/s": "B/s"}
_QTY = {
    "s": r"\second",
    "byte": r"\byte",
    "J": r"\joule",
    "W": r"\watt",
    "byte/s": r"\byte\per\second",
}
_PREFIX = {
    **{"T": r"\tera", "G": r"\giga", "M": r"\mega", "k": r"\kilo"},
    **{"": "", "m": r"\milli", "µ": r"\micro", "n": r"\nano", "p": r"\pico"},
}
_PLAIN = (-4, 6)
"""Powers of ten between which a number without a unit is written out."""
_PURE = ("size", "ratio")
"""Kinds of symbols without a unit of time, of bytes or of energy."""


@checked
def rounded(
    expr: Expr, unit: str, digits: int = 3, fmt: Format = "text", *, siunitx: bool = False
) -> str:
    r"""The formula, its lowest powers of the workload first.

    Args:
        expr: a formula whose symbols are those of the workload; each summand is of the unit.
        unit: the SI unit of its value; numbers of another unit, such as tokens, stand alone.
        digits: significant digits of every number, 1 to 15.
        fmt: text, or LaTeX (also in Markdown).
        siunitx: whether LaTeX has the package's ``\qty``.

    Raises:
        SpecError: a symbol that is not of the workload, so that its numbers have other units; or
            so many digits that no number has them.
    """
    check_digits(digits)
    others = [symbol for symbol in ordered(expr.free_symbols) if TABLE[symbol].kind not in _PURE]
    if others:
        words = ", ".join(TABLE[symbol].word for symbol in others)
        raise SpecError(f"digits with units need numbers for {words}: name a device")
    return _Rounder(unit, digits, fmt, siunitx).sum(written(expr))


class _Rounder:
    """One formula on its way."""

    def __init__(self, unit: str, digits: int, fmt: Format, siunitx: bool) -> None:
        self.unit, self.digits, self.siunitx = unit, digits, siunitx
        self.text = fmt == "text"

    @property
    def dot(self) -> str:
        """What stands between factors."""
        return "·" if self.text else r"\,"

    def sum(self, expr: Expr) -> str:
        terms = sorted((_whole(term) for term in Add.make_args(spread(expr))), key=_degree)
        first = next((i for i, t in enumerate(terms) if not t.could_extract_minus_sign()), 0)
        terms = [terms[first], *terms[:first], *terms[first + 1 :]]
        text = ""
        for term in terms:
            negative = bool(term.as_coeff_Mul()[0].is_negative)
            sign = "-" if negative else "+"
            lead = f" {sign} " if text else "-" * negative
            text += lead + self.term(-term if negative else term)
        return text

    def term(self, expr: Expr) -> str:
        coefficient, rest = expr.as_coeff_Mul()
        node = next((f for f in Mul.make_args(rest) if isinstance(f, Maximum | Minimum)), None)
        if node is not None and coefficient.is_positive and not node.is_number:
            return self.extremum(node, coefficient, rest / node)
        if rest is S.One:
            return self.number(coefficient)
        if coefficient is S.One and self.unit not in PHYSICAL:
            return self.factors(rest)
        return f"{self.number(coefficient)}{self.dot}{self.factors(rest)}"

    def extremum(self, node: Expr, coefficient: Expr, others: Expr) -> str:
        """A maximum with its numbers inside: a whole number of times stays before it."""
        inside = S.One if coefficient.is_Integer else coefficient
        body = ", ".join(self.sum(inside * arg) for arg in node.args)
        word = node.word if self.text else f"\\{node.word}"
        shown = f"{word}({body})" if self.text else rf"{word}\left({body}\right)"
        before = coefficient / inside * others
        return shown if before is S.One else f"{self.factors(before)}{self.dot}{shown}"

    def number(self, value: Expr) -> str:
        if self.unit not in PHYSICAL:
            return self.bare(float(value))
        shown, prefix = prefixed(float(value), self.unit, self.digits)
        unit = _UNITS.get(self.unit, self.unit)
        if self.text:
            return f"{shown} {prefix}{unit}"
        if self.siunitx and self.unit in _QTY:
            return rf"\qty{{{shown}}}{{{_PREFIX[prefix]}{_QTY[self.unit]}}}"
        micro = r"\mu" if prefix == "µ" else ""
        return rf"{shown}\,{micro}\mathrm{{{unit if micro else prefix + unit}}}"

    def bare(self, value: float) -> str:
        """A number without a unit: a prefix alone would be read as a symbol."""
        mantissa, _, exponent = f"{value:.{self.digits - 1}e}".partition("e")
        power = int(exponent)
        if value == 0 or _PLAIN[0] < power < _PLAIN[1]:
            return fixed(f"{value:.{self.digits}g}")
        mantissa = f"{float(mantissa):.{self.digits}g}"
        return f"{mantissa}e{power}" if self.text else rf"{mantissa} \cdot 10^{{{power}}}"

    def factors(self, expr: Expr) -> str:
        """What a number is multiplied by, with its own numbers in digits."""
        numbers = {n: Float(n, self.digits + 1) for n in expr.atoms(Rational) if not n.is_Integer}
        plain = expr.xreplace(numbers)
        if not self.text:
            printed = latex(plain)
            return rf"\left({printed}\right)" if plain.is_Add else printed
        letters = {symbol: Symbol(letter(symbol)) for symbol in plain.free_symbols}
        printed = str(plain.xreplace(letters)).replace("**", "^").replace("*", "·")
        return f"({printed})" if plain.is_Add else printed


def _whole(term: Expr) -> Expr:
    """A term whose sums have whole coefficients without a common factor, which is in front."""
    for base, exponent in term.as_powers_dict().items():
        if isinstance(base, Add) and exponent.is_Integer:
            content, rest = base.primitive()
            term = term / base**exponent * content**exponent * rest**exponent
    return term


def spread(expr: Expr) -> Expr:
    """A polynomial multiplied out; a formula with maxima as it is."""
    return expr if expr.has(Maximum, Minimum, SumMax) else expr.expand()


def _degree(expr: Expr) -> tuple[int, int, list[int]]:
    """Numbers first, then by degree and by the table's order of the workload; maxima last."""
    powers = expr.as_powers_dict()
    degrees = [int(powers.get(s, 0)) if powers.get(s, S.Zero).is_Integer else 0 for s in WORKLOAD]
    others = sum(not base.is_number and base not in WORKLOAD for base in powers)
    return others, sum(degrees), [-d for d in chain(degrees)]
