"""Curves and maps over symbols: roofline, regimes, stacked time, a target."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sympy import Expr, S, Symbol, lambdify

from lifesym.analysis.inverse import Design
from lifesym.analysis.meeting import Meeting
from lifesym.analysis.questions import Derived, Quantity, Values, formula, point_of, symbol_of
from lifesym.analysis.regime import RegimeMap, Stretch, operators
from lifesym.plots.style import (
    COLOURS,
    HATCHES,
    RESOURCE_COLOURS,
    axis_label,
    figure,
    log_if_wide,
    scale,
)
from lifesym.symbols import TABLE, Number, exact, resolve

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

_MARKERS = "osD^vP*Xd<>hp"


def roofline(quantity: Derived, at: Values, *, peak: float, bandwidth: float) -> "Figure":
    """Operators under the roofline of a device: attained FLOP/s over arithmetic intensity.

    Args:
        quantity: a time with its operators.
        at: the values of every symbol of the operators' costs and times.
        peak: the device's attainable FLOP/s.
        bandwidth: its attainable byte/s.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    points: dict[tuple[float, float], list[str]] = {}
    for name, term in operators(quantity):
        values = _values(at)
        work, moved, time = (
            float(e.xreplace(values).doit()) for e in (term.cost.flops, term.cost.bytes, term.time)
        )
        if work and moved and time:
            key = (float(f"{work / moved:.3g}"), float(f"{work / time:.3g}"))
            points.setdefault(key, []).append(name)
    intensities = [x for x, _ in points] or [1.0]
    ridge = peak / bandwidth
    span = np.geomspace(min(*intensities, ridge) / 3, max(*intensities, ridge) * 3, 200)
    factor, unit = scale(peak, "FLOP/s")
    with figure(6.4, 3.8) as (made, axes):
        axes.loglog(
            span, np.minimum(span * bandwidth, peak) / factor, color="black", label="roofline"
        )
        axes.axvline(ridge, color="#777777", linestyle=":", linewidth=1)
        text = f" ridge {ridge:.3g} FLOP/B"
        axes.annotate(text, (ridge, axes.get_ylim()[0]), va="bottom", fontsize=7.5)
        for i, ((x, y), names) in enumerate(points.items()):
            axes.plot(
                x,
                y / factor,
                _MARKERS[i % len(_MARKERS)],
                linestyle="none",
                color=COLOURS[i % len(COLOURS)],
                markeredgecolor="black",
                markeredgewidth=0.4,
                label=_short(names),
            )
        axes.set_xlabel("arithmetic intensity [FLOP/B]")
        axes.set_ylabel(f"attained rate [{unit}]")
        made.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return made


def stacked_time(
    quantity: Derived,
    over: str | Symbol,
    values: "Sequence[float] | np.ndarray[Any, Any]",
    at: Values | None = None,
    *,
    most: int = 7,
    boundaries: Sequence[Stretch] = (),
) -> "Figure":
    """The time by operator over a symbol, the largest operators apart and the others together.

    Args:
        quantity: a time with its operators.
        over: the symbol of the horizontal axis.
        values: its values.
        at: the values of the others.
        most: how many operators get a colour of their own.
        boundaries: regimes, of which the boundaries are drawn as dotted lines.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    symbol = symbol_of(quantity, over)
    fixed = point_of(quantity, at or {}, free=[symbol])
    merged: dict[str, Expr] = {}
    for name, term in operators(quantity):
        key = name.split(".")[-1].split("#")[0]
        merged[key] = merged.get(key, S.Zero) + term.time.xreplace(fixed)
    grid = np.asarray(values, float)
    call = lambdify([symbol], list(merged.values()), "numpy", cse=True)
    times = {
        name: np.broadcast_to(time, grid.shape)
        for name, time in zip(merged, call(grid), strict=True)
    }
    ranked = sorted(times, key=lambda name: -float(times[name].max()))
    others = sum((times[name] for name in ranked[most:]), np.zeros_like(grid))
    layers = [(name, times[name]) for name in ranked[:most]]
    if ranked[most:]:
        layers.append((f"{len(ranked) - most} others", others))
    factor, unit = scale(float(sum(times.values(), np.zeros_like(grid)).max()), "s")
    with figure(6.6, 3.6) as (made, axes):
        stacked = axes.stackplot(
            grid,
            [time / factor for _, time in layers],
            labels=[name for name, _ in layers],
            colors=COLOURS,
            edgecolor="white",
            linewidth=0.4,
        )
        for i, layer in enumerate(stacked):
            layer.set_hatch(HATCHES[i % len(HATCHES)])
        for stretch in boundaries[1:]:
            axes.axvline(float(stretch.low), color="black", linestyle=":", linewidth=0.8)
        axes.set_xlim(grid[0], grid[-1])
        axes.set_ylim(bottom=0)
        axes.set_xlabel(axis_label(symbol))
        axes.set_ylabel(f"{quantity.name} [{unit}]")
        handles, labels = axes.get_legend_handles_labels()
        made.legend(handles[::-1], labels[::-1], loc="outside right upper", frameon=False)
    return made


def regime_chart(chart: RegimeMap, most: int = 6) -> "Figure":
    """The regimes of a grid as coloured regions, named by the operators in which they differ.

    Args:
        chart: what `regime_map` gave.
        most: how many regions are named; the smaller ones share a colour.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)
    from matplotlib.colors import ListedColormap  # noqa: PLC0415 (slow to import)
    from matplotlib.patches import Patch  # noqa: PLC0415

    shown = min(len(chart.regimes), most)
    ids = np.minimum(chart.ids, most)
    count = int(ids.max()) + 1
    same = _unchanged(chart.regimes[:shown])
    names = [_summary(bounds, same) for bounds in chart.regimes[:shown]]
    if len(chart.regimes) > most:
        names.append(f"{len(chart.regimes) - most} smaller regimes")
    with figure(7.0, 3.8) as (made, axes):
        colours = ListedColormap(COLOURS[:count])
        axes.pcolormesh(
            chart.x,
            chart.y,
            ids,
            cmap=colours,
            vmin=-0.5,
            vmax=count - 0.5,
            shading="nearest",
            rasterized=True,
        )
        axes.contour(
            chart.x, chart.y, ids, levels=np.arange(count - 1) + 0.5, colors="black", linewidths=0.5
        )
        axes.grid(visible=False)
        for which, grid in (("x", chart.x), ("y", chart.y)):
            log_if_wide(axes, which, grid)
        axes.set_xlabel(axis_label(chart.over[0]))
        axes.set_ylabel(axis_label(chart.over[1]))
        patches = [Patch(color=COLOURS[i], label=name) for i, name in enumerate(names)]
        made.legend(handles=patches, loc="outside right upper", frameon=False, fontsize=7)
    return made


