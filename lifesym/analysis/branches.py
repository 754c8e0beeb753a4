r"""The max-free formula that holds at a point, and the inequalities of the region it holds in.

A time is a sum of maxima. At a point each maximum equals one of its arguments; with that argument
in its place the formula is smooth, and it stays equal to the full one wherever the argument stays
the largest. Minima (a sliding window) and the crossing index of a closed sum (`Crossing`, which is
clipped to its range) are resolved the same way. A rounded quotient (whole chunks, pages) is a whole
number, and stays it until the quotient passes the next one.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias, cast

from sympy import Add, Expr, Function, Integer, Mul, S, Sum, Symbol

from lifesym.analysis.regions import Branch, Choice, Condition
from lifesym.analysis.signs import compare, number_at, sign_at
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.remainders import ChunksBefore, LastChunk
from lifesym.sums import Crossing, Inside, SumMax, series

KINKED = (Maximum, Minimum, SumMax, Crossing, Sum)
STEPPED = (CeilDiv, FloorDiv, ChunksBefore, LastChunk)
_LONGEST_SUM = 4096

Direction: TypeAlias = tuple[Symbol, Literal[-1, 1]]


@checked
def branch_at(expr: Expr, values: Mapping[Symbol, Expr], toward: Direction | None = None) -> Branch:
    """The branch that is active at a point.

    Args:
        expr: any expression of lifesym.
        values: the exact value of every free symbol.
        toward: at a tie, the branch just after a small step that raises (1) or lowers (-1) one
            symbol (of a rounded quotient the next whole number on that side); without it, the
            first argument in the node's order.

    Raises:
        SymbolError: a value missing, or a sum without a closed form whose range is not a number,
            or is too long.

    >>> from lifesym.symbols import batch, past
    >>> branch = branch_at(2 + Maximum(3 * batch, past), {batch: S(1), past: S(8)})
    >>> branch.expr, str(branch.conditions[0])
    (past + 2, 'past >= 3*batch')
    """
    return _Resolver(dict(values), toward).branch(expr)


class _Resolver:
    """One walk over a formula; equal nodes are resolved once."""

    def __init__(self, values: dict[Symbol, Expr], toward: Direction | None = None) -> None:
        self.values = values
        self.toward = toward
        self.conditions: dict[Condition, None] = {}
        self.choices: list[Choice] = []
        self.seen: dict[Expr, Expr] = {}

    def branch(self, expr: Expr) -> Branch:
        resolved = self.resolve(expr)
        return Branch(expr=resolved, conditions=tuple(self.conditions), choices=tuple(self.choices))

    def resolve(self, expr: Expr) -> Expr:
        if expr.is_Atom or not expr.has(*KINKED, *STEPPED):
            return expr
        if expr not in self.seen:
            self.seen[expr] = self._resolve(expr)
        return self.seen[expr]

    def _resolve(self, expr: Expr) -> Expr:
        if isinstance(expr, SumMax):
            return self._sum_of_maxima(expr)
        if isinstance(expr, Sum):
            return self._written_out(expr)
        if isinstance(expr, ChunksBefore | LastChunk):
            return self.resolve(expr.closed_form())
        if isinstance(expr, Maximum | Minimum):
            return self._extremum(expr, 1 if isinstance(expr, Maximum) else -1)
        if isinstance(expr, Mul) and self._vanishes(expr):
            return S.Zero
        args = tuple(self.resolve(arg) for arg in expr.args)
        if isinstance(expr, Crossing):
            return self._index(expr, *args)
        if isinstance(expr, CeilDiv | FloorDiv):
            return self._step(expr.func(*args))
        return expr.func(*args)

    def _vanishes(self, product: Expr) -> bool:
        """Whether a factor is zero all over the region, so that the others' branches are not it.

        As of the chunks beyond a window in a prompt that ends before: what binds them is no matter.
        """
        bent = [arg for arg in product.args if arg.has(*KINKED, *STEPPED)]
        return len(bent) > 1 and any(self._at(arg) == 0 and self.resolve(arg) == 0 for arg in bent)

    def _written_out(self, expr: Sum) -> Expr:
        """A sum without a closed form, step by step: it holds for this number of steps alone."""
        for end in expr.limits[0][1:]:
            resolved = self.resolve(end)
            if resolved.free_symbols:
                count = self._at(resolved)
                self._require(Condition(left=resolved, right=count))
                self._require(Condition(left=count, right=resolved))
        return self.resolve(unrolled(expr, self.values))

    def _step(self, node: Expr) -> Expr:
        """The whole number that a rounded quotient is, as long as it is."""
        if not isinstance(node, CeilDiv | FloorDiv):
            return node
        top, bottom = node.args
        count, up = self._at(node), isinstance(node, CeilDiv)
        tied = self._at(top) == count * self._at(bottom)
        if tied and self.toward is not None:
            rise = self._rise(top - count * bottom)
            if up and rise > 0:
                count += 1
            elif not up and rise < 0:
                count -= 1
        self.choices.append(Choice(node=node, taken=count, tied=bool(tied)))
        if up:
            self._require(Condition(left=count * bottom, right=top))
            self._require(Condition(left=top, right=(count - 1) * bottom, strict=True))
        else:
            self._require(Condition(left=top, right=count * bottom))
            self._require(Condition(left=(count + 1) * bottom, right=top, strict=True))
        return count

    def _extremum(self, node: Expr, sign: int) -> Expr:
        """The largest argument, resolved; the others are only compared with, and stay as they are.

        What they branch into elsewhere does not matter as long as they are no larger.
        """
        args = beside = node.args
        if self.toward is not None:  # beyond a step the arguments have jumped: compare them there
            aside = _Resolver(self.values, self.toward)
            beside = tuple(aside.resolve(arg) for arg in args)
        numbers = [self._at(arg) for arg in beside]

        def ahead(i: int, j: int) -> int:
            if numbers[i].is_Rational and numbers[j].is_Rational:
                return sign * sign_at(numbers[i] - numbers[j], {})
            return sign * compare(beside[i], beside[j], self.values)

        best = 0
        for i in range(1, len(args)):
            if ahead(i, best) > 0:
                best = i
        equal = [i for i in range(len(args)) if i == best or not ahead(i, best)]
        if len(equal) > 1 and self.toward is not None:
            best = max(equal, key=lambda i: sign * self._rise(beside[i]))
        taken = self.resolve(args[best])
        for other in args[:best] + args[best + 1 :]:
            pair = (taken, other) if sign > 0 else (other, taken)
            self._require(Condition(left=pair[0], right=pair[1]))
        self.choices.append(Choice(node=node, taken=taken, tied=len(equal) > 1))
        return taken

    def _sum_of_maxima(self, expr: SumMax) -> Expr:
        """One line where it is the larger at both ends of the sum, else both with their index."""
        if self.resolve(expr.args[0]) == 0:
            return S.Zero
        node = SumMax(*(self.resolve(arg) for arg in expr.args))
        if not isinstance(node, SumMax):
            return self.resolve(node)
        n, a, b, c, d = node.args
        gap, slope = a - c, b - d
        direction = sign_at(slope, self.values)
        if direction == 0 and self.toward is not None:
            direction = sign_at(self._rise(slope), {})
        p, q = (gap, slope) if direction >= 0 else (gap + slope * (n - 1), -slope)
        k = self._index(node, p, q, n)
        if k in (0, n):
            return series(n, a, b) if k == 0 else series(n, c, d)
        return series(n, c, d) + (n - k) * p + q * (n * (n - 1) - k * (k - 1)) / 2

    def _index(self, node: Expr, p: Expr, q: Expr, n: Expr) -> Expr:
        """How many values of a rising line are negative; one that is zero may count as either."""
        last = p + q * (n - 1)
        ends = sign_at(p, self.values), sign_at(last, self.values)
        if ends[0] >= 0 or ends[1] <= 0:
            k = S.Zero if ends[0] >= 0 else n
            for end in (p, last):
                self._require(
                    Condition(left=S.Zero, right=end) if k else Condition(left=end, right=S.Zero)
                )
            zero = None if all(ends) else (p, S.Zero) if ends[0] == 0 else (last, n - 1)
        else:
            self._require(Condition(left=q, right=p, strict=True))
            self._require(Condition(left=last + q, right=S.Zero))
            k = Inside(p, q)
            count = self._at(k)
            value = p + q * count
            zero = None if sign_at(value, self.values) else (value, count)
        if zero is None:
            return k
        self.choices.append(Choice(node=node, taken=k, tied=True))
        if self.toward is None:
            return k
        if ends == (0, 0):
            return self._index_of_level_lines(p, last, n)
        return zero[1] + 1 if self._rise(zero[0]) < 0 else zero[1]

    def _index_of_level_lines(self, first: Expr, last: Expr, n: Expr) -> Expr:
        """The index just after a step from a point at which the line is zero all along."""
        rises = self._rise(first), self._rise(last)
        if min(rises) >= 0:
            return S.Zero
        if max(rises) <= 0:
            return n
        return Crossing(rises[0], (rises[1] - rises[0]) / (self._at(n) - 1), self._at(n))

    def _require(self, condition: Condition) -> None:
        if (
            condition.left.free_symbols or condition.right.free_symbols
        ):  # true everywhere, as it is true here
            self.conditions[condition] = None

    def _rise(self, expr: Expr) -> Expr:
        """The slope of a resolved argument in the direction asked for."""
        symbol, sign = cast("Direction", self.toward)
        return sign * self._at(expr.diff(symbol))

    def _at(self, expr: Expr) -> Expr:
        return number_at(expr, self.values)


def unrolled(expr: Sum, values: Mapping[Symbol, Expr]) -> Expr:
    """A sum without a closed form written out, where its range is a number.

    Raises:
        SymbolError: the range depends on a symbol without a value, or is too long.
    """
    (variable, low, high) = expr.limits[0]
    low, high = low.xreplace(dict(values)), high.xreplace(dict(values))
    if not (low.is_Integer and high.is_Integer):
        free = low.free_symbols | high.free_symbols
        names = ", ".join(sorted(symbol.name for symbol in free)) or "whole numbers"
        raise SymbolError(f"a sum has no closed form: its range needs {names} as a number")
    if high - low >= _LONGEST_SUM:
        raise SymbolError(f"a sum of {high - low + 1} steps has no closed form")
    steps = range(int(low), int(high) + 1)
    return Add(*(expr.function.xreplace({variable: Integer(i)}) for i in steps))


def kinks(expr: Expr) -> Iterator[Function]:
    """The maxima, minima and closed sums of a formula, outermost first."""
    if expr.is_Atom or not expr.has(*KINKED):
        return
    if isinstance(expr, KINKED):
        yield expr
    for arg in expr.args:
        yield from kinks(arg)
