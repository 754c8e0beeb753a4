"""``lifesym validate``: forecasts against measurements."""

from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lifesym.cli.options import Json
from lifesym.cli.output import note, print_json, table

Leave = Literal["device", "model"]
PHASES = ("decode", "prefill", "request")


def validate(
    data: Annotated[
        str, typer.Argument(metavar="CSV", help="Measurements; 'published' for the shipped ones.")
    ],
    fit: Annotated[
        str | None,
        typer.Option(metavar="CSV", help="Fit to these; else to CSV with each device left out."),
    ] = None,
    leave_out: Annotated[
        Leave, typer.Option(help="What a fit to CSV itself leaves out.")
    ] = "device",
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw forecast against measured: .png, .pdf or .svg."),
    ] = None,
    json: Json = False,
) -> None:
    """Compare forecasts with measured times; say how far they are off, and by what.

    The forecast is a closed form in a few physical parameters, fitted to the measurements most
    like each row (release, software, kind of device). Beside it stand the roofline with one
    efficiency and the bandwidth alone, fitted to the same rows.
    """
    from lifesym.calibration import load, usable  # noqa: PLC0415 (an extra, and slow to import)
    from lifesym.errors import SpecError  # noqa: PLC0415
    from lifesym.extras import needed  # noqa: PLC0415

    needed("scipy")  # before the fits that go without a device say so
    rows, unmapped = load(measurements(data))
    observations, unknown = usable(rows)
    left_aside = [{"line": item.row, "reason": item.reason} for item in unmapped]
    left_aside += [{"line": o.line, "phase": o.phase, "reason": why} for o, why in unknown]
    if not observations:
        why = left_aside[0]["reason"] if left_aside else "it has no rows"
        raise SpecError(f"{data}: no row can be compared: {why}")
    fitted = None if fit is None else usable(load(measurements(fit))[0])[0]
    found: dict[str, Any] = {}
    curves = {}
    for phase in PHASES:
        here = [o for o in observations if o.phase == phase]
        found[phase], curves[phase] = _phase(phase, here, fitted, leave_out)
    found["not_compared"] = left_aside
    if plot is not None:
        from lifesym.plots import accuracy, save  # noqa: PLC0415

        drawn = {phase: values for phase, values in curves.items() if values is not None}
        note(f"wrote {save(accuracy(drawn), plot)}")
    if json:
        print_json(found)
        return
    _print(found)
    note(f"{len(left_aside)} phases of rows were not compared; --json lists them with reasons")


def measurements(name: str) -> Path:
    """The file of measurements that a name or a path means."""
    from lifesym.specs import root  # noqa: PLC0415

    return root() / "measurements" / "published.csv" if name == "published" else Path(name)


def _phase(phase: Any, here: list[Any], fitted: list[Any] | None, leave: Leave) -> tuple[Any, Any]:
    """The figures of a phase, and its observations with their forecasts; None where it has none."""
    import numpy as np  # noqa: PLC0415

    from lifesym.calibration import Calibration, grouped, left_out, summary  # noqa: PLC0415
    from lifesym.calibration.accuracy import baselines  # noqa: PLC0415

    if not here:
        return {"rows": 0}, None
    key = attrgetter(leave)
    training = [o for o in (here if fitted is None else fitted) if o.phase == phase]
    if not training:
        note(f"nothing to fit {phase} to: its {len(here)} rows are not compared")
        return {"rows": 0}, None
    alone = fitted is None and len({key(o) for o in here}) < 2
    calibration = Calibration(phase, training)
    if fitted is None and not alone:
        seconds = left_out(phase, here, key, note)
    else:
        seconds = calibration.forecast(here)
    if alone:
        note(f"{phase}: only one {leave}, so the fit has seen what it forecasts")
    measured = np.array([o.seconds for o in here])
    result: dict[str, Any] = dict(summary(seconds, measured))
    result["in_sample"] = alone
    groups = {
        "by_device": lambda o: o.device,
        "by_class": lambda o: o.kind,
        "by_model": lambda o: o.model,
        "by_framework": lambda o: o.groups[1] if len(o.groups) > 2 else o.groups[0],
        "by_length": lambda o: _length(o.context or o.prompt),
    }
    for name, of in groups.items():
        result[name] = grouped(seconds, here, of)
    plain = baselines(here, None if fitted is None else training, None if alone else key)
    result["baselines"] = {name: summary(value, measured) for name, value in plain.items()}
    for o in here:
        calibration.fit(calibration.group(o))
    result["parameters"] = {name: one.report() for name, one in calibration.fits.items()}
    return result, (here, seconds)


def _length(tokens: float) -> str:
    for top in (512, 2048, 8192):
        if tokens <= top:
            return f"up to {top} tokens"
    return "longer"


def _print(found: dict[str, Any]) -> None:
    for phase in PHASES:
        result = found[phase]
        if not result["rows"]:
            continue
        rows = [_row("this forecast", result)]
        rows += [_row(name, values) for name, values in result["baselines"].items()]
        header = [phase, "rows", "MAPE", "median", "p90", "bias", "tau"]
        table(f"{phase}: forecast against measured", header, rows, right=6)
        for key in ("by_framework", "by_class", "by_length", "by_model", "by_device"):
            parts = [_row(name, values) for name, values in result[key].items()]
            table(f"{phase} {key.replace('_', ' ')}", header, parts, right=6)
        flags = [
            [name, parameter, reason]
            for name, one in result["parameters"].items()
            for parameter, reason in one["flags"].items()
        ]
        if flags:
            table(f"{phase}: parameters not to be believed", ["fit", "parameter", "why"], flags)


def _row(name: str, values: dict[str, Any]) -> list[str]:
    shown = [f"{100 * values[key]:.1f} %" for key in ("mape", "median", "p90", "bias")]
    tau = values["kendall_tau"]
    return [name, str(values["rows"]), *shown, "" if tau is None else f"{tau:.2f}"]
