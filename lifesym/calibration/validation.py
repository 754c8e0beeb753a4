"""Forecasts of measured rows by fits that have not seen them, and how far off they are."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from lifesym.calibration.accuracy import baselines, grouped, summary
from lifesym.calibration.groups import Calibration, left_out
from lifesym.calibration.measurements import Observation


def compared(
    phase: Any,
    here: Sequence[Observation],
    fitted: Sequence[Observation] | None,
    leave: str,
    note: Callable[[str], None],
) -> tuple[dict[str, Any], Any]:
    """The figures of a phase, and its observations with their forecasts; None where it has none.

    Args:
        phase: the phase.
        here: its observations.
        fitted: observations that are fitted to; those of ``here`` themselves unless given.
        leave: what a fit to those leaves out in turn: ``device`` or ``model``.
        note: is told what the figures do not say.
    """
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
