"""Are two formulas equal? Yes, no, or not proven either way."""

import random
from typing import Literal

from sympy import (
    Dummy,
    Expr,
    Function,
    Integer,
    Pow,
    Rational,
    S,
    Symbol,
    factor_list,
    fraction,
    together,
)

from lifesym.analysis.products import vanishes
from lifesym.checks import checked
from lifesym.decided import decided
from lifesym.nodes import Active, Maximum, Minimum
from lifesym.powers import sign
from lifesym.remainders import spelt_out
from lifesym.symbols import TABLE, ordered

Verdict = Literal["equal", "different", "undecided"]
_SPAN = 97


@checked
def same(first: Expr, second: Expr, *, points: int = 12, seed: int = 0) -> Verdict:
    """Compare two formulas.

    ``equal`` is proven: the difference, with maxima as the sums of their active arguments, is zero
    as a sum of products, or with maxima of two as absolute values over a common denominator; it
    may be so without the arguments that never count in the symbols' ranges.
    ``different`` is proven: they differ, exactly, at a point. ``undecided`` means that they agree
    exactly at every one of the random points, which is evidence and not a proof.

    >>> from lifesym import symbols as sym
    >>> same((sym.batch + 1) ** 2, sym.batch**2 + 2 * sym.batch + 1)
    'equal'
    >>> same(sym.batch, sym.past)
    'different'
    """
    first, second = spelt_out(first), spelt_out(second)
    if vanishes(first - second):
        return "equal"
    brackets = (first - second).has(Active)
    difference = first - second if brackets else (first - second).expand()
    if difference == 0:
        return "equal"
    rng = random.Random(seed)  # noqa: S311 (sample points, not secrets)
    symbols = ordered(first.free_symbols | second.free_symbols)
    for _ in range(points):
        values = {symbol: _drawn(symbol, rng) for symbol in symbols}
        one, two = (expr.xreplace(values).doit() for expr in (first, second))
        if one != two and sign(one - two):
            return "different"
    if brackets:
        return "undecided"
    settled = decided(first) - decided(second)
    marks: dict[Expr, Expr] = {}
    for left in (difference, *([settled] if settled != first - second else [])):
        numerator, _ = fraction(together(_without_maxima(left, marks)))
        if numerator.expand() == 0:
            return "equal"
    return "undecided"


def _without_maxima(expr: Expr, marks: dict[Expr, Expr]) -> Expr:
    """Each max(a, b) as (a + b + |a - b|) / 2, min with a minus, in a canonical form.

    The absolute value of a rational function is the product of those of its irreducible factors:
    positive factors are their own, each other one is a mark that is the same wherever it occurs.
    """
    for power in expr.atoms(Pow):
        if power.exp.free_symbols:  # a power like (1 - k/E)^m is the same mark wherever it is
            marks.setdefault(power, Dummy(positive=True))
    expr = expr.xreplace({power: mark for power, mark in marks.items() if isinstance(power, Pow)})
    pairs = {}
    for node in expr.atoms(Maximum, Minimum):
        if len(node.args) == 2 and not any(arg.atoms(Function) for arg in node.args):
            a, b = node.args
            sign = 1 if isinstance(node, Maximum) else -1
            pairs[node] = (a + b + sign * _absolute(a - b, marks)) / 2
    return expr.xreplace(pairs)


def _absolute(expr: Expr, marks: dict[Expr, Expr]) -> Expr:
    product: Expr = S.One
    for part, side in zip(fraction(together(expr)), (1, -1), strict=True):
        coefficient, factors = factor_list(part)
        product *= abs(coefficient) ** side
        for base, power in factors:
            positive = base.is_nonnegative
            size = base if positive else marks.setdefault(_signed(base), Dummy(nonnegative=True))
            product *= size ** (side * power)
    return product


def _signed(expr: Expr) -> Expr:
    """The one of f and -f that is written without a leading minus."""
    return -expr if expr.could_extract_minus_sign() else expr


def _drawn(symbol: Symbol, rng: random.Random) -> Expr:
    """A random value in the symbol's range; a whole number for a size."""
    row = TABLE[symbol]
    if row.whole:
        low = row.minimum or 0
        high = row.maximum if row.maximum is not None else low + _SPAN
        return Integer(rng.randint(low, high))
    number = Rational(rng.randint(1, _SPAN), rng.randint(1, _SPAN))
    low = row.minimum or 0
    if row.maximum is None:
        return number + low
    return low + (row.maximum - low) * number / (number + 1)
