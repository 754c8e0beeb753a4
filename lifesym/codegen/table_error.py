"""What a table's arithmetic adds to its error, in single precision and in integers.

One interpolation is ``a + (b - a) * t``. A mean of two values keeps their relative errors, so each
axis adds its own part and no more: the error of its position t, which counts times the step from
a to b as a share of the smaller one.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lifesym.codegen.table import Table

FRACTION = 31
"""Bits of a position within a cell, in the integer table."""
_SINGLE = 2.0**-24


def float_error(table: "Table") -> float:
    """Bound of the relative error of single precision.

    A position is off by a few units in its own last place; where knots are no floats, also by
    their rounding as a share of the cell.
    """
    error = _SINGLE
    for i, (axis, unit) in enumerate(zip(table.grid.axes, table.axis_units, strict=True)):
        knots = axis / unit
        steps = _steps(table, i)
        falling = float(np.max(np.expm1(np.maximum(-steps, 0.0))))
        error += (5 + 4 * falling) * _SINGLE
        if np.any(knots != knots.astype(np.float32)):
            moved = 6 * _SINGLE * np.maximum(np.abs(knots[:-1]), np.abs(knots[1:])) / np.diff(knots)
            shape = [1] * steps.ndim
            shape[i] = moved.size
            error += float(np.max(np.expm1(np.abs(steps)) * moved.reshape(shape)))
    return float(error * 1.01)


def fixed_error(table: "Table") -> float:
    """Bound of the relative error of integers: values, positions and products that are cut off."""
    least = float(table.grid.values.min()) * 2.0 ** fixed_shift(table)
    dims = len(table.grid.axes)
    spread = sum(float(np.max(np.expm1(np.abs(_steps(table, i))))) for i in range(dims))
    return float(((1 + 2**dims) / max(least - 1, 1e-9) + spread * 2.0**-FRACTION) * 1.01)


def fixed_shift(table: "Table") -> int:
    """The power of two that brings the largest value to 31 bits."""
    return 30 - int(np.floor(np.log2(table.grid.values.max())))


def _steps(table: "Table", axis: int) -> Any:
    """Logarithms of the ratios of neighbouring values along an axis."""
    return np.diff(np.log(table.grid.values), axis=axis)
