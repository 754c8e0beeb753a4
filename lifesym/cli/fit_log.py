"""``lifesym fit-log``: a formula's parts against a server's own log."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lifesym.calibration.log import columns, fitted_to, read_log
from lifesym.calibration.log import fit_log as fitted
from lifesym.cli import commands
from lifesym.cli.derive import formula, sized
from lifesym.cli.output import note, print_json, write
from lifesym.cli.rows import NAMED, is_given
from lifesym.errors import SpecError
from lifesym.operator_groups import times_by_group
from lifesym.report.terminal import table
from lifesym.symbols import ordered
from lifesym.timed import said_of


def fit_log(options: Mapping[str, Any]) -> None:
    """A scale for each group of operators, with its deviation, and the errors with and without."""
    rows = (row for row in commands.COMMANDS["fit_log"].rows if row.name in NAMED)
    chosen = [row for row in rows if is_given(row, options)]
    given = sized(options, chosen, columns(options["log"]))
    result, form = formula(given)
    if not result.terms:
        raise SpecError(f"{options['metric']} is no sum of operators' times: it has no parts")
    names = [symbol.name for symbol in ordered(result.expr.free_symbols)]
    found = fitted(times_by_group(result.terms), read_log(options["log"], names))
    said = {"of": fitted_to(options["metric"], form), **asdict(found)}
    if options["output"] is not None:
        write(json.dumps(said, indent=2) + "\n", options["output"])
    if options["json"]:
        print_json(said)
        return
    body = [
        [
            group,
            f"{scale:.3f}",
            f"{found.deviation[group]:.3f}",
            f"{100 * found.share[group]:.1f} %",
        ]
        for group, scale in found.scale.items()
    ]
    header = ["group of operators", "scale", "deviation", "share of the time"]
    title = f"{options['metric']} of {form.model.name} on {form.hardware.name}: {found.rows} passes"
    table(title, header, body, right=3)
    note(f"mean error {found.before:.1%} without scales, {found.after:.1%} with them")
    for text in said_of(form):
        note(text)
