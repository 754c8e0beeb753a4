"""Maps of regimes over two symbols."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sympy import Expr

from lifesym.analysis.maps import RegimeMap
from lifesym.checks import checked
from lifesym.plots.meaning import RESOURCES
from lifesym.plots.room import fits, fitting, mark_map
from lifesym.plots.style import SMALL, axis_scale, figure, key, log_if_wide

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_REST = "#eeeeee"
_LARGEST_REST = 0.1
_THIN = 0.02
"""The part of a map's width and height from which a region has room for its number."""


@checked
def regime_chart(chart: RegimeMap, most: int = 6, room: Expr | None = None) -> "Figure":
    """The regimes of a grid as numbered regions, named by the operators in which they differ.

    The colour says which resource binds most of the operators and the hatches which resources bind
    any, the same in every figure. Where more than a tenth of the grid lies in regimes that have no
    name, the shade is the number of operators that a resource binds instead. The axes end a little
    above where memory ends.

    Args:
        chart: what `regime_map` gave.
        most: how many regions are named; the smaller ones share a colour.
        room: bytes of memory that are left, in the two symbols: below 0 the cells are covered.
    """
    chart = _ended(chart, room)
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


def _ended(chart: RegimeMap, room: Expr | None) -> RegimeMap:
    """The part of a map up to a little above where memory ends."""
    columns, rows = fitting(room, chart.over, chart.x, chart.y)
    ids = chart.ids[:rows, :columns]
    return replace(chart, x=chart.x[:columns], y=chart.y[:rows], ids=ids)


def _named(chart: RegimeMap, most: int, room: Expr | None) -> "Figure":
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)
    from matplotlib.colors import ListedColormap  # noqa: PLC0415 (slow to import)
    from matplotlib.patches import Patch  # noqa: PLC0415

    ids = np.minimum(chart.ids, most)
    present = [int(i) for i in np.unique(ids)]
    ids = np.searchsorted(present, ids)
    looks = [_look(chart.regimes[i]) if i < most else (_REST, "") for i in present]
    named = [i for i in present if i < most]
    names = [
        f"{i + 1}  {text}".replace("\n", "; ") or str(i + 1)
        for i, text in enumerate(summaries([chart.regimes[i] for i in named]))
    ]
    if len(present) > len(named):
        names.append(f"{len(np.unique(chart.ids)) - len(named)} smaller regimes")
    with figure(6.4, 3.6) as (made, axes):
        cmap = ListedColormap([colour for colour, _ in looks])
        _mesh(axes, chart, ids, cmap, len(present) - 1)
        x, y = _scaled(chart)
        for i, (_, hatch) in enumerate(looks):  # each by itself: ids have no order
            inside = np.asarray(ids == i, float)
            axes.contourf(x, y, inside, levels=[0.5, 1.5], colors="none", hatches=[hatch])
            axes.contour(x, y, inside, levels=[0.5], colors="black", linewidths=0.6)
        hatched = mark_map(axes, room, chart.over, chart.x, chart.y, _scales(chart))
        free = fits(room, chart.over, chart.x, chart.y)
        for i, (column, row) in enumerate(_places(ids, len(named), free)):
            if column is not None and row is not None:
                axes.text(
                    x[column],
                    y[row],
                    str(i + 1),
                    ha="center",
                    va="center",
                    fontsize=SMALL,
                    zorder=4,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2},
                )
        patches = [
            Patch(facecolor=colour, hatch=hatch, edgecolor="black", linewidth=0.4, label=name)
            for (colour, hatch), name in zip(looks, names, strict=True)
        ]
        key(made, patches + [hatched] * bool(hatched))
    return made


def _counted(chart: RegimeMap, room: Expr | None) -> "Figure":
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415 (slow to import)

    counts = {
        resource: np.array([list(one.values()).count(resource) for one in chart.regimes])
        for resource in RESOURCES
    }
    resource = max(counts, key=lambda name: int(np.ptp(counts[name])))
    bound = counts[resource][chart.ids]
    with figure(6.4, 3.6) as (made, axes):
        shades = ["white", RESOURCES[resource].colour, "black"]
        cmap = LinearSegmentedColormap.from_list(resource, shades)
        picture = _mesh(axes, chart, bound, cmap, int(bound.max()))
        x, y = _scaled(chart)
        levels = np.unique(bound)[1:] - 0.5
        if levels.size:
            axes.contour(x, y, bound, levels=levels, colors="black", linewidths=0.4)
        hatched = mark_map(axes, room, chart.over, chart.x, chart.y, _scales(chart))
        label = f"operators bound by {resource}, of {len(chart.regimes[0])}"
        made.colorbar(picture, ax=axes, label=label)
        key(made, [hatched] * bool(hatched))
    return made


