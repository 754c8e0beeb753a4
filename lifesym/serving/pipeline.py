r"""Pipeline parallelism: layers cut into stages, a batch cut into microbatches.

Stage i takes $t_i$ for a microbatch, sending its output to the next one included. m microbatches
pass p stages in

$$\sum_i t_i + (m - 1) \max_i t_i$$

and while generating, a microbatch gets its next token every $\max(\sum_i t_i, m \max_i t_i)$: it
waits for itself or for the slowest stage. With equal stages the first is $(m + p - 1) t$, of which
$(p - 1) t$ is the bubble. The chunks of a chunked prompt stay on a stage until the last of them is
done, so that a microbatch is handed on once.
Sources: GPipe, arXiv 1811.06965, section 2.3; Pope et al., 2211.05102.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Add, Expr, S

from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.formats import Matrix
from lifesym.inference import Forecast
from lifesym.nodes import Maximum
from lifesym.operators import LMHead
from lifesym.results import Result
from lifesym.roofline import Term, link_time
from lifesym.symbols import Number, Size, exact, size
from lifesym.tower import is_tower


def makespan(stages: Sequence[Expr], microbatches: Expr) -> Expr:
    """The time of identical microbatches through stages in order.

    >>> from sympy import Integer
    >>> makespan([Integer(3), Integer(5), Integer(2)], Integer(4))
    25
    """
    return Add(*stages) + (microbatches - 1) * Maximum(*stages)


def cycle(stages: Sequence[Expr], microbatches: Expr) -> Expr:
    """The time between two passes of the same microbatch when all of them keep going round."""
    return Maximum(Add(*stages), microbatches * Maximum(*stages))


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Forecasts of the same workload on the devices of the stages, and each one's share of layers.

    Attributes:
        stages: a forecast a stage, of one microbatch.
        shares: the part of the layers on each stage; they add up to 1.
        microbatches: pieces of the batch.
    """

    stages: tuple[Forecast, ...]
    shares: tuple[Expr, ...]
    microbatches: Expr

    @cached_property
    def prefill(self) -> tuple[Expr, ...]:
        """Every stage's time for the prompts of a microbatch, sending them on included."""
        return self._times([f.ttft.terms for f in self.stages], self.stages[0].prompt)

    @cached_property
    def decode(self) -> tuple[Expr, ...]:
        """Every stage's time for a step of a microbatch at context `symbols.past`."""
        return self._times([f.tpot.terms for f in self.stages], S.One)

    @cached_property
    def ttft(self) -> Result:
        """The prefill of all microbatches."""
        expr = makespan(self.prefill, self.microbatches)
        return Result(name="TTFT", unit="s", expr=expr)

    @cached_property
    def tpot(self) -> Result:
        """A decode step at context `symbols.past`, all microbatches in flight."""
        expr = cycle(self.decode, self.microbatches)
        return Result(name="TPOT", unit="s", expr=expr)

    @cached_property
    def bubble(self) -> Result:
        """The share of the stages' time in which they wait, in the prefill."""
        times = self.prefill
        busy = self.microbatches * Add(*times)
        expr = 1 - busy / (len(times) * makespan(times, self.microbatches))
        return Result(name="bubble", unit="1", expr=expr)

    @cached_property
    def memory(self) -> Result:
        """Bytes on the stage that holds most: its layers, their cache, and the ends on its own.

        A tied head needs its matrix once more where it is not on the stage of the embedding.
        """
        expr = Maximum(*(self._held(*stage) for stage in self._places))
        return Result(name="memory of a stage", unit="byte", expr=expr)

    @property
    def _places(self) -> Iterator[tuple[Forecast, Expr, dict[str, bool]]]:
        """Each stage with its share of the layers and the ends that it has."""
        last = len(self.stages) - 1
        for i, (stage, share) in enumerate(zip(self.stages, self.shares, strict=True)):
            yield stage, share, {"embed": i == 0, "head": i == last}

    def _times(self, phases: Sequence[tuple[Term, ...]], new: Expr) -> tuple[Expr, ...]:
        times = []
        for terms, (stage, share, ends) in zip(phases, self._places, strict=True):
            parts = (_part(term.section, share, ends) * term.time for term in terms)
            time = Add(*parts)
            times.append(time if ends["head"] else time + hop(stage, new))
        return tuple(times)

    def _held(self, f: Forecast, share: Expr, ends: dict[str, bool]) -> Expr:
        sections = f.one_token.group_by("section")
        held = share * self.microbatches * f.cache_bytes
        for label, trace in sections.items():
            held += _part(label, share, ends) * Add(*f.held(trace).values())
        return held + tied_copy(f) if ends["head"] and not ends["embed"] else held


