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
        "ttft_s": float(spec.ttft),
        "memory_bytes": whole(spec.memory.expr),
    }


def pipelined(forecast: "Forecast", stages: int, microbatches: int) -> dict[str, float]:
    """The same workload in a pipeline of equal stages.

    Raises:
        LifesymError: as `lifesym.serving.pipeline`.
    """
    from lifesym.errors import SpecError  # noqa: PLC0415
    from lifesym.serving import pipeline  # noqa: PLC0415

    layers = sum(s.count for s in forecast.model.bound if s.label not in ("embed", "head"))
    if stages > layers:
        raise SpecError(f"{stages} stages are more than the {layers} layers of the model")
    piped = pipeline(forecast, stages, microbatches)
    middle = {"past": forecast.past + forecast.prompt + forecast.generate // 2}
    return {
        "ttft_s": float(piped.ttft),
        "tpot_s": float(piped.tpot.bind(middle)),
        "bubble": float(piped.bubble),
        "memory_bytes": whole(piped.memory.expr),
    }


def continuous(forecast: "Forecast", slots: int) -> dict[str, float]:
    """Steps of continuous batching with so many slots.

    Raises:
        LifesymError: as `lifesym.serving.steady_state`.
    """
    from lifesym.serving import steady_state  # noqa: PLC0415

    state = steady_state(forecast, slots)
    return {
        "step_s": float(state.step),
        "tps": float(state.throughput),
        "requests_per_second": float(state.requests),
    }


def at_contexts(forecast: "Forecast", contexts: list[int]) -> dict[str, float]:
    """A decode step of one sequence at each of some contexts.

    Raises:
        LifesymError: as `lifesym.serving.step_at_contexts`.
    """
    from lifesym.serving import step_at_contexts  # noqa: PLC0415

    step = float(step_at_contexts(forecast, contexts))
    return {"step_s": step, "tps": len(contexts) / step}
