r"""Remainders by name: what a rounded quotient leaves over is known to lie between two bounds.

The last chunk of a prompt is $S - C (n - 1)$ tokens with $n = \\lceil S/C \\rceil$. Its two parts
grow without end while it stays within 1 and C: interval arithmetic, which takes them for
independent, loses every bound. So the remainder gets a name of its own wherever it stands in a sum,
also multiplied out.
"""

from dataclasses import dataclass

from sympy import Add, Dummy, Expr, Function, Mul, Pow, Symbol

from lifesym.nodes import CeilDiv, FloorDiv


@dataclass(frozen=True)
class Remainder:
    """A remainder of whole numbers: ``top`` less the whole multiples of ``bottom`` in ``taken``.

    Attributes:
        top: what is divided.
        taken: the multiple of the divisor that is taken away.
        bottom: the divisor.
        least: 1 after a quotient rounded up, 0 after one rounded down; the most is one divisor
            more than that, less 1.
    """

    top: Expr
    taken: Expr
    bottom: Expr
    least: int


def remainders(expr: Expr) -> tuple[Expr, dict[Symbol, Remainder]]:
    """The expression with its remainders as symbols, and what they stand for.

    >>> from lifesym.symbols import batch, chunk, prompt
    >>> named, found = remainders(3 * prompt - 192 * CeilDiv(prompt, 64) + 200)
    >>> [(named - 3 * name, each.taken, each.least) for name, each in found.items()]
    [(8, 64*CeilDiv(prompt, 64) - 64, 1)]
    """
    found: dict[Symbol, Remainder] = {}
    inside: dict[Expr, frozenset[Expr]] = {}
    quotients = [e for e in _functions(expr, inside) if isinstance(e, CeilDiv | FloorDiv)]
    for quotient in sorted(quotients, key=str):
        number, symbol = quotient.args[0].as_coeff_Add()
        if not (symbol.is_Symbol or symbol == 0) or quotient.args[1].has(symbol):
            continue
        named = _Namer(quotient, symbol, number, inside)
        after = named.walk(expr)
        if after != expr:
            expr = after
            found[named.name] = named.remainder
    return expr, found


def _functions(expr: Expr, inside: dict[Expr, frozenset[Expr]]) -> frozenset[Expr]:
    """The functions within an expression, itself included; ``inside`` keeps those of all parts."""
    if expr not in inside:
        found = frozenset().union(*(_functions(arg, inside) for arg in expr.args))
        inside[expr] = found | {expr} if isinstance(expr, Function) else found
    return inside[expr]


class _Namer:
    """One walk over an expression for the remainder of one quotient."""

    def __init__(
        self, quotient: Expr, symbol: Symbol, number: Expr, inside: dict[Expr, frozenset[Expr]]
    ) -> None:
        up = isinstance(quotient, CeilDiv)
        self.quotient, self.symbol = quotient, symbol
        self.name, self.count = Dummy("rest", positive=True), Dummy("count", positive=True)
        top, bottom = quotient.args
        count = self.count - 1 if up else self.count
        if top.is_number:  # its multiple of the divisor is then the number less the remainder
            self.rule = {self.count: (top - self.name) / bottom + self.count - count}
        else:
            self.rule = {symbol: self.name - number + (bottom * count).expand()}
        taken = bottom * (quotient - 1 if up else quotient)
        self.remainder = Remainder(top, taken, bottom, 1 if up else 0)
        self.inside = inside
        self.seen: dict[Expr, Expr] = {}

    def walk(self, expr: Expr) -> Expr:
        if expr == self.quotient or self.quotient not in _functions(expr, self.inside):
            return expr
        if expr not in self.seen:
            node = expr.func(*(self.walk(arg) for arg in expr.args))
            self.seen[expr] = self._named(node) if isinstance(node, Add) else node
        return self.seen[expr]

    def _named(self, expr: Add) -> Expr:
        """A sum with the remainder in it, if that takes differences out of it."""
        own = _functions(self.quotient, self.inside)
        simple = [arg for arg in expr.args if _functions(arg, self.inside) <= own]
        if not any(map(_takes_away, simple)):
            return expr
        masked = [arg.xreplace({self.quotient: self.count}) for arg in simple]
        if not any(arg.has(self.count) and self._plain(arg) for arg in masked):
            return expr
        others = [arg for arg in expr.args if arg not in simple]
        before = Add(*masked).expand()
        after = before.xreplace(self.rule).expand()
        if _differences(after) >= _differences(before):
            return expr
        return Add(*others, after).xreplace({self.count: self.quotient})

    def _plain(self, expr: Expr) -> bool:
        """Whether a term can have the remainder in it; with a number on top, its divisor too."""
        if not expr.has(*self.rule, self.count):
            return False
        if self.symbol.is_Symbol:
            return bool(expr.is_polynomial(self.symbol, self.count))
        bottom = self.quotient.args[1]
        return bool(expr.xreplace(self.rule).expand().is_polynomial(bottom))


def _takes_away(expr: Expr) -> bool:
    """Whether a term may, multiplied out, be one that is taken away, or have such terms."""
    if isinstance(expr, Add | Mul):
        return any(map(_takes_away, expr.args))
    if isinstance(expr, Pow):
        return _takes_away(expr.base)
    return not (expr.is_Symbol or expr.is_nonnegative)


def _differences(expr: Expr) -> int:
    """How many terms are taken away."""
    return sum(bool(arg.could_extract_minus_sign()) for arg in Add.make_args(expr))
