r"""Forecasts: TTFT, TPOT, TPS, latency, memory and energy of a workload, as expressions.

A generation of G tokens is one prefill, which gives the first token, and G - 1 decode steps at
contexts ``past + prompt`` to ``past + prompt + G - 2``. So

- $\mathit{TTFT}$ is the time of the forward pass with ``new = prompt``,
- $\mathit{TPOT}(T)$ is the time of one decode step with T tokens in the cache,
- its mean over a generation is the exact sum over those contexts divided by G - 1,
- $\mathit{latency} = \mathit{TTFT} + (G - 1)\,\overline{\mathit{TPOT}}$.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from sympy import Add, Expr, S

from lifesym import symbols as sym
from lifesym.chunks import Chunks, scaled, summed
from lifesym.errors import SpecError, SymbolError
from lifesym.formats import Precision
from lifesym.hardware import Hardware
from lifesym.levels import Level
from lifesym.model import Model
from lifesym.nodes import CeilDiv, Maximum, Minimum
from lifesym.operators import Routing
from lifesym.printing import legend
from lifesym.results import Part, Result, StepTime
from lifesym.roofline import Overlap, Term, time_terms, total
from lifesym.sums import sum_over
from lifesym.symbols import Number, Size, exact, index
from lifesym.trace import MLA, Causal, Logits, Trace

Rewrite = Callable[[Trace], Trace]
Bound = Literal["compute", "memory", "dispatch", "network"]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Everything lifesym says about one model on one device under one workload."""

    model: Model
    hardware: Hardware
    precision: Precision
    prompt: Expr
    generate: Expr
    batch: Expr
    past: Expr
    overlap: Overlap
    mla: MLA
    causal: Causal
    routing: Routing
    chunk: Expr | None = None
    rewrites: tuple[Rewrite, ...] = ()
    levels: tuple[Level, ...] = ()
    replicas: Expr = S.One
    devices: Expr = S.One

    @cached_property
    def ttft(self) -> Result:
        """Time to first token: the prefill of the prompt, with one LM head row a sequence."""
        if self.chunk is None:
            terms = self._pass(self.prompt, self.past)
        else:
            terms = self._chunked(Chunks(prompt=self.prompt, chunk=self.chunk))
        return Result(name="TTFT", unit="s", expr=total(terms), terms=terms)

    @cached_property
    def tpot(self) -> StepTime:
        """Time per output token: a decode step at context `symbols.past`, and its mean."""
        terms = self._step
        return StepTime(
            name="TPOT",
            unit="s",
            expr=total(terms),
            terms=terms,
            first=self._step_at("TPOT of the first step", self._start),
            last=self._step_at("TPOT of the last step", self._start + self._steps - 1),
            mean=self._mean,
        )

    @cached_property
    def tps(self) -> Result:
        """Generated tokens a second over all sequences: batch / mean TPOT."""
        return Result(name="TPS", unit="token/s", expr=self.batch / self.tpot.mean.expr)

    @cached_property
    def latency(self) -> Result:
        """End to end: TTFT and the generate - 1 decode steps after it."""
        decode = self._decode_time
        expr = self.ttft.expr + decode
        parts = (Part(name="prefill", value=self.ttft.expr), Part(name="decode", value=decode))
        return Result(name="latency", unit="s", expr=expr, parts=parts)

    @cached_property
    def memory(self) -> Result:
        """Bytes a device's own memory holds at the end: weights and KV cache; not activations."""
        weights = Add(*(self._weights.values()))
        parts = (Part(name="weights", value=weights), Part(name="KV cache", value=self.cache_bytes))
        return Result(name="memory", unit="byte", expr=weights + self.cache_bytes, parts=parts)

    @cached_property
    def capacity(self) -> Result:
        """Peak bytes by role: every kind of weights, the KV cache, activations in flight.

        Activations are the inputs and outputs of the operator that has most of them in the
        prefill, or in its chunk that meets most tokens, and the residual stream kept beside them.
        """
        parts = [Part(name=role, value=value) for role, value in self._weights.items()]
        parts.append(Part(name="KV cache", value=self.cache_bytes))
        new = self.prompt if self.chunk is None else Minimum(self.chunk, self.prompt)
        trace = self.trace(new, self.past + self.prompt - new)
        costs = [entry.operator.cost(self.precision) for entry in trace]
        live = [c.activation_read_bytes + c.activation_write_bytes for c in costs]
        stream = self.precision.activation_bytes(self.local_batch * new * self.stream_width)
        parts.append(Part(name="activations", value=Maximum(*live) + stream))
        expr = Add(*(part.value for part in parts))
        return Result(name="capacity", unit="byte", expr=expr, parts=tuple(parts))

    @property
    def stream_width(self) -> Expr:
        """Elements of a token in the residual stream."""
        return exact(self.model.values.get(sym.hidden, sym.hidden))

    @cached_property
    def _weights(self) -> dict[str, Expr]:
        return self.held(self.trace(S.One, S.Zero))

    def held(self, trace: Trace) -> dict[str, Expr]:
        """Bytes of a trace's weights by role that the device's own memory holds."""
        return {role: self.held_bytes(role, n) for role, n in trace.weight_roles().items()}

    def held_bytes(self, role: str, count: Expr) -> Expr:
        """Bytes of so many weights of a role that the device's own memory holds."""
        here = self._here("experts" if role == "experts" else "weights")
        return here * self.precision.weight_bytes(count, role)

    def level_bytes(self, level: Level) -> Expr:
        """Bytes of weights and cache that another memory holds at the end."""
        held = level.share("kv") * self._whole_cache
        for role, count in self.trace(S.One, S.Zero).weight_roles().items():
            share = level.share("experts" if role == "experts" else "weights")
            held += share * self.precision.weight_bytes(count, role)
        return held

    def _here(self, role: str) -> Expr:
        """The share of what the device's own memory holds; other levels hold the rest."""
        return 1 - Add(*(level.share(role) for level in self.levels))

    @property
    def cache_bytes(self) -> Expr:
        """Bytes of the KV cache and states at the end that the device's own memory holds."""
        return self._here("kv") * self._whole_cache

    @cached_property
    def _whole_cache(self) -> Expr:
        tokens = self.past + self.prompt + self.generate
        elements = self.trace(S.One, S.Zero).cache_elements(tokens)
        state = self.model.kv_bytes(0, self.precision.kv, self.local_batch, self.mla)
        growing = self.precision.kv_bytes(self.local_batch * elements)
        return growing + state

    @cached_property
    def energy(self) -> Result:
        """Joules of the whole generation: operations, bytes moved, and static power over time.

        It is that of all the devices that share the batch, each as busy as the busiest of them; on
        the devices of expert parallelism, which bring batches of their own, that of one batch.
        Links have no energy of their own. A device known by its TDP alone gives TDP x latency, an
        upper bound.

        Raises:
            SpecError: the device's power is not known.
        """
        hardware = self.hardware
        if hardware.static_power is None:
            raise SpecError(f"{hardware.name} has no power figure: energy is not known")
        work = self._total_work
        joules = {
            "matrix operations": hardware.flop_energy * work["matmul_flops"],
            "other operations": hardware.flop_energy * work["other_flops"],
            "weights": hardware.byte_energy * work["weight_bytes"],
            "activations": hardware.byte_energy * work["activation_bytes"],
            "KV cache": hardware.byte_energy * work["kv_bytes"],
        }
        for level in self.levels:
            joules[level.name] = exact(level.byte_energy) * work[f"level {level.name}"]
        joules["static power"] = hardware.static_power * self.latency.expr
        parts = tuple(Part(name=name, value=self.devices * j) for name, j in joules.items())
        expr = Add(*(part.value for part in parts))
        return Result(name="energy", unit="J", expr=expr, parts=parts)

    def cost(self, hourly_price: Number = sym.hourly_price) -> Result:
        """Price of a million generated tokens for devices rented by the hour.

        ``price / 3600 * latency / (batch * generate) * 10**6``; the price is that of all the
        devices together.
        """
        per_second = exact(hourly_price, "hourly_price") / 3600
        tokens = self.batch * self.generate
        expr = per_second * self.latency.expr / tokens * 10**6
        return Result(name="cost of a million tokens", unit="price", expr=expr)

    def bottleneck(self, phase: Literal["prefill", "decode"]) -> Bound:
        """What most of a phase's time is bound by, when everything is a number.

        Each operator's time goes to the larger of its compute and memory times; dispatch counts
        by itself. Decode is judged by its mean over the generation.

        Raises:
            SymbolError: a symbol is left.
        """
        terms = self.ttft.terms if phase == "prefill" else self.tpot.mean.terms
        return bottleneck(terms)

    @property
    def _start(self) -> Expr:
        return self.past + self.prompt

    @property
    def _steps(self) -> Expr:
        """Decode steps of the generation; one for a generation of a single token."""
        steps = self.generate - 1
        return S.One if steps.is_zero else steps

    @cached_property
    def _step(self) -> tuple[Term, ...]:
        return self._pass(S.One, sym.past)

    @cached_property
    def _mean(self) -> Result:
        at = {sym.past: self._start + index}
        steps = (term.map(lambda expr: expr.xreplace(at)) for term in self._step)
        terms = tuple(scaled(summed(term, self._steps), 1 / self._steps) for term in steps)
        return Result(name="mean TPOT", unit="s", expr=total(terms), terms=terms)

    @cached_property
    def _decode_time(self) -> Expr:
        if self.generate == 1:
            return S.Zero
        return self._over_generation(total(self._step))

    @cached_property
    def _total_work(self) -> dict[str, Expr]:
        """Operations and bytes by role of the whole generation."""
        prefill = _work(self.ttft.terms, self.levels)
        if self.generate == 1:
            return prefill
        step = _work(self._step, self.levels)
        return {name: prefill[name] + self._over_generation(step[name]) for name in prefill}

    @property
    def local_batch(self) -> Expr:
        """Sequences of the replica that has most of them."""
        return CeilDiv(self.batch, self.replicas)

    def trace(
        self, new: Size, past: Size, logits: Logits = "last", batch: Size | None = None
    ) -> Trace:
        """The trace of one forward pass under every option of the forecast."""
        trace = self.model.forward(
            self.local_batch if batch is None else batch,
            new,
            past,
            logits=logits,
            mla=self.mla,
            causal=self.causal,
            routing=self.routing,
        )
        for rewrite in self.rewrites:
            trace = rewrite(trace)
        return trace

    def timed(self, trace: Trace) -> tuple[Term, ...]:
        """The terms of a trace's time on the device."""
        return time_terms(trace, self.hardware, self.precision, self.overlap, self.levels)

    def _pass(self, new: Expr, past: Expr) -> tuple[Term, ...]:
        return self.timed(self.trace(new, past))

    def _chunked(self, chunks: Chunks) -> tuple[Term, ...]:
        """The chunks before the last summed in closed form, and the last with its logits."""
        last = self._pass(chunks.last, self.past + chunks.offset)
        if chunks.before.is_zero:
            return last
        context = self.past + index * chunks.chunk
        body = self.timed(self.trace(chunks.chunk, context, logits="none"))
        return (*(summed(term, chunks.before) for term in body), *last)

    def _step_at(self, name: str, context: Expr) -> Result:
        terms = self._pass(S.One, context)
        return Result(name=name, unit="s", expr=total(terms), terms=terms)

    def _over_generation(self, expr: Expr) -> Expr:
        """The sum over the decode steps of an expression in the context."""
        return sum_over(expr.xreplace({sym.past: self._start + index}), self._steps)


