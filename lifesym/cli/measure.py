"""``lifesym measure``: this machine as a hardware spec."""

from collections.abc import Mapping
from typing import Any

import typer

from lifesym.calibration.machine import as_spec
from lifesym.calibration.machine import measure as measured
from lifesym.cli.output import write


def measure(options: Mapping[str, Any]) -> None:
    """The spec, to a file or to standard output."""
    told = "lifesym: measuring {}".format  # at once: it takes seconds
    found = measured(options["seconds"], lambda what: typer.echo(told(what), err=True))
    write(as_spec(found, options["name"]), options["output"])
