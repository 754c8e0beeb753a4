"""A device, and the time of kernels on it."""

from collections.abc import Iterable, Mapping, Sequence
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


def served(kernel: Kernel, options: Options) -> list[Fraction]:
    """Bytes of a kernel's traffic that each other memory serves."""
    cost, weights = kernel.cost(options.precision), kernel.weight_bytes(options.precision)
    cached = cost["kv_read_bytes"] + cost["kv_write_bytes"]
    activations = cost["activation_read_bytes"] + cost["activation_write_bytes"]
    return [
        sum((level.of_weights(r, options.levels) * n for r, n in weights.items()), Fraction(0))
        + level.kv * cached
        + level.activations * activations
        for level in options.levels
    ]


@dataclass(frozen=True)
class Moved:
    """Bytes that each other memory serves, and how many kernels wait for it."""

    there: Sequence[Fraction]
    waits: Sequence[int]

    def seconds(self, levels: Iterable[Level]) -> Iterable[Fraction]:
        """Of every memory, and of every link, which levels may share."""
        busy: dict[tuple[str, str], Fraction] = {}
        for level, moved, waits in zip(levels, self.there, self.waits, strict=True):
            if level.link is not None:
                busy[level.name, "memory"] = moved / level.bandwidth
            link = (level.through or level.name, "link")
            time = waits * level.latency + moved / (level.link or level.bandwidth)
            busy[link] = busy.get(link, Fraction(0)) + time
        return busy.values()


def seconds(
    cost: Cost, moved: Moved, machine: Machine, options: Options, *, overlapped: bool
) -> Fraction:
    """Computing and moving, one beside or after the other; then dispatches and messages."""
    kind = options.precision.computed_as
    elementwise = cost["vector_flops"] + cost["dequant_ops"]
    computing = cost["matmul_flops"] / machine.matrix_peak(kind)
    computing += elementwise / machine.vector_peak(kind)
    computing /= machine.compute_efficiency
    here = traffic(cost) - sum(moved.there)
    moving = max(
        here / (machine.memory_efficiency * machine.bandwidth),
        *moved.seconds(options.levels),
        Fraction(0),
    )
    busy = max(computing, moving) if overlapped else computing + moving
    linked = Fraction(0)
    if cost["messages"] or cost["network_bytes"]:
        linked = machine.link_time(cost["messages"], cost["network_bytes"])
    return busy + cost["dispatches"] * machine.dispatch_time + linked


def time_of(kernels: Iterable[Kernel], machine: Machine, options: Options) -> Fraction:
    """Of kernels in a row, or of their totals as if they all overlapped."""
    priced = []
    for kernel in kernels:
        there = served(kernel, options)
        priced.append((kernel.cost(options.precision), Moved(there, [int(n > 0) for n in there])))
    if options.overlap == "pass":
        moved = [m for _, m in priced]
        there = [sum(n, Fraction(0)) for n in zip(*(m.there for m in moved), strict=True)]
        waits = [sum(n) for n in zip(*(m.waits for m in moved), strict=True)]
        priced = [(added(cost for cost, _ in priced), Moved(there, waits))]
    beside = options.overlap != "none"
    parts = (seconds(c, m, machine, options, overlapped=beside) for c, m in priced)
    return sum(parts, Fraction(0))


def joules(kernels: Iterable[Kernel], machine: Machine, options: Options) -> Fraction:
    """Of operations, and of bytes where they are."""
    spent = Fraction(0)
    for kernel in kernels:
        cost = kernel.cost(options.precision)
        done = cost["matmul_flops"] + cost["vector_flops"] + cost["dequant_ops"]
        there = served(kernel, options)
        here = traffic(cost) - sum(there)
        spent += machine.flop_energy * done + machine.byte_energy * here
        spent += sum(n * lv.byte_energy for n, lv in zip(there, options.levels, strict=True))
    return spent
