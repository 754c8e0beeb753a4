"""Tables as C99, in single precision or in integers alone."""

from typing import TYPE_CHECKING

import numpy as np

from lifesym.codegen.c import comment, guarded
from lifesym.codegen.split import Split
from lifesym.codegen.table_error import FRACTION, fixed_error, fixed_shift
from lifesym.errors import SymbolError

if TYPE_CHECKING:
    from lifesym.codegen.table import Table


def float_source(table: "Table") -> str:
    """Single precision: knots, values, and nested interpolation."""
    axes = [axis / unit for axis, unit in zip(table.grid.axes, table.axis_units, strict=True)]
    lines = _head(table, "float", [])
    if table.split is not None:
        lines = ["#include <math.h>", "", *lines]
    for i, axis in enumerate(axes):
        lines += _array(f"{table.name}_k{i}", "float", [_float(x) for x in axis])
    lines += _array(f"{table.name}_v", "float", [_float(v) for v in table.grid.values.ravel()])
    lines += _locate(table.name, "float", "float", "(x - k[*i]) / (k[*i + 1U] - k[*i])")
    lines += _function(table, "float", "float")
    return guarded(table.name, lines)


def fixed_source(table: "Table") -> str:
    """Integers alone, for cores without a floating-point unit.

    The result is in units of ``2**-NAME_SHIFT`` seconds; positions within a cell have 31 bits.

    Raises:
        SymbolError: knots that are no whole numbers of 32 bits in their units, or values too far
            apart for the error that was asked for.
    """
    if table.error + fixed_error(table) > table.goal:
        raise SymbolError(
            f"integers of 32 bits are not within {table.goal:g} here: the values differ too much"
        )
    axes = []
    for i, (axis, unit) in enumerate(zip(table.grid.axes, table.axis_units, strict=True)):
        knots = np.rint(axis / unit)
        if np.any(np.abs(knots * unit - axis) > 1e-9 * np.abs(axis)) or knots.max() >= 2**31:
            names = [symbol.name for symbol in table.symbols]
            if table.split is not None:  # of which the axes are whole numbers
                names = table.split.axes(names, "pieces", "last")
            raise SymbolError(f"{names[i]}: knots are no whole numbers below 2**31 in its unit")
        axes.append(knots)
    shift = fixed_shift(table)
    values = np.rint(table.grid.values.ravel() * 2.0**shift)
    lines = _head(table, "fixed", [f"The result times 2**{-shift} is in SI units."])
    lines += ["#include <stdint.h>", f"#define {table.name.upper()}_SHIFT ({shift})", ""]
    for i, axis in enumerate(axes):
        lines += _array(f"{table.name}_k{i}", "uint32_t", [f"{int(x)}U" for x in axis])
    lines += _array(f"{table.name}_v", "uint32_t", [f"{int(v)}U" for v in values])
    position = f"(uint32_t)(((uint64_t)(x - k[*i]) << {FRACTION}) / (k[*i + 1U] - k[*i]))"
    lines += _locate(table.name, "uint32_t", "uint32_t", position)
    lines += _function(table, "uint32_t", "uint32_t")
    return guarded(table.name, lines)


def _head(table: "Table", kind: str, more: list[str]) -> list[str]:
    error = table.error + (fixed_error(table) if kind == "fixed" else 0.0)
    lines = [
        *table.doc,
        f"Table of {table.entries} numbers; relative error at most {error:.3g}, proved.",
        "Arguments outside their ranges are moved to the nearest end.",
        *more,
    ]
    return comment(lines)


def _array(name: str, kind: str, numbers: list[str]) -> list[str]:
    rows = [", ".join(numbers[i : i + 6]) for i in range(0, len(numbers), 6)]
    return [f"static const {kind} {name}[{len(numbers)}] = {{", *(f"    {r}," for r in rows), "};"]


