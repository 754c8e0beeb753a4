"""Why nothing meets a target: the best that a symbol can do, and what takes most of it then."""

from collections.abc import Iterator, Mapping

from sympy import Expr, Pow, S, Symbol, oo

from lifesym.analysis.branches import branch_at
from lifesym.analysis.growth import growth
from lifesym.analysis.line import pieces, rounded
from lifesym.analysis.questions import Quantity, plain, title
from lifesym.analysis.regime import operators
from lifesym.analysis.roots import turning
from lifesym.analysis.whole import extremes
from lifesym.errors import SymbolError
from lifesym.powers import sign as sign_of
from lifesym.symbols import TABLE


def why_not(
    quantity: Quantity,
    symbol: Symbol,
    target: Expr,
    sign: int,
    values: Mapping[Symbol, Expr],
    ends: tuple[Expr, Expr],
) -> str:
    """The best that the symbol can do, and the operator that takes most of it."""
    expr = plain(quantity).xreplace(dict(values))
    reached = dict(_candidates(expr, symbol, *ends))
    word = TABLE[symbol].word
    if not reached:
        return f"no {word} brings {title(quantity)} to {float(target):g}"
    best = min(reached, key=lambda value: sign * reached[value])
    where = f"even as {word} grows without limit" if best is oo else f"at {word} = {float(best):g}"
    side = "least" if sign > 0 else "most"
    size = " of a double's size" if sign * sign_of(reached[best] - target) <= 0 else ""
    message = (
        f"no {word}{size} brings {title(quantity)} to {float(target):g}: "
        f"it is at {side} {float(reached[best]):g}, {where}"
    )
    if not getattr(quantity, "terms", ()) or sign < 0:
        return message
    parts = {}
    for name, term in operators(quantity):
        times = {"compute": term.compute, "memory": term.memory}
        times |= {"dispatch": term.dispatch, "network": term.network}
        for resource, time in times.items():
            part = limit(time.xreplace(dict(values)), symbol, best)
            if part is not S.NaN:
                parts[name, resource] = part
    name, resource = max(parts, key=lambda key: parts[key])
    return f"{message}, of which {name}'s {resource} time is {float(parts[name, resource]):g}"


def _candidates(expr: Expr, symbol: Symbol, low: Expr, high: Expr) -> Iterator[tuple[Expr, Expr]]:
    """Where the smallest or largest value of a formula can be, with the value there."""
    inside: list[Expr] = []
    if rounded(expr, symbol):
        inside = extremes(expr, symbol, low, high) if TABLE[symbol].whole else []
    else:
        for piece in pieces(expr, symbol, low, high):
            inside.append(piece.low)
            inside += [root.value for root in turning(piece.expr, symbol, piece.low, piece.high)]
    after = (
        [low + 1] if low + 1 < high else []
    )  # at the first value itself a mean can be of nothing
    for value in dict.fromkeys([low, *after, *inside, high]):
        number = limit(expr, symbol, value)
        if number.is_number and number.is_finite:
            yield value, number


def limit(expr: Expr, symbol: Symbol, value: Expr) -> Expr:
    """The value of a formula of one symbol at a number, or as the symbol grows without limit."""
    if value.is_zero and any(
        power.base.has(symbol) and power.exp.is_negative for power in expr.atoms(Pow)
    ):
        return _at_zero(expr, symbol)
    if value is not oo:
        return value_at(expr, symbol, value)
    inverse = _value(expr.xreplace({symbol: 1 / symbol}), {symbol: S.Zero})
    if not inverse.has(S.ComplexInfinity, S.NaN):
        return inverse
    try:
        degree, coefficient = growth(expr, symbol)
    except SymbolError:
        return S.NaN  # not known: no candidate for the best value
    return oo if degree > 0 else coefficient if degree == 0 else S.Zero


def _at_zero(expr: Expr, symbol: Symbol) -> Expr:
    """The value where a symbol that is divided by is zero; infinite where it is not known."""
    there = _value(expr, {symbol: S.Zero})
    return oo if there.has(S.ComplexInfinity, S.NaN, oo) else there


def _value(expr: Expr, values: Mapping[Symbol, Expr]) -> Expr:
    """A formula at a point where parts of it are infinite, and cannot be compared with others."""
    try:
        return expr.xreplace(dict(values)).doit()
    # SymPy's cache fails on the message of such a comparison
    except (TypeError, ZeroDivisionError, AttributeError):
        return S.NaN


def value_at(expr: Expr, symbol: Symbol, value: Expr) -> Expr:
    """A formula of one symbol at a value, exactly."""
    at = {symbol: value}
    if not value.is_Rational:
        expr = branch_at(expr, at).expr  # a maximum of roots stays as it is written
    return expr.xreplace(at).doit()
