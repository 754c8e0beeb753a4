"""Calibration on published measurements, and how well forecasts hold against them."""

from lifesym.calibration.accuracy import grouped, summary
from lifesym.calibration.fit import Fit, fit
from lifesym.calibration.groups import Calibration, left_out, usable
from lifesym.calibration.measurements import Observation
from lifesym.calibration.tables import load

__all__ = [
    "Calibration",
    "Fit",
    "Observation",
    "fit",
    "grouped",
    "left_out",
    "load",
    "summary",
    "usable",
]
