"""How good forecasts are: relative errors, bias, rank correlation, and two baselines."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lifesym.calibration.features import EFFICIENCIES, NAMES, predict
from lifesym.calibration.fit import matrix
from lifesym.calibration.measurements import Observation


def summary(forecast: Any, measured: Any) -> dict[str, float]:
    """MAPE, median, 90th percentile and bias of relative errors, and Kendall's tau."""
    from scipy.stats import kendalltau  # noqa: PLC0415 (an extra)

    errors = np.asarray(forecast) / np.asarray(measured) - 1
    size = np.abs(errors)
    tau = kendalltau(forecast, measured).statistic if len(errors) > 2 else float("nan")
    return {
        "rows": len(errors),
        "mape": float(size.mean()),
        "median": float(np.median(size)),
        "p90": float(np.quantile(size, 0.9)),
        "bias": float(errors.mean()),
        "kendall_tau": float(tau),
    }


def grouped(
    forecast: Any, observations: Sequence[Observation], key: Callable[[Observation], str]
) -> dict[str, dict[str, float]]:
    """The same for each value of a key."""
    groups: dict[str, list[int]] = {}
    for i, o in enumerate(observations):
        groups.setdefault(key(o), []).append(i)
    measured = np.array([o.seconds for o in observations])
    return {name: summary(forecast[rows], measured[rows]) for name, rows in sorted(groups.items())}


def roofline(observations: Sequence[Observation]) -> Any:
    """Seconds at the device's peaks: the longer of memory and compute, in each part."""
    phase = observations[0].phase
    perfect = [float(name in EFFICIENCIES) for name in NAMES[phase]]
    return predict(phase, matrix(phase, observations), np.array(perfect))


def one_efficiency(observations: Sequence[Observation], fitted: Sequence[Observation]) -> Any:
    """A baseline: the roofline over one efficiency, fitted to the median."""
    ratio = np.median(np.array([o.seconds for o in fitted]) / roofline(fitted))
    return ratio * roofline(observations)


def bandwidth_only(observations: Sequence[Observation]) -> Any:
    """A baseline without any fit: bytes over the bandwidth."""
    phase = observations[0].phase
    factors = matrix(phase, observations)
    return factors[..., NAMES[phase].index("memory")].sum(axis=1)
