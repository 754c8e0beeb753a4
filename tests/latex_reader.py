r"""LaTeX of formulas read back, for tests: what `lifesym.printing` and the paper form print.

A reader of its own: juxtaposed factors, fractions, powers, sums, maxima, minima, rounded quotients,
logarithms and sums over an index. Names are known by how they are spelt.
"""

import re
from collections.abc import Mapping

from sympy import Add, Expr, Integer, Rational, Sum, log

from lifesym.nodes import CeilDiv, CeilLog2, FloorDiv, Maximum, Minimum
from lifesym.remainders import LastChunk
from lifesym.spelling import spelling, spelt
from lifesym.symbols import TABLE, bandwidth, index, vector_peak
from lifesym.tau import Tau

_SPACE = re.compile(r"(\\,|\\quad|\\;|~|\s|\{\}|\\Bigl|\\Bigr|\\left|\\right|&|\\\\|\\notag)+")
_NUMBER = re.compile(r"\d+")


class Reader:
    """A recursive descent over one formula."""

    def __init__(self, text: str, names: Mapping[str, Expr], rates: tuple[Expr, ...] = ()) -> None:
        self.text, self.at, self.rates = text, 0, rates
        known: dict[str, Expr] = {spelling(symbol): symbol for symbol in TABLE}
        known |= {spelt(name): part for name, part in names.items()}
        known["i"] = index
        self.names = sorted(known.items(), key=lambda item: -len(item[0]))

    def read(self) -> Expr:
        value = self.sum()
        self.skip()
        assert self.at == len(self.text), f"left: {self.text[self.at :]!r}"
        return value

    def skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        while found and found.end() > self.at:
            self.at = found.end()
            found = _SPACE.match(self.text, self.at)

    def take(self, word: str) -> bool:
        self.skip()
        if self.text.startswith(word, self.at):
            self.at += len(word)
            return True
        return False

    def need(self, word: str) -> None:
        assert self.take(word), f"no {word!r} at {self.text[self.at : self.at + 40]!r}"

    def sum(self) -> Expr:
        terms = []
        sign = -1 if self.take("-") else 1
        terms.append(sign * self.product())
        while True:
            if self.take("+"):
                sign = -1 if self.take("-") else 1
            elif self.take("-"):
                sign = -1
            else:
                return Add(*terms)
            terms.append(sign * self.product())

    def product(self) -> Expr:
        value = self.power()
        while True:
            self.skip()
            if self.take("/"):
                value = value / self.power()
            elif self.take("\\cdot") or self.starts():
                value = value * self.power()
            else:
                return value

    def starts(self) -> bool:
        """Whether a factor begins here."""
        rest = self.text[self.at :]
        return bool(rest) and not rest.startswith(
            ("+", "-", ",", ")", "}", "]", "\\right", "\\rceil", "\\rfloor")
        )

    def power(self) -> Expr:
        value = self.atom()
        self.skip()
        if self.take("^"):
            return value ** (self.group() if self.text[self.at] == "{" else self.atom())
        return value

    def group(self) -> Expr:
        self.need("{")
        value = self.sum()
        self.need("}")
        return value

    def arguments(self) -> list[Expr]:
        self.need("(")
        values = [self.sum()]
        while self.take(","):
            values.append(self.sum())
        self.need(")")
        return values

    def rounded(self, kind: type, side: str) -> Expr:
        """A quotient between its marks: its two parts are those of the fraction."""
        if kind is CeilDiv and self.take("\\log_{2}"):
            value = CeilLog2(self.group())
        else:
            inside = self.sum()
            value = kind(*inside.as_numer_denom())
        self.need(side)
        return value

    def atom(self) -> Expr:
        self.skip()
        value = self.function()
        return self.plain() if value is None else value

    def function(self) -> Expr | None:
        """What begins with a command."""
        if self.take("\\frac"):
            return self.group() / self.group()
        for word, kind in (("\\max", Maximum), ("\\min", Minimum)):
            if self.take(word):
                power = self.group() if self.take("^") else 1
                return kind(*self.arguments()) ** power
        if self.take("\\lceil"):
            return self.rounded(CeilDiv, "\\rceil")
        if self.take("\\lfloor"):
            return self.rounded(FloorDiv, "\\rfloor")
        if self.take("R_{"):
            pieces = [self.sum()]
            self.need(",")
            pieces.append(self.sum())
            self.need("}")
            return LastChunk(*pieces)
        if self.take("\\log"):
            return log(self.atom())
        if self.take("\\sum_{i=0}^"):
            last = self.group()
            return Sum(self.product(), (index, 0, last))
        if self.text.startswith("\\tau", self.at) and self.text[self.at + 4 : self.at + 5] != "_":
            self.at += 4
            rates = [*self.rates]
            if self.take("^{"):
                while not self.take("}"):
                    rate = self.plain()
                    place = 2 if rate.has(bandwidth) else 1 if rate.has(vector_peak) else 0
                    rates[place] = rate
                    self.take(",")
            return Tau(*self.arguments(), *rates).written
        return None

    def plain(self) -> Expr:
        """A number, a name, or what is in parentheses or braces."""
        number = _NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            return Rational(number.group()) if number else Integer(0)
        for word, value in self.names:
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        if self.take("("):
            value = self.sum()
            self.need(")")
            return value
        if self.text.startswith("{", self.at):
            return self.group()
        raise AssertionError(f"cannot read {self.text[self.at : self.at + 40]!r}")