def _locate(name: str, kind: str, position: str, formula: str) -> list[str]:
    """The cell of an argument by bisection, and the position in it."""
    return [
        f"static inline {position} {name}_at(const {kind} *k, unsigned n, {kind} x, unsigned *i)",
        "{",
        "    unsigned low = 0U, high = n - 1U;",
        "    if (x < k[0]) { x = k[0]; }",
        "    if (x > k[n - 1U]) { x = k[n - 1U]; }",
        "    while (high - low > 1U) {",
        "        const unsigned middle = (low + high) / 2U;",
        "        if (k[middle] <= x) { low = middle; } else { high = middle; }",
        "    }",
        "    *i = low;",
        f"    return {formula};",
        "}",
    ]


def _function(table: "Table", kind: str, position: str) -> list[str]:
    """Nested interpolation: the last argument first."""
    names = [symbol.name for symbol in table.symbols]
    sizes = [axis.size for axis in table.grid.axes]
    lines = [f"static inline {kind} {table.name}({', '.join(f'{kind} {n}' for n in names)})", "{"]
    before = _mix(table.name, kind)
    if table.split is not None:
        before += _in(table.name, kind)
        lines += _pieces(table, table.split, names, kind)
        names = table.split.axes(names, "pieces", "last")
    for i, (each, size) in enumerate(zip(names, sizes, strict=True)):
        lines.append(f"    unsigned i{i};")
        call = f"{table.name}_at({table.name}_k{i}, {size}U, {each}, &i{i})"
        lines.append(f"    const {position} t{i} = {call};")
    lines.append(f"    return {_nested(table.name, sizes, '0U', 0, kind)};")
    lines += ["}"]
    return [*before, *lines]


def _pieces(table: "Table", split: Split, names: list[str], kind: str) -> list[str]:
    """How many pieces there are, and what the last of them has, for arguments in their ranges.

    All are whole numbers that single precision has.
    """
    number = "{}.0F" if kind == "float" else "{}U"

    def scaled(place: int, ends: tuple[float, float]) -> str:
        unit = int(table.units[place])
        low, high = (number.format(int(end)) for end in (-(-ends[0] // unit), ends[1] // unit))
        inside = f"{table.name}_in({names[place]}, {low}, {high})"
        return inside if unit == 1 else f"{inside} * {number.format(unit)}"

    up = "ceilf(whole / piece)" if kind == "float" else "(whole + piece - 1U) / piece"
    steps = split.steps(scaled, number.format, up)
    return [f"    const {kind} {name} = {value};" for name, value in steps.items()]


def _in(name: str, kind: str) -> list[str]:
    return [
        f"static inline {kind} {name}_in({kind} x, {kind} low, {kind} high)",
        "{",
        "    return x < low ? low : x > high ? high : x;",
        "}",
    ]


def _mix(name: str, kind: str) -> list[str]:
    if kind == "float":
        body = "return a + (b - a) * t;"
    else:
        body = (
            f"return b >= a ? a + (uint32_t)(((uint64_t)(b - a) * t) >> {FRACTION})"
            f" : a - (uint32_t)(((uint64_t)(a - b) * t) >> {FRACTION});"
        )
    return [
        f"static inline {kind} {name}_mix({kind} a, {kind} b, {kind} t)",
        "{",
        f"    {body}",
        "}",
    ]


def _nested(name: str, sizes: list[int], base: str, axis: int, kind: str) -> str:
    """The interpolated value of the grid from an axis on."""
    if axis == len(sizes):
        return f"{name}_v[{base}]"
    sides = []
    for side in ("", " + 1U"):
        offset = f"i{axis}{side}"
        sides.append(_nested(name, sizes, f"({base}) * {sizes[axis]}U + {offset}", axis + 1, kind))
    return f"{name}_mix({sides[0]}, {sides[1]}, t{axis})"


def _float(value: float) -> str:
    text = str(np.float32(value))
    return f"{text}F" if "e" in text or "." in text else f"{text}.0F"
