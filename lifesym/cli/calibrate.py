"""``lifesym calibrate``: a device's efficiencies from its measurements."""

from collections.abc import Mapping
from typing import Any

from lifesym.calibration import load, usable
from lifesym.calibration.overlay import overlay, own_fit, shown
from lifesym.calibration.rates import named
from lifesym.cli.output import note, print_json, table, write
from lifesym.cli.validate import measurements
from lifesym.devices import database_name
from lifesym.errors import SpecError
from lifesym.extras import needed


def calibrate(options: Mapping[str, Any]) -> None:
    """The parameters of each phase with their intervals, and the spec that has them."""
    data, framework = options["data"], options["framework"]
    needed("scipy")
    base = database_name(options["on"])
    observations = [o for o in load(measurements(data))[0] if named(o.device) == base]
    if framework is not None:
        observations = [o for o in observations if framework.lower() in o.framework.lower()]
    rows, _ = usable(observations)
    if not len(rows):
        which = f" with {framework!r}" if framework else ""
        raise SpecError(f"{data}: no usable measurement of {base}{which}")
    own = own_fit(rows)
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
    said = ", ".join(f"{phase} {error:.1%}" for phase, error in report["mape"].items())
    note(f"mean error of the fit: {said}")
