"""Rows of the measurements that come with lifesym, beside their forecasts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from base import Number

import lifesym as ls
from lifesym.calibration import Observation, load, usable
from lifesym.calibration.rates import hardware
from lifesym.calibration.shipped import shipped
from lifesym.specs import root


@dataclass(frozen=True)
class Compared:
    """A measured time and the forecast of it.

    Attributes:
        row: what was measured.
        fitted: seconds with the calibration that comes with lifesym, which has seen the row.
    """

    row: Observation
    fitted: float

    def forecast(self, *, typical: bool) -> float:
        """Seconds at the device's peaks, or at what devices of its class attain."""
        row, device = self.row, hardware(self.row)
        made = ls.forecast(
            ls.load_model(row.model),
            ls.typical(device) if typical else device,
            int(row.prompt),
            int(row.generate),
            int(row.batch),
            tensor_parallel=row.devices // row.pipeline,
            weights="fp16",
        )
        return float(made.latency)


@cache
def compared(source: str) -> tuple[Compared, ...]:
    """The rows of a source, in its order."""
    path = root() / "measurements" / "published.csv"
    found = [row for row in load(path)[0] if source in row.source]
    rows, _ = usable(found)
    seconds = shipped().forecast(rows)
    return tuple(map(Compared, rows.observations, map(float, seconds)))


def number(
    each: Compared, work: str, where: str, what: Callable[[Observation], str], within: float
) -> Number:
    """A measured time as the gallery has it."""
    return Number(
        work=work,
        where=where,
        what=f"{what(each.row)} (s)",
        published=each.row.seconds,
        mine=lambda: each.fitted,
        within=within,
        reason="a measured time; the forecast has the calibration that comes with lifesym",
    )
