r"""Experts on devices around a hub that does everything else.

The hub routes the tokens of an expert layer and sends every choice's vector to the device that
holds the expert; the devices compute side by side, each on its own hardware, and send the results
back over links of their own. A layer waits for the last of them: with $n_i$ choices for device i,
vectors of L bytes, rates $R_i$ down and $U_i$ up and a latency $\alpha_i$ each way,

$$t = \max_i \Big( 2\,\alpha_i + \frac{n_i L}{R_i} + t_i(n_i) + \frac{n_i L}{U_i} \Big),
\qquad n_i = \frac{E_i}{E}\,k\,m.$$

$t_i$ is the roofline of the device's experts, $E_i$ of all E. Choices are those of uniform routing
on average, times the routing's ``imbalance``; as a maximum of means is no more than the mean of the
maximum, the imbalance of `lifesym.serving.busiest` is how to wait for the busiest device. A token
that chooses several experts of one device is sent once for each, and each result comes back by
itself. Of an all-to-all (``expert_parallel=``), in which every device brings tokens of its own,
n/(n - 1) times the bytes move.
Source: WDMoE, arXiv 2411.06681, abstract: the gate at the base station, experts on devices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

from sympy import Add, Expr, S, sympify

from lifesym import symbols as sym
from lifesym.checks import checked, checked_fields
from lifesym.chunks import scaled
from lifesym.cost import Cost
from lifesym.errors import SpecError, SymbolError
from lifesym.hardware import Hardware
from lifesym.held import Held
from lifesym.inference import Forecast
from lifesym.nodes import Maximum
from lifesym.operators import Experts, SomeExperts
from lifesym.results import Result, StepTime
from lifesym.roofline import Place, Term
from lifesym.serving.flow import on_link
from lifesym.symbols import Number, Size, exact, size
from lifesym.timed import Generation
from lifesym.trace import Trace
from lifesym.transforms import ExpertParallel, SequenceParallel, TensorParallel

_SPLIT = (TensorParallel, ExpertParallel, SequenceParallel)


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Spoke:
    """A device around a hub.

    Attributes:
        hardware: what computes its experts.
        down: rate of the link from the hub, in byte/s; an expression may have symbols of one's own.
        up: rate of the link to the hub, in byte/s.
        latency: of a message on it, either way.
        experts: how many of every layer's experts it has.
    """

    hardware: Hardware
    down: Number
    up: Number
    latency: Number = 0
    experts: Size = 1

    opens: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        """Exact numbers, of which none is out of its range."""
        for name in ("down", "up"):
            rate = exact(getattr(self, name), name)
            sym.inside(sym.link_bandwidth, rate)
            object.__setattr__(self, name, rate)
        latency = exact(self.latency, "latency")
        sym.inside(sym.link_latency, latency)
        object.__setattr__(self, "latency", latency)
        object.__setattr__(self, "experts", size(self.experts, "experts"))


@dataclass(frozen=True)
class _Here:
    """What of a pass runs in one place: all but the experts, or some of the experts alone."""

    held: Expr | None = None

    opens: ClassVar[Mapping[str, str]] = {}

    def __call__(self, trace: Trace) -> Trace:
        if self.held is None:
            rest = (entry for entry in trace if not isinstance(entry.operator, Experts))
            return Trace(tuple(rest))
        return Trace(
            tuple(
                replace(entry, operator=SomeExperts(**vars(entry.operator), held=self.held))
                for entry in trace
                if isinstance(entry.operator, Experts)
            )
        )


@dataclass(frozen=True, kw_only=True)
class Hub(Generation):
    """A model whose experts are on devices around the one that does everything else.

    TTFT and TPOT are those of the hub and, for every layer of experts, the time of the last device
    to send its results back. The memory is that of the hub or the device that holds most, and the
    energy counts the static power of all of them.

    Attributes:
        forecast: that of the whole model on the hub.
        spokes: the devices.
    """

    forecast: Forecast
    spokes: tuple[Spoke, ...]

    opens: ClassVar[Mapping[str, str]] = {}

    @property
    def main(self) -> Forecast:
        """The forecast of the whole model on the hub."""
        return self.forecast

    @property
    def places(self) -> tuple[Place, ...]:
        """The hub and the devices."""
        return (self.forecast.place, *(f.place for f in self._shares))

    @cached_property
    def hub(self) -> Forecast:
        """What the hub does: all but the experts."""
        return self._of(self.forecast.hardware, _Here())

    @cached_property
    def ttft(self) -> Result:
        """The hub's prefill and, layer by layer, the devices' part of it."""
        f = self.forecast
        away = self._waited(f.chunks.last)
        if not f.chunks.before.is_zero:
            away += f.chunks.before * self._waited(f.chunks.chunk)
        return Result(name="TTFT", unit="s", expr=self.hub.ttft.expr + away)

    @cached_property
    def tpot(self) -> StepTime:
        """The hub's decode step and, layer by layer, the devices' part of it."""
        step = self.hub.tpot
        return StepTime(
            name="TPOT",
            unit="s",
            expr=step.expr + self._waited(S.One),
            start=step.start,
            steps=step.steps,
        )

    @property
    def prefill_terms(self) -> tuple[Term, ...]:
        """What the hub and all the devices do for the prompts, sends included."""
        f, before = self.forecast, self.forecast.chunks.before
        terms = [*self.hub.prefill_terms, *self._away(f.chunks.last)]
        if not before.is_zero:
            terms += (scaled(term, before) for term in self._away(f.chunks.chunk))
        return tuple(terms)

    @property
    def step_terms(self) -> tuple[Term, ...]:
        """What the hub and all the devices do in a decode step, sends included."""
        return (*self.hub.step_terms, *self._away(S.One))

    @cached_property
    def memory(self) -> Result:
        """Bytes on the hub or the device that holds more."""
        held = Maximum(*(held for held, _ in self.residents))
        return Result(name="memory", unit="byte", expr=held)

    @cached_property
    def residents(self) -> tuple[tuple[Expr, Hardware], ...]:
        """Bytes held on the hub and on each device."""
        held = ((Add(*f.held(f.trace(S.One, S.Zero)).values()), f.hardware) for f in self._shares)
        return ((self.hub.memory.expr, self.hub.hardware), *held)

    @property
    def elsewhere(self) -> tuple[Held, ...]:
        """What other memories of the hub hold."""
        return self.hub.elsewhere

    @checked
    def cached(self, tokens: Expr) -> Expr:
        """The hub has the whole cache."""
        return self.forecast.cached(tokens)

    @checked
    def prefixed(self, prefix: Size) -> Self:
        """The same where the first tokens of every prompt are cached already."""
        return replace(self, forecast=self.forecast.prefixed(prefix))

    @property
    def rounds(self) -> Result:
        """Seconds that a decode step waits for the devices, over all its layers."""
        return Result(name="wait for the devices", unit="s", expr=self._waited(S.One))

    @property
    def more(self) -> Mapping[str, Result | tuple[Expr, ...]]:
        """The wait for the devices in a decode step."""
        return {"wait_for_devices": self.rounds}

    @cached_property
    def _shares(self) -> tuple[Forecast, ...]:
        """What each device does."""
        return tuple(self._of(s.hardware, _Here(sympify(s.experts))) for s in self.spokes)

    def _of(self, hardware: Hardware, here: _Here) -> Forecast:
        f = self.forecast
        levels = f.levels if here.held is None else ()
        return replace(f, hardware=hardware, levels=levels, rewrites=(here, *f.rewrites))

    @checked
    def by_device(self, new: Size) -> tuple[tuple[Term, ...], ...]:
        """What each device does in a pass of so many new tokens of every sequence, in all layers.

        Receiving (``receive``), computing, and sending back (``send``).
        """
        tokens = size(new, "new")
        pairs = zip(self._shares, self.spokes, strict=True)
        return tuple(self._spoke(share, spoke, tokens) for share, spoke in pairs)

    def _waited(self, new: Expr) -> Expr:
        """Seconds that a pass of so many new tokens of every sequence waits for the devices."""
        rounds: dict[str, list[Expr]] = {}
        for terms in self.by_device(new):
            busy: dict[str, Expr] = {}
            for term in terms:
                busy[term.section] = busy.get(term.section, S.Zero) + term.time
            for section, time in busy.items():
                rounds.setdefault(section, []).append(time)
        return Add(*(Maximum(*times) for times in rounds.values()))

    def _away(self, new: Expr) -> tuple[Term, ...]:
        return tuple(term for terms in self.by_device(new) for term in terms)

    def _spoke(self, share: Forecast, spoke: Spoke, new: Expr) -> tuple[Term, ...]:
        """What a device does in a pass, receiving and sending included."""
        trace = share.trace(new, share.past)
        links = []
        for entry in trace:
            operator = entry.operator
            if not isinstance(operator, SomeExperts):
                continue
            moved = share.precision.activation_bytes(operator.choices * operator.hidden)
            for name, rate in (("receive", spoke.down), ("send", spoke.up)):
                time = entry.count * (exact(spoke.latency) + moved / exact(rate))
                cost = Cost(network_bytes=entry.count * moved, messages=entry.count)
                links.append(on_link(share.place, name, entry.section, cost, time))
        return (*share.timed(trace), *links)


@checked
def around_hub(forecast: Forecast, spokes: Sequence[Spoke]) -> Hub:
    """Put the experts of a forecast's model on devices around its own, which does the rest.

    Args:
        forecast: of the whole model on the hub; its ``imbalance`` is that of the busiest device.
        spokes: the devices, with links of their own each.

    Raises:
        SpecError: a model without experts.
        SymbolError: no device, devices that do not have all the experts together, a forecast that
            is split over devices already, or experts with probabilities of their own.
    """
    held = [
        sympify(entry.operator.experts)
        for entry in forecast.trace(S.One, S.Zero)
        if isinstance(entry.operator, Experts)
    ]
    split = (each for each in forecast.rewrites if isinstance(each, _SPLIT))
    if forecast.replicas != 1 or any(each.devices != 1 for each in split):
        raise SymbolError("around_hub: the forecast is split over devices already")
    if not held:
        raise SpecError(f"{forecast.model.name} has no experts to put on devices")
    if forecast.routing.kind == "skewed":
        raise SymbolError("around_hub: experts with probabilities of their own are not modelled")
    if not spokes:
        raise SymbolError("around_hub: at least one device")
    there = Add(*(sympify(spoke.experts) for spoke in spokes))
    for experts in held:
        if (there - experts).expand() != 0:
            raise SymbolError(f"around_hub: devices have {there} experts of each layer's {experts}")
    return Hub(forecast=forecast, spokes=tuple(spokes))
