r"""From cost to time: each operator is bound by compute or by memory, whichever takes longer.

$t = \max\left(\frac{F_m}{e_c P} + \frac{F_v}{e_c P_v},\;
\frac{Q}{e_m \mathit{BW}}\right) + n_d t_d$

$F_m$ are matrix FLOPs at the matrix engine's peak for the compute format, $F_v$ elementwise and
dequantization operations at the vector peak, $Q$ all memory traffic, $n_d$ dispatches. Products in
whole tiles and waves take the time of more FLOPs (`lifesym.transforms.Tiles`). Time on a
link to other devices (latency a message, bytes over its bandwidth) comes on top. The time
of a pass is the sum over operators (``overlap="operator"``), one maximum over the totals
(``"pass"``, a lower bound), or compute plus memory (``"none"``, an upper bound).
Source: Williams et al., "Roofline", CACM 52(4), 2009; the sum over operators is LIFE's
(arXiv 2508.00904).

A device may have efficiencies and dispatch times of its own for families of operators, operators by
name, and roles of bytes (`lifesym.hardware.Hardware.with_efficiency`). Of an operator o, and bytes
$Q_r$ of its roles r (weights, cache, activations),

$t_o = \max\left(\frac{F_{m}}{e_{c,o} P} + \frac{F_{v}}{e_{c,o} P_v},\;
\sum_r \frac{Q_{r}}{e_{m,o,r} \mathit{BW}}\right) + n_{d} t_{d,o}$

where the first of these counts that there is: the operator's own, its family's, for bytes the
role's, and the device's. A fused kernel is of the family that does all its products, or of all its
parts' where none does one. Of several families it is ``fused``, and where that has no compute
efficiency, each part's operations are done at its family's. Under ``overlap="pass"`` the two sums
over operators stand in one maximum: LIFE's Eq. 1 to 3 for a prefill and, with the memory's sum
alone, its Eq. 4 and 5 for a decode step.

What unpacks stored values has the peak ``dequantization_rate`` in place of $P_v$ where that is
given, every collective takes a ``collective_latency`` beside its messages, every layer of a pass a
``layer_time`` beside its operators' dispatches, every row of logits a ``sampling_time``, and with
engines whose attention of one query starts a block of threads for each score, each a
``score_time``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, Self, get_args

from sympy import Add, Expr, S

from lifesym import symbols as sym
from lifesym.cost import Cost
from lifesym.errors import SpecError, one_of
from lifesym.formats import Format, Precision
from lifesym.hardware import Hardware
from lifesym.levels import Level
from lifesym.nodes import Maximum
from lifesym.operators import Operator
from lifesym.trace import Entry, Trace
from lifesym.traffic import Work, added, channels, computing, works

Overlap = Literal["operator", "pass", "none"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where something runs.

    Attributes:
        hardware: the device.
        levels: other memories beside its own.
        devices: how many of them do the same at the same time.
    """

    hardware: Hardware
    levels: tuple[Level, ...] = ()
    devices: Expr = S.One


@dataclass(frozen=True, kw_only=True)
class Term:
    """One operator's part in a time.

    Attributes:
        place: where it runs; cost and times are those of one device.
        name: the operator's name; ``total`` for a whole pass.
        section: where in the model it stands.
        family: the operator's family.
        cost: operations and bytes of all its executions.
        compute: its compute time.
        memory: its memory time.
        dispatch: its dispatch time.
        network: its time on the link.
        busy: its time in computing and moving data, as far as they do not overlap.
        work: what the device, and then each other memory, serves and computes of it; empty where
            there is no other memory, since the cost says it.
    """

    place: Place
    name: str
    section: str
    family: str
    cost: Cost
    compute: Expr
    memory: Expr
    dispatch: Expr
    network: Expr
    busy: Expr
    work: tuple[Work, ...] = ()

    @property
    def time(self) -> Expr:
        """What it adds to the total."""
        return self.busy + self.dispatch + self.network

    def map(self, change: Callable[[Expr], Expr]) -> Self:
        """The term with a change made to every expression in it."""
        cost = Cost(**{name: change(expr) for name, expr in self.cost.items()})
        times = {name: change(getattr(self, name)) for name in TIMES}
        work = tuple(part.map(change) for part in self.work)
        return replace(self, cost=cost, work=work, **times)


