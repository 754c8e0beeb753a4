"""A device, and the time of kernels on it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from simulator.kernels import Cost, Kernel, added
from simulator.options import Level, Options


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Peaks by data type, the memory, links (bytes a second, latency), and energies."""

    matrix: Mapping[str, Fraction]
    vector: Mapping[str, Fraction]
    bandwidth: Fraction
    compute_efficiency: Fraction
    memory_efficiency: Fraction
    dispatch_time: Fraction
    links: tuple[tuple[Fraction, Fraction], ...]
    flop_energy: Fraction
    byte_energy: Fraction
    static_power: Fraction

    def matrix_peak(self, kind: str) -> Fraction:
        return self.matrix.get(kind) or self.vector[kind]

    def vector_peak(self, kind: str) -> Fraction:
        """Elementwise work is done in fp32 where vector units do that."""
        for name in ("fp32", kind, *self.vector):
            if name in self.vector:
                return self.vector[name]
        return self.matrix_peak(kind)

    def link_time(self, messages: Fraction, moved: Fraction) -> Fraction:
        """Of the slowest link."""
        return max(messages * latency + moved / rate for rate, latency in self.links)


def traffic(cost: Cost) -> Fraction:
    """All bytes that go through a memory."""
    names = ("weight_bytes", "activation_read_bytes", "activation_write_bytes")
    return sum((cost[n] for n in (*names, "kv_read_bytes", "kv_write_bytes")), Fraction(0))


def served(level: Level, cost: Cost, experts: Fraction) -> Fraction:
    """Bytes of a cost that another memory serves; ``experts`` of its weights are experts'."""
    return (
        level.weights * (cost["weight_bytes"] - experts)
        + level.experts * experts
        + level.kv * (cost["kv_read_bytes"] + cost["kv_write_bytes"])
        + level.activations * (cost["activation_read_bytes"] + cost["activation_write_bytes"])
    )


def seconds(
    cost: Cost, experts: Fraction, machine: Machine, options: Options, *, overlapped: bool
) -> Fraction:
    """Computing and moving, one beside or after the other; then dispatches and messages."""
    kind = options.precision.computed_as
    elementwise = cost["vector_flops"] + cost["dequant_ops"]
    computing = cost["matmul_flops"] / machine.matrix_peak(kind)
    computing += elementwise / machine.vector_peak(kind)
    computing /= machine.compute_efficiency
    elsewhere = [(served(lv, cost, experts), lv.bandwidth) for lv in options.levels]
    here = traffic(cost) - sum(moved for moved, _ in elsewhere)
    moving = max(
        here / (machine.memory_efficiency * machine.bandwidth),
        *(moved / rate for moved, rate in elsewhere),
        Fraction(0),
    )
    busy = max(computing, moving) if overlapped else computing + moving
    linked = Fraction(0)
    if cost["messages"] or cost["network_bytes"]:
        linked = machine.link_time(cost["messages"], cost["network_bytes"])
    return busy + cost["dispatches"] * machine.dispatch_time + linked


def time_of(kernels: Iterable[Kernel], machine: Machine, options: Options) -> Fraction:
    """Of kernels in a row, or of their totals as if they all overlapped."""
    precision, overlap = options.precision, options.overlap
    priced = [(k.cost(precision), k.expert_bytes(precision)) for k in kernels]
    if overlap == "pass":
        experts = sum((e for _, e in priced), Fraction(0))
        priced = [(added(cost for cost, _ in priced), experts)]
    beside = overlap != "none"
    parts = (seconds(c, e, machine, options, overlapped=beside) for c, e in priced)
    return sum(parts, Fraction(0))


def joules(kernels: Iterable[Kernel], machine: Machine, options: Options) -> Fraction:
    """Of operations, and of bytes where they are."""
    spent = Fraction(0)
    for kernel in kernels:
        cost = kernel.cost(options.precision)
        experts = kernel.expert_bytes(options.precision)
        done = cost["matmul_flops"] + cost["vector_flops"] + cost["dequant_ops"]
        moved = [(served(lv, cost, experts), lv.byte_energy) for lv in options.levels]
        here = traffic(cost) - sum(n for n, _ in moved)
        spent += machine.flop_energy * done + machine.byte_energy * here
        spent += sum(n * energy for n, energy in moved)
    return spent
