"""``lifesym export``: a stand-alone function."""

import sys
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from sympy import Symbol

from lifesym import symbols as sym
from lifesym.calibration.log import read_scales
from lifesym.cli import commands
from lifesym.cli.derive import formula
from lifesym.cli.output import note, write
from lifesym.cli.question import lacking
from lifesym.cli.rows import NAMED, is_given
from lifesym.errors import SymbolError
from lifesym.exported import Export, Made, compare
from lifesym.kinds import listed, pair, spans
from lifesym.provenance import LICENCE, MADE, command, made_by
from lifesym.symbols import resolve
from lifesym.timed import said_of


def export(options: Mapping[str, Any]) -> None:
    """The function's text, and a line for everything that must be said of it."""
    named = [resolve(name) for name in listed(options["args"])]
    given = dict(options)
    if given["batch"] is None and resolve("batch") not in named:
        given["batch"] = 1
    rows = (row for row in commands.COMMANDS["export"].rows if row.name in NAMED)
    chosen = [row for row in rows if is_given(row, given)]
    for row in chosen:
        if row.symbol and resolve(row.symbol) in named:
            raise SymbolError(f"{row.symbol} is an argument: give it no number")
    places = [*product(listed(given["model"]), listed(given["on"]))]
    made = {place: _made({**given, "model": place[0], "on": place[1]}, named) for place in places}
    checked = options["check"]
    words = sys.argv[1:] if checked is None else made_by(checked)
    scales = options["scales"]
    text = Export(
        to=options["to"],
        symbols=named,
        name=options["name"],
        ranges=spans(options["range_"]),
        units=dict(map(pair, options["unit"] or [])),
        error=options["error"],
        correct=options["correct"],
        scales=None if scales is None else read_scales(scales),
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
