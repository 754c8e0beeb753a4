"""``lifesym sweep``: a labelled dataset."""

import os
from collections.abc import Mapping, Sequence
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from lifesym import symbols as sym
from lifesym.cli.output import draw, note
from lifesym.cli.question import lacking
from lifesym.cli.request import NETWORK, RUNNING, USUAL_GENERATION, Request
from lifesym.cli.rows import NAMED, ROWS, Row, read
from lifesym.errors import SpecError
from lifesym.kinds import expanded, listed
from lifesym.metrics import measure
from lifesym.report.terminal import shown_progress
from lifesym.sweeps import sweep as computed
from lifesym.sweeps import workers, write
from lifesym.timed import Timed, said_of

_CONTINUOUS = ("prompt", "generate", "batch", "chunk", "context", "new", "price")
"""Axes along which one formula is evaluated; along others a formula is derived for each value."""
_FIRST = {"tpot": "tpot_first"}


def sweep(options: Mapping[str, Any]) -> None:
    """A formula for every combination of options, evaluated over the sizes; written as it goes."""
    output = Path(options["output"])
    if output.suffix not in (".nc", ".csv"):
        raise SpecError(f"{output}: the file must end in .nc or .csv")
    axes = [row for row in ROWS if row.kind.axis]
    usual = {row.name: row.default for row in axes} | {"generate": USUAL_GENERATION}
    if listed(options["model"]) == [NETWORK]:  # it has no tokens, unless they are asked for
        prompt = options["prompt"] if options["prompt"] != str(usual["prompt"]) else None
        options = {**options, "prompt": prompt}
        usual |= {"prompt": None, "generate": None}
    lists = {
        row.name: [usual[row.name]] if (text := options[row.name]) is None else _values(row, text)
        for row in axes
    }
    one_formula = [name for name in _CONTINUOUS if _continuous(name, options, lists[name])]
    symbols = {name: sym.resolve(NAMED[name].symbol) for name in one_formula}
    sizes = {symbol.name: lists[name] for name, symbol in symbols.items()}
    varied = {
        _axis(name): values
        for name, values in lists.items()
        if name not in symbols and values != [None if name in _CONTINUOUS else usual[name]]
    }
    varied = {"model": listed(options["model"]), "hardware": listed(options["on"]), **varied}
    metrics = listed(options["metrics"])
    if options["context"] is None:
        metrics = [_FIRST.get(metric, metric) for metric in metrics]
    said: dict[str, None] = {}

    def made(model: str, hardware: str, **changes: Any) -> Timed:
        changed = {name: changes.get(_axis(name), lists[name][0]) for name in lists}
        changed |= {"model": model, "on": hardware}
        for end in (min, max):  # what is refused at either end is, before anything is evaluated
            changed |= {name: end(lists[name]) for name in symbols}
            if options["generate"] is None:
                changed["generate"] = None
            request = Request({**options, **changed})
            form = request.form()
            request.running()
        where = f"{form.model.name} on {form.hardware.name}"
        for text in said_of(form):
            said.setdefault(f"{where}: {text}")
        free = [s for s in symbols.values() if s in form.point and s not in RUNNING.values()]
        form = form.open(*free) if free else form
        for metric in metrics:
            lacking(metric, measure(form, metric).expr.free_symbols - {*symbols.values()})
        return form

    # options, even where a symbol has the same name
    names = [Parameter(name, Parameter.KEYWORD_ONLY) for name in varied]
    made.__signature__ = Signature(names)  # type: ignore[attr-defined]
    with workers(options["scheduler"]), shown_progress() as progress:
        data = computed(
            made, {**varied, **sizes}, metrics, chunks=options["chunks"], progress=progress
        )
        data = data.rename({first: word for word, first in _FIRST.items() if first in data})
        draw(options, lambda plots: plots.sweep_curves(data, next(iter(data.data_vars))))
        try:
            write(data, output)
        except OSError as problem:
            why = os.strerror(problem.errno) if problem.errno else problem
            raise SpecError(f"{output}: {why}") from None
    note(f"wrote {output} ({' x '.join(map(str, data.sizes.values()))} points)")
    for text in said:
        note(text)


def _axis(name: str) -> str:
    """What the axis of an option is called: as its symbol, if it is one of a formula."""
    return sym.resolve(NAMED[name].symbol).name if name in _CONTINUOUS else name


def _continuous(name: str, options: Mapping[str, Any], values: Sequence[Any]) -> bool:
    """Whether one formula holds along all of an axis.

    Formulas of a generation are those of two tokens or more, microbatches cut the batches that they
    divide, and balanced shares are those of one workload.
    """
    if None in values or (name == "generate" and min(values) < 2):
        return False
    if name == "batch" and options["microbatches"] is not None:
        return False
    return options["shares"] != "balanced" or name in ("context", "new", "price")


def _values(row: Row, text: str) -> list[Any]:
    """The values of an axis: ``A,B,...``, or of whole numbers also ``A:B:N``.

    Raises:
        SpecError: neither, a value of the wrong kind, or too many.
    """
    try:
        parts = expanded(text) if row.kind.metavar == "N" else text.split(",")
    except ValueError as error:
        raise SpecError(f"{row.spelt}: {error}") from None
    return [read(row, part.strip()) for part in parts]
