"""``lifesym export``: a stand-alone function."""

import sys
from collections.abc import Mapping, Sequence
from itertools import compress, product, zip_longest
from pathlib import Path
from typing import Any

from sympy import Symbol

from lifesym import symbols as sym
from lifesym.calibration.log import read_scales
from lifesym.cli import commands
from lifesym.cli.derive import formula
from lifesym.cli.output import note, write
from lifesym.cli.question import lacking
from lifesym.cli.rows import NAMED, is_given
from lifesym.codegen.correction import corrected
from lifesym.codegen.enumerated import enumerated
from lifesym.codegen.functions import TABLES, source
from lifesym.errors import SpecError, SymbolError
from lifesym.held import unfit
from lifesym.identifiers import function_name
from lifesym.kinds import listed, pair, spans
from lifesym.operator_groups import times_by_group
from lifesym.provenance import LICENCE, MADE, command, digest, made_by
from lifesym.results import Result
from lifesym.specs import read_text
from lifesym.symbols import ordered, resolve
from lifesym.timed import Timed, described, said_of

_ALONE = ("python", "numpy", "numpy-table", "js")
"""Where a file is a space of names by itself; elsewhere functions of several share one."""
_IN_C = {"c": "double", "float": "float"}
"""The targets in C that are formulas, and what they compute in."""


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
    symbols = named or ordered(set().union(*(_free(results) for results, _ in made.values())))
    for results, _ in made.values():
        for metric, result in results.items():
            lacking(metric, result.expr.free_symbols - {*symbols})
    said = ", ".join(f"{row.spelt[2:]} {given[row.name]}" for row in chosen)
    docs = {place: _about(*each, said) for place, each in made.items()}
    checked = options["check"]
    words = sys.argv[1:] if checked is None else made_by(checked)
    last = [f"{MADE}{command(words, ('-o', '--output'))}", LICENCE]
    if len(places) > 1:
        text = _several(made, symbols, options, docs, last)
    else:
        text = _single(*made[places[0]], symbols, options, [*docs[places[0]], *last])
    if checked is not None:
        _compare(text, checked)
        return
    write(text, options["output"])
    for line in dict.fromkeys(line for _, form in made.values() for line in said_of(form)):
        note(line)


Made = tuple[dict[str, Result], Timed]
"""The results by metric, and what they are of."""


def _made(options: Mapping[str, Any], named: Sequence[Symbol]) -> Made:
    """The formulas of the metrics; a decode step without a context is the first one."""
    found: dict[str, Result] = {}
    for metric in listed(options["metric"]):
        result, form = formula({**options, "metric": metric}, tuple(s.name for s in named))
        first = metric == "tpot" and options["context"] is None and sym.past not in named
        found[metric] = form.tpot.first if first else result
    return found, form


def _free(results: Mapping[str, Result]) -> set[Symbol]:
    return set().union(*(result.expr.free_symbols for result in results.values()))


def _about(results: Mapping[str, Result], form: Timed, said: str) -> list[str]:
    """What a function is of, and digests of what goes into it."""
    units = ", ".join(result.unit for result in results.values())
    doc = f"{', '.join(results)} of {form.model.name} on {form.hardware.name}, in {units}"
    doc += f"{', with ' if said else ''}{said}. {described(form)}."
    doc += "".join(f" It {text}." for text in unfit(form.stores))
    parts = {
        "model": (form.model.name, getattr(form.model, "values", ())),
        "device": form.hardware,
        "engine": form.engine,
        "formats": form.described,
    }
    return [doc, f"Inputs: {', '.join(f'{name} {digest(part)}' for name, part in parts.items())}."]


def _single(
    results: Mapping[str, Result],
    form: Timed,
    symbols: Sequence[Symbol],
    options: Mapping[str, Any],
    doc: Sequence[str],
) -> str:
    """The function of one model on one device."""
    to, units = options["to"], dict(map(pair, options["unit"] or []))
    if units and to not in TABLES:
        raise SymbolError(f"units are of tables, not of {to}")
    one = next(iter(results))
    what = one if len(results) == 1 else "forecast"
    default = what if to in _ALONE else function_name(what, form.model.name)
    common: dict[str, Any] = {
        "name": options["name"] or default,
        "ranges": spans(options["range_"]),
        "doc": "\n".join(doc),
    }
    quantity: Any = results if len(results) > 1 else results[one]
    if options["correct"]:
        return _corrected(quantity, symbols, options, {**common, "name": options["name"] or what})
    more = {"units": units, "error": options["error"]} if to in TABLES else {}
    return source(quantity, symbols, to, **common, **more)


def _several(
    made: Mapping[tuple[str, str], Made],
    symbols: Sequence[Symbol],
    options: Mapping[str, Any],
    docs: Mapping[tuple[str, str], Sequence[str]],
    last: Sequence[str],
) -> str:
    """One function in C for all the models and devices.

    Raises:
        SpecError: another language, or scales.
    """
    if options["to"] not in _IN_C or options["correct"]:
        raise SpecError("several models or devices are behind one enum in C (--to c or float)")
    models, devices = ({place[i] for place in made} for i in (0, 1))
    telling = [len(each) > 1 for each in (models, devices)]
    names = {place: "_".join(compress(place, telling)) for place in made}
    metrics = listed(options["metric"])
    what = metrics[0] if len(metrics) == 1 else "forecast"
    each = {
        names[place]: results if len(results) > 1 else results[what]
        for place, (results, _) in made.items()
    }
    return enumerated(
        each,
        [symbol.name for symbol in symbols],
        name=options["name"] or what,
        precision=_IN_C[options["to"]],
        ranges=spans(options["range_"]),
        docs={names[place]: "\n".join(lines) for place, lines in docs.items()},
        doc="\n".join(last),
    )


def _corrected(
    quantity: Any, symbols: Sequence[Symbol], options: Mapping[str, Any], common: Mapping[str, Any]
) -> str:
    """A function in C that measured passes correct.

    Raises:
        SpecError: another language, several metrics, or a time that is no sum of operators'.
    """
    if options["to"] not in _IN_C:
        raise SpecError(f"--correct is of C, not of {options['to']}")
    if not getattr(quantity, "terms", ()):
        raise SpecError("--correct takes one metric that is a sum of operators' times")
    begin = None if options["scales"] is None else read_scales(options["scales"])
    names, kind = [symbol.name for symbol in symbols], _IN_C[options["to"]]
    groups = times_by_group(quantity.terms)
    return corrected(groups, names, precision=kind, scales=begin, **common)


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
