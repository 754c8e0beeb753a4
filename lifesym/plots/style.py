"""The one style of every figure: sizes for a paper's column, colours, labels with units."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sympy import Symbol

from lifesym.checks import checked
from lifesym.errors import SpecError
from lifesym.symbols import TABLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette (2008), which is told apart with any colour vision.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
HATCHES = ("", "//", "..", "xx", "\\\\", "--", "oo", "++")
RESOURCE_COLOURS = {
    "memory": COLOURS[0],
    "compute": COLOURS[1],
    "dispatch": COLOURS[2],
    "network": COLOURS[3],
}
_SETTINGS = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.4,
    "savefig.dpi": 200,
    "svg.hashsalt": "lifesym",
}
WIDE = 50
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
_SHORT = {"byte": "B", "byte/s": "B/s"}


@contextmanager
def figure(width: float = 6.0, height: float = 3.6) -> "Iterator[tuple[Figure, Axes]]":
    """A figure of that many inches with one pair of axes, in the style."""
    import matplotlib as mpl  # noqa: PLC0415 (slow to import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(_SETTINGS):
        made = Figure(figsize=(width, height), layout="constrained")
        yield made, made.add_subplot()


@contextmanager
def grid_of_axes(
    rows: int, columns: int, width: float, height: float
) -> "Iterator[tuple[Figure, Any]]":
    """A figure of that many inches with rows and columns of axes, in the style."""
    import matplotlib as mpl  # noqa: PLC0415 (slow to import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(_SETTINGS):
        made = Figure(figsize=(width, height), layout="constrained")
        yield made, made.subplots(rows, columns, squeeze=False)


@checked
def save(made: "Figure", path: str | Path) -> Path:
    """Write a figure as PNG, PDF or SVG, by the file's ending.

    Raises:
        SpecError: another ending, or a file that cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise SpecError(f"a plot is written to a .png, .pdf or .svg file, not {target.name!r}")
    import matplotlib as mpl  # noqa: PLC0415 (slow to import)

    try:
        with mpl.rc_context(_SETTINGS):
            made.savefig(target)
    except OSError as error:
        raise SpecError(f"cannot write {target}: {error.strerror or error}") from None
    return target


def scale(largest: float, unit: str) -> tuple[float, str]:
    """A factor and a unit with an SI prefix that make numbers up to ``largest`` readable.

    >>> scale(0.0153, "s"), scale(2e10, "byte")
    ((0.001, 'ms'), (1000000000.0, 'GB'))
    """
    short = _SHORT.get(unit, unit)
    if unit not in ("s", "byte", "byte/s", "FLOP/s", "J", "FLOP"):
        return 1.0, short
    factor, prefix = next((pair for pair in _SCALES if largest >= pair[0]), _SCALES[-1])
    return factor, f"{prefix}{short}"


def axis_scale(symbol: Symbol, values: Any) -> tuple[float, str]:
    """What to divide a symbol's values by, and the label of their axis."""
    row = TABLE[symbol]
    factor, unit = scale(float(max(values)), row.unit)
    return factor, f"{row.meaning} [{unit}]" if row.unit != "1" else row.meaning


def log_if_wide(axes: "Axes", which: str, values: Any) -> None:
    """A logarithmic axis where positive values span more than a factor of 50 (`WIDE`)."""
    low, high = float(min(values)), float(max(values))
    if low > 0 and high / low > WIDE:
        getattr(axes, f"set_{which}scale")("log")
