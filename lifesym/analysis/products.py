r"""Formulas as sums of products of powers, in which equal ones are the same.

Every number is a coefficient and everything that is not a sum or a product is a generator:
symbols, powers like $(1 - k/E)^m$, rounded quotients. Maxima are the sums of their arguments, each
times the bracket `Active` that says whether it is the largest; the brackets of one maximum add up
to 1, so the last of them is written as what the others leave.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from sympy import Add, Dummy, Expr, Mul, Pow, Symbol
from sympy.core.sorting import default_sort_key

from lifesym.nodes import Active, Maximum, Minimum
from lifesym.powers import written
from lifesym.sums import SumMax

Product = frozenset[tuple[Expr, int]]
"""The generators of a product, each with its exponent."""
Products = dict[Product, Fraction]

_ONE: Product = frozenset()
_EXPANDED = 8  # the largest power of a sum that is multiplied out


def vanishes(expr: Expr) -> bool:
    """Whether a formula is zero as a sum of products: if so, it is zero; if not, it may be.

    >>> from lifesym.symbols import batch, past
    >>> node = Maximum(batch, past)
    >>> vanishes(batch * node.diff(batch) / node + past * node.diff(past) / node - 1)
    True
    """
    expr = _shifted(written(expr))
    below = {
        power.base**-power.exp
        for term in Add.make_args(expr)
        for power in Mul.make_args(term)
        if _is_inverse_sum(power)
    }
    terms = [Mul(term, *below) for term in Add.make_args(expr)]
    return not _Collector().products(Add(*terms, evaluate=False))


def _is_inverse_sum(expr: Expr) -> bool:
    inverse = isinstance(expr, Pow) and bool(expr.exp.is_negative)
    return inverse and isinstance(expr.base, Add | Maximum | Minimum | SumMax)


def _shifted(expr: Expr) -> Expr:
    """With n for each x - 1 in a denominator, so that both cancel."""
    shifts: Mapping[Symbol, Expr] = {
        symbol: Dummy(positive=True) - number
        for power in expr.atoms(Pow)
        if _is_inverse_sum(power)
        for number, symbol in [power.base.as_coeff_Add()]
        if symbol.is_Symbol
    }
    return expr.xreplace(shifts) if shifts else expr


class _Collector:
    """One walk over a formula; equal nodes are collected once."""

    def __init__(self) -> None:
        self.seen: dict[Expr, Products] = {}

    def products(self, expr: Expr) -> Products:
        if expr not in self.seen:
            self.seen[expr] = self._collect(expr)
        return self.seen[expr]

    def _collect(self, expr: Expr) -> Products:
        if expr.is_Rational:
            return {_ONE: Fraction(int(expr.p), int(expr.q))} if expr != 0 else {}
        if isinstance(expr, Add):
            return _sum(self.products(arg) for arg in expr.args)
        if isinstance(expr, Mul):
            return _product([self.products(arg) for arg in expr.args])
        if isinstance(expr, Pow) and expr.exp.is_Integer:
            return self._power(expr, int(expr.exp))
        if isinstance(expr, SumMax):
            return self.products(expr.closed_form())
        if isinstance(expr, Maximum | Minimum):
            sign = 1 if isinstance(expr, Maximum) else -1
            signed = [sign * arg for arg in expr.args]
            return _sum(
                _product([self.products(arg), self._bracket(signed, i)])
                for i, arg in enumerate(expr.args)
            )
        if isinstance(expr, Active):
            return self._bracket(list(expr.args), 0)
        return {frozenset([(expr, 1)]): Fraction(1)}

    def _power(self, expr: Expr, exponent: int) -> Products:
        base = self.products(expr.base)
        if len(base) == 1:
            (product, coefficient), *_ = base.items()
            raised = frozenset((generator, power * exponent) for generator, power in product)
            return {raised: coefficient**exponent}
        if 0 < exponent <= _EXPANDED:
            return _product([base] * exponent)
        return {frozenset([(expr.base, exponent)]): Fraction(1)}

    def _bracket(self, args: list[Expr], which: int) -> Products:
        ranked = sorted(args, key=default_sort_key)
        marks = [Active(arg, *(one for one in ranked if one != arg)) for arg in ranked]
        place = ranked.index(args[which])
        if place < len(ranked) - 1:
            return {frozenset([(marks[place], 1)]): Fraction(1)}
        others = ({frozenset([(mark, 1)]): Fraction(-1)} for mark in marks[:-1])
        return _sum([{_ONE: Fraction(1)}, *others])


def _sum(parts: Iterable[Products]) -> Products:
    total: Products = {}
    for part in parts:
        for product, coefficient in part.items():
            total[product] = total.get(product, Fraction(0)) + coefficient
    return {product: coefficient for product, coefficient in total.items() if coefficient}


def _product(parts: list[Products]) -> Products:
    total: Products = {_ONE: Fraction(1)}
    for part in parts:
        total = _sum(
            {_merged(one, other): first * second for other, second in part.items()}
            for one, first in total.items()
        )
    return total


def _merged(one: Product, other: Product) -> Product:
    powers = dict(one)
    for generator, power in other:
        powers[generator] = powers.get(generator, 0) + power
    return frozenset((generator, power) for generator, power in powers.items() if power)
