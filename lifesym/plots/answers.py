"""Bars and heat maps of answers: elasticities and tornados."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sympy import Expr, Symbol

from lifesym.analysis.sensitivity import Elasticity
from lifesym.analysis.whatif import Bar
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.plots.style import COLOURS, SMALL, figure, key, narrow, said, scale, wrapped
from lifesym.report.units import quantity
from lifesym.symbols import TABLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 5
"""Columns that a narrow heat map has room for."""
_CELL = 60
"""Points across of the name of one of them."""


@checked
def elasticity_bars(rows: Sequence[Elasticity], name: str = "T", most: int = 12) -> "Figure":
    """A bar for each symbol that matters, largest on top; a tie has a lighter bar for one side.

    Args:
        rows: what `local_elasticities` gave.
        name: the quantity.
        most: how many bars.
    """
    shown = [row for row in rows if row.largest != 0][:most][::-1]
    with figure(6.0, 0.3, fixed=0.5 + 0.22 * max(len(shown), 1)) as (made, axes):
        words = [said(row.symbol) for row in shown]
        colours = [COLOURS[0] if row.right > 0 else COLOURS[1] for row in shown]
        axes.barh(words, [float(row.right) for row in shown], color=colours, height=0.7)
        for i, row in enumerate(shown):
            if row.one_sided:
                axes.barh(i, float(row.left), height=0.7, fill=False, edgecolor="black")
            label = f"{float(row.right):+.2f}"
            side = 3 if row.right >= 0 else -3
            axes.annotate(
                label,
                (float(row.right), i),
                xytext=(side, 0),
                textcoords="offset points",
                va="center",
                ha="left" if side > 0 else "right",
                fontsize=SMALL,
            )
        axes.axvline(0, color="black", linewidth=0.8)
        axes.margins(x=0.3 if narrow() else 0.14)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"elasticity of {name} (% for +1 %)")
    return made


@checked
def tornado_bars(bars: Sequence[Bar], name: str, unit: str, most: int = 12) -> "Figure":
    """The quantity at the ends of each symbol's range, widest on top.

    Args:
        bars: what `tornado` gave.
        name: the quantity.
        unit: its SI unit.
        most: how many bars.
    """
    shown = [bar for bar in bars if bar.swing != 0][:most][::-1]
    numbers = [float(end) for bar in shown for end in (bar.at_low, bar.at_high)]
    factor, label = scale(max(numbers, default=1.0), unit)
    with figure(6.4, 0.3, fixed=0.5 + 0.34 * max(len(shown), 1)) as (made, axes):
        words = [
            f"{said(bar.symbol)}\n{_end(bar.low, bar.symbol)} … {_end(bar.high, bar.symbol)}"
            for bar in shown
        ]
        middle = float(shown[0].at_point) / factor if shown else 0.0
        for side, colour, hatch, text in (
            ("low", COLOURS[1], "//", "symbol at the low end"),
            ("high", COLOURS[0], "", "symbol at the high end"),
        ):
            reached = [float(getattr(bar, f"at_{side}")) / factor - middle for bar in shown]
            axes.barh(
                words, reached, left=middle, color=colour, hatch=hatch, height=0.7, label=text
            )
        axes.axvline(middle, color="black", linewidth=0.8)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"{name} [{label}]")
        key(made, axes.get_legend_handles_labels()[0])
    return made


@checked
def elasticity_map(table: Mapping[str, Mapping[Symbol, Expr]], name: str = "T") -> "Figure":
    """A heat map of elasticities: symbols across and cases down, or the other way if it is wide.

    A cell is empty where the formula does not have the symbol. Shades go from -1 (dark) to +1
    (light) or the largest there is, so that the sign is seen in grey, too.

    Args:
        table: for each case (a device, a format), the elasticity in each symbol.
        name: the quantity.

    Raises:
        SymbolError: no elasticity.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    cases = list(table)
    symbols = list(dict.fromkeys(symbol for row in table.values() for symbol in row))
    if not symbols:
        raise SymbolError("table has no elasticity to draw")
    numbers = np.array(
        [[float(table[case].get(symbol, np.nan)) for symbol in symbols] for case in cases]
    )
    largest = float(np.nanmax(abs(numbers))) or 1.0
    across, down = [said(symbol).replace(" ", "\n") for symbol in symbols], cases
    if len(symbols) > (_MOST if narrow() else 2 * _MOST):
        down, numbers = [said(symbol) for symbol in symbols], numbers.T
        across = ["\n".join(wrapped(case, _CELL, SMALL)) for case in cases]
    height = 0.5 + 0.24 * len(down) + 0.15 * max(text.count("\n") for text in across)
    width = 1.9 + 0.82 * len(across)
    with figure(max(width, 3.4), 0.2, fixed=height) as (made, axes):
        axes.imshow(numbers, cmap="cividis", vmin=-largest, vmax=largest, aspect="auto")
        axes.set_xticks(range(len(across)), across)
        axes.set_yticks(range(len(down)), down)
        axes.grid(visible=False)
        axes.tick_params(length=0)
        for (i, j), number in np.ndenumerate(numbers):
            if not np.isnan(number):
                axes.text(
                    j,
                    i,
                    f"{number:+.2f}",
                    ha="center",
                    va="center",
                    fontsize=SMALL,
                    color="black" if number > -0.1 * largest else "white",
                )
        axes.set_xlabel(f"elasticity of {name}")
    return made


def _end(value: Expr, symbol: Symbol) -> str:
    """An end of a bar: SI prefixes for units of physics, plain numbers for what is counted."""
    row = TABLE[symbol]
    if row.kind in ("rate", "time") or row.unit in ("J", "W", "byte"):
        return quantity(value, row.unit)
    return f"{float(value):.4g}" if row.kind == "ratio" else f"{float(value):,.6g}"
