"""A device, and the time of kernels on it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from simulator.kernels import Cost, Kernel
from simulator.options import Level, Options


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Peaks by data type, the memory, links (bytes a second, latency), and energies.

    ``own`` has what it attains otherwise with kernels of a name or bytes of a role, such as
    ``mlp_down.compute`` or ``weights.memory``.
    """

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
    own: Mapping[str, Fraction] = field(default_factory=dict)
    layer_time: Fraction | None = None
    collective_latency: Fraction | None = None
    sampling_time: Fraction | None = None
    dequantization_rate: Fraction | None = None

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


def by_role(cost: Cost) -> dict[str, Fraction]:
    """All bytes that go through a memory."""
    return {
        "weights": cost["weight_bytes"],
        "cache": cost["kv_read_bytes"] + cost["kv_write_bytes"],
        "activations": cost["activation_read_bytes"] + cost["activation_write_bytes"],
    }


def served(kernel: Kernel, options: Options) -> list[dict[str, Fraction]]:
    """Bytes of a kernel's traffic that each other memory serves."""
    moved = by_role(kernel.cost(options.precision))
    weights = kernel.weight_bytes(options.precision)
    return [
        {
            "weights": sum(
                (level.of_weights(r, options.levels) * n for r, n in weights.items()), Fraction(0)
            ),
            "cache": level.kv * moved["cache"],
            "activations": level.activations * moved["activations"],
        }
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


@dataclass(frozen=True)
class Seconds:
    """Of kernels: computing, moving what the device's own memory serves, and what comes after."""

    computing: Fraction
    moving: Fraction
    moved: Moved
    after: Fraction

    def total(self, options: Options) -> Fraction:
        """Computing and moving, one beside or after the other; then dispatches and messages."""
        moving = max(self.moving, *self.moved.seconds(options.levels), Fraction(0))
        beside = options.overlap != "none"
        busy = max(self.computing, moving) if beside else self.computing + moving
        return busy + self.after


def seconds(kernel: Kernel, machine: Machine, options: Options) -> Seconds:
    """Of one kernel, with the efficiencies of its name and of its bytes' roles."""
    cost, kind = kernel.cost(options.precision), options.precision.computed_as
    own = machine.own
    elementwise = machine.vector_peak(kind)
    others = cost["matmul_flops"] - sum(kernel.dense.values())
    computing = others / machine.matrix_peak(kind)
    for role, products in kernel.dense.items():
        computing += products / machine.matrix_peak(options.precision.read_by(role).computed_as)
    computing += cost["vector_flops"] / elementwise
    computing += cost["dequant_ops"] / (machine.dequantization_rate or elementwise)
    computing /= own.get(f"{kernel.name}.compute", machine.compute_efficiency)
    there = served(kernel, options)
    moving = Fraction(0)
    for role, moved in by_role(cost).items():
        here = moved - sum(level[role] for level in there)
        share = own.get(f"{role}.memory", machine.memory_efficiency)
        moving += here / (own.get(f"{kernel.name}.memory", share) * machine.bandwidth)
    dispatch = own.get(f"{kernel.name}.dispatch", machine.dispatch_time)
    after = cost["dispatches"] * dispatch
    after += kernel.sampled * (machine.sampling_time or 0)
    if cost["messages"] or cost["network_bytes"]:
        after += machine.link_time(cost["messages"], cost["network_bytes"])
        after += kernel.collectives * (machine.collective_latency or 0)
    away = [sum(level.values()) for level in there]
    return Seconds(computing, moving, Moved(away, [int(n > 0) for n in away]), after)


def time_of(kernels: Iterable[Kernel], machine: Machine, options: Options) -> Fraction:
    """Of kernels in a row, or of their totals as if they all overlapped."""
    listed = list(kernels)
    parts = [seconds(kernel, machine, options) for kernel in listed]
    if options.overlap == "pass" and parts:
        moved = Moved(
            [sum(n) for n in zip(*(part.moved.there for part in parts), strict=True)],
            [sum(n) for n in zip(*(part.moved.waits for part in parts), strict=True)],
        )
        whole = (sum(getattr(p, n) for p in parts) for n in ("computing", "moving", "after"))
        computing, moving, after = map(Fraction, whole)
        parts = [Seconds(computing, moving, moved, after)]
    layers = len({kernel.place for kernel in listed if kernel.place.startswith("layer")})
    begun = layers * (machine.layer_time or Fraction(0))
    return sum((part.total(options) for part in parts), begun)


def joules(kernels: Iterable[Kernel], machine: Machine, options: Options) -> Fraction:
    """Of operations, and of bytes where they are."""
    spent = Fraction(0)
    for kernel in kernels:
        cost = kernel.cost(options.precision)
        done = cost["matmul_flops"] + cost["vector_flops"] + cost["dequant_ops"]
        there = [sum(level.values()) for level in served(kernel, options)]
        here = sum(by_role(cost).values()) - sum(there)
        spent += machine.flop_energy * done + machine.byte_energy * here
        spent += sum(n * lv.byte_energy for n, lv in zip(there, options.levels, strict=True))
    return spent
