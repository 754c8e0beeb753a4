"""Calibration on published measurements, and how well forecasts hold against them."""

from lifesym.calibration.accuracy import grouped, summary
from lifesym.calibration.formula import Rows, usable
from lifesym.calibration.log import fit_log
from lifesym.calibration.measurements import Observation
from lifesym.calibration.pooled import Calibration, Pooled, fit, left_out
from lifesym.calibration.tables import load

__all__ = [
    "Calibration",
    "Observation",
    "Pooled",
    "Rows",
    "fit",
    "fit_log",
    "grouped",
    "left_out",
    "load",
    "summary",
    "usable",
]
