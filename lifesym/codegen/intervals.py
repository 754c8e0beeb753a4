"""Guaranteed bounds of programs over many boxes at once, by interval arithmetic in NumPy.

Every register of every box is an interval that holds all its values; after each operation it is
widened outwards by more than rounding can lose. An extremum's bounds are tight; products of
dependent factors are overestimated, the less the smaller the boxes are.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lifesym.codegen.program import Op, Program
from lifesym.errors import SymbolError

Array = Any
Interval = tuple[Array, Array]
_OUT = 4e-16


def bounds(
    program: Program,
    lows: Sequence[Array],
    highs: Sequence[Array],
    jumps: list[Array] | None = None,
) -> list[Interval]:
    """Lower and upper bounds of every output, for boxes with these corners.

    ``jumps`` collects, for every rounded quotient, the boxes in which it is not one integer.

    Raises:
        SymbolError: a divisor or a logarithm that reaches zero, or a power that cannot be bounded.
    """
    found: list[Any] = []
    last = {r: i for i, op in enumerate(program.ops) for r in op.reads}
    for i, op in enumerate(program.ops):
        if op.kind == "arg":
            found.append((lows[int(op.value or 0)], highs[int(op.value or 0)]))
        elif op.kind == "const":
            value = np.float64(float(op.value or 0))
            exact = Fraction(float(value)) == Fraction(op.value or 0)
            ends = (
                (value, value)
                if exact
                else (np.nextafter(value, -np.inf), np.nextafter(value, np.inf))
            )
            found.append(ends)
        elif op.kind in ("ceil", "floor"):
            found.append(_rounded(op.kind, *(found[r] for r in op.reads)))
            if jumps is not None:
                jumps.append(found[-1][0] != found[-1][1])
        else:
            found.append(_widened(*_apply(op, [found[r] for r in op.reads])))
        for r in op.reads:
            if last[r] == i and r not in program.outputs:
                found[r] = None  # large arrays are let go as soon as nothing reads them
    return [found[r] for r in program.outputs]


def _widened(low: Array, high: Array) -> Interval:
    return low - _OUT * np.abs(low), high + _OUT * np.abs(high)


def _apply(op: Op, parts: list[Interval]) -> Interval:
    if op.kind == "log":
        (low, high) = parts[0]
        _positive(low, "a logarithm")
        return np.log(low), np.log(high)
    if op.kind == "pick":
        return _pick(*parts)
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
    return _quotient(parts[0], parts[1])


def _quotient(top: Interval, bottom: Interval) -> Interval:
    (a, b), (c, d) = top, bottom
    if np.any((c <= 0) & (d >= 0)):
        raise SymbolError("a divisor can be zero in this box")
    return _hull(a / c, a / d, b / c, b / d)


def _rounded(kind: str, top: Interval, bottom: Interval) -> Interval:
    """A quotient rounded up or down; points need no widening: their division rounds right."""
    low, high = _quotient(top, bottom)
    points = (np.asarray(top[0]) == top[1]) & (np.asarray(bottom[0]) == bottom[1])
    wide = _widened(low, high)
    low, high = np.where(points, low, wide[0]), np.where(points, high, wide[1])
    rounding = {"ceil": np.ceil, "floor": np.floor}[kind]
    return rounding(low), rounding(high)


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


def _hull(*corners: Array) -> Interval:
    return np.minimum.reduce(np.broadcast_arrays(*corners)), np.maximum.reduce(
        np.broadcast_arrays(*corners)
    )


def _positive(low: Array, what: str) -> None:
    if np.any(low <= 0):
        raise SymbolError(f"{what} can be zero or less in this box")
