r"""Many requests on one device: cached prefixes, and steps that prefill and decode together.

In a steady state of continuous batching with n slots every request is S prompt tokens and G
generated ones, and takes G steps: its prefill gives the first token, G - 1 decode steps the others.
So a step generates one token in each slot: on average n/G slots compute a prompt in it, and
n (G - 1)/G decode. Source: Orca, OSDI 2022, section 3; prefix caching: SGLang, arXiv 2312.07104,
section 3.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Dummy, Expr, S

from lifesym.errors import SymbolError
from lifesym.inference import Forecast
from lifesym.nodes import CeilDiv
from lifesym.results import Part, Result
from lifesym.roofline import total
from lifesym.serving.mixed import Group, mixed_trace
from lifesym.symbols import Number, Size, exact, size


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

    Each step computes ``slots / generate`` prompts on average, in the place of requests that are
    finished, and decodes a token of every other slot at the mean context. Batches and contexts
    enter by their means, which is exact for formulas affine in them.
    """

    forecast: Forecast
    slots: Expr

    @cached_property
    def step(self) -> Result:
        """The mean time of a step."""
        f = self.forecast
        slots = CeilDiv(self.slots, f.replicas)
        begun = slots / f.generate
        means = {
            Dummy("context", positive=True): f.past + f.prompt + (f.generate - 2) / 2,
            Dummy("prompts", positive=True): begun,
            Dummy("decodes", positive=True): slots - begun,
        }
        context, prompts, decodes = means  # sizes are whole numbers; means come in afterwards
        groups = [
            Group(batch=decodes, new=1, past=context),
            Group(batch=prompts, new=f.prompt, past=f.past),
        ]
        open_terms = f.timed(mixed_trace(f, groups))
        terms = tuple(term.map(lambda expr: expr.xreplace(means)) for term in open_terms)
        return Result(name="step of continuous batching", unit="s", expr=total(terms), terms=terms)

    @cached_property
    def throughput(self) -> Result:
        """Generated tokens a second over all slots."""
        return Result(name="throughput", unit="token/s", expr=self.slots / self.step.expr)

    @cached_property
    def requests(self) -> Result:
        """Requests a second."""
        expr = self.throughput.expr / self.forecast.generate
        return Result(name="requests", unit="1/s", expr=expr)


def steady_state(forecast: Forecast, slots: Size) -> SteadyState:
    """Continuous batching of the forecast's requests; its batch is not used.

    Raises:
        SpecError: an encoder, which generates nothing.
    """
    forecast.generates()
    return SteadyState(forecast=replace(forecast, batch=S.One), slots=size(slots, "slots"))
