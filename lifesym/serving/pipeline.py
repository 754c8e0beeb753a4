r"""Pipeline parallelism: layers cut into stages, a batch cut into microbatches.

Stage i takes $t_i$ for a microbatch, sending its output to the next one included. m microbatches
pass p stages in

$$\sum_i t_i + (m - 1) \max_i t_i$$

and while generating, a microbatch gets its next token every $\max(\sum_i t_i, m \max_i t_i)$: it
waits for itself or for the slowest stage. With equal stages the first is $(m + p - 1) t$, of which
$(p - 1) t$ is the bubble. The chunks of a chunked prompt stay on a stage until the last of them is
done, so that a microbatch is handed on once, unless they are handed on one by one (`ByChunk`).

Where sends overlap with computing, a stage computes a microbatch while its link sends the one
before: links are stages of their own. With $c_i$ for computing and $s_i$ for sending, the sum is
still $\sum_i (c_i + s_i)$, and the maximum is that of all $c_i$ and $s_i$.

The number of equal stages may be a symbol p. With x seconds for all layers, e for the embedding, h
for the head and s for a send, the first stage takes $x/p + e + s$, those between $x/p + s$ and the
last $x/p + h$; so for $p \ge 2$

$$\sum_i t_i = x + e + h + (p - 1)\,s, \qquad \max_i t_i = \frac{x}{p} + \max(e + s,\; h)$$

($\max(x/p + \max(e, h),\, s)$ with overlapped sends), and one stage takes $x + e + h$. The
formula's size does not depend on p.
Sources: GPipe, arXiv 1811.06965, section 2.3; Pope et al., 2211.05102; overlapped sends: PipeDream,
1806.03377, which cuts layers by the larger of each stage's computing and sending.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

from sympy import Add, Expr, S, sympify

from lifesym.checks import checked
from lifesym.chunks import scaled
from lifesym.errors import SpecError, SymbolError
from lifesym.footprint import held_of
from lifesym.hardware import Hardware
from lifesym.held import Held
from lifesym.inference import Forecast
from lifesym.levels import Level
from lifesym.nodes import Maximum, Minimum
from lifesym.results import Result, StepTime
from lifesym.roofline import Place, Term, total
from lifesym.serving.flow import (
    Flow,
    by_place,
    on_stage,
    part_of,
    place_of,
    placed,
    send,
    tied_copy,
)
from lifesym.symbols import Number, Size, exact, index, size
from lifesym.timed import Generation

Hop = Callable[[Forecast], tuple[Term, ...]]
"""What a stage sends on of a microbatch, from the microbatch's forecast on it."""


