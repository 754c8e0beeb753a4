"""The forecast of a measured row, with the fitted numbers of its device as symbols.

Rows of one model, engine and phase have one formula: `lifesym.forecast`'s, with the workload, the
device's rates, the bits of a stored weight, the numbers of devices and stages and the parameters
(`parameters.PARAMETERS`) as symbols. So are the sizes of models that differ in them alone. It is
derived once, and all formulas of a table are compiled together, as most of their operators are the
same. So are the memory and compute times of its terms, which are linear in the parameters or their
inverses: fits have its exact derivatives at little cost.

A decode step is the TPOT at its context, a prefill the TTFT, a request the latency. A batch whose
cache does not fit into nine tenths of the memory is computed in turns. llama.cpp gives each of
several devices some layers, one after another, so that a step takes as long as on one. Other
software cuts a batch into as many microbatches as a pipeline has stages, or sequences it has itself
(TensorRT-LLM's `GptSession::MicroBatchConfig` does so unless told otherwise).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
from sympy import Add, Expr, Integer, Sum

from lifesym import symbols as sym
from lifesym.calibration.measurements import Observation, Phase, gathered
from lifesym.calibration.parameters import GROWS, NAMES, factors
from lifesym.calibration.parameters import numbers as fitted_numbers
from lifesym.calibration.rates import backend, hardware
from lifesym.codegen import Compiled
from lifesym.codegen import compile as compiled
from lifesym.codegen.inputs import symbols_of
from lifesym.codegen.program import chosen
from lifesym.errors import SpecError
from lifesym.forecasting import forecast
from lifesym.formats import Format, load_format
from lifesym.hardware import Hardware
from lifesym.huggingface import load_model
from lifesym.roofline import Term
from lifesym.serving import pipeline
from lifesym.specs import names
from lifesym.sums import SumMax

COMPUTED = load_format("fp16")
"""What the measured software computes in, unless its name says fp8."""
CACHE_SHARE = 0.9
"""Of a device's memory, for weights and cache: the default of vLLM and of TensorRT-LLM."""
NEVER_WAITED_FOR = 1e30
"""A peak that stands in for one that is not known."""
_ON = ("layer_time", "sampling_time", "score_time", "dequantization_rate")
ENGINES = {
    "llama.cpp": "llama.cpp",
    "vllm": "vllm",
    "tensorrt-llm": "tensorrt-llm",
    "fastertransformer": "tensorrt-llm",
    "transformers": "sdpa",
    "autoawq": "sdpa",
    "fastflowlm": "fastflowlm",
}
"""The engine of each kind of software; `USUAL_ENGINE` of others."""
USUAL_ENGINE = "vllm"
FUSED_SINCE = "2025-09"
"""llama-bench fuses attention unless told otherwise since this month, and did not before."""

HANDED_ON_SINCE = "2024-03"
"""llama.cpp's devices compute the chunks of a prompt at the same time since its pull request 6017,
of that month."""


class Kind(NamedTuple):
    """What rows of one formula have in common.

    Attributes:
        model: the model, or the first of those that differ from it in sizes alone.
        lifted: whether its sizes are symbols.
        engine: the engine.
        phase: what is measured.
        quantized: whether weights are stored in fewer bits than are computed with.
        computed: the format that is computed in.
        kv_bits: of a cached value.
        split: whether several devices compute each layer together.
        experts: devices that split the experts.
        cut: whether a pipeline has several stages.
        microbatches: those of its batch.
        chunked: whether the prompt is computed in chunks of a length of the row's own.
    """

    model: str
    lifted: bool
    engine: str
    phase: Phase
    quantized: bool
    computed: str
    kv_bits: float
    split: bool
    experts: int
    cut: bool
    microbatches: int
    chunked: bool


class Formula(NamedTuple):
    """The forecast of a kind, compiled.

    Attributes:
        seconds: the time.
        sides: of the prefill, or the step, and of the steps of a request: the memory and compute
            times of each term, two by two, and at last the sum of what is in no maximum.
        plain: whether the time is the sum of these: no sum over chunks or steps has maxima that
            may change sides within it, and there is no pipeline.
    """

    seconds: Compiled
    sides: tuple[Compiled, ...]
    plain: bool


