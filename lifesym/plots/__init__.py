"""Plots of formulas and of answers about them, in one style.

Each function returns a Matplotlib figure; `save` writes it. Axes carry units, colours are told
apart in grey and by colour-blind readers, and hatches repeat what a colour says.
"""

from lifesym.plots.accuracy import accuracy
from lifesym.plots.answers import elasticity_bars, elasticity_map, tornado_bars
from lifesym.plots.regions import regime_chart, summaries
from lifesym.plots.shapes import against_target, roofline, stacked_time, two_curves
from lifesym.plots.style import save

__all__ = [
    "accuracy",
    "against_target",
    "elasticity_bars",
    "elasticity_map",
    "regime_chart",
    "roofline",
    "save",
    "stacked_time",
    "summaries",
    "tornado_bars",
    "two_curves",
]
