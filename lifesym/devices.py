"""Devices of the database: TOML specs, their checks, and their names."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from sympy import Expr, Rational, S

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.containers import repositories
from lifesym.efficiencies import from_tables
from lifesym.errors import SpecError, nearest
from lifesym.hardware import IDEAL, Fit, Hardware
from lifesym.levels import Level
from lifesym.memories import memory_of
from lifesym.specs import convert, find, meant, names, read_toml, root
from lifesym.symbols import exact
from lifesym.units import (
    BANDWIDTH,
    BYTE_ENERGY,
    CAPACITY,
    FLOP_ENERGY,
    LINK,
    PEAK,
    POWER,
    TIME,
    Quantity,
    fraction,
)

Figure = Any
"""A number in SI units, or text with a unit of a data sheet; `lifesym.units` checks it."""
INLINE_ECC = Rational(1, 16)
"""Of bandwidth and capacity, what error correction takes that is in the same memory as the data:
cards of 24 and 48 GiB report 22.5 and 45 GiB with it (Exafunction, ECC and GPU memory, 2023; the
HBM of other cards has chips or bits of its own for it)."""
WITHOUT_MATRIX_ENGINES = ("cpu", "fpga")
"""Kinds that have no matrix engine (for 16-bit floats) unless the spec says so."""


class _Peaks(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    engine: Literal["none", "unknown"] | None = None
    fp32: Figure | None = None
    tf32: Figure | None = None
    fp16: Figure | None = None
    bf16: Figure | None = None
    fp8: Figure | None = None
    fp4: Figure | None = None
    int8: Figure | None = None
    int4: Figure | None = None


class _Serial(msgspec.Struct, forbid_unknown_fields=True):
    rate: Figure
    source: str


class _Peak(msgspec.Struct, forbid_unknown_fields=True):
    matrix: _Peaks | None = None
    vector: _Peaks | None = None
    serial: _Serial | None = None


class _Memory(msgspec.Struct, forbid_unknown_fields=True):
    bandwidth: Figure
    source: str
    capacity: Figure | None = None
    inline_ecc: bool = False


class _Link(msgspec.Struct, forbid_unknown_fields=True):
    bandwidth: Figure
    source: str
    latency: Figure | None = None
    collective: Figure | None = None
    kind: str = ""


class _OtherMemory(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    name: str
    bandwidth: Figure
    source: str
    link: Figure | None = None
    through: str = ""
    latency: Figure | None = None
    capacity: Figure | None = None
    byte_energy: Figure | None = None
    flop_energy: Figure | None = None
    static_power: Figure | None = None
    weights: Figure | None = None
    experts: Figure | None = None
    kv: Figure | None = None
    activations: Figure | None = None
    holds: dict[str, Figure] | None = None
    computes: tuple[str, ...] = ()
    peaks: Figure | None = None


class _Power(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    tdp: Figure | None = None
    typical: Figure | None = None
    idle: Figure | None = None


class _Energy(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    byte: Figure | None = None
    flop: Figure | None = None


class _Efficiency(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    compute: Figure = 1
    memory: Figure = 1


class _Typical(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    memory: int | Decimal = 1
    compute: int | Decimal = 1
    dispatch: int | Decimal | None = None


class _Dispatch(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    time: Figure | None = None
    layer: Figure | None = None
    sampling: Figure | None = None
    score: Figure | None = None


class _Dequantization(msgspec.Struct, forbid_unknown_fields=True):
    rate: Figure
    source: str


class _Multiprocessors(msgspec.Struct, forbid_unknown_fields=True):
    count: int
    source: str


class _Fit(msgspec.Struct, forbid_unknown_fields=True):
    parameters: list[str]
    covariance: list[list[float]]
    error: float
    wider: dict[str, float]
    source: str


class _HardwareSpec(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    vendor: str
    kind: Literal["cpu", "gpu", "igpu", "npu", "soc", "asic", "fpga"]
    peak: _Peak
    memory: _Memory
    aliases: list[str] = []
    engine: str = ""
    fit: _Fit | None = None
    dies: int = 1
    link: _Link | None = None
    power: _Power | None = None
    energy: _Energy | None = None
    memories: list[_OtherMemory] = []
    efficiency: _Efficiency | None = None
    dispatch: _Dispatch | None = None
    dequantization: _Dequantization | None = None
    multiprocessors: _Multiprocessors | None = None


def load_hardware(name_or_path: str | Path) -> Hardware:
    """The device of a name or alias in ``specs/hardware``, or of the path of a TOML file.

    Names are found as people write them (see `lifesym.specs.meant`).

    A file may extend a device of the database (``extends = "rtx-4090"``): its tables then replace
    that device's, as those of a calibration do.

    >>> load_hardware("v100-sxm2-16gb").bandwidth
    900000000000

    Raises:
        SpecError: an unknown name, or a file with a wrong, missing or unknown key.
    """
    name = aliases().get(str(name_or_path), name_or_path)
    path = find("hardware", name, ".toml", "hardware", aliases())
    where = name_or_path if path.parent != root() / "hardware" else f"{path.name}"
    table = _extended(read_toml(path), str(where))
    parts = _parts(table, str(where))
    return _build(convert(table, _HardwareSpec, where), *parts, str(where))


def _parts(table: dict[str, Any], where: str) -> tuple[dict[str, Expr], dict[str, str]]:
    """The numbers of parts of the work and their sources, taken out of a device's table.

    Their tables are in those of the whole work: ``[efficiency.attention]`` in ``[efficiency]``. A
    part's source is the whole's where it has none.

    Raises:
        SpecError: what `lifesym.efficiencies.from_tables` raises, or a table without a source.
    """
    own: dict[str, Expr] = {}
    sources: dict[str, str] = {}
    for name in ("efficiency", "dispatch"):
        if not isinstance(table.get(name), dict):
            continue
        parts = {word: part for word, part in table[name].items() if isinstance(part, dict)}
        own |= from_tables(name, parts, where)
        whole = {key: value for key, value in table[name].items() if key not in parts}
        for word, part in parts.items():
            source = part.get("source", whole.get("source"))
            if not isinstance(source, str):
                raise SpecError(f"{where}: missing key '{name}.{word}.source'")
            sources[f"{name}.{word}"] = source
        if parts and whole.keys() <= {"source"}:
            del table[name]
        else:
            table[name] = whole
    return own, sources


def as_hardware(hardware: Hardware | str | Path) -> Hardware:
    """A device as it is, or that of a name or path (see `load_hardware`)."""
    return hardware if isinstance(hardware, Hardware) else load_hardware(hardware)


def _extended(table: dict[str, Any], where: str) -> dict[str, Any]:
    """The table over that of the device it extends: an overlay such as a calibration's."""
    if "extends" not in table:
        return table
    name = table.pop("extends")
    if not isinstance(name, str):
        raise SpecError(f"{where}: key 'extends': must be the name of a device, not {name!r}")
    try:
        base = database_name(name)
    except SpecError as error:
        raise SpecError(f"{where}: key 'extends': {error}") from None
    return {**read_toml(root() / "hardware" / f"{base}.toml"), "aliases": [], **table}