def kind(o: Observation, shared: Mapping[str, str] | None = None) -> Kind:
    """The kind of a row, where models share formulas as `alike` says."""
    like = (shared or {}).get(o.model)
    computed = "fp8" if o.bits == 8 and "fp8" in o.framework.lower() else COMPUTED.name
    return Kind(
        model=like or o.model,
        lifted=like is not None,
        engine=engine(o),
        phase=o.phase,
        quantized=o.quantized,
        computed=computed,
        kv_bits=o.kv_bits,
        split=together(o) > 1,
        experts=o.experts,
        cut=stages(o) > 1,
        microbatches=min(o.pipeline, o.batch),
        chunked=o.chunk > 0 and o.phase != "decode",
    )


def alike(models: Iterable[str]) -> dict[str, str]:
    """Models that differ in sizes alone, by the first one of them.

    Those that are like no other are left out: formulas in numbers are derived sooner.
    """
    found: dict[Any, list[str]] = {}
    for name in dict.fromkeys(models):
        found.setdefault(load_model(name).sections, []).append(name)
    return {name: same[0] for same in found.values() if len(same) > 1 for name in same}


@cache
def _sizes(model: str) -> dict[str, float]:
    """A model's sizes, by symbol."""
    return {symbol.name: float(value) for symbol, value in load_model(model).values.items()}


def engine(o: Observation) -> str:
    """The engine of a row: that of its software, its back end, and its attention."""
    name = ENGINES.get(o.software, USUAL_ENGINE)
    if name == "llama.cpp" and not _fused(o):
        name = "llama.cpp-unfused"
    own = f"{name}-{backend(o.framework, o.device).lower()}"
    return own if own in names("engines") else name


def _fused(o: Observation) -> bool:
    return o.released >= FUSED_SINCE if o.flash is None else o.flash


def together(o: Observation) -> int:
    """Devices that compute each layer together."""
    return 1 if o.software == "llama.cpp" else o.devices // o.pipeline // o.experts


def stages(o: Observation) -> int:
    """Groups of such devices that hand on a batch, or the chunks of a prompt, by some layers."""
    layers = o.software == "llama.cpp" and o.split == "layer" and o.phase != "decode"
    return o.devices if layers and o.released >= HANDED_ON_SINCE else o.pipeline


@cache
def symbolic() -> Hardware:
    """The device that formulas are derived for: all that is fitted, and its rates, as symbols."""
    parts = ("cache.memory", "attention.compute")
    return Hardware.symbolic(*_ON, *parts, "multiprocessors")


_FORMULAS: dict[Kind, Formula] = {}
"""Those that have been compiled."""


def formulas(kinds: Iterable[Kind]) -> Mapping[Kind, Formula]:
    """The compiled forecasts of some kinds, and of others before.

    New ones are compiled together: their operators are the same for the most part.
    """
    derived = {of: _derived(of) for of in kinds if of not in _FORMULAS}
    exprs = list(dict.fromkeys(e for parts in derived.values() for part in parts for e in part))
    if exprs:
        whole = compiled(exprs, sorted(symbol.name for symbol in symbols_of(exprs)))
        number = {expr: i for i, expr in enumerate(exprs)}
        for of, ((time,), *sides) in derived.items():
            seconds = replace(_chosen(whole, [number[time]]), single=True)
            plain = not of.cut and not time.has(Sum, SumMax)
            functions = (_chosen(whole, [number[expr] for expr in part]) for part in sides)
            _FORMULAS[of] = Formula(seconds, tuple(functions), plain)
    return _FORMULAS


