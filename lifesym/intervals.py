r"""Intervals of forecasts on a device whose numbers were fitted.

With the covariance $\Sigma$ of the logarithms of fitted numbers v, and s the error of times at
known numbers, the logarithm of a time T has the standard deviation

$$\sigma = w \sqrt{g^\top \Sigma\, g + s^2}, \qquad g_i = \frac{\partial \ln T}{\partial \ln v_i}$$

with w by which measured errors of devices that were left out of the fit are wider than that. An
interval of level p is $T e^{\pm z \sigma}$ with the normal quantile z of $(1 + p)/2$.
"""

from math import exp, sqrt
from statistics import NormalDist
from typing import Any

from lifesym import symbols as sym
from lifesym.errors import SpecError, SymbolError
from lifesym.hardware import Fit


def interval(form: Any, metric: str, level: float) -> tuple[float, float]:
    """The ends of an interval of a forecast's time.

    Args:
        form: the forecast.
        metric: ``ttft``, ``tpot`` (the mean) or ``latency``.
        level: the probability that the interval holds the measured time, as 0.9.

    Raises:
        SpecError: numbers of the device that were not fitted.
        SymbolError: a level that is no probability, or a forecast with symbols.
    """
    if not 0 < level < 1:
        raise SymbolError(f"level must be between 0 and 1, not {level}")
    device = form.hardware
    fit: Fit | None = device.fit
    if fit is None:
        raise SpecError(
            f"{device.name}: its efficiencies were not fitted: lifesym calibrate writes a device "
            "with intervals"
        )
    known = {symbol.name: symbol for symbol in form.point}
    names = [name for name in fit.parameters if name in known]
    opened = form.open(*names)
    expr = _time(opened, metric)
    if beside := expr.free_symbols - set(opened.point):
        raise SymbolError(f"an interval is of numbers: give {sym.ordered(beside)[0]}")
    time = float(expr.xreplace(opened.point))
    slopes = []
    for name in fit.parameters:
        symbol = known.get(name)
        slope = 0 if symbol is None else expr.diff(symbol).xreplace(opened.point)
        slopes.append(0.0 if symbol is None else float(slope * opened.point[symbol]) / time)
    spread = sum(
        a * b * number
        for a, row in zip(slopes, fit.covariance, strict=True)
        for b, number in zip(slopes, row, strict=True)
    )
    half = half_width(sqrt(spread + fit.error**2) * fit.wider[metric], level)
    return time * exp(-half), time * exp(half)


def half_width(deviation: Any, level: float) -> Any:
    """Half the width of the interval of a logarithm that has a standard deviation."""
    return NormalDist().inv_cdf((1 + level) / 2) * deviation


def _time(form: Any, metric: str) -> Any:
    if metric == "tpot":
        return form.tpot.mean.expr
    return getattr(form, metric).expr
