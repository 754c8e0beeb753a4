"""Hardware as a performance model sees it: peaks, bandwidth, efficiencies, dispatch time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from sympy import Expr, S, Symbol

from lifesym import symbols as sym
from lifesym.errors import SpecError, SymbolError
from lifesym.formats import Format, load_format
from lifesym.symbols import Number

DataType = Literal["fp32", "tf32", "fp16", "bf16", "fp8", "fp4", "int8", "int4"]
DEFAULT_TYPES = ("bf16", "fp16", "fp32")
"""The compute type when none is asked for: the first with a peak not below fp32's."""


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A device; every rate in SI units (FLOP/s, byte/s, s, J, W).

    Attributes:
        name: what it is called.
        kind: cpu, gpu, igpu, npu, soc, asic, or symbolic.
        matrix: dense peak of the matrix engine by data type.
        vector: peak of the vector units by data type.
        bandwidth: memory bandwidth.
        capacity: memory capacity in bytes, if known.
        link_bandwidth: bandwidth to a peer in one direction, if known.
        link_latency: latency of a message to a peer, if known.
        other_links: bandwidth and latency of further links; a collective waits for the slowest.
        compute_efficiency: attained fraction of every peak.
        memory_efficiency: attained fraction of the bandwidth.
        dispatch_time: time to dispatch one operator.
        flop_energy: energy of an operation, beyond static power.
        byte_energy: energy of a byte moved, beyond static power.
        static_power: power drawn while running; a spec's TDP, which bounds energy from above.
        multiprocessors: blocks of a matrix product computed at once, if known.
        sources: where the figures are from, by key.
        file: the spec's file, which errors name; empty for a device that was built otherwise.
    """

    name: str
    kind: str
    matrix: Mapping[str, Expr]
    vector: Mapping[str, Expr]
    bandwidth: Expr
    capacity: Expr | None = None
    link_bandwidth: Expr | None = None
    link_latency: Expr | None = None
    other_links: tuple[tuple[Expr, Expr], ...] = ()
    compute_efficiency: Expr = S.One
    memory_efficiency: Expr = S.One
    dispatch_time: Expr = S.Zero
    flop_energy: Expr = S.Zero
    byte_energy: Expr = S.Zero
    static_power: Expr | None = None
    multiprocessors: Expr | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    file: str = field(default="", compare=False, repr=False)

    @classmethod
    def symbolic(cls) -> Self:
        """A device of which every number is a symbol of the table.

        >>> Hardware.symbolic().bandwidth
        bandwidth
        """
        return cls(
            name="symbolic",
            kind="symbolic",
            matrix=_Everything(sym.peak),
            vector=_Everything(sym.vector_peak),
            bandwidth=sym.bandwidth,
            link_bandwidth=sym.link_bandwidth,
            link_latency=sym.link_latency,
            compute_efficiency=sym.compute_efficiency,
            memory_efficiency=sym.memory_efficiency,
            dispatch_time=sym.dispatch_time,
            flop_energy=sym.flop_energy,
            byte_energy=sym.byte_energy,
            static_power=sym.static_power,
        )

    def with_(self, **numbers: Number) -> Self:
        """The same device with other numbers, such as ``compute_efficiency=Fraction(7, 10)``.

        Raises:
            SymbolError: a value out of the symbol's range, or not a number.
        """
        checked = {
            name: sym.bind(getattr(sym, name), {name: value}) for name, value in numbers.items()
        }
        return replace(self, **checked)

    def with_links(self, *links: tuple[Number, Number]) -> Self:
        """The same device behind several links, each a bandwidth and a latency.

        A collective is over when the slowest of them is: replicas in different places.

        Raises:
            SymbolError: no link, or a value out of range.
        """
        if not links:
            raise SymbolError("links: at least one bandwidth and latency")
        checked = [
            (
                sym.bind(sym.link_bandwidth, {"link_bandwidth": rate}),
                sym.bind(sym.link_latency, {"link_latency": latency}),
            )
            for rate, latency in links
        ]
        (rate, latency), *others = checked
        return replace(self, link_bandwidth=rate, link_latency=latency, other_links=tuple(others))

    @property
    def default_format(self) -> Format:
        """The format computed in when none is asked for.

        Raises:
            SpecError: the device has no floating-point peak.
        """
        known = {**self.vector, **self.matrix}
        floor = known.get("fp32", S.Zero)
        for name in DEFAULT_TYPES:
            if name in known and not known[name] < floor:
                return load_format(name)
        raise SpecError(
            f"{self.name} has no floating-point peak (it has {self._types()}): "
            "choose the activations' format"
        )

    def matrix_peak(self, compute: Format) -> Expr:
        """The peak for matrix products in a format; vector units do them where nothing else can.

        Raises:
            SpecError: no peak for that data type.
        """
        for engine in (self.matrix, self.vector):
            if compute.data_type in engine:
                return engine[compute.data_type]
        key = f"{self.file}: key 'peak.matrix.{compute.data_type}': " if self.file else ""
        raise SpecError(
            f"{key}{self.name} has no peak for {compute.data_type} (it has {self._types()}): "
            "choose another format for the weights or activations"
        )

    def vector_peak(self, compute: Format) -> Expr:
        """The peak for elementwise work: fp32 on the vector units where they are specified."""
        for name in ("fp32", compute.data_type, *self.vector):
            if name in self.vector:
                return self.vector[name]
        return self.matrix_peak(compute)

    def computes(self, fmt: Format) -> bool:
        """Whether it has a peak for the data type of a format."""
        return fmt.data_type in self.matrix or fmt.data_type in self.vector

    def _types(self) -> str:
        return ", ".join(dict.fromkeys([*self.matrix, *self.vector]))


def symbolic_numbers(hardware: Hardware, symbols: Iterable[Symbol]) -> Hardware:
    """The device with some of its numbers as symbols again: ``bandwidth``, ``peak`` ...

    >>> from lifesym.symbols import bandwidth
    >>> symbolic_numbers(Hardware.symbolic(), [bandwidth]).bandwidth
    bandwidth
    """
    free = set(symbols)
    names: tuple[str, ...] = (
        "bandwidth",
        "compute_efficiency",
        "memory_efficiency",
        "dispatch_time",
    )
    names += ("link_bandwidth", "link_latency", "flop_energy", "byte_energy", "static_power")
    changes: dict[str, Any] = {n: getattr(sym, n) for n in names if getattr(sym, n) in free}
    if sym.peak in free:
        changes["matrix"] = dict.fromkeys(hardware.matrix or hardware.vector, sym.peak)
    if sym.vector_peak in free:
        changes["vector"] = dict.fromkeys(hardware.vector or hardware.matrix, sym.vector_peak)
    return replace(hardware, **changes)


class _Everything(dict[str, Expr]):
    """A mapping that gives the same symbol for every data type."""

    def __init__(self, value: Expr) -> None:
        super().__init__(dict.fromkeys(DEFAULT_TYPES, value))
        self.value = value

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> Expr:
        return self.value
