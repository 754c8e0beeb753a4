"""Curves of a sweep's dataset."""

from itertools import product
from typing import TYPE_CHECKING, Any

from lifesym.checks import checked, shown
from lifesym.errors import SymbolError, one_of
from lifesym.plots.style import COLOURS, LINES, axis_scale, figure, key, log_if_wide, said, scale
from lifesym.symbols import resolve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 8
"""Curves that are told apart in one figure."""
_MARKERS = "os^DvPX*"


@checked
def sweep_curves(dataset: Any, metric: str, over: str | None = None) -> "Figure":
    """A metric of a sweep over one of its axes, with a curve for each value of the others.

    A curve ends where the memory is too small (``fits`` of the dataset).

    Args:
        dataset: what `lifesym.sweep` gave, or an xarray Dataset with the same attributes.
        metric: which of its variables.
        over: the axis, one of numbers; unless given the longest of them.

    Raises:
        SymbolError: no dataset, a variable or an axis that it has not, an axis of words, nothing
            that fits, or more than eight curves: select some values first.
    """
    import numpy as np  # noqa: PLC0415 (only where a figure is drawn)

    if not all(hasattr(dataset, name) for name in ("data_vars", "coords", "sizes")):
        raise SymbolError(f"expected a dataset of a sweep, not {shown(dataset)}")
    one_of(metric, [*map(str, dataset.data_vars)], "metric")
    data = dataset[metric]
    numbers = [str(name) for name in data.dims if data[name].dtype.kind in "iuf"]
    if over is None:
        over = max(numbers, key=lambda name: data.sizes[name], default="")
    if over not in numbers:
        known = ", ".join(numbers) or "none"
        raise SymbolError(f"over: {over!r} is no axis of numbers of {metric} (it has {known})")
    sorted_ = data.sortby(over)
    grid = sorted_[over].values
    if "fits" in dataset.data_vars:
        sorted_ = sorted_.where(dataset["fits"] != 0)
    others = [name for name in data.dims if name != over]
    chosen = list(product(*(data[name].values for name in others)))
    if len(chosen) > _MOST:
        raise SymbolError(f"{len(chosen)} curves are too many: select at most {_MOST} (.sel)")
    curves = [
        np.asarray(sorted_.sel(dict(zip(others, values, strict=True))).values, float)
        for values in chosen
    ]
    if not np.isfinite(curves).any():
        raise SymbolError(f"{metric} has no value to draw: nothing fits in the memory")
    factor, unit = scale(float(np.nanmax(curves)), str(data.attrs.get("units", "1")))
    across, label = _axis(over, grid)
    varied = [i for i, name in enumerate(others) if data.sizes[name] > 1]
    alike = ", ".join(_said(name, data[name].values[0]) for name in others if data.sizes[name] == 1)
    with figure(6.2, 3.4, title=alike) as (made, axes):
        for i, (values, curve) in enumerate(zip(chosen, curves, strict=True)):
            name = ", ".join(_said(others[j], values[j]) for j in varied)
            dark = "" if np.isfinite(curve).any() else ": does not fit"
            axes.plot(
                grid / across,
                curve / factor,
                color=COLOURS[i],
                linestyle=LINES[i % len(LINES)],
                marker=_MARKERS[i],
                markersize=3.5,
                label=f"{name or metric}{dark}",
            )
        log_if_wide(axes, "x", grid)
        finite = np.asarray(curves)[np.isfinite(curves)]
        log_if_wide(axes, "y", finite)
        axes.set_xlabel(label)
        word = str(data.attrs.get("long_name", metric))
        axes.set_ylabel(word if unit == "1" else f"{word} [{unit}]")
        key(made, axes.get_legend_handles_labels()[0] if varied else [])
    return made


def _axis(name: str, grid: Any) -> tuple[float, str]:
    """The scale and the label of an axis: a symbol's own, or an option's name."""
    try:
        return axis_scale(resolve(name), grid)
    except SymbolError:
        return 1.0, name.replace("_", " ")


def _said(name: Any, value: Any) -> str:
    """A value of an axis in words: of models and devices the value alone."""
    word = str(name)
    if word in ("model", "hardware"):
        return str(value)
    try:
        word = said(resolve(word))
    except SymbolError:
        word = word.replace("_", " ")
    return f"{word} {value}"
