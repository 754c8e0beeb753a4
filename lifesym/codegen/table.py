"""Look-up tables with a certified error: few numbers instead of a formula.

Values on a grid of knots, interpolated linearly in every argument. Knots are put where the proof
of the error (`lifesym.codegen.proof`) is worst until it is below what was asked for; of a function
of one argument they are also put on its kinks, so that the table is exact there. With one argument
each cell is as long as the proof allows, so there are as few as there can be. A formula of pages,
tiles or chunks may be a table of pieces and what the last of them has (`lifesym.codegen.split`).
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from sympy import Expr, Symbol

from lifesym.codegen import inputs
from lifesym.codegen.grid import Grid, sample
from lifesym.codegen.knots import greedy, refined
from lifesym.codegen.proof import EveryPoint, Proof, proof
from lifesym.codegen.ranges import Box
from lifesym.codegen.split import Split, smooth
from lifesym.codegen.table_error import float_error
from lifesym.errors import SymbolError
from lifesym.symbols import TABLE, By

Array = Any
_MOST = 4
"""Axes of a table."""
_NEAR = 1e-9
"""What a multiple of a unit in a range may be off by."""


@dataclass(frozen=True, repr=False)
class Table:
    """A formula as a table.

    Attributes:
        name: of the function.
        symbols: the arguments.
        grid: knots and values.
        error: certified bound of the relative error, single precision included.
        goal: the relative error that was asked for.
        units: what one of an argument's steps is worth: it is given in these units.
        doc: lines for the source text.
        split: the argument in whose place there are pieces and what the last of them has, if any.
    """

    name: str
    symbols: tuple[Symbol, ...]
    grid: Grid
    error: float
    goal: float
    units: tuple[float, ...]
    doc: tuple[str, ...]
    split: Split | None = None

    def __call__(self, *points: Any) -> Array:
        """Interpolate; arguments in their units, moved to the edge where they are outside."""
        if len(points) != len(self.symbols):
            raise SymbolError(f"{self.name} takes {len(self.symbols)} arguments, not {len(points)}")
        scaled = [np.asarray(x, float) * u for x, u in zip(points, self.units, strict=True)]
        return self.grid(scaled if self.split is None else self.split(scaled))

    @property
    def axis_units(self) -> tuple[float, ...]:
        """In what an axis is looked up: pieces, and what the last has, are as they are."""
        units = self.units
        return units if self.split is None else tuple(self.split.axes(units, 1.0, 1.0))

    @property
    def entries(self) -> int:
        """Numbers stored: values and knots."""
        return int(self.grid.values.size + sum(axis.size for axis in self.grid.axes))

    def source(self, kind: Literal["float", "fixed", "numpy"] = "float") -> str:
        """The table in C99, in single precision or integers alone, or a module for NumPy.

        Raises:
            SymbolError: another kind, or an integer table whose knots are no whole numbers of their
                units or whose own rounding leaves the error that was asked for.
        """
        from lifesym.codegen.table_c import fixed_source, float_source  # noqa: PLC0415
        from lifesym.codegen.table_numpy import numpy_source  # noqa: PLC0415

        kinds = {"float": float_source, "fixed": fixed_source, "numpy": numpy_source}
        if kind not in kinds:
            raise SymbolError(f"kind must be one of {', '.join(kinds)}, not {kind!r}")
        return kinds[kind](self)

    def __repr__(self) -> str:
        legend = "\n".join(f"  {line}" for line in self.doc)
        shape = " x ".join(str(axis.size) for axis in self.grid.axes)
        names = ", ".join(symbol.name for symbol in self.symbols)
        return f"<table {self.name}({names}), {shape} knots, within {self.error:.3g}>\n{legend}"


def build(
    expr: Expr,
    symbols: tuple[Symbol, ...],
    box: Box,
    *,
    name: str,
    doc: tuple[str, ...] = (),
    error: float = 0.01,
    units: By[float] | None = None,
) -> Table:
    """A table of a formula of one to four arguments over a box.

    A formula that jumps needs a knot on both sides of each jump, and few enough points to compare
    all of them. Where all of its jumps are those of one argument, which is divided into pieces of
    one size, a table of pieces and what the last has needs neither, but takes an axis more: where
    all points can be compared the smaller of the two is made, elsewhere that of pieces if there is
    one. Jumps of several arguments, or of unequal pieces, that are not small beside the error are
    refused where the points are too many, since no knots are on all of them.

    Args:
        expr: the formula.
        symbols: its arguments.
        box: the range of each.
        name: of the function.
        doc: lines on where the formula is from.
        error: the largest relative error allowed.
        units: units in which arguments are given, such as ``{"bandwidth": 1e9}``.

    Raises:
        SymbolError: more than four arguments, a range that is missing, empty or without a multiple
            of its unit, an error that is not between 1e-5 and 1, or one that no table of a sensible
            size reaches.
    """
    if not 1 <= len(symbols) <= _MOST:
        raise SymbolError(f"a table has one to four arguments, not {len(symbols)}")
    inputs.tolerance(error)
    inputs.bounded(symbols, box)
    scale = tuple(inputs.units(units, symbols))
    steps = tuple(
        unit if TABLE[symbol].kind == "size" or unit != 1 else 0.0
        for symbol, unit in zip(symbols, scale, strict=True)
    )
    _has_values(symbols, box, steps)
    lines = (*doc, *_legend(symbols, box, scale))
    blank = Table(name, symbols, Grid((), np.array(0.0), ()), 0.0, error, scale, lines)
    pieces = _of_pieces(blank, expr, box, steps)
    if pieces is None:
        return _filled(blank, proof(expr, symbols, box, steps), box)
    with suppress(SymbolError):
        plain = proof(expr, symbols, box, steps)
        if isinstance(plain, EveryPoint):  # else jumps that are not small would need knots
            return min(pieces, _filled(blank, plain, box), key=lambda table: table.entries)
    return pieces


def _of_pieces(blank: Table, expr: Expr, box: Box, steps: tuple[float, ...]) -> Table | None:
    """The table of pieces and what the last has, if there is one."""
    if not _whole(blank.symbols, blank.units):
        return None
    for held in (False, True):  # held there are more bends, but no values that cannot be
        found = smooth(expr, blank.symbols, box, held=held)
        if found is None or len(found.symbols) > _MOST:
            return None
        with suppress(SymbolError):
            proved = proof(found.expr, found.symbols, found.box, found.split.axes(steps, 1.0, 1.0))
            return _filled(replace(blank, split=found.split), proved, found.box)
    return None


def _has_values(symbols: tuple[Symbol, ...], box: Box, steps: tuple[float, ...]) -> None:
    """Refuse ranges in which there is no value.

    Raises:
        SymbolError: one without a multiple of its unit.
    """
    for symbol, step in zip(symbols, steps, strict=True):
        low, high = box[symbol]
        if step and np.ceil(low / step - _NEAR) > np.floor(high / step + _NEAR):
            row = TABLE[symbol]
            raise SymbolError(
                f"{row.word}: no multiple of its unit {step:g} in {low:g} to {high:g}"
            )


def _whole(symbols: tuple[Symbol, ...], units: tuple[float, ...]) -> bool:
    """Whether sizes are whole numbers: those in units of half of one are not."""
    pairs = zip(symbols, units, strict=True)
    return all(unit.is_integer() for symbol, unit in pairs if TABLE[symbol].kind == "size")


def _filled(table: Table, proved: Proof, box: Box) -> Table:
    """A table with its knots and its certificate.

    Raises:
        SymbolError: the error is not reached.
    """
    axes = tuple(np.array(box[symbol], float) for symbol in proved.formula.args)
    goal = table.goal - _margin(proved, axes, table.goal)
    grid = greedy(proved, axes[0], goal) if len(axes) == 1 else refined(proved, axes, goal)
    bound = float(proved.errors(grid).max())
    if not bound <= goal:
        raise SymbolError("the error cannot be reached: the formula jumps, or is too steep")
    made = replace(table, grid=grid, error=bound)
    made = replace(made, error=bound + float_error(made))
    if made.error > table.goal:
        raise SymbolError("the error cannot be reached in single precision")
    return made


def _margin(proved: Proof, axes: tuple[Array, ...], error: float) -> float:
    """What is left of the error for the arithmetic: single precision, or integers of 32 bits.

    Raises:
        SymbolError: a corner of the box where the formula is not above zero.
    """
    corners = sample(proved.formula, axes, (0.0,) * len(axes)).values
    if not corners.min() > 0:
        raise SymbolError("a relative error needs a formula above zero everywhere in the ranges")
    dims = len(axes)
    fixed = (1.1 + 2**dims + dims / 2) * 1e-9 * float(corners.max() / corners.min())
    return float(min(error / 20, (1 + dims) * 5e-7 + fixed))


def _legend(symbols: tuple[Symbol, ...], box: Box, units: tuple[float, ...]) -> list[str]:
    lines = []
    for symbol, unit in zip(symbols, units, strict=True):
        row = TABLE[symbol]
        low, high = box[symbol]
        shown = row.unit if unit == 1 else f"{unit:g} {row.unit}"
        whole = ", whole numbers" if row.kind == "size" or unit != 1 else ""
        ends = f"{low / unit:g} to {high / unit:g}"
        lines.append(f"{row.name}: {row.meaning}, in {shown}, {ends}{whole}")
    return lines
