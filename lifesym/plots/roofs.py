"""Rooflines: operators under what one device, or each of several, attains."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifesym import symbols as sym
from lifesym.analysis.questions import Derived, Values, point_of
from lifesym.analysis.regime import operators
from lifesym.checks import checked, checked_fields
from lifesym.errors import SymbolError
from lifesym.operator_groups import group_of
from lifesym.plots.captions import figure_caption
from lifesym.plots.meaning import GROUPS, in_order
from lifesym.plots.style import LINES, SMALL, figure, key, scale
from lifesym.powers import replaced
from lifesym.results import Result
from lifesym.symbols import exact, resolve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LARGEST = 8.0
"""Points across of the marker of the first group; later ones are smaller, and seen upon it."""
_FILLS = ("full", "none", "left", "bottom", "right")
"""How points of each device are filled."""


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Roof:
    """What stands under a roofline, and where that is.

    Attributes:
        quantity: a time with its operators.
        at: the values of every symbol of the operators' costs and times.
        peak: the device's attainable FLOP/s.
        bandwidth: its attainable byte/s.
    """

    quantity: Derived
    at: Values
    peak: float
    bandwidth: float

    def __post_init__(self) -> None:
        """Refuse rates that are none.

        Raises:
            SymbolError: a rate that is not above 0.
        """
        for word in ("peak", "bandwidth"):
            rate = getattr(self, word)
            if not 0 < rate < float("inf"):
                raise SymbolError(f"{word} must be above 0 and finite, not {rate}")

    @classmethod
    def of(cls, quantity: Derived, at: Values) -> "Roof":
        """The roofline of the device whose rates and efficiencies a point has.

        Raises:
            SymbolError: it has none, as where there are several devices.
        """
        point = {resolve(name): value for name, value in at.items()}
        for symbol in (sym.peak, sym.compute_efficiency, sym.bandwidth, sym.memory_efficiency):
            if symbol not in point:
                raise SymbolError(f"a roofline is of one device: {symbol} has several values here")
        return cls(
            quantity=quantity,
            at=at,
            peak=float(exact(point[sym.peak]) * exact(point[sym.compute_efficiency])),
            bandwidth=float(exact(point[sym.bandwidth]) * exact(point[sym.memory_efficiency])),
        )

    @property
    def ridge(self) -> float:
        """FLOP for a byte where both limits are equal."""
        return float(self.peak) / float(self.bandwidth)

    def points(self) -> list[tuple[str, float, float]]:
        """Group, intensity and attained rate of each operator that works, moves and takes time."""
        found = []
        for _, term in operators(self.quantity):
            work, moved, time = (
                float(replaced(e, point_of(e, self.at)).doit(powers=False))
                for e in (term.cost.flops, term.cost.bytes, term.time)
            )
            if work and moved and time:
                found.append((group_of(term), work / moved, work / time))
        return found


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
    return rooflines({"roofline": Roof(quantity=quantity, at=at, peak=peak, bandwidth=bandwidth)})


@checked
def rooflines(roofs: Mapping[str, Roof]) -> "Figure":
    """The rooflines of several devices in one, each with its operators.

    Colour and shape of a point are those of its group of operators, in every figure; its filling
    and the line are the device's.

    Args:
        roofs: at most five, by the name of the device.

    Raises:
        SymbolError: none, too many, or a value missing.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)
    from matplotlib.lines import Line2D  # noqa: PLC0415 (slow to import)

    if not 1 <= len(roofs) <= len(_FILLS):
        raise SymbolError(f"a figure has 1 to {len(_FILLS)} rooflines, not {len(roofs)}")
    points = {name: roof.points() for name, roof in roofs.items()}
    ridges = [roof.ridge for roof in roofs.values()]
    intensities = [x for each in points.values() for _, x, _ in each] + ridges
    span = np.geomspace(min(intensities) / 3, max(intensities) * 3, 200)
    factor, unit = scale(max(float(roof.peak) for roof in roofs.values()), "FLOP/s")
    groups = in_order(group for each in points.values() for group, _, _ in each)
    several = len(roofs) > 1
    with figure(6.4, 3.4, title=_title(roofs)) as (made, axes):
        handles = []
        for (name, roof), line, fill in zip(roofs.items(), LINES, _FILLS, strict=False):
            attained = np.minimum(span * float(roof.bandwidth), float(roof.peak)) / factor
            axes.loglog(span, attained, color="black", linestyle=line, linewidth=1.2)
            if several:
                handle = Line2D([], [], color="black", linestyle=line, marker="o", markersize=5)
                handle.set(fillstyle=fill, markerfacecoloralt="white")
                handle.set_label(f"{name}, ridge at {roof.ridge:.3g} FLOP/B")
                handles.append(handle)
            for group, x, y in sorted(points[name], key=lambda point: groups.index(point[0])):
                look = GROUPS[group]
                axes.plot(
                    x,
                    y / factor,
                    look.marker,
                    linestyle="none",
                    color=look.colour,
                    fillstyle=fill,
                    markerfacecoloralt="white",
                    markeredgecolor="black" if fill != "none" else look.colour,
                    markeredgewidth=0.5 if fill != "none" else 1.2,
                    markersize=_LARGEST - 0.6 * groups.index(group),
                )
        if not several:
            left = ridges[0] ** 2 > span[0] * span[-1]
            axes.axvline(ridges[0], color="#777777", linestyle=":", linewidth=1)
            axes.text(
                ridges[0],
                0.02,
                f" ridge {ridges[0]:.3g} FLOP/B ",
                transform=axes.get_xaxis_transform(),
                ha="right" if left else "left",
                va="bottom",
                fontsize=SMALL,
            )
        edge: Any = {"markeredgecolor": "black", "markeredgewidth": 0.5, "markersize": 5.5}
        for group in groups:
            look = GROUPS[group]
            handle = Line2D([], [], linestyle="none", marker=look.marker, color=look.colour, **edge)
            handle.set_label(group)
            handles.append(handle)
        axes.set_xlabel("arithmetic intensity [FLOP/B]")
        axes.set_ylabel(f"attained rate [{unit}]")
        key(made, handles)
    return made


def _title(roofs: Mapping[str, Roof]) -> str:
    """What the quantities have in common; nothing where one knows no form."""
    results = [roof.quantity for roof in roofs.values() if isinstance(roof.quantity, Result)]
    at = next(iter(roofs.values())).at
    known = len(results) == len(roofs) and all(result.form is not None for result in results)
    return figure_caption(results, at) if known else ""
