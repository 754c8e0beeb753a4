"""Where memory is too small: hatched parts of axes."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sympy import Expr, Symbol

from lifesym.analysis.questions import listed
from lifesym.codegen.functions import on_grid
from lifesym.errors import SymbolError
from lifesym.plots.style import COLOURS

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

LABEL = "does not fit"
_EDGE = "#444444"
_VEIL = (1.0, 1.0, 1.0, 0.55)
"""Over what is drawn there, so that it is seen to be another part."""
_HATCHES = ("////", "\\\\\\\\")


def mark(
    axes: "Axes", rooms: Mapping[str, Expr | None], symbol: Symbol, grid: Any, across: float
) -> bool:
    """Hatch the parts of an axis where the room that is left is below zero; whether there are any.

    ``rooms`` are bytes that are left by what has them, in the symbol of the axis alone; parts that
    are the same for all of them are hatched once.
    """
    found = {
        name: stretches(room, symbol, grid) for name, room in rooms.items() if room is not None
    }
    parts = list(found.values())
    if len(found) == len(rooms) and all(part == parts[0] for part in parts):
        found = dict(zip([""], parts, strict=False))
    styles = zip(found.items(), _HATCHES, COLOURS, strict=False)
    for (name, part), hatch, colour in styles:
        for i, (low, high) in enumerate(part):
            axes.axvspan(
                low / across,
                high / across,
                facecolor=_VEIL,
                edgecolor=colour if name else _EDGE,
                hatch=hatch,
                linewidth=0,
                label=None if i else f"{name}: {LABEL}" if name else LABEL,
                zorder=1.5,
            )
    if any(found.values()):  # no margin beside them, which would look as if it fitted
        axes.set_xlim(grid[0] / across, grid[-1] / across)
    return any(found.values())


def legend(axes: "Axes", hatched: bool) -> None:
    """A legend within the axes, over a ground of its own where they are hatched."""
    axes.legend(frameon=hatched, framealpha=0.9, edgecolor="none")


def stretches(room: Expr, symbol: Symbol, grid: Any) -> list[tuple[float, float]]:
    """The parts of a grid where a room is below zero, with ends between its values.

    >>> from lifesym.symbols import batch
    >>> stretches(10 - 4 * batch, batch, [1.0, 2.0, 3.0, 4.0])
    [(2.5, 4.0)]
    """
    left = _function(room, [symbol])
    values = [float(value) for value in grid]
    below = [bool(left(value) < 0) for value in values]
    ends = [values[0]] if below[0] else []
    for (low, high), (before, after) in zip(pairwise(values), pairwise(below), strict=True):
        if before != after:
            ends.append(_crossing(left, low, high))
    ends += [values[-1]] if below[-1] else []
    return list(zip(ends[::2], ends[1::2], strict=True))


def mark_map(
    axes: "Axes",
    room: Expr | None,
    symbols: tuple[Symbol, Symbol],
    x: "np.ndarray[Any, Any]",
    y: "np.ndarray[Any, Any]",
    scales: tuple[float, float],
) -> Any:
    """Hatch the cells of a grid where a room is below zero: a handle for a legend, or None."""
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)
    from matplotlib.patches import Patch  # noqa: PLC0415 (slow to import)

    if room is None:
        return None
    columns, rows = np.meshgrid(x, y)
    left = np.broadcast_to(_function(room, symbols)(columns, rows), columns.shape)
    lowest = float(left.min())
    if lowest >= 0:
        return None
    axes.contourf(
        x / scales[0],
        y / scales[1],
        left,
        levels=[2 * lowest, 0],
        colors=[_VEIL],
        hatches=[_HATCHES[0]],
    )
    axes.set_xlim(x[0] / scales[0], x[-1] / scales[0])
    axes.set_ylim(y[0] / scales[1], y[-1] / scales[1])
    return Patch(facecolor="white", edgecolor=_EDGE, hatch=_HATCHES[0], linewidth=0, label=LABEL)


def _function(room: Expr, symbols: Any) -> Callable[..., Any]:
    if missing := room.free_symbols - set(symbols):
        raise SymbolError(f"the room that is left also depends on {listed(missing)}: give numbers")
    call = on_grid([room], symbols)
    return lambda *values: call(*values)[0]


def _crossing(left: Callable[[float], Any], low: float, high: float) -> float:
    """The last value that fits between two, by halving as far as numbers go."""
    first = left(low) < 0
    while low < (middle := (low + high) / 2) < high:
        if (left(middle) < 0) == first:
            low = middle
        else:
            high = middle
    return high if first else low
