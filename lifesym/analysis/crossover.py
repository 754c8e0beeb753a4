"""Where two formulas meet."""

from sympy import Expr, Poly, Symbol, cancel, fraction, sqrt

from lifesym.errors import SymbolError
from lifesym.symbols import resolve


def meeting_points(first: Expr, second: Expr, over: str | Symbol) -> tuple[Expr, ...]:
    r"""The values of a symbol at which two expressions are equal, as formulas.

    The difference must be rational in the symbol with a numerator of degree one or two; the
    roots are returned smaller discriminant sign first, real or not. Two expressions that are
    equal everywhere, or never, have no meeting points.

    >>> from lifesym import symbols as sym
    >>> meeting_points(2 * sym.past + sym.hidden, 3 * sym.past, sym.past)
    (hidden,)

    Raises:
        SymbolError: the symbol is in neither expression, or the difference has no such form.
    """
    symbol = resolve(over)
    if symbol not in first.free_symbols | second.free_symbols:
        raise SymbolError(f"neither formula depends on {symbol.name}")
    numerator, _ = fraction(cancel(first - second))
    if not numerator.has(symbol):
        return ()
    if not numerator.is_polynomial(symbol):
        raise SymbolError(f"the difference is not rational in {symbol.name}")
    coefficients = Poly(numerator, symbol).all_coeffs()
    if len(coefficients) == 2:
        slope, constant = coefficients
        return (cancel(-constant / slope),)
    if len(coefficients) == 3:
        a, b, c = coefficients
        root = sqrt(b**2 - 4 * a * c)
        return (-b - root) / (2 * a), (-b + root) / (2 * a)
    raise SymbolError(f"the difference is of degree {len(coefficients) - 1} in {symbol.name}")