def _work(terms: tuple[Term, ...], levels: tuple[Level, ...]) -> dict[str, Expr]:
    """Operations, bytes of the device's own memory by role, and bytes of other memories."""
    costs = [term.cost for term in terms]
    own = {
        role: 1 - Add(*(level.share(role) for level in levels))
        for role in ("weights", "experts", "kv", "activations")
    }
    weights = [
        own["experts" if t.family == "experts" else "weights"] * t.cost.weight_bytes for t in terms
    ]
    activations = [c.activation_read_bytes + c.activation_write_bytes for c in costs]
    work = {
        "matmul_flops": Add(*(c.matmul_flops for c in costs)),
        "other_flops": Add(*(c.vector_flops + c.dequant_ops for c in costs)),
        "weight_bytes": Add(*weights),
        "activation_bytes": own["activations"] * Add(*activations),
        "kv_bytes": own["kv"] * Add(*(c.kv_read_bytes + c.kv_write_bytes for c in costs)),
    }
    for level in levels:
        served = (level.bytes(t.cost, experts=t.family == "experts") for t in terms)
        work[f"level {level.name}"] = Add(*served)
    return work


def bottleneck(terms: tuple[Term, ...]) -> Bound:
    """What most of the time of some terms is bound by; every term must be a number.

    Raises:
        SymbolError: a symbol is left.
    """
    spent: dict[Bound, Expr] = dict.fromkeys(get_args(Bound), S.Zero)
    for term in terms:
        if term.time.free_symbols:
            left = ", ".join(row.word for row in legend(term.time))
            raise SymbolError(f"the bottleneck depends on {left}: give numbers")
        compute, memory = term.compute.doit(), term.memory.doit()
        larger: Bound = "compute" if compute >= memory else "memory"
        spent[larger] += term.time - term.dispatch - term.network
        spent["dispatch"] += term.dispatch
        spent["network"] += term.network
    return max(spent, key=lambda bound: spent[bound])
