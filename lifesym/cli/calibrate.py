"""``lifesym calibrate``: a device's efficiencies from its measurements."""

from collections.abc import Mapping
from typing import Any

from lifesym.calibration import load
from lifesym.calibration.overlay import overlay, own_fit, shown
from lifesym.calibration.shipped import SHIPPED, measurements
from lifesym.cli.output import note, print_json, write
from lifesym.devices import database_name
from lifesym.extras import needed
from lifesym.report.terminal import table


def calibrate(options: Mapping[str, Any]) -> None:
    """The parameters of each phase with their intervals, and the spec that has them."""
    data = options["data"]
    needed("scipy")
    base = database_name(options["on"])
    measured = None if data == SHIPPED else load(measurements(data))[0]
    own = own_fit(base, measured, options["framework"])
    report = own.report()
    for other, count in own.left.items():
        note(f"not fitted to {count} rows of {other}: --framework chooses")
    if options["output"] is not None:
        write(overlay(base, own), options["output"])
    if options["json"]:
        print_json(report)
        return
    header = ["parameter", "unit", "remark", "value", "95 % from", "to"]
    table(
        f"{base} with engine {report['engine']}: {report['rows']} rows",
        header,
        shown(report),
        right=3,
    )
    note(own.source)
    if said := ", ".join(f"{phase} {error:.1%}" for phase, error in report["mape"].items()):
        note(f"mean error of the fit: {said}")