def _derived(of: Kind) -> tuple[tuple[Expr, ...], ...]:
    """The time of a kind, then the sides of its prefill or step, and of a request's steps."""
    served = _forecast(of._replace(cut=False, microbatches=1))
    if of.cut:
        chunks = of.engine.startswith("llama.cpp")
        served = pipeline(served, sym.stages, of.microbatches, by_chunk=chunks)
    if of.phase == "decode":
        time, parts = served.tpot, [served.step_terms]
    elif of.phase == "prefill":
        time, parts = served.ttft, [served.prefill_terms]
    else:
        time, parts = served.latency, [served.prefill_terms, served.step_terms]
    return ((time.expr,), *map(_sides, parts))


def _sides(terms: tuple[Term, ...]) -> tuple[Expr, ...]:
    """The sides of the terms' maxima, and the sum of what is in none."""
    pairs = (side for term in terms for side in (term.memory, term.compute))
    return (*pairs, Add(*(term.dispatch + term.network for term in terms)))


def _chosen(whole: Compiled, numbers: Sequence[int]) -> Compiled:
    """The function of some of several results alone."""
    program, places = chosen(whole.program, numbers)
    return replace(whole, program=program, names=tuple(whole.names[place] for place in places))


@cache
def _forecast(of: Kind) -> Any:
    """The forecast of a kind before its pipeline; its passes are derived once, whatever that is."""
    stored: Any = of.computed
    if of.quantized and of.computed == COMPUTED.name:
        stored = Format(name="stored", bits=sym.weight_bits, group_size=Integer(32))
    cached: Any = COMPUTED if of.kv_bits >= 15 else "fp8"
    given: dict[str, Any] = {"weights": stored, "activations": of.computed, "kv": cached}
    given |= {"engine": of.engine, "batch": sym.batch}
    if of.chunked:
        given["chunk"] = sym.chunk
    if of.split:
        given |= {"tensor_parallel": sym.devices, "all_reduce": "halving_doubling"}
    if of.experts > 1:
        given["expert_parallel"] = of.experts
    if of.phase == "decode":
        given |= {"prompt": 1, "generate": 2}
    elif of.phase == "prefill":
        given |= {"past": sym.past, "generate": 1}
    else:
        given["generate"] = sym.generated
    model = load_model(of.model)
    return forecast(model.lift(*model.values) if of.lifted else model, symbolic(), **given)


def numbers(o: Observation) -> dict[str, float]:
    """The workload and the device's rates of a row, by symbol.

    Raises:
        SpecError: a bandwidth or a peak that is not known.
    """
    device = hardware(o)
    work: dict[str, float] = {"prompt": o.prompt, "past": o.past}
    if o.phase == "decode":
        work = {"past": o.context}
    elif o.phase == "request":
        work = {"prompt": o.prompt, "generated": o.generate, "steps": o.generate - 1}
        work["past"] = o.prompt + (o.generate - 2) / 2  # of the mean step
    peak, elementwise = _peaks(o, device)
    return {
        **_sizes(o.model),
        **{name: float(number) for name, number in work.items()},
        "batch": o.batch / turns(o),
        "chunk": o.chunk,
        "devices": together(o),
        "stages": stages(o),
        "weight_bits": o.bits,
        "bandwidth": float(device.bandwidth),
        "peak": peak,
        "vector_peak": elementwise,
        "link_bandwidth": float(device.link_bandwidth or 0),
        "multiprocessors": float(device.multiprocessors or 1),
        "dispatch_time": 0.0,
    }


def _peaks(o: Observation, device: Hardware) -> tuple[float, float]:
    """The peaks of products and of elementwise work.

    A decode step of one sequence is forecast without any too: it does not wait for them.

    Raises:
        SpecError: none is known.
    """
    computed = load_format(kind(o).computed)
    try:
        if not device.computes(computed):
            computed = device.default_format
        return float(device.matrix_peak(computed)), float(device.vector_peak(computed))
    except SpecError:
        if o.phase != "decode" or o.batch > 1:
            raise
        return NEVER_WAITED_FOR, NEVER_WAITED_FOR


