"""Inverse questions: which bandwidth, context, batch or bits meets a target?

The formula is cut into its regimes along the symbol asked for, each is solved, and the regime in
which the solution lies gives it as a formula too. Sizes are then rounded to the whole number that
still meets the target, and the next one is checked to miss it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from sympy import Expr, Integer, Pow, S, Symbol, ceiling, floor, oo

from lifesym.analysis.line import rounded, written_out
from lifesym.analysis.meeting import solved, zeros
from lifesym.analysis.questions import Quantity, Values, formula, plain, point_of, symbol_of, title
from lifesym.analysis.reasons import value_at, why_not
from lifesym.analysis.regime import Range, span
from lifesym.analysis.roots import between as gap
from lifesym.analysis.signs import sign_at
from lifesym.analysis.stepped import judged
from lifesym.analysis.whole import scan
from lifesym.checks import checked
from lifesym.display import Tabular
from lifesym.errors import InfeasibleError, SymbolError
from lifesym.powers import sign as sign_of
from lifesym.powers import written
from lifesym.results import Result
from lifesym.symbols import TABLE, Number, constant

Want = Literal["least", "most"]
_TRIES = 256
"""Whole numbers that are tried for a possible one."""
_FAR = Integer(2**20)  # where a search begins and no formula says where it ends


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A closed stretch of values that meet a target; ``high`` may be infinite."""

    low: Expr
    high: Expr


@dataclass(frozen=True, kw_only=True)
class Design(Tabular):
    """The answer to an inverse question.

    Attributes:
        symbol: what was asked for.
        want: whether the answer is the least or the most that meets the target.
        target: the target.
        answer: the value; a whole number for a size.
        solution: where the target is met exactly, before rounding; a bracket's middle, or the end
            of the range, where there is no such point.
        formula: the solution as a formula in the other symbols, in the regime it lies in.
        achieved: the quantity at the answer.
        next_misses: the quantity one whole step further, which misses the target; None for a
            symbol that is not a size, or at the end of the range.
        feasible: every stretch of the range that meets the target.
        name: what the quantity is.
        unit: its SI unit; empty of a bare expression.
    """

    symbol: Symbol
    want: Want
    target: Expr
    answer: Expr
    solution: Expr
    formula: Expr | None
    achieved: Expr
    next_misses: Expr | None
    feasible: tuple[Interval, ...]
    name: str = ""
    unit: str = ""


@checked
def design(
    quantity: Quantity,
    over: str | Symbol,
    at: Values | None = None,
    *,
    at_most: Number | None = None,
    at_least: Number | None = None,
    between: Range | None = None,
    want: Want | None = None,
    accepts: Callable[[Expr], bool] | None = None,
) -> Design:
    """The value of a symbol that meets a target.

    Args:
        quantity: a result or an expression.
        over: the symbol that is asked for.
        at: the values of the others.
        at_most: the largest value the quantity may have; give this or ``at_least``.
        at_least: the smallest value it may have.
        between: the range to search; the symbol's whole range unless given, but up to 2**20 where
            a size is rounded or an exponent, and its values have to be tried.
        want: the least or the most that meets the target; unless given, the end of the feasible
            stretch at which the target starts to bind (the most that fits, for two such ends).
        accepts: whether a whole number is possible: no other one is an answer, such as a batch
            that microbatches do not divide.

    Raises:
        InfeasibleError: nothing in the range meets the target, or nothing that is possible does.
        SymbolError: a symbol that the formula does not have, a value missing or out of range, an
            empty range, or not exactly one target.

    >>> from lifesym import symbols as sym
    >>> found = design(sym.past / sym.bandwidth, "past", {"bandwidth": 10}, at_most=2.55)
    >>> found.answer, found.solution, found.formula
    (25, 51/2, 51*bandwidth/20)
    """
    symbol = symbol_of(quantity, over)
    if (at_most is None) == (at_least is None):
        raise SymbolError("give one target: at_most or at_least")
    sign = 1 if at_most is not None else -1
    target = written(constant(at_most if at_most is not None else at_least, "the target"))
    values = point_of(quantity, at or {}, free=[symbol])
    expr = plain(quantity).xreplace(values)
    low, high = _range(quantity, symbol, between, expr)
    whole = TABLE[symbol].whole
    feasible = meeting(expr, target, sign, symbol, low, high)
    if whole:
        kept = [stretch for stretch in feasible if ceiling(stretch.low) <= floor(stretch.high)]
    else:
        kept = list(feasible)
    if not kept:
        raise InfeasibleError(why_not(quantity, symbol, target, sign, values, (low, high)))
    chosen = want or ("least" if kept[-1].high == high and kept[0].low != low else "most")
    solution = kept[0].low if chosen == "least" else kept[-1].high
    if solution is oo or (solution == high == _FAR and between is None):
        most = "" if solution is oo else f" up to {_FAR}"
        raise SymbolError(
            f"every {TABLE[symbol].word}{most} meets the target: there is no largest one"
        )
    answer, step = solution, (-1 if chosen == "least" else 1)
    if whole:
        answer = ceiling(solution) if chosen == "least" else floor(solution)
        # The middle of a bracket can lie on the other side of a whole number than the root.
        near = [answer + step, answer, answer - step]
        met = (
            n for n in near if low <= n <= high and _meets(value_at(expr, symbol, n), target, sign)
        )
        answer = next(met, answer)
        if accepts is not None:
            inside = kept[0].high if chosen == "least" else kept[-1].low
            found = _possible(answer, -step, inside, accepts)
            if found is None:
                raise InfeasibleError(
                    f"no {TABLE[symbol].word} from {answer} to {inside}, where the target is met, "
                    "is possible"
                )
            answer = found
    achieved = value_at(expr, symbol, answer)
    if answer == solution and achieved.is_finite and not sign_of(achieved - target):
        achieved = target  # logarithms of roots that are written out otherwise
    further = answer + step if whole and low <= answer + step <= high else None
    if further is not None and accepts is not None:
        further = _possible(further, step, high if step > 0 else low, accepts)
    return Design(
        symbol=symbol,
        want=chosen,
        target=target,
        answer=answer,
        solution=solution,
        formula=solved(formula(quantity), target, symbol, solution, values),
        achieved=achieved,
        next_misses=None if further is None else value_at(expr, symbol, further),
        feasible=feasible,
        name=title(quantity),
        unit=getattr(quantity, "unit", ""),
    )


