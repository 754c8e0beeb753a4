"""Hardware as a performance model sees it: peaks, bandwidth, efficiencies, dispatch time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
from sympy import Expr, S, Symbol

from lifesym import symbols as sym
from lifesym.errors import SpecError, SymbolError
from lifesym.formats import Format, load_format
from lifesym.specs import convert, find, names, read_toml, root
from lifesym.symbols import Number, exact

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
    sources: Mapping[str, str] = field(default_factory=dict)

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
            if compute.name in engine:
                return engine[compute.name]
        raise SpecError(
            f"{self.name} has no peak for {compute.name} (it has {self._types()}): "
            "choose another format for the weights or activations"
        )

    def vector_peak(self, compute: Format) -> Expr:
        """The peak for elementwise work: fp32 on the vector units where they are specified."""
        for name in ("fp32", compute.name, *self.vector):
            if name in self.vector:
                return self.vector[name]
        return self.matrix_peak(compute)

    def _types(self) -> str:
        return ", ".join(dict.fromkeys([*self.matrix, *self.vector]))


def symbolic_numbers(hardware: Hardware, symbols: Iterable[Symbol]) -> Hardware:
    """The device with some of its numbers as symbols again: ``bandwidth``, ``peak`` ...

    >>> from lifesym.symbols import bandwidth
    >>> symbolic_numbers(load_hardware("v100"), [bandwidth]).bandwidth
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


class _Peaks(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    fp32: int | Decimal | None = None
    tf32: int | Decimal | None = None
    fp16: int | Decimal | None = None
    bf16: int | Decimal | None = None
    fp8: int | Decimal | None = None
    fp4: int | Decimal | None = None
    int8: int | Decimal | None = None
    int4: int | Decimal | None = None


class _Peak(msgspec.Struct, forbid_unknown_fields=True):
    matrix: _Peaks | None = None
    vector: _Peaks | None = None


class _Memory(msgspec.Struct, forbid_unknown_fields=True):
    bandwidth: int | Decimal
    source: str
    capacity: int | Decimal | None = None


class _Link(msgspec.Struct, forbid_unknown_fields=True):
    bandwidth: int | Decimal
    source: str
    latency: int | Decimal | None = None
    kind: str = ""


class _Power(msgspec.Struct, forbid_unknown_fields=True):
    tdp: int | Decimal
    source: str


class _Efficiency(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    compute: int | Decimal = 1
    memory: int | Decimal = 1


class _Dispatch(msgspec.Struct, forbid_unknown_fields=True):
    time: int | Decimal
    source: str


class _HardwareSpec(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    vendor: str
    kind: Literal["cpu", "gpu", "igpu", "npu", "soc", "asic"]
    peak: _Peak
    memory: _Memory
    aliases: list[str] = []
    link: _Link | None = None
    power: _Power | None = None
    efficiency: _Efficiency | None = None
    dispatch: _Dispatch | None = None


def load_hardware(name_or_path: str | Path) -> Hardware:
    """The device of a name or alias in ``specs/hardware``, or of the path of a TOML file.

    >>> load_hardware("v100-sxm2-16gb").bandwidth
    900000000000

    Raises:
        SpecError: an unknown name, or a file with a wrong, missing or unknown key.
    """
    name = aliases().get(str(name_or_path), name_or_path)
    path = find("hardware", name, ".toml", "hardware", aliases())
    where = name_or_path if path.parent != root() / "hardware" else f"{path.name}"
    return _build(convert(read_toml(path), _HardwareSpec, where), str(where))


@cache
def aliases() -> Mapping[str, str]:
    """Other names of the devices in the database."""
    found: dict[str, str] = {}
    for name in names("hardware"):
        table = read_toml(root() / "hardware" / f"{name}.toml")
        found |= dict.fromkeys(table.get("aliases", []), name)
    return found


def _build(spec: _HardwareSpec, where: str) -> Hardware:
    efficiency = spec.efficiency or _Efficiency(source="none given: the peak itself")
    peaks = {
        engine: _peaks(table, f"{where}: peak.{engine}")
        for engine, table in (("matrix", spec.peak.matrix), ("vector", spec.peak.vector))
    }
    if not any(peaks.values()):
        raise SpecError(f"{where}: key 'peak': no peak for any data type")
    tables = {
        "peak.matrix": spec.peak.matrix,
        "peak.vector": spec.peak.vector,
        "memory": spec.memory,
        "link": spec.link,
        "power": spec.power,
        "efficiency": spec.efficiency,
        "dispatch": spec.dispatch,
    }
    return Hardware(
        name=spec.name,
        kind=spec.kind,
        matrix=peaks["matrix"],
        vector=peaks["vector"],
        bandwidth=_positive(spec.memory.bandwidth, f"{where}: key 'memory.bandwidth'"),
        capacity=_optional(spec.memory.capacity, f"{where}: key 'memory.capacity'"),
        link_bandwidth=_optional(
            spec.link.bandwidth if spec.link else None, f"{where}: key 'link.bandwidth'"
        ),
        link_latency=_optional(
            spec.link.latency if spec.link else None, f"{where}: key 'link.latency'"
        ),
        compute_efficiency=_fraction(efficiency.compute, f"{where}: key 'efficiency.compute'"),
        memory_efficiency=_fraction(efficiency.memory, f"{where}: key 'efficiency.memory'"),
        dispatch_time=_positive(spec.dispatch.time, f"{where}: key 'dispatch.time'")
        if spec.dispatch
        else S.Zero,
        static_power=_optional(spec.power.tdp if spec.power else None, f"{where}: key 'power.tdp'"),
        sources={name: table.source for name, table in tables.items() if table is not None},
    )


def _peaks(table: _Peaks | None, where: str) -> dict[str, Expr]:
    values: dict[str, Any] = msgspec.structs.asdict(table) if table else {}
    return {
        name: _positive(value, f"{where}.{name}")
        for name, value in values.items()
        if name != "source" and value is not None
    }


def _positive(value: int | Decimal, where: str) -> Expr:
    if not Decimal(value).is_finite() or value <= 0:
        raise SpecError(f"{where}: must be a number above 0, not {value}")
    return exact(value)


def _optional(value: int | Decimal | None, where: str) -> Expr | None:
    return None if value is None else _positive(value, where)


def _fraction(value: int | Decimal, where: str) -> Expr:
    if not Decimal(value).is_finite() or not 0 < value <= 1:
        raise SpecError(f"{where}: must be above 0 and at most 1, not {value}")
    return exact(value)
