r"""What a formula becomes as one symbol grows: leading term, order, limit, and from where on.

Degrees are found structurally, with every other symbol left as it is: the degree of a sum is the
largest of its terms', a maximum keeps the arguments of the largest degree, and $c\,q^x$ with
$0 < q < 1$ (the experts that no token chose) vanishes.
"""

from dataclasses import dataclass
from fractions import Fraction

from sympy import Add, Expr, Mul, Pow, S, Symbol, oo

from lifesym.analysis.inverse import design
from lifesym.analysis.questions import Quantity, Values, formula, point_of, symbol_of
from lifesym.errors import InfeasibleError, SymbolError
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.symbols import TABLE, Number, exact

_FAST = -(10**9)  # the degree given to what vanishes faster than any power


@dataclass(frozen=True, kw_only=True)
class Asymptote:
    """The leading term of a formula in one symbol.

    Attributes:
        symbol: the symbol that grows.
        degree: the power of the symbol in the leading term.
        coefficient: what that power is multiplied by.
    """

    symbol: Symbol
    degree: Expr
    coefficient: Expr

    @property
    def expr(self) -> Expr:
        """The leading term."""
        return self.coefficient * self.symbol**self.degree

    @property
    def theta(self) -> str:
        r"""The order of growth, such as ``Θ(past**2)``."""
        return f"Θ({self.symbol**self.degree})"

    @property
    def limit(self) -> Expr:
        """The limit of the formula: 0, a value, or infinity."""
        if self.degree > 0:
            return oo
        return self.coefficient if self.degree == 0 else S.Zero


def leading(quantity: Quantity, over: str | Symbol) -> Asymptote:
    """The leading term as a symbol grows without limit.

    Every symbol and every term but those inside a difference must be positive, as they are in
    times, costs and memory.

    Raises:
        SymbolError: a symbol that the formula does not have, leading terms that cancel, or a node
            whose growth is not known (a sum without a closed form).

    >>> from lifesym import symbols as sym
    >>> found = leading(3 * sym.past**2 + sym.hidden * sym.past, "past")
    >>> found.expr, found.theta
    (3*past**2, 'Θ(past**2)')
    """
    symbol = symbol_of(quantity, over)
    degree, coefficient = _lead(formula(quantity), symbol)
    return Asymptote(symbol=symbol, degree=degree, coefficient=coefficient)


def threshold(
    quantity: Quantity,
    over: str | Symbol,
    at: Values | None = None,
    *,
    within: Number = Fraction(1, 2),
    up_to: Number = 10**12,
) -> Expr:
    """The value from which on the leading term is the formula, to a given relative error.

    Args:
        quantity: a result or an expression.
        over: the symbol that grows.
        at: the values of the others.
        within: the largest relative error, abs(leading / full - 1).
        up_to: how far to look.

    Raises:
        InfeasibleError: the error is larger up to there.
        SymbolError: as `leading`, or a value missing or out of range.

    >>> from lifesym import symbols as sym
    >>> threshold(sym.past**2 + 8 * sym.past, "past", within=0.5)
    8
    """
    asymptote = leading(quantity, over)
    symbol = asymptote.symbol
    values = point_of(quantity, at or {}, free=[symbol])
    ratio = (asymptote.expr / formula(quantity)).xreplace(values)
    if not ratio.has(symbol):
        return S(TABLE[symbol].minimum or 0)
    low = TABLE[symbol].minimum or S(1) / up_to
    starts = []
    error = exact(within, "within")
    for bound in ({"at_least": 1 - error}, {"at_most": 1 + error}):
        try:
            last = design(ratio, symbol, between=(low, up_to), **bound).feasible[-1]
        except InfeasibleError:
            last = None
        if last is None or last.high != up_to:
            raise InfeasibleError(
                f"the leading term in {TABLE[symbol].word} is not within {within} of the formula "
                f"up to {up_to}"
            )
        starts.append(last.low)
    return max(starts)


def _lead(expr: Expr, symbol: Symbol) -> tuple[Expr, Expr]:
    """Degree and coefficient of the leading term."""
    if not expr.has(symbol):
        return S.Zero, expr
    if expr == symbol:
        return S.One, S.One
    if isinstance(expr, Mul):
        parts = [_lead(arg, symbol) for arg in expr.args]
        return Add(*(degree for degree, _ in parts)), Mul(*(c for _, c in parts))
    if isinstance(expr, Pow):
        return _lead_power(expr, symbol)
    if isinstance(expr, Add | Maximum | Minimum):
        parts = [_lead(arg, symbol) for arg in expr.args]
        degrees = [degree for degree, _ in parts]
        best = min(degrees) if isinstance(expr, Minimum) else max(degrees)
        kept = expr.func(*(c for degree, c in parts if degree == best))
        if kept == 0:
            raise SymbolError(f"the leading terms in {symbol.name} cancel")
        return best, kept
    if isinstance(expr, CeilDiv | FloorDiv):
        degree, coefficient = _lead(expr.relax(), symbol)
        if degree > 0:
            return degree, coefficient
    raise SymbolError(
        f"the growth of {expr.func.__name__} in {symbol.name} is not known: "
        "ask about a step, or bind the length of the generation"
    )


def _lead_power(expr: Expr, symbol: Symbol) -> tuple[Expr, Expr]:
    if not expr.exp.has(symbol):
        degree, coefficient = _lead(expr.base, symbol)
        return degree * expr.exp, coefficient**expr.exp
    base = expr.base
    if not base.has(symbol) and base.is_number and 0 < base < 1 and expr.exp.is_nonnegative:
        return S(_FAST), S.One
    raise SymbolError(f"the growth of {expr} in {symbol.name} is not known: bind its base")
