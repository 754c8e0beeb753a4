r"""Many requests on one device: cached prefixes, and steps that prefill and decode together.

In a steady state of continuous batching with n slots every request is S prompt tokens and G
generated ones. Its prefill of c chunks (one, unless the forecast is chunked) takes c steps and
gives the first token, the others take G - 1 decode steps: c + G - 1 in all. So on average a step
computes chunks of prompts in n c/(c + G - 1) slots, decodes in the others, and gives
n G/(c + G - 1) tokens.
Source: Orca, OSDI 2022, section 3; prefix caching: SGLang, arXiv 2312.07104, section 3.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Dummy, Expr, S

from lifesym.checks import checked
from lifesym.chunks import Chunks
from lifesym.errors import SymbolError
from lifesym.inference import Forecast
from lifesym.nodes import CeilDiv
from lifesym.results import Part, Result
from lifesym.roofline import total
from lifesym.serving.mixed import Group, mixed_trace
from lifesym.symbols import Number, Size, exact, size
from lifesym.trace import Logits


@checked
def with_prefix(forecast: Forecast, prefix: Size) -> Forecast:
    """The forecast of a prompt whose first tokens are cached already.

    Raises:
        SymbolError: a prefix that leaves no token of the prompt.
    """
    cached = size(prefix, "prefix", minimum=0)
    rest = forecast.prompt - cached
    if rest.is_number and rest < 1:
        raise SymbolError(f"a prefix of {cached} tokens leaves none of {forecast.prompt}")
    return replace(forecast, prompt=rest, past=forecast.past + cached)


@checked
def expected_ttft(forecast: Forecast, prefix: Size, hit_rate: Number) -> Result:
    """TTFT on average where a share of the requests find their prefix in the cache.

    Raises:
        SymbolError: a rate outside 0 to 1, or as `with_prefix`.
    """
    rate = exact(hit_rate, "hit_rate")
    if rate.is_number and not 0 <= rate <= 1:
        raise SymbolError(f"hit_rate must be between 0 and 1, not {hit_rate}")
    hit = rate * with_prefix(forecast, prefix).ttft.expr
    miss = (1 - rate) * forecast.ttft.expr
    parts = (Part(name="hits", value=hit), Part(name="misses", value=miss))
    return Result(name="expected TTFT", unit="s", expr=hit + miss, parts=parts)


@dataclass(frozen=True, kw_only=True)
class SteadyState:
    """Continuous batching of equal requests in ``slots`` slots, of all replicas, never empty.

    Each step computes a chunk, or the prompt, in some slots and decodes a token in every other one.
    Batches and contexts enter by their means, which is exact for formulas affine in them.
    """

    forecast: Forecast
    slots: Expr

    @property
    def chunks(self) -> Chunks:
        """How a prompt is cut; a forecast without chunks has one."""
        f = self.forecast
        return Chunks(prompt=f.prompt, chunk=f.prompt if f.chunk is None else f.chunk)

    @property
    def steps(self) -> Expr:
        """Steps that a request takes."""
        return self.chunks.before + self.forecast.generate

    @cached_property
    def step(self) -> Result:
        """The mean time of a step."""
        f, cut = self.forecast, self.chunks
        each = CeilDiv(self.slots, f.replicas) / self.steps  # sequences in any one of their steps
        context = f.past + f.prompt + (f.generate - 2) / 2
        shapes: list[tuple[Expr, Expr, Expr, Logits]]
        shapes = [(each * (f.generate - 1), S.One, context, "last")]
        if not cut.before.is_zero:
            middle = f.past + cut.chunk * (cut.before - 1) / 2
            shapes.append((each * cut.before, cut.chunk, middle, "none"))
        shapes.append((each, cut.last, f.past + cut.offset, "last"))
        means: dict[Expr, Expr] = {}  # sizes are whole numbers; means come in afterwards
        groups = []
        for batch, new, past, logits in shapes:
            sequences, cached = Dummy("sequences", positive=True), Dummy("cached", positive=True)
            means |= {sequences: batch, cached: past}
            groups.append(Group(batch=sequences, new=new, past=cached, logits=logits))
        open_terms = f.timed(mixed_trace(f, groups))
        terms = tuple(term.map(lambda expr: expr.xreplace(means)) for term in open_terms)
        return Result(name="step of continuous batching", unit="s", expr=total(terms), terms=terms)

    @cached_property
    def throughput(self) -> Result:
        """Generated tokens a second over all slots."""
        expr = self.slots * self.forecast.generate / self.steps / self.step.expr
        return Result(name="throughput", unit="token/s", expr=expr)

    @cached_property
    def requests(self) -> Result:
        """Requests a second."""
        expr = self.throughput.expr / self.forecast.generate
        return Result(name="requests", unit="1/s", expr=expr)


@checked
def steady_state(forecast: Forecast, slots: Size) -> SteadyState:
    """Continuous batching of the forecast's requests; its batch is not used.

    Raises:
        SpecError: an encoder, which generates nothing.
    """
    forecast.generates()
    return SteadyState(forecast=replace(forecast, batch=S.One), slots=size(slots, "slots"))
