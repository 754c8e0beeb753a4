"""Multilinear interpolation on a grid of knots."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from lifesym.codegen import blocked
from lifesym.codegen.program import Program

Array = Any
_PARTS = {0: 2, 1: 64, 2: 24, 3: 14, 4: 8}
"""Pieces a side that a cell is cut into for the proof, by the number of axes that are cut."""


@dataclass(frozen=True)
class Grid:
    """Knots of every axis, and the formula's values on them.

    ``steps`` are the distances between values an argument can have, 0 for any value: between two
    neighbouring ones there is nothing to prove. Nor is there where the formula is affine in an
    argument, however far its knots are apart: such a step is infinite.
    """

    axes: tuple[Array, ...]
    values: Array
    steps: tuple[float, ...]

    @property
    def parts(self) -> tuple[int, ...]:
        """Pieces a side of every axis of a cell for the proof: the two ends where it is affine."""
        cut = sum(step < np.inf for step in self.steps)
        return tuple(_PARTS[cut] if step < np.inf else 2 for step in self.steps)

    def part(self, axis: int, first: int, last: int) -> "Grid":
        """The cells of an axis from one to before another."""
        axes = list(self.axes)
        axes[axis] = axes[axis][first : last + 1]
        taken = np.take(self.values, range(first, last + 1), axis=axis)
        return Grid(tuple(axes), taken, self.steps)

    def __call__(self, points: Sequence[Array]) -> Array:
        """The interpolant; arguments outside the grid are moved to its edge."""
        where = [
            _locate(axis, np.asarray(x, float)) for axis, x in zip(self.axes, points, strict=True)
        ]
        total = 0.0
        for corner in product((0, 1), repeat=len(self.axes)):
            weight = 1.0
            for (_, t), side in zip(where, corner, strict=True):
                weight = weight * (t if side else 1 - t)
            index = tuple(i + side for (i, _), side in zip(where, corner, strict=True))
            total = total + weight * self.values[index]
        return total


def sample(program: Program, axes: tuple[Array, ...], steps: tuple[float, ...]) -> Grid:
    """The grid of a program whose first output is the formula."""
    mesh = np.meshgrid(*axes, indexing="ij", sparse=True)
    values = np.broadcast_to(blocked.evaluate(program, mesh)[0], tuple(axis.size for axis in axes))
    return Grid(axes, values, steps)


def sampled_errors(program: Program, grid: Grid) -> Array:
    """The largest relative error found in every cell at a few points: no proof, but quick."""
    parts = tuple(4 if step < np.inf else 2 for step in grid.steps)
    lows, highs = corners(grid, parts)
    centres = [(low + high) / 2 for low, high in zip(lows, highs, strict=True)]
    exact = blocked.evaluate(program, centres)[0]
    return by_cell(np.abs(grid(centres) / exact - 1), grid, parts)


def bends(program: Program, cell: Grid) -> list[float]:
    """How far the formula is from straight along each axis through the middle of one cell."""
    ends = [(axis[0], axis[1]) for axis in cell.axes]
    middle = [(low + high) / 2 for low, high in ends]

    def at(axis: int | None, side: int = 0) -> float:
        point = [ends[i][side] if i == axis else x for i, x in enumerate(middle)]
        return float(blocked.evaluate(program, point)[0])

    here = at(None)
    return [abs((at(i, 0) + at(i, 1)) / 2 - here) for i in range(len(ends))]


def corners(grid: Grid, parts: tuple[int, ...]) -> tuple[list[Array], list[Array]]:
    """Lower and upper corners of the pieces of all cells, axis by axis."""
    pieces = [_pieces(*each) for each in zip(grid.axes, parts, grid.steps, strict=True)]
    lows = np.meshgrid(*(low for low, _ in pieces), indexing="ij", sparse=True)
    highs = np.meshgrid(*(high for _, high in pieces), indexing="ij", sparse=True)
    return list(lows), list(highs)


def _pieces(axis: Array, parts: int, step: float) -> tuple[Array, Array]:
    """Lower and upper ends of the pieces of all cells of an axis.

    A cell of at most one step has its two ends for pieces, which are points.
    """
    steps = np.arange(parts + 1) / parts
    edges = axis[:-1, None] + (axis[1:] - axis[:-1])[:, None] * steps
    edges[:, -1] = axis[1:]
    lows, highs = edges[:, :-1].copy(), edges[:, 1:].copy()
    short = np.diff(axis) <= step * 1.001
    ends = np.where(np.arange(parts) < parts / 2, axis[:-1, None], axis[1:, None])
    lows[short], highs[short] = ends[short], ends[short]
    return lows.ravel(), highs.ravel()


def slope(grid: Grid, axis: int, lows: list[Array], highs: list[Array]) -> tuple[Array, Array]:
    """The least and the largest slope of the interpolant along an axis, in every piece."""
    knots = grid.axes[axis]
    step = np.diff(knots)
    shape = [1] * len(grid.axes)
    shape[axis] = step.size
    slopes = np.diff(grid.values, axis=axis) / step.reshape(shape)
    index = np.repeat(np.arange(step.size), grid.parts[axis])
    slopes = np.take(slopes, index, axis=axis)
    others = [i for i in range(len(grid.axes)) if i != axis]
    found = []
    for corner in product((0, 1), repeat=len(others)):
        here = slopes
        for i, side in zip(others, corner, strict=True):
            here = interpolated(here, grid.axes[i], (highs if side else lows)[i].ravel(), i)
        found.append(here)
    return np.minimum.reduce(found), np.maximum.reduce(found)


def interpolated(values: Array, knots: Array, points: Array, axis: int) -> Array:
    """Linear interpolation along one axis of an array."""
    i, t = _locate(knots, points)
    shape = [1] * values.ndim
    shape[axis] = points.size
    t = t.reshape(shape)
    return np.take(values, i, axis=axis) * (1 - t) + np.take(values, i + 1, axis=axis) * t


def _locate(knots: Array, points: Array) -> tuple[Array, Array]:
    """The cell of each point, and where in it, from 0 to 1."""
    i = np.clip(np.searchsorted(knots, points, side="right") - 1, 0, knots.size - 2)
    t = (points - knots[i]) / (knots[i + 1] - knots[i])
    return i, np.clip(t, 0.0, 1.0)


def by_cell(values: Array, grid: Grid, parts: tuple[int, ...]) -> Array:
    """The largest value of all pieces of each cell."""
    shape: list[int] = []
    for axis, count in zip(grid.axes, parts, strict=True):
        shape += [axis.size - 1, count]
    full = np.broadcast_to(values, [a * b for a, b in zip(shape[::2], parts, strict=True)])
    return full.reshape(shape).max(axis=tuple(range(1, 2 * len(grid.axes), 2)))
