"""``lifesym specs``: what is in the database, with sources."""

from collections.abc import Mapping
from typing import Any

from lifesym.cli.output import print_json
from lifesym.report.database import entry, everything, shown_entry, shown_everything
from lifesym.report.terminal import table


def specs(options: Mapping[str, Any]) -> None:
    """Everything in the database, or one entry of it."""
    name = options["name"]
    found = everything() if name is None else {"name": name, **entry(name)}
    if options["json"]:
        print_json(found)
    elif name is None:
        for title, header, rows, right in shown_everything(found):
            table(title, header, rows, right=right)
    else:
        table(name, ["key", "value"], shown_entry(found))