@cache
def turns(o: Observation) -> float:
    """How often a batch is computed because not all of it fits at once."""
    device = hardware(o)
    if o.phase != "request" or device.capacity is None:
        return 1.0
    weights, cached = _held(o.model)
    held = float(cached.xreplace({sym.prompt: Integer(o.prompt + o.generate)})) * o.kv_bits / 8
    room = CACHE_SHARE * float(device.capacity) * o.devices - float(weights) * o.bits / 8
    return o.batch / min(o.batch, max(1.0, room / held)) if held else 1.0


@cache
def _held(model: str) -> tuple[Expr, Expr]:
    """Stored weights of a model, and cached values of one sequence."""
    one = forecast(model, symbolic(), generate=1, weights="int8", kv="int8")
    weights, cached = one.memory.parts
    return weights.value, cached.value


FASTEST = 0.95
"""Of the time that memory traffic needs: figures of bandwidth and file size are rounded."""
STREAMING = ("memory_efficiency", "memory_efficiency_cache")
FREE = 1e60
"""An efficiency so large that what has it takes no time."""


@dataclass(frozen=True)
class Rows:
    """Measured rows with their formulas and numbers, to be evaluated together.

    Attributes:
        observations: the rows.
        groups: formulas, the places of their rows, and these rows' numbers.
        times: how often each row's formula is run.
        sides: factors of the memory and compute times of each row's terms, by parameter.
        rest: those of what is in no maximum.
    """

    observations: tuple[Observation, ...]
    groups: tuple[tuple[Formula, Any, dict[str, Any]], ...]
    times: Any
    sides: Any
    rest: Any

    @classmethod
    def of(cls, observations: Sequence[Observation]) -> "Rows":
        """The rows of some observations.

        Raises:
            SpecError: a bandwidth or a peak that is not known.
        """
        given = [numbers(o) for o in observations]
        times = np.array([turns(o) for o in observations])
        shared = alike(o.model for o in observations)
        groups, by_kind = [], gathered(observations, lambda o: kind(o, shared))
        known = formulas(by_kind)
        for each, here in by_kind.items():
            names = given[here[0]]
            columns = {name: np.array([given[i][name] for i in here]) for name in names}
            groups.append((known[each], np.array(here), columns))
        parts = [_columns(one, columns) for one, _, columns in groups]
        widest = max((len(sides) for sides, _ in parts), default=0)
        shape = (len(observations), widest, 2, len(NAMES))
        sides, rest = np.zeros(shape), np.zeros((len(observations), len(NAMES)))
        for (_, place, _), (some, others) in zip(groups, parts, strict=True):
            sides[place, : len(some)] = np.moveaxis(some, -1, 0)
            rest[place] = others.T
        scale = times[:, None]
        return cls(
            tuple(observations), tuple(groups), times, sides * scale[..., None, None], rest * scale
        )

    def __len__(self) -> int:
        return len(self.observations)

    def take(self, places: Any) -> "Rows":
        """Some of the rows, with room for no more terms than they have."""
        sides = self.sides[places]
        widest = int(np.max(np.nonzero(sides.any(axis=(0, 2, 3)))[0], initial=-1)) + 1
        chosen = {old: new for new, old in enumerate(places)}
        groups = []
        for one, old, columns in self.groups:
            kept = [i for i, place in enumerate(old) if place in chosen]
            if kept:
                here = np.array([chosen[old[i]] for i in kept])
                groups.append((one, here, {name: c[kept] for name, c in columns.items()}))
        return Rows(
            observations=tuple(self.observations[i] for i in places),
            groups=tuple(groups),
            times=self.times[places],
            sides=np.ascontiguousarray(sides[:, :widest]),
            rest=self.rest[places],
        )

    @property
    def streaming(self) -> Any:
        """Seconds that the memory traffic alone takes at the full bandwidth."""
        moved = self.sides[:, :, 0].sum(axis=1)
        return moved[:, [NAMES.index(name) for name in STREAMING]].sum(axis=1)

    @property
    def at_peaks(self) -> Any:
        """Seconds at the device's peaks, without launches: the roofline of each term."""
        sides = (self.sides * ~GROWS).sum(axis=-1)
        return sides.max(axis=-1).sum(axis=-1) + (self.rest * ~GROWS).sum(axis=-1)

    def seconds(self, x: Any) -> Any:
        """Seconds at points of the fit's scale, of shape (rows, parameters): the forecasts."""
        factor = factors(x)
        found = np.empty(len(x))
        for one, here, columns in self.groups:
            given = columns | fitted_numbers(factor[here], columns)
            found[here] = one.seconds(*(given[name] for name in one.seconds.names))
        return found * self.times

    @cached_property
    def open(self) -> Any:
        """The places of rows whose forecast need not be the sum of its terms."""
        found = (here for one, here, _ in self.groups if not one.plain)
        return np.sort(np.concatenate([np.empty(0, dtype=int), *found]))

    def columns(self, x: Any) -> tuple[Any, Any]:
        """Seconds of the terms' sum, and its parts by parameter: the forecast, but in open rows."""
        factor = factors(x)
        both = self._both(factor)
        bound = both[:, :, 0] >= both[:, :, 1]
        longer = np.stack([bound, ~bound], axis=-1).astype(float)
        rows, terms, size = self._flat.shape
        active = (longer.reshape(rows, 1, terms) @ self._flat).reshape(rows, size)
        parts = (active + self.rest) * factor
        return parts.sum(axis=1), parts

    def summed(self, x: Any) -> Any:
        """The first of `columns` alone, which costs less."""
        factor = factors(x)
        both = self._both(factor)
        longer = np.maximum(both[:, :, 0], both[:, :, 1])
        return longer.sum(axis=1) + (self.rest * factor).sum(axis=1)

    def _both(self, factor: Any) -> Any:
        """The memory and compute time of each term."""
        return (self._flat @ factor[:, :, None]).reshape(self.sides.shape[:3])

    @property
    def _flat(self) -> Any:
        """The factors of both sides of all terms, in one axis: products of these are quick."""
        rows, terms, sides, size = self.sides.shape
        return self.sides.reshape(rows, terms * sides, size)


