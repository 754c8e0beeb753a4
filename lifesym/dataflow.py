r"""Dataflow machines: every layer has units of its own, and all of them run at the same time.

On an FPGA a network may be laid out as a pipeline of its layers: the weights stay in each layer's
units, activations pass from layer to layer on the chip, and only images and results move through
memory. With a share $s_i$ of the device's peaks in layer i, whose operations would take the time
$t_i$ on all of them, and Q bytes of images and results, results come

$$t = \max\Big(\max_i \frac{t_i}{s_i},\; \frac{Q}{e_m \mathit{BW}}\Big) + t_d$$

apart, which is a time between results and not that of one image on its way. Without shares the
units are divided so that every layer takes as long, $s_i = t_i / \sum_j t_j$: then
$\max_i t_i / s_i = \sum_i t_i$, which no division does better.
Source: FINN, arXiv 1612.07119 (a streaming architecture whose compute resources are each layer's
own). That the chip holds weights and what is in flight is not checked; how shares are rounded to
whole units is not modelled.
"""

from collections.abc import Mapping
from dataclasses import replace

from sympy import Add, Expr, S

from lifesym.cost import Cost
from lifesym.errors import SymbolError, nearest
from lifesym.formats import Precision
from lifesym.hardware import Hardware
from lifesym.nodes import Maximum
from lifesym.roofline import Place, Term, rates, streamed
from lifesym.symbols import Number, exact
from lifesym.trace import Trace
from lifesym.traffic import alone, works


def dataflow(
    trace: Trace,
    hardware: Hardware,
    precision: Precision,
    shares: Mapping[str, Number] | None = None,
) -> tuple[Term, ...]:
    """The one term of a pass whose layers, the sections of a trace, all run at once.

    ``shares`` has the share of the peaks in each section; None: every section takes as long.

    Raises:
        SpecError: the device has no peak for the compute format.
        SymbolError: a section that is not there, or none of one that is; a share that is not above
            0, or shares of more than 1 in all.
    """
    costs = [entry.once(precision) for entry in trace]
    alone_there = works(trace, costs, precision, hardware, ())
    seconds: dict[str, Expr] = {}
    for entry, cost, work in zip(trace, costs, alone_there, strict=True):
        compute = entry.count * rates(cost, work, hardware, precision)[0]
        seconds[entry.section] = seconds.get(entry.section, S.Zero) + compute
    whole = trace.cost_at(precision)
    moved = Cost(
        activation_read_bytes=costs[0].activation_read_bytes,
        activation_write_bytes=costs[-1].activation_write_bytes,
    )
    done = replace(
        moved,
        matmul_flops=whole.matmul_flops,
        vector_flops=whole.vector_flops,
        dequant_ops=whole.dequant_ops,
        dispatches=S.One,
    )
    slowest = Maximum(*_times(seconds, shares))
    memory = streamed(alone(moved, precision.activations), hardware)
    term = Term(
        place=Place(hardware=hardware),
        name="total",
        section="pass",
        family="",
        cost=done,
        compute=slowest,
        memory=memory,
        dispatch=hardware.dispatch_time,
        network=S.Zero,
        busy=Maximum(slowest, memory),
    )
    return (term,)


def _times(seconds: Mapping[str, Expr], shares: Mapping[str, Number] | None) -> list[Expr]:
    """Seconds of each section on its share of the units; of balanced ones all are their sum."""
    if shares is None:
        return [Add(*seconds.values())]
    for section in shares:
        if section not in seconds:
            raise SymbolError(
                f"shares: no layer {section!r}{nearest(section, seconds)} "
                f"(there are {', '.join(seconds)})"
            )
    given = {section: exact(share, f"shares: {section}") for section, share in shares.items()}
    for section in seconds:
        if section not in given:
            raise SymbolError(f"shares: {section} has none: give each layer a share of the peak")
        if given[section].is_positive is False:
            raise SymbolError(f"shares: {section} must be above 0, not {given[section]}")
    if (Add(*given.values()) - 1).is_positive:
        raise SymbolError(f"shares: together {Add(*given.values())} of the peak: at most 1")
    return [time / given[section] for section, time in seconds.items()]
