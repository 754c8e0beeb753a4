"""``lifesym validate``: forecasts against measurements."""

from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lifesym.cli.options import Json
from lifesym.cli.output import note, print_json, table

Leave = Literal["device", "model"]


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
    json: Json = False,
) -> None:
    """Compare forecasts with measured times; say how far they are off, and by what.

    The forecast is a closed form in a few physical parameters, fitted for each kind of software.
    Baselines beside it: the roofline with one efficiency, and the bandwidth alone.
    """
    from lifesym.calibration import load  # noqa: PLC0415 (an extra, and slow to import)
    from lifesym.calibration.fit import usable  # noqa: PLC0415

    observations, unmapped = load(_path(data))
    chosen, unknown = usable(observations)
    reasons = [item.reason for item in unmapped] + [reason for _, reason in unknown]
    fitted = chosen if fit is None else usable(load(_path(fit))[0])[0]
    found = {
        phase: _phase(phase, chosen, None if fit is None else fitted, fitted, leave_out)
        for phase in ("decode", "prefill")
    }
    found["not_compared"] = {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}
    if json:
        print_json(found)
        return
    _print(found)
    note(f"{len(reasons)} phases of rows were not compared; --json lists why")


def _path(name: str) -> Path:
    from lifesym.specs import root  # noqa: PLC0415

    return root() / "measurements" / "published.csv" if name == "published" else Path(name)


def _phase(
    phase: Any, observations: list[Any], given: list[Any] | None, fitted: list[Any], leave: Leave
) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415

    from lifesym.calibration import by_family, grouped, left_out, summary  # noqa: PLC0415
    from lifesym.calibration.accuracy import bandwidth_only, one_efficiency  # noqa: PLC0415

    here = [o for o in observations if o.phase == phase]
    if not here:
        return {"rows": 0}
    training = [o for o in fitted if o.phase == phase]
    fits = by_family(phase, training)
    seconds = np.empty(len(here))
    for family in dict.fromkeys(o.family for o in here):
        rows = [i for i, o in enumerate(here) if o.family == family]
        own = [here[i] for i in rows]
        if given is None:
            key = attrgetter(leave)
            several = len({key(o) for o in own}) > 1
            seconds[rows] = left_out(phase, own, key) if several else fits["all"].forecast(own)
        else:
            seconds[rows] = fits.get(family, fits["all"]).forecast(own)
    measured = np.array([o.seconds for o in here])
    result: dict[str, Any] = summary(seconds, measured)
    result["by_device"] = grouped(seconds, here, lambda o: o.device)
    result["by_model"] = grouped(seconds, here, lambda o: o.model)
    result["by_framework"] = grouped(seconds, here, lambda o: o.family)
    result["by_length"] = grouped(seconds, here, lambda o: _length(o.context or o.prompt))
    baselines = {"one efficiency": one_efficiency(here, training)}
    if phase == "decode":
        baselines["bandwidth alone"] = bandwidth_only(here)
    result["baselines"] = {name: summary(value, measured) for name, value in baselines.items()}
    result["parameters"] = {
        name: {**one.parameters(), "unidentified": list(one.unidentified)}
        for name, one in fits.items()
    }
    return result


def _length(tokens: float) -> str:
    for top in (512, 2048, 8192):
        if tokens <= top:
            return f"up to {top} tokens"
    return "longer"


def _print(found: dict[str, Any]) -> None:
    for phase in ("decode", "prefill"):
        result = found[phase]
        if not result["rows"]:
            continue
        rows = [_row("this forecast", result)]
        rows += [_row(name, values) for name, values in result["baselines"].items()]
        header = [phase, "rows", "MAPE", "median", "p90", "bias", "tau"]
        table(f"{phase}: forecast against measured", header, rows, right=6)
        for key in ("by_framework", "by_length", "by_device"):
            parts = [_row(name, values) for name, values in result[key].items()]
            table(f"{phase} {key.replace('_', ' ')}", header, parts, right=6)


def _row(name: str, values: dict[str, float]) -> list[str]:
    shown = [f"{100 * values[key]:.1f} %" for key in ("mape", "median", "p90", "bias")]
    return [name, str(values["rows"]), *shown, f"{values['kendall_tau']:.2f}"]
