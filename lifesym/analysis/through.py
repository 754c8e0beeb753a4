r"""Formulas that depend on a symbol through one function of it alone.

The capacity of a radio link is $W \log_2(1 + s)$: a time in which s is the signal-to-noise ratio
is not rational in s, but it is in $u = \log(1 + s)$. As u rises or falls with s, what is found of
u is also known of s: a zero at u is one at $s = e^u - 1$.
"""

from dataclasses import dataclass
from functools import lru_cache

from sympy import Add, Dummy, Expr, Mul, Pow, Rational, S, Symbol, exp, log, oo

from lifesym.errors import SymbolError

FARTHEST = Rational(10) ** 300
"""Where a range without an end is no longer searched: what is solved for is a double's size."""
_LARGEST_POWER = 700
"""Of e: what is larger is no double, and exactly it would be a number of any length."""


@dataclass(frozen=True)
class Through:
    """A formula of one function of a symbol.

    Attributes:
        symbol: the symbol.
        function: the function, which rises or falls with it all along.
        name: what stands for the function.
        expr: the formula with the name in the function's place, in which it is rational.
    """

    symbol: Symbol
    function: Expr
    name: Symbol
    expr: Expr

    def ends(self, low: Expr, high: Expr) -> tuple[Expr, Expr]:
        """The range of the function over a range of the symbol (up to `FARTHEST`), in order."""
        last = FARTHEST if high is oo else high
        one, other = (_limit(self.function, self.symbol, end) for end in (low, last))
        return (one, other) if one < other else (other, one)

    def back(self, value: Expr) -> Expr:
        """The symbol where the function has a value."""
        return undone(self.function, self.symbol, value)


@lru_cache(maxsize=1024)
def through(expr: Expr, symbol: Symbol) -> Through | None:
    """The one function through which a formula depends on a symbol, if there is one to undo.

    >>> from sympy import log
    >>> from lifesym.symbols import bandwidth, past
    >>> through(3 + bandwidth / log(1 + past, 2), past).function
    log(past + 1)
    >>> through(bandwidth / log(1 + past), bandwidth), through(past + log(1 + past), past)
    (None, None)
    """
    functions = _functions(expr, symbol)
    if len(functions) != 1:
        return None
    (function,) = functions
    if function == symbol:  # rational as it is
        return None
    name = Dummy(symbol.name, real=True)
    rest = expr.xreplace({function: name})
    if rest.has(symbol) or not rest.is_rational_function(name):
        return None
    if undone(function, symbol, S.One) is S.NaN:
        return None
    return Through(symbol, function, name, rest)


def undone(function: Expr, symbol: Symbol, value: Expr) -> Expr:
    """The symbol where a function of it has a value; NaN where that is not known.

    Raises:
        SymbolError: it is beyond what a double can be.

    >>> from lifesym.symbols import past
    >>> undone(log(1 + 2 * past), past, S(3))
    -1/2 + exp(3)/2
    """
    if function == symbol:
        return value
    if isinstance(function, Add | Mul):
        fixed, moving = function.as_independent(symbol)
        if isinstance(moving, function.func):
            return S.NaN  # the symbol is in several terms, or factors
        rest = value - fixed if isinstance(function, Add) else value / fixed
        return undone(moving, symbol, rest)
    if isinstance(function, log):
        if value.is_number and abs(value.evalf()) > _LARGEST_POWER:
            raise SymbolError(f"the {symbol.name} asked for is not of the size of a double")
        return undone(function.args[0], symbol, exp(value))
    if isinstance(function, Pow) and not function.exp.has(symbol) and function.base.is_nonnegative:
        return undone(function.base, symbol, value ** (1 / function.exp))
    if isinstance(function, Pow) and function.base.is_number and function.base.is_positive:
        return undone(function.exp, symbol, log(value) / log(function.base))
    return S.NaN


def _functions(expr: Expr, symbol: Symbol) -> set[Expr]:
    """The outermost parts of a formula in which it is not rational in the symbol."""
    if not expr.has(symbol):
        return set()
    rational = isinstance(expr, Add | Mul) or (isinstance(expr, Pow) and expr.exp.is_Integer)
    if expr == symbol or not rational:
        return {expr}
    return set().union(*(_functions(arg, symbol) for arg in expr.args))


def _limit(function: Expr, symbol: Symbol, end: Expr) -> Expr:
    """A function at an end of a range, where a logarithm may be of zero or without limit."""
    found = function.xreplace({symbol: end})
    if found is S.ComplexInfinity:
        of_zero = isinstance(function, log) and function.args[0].xreplace({symbol: end}) == 0
        return -oo if of_zero else oo
    if found is S.NaN:
        raise SymbolError(f"{function} has no value at {symbol.name} = {end}: give another range")
    return found
