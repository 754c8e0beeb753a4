"""Regimes over a grid of two symbols: in double precision, where single cells do not matter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sympy import Symbol

from lifesym.analysis.questions import Derived, Values, floats, point_of, symbol_of
from lifesym.analysis.regime import RESOURCES, operators, span
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.powers import replaced
from lifesym.symbols import TABLE

if TYPE_CHECKING:
    import numpy as np

Bounds = Mapping[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class RegimeMap:
    """Regimes over a grid of two symbols, in double precision.

    Attributes:
        over: the symbols of the columns and of the rows.
        x: the columns' values.
        y: the rows' values.
        ids: the number of each cell's regime; shape (rows, columns).
        regimes: the operators' bounds of each regime, most cells first.
        shares: of each regime the part of the time in operators that each resource binds, the mean
            over its cells.
    """

    over: tuple[Symbol, Symbol]
    x: "np.ndarray[Any, Any]"
    y: "np.ndarray[Any, Any]"
    ids: "np.ndarray[Any, Any]"
    regimes: tuple[Bounds, ...] = field(repr=False)
    shares: tuple[Mapping[str, float], ...] = field(repr=False)


@checked
def regime_map(
    quantity: Derived,
    over: Sequence[str | Symbol],
    x: "Sequence[float] | np.ndarray[Any, Any]",
    y: "Sequence[float] | np.ndarray[Any, Any]",
    at: Values | None = None,
) -> RegimeMap:
    """The regime of every cell of a grid.

    Args:
        quantity: a time with its operators.
        over: the symbols of the columns and of the rows.
        x: the columns' values, ascending.
        y: the rows' values, ascending.
        at: the values of the other symbols.

    Raises:
        SymbolError: as `regimes`, not two different symbols, or values that do not ascend.
    """
    import numpy as np  # noqa: PLC0415 (only where arrays are needed)

    from lifesym.codegen.functions import on_grid  # noqa: PLC0415 (likewise)

    pair = tuple(symbol_of(quantity, name) for name in over)
    if len(set(pair)) != 2:
        raise SymbolError("a regime map has two different symbols")
    across, up = (floats(symbol, values) for symbol, values in zip(pair, (x, y), strict=True))
    for symbol, grid in zip(pair, (across, up), strict=True):
        if not (np.diff(grid) > 0).all():
            raise SymbolError(f"the values of {TABLE[symbol].word} must ascend")
        span(symbol, (float(grid[0]), float(grid[-1])), quantity)
    values = point_of(quantity, at or {}, free=pair)
    named = list(operators(quantity))
    asked = (*RESOURCES, "time")
    flat = [replaced(getattr(term, name), values) for _, term in named for name in asked]
    call = on_grid(flat, pair)
    columns, rows = np.meshgrid(across, up)
    times = np.stack([np.broadcast_to(each, columns.shape) for each in call(columns, rows)])
    times = times.reshape(len(named), len(asked), *columns.shape)
    codes = times[:, :-1].argmax(axis=1)
    parts = times[:, -1] / times[:, -1].sum(axis=0)
    bound = np.stack([(parts * (codes == i)).sum(axis=0) for i in range(len(RESOURCES))])
    kinds, ids, counts = np.unique(
        codes.reshape(len(named), -1), axis=1, return_inverse=True, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    bounds = tuple(
        {name: RESOURCES[code] for (name, _), code in zip(named, kinds[:, i], strict=True)}
        for i in order
    )
    cells = rank[ids].reshape(columns.shape)
    shares = tuple(
        dict(zip(RESOURCES, map(float, bound[:, cells == i].mean(axis=1)), strict=True))
        for i in range(len(order))
    )
    return RegimeMap(
        over=(pair[0], pair[1]),
        x=across,
        y=up,
        ids=cells,
        regimes=bounds,
        shares=shares,
    )