TIMES = ("compute", "memory", "dispatch", "network", "busy")


def rates(
    cost: Cost,
    work: tuple[Work, ...],
    hardware: Hardware,
    precision: Precision,
    levels: tuple[Level, ...] = (),
) -> tuple[Expr, ...]:
    """Compute, memory, dispatch and link time of a cost on a device.

    With other memories the memory time is the longest of all, and so is the compute time of what
    is computed beside them (see `lifesym.traffic`).

    Raises:
        SpecError: the device, or a level that computes, has no peak for the compute format.
    """
    device, *others = work
    compute = Maximum(
        computed(device, hardware, precision),
        *(computing(*pair, precision) for pair in zip(levels, others, strict=True)),
    )
    memory = Maximum(streamed(device, hardware), *channels(levels, others))
    dispatch = Add(*(n * _attained(hardware, "dispatch", p) for p, n in device.launched.items()))
    if hardware.sampling_time is not None:
        dispatch += device.sampled * hardware.sampling_time
    if hardware.score_time is not None:
        dispatch += device.scored * hardware.score_time
    network = S.Zero
    if hardware.collective_latency is not None:
        network = device.collectives * hardware.collective_latency
    if not (cost.network_bytes.is_zero and cost.messages.is_zero):
        network += link_time(cost.messages, cost.network_bytes, hardware)
    return compute, memory, dispatch, network


def computed(work: Work, hardware: Hardware, precision: Precision) -> Expr:
    """Seconds that the device computes, each part of the work at its efficiency."""
    others = {
        "elementwise": hardware.vector_peak(precision.activations),
        "unpacking": hardware.unpacking_peak(precision.activations),
    }
    seconds = []
    for (unit, part), operations in work.done.items():
        peak = hardware.matrix_peak(unit) if isinstance(unit, Format) else others[unit]
        seconds.append(operations / (_attained(hardware, "compute", part) * peak))
    return Add(*seconds)


def streamed(work: Work, hardware: Hardware) -> Expr:
    """Seconds that the device's own memory moves bytes, each part of them at its efficiency."""
    by_part: dict[str, list[Expr]] = {}
    for (_, part), moved in work.moved.items():
        by_part.setdefault(part, []).append(moved)
    return Add(
        *(
            Add(*moved) / (_attained(hardware, "memory", part) * hardware.bandwidth)
            for part, moved in by_part.items()
        )
    )


def _attained(hardware: Hardware, number: str, part: str) -> Expr:
    """A number of a part of the work: its own, or that of all of it."""
    if part:
        return hardware.own[f"{part}.{number}"]
    usual: Expr = getattr(hardware, sym.ATTAINED[number].name)
    return usual


def link_time(messages: Expr, moved: Expr, hardware: Hardware) -> Expr:
    """Seconds of some messages of so many bytes in all, on the slowest of the device's links.

    Raises:
        SpecError: the device has no link.
    """
    if hardware.link_bandwidth is None:
        raise SpecError(f"{hardware.name} has no link bandwidth: devices cannot share a model")
    links = ((hardware.link_bandwidth, hardware.link_latency or S.Zero), *hardware.other_links)
    return Maximum(*(messages * alpha + moved / rate for rate, alpha in links))


