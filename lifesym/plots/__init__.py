"""Plots of formulas and of answers about them, in one style.

Each function returns a Matplotlib figure; `save` writes it. Within ``with style(width=240):`` it is
as wide as it is printed, with text of 8 points. Axes carry units, titles say what the form behind
the quantity says (`figure_caption`), colours are told apart in grey and by colour-blind readers,
and hatches, markers and lines repeat what a colour says.
"""

from lifesym.plots.accuracy import accuracy
from lifesym.plots.answers import elasticity_bars, elasticity_map, tornado_bars
from lifesym.plots.captions import figure_caption
from lifesym.plots.dataset import sweep_curves
from lifesym.plots.memory import memory_by_role
from lifesym.plots.regions import regime_chart, summaries
from lifesym.plots.roofs import Roof, roofline, rooflines
from lifesym.plots.shapes import against_target, stacked_time, two_curves
from lifesym.plots.spread import sobol_bars, spread_band
from lifesym.plots.style import save, style
from lifesym.plots.trade import pareto_front, throughput_latency

__all__ = [
    "Roof",
    "accuracy",
    "against_target",
    "elasticity_bars",
    "elasticity_map",
    "figure_caption",
    "memory_by_role",
    "pareto_front",
    "regime_chart",
    "roofline",
    "rooflines",
    "save",
    "sobol_bars",
    "spread_band",
    "stacked_time",
    "style",
    "summaries",
    "sweep_curves",
    "throughput_latency",
    "tornado_bars",
    "two_curves",
]
