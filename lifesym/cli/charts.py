"""The plots of ``lifesym sensitivity``: bars, a tornado, a heat map of devices, a roofline."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lifesym.cli.options import choice
from lifesym.cli.output import note

if TYPE_CHECKING:
    from lifesym.cli.question import Asked

PLOTS = "Plots"
Chart = Literal["bars", "tornado", "map", "roofline"]
ChartOption = Annotated[Chart, choice("--chart", "What --plot draws.", PLOTS)]
Swing = Annotated[
    float,
    typer.Option(
        metavar="X", help="A tornado's part down and up of every symbol.", rich_help_panel=PLOTS
    ),
]
Devices = Annotated[
    str,
    typer.Option(metavar="HW,...", help="More rows of a map: devices.", rich_help_panel=PLOTS),
]


def draw(chart: Chart, questions: "list[Asked]", path: str, swing: float) -> None:
    """One question's plot, or the map of several."""
    from lifesym.plots import save  # noqa: PLC0415 (Matplotlib)

    made: Any = {"bars": _bars, "map": _map, "roofline": _roofline}.get(chart)
    first = questions[0]
    save(_tornado(first, swing) if made is None else made(questions), path)
    note(f"wrote {path}")


def _bars(questions: "list[Asked]") -> Any:
    from lifesym.analysis import local_elasticities  # noqa: PLC0415 (SymPy)
    from lifesym.plots import elasticity_bars  # noqa: PLC0415

    asked = questions[0]
    return elasticity_bars(local_elasticities(asked.quantity, asked.point), asked.quantity.name)


def _tornado(asked: "Asked", swing: float) -> Any:
    from lifesym.analysis import tornado  # noqa: PLC0415 (SymPy)
    from lifesym.plots import tornado_bars  # noqa: PLC0415

    bars = tornado(asked.quantity, asked.used(), swing)
    return tornado_bars(bars, asked.quantity.name, asked.quantity.unit)


def _map(questions: "list[Asked]") -> Any:
    from lifesym.analysis import local_elasticities  # noqa: PLC0415 (SymPy)
    from lifesym.plots import elasticity_map  # noqa: PLC0415

    rows = {
        asked.device: {
            row.symbol: row.right for row in local_elasticities(asked.quantity, asked.point)
        }
        for asked in questions
    }
    return elasticity_map(rows, questions[0].quantity.name)


def _roofline(questions: "list[Asked]") -> Any:
    from lifesym import symbols as sym  # noqa: PLC0415 (SymPy)
    from lifesym.plots import roofline  # noqa: PLC0415

    asked = questions[0]
    at = asked.point
    peak = at[sym.peak] * at[sym.compute_efficiency]
    bandwidth = at[sym.bandwidth] * at[sym.memory_efficiency]
    return roofline(asked.quantity, at, peak=float(peak), bandwidth=float(bandwidth))
