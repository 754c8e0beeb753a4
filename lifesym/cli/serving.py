"""What several forecasts together say: speculative decoding, pipelines."""

from typing import TYPE_CHECKING

from lifesym.cli.output import whole

if TYPE_CHECKING:
    from lifesym.inference import Forecast


def speculated(
    target: "Forecast", draft: "Forecast | None", tokens: int, acceptance: float
) -> dict[str, float]:
    """A speculative step at the context in the middle of the generation.

    Raises:
        SymbolError: as `lifesym.serving.speculate`.
    """
    from lifesym.serving import speculate  # noqa: PLC0415 (SymPy only where a command needs it)

    spec = speculate(target, draft, tokens, acceptance)
    middle = {"past": target.past + target.prompt + target.generate // 2}
    return {
        "tokens_per_step": float(spec.expected),
        "step_s": float(spec.step.bind(middle)),
        "tpot_s": float(spec.tpot.bind(middle)),
        "speedup": float(spec.speedup.bind(middle)),
    }


def pipelined(forecast: "Forecast", stages: int, microbatches: int) -> dict[str, float]:
    """The same workload in a pipeline of equal stages.

    Raises:
        LifesymError: as `lifesym.serving.pipeline`.
    """
    from lifesym.serving import pipeline  # noqa: PLC0415

    piped = pipeline(forecast, stages, microbatches)
    middle = {"past": forecast.past + forecast.prompt + forecast.generate // 2}
    return {
        "ttft_s": float(piped.ttft),
        "tpot_s": float(piped.tpot.bind(middle)),
        "bubble": float(piped.bubble),
        "memory_bytes": whole(piped.memory.expr),
    }
