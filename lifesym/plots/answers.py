"""Bars and heat maps of answers: elasticities and tornados."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sympy import Expr, Symbol

from lifesym.analysis.sensitivity import Elasticity
from lifesym.analysis.whatif import Bar
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.plots.style import COLOURS, figure, scale
from lifesym.report.units import quantity
from lifesym.symbols import TABLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checked
def elasticity_bars(rows: Sequence[Elasticity], name: str = "T", most: int = 12) -> "Figure":
    """A bar for each symbol that matters, largest on top; a tie has a lighter bar for one side.

    Args:
        rows: what `local_elasticities` gave.
        name: the quantity.
        most: how many bars.
    """
    shown = [row for row in rows if row.largest != 0][:most][::-1]
    with figure(6.0, 1.1 + 0.26 * max(len(shown), 1)) as (made, axes):
        words = [row.word.replace("_", " ") for row in shown]
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
                fontsize=7.5,
            )
        axes.axvline(0, color="black", linewidth=0.8)
        axes.margins(x=0.14)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"elasticity of {name}: % change for +1 % of the symbol")
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
    with figure(6.4, 1.3 + 0.28 * max(len(shown), 1)) as (made, axes):
        words = [TABLE[bar.symbol].word.replace("_", " ") for bar in shown]
        middle = float(shown[0].at_point) / factor if shown else 0.0
        for side, colour, hatch, text in (
            ("low", COLOURS[1], "//", "symbol at the low end"),
            ("high", COLOURS[0], "", "symbol at the high end"),
        ):
            reached = [float(getattr(bar, f"at_{side}")) / factor - middle for bar in shown]
            axes.barh(
                words, reached, left=middle, color=colour, hatch=hatch, height=0.7, label=text
            )
        for i, bar in enumerate(shown):
            ends = " … ".join(_end(end, bar.symbol) for end in (bar.low, bar.high))
            axes.text(1.01, i, ends, transform=axes.get_yaxis_transform(), va="center", fontsize=7)
        axes.axvline(middle, color="black", linewidth=0.8)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"{name} [{label}]")
        made.legend(
            *axes.get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False
        )
    return made


@checked
def elasticity_map(table: Mapping[str, Mapping[Symbol, Expr]], name: str = "T") -> "Figure":
    """A heat map: a row for each case, a column for each symbol, the elasticity in each cell.

    A cell is empty where the formula does not have the symbol.

    Args:
        table: for each case (a device, a format), the elasticity in each symbol.
        name: the quantity.

    Raises:
        SymbolError: no elasticity.
    """
    rows = list(table)
    columns = list(dict.fromkeys(symbol for row in table.values() for symbol in row))
    if not columns:
        raise SymbolError("table has no elasticity to draw")
    numbers = [[float(table[row].get(symbol, 0)) for symbol in columns] for row in rows]
    missing = [[symbol not in table[row] for symbol in columns] for row in rows]
    largest = max((abs(n) for line in numbers for n in line), default=1.0) or 1.0
    with figure(1.9 + 0.82 * len(columns), 1.3 + 0.33 * len(rows)) as (made, axes):
        picture = axes.imshow(numbers, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
        axes.set_xticks(
            range(len(columns)), [TABLE[symbol].word.replace("_", "\n") for symbol in columns]
        )
        axes.set_yticks(range(len(rows)), rows)
        axes.grid(visible=False)
        axes.tick_params(length=0)
        for i, line in enumerate(numbers):
            for j, number in enumerate(line):
                dark = abs(number) > 0.6 * largest
                axes.text(
                    j,
                    i,
                    "" if missing[i][j] else f"{number:+.2f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if dark else "black",
                )
        made.colorbar(picture, ax=axes, label=f"elasticity of {name}")
    return made


def _end(value: Expr, symbol: Symbol) -> str:
    """An end of a bar: SI prefixes for units of physics, plain numbers for what is counted."""
    row = TABLE[symbol]
    if row.kind in ("rate", "time") or row.unit in ("J", "W", "byte"):
        return quantity(value, row.unit)
    return f"{float(value):.4g}" if row.kind == "ratio" else f"{float(value):,.6g}"