@dataclass(frozen=True, kw_only=True)
class Pipeline(Generation):
    """A model cut into stages: equal ones of one device, or a forecast a stage with its share.

    TTFT is the prefill of all microbatches, TPOT the time between two tokens of a sequence when all
    microbatches are in flight, and the latency TTFT and so many of these; the tokens are those of
    all microbatches, and so is the energy, which counts the static power of all stages. The memory
    is that of the stage that holds most.

    Attributes:
        forecasts: that of the whole batch on the device of every stage; one of equal stages.
        stages: the number of equal stages, or a symbol; None where each has a forecast.
        shares: the part of the layers on each stage, which add up to 1; None of equal stages.
        microbatches: pieces of the batch.
        overlap_sends: a stage computes a microbatch while the one before is sent on.
    """

    forecasts: tuple[Forecast, ...]
    stages: Expr | None = None
    shares: tuple[Expr, ...] | None = None
    microbatches: Expr = S.One
    overlap_sends: bool = False

    opens: ClassVar[Mapping[str, str]] = {"stages": "stages", "microbatches": "microbatches"}

    @property
    def main(self) -> Forecast:
        """The forecast of the first stage."""
        return self.forecasts[0]

    @property
    def places(self) -> tuple[Place, ...]:
        """The devices of every stage."""
        if self.stages is None:
            return tuple(f.place for f in self.forecasts)
        place = self.main.place
        return (replace(place, devices=self.stages * place.devices),)

    @property
    def count(self) -> Expr:
        """The number of stages."""
        return sympify(len(self.forecasts)) if self.stages is None else self.stages

    @cached_property
    def parts(self) -> tuple[Expr, ...]:
        """The part of the layers on each stage.

        Raises:
            SymbolError: the number of stages is a symbol.
        """
        if self.shares is not None:
            return self.shares
        if not self.count.is_Integer:
            raise SymbolError(f"a share of each of {self.count} stages: give their number")
        return (1 / self.count,) * int(self.count)

    @cached_property
    def prefill(self) -> tuple[Expr, ...]:
        """Every stage's time for the prompts of a microbatch, sending them on included."""
        return self._each([f.ttft.terms for f in self._pieces], self._handed)

    @cached_property
    def decode(self) -> tuple[Expr, ...]:
        """Every stage's time for a step of a microbatch at context `symbols.past`."""
        return self._each([f.tpot.terms for f in self._pieces], _token)

    @cached_property
    def ttft(self) -> Result:
        """The prefill of all microbatches."""
        return Result(name="TTFT", unit="s", expr=self._makespan)

    @cached_property
    def tpot(self) -> StepTime:
        """A decode step at context `symbols.past`, all microbatches in flight.

        What each stage does meanwhile are its `step_terms`.
        """
        plain = self.main.tpot
        flow = self._flow([f.tpot.terms for f in self._pieces], _token)
        return StepTime(
            name="TPOT",
            unit="s",
            expr=flow.cycle(self.microbatches),
            start=plain.start,
            steps=plain.steps,
        )

    @property
    def prefill_terms(self) -> tuple[Term, ...]:
        """What all the stages do for the prompts of all microbatches."""
        return self._work([f.ttft.terms for f in self._pieces], self._handed)

    @property
    def step_terms(self) -> tuple[Term, ...]:
        """What all the stages do for a step of all microbatches."""
        return self._work([f.tpot.terms for f in self._pieces], _token)

    @cached_property
    def bubble(self) -> Result:
        """The share of the stages' time in which they wait, in the prefill."""
        busy = self.microbatches * self._prefill.busy
        expr = 1 - busy / (self.count * self._makespan)
        return Result(name="bubble", unit="1", expr=expr)

    @cached_property
    def memory(self) -> Result:
        """Bytes on the stage that holds most: its layers, their cache, and the ends on its own.

        A tied head needs its matrix once more where it is not on the stage of the embedding.
        """
        expr = Maximum(*(held for held, _ in self.residents))
        return Result(name="memory of a stage", unit="byte", expr=expr)

    @cached_property
    def residents(self) -> tuple[tuple[Expr, Hardware], ...]:
        """Bytes held on every stage; of equal stages on the one that holds most."""
        if self.stages is None:
            rows = zip(self._pieces, self.parts, self._ends, strict=True)
            return tuple((self._held(*row), row[0].hardware) for row in rows)
        piece = self._pieces[0]
        return ((self._most_held(piece), piece.hardware),)

    @property
    def elsewhere(self) -> tuple[Held, ...]:
        """What the other memories of every stage hold; of equal stages, that which holds most."""
        if self.stages is None:
            rows = zip(self._pieces, self.parts, self._ends, strict=True)
            found = [(level, self._held(*row, level)) for row in rows for level in row[0].levels]
        else:
            piece = self._pieces[0]
            found = [(level, self._most_held(piece, level)) for level in piece.levels]
        return tuple(held_of(level.name, {"stage": held}, level.capacity) for level, held in found)

    def _most_held(self, piece: Forecast, level: Level | None = None) -> Expr:
        """Bytes that the own memory of the fullest of equal stages holds, or another one of it."""
        held = by_place(
            (label, Add(*piece.held(trace, level).values()))
            for label, trace in piece.one_token.group_by("section").items()
        )
        layers = (held["layers"] + self.microbatches * piece.cache_in(level)) / self.stages
        apart = Maximum(held["embed"], held["head"] + tied_copy(piece, level))
        ends = self._several * apart + (1 - self._several) * (held["embed"] + held["head"])
        return layers + ends

    @checked
    def cached(self, tokens: Expr) -> Expr:
        """Bytes of keys, values and states on the stage that has most of them."""
        held = [self.microbatches * f.cached(tokens) for f in self._pieces]
        if self.stages is not None:
            return held[0] / self.stages
        return Maximum(*(part * each for part, each in zip(self.parts, held, strict=True)))

    @checked
    def prefixed(self, prefix: Size) -> Self:
        """The same where the first tokens of every prompt are cached already."""
        return replace(self, forecasts=tuple(f.prefixed(prefix) for f in self.forecasts))

    @cached_property
    def _pieces(self) -> tuple[Forecast, ...]:
        """The forecasts of one microbatch."""
        return tuple(replace(f, batch=f.batch / self.microbatches) for f in self.forecasts)

    @property
    def _ends(self) -> Iterator[dict[str, bool]]:
        """Which ends of the model each of several stages has."""
        last = len(self.forecasts) - 1
        return ({"embed": i == 0, "head": i == last} for i in range(last + 1))

    @property
    def _several(self) -> Expr:
        """0 for one stage, else 1."""
        return Minimum(self.count - 1, 1)

    @cached_property
    def _prefill(self) -> Flow:
        return self._flow([f.ttft.terms for f in self._pieces], self._handed)

    @property
    def _makespan(self) -> Expr:
        """The time of the prompts of all microbatches."""
        return self._prefill.makespan(self.microbatches)

    def _handed(self, piece: Forecast) -> tuple[Term, ...]:
        """Sending the prompts of a microbatch to the next stage."""
        return (send(piece, piece.computed),)

    def _flow(self, phases: Sequence[tuple[Term, ...]], hop: Hop) -> Flow:
        """The way of a microbatch, of which every forecast's terms for all layers are given."""
        if self.stages is not None:
            sent = S.Zero if self.stages is S.One else total(hop(self._pieces[0]))
            ends = placed(phases[0])
            return Flow.equal(ends, self.count, sent, overlap=self.overlap_sends)
        sends = [total(hop(f)) for f in self._pieces[:-1]]
        return Flow.of(self._computing(phases), sends, overlap=self.overlap_sends)

    def _computing(self, phases: Sequence[tuple[Term, ...]]) -> list[Expr]:
        """The time of each of several stages, without sends."""
        rows = zip(phases, self.parts, self._ends, strict=True)
        return [total(tuple(on_stage(*row))) for row in rows]

    def _each(self, phases: Sequence[tuple[Term, ...]], hop: Hop) -> tuple[Expr, ...]:
        """The time of every stage, its send included."""
        if self.stages is not None:
            parts = self.parts
            many = self.forecasts * len(parts)
            return replace(self, forecasts=many, stages=None, shares=parts)._each(
                [*phases] * len(parts), hop
            )
        sends = [*(total(hop(f)) for f in self._pieces[:-1]), S.Zero]
        return tuple(map(Add, self._computing(phases), sends))

    def _work(self, phases: Sequence[tuple[Term, ...]], hop: Hop) -> tuple[Term, ...]:
        """What all the stages do for all microbatches, sends included."""
        if self.stages is not None:
            hops = () if self.stages is S.One else hop(self._pieces[0])
            once = [*phases[0], *(scaled(term, self.stages - 1) for term in hops)]
        else:
            rows = zip(phases, self.parts, self._ends, strict=True)
            once = [term for row in rows for term in on_stage(*row)]
            once += [term for f in self._pieces[:-1] for term in hop(f)]
        return tuple(scaled(term, self.microbatches) for term in once)

    def _held(
        self, f: Forecast, share: Expr, ends: dict[str, bool], level: Level | None = None
    ) -> Expr:
        sections = f.one_token.group_by("section")
        held = share * self.microbatches * f.cache_in(level)
        for label, trace in sections.items():
            held += part_of(label, share, ends) * Add(*f.held(trace, level).values())
        return held + tied_copy(f, level) if ends["head"] and not ends["embed"] else held

    @property
    def more(self) -> Mapping[str, Result | tuple[Expr, ...]]:
        """The bubble, and the shares of a number of stages."""
        shares = {"shares": self.parts} if self.count.is_Integer else {}
        return {"bubble": self.bubble, **shares}