def _columns(one: Formula, given: dict[str, Any]) -> tuple[Any, Any]:
    """Factors of a formula's sides, (terms, 2, parameters, rows), and of the rest."""
    count = len(next(iter(given.values())))
    factor = np.where(GROWS, 0.0, 1 / FREE) * np.ones((len(NAMES), count, 1))
    alone = np.arange(len(NAMES))  # one parameter after the other takes time
    factor[alone, :, alone] = 1.0
    numbers = given | fitted_numbers(factor, given)
    sides, rest = [], np.zeros((len(NAMES), count))
    for part, weight in zip(one.sides, (1.0, given.get("steps", 0.0)), strict=False):
        results = part(*(numbers[name] for name in part.names))
        found = np.stack([np.broadcast_to(result, rest.shape) for result in results]) * weight
        sides.append(found[:-1].reshape(-1, 2, *rest.shape))
        rest += found[-1]
    return np.concatenate(sides), rest


def usable(observations: Sequence[Observation]) -> tuple[Rows, list[tuple[Observation, str]]]:
    """Those that can be forecast, and the others with the reason.

    A decode step or a request that took less time than its memory traffic needs at the full
    bandwidth of all its devices was not what its table says: such rows are left aside too.
    """
    good: list[Observation] = []
    bad: list[tuple[Observation, str]] = []
    for o in observations:
        try:
            numbers(o)
        except SpecError as error:
            bad.append((o, str(error)))
        else:
            good.append(o)
    rows = Rows.of(good)
    devices = np.array([together(o) / o.devices for o in good])
    seconds = np.array([o.seconds for o in good])
    steps = np.array([o.phase != "prefill" for o in good], dtype=bool)
    wrong = steps & (seconds < FASTEST * rows.streaming * devices)
    reason = "faster than the memory's bandwidth allows: not as its table says"
    bad += [(good[i], reason) for i in np.nonzero(wrong)[0]]
    return rows.take(np.nonzero(~wrong)[0]), bad
