"""How well forecasts hold: forecast against measured, and errors over the context."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.plots.style import COLOURS, grid_of_axes, key, logarithmic, narrow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
NAMED = 7
"""Kinds of software told apart in a legend; the rest share the last marker."""


@checked
def accuracy(found: Mapping[str, tuple[Sequence[Any], Any]]) -> "Figure":
    """For each phase, forecast against measured, and below it the error over the tokens.

    Args:
        found: observations (see `lifesym.calibration`) and their forecasts in seconds, by phase.

    Raises:
        SymbolError: no phase.
    """
    from matplotlib.lines import Line2D  # noqa: PLC0415 (slow to import)

    if not found:
        raise SymbolError("found has no phase to draw")
    software = [one.software for observations, _ in found.values() for one in observations]
    common = sorted(set(software), key=lambda kind: (-software.count(kind), kind))
    # on a column the phases stand below each other
    shape = (2 * len(found), 1) if narrow() else (2, len(found))
    height = 2.9 * shape[0] if narrow() else 6.0
    with grid_of_axes(
        *shape, width=3.6 * shape[1] + 0.6, height=height, title="forecast against measured"
    ) as (made, axes):
        pairs = axes.reshape(len(found), 2) if narrow() else axes.T
        for (upper, lower), (phase, (observations, seconds)) in zip(
            pairs, found.items(), strict=True
        ):
            measured = [o.seconds for o in observations]
            for i, kind in enumerate(common):
                style = {
                    "marker": MARKERS[min(i, NAMED)],
                    "color": COLOURS[min(i, NAMED)],
                    "s": 9,
                    "alpha": 0.6,
                    "linewidths": 0,
                }
                here = [j for j, one in enumerate(observations) if one.software == kind]
                upper.scatter([measured[j] for j in here], [seconds[j] for j in here], **style)
                tokens = [max(1, observations[j].context or observations[j].prompt) for j in here]
                errors = [100 * (seconds[j] / measured[j] - 1) for j in here]
                lower.scatter(tokens, errors, **style)
            ends = [0.7 * min(*measured, *seconds), 1.4 * max(*measured, *seconds)]
            upper.plot(ends, ends, color="black", linewidth=0.8)
            for factor in (0.8, 1.25):
                upper.plot(ends, [factor * end for end in ends], color="#888888", linewidth=0.6)
            upper.set(xlim=ends, ylim=ends, title=phase)
            upper.set(xlabel="measured [s]", ylabel="forecast [s]")
            lower.axhline(0, color="black", linewidth=0.8)
            lower.set(ylim=(-100, 150), xlabel="context or prompt [tokens]")
            lower.set_ylabel("error [%]")
            for drawn, which in ((upper, "x"), (upper, "y"), (lower, "x")):
                logarithmic(drawn, which)
        labels = [*common[:NAMED], "others"] if len(common) > NAMED else common
        look = zip(labels, MARKERS, COLOURS, strict=False)
        key(
            made,
            [
                Line2D([], [], linestyle="none", marker=m, color=c, markersize=4.5, label=label)
                for label, m, c in look
            ],
        )
    return made
