"""One forward pass under every option of a forecast: its trace, and the terms of its time."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

from sympy import Expr, Mul, S

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.engines import Engine, Latents
from lifesym.formats import Precision
from lifesym.hardware import Hardware
from lifesym.levels import Level
from lifesym.model import Model
from lifesym.nodes import CeilDiv
from lifesym.operators import Routing
from lifesym.roofline import Overlap, Place, Term, time_terms
from lifesym.symbols import Size, exact, size
from lifesym.tower import Seen
from lifesym.trace import MLA, Causal, Logits, Trace
from lifesym.transforms import SequenceParallel, TensorParallel

Rewrite = Callable[[Trace], Trace]


@dataclass(frozen=True, kw_only=True)
class Passes:
    """A model on a device, with the workload and every option that shapes a forward pass.

    ``past`` tokens are cached before the prompt, and the first ``prefix`` tokens of the prompt too.
    """

    model: Model
    hardware: Hardware
    precision: Precision
    prompt: Expr
    generate: Expr
    batch: Expr
    past: Expr
    overlap: Overlap
    mla: Latents
    causal: Causal
    routing: Routing
    prefix: Expr = S.Zero
    chunk: Expr | None = None
    whole_chunks: bool = False
    rewrites: tuple[Rewrite, ...] = ()
    levels: tuple[Level, ...] = ()
    replicas: Expr = S.One
    seen: tuple[Seen, ...] = ()
    tower_rewrites: tuple[Rewrite, ...] = ()
    engine: Engine = field(default_factory=Engine)

    @property
    def stream_width(self) -> Expr:
        """Elements of a token in the residual stream, or in all of several."""
        of, known = self.model.values, self.model.dimensions
        streams = of.get(sym.streams, sym.streams) if sym.streams in known else 1
        return exact(of.get(sym.hidden, sym.hidden)) * exact(streams)

    @property
    def cached_before(self) -> Expr:
        """Tokens of each sequence in the cache when its prefill begins."""
        return self.past + self.prefix

    @property
    def computed(self) -> Expr:
        """Tokens of each prompt that its prefill computes."""
        return self.prompt - self.prefix

    @property
    def devices(self) -> Expr:
        """Devices that share the batch: those of tensor parallelism, in every replica."""
        split = (each for each in self.rewrites if isinstance(each, TensorParallel))
        return Mul(self.replicas, *(size(each.devices, "devices") for each in split))

    @property
    def token_devices(self) -> Expr:
        """Devices of sequence parallelism, which share the tokens of the residual stream."""
        split = (each.devices for each in self.rewrites if isinstance(each, SequenceParallel))
        return size(next(split, 1), "devices")

    @property
    def place(self) -> Place:
        """The devices, and the other memories of each."""
        return Place(hardware=self.hardware, levels=self.levels, devices=self.devices)

    @property
    def local_batch(self) -> Expr:
        """Sequences of the replica that has most of them."""
        return CeilDiv(self.batch, self.replicas)

    @property
    def cached_form(self) -> MLA:
        """The convention of latent attention that says what is cached, which is in every phase."""
        return "absorbed" if self.mla == "by_phase" else self.mla

    @checked
    def trace(
        self,
        new: Size,
        past: Size,
        logits: Logits | None = None,
        batch: Size | None = None,
        *,
        decodes: bool | None = None,
        idle: bool = False,
    ) -> Trace:
        """The trace of one forward pass under every option of the forecast.

        Unless logits are asked for, those of the last token are computed; by an encoder, those of
        every token, or none by a bare one. A pass over one new token is one of decoding, where a
        convention depends on that, unless ``decodes`` says what the pass is.
        """
        if logits is None:
            encoded: Logits = "none" if self.model.kind == "bare encoder" else "all"
            logits = "last" if "decoder" in self.model.kind else encoded
        decodes = new == 1 if decodes is None else decodes
        by_phase: MLA = "absorbed" if decodes else "expand"
        trace = self.model.forward(
            self.local_batch if batch is None else batch,
            new,
            past,
            logits=logits,
            mla=by_phase if self.mla == "by_phase" else self.mla,
            causal=self.causal,
            routing=self.routing,
            windows=self.engine.windows,
            idle=idle,
        )
        for rewrite in self.rewrites:
            trace = rewrite(trace)
        return trace

    @cached_property
    def one_token(self) -> Trace:
        """The trace of a token with nothing cached, and of every tower.

        Weights and caches are the same in any pass.
        """
        towers = (self.model.tower_trace(tower) for tower in self.model.towers)
        parts = (self.trace(S.One, S.Zero, idle=True), *towers)
        return Trace(tuple(entry for part in parts for entry in part))

    @cached_property
    def tower_traces(self) -> tuple[Trace, ...]:
        """The trace of each tower that sees something: it runs once, before the prompt's pass.

        Every device has the towers whole; of the rewrites only fusion changes them. Their
        operators are named apart from the language model's.
        """
        traces = []
        for part in self.seen:
            pieces = self.local_batch * part.pieces
            trace = self.model.tower_trace(part.tower, pieces, part.grid)
            for rewrite in self.tower_rewrites:
                trace = rewrite(trace)
            label = part.tower.label
            named = (replace(entry, name=f"{label}_{entry.name}") for entry in trace)
            traces.append(Trace(tuple(named)))
        return tuple(traces)

    @checked
    def timed(self, trace: Trace) -> tuple[Term, ...]:
        """The terms of a trace's time on the device."""
        where = self.place
        return time_terms(
            trace, where.hardware, self.precision, self.overlap, where.levels, where.devices
        )
