"""What if: shares by operator, one symbol at a time (tornado), and a symbol that costs nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from sympy import Expr, S, Symbol, ceiling, floor, oo

from lifesym import symbols as sym
from lifesym.analysis.questions import Derived, Quantity, Values, formula, point_of, symbol_of
from lifesym.analysis.reasons import limit
from lifesym.analysis.regime import operators
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.symbols import TABLE, By, Number, constant, ordered


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar of a tornado: the quantity at both ends of a symbol's range and at the point."""

    symbol: Symbol
    low: Expr
    high: Expr
    at_low: Expr
    at_point: Expr
    at_high: Expr

    @property
    def swing(self) -> Expr:
        """How far the two ends are apart."""
        return abs(self.at_high - self.at_low)


@dataclass(frozen=True, kw_only=True)
class Freed:
    """What is left when a symbol costs nothing.

    Attributes:
        symbol: the symbol.
        value: what it was put to: infinity for a rate, else the end of its range.
        left: the quantity then.
        speedup: the quantity before over the quantity then; infinite if nothing is left.
    """

    symbol: Symbol
    value: Expr
    left: Expr
    speedup: Expr


@checked
def shares(quantity: Derived, at: Values) -> dict[str, Expr]:
    """Each operator's exact part of the time at a point, largest first; they add up to 1.

    Raises:
        SymbolError: no operators, or a value missing or out of range.
    """
    named = list(operators(quantity))
    values = point_of(quantity, at)
    times = {name: term.time.xreplace(values).doit() for name, term in named}
    whole = sum(times.values(), S.Zero)
    ranked = sorted(times.items(), key=lambda item: -item[1])
    return {name: time / whole for name, time in ranked}


@checked
def tornado(
    quantity: Quantity,
    at: Values,
    ranges: By[tuple[Number, Number]] | Number = 0.1,
) -> tuple[Bar, ...]:
    """The quantity at both ends of each symbol's range, the others at the point; widest first.

    Args:
        quantity: a result or an expression.
        at: the point.
        ranges: the ends for each symbol, or one fraction by which every symbol of the formula goes
            down and up (clipped to its range; sizes to the whole numbers at or beyond that).

    Raises:
        SymbolError: a symbol that the formula does not have, or a value missing or out of range.
    """
    expr, values = formula(quantity), point_of(quantity, at)
    if isinstance(ranges, Mapping):
        ends = {symbol_of(quantity, name): pair for name, pair in ranges.items()}
    else:
        part = constant(ranges, "the fraction")
        if not 0 < part < 1:
            raise SymbolError(f"the fraction must be above 0 and below 1, not {ranges}")
        ends = {symbol: _around(symbol, value, part) for symbol, value in values.items()}
    now = expr.xreplace(values).doit()
    bars = []
    for symbol, pair in ends.items():
        low, high = (sym.bind(symbol, {symbol: end}) for end in pair)
        reached = [expr.xreplace(values | {symbol: end}).doit() for end in (low, high)]
        bars.append(
            Bar(
                symbol=symbol,
                low=low,
                high=high,
                at_low=reached[0],
                at_point=now,
                at_high=reached[1],
            )
        )
    return tuple(sorted(bars, key=lambda bar: -bar.swing))


@checked
def if_free(quantity: Quantity, at: Values) -> tuple[Freed, ...]:
    """Amdahl's limit of every symbol that stands for a cost, largest speed-up first.

    A rate becomes infinite, a time or an energy zero, an efficiency its maximum. Sizes and bits
    are the question itself and are not freed; a symbol whose limit is not known is left out.

    Raises:
        SymbolError: a value missing or out of range.
    """
    expr, values = formula(quantity), point_of(quantity, at)
    now = expr.xreplace(values).doit()
    found = []
    for symbol in ordered(values):
        row = TABLE[symbol]
        if row.whole:
            continue
        best = oo if row.kind == "rate" else S.Zero
        if row.kind == "ratio":
            best = S(row.maximum if row.maximum is not None else row.minimum or 0)
        others = {other: value for other, value in values.items() if other != symbol}
        left = limit(expr.xreplace(others), symbol, best)
        if left is S.NaN:
            continue
        speedup = oo if left == 0 else now / left
        found.append(Freed(symbol=symbol, value=best, left=left, speedup=speedup))
    return tuple(sorted(found, key=lambda one: -one.speedup))


def _around(symbol: Symbol, value: Expr, part: Expr) -> tuple[Expr, Expr]:
    """The value less and plus a part of it: there is no batch of 1.1, so sizes are whole."""
    low, high = value * (1 - part), value * (1 + part)
    if TABLE[symbol].kind == "size":
        low, high = floor(low), ceiling(high)
    return _clipped(symbol, low), _clipped(symbol, high)


def _clipped(symbol: Symbol, value: Expr) -> Expr:
    row = TABLE[symbol]
    if row.minimum is not None:
        value = max(value, S(row.minimum))
    return value if row.maximum is None else min(value, S(row.maximum))
