"""What several forecasts together say: speculation, pipelines, shared passes, two devices."""

import re
from typing import TYPE_CHECKING, Any

from lifesym.cli.output import whole
from lifesym.cli.pipeline import pipelined

if TYPE_CHECKING:
    from lifesym.cli.setting import Setting
    from lifesym.inference import Forecast
    from lifesym.serving import Group

_GROUP = re.compile(r"([1-9]\d{0,14})x([1-9]\d{0,14})@(\d{1,15})(?::(last|all|none))?", re.ASCII)


def served(setting: "Setting", forecast: "Forecast") -> dict[str, Any]:
    """The answers to everything that was asked beside the forecast, by section.

    Raises:
        LifesymError: what the questions raise.
    """
    options, data = setting.options, dict[str, Any]()
    if options["draft"] is not None:
        data["speculative"] = speculated(setting, forecast)
    if options["pipeline"] is not None or options["stages_on"] is not None:
        data["pipeline"] = pipelined(setting, forecast)
    if options["slots"] is not None:
        data["continuous"] = continuous(forecast, options["slots"])
    if options["contexts"] is not None:
        data["contexts"] = at_contexts(forecast, _contexts(options["contexts"]))
    if options["mixed"] is not None:
        data["mixed"] = mixed(forecast, _groups(options["mixed"]))
    if options["piggyback"] is not None:
        data["piggyback"] = carried(forecast, options["piggyback"], options["piggyback_context"])
    if options["hit_rate"] is not None:
        data["prefix_cache"] = cached(setting)
    if options["decode_on"] is not None:
        data["disaggregated"] = disaggregated(setting, forecast)
    if options["price"] is not None:
        data["cost_per_million_tokens"] = float(forecast.cost(options["price"]))
    return data


def speculated(setting: "Setting", target: "Forecast") -> dict[str, float]:
    """A speculative step and its time per token, as means over the generation."""
    from lifesym.serving import (  # noqa: PLC0415 (SymPy only where a command needs it)
        conditional,
        speculate,
    )

    target.generates()
    names = ("acceptance", "accepted_rate", "tokens_per_step")
    accepted: dict[str, Any] = {
        name: setting.options[name] for name in names if setting.options[name] is not None
    }
    tokens, rates = setting.options["draft_tokens"], setting.options["position_rates"]
    if rates is not None:
        accepted["position_rates"] = _rates(rates)
        tokens = len(accepted["position_rates"]) if tokens is None else tokens
    tokens = 4 if tokens is None else tokens
    spec = speculate(target, setting.draft(), tokens, **(accepted or {"acceptance": 0.8}))
    tpot = float(spec.tpot)
    return {
        "tokens_per_step": float(spec.expected),
        "accepted_rate": float((spec.expected - 1) / tokens),
        "acceptance": float(conditional(tokens, spec.expected)),
        "step_s": tpot * float(spec.expected),
        "tpot_s": tpot,
        "speedup": float(target.tpot) / tpot,
        "ttft_s": float(spec.ttft),
        "memory_bytes": whole(spec.memory.expr),
    }


def continuous(forecast: "Forecast", slots: int) -> dict[str, float]:
    """Steps of continuous batching with so many slots."""
    from lifesym.serving import steady_state  # noqa: PLC0415

    state = steady_state(forecast, slots)
    return {
        "step_s": float(state.tpot),
        "tps": float(state.tps),
        "requests_per_second": float(state.requests),
    }


def at_contexts(forecast: "Forecast", contexts: list[int]) -> dict[str, float]:
    """A decode step of one sequence at each of some contexts."""
    from lifesym.serving import at_contexts as served_at  # noqa: PLC0415

    step = served_at(forecast, contexts)
    return {"step_s": float(step.tpot), "tps": float(step.tps)}


def mixed(forecast: "Forecast", groups: "list[Group]") -> dict[str, float]:
    """One pass over sequences of several shapes, and the prompt and generated tokens of it."""
    from lifesym.serving import mixed_step  # noqa: PLC0415

    return {
        "step_s": float(mixed_step(forecast, groups)),
        "tokens": int(sum(group.batch * group.new for group in groups)),
    }


def carried(forecast: "Forecast", decodes: int, context: int | None) -> dict[str, float]:
    """The prefill of a prompt whose passes each carry decode tokens of other sequences."""
    from lifesym.serving import piggyback  # noqa: PLC0415

    both = piggyback(forecast, decodes, context)
    ttft = float(both.ttft)
    return {
        "ttft_s": ttft,
        "slowdown": ttft / float(forecast.ttft),
        "passes": int(both.chunks.before) + 1,
        "tpot_s": float(both.tpot),
    }


def cached(setting: "Setting") -> dict[str, float]:
    """The mean over requests that find their prefix cached and others."""
    from lifesym.serving import prefix_hits  # noqa: PLC0415

    plain = setting.forecast(prefix=None)
    hits = prefix_hits(plain, setting.options["prefix"], setting.options["hit_rate"])
    return {"ttft_s": float(hits.ttft), "latency_s": float(hits.latency)}


def disaggregated(setting: "Setting", prefill: "Forecast") -> dict[str, float]:
    """Prefill on one device and decode on another, with the cache sent between them."""
    from lifesym.serving import disaggregate  # noqa: PLC0415

    options = setting.options
    decode = setting.forecast(setting.device(options["decode_on"]))
    split = disaggregate(
        prefill, decode, options["transfer_bandwidth"], options["transfer_latency"]
    )
    return {
        "ttft_s": float(split.ttft),
        "transfer_s": float(split.transfer),
        "tpot_s": float(decode.tpot),
        "latency_s": float(split.latency),
        "prefill_per_decode_device": float(split.ratio),
    }


def _rates(text: str) -> list[float]:
    """Rates by position, such as ``0.8,0.6,0.45``."""
    from lifesym.errors import SpecError  # noqa: PLC0415

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise SpecError(f"--position-rates: {text!r} is not a list of numbers") from None


def _contexts(text: str) -> list[int]:
    from lifesym.errors import SpecError  # noqa: PLC0415

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and part.isascii() and len(part) <= 15 for part in parts):
        raise SpecError(f"--contexts: {text!r} is not a list of whole numbers")
    return [int(part) for part in parts]


def _groups(text: str) -> "list[Group]":
    """Groups such as ``31x1@2000,1x512@0:none``: sequences, new tokens, cached ones, logits."""
    from lifesym.errors import SpecError  # noqa: PLC0415
    from lifesym.serving import Group  # noqa: PLC0415

    groups = []
    for part in map(str.strip, text.split(",")):
        match = _GROUP.fullmatch(part)
        if match is None:
            raise SpecError(f"--mixed: {part!r} is not BxN@T, with :none, :last or :all at most")
        batch, new, past = map(int, match.groups()[:3])
        logits: Any = match[4] or "last"
        groups.append(Group(batch=batch, new=new, past=past, logits=logits))
    return groups
