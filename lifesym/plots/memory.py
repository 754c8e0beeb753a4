"""What a memory holds, by role."""

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from sympy import Add, Expr, S, Symbol

from lifesym import symbols as sym
from lifesym.analysis.questions import Values, floats, listed
from lifesym.checks import checked
from lifesym.codegen.functions import on_grid
from lifesym.errors import LifesymError, SymbolError
from lifesym.metrics import measure
from lifesym.plots.captions import figure_caption
from lifesym.plots.room import ended, mark
from lifesym.plots.style import COLOURS, axis_scale, figure, key, scale
from lifesym.powers import replaced
from lifesym.symbols import TABLE, exact, resolve
from lifesym.timed import Timed

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

ROLES = {
    "weights": (COLOURS[0], ""),
    "KV cache": (COLOURS[1], "///"),
    "activations": (COLOURS[2], "..."),
    "weights and caches": (COLOURS[7], "xx"),
}


@checked
def memory_by_role(
    form: Timed,
    over: str | Symbol,
    values: "Sequence[float] | np.ndarray[Any, Any]",
    at: Values | None = None,
) -> "Figure":
    """Bytes of weights, cache and (of a plain forecast) activations, stacked over a symbol.

    The capacity is a line, and the axis ends a little above where it is passed.

    Args:
        form: what is served, with the symbol free or a number.
        over: the symbol of the horizontal axis: batch, prompt, generated, past ...
        values: its values, ascending.
        at: the values of other symbols.

    Raises:
        SymbolError: a symbol that the memory does not depend on, or others that have no number.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    symbol = resolve(over)
    known = {resolve(name): exact(value) for name, value in (at or {}).items()}
    known.pop(symbol, None)
    opened = form.in_step if symbol == sym.past else form.open(symbol)
    parts = {name: replaced(expr, known) for name, expr in _parts(opened).items()}
    free = {each for part in parts.values() for each in part.free_symbols}
    if symbol not in free:
        raise SymbolError(f"memory does not depend on {TABLE[symbol].word} (it has {listed(free)})")
    if free - {symbol}:
        raise SymbolError(f"memory also depends on {listed(free - {symbol})}: give numbers")
    room = opened.stores[0].capacity
    limit = None if room is None or room.free_symbols else float(room)
    left = None if room is None or limit is None else room - Add(*parts.values())
    grid = ended({"": left}, symbol, floats(symbol, values), ratio=inf)
    sizes = on_grid([*parts.values()], [symbol])(grid)
    sizes = [np.broadcast_to(size, grid.shape) for size in sizes]
    factor, unit = scale(max(float(sum(sizes).max()), limit or 0.0), "byte")
    across, label = axis_scale(symbol, grid)
    with figure(6.4, 3.4, title=figure_caption(form, at, [symbol])) as (made, axes):
        stacked = axes.stackplot(
            grid / across,
            [size / factor for size in sizes],
            labels=[*parts],
            colors=[ROLES[name][0] for name in parts],
            edgecolor="black",
            linewidth=0.3,
        )
        for name, layer in zip(parts, stacked, strict=True):
            layer.set_hatch(ROLES[name][1])
        if limit is not None:
            axes.axhline(
                limit / factor, color="black", linestyle="--", linewidth=1.2, label="capacity"
            )
        mark(axes, {"": left}, symbol, grid, across)
        axes.set_xlim(grid[0] / across, grid[-1] / across)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(label)
        axes.set_ylabel(f"memory of a device [{unit}]")
        key(made, axes.get_legend_handles_labels()[0])
    return made


def _parts(form: Timed) -> dict[str, Expr]:
    """Bytes by role: peak bytes of a plain forecast, else what is held at the end."""
    try:
        result = measure(form, "capacity")
    except LifesymError:
        result = form.memory
    merged: dict[str, Expr] = {}
    for part in result.parts:
        role = part.name if part.name in ROLES else "weights"
        merged[role] = merged.get(role, S.Zero) + part.value
    return merged or {"weights and caches": result.expr}
