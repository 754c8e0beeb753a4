r"""A batch of many requests that go through a few slots, from the first to the last.

With n slots and G steps of a request q = n/G requests enter in a step. The slots fill up in G - 1
steps and drain in as many: K requests take K/q + G - 1 steps. It is what a second stage of MoE-Lens
(arXiv 2504.09345, section 5.5) must count by its description: a bounded batch K, pages of the
cache, prefill and decode in one pass, a pipeline that fills and drains, and its first stage as the
limit of many requests. Its own Eq. 8 to 14 could not be read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from sympy import Expr, S

from lifesym.checks import checked
from lifesym.chunks import scaled, summed
from lifesym.errors import SymbolError
from lifesym.held import Held
from lifesym.inference import Forecast
from lifesym.results import Result, StepTime
from lifesym.roofline import total
from lifesym.serving.batching import SteadyState, mean_pass
from lifesym.symbols import Size, index, size
from lifesym.timed import Timed
from lifesym.trace import Logits

LAST: Logits = "last"


@dataclass(frozen=True, kw_only=True)
class Backlog(Timed):
    r"""All of K requests, from the first to the last, through the slots of a steady state.

    With q requests that enter in a step and G steps of a request, the slots fill up in G - 1 steps,
    K/q - (G - 1) steps are those of the steady state, and G - 1 steps drain it. In step t of the
    first, q prefill and $q\,(t - 1)$ decode; in step t of the last $q\,(G - t)$ decode. Batches and
    contexts enter by their means, as in `SteadyState`; sums of maxima of three lines or curves stay
    open.

    The latency is the time of all the requests, which all tokens, operations and joules are of;
    TTFT and TPOT are those of a request that is admitted while all slots are taken.

    Attributes:
        state: how they are served.
        requests: how many.
    """

    state: SteadyState
    requests: Expr

    opens: ClassVar[Mapping[str, str]] = {"requests": "requests"}

    @property
    def main(self) -> Forecast:
        """The forecast of a request."""
        return self.state.forecast

    @cached_property
    def batch(self) -> Expr:
        """The slots."""
        return self.state.slots

    @property
    def ttft(self) -> Result:
        """The steady state's."""
        return self.state.ttft

    @property
    def tpot(self) -> StepTime:
        """The steady state's."""
        return self.state.tpot

    @property
    def memory(self) -> Result:
        """The steady state's."""
        return self.state.memory

    @property
    def elsewhere(self) -> tuple[Held, ...]:
        """The steady state's."""
        return self.state.elsewhere

    @property
    def tokens(self) -> Expr:
        """Those of all requests."""
        return self.requests * self.generate

    @property
    def _decodes(self) -> bool:
        """All passes are counted from the beginning."""
        return False

    @cached_property
    def passes(self) -> Result:
        """Passes until the last request is done: K/q + G - 1."""
        entering = self.requests * self.state.steps / self.state.slots
        return Result(name="passes", unit="1", expr=entering + self.state.steps - 1)

    @cached_property
    def beginning(self) -> Result:
        """The time of all passes."""
        f, state = self.main, self.state
        each, ramp = state.entering, f.generate - 1
        whole = self.passes.expr - 2 * ramp
        parts = [scaled(term, whole) for term in state.step_terms]
        if not ramp.is_zero:
            t, start = index + 1, f.past + f.prompt
            ending = [(each * (f.generate - t), S.One, start + (t + ramp) / 2 - 1, LAST)]
            filling = [(each * index, S.One, start + (index - 1) / 2, LAST)]
            filling.append((each, f.chunks.last, f.cached_before, LAST))
            for shapes in (filling, ending):
                parts += (summed(term, ramp) for term in mean_pass(f, shapes))
        return Result(name="all passes", unit="s", expr=total(tuple(parts)), terms=tuple(parts))

    @cached_property
    def tps(self) -> Result:
        """Generated tokens a second, from the first request to the last."""
        return Result(name="TPS", unit="token/s", expr=self.tokens / self.latency.expr)

    @property
    def more(self) -> Mapping[str, Result | tuple[Expr, ...]]:
        """The passes, and requests a second."""
        rate = Result(name="requests", unit="1/s", expr=self.requests / self.latency.expr)
        return {"passes": self.passes, "requests_per_second": rate}


@checked
def backlog(state: SteadyState, requests: Size) -> Backlog:
    """So many requests through the slots of a steady state, until the last of them is done.

    Raises:
        SymbolError: fewer requests than slots, preemptions, or prompts in chunks.
    """
    made = Backlog(state=state, requests=size(requests, "requests"))
    if (made.requests - state.slots).is_negative:
        raise SymbolError(
            f"{requests} requests never take {state.slots} slots: give as many slots, or a batch"
        )
    if not state.preempted.is_zero:
        raise SymbolError("preempted: when requests of a backlog are is not known")
    if not state.forecast.chunks.before.is_zero:
        raise SymbolError("a backlog computes whole prompts: leave out the chunk")
    return made
