r"""Many requests on one device: cached prefixes, and steps that prefill and decode together.

In a steady state of continuous batching with n slots every request is S prompt tokens and G
generated ones. Its prefill of c chunks (one, unless the forecast is chunked) takes c steps and
gives the first token, the others take G - 1 decode steps: c + G - 1 in all. So on average a step
computes chunks of prompts in n c/(c + G - 1) slots, decodes in the others, and gives
n G/(c + G - 1) tokens. A request that is preempted computes what it had cached again, in place of a
decode step: so do vLLM (arXiv 2309.06180, section 4.5) and MoE-Lens (2504.09345, section 6).
Source: Orca, OSDI 2022, section 3; prefix caching: SGLang, arXiv 2312.07104, section 3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self, TypeVar

from sympy import Dummy, Expr, S

from lifesym.checks import checked
from lifesym.chunks import scaled
from lifesym.errors import SymbolError
from lifesym.hardware import Hardware
from lifesym.held import Held
from lifesym.inference import Forecast
from lifesym.nodes import CeilDiv
from lifesym.results import Part, Result, StepTime
from lifesym.roofline import Term, total
from lifesym.serving.mixed import Group, mixed_trace
from lifesym.sums import sum_over
from lifesym.symbols import Number, Size, exact, index, size
from lifesym.timed import Generation, Timed
from lifesym.trace import Logits

Form = TypeVar("Form", bound=Generation)


@checked
def with_prefix(form: Form, prefix: Size) -> Form:
    """The same form of serving where the first tokens of every prompt are cached already.

    Raises:
        SymbolError: a prefix that leaves no token of the prompt, or a form that has hits already.
    """
    return form.prefixed(prefix)


@dataclass(frozen=True, kw_only=True)
class PrefixHits(Generation):
    """Requests of which a share finds the first tokens of its prompt in the cache.

    TTFT, latency and energy are means over hits and misses; decode steps and memory are those of
    either, for both have the same tokens in the cache once the prompt is.

    Attributes:
        form: how the requests are served that miss.
        prefix: tokens that are found.
        hit_rate: the share of the requests that find them.
    """

    form: Generation
    prefix: Expr
    hit_rate: Expr

    opens: ClassVar[Mapping[str, str]] = {"prefix": "prefix", "hit_rate": "hit_rate"}

    @property
    def main(self) -> Generation:
        """How they are served."""
        return self.form

    @property
    def notes(self) -> tuple[str, ...]:
        """The form's."""
        return self.form.notes

    @cached_property
    def hit(self) -> Generation:
        """How the requests are served that find their prefix."""
        return self.form.prefixed(self.prefix)

    @cached_property
    def ttft(self) -> Result:
        """The mean over hits and misses."""
        hit = self.hit_rate * self.hit.ttft.expr
        miss = (1 - self.hit_rate) * self.form.ttft.expr
        parts = (Part(name="hits", value=hit), Part(name="misses", value=miss))
        return Result(name="expected TTFT", unit="s", expr=hit + miss, parts=parts)

    @property
    def prefill_terms(self) -> tuple[Term, ...]:
        """What runs in either prefill, as often as it does."""
        hits = (scaled(term, self.hit_rate) for term in self.hit.prefill_terms)
        misses = (scaled(term, 1 - self.hit_rate) for term in self.form.prefill_terms)
        return (*hits, *misses)

    @property
    def tpot(self) -> StepTime:
        """The form's."""
        return self.form.tpot

    @property
    def step_terms(self) -> tuple[Term, ...]:
        """The form's."""
        return self.form.step_terms

    @property
    def memory(self) -> Result:
        """The form's."""
        return self.form.memory

    @property
    def residents(self) -> tuple[tuple[Expr, Hardware], ...]:
        """The form's."""
        return self.form.residents

    @property
    def elsewhere(self) -> tuple[Held, ...]:
        """The form's."""
        return self.form.elsewhere

    @checked
    def cached(self, tokens: Expr) -> Expr:
        """The form's."""
        return self.form.cached(tokens)

    @checked
    def prefixed(self, prefix: Size) -> Self:
        """None.

        Raises:
            SymbolError: always.
        """
        raise SymbolError("prefix hits have a prefix: give one number of tokens")


