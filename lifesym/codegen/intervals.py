"""Guaranteed bounds of programs over many boxes at once, by interval arithmetic in NumPy.

Every register of every box is an interval that holds all its values; after each operation it is
widened outwards by more than rounding can lose. An extremum's bounds are tight; products of
dependent factors are overestimated, the less the smaller the boxes are.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lifesym.codegen.program import Op, Program
from lifesym.errors import SymbolError

Array = Any
Interval = tuple[Array, Array]
_OUT = 4e-16
_KEEP = frozenset({"add", "mul", "div", "max", "min"})
"""Operations of what is not negative that are not negative either."""


def bounds(program: Program, lows: Sequence[Array], highs: Sequence[Array]) -> list[Interval]:
    """Lower and upper bounds of every output, for boxes with these corners.

    Raises:
        SymbolError: a divisor or a logarithm that reaches zero, or a power that cannot be bounded.
    """
    found: list[Any] = []
    positive: list[bool] = []
    last = {r: i for i, op in enumerate(program.ops) for r in op.reads}
    for i, op in enumerate(program.ops):
        if op.kind == "arg":
            found.append((lows[int(op.value or 0)], highs[int(op.value or 0)]))
        elif op.kind == "const":
            value = np.float64(float(op.value or 0))
            found.append((np.nextafter(value, -np.inf), np.nextafter(value, np.inf)))
        else:
            parts, signs = [found[r] for r in op.reads], [positive[r] for r in op.reads]
            if op.kind == "mul" and any(signs):
                made = _product(parts, signs)
            elif op.kind == "div" and signs[1]:
                made = _quotient(parts, positive=signs[0])
            else:
                made = _apply(op, parts)
            found.append(_widened(*made, all(signs) and op.kind in _KEEP))
        positive.append(bool(np.min(found[i][0], initial=np.inf) >= 0))
        for r in op.reads:
            if last[r] == i and r not in program.outputs:
                found[r] = None  # large arrays are let go as soon as nothing reads them
    return [found[r] for r in program.outputs]


def _widened(low: Array, high: Array, positive: bool = False) -> Interval:
    if positive:
        return low * (1 - _OUT), high * (1 + _OUT)
    return low - _OUT * np.abs(low), high + _OUT * np.abs(high)


def _apply(op: Op, parts: list[Interval]) -> Interval:
    if op.kind == "log":
        (low, high) = parts[0]
        _positive(low, "a logarithm")
        return np.log(low), np.log(high)
    if op.kind == "pick":
        return _pick(*parts)
    if op.kind == "rest":
        return _rest(*parts)
    (a, b), (c, d) = parts
    if op.kind == "add":
        return a + c, b + d
    if op.kind == "mul":
        return _hull(a * c, a * d, b * c, b * d)
    if op.kind == "max":
        return np.maximum(a, c), np.maximum(b, d)
    if op.kind == "min":
        return np.minimum(a, c), np.minimum(b, d)
    if op.kind == "cross":
        return _cross(a, b, c, d)
    if op.kind == "pow":
        _positive(a, "the base of a power")
        return _hull(a**c, a**d, b**c, b**d)
    if np.any((c <= 0) & (d >= 0)):
        raise SymbolError("a divisor can be zero in this box")
    low, high = _hull(a / c, a / d, b / c, b / d)
    rounding = {"div": None, "ceil": np.ceil, "floor": np.floor}[op.kind]
    if rounding is None:
        return low, high
    low, high = _widened(low, high)
    return rounding(low), rounding(high)


def _product(parts: list[Interval], positive: list[bool]) -> Interval:
    """A product of two of which one is not negative: half of the corners, and often a quarter."""
    (a, b), (c, d) = parts if positive[0] else reversed(parts)
    if all(positive):
        return a * c, b * d
    return np.minimum(a * c, b * c), np.maximum(a * d, b * d)


def _quotient(parts: list[Interval], *, positive: bool) -> Interval:
    """A quotient by what is not negative; what is divided may be known not to be either."""
    (a, b), (c, d) = parts
    if np.any(c <= 0):
        raise SymbolError("a divisor can be zero in this box")
    if positive:
        return a / d, b / c
    return np.minimum(a / c, a / d), np.maximum(b / c, b / d)


def _cross(a: Array, b: Array, c: Array, d: Array) -> Interval:
    """A crossing index; unbounded above where the slope can be zero."""
    steep = np.where(c > 0, c, np.nan)
    low, high = _hull(a / steep, a / d, b / steep, b / d)
    flat = ~(c > 0)
    lowest, highest = np.where(flat, -np.inf, low), np.where(flat, np.inf, high)
    return np.ceil(np.clip(lowest, -1e300, 1e300)), np.ceil(np.clip(highest, -1e300, 1e300))


def _pick(condition: Interval, yes: Interval, no: Interval) -> Interval:
    """The one that is chosen, or both where the condition is open."""
    always, never = condition[0] > 0, condition[1] <= 0
    low = np.where(always, yes[0], np.where(never, no[0], np.minimum(yes[0], no[0])))
    high = np.where(always, yes[1], np.where(never, no[1], np.maximum(yes[1], no[1])))
    return low, high


def _rest(top: Interval, taken: Interval, bottom: Interval) -> Interval:
    """A remainder, also of what is not whole: from 0 to the divisor."""
    low, high = top[0] - taken[1], top[1] - taken[0]
    return np.maximum(low, 0.0), np.minimum(high, bottom[1])


def _hull(*corners: Array) -> Interval:
    return np.minimum.reduce(np.broadcast_arrays(*corners)), np.maximum.reduce(
        np.broadcast_arrays(*corners)
    )


def _positive(low: Array, what: str) -> None:
    if np.any(low <= 0):
        raise SymbolError(f"{what} can be zero or less in this box")
