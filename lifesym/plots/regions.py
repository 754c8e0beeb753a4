"""Maps of regimes over two symbols."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sympy import Expr

from lifesym.analysis.maps import RegimeMap
from lifesym.checks import checked
from lifesym.plots.room import mark_map
from lifesym.plots.shapes import short
from lifesym.plots.style import COLOURS, RESOURCE_COLOURS, axis_scale, figure, log_if_wide

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_REST = "#dddddd"
_LARGEST_REST = 0.1


@checked
def regime_chart(chart: RegimeMap, most: int = 6, room: Expr | None = None) -> "Figure":
    """The regimes of a grid as coloured regions, named by the operators in which they differ.

    Where more than a tenth of the grid lies in regimes that have no name, the colour is the number
    of operators that a resource binds instead.

    Args:
        chart: what `regime_map` gave.
        most: how many regions are named; the smaller ones share a colour.
        room: bytes of memory that are left, in the two symbols: below 0 the cells are hatched.
    """
    rest = float((chart.ids >= most).mean())
    return _counted(chart, room) if rest > _LARGEST_REST else _named(chart, most, room)


@checked
def summaries(regimes: Sequence[Mapping[str, str]], most: int = 2) -> list[str]:
    """What tells regimes apart: a line for each resource, with the operators that it binds.

    Args:
        regimes: the operators' bounds of each.
        most: how many operators of a line are named.
    """
    same = _unchanged(regimes)
    return [_summary(bounds, same, most) for bounds in regimes]


def _named(chart: RegimeMap, most: int, room: Expr | None) -> "Figure":
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)
    from matplotlib.colors import ListedColormap  # noqa: PLC0415 (slow to import)
    from matplotlib.patches import Patch  # noqa: PLC0415

    ids = np.minimum(chart.ids, most)
    count = int(ids.max()) + 1
    names = summaries(chart.regimes[:most])
    colours = [*COLOURS[: len(names)], _REST]
    if len(chart.regimes) > most:
        names.append(f"{len(chart.regimes) - most} smaller regimes")
    with figure(7.0, 3.8) as (made, axes):
        _, hatched = _mesh(axes, chart, ids, ListedColormap(colours[:count]), count - 1, room)
        patches = [Patch(color=colours[i], label=name) for i, name in enumerate(names)] + hatched
        made.legend(handles=patches, loc="outside right upper", frameon=False, fontsize=7)
    return made


def _counted(chart: RegimeMap, room: Expr | None) -> "Figure":
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    counts = {
        resource: np.array([list(one.values()).count(resource) for one in chart.regimes])
        for resource in RESOURCE_COLOURS
    }
    resource = max(counts, key=lambda name: int(np.ptp(counts[name])))
    bound = counts[resource][chart.ids]
    with figure(6.4, 3.8) as (made, axes):
        picture, hatched = _mesh(axes, chart, bound, "cividis", int(bound.max()), room)
        label = f"operators bound by {resource}, of {len(chart.regimes[0])}"
        made.colorbar(picture, ax=axes, label=label)
        if hatched:
            made.legend(handles=hatched, loc="outside upper right", frameon=False)
    return made


def _mesh(
    axes: "Axes",
    chart: RegimeMap,
    cells: "np.ndarray[Any, Any]",
    cmap: Any,
    top: int,
    room: Expr | None,
) -> tuple[Any, list[Any]]:
    """Cells by whole numbers from 0, with a line wherever the number changes.

    And the handles of what is hatched, for a legend.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    across, right = axis_scale(chart.over[0], chart.x)
    up, above = axis_scale(chart.over[1], chart.y)
    x, y = chart.x / across, chart.y / up
    picture = axes.pcolormesh(
        x, y, cells, cmap=cmap, vmin=-0.5, vmax=top + 0.5, shading="nearest", rasterized=True
    )
    if top:
        axes.contour(x, y, cells, levels=np.arange(top) + 0.5, colors="black", linewidths=0.4)
    hatched = mark_map(axes, room, chart.over, chart.x, chart.y, (across, up))
    axes.grid(visible=False)
    for which, grid in (("x", x), ("y", y)):
        log_if_wide(axes, which, grid)
    axes.set_xlabel(right)
    axes.set_ylabel(above)
    return picture, [] if hatched is None else [hatched]


def _unchanged(regimes: Sequence[Mapping[str, str]]) -> set[str]:
    """The operators that are bound by the same resource in all of several regimes."""
    if len(regimes) < 2:
        return set()
    first = regimes[0]
    return {name for name in first if all(bounds[name] == first[name] for bounds in regimes)}


def _summary(bounds: Mapping[str, str], same: set[str], most: int) -> str:
    """``compute: a, b +3`` for each resource, without the operators in which regimes agree."""
    parts = []
    for resource in RESOURCE_COLOURS:
        names = [name for name, bound in bounds.items() if bound == resource and name not in same]
        if names:
            parts.append(f"{resource}: {short(names, most)}")
    return "\n".join(parts)
