"""Tables as a stand-alone module for NumPy."""

from typing import TYPE_CHECKING, Any

from lifesym.codegen.python import docstring
from lifesym.codegen.table_error import float_error

if TYPE_CHECKING:
    from lifesym.codegen.table import Table


def numpy_source(table: "Table") -> str:
    """Knots, values and one function of arrays that broadcast, in doubles."""
    names = [symbol.name for symbol in table.symbols]
    axes = [axis / unit for axis, unit in zip(table.grid.axes, table.axis_units, strict=True)]
    error = table.error - float_error(table)
    doc = [
        *table.doc,
        f"Table of {table.entries} numbers; relative error at most {error:.3g}, proved.",
        "Arguments outside their ranges are moved to the nearest end.",
    ]
    knots = [f"    {_array(axis)}," for axis in axes]
    shape = ", ".join(str(axis.size) for axis in axes)
    lines = [
        "import numpy as np",
        "",
        "_KNOTS = (",
        *knots,
        ")",
        f"_VALUES = {_array(table.grid.values.ravel())}.reshape({shape})",
        "",
        "",
        f"def {table.name}({', '.join(names)}):",
        f'    """{docstring(doc)}"""',
        *_points(table, names),
        "    cells, shares = [], []",
        "    for knots, x in zip(_KNOTS, points):",
        "        x = np.asarray(x, dtype=np.float64)",
        '        i = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)',
        "        t = np.clip((x - knots[i]) / (knots[i + 1] - knots[i]), 0.0, 1.0)",
        "        cells.append(i)",
        "        shares.append(t)",
        "    total = 0.0",
        f"    for corner in np.ndindex({', '.join('2' for _ in axes)}{',' * (len(axes) == 1)}):",
        "        weight = 1.0",
        "        for t, side in zip(shares, corner):",
        "            weight = weight * (t if side else 1.0 - t)",
        "        where = tuple(i + side for i, side in zip(cells, corner))",
        "        total = total + weight * _VALUES[where]",
        "    return total",
    ]
    return "\n".join(lines) + "\n"


def _points(table: "Table", names: list[str]) -> list[str]:
    """The arguments by axis: of one that is split, its pieces and what the last has."""
    split = table.split
    if split is None:
        return [f"    points = ({', '.join(names)},)"]

    def scaled(place: int, ends: tuple[float, float]) -> str:
        return f"np.clip({names[place]} * {table.units[place]!r}, {ends[0]!r}, {ends[1]!r})"

    steps = split.steps(scaled, str, "np.ceil(whole / piece)")
    return [
        *(f"    {name} = {value}" for name, value in steps.items()),
        f"    points = ({', '.join(split.axes(names, 'pieces', 'last'))},)",
    ]


def _array(numbers: Any) -> str:
    return f"np.array([{', '.join(repr(float(x)) for x in numbers)}])"
