r"""A prompt in chunks, and in every chunk's pass one token each of sequences that generate.

The prompt's $n = \lceil S/C \rceil$ passes each carry D decode tokens, whose contexts grow by one a
pass, from T to T + n - 1. The passes before the last are summed in closed form, as without the
decodes (`lifesym.chunks`): what attends is the sum of two lines in the index of the pass, which is
a line again. Source: Sarathi-Serve, arXiv 2403.02310, section 4.2 (stall-free batching).
"""

from dataclasses import dataclass
from functools import cached_property

from sympy import Expr

from lifesym.checks import checked
from lifesym.chunks import Chunks, summed
from lifesym.inference import Forecast
from lifesym.results import Result
from lifesym.roofline import Term, total
from lifesym.serving.mixed import Group, mixed_trace
from lifesym.symbols import Size, index, size
from lifesym.trace import Logits


@dataclass(frozen=True, kw_only=True)
class Piggybacked:
    """The prefill of the forecast's prompts, with decode tokens in each of its passes.

    Attributes:
        forecast: its batch are the sequences of which a prompt is computed.
        decodes: sequences that generate beside them.
        context: tokens in the cache of each of those at the first pass.
    """

    forecast: Forecast
    decodes: Expr
    context: Expr

    @property
    def chunks(self) -> Chunks:
        """How the prompt is cut; a forecast without chunks has one."""
        f = self.forecast
        return Chunks(prompt=f.prompt, chunk=f.prompt if f.chunk is None else f.chunk)

    @cached_property
    def ttft(self) -> Result:
        """Time until the prompt's first token: all of the passes."""
        f, cut = self.forecast, self.chunks
        terms = self._pass(cut.last, f.past + cut.offset, cut.before, "last")
        if not cut.before.is_zero:
            body = self._pass(cut.chunk, f.past + index * cut.chunk, index, "none")
            terms = (*(summed(term, cut.before) for term in body), *terms)
        return Result(name="TTFT beside decodes", unit="s", expr=total(terms), terms=terms)

    @cached_property
    def step(self) -> Result:
        """Mean time of a pass: that between two tokens of a sequence that generates."""
        expr = self.ttft.expr / (self.chunks.before + 1)
        return Result(name="TPOT beside a prefill", unit="s", expr=expr)

    def _pass(self, new: Expr, past: Expr, steps: Expr, logits: Logits) -> tuple[Term, ...]:
        """The terms of a pass after so many others."""
        f = self.forecast
        groups = [Group(batch=f.local_batch, new=new, past=past, logits=logits)]
        if not self.decodes.is_zero:
            groups.append(Group(batch=self.decodes, past=self.context + steps))
        return f.timed(mixed_trace(f, groups))


@checked
def piggyback(forecast: Forecast, decodes: Size, context: Size | None = None) -> Piggybacked:
    """Carry decode tokens of other sequences in the passes of a prefill.

    Their contexts begin at the prompt's own length unless given; with 0 of them it is the plain
    prefill.

    Raises:
        SymbolError: sizes out of range, or what `lifesym.serving.mixed.mixed_trace` raises.
    """
    begin = forecast.past + forecast.prompt if context is None else context
    return Piggybacked(
        forecast=forecast,
        decodes=size(decodes, "decodes", minimum=0),
        context=size(begin, "context", minimum=0),
    )
