r"""Forecasts: TTFT, TPOT, TPS, latency, memory and energy of a workload, as expressions.

A generation of G tokens is one prefill, which gives the first token, and G - 1 decode steps at
contexts ``past + prompt`` to ``past + prompt + G - 2``. So

- $\mathit{TTFT}$ is the time of the forward pass with ``new = prompt``,
- $\mathit{TPOT}(T)$ is the time of one decode step with T tokens in the cache,
- its mean over a generation is the exact sum over those contexts divided by G - 1,
- $\mathit{latency} = \mathit{TTFT} + (G - 1)\,\overline{\mathit{TPOT}}$.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import ClassVar, Self

from sympy import Add, Expr, S

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.chunks import Chunks, summed
from lifesym.errors import SymbolError
from lifesym.footprint import Footprint
from lifesym.held import Held
from lifesym.results import Result, StepTime
from lifesym.roofline import Place, Term, total
from lifesym.symbols import Size, index, size
from lifesym.timed import Generation
from lifesym.trace import Trace
from lifesym.transforms import KERNELS, Fusion
from lifesym.transforms.fusion import rules_of


class Forecast(Footprint, Generation):
    """Everything lifesym says about one model on one device under one workload.

    TTFT is the time of the prefill; an encoder's is that of its one pass, and it has no TPOT. TPOT
    is a decode step of all sequences, the latency that of prefill and decode steps, the tokens are
    those of all sequences, the memory that of one device.
    """

    opens: ClassVar[Mapping[str, str]] = {
        "prompt": "prompt",
        "generate": "generated",
        "batch": "batch",
        "prefix": "prefix",
        "chunk": "chunk",
        "replicas": "replicas",
    }

    def beside(self, field: str) -> Expr:
        """What a field's number has beside its symbol: the tokens of images, in the prompt."""
        if field != "prompt":
            return S.Zero
        return Add(*(part.pieces * part.grid.tokens for part in self.seen))

    @cached_property
    def ttft(self) -> Result:
        """Time to first token: the prefill of the prompt, with one LM head row a sequence.

        The towers' passes over its images come before it.
        """
        terms = (*self._towers(), *self._prefill())
        expr = total(terms)
        made = Result(name="TTFT", unit="s", expr=expr, terms=terms, form=self, metric="ttft")
        return replace(made, whole=(self.chunks.count,)) if self.whole_chunks else made

    @cached_property
    def tpot(self) -> StepTime:
        """Time per output token: a decode step at context `symbols.past`, and its mean.

        Raises:
            SpecError: a model that generates no tokens.
        """
        self.generates()
        terms = self._pass(S.One, sym.past)
        return StepTime(
            name="TPOT",
            unit="s",
            expr=total(terms),
            terms=terms,
            start=self.past + self.prompt,
            steps=self.decode_steps,
            form=self,
            metric="tpot",
        )

    @property
    def bounding(self) -> str:
        """What times at peaks are a bound of: the words after "an upper bound on speed".

        Of all kernels, where whole layers are one and a pass has one maximum; of kernels that
        compute an operator each, where attention is one. Both compute the scores that the causal
        mask leaves, have the cheaper form of latents in each phase, and do nothing beside.
        """
        rules = {
            rule
            for each in self.rewrites
            if isinstance(each, Fusion) and each.tile is None
            for rule in rules_of(each.rules)
        }
        beside = any(isinstance(each, KERNELS) for each in self.rewrites)
        if (self.causal, self.mla) == ("exact", "by_phase") and not (
            beside or self.precision.unfused_dequant
        ):
            if "layer" in rules and self.overlap == "pass":
                return ""
            if rules and self.overlap != "none":
                return ", operator by operator"
        return " of these kernels"

    @property
    def counted(self) -> Trace:
        """The pass whose operations and bytes are counted: `symbols.new` tokens after a context."""
        past = sym.past if "decoder" in self.model.kind else self.past
        return self.trace(sym.new, past, "last")

    @property
    def places(self) -> tuple[Place, ...]:
        """The devices that share the batch."""
        return (self.place,)

    @property
    def stores(self) -> tuple[Held, ...]:
        """What each memory holds at the end: the device's own first, then the others."""
        return tuple(self.memories.values())

    @property
    def elsewhere(self) -> tuple[Held, ...]:
        """What the other memories hold."""
        return self.stores[1:]

    @property
    def chunks(self) -> Chunks:
        """How the prefill is cut; without chunks it has one."""
        chunk = self.computed if self.chunk is None else self.chunk
        return Chunks(prompt=self.computed, chunk=chunk, whole=self.whole_chunks)

    @checked
    def prefixed(self, prefix: Size) -> Self:
        """The same forecast where the first tokens of every prompt are cached already.

        Raises:
            SymbolError: a prefix that leaves no token of the prompt.
        """
        cached = size(prefix, "prefix", minimum=0)
        rest = self.prompt - cached
        if rest.is_number and rest < 1:
            raise SymbolError(f"a prefix of {cached} tokens leaves none of {self.prompt}")
        made = replace(self, prefix=cached)
        made.chunks.check()
        return made

    def _prefill(self) -> tuple[Term, ...]:
        """The chunks before the last summed in closed form, and the last with its logits."""
        last, before = self.last_chunk, self.chunks.before
        if before.is_zero:
            return last
        if self.whole_chunks:
            return self._alike(last)
        return (*(summed(term, before) for term in self.whole_chunk), *last)

    def _alike(self, last: tuple[Term, ...]) -> tuple[Term, ...]:
        """Chunks that are all whole: what the last one does as the others is summed with them."""
        count = self.chunks.count
        terms, alone = [], list(last)
        for term in self.whole_chunk:
            same = term.map(lambda expr: expr.xreplace({index: count - 1}))
            times = count - 1
            if same in alone:
                alone.remove(same)
                times = count
            terms.append(summed(term, times))
        return (*terms, *alone)

    @property
    def whole_chunk(self) -> tuple[Term, ...]:
        """The pass of the prompt's chunk number `symbols.index`, from 0: not that of its last."""
        past = self.cached_before + index * self.chunks.chunk
        return self.timed(self.trace(self.chunks.chunk, past, logits="none"))

    @property
    def last_chunk(self) -> tuple[Term, ...]:
        """The pass of the prompt's last chunk, or of all of it, with logits."""
        return self._pass(self.chunks.last, self.cached_before + self.chunks.offset)

    def _pass(self, new: Expr, past: Expr) -> tuple[Term, ...]:
        return self.timed(self.trace(new, past))

    def _towers(self) -> Iterator[Term]:
        """The terms of the towers' passes; of one that is bound as a whole, under its name."""
        for part, trace in zip(self.seen, self.tower_traces, strict=True):
            for term in self.timed(trace):
                whole = term.section == "pass"
                yield replace(term, section=f"{part.tower.label} pass") if whole else term
