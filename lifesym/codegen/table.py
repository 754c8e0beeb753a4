"""Look-up tables with a certified error: few numbers instead of a formula.

Values on a grid of knots, interpolated linearly in every argument. Knots are put where the proof
of the error (`lifesym.codegen.proof`) is worst until it is below what was asked for; of a function
of one argument they are also put on its kinks, so that the table is exact there. With one argument
each cell is as long as the proof allows, so there are as few as there can be.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from sympy import Expr, Symbol

from lifesym.codegen import inputs
from lifesym.codegen.grid import Grid, sample
from lifesym.codegen.knots import greedy, refined
from lifesym.codegen.proof import Proof, proof
from lifesym.codegen.ranges import Box
from lifesym.codegen.table_error import float_error
from lifesym.errors import SymbolError
from lifesym.symbols import TABLE, By

Array = Any


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
    """

    name: str
    symbols: tuple[Symbol, ...]
    grid: Grid
    error: float
    goal: float
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

    Args:
        expr: the formula.
        symbols: its arguments.
        box: the range of each.
        name: of the function.
        doc: lines on where the formula is from.
        error: the largest relative error allowed.
        units: units in which arguments are given, such as ``{"bandwidth": 1e9}``.

    Raises:
        SymbolError: more than four arguments, a range that is missing or empty, an error that is
            not between 1e-5 and 1, or one that no table of a sensible size reaches.
    """
    if not 1 <= len(symbols) <= 4:
        raise SymbolError(f"a table has one to four arguments, not {len(symbols)}")
    inputs.tolerance(error)
    inputs.bounded(symbols, box)
    axes = tuple(np.array(box[symbol], float) for symbol in symbols)
    scale = tuple(inputs.units(units, symbols))
    steps = tuple(
        unit if TABLE[symbol].kind == "size" or unit != 1 else 0.0
        for symbol, unit in zip(symbols, scale, strict=True)
    )
    proved = proof(expr, symbols, box, steps)
    goal = error - _margin(proved, axes, error)
    grid = greedy(proved, axes[0], goal) if len(symbols) == 1 else refined(proved, axes, goal)
    bound = float(proved.errors(grid).max())
    if not bound <= goal:
        raise SymbolError("the error cannot be reached: the formula jumps, or is too steep")
    lines = (*doc, *_legend(symbols, box, scale))
    made = Table(name, symbols, grid, bound, error, scale, lines)
    made = replace(made, error=bound + float_error(made))
    if made.error > error:
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
