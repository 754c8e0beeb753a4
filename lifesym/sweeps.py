"""Sweeps: forecasts over labelled axes, in memory or past it.

A sweep derives one formula for every combination of discrete options (models, devices, formats),
compiles it, and evaluates it over the grid of its symbols. With ``chunks`` nothing is computed
until it is asked for: the arrays are Dask's, so the same call runs on as many processes or machines
as its scheduler has, with as much memory as a chunk takes.
"""

import errno
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from inspect import signature
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sympy import S, Symbol

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.codegen import compile as compiled
from lifesym.codegen.functions import Target
from lifesym.errors import SpecError, SymbolError, one_of
from lifesym.extras import needed
from lifesym.held import least
from lifesym.metrics import METRICS, measure
from lifesym.results import Result
from lifesym.symbols import TABLE, inside, resolve
from lifesym.timed import Timed
from lifesym.version import __version__

if TYPE_CHECKING:
    from xarray import DataArray, Dataset

Axes = Mapping[str, Sequence[Any]]
_FITS = "fits"
_ROWS = 2**18
"""Rows of a CSV file that are in memory at a time."""


@checked
def sweep(
    forecast: Timed | Callable[..., Timed],
    axes: Axes,
    metrics: Iterable[str] = ("ttft", "tpot_mean"),
    *,
    chunks: int | None = None,
    target: Target = "numpy",
    progress: Callable[[int, int], None] | None = None,
) -> "Dataset":
    """Evaluate forecasts over axes; the result is labelled, with units and meanings as attributes.

    Beside the metrics stands ``fits``: whether the memory has room for what it must hold. It is
    true or false; or where some capacities are not known 1, 0 or missing. There is none where no
    capacity is known, or where a size of the workload that memory depends on has no number.

    Args:
        forecast: a forecast with the axes' symbols free, or a function of discrete options that
            gives one.
        axes: values by name: of the function's parameters, which come first, or of symbols.
        metrics: names from `lifesym.metrics.METRICS`.
        chunks: points a side of a Dask chunk; without it everything is computed at once.
        target: ``numpy`` or ``native``, as of `lifesym.compile`.
        progress: called with the number of formulas done and the number of all.

    Raises:
        SymbolError: an empty axis or one with a value twice, a value that its symbol cannot have,
            an unknown metric, an axis that is neither a symbol of the formulas nor an option, or
            a symbol that has no axis.
        LifesymError: xarray, or Dask for chunks, is not installed.
    """
    xr = needed("xarray")

    chosen = list(metrics)
    for metric in chosen:
        one_of(metric, METRICS, "metric")
    if not chosen:
        raise SymbolError("metrics is empty: name one of " + ", ".join(METRICS))
    if chunks is not None and (isinstance(chunks, bool) or chunks < 1):
        raise SymbolError(f"chunks must be at least 1, not {chunks}")
    if chunks is not None:
        needed("dask.array")
    for name, values in axes.items():
        if not len(values):
            raise SymbolError(f"axis {name!r} is empty")
    parameters = [] if isinstance(forecast, Timed) else _parameters(forecast)
    discrete = [name for name in axes if name in parameters or not _is_symbol(name)]
    options = {name: _labels(name, axes[name]) for name in discrete}
    points = {resolve(name): axes[name] for name in axes if name not in discrete}
    if isinstance(forecast, Timed) and options:
        raise SymbolError(f"{next(iter(options))!r} is no symbol: give a function of options")
    coordinates = {s: _coordinate(s, values, chunks) for s, values in points.items()}
    combinations = list(product(*options.values()))
    parts = []
    for done, values in enumerate(combinations):
        settings = dict(zip(options, values, strict=True))
        given = {name: options[name][label] for name, label in settings.items()}
        made = forecast if isinstance(forecast, Timed) else forecast(**given)
        arrays = {name: _evaluated(made, name, coordinates, target, chunks) for name in chosen}
        arrays[_FITS] = _fitting(made, coordinates, target, chunks)
        labels = {name: [value] for name, value in settings.items()}
        parts.append(xr.Dataset(arrays).expand_dims(labels))
        if progress:
            progress(done + 1, len(combinations))
    parts = _agreed(parts)
    whole: Any = (
        xr.combine_by_coords(parts, combine_attrs="drop_conflicts") if options else parts[0]
    )
    ordered = whole.sel({name: list(values) for name, values in options.items()})
    dataset: Dataset = ordered.transpose(*options, *(symbol.name for symbol in points))
    for symbol, coordinate in coordinates.items():
        dataset[symbol.name].attrs = dict(coordinate.attrs)
    for name in options:
        dataset[name].attrs = {"long_name": name.replace("_", " ")}
    dataset.attrs["generator"] = f"lifesym {__version__}"
    return dataset


def write(dataset: "Dataset", path: Path) -> None:
    """Write a sweep as NetCDF or, to a name that ends in ``.csv``, as rows.

    A sweep in chunks is computed while it is written: it may be larger than memory.

    Raises:
        OSError: the file cannot be written, or the disk has no room for it.
        LifesymError: h5netcdf, which writes NetCDF, is not installed.
    """
    if path.suffix != ".csv":
        needed("h5netcdf")
        folder = path.resolve().parent
        if folder.is_dir() and shutil.disk_usage(folder).free < dataset.nbytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            dataset.to_netcdf(path, engine="h5netcdf")
        except RuntimeError as problem:  # HDF5's own, when it cannot close the file
            raise OSError(errno.EIO, str(problem)) from None
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        for i, piece in enumerate(_pieces(dataset)):
            piece.compute().to_dataframe().to_csv(file, header=i == 0)


