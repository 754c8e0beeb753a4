r"""Scales of a formula's parts, fitted to a server's own log of passes.

Of passes with measured seconds $\tau_i$ the scales s of the groups' times $t_g$ minimize

$\sum_i (1 - \sum_g s_g t_g(x_i) / \tau_i)^2 / \sigma^2 + \sum_g (s_g - 1)^2 / \sigma_0^2$

with $\sigma$ = 0.05 for a single measured time and $\sigma_0$ = 0.3 for a scale, so that few passes
move the scales a little, and what no pass tells apart stays near 1. Linear: solved at once, with no
scale below 0.05.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sympy import Expr

from lifesym.checks import checked
from lifesym.codegen import compile as compiled
from lifesym.errors import SpecError
from lifesym.operator_groups import LEAST, NOISE, SPREAD
from lifesym.specs import read_json
from lifesym.timed import Timed

SECONDS = "seconds"
"""The column of measured times."""


@dataclass(frozen=True, kw_only=True)
class Scales:
    """What a log says of the groups' times.

    Attributes:
        scale: by group; 1 is the formula's own.
        deviation: standard deviations of the scales, from the fit's covariance.
        share: the part of all measured time that each group takes by the formula.
        before: mean relative error of the formula.
        after: the same with the scales.
        rows: passes.
    """

    scale: Mapping[str, float]
    deviation: Mapping[str, float]
    share: Mapping[str, float]
    before: float
    after: float
    rows: int


def columns(path: str | Path) -> list[str]:
    """The names in the header of a CSV file.

    Raises:
        SpecError: it cannot be read, or has one twice.
    """
    with _opened(path) as file:
        names = [name.strip() for name in next(csv.reader(file), [])]
    for name in names:
        if names.count(name) > 1:
            raise SpecError(f"{path}: there are two columns {name!r}")
    return names


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """A CSV file that is read.

    Raises:
        SpecError: it cannot be.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as problem:
        raise SpecError(f"{path}: {problem.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as problem:
        raise SpecError(f"{path}: no CSV file: {problem}") from None


@checked
def read_log(path: str | Path, names: Sequence[str]) -> dict[str, Any]:
    """Columns of a CSV file: those of some arguments, and the measured seconds.

    Raises:
        SpecError: it cannot be read, has no rows or lacks a column; a cell that is no number of at
            least 0, or seconds that are not above 0, with the line.
    """
    there = columns(path)
    for name in (*names, SECONDS):
        if name not in there:
            found = ", ".join(there) or "none"
            raise SpecError(f"{path}: there is no column {name!r} (there are {found})")
    rows = []
    with _opened(path) as file:
        reader = csv.DictReader(file, there)
        next(reader)  # the header
        for row in reader:
            where = f"{path}:{reader.line_num}"
            cells = [_number(row[name], f"{where}: {name}") for name in names]
            rows.append([*cells, _number(row[SECONDS], f"{where}: {SECONDS}", above=True)])
    if not rows:
        raise SpecError(f"{path}: there are no rows below the header")
    return dict(zip((*names, SECONDS), np.array(rows, dtype=float).T, strict=True))


@checked
def read_scales(path: str | Path, of: Mapping[str, str] | None = None) -> dict[str, float]:
    """Scales by group, from the JSON that ``lifesym fit-log`` writes.

    Args:
        path: of the file.
        of: what they are wanted for: metric, model, device and engine.

    Raises:
        SpecError: it cannot be read, its ``scale`` is no object of numbers above 0, or it says that
            they were fitted to something else.
    """
    data = read_json(Path(path))
    found = data.get("scale") if isinstance(data, dict) else None
    if not isinstance(found, dict) or not found:
        raise SpecError(f"{path}: 'scale' must be an object of numbers by group, as fit-log writes")
    for group, scale in found.items():
        number = isinstance(scale, int | float) and not isinstance(scale, bool)
        if not (number and 0 < scale < np.inf):
            raise SpecError(f"{path}: scale of {group!r} must be a number above 0, not {scale!r}")
    fitted_to = data.get("of", {})
    for what, name in (of or {}).items():
        if fitted_to.get(what, name) != name:
            raise SpecError(f"{path}: scales of the {what} {fitted_to[what]}, not of {name}")
    return {group: float(scale) for group, scale in found.items()}


def fitted_to(metric: str, form: Timed) -> dict[str, str]:
    """What scales are of, as their file says it."""
    return {
        "metric": metric,
        "model": form.model.name,
        "device": form.hardware.name,
        "engine": form.engine.name,
    }


def _number(text: str | None, where: str, *, above: bool = False) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not (np.isfinite(value) and value >= 0 and (value > 0 or not above)):
        least = "above 0" if above else "of at least 0"
        given = "is missing" if text is None else f"must be a number {least}, not {text!r}"
        raise SpecError(f"{where} {given}")
    return value


@checked
def fit_log(groups: Mapping[str, Expr], log: Mapping[str, Any]) -> Scales:
    """The scales of the groups' times that a log says (see the module).

    Args:
        groups: seconds of each group (`lifesym.operator_groups.times_by_group`), in the log's
            columns as symbols.
        log: columns by name (see `read_log`).

    Raises:
        SymbolError: a group's time depends on a symbol that is no column.
        SpecError: a pass whose time by the formula is no number.
    """
    seconds = np.asarray(log[SECONDS], dtype=float)
    names = list(groups)
    used = set().union(*(time.free_symbols for time in groups.values()))
    asked = [name for name in log if name in {symbol.name for symbol in used}]
    found = compiled(list(groups.values()), asked)(*(log[name] for name in asked))
    times = np.array([np.broadcast_to(each, seconds.shape) for each in found]).T
    if not np.all(np.isfinite(times)):
        row = 1 + int(np.argmin(np.all(np.isfinite(times), axis=1)))
        raise SpecError(f"pass {row} of the log has no time by the formula")
    rows = times / seconds[:, None]
    normal = rows.T @ rows / NOISE**2 + np.eye(len(names)) / SPREAD**2
    moved = rows.T @ (1 - rows.sum(axis=1)) / NOISE**2
    scale = _bounded(normal, moved)
    deviation = np.sqrt(np.diag(np.linalg.inv(normal)))
    shares = times.sum(axis=0) / times.sum()

    def by_group(values: Any) -> dict[str, float]:
        return dict(zip(names, map(float, values), strict=True))

    return Scales(
        scale=by_group(scale),
        deviation=by_group(deviation),
        share=by_group(shares),
        before=float(np.mean(np.abs(rows.sum(axis=1) - 1))),
        after=float(np.mean(np.abs(rows @ scale - 1))),
        rows=len(seconds),
    )


def _bounded(normal: Any, moved: Any) -> Any:
    """The scales of the normal equations; those that would be too small are at their least."""
    scale = np.full(len(moved), LEAST)
    free = np.full(len(moved), True)
    while free.any():
        held = normal[np.ix_(free, ~free)] @ (scale[~free] - 1)
        found = 1 + np.linalg.solve(normal[np.ix_(free, free)], moved[free] - held)
        if np.all(found >= LEAST):
            scale[free] = found
            break
        free[np.flatnonzero(free)[found < LEAST]] = False
    return scale
