"""Look-up tables with a certified error: few numbers instead of a formula.

Values on a grid of knots, interpolated linearly in every argument. Knots are put where the proof
of the error (`lifesym.codegen.grid`) is worst until it is below what was asked for; of a function
of one argument they are also put on its kinks, so that the table is exact there. With one argument
each cell is as long as the proof allows, so there are as few as there can be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sympy import Dummy, Expr, Symbol

from lifesym.codegen import blocked
from lifesym.codegen.grid import Grid, bends, cell_errors, sample, sampled_errors
from lifesym.codegen.program import Program, lower
from lifesym.codegen.ranges import Box
from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, FloorDiv
from lifesym.symbols import TABLE

Array = Any
_FLOAT_MARGIN = 2e-6
"""What single precision adds: rounded knots and values, and a few operations."""
_LARGEST = 8192
_EARLY = 1024
"""Knots after which a table that would need too many at this pace is given up."""
_LEAD = 1.3
"""How much better than the goal sampled errors must be before the proof is tried."""


@dataclass(frozen=True)
class Table:
    """A formula as a table.

    Attributes:
        name: of the function.
        symbols: the arguments.
        grid: knots and values.
        error: certified bound of the relative error, the target's arithmetic included.
        units: what one of an argument's steps is worth: it is given in these units.
        doc: lines for the source text.
    """

    name: str
    symbols: tuple[Symbol, ...]
    grid: Grid
    error: float
    units: tuple[float, ...]
    doc: tuple[str, ...]

    def __call__(self, *points: Any) -> Array:
        """Interpolate; arguments in their units, moved to the edge where they are outside."""
        if len(points) != len(self.symbols):
            raise SymbolError(f"{self.name} takes {len(self.symbols)} arguments, not {len(points)}")
        scaled = [np.asarray(x, float) * u for x, u in zip(points, self.units, strict=True)]
        return self.grid(scaled)

    @property
    def entries(self) -> int:
        """Numbers stored: values and knots."""
        return int(self.grid.values.size + sum(axis.size for axis in self.grid.axes))

    def source(self, kind: Literal["float", "fixed"] = "float") -> str:
        """The table in C99: single precision, or integers alone.

        Raises:
            SymbolError: an integer table whose knots are no whole numbers of their units.
        """
        from lifesym.codegen.table_c import fixed_source, float_source  # noqa: PLC0415

        return float_source(self) if kind == "float" else fixed_source(self)


def build(
    expr: Expr,
    symbols: tuple[Symbol, ...],
    box: Box,
    *,
    name: str,
    doc: str = "",
    error: float = 0.01,
    units: Mapping[str | Symbol, float] | None = None,
) -> Table:
    """A table of a formula of one to three arguments over a box.

    Args:
        expr: the formula.
        symbols: its arguments.
        box: the range of each.
        name: of the function.
        doc: a line on where the formula is from.
        error: the largest relative error allowed.
        units: units in which arguments are given, such as ``{"bandwidth": 1e9}``.

    Raises:
        SymbolError: more than three arguments, a range that is missing or empty, an error that is
            not between 1e-5 and 1, or one that no table of a sensible size reaches.
    """
    if not 1 <= len(symbols) <= 3:
        raise SymbolError(f"a table has one to three arguments, not {len(symbols)}")
    if not 1e-5 <= error < 1:
        raise SymbolError(f"error must be between 0.00001 and 1, not {error}")
    for symbol in symbols:
        low, high = box.get(symbol, (0.0, 0.0))
        if not low < high:
            raise SymbolError(f"{TABLE[symbol].word} needs a range that is not empty")
    chosen = {TABLE[s].word: 1.0 for s in symbols} | {
        str(k): float(v) for k, v in (units or {}).items()
    }
    program = lower([expr, *(slope_between_jumps(expr, symbol) for symbol in symbols)], symbols)
    goal = error - _FLOAT_MARGIN
    axes = tuple(np.array(box[symbol], float) for symbol in symbols)
    scale = tuple(chosen[TABLE[symbol].word] for symbol in symbols)
    whole = [
        TABLE[symbol].kind == "size" or unit != 1
        for symbol, unit in zip(symbols, scale, strict=True)
    ]
    if len(symbols) == 1:
        knots = _greedy(program, axes[0], goal, whole[0], scale[0])
        grid = sample(program, (knots,), _steps(whole, scale))
    else:
        grid = _refined(program, axes, goal, whole, scale)
    bound = float(cell_errors(program, grid)[0].max()) + _FLOAT_MARGIN
    lines = tuple(line for line in (doc, *_legend(symbols, box, scale)) if line)
    return Table(name, symbols, grid, bound, scale, lines)


def slope_between_jumps(expr: Expr, symbol: Symbol) -> Expr:
    """The derivative where no rounded quotient changes: there each of them is a constant.

    >>> from lifesym import symbols as sym
    >>> slope_between_jumps(sym.past * CeilDiv(sym.past, 48), sym.past)
    CeilDiv(past, 48)
    """
    held = {node: Dummy(positive=True) for node in expr.atoms(CeilDiv, FloorDiv)}
    return expr.xreplace(held).diff(symbol).xreplace({dummy: node for node, dummy in held.items()})


def _legend(symbols: tuple[Symbol, ...], box: Box, units: tuple[float, ...]) -> list[str]:
    lines = []
    for symbol, unit in zip(symbols, units, strict=True):
        row = TABLE[symbol]
        low, high = box[symbol]
        shown = row.unit if unit == 1 else f"{unit:g} {row.unit}"
        lines.append(f"{row.name}: {row.meaning}, in {shown}, {low / unit:g} to {high / unit:g}")
    return lines


def _greedy(program: Program, ends: Array, goal: float, whole: bool, unit: float) -> Array:
    """Knots of one axis: every cell as long as its proof allows, none across a kink."""
    stops = [*_kinks(program, ends, whole, unit), float(ends[1])]
    knots = [float(ends[0])]
    for stop in stops:
        while knots[-1] < stop:
            knots.append(_longest(program, knots[-1], stop, goal, whole, unit))
            covered = (knots[-1] - ends[0]) / (ends[1] - ends[0])
            if len(knots) > _LARGEST or (len(knots) > _EARLY and covered < len(knots) / _LARGEST):
                raise SymbolError(f"no table of at most {_LARGEST} values is that accurate")
    return np.array(knots)


def _longest(
    program: Program, start: float, stop: float, goal: float, whole: bool, unit: float
) -> float:
    """The farthest end of a cell from ``start``, by bisection."""

    def good(end: float) -> bool:
        grid = sample(program, (np.array([start, end]),), _steps([whole], (unit,)))
        return bool(cell_errors(program, grid)[0].max() <= goal)

    if good(stop):
        return stop
    low, high = start, stop
    for _ in range(40):
        middle = _snapped((low + high) / 2, whole, unit)
        if not low < middle < high:
            break
        low, high = (middle, high) if good(middle) else (low, middle)
    if low > start:
        return low
    nearest = _snapped(start + unit, whole, unit) if whole else high
    if whole and nearest <= stop:
        return nearest
    raise SymbolError("the error cannot be reached: the formula jumps, or is too steep")


def _kinks(program: Program, ends: Array, whole: bool, unit: float) -> list[float]:
    """Where the largest operand of a maximum changes, on both sides if it lies between units."""
    points = np.linspace(ends[0], ends[1], 4097)
    gaps = [op.reads for op in program.ops if op.kind in ("max", "min")]
    outputs = tuple(r for pair in gaps for r in pair)
    probe = Program(program.args, program.ops, outputs)
    if not gaps:
        return []
    values = blocked.evaluate(probe, [points])
    found: set[float] = set()
    for k in range(len(gaps)):
        gap = np.broadcast_to(values[2 * k] - values[2 * k + 1], points.shape)
        at_once = points[np.flatnonzero(gap == 0)]
        found.update(float(at) for at in at_once if ends[0] < at < ends[1] and len(at_once) < 64)
        for i in np.flatnonzero(np.sign(gap[:-1]) * np.sign(gap[1:]) < 0):
            at = points[i] + (points[i + 1] - points[i]) * gap[i] / (gap[i] - gap[i + 1])
            sides = (at,) if not whole else (np.floor(at / unit) * unit, np.ceil(at / unit) * unit)
            found.update(float(side) for side in sides if ends[0] < side < ends[1])
    return sorted(found)


def _refined(
    program: Program,
    axes: tuple[Array, ...],
    goal: float,
    whole: list[bool],
    scale: tuple[float, ...],
) -> Grid:
    """Split the worst cell across the axis in which it is most bent, until the proof holds.

    Errors at sample points lead the way; the proof, which takes longer, has the last word.
    """
    value = Program(program.args, program.ops, program.outputs[:1])
    grid = sample(value, axes, _steps(whole, scale))
    while (errors := sampled_errors(value, grid)).max() * _LEAD > goal:
        cell = _worst(errors)
        grid = _split_first(value, grid, cell, bends(value, grid, cell), whole, scale)
    while True:
        errors, shares = cell_errors(program, grid)
        if errors.max() <= goal:
            return grid
        cell = _worst(errors)
        blame = [float(share[cell]) for share in shares]
        grid = _split_first(value, grid, cell, blame, whole, scale)


def _worst(errors: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(errors.argmax()), errors.shape))


def _split_first(
    program: Program,
    grid: Grid,
    cell: tuple[int, ...],
    blame: list[float],
    whole: list[bool],
    scale: tuple[float, ...],
) -> Grid:
    """The grid with a knot more, on the axis to blame most that can still be split."""
    if grid.values.size > _LARGEST:
        raise SymbolError(f"no table of at most {_LARGEST} values is that accurate")
    for axis in sorted(range(len(blame)), key=lambda i: -blame[i]):
        split = _split(grid.axes[axis], cell[axis], whole[axis], scale[axis])
        if split is not None:
            axes = tuple(split if i == axis else knots for i, knots in enumerate(grid.axes))
            return sample(program, axes, grid.steps)
    raise SymbolError("the error cannot be reached with knots on whole units")


def _split(knots: Array, cell: int, whole: bool, unit: float) -> Array | None:
    """A knot in the middle of a cell: the geometric one where the cell spans a large ratio."""
    low, high = knots[cell], knots[cell + 1]
    middle = np.sqrt(low * high) if low > 0 and high > 1.2 * low else (low + high) / 2
    middle = _snapped(float(middle), whole, unit)
    if not low < middle < high:
        middle = _snapped(float((low + high) / 2), whole, unit)
    return np.insert(knots, cell + 1, middle) if low < middle < high else None


def _snapped(value: float, whole: bool, unit: float) -> float:
    return round(value / unit) * unit if whole else value


def _steps(whole: list[bool], scale: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(unit if each else 0.0 for each, unit in zip(whole, scale, strict=True))