@dataclass(frozen=True, kw_only=True)
class ByChunk(Pipeline):
    r"""Equal stages that hand on every chunk of one batch's prompts as soon as it is done.

    Later chunks attend to more, so that the last or, where it is shorter, the one before it takes
    longest. With $x_i$ seconds for all layers of chunk i of c, $e_i$ for its embedding, $s_i$ for
    its send and h for the head, the prompts take

    $$\sum_{i < c} \Big(\frac{x_i}{p} + e_i + s_i\Big) + \frac{2 x_c}{p} + h + \max\Big(e_c + s_c +
    (p - 2)\big(\tfrac{x_c}{p} + s_c\big),\; s_c + (p - 2)\big(\tfrac{x_{c-1}}{p} +
    s_{c-1}\big),\; (p - 1)\tfrac{x_{c-1}}{p} - \tfrac{x_c}{p} + (p - 2)\,s_{c-1}\Big)$$

    for $p \ge 2$: the longest way through chunks and stages, which goes from stage to stage with
    one of these two chunks. The last norm of chunks without logits is counted with the layers. A
    step of a generation is a pipeline's.

    Source: llama.cpp's pull request 6017, which does so.
    """

    opens: ClassVar[Mapping[str, str]] = {"stages": "stages"}

    def _handed(self, piece: Forecast) -> tuple[Term, ...]:
        cut = piece.chunks
        return scaled(send(piece, cut.chunk), cut.before), send(piece, cut.last)

    @property
    def _makespan(self) -> Expr:
        f, p = self.main, self.count
        before = f.chunks.before
        if p is S.One or before.is_zero:
            return super()._makespan
        embed, heads, layers = placed(f.ttft.terms).values()
        e, head, x = placed(f.last_chunk).values()
        layers += heads - head
        chunk = placed(f.whole_chunk)
        there = Minimum(before, 1)  # 0 where all of the prompt is one chunk
        earlier = (chunk["layers"] + chunk["head"]).xreplace(
            {index: Maximum(before - 1, 0)}
        ) * there
        whole, sent = (send(f, new).time for new in (f.chunks.chunk, f.chunks.last))
        ways = Maximum(
            e + sent + (p - 2) * (x / p + sent),
            sent + (p - 2) * (earlier / p + there * whole),
            (p - 1) * earlier / p - x / p + (p - 2) * there * whole,
        )
        several = (layers + x) / p + embed - e + before * whole + head + ways
        if self._several is S.One:  # SymPy takes long over 0 times a long sum
            return several
        return self._several * several + (1 - self._several) * (layers + embed + head)


