"""``lifesym export``: a stand-alone function."""

import sys
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sympy import Symbol

from lifesym import symbols as sym
from lifesym.cli import commands
from lifesym.cli.derive import formula
from lifesym.cli.output import note, write
from lifesym.cli.question import lacking
from lifesym.cli.rows import NAMED, is_given
from lifesym.codegen.correction import corrected
from lifesym.codegen.functions import TABLES, source
from lifesym.errors import SpecError, SymbolError
from lifesym.held import unfit
from lifesym.identifiers import function_name
from lifesym.kinds import listed, pair, spans
from lifesym.operator_groups import times_by_group
from lifesym.provenance import LICENCE, MADE, command, digest, made_by
from lifesym.results import Result
from lifesym.specs import read_json, read_text
from lifesym.symbols import ordered, resolve
from lifesym.timed import Timed, described, said_of

_ALONE = ("python", "numpy", "numpy-table", "js")
"""Where a file is a space of names by itself; elsewhere functions of several share one."""


def export(options: Mapping[str, Any]) -> None:
    """The function's text, and a line for everything that must be said of it."""
    to, metrics = options["to"], listed(options["metric"])
    named = listed(options["args"])
    given = dict(options)
    if given["batch"] is None and resolve("batch") not in map(resolve, named):
        given["batch"] = 1
    rows = (row for row in commands.COMMANDS["export"].rows if row.name in NAMED)
    chosen = [row for row in rows if is_given(row, given)]
    for row in chosen:
        if row.symbol and resolve(row.symbol) in map(resolve, named):
            raise SymbolError(f"{row.symbol} is an argument: give it no number")
    asked = {metric: _formula({**given, "metric": metric}, named) for metric in metrics}
    results = {metric: result for metric, (result, _) in asked.items()}
    form = next(iter(asked.values()))[1]
    free = set().union(*(result.expr.free_symbols for result in results.values()))
    symbols = [*map(resolve, named)] or ordered(free)
    for metric, result in results.items():
        lacking(metric, result.expr.free_symbols - {*symbols})
    units = dict(map(pair, options["unit"] or []))
    if units and to not in TABLES:
        raise SymbolError(f"units are of tables, not of {to}")
    ranges = spans(options["range_"])
    units_of = ", ".join(result.unit for result in results.values())
    doc = f"{', '.join(results)} of {form.model.name} on {form.hardware.name}, in {units_of}"
    said = ", ".join(f"{row.spelt[2:]} {given[row.name]}" for row in chosen)
    doc += f"{', with ' if said else ''}{said}. {described(form)}."
    doc += "".join(f" It {text}." for text in unfit(form.stores))
    checked = options["check"]
    words = sys.argv[1:] if checked is None else made_by(checked)
    lines = [doc, *_provenance(form, words), LICENCE]
    what = metrics[0] if len(metrics) == 1 else "forecast"
    default = what if to in _ALONE else function_name(what, form.model.name)
    common = {"name": options["name"] or default, "ranges": ranges, "doc": "\n".join(lines)}
    more = {"units": units, "error": options["error"]} if to in TABLES else {}
    quantity = results if len(results) > 1 else results[metrics[0]]
    if options["correct"]:
        text = _corrected(quantity, symbols, options, common)
    else:
        text = source(quantity, symbols, to, **common, **more)
    if checked is not None:
        _compare(text, checked)
    else:
        write(text, options["output"])
        for said in said_of(form):
            note(said)


def _formula(options: Mapping[str, Any], named: Sequence[str]) -> tuple[Result, Timed]:
    """A metric's formula; a decode step without a context is the first one."""
    result, form = formula(options, tuple(named))
    first = options["metric"] == "tpot" and options["context"] is None
    return (form.tpot.first if first and sym.past not in map(resolve, named) else result), form


def _provenance(form: Timed, words: Sequence[str]) -> list[str]:
    """The command that makes the text, and digests of what goes into it."""
    parts = {
        "model": (form.model.name, getattr(form.model, "values", ())),
        "device": form.hardware,
        "engine": form.engine,
        "formats": form.described,
    }
    inputs = ", ".join(f"{name} {digest(part)}" for name, part in parts.items())
    return [f"{MADE}{command(words, ('-o', '--output'))}", f"Inputs: {inputs}."]


def _corrected(
    quantity: Any, symbols: Sequence[Symbol], options: Mapping[str, Any], common: Mapping[str, Any]
) -> str:
    """A function in C that measured passes correct.

    Raises:
        SpecError: another language, several metrics, or a time that is no sum of operators'.
    """
    if options["to"] not in ("c", "float"):
        raise SpecError(f"--correct is of C, not of {options['to']}")
    if not getattr(quantity, "terms", ()):
        raise SpecError("--correct takes one metric that is a sum of operators' times")
    known = options["scales"] and {
        name: float(scale) for name, scale in read_json(Path(options["scales"]))["scale"].items()
    }
    precision = "double" if options["to"] == "c" else "float"
    name = options["name"] or options["metric"]
    names = [symbol.name for symbol in symbols]
    groups = times_by_group(quantity.terms)
    said = {**common, "name": name, "precision": precision, "scales": known or None}
    return corrected(groups, names, **said)


def _compare(text: str, path: str) -> None:
    """Whether a file is what its command gives now.

    Raises:
        SpecError: it is not; with the first line that differs.
    """
    pairs = zip_longest(read_text(Path(path)).splitlines(), text.splitlines(), fillvalue="")
    found = next(((i, a, b) for i, (a, b) in enumerate(pairs, 1) if a != b), None)
    if found is not None:
        line, old, new = found
        raise SpecError(
            f"{path}:{line}: {old.strip()!r} would be {new.strip()!r} now: export again"
        )
    note(f"{path} is what its command gives")
