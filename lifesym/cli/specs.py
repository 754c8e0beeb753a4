"""``lifesym specs``: what is in the database, with sources."""

from collections.abc import Mapping
from typing import Any

from lifesym.cli.output import print_json
from lifesym.cli.rows import shown_rows
from lifesym.devices import known_as
from lifesym.errors import SpecError
from lifesym.report.database import entry, everything, shown_entry, shown_everything
from lifesym.report.terminal import table
from lifesym.symbol_table import shown_table

_LISTS = {"symbols": shown_table, "options": shown_rows}


def specs(options: Mapping[str, Any]) -> None:
    """Everything in the database, one entry of it, or a list."""
    name = options["name"]
    found = everything() if name is None else {"name": name, **_entry(name)}
    if options["json"]:
        print_json(found)
    elif name is None:
        for title, header, rows, right in shown_everything(found):
            table(title, header, rows, right=right)
    elif name in _LISTS:
        rows = [[word, *(cell or "" for cell in row.values())] for word, row in found[name].items()]
        table(name, [name[:-1], *next(iter(found[name].values()))], rows)
    else:
        table(name, ["key", "value"], shown_entry(found))


def _entry(name: str) -> dict[str, Any]:
    """An entry under its name, or under another spelling of it."""
    if name in _LISTS:
        return {name: _LISTS[name]()}
    try:
        return entry(name)
    except SpecError:
        return entry(known_as(name))
