r"""Remainders by name: what a quotient rounded down leaves over is known to be less than a divisor.

Of $T - 128 \lfloor T/128 \rfloor$ the two parts grow without end while it stays within 0 and 127:
interval arithmetic, which takes them for independent, loses every bound. So the remainder gets a
name of its own wherever it stands in a sum, also multiplied out. The last chunk of a prompt has one
already (`lifesym.remainders`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sympy import Add, Dummy, Expr, Mul, Pow, Symbol

from lifesym.nodes import FloorDiv
from lifesym.remainders import differences, functions_in


@dataclass(frozen=True)
class Remainder:
    """A remainder of whole numbers: ``top`` less the whole multiples of ``bottom`` in ``taken``.

    Attributes:
        top: what is divided.
        taken: the multiple of the divisor that is taken away.
        bottom: the divisor.
    """

    top: Expr
    taken: Expr
    bottom: Expr


def remainders(exprs: Sequence[Expr]) -> tuple[list[Expr], dict[Symbol, Remainder]]:
    """The expressions with their remainders as symbols, and what these stand for.

    >>> from lifesym.symbols import prompt
    >>> (named,), found = remainders([3 * prompt - 192 * FloorDiv(prompt, 64) + 200])
    >>> [(named - 3 * name, each.taken) for name, each in found.items()]
    [(200, 64*FloorDiv(prompt, 64))]
    """
    found: dict[Symbol, Remainder] = {}
    inside: dict[Expr, frozenset[Expr]] = {}
    made = [*exprs]
    within = [functions_in(expr, inside) for expr in made]
    quotients = [e for e in frozenset().union(*within) if isinstance(e, FloorDiv)]
    for quotient in sorted(quotients, key=str):
        number, symbol = quotient.args[0].as_coeff_Add()
        if not symbol.is_Symbol or quotient.args[1].has(symbol):
            continue
        named = _Namer(quotient, symbol, number, inside)
        for i in (i for i, functions in enumerate(within) if quotient in functions):
            after = named.walk(made[i])
            if after != made[i]:
                made[i], within[i] = after, functions_in(after, inside)
                found[named.name] = named.remainder
    return made, found


class _Namer:
    """One walk over expressions for the remainder of one quotient."""

    def __init__(
        self, quotient: Expr, symbol: Symbol, number: Expr, inside: dict[Expr, frozenset[Expr]]
    ) -> None:
        self.quotient, self.symbol = quotient, symbol
        self.name, self.count = Dummy("rest", positive=True), Dummy("count", positive=True)
        top, bottom = quotient.args
        self.rule = {symbol: self.name - number + (bottom * self.count).expand()}
        self.remainder = Remainder(top, bottom * quotient, bottom)
        self.inside = inside
        self.seen: dict[Expr, Expr] = {}

    def walk(self, expr: Expr) -> Expr:
        if expr == self.quotient or self.quotient not in functions_in(expr, self.inside):
            return expr
        if expr not in self.seen:
            node = expr.func(*(self.walk(arg) for arg in expr.args))
            self.seen[expr] = self._named(node) if isinstance(node, Add) else node
        return self.seen[expr]

    def _named(self, expr: Add) -> Expr:
        """A sum with the remainder in it, if that takes differences out of it."""
        own = functions_in(self.quotient, self.inside)
        simple = [arg for arg in expr.args if functions_in(arg, self.inside) <= own]
        if not any(map(_takes_away, simple)):
            return expr
        masked = [arg.xreplace({self.quotient: self.count}) for arg in simple]
        known = (self.symbol, self.count)
        if not any(arg.has(self.count) and arg.is_polynomial(*known) for arg in masked):
            return expr
        others = [arg for arg in expr.args if arg not in simple]
        before = Add(*masked).expand()
        after = before.xreplace(self.rule).expand()
        if differences(after) >= differences(before):
            return expr
        return Add(*others, after).xreplace({self.count: self.quotient})


def _takes_away(expr: Expr) -> bool:
    """Whether a term may, multiplied out, be one that is taken away, or have such terms."""
    if isinstance(expr, Add | Mul):
        return any(map(_takes_away, expr.args))
    if isinstance(expr, Pow):
        return _takes_away(expr.base)
    return not (expr.is_Symbol or expr.is_nonnegative)
