"""``lifesym calibrate``: a device's efficiencies from its measurements."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lifesym.cli.options import HardwareName, Json
from lifesym.cli.output import note, print_json, table
from lifesym.cli.validate import measurements


def calibrate(
    data: Annotated[
        str, typer.Argument(metavar="CSV", help="Measurements; 'published' for the shipped ones.")
    ],
    on: HardwareName,
    framework: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this software, e.g. 'llama.cpp'.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write a hardware spec.")
    ] = None,
    json: Json = False,
) -> None:
    """Fit a device's efficiencies and launch times to its measurements, with intervals.

    The spec that is written extends the device of the database: use it as any other device, as in
    lifesym forecast MODEL --on FILE.
    """
    from collections import Counter  # noqa: PLC0415

    from lifesym.calibration import load, usable  # noqa: PLC0415 (an extra, and slow to import)
    from lifesym.calibration.overlay import overlay, own_fits  # noqa: PLC0415
    from lifesym.calibration.rates import named  # noqa: PLC0415
    from lifesym.devices import database_name  # noqa: PLC0415
    from lifesym.errors import SpecError  # noqa: PLC0415

    base = database_name(on)
    rows = [o for o in usable(load(measurements(data))[0])[0] if named(o.device) == base]
    if framework is not None:
        rows = [o for o in rows if framework.lower() in o.framework.lower()]
    if not rows:
        which = f" with {framework!r}" if framework else ""
        raise SpecError(f"{data}: no usable measurement of {base}{which}")
    fits = own_fits(rows)
    model = Counter(o.model for o in rows).most_common(1)[0][0]
    if output is not None:
        sources = ", ".join(sorted({o.source for o in rows})).replace('"', "'")
        _write(output, overlay(base, fits, model, sources))
        note(f"wrote {output}")
    if json:
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


def _write(path: Path, text: str) -> None:
    from lifesym.errors import SpecError  # noqa: PLC0415

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise SpecError(f"{path}: {problem.strerror}") from None
