"""``lifesym export``: a stand-alone function."""

import sys
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from sympy import Symbol

from lifesym import symbols as sym
from lifesym.calibration.log import fitted_to, read_scales
from lifesym.cli import commands
from lifesym.cli.derive import formula, sized
from lifesym.cli.output import note, write
from lifesym.cli.question import lacking
from lifesym.cli.rows import NAMED, is_given
from lifesym.errors import SymbolError
from lifesym.exported import Export, Made, Place, compare
from lifesym.kinds import listed, pair, spans
from lifesym.provenance import LICENCE, MADE, command, made_by
from lifesym.symbols import resolve
from lifesym.timed import said_of


def export(options: Mapping[str, Any]) -> None:
    """The function's text, and a line for everything that must be said of it."""
    named = [resolve(name) for name in listed(options["args"])]
    given = {**options, "metric": ",".join(dict.fromkeys(listed(options["metric"])))}
    if not given["metric"]:
        raise SymbolError("--metric names what is exported: tpot, or ttft,tpot ...")
    rows = [row for row in commands.COMMANDS["export"].rows if row.name in NAMED]
    given = sized(given, [r for r in rows if is_given(r, given)], (s.name for s in named))
    chosen = [row for row in rows if is_given(row, given)]
    for row in chosen:
        if row.symbol and resolve(row.symbol) in named:
            raise SymbolError(f"{row.symbol} is an argument: give it no number")
    places = [*product(listed(given["model"]), listed(given["on"]))]
    made = {place: _made({**given, "model": place[0], "on": place[1]}, named) for place in places}
    checked = options["check"]
    words = sys.argv[1:] if checked is None else made_by(checked)
    text = Export(
        to=options["to"],
        symbols=named,
        name=options["name"],
        ranges=spans(options["range_"]),
        units=dict(map(pair, options["unit"] or [])),
        error=options["error"],
        core=options["core"],
        by=options["by"],
        correct=options["correct"],
        scales=_scales(options["scales"], made),
        said=", ".join(f"{row.spelt[2:]} {given[row.name]}" for row in chosen),
        last=[f"{MADE}{command(words, ('-o', '--output'))}", LICENCE],
    ).text(made)
    if checked is not None:
        compare(text, checked)
        note(f"{checked} is what its command gives")
        return
    write(text, options["output"])
    for line in dict.fromkeys(line for each in made.values() for line in said_of(each.form)):
        note(line)


def _made(options: Mapping[str, Any], named: Sequence[Symbol]) -> Made:
    """The formulas of the metrics; a decode step without a context is the first one."""
    results = {}
    for metric in listed(options["metric"]):
        result, form = formula({**options, "metric": metric}, tuple(s.name for s in named))
        first = metric == "tpot" and options["context"] is None and sym.past not in named
        results[metric] = form.tpot.first if first else result
        if named:
            lacking(metric, results[metric].expr.free_symbols - {*named})
    return Made(results=results, form=form)


def _scales(path: str | None, made: Mapping[Place, Made]) -> dict[str, float] | None:
    """The scales in a file, of what is exported."""
    if path is None:
        return None
    one = next(iter(made.values()))
    return read_scales(path, fitted_to(one.what, one.form))
