r"""What a formula becomes as one symbol grows: leading term, order, limit, and from where on.

Degrees are found structurally, with every other symbol left as it is (`lifesym.analysis.growth`).
"""

from dataclasses import dataclass
from fractions import Fraction

from sympy import Expr, S, Symbol, oo

from lifesym.analysis.growth import growth
from lifesym.analysis.inverse import meeting
from lifesym.analysis.questions import Quantity, Values, formula, plain, point_of, symbol_of
from lifesym.analysis.regime import span
from lifesym.checks import checked
from lifesym.errors import InfeasibleError
from lifesym.symbols import TABLE, Number, constant


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


@checked
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
    degree, coefficient = growth(formula(quantity), symbol)
    return Asymptote(symbol=symbol, degree=degree, coefficient=coefficient)


@checked
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
    ratio = plain(asymptote.expr / formula(quantity)).xreplace(values)
    if not ratio.has(symbol):
        return S(TABLE[symbol].minimum or 0)
    low = TABLE[symbol].minimum or S(1) / up_to
    starts = []
    error = constant(within, "within")
    for sign in (-1, 1):
        found = meeting(ratio, 1 + sign * error, sign, symbol, *span(symbol, (low, up_to)))
        last = found[-1] if found else None
        if last is None or last.high != up_to:
            raise InfeasibleError(
                f"the leading term in {TABLE[symbol].word} is not within {within} of the formula "
                f"up to {up_to}"
            )
        starts.append(last.low)
    return max(starts)
