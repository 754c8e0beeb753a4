"""``lifesym specs``: what is in the database, with sources."""

from collections.abc import Mapping
from typing import Any

from lifesym.cli.output import print_json, table
from lifesym.report.database import entry, everything, shown_entry
from lifesym.report.units import quantity


def specs(options: Mapping[str, Any]) -> None:
    """Everything in the database, or one entry of it."""
    name = options["name"]
    found = everything() if name is None else {"name": name, **entry(name)}
    if options["json"]:
        print_json(found)
    elif name is None:
        _print_all(found)
    else:
        table(name, ["key", "value"], shown_entry(found))


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
    table("Engines", ["name", "meaning"], list(found["engines"].items()))
    formats = [[name, f"{bits:g}"] for name, bits in found["formats"].items()]
    table("Number formats", ["name", "bits a value"], formats, right=1)
