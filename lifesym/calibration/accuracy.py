"""How good forecasts are: relative errors, bias, rank correlation, and two baselines."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lifesym.calibration.features import EFFICIENCIES, NAMES, predict
from lifesym.calibration.fit import matrix
from lifesym.calibration.measurements import Observation
from lifesym.extras import needed


def summary(forecast: Any, measured: Any) -> dict[str, float | None]:
    """MAPE, median, 90th percentile and bias of relative errors, and Kendall's tau.

    Tau is None where fewer than three rows, or equal ones, leave nothing to rank.
    """
    kendalltau = needed("scipy.stats").kendalltau

    errors = np.asarray(forecast) / np.asarray(measured) - 1
    size = np.abs(errors)
    ranked = len(errors) > 2 and len(set(measured)) > 1 and len(set(forecast)) > 1
    return {
        "rows": len(errors),
        "mape": float(size.mean()),
        "median": float(np.median(size)),
        "p90": float(np.quantile(size, 0.9)),
        "bias": float(errors.mean()),
        "kendall_tau": float(kendalltau(forecast, measured).statistic) if ranked else None,
    }


def grouped(
    forecast: Any, observations: Sequence[Observation], key: Callable[[Observation], str]
) -> dict[str, dict[str, float | None]]:
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
    """The roofline over one efficiency, fitted to the median of some observations."""
    ratio = np.median(np.array([o.seconds for o in fitted]) / roofline(fitted))
    return ratio * roofline(observations)


def bandwidth_only(observations: Sequence[Observation]) -> Any:
    """Bytes over the bandwidth, without any fit; prefills, which are not bound by it, have none."""
    phase = observations[0].phase
    factors = matrix(phase, observations)
    return factors[..., NAMES[phase].index("memory")].sum(axis=1)


def baselines(
    observations: Sequence[Observation],
    fitted: Sequence[Observation] | None,
    key: Callable[[Observation], str] | None,
) -> dict[str, Any]:
    """The baselines' seconds: fitted to other rows, or to these with each key left out in turn."""
    if fitted is not None or key is None:
        one = one_efficiency(observations, fitted or observations)
    else:
        one = np.empty(len(observations))
        keys = [key(o) for o in observations]
        for each in dict.fromkeys(keys):
            here = [i for i, k in enumerate(keys) if k == each]
            others = [o for o, k in zip(observations, keys, strict=True) if k != each]
            one[here] = one_efficiency([observations[i] for i in here], others)
    found = {"one efficiency": one}
    if observations[0].phase != "prefill":
        found["bandwidth alone"] = bandwidth_only(observations)
    return found
