"""``lifesym calibrate``: a device's efficiencies from its measurements."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lifesym.calibration import load, usable
from lifesym.calibration.overlay import overlay, own_fits
from lifesym.calibration.rates import named
from lifesym.cli.output import note, print_json, table, write
from lifesym.cli.validate import measurements
from lifesym.devices import database_name
from lifesym.errors import SpecError


def calibrate(options: Mapping[str, Any]) -> None:
    """The parameters of each phase with their intervals, and the spec that has them."""
    data, framework = options["data"], options["framework"]
    base = database_name(options["on"])
    rows = [o for o in usable(load(measurements(data))[0])[0] if named(o.device) == base]
    if framework is not None:
        rows = [o for o in rows if framework.lower() in o.framework.lower()]
    if not rows:
        which = f" with {framework!r}" if framework else ""
        raise SpecError(f"{data}: no usable measurement of {base}{which}")
    fits = own_fits(rows)
    model = Counter(o.model for o in rows).most_common(1)[0][0]
    if options["output"] is not None:
        sources = ", ".join(sorted({o.source for o in rows})).replace('"', "'")
        write(overlay(base, fits, model, sources), options["output"])
    if options["json"]:
        print_json({phase: one.report() for phase, one in fits.items()})
        return
    for phase, one in fits.items():
        report = one.report()
        body = [_row(name, report) for name in report["values"] if name not in one.unidentified]
        header = ["parameter", "unit", "remark", "value", "95 % from", "to"]
        table(f"{phase}: {one.rows} measurements of {base}", header, body, right=3)
        if one.unidentified:
            note(f"{phase}: not determined by these: {', '.join(one.unidentified)}")


def _row(name: str, report: dict[str, Any]) -> list[str]:
    interval = report["intervals"][name]
    ends = ["", ""] if interval is None else [f"{end:.3g}" for end in interval]
    value = f"{report['values'][name]:.3g}"
    return [name, report["units"][name], report["flags"].get(name, ""), value, *ends]
