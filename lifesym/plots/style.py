"""The one style of every figure: sizes of a page or a column, colours, titles, keys, labels."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sympy import Symbol

from lifesym.checks import checked
from lifesym.errors import SpecError
from lifesym.spelling import spelling
from lifesym.symbols import TABLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette (2008), which is told apart with any colour vision.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
HATCHES = ("", "//", "..", "xx", "\\\\", "--", "oo", "++")
LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
COLUMN = 240
"""Points across of a column of a paper in two columns."""
SMALL = 8
"""Points of the smallest text, and of all text of a figure that is as wide as it is printed."""
_POINTS = 72.27
"""TeX's points in an inch."""
_NARROWEST = 200
_WIDEST = 2000
_SETTINGS = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "figure.titlesize": 9,
    "legend.fontsize": SMALL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "savefig.dpi": 200,
    "svg.hashsalt": "lifesym",
    "pdf.fonttype": 42,  # text of a PDF stays text
}
_TRUE = dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize", "figure.titlesize"), SMALL)
WIDE = 50
"""The ratio of the ends of an axis from which it is logarithmic."""
_SHORT_LOG = 300
"""The ratio of the ends below which a logarithmic axis has too few powers of ten."""
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
_SHORT = {"byte": "B", "byte/s": "B/s"}
_BESIDE = 45
"""Points beside an axis that belong to the other one's numbers and label."""
_LINE = 1.3
"""The height of a line of text, in its size."""


@dataclass(frozen=True)
class _Style:
    """How wide figures are in points, None for a page's sizes; and their title, if one is given."""

    width: float | None = None
    title: str | None = None


_PAGE = _Style()
_CHOSEN: ContextVar[_Style] = ContextVar("style", default=_PAGE)


@checked
def style(width: float | None = COLUMN, title: str | None = None) -> AbstractContextManager[None]:
    """Figures that are drawn within are as wide as they are printed, with all text in 8 points.

    >>> from lifesym import plots
    >>> with plots.style():  # a column; 345 is an article's width, 480 that of two columns
    ...     made = plots.pareto_front({"one": (1, 2), "two": (2, 1)})
    >>> round(72.27 * made.get_figwidth())
    240

    Args:
        width: TeX's points across, from 200 to 2,000; None for the sizes of a page.
        title: of the figures, such as `lifesym.plots.figure_caption`; None for what the form behind
            the quantity says, where there is one, and an empty one for none.

    Raises:
        SpecError: a width out of range.
    """
    if width is not None and not _NARROWEST <= width <= _WIDEST:
        raise SpecError(f"a figure is {_NARROWEST} to {_WIDEST} points across, not {width}")
    return _within(_Style(None if width is None else float(width), title))


@contextmanager
def _within(chosen: _Style) -> Iterator[None]:
    token = _CHOSEN.set(chosen)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def narrow() -> bool:
    """Whether figures are no wider than an article's text, so that parts stand below each other."""
    width = _CHOSEN.get().width
    return width is not None and width < 400


@contextmanager
def figure(
    width: float = 6.0, height: float = 3.6, *, fixed: float = 0.0, title: str = ""
) -> "Iterator[tuple[Figure, Axes]]":
    """A figure with one pair of axes, in the style.

    Args:
        width: inches on a page.
        height: inches on a page, less on a column.
        fixed: inches of height beside it that are as many on a column: rows of text.
        title: what it is of, where `style` says nothing else.
    """
    with grid_of_axes(1, 1, width, height, fixed=fixed, title=title) as (made, axes):
        yield made, axes[0][0]


