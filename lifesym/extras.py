"""Packages that lifesym uses where they are installed: the one place where they are imported."""

from importlib import import_module
from typing import Any

from lifesym.errors import LifesymError

EXTRAS = {
    "SALib": "gsa",
    "dask": "sweep",
    "distributed": "sweep",
    "h5netcdf": "sweep",
    "scipy": "validate",
    "xarray": "sweep",
    "bokeh": "explore",
    "latex2mathml": "explore",
}
"""The extra of ``pyproject.toml`` that brings each package."""


def optional(module: str) -> Any:
    """A module, or None where its package is not installed."""
    try:
        return import_module(module)
    except ImportError:
        return None


def needed(module: str) -> Any:
    """A module of a package in `EXTRAS`.

    >>> needed("scipy.stats").__name__
    'scipy.stats'

    Raises:
        LifesymError: the package, or what it needs itself, is not installed.
    """
    found = optional(module)
    if found is None:
        package = module.partition(".")[0]
        raise LifesymError(f"this needs {package}: pip install 'lifesym[{EXTRAS[package]}]'")
    return found
