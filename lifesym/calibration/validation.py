"""Forecasts of measured rows by fits that have not seen them, and how far off they are."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import numpy as np

from lifesym.calibration.accuracy import baselines, grouped, summary
from lifesym.calibration.formula import Rows
from lifesym.calibration.measurements import Phase
from lifesym.calibration.pooled import Calibration, left_out
from lifesym.intervals import half_width

PHASES: tuple[Phase, ...] = ("decode", "prefill", "request")
LEVEL = 0.9
"""Of the intervals whose coverage is counted."""


def validated(
    rows: Rows, fitted: Rows | Calibration | None, leave: str, note: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The figures of every phase, and its observations with their forecasts.

    Args:
        rows: what is forecast.
        fitted: what is fitted to, or a fit; the rows themselves unless given.
        leave: what a fit to those leaves out in turn: ``device`` or ``model``.
        note: is told what the figures do not say.
    """
    key = attrgetter(leave)
    if isinstance(fitted, Calibration):
        calibration = fitted
    else:
        calibration = Calibration.of(rows if fitted is None else fitted, note)
    keys = {key(o) for o in rows.observations}
    alone = fitted is None and len(keys) < 2
    if fitted is None and not alone:
        seconds, errors = left_out(rows, key, note, calibration)
        own = calibration.forecast(rows)
    else:
        own = seconds = calibration.forecast(rows)
        errors = calibration.errors(rows)
    if alone:
        note(f"only one {leave}, so the fit has seen what it forecasts")
    found: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    for phase in PHASES:
        here = [i for i, o in enumerate(rows.observations) if o.phase == phase]
        found[phase] = {"rows": 0}
        if not here:
            continue
        some = rows.take(here)
        trained = None
        if isinstance(fitted, Rows):
            same = [i for i, o in enumerate(fitted.observations) if o.phase == phase]
            if not same:
                note(f"nothing to fit {phase} to: its {len(here)} rows are forecast by the others")
            trained = fitted.take(same or range(len(fitted)))
        parts = (seconds[here], own[here], errors[here])
        found[phase] = _figures(some, parts, trained, None if alone else key)
        found[phase]["in_sample"] = alone
        curves[phase] = (some.observations, seconds[here])
    found["parameters"] = {place: one.report() for place, one in calibration.fits.items()}
    return found, curves


def flagged(parameters: Mapping[str, Any]) -> list[list[str]]:
    """The parameters of fits that are not to be believed, with the reason."""
    return [
        [name, parameter, reason]
        for name, one in parameters.items()
        for parameter, reason in one["flags"].items()
    ]


def _figures(rows: Rows, parts: Any, trained: Rows | None, key: Any) -> dict[str, Any]:
    seconds, own, errors = parts
    measured = np.array([o.seconds for o in rows.observations])
    found: dict[str, Any] = dict(summary(seconds, measured))
    found["own_fit"] = summary(own, measured)
    inside = np.abs(np.log(measured / seconds)) <= half_width(errors, LEVEL)
    found["coverage"] = {"level": LEVEL, "measured": float(inside.mean())}
    groups = {
        "by_device": lambda o: o.device,
        "by_class": lambda o: o.kind,
        "by_model": lambda o: o.model,
        "by_framework": lambda o: o.place if o.devices == 1 else f"{o.place}, several devices",
        "by_length": lambda o: _length(o.context or o.prompt),
    }
    for name, of in groups.items():
        found[name] = grouped(seconds, rows.observations, of)
    plain = baselines(rows, trained, key)
    found["baselines"] = {name: summary(value, measured) for name, value in plain.items()}
    return found


def _length(tokens: float) -> str:
    for top in (512, 2048, 8192):
        if tokens <= top:
            return f"up to {top} tokens"
    return "longer"
