r"""`training_step`: the time and memory of one step of training, as expressions.

A step of m microbatches on p stages, of v pieces of the layers each, takes

$$m\,t + \frac{t_1 + \dots + t_p - t}{v} + t_{\mathrm{grad}} + t_{\mathrm{opt}}$$

with $t_i$ for the forward and backward pass of a microbatch on stage i (and what is recomputed
between them), t the longest of these, and the times of exchanging the gradients among replicas and
of the optimizer. The second part is the pipeline's bubble; GPipe and 1F1B have v = 1 and differ in
the microbatches whose activations they keep.

A device holds weights, gradients and the optimizer's states of its part, and for each microbatch in
flight what the backward pass needs of the forward (`lifesym.operators.base.Operator.saved`).

Sources: Narayanan et al., Megatron-LM, arXiv 2104.04473, section 2.2 and appendix (schedules,
FLOPs); Korthikanti et al., 2205.05198, sections 4 and 5 (activations, recomputation); Rajbhandari
et al., ZeRO, 1910.02054, sections 5 and 7 (states split over replicas, and what they exchange).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, TypedDict, Unpack, get_args

from sympy import Add, Expr, S

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.cost import bytes_of
from lifesym.engines import Engine
from lifesym.errors import SpecError, SymbolError, one_of
from lifesym.forecasting import forecast
from lifesym.formats import Format, load_format
from lifesym.hardware import Hardware
from lifesym.held import Held
from lifesym.huggingface import as_model
from lifesym.inference import Forecast
from lifesym.model import Model
from lifesym.nodes import Maximum, Minimum
from lifesym.operators import Collective, LMHead, OptimizerStep, Routing
from lifesym.operators.collective import Algorithm
from lifesym.operators.experts import RoutingKind
from lifesym.results import Part, Result
from lifesym.roofline import Overlap, Term, link_time, total
from lifesym.serving.flow import Flow, by_place, placed
from lifesym.symbols import Number, Size, exact, size
from lifesym.trace import Causal, Entry, Trace
from lifesym.training.saved import saved
from lifesym.transforms import Fusion
from lifesym.transforms.fusion import Rule
from lifesym.transforms.training import Dropouts, Recompute, Uncached, backward, recomputed

Schedule = Literal["1f1b", "gpipe", "interleaved"]
Sharded = Literal["nothing", "optimizer", "gradients", "weights"]


class TrainingKeywords(TypedDict, total=False):
    """Keywords of `lifesym.forecast` that shape the passes of a training step, too."""

    engine: Engine | str | Path
    overlap: Overlap
    causal: Causal
    routing: Routing | RoutingKind
    tensor_parallel: Size
    all_reduce: Algorithm
    sequence_parallel: bool
    fusion: str | Iterable[Rule]


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """One step of training: its time, memory, operations and rates.

    Attributes:
        forward: the pass of one microbatch through the whole model.
        microbatches: how many each replica computes.
        stages: of the pipeline.
        schedule: of its microbatches.
        model_chunks: pieces of the layers on each stage of an interleaved pipeline.
        replicas: of data parallelism.
        sharded: what the replicas split of what they hold.
        recompute: what is computed again before the gradients.
        gradient: the format in which gradients of weights are added up.
        overlap_gradients: they are exchanged during the last microbatch's backward pass.
        between: bandwidth and latency of the links between stages and replicas; the device's own
            unless given.
    """

    forward: Forecast
    microbatches: Expr
    stages: Expr
    schedule: Schedule
    model_chunks: Expr
    replicas: Expr
    sharded: Sharded
    recompute: Recompute
    gradient: Format
    overlap_gradients: bool
    between: tuple[Expr, Expr] | None

    SHARDS: ClassVar[tuple[Sharded, ...]] = get_args(Sharded)

    @cached_property
    def trace(self) -> Trace:
        """The forward pass of a microbatch on one device, with logits of all its tokens."""
        return self.forward.trace(self.forward.prompt, S.Zero, logits="all", decodes=False)

    @cached_property
    def forward_terms(self) -> tuple[Term, ...]:
        """The terms of that pass."""
        return self.forward.timed(self.trace)

    @cached_property
    def recomputed_terms(self) -> tuple[Term, ...]:
        """The terms of what is computed once more."""
        return self.forward.timed(recomputed(self.trace, self.recompute))

    @cached_property
    def backward_terms(self) -> tuple[Term, ...]:
        """The terms of the gradients."""
        return self.forward.timed(backward(self.trace, self.gradient))

    @property
    def devices(self) -> Expr:
        """All devices: those of a stage, in every stage of every replica."""
        return self.forward.devices * self.stages * self.replicas

    @property
    def tokens(self) -> Expr:
        """Tokens of a step, of all replicas."""
        return self.replicas * self.microbatches * self.forward.batch * self.forward.prompt

    @cached_property
    def time(self) -> Result:
        """Seconds of a step, and what they are spent on."""
        flow = self._flow
        parts = (
            Part(name="microbatches", value=self.microbatches * flow.slowest),
            Part(name="bubble", value=(flow.added - flow.slowest) / self.model_chunks),
            Part(name="exchange of gradients", value=self._exposed),
            Part(name="optimizer", value=total(self._optimizer)),
        )
        expr = Add(*(part.value for part in parts))
        return Result(name="training step", unit="s", expr=expr, parts=parts)

    @cached_property
    def tokens_per_second(self) -> Result:
        """Tokens of all replicas a second."""
        expr = self.tokens / self.time.expr
        return Result(name="training speed", unit="token/s", expr=expr)

    @cached_property
    def flops(self) -> Result:
        """Operations of matrix products of all devices in a step, recomputed ones included."""
        return self._operations(anew=True)

    @cached_property
    def model_flops(self) -> Result:
        """The same without what is recomputed: three times the forward pass."""
        return self._operations(anew=False)

    @cached_property
    def mfu(self) -> Result:
        """Model FLOPs utilization: `model_flops` a second over the peak of all devices.

        Source: Chowdhery et al., PaLM, arXiv 2204.02311, appendix B.
        """
        return self._utilization("MFU", self.model_flops)

    @cached_property
    def hfu(self) -> Result:
        """Hardware FLOPs utilization: `flops` a second over the peak of all devices."""
        return self._utilization("HFU", self.flops)

    @cached_property
    def memory(self) -> Result:
        """Bytes of a device of the fullest stage: the first one or the last one.

        Not counted: gradients of activations, workspaces of kernels, what an allocator cannot use.
        """
        expr = Maximum(*(each.expr for each in self.stages_held))
        return Result(name="memory of a stage", unit="byte", expr=expr)

    @cached_property
    def stages_held(self) -> tuple[Held, Held]:
        """What a device of the first stage holds, and one of the last, by role."""
        first, last = self.in_flight
        ends = (("embed", first, "head"), ("head", last, "embed"))
        capacity = self.forward.hardware.capacity
        held = []
        for end, flying, other in ends:
            share = {end: S.One, "layers": 1 / self.stages, other: 1 - self._several}
            there: dict[str, Expr] = {
                name: Add(*(share[place] * value for place, value in values.items()))
                for name, values in self._states.items()
            }
            by_place, again = self._kept
            kept = Add(*(share[place] * value for place, value in by_place.items()))
            there["activations"] = flying * kept + again
            if end == "head":
                there["weights"] += self._several * self._tied
            held.append(
                Held(
                    name=f"stage of the {'embedding' if end == 'embed' else 'head'}",
                    unit="byte",
                    expr=Add(*there.values()),
                    parts=tuple(Part(name=name, value=value) for name, value in there.items()),
                    capacity=None if capacity is None else exact(capacity),
                )
            )
        return held[0], held[1]

    @property
    def held_by_place(self) -> dict[str, Expr]:
        """Bytes that a microbatch keeps for its gradients: of embedding, head and all layers."""
        return self._kept[0]

    @cached_property
    def _flow(self) -> Flow:
        terms = (*self.forward_terms, *self.recomputed_terms, *self.backward_terms)
        return Flow.equal(placed(terms), self.stages, self._sent, overlap=False)

    @property
    def _several(self) -> Expr:
        """0 for one stage, else 1."""
        return Minimum(self.stages - 1, 1)

    @property
    def _sent(self) -> Expr:
        """Seconds of sending a microbatch's stream on, and its gradients back.

        Devices of sequence parallelism each send their part. An interleaved pipeline sends once
        for each of its pieces.
        """
        if self.stages is S.One:
            return S.Zero
        return 2 * self.model_chunks * link_time(S.One, self._stream, self._outer)

    @property
    def _outer(self) -> Hardware:
        """The device behind the links that join stages and replicas."""
        hardware = self.forward.hardware
        return hardware if self.between is None else hardware.with_links(self.between)

    @cached_property
    def _values(self) -> dict[str, Expr]:
        """Learned values of one device of the whole model, by place."""
        return by_place(
            (
                entry.section,
                Add(*(matrix.times(entry.copies).elements for matrix in entry.operator.matrices)),
            )
            for entry in self.trace
        )

    @cached_property
    def _weights(self) -> dict[str, Expr]:
        """Their bytes."""
        f = self.forward
        return by_place(
            (
                entry.section,
                Add(*(f.held_bytes(m.times(entry.copies)) for m in entry.operator.matrices)),
            )
            for entry in self.trace
        )

    @cached_property
    def _states(self) -> dict[str, dict[str, Expr]]:
        """Bytes of weights, gradients and optimizer by place, less what replicas split."""
        level = self.SHARDS.index(self.sharded)
        width = self.gradient.bits_per_value
        states = OptimizerStep.STATES * 4
        whole: dict[str, tuple[int, dict[str, Expr]]] = {
            "weights": (3, self._weights),
            "gradients": (2, {k: bytes_of(v, width) for k, v in self._values.items()}),
            "optimizer": (1, {k: states * v for k, v in self._values.items()}),
        }
        return {
            name: {
                place: each / (self.replicas if level >= least else 1) for place, each in v.items()
            }
            for name, (least, v) in whole.items()
        }

    @property
    def _tied(self) -> Expr:
        """Bytes of the embedding's matrix where a tied head is on another stage."""
        return bytes_of(self._tied_values, self.forward.precision.weights.bits_per_value)

    @property
    def _tied_values(self) -> Expr:
        """Values of that matrix."""
        heads = (e.operator for e in self.trace if isinstance(e.operator, LMHead))
        return Add(*(head.vocab * head.hidden for head in heads if head.tied))

    @cached_property
    def _kept(self) -> tuple[dict[str, Expr], Expr]:
        """Bytes that the backward pass needs of a microbatch by place, and of one layer more."""
        f = self.forward
        return saved(self.trace, f.precision, self.recompute, self._stream, f.token_devices)

    @property
    def _stream(self) -> Expr:
        """Bytes of the residual stream of a microbatch on one device."""
        f = self.forward
        return f.precision.activation_bytes(f.batch * f.prompt * f.stream_width) / f.token_devices

    @property
    def in_flight(self) -> tuple[Expr, Expr]:
        """Microbatches whose activations the first stage keeps, and the last one.

        Of an interleaved pipeline the i-th of p stages, from 0, keeps those of
        $2 (p - 1 - i) + (v - 1) p + 1$ of its v pieces.
        """
        m, p, v = self.microbatches, self.stages, self.model_chunks
        if self.schedule == "gpipe":
            return m, m
        if self.schedule == "interleaved":
            most = ((2 * (p - 1) + (v - 1) * p + 1) / v, ((v - 1) * p + 1) / v)
            return Minimum(m, most[0]), Minimum(m, most[1])
        return Minimum(p, m), S.One

    @property
    def _stage_values(self) -> Expr:
        """Learned values of a device of the stage that has most."""
        embed, head, layers = (self._values[place] for place in ("embed", "head", "layers"))
        apart = Maximum(embed, head + self._tied_values)
        return layers / self.stages + self._several * apart + (1 - self._several) * (embed + head)

    @cached_property
    def _exchanged(self) -> Expr:
        """Seconds in which replicas exchange gradients, and weights that they split.

        A ring of n replicas: $2 (n - 1)/n$ of the gradients, whether all replicas then have all
        sums or each updates its part and gathers the weights; weights that are split are gathered
        for each forward and backward pass, and the gradients' part is then half of that.
        """
        if self.replicas is S.One:
            return S.Zero
        gradients = bytes_of(self._stage_values, self.gradient.bits_per_value)
        every = {"elements": S.One, "devices": self.replicas}
        messages, share = Collective(pattern="all_reduce", **every).traffic()
        if self.sharded != "weights":
            return link_time(messages, share * gradients, self._outer)
        one, part = Collective(pattern="all_gather", **every).traffic()
        width = self.forward.precision.weights.bits_per_value
        gathered = bytes_of(self._stage_values, width)
        passes = 2 * self.microbatches
        return link_time((passes + 1) * one, part * (passes * gathered + gradients), self._outer)

    @cached_property
    def _exposed(self) -> Expr:
        """What of the exchange is not hidden under the last microbatch's backward pass."""
        if not self.overlap_gradients:
            return self._exchanged
        last = Flow.equal(placed(self.backward_terms), self.stages, S.Zero, overlap=False).slowest
        return Maximum(S.Zero, self._exchanged - last)

    @cached_property
    def _optimizer(self) -> tuple[Term, ...]:
        """The update of a device's weights, or of its part of them."""
        values = self._stage_values / (1 if self.sharded == "nothing" else self.replicas)
        step = OptimizerStep(values=values, gradient=self.gradient)
        row = Entry(section="optimizer", name="optimizer", count=S.One, operator=step, copies=S.One)
        return self.forward.timed(Trace((row,)))

    def _operations(self, *, anew: bool) -> Result:
        """Operations of matrix products of all devices."""
        once = Add(*(term.cost.matmul_flops for term in self.forward_terms))
        again = Add(*(term.cost.matmul_flops for term in self.recomputed_terms)) if anew else S.Zero
        gradients = Add(*(term.cost.matmul_flops for term in self.backward_terms))
        backward_pass = gradients if anew else 2 * once
        replicas = self.replicas * self.microbatches * self.forward.devices
        name = "operations" if anew else "model operations"
        expr = replicas * (once + again + backward_pass)
        return Result(name=name, unit="FLOP", expr=expr)

    def _utilization(self, name: str, done: Result) -> Result:
        f = self.forward
        peak = f.hardware.matrix_peak(f.precision.computed_in(()))
        return Result(name=name, unit="1", expr=done.expr / (self.time.expr * self.devices * peak))


