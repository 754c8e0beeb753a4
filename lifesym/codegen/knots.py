"""Where the knots of a table are: as few as its proof allows, and on every kink it can have."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from lifesym.codegen import blocked
from lifesym.codegen.grid import Grid, bends, sample, sampled_errors
from lifesym.codegen.program import Program, pruned
from lifesym.codegen.proof import EveryPoint, Proof
from lifesym.errors import SymbolError

Array = Any
Steps = tuple[float, ...]
LARGEST = 8192
"""Values of a table."""
_LEAD = 1.3
"""How much better than the goal sampled errors must be before the proof is tried."""


def greedy(proof: Proof, ends: Array, goal: float, step: float) -> Grid:
    """Knots of one axis: every cell as long as its proof allows, none across a kink."""
    stops = [*_kinks(proof, 0, ends, step), float(ends[1])]
    knots = [float(ends[0])]
    for stop in stops:
        while knots[-1] < stop:
            knots.append(_longest(proof, knots[-1], stop, goal, step))
            if len(knots) > LARGEST:
                raise SymbolError("no table of a sensible size is that accurate")
    return sample(proof.formula, (np.array(knots),), (step,))


def _longest(proof: Proof, start: float, stop: float, goal: float, step: float) -> float:
    """The farthest end of a cell from ``start``, by bisection."""

    def good(end: float) -> bool:
        grid = sample(proof.formula, (np.array([start, end]),), (step,))
        return bool(proof.errors(grid).max() <= goal)

    if good(stop):
        return stop
    low, high = start, stop
    for _ in range(60):
        middle = _snapped((low + high) / 2, step)
        if not low < middle < high:
            break
        low, high = (middle, high) if good(middle) else (low, middle)
    if low > start:
        return low
    nearest = _snapped(start + step, step) if step else high
    if step and start < nearest <= stop:
        return nearest
    raise SymbolError("the error cannot be reached: the formula jumps, or is too steep")


def _kinks(proof: Proof, axis: int, ends: Array, step: float) -> list[float]:
    """Where the largest operand of a maximum changes along an axis it alone depends on.

    Between two values the argument can have, both are kinks.
    """
    program = proof.formula
    depends: list[frozenset[int]] = []
    for op in program.ops:
        mine = {int(op.value or 0)} if op.kind == "arg" else set()
        depends.append(frozenset(mine.union(*(depends[r] for r in op.reads))))
    pairs = [op.reads for op in program.ops if op.kind in ("max", "min")]
    pairs = [pair for pair in pairs if depends[pair[0]] | depends[pair[1]] == {axis}]
    if not pairs:
        return []
    points = np.linspace(ends[0], ends[1], 4097)
    if isinstance(proof, EveryPoint):
        points = proof.points[axis]
    probe = pruned(Program(program.args, program.ops, tuple(r for pair in pairs for r in pair)))
    point = [points if i == axis else 1.0 for i in range(len(program.args))]
    values = blocked.evaluate(probe, point)
    found: set[float] = set()
    for k in range(len(pairs)):
        gap = np.broadcast_to(values[2 * k] - values[2 * k + 1], points.shape)
        found.update(x for x in _crossings(points, gap, step) if ends[0] < x < ends[1])
    return sorted(found)


def _crossings(points: Array, gap: Array, step: float) -> list[float]:
    """Where a function changes its sign, and the ends of the ranges where it is zero."""
    sign = np.sign(gap)
    found: list[float] = []
    for i in np.flatnonzero(sign[:-1] != sign[1:]):
        if sign[i] == 0 or sign[i + 1] == 0:
            found.append(float(points[i] if sign[i] == 0 else points[i + 1]))
            continue
        at = points[i] + (points[i + 1] - points[i]) * gap[i] / (gap[i] - gap[i + 1])
        sides = (np.floor(at / step) * step, np.ceil(at / step) * step) if step else (at,)
        found.extend(float(side) for side in sides)
    return found


def refined(proof: Proof, axes: tuple[Array, ...], goal: float, steps: Steps) -> Grid:
    """Split the worst cell across the axis in which it is most bent, until the proof holds.

    Errors at sample points lead the way where the proof takes long; it has the last word.
    """
    starts = tuple(
        np.unique([*ends, *_kinks(proof, i, ends, step)])
        for i, (ends, step) in enumerate(zip(axes, steps, strict=True))
    )
    grid = sample(proof.formula, starts, steps)
    if not isinstance(proof, EveryPoint):
        while (errors := sampled_errors(proof.formula, grid)).max() * _LEAD > goal:
            grid = _split_worst(proof, grid, errors, partial(bends, proof.formula))
    while (errors := proof.errors(grid)).max() > goal:
        grid = _split_worst(proof, grid, errors, proof.blame)
    return _pruned(proof, grid, goal, starts)


def _split_worst(
    proof: Proof, grid: Grid, errors: Array, measure: Callable[[Grid], list[float]]
) -> Grid:
    """The grid with a knot more, on the axis to blame most that can still be split."""
    if grid.values.size > LARGEST:
        raise SymbolError(f"no table of at most {LARGEST} values is that accurate")
    cell = tuple(int(i) for i in np.unravel_index(int(errors.argmax()), errors.shape))
    ends = tuple(axis[i : i + 2] for axis, i in zip(grid.axes, cell, strict=True))
    blame = measure(sample(proof.formula, ends, grid.steps))
    for axis in sorted(range(len(blame)), key=lambda i: -blame[i]):
        split = _split(grid.axes[axis], cell[axis], grid.steps[axis])
        if split is not None:
            return _with(proof, grid, axis, split)
    raise SymbolError("the error cannot be reached with knots on whole units")


def _split(knots: Array, cell: int, step: float) -> Array | None:
    """A knot in the middle of a cell: the geometric one where the cell spans a large ratio."""
    low, high = knots[cell], knots[cell + 1]
    middle = np.sqrt(low * high) if low > 0 and high > 1.2 * low else (low + high) / 2
    middle = _snapped(float(middle), step)
    if not low < middle < high:
        middle = _snapped(float((low + high) / 2), step)
    return np.insert(knots, cell + 1, middle) if low < middle < high else None


def _pruned(proof: Proof, grid: Grid, goal: float, kept: tuple[Array, ...]) -> Grid:
    """Without knots that the proof does not need; those that free most values go first."""
    sizes = [axis.size for axis in grid.axes]
    for axis in sorted(range(len(sizes)), key=lambda i: sizes[i]):
        for knot in grid.axes[axis][1:-1]:
            if knot not in kept[axis] and _spare(proof, grid, axis, knot, goal):
                grid = _with(proof, grid, axis, grid.axes[axis][grid.axes[axis] != knot])
    return grid


def _spare(proof: Proof, grid: Grid, axis: int, knot: float, goal: float) -> bool:
    """Whether the cells on both sides of a knot can be one: no others change."""
    knots = grid.axes[axis]
    at = int(np.searchsorted(knots, knot))
    merged = _with(proof, grid, axis, knots[[at - 1, at + 1]])
    if not isinstance(proof, EveryPoint) and sampled_errors(proof.formula, merged).max() > goal:
        return False
    return bool(proof.errors(merged).max() <= goal)


def _with(proof: Proof, grid: Grid, axis: int, knots: Array) -> Grid:
    axes = tuple(knots if i == axis else each for i, each in enumerate(grid.axes))
    return sample(proof.formula, axes, grid.steps)


def _snapped(value: float, step: float) -> float:
    return round(value / step) * step if step else value
