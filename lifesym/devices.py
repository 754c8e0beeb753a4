"""Devices of the database: TOML specs, their checks, and their names."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from sympy import Expr, S

from lifesym.checks import checked
from lifesym.errors import SpecError, SymbolError, nearest
from lifesym.hardware import Hardware
from lifesym.specs import convert, find, names, read_toml, root
from lifesym.symbols import exact


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


class _Typical(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    memory: int | Decimal = 1
    compute: int | Decimal = 1
    dispatch: int | Decimal | None = None


class _Dispatch(msgspec.Struct, forbid_unknown_fields=True):
    time: int | Decimal
    source: str


class _Multiprocessors(msgspec.Struct, forbid_unknown_fields=True):
    count: int
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
    multiprocessors: _Multiprocessors | None = None


def load_hardware(name_or_path: str | Path) -> Hardware:
    """The device of a name or alias in ``specs/hardware``, or of the path of a TOML file.

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
    return _build(convert(_extended(read_toml(path), str(where)), _HardwareSpec, where), str(where))


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
    89/100
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
    found = aliases().get(name, name)
    if found not in names("hardware"):
        known = [*names("hardware"), *aliases()]
        raise SpecError(f"unknown hardware {name!r}{nearest(name, known)}")
    return found


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
        "multiprocessors": spec.multiprocessors,
    }
    return Hardware(
        name=spec.name,
        file=where,
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
        multiprocessors=_optional(
            spec.multiprocessors.count if spec.multiprocessors else None,
            f"{where}: key 'multiprocessors.count'",
        ),
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


def _number(value: int | Decimal, where: str) -> Expr:
    try:
        return exact(value, f"{where}:")
    except SymbolError as error:
        raise SpecError(str(error)) from None


def _positive(value: int | Decimal, where: str) -> Expr:
    number = _number(value, where)
    if number <= 0:
        raise SpecError(f"{where}: must be a number above 0, not {value}")
    return number


def _optional(value: int | Decimal | None, where: str) -> Expr | None:
    return None if value is None else _positive(value, where)


def _fraction(value: int | Decimal, where: str) -> Expr:
    number = _number(value, where)
    if not 0 < number <= 1:
        raise SpecError(f"{where}: must be above 0 and at most 1, not {value}")
    return number
