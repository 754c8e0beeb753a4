"""Where memory is too small: hatched parts of axes."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sympy import Expr, Symbol

from lifesym.analysis.questions import listed
from lifesym.codegen.functions import on_grid
from lifesym.errors import SymbolError
from lifesym.plots.style import COLOURS, WIDE

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

LABEL = "does not fit"
_EDGE = "#444444"
_VEIL = (1.0, 1.0, 1.0, 0.55)
"""Over what is drawn there, so that it is seen to be another part."""
_COVER = (1.0, 1.0, 1.0, 0.85)
"""Over parts of a map, which have hatches of their own."""
_HATCHES = ("////", "\\\\\\\\")
_BEYOND = 0.12
"""The part of an axis that is shown beyond the end of memory."""


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


def ended(rooms: Mapping[str, Expr | None], symbol: Symbol, grid: Any, ratio: float = WIDE) -> Any:
    """The values of an axis up to a little above where memory ends for all that is drawn.

    All of them where some room is not known, nothing ends, or nothing fits to begin with. The axis
    is logarithmic where its ends are further apart than ``ratio``.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    if not rooms or any(room is None for room in rooms.values()):
        return grid
    parts = [stretches(room, symbol, grid) for room in rooms.values() if room is not None]
    first = float(grid[0])
    if not all(part and part[-1][1] == grid[-1] and part[-1][0] > first for part in parts):
        return grid
    full = max(part[-1][0] for part in parts)
    wide = first > 0 and grid[-1] / first > ratio
    end = full * (full / first) ** _BEYOND if wide else full + _BEYOND * (full - first)
    if end >= grid[-1]:
        return grid
    return np.append(grid[grid < end], end)


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


def fits(
    room: Expr | None, symbols: tuple[Symbol, Symbol], x: Any, y: Any
) -> "np.ndarray[Any, Any]":
    """Which cells of a grid have room; all of them where that is not known."""
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    if room is None:
        return np.ones((len(y), len(x)), bool)
    return np.asarray(_left(room, symbols, x, y) >= 0)


def fitting(room: Expr | None, symbols: tuple[Symbol, Symbol], x: Any, y: Any) -> tuple[int, int]:
    """How many columns and rows of a grid are shown: a little beyond the last that have room."""
    rows = fits(room, symbols, x, y).tolist()
    return _shown([any(column) for column in zip(*rows, strict=True)]), _shown([*map(any, rows)])


def _shown(there: Sequence[bool]) -> int:
    if not any(there):
        return len(there)
    last = max(i for i, one in enumerate(there) if one) + 1
    return min(len(there), max(2, last + round(_BEYOND * last)))


def _left(room: Expr, symbols: tuple[Symbol, Symbol], x: Any, y: Any) -> "np.ndarray[Any, Any]":
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    columns, rows = np.meshgrid(x, y)
    return np.asarray(np.broadcast_to(_function(room, symbols)(columns, rows), columns.shape))


def mark_map(
    axes: "Axes",
    room: Expr | None,
    symbols: tuple[Symbol, Symbol],
    x: "np.ndarray[Any, Any]",
    y: "np.ndarray[Any, Any]",
    scales: tuple[float, float],
) -> Any:
    """Hatch the cells of a grid where a room is below zero: a handle for a legend, or None."""
    from matplotlib.patches import Patch  # noqa: PLC0415 (slow to import)

    if room is None:
        return None
    left = _left(room, symbols, x, y)
    lowest = float(left.min())
    if lowest >= 0:
        return None
    across, up = x / scales[0], y / scales[1]
    axes.contourf(
        across, up, left, levels=[2 * lowest, 0], colors=[_COVER], hatches=[_HATCHES[0]], zorder=3
    )
    axes.contour(across, up, left, levels=[0], colors="black", linewidths=1.2, zorder=3.1)
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
