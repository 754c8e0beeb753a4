"""Curves over symbols: stacked time, a target, formulas that meet."""

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
from lifesym.operator_groups import group_of
from lifesym.plots.captions import caption_of
from lifesym.plots.meaning import GROUPS, in_order
from lifesym.plots.room import ended, mark
from lifesym.plots.style import (
    COLOURS,
    LINES,
    axis_scale,
    figure,
    figure_number,
    is_wide,
    key,
    logarithmic,
    said,
    scale,
)
from lifesym.powers import replaced
from lifesym.symbols import TABLE, Number, resolve

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


@checked
def stacked_time(
    quantity: Derived,
    over: str | Symbol,
    values: "Sequence[float] | np.ndarray[Any, Any]",
    at: Values | None = None,
    *,
    shares: bool | None = None,
    boundaries: Sequence[Stretch] = (),
    room: Expr | None = None,
) -> "Figure":
    """The time by group of operators over a symbol; the colours are those of every such figure.

    The axis ends a little above where memory ends.

    Args:
        quantity: a time with its operators.
        over: the symbol of the horizontal axis.
        values: its values.
        at: the values of the others.
        shares: each group's part of the time, in place of seconds; unless given where the axis is
            logarithmic, on which small sums would be seen nowhere.
        boundaries: regimes, of which the boundaries are drawn as dotted lines.
        room: bytes of memory that are left, in the symbol alone: below 0 the axis is hatched.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    symbol = symbol_of(quantity, over)
    fixed = point_of(quantity, at or {}, free=[symbol])
    merged: dict[str, Expr] = {}
    for _, term in operators(quantity):
        group = group_of(term)
        merged[group] = merged.get(group, S.Zero) + replaced(term.time, fixed)
    grid = floats(symbol, values)
    wide = is_wide(grid)
    shares = wide if shares is None else shares
    grid = ended({"": room}, symbol, grid)
    times = dict(zip(merged, on_grid([*merged.values()], [symbol])(grid), strict=True))
    times = {name: times[name] for name in in_order(times) if times[name].any()}
    whole = sum(times.values(), np.zeros_like(grid))
    factor: Any = whole / 100
    unit = "%"
    if not shares:
        factor, unit = scale(float(whole.max()), "s")
    across, label = axis_scale(symbol, grid)
    with figure(6.4, 3.4, title=caption_of(quantity, fixed, symbol)) as (made, axes):
        stacked = axes.stackplot(
            grid / across,
            [time / factor for time in times.values()],
            labels=[*times],
            colors=[GROUPS[name].colour for name in times],
            edgecolor="black",
            linewidth=0.3,
        )
        for name, layer in zip(times, stacked, strict=True):
            layer.set_hatch(GROUPS[name].hatch)
        changes = [float(s.low) for s in boundaries[1:] if float(s.low) <= grid[-1]]
        for i, low in enumerate(changes):
            axes.axvline(
                low / across,
                color="black",
                linestyle=":",
                linewidth=0.8,
                label=None if i else "regime changes",
            )
        mark(axes, {"": room}, symbol, grid, across)
        axes.set_xlim(grid[0] / across, grid[-1] / across)
        if wide:
            logarithmic(axes, "x")
        axes.set_ylim(bottom=0, top=100 if shares else None)
        axes.set_xlabel(label)
        axes.set_ylabel(f"{'part of ' if shares else ''}{quantity.name} [{unit}]")
        key(made, axes.get_legend_handles_labels()[0])
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
    grid = ended({"": room}, symbol, np.linspace(low, high, 300))
    if grid[-1] < middle:  # the answer is shown even where it does not fit
        grid = np.linspace(low, 1.1 * middle, 300)
    (curve,) = on_grid([replaced(formula(quantity), fixed)], [symbol])(grid)
    factor, label = scale(float(max(curve.max(), float(answer.target))), unit)
    across, label_across = axis_scale(symbol, grid)
    with figure(title=caption_of(quantity, fixed, symbol)) as (made, axes):
        mark(axes, {"": room}, symbol, grid, across)
        axes.plot(grid / across, curve / factor, color=COLOURS[0], label=name)
        axes.axhline(
            float(answer.target) / factor, color=COLOURS[5], linestyle="--", label="target"
        )
        axes.plot(
            middle / across,
            float(answer.achieved) / factor,
            "o",
            color="black",
            linestyle="none",
            label=f"{answer.want} {said(symbol)}: {_sized(middle, symbol, across, grid)}",
        )
        axes.set_xlabel(label_across)
        axes.set_ylabel(f"{name} [{label}]")
        key(made, axes.get_legend_handles_labels()[0])
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
    wide = is_wide((low, high))
    grid = ended(rooms or {}, symbol, (np.geomspace if wide else np.linspace)(low, high, 400))
    call = on_grid([*curves.values()], [resolve(symbol)])
    values = dict(zip(curves, call(grid), strict=True))
    factor, unit = scale(max(float(curve.max()) for curve in values.values()), quantity.unit)
    across, label = axis_scale(symbol, grid)
    with figure() as (made, axes):
        mark(axes, rooms or {}, symbol, grid, across)
        for i, (name, curve) in enumerate(values.items()):
            look: dict[str, Any] = {
                "linestyle": LINES[i % len(LINES)],
                "color": COLOURS[i % len(COLOURS)],
            }
            axes.plot(grid / across, curve / factor, label=name, **look)
        for meeting in meetings:
            x = float(meeting.value)
            y = float(call(x)[0]) / factor
            if x <= grid[-1]:
                text = f"equal at {_sized(x, symbol, across, grid)}"
                axes.plot(x / across, y, "o", color="black", linestyle="none", label=text)
        if wide:
            logarithmic(axes, "x")
        axes.set_xlabel(label)
        axes.set_ylabel(f"{quantity.name} [{unit}]")
        key(made, axes.get_legend_handles_labels()[0])
    return made


def _sized(value: float, symbol: Symbol, across: float, grid: Any) -> str:
    """A value of an axis with the axis's unit."""
    unit = scale(float(max(grid)), TABLE[symbol].unit)[1]
    return f"{figure_number(value / across)} {'' if unit == '1' else unit}".strip()
