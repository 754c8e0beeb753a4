"""Fits to groups of measurements that are alike, and forecasts of what a fit has not seen."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lifesym.calibration.features import columns, shared
from lifesym.calibration.fit import Fit, fit
from lifesym.calibration.measurements import Observation, Phase
from lifesym.errors import SpecError

ENOUGH = 20
"""Observations that a group needs for a fit of its own."""
FASTEST = 0.95
"""Of the time that memory traffic needs: figures of bandwidth and file size are rounded."""


class Calibration:
    """Fits of one phase, made when first asked for, each to the measurements of a group.

    Attributes:
        phase: what is forecast.
        fits: those made so far, by the group's name.
    """

    def __init__(self, phase: Phase, observations: Sequence[Observation]) -> None:
        self.phase = phase
        self.fits: dict[str, Fit] = {}
        self._rows: dict[str, list[Observation]] = {"all": []}
        for o in observations:
            for name in o.groups if o.phase == phase else ():
                self._rows.setdefault(name, []).append(o)

    def group(self, o: Observation) -> str:
        """The group most like an observation that has enough measurements, or ``all``."""
        large = (name for name in o.groups if len(self._rows.get(name, ())) >= ENOUGH)
        return next(large, "all")

    def fit(self, name: str) -> Fit:
        """The fit of a group.

        Raises:
            SpecError: no measurement of the phase.
        """
        if name not in self.fits:
            self.fits[name] = fit(self.phase, self._rows[name])
        return self.fits[name]

    def forecast(self, observations: Sequence[Observation]) -> Any:
        """Seconds for observations of the phase, each by the fit of the group most like it."""
        seconds = np.empty(len(observations))
        chosen = [self.group(o) for o in observations]
        for name in dict.fromkeys(chosen):
            here = [i for i, other in enumerate(chosen) if other == name]
            seconds[here] = self.fit(name).forecast([observations[i] for i in here])
        return seconds


def left_out(
    phase: Phase,
    observations: Sequence[Observation],
    key: Callable[[Observation], str],
    progress: Callable[[str], None] | None = None,
) -> Any:
    """Forecasts of every observation from fits to those with another key (another device).

    Raises:
        SpecError: every observation has the same key.
    """
    keys = [key(o) for o in observations]
    if len(set(keys)) < 2:
        raise SpecError(f"all {phase} measurements are of {keys[0]}: none is left to fit to")
    seconds = np.empty(len(observations))
    for each in dict.fromkeys(keys):
        if progress:
            progress(f"{phase}: without {each}")
        others = [o for o, k in zip(observations, keys, strict=True) if k != each]
        here = [i for i, k in enumerate(keys) if k == each]
        seconds[here] = Calibration(phase, others).forecast([observations[i] for i in here])
    return seconds


def usable(
    observations: Sequence[Observation],
) -> tuple[list[Observation], list[tuple[Observation, str]]]:
    """Those that can be forecast, and the others with the reason.

    A decode step or a request that took less time than its memory traffic needs at the full
    bandwidth of all its devices was not what its table says: such rows are left aside too.
    """
    good: list[Observation] = []
    bad: list[tuple[Observation, str]] = []
    for o in observations:
        try:
            parts = columns(o)
        except SpecError as error:
            bad.append((o, str(error)))
            continue
        needed = 0.0 if o.phase == "prefill" else sum(part.get("memory", 0.0) for part in parts)
        if o.seconds < FASTEST * needed * shared(o) / o.devices:
            bad.append((o, "faster than the memory's bandwidth allows: not as its table says"))
        else:
            good.append(o)
    return good, bad
