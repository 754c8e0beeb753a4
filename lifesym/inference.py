r"""Forecasts: TTFT, TPOT, TPS, latency, memory and energy of a workload, as expressions.

A generation of G tokens is one prefill, which gives the first token, and G - 1 decode steps at
contexts ``past + prompt`` to ``past + prompt + G - 2``. So

- $\mathit{TTFT}$ is the time of the forward pass with ``new = prompt``,
- $\mathit{TPOT}(T)$ is the time of one decode step with T tokens in the cache,
- its mean over a generation is the exact sum over those contexts divided by G - 1,
- $\mathit{latency} = \mathit{TTFT} + (G - 1)\,\overline{\mathit{TPOT}}$.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Literal

from sympy import Add, Expr, S

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.chunks import Chunks, summed
from lifesym.errors import SpecError
from lifesym.footprint import Footprint
from lifesym.results import Part, Result, StepTime
from lifesym.roofline import Term, total
from lifesym.sums import sum_over
from lifesym.symbols import Number, exact, index
from lifesym.work import Bound, bottleneck, work_of


class Forecast(Footprint):
    """Everything lifesym says about one model on one device under one workload."""

    @cached_property
    def ttft(self) -> Result:
        """Time to first token: the prefill of the prompt, with one LM head row a sequence.

        The towers' passes over its images come before it.
        """
        if self.chunk is None:
            terms = self._pass(self.prompt, self.past)
        else:
            terms = self._chunked(Chunks(prompt=self.prompt, chunk=self.chunk))
        terms = (*self._towers(), *terms)
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
            start=self._start,
            steps=self._steps,
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
    def energy(self) -> Result:
        """Joules of the whole generation: operations, bytes moved, and static power over time.

        It is that of all the devices that share the batch, each as busy as the busiest of them; on
        the devices of expert parallelism, which bring batches of their own, that of one batch.
        Links have no energy of their own. Of a device without energies of operations and bytes it
        is joules at the stated power (typical, or the TDP) over the forecast's time. That is no
        upper bound: a real run takes longer than its peaks allow.

        Raises:
            SpecError: the device's power is not known.
        """
        hardware = self.hardware
        if hardware.static_power is None:
            raise SpecError(f"{hardware.name} has no power figure: energy is not known")
        work = self._total_work
        joules = [
            ("matrix operations", hardware.flop_energy * work["matmul_flops"]),
            ("other operations", hardware.flop_energy * work["other_flops"]),
            ("weights", hardware.byte_energy * work["weight_bytes"]),
            ("activations", hardware.byte_energy * work["activation_bytes"]),
            ("KV cache", hardware.byte_energy * work["kv_bytes"]),
        ]
        for level in self.levels:
            moved = exact(level.byte_energy) * work[f"level {level.name}"]
            done = exact(level.flop_energy) * work[f"operations at {level.name}"]
            joules.append((level.name, moved + done))
        joules.append(("static power", hardware.static_power * self.latency.expr))
        parts = tuple(Part(name=name, value=self.devices * j) for name, j in joules)
        expr = Add(*(part.value for part in parts))
        return Result(name="energy", unit="J", expr=expr, parts=parts)

    @checked
    def cost(self, hourly_price: Number = sym.hourly_price) -> Result:
        """Price of a million generated tokens for devices rented by the hour.

        ``price / 3600 * latency / (batch * generate) * 10**6``; the price is that of all the
        devices together.
        """
        self.generates()
        per_second = exact(hourly_price, "hourly_price") / 3600
        tokens = self.batch * self.generate
        expr = per_second * self.latency.expr / tokens * 10**6
        return Result(name="cost of a million tokens", unit="price", expr=expr)

    @checked
    def bottleneck(self, phase: Literal["prefill", "decode"]) -> Bound:
        """What most of a phase's time is bound by, when everything is a number.

        Each operator's time goes to the larger of its compute and memory times; dispatch counts
        by itself. Decode is judged by its mean over the generation.

        Raises:
            SymbolError: a symbol is left.
        """
        terms = self.ttft.terms if phase == "prefill" else self.tpot.mean.terms
        return bottleneck(terms)

    @property
    def _start(self) -> Expr:
        return self.past + self.prompt

    @property
    def _steps(self) -> Expr:
        """Decode steps of the generation; one for a generation of a single token."""
        steps = self.generate - 1
        return S.One if steps.is_zero else steps

    def generates(self) -> None:
        """Refuse a question about the tokens of a model that gives none.

        Raises:
            SpecError: an encoder, or a model without an LM head.
        """
        if self.generate == 0:
            raise SpecError(self.model.silent)

    @cached_property
    def _step(self) -> tuple[Term, ...]:
        self.generates()
        return self._pass(S.One, sym.past)

    @cached_property
    def _decode_time(self) -> Expr:
        if self.generate in (0, 1):
            return S.Zero
        return self._over_generation(total(self._step))

    @cached_property
    def _total_work(self) -> dict[str, Expr]:
        """Operations and bytes by role of the whole generation."""
        prefill = work_of(self.ttft.terms, self.levels)
        if self.generate in (0, 1):
            return prefill
        step = work_of(self._step, self.levels)
        return {name: prefill[name] + self._over_generation(step[name]) for name in prefill}

    def _pass(self, new: Expr, past: Expr) -> tuple[Term, ...]:
        return self.timed(self.trace(new, past))

    def _towers(self) -> Iterator[Term]:
        """The terms of the towers' passes; of one that is bound as a whole, under its name."""
        for part, trace in zip(self.seen, self.tower_traces, strict=True):
            for term in self.timed(trace):
                whole = term.section == "pass"
                yield replace(term, section=f"{part.tower.label} pass") if whole else term

    def _chunked(self, chunks: Chunks) -> tuple[Term, ...]:
        """The chunks before the last summed in closed form, and the last with its logits."""
        last = self._pass(chunks.last, self.past + chunks.offset)
        if chunks.before.is_zero:
            return last
        context = self.past + index * chunks.chunk
        body = self.timed(self.trace(chunks.chunk, context, logits="none"))
        return (*(summed(term, chunks.before) for term in body), *last)

    def _over_generation(self, expr: Expr) -> Expr:
        """The sum over the decode steps of an expression in the context."""
        return sum_over(expr.xreplace({sym.past: self._start + index}), self._steps)
