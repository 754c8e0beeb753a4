r"""Speculative decoding: several tokens a step, drafted cheaply and checked at once.

A draft model, or heads of the model itself, proposes $\gamma$ tokens; one pass of the target over
$\gamma + 1$ tokens checks them. Each is accepted with probability $\alpha$, given that all before
it were, and the target adds one of its own. So a step gives

$$E = \sum_{i=0}^{\gamma} \alpha^i = \frac{1 - \alpha^{\gamma + 1}}{1 - \alpha}$$

tokens, between 1 ($\alpha = 0$) and $\gamma + 1$; `lifesym.serving.acceptance` has the other
measures of it. Heads that draft side by side run once a step. A model that drafts for itself has
one prediction module, which runs $\gamma$ times a step at growing contexts and keeps a cache of its
own, filled by a prefill of its own, as a draft model's is.
Sources: Leviathan et al., arXiv 2211.17192, Eq. 1 and Theorem 3.8; multi-token prediction:
Gloeckle et al., 2404.19737, section 2, and DeepSeek-V3, 2412.19437, section 2.2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

from sympy import Add, Expr, S, sympify

from lifesym import symbols as sym
from lifesym.blocks import BorrowedAttention, ParallelHead
from lifesym.checks import checked
from lifesym.chunks import at_context, scaled, summed
from lifesym.errors import SymbolError
from lifesym.families.drafts import ONCE
from lifesym.hardware import Hardware
from lifesym.held import Held
from lifesym.inference import Forecast
from lifesym.levels import Level
from lifesym.nodes import Maximum
from lifesym.results import Result, StepTime
from lifesym.roofline import Place, Term, total
from lifesym.serving.acceptance import (
    conditional,
    expected_tokens,
    mean_tokens,
    tokens_at_positions,
    tokens_at_rate,
)
from lifesym.serving.prediction import prediction_module
from lifesym.symbols import Number, Size, exact, index, size
from lifesym.timed import Generation


@dataclass(frozen=True, kw_only=True)
class Speculation(Generation):
    """A target that checks what a draft proposes.

    TTFT is the target's prefill and the draft's after it, TPOT a step over the tokens that it
    gives, and the latency TTFT and a TPOT for each further token of the target's generation. The
    memory is that of both models, unless the draft's device has another name than the target's:
    then that of the fuller one. Both devices draw power all the time.

    Attributes:
        target: the forecast of the model whose tokens count.
        draft: the forecast of the draft model; None where the model drafts by itself.
        drafted: drafted tokens a step, gamma; None where the rates by position say how many.
        acceptance: the chance that a token is accepted, given that all before it were.
        accepted_rate: accepted tokens over drafted ones.
        position_rates: tokens accepted at each position over steps.
        tokens_per_step: tokens that a step gives; of these four measures one is given.
    """

    target: Forecast
    draft: Forecast | None
    drafted: Expr | None = None
    acceptance: Expr | None = None
    accepted_rate: Expr | None = None
    position_rates: tuple[Expr, ...] | None = None
    tokens_per_step: Expr | None = None

    opens: ClassVar[Mapping[str, str]] = {
        "drafted": "draft",
        "acceptance": "acceptance",
        "accepted_rate": "accepted_rate",
        "tokens_per_step": "tokens_per_step",
    }

    @property
    def main(self) -> Forecast:
        """The target."""
        return self.target

    @property
    def places(self) -> tuple[Place, ...]:
        """The target's devices, and the draft's where they are others."""
        return (*self.target.places, *(self.draft.places if self._apart and self.draft else ()))

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of both models."""
        both = self.target.notes if self.draft is None else self.target.notes + self.draft.notes
        return tuple(dict.fromkeys(both))

    @property
    def gamma(self) -> Expr:
        """Drafted tokens a step."""
        return sympify(len(self.position_rates or ())) if self.drafted is None else self.drafted

    @cached_property
    def expected(self) -> Expr:
        """Tokens that a step gives on average.

        Raises:
            SymbolError: a measure outside its range, or not as many rates as drafted tokens.
        """
        if self.position_rates is not None:
            if self.gamma != len(self.position_rates):
                rates = len(self.position_rates)
                raise SymbolError(f"{rates} position rates for {self.gamma} drafted tokens")
            return tokens_at_positions(self.position_rates)
        if self.accepted_rate is not None:
            return tokens_at_rate(self.gamma, self.accepted_rate)
        if self.tokens_per_step is not None:
            return mean_tokens(self.gamma, self.tokens_per_step)
        chance = sym.acceptance if self.acceptance is None else self.acceptance
        return expected_tokens(self.gamma, chance)

    @cached_property
    def checking(self) -> tuple[Term, ...]:
        """The target's pass over the drafted tokens and one more, at context `symbols.past`."""
        trace = self.target.trace(self.gamma + 1, sym.past, logits="all", decodes=True)
        return self.target.timed(trace)

    @cached_property
    def drafting(self) -> tuple[Term, ...]:
        """Gamma draft steps at growing contexts; as many passes of the module without a draft.

        What reads the target's states runs once a step. Catching up by the one token that the draft
        has not seen when all are accepted is left out.
        """
        if self.gamma.is_zero:
            return ()
        if self.draft is None:
            terms = self.target.timed(prediction_module(self.target))
        else:
            terms = self.draft.tpot.terms
        if self.draft is None or not _side_by_side(self.draft):
            terms = tuple(self._each_step(term) for term in terms)
        return tuple(map(_of_the_draft, terms))

    @cached_property
    def filling(self) -> tuple[Term, ...]:
        """What fills the draft's cache: its prefill, or the module's over the same chunks."""
        if self.gamma.is_zero:
            return ()
        if self.draft is not None:
            terms = () if _borrows(self.draft) else self.draft.prefill_terms
            return tuple(map(_of_the_draft, terms))
        f, cut, begin = self.target, self.target.chunks, self.target.cached_before
        last = f.timed(prediction_module(f, cut.last, begin + cut.offset))
        if cut.before.is_zero:
            return tuple(map(_of_the_draft, last))
        body = prediction_module(f, cut.chunk, begin + index * cut.chunk, logits="none")
        first = (summed(term, cut.before) for term in f.timed(body))
        return tuple(map(_of_the_draft, (*first, *last)))

    @cached_property
    def step(self) -> Result:
        """One speculative step at context `symbols.past`."""
        terms = (*self.drafting, *self.checking)
        return Result(name="speculative step", unit="s", expr=total(terms), terms=terms)

    @cached_property
    def ttft(self) -> Result:
        """Time to first token: the target's prefill, and the draft's after it."""
        terms = (*self.target.prefill_terms, *self.filling)
        return Result(name="speculative TTFT", unit="s", expr=total(terms), terms=terms)

    @cached_property
    def tpot(self) -> StepTime:
        """Time per output token at context `symbols.past`: the step over its expected tokens."""
        plain, share = self.target.tpot, 1 / self.expected
        return StepTime(
            name="speculative TPOT",
            unit="s",
            expr=share * self.step.expr,
            terms=tuple(scaled(term, share) for term in self.step.terms),
            start=plain.start,
            steps=plain.steps,
        )

    @cached_property
    def memory(self) -> Result:
        """Bytes of both models' weights and caches; of the target and one module without a draft.

        Embedding and head of a module are the target's; where nothing is drafted there is none.
        """
        expr = Maximum(*(held for held, _ in self.residents))
        return Result(name="speculative memory", unit="byte", expr=expr)

    @property
    def residents(self) -> tuple[tuple[Expr, Hardware], ...]:
        """Bytes of both models, or of either on its own device."""
        f = self.target
        if self._apart and self.draft is not None:
            return (*f.residents, *self.draft.residents)
        more = S.Zero
        if self.draft is not None and not self.gamma.is_zero:
            more = self.draft.memory.expr
        elif not self.gamma.is_zero:
            more = self._module_held()
        return ((f.memory.expr + more, f.hardware),)

    @property
    def elsewhere(self) -> tuple[Held, ...]:
        """What other memories hold of both models, or of the target and one module."""
        f = self.target
        if self.gamma.is_zero:
            return f.elsewhere
        if self.draft is None:
            rows = zip(f.elsewhere, f.levels, strict=True)
            return tuple(replace(row, expr=row.expr + self._module_held(at)) for row, at in rows)
        if self._apart:
            return (*f.elsewhere, *self.draft.elsewhere)
        theirs = {held.name: held for held in self.draft.elsewhere}
        both = [
            replace(held, expr=held.expr + theirs.pop(held.name).expr)
            if held.name in theirs
            else held
            for held in f.elsewhere
        ]
        return (*both, *theirs.values())

    def _module_held(self, level: Level | None = None) -> Expr:
        """Bytes of one module and its cache in the device's own memory, or in another."""
        f = self.target
        module = prediction_module(f).filter(lambda entry: entry.section != "head")
        kept = self._module_cache(f.past + f.prompt + f.generate)
        return Add(*f.held(module, level).values()) + f.kept_in("kv", level) * kept

    @cached_property
    def speedup(self) -> Result:
        """How many times faster than decoding one token a step."""
        expr = self.target.tpot.expr / self.tpot.expr
        return Result(name="speedup", unit="1", expr=expr)

    @checked
    def cached(self, tokens: Expr) -> Expr:
        """Bytes of keys, values and states of both models."""
        own = self.target.cached(tokens)
        if self.gamma.is_zero:
            return own
        return own + (
            self._module_cache(tokens) if self.draft is None else self.draft.cached(tokens)
        )

    @checked
    def prefixed(self, prefix: Size) -> Self:
        """The same where both models have the first tokens of every prompt cached already."""
        draft = None if self.draft is None else self.draft.prefixed(prefix)
        return replace(self, target=self.target.prefixed(prefix), draft=draft)

    @property
    def _apart(self) -> bool:
        """Whether the draft has a device of another name."""
        if self.draft is None or self.gamma.is_zero:
            return False
        return self.draft.hardware.name != self.target.hardware.name

    def _module_cache(self, tokens: Expr) -> Expr:
        f = self.target
        elements = prediction_module(f).cache_elements(tokens)
        return f.precision.kv_bytes(f.local_batch * elements)

    def _each_step(self, term: Term) -> Term:
        """A term of a draft step at every drafted token's context; what runs once stays."""
        if term.section == ONCE:
            return term
        at = sym.past if self.draft is not None and _borrows(self.draft) else sym.past + index
        return summed(term.map(lambda expr: at_context(expr, at)), self.gamma)

    @property
    def more(self) -> Mapping[str, Result | tuple[Expr, ...]]:
        """The measures of acceptance, the mean step, and the speedup."""
        expected: Expr = self.expected
        mean = self.tpot.mean.expr
        found = {
            "tokens_per_step": Result(name="tokens a step", unit="1", expr=expected),
            "step": Result(name="mean step", unit="s", expr=mean * expected),
            "speedup": Result(
                name="mean speedup", unit="1", expr=self.target.tpot.mean.expr / mean
            ),
        }
        if not self.gamma.is_zero:
            rate = (expected - 1) / self.gamma
            found["accepted_rate"] = Result(name="accepted rate", unit="1", expr=rate)
        if self.gamma.is_Integer and expected.is_number:
            chance = conditional(int(self.gamma), expected)
            found["acceptance"] = Result(name="acceptance", unit="1", expr=chance)
        return found


