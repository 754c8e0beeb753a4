r"""Forecasts: TTFT, TPOT, TPS, latency, memory and energy of a workload, as expressions.

A generation of G tokens is one prefill, which gives the first token, and G - 1 decode steps at
contexts ``past + prompt`` to ``past + prompt + G - 2``. So

- $\mathit{TTFT}$ is the time of the forward pass with ``new = prompt``,
- $\mathit{TPOT}(T)$ is the time of one decode step with T tokens in the cache,
- its mean over a generation is the exact sum over those contexts divided by G - 1,
- $\mathit{latency} = \mathit{TTFT} + (G - 1)\,\overline{\mathit{TPOT}}$.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from sympy import Add, Expr, S, Symbol

from lifesym import symbols as sym
from lifesym.chunks import Chunks, scaled, summed
from lifesym.errors import SpecError, SymbolError
from lifesym.formats import Format, Precision, load_format
from lifesym.hardware import Hardware
from lifesym.model import Model
from lifesym.operators import Routing
from lifesym.operators.experts import RoutingKind
from lifesym.printing import latex, legend
from lifesym.roofline import Overlap, Term, time_terms, total
from lifesym.sums import sum_over
from lifesym.symbols import Notation, Number, Size, index, size
from lifesym.trace import MLA, Causal, Logits, Trace
from lifesym.transforms import CachePolicy, ExpertParallel, Fusion, Lora, TensorParallel
from lifesym.transforms.fusion import Rule

Rewrite = Callable[[Trace], Trace]
Bound = Literal["compute", "memory", "dispatch", "network"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A named part of a result that is not a time, such as the weights' memory."""

    name: str
    value: Expr


@dataclass(frozen=True, kw_only=True)
class Result:
    """A derived quantity: the expression, and the terms it is the sum of.

    Attributes:
        name: what it is, such as ``TTFT``.
        unit: its SI unit.
        expr: the SymPy expression.
        terms: for times, the operators' parts in order; else empty.
        parts: for other sums, their named parts; else empty.
    """

    name: str
    unit: str
    expr: Expr
    terms: tuple[Term, ...] = ()
    parts: tuple[Part, ...] = ()

    def __float__(self) -> float:
        return _number(self.expr, self.name)

    def latex(self) -> str:
        """The expression in LaTeX, in the table's notation."""
        return latex(self.expr)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def legend(self) -> tuple[Notation, ...]:
        """The rows of the notation table that the expression uses."""
        return legend(self.expr)

    def bind(self, values: Mapping[str | Symbol, Number]) -> Expr:
        """The expression with symbols replaced, names and ranges checked.

        Raises:
            SymbolError: an unknown name or a value out of range.
        """
        bound = sym.bind(self.expr, values)
        return bound if bound.free_symbols else bound.doit()


