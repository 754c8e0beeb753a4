"""``lifesym specs``: what is in the database, with sources."""

from collections.abc import Mapping
from typing import Any

from lifesym.cli.output import print_json, table
from lifesym.report.database import entry, everything
from lifesym.report.units import quantity
from lifesym.units import shown_bytes


def specs(options: Mapping[str, Any]) -> None:
    """Everything in the database, or one entry of it."""
    name = options["name"]
    found = everything() if name is None else {"name": name, **entry(name)}
    if options["json"]:
        print_json(found)
    elif name is None:
        _print_all(found)
    else:
        shown = _with_unit if "device" in found else _plain
        rows = [[key, shown(value, key)] for key, value in found.items()]
        table(name, ["key", "value"], rows)


def _plain(value: Any, _: str = "") -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {inner}" for key, inner in value.items())
    if value is None:
        return "not known"
    if isinstance(value, list):
        shown = dict.fromkeys(map(str, value))
        return ("\n" if any(": " in text for text in shown) else ", ").join(shown)
    return str(value)


_UNITS = {
    "bandwidth": "byte/s",
    "link_bandwidth": "byte/s",
    "link_latency": "s",
    "static_power": "W",
    "dispatch_time": "s",
}


def _with_unit(value: Any, key: str) -> str:
    """A figure of a device as a data sheet writes it."""
    if key == "peaks":
        return _plain({kind: f"{quantity(rate, 'FLOP')}/s" for kind, rate in value.items()})
    if key == "capacity" and value is not None:
        return shown_bytes(value)
    if key in _UNITS and value is not None:
        return quantity(value, _UNITS[key])
    return _plain(value)


def _print_all(found: dict[str, Any]) -> None:
    families: dict[str, list[str]] = {}
    for name, row in found["models"].items():
        families.setdefault(str(row["family"]), []).append(name)
    models = [
        [family, "yes" if family in found["families"] else "not yet", ", ".join(names)]
        for family, names in sorted(families.items())
    ]
    table("Models by family", ["family", "supported", "names"], models)
    devices = [
        [
            name,
            row["kind"],
            quantity(max(row["peaks"].values()), "FLOP") + "/s",
            quantity(row["bandwidth"], "byte/s"),
        ]
        for name, row in found["hardware"].items()
    ]
    table("Devices", ["name", "kind", "highest peak", "bandwidth"], devices, right=2)
    formats = [[name, f"{bits:g}"] for name, bits in found["formats"].items()]
    table("Number formats", ["name", "bits a value"], formats, right=1)