@contextmanager
def grid_of_axes(
    rows: int, columns: int, width: float, height: float, *, fixed: float = 0.0, title: str = ""
) -> "Iterator[tuple[Figure, Any]]":
    """A figure of that many inches with rows and columns of axes, in the style."""
    import matplotlib as mpl  # noqa: PLC0415 (slow to import)
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    chosen = _CHOSEN.get()
    across = width if chosen.width is None else chosen.width / _POINTS
    height = height * (across / width) ** 0.5 + fixed
    settings = _SETTINGS if chosen.width is None else {**_SETTINGS, **_TRUE}
    with mpl.rc_context(settings):
        made = Figure(figsize=(across, height), layout="constrained")
        FigureCanvasAgg(made)
        if text := title if chosen.title is None else chosen.title:
            size = mpl.rcParams["figure.titlesize"]
            lines = wrapped(text, 72 * across - 8, size)
            made.suptitle("\n".join(lines), fontsize=size)
            _grow(made, len(lines) * _LINE * size)
        yield made, made.subplots(rows, columns, squeeze=False)
        for axes in made.axes:
            if isinstance(axes.xaxis.get_major_locator(), MaxNLocator):
                axes.locator_params(axis="x", nbins=max(3, round(across / columns)) + 1)
            # labels that are longer than their axis would be cut
            for which, inches in (("x", across / columns), ("y", height / rows)):
                label = getattr(axes, f"{which}axis").label
                room = 72 * inches - _BESIDE
                label.set_text("\n".join(wrapped(label.get_text(), room, label.get_fontsize())))


def key(made: "Figure", handles: Sequence[Any], labels: Sequence[str] | None = None) -> None:
    """A legend below the axes: as many columns as fit, long labels broken, room added for it."""
    if not handles:
        return
    across = 72 * made.get_figwidth()
    texts = [each.get_label() for each in handles] if labels is None else labels
    broken = ["\n".join(wrapped(text, across - 40, SMALL, hang="  ")) for text in texts]
    for columns in range(len(handles), 0, -1):
        legend = made.legend(
            handles,
            broken,
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            handlelength=2.2,
            columnspacing=1.2,
        )
        box = legend.get_window_extent(made.canvas.get_renderer())  # type: ignore[attr-defined]
        if box.width <= made.dpi * made.get_figwidth() or columns == 1:
            break
        legend.remove()
    _grow(made, 72 * box.height / made.dpi)


def _grow(made: "Figure", points: float) -> None:
    made.set_figheight(made.get_figheight() + points / 72)


def text_width(text: str, size: float) -> float:
    """Points across of a line of text."""
    from matplotlib.textpath import TextPath  # noqa: PLC0415 (slow to import)

    return float(TextPath((0, 0), text, size=size).get_extents().width) if text.strip() else 0.0


def wrapped(text: str, points: float, size: float, hang: str = "") -> list[str]:
    """Lines of a text, broken between words where it is wider; lines after a break begin with hang.

    >>> wrapped("a roofline of many operators", 80, 8)
    ['a roofline of many', 'operators']
    """
    found: list[str] = []
    for line in text.split("\n"):
        here = ""
        for word in line.split(" "):
            longer = f"{here} {word}" if here else word
            if here.strip() and text_width(longer, size) > points:
                found.append(here)
                here = hang + word
            else:
                here = longer
        found.append(here)
    return found


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
    """What to divide a symbol's values by, and the label of their axis: word, letter, unit."""
    row = TABLE[symbol]
    factor, unit = scale(float(max(values)), row.unit)
    name = f"{said(symbol)} ${spelling(symbol)}$"
    return factor, name if row.unit == "1" else f"{name} [{unit}]"


def said(symbol: Symbol) -> str:
    """What a figure calls a symbol: its word, and "context" for what a decode step meets."""
    word = TABLE[symbol].word
    return "context" if word == "past" else word.replace("_", " ")


def figure_number(value: float) -> str:
    """A number in the words of a figure: four digits, thousands apart.

    >>> figure_number(61731.4), figure_number(371.25), figure_number(0.0123456)
    ('61,731', '371.2', '0.01235')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def is_wide(values: Any) -> bool:
    """Whether positive values span more than a factor of 50 (`WIDE`)."""
    low, high = float(min(values)), float(max(values))
    return low > 0 and high / low > WIDE


def log_if_wide(axes: "Axes", which: str, values: Any) -> None:
    """A logarithmic axis where values are far apart."""
    if is_wide(values):
        logarithmic(axes, which)


def logarithmic(axes: "Axes", which: str) -> None:
    """A logarithmic axis of powers of ten, or of 1, 2 and 5 where it is short, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415 (slow)

    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    axis.set_minor_formatter(NullFormatter())
    low, high = getattr(axes, f"get_{which}lim")()
    if high / low < _SHORT_LOG:
        subs = (1.0, 2.0, 5.0) if high / low < _SHORT_LOG / 10 else (1.0, 3.0)
        axis.set_major_locator(LogLocator(subs=subs))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
