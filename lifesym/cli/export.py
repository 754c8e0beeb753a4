"""``lifesym export``: a stand-alone function."""

from collections.abc import Mapping, Sequence
from typing import Any

from sympy import Symbol

from lifesym.cli import commands
from lifesym.cli.derive import formula
from lifesym.cli.output import described, note, said_of, unfit, write
from lifesym.cli.question import lacking, listed
from lifesym.cli.rows import NAMED, is_given
from lifesym.codegen import compile as compiled
from lifesym.errors import SymbolError
from lifesym.identifiers import function_name
from lifesym.kinds import pair, spans
from lifesym.results import Result
from lifesym.symbols import resolve

_IN_C = ("c", "float", "table", "fixed")
"""Where functions of several files share one space of names."""
_TABLES = {"table": "float", "fixed": "fixed", "numpy-table": "numpy"}


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
    if units and to not in _TABLES:
        raise SymbolError(f"units are of tables, not of {to}")
    ranges = spans(options["range_"])
    lacking(metric, result.expr.free_symbols - {*symbols})
    doc = f"{metric} of {form.model.name} on {form.hardware.name}, in {result.unit}"
    said = ", ".join(f"{row.spelt[2:]} {given[row.name]}" for row in chosen)
    doc += f"{', with ' if said else ''}{said}. {described(form)}."
    doc += "".join(f" It {text}." for text in unfit(form.stores))
    default = function_name(metric, form.model.name) if to in _IN_C else metric
    common = {"name": options["name"] or default, "ranges": ranges, "doc": doc}
    write(_text(result, symbols, to, units, options["error"], common), options["output"])
    for said in said_of(form):
        note(said)


def _text(
    result: Result,
    symbols: Sequence[Symbol],
    to: str,
    units: Mapping[str, str],
    error: float,
    common: Mapping[str, Any],
) -> str:
    if to in _TABLES:
        table = compiled(result, symbols, target="table", units=units, error=error, **common)
        return str(table.source(_TABLES[to]))
    if to in ("c", "float"):
        precision: Any = "double" if to == "c" else "float"
        return str(compiled(result, symbols, target="c", precision=precision, **common))
    target: Any = to
    made = compiled(result, symbols, target=target, **common)
    return str(made if to == "js" else made.source)