@dataclass(frozen=True, kw_only=True)
class StepTime(Result):
    """TPOT: ``expr`` is one decode step at context `symbols.past`.

    Asked for one number (``float``), it gives the mean over the workload's generation.

    Attributes:
        first: the first decode step, at context past + prompt.
        last: the last decode step of the generation.
        mean: the exact mean over the generation.
    """

    first: Result
    last: Result
    mean: Result

    def __float__(self) -> float:
        return float(self.mean)


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
        """Bytes a device holds at the end: weights and the KV cache; not activations."""
        trace = self.trace(S.One, S.Zero)
        roles = trace.weight_roles().items()
        weights = Add(*(self.precision.weight_bytes(count, role) for role, count in roles))
        tokens = self.past + self.prompt + self.generate
        growing = self.precision.kv_bytes(self.batch * trace.cache_elements(tokens))
        cache = growing + self.model.kv_bytes(0, self.precision.kv, self.batch, self.mla)
        parts = (Part(name="weights", value=weights), Part(name="KV cache", value=cache))
        return Result(name="memory", unit="byte", expr=weights + cache, parts=parts)

    @cached_property
    def energy(self) -> Result:
        """Joules of the whole generation: operations, bytes moved, and static power over time.

        A device known by its TDP alone gives TDP x latency, an upper bound.

        Raises:
            SpecError: the device's power is not known.
        """
        hardware = self.hardware
        if hardware.static_power is None:
            raise SpecError(f"{hardware.name} has no power figure: energy is not known")
        flops, moved = self._total_work
        parts = (
            Part(name="operations", value=hardware.flop_energy * flops),
            Part(name="memory traffic", value=hardware.byte_energy * moved),
            Part(name="static power", value=hardware.static_power * self.latency.expr),
        )
        expr = Add(*(part.value for part in parts))
        return Result(name="energy", unit="J", expr=expr, parts=parts)

    def bottleneck(self, phase: Literal["prefill", "decode"]) -> Bound:
        """What most of a phase's time is bound by, when everything is a number.

        Each operator's time goes to the larger of its compute and memory times; dispatch counts
        by itself. Decode is judged at the mean context's first step.

        Raises:
            SymbolError: a symbol is left.
        """
        terms = self.ttft.terms if phase == "prefill" else self.tpot.first.terms
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
    def _total_work(self) -> tuple[Expr, Expr]:
        flops, moved = S.Zero, S.Zero
        for term in self.ttft.terms:
            flops, moved = flops + term.cost.flops, moved + term.cost.bytes
        if self.generate != 1:
            for term in self._step:
                flops += self._over_generation(term.cost.flops)
                moved += self._over_generation(term.cost.bytes)
        return flops, moved

    def trace(self, new: Size, past: Size, logits: Logits = "last") -> Trace:
        """The trace of one forward pass under every option of the forecast."""
        trace = self.model.forward(
            self.batch,
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

    def _timed(self, trace: Trace) -> tuple[Term, ...]:
        return time_terms(trace, self.hardware, self.precision, self.overlap)

    def _pass(self, new: Expr, past: Expr) -> tuple[Term, ...]:
        return self._timed(self.trace(new, past))

    def _chunked(self, chunks: Chunks) -> tuple[Term, ...]:
        """Whole chunks summed in closed form, the remainder, and the logits of the last one."""
        context = self.past + index * chunks.chunk
        body = self.trace(chunks.chunk, context, logits="none")
        terms = [summed(term, chunks.whole) for term in self._timed(body)]
        if not chunks.rest.is_zero:
            after = self.past + chunks.chunk * chunks.whole
            rest = self.trace(chunks.rest, after, logits="none")
            terms += [scaled(term, chunks.has_rest) for term in self._timed(rest)]
        known = {entry.path for entry in body}
        logits = self.trace(chunks.chunk, context).filter(lambda entry: entry.path not in known)
        return (*terms, *self._timed(logits))

    def _step_at(self, name: str, context: Expr) -> Result:
        terms = self._pass(S.One, context)
        return Result(name=name, unit="s", expr=total(terms), terms=terms)

    def _over_generation(self, expr: Expr) -> Expr:
        """The sum over the decode steps of an expression in the context."""
        return sum_over(expr.xreplace({sym.past: self._start + index}), self._steps)


def forecast(
    model: Model,
    hardware: Hardware,
    prompt: Size = sym.prompt,
    generate: Size = sym.generated,
    batch: Size = 1,
    past: Size = 0,
    *,
    weights: str | Format | None = None,
    activations: str | Format | None = None,
    kv: str | Format | None = None,
    overlap: Overlap = "operator",
    mla: MLA = "absorbed",
    causal: Causal = "full",
    routing: Routing | RoutingKind = "uniform",
    chunk: Size | None = None,
    lora: Lora | Size | None = None,
    fusion: str | Iterable[Rule] = "none",
    tile: Size | None = None,
    cache: CachePolicy | None = None,
    tensor_parallel: Size = 1,
    expert_parallel: Size = 1,
) -> Forecast:
    """Derive the speed of a model on a device: numbers where sizes are numbers, else formulas.

    Args:
        model: the model.
        hardware: the device.
        prompt: prompt tokens of each sequence; for an encoder-decoder whose source has no fixed
            length they are the source, and its decoder starts with one token.
        generate: tokens generated a sequence; the first one comes from the prefill.
        batch: sequences computed together.
        past: tokens already cached before the prompt.
        weights: format of the weights; the activations' unless given.
        activations: format that is computed in; the weights' if that is a 16- or 32-bit float,
            else the first of bf16, fp16 and fp32 that the device has a peak for.
        kv: format of the KV cache; the activations' if those are floats of 16 or 32 bits, else
            the device's default.
        overlap: how operators overlap memory and compute (see `lifesym.roofline`).
        mla: convention of latent attention.
        causal: which scores are counted.
        routing: how tokens choose experts, or the name of a rule.
        chunk: tokens of a prefill chunk; the whole prompt at once unless given.
        lora: low-rank adapters, or their rank on the attention projections.
        fusion: a named set of fusion rules, or the rules (see `lifesym.transforms.fusion`).
        tile: queries a tile of a fused attention kernel, each of which reads the cache.
        cache: which cached tokens are kept, and in what form.
        tensor_parallel: devices that split every layer.
        expert_parallel: devices that split the experts.

    Raises:
        SpecError: an unknown format, or one the device has no peak for.
        SymbolError: a size that is not a valid integer, or an unknown option.
    """
    if "decoder" not in model.kind:
        raise SpecError(f"{model.name} is an encoder: it generates no tokens to forecast")
    if model.kind == "encoder-decoder":
        plain = fusion == "none" and cache is None and chunk is None
        if not plain or (tensor_parallel, expert_parallel) != (1, 1):
            raise SpecError(f"{model.name} has an encoder: of the rewrites only LoRA is modelled")
        if sym.source not in model.values:
            model, prompt = model.with_source(prompt), 1
    sizes = {
        "prompt": size(prompt, "prompt"),
        "generate": size(generate, "generate"),
        "batch": size(batch, "batch"),
        "past": size(past, "past", minimum=0),
    }
    for name, value in sizes.items():
        if name not in ("past",) and sym.past in value.free_symbols:
            raise SymbolError(f"{name} cannot depend on 'past', the running context of TPOT")
    return Forecast(
        model=model,
        hardware=hardware,
        precision=choose_precision(hardware, weights, activations, kv),
        **sizes,
        overlap=overlap,
        mla=mla,
        causal=causal,
        routing=Routing(kind=routing) if isinstance(routing, str) else routing,
        chunk=None if chunk is None else size(chunk, "chunk"),
        rewrites=(
            *(() if cache is None else (cache,)),
            *(() if lora is None else (lora if isinstance(lora, Lora) else Lora(rank=lora),)),
            TensorParallel(devices=tensor_parallel),
            ExpertParallel(devices=expert_parallel),
            Fusion(rules=fusion, tile=tile),
        ),
    )


def choose_precision(
    hardware: Hardware,
    weights: str | Format | None,
    activations: str | Format | None,
    kv: str | Format | None,
) -> Precision:
    """The formats of a forecast, with the defaults that `forecast` documents."""
    stored = None if weights is None else load_format(weights)
    if activations is not None:
        computed = load_format(activations)
    elif stored is not None and stored.native:
        computed = stored
    else:
        computed = hardware.default_format
    cached = computed if computed.native else hardware.default_format
    return Precision(
        weights=stored or computed,
        activations=computed,
        kv=cached if kv is None else load_format(kv),
    )


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
        larger: Bound = "compute" if term.compute >= term.memory else "memory"
        spent[larger] += term.time - term.dispatch - term.network
        spent["dispatch"] += term.dispatch
        spent["network"] += term.network
    return max(spent, key=lambda bound: spent[bound])


def _number(expr: Expr, what: str) -> float:
    if expr.free_symbols:
        left = ", ".join(row.word for row in legend(expr))
        raise SymbolError(f"{what} still depends on {left}: bind them first")
    return float(expr.doit())