def time_terms(
    trace: Trace,
    hardware: Hardware,
    precision: Precision,
    overlap: Overlap = "operator",
    levels: tuple[Level, ...] = (),
    devices: Expr = S.One,
) -> tuple[Term, ...]:
    """The terms whose times add up to the time of the pass, which so many devices do alike.

    Raises:
        SpecError: the device has no peak for the compute format.
        SymbolError: an unknown overlap rule.
    """
    one_of(overlap, get_args(Overlap), "overlap")
    place = Place(hardware=hardware, levels=levels, devices=devices)
    layers = _layer_terms(trace, place)
    if not levels and overlap != "pass":
        asked = precision.asked
        return (*(_alone(entry, precision, asked, place, overlap) for entry in trace), *layers)
    costs = [entry.once(precision) for entry in trace]
    loads = works(trace, costs, precision, hardware, levels)
    taking = [rounded(load, entry.operator) for entry, load in zip(trace, loads, strict=True)]
    if overlap == "pass":
        cost = trace.cost_at(precision)
        work, longer = (_whole(trace, each) for each in (loads, taking))
        parts = rates(cost, longer, hardware, precision, levels)
        busy = Maximum(*parts[:2])
        row = (place, "total", "pass", "", cost, S.One)
        once = _term(*row, parts, busy, work if levels else ())
        return (replace(once, dispatch=Add(once.dispatch, *(t.dispatch for t in layers))),)
    rows = zip(trace, costs, loads, taking, strict=True)
    return (*(_row(*row, precision, place, overlap) for row in rows), *layers)


@lru_cache(maxsize=8192)
def _alone(
    entry: Entry, precision: Precision, asked: tuple[Expr | None, ...], place: Place, overlap: str
) -> Term:
    """The term of an operator where no other memory has a part in it.

    Passes have many operators in common: those of a prompt's chunks, of other engines, of decode
    steps. Formats are the same if what they are ``asked`` as is.
    """
    cost = entry.once(precision)
    (load,) = works(Trace((entry,)), (cost,), precision, place.hardware, ())
    return _row(entry, cost, load, rounded(load, entry.operator), precision, place, overlap)


def _row(
    entry: Entry,
    cost: Cost,
    work: tuple[Work, ...],
    longer: tuple[Work, ...],
    precision: Precision,
    place: Place,
    overlap: str,
) -> Term:
    """The term of an operator that does some work and takes the time of ``longer`` work."""
    levels = place.levels
    parts = rates(cost, longer, place.hardware, precision, levels)
    busy = Maximum(*parts[:2]) if overlap == "operator" else Add(*parts[:2])
    row = (place, entry.name, entry.section, entry.operator.family, cost, entry.count)
    return _term(*row, parts, busy, work if levels else ())


def _layer_terms(trace: Trace, place: Place) -> tuple[Term, ...]:
    """The dispatch of whole layers, a term a section, where that takes a time of its own."""
    time = place.hardware.layer_time
    if time is None:
        return ()
    parts = (S.Zero, S.Zero, time, S.Zero)
    idle = tuple(Work(place=name) for name in ("", *(level.name for level in place.levels)))
    return tuple(
        _term(
            *(place, "layer_dispatch", section, "layer", Cost(), count, parts, S.Zero),
            idle if place.levels else (),
        )
        for section, count in trace.layers().items()
    )


def rounded(work: tuple[Work, ...], operator: Operator) -> tuple[Work, ...]:
    """An operator's work with the operations that its products could do in the time they take."""
    device, *others = work
    idle = operator.idle
    if idle == 0:
        return work
    products = next((key for key in device.done if isinstance(key[0], Format)), None)
    if products is None:
        return work
    done = {**device.done, products: device.done[products] + idle}
    return (replace(device, done=done), *others)


def _whole(trace: Trace, loads: Iterable[tuple[Work, ...]]) -> tuple[Work, ...]:
    """The work of all the executions of a trace's operators."""
    every = zip(trace, loads, strict=True)
    return added(tuple(part.times(entry.count) for part in load) for entry, load in every)


def total(terms: tuple[Term, ...]) -> Expr:
    """The sum of the terms' times."""
    return Add(*(term.time for term in terms))


def _term(
    place: Place,
    name: str,
    section: str,
    family: str,
    cost: Cost,
    count: Expr,
    parts: tuple[Expr, ...],
    busy: Expr,
    work: tuple[Work, ...],
) -> Term:
    compute, memory, dispatch, network = (count * part for part in parts)
    return Term(
        place=place,
        name=name,
        section=section,
        family=family,
        cost=count * cost,
        compute=compute,
        memory=memory,
        dispatch=dispatch,
        network=network,
        busy=count * busy,
        work=tuple(part.times(count) for part in work),
    )