@checked
def typical(hardware: Hardware | str | Path) -> Hardware:
    """The device with its class's usual efficiencies and dispatch time where it has none.

    They are fits to published measurements (``specs/efficiencies.toml``): far from exact for any
    one device, and nearer than its peaks.

    >>> typical("rtx-4090").memory_efficiency
    9/10
    """
    device = as_hardware(hardware)
    table = read_toml(root() / "efficiencies.toml").get(device.kind)
    if table is None:
        return device
    usual = convert(table, _Typical, f"efficiencies.toml: {device.kind}")
    measured = {"efficiency", "dispatch"} & set(device.sources)
    changes: dict[str, Any] = {}
    if "efficiency" not in measured:
        changes["memory_efficiency"] = exact(usual.memory)
        changes["compute_efficiency"] = exact(usual.compute)
    if "dispatch" not in measured and usual.dispatch is not None:
        changes["dispatch_time"] = exact(usual.dispatch)
    source = f"usual for a device of its class: {usual.source}"
    return replace(device, **changes, sources={**device.sources, "typical": source})


def database_name(name: str) -> str:
    """The name in the database of a device or alias.

    Raises:
        SpecError: not in the database.
    """
    found = meant("hardware", name, "hardware", aliases())
    if found is None:
        known = [*names("hardware"), *aliases()]
        raise SpecError(f"unknown hardware {name!r}{nearest(name, known)}")
    return found


