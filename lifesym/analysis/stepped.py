"""Where a formula meets a target along a symbol between whose values there are others.

Such a symbol, as the share of a cache that is kept, may pass thousands of steps of a rounded
quotient. The range is halved: where bounds of the formula decide a half (`lifesym.analysis.
enclosure`) it is done with, and what is left is cut at its few steps.
"""

from collections.abc import Iterator

import numpy as np
from sympy import Expr, Symbol, oo

from lifesym.analysis.enclosure import enclose
from lifesym.analysis.line import pieces, quotients
from lifesym.errors import SymbolError

_FEW = 16
"""Steps of a range that is cut at each of them."""


def judged(
    expr: Expr, target: Expr, sign: int, symbol: Symbol, low: Expr, high: Expr
) -> Iterator[tuple[Expr, Expr, Expr | bool]]:
    """Stretches in order, each with the smooth formula there, or whether it meets the target.

    Raises:
        SymbolError: an infinite range, or one without bounds, that has many steps.
    """
    nodes = quotients([expr], symbol)
    try:
        begin, end = (np.array([[float(each)]]) for each in (low, high))
        bounds = [enclose(each, (symbol,), begin, end) for each in (expr, *nodes)]
    except SymbolError:
        bounds = []
    steps = sum(float(bound.high[0] - bound.low[0]) for bound in bounds[1:])
    if high is oo or not steps > _FEW:
        yield from ((one.low, one.high, one.expr) for one in pieces(expr, symbol, low, high))
        return
    value, aim = bounds[0], float(target)
    least, most = sorted((sign * (value.low[0] - aim), sign * (value.high[0] - aim)))
    if most < 0 or least > 0:
        yield low, high, bool(most < 0)
        return
    middle = (low + high) / 2
    yield from judged(expr, target, sign, symbol, low, middle)
    yield from judged(expr, target, sign, symbol, middle, high)