def _part(section: str, share: Expr, ends: dict[str, bool]) -> Expr:
    """The part of a section on a stage: its share of the layers; an end is there or not.

    Towers are where the embedding is.
    """
    if is_tower(section):
        section = "embed"
    return S(int(ends[section])) if section in ends else share


def tied_copy(f: Forecast) -> Expr:
    """Bytes of the embedding's matrix where a tied head is without the embedding."""
    heads = (e.operator for e in f.one_token if isinstance(e.operator, LMHead))
    tables = (
        Matrix(role="tied_embedding", rows=head.vocab, columns=head.hidden)
        for head in heads
        if head.tied
    )
    return Add(*(f.held_bytes(table) for table in tables))


def hop(f: Forecast, new: Expr) -> Expr:
    """Sending the residual stream of a microbatch to the next stage."""
    moved = f.precision.activation_bytes(f.local_batch * new * f.stream_width)
    return link_time(S.One, moved, f.hardware)


@checked
def pipeline(
    forecasts: Forecast | Sequence[Forecast],
    stages: Size | None = None,
    microbatches: Size = 1,
    shares: Sequence[Number] | None = None,
) -> Pipeline:
    """Cut a model into stages: equal ones of one device, or one a device with its share.

    A share need not be a whole number of layers: it is the ideal cut. One stage is the plain
    forecast.

    Raises:
        SymbolError: shares that do not fit the stages or do not add up to 1, forecasts of different
            workloads, or a batch that the microbatches do not divide.
    """
    if isinstance(forecasts, Forecast):
        if not isinstance(stages, int) or stages < 1:
            raise SymbolError("stages must be an integer of at least 1; equal_stages takes symbols")
        forecasts = [forecasts] * stages
    count = len(forecasts)
    given = shares if shares is not None else [S.One / count] * count
    parts = tuple(exact(share, "share") for share in given)
    added = Add(*parts)
    whole = not added.is_number or added.doit() == 1
    if len(parts) != count or not whole or any(part.is_negative for part in parts):
        raise SymbolError(f"{count} stages need as many shares, none below 0, that add up to 1")
    if len({(f.model.name, f.prompt, f.generate, f.batch, f.past) for f in forecasts}) != 1:
        raise SymbolError("the stages must be forecasts of one model and one workload")
    pieces = pieces_of(forecasts[0], microbatches)
    cut = [replace(f, batch=f.batch / pieces) for f in forecasts]
    return Pipeline(stages=tuple(cut), shares=parts, microbatches=pieces)


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


@checked
def balanced_shares(times: Sequence[Expr]) -> tuple[Expr, ...]:
    r"""The shares of work with which devices of different speed finish together.

    Device i alone would take $T_i$; its share is $s_i = T_i^{-1} / \sum_j T_j^{-1}$ and all of them
    take $1 / \sum_j T_j^{-1}$.

    >>> from sympy import Integer
    >>> balanced_shares([Integer(1), Integer(3)])
    (3/4, 1/4)
    """
    speeds = Add(*(1 / time for time in times))
    return tuple(1 / time / speeds for time in times)


@checked
def shared_time(times: Sequence[Expr], shares: Sequence[Number]) -> Expr:
    """The time of work split over devices side by side: that of the last to finish.

    Raises:
        SymbolError: not one share a device.
    """
    if len(times) != len(shares):
        raise SymbolError(f"{len(times)} devices need as many shares")
    return Maximum(*(exact(share) * time for share, time in zip(shares, times, strict=True)))