def known_as(name: str) -> str:
    """The name of a model, device or engine of the database as it is spelt there, if it is one's.

    Raises:
        SpecError: the beginning of several names.
    """
    kinds = {"models": repositories(), "hardware": aliases(), "engines": {}}
    found = (meant(kind, name, "entry", others) for kind, others in kinds.items())
    return next(filter(None, found), name)


@cache
def aliases() -> Mapping[str, str]:
    """Other names of the devices in the database."""
    found: dict[str, str] = {}
    for name in names("hardware"):
        table = read_toml(root() / "hardware" / f"{name}.toml")
        found |= dict.fromkeys(table.get("aliases", []), name)
    return found


def _build(
    spec: _HardwareSpec, own: Mapping[str, Expr], sources: Mapping[str, str], where: str
) -> Hardware:
    efficiency = spec.efficiency or _Efficiency(source="none given: the peak itself")
    matrix = _peaks(spec.peak.matrix, f"{where}: key 'peak.matrix")
    vector = _peaks(spec.peak.vector, f"{where}: key 'peak.vector")
    if not matrix and not vector:
        raise SpecError(f"{where}: key 'peak': no peak for any data type")
    tables = {
        "peak.matrix": spec.peak.matrix,
        "peak.vector": spec.peak.vector,
        "peak.serial": spec.peak.serial,
        "memory": spec.memory,
        "link": spec.link,
        "power": spec.power,
        "energy": spec.energy,
        "efficiency": spec.efficiency,
        "dispatch": spec.dispatch,
        "dequantization": spec.dequantization,
        "multiprocessors": spec.multiprocessors,
    }
    link, energy = spec.link, spec.energy or _Energy(source="")
    dispatch = spec.dispatch or _Dispatch(source="none given")
    times = (dispatch.time, dispatch.layer, dispatch.sampling, dispatch.score)
    if spec.dispatch and times == (None,) * len(times):
        raise SpecError(f"{where}: missing key 'dispatch.time'")
    unpacking, serial = spec.dequantization, spec.peak.serial
    known = {name: table.source for name, table in tables.items() if table is not None}

    def figure(value: Figure | None, quantity: Quantity, key: str) -> Expr | None:
        return None if value is None else quantity.read(value, f"{where}: key {key!r}")

    if spec.dies < 1:
        raise SpecError(f"{where}: key 'dies': must be a number above 0, not {spec.dies}")
    bandwidth = BANDWIDTH.read(spec.memory.bandwidth, f"{where}: key 'memory.bandwidth'")
    capacity = figure(spec.memory.capacity, CAPACITY, "memory.capacity")
    if spec.memory.inline_ecc:
        bandwidth *= 1 - INLINE_ECC
        capacity = None if capacity is None else capacity * (1 - INLINE_ECC)

    return Hardware(
        name=spec.name,
        file=where,
        kind=spec.kind,
        matrix=matrix,
        matrix_known=_matrix_known(spec, where),
        vector=vector,
        bandwidth=bandwidth,
        capacity=capacity,
        dies=spec.dies,
        engine=spec.engine or IDEAL,
        fit=_fit(spec.fit, where),
        inline_ecc=spec.memory.inline_ecc,
        link_bandwidth=figure(link.bandwidth if link else None, LINK, "link.bandwidth"),
        link_latency=figure(link.latency if link else None, TIME, "link.latency"),
        compute_efficiency=fraction(efficiency.compute, f"{where}: key 'efficiency.compute'"),
        memory_efficiency=fraction(efficiency.memory, f"{where}: key 'efficiency.memory'"),
        collective_latency=figure(link.collective if link else None, TIME, "link.collective"),
        dispatch_time=figure(dispatch.time, TIME, "dispatch.time") or S.Zero,
        own=own,
        layer_time=figure(dispatch.layer, TIME, "dispatch.layer"),
        sampling_time=figure(dispatch.sampling, TIME, "dispatch.sampling"),
        score_time=figure(dispatch.score, TIME, "dispatch.score"),
        dequantization_rate=figure(
            unpacking.rate if unpacking else None, PEAK, "dequantization.rate"
        ),
        serial_peak=figure(serial.rate if serial else None, PEAK, "peak.serial.rate"),
        multiprocessors=_count(spec.multiprocessors, f"{where}: key 'multiprocessors.count'"),
        flop_energy=figure(energy.flop, FLOP_ENERGY, "energy.flop") or S.Zero,
        byte_energy=figure(energy.byte, BYTE_ENERGY, "energy.byte") or S.Zero,
        static_power=_power(spec, where),
        memories=tuple(_memory(table, where) for table in spec.memories),
        sources={
            **known,
            **sources,
            **{f"memories.{table.name}": table.source for table in spec.memories},
        },
    )


