"""A page to play with: formulas as sliders, charts and MathML, in one file that works offline.

The page computes with the JavaScript functions that lifesym exports, and nothing else.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from html import escape
from importlib.resources import files
from itertools import product
from string import Template
from typing import Any
from zlib import compress

from lifesym.checks import checked
from lifesym.errors import LifesymError, SpecError
from lifesym.explore import figures
from lifesym.explore.functions import OF_OPERATOR, Functions, variant
from lifesym.explore.sliders import SLIDERS
from lifesym.extras import needed
from lifesym.forecasting import forecast
from lifesym.formats import load_format
from lifesym.inference import Forecast
from lifesym.plots.meaning import GROUPS
from lifesym.version import __version__

Make = Callable[..., Forecast]
"""Gives the forecast of a model and a device with formats, a chunk, and devices in parallel."""
COUNTS = (2, 4, 8, 16)
"""Devices in parallel that the page offers, where the model can be split so."""
_CHUNK = 512


@checked
def page(
    models: Sequence[str],
    devices: Sequence[str],
    *,
    weights: Sequence[str] = (),
    kv: Sequence[str] = (),
    make: Make = forecast,
    start: dict[str, float] | None = None,
    command: str = "",
    progress: Callable[[int, int], Any] | None = None,
) -> str:
    """The page of some models and devices, as HTML.

    It has menus of models, devices, formats of weights and cache, and devices in parallel, and
    sliders of every number of the workload and the device. It shows TTFT, TPOT, tokens a second,
    memory and what fits, energy and cost, the time by operator, the roofline, a map of what binds,
    and the formula with its numbers.

    Args:
        models: names, or paths of configs.
        devices: names, or paths of TOML files.
        weights: formats of the weights to choose from, beside those that the model has by itself.
        kv: formats of the cache, beside the usual one.
        make: gives a forecast of a model and a device with ``weights``, ``kv``, ``chunk`` and
            ``tensor_parallel``: `lifesym.forecast`, or one with further options.
        start: numbers by name that the page begins with: of sliders, of a ``chunk`` of the prefill,
            and of ``devices`` in parallel.
        command: what makes the page again, for its last line.
        progress: called with the formulas that are done, and all of them.

    Raises:
        SpecError, SymbolError: why a model runs on none of the devices, or a device runs none of
            the models; what else is refused is said on the page.
        LifesymError: an extra is missing (``pip install 'lifesym[explore]'``).
    """
    if not models or not devices:
        raise SpecError("a page has at least one model and one device")
    models, devices, weights, kv = (
        list(dict.fromkeys(each)) for each in (models, devices, weights, kv)
    )
    choices = {
        "models": models,
        "devices": devices,
        "weights": ["as stored", *weights],
        "kv": ["usual", *kv],
    }
    for package in ("bokeh.embed", "latex2mathml.converter"):  # before anything is derived
        needed(package)
    for name in (*weights, *kv):
        load_format(name)
    begin = dict(start or {})
    for name in begin.keys() - {"devices", *(slider.word for slider in SLIDERS)}:
        raise SpecError(f"start: the page has no slider {name!r}")
    _check(make, models, devices)
    functions, split_over = Functions(), int(begin.pop("devices", 1))
    variants: dict[str, dict[str, Any]] = {}
    counts: dict[str, list[int]] = {}
    asked = list(product(*(range(len(each)) for each in choices.values())))
    for done, places in enumerate(asked):
        if progress is not None:
            progress(done, len(asked))
        model, device, *formats = places
        names = models[model], devices[device]
        stored = [None, *weights][formats[0]], [None, *kv][formats[1]]
        given = {n: f for n, f in zip(("weights", "kv"), stored, strict=True) if f is not None}
        for chunked, split in product((0, 1), (0, 1)):
            if split and _pair(places) not in counts:
                counts[_pair(places)] = [1, *_splits(make, names, split_over)]
            if split and len(counts[_pair(places)]) == 1:
                continue
            more = given | ({"chunk": _CHUNK} if chunked else {})
            more |= {"tensor_parallel": counts[_pair(places)][1]} if split else {}
            key = ",".join(map(str, (*places, chunked, split)))
            variants[key] = _variant(make, names, more, functions)
    if split_over != 1 and split_over not in counts["0,0"]:
        raise SpecError(f"{models[0]} on {devices[0]}: {split_over} devices cannot share it")
    data = {
        **choices,
        "counts": counts,
        "variants": variants,
        "functions": functions.entries,
        "sliders": [slider.data() for slider in SLIDERS],
        "colours": figures.colours(),
        "of_operator": OF_OPERATOR,
        "start": {
            **dict.fromkeys(("model", "device", "weights", "kv"), 0),
            "devices": split_over,
            "chunked": "chunk" in begin,
            "values": begin,
        },
    }
    return _written(data, functions, f"{' and '.join(models)}: how fast, and why", command)


def _check(make: Make, models: Sequence[str], devices: Sequence[str]) -> None:
    """Refuse a model that runs on no device, and a device that runs no model."""
    problems: dict[tuple[str, str], LifesymError] = {}
    for names in product(models, devices):
        try:
            form = make(*names)
            if form.hardware.bandwidth.free_symbols:
                raise SpecError(f"{names[1]} has no numbers to show: name devices")
        except LifesymError as problem:
            problems[names] = problem
    for one in (*models, *devices):
        found = [problems.get(names) for names in product(models, devices) if one in names]
        if found[0] is not None and None not in found:
            raise found[0]


def _pair(places: Sequence[int]) -> str:
    """The key of a model and a device."""
    return f"{places[0]},{places[1]}"


def _splits(make: Make, names: tuple[str, str], asked: int) -> Iterator[int]:
    """Numbers of devices that a model can be split over, with one that was asked for."""
    for count in sorted({*COUNTS, asked} - {1}):
        try:
            form = make(*names, tensor_parallel=count)
            if form.ttft and form.tpot:
                yield count
        except LifesymError:
            continue


def _variant(
    make: Make, names: tuple[str, str], more: dict[str, Any], functions: Functions
) -> dict[str, Any]:
    """A choice of the menus; or why there is none."""
    try:
        return variant(make(*names, **more), functions)
    except LifesymError as problem:
        return {"refused": str(problem)}


def _written(data: dict[str, Any], functions: Functions, title: str, command: str) -> str:
    """The file."""
    own = files("lifesym.explore")
    bokeh, places, charts = figures.charts(GROUPS)
    parts = {
        "title": escape(title),
        "version": __version__,
        "command": escape(command or "lifesym.explore.page(...)"),
        "css": own.joinpath("page.css").read_text(encoding="utf-8"),
        "page": own.joinpath("page.js").read_text(encoding="utf-8"),
        "bokeh": bokeh,
        "charts": charts,
        "functions": "".join(functions.texts),
        "names": ", ".join(f"f{i}" for i in range(len(functions.texts))),
        "data": b64encode(compress(json.dumps(data, separators=(",", ":")).encode())).decode(),
        **places,
    }
    return Template(own.joinpath("page.html").read_text(encoding="utf-8")).substitute(parts)
