"""Calibration on published measurements, and how well forecasts hold against them."""

from lifesym.calibration.accuracy import grouped, summary
from lifesym.calibration.fit import Fit, fit, fits, forecasts, left_out, usable
from lifesym.calibration.measurements import Observation, load

__all__ = [
    "Fit",
    "Observation",
    "fit",
    "fits",
    "forecasts",
    "grouped",
    "left_out",
    "load",
    "summary",
    "usable",
]