def _look(bounds: Mapping[str, str]) -> tuple[str, str]:
    """The colour of the resource that binds most operators, and hatches of all that bind any."""
    counts = {name: list(bounds.values()).count(name) for name in RESOURCES}
    first = max(counts, key=lambda name: counts[name])
    return RESOURCES[first].colour, "".join(
        RESOURCES[name].hatch for name, count in counts.items() if count
    )


def _scales(chart: RegimeMap) -> tuple[float, float]:
    """What to divide the values of both axes by."""
    return axis_scale(chart.over[0], chart.x)[0], axis_scale(chart.over[1], chart.y)[0]


def _scaled(chart: RegimeMap) -> tuple[Any, Any]:
    across, up = _scales(chart)
    return chart.x / across, chart.y / up


def _mesh(
    axes: "Axes", chart: RegimeMap, cells: "np.ndarray[Any, Any]", cmap: Any, top: int
) -> Any:
    """Cells by whole numbers from 0, and the axes they are over."""
    x, y = _scaled(chart)
    picture = axes.pcolormesh(
        x, y, cells, cmap=cmap, vmin=-0.5, vmax=top + 0.5, shading="nearest", rasterized=True
    )
    axes.grid(visible=False)
    for which, symbol, grid, own in (
        ("x", chart.over[0], x, chart.x),
        ("y", chart.over[1], y, chart.y),
    ):
        log_if_wide(axes, which, grid)
        getattr(axes, f"set_{which}label")(axis_scale(symbol, own)[1])
        getattr(axes, f"set_{which}lim")(grid[0], grid[-1])
    return picture


def _places(
    ids: "np.ndarray[Any, Any]", count: int, free: "np.ndarray[Any, Any]"
) -> list[tuple[int | None, int | None]]:
    """The column and row in each region that is farthest from other regions and other numbers.

    None for one that is thinner than its number, or covered.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    rows, columns = ids.shape
    up, across = np.meshgrid(np.arange(rows) / rows, np.arange(columns) / columns, indexing="ij")
    found: list[tuple[int | None, int | None]] = []
    for i in range(count):
        inside = (ids == i) & free
        depth = np.zeros(ids.shape)
        left = inside
        while left.any():
            depth += left
            padded = np.pad(left, 1)
            left = (
                left & padded[2:, 1:-1] & padded[:-2, 1:-1] & padded[1:-1, 2:] & padded[1:-1, :-2]
            )
        deep = depth / max(rows, columns)
        apart = np.full(ids.shape, 1.0)
        for column, row in found:
            if column is not None and row is not None:
                apart = np.minimum(apart, np.hypot(across - column / columns, up - row / rows))
        best = np.unravel_index(np.argmax(np.minimum(deep, apart / 2) * inside), ids.shape)
        thin = deep.max() < _THIN or not inside.any()
        found.append((None, None) if thin else (int(best[1]), int(best[0])))
    return found


def _unchanged(regimes: Sequence[Mapping[str, str]]) -> set[str]:
    """The operators that are bound by the same resource in all of several regimes."""
    if len(regimes) < 2:
        return set()
    first = regimes[0]
    return {name for name in first if all(bounds[name] == first[name] for bounds in regimes)}


def _summary(bounds: Mapping[str, str], same: set[str], most: int) -> str:
    """``compute: a, b +3`` for each resource, without the operators in which regimes agree."""
    parts = []
    for resource in RESOURCES:
        names = [name for name, bound in bounds.items() if bound == resource and name not in same]
        if names:
            more = f" +{len(names) - most}" if len(names) > most else ""
            parts.append(f"{resource}: {', '.join(names[:most])}{more}")
    return "\n".join(parts)
