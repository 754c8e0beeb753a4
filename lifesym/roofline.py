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
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from sympy import Add, Expr, S

from lifesym.cost import Cost
from lifesym.errors import SpecError, one_of
from lifesym.formats import Precision
from lifesym.hardware import Hardware
from lifesym.levels import Level
from lifesym.nodes import Maximum
from lifesym.operators import Operator
from lifesym.trace import Trace
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
    share = hardware.compute_efficiency
    products = (n / (share * hardware.matrix_peak(f)) for f, n in device.products.items())
    vector = hardware.vector_peak(precision.activations)
    compute = Maximum(
        Add(*products) + device.other_flops / (share * vector),
        *(computing(*pair, precision) for pair in zip(levels, others, strict=True)),
    )
    memory = Maximum(
        device.bytes / (hardware.memory_efficiency * hardware.bandwidth),
        *channels(levels, others),
    )
    dispatch = cost.dispatches * hardware.dispatch_time
    network = S.Zero
    if not (cost.network_bytes.is_zero and cost.messages.is_zero):
        network = link_time(cost.messages, cost.network_bytes, hardware)
    return compute, memory, dispatch, network


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
    costs = [entry.once(precision) for entry in trace]
    loads = works(trace, costs, precision, levels)
    taking = [rounded(load, entry.operator) for entry, load in zip(trace, loads, strict=True)]
    if overlap == "pass":
        cost = trace.cost_at(precision)
        work, longer = (_whole(trace, each) for each in (loads, taking))
        parts = rates(cost, longer, hardware, precision, levels)
        busy = Maximum(*parts[:2])
        row = (place, "total", "pass", "", cost, S.One)
        return (_term(*row, parts, busy, work if levels else ()),)
    terms = []
    for entry, cost, work, longer in zip(trace, costs, loads, taking, strict=True):
        parts = rates(cost, longer, hardware, precision, levels)
        busy = Maximum(*parts[:2]) if overlap == "operator" else Add(*parts[:2])
        row = (place, entry.name, entry.section, entry.operator.family, cost, entry.count)
        terms.append(_term(*row, parts, busy, work if levels else ()))
    return tuple(terms)


def rounded(work: tuple[Work, ...], operator: Operator) -> tuple[Work, ...]:
    """An operator's work with the operations that its products could do in the time they take."""
    device, *others = work
    if operator.idle.is_zero:
        return work
    products = {fmt: flops + operator.idle for fmt, flops in device.products.items()}
    return (replace(device, products=products), *others)


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
