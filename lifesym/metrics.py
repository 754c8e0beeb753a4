"""Every metric, once: what can be derived, differentiated, designed, swept and exported.

A metric is asked of whatever is served: a plain forecast, a speculation, a pipeline. Where it has
no meaning there, asking for it says so. FLOPs and bytes are those of one forward pass of
`symbols.new` tokens after `symbols.past`, of a plain forecast.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sympy import Expr

from lifesym import symbols as sym
from lifesym.capacity import Fit
from lifesym.checks import checked
from lifesym.convnet import ConvForecast
from lifesym.cost import Cost
from lifesym.errors import SymbolError, one_of
from lifesym.inference import Forecast
from lifesym.results import Result
from lifesym.serving.server_step import ServerStep, server_step
from lifesym.timed import Timed

Plain = Forecast | ConvForecast
"""One pass of one model."""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        meaning: what it is, for help texts.
        of: the result for something that is served.
        generation: whether it depends on how many tokens are generated.
    """

    meaning: str
    of: Callable[[Any], Result]
    generation: bool = False


def _pass(name: str, unit: str, of: Callable[[Cost], Expr]) -> Callable[[Timed], Result]:
    """A count of one forward pass."""

    def count(form: Timed) -> Result:
        plain = _plain(form, name)
        cost = plain.counted.cost_at(plain.precision)
        return Result(name=name, unit=unit, expr=of(cost))

    return count


def _held(name: str, unit: str, of: Callable[[Plain], Expr]) -> Callable[[Timed], Result]:
    """A size of the model."""
    return lambda form: Result(name=name, unit=unit, expr=of(_plain(form, name)))


def _plain(form: Timed, name: str) -> Plain:
    if not isinstance(form, Plain):
        raise SymbolError(f"{name} is asked of a plain forecast: it is that of one model's pass")
    return form


def _fit(form: Timed, name: str) -> Fit:
    """What fits on the device of a forecast of a language model."""
    plain = _plain(form, name)
    if not isinstance(plain, Forecast):
        raise SymbolError(f"{plain.model.name} keeps no cache: it has no {name.replace('_', ' ')}")
    return Fit(forecast=plain)


def _server_step(form: Timed, name: str) -> ServerStep:
    """A pass of a server under the options of a forecast."""
    plain = _plain(form, name)
    if not isinstance(plain, Forecast):
        raise SymbolError(f"{plain.model.name} generates no tokens: it has no {name}")
    plain.generates()
    return server_step(plain)


def _weight_bytes(f: Plain) -> Expr:
    if isinstance(f, ConvForecast):
        return f.memory.expr
    return f.model.weight_bytes(f.precision.weights)


def _kv_bytes(f: Plain) -> Expr:
    if isinstance(f, ConvForecast):
        raise SymbolError(f"{f.model.name} is a convolutional network: it has no cache")
    return f.model.kv_bytes(sym.past, f.precision.kv, f.batch, f.cached_form)


METRICS: Mapping[str, Metric] = {
    "ttft": Metric("time to first token", lambda f: f.ttft),
    "tpot": Metric("time of a decode step at a context", lambda f: f.tpot),
    "tpot_first": Metric("time of the first decode step", lambda f: f.tpot.first),
    "tpot_last": Metric("time of the last decode step", lambda f: f.tpot.last, True),
    "tpot_mean": Metric("its mean over the generation", lambda f: f.tpot.mean, True),
    "step": Metric(
        "time of a server's pass: 'prefilled' prompt tokens beside 'decodes' sequences",
        lambda f: _server_step(f, "step").beginning,
    ),
    "step_memory": Metric(
        "bytes of weights and caches after such a pass",
        lambda f: _server_step(f, "step_memory").memory,
    ),
    "tps": Metric("generated tokens a second", lambda f: f.tps, True),
    "latency": Metric("end-to-end time of a request", lambda f: f.latency, True),
    "memory": Metric("bytes of weights and cache", lambda f: f.memory, True),
    "spare": Metric(
        "bytes of the capacity that are left, below 0 where it does not fit",
        lambda f: f.spare,
        True,
    ),
    "capacity": Metric(
        "peak bytes, activations included", lambda f: _plain(f, "capacity").capacity, True
    ),
    "sequences": Metric(
        "sequences whose caches fit", lambda f: _fit(f, "sequences").sequences, True
    ),
    "cached_tokens": Metric(
        "cached tokens that fit", lambda f: _fit(f, "cached_tokens").tokens, True
    ),
    "energy": Metric("joules at the stated power over the latency", lambda f: f.energy, True),
    "tokens_per_joule": Metric("generated tokens a joule", lambda f: f.tokens_per_joule, True),
    "cost": Metric("price of a million generated tokens", lambda f: f.cost(), True),
    "flops": Metric(
        "matrix FLOPs of a pass", _pass("flops", "FLOP", lambda cost: cost.matmul_flops)
    ),
    "vector_flops": Metric(
        "elementwise FLOPs of a pass",
        _pass("vector_flops", "FLOP", lambda cost: cost.vector_flops),
    ),
    "bytes": Metric("bytes that a pass moves", _pass("bytes", "byte", lambda cost: cost.bytes)),
    "activation_bytes": Metric(
        "bytes of activations that a pass moves",
        _pass(
            "activation_bytes",
            "byte",
            lambda cost: cost.activation_read_bytes + cost.activation_write_bytes,
        ),
    ),
    "cache_bytes": Metric(
        "bytes of the KV cache that a pass moves",
        _pass("cache_bytes", "byte", lambda cost: cost.kv_read_bytes + cost.kv_write_bytes),
    ),
    "intensity": Metric(
        "FLOPs a byte of a pass",
        _pass("intensity", "FLOP/byte", lambda cost: cost.arithmetic_intensity),
    ),
    "weight_bytes": Metric(
        "bytes of the weights as stored", _held("weight_bytes", "byte", _weight_bytes)
    ),
    "kv_bytes": Metric("bytes of the cache of past tokens", _held("kv_bytes", "byte", _kv_bytes)),
    "parameters": Metric(
        "learned values", _held("parameters", "parameters", lambda f: f.model.parameters)
    ),
}
"""Metrics by name."""


@checked
def measure(form: Timed, metric: str) -> Result:
    """A metric of something that is served.

    Raises:
        SymbolError: an unknown metric, or one that has no meaning there.
        SpecError: what it takes is not known of the device.
    """
    one_of(metric, METRICS, "metric")
    return METRICS[metric].of(form)
