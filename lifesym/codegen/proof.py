r"""How far a grid can be off its formula: proved, cell by cell.

Where the arguments are whole and few enough, every value they can have is compared: nothing is
bounded, so nothing is overestimated, and a formula may jump as it likes.

Elsewhere a cell is cut into small boxes. In a box around c the error $E = L - T$ of the interpolant
L obeys the mean value theorem: $|E(x)| \le |E(c)| + \sum_i r_i \max |\partial_i L - \partial_i T|$.
The slopes of L are taken at corners, those of T by interval arithmetic; both are close to each
other in a small box, so the bound shrinks with the square of its size. The theorem needs a formula
without jumps. What jumps (rounded quotients, the active side of a maximum, the index at which lines
cross) is constant in T's slopes, which is right in a box where each of these has one value; in the
others the ranges of L and T themselves bound their distance.

Along an argument in which T is affine E is too, and E / T, with T above zero, grows or falls: its
largest size is at a knot, so there the boxes have no length, and no more knots than two are needed.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, Protocol

import numpy as np
from sympy import Add, Dummy, Expr, Mul, Pow, Symbol
from sympy.core.sorting import default_sort_key

from lifesym.codegen import blocked
from lifesym.codegen.grid import Grid, bends, by_cell, corners, interpolated, slope
from lifesym.codegen.intervals import Interval, bounds
from lifesym.codegen.lowering import lower
from lifesym.codegen.program import Program
from lifesym.codegen.ranges import Box
from lifesym.errors import SymbolError
from lifesym.nodes import Active, CeilDiv, CeilLog2, FloorDiv
from lifesym.remainders import ChunksBefore, LastChunk, spelt_out
from lifesym.sums import Crossing, SumMax

Array = Any
MOST_POINTS = 2**21
"""Values of whole arguments that are compared one by one."""
_AT_ONCE = 2**18
"""Small boxes that are bounded at once."""
_ROUNDING = 1e-12
"""More than evaluation in doubles can lose."""


class Proof(Protocol):
    """Bounds of the relative error of a grid."""

    formula: Program
    steps: tuple[float, ...]
    """Those of its grids."""

    def errors(self, grid: Grid) -> Array:
        """A bound for every cell; infinite where the formula is not proved to be above zero."""

    def blame(self, cell: Grid) -> list[float]:
        """The part of every axis in the bound of a grid of one cell."""


def proof(expr: Expr, symbols: tuple[Symbol, ...], box: Box, steps: Sequence[float]) -> Proof:
    """The sharper of the two proofs that a box allows.

    ``steps`` are the distances between values of the arguments, 0 for any value.
    """
    ends = [box[symbol] for symbol in symbols]
    if all(steps):
        counts = [(high - low) / step + 2 for (low, high), step in zip(ends, steps, strict=True)]
        if np.prod(counts) <= MOST_POINTS:
            points = [_whole(*each, step) for each, step in zip(ends, steps, strict=True)]
            return EveryPoint(lower([expr], symbols), points, steps)
    return Slopes(expr, symbols, steps)


class EveryPoint:
    """Compares all values that whole arguments can have."""

    def __init__(self, formula: Program, points: Sequence[Array], steps: Sequence[float]) -> None:
        self.formula = formula
        self.steps = tuple(steps)
        self.points = tuple(points)
        mesh = np.meshgrid(*points, indexing="ij", sparse=True)
        shape = tuple(each.size for each in points)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.values = np.broadcast_to(blocked.evaluate(formula, mesh)[0], shape)
        if not np.all(np.isfinite(self.values)):
            raise SymbolError("the formula is not finite everywhere in the ranges")

    def errors(self, grid: Grid) -> Array:
        """The largest error of the points of every cell."""
        inside, found = [], grid.values
        for axis, (knots, points) in enumerate(zip(grid.axes, self.points, strict=True)):
            first, last = np.searchsorted(points, (knots[0], knots[-1]))
            inside.append(slice(int(first), int(last) + 1))
            found = interpolated(found, knots, points[inside[-1]], axis)
        true = self.values[tuple(inside)]
        positive = np.where(true > 0, true, np.nan)
        errors = np.nan_to_num(np.abs(found - true) / positive, nan=np.inf) + _ROUNDING
        for axis, (knots, points) in enumerate(zip(grid.axes, self.points, strict=True)):
            starts = np.searchsorted(points[inside[axis]], knots)
            # the last knot starts no cell; it is in the last one, with an error of nothing
            errors = np.maximum.reduceat(errors, starts[:-1], axis=axis)
        return errors

    def blame(self, cell: Grid) -> list[float]:
        """How far the formula is from straight along each axis."""
        return bends(self.formula, cell)


class Slopes:
    """The mean value theorem on small boxes, by interval arithmetic."""

    def __init__(self, expr: Expr, symbols: tuple[Symbol, ...], steps: Sequence[float]) -> None:
        self.formula = lower([expr], symbols)
        if any(op.body for op in self.formula.ops):
            raise SymbolError(
                "a table of a sum without a closed form needs whole arguments, of at most "
                f"{MOST_POINTS:,} values together"
            )
        slopes = _slopes(expr, symbols)
        self.steps = tuple(
            np.inf if _is_affine(expr, symbol, slope) else step
            for symbol, slope, step in zip(symbols, slopes, steps, strict=True)
        )
        # in a `SumMax` a crossing is no jump: the two lines are equal there
        switches = sorted(expr.atoms(Active, Crossing), key=default_sort_key)
        program = lower([expr, *slopes, *switches], symbols)
        rounded = tuple(i for i, op in enumerate(program.ops) if op.kind in ("ceil", "floor"))
        self.count = 1 + len(slopes)
        self.program = Program(program.args, program.ops, program.outputs + rounded)

    def errors(self, grid: Grid) -> Array:
        """A bound for every cell; of many, half by half."""
        cells = [axis.size - 1 for axis in grid.axes]
        axis = int(np.argmax(cells))
        if np.prod(cells) * np.prod(grid.parts) <= _AT_ONCE or cells[axis] == 1:
            return self._block(grid)
        middle = cells[axis] // 2
        halves = [grid.part(axis, 0, middle), grid.part(axis, middle, cells[axis])]
        return np.concatenate([self.errors(half) for half in halves], axis=axis)

    def _block(self, grid: Grid) -> Array:
        parts = grid.parts
        lows, highs = corners(grid, parts)
        centres = [(low + high) / 2 for low, high in zip(lows, highs, strict=True)]
        found = bounds(self.program, lows, highs)
        value, slopes, jumping = found[0], found[1 : self.count], found[self.count :]
        error = np.abs(grid(centres) - blocked.evaluate(self.formula, centres)[0])
        error = sum(self._parts(grid, slopes, lows, highs), start=error)
        jumps = _jumps(jumping, lows, highs)
        if np.any(jumps):
            error = np.where(jumps, _apart(grid, value, lows, highs), error)
        positive = np.where(value[0] > 0, value[0], np.nan)
        relative = np.nan_to_num(error / positive, nan=np.inf, posinf=np.inf)
        return by_cell(relative + _ROUNDING, grid, parts)

    def blame(self, cell: Grid) -> list[float]:
        """The largest part that an axis's slopes have in the bound."""
        lows, highs = corners(cell, cell.parts)
        value, *slopes = bounds(self.program, lows, highs)[: self.count]
        parts = self._parts(cell, slopes, lows, highs)
        return [float(np.max(part / np.abs(value[0]))) for part in parts]

    def _parts(
        self, grid: Grid, slopes: list[Interval], lows: list[Array], highs: list[Array]
    ) -> Iterator[Array]:
        """What every axis has in the bound."""
        for axis, (low, high) in enumerate(zip(lows, highs, strict=True)):
            if grid.steps[axis] == np.inf:  # its boxes have no length
                yield 0.0
                continue
            steep = slope(grid, axis, lows, highs)
            gap = np.maximum(np.abs(steep[1] - slopes[axis][0]), np.abs(slopes[axis][1] - steep[0]))
            yield (high - low) / 2 * gap