@checked
def prefix_hits(form: Generation, prefix: Size, hit_rate: Number) -> PrefixHits:
    """Serve requests of which a share finds its prefix in the cache.

    Raises:
        SymbolError: a rate outside 0 to 1, or as `with_prefix`.
    """
    rate = exact(hit_rate, "hit_rate")
    if rate.is_number and not 0 <= rate <= 1:
        raise SymbolError(f"hit_rate must be between 0 and 1, not {hit_rate}")
    hits = PrefixHits(form=form, prefix=size(prefix, "prefix", minimum=0), hit_rate=rate)
    form.prefixed(hits.prefix)
    return hits


@checked
def expected_ttft(form: Generation, prefix: Size, hit_rate: Number) -> Result:
    """TTFT on average where a share of the requests finds its prefix in the cache.

    Raises:
        SymbolError: as `prefix_hits`.
    """
    return prefix_hits(form, prefix, hit_rate).ttft


@dataclass(frozen=True, kw_only=True)
class SteadyState(Timed):
    """Continuous batching of equal requests in ``slots`` slots, of all replicas, never empty.

    Each step computes a chunk, or the prompt, in some slots and decodes a token in every other one.
    Batches and contexts enter by their means, which is exact for formulas affine in them.

    TPOT is the mean step, TTFT the steps of a prompt and the latency all steps of a request; the
    tokens are those of all slots in that time, and so is the energy. The memory has room for a
    whole request in every slot, or for what slots hold on average.

    Attributes:
        forecast: that of a request; its batch is not used.
        slots: sequences that are served at once.
        staggered: requests are spread evenly over their steps, and the memory holds what they have
            then; or it has room for whole ones.
        preempted: how often a request is preempted, on average. It then computes all that it had
            cached in one pass, which gives its next token; at the mean length.
    """

    forecast: Forecast
    slots: Expr
    staggered: bool = False
    preempted: Expr = S.Zero

    opens: ClassVar[Mapping[str, str]] = {"slots": "slots"}

    @property
    def main(self) -> Forecast:
        """The forecast of a request."""
        return self.forecast

    @cached_property
    def batch(self) -> Expr:
        """The slots."""
        return self.slots

    @property
    def advancing(self) -> Expr:
        """Slots that get a token in a step, on average."""
        return self.slots * self.generate / self.steps

    @property
    def steps(self) -> Expr:
        """Steps that a request takes."""
        return self.forecast.chunks.before + self.generate

    @cached_property
    def ttft(self) -> Result:
        """The steps in which a request's prompt is computed."""
        terms = tuple(scaled(term, self.forecast.chunks.count) for term in self.step_terms)
        return Result(name="TTFT", unit="s", expr=total(terms), terms=terms)

    @cached_property
    def tpot(self) -> StepTime:
        """The mean time of a step."""
        terms = self._mean_step()
        return StepTime(
            name="step of continuous batching",
            unit="s",
            expr=total(terms),
            terms=terms,
            start=None,
            steps=self.decode_steps,
        )

    @cached_property
    def memory(self) -> Result:
        """Bytes of the weights, and of what is kept in every slot."""
        filled = self._filled
        return filled.holding(self._kept) if self.staggered else filled.memory

    @property
    def elsewhere(self) -> tuple[Held, ...]:
        """What other memories hold of them."""
        filled = self._filled
        return filled.held_elsewhere(self._kept) if self.staggered else filled.elsewhere

    @cached_property
    def _filled(self) -> Forecast:
        return replace(self.forecast, batch=self.slots)

    @property
    def _kept(self) -> Expr:
        """Bytes that all slots of a replica keep of requests spread over their steps."""
        return mean_over_steps(self.forecast, self._filled.cached)

    @cached_property
    def requests(self) -> Result:
        """Requests a second."""
        return Result(name="requests", unit="1/s", expr=self.tps.expr / self.generate)

    @property
    def entering(self) -> Expr:
        """Sequences of a replica in any one of their steps: as many enter in a step."""
        return CeilDiv(self.slots, self.forecast.replicas) / self.steps

    def _mean_step(self) -> tuple[Term, ...]:
        f, cut, each = self.forecast, self.forecast.chunks, self.entering
        context = f.past + f.prompt + (f.generate - 2) / 2
        again = self.preempted
        shapes: list[Shape]
        shapes = [(each * (f.generate - 1 - again), S.One, context, "last")]
        if not again.is_zero:
            shapes.append((each * again, context + 1 - f.cached_before, f.cached_before, "last"))
        if not cut.before.is_zero:
            middle = f.cached_before + cut.chunk * (cut.before - 1) / 2
            shapes.append((each * cut.before, cut.chunk, middle, "none"))
        shapes.append((each, cut.last, f.cached_before + cut.offset, "last"))
        return mean_pass(f, shapes)

    @property
    def step(self) -> StepTime:
        """The mean time of a step."""
        return self.tpot

    @property
    def throughput(self) -> Result:
        """Generated tokens a second over all slots."""
        return self.tps

    @property
    def more(self) -> Mapping[str, Result | tuple[Expr, ...]]:
        """The step, and requests a second."""
        return {"step": self.tpot.mean, "requests_per_second": self.requests}


