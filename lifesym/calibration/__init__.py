"""Calibration on published measurements, and how well forecasts hold against them."""

from lifesym.calibration.accuracy import grouped, summary
from lifesym.calibration.fit import Fit, by_family, fit, left_out
from lifesym.calibration.measurements import Observation, load

__all__ = ["Fit", "Observation", "by_family", "fit", "grouped", "left_out", "load", "summary"]
