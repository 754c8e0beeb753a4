"""Curves over symbols: roofline, stacked time, a target, two formulas that meet."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sympy import Expr, S, Symbol

from lifesym.analysis.inverse import Design
from lifesym.analysis.meeting import Meeting
from lifesym.analysis.questions import (
    Derived,
    Quantity,
    Values,
    floats,
    formula,
    listed,
    point_of,
    symbol_of,
)
from lifesym.analysis.regime import Stretch, operators, span
from lifesym.checks import checked, shown
from lifesym.codegen.functions import on_grid
from lifesym.errors import SymbolError
from lifesym.plots.room import legend, mark
from lifesym.plots.style import (
    COLOURS,
    HATCHES,
    WIDE,
    axis_scale,
    figure,
    log_if_wide,
    scale,
)
from lifesym.powers import replaced
from lifesym.symbols import TABLE, Number, resolve

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

_MARKERS = "osD^vP*Xd<>hp"
_COLUMNS = 3
_TOGETHER = 1.12  # points of a roofline closer than this, in ratio, share a marker


@checked
def roofline(quantity: Derived, at: Values, *, peak: float, bandwidth: float) -> "Figure":
    """Operators under the roofline of a device: attained FLOP/s over arithmetic intensity.

    Args:
        quantity: a time with its operators.
        at: the values of every symbol of the operators' costs and times.
        peak: the device's attainable FLOP/s.
        bandwidth: its attainable byte/s.

    Raises:
        SymbolError: a rate that is not above 0, or a value missing.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    for word, rate in (("peak", peak), ("bandwidth", bandwidth)):
        if not 0 < rate < float("inf"):
            raise SymbolError(f"{word} must be above 0 and finite, not {rate}")
    points: dict[tuple[float, float], list[str]] = {}
    for name, term in operators(quantity):
        work, moved, time = (
            float(replaced(e, point_of(e, at)).doit(powers=False))
            for e in (term.cost.flops, term.cost.bytes, term.time)
        )
        if work and moved and time:
            here = (work / moved, work / time)
            near = next((p for p in points if max(map(_apart, p, here)) < _TOGETHER), here)
            points.setdefault(near, []).append(name)
    intensities = [x for x, _ in points] or [1.0]
    ridge = peak / bandwidth
    span = np.geomspace(min(*intensities, ridge) / 3, max(*intensities, ridge) * 3, 200)
    factor, unit = scale(peak, "FLOP/s")
    lines = -(-len(points) // _COLUMNS)
    with figure(6.4, 3.6 + 0.16 * lines) as (made, axes):
        axes.loglog(
            span, np.minimum(span * bandwidth, peak) / factor, color="black", label="roofline"
        )
        axes.axvline(ridge, color="#777777", linestyle=":", linewidth=1)
        axes.text(
            ridge,
            0.02,
            f" ridge {ridge:.3g} FLOP/B ",
            transform=axes.get_xaxis_transform(),
            ha="right" if ridge**2 > span[0] * span[-1] else "left",
            va="bottom",
            fontsize=7.5,
        )
        for i, ((x, y), names) in enumerate(points.items()):
            axes.plot(
                x,
                y / factor,
                _MARKERS[i % len(_MARKERS)],
                linestyle="none",
                color=COLOURS[i % len(COLOURS)],
                markeredgecolor="black",
                markeredgewidth=0.4,
                label=short(names),
            )
        axes.set_xlabel("arithmetic intensity [FLOP/B]")
        axes.set_ylabel(f"attained rate [{unit}]")
        made.legend(
            *axes.get_legend_handles_labels(),
            loc="outside lower center",
            ncols=_COLUMNS,
            frameon=False,
            fontsize=7,
        )
    return made


@checked
def stacked_time(
    quantity: Derived,
    over: str | Symbol,
    values: "Sequence[float] | np.ndarray[Any, Any]",
    at: Values | None = None,
    *,
    most: int = 7,
    boundaries: Sequence[Stretch] = (),
    room: Expr | None = None,
) -> "Figure":
    """The time by operator over a symbol, the largest operators apart and the others together.

    Args:
        quantity: a time with its operators.
        over: the symbol of the horizontal axis.
        values: its values.
        at: the values of the others.
        most: how many operators get a colour of their own.
        boundaries: regimes, of which the boundaries are drawn as dotted lines.
        room: bytes of memory that are left, in the symbol alone: below 0 the axis is hatched.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    symbol = symbol_of(quantity, over)
    fixed = point_of(quantity, at or {}, free=[symbol])
    merged: dict[str, Expr] = {}
    for name, term in operators(quantity):
        key = name.split(".")[-1].split("#")[0]
        merged[key] = merged.get(key, S.Zero) + replaced(term.time, fixed)
    grid = floats(symbol, values)
    times = dict(zip(merged, on_grid([*merged.values()], [symbol])(grid), strict=True))
    ranked = sorted(times, key=lambda name: -float(times[name].max()))
    others = sum((times[name] for name in ranked[most:]), np.zeros_like(grid))
    layers = [(name, times[name]) for name in ranked[:most]]
    if ranked[most:]:
        layers.append((f"{len(ranked) - most} others", others))
    factor, unit = scale(float(sum(times.values(), np.zeros_like(grid)).max()), "s")
    across, label = axis_scale(symbol, grid)
    with figure(6.6, 3.6) as (made, axes):
        stacked = axes.stackplot(
            grid / across,
            [time / factor for _, time in layers],
            labels=[name for name, _ in layers],
            colors=COLOURS,
            edgecolor="white",
            linewidth=0.4,
        )
        for i, layer in enumerate(stacked):
            layer.set_hatch(HATCHES[i % len(HATCHES)])
        for i, stretch in enumerate(boundaries[1:]):
            axes.axvline(
                float(stretch.low) / across,
                color="black",
                linestyle=":",
                linewidth=0.8,
                label=None if i else "regime changes",
            )
        mark(axes, {"": room}, symbol, grid, across)
        log_if_wide(axes, "x", grid)
        axes.set_xlim(grid[0] / across, grid[-1] / across)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(label)
        axes.set_ylabel(f"{quantity.name} [{unit}]")
        handles, labels = axes.get_legend_handles_labels()
        made.legend(handles[::-1], labels[::-1], loc="outside right upper", frameon=False)
    return made


@checked
def against_target(
    quantity: Quantity,
    answer: Design,
    at: Values,
    unit: str,
    name: str,
    *,
    room: Expr | None = None,
) -> "Figure":
    """The quantity over the symbol that was asked for, the target, and the answer.

    Args:
        quantity: what the design question was asked of.
        answer: the answer.
        at: the values of the other symbols.
        unit: the quantity's SI unit.
        name: what to call it.
        room: bytes of memory that are left, in the symbol alone: below 0 the axis is hatched.
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
    (curve,) = on_grid([replaced(formula(quantity), fixed)], [symbol])(grid)
    factor, label = scale(float(max(curve.max(), float(answer.target))), unit)
    across, across_unit = scale(high, TABLE[symbol].unit)
    with figure() as (made, axes):
        hatched = mark(axes, {"": room}, symbol, grid, across)
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
        legend(axes, hatched)
    return made


@checked
def two_curves(
    curves: Mapping[str, Expr],
    symbol: Symbol,
    ends: tuple[Number, Number],
    meetings: Sequence[Meeting],
    quantity: Derived,
    *,
    rooms: Mapping[str, Expr | None] | None = None,
) -> "Figure":
    """Formulas of one symbol over it, with the points at which they meet.

    Args:
        curves: formulas in the symbol alone, by name.
        symbol: the symbol.
        ends: of the horizontal axis; it ends a little above the last meeting if there is one.
        meetings: what `crossover` gave.
        quantity: the result that the curves are of, for its name and unit.
        rooms: bytes of memory that each curve leaves, by its name: below 0 the axis is hatched.

    Raises:
        SymbolError: no curve, one that depends on other symbols, ends out of range, or a quantity
            that is no result.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    if not curves:
        raise SymbolError("curves has no formula to draw")
    if not isinstance(quantity, Derived):
        raise SymbolError(f"expected a result, not {shown(quantity)}")
    for name, expr in curves.items():
        if missing := expr.free_symbols - {resolve(symbol)}:
            raise SymbolError(f"{name} also depends on {listed(missing)}: give numbers")
    low, high = (float(end) for end in span(symbol, ends, quantity))
    if meetings:
        high = min(high, 3 * float(meetings[-1].value))
    wide = low > 0 and high / low > WIDE
    grid = (np.geomspace if wide else np.linspace)(low, high, 400)
    call = on_grid([*curves.values()], [resolve(symbol)])
    values = dict(zip(curves, call(grid), strict=True))
    factor, unit = scale(max(float(curve.max()) for curve in values.values()), quantity.unit)
    across, across_unit = scale(high, TABLE[symbol].unit)
    with figure() as (made, axes):
        hatched = mark(axes, rooms or {}, symbol, grid, across)
        for i, (name, curve) in enumerate(values.items()):
            style = ("-", "--", ":")[i % 3]
            axes.plot(grid / across, curve / factor, style, color=COLOURS[i], label=name)
        for meeting in meetings:
            x = float(meeting.value)
            y = float(call(x)[0]) / factor
            axes.plot(x / across, y, "o", color="black", label=f"{x / across:.4g} {across_unit}")
        log_if_wide(axes, "x", grid)
        axes.set_xlabel(f"{TABLE[symbol].meaning} [{across_unit}]")
        axes.set_ylabel(f"{quantity.name} [{unit}]")
        legend(axes, hatched)
    return made


def _apart(one: float, other: float) -> float:
    """The ratio of the larger to the smaller."""
    return max(one / other, other / one)


def short(names: Sequence[str], most: int = 2) -> str:
    """The first names of a group, and how many more there are."""
    more = f" +{len(names) - most}" if len(names) > most else ""
    return ", ".join(names[:most]) + more
