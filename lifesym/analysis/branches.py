r"""The max-free formula that holds at a point, and the inequalities of the region it holds in.

A time is a sum of maxima. At a point each maximum equals one of its arguments; with that argument
in its place the formula is smooth, and it stays equal to the full one wherever the argument stays
the largest. Minima (a sliding window) and the crossing index of a closed sum (`Crossing`, which is
clipped to its range) are resolved the same way. A rounded quotient (whole chunks, pages) is a whole
number, and stays it until the quotient passes the next one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from sympy import Add, Expr, Function, Ge, Gt, Integer, S, Sum, Symbol
from sympy.core.relational import Relational

from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.sums import Crossing, SumMax

KINKED = (Maximum, Minimum, SumMax, Crossing, Sum)
STEPPED = (CeilDiv, FloorDiv)
_LONGEST_SUM = 4096

Direction: TypeAlias = tuple[Symbol, Literal[-1, 1]]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """The inequality ``left >= right``, or ``left > right`` if it is strict."""

    left: Expr
    right: Expr
    strict: bool = False

    @property
    def relation(self) -> Relational:
        """It as a SymPy relation, to print or to solve."""
        return (Gt if self.strict else Ge)(self.left, self.right)

    @property
    def margin(self) -> Expr:
        """How far it is from failing: left - right."""
        return self.left - self.right

    def holds(self, values: Mapping[Symbol, Expr]) -> bool:
        """Whether it is true at a point that binds every symbol."""
        left, right = self.left.xreplace(dict(values)), self.right.xreplace(dict(values))
        return bool(left > right if self.strict else left >= right)

    def __str__(self) -> str:
        return f"{self.left} {'>' if self.strict else '>='} {self.right}"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which argument a maximum or minimum was replaced by, or a rounded quotient's number.

    ``tied`` is True where another one would have served just as well: at a kink or a step.
    """

    node: Expr
    taken: Expr
    tied: bool = False


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A max-free formula and where it holds.

    Attributes:
        expr: the formula without maxima.
        conditions: the inequalities of its region, in the order of the formula's nodes.
        choices: what each maximum was replaced by.
    """

    expr: Expr
    conditions: tuple[Condition, ...]
    choices: tuple[Choice, ...] = field(repr=False, default=())

    def holds(self, values: Mapping[Symbol, Expr]) -> bool:
        """Whether a point lies in the region."""
        return all(condition.holds(values) for condition in self.conditions)

    @property
    def tied(self) -> tuple[Choice, ...]:
        """The choices that another argument would have served as well."""
        return tuple(choice for choice in self.choices if choice.tied)


def branch_at(expr: Expr, values: Mapping[Symbol, Expr], toward: Direction | None = None) -> Branch:
    """The branch that is active at a point.

    Args:
        expr: any expression of lifesym.
        values: the exact value of every free symbol.
        toward: at a tie, the branch just after a small step that raises (1) or lowers (-1) one
            symbol (of a rounded quotient the next whole number on that side); without it, the
            first argument in the node's order.

    Raises:
        SymbolError: a sum without a closed form whose range is not a number.

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
            return self.resolve(expr.closed_form())
        if isinstance(expr, Sum):
            return self.resolve(unrolled(expr, self.values))
        args = tuple(self.resolve(arg) for arg in expr.args)
        if isinstance(expr, Maximum | Minimum):
            return self._extremum(expr, args, 1 if isinstance(expr, Maximum) else -1)
        if isinstance(expr, Crossing):
            return self._crossing(*args)
        if isinstance(expr, CeilDiv | FloorDiv):
            return self._step(expr.func(*args))
        return expr.func(*args)

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

    def _extremum(self, node: Expr, args: tuple[Expr, ...], sign: int) -> Expr:
        numbers = [sign * self._at(arg) for arg in args]
        best = 0
        for i, number in enumerate(numbers):
            if number > numbers[best]:
                best = i
        equal = [i for i, number in enumerate(numbers) if number == numbers[best]]
        if len(equal) > 1 and self.toward is not None:
            best = max(equal, key=lambda i: sign * self._rise(args[i]))
        for other in args[:best] + args[best + 1 :]:
            pair = (args[best], other) if sign > 0 else (other, args[best])
            self._require(Condition(left=pair[0], right=pair[1]))
        self.choices.append(Choice(node=node, taken=args[best], tied=len(equal) > 1))
        return args[best]

    def _crossing(self, p: Expr, q: Expr, n: Expr) -> Expr:
        last = p + q * (n - 1)
        if self._at(p) >= 0:
            self._require(Condition(left=p, right=S.Zero))
            return S.Zero
        if self._at(last) < 0:
            self._require(Condition(left=S.Zero, right=last, strict=True))
            return n
        self._require(Condition(left=S.Zero, right=p, strict=True))
        self._require(Condition(left=last, right=S.Zero))
        node = Crossing(p, q, n)
        count = self._at(node)
        tied = p + q * count
        if self._at(tied) != 0:
            return node
        self.choices.append(Choice(node=node, taken=count, tied=True))
        if self.toward is None:
            return node
        return count + 1 if self._rise(tied) < 0 else count

    def _require(self, condition: Condition) -> None:
        self.conditions[condition] = None

    def _rise(self, expr: Expr) -> Expr:
        """The slope of a resolved argument in the direction asked for."""
        symbol, sign = cast("Direction", self.toward)
        return sign * self._at(expr.diff(symbol))

    def _at(self, expr: Expr) -> Expr:
        return expr.xreplace(self.values)


def unrolled(expr: Sum, values: Mapping[Symbol, Expr]) -> Expr:
    """A sum without a closed form written out, where its range is a number.

    Raises:
        SymbolError: the range depends on a symbol, or is too long.
    """
    (variable, low, high) = expr.limits[0]
    low, high = low.xreplace(dict(values)), high.xreplace(dict(values))
    free = (expr.limits[0][1].free_symbols | expr.limits[0][2].free_symbols) - {variable}
    if free or not (low.is_Integer and high.is_Integer):
        names = ", ".join(sorted(symbol.name for symbol in free))
        raise SymbolError(f"a sum has no closed form: bind {names} in the forecast itself")
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