def _of_the_draft(term: Term) -> Term:
    return replace(term, section=f"draft {term.section}")


@checked
def speculate(
    target: Forecast,
    draft: Forecast | None = None,
    tokens: Size = sym.draft,
    acceptance: Number | None = None,
    *,
    accepted_rate: Number | None = None,
    position_rates: Sequence[Number] | None = None,
    tokens_per_step: Number | None = None,
) -> Speculation:
    """Speculative decoding with a draft model; without one, with multi-token prediction modules.

    One of the measures says how much of it is accepted (see `lifesym.serving.acceptance`); without
    any it is the symbol ``acceptance``.

    Raises:
        SymbolError: forecasts of different batches or prompts, several measures or one outside its
            range, or more drafted tokens than a draft has heads for.
    """
    both = [f for f in (target, draft) if f is not None]
    if len({(f.local_batch, f.past, f.prompt, f.prefix) for f in both}) != 1:
        raise SymbolError("draft and target must have the same batch and prompt")
    gamma = size(tokens, "draft", minimum=0)
    if draft is not None and _side_by_side(draft):
        heads = sympify(draft.model.values.get(sym.draft_heads, sym.draft_heads))
        if (gamma - heads).is_positive:
            raise SymbolError(f"{draft.model.name} has {heads} heads: it cannot draft {gamma}")
    measures = {
        "acceptance": acceptance,
        "accepted_rate": accepted_rate,
        "tokens_per_step": tokens_per_step,
    }
    given = {name: exact(value, name) for name, value in measures.items() if value is not None}
    if len(given) + (position_rates is not None) > 1:
        raise SymbolError("acceptance is given by one measure, not by several")
    rates = None
    if position_rates is not None:
        rates = tuple(exact(rate, "position rate") for rate in position_rates)
    elif not given:
        given["acceptance"] = sym.acceptance
    made = Speculation(target=target, draft=draft, drafted=gamma, position_rates=rates, **given)
    _ = made.expected  # refuses a measure outside its range
    return made if rates is None else replace(made, drafted=None)


def _borrows(draft: Forecast) -> bool:
    """Whether the draft reads the target's cache, which no drafted token is in yet."""
    layers = (getattr(section.block, "mixer", None) for section in draft.model.sections)
    return any(isinstance(mixer, BorrowedAttention) for mixer in layers)


def _side_by_side(draft: Forecast) -> bool:
    """Whether one pass of the draft gives all the tokens of a step."""
    return any(isinstance(section.block, ParallelHead) for section in draft.model.sections)