def _whole(low: float, high: float, step: float) -> Array:
    """The multiples of a step in a range, and its ends."""
    inside = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return np.unique(np.concatenate([[low], inside, [high]]))


def _slopes(expr: Expr, symbols: tuple[Symbol, ...]) -> list[Expr]:
    """Derivatives with rounded quotients held: they are flat wherever they have a slope.

    The last chunk is what is over such a quotient, and has the slopes of that.
    """
    expr = _closed(expr, ChunksBefore, CeilLog2)  # whose own slopes are relaxed ones
    nodes = expr.atoms(CeilDiv, FloorDiv) | spelt_out(expr).atoms(CeilDiv, FloorDiv)
    held = {n: Dummy(integer=True, nonnegative=n.is_nonnegative or None) for n in nodes}
    over = {n: Dummy(positive=True) for n in expr.atoms(LastChunk)}
    back = {dummy: node for node, dummy in (*held.items(), *over.items())}
    smooth = expr.xreplace({**held, **over})
    inner = {dummy: spelt_out(node.closed_form()).xreplace(held) for node, dummy in over.items()}
    slopes = []
    for symbol in symbols:
        parts = (smooth.diff(dummy) * rest.diff(symbol) for dummy, rest in inner.items())
        slopes.append(Add(smooth.diff(symbol), *parts).xreplace(back))
    return slopes


def _is_affine(expr: Expr, symbol: Symbol, slope: Expr) -> bool:
    """Whether a formula has this one slope in a symbol, and only sums, products and powers of it.

    Other functions of the symbol may jump where they have no slope.
    """
    if slope.has(symbol):
        return False
    left = [_closed(expr, SumMax)]  # a term that both its lines have is in a sum there
    while left:
        part = left.pop()
        if part != symbol and part.has(symbol):
            if not isinstance(part, Add | Mul | Pow):
                return False
            left.extend(part.args)
    return True


def _closed(expr: Expr, *kinds: type[Expr]) -> Expr:
    """An expression with the closed forms of some of its nodes."""
    while nodes := expr.atoms(*kinds):  # one may be inside another
        expr = expr.xreplace({node: node.closed_form() for node in nodes})
    return expr


def _jumps(jumping: list[Interval], lows: list[Array], highs: list[Array]) -> Array:
    """Boxes that are no points, and in which what jumps may have several values."""
    several: Any = False
    for low, high in jumping:  # rounding parts them too, by less
        several = several | (high - low > np.clip(_ROUNDING * np.abs(high), _ROUNDING, 0.5))
    extended: Any = False
    for low, high in zip(lows, highs, strict=True):
        extended = extended | (high > low)
    return several & extended


def _apart(grid: Grid, value: Interval, lows: list[Array], highs: list[Array]) -> Array:
    """The largest distance between the ranges of the interpolant and of the formula."""
    ends = [
        grid([pair[side] for pair, side in zip(zip(lows, highs, strict=True), sides, strict=True)])
        for sides in product((0, 1), repeat=len(lows))
    ]
    low, high = np.minimum.reduce(ends), np.maximum.reduce(ends)
    return np.maximum(high - value[0], value[1] - low)
