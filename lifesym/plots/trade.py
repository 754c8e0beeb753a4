"""What is given up for what: Pareto fronts, and throughput against latency."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sympy import Expr

from lifesym import symbols as sym
from lifesym.analysis.front import pareto
from lifesym.analysis.questions import floats, listed
from lifesym.checks import checked
from lifesym.codegen.functions import on_grid
from lifesym.errors import SymbolError
from lifesym.held import least
from lifesym.plots.captions import figure_caption
from lifesym.plots.room import stretches
from lifesym.plots.style import COLOURS, LINES, SMALL, figure, key, logarithmic, scale
from lifesym.symbols import Number, exact
from lifesym.timed import Timed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKERS = "os^Dv"
_NAMED = 9
"""Options of a front that have a name of their own; further ones have only a point."""
_MARKED = 3
"""Batches that are marked on a curve, about."""


@checked
def pareto_front(
    options: Mapping[str, Sequence[Any]],
    names: Sequence[str] = ("first objective", "second objective"),
    units: Sequence[str] = ("1", "1"),
) -> "Figure":
    """Options with two objectives, and the front of those that no other beats (`pareto`).

    Smaller is better, as in `lifesym.analysis.pareto`. An objective that is below 0 for every
    option was negated since it should be large: it is drawn as it was.

    Args:
        options: the two objectives of each option, in SI units, by its name.
        names: what the objectives are.
        units: their SI units.

    Raises:
        SymbolError: no option, or not two objectives, names, and units.
    """
    front = pareto(options)
    for what, given in {"names": names, "units": units, **options}.items():
        if len(given) != 2:
            raise SymbolError(f"{what}: a figure has two objectives, not {len(given)}")
    if not options:
        raise SymbolError("options has no point to draw")
    points = {name: [float(number) for number in pair] for name, pair in options.items()}
    signs = [-1 if all(pair[i] < 0 for pair in points.values()) else 1 for i in (0, 1)]
    scales = [scale(max(abs(pair[i]) for pair in points.values()), units[i]) for i in (0, 1)]

    def placed(name: str) -> tuple[float, float]:
        x, y = (points[name][i] * signs[i] / scales[i][0] for i in (0, 1))
        return x, y

    with figure(6.0, 3.4) as (made, axes):
        beaten = [placed(name) for name in options if name not in front]
        best = sorted(front, key=lambda name: points[name])
        corners = [placed(name) for name in best]
        if beaten:
            axes.plot(*zip(*beaten, strict=True), "x", color="#888888", label="beaten by another")
        where = "steps-post" if signs[0] > 0 else "steps-pre"
        axes.plot(
            *zip(*corners, strict=True),
            color="black",
            linewidth=0.8,
            linestyle=":",
            drawstyle=where,
        )
        for i, name in enumerate(best):
            look: dict[str, Any] = {"color": "black", "markerfacecolor": COLOURS[7]}
            label = None if i > _NAMED else f"{len(best) - _NAMED} more on the front"
            if i < _NAMED:
                look = {"color": COLOURS[i % 7], "markeredgecolor": "black"}
                label = f"{i + 1}  {name}"
                axes.annotate(
                    str(i + 1),
                    placed(name),
                    xytext=(4, 4),
                    textcoords="offset points",
                    fontsize=SMALL,
                )
            marker = _MARKERS[i % len(_MARKERS)]
            axes.plot(*placed(name), marker, linestyle="none", label=label, **look)
        axes.margins(0.12)
        for which, name, (_, unit) in zip("xy", names, scales, strict=True):
            getattr(axes, f"set_{which}label")(name if unit == "1" else f"{name} [{unit}]")
        key(made, axes.get_legend_handles_labels()[0])
    return made


@checked
def throughput_latency(
    forms: Mapping[str, Timed],
    batches: Sequence[float],
    *,
    hourly_price: Number | None = None,
) -> "Figure":
    r"""What a device gives against what a user waits for: a curve for each form, over its batches.

    $\mathit{TPS} / \mathit{devices}$ over the mean $\mathit{TPOT}$, or with a price the cost of a
    million tokens over it; some batches are marked, and a curve ends where memory does. After
    figure 1 of Pope et al., *Efficiently Scaling Transformer Inference* (MLSys 2023).

    Args:
        forms: what is served, with a batch of any number or symbol; by its name.
        batches: sequences, ascending.
        hourly_price: of all the devices of a form.

    Raises:
        SymbolError: no form, other symbols than the batch, or no batch that fits.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    if not forms:
        raise SymbolError("forms has nothing to draw")
    grid = floats(sym.batch, batches)
    if grid.min() < 1 or not (np.diff(grid) > 0).all():
        raise SymbolError("batches must be at least 1, and ascend")
    curves = {name: _curve(name, form, grid, hourly_price) for name, form in forms.items()}
    if not any(x.size for _, x, _ in curves.values()):
        raise SymbolError("no batch fits in the memory of what is drawn")
    latest = max(float(x.max()) for _, x, _ in curves.values() if x.size)
    factor, unit = scale(latest, "s")
    with figure(6.4, 3.6, title=figure_caption([*forms.values()], over=["batch"])) as (made, axes):
        for i, (name, (here, x, y)) in enumerate(curves.items()):
            colour, line = COLOURS[i % 7], LINES[i % len(LINES)]
            marks = sorted({round(j) for j in np.linspace(0, max(len(x) - 1, 0), _MARKED)})
            axes.plot(
                x / factor,
                y,
                color=colour,
                linestyle=line,
                marker=_MARKERS[i % len(_MARKERS)],
                markevery=marks if x.size else None,
                markeredgecolor="black",
                markeredgewidth=0.5,
                markersize=5,
                label=name if x.size else f"{name}: does not fit",
            )
            for j in marks if x.size else ():
                axes.annotate(
                    f"{here[j]:.0f}",
                    (x[j] / factor, y[j]),
                    xytext=(-5, 3) if i % 2 else (5, -9),
                    ha="right" if i % 2 else "left",
                    textcoords="offset points",
                    fontsize=SMALL,
                )
        axes.margins(0.1)
        logarithmic(axes, "x")
        logarithmic(axes, "y")
        axes.set_xlabel(f"mean TPOT [{unit}], with batches marked")
        price = "cost of a million tokens [price]"
        axes.set_ylabel("tokens/s per device" if hourly_price is None else price)
        key(made, axes.get_legend_handles_labels()[0])
    return made


def _curve(name: str, form: Timed, grid: Any, hourly_price: Number | None) -> tuple[Any, Any, Any]:
    """The batches of a form that fit, the time of a step, and what comes of it."""
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    opened = form.open(sym.batch)
    if hourly_price is None:
        devices = sum((exact(place.devices) for place in opened.places), exact(0))
        given: Expr = opened.tps.expr / devices
    else:
        given = opened.cost(hourly_price).expr
    both = [opened.tpot.mean.expr, given]
    left = least(opened.stores)
    if missing := set().union(*(each.free_symbols for each in both)) - {sym.batch}:
        raise SymbolError(f"{name} also depends on {listed(missing)}: give numbers")
    if left is not None and left.free_symbols <= {sym.batch}:
        inside = np.ones(len(grid), bool)
        for low, high in stretches(left, sym.batch, grid):
            inside &= (grid < low) | (grid > high)
        grid = grid[inside]
    if not grid.size:
        return grid, grid, grid
    x, y = (np.broadcast_to(each, grid.shape) for each in on_grid(both, [sym.batch])(grid))
    return grid, x, y
