"""``lifesym validate``: forecasts against measurements."""

from collections.abc import Mapping
from typing import Any

from lifesym.calibration import load, usable
from lifesym.calibration.formula import Rows
from lifesym.calibration.pooled import Calibration, relevant
from lifesym.calibration.shipped import SHIPPED, measurements, shipped
from lifesym.calibration.validation import PHASES, flagged, validated
from lifesym.cli.output import draw, note, print_json
from lifesym.errors import SpecError
from lifesym.extras import needed
from lifesym.report.terminal import table


def validate(options: Mapping[str, Any]) -> None:
    """Errors by phase, and by device, class, model and length within it."""
    data, fit, leave_out = options["data"], options["fit"], options["leave_out"]
    needed("scipy")  # before the fits that go without a device say so
    observations, unmapped = load(measurements(data))
    note("deriving and compiling the forecasts of the rows")
    rows, unknown = usable(observations)
    left_aside = [{"line": item.row, "reason": item.reason} for item in unmapped]
    left_aside += [{"line": o.line, "phase": o.phase, "reason": why} for o, why in unknown]
    if not len(rows):
        why = left_aside[0]["reason"] if left_aside else "it has no rows"
        raise SpecError(f"{data}: no row can be compared: {why}")
    fitted: Rows | Calibration | None = shipped() if fit == SHIPPED else None
    if fit not in (None, SHIPPED):
        fitted, _ = usable(relevant(load(measurements(fit))[0], rows.observations))
    found, curves = validated(rows, fitted, leave_out, note)
    found["not_compared"] = left_aside
    draw(options, lambda plots: plots.accuracy(curves))
    if options["json"]:
        print_json(found)
        return
    _print(found)
    note(f"{len(left_aside)} phases of rows were not compared; --json lists them with reasons")


def _print(found: dict[str, Any]) -> None:
    for phase in PHASES:
        result = found[phase]
        if not result["rows"]:
            continue
        rows = [_row("this forecast", result)]
        rows.append(_row("its fit to these rows", result["own_fit"]))
        rows += [_row(name, values) for name, values in result["baselines"].items()]
        header = [phase, "rows", "MAPE", "median", "p90", "bias", "tau"]
        table(f"{phase}: forecast against measured", header, rows, right=6)
        for key in ("by_framework", "by_class", "by_length", "by_model", "by_device"):
            parts = [_row(name, values) for name, values in result[key].items()]
            table(f"{phase} {key.replace('_', ' ')}", header, parts, right=6)
        held, level = (result["coverage"][key] for key in ("measured", "level"))
        note(f"{phase}: {held:.0%} of the rows are within their {level:.0%} intervals")
    if flags := flagged(found["parameters"]):
        table("parameters not to be believed", ["fit", "parameter", "why"], flags)


def _row(name: str, values: dict[str, Any]) -> list[str]:
    shown = [f"{100 * values[key]:.1f} %" for key in ("mape", "median", "p90", "bias")]
    tau = values["kendall_tau"]
    return [name, str(values["rows"]), *shown, "" if tau is None else f"{tau:.2f}"]