@checked
def training_step(
    model: Model | str | Path,
    hardware: Hardware | str | Path,
    sequence: Size = sym.sequence,
    batch: Size = 1,
    *,
    microbatches: Size = 1,
    pipeline: Size = 1,
    schedule: Schedule = "1f1b",
    model_chunks: Size = 1,
    data_parallel: Size = 1,
    sharded: Sharded = "nothing",
    recompute: Recompute = "none",
    dropout: bool = False,
    weights: str | Format = "bf16",
    activations: str | Format = "bf16",
    gradients: str | Format = "fp32",
    overlap_gradients: bool = False,
    between: tuple[Number, Number] | None = None,
    **keywords: Unpack[TrainingKeywords],
) -> TrainingStep:
    """Derive the time and memory of a step of training with Adam.

    Args:
        model: the model, or its name or path; a decoder or an encoder.
        hardware: the device, or its name or path.
        sequence: tokens of each sequence.
        batch: sequences of a microbatch.
        microbatches: of each replica in a step; their gradients are added up.
        pipeline: equal stages into which the layers are cut.
        schedule: ``1f1b``, ``gpipe`` or ``interleaved``.
        model_chunks: of an interleaved schedule, pieces of the layers on each stage.
        data_parallel: replicas, each with microbatches of its own.
        sharded: what replicas split: ``optimizer`` states, ``gradients`` too, ``weights`` too
            (stages 1 to 3 of ZeRO), or ``nothing``.
        recompute: what is not kept but computed again: ``full`` layers, ``selective`` (attention's
            scores and probabilities) or ``none``.
        dropout: with dropout of probabilities and before residual sums.
        weights: the format of the weights that passes read; the optimizer's are in fp32.
        activations: the format that is computed in.
        gradients: the format in which gradients of weights are added up.
        overlap_gradients: replicas exchange them during the last microbatch's backward pass.
        between: bandwidth and latency of the links that join stages and replicas, where they are
            not those of the devices of tensor parallelism.
        keywords: ``engine``, ``overlap``, ``causal``, ``routing``, ``tensor_parallel``,
            ``all_reduce``, ``sequence_parallel`` and ``fusion``, as in `lifesym.forecast`.

    Raises:
        SpecError: an unknown name or format, or an encoder-decoder.
        SymbolError: a size that is no positive integer, a schedule that its sizes do not fit, or
            whole layers as kernels.

    >>> import lifesym as ls
    >>> step = ls.training_step("gpt2", "a100-80gb", 1024, 4, data_parallel=8)
    >>> f"{float(step.time):.3f} s, {float(step.mfu):.2f} of the peak"
    '0.018 s, 0.58 of the peak'
    >>> f"{float(step.memory) / 1e9:.1f} GB, {float(step.tokens_per_second):.3g} token/s"
    '4.3 GB, 1.81e+06 token/s'
    """
    given = {"microbatches": microbatches, "stages": pipeline, "replicas": data_parallel}
    sizes = {name: size(value, name) for name, value in given.items()}
    pieces = size(model_chunks, "model_chunks")
    _check_schedule(schedule, pieces, **sizes)
    plan = (Uncached(), *((Dropouts(),) if dropout else ()))
    known = as_model(model)
    if known.kind == "encoder-decoder":
        raise SpecError(f"{known.name} has an encoder and a decoder: its training is not modelled")
    f = forecast(
        known,
        hardware,
        sequence,
        batch=batch,
        generate=1 if known.generates else 0,
        plan=plan,
        mla="expand",
        weights=weights,
        activations=activations,
        **keywords,
    )
    if any(isinstance(each, Fusion) and "layer" in each.rules for each in f.rewrites):
        raise SymbolError(
            "whole layers as kernels keep nothing for gradients: a training step takes fusion "
            "'full', 'flash' or 'none'"
        )
    return TrainingStep(
        forward=f,
        **sizes,
        schedule=schedule,
        model_chunks=pieces,
        sharded=sharded,
        recompute=recompute,
        gradient=load_format(gradients),
        overlap_gradients=overlap_gradients,
        between=None if between is None else (exact(between[0]), exact(between[1])),
    )


def _check_schedule(
    schedule: Schedule, pieces: Expr, microbatches: Expr, stages: Expr, replicas: Expr
) -> None:
    """Refuse pieces without an interleaved schedule, and microbatches that it cannot have.

    Raises:
        SymbolError: what is wrong and what would be right.
    """
    one_of(schedule, get_args(Schedule), "schedule")
    if (schedule == "interleaved") == (pieces is S.One):
        raise SymbolError(
            "model_chunks are the pieces of an interleaved schedule: two or more, and of no other"
        )
    if schedule == "interleaved" and (microbatches / stages).is_integer is False:
        raise SymbolError(
            f"an interleaved schedule takes a multiple of {stages} microbatches, not {microbatches}"
        )