@checked
def pipeline(
    forecasts: Forecast | Sequence[Forecast],
    stages: Size | None = None,
    microbatches: Size = 1,
    shares: Sequence[Number] | None = None,
    *,
    overlap_sends: bool = False,
    by_chunk: bool = False,
) -> Pipeline:
    """Cut a model into stages: equal ones of one device, or one a device with its share.

    The number of equal stages may be a symbol. A share need not be a whole number of layers: it is
    the ideal cut. One stage is the plain forecast.

    With ``by_chunk`` stages hand on every chunk of the prompts as soon as it is done (`ByChunk`).

    Raises:
        SymbolError: stages of one device without their number, shares that do not fit the stages
            or do not add up to 1, forecasts of different workloads, a batch that the
            microbatches do not divide, or chunks that are handed on between other than equal
            stages, by several microbatches, or while the stages send.
        SpecError: more stages than the model has layers.
    """
    listed = () if isinstance(forecasts, Forecast) else tuple(forecasts)
    if isinstance(forecasts, Forecast):
        if stages is None:
            raise SymbolError("stages: say how many, as a number or a symbol")
        count = size(stages, "stages")
        if shares is not None and not count.is_Integer:
            raise SymbolError("shares are those of a number of stages, not of a symbol")
        listed = (forecasts,) * (1 if shares is None else int(count))
    elif stages is not None:
        raise SymbolError("stages are as many as forecasts: leave out their number")
    else:
        count = sympify(len(listed))
    if len({(f.workload(), f.prefix) for f in listed}) != 1:
        raise SymbolError("the stages must be forecasts of one model and one workload")
    _check_layers(listed[0], count)
    equal = isinstance(forecasts, Forecast) and shares is None
    if by_chunk and (not equal or microbatches != 1 or overlap_sends):
        raise SymbolError("by_chunk is of equal stages, one microbatch and no overlapped sends")
    return (ByChunk if by_chunk else Pipeline)(
        forecasts=listed,
        stages=count if equal else None,
        shares=None if equal else _shares(shares, int(count)),
        microbatches=pieces_of(listed[0], microbatches),
        overlap_sends=overlap_sends,
    )


def _token(piece: Forecast) -> tuple[Term, ...]:
    """Sending on a token of each sequence of a microbatch."""
    return (send(piece, S.One),)


def _shares(given: Sequence[Number] | None, count: int) -> tuple[Expr, ...]:
    """The parts of the layers on so many stages; as much on each unless given."""
    shares = [S.One / count] * count if given is None else given
    parts = tuple(exact(share, "share") for share in shares)
    added = Add(*parts)
    whole = not added.is_number or added.doit() == 1
    if len(parts) != count or not whole or any(part.is_negative for part in parts):
        raise SymbolError(f"{count} stages need as many shares, none below 0, that add up to 1")
    return parts


def _check_layers(forecast: Forecast, stages: Expr) -> None:
    """Refuse more stages than layers, where both are numbers."""
    layers = Add(*(s.count for s in forecast.model.bound if place_of(s.label) == "layers"))
    if (stages - layers).is_positive and layers.is_number and stages.is_number:
        raise SpecError(f"{stages} stages are more than the {layers} layers of the model")


def pieces_of(forecast: Forecast, microbatches: Size) -> Expr:
    """The number of microbatches of a forecast's batch.

    Raises:
        SymbolError: not a size, or the batch is not cut into so many.
    """
    pieces = size(microbatches, "microbatches")
    piece = forecast.batch / pieces
    if piece.is_Rational and not piece.is_Integer:
        raise SymbolError(f"a batch of {forecast.batch} is not cut into {pieces} microbatches")
    return pieces
