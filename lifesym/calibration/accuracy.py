"""How good forecasts are: relative errors, bias, rank correlation, and two baselines."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lifesym.calibration.formula import Rows
from lifesym.calibration.measurements import Observation, gathered

Key = Callable[[Observation], str]
EQUAL = 1e-12
"""Relative difference below which two times are the same but for rounding."""


def summary(forecast: Any, measured: Any) -> dict[str, float | None]:
    """MAPE, median, 90th percentile and bias of relative errors, and Kendall's tau.

    Tau is None where fewer than three rows, or equal ones, leave nothing to rank.
    """
    errors = np.asarray(forecast) / np.asarray(measured) - 1
    size = np.abs(errors)
    ranked = len(errors) > 2 and len(set(measured)) > 1 and len(set(forecast)) > 1
    return {
        "rows": len(errors),
        "mape": float(size.mean()),
        "median": float(np.median(size)),
        "p90": float(np.quantile(size, 0.9)),
        "bias": float(errors.mean()),
        "kendall_tau": _tau(np.asarray(forecast), np.asarray(measured)) if ranked else None,
    }


def _tau(x: Any, y: Any) -> float:
    """Kendall's tau-b (Biometrika 33, 1945): concordant less discordant pairs, ties left out.

    As `scipy.stats.kendalltau` has it, which takes longer to import than this to compute.
    """
    agreeing, apart = 0.0, np.zeros(2)
    for i in range(1, len(x)):
        signs = np.stack([_above(x[i], x[:i]), _above(y[i], y[:i])])
        agreeing += signs[0] @ signs[1]
        apart += np.abs(signs).sum(axis=1)
    return float(agreeing / np.sqrt(apart[0] * apart[1]))


def _above(one: Any, others: Any) -> Any:
    """1 where a time is above others, -1 where below, 0 where they are the same."""
    more = one - others
    return np.where(np.abs(more) > EQUAL * one, np.sign(more), 0.0)


def grouped(
    forecast: Any, observations: Sequence[Observation], key: Callable[[Observation], str]
) -> dict[str, dict[str, float | None]]:
    """The same for each value of a key."""
    groups = gathered(observations, key)
    measured = np.array([o.seconds for o in observations])
    return {name: summary(forecast[rows], measured[rows]) for name, rows in sorted(groups.items())}


def baselines(rows: Rows, fitted: Rows | None, key: Key | None) -> dict[str, Any]:
    """The baselines' seconds, fitted to other rows, or to these with each key left out in turn.

    One efficiency is that of the roofline at the device's peaks, fitted to a median; bytes over the
    bandwidth need no fit, and prefills, which are not bound by it, have none.
    """
    seconds, measured = rows.at_peaks, np.array([o.seconds for o in rows.observations])
    if fitted is not None:
        others = np.array([o.seconds for o in fitted.observations])
        one = np.median(others / fitted.at_peaks) * seconds
    else:
        keys = np.array([key(o) if key else str(i) for i, o in enumerate(rows.observations)])
        one = np.empty(len(rows))
        for each in dict.fromkeys(keys):
            here = keys == each
            rest = ~here if key else np.ones(len(rows), dtype=bool)
            one[here] = np.median(measured[rest] / seconds[rest]) * seconds[here]
    found = {"one efficiency": one}
    if rows.observations[0].phase != "prefill":
        found["bandwidth alone"] = rows.streaming
    return found
