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
LARGEST = 8192
"""Values of a table."""
_LEADS = (1.0, 1.1, 1.2, 1.3)
"""How much better than the goal sampled errors are before the proof is tried."""


def greedy(proof: Proof, ends: Array, goal: float) -> Grid:
    """Knots of one axis: every cell as long as its proof allows, none across a kink."""
    (step,) = proof.steps
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


def refined(proof: Proof, axes: tuple[Array, ...], goal: float) -> Grid:
    """Split the worst cell across the axis in which it is most bent, until the proof holds.

    Errors at sample points lead the way where the proof takes long; it has the last word.
    """
    starts = tuple(
        np.unique([*ends, *_kinks(proof, i, ends, step)])
        for i, (ends, step) in enumerate(zip(axes, proof.steps, strict=True))
    )
    grid = sample(proof.formula, starts, proof.steps)
    if not isinstance(proof, EveryPoint):
        measure, blame = partial(sampled_errors, proof.formula), partial(bends, proof.formula)
        grid = _split_until(proof, grid, goal / _LEADS[-1], measure, blame)
    grid = _split_until(proof, grid, goal, proof.errors, proof.blame)
    for thinned in (_pruned, _laid):
        for axis in np.argsort([each.size for each in grid.axes], kind="stable"):
            grid = thinned(proof, grid, int(axis), goal, starts[axis])
    return grid


def _split_until(
    proof: Proof,
    grid: Grid,
    goal: float,
    measure: Callable[[Grid], Array],
    blame: Callable[[Grid], list[float]],
) -> Grid:
    """A grid whose errors are within the goal; only cells that a new knot splits change theirs."""
    errors = measure(grid)
    while errors.max() > goal:
        grid, axis, cell = _split_worst(proof, grid, errors, blame)
        before, _, after = np.split(errors, (cell, cell + 1), axis=axis)
        halves = measure(grid.part(axis, cell, cell + 2))
        errors = np.concatenate([before, halves, after], axis=axis)
    return grid


def _split_worst(
    proof: Proof, grid: Grid, errors: Array, measure: Callable[[Grid], list[float]]
) -> tuple[Grid, int, int]:
    """The grid with a knot more, on the axis to blame most that can still be split, and where."""
    if grid.values.size > LARGEST:
        raise SymbolError(f"no table of at most {LARGEST} values is that accurate")
    cell = tuple(int(i) for i in np.unravel_index(int(errors.argmax()), errors.shape))
    ends = tuple(axis[i : i + 2] for axis, i in zip(grid.axes, cell, strict=True))
    blame = measure(sample(proof.formula, ends, grid.steps))
    for axis in sorted(range(len(blame)), key=lambda i: -blame[i]):
        split = _split(grid.axes[axis], cell[axis], grid.steps[axis])
        if split is not None:
            return _with(proof, grid, axis, split), axis, cell[axis]
    raise SymbolError("the error cannot be reached with knots on whole units")


def _split(knots: Array, cell: int, step: float) -> Array | None:
    """A knot in the middle of a cell: the geometric one where the cell spans a large ratio."""
    low, high = knots[cell], knots[cell + 1]
    middle = np.sqrt(low * high) if low > 0 and high > 1.2 * low else (low + high) / 2
    middle = _snapped(float(middle), step)
    if not low < middle < high:
        middle = _snapped(float((low + high) / 2), step)
    return np.insert(knots, cell + 1, middle) if low < middle < high else None


def _pruned(proof: Proof, grid: Grid, axis: int, goal: float, stops: Array) -> Grid:
    """Without knots of an axis that the proof does not need, but for stops."""
    for knot in grid.axes[axis][1:-1]:
        knots = grid.axes[axis]
        at = int(np.searchsorted(knots, knot))
        if knot not in stops and _holds(proof, grid, axis, knots[[at - 1, at + 1]], goal):
            grid = _with(proof, grid, axis, np.delete(knots, at))
    return grid


def _laid(proof: Proof, grid: Grid, axis: int, goal: float, stops: Array) -> Grid:
    """Knots of an axis laid anew, as far apart as the proof allows, if they are fewer.

    No cell is across a stop.
    """
    old = grid.axes[axis]
    knots = [float(old[0])]
    while knots[-1] < old[-1]:
        stop = float(stops[np.searchsorted(stops, knots[-1], side="right")])
        end = _reach(proof, grid, axis, goal, knots[-1], stop)
        if end is None or len(knots) + 1 >= old.size:
            return grid
        knots.append(end)
    return _with(proof, grid, axis, np.array(knots))


def _reach(
    proof: Proof, grid: Grid, axis: int, goal: float, start: float, stop: float
) -> float | None:
    """A far end of the cells of an axis from ``start``; None where the proof allows none.

    Where the proof takes long sampled errors find it, with something to spare if need be.
    """
    exact = isinstance(proof, EveryPoint)
    for lead in (1.0,) if exact else _LEADS:

        def good(end: float, lead: float = lead) -> bool:
            cells = _with(proof, grid, axis, np.array([start, end]))
            errors = proof.errors(cells) if exact else sampled_errors(proof.formula, cells)
            return bool(errors.max() * lead <= goal)

        end = _farthest(good, grid.axes[axis], start, stop, grid.steps[axis])
        if end is not None and _holds(proof, grid, axis, (start, end), goal):
            return end
    return None


def _farthest(
    good: Callable[[float], bool], knots: Array, start: float, stop: float, step: float
) -> float | None:
    """The farthest good end, by bisection between the last knot that is one and the next."""
    low = start
    for high in [*(float(knot) for knot in knots if start < knot < stop), stop]:
        if not good(high):
            break
        low = high
    else:
        return stop
    while high - low > (high - start) / 100:
        middle = _snapped((low + high) / 2, step)
        if not low < middle < high:
            break
        low, high = (middle, high) if good(middle) else (low, middle)
    return low if low > start else None


def _holds(proof: Proof, grid: Grid, axis: int, ends: Any, goal: float) -> bool:
    """Whether the cells of an axis between two ends are within the goal: the likely worst first."""
    cells = _with(proof, grid, axis, np.array(ends))
    if not isinstance(proof, EveryPoint):
        sampled = sampled_errors(proof.formula, cells)
        worst = cells
        for i, at in enumerate(np.unravel_index(int(sampled.argmax()), sampled.shape)):
            worst = worst.part(i, int(at), int(at) + 1)
        if sampled.max() > goal or proof.errors(worst).max() > goal:
            return False
    return bool(proof.errors(cells).max() <= goal)


def _with(proof: Proof, grid: Grid, axis: int, knots: Array) -> Grid:
    axes = tuple(knots if i == axis else each for i, each in enumerate(grid.axes))
    return sample(proof.formula, axes, grid.steps)


def _snapped(value: float, step: float) -> float:
    return round(value / step) * step if step else value
