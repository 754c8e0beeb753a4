"""``lifesym export``: a stand-alone function."""

from collections.abc import Mapping
from typing import Any

from lifesym.cli import commands
from lifesym.cli.derive import formula
from lifesym.cli.output import note, write
from lifesym.cli.question import lacking
from lifesym.cli.rows import NAMED, is_given
from lifesym.codegen.functions import TABLES, source
from lifesym.errors import SymbolError
from lifesym.held import unfit
from lifesym.identifiers import function_name
from lifesym.kinds import listed, pair, spans
from lifesym.symbols import resolve
from lifesym.timed import described, said_of

_IN_C = ("c", "float", "table", "fixed")
"""Where functions of several files share one space of names."""


def export(options: Mapping[str, Any]) -> None:
    """The function's text, and a line for everything that must be said of it."""
    metric, to = options["metric"], options["to"]
    symbols = [resolve(name) for name in listed(options["args"])]
    given = dict(options)
    if given["batch"] is None and resolve("batch") not in symbols:
        given["batch"] = 1
    rows = (row for row in commands.COMMANDS["export"].rows if row.name in NAMED)
    chosen = [row for row in rows if is_given(row, given)]
    for row in chosen:
        if row.symbol and resolve(row.symbol) in symbols:
            raise SymbolError(f"{row.symbol} is an argument: give it no number")
    result, form = formula(given, tuple(listed(options["args"])))
    if resolve("past") not in symbols and options["context"] is None and metric == "tpot":
        result = form.tpot.first
    units = dict(map(pair, options["unit"] or []))
    if units and to not in TABLES:
        raise SymbolError(f"units are of tables, not of {to}")
    ranges = spans(options["range_"])
    lacking(metric, result.expr.free_symbols - {*symbols})
    doc = f"{metric} of {form.model.name} on {form.hardware.name}, in {result.unit}"
    said = ", ".join(f"{row.spelt[2:]} {given[row.name]}" for row in chosen)
    doc += f"{', with ' if said else ''}{said}. {described(form)}."
    doc += "".join(f" It {text}." for text in unfit(form.stores))
    default = function_name(metric, form.model.name) if to in _IN_C else metric
    common = {"name": options["name"] or default, "ranges": ranges, "doc": doc}
    more = {"units": units, "error": options["error"]} if to in TABLES else {}
    write(source(result, symbols, to, **common, **more), options["output"])
    for said in said_of(form):
        note(said)
