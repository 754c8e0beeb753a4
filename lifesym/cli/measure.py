"""``lifesym measure``: this machine as a hardware spec."""

from collections.abc import Mapping
from typing import Any

from lifesym.calibration.machine import as_spec
from lifesym.calibration.machine import measure as measured
from lifesym.cli.output import note, write


def measure(options: Mapping[str, Any]) -> None:
    """The spec, to a file or to standard output."""
    found = measured(options["seconds"], lambda what: note(f"measuring {what}"))
    write(as_spec(found, options["name"]), options["output"])
