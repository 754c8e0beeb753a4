r"""A prompt in chunks, and in every chunk's pass one token each of sequences that generate.

The prompt's $n = \lceil S/C \rceil$ passes each carry D decode tokens, whose contexts grow by one a
pass, from T to T + n - 1. The passes before the last are summed in closed form, as without the
decodes (`lifesym.chunks`): what attends is the sum of two lines in the index of the pass, which is
a line again. Source: Sarathi-Serve, arXiv 2403.02310, section 4.2 (stall-free batching).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from sympy import Expr, S

from lifesym.checks import checked
from lifesym.chunks import Chunks, scaled, summed
from lifesym.inference import Forecast
from lifesym.results import Result, StepTime
from lifesym.roofline import Term, total
from lifesym.serving.mixed import Group, mixed_trace
from lifesym.serving.one_pass import OneToken
from lifesym.symbols import Size, index, size
from lifesym.trace import Logits


@dataclass(frozen=True, kw_only=True)
class Piggybacked(OneToken):
    """The prefill of the forecast's prompts, with decode tokens in each of its passes.

    TTFT and the latency are the time of all passes, TPOT is their mean: that between two tokens of
    a sequence that generates beside the prefill. The tokens are those of these sequences, and the
    first one of every prompt. The memory is the forecast's, and the caches of the others.

    Attributes:
        forecast: its batch are the sequences of which a prompt is computed.
        decodes: sequences that generate beside them, in each replica.
        context: tokens in the cache of each of those at the first pass; a prompt's unless given.
    """

    forecast: Forecast
    decodes: Expr
    context: Expr | None = None

    opens: ClassVar[Mapping[str, str]] = {"decodes": "decodes", "context": "context"}

    @property
    def chunks(self) -> Chunks:
        """How the prompt is cut; a forecast without chunks has one."""
        return self.forecast.chunks

    @property
    def advancing(self) -> Expr:
        """Sequences that get a token in a pass, on average."""
        return self.tokens / self.chunks.count

    @property
    def tokens(self) -> Expr:
        """A token of every decoding sequence in each pass, and the first of every prompt."""
        f = self.forecast
        return f.replicas * self.decodes * self.chunks.count + f.batch

    @cached_property
    def ttft(self) -> Result:
        """Time until the prompt's first token: all of the passes."""
        f, cut = self.forecast, self.chunks
        terms = self._pass(cut.last, f.cached_before + cut.offset, cut.before, "last")
        if not cut.before.is_zero:
            body = self._pass(cut.chunk, f.cached_before + index * cut.chunk, index, "none")
            terms = (*(summed(term, cut.before) for term in body), *terms)
        return Result(name="TTFT beside decodes", unit="s", expr=total(terms), terms=terms)

    @cached_property
    def tpot(self) -> StepTime:
        """Mean time of a pass: that between two tokens of a sequence that generates."""
        share = 1 / self.chunks.count
        return StepTime(
            name="TPOT beside a prefill",
            unit="s",
            expr=share * self.ttft.expr,
            terms=tuple(scaled(term, share) for term in self.ttft.terms),
            start=None,
            steps=S.One,
        )

    @property
    def kept(self) -> Expr:
        """Bytes of all caches: after the last pass, with room for the prompts' generation."""
        f = self.forecast
        own = f.cached(f.past + f.prompt + f.generate)
        return own + f.cached(self._context + self.chunks.count, self.decodes)

    @property
    def _context(self) -> Expr:
        f = self.forecast
        return f.past + f.prompt if self.context is None else self.context

    def _pass(self, new: Expr, past: Expr, steps: Expr, logits: Logits) -> tuple[Term, ...]:
        """The terms of a pass after so many others."""
        f = self.forecast
        groups = [Group(batch=f.local_batch, new=new, past=past, logits=logits)]
        if not self.decodes.is_zero:
            groups.append(Group(batch=self.decodes, past=self._context + steps))
        return f.timed(mixed_trace(f, groups))

    @property
    def step(self) -> StepTime:
        """The mean time of a pass."""
        return self.tpot

    @property
    def more(self) -> Mapping[str, Result | tuple[Expr, ...]]:
        """How much longer the prompt takes, and its passes."""
        slower = self.ttft.expr / self.forecast.ttft.expr
        return {
            "slowdown": Result(name="slowdown", unit="1", expr=slower),
            "passes": Result(name="passes", unit="passes", expr=self.chunks.count),
        }


@checked
def piggyback(forecast: Forecast, decodes: Size, context: Size | None = None) -> Piggybacked:
    """Carry decode tokens of other sequences in the passes of a prefill.

    Their contexts begin at the prompt's own length unless given; with 0 of them it is the plain
    prefill.

    Raises:
        SymbolError: sizes out of range, or what `lifesym.serving.mixed.mixed_trace` raises.
    """
    return Piggybacked(
        forecast=forecast,
        decodes=size(decodes, "decodes", minimum=0),
        context=None if context is None else size(context, "context", minimum=0),
    )
