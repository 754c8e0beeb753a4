r"""Pipeline parallelism: layers cut into stages, a batch cut into microbatches.

Stage i takes $t_i$ for a microbatch, sending its output to the next one included. m microbatches
pass p stages in

$$\sum_i t_i + (m - 1) \max_i t_i$$

and while generating, a microbatch gets its next token every $\max(\sum_i t_i, m \max_i t_i)$: it
waits for itself or for the slowest stage. With equal stages the first is $(m + p - 1) t$, of which
$(p - 1) t$ is the bubble. Sources: GPipe, arXiv 1811.06965, section 2.3; Pope et al., 2211.05102.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Add, Expr, S

from lifesym import symbols as sym
from lifesym.errors import SpecError, SymbolError
from lifesym.inference import Forecast
from lifesym.nodes import Maximum
from lifesym.operators import Norm, Residual
from lifesym.results import Result
from lifesym.roofline import Term
from lifesym.symbols import Number, Size, exact, size

ENDS = ("embed", "head")
"""Sections that run on the first and on the last stage."""


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

    def times(self, new: Size, past: Size) -> tuple[Expr, ...]:
        """Every stage's time for a microbatch, sending the residual stream on included."""
        last = len(self.stages) - 1
        return tuple(
            self._stage(stage, share, new, past, first=i == 0, last=i == last)
            for i, (stage, share) in enumerate(zip(self.stages, self.shares, strict=True))
        )

    @cached_property
    def ttft(self) -> Result:
        """The prefill of all microbatches."""
        f = self.stages[0]
        expr = makespan(self.times(f.prompt, f.past), self.microbatches)
        return Result(name="TTFT", unit="s", expr=expr)

    @cached_property
    def tpot(self) -> Result:
        """A decode step at context `symbols.past`, all microbatches in flight."""
        expr = cycle(self.times(S.One, sym.past), self.microbatches)
        return Result(name="TPOT", unit="s", expr=expr)

    @cached_property
    def bubble(self) -> Result:
        """The share of the stages' time in which they wait, in the prefill."""
        f = self.stages[0]
        times = self.times(f.prompt, f.past)
        busy = self.microbatches * Add(*times)
        expr = 1 - busy / (len(times) * makespan(times, self.microbatches))
        return Result(name="bubble", unit="1", expr=expr)

    def _stage(
        self, f: Forecast, share: Expr, new: Size, past: Size, *, first: bool, last: bool
    ) -> Expr:
        terms = f.timed(f.trace(new, past))
        inner = Add(*(term.time for term in terms if term.section not in ENDS))
        time = share * inner
        for label, here in zip(ENDS, (first, last), strict=True):
            if here:
                time += Add(*(term.time for term in terms if term.section == label))
        return time if last else time + self._hop(f, terms, new)

    @staticmethod
    def _hop(f: Forecast, terms: tuple[Term, ...], new: Size) -> Expr:
        """Sending the residual stream of a microbatch to the next stage."""
        hardware = f.hardware
        if hardware.link_bandwidth is None:
            raise SpecError(f"{hardware.name} has no link bandwidth: stages cannot be connected")
        width = _stream(f)
        moved = f.precision.activation_bytes(f.local_batch * new * width)
        return (hardware.link_latency or S.Zero) + moved / hardware.link_bandwidth


def _stream(f: Forecast) -> Expr:
    """The hidden size, from the operators of the residual stream."""
    for entry in f.trace(S.One, S.Zero):
        if isinstance(entry.operator, Norm):
            return entry.operator.features * S.One
        if isinstance(entry.operator, Residual):
            return entry.operator.elements / f.local_batch
    raise SymbolError(f"{f.model.name} has no residual stream to send")


def pipeline(
    forecasts: Forecast | Sequence[Forecast],
    stages: int | None = None,
    microbatches: Size = 1,
    shares: Sequence[Number] | None = None,
) -> Pipeline:
    """Cut a model into stages: equal ones of one device, or one a device with its share.

    A share need not be a whole number of layers: it is the ideal cut. One stage is the plain
    forecast.

    Raises:
        SymbolError: shares that do not fit the stages or do not add up to 1, or a batch that the
            microbatches do not divide.
    """
    if isinstance(forecasts, Forecast):
        if stages is None or stages < 1:
            raise SymbolError("stages must be an integer of at least 1")
        forecasts = [forecasts] * stages
    count = len(forecasts)
    given = shares if shares is not None else [S.One / count] * count
    parts = tuple(exact(share, "share") for share in given)
    added = Add(*parts)
    if len(parts) != count or (added.is_number and added != 1):
        raise SymbolError(f"{count} stages need as many shares that add up to 1")
    pieces = size(microbatches, "microbatches")
    cut = [replace(f, batch=f.batch / pieces) for f in forecasts]
    if any(f.batch.is_Rational and not f.batch.is_Integer for f in cut):
        raise SymbolError(f"a batch of {forecasts[0].batch} is not cut into {pieces} microbatches")
    return Pipeline(stages=tuple(cut), shares=parts, microbatches=pieces)


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


def shared_time(times: Sequence[Expr], shares: Sequence[Number]) -> Expr:
    """The time of work split over devices side by side: that of the last to finish.

    Raises:
        SymbolError: not one share a device.
    """
    if len(times) != len(shares):
        raise SymbolError(f"{len(times)} devices need as many shares")
    return Maximum(*(exact(share) * time for share, time in zip(shares, times, strict=True)))