def _fit(table: _Fit | None, where: str) -> Fit | None:
    """How well the numbers of a calibration are known."""
    if table is None:
        return None
    count = len(table.parameters)
    if {count} != {len(table.covariance), *map(len, table.covariance)}:
        raise SpecError(f"{where}: key 'fit.covariance': must have {count} rows of {count} numbers")
    for name in table.parameters:
        if name not in [symbol.name for symbol in sym.TABLE]:
            raise SpecError(f"{where}: key 'fit.parameters': {name!r} is no symbol")
    return Fit(
        parameters=tuple(table.parameters),
        covariance=tuple(map(tuple, table.covariance)),
        error=table.error,
        wider=table.wider,
    )


def _power(spec: _HardwareSpec, where: str) -> Expr | None:
    """What is drawn over a forecast's time, whatever is computed; None where it is not known.

    The typical power, or else the TDP, is all that is drawn. Where energies of operations or bytes
    are given they are in these already, and what counts beside them is the idle power.

    Raises:
        SpecError: a table that says nothing, or an idle power without energies.
    """
    figures = {} if spec.power is None else msgspec.structs.asdict(spec.power)
    known = {
        key: POWER.read(value, f"{where}: key 'power.{key}'")
        for key, value in figures.items()
        if key != "source" and value is not None
    }
    if figures and not known:
        raise SpecError(f"{where}: missing key 'power.tdp'")
    if spec.energy is not None:
        if spec.energy.byte is None and spec.energy.flop is None:
            raise SpecError(f"{where}: missing key 'energy.byte' or 'energy.flop'")
        return known.get("idle", S.Zero)
    if set(known) == {"idle"}:
        raise SpecError(f"{where}: key 'power.idle': needs the table 'energy', or a 'power.tdp'")
    return known.get("typical", known.get("tdp"))


def _memory(table: _OtherMemory, where: str) -> Level:
    facts = {
        key: value for key, value in msgspec.structs.asdict(table).items() if value is not None
    }
    return memory_of(facts, f"{where}: memory {table.name!r}")


def _peaks(table: _Peaks | None, where: str) -> dict[str, Expr]:
    values: dict[str, Any] = msgspec.structs.asdict(table) if table else {}
    return {
        name: PEAK.read(value, f"{where}.{name}'")
        for name, value in values.items()
        if name not in ("source", "engine") and value is not None
    }


def _matrix_known(spec: _HardwareSpec, where: str) -> bool:
    """Whether the spec says what the matrix engine does with 16-bit floats, if only nothing.

    A table without such a peak says as little as no table: engines of most kinds have one.

    Raises:
        SpecError: peaks of an engine that is said to be absent or unknown, or such a vector unit.
    """
    table = spec.peak.matrix
    if spec.peak.vector and spec.peak.vector.engine:
        raise SpecError(f"{where}: key 'peak.vector.engine': is of the table 'peak.matrix'")
    given = _peaks(table, f"{where}: key 'peak.matrix")
    engine = table.engine if table else None
    if engine and given:
        raise SpecError(
            f"{where}: key 'peak.matrix.engine': {engine!r} and a peak cannot both be; "
            "leave one out"
        )
    if engine is None:
        return bool({"fp16", "bf16"} & set(given)) or spec.kind in WITHOUT_MATRIX_ENGINES
    return engine == "none"


def _count(table: _Multiprocessors | None, where: str) -> Expr | None:
    if table is None:
        return None
    if table.count < 1:
        raise SpecError(f"{where}: must be a number above 0, not {table.count}")
    return exact(table.count)
