"""Means over the decode steps of a generation, of what several forecasts give together."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifesym.inference import Forecast
    from lifesym.results import Result


def mean_step(step: "Result", forecast: "Forecast") -> float:
    """The mean of a formula in the context over the contexts of the forecast's decode steps.

    Every step is evaluated, all of them at once, since pipelines have no closed sum.
    """
    import numpy as np  # noqa: PLC0415 (only where a command needs it)

    from lifesym import symbols as sym  # noqa: PLC0415
    from lifesym.codegen import compile  # noqa: PLC0415

    if sym.past not in step.expr.free_symbols:  # a recurrent model's
        return float(step)
    first = int(forecast.tpot.start)
    contexts = np.arange(first, first + int(forecast.tpot.steps))
    return float(np.mean(compile(step, [sym.past])(contexts)))