Shape = tuple[Expr, Expr, Expr, Logits]
"""Sequences, new tokens of each, cached ones and logits: a group of which sizes are means."""


def mean_pass(f: Forecast, shapes: list[Shape]) -> tuple[Term, ...]:
    """The terms of a pass over groups of sequences whose batches, lengths and contexts are means.

    Sizes are whole numbers; so symbols stand for the means, which come in afterwards.
    """
    means: dict[Expr, Expr] = {}
    groups = []
    for batch, new, past, logits in shapes:
        sequences, cached = Dummy("sequences", positive=True), Dummy("cached", positive=True)
        means |= {sequences: batch, cached: past}
        tokens = new
        if new.is_number and not new.is_Integer:
            tokens = Dummy("tokens", positive=True)
            means[tokens] = new
        groups.append(Group(batch=sequences, new=tokens, past=cached, logits=logits))
    open_terms = f.timed(mixed_trace(f, groups))
    return tuple(term.map(lambda expr: expr.xreplace(means)) for term in open_terms)


def mean_over_steps(f: Forecast, of: Callable[[Expr], Expr]) -> Expr:
    """The mean over a request's steps of a function of the tokens that it has cached after each.

    They are ``past + prompt`` after its prefill, one more after every decode step, and whole chunks
    before.
    """
    cut = f.chunks
    summed_up = sum_over(of(f.past + f.prompt + index), f.generate)
    if not cut.before.is_zero:
        summed_up += sum_over(of(f.cached_before + cut.chunk * (index + 1)), cut.before)
    return summed_up / (cut.before + f.generate)


@checked
def steady_state(
    forecast: Forecast, slots: Size, *, staggered: bool = False, preempted: Number = 0
) -> SteadyState:
    """Continuous batching of the forecast's requests; its batch is not used.

    ``staggered`` and ``preempted`` are as `SteadyState` says; how many slots memories have room for
    is `lifesym.capacity.Fit.slots`.

    Raises:
        SpecError: an encoder, which generates nothing.
        SymbolError: more preemptions than decode steps.
    """
    forecast.generates()
    again = exact(preempted, "preempted")
    if again.is_negative or (again - forecast.generate + 1).is_positive:
        raise SymbolError(
            f"preempted: a request has {forecast.generate - 1} decode steps in which it may be, "
            f"not {preempted}"
        )
    return SteadyState(
        forecast=forecast, slots=size(slots, "slots"), staggered=staggered, preempted=again
    )
