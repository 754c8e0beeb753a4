"""Single passes as forms of serving: groups of several shapes, sequences of unequal contexts."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from sympy import Add, Expr, S, sympify

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.held import Held
from lifesym.inference import Forecast
from lifesym.nodes import CeilDiv, Minimum
from lifesym.results import Result, StepTime
from lifesym.roofline import Term, total
from lifesym.serving.mixed import Group, mixed_trace
from lifesym.symbols import Size, size
from lifesym.timed import Timed


class OneToken(Timed):
    """Passes after which every sequence has a token more; the forecast says under what options.

    The memory is that of the weights and the caches after them.
    """

    forecast: Forecast

    @property
    @abstractmethod
    def kept(self) -> Expr:
        """Bytes of all the caches at the end, in any memory."""

    @property
    def main(self) -> Forecast:
        """The forecast whose options the passes have."""
        return self.forecast

    @cached_property
    def generate(self) -> Expr:
        """A token: what else is generated comes later."""
        return S.One

    @cached_property
    def memory(self) -> Result:
        """Bytes of the weights and of all the caches."""
        return self.forecast.holding(self.kept)

    @property
    def elsewhere(self) -> tuple[Held, ...]:
        """What other memories hold of them."""
        return self.forecast.held_elsewhere(self.kept)


class OnePass(OneToken):
    """One pass that gives tokens to sequences whose caches are filled.

    It has no TTFT, for what was computed of a prompt before is not known. TPOT, latency and energy
    are those of the pass, and the tokens are those that it gives.
    """

    @property
    @abstractmethod
    def pass_terms(self) -> tuple[Term, ...]:
        """What runs in the pass."""

    @property
    def ttft(self) -> Result:
        """None.

        Raises:
            SymbolError: always.
        """
        raise SymbolError("a single pass has no time to first token: ask for its TPOT or latency")

    @cached_property
    def beginning(self) -> Result:
        """The time of the pass."""
        terms = self.pass_terms
        return Result(name="time of a pass", unit="s", expr=total(terms), terms=terms)

    @cached_property
    def tpot(self) -> StepTime:
        """The time of the pass: that between two tokens of a sequence."""
        row = self.beginning
        return StepTime(
            name="TPOT", unit="s", expr=row.expr, terms=row.terms, start=None, steps=S.One
        )

    @property
    def more(self) -> Mapping[str, Result | tuple[Expr, ...]]:
        """The pass."""
        return {"step": self.beginning}


@dataclass(frozen=True, kw_only=True)
class MixedPass(OnePass):
    """One pass over several groups of sequences, in each replica.

    A sequence gets a token where its group has logits.
    """

    forecast: Forecast
    groups: tuple[Group, ...]

    @cached_property
    def batch(self) -> Expr:
        """All sequences."""
        return self.forecast.replicas * Add(*(group.batch for group in self.groups))

    @property
    def advancing(self) -> Expr:
        """Sequences that get a token."""
        given = (group.batch for group in self.groups if group.logits != "none")
        return self.forecast.replicas * Add(*given)

    @property
    def tokens(self) -> Expr:
        """A token for each of those."""
        return self.advancing

    @cached_property
    def pass_terms(self) -> tuple[Term, ...]:
        """What runs in the pass."""
        return self.forecast.timed(mixed_trace(self.forecast, self.groups))

    @property
    def kept(self) -> Expr:
        """Bytes of every group's cache after the pass."""
        f = self.forecast
        return Add(*(f.cached(sympify(g.past) + g.new, sympify(g.batch)) for g in self.groups))

    @property
    def more(self) -> Mapping[str, Result | tuple[Expr, ...]]:
        """The pass, and the tokens that a replica computes in it."""
        computed = Add(*(sympify(group.batch) * group.new for group in self.groups))
        tokens = Result(name="tokens computed", unit="tokens", expr=computed)
        return {"step": self.beginning, "tokens": tokens}


@dataclass(frozen=True, kw_only=True)
class SharedStep(OnePass):
    """A decode step of the forecast's sequences at contexts of which the sum alone is known."""

    forecast: Forecast
    contexts: Expr

    opens: ClassVar[Mapping[str, str]] = {"contexts": "contexts"}

    @cached_property
    def pass_terms(self) -> tuple[Term, ...]:
        """What runs in the step.

        Raises:
            SymbolError: the step is not affine in the context.
        """
        f = self.forecast
        trace = f.trace(S.One, sym.past)
        if any(value.has(Minimum, CeilDiv) for _, value in trace.cost_at(f.precision).items()):
            raise SymbolError("with windows or a budget the contexts must be given one by one")
        at = {sym.past: self._mean}
        return tuple(term.map(lambda expr: expr.xreplace(at)) for term in f.timed(trace))

    @property
    def kept(self) -> Expr:
        """Bytes of all caches after the step."""
        return self.forecast.cached(self._mean + 1)

    @property
    def _mean(self) -> Expr:
        return self.contexts / self.forecast.local_batch


@checked
def mixed_pass(forecast: Forecast, groups: Iterable[Group]) -> MixedPass:
    """One pass over several groups, as a form of serving.

    Raises:
        SymbolError: as `mixed_trace`, when it is asked anything.
    """
    return MixedPass(forecast=forecast, groups=tuple(groups))


@checked
def mixed_step(forecast: Forecast, groups: Iterable[Group]) -> Result:
    """The time of one pass over several groups.

    Raises:
        SymbolError: as `mixed_trace`.
    """
    return mixed_pass(forecast, groups).beginning


@checked
def at_contexts(forecast: Forecast, contexts: Size | Sequence[int]) -> OnePass:
    """A decode step of sequences of unequal contexts.

    Without windows, rounding and eviction a step depends on the contexts' sum alone, which may be
    a symbol: it is given as one size, for ``forecast.batch`` sequences. Contexts one by one are
    exact always.

    Raises:
        SymbolError: when it is asked anything, a sum for a model whose step is not affine in the
            context.
    """
    if isinstance(contexts, Sequence):
        counts = Counter(contexts)
        return mixed_pass(forecast, [Group(batch=n, past=past) for past, n in counts.items()])
    return SharedStep(forecast=forecast, contexts=size(contexts, "contexts", minimum=0))


@checked
def step_at_contexts(forecast: Forecast, contexts: Size | Sequence[int]) -> Result:
    """The time of a decode step of sequences of unequal contexts (see `at_contexts`).

    Raises:
        SymbolError: a sum for a model whose step is not affine in the context.
    """
    return at_contexts(forecast, contexts).beginning