def _possible(first: Expr, step: int, last: Expr, accepts: Callable[[Expr], bool]) -> Expr | None:
    """The first possible one of whole numbers up to a last one; None where there is none near."""
    numbers = (first + step * n for n in range(_TRIES))
    return next((n for n in numbers if step * (last - n) >= 0 and accepts(n)), None)


def _meets(reached: Expr, target: Expr, sign: int) -> bool:
    return reached.is_finite is not False and sign * sign_of(reached - target) <= 0


def meeting(
    expr: Expr, target: Expr, sign: int, symbol: Symbol, low: Expr, high: Expr
) -> tuple[Interval, ...]:
    """The stretches on which a formula of one symbol is at most (sign 1) or at least a target."""
    search = _solved
    if rounded(expr, symbol):
        search = _scanned if TABLE[symbol].whole else _cut
    return tuple(search(expr, target, sign, symbol, low, high))


def _range(
    quantity: Quantity, symbol: Symbol, between: Range | None, expr: Expr
) -> tuple[Expr, Expr]:
    """The ends that were given, or the symbol's own; a search without an end needs a formula."""
    if between is not None:
        return span(symbol, between, quantity)
    row = TABLE[symbol]
    known = S.Zero if row.minimum is None else S(row.minimum)
    low = quantity.least(symbol) if isinstance(quantity, Result) else known
    if row.maximum is not None:
        return low, S(row.maximum)
    searched = rounded(expr, symbol) or any(power.exp.has(symbol) for power in expr.atoms(Pow))
    return low, _FAR if searched and row.whole else oo


def _solved(
    expr: Expr, target: Expr, sign: int, symbol: Symbol, low: Expr, high: Expr
) -> Iterator[Interval]:
    """The stretches on which the target is met, between the points where it is met exactly."""
    marks = [low, *(root.value for root, _ in zeros(expr - target, symbol, low, high)), high]
    stretches = list(pairwise(marks))
    met = [sign * sign_at(expr - target, {symbol: gap(*ends)}) <= 0 for ends in stretches]
    start: Expr | None = None
    for (left, right), good in zip(stretches, met, strict=True):
        if good and start is None:
            start = left
        if not good and start is not None:
            yield Interval(low=start, high=left)
            start = None
        last = right
    if start is not None:
        yield Interval(low=start, high=last)


def _cut(
    expr: Expr, target: Expr, sign: int, symbol: Symbol, low: Expr, high: Expr
) -> Iterator[Interval]:
    """The stretches on which the target is met, between steps at any values."""
    found: Interval | None = None
    for left, right, there in judged(written_out(expr), target, sign, symbol, low, high):
        if isinstance(there, bool):
            met = [Interval(low=left, high=right)] if there else []
        else:
            met = [*_solved(there, target, sign, symbol, left, right)]
            if not there.has(symbol):  # a step, of which one end may be of the next one
                met = [_attained(expr, target, sign, symbol, one) for one in met]
        for one in met:
            if found is not None and found.high != one.low:
                yield found
                found = None
            found = one if found is None else Interval(low=found.low, high=one.high)
    if found is not None:
        yield found


def _attained(expr: Expr, target: Expr, sign: int, symbol: Symbol, step: Interval) -> Interval:
    """A step that meets the target, without an end at which it is missed."""
    ends = [
        end for end in (step.low, step.high) if _meets(value_at(expr, symbol, end), target, sign)
    ]
    ends = ends or [(step.low + step.high) / 2]
    return Interval(low=ends[0], high=ends[-1])


def _scanned(
    expr: Expr, target: Expr, sign: int, symbol: Symbol, low: Expr, high: Expr
) -> Iterator[Interval]:
    """The runs of whole values that meet the target."""
    first, signs = scan(expr, target, symbol, low, high)
    start: int | None = None
    for i, gap_sign in enumerate([*signs, sign]):
        good = sign * gap_sign <= 0
        if good and start is None:
            start = i
        if not good and start is not None:
            yield Interval(low=Integer(first + start), high=Integer(first + i - 1))
            start = None
