"""How uncertain an answer is: Sobol indices, and bands of a quantity."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sympy import Symbol

from lifesym.analysis.questions import floats
from lifesym.analysis.uncertainty import GlobalIndices, Sample, Spread
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.plots.style import COLOURS, axis_scale, figure, key, log_if_wide, said, scale
from lifesym.symbols import resolve

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

_NINETY = 1.6448536269514722
"""Deviations from the mean of a normal distribution between which 90 % lie."""


@checked
def sobol_bars(indices: GlobalIndices, name: str = "T", most: int = 12) -> "Figure":
    """The part of the variance that each symbol explains alone and in all, with its intervals.

    Args:
        indices: what `lifesym.analysis.sobol` gave.
        name: the quantity.
        most: how many symbols, largest in all on top.
    """
    ranked = sorted(indices.total, key=lambda symbol: -indices.total[symbol])[: max(most, 0)]
    shown = ranked[::-1]
    with figure(6.0, 0.3, fixed=0.5 + 0.42 * max(len(shown), 1)) as (made, axes):
        for shift, colour, hatch, label, parts, halves in (
            (0.2, COLOURS[0], "", "alone", indices.first, indices.first_interval),
            (-0.2, COLOURS[1], "//", "with all others", indices.total, indices.total_interval),
        ):
            axes.barh(
                [i + shift for i in range(len(shown))],
                [parts[symbol] for symbol in shown],
                xerr=[halves[symbol] for symbol in shown],
                height=0.38,
                color=colour,
                hatch=hatch,
                label=label,
                error_kw={"elinewidth": 0.8, "capsize": 2},
            )
        axes.set_yticks(range(len(shown)), [said(symbol) for symbol in shown])
        axes.grid(visible=False, axis="y")
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
        axes.set_xlabel(f"part of the variance of {name}")
        key(made, axes.get_legend_handles_labels()[0])
    return made


@checked
def spread_band(
    over: str | Symbol,
    values: "Sequence[float] | np.ndarray[Any, Any]",
    answers: Sequence[Sample | Spread],
    name: str,
    unit: str,
) -> "Figure":
    r"""A quantity over a symbol with the band in which 90 % of it lies.

    Of `monte_carlo` the median, and the 5 % and 95 % quantiles; of `delta_method` the value and
    $\pm 1.645\,\sigma$, the same of a normal distribution.

    Args:
        over: the symbol of the horizontal axis.
        values: its values, ascending.
        answers: what either gave, at each value.
        name: the quantity.
        unit: its SI unit.

    Raises:
        SymbolError: fewer than two values, or another number of answers.
    """
    symbol = resolve(over)
    grid = floats(symbol, values)
    if len(grid) < 2 or len(grid) != len(answers):
        raise SymbolError(
            f"a band has two values or more and an answer for each, not {len(grid)}"
            f" and {len(answers)}"
        )
    ends = [_ends(answer) for answer in answers]
    factor, label = scale(max(high for _, _, high in ends), unit)
    low, middle, high = ([number / factor for number in each] for each in zip(*ends, strict=True))
    across, below = axis_scale(symbol, grid)
    with figure() as (made, axes):
        axes.fill_between(
            grid / across,
            low,
            high,
            facecolor=COLOURS[4],
            alpha=0.6,
            hatch="//",
            edgecolor=COLOURS[0],
            linewidth=0.6,
            label="90 %",
        )
        word = "median" if isinstance(answers[0], Sample) else "value"
        axes.plot(grid / across, middle, color=COLOURS[0], label=word)
        log_if_wide(axes, "x", grid)
        axes.set_xlim(grid[0] / across, grid[-1] / across)
        axes.set_xlabel(below)
        axes.set_ylabel(f"{name} [{label}]")
        key(made, axes.get_legend_handles_labels()[0])
    return made


def _ends(answer: Sample | Spread) -> tuple[float, float, float]:
    """The low end, the middle and the high end of an answer."""
    if isinstance(answer, Sample):
        return answer.quantiles
    value, half = float(answer.value), _NINETY * float(answer.deviation)
    return value - half, value, value + half
