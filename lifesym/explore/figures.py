"""The charts of the page: Bokeh's figures, empty, whose data the page fills in.

Every model has a name by which the page finds it. Colours are those of all figures.
"""

from collections.abc import Iterable
from typing import Any

from lifesym.extras import needed
from lifesym.plots.meaning import GROUPS, RESOURCES

HEIGHT = 300


def charts(groups: Iterable[str]) -> tuple[str, dict[str, str], str]:
    """Bokeh's own script, the place of each chart by name, and the script that makes them."""
    made = {"stack": _stack(list(groups)), "roof": _roof(), "map": _map()}
    script, places = needed("bokeh.embed").components(made, wrap_script=False)
    resources = needed("bokeh.resources").Resources(mode="inline", components=["bokeh"])
    return "\n".join(resources.js_raw), places, script


def _figure(name: str, **options: Any) -> Any:
    """A chart without tools but the ones that show numbers."""
    return needed("bokeh.plotting").figure(
        name=name,
        height=HEIGHT,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="tap",
        x_range=(1, 2),  # the page sets the ends
        y_range=(1, 2),
        **options,
    )


def _source(name: str, *columns: str) -> Any:
    return needed("bokeh.models").ColumnDataSource(name=name, data={each: [] for each in columns})


def _stack(groups: list[str]) -> Any:
    """Time over the length, stacked by group of operators."""
    models = needed("bokeh.models")
    chart = _figure("stack", x_axis_label="tokens", y_axis_label="time [ms]")
    source = _source("stack-data", "x", *groups)
    colours = [GROUPS[group].colour for group in groups]
    chart.varea_stack(groups, x="x", color=colours, source=source)
    chart.add_layout(models.Span(name="stack-now", location=0, dimension="height", line_width=2))
    return chart


def _roof() -> Any:
    """Operators under the roofline."""
    models = needed("bokeh.models")
    chart = _figure(
        "roof",
        x_axis_type="log",
        y_axis_type="log",
        x_axis_label="arithmetic intensity [FLOP/B]",
        y_axis_label="attained rate [FLOP/s]",
    )
    line = chart.line("x", "y", source=_source("roof-line", "x", "y"), line_width=2)
    line.glyph.name = "roof-glyph"
    points = _source("roof-data", "x", "y", "colour", "size", "name", "said")
    drawn = chart.scatter(
        "x", "y", source=points, color="colour", size="size", line_color="#000000", line_width=0.5
    )
    tips = [("", "@name"), ("", "@said")]
    chart.add_tools(models.HoverTool(renderers=[drawn], tooltips=tips))
    chart.add_layout(
        models.LabelSet(
            name="roof-names",
            source=_source("roof-labels", "x", "y", "name"),
            x="x",
            y="y",
            text="name",
            x_offset=7,
            y_offset=-5,
            text_font_size="11px",
        )
    )
    return chart


def _map() -> Any:
    """What most of the time is bound by, over the length and the batch."""
    models = needed("bokeh.models")
    chart = _figure(
        "map", x_axis_label="tokens", y_axis_label="batch [sequences]", y_axis_type="log"
    )
    columns = ("left", "right", "bottom", "top", "colour", "hatch", "said")
    drawn = chart.quad(
        left="left",
        right="right",
        bottom="bottom",
        top="top",
        fill_color="colour",
        hatch_pattern="hatch",
        hatch_color="#000000",
        hatch_alpha=0.5,
        hatch_weight=0.7,
        line_color="colour",
        source=_source("map-data", *columns),
    )
    drawn.nonselection_glyph = None
    chart.add_tools(models.HoverTool(renderers=[drawn], tooltips=[("", "@said")]))
    chart.scatter(
        "x",
        "y",
        source=_source("map-now", "x", "y"),
        size=12,
        marker="circle",
        fill_color="#ffffff",
        line_color="#000000",
        line_width=2,
    )
    tapped = models.CustomJS(code="window.lifesym.tapped(cb_obj.x, cb_obj.y)")
    chart.js_on_event("tap", tapped)
    return chart


def colours() -> dict[str, dict[str, str]]:
    """The colours of resources and groups of operators, for the page's keys."""
    return {
        "resources": {name: look.colour for name, look in RESOURCES.items()},
        "groups": {name: look.colour for name, look in GROUPS.items()},
    }
