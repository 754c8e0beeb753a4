"""Maps of regimes over two symbols."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sympy import Expr

from lifesym.analysis.maps import RegimeMap
from lifesym.checks import checked
from lifesym.plots.meaning import RESOURCES
from lifesym.plots.room import fits, fitting, mark_map
from lifesym.plots.style import SMALL, axis_scale, figure, is_wide, key, logarithmic

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

_REST = "#eeeeee"
_LARGEST_REST = 0.1
_SLIVER = 0.005
"""The part of a map below which a region has no name."""
_LOOKS = 7
"""Kinds of regions that are named."""
_MATTERS = 0.1
"""The part of a regime's time from which its look says what binds it."""
_THIN = 0.02
"""The part of a map's width and height from which a region has room for its number."""


@checked
def regime_chart(chart: RegimeMap, most: int = 6, room: Expr | None = None) -> "Figure":
    """The regimes of a grid as numbered regions, named by the operators in which they differ.

    The colour says which resource binds most of the time in a region, and the hatches which bind a
    tenth of it or more: the same in every figure. Where more than a tenth of the grid lies in
    regimes that have no name, regions are what looks alike, and named by that. The axes end a
    little above where memory ends.

    Args:
        chart: what `regime_map` gave.
        most: how many regions are named; the smaller ones share a colour.
        room: bytes of memory that are left, in the two symbols: below 0 the cells are covered.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    wide = is_wide(chart.x), is_wide(chart.y)
    chart = _ended(chart, room)
    free = fits(room, chart.over, chart.x, chart.y)
    areas = Counter((chart.ids[free] if free.any() else chart.ids).ravel().tolist())
    seen = sorted(areas, key=lambda i: (-areas[i], i))
    if sum(areas[i] for i in seen[most:]) > _LARGEST_REST * areas.total():
        kinds = [_look(each) for each in chart.shares]
        cells: Counter[tuple[str, str, str]] = Counter()
        for i, area in areas.items():
            cells[kinds[i]] += area
        looks = [look for look, _ in cells.most_common(_LOOKS)]
        ids = np.array([_at(looks, kind) for kind in kinds])[chart.ids]
        names = [words for _, _, words in looks]
        if others := len(cells) - len(looks):
            looks.append((_REST, "", ""))
            names.append(f"{others} smaller kinds")
        return _drawn(chart, room, wide, ids, looks, names)
    named = seen[:most]
    while len(named) > 1 and areas[named[-1]] < _SLIVER * areas.total():
        named.pop()
    ids = np.array([_at(named, i) for i in range(len(chart.regimes))])[chart.ids]
    words = summaries([chart.regimes[i] for i in named])
    names = [f"{i + 1}  {text}".replace("\n", "; ") for i, text in enumerate(words)]
    looks = [_look(chart.shares[i]) for i in named]
    if small := len(seen) - len(named):
        names.append(f"{small} smaller regime{'s' if small > 1 else ''}")
        looks.append((_REST, "", ""))
    return _drawn(chart, room, wide, ids, looks, names, len(named))


@checked
def summaries(regimes: Sequence[Mapping[str, str]], most: int = 2) -> list[str]:
    """What tells regimes apart: a line for each resource, with the operators that it binds.

    Those come first that it binds in the fewest regimes.

    Args:
        regimes: the operators' bounds of each.
        most: how many operators of a line are named.
    """
    same = _unchanged(regimes)
    alike = Counter(pair for bounds in regimes for pair in bounds.items())
    return [_summary(bounds, same, alike, most) for bounds in regimes]


def _ended(chart: RegimeMap, room: Expr | None) -> RegimeMap:
    """The part of a map up to a little above where memory ends."""
    columns, rows = fitting(room, chart.over, chart.x, chart.y)
    ids = chart.ids[:rows, :columns]
    return replace(chart, x=chart.x[:columns], y=chart.y[:rows], ids=ids)


def _at(known: Sequence[Any], one: Any) -> int:
    """Where something is in a list; after its end if it is not there."""
    return known.index(one) if one in known else len(known)


def _drawn(
    chart: RegimeMap,
    room: Expr | None,
    wide: tuple[bool, bool],
    ids: "np.ndarray[Any, Any]",
    looks: Sequence[tuple[str, str, str]],
    names: Sequence[str],
    numbered: int = 0,
) -> "Figure":
    """Regions with a look and a name each, of which the first have their number in them."""
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)
    from matplotlib.colors import ListedColormap  # noqa: PLC0415 (slow to import)
    from matplotlib.patches import Patch  # noqa: PLC0415

    x, y = chart.x / _scales(chart)[0], chart.y / _scales(chart)[1]
    with figure(6.4, 3.6) as (made, axes):
        axes.pcolormesh(
            x,
            y,
            ids,
            cmap=ListedColormap([*(colour for colour, _, _ in looks), _REST]),
            vmin=-0.5,
            vmax=len(looks) + 0.5,
            shading="nearest",
            rasterized=True,
        )
        for i, (_, hatch, _) in enumerate(looks):  # each by itself: ids have no order
            inside = np.asarray(ids == i, float)
            if inside.any():
                axes.contourf(x, y, inside, levels=[0.5, 1.5], colors="none", hatches=[hatch])
            if 0 < inside.mean() < 1:
                axes.contour(x, y, inside, levels=[0.5], colors="black", linewidths=0.6)
        axes.grid(visible=False)
        for which, symbol, grid, own, log in zip(
            "xy", chart.over, (x, y), (chart.x, chart.y), wide, strict=True
        ):
            getattr(axes, f"set_{which}label")(axis_scale(symbol, own)[1])
            getattr(axes, f"set_{which}lim")(grid[0], grid[-1])
            if log:
                logarithmic(axes, which)
        covered = mark_map(axes, room, chart.over, chart.x, chart.y, _scales(chart))
        for i, (column, row) in _places(ids, numbered, fits(room, chart.over, chart.x, chart.y)):
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
            for (colour, hatch, _), name in zip(looks, names, strict=True)
        ]
        key(made, [*patches, covered] if covered else patches)
    return made


def _look(shares: Mapping[str, float]) -> tuple[str, str, str]:
    """The colour of the resource that binds most of the time, the hatches of all that matter.

    And their names, that one first.
    """
    first = max(RESOURCES, key=lambda name: shares[name])
    matter = [name for name in RESOURCES if name == first or shares[name] >= _MATTERS]
    others = [name for name in matter if name != first]
    words = f"mostly {first}" + (f", and {' and '.join(others)}" if others else "")
    return RESOURCES[first].colour, "".join(RESOURCES[name].hatch for name in matter), words


def _scales(chart: RegimeMap) -> tuple[float, float]:
    """What to divide the values of both axes by."""
    return axis_scale(chart.over[0], chart.x)[0], axis_scale(chart.over[1], chart.y)[0]


def _places(
    ids: "np.ndarray[Any, Any]", count: int, free: "np.ndarray[Any, Any]"
) -> Iterator[tuple[int, tuple[int, int]]]:
    """The column and row in each region that is farthest from other regions and other numbers.

    A region that is thinner than its number has none.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    rows, columns = ids.shape
    up, across = np.meshgrid(np.arange(rows) / rows, np.arange(columns) / columns, indexing="ij")
    # from the ends of the axes first; a little, so that a region at them still has a place
    apart = np.minimum.reduce([up, 1 - up, across, 1 - across]) + 1e-3
    for i in range(count):
        left = inside = (ids == i) & free
        depth = np.zeros(ids.shape)
        while left.any():  # a layer of cells less each time
            depth += left
            padded = np.pad(left, 1)
            beside = (padded[2:, 1:-1], padded[:-2, 1:-1], padded[1:-1, 2:], padded[1:-1, :-2])
            left = np.logical_and.reduce((left, *beside))
        deep = depth / max(rows, columns)
        if deep.max() >= _THIN:
            best = np.argmax(np.minimum(deep, apart / 2) * inside)
            row, column = divmod(int(best), columns)
            apart = np.minimum(apart, np.hypot(across - column / columns, up - row / rows))
            yield i, (column, row)


def _unchanged(regimes: Sequence[Mapping[str, str]]) -> set[str]:
    """The operators that are bound by the same resource in all of several regimes."""
    if len(regimes) < 2:
        return set()
    first = regimes[0]
    return {name for name in first if all(bounds[name] == first[name] for bounds in regimes)}


def _summary(
    bounds: Mapping[str, str], same: set[str], alike: Counter[tuple[str, str]], most: int
) -> str:
    """``compute: a, b +3`` for each resource, without the operators in which regimes agree."""
    parts = []
    for resource in RESOURCES:
        names = [name for name, bound in bounds.items() if bound == resource and name not in same]
        names.sort(key=lambda name: alike[name, bounds[name]])
        if names:
            more = f" +{len(names) - most}" if len(names) > most else ""
            parts.append(f"{resource}: {', '.join(names[:most])}{more}")
    return "\n".join(parts)