def workers(address: str | None) -> Any:
    """The workers of a Dask scheduler, to be used while they are open; none without an address.

    Raises:
        LifesymError: no scheduler there, or Dask is not installed.
    """
    if address is None:
        return nullcontext()
    connect = needed("distributed").Client
    try:
        return connect(address, timeout=10)
    except (OSError, TimeoutError, ValueError) as problem:
        raise SpecError(f"no Dask scheduler at {address}: {problem}") from None


def _pieces(dataset: "Dataset") -> Iterator["Dataset"]:
    """Parts in the order of their rows, cut along the first axis that has several values."""
    rows = int(np.prod(list(dataset.sizes.values()), dtype=np.int64))
    if rows <= _ROWS:
        yield dataset
        return
    name, size = next((name, size) for name, size in dataset.sizes.items() if size > 1)
    step = max(1, _ROWS * size // rows)
    for start in range(0, size, step):
        yield from _pieces(dataset.isel({name: slice(start, start + step)}))


def _parameters(function: Callable[..., Timed]) -> list[str]:
    """Names that a function spells out: they are its options, even if symbols have the same."""
    return [
        name
        for name, each in signature(function).parameters.items()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    ]


def _labels(name: str, values: Sequence[Any]) -> dict[Any, Any]:
    """The values of an option by their labels: numbers as they are, others as words.

    Raises:
        SymbolError: two values with the same label.
    """
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    labels = [v if numbers else str(v) for v in values]
    for label in labels:
        if labels.count(label) > 1:
            raise SymbolError(f"axis {name!r} has {label!r} twice")
    return dict(zip(labels, values, strict=True))


def _is_symbol(name: str) -> bool:
    try:
        resolve(name)
    except SymbolError:
        return False
    return True


def _coordinate(symbol: Symbol, values: Sequence[Any], chunks: int | None) -> "DataArray":
    xr = needed("xarray")

    row = TABLE[symbol]
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "fiu" or not np.all(np.isfinite(array)):
        raise SymbolError(f"axis {symbol.name!r} must be a list of finite numbers")
    for end in (array.min(), array.max()):
        inside(symbol, end)
    if np.unique(array).size != array.size:
        raise SymbolError(f"axis {symbol.name!r} has a value twice")
    attributes = {"long_name": row.meaning, "units": row.unit, "symbol": row.latex}
    coordinates = {symbol.name: array}
    made = xr.DataArray(array, dims=(symbol.name,), coords=coordinates, attrs=attributes)
    made[symbol.name].attrs.update(attributes)
    return made if chunks is None else made.chunk({symbol.name: chunks})


def _agreed(parts: Sequence["Dataset"]) -> list["Dataset"]:
    """Parts whose ``fits`` are alike: truth values, numbers where some are not known, or none."""
    if all(part[_FITS].dtype == bool for part in parts):
        return list(parts)
    known = any(part[_FITS].attrs for part in parts)
    return [
        part.assign({_FITS: part[_FITS].astype(float)}) if known else part.drop_vars(_FITS)
        for part in parts
    ]


def _fitting(
    forecast: Timed,
    coordinates: Mapping[Symbol, "DataArray"],
    target: Target,
    chunks: int | None,
) -> "DataArray":
    """Whether a form fits at each point; without attributes where that is not known at all."""
    xr = needed("xarray")

    form = forecast.in_step if sym.past in coordinates else forecast
    left = least(form.stores)
    known = left is not None and left.free_symbols <= set(coordinates)
    expr = left if left is not None and known else S.NaN
    result = Result(name="spare memory", unit="byte", expr=expr)
    spare = _array(result, coordinates, target, chunks)
    if known and all(held.capacity is not None for held in form.stores):
        made = spare >= 0
    else:  # what does not fit is known, and what fits is not
        made = xr.where(spare < 0, 0.0, np.nan)
    made.attrs = {"long_name": "memory at most its capacity"} if known else {}
    return made


def _evaluated(
    forecast: Timed,
    metric: str,
    coordinates: Mapping[Symbol, "DataArray"],
    target: Target,
    chunks: int | None,
) -> "DataArray":
    result = measure(forecast, metric)
    for symbol in result.expr.free_symbols - set(coordinates):
        raise SymbolError(f"{metric} depends on {TABLE[symbol].word}: give it an axis or a number")
    return _array(result, coordinates, target, chunks)


def _array(
    result: Result,
    coordinates: Mapping[Symbol, "DataArray"],
    target: Target,
    chunks: int | None,
) -> "DataArray":
    """A result over the whole grid of its axes and of those that it does not depend on."""
    xr = needed("xarray")

    free = result.expr.free_symbols
    symbols = [symbol for symbol in coordinates if symbol in free]
    values: DataArray
    if symbols:
        function = compiled(result, symbols, target=target, name="sweep")
        arrays = [coordinates[symbol] for symbol in symbols]
        with warnings.catch_warnings():  # many chunks are what was asked for
            warnings.filterwarnings("ignore", "Increasing number of chunks")
            values = xr.apply_ufunc(
                function, *arrays, dask="parallelized", output_dtypes=[float], keep_attrs=False
            )
    else:
        values = xr.DataArray(float(result))
        values = values if chunks is None else values.chunk()
    missing = {s.name: c for s, c in coordinates.items() if s not in free}
    for name, coordinate in missing.items():
        values = values.expand_dims({name: coordinate[name].values})
        values = values if chunks is None else values.chunk({name: chunks})
    values.attrs = {"long_name": result.name, "units": result.unit}
    return values
