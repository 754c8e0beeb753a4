"""``lifesym sweep``: a labelled dataset."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from lifesym import symbols as sym
from lifesym.cli.output import note, said_of
from lifesym.cli.question import listed
from lifesym.cli.request import NETWORK, USUAL_GENERATION, Request
from lifesym.cli.rows import ROWS, Row, read
from lifesym.errors import SpecError
from lifesym.sweeps import sweep as computed
from lifesym.sweeps import workers, write
from lifesym.timed import Timed

_MOST = 10**6
"""Values of an axis."""
_CONTINUOUS = ("prompt", "generate", "batch", "chunk", "context")
"""Axes along which one formula is evaluated; along others a formula is derived for each value."""
_FIRST = {"tpot": "tpot_first"}


def sweep(options: Mapping[str, Any]) -> None:
    """A formula for every combination of options, evaluated over the sizes; written as it goes."""
    output = Path(options["output"])
    if output.suffix not in (".nc", ".csv"):
        raise SpecError(f"{output}: the file must end in .nc or .csv")
    if options["scheduler"] is not None and options["chunks"] is None:
        raise SpecError("--scheduler needs --chunks: its workers compute chunks")
    usual = {row.name: row.default for row in ROWS}
    usual["generate"] = str(USUAL_GENERATION)
    if listed(options["model"]) == [NETWORK]:  # it has no tokens, unless they are asked for
        prompt = options["prompt"] if options["prompt"] != str(usual["prompt"]) else None
        options = {**options, "prompt": prompt}
        usual |= {"prompt": None, "generate": None}
    lists = {
        row.name: _values(row, options[row.name] or usual[row.name])
        for row in ROWS
        if row.kind.axis and not row.kind.switch and (options[row.name] or usual[row.name])
    }
    symbols = {row.name: sym.resolve(row.symbol) for row in ROWS if row.name in _CONTINUOUS}
    varied = {
        name: values
        for name, values in lists.items()
        if name not in symbols and options[name] is not None and values != [usual[name]]
    }
    varied = {"model": listed(options["model"]), "hardware": listed(options["on"]), **varied}
    sizes = {symbols[name].name: lists[name] for name in symbols if name in lists}
    single = {name: values[0] for name, values in lists.items()}
    said: dict[str, None] = {}

    def made(model: str, hardware: str, **changes: Any) -> Timed:
        changed = {**options, **single, **changes, "model": model, "on": hardware}
        changed["prompt"] = max(lists.get("prompt", [None]))
        changed["generate"] = None if options["generate"] is None else max(lists["generate"])
        form = Request(changed).form()
        where = f"{form.model.name} on {form.hardware.name}"
        for text in said_of(form):
            said.setdefault(f"{where}: {text}")
        free = [symbols[name] for name in symbols if name in lists and name != "context"]
        return form.open(*(symbol for symbol in free if symbol in form.point))

    # options, even where a symbol has the same name
    names = [Parameter(name, Parameter.KEYWORD_ONLY) for name in varied]
    made.__signature__ = Signature(names)  # type: ignore[attr-defined]
    metrics = listed(options["metrics"])
    if options["context"] is None:
        metrics = [_FIRST.get(metric, metric) for metric in metrics]
    with workers(options["scheduler"]), _progress() as progress:
        data = computed(
            made, {**varied, **sizes}, metrics, chunks=options["chunks"], progress=progress
        )
        data = data.rename({first: word for word, first in _FIRST.items() if first in data})
        try:
            write(data, output)
        except OSError as problem:
            why = os.strerror(problem.errno) if problem.errno else problem
            raise SpecError(f"{output}: {why}") from None
    note(f"wrote {output} ({' x '.join(map(str, data.sizes.values()))} points)")
    for text in said:
        note(text)


def _values(row: Row, text: str) -> list[Any]:
    """The values of an axis: ``A,B,...``, or of whole numbers also ``A:B:N``.

    Raises:
        SpecError: neither, a value of the wrong kind, or too many.
    """
    if row.kind.metavar != "N" or ":" not in text:
        return [read(row, part.strip()) for part in text.split(",")]
    try:
        low, high, count = (int(part) for part in text.split(":"))
    except ValueError:
        raise SpecError(f"{row.spelt}: {text!r} is not A:B:N or A,B,...") from None
    count = min(count, abs(high - low) + 1, _MOST + 1)  # no more of them differ
    step = (high - low) / max(count - 1, 1)
    numbers = list(dict.fromkeys(round(low + step * i) for i in range(count)))
    if len(numbers) > _MOST:
        raise SpecError(f"{row.spelt}: more than {_MOST} values")
    return [read(row, str(each)) for each in numbers]


@contextmanager
def _progress() -> Iterator[Any]:
    """A bar on standard error while formulas are derived."""
    console = Console(stderr=True)
    # where there is no terminal, stopping a bar would still print an empty line
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("formulas", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