def against_target(
    quantity: Quantity, answer: Design, at: Values, unit: str, name: str
) -> "Figure":
    """The quantity over the symbol that was asked for, the target, and the answer.

    Args:
        quantity: what the design question was asked of.
        answer: the answer.
        at: the values of the other symbols.
        unit: the quantity's SI unit.
        name: what to call it.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    symbol = answer.symbol
    fixed = point_of(quantity, at, free=[symbol])
    middle = float(answer.answer)
    least = TABLE[symbol].minimum or 0
    most = TABLE[symbol].maximum
    low = max(middle / 4, least) or 0.0
    high = max(middle * 4, low + 1) if most is None else min(middle * 4, float(most))
    grid = np.linspace(low, high, 300)
    call = lambdify([symbol], formula(quantity).xreplace(fixed), "numpy")
    curve = np.broadcast_to(call(grid), grid.shape)
    factor, label = scale(float(max(curve.max(), float(answer.target))), unit)
    across, across_unit = scale(high, TABLE[symbol].unit)
    with figure() as (made, axes):
        axes.plot(grid / across, curve / factor, color=COLOURS[0], label=name)
        axes.axhline(
            float(answer.target) / factor, color=COLOURS[5], linestyle="--", label="target"
        )
        axes.plot(
            middle / across,
            float(answer.achieved) / factor,
            "o",
            color="black",
            label=f"{answer.want} {TABLE[symbol].word}: {middle / across:.4g} {across_unit}",
        )
        axes.set_xlabel(f"{TABLE[symbol].meaning} [{across_unit}]")
        axes.set_ylabel(f"{name} [{label}]")
        axes.legend(frameon=False)
    return made


def two_curves(
    curves: Mapping[str, Expr],
    symbol: Symbol,
    ends: tuple[Number, Number],
    meetings: Sequence[Meeting],
    quantity: Derived,
) -> "Figure":
    """Formulas of one symbol over it, with the points at which they meet.

    Args:
        curves: formulas in the symbol alone, by name.
        symbol: the symbol.
        ends: of the horizontal axis; it ends a little above the last meeting if there is one.
        meetings: what `crossover` gave.
        quantity: the result that the curves are of, for its name and unit.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    low, high = (float(end) for end in ends)
    if meetings:
        high = min(high, 3 * float(meetings[-1].value))
    grid = np.linspace(low, high, 400)
    calls = {name: lambdify([symbol], expr, "numpy") for name, expr in curves.items()}
    values = {name: np.broadcast_to(call(grid), grid.shape) for name, call in calls.items()}
    factor, unit = scale(max(float(curve.max()) for curve in values.values()), quantity.unit)
    across, across_unit = scale(high, TABLE[symbol].unit)
    with figure() as (made, axes):
        for i, (name, curve) in enumerate(values.items()):
            style = ("-", "--", ":")[i % 3]
            axes.plot(grid / across, curve / factor, style, color=COLOURS[i], label=name)
        for meeting in meetings:
            x = float(meeting.value)
            y = float(calls[next(iter(calls))](x)) / factor
            axes.plot(x / across, y, "o", color="black", label=f"{x / across:.4g} {across_unit}")
        axes.set_xlabel(f"{TABLE[symbol].meaning} [{across_unit}]")
        axes.set_ylabel(f"{quantity.name} [{unit}]")
        axes.legend(frameon=False)
    return made


def _values(at: Values) -> dict[Symbol, Expr]:
    return {resolve(name): exact(value) for name, value in at.items()}


def _short(names: Sequence[str], most: int = 2) -> str:
    """The first names of a group, and how many more there are."""
    more = f" +{len(names) - most}" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _unchanged(regimes: Sequence[Mapping[str, str]]) -> set[str]:
    """The operators that are bound by the same resource in all of several regimes."""
    first = regimes[0]
    if len(regimes) == 1:
        return set()
    return {name for name in first if all(bounds[name] == first[name] for bounds in regimes)}


def _summary(bounds: Mapping[str, str], same: set[str]) -> str:
    """``compute: a, b +3`` for each resource, without the operators in which regimes agree."""
    parts = []
    for resource in RESOURCE_COLOURS:
        names = [name for name, bound in bounds.items() if bound == resource and name not in same]
        if names:
            parts.append(f"{resource}: {_short(names)}")
    return "\n".join(parts)
