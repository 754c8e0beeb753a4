"""Certified tables: never beyond their bound, exact on kinks, no longer than needed."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from formulas import MAKERS, exact, formula, points
from sympy import Expr

import lifesym as ls
from lifesym import symbols as sym
from lifesym.codegen.grid import cell_errors, sample
from lifesym.codegen.program import lower
from lifesym.codegen.table_c import fixed_error
from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, FloorDiv, Maximum
from lifesym.transforms import CachePolicy

REFUSED = {"chunked", "chunked window"}
"""Formulas that jump wherever a chunk is full."""


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in REFUSED])
def test_no_point_is_beyond_the_certificate(name: str) -> None:
    expr, box = formula(name)
    table = ls.compile(expr, list(box), target="table", ranges=box, error=0.05)
    true = exact(name).astype(float)
    errors = np.abs(table(*points(name)) / true - 1)
    print(f"{name}: certified {table.error:.4f}, worst found {errors.max():.4f}")
    assert errors.max() <= table.error <= 0.05


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_certified_is_refused(name: str) -> None:
    expr, box = formula(name)
    with pytest.raises(SymbolError, match="no table of at most 8192 values"):
        ls.compile(expr, list(box), target="table", ranges=box, error=0.05)


@pytest.mark.parametrize(
    ("expr", "top"),
    [
        (1000 * sym.past + 48_000 * CeilDiv(sym.past, 48) + 100_000, 2048),
        (64 * sym.past + 300 * FloorDiv(sym.past, 7) * CeilDiv(sym.past, 100) + 9000, 1500),
        (Maximum(3 * sym.past + 1000, 7 * sym.past + 200), 4096),  # meet at a whole number
        (Maximum(3 * sym.past + 1000, 500 * CeilDiv(sym.past, 64)), 3000),
    ],
)
@pytest.mark.parametrize("error", [0.01, 0.05])
def test_certificates_hold_at_every_whole_number(expr: Expr, top: int, error: float) -> None:
    """Formulas that jump, or whose kink is on a sample point."""
    ranges = {"past": (0, top)}
    table = ls.compile(expr, ["past"], target="table", ranges=ranges, error=error)
    every = np.arange(top + 1)
    true = ls.compile(expr, ["past"], target="python")
    found = np.abs(table(every) / np.array([true(int(past)) for past in every]) - 1)
    assert found.max() <= table.error <= error


def test_pages_have_a_certificate_that_holds() -> None:
    cache = CachePolicy(page=64)
    model, device = ls.load_model("llama-2-7b"), ls.load_hardware("h100")
    memory = ls.forecast(model, device, batch=64, generate=1, cache=cache).memory.expr
    ranges = {"prompt": (1, 2048)}
    table = ls.compile(memory, ["prompt"], target="table", ranges=ranges, error=0.02)
    every = np.arange(1, 2049)
    true = ls.compile(memory, ["prompt"])(every)
    assert np.max(np.abs(table(every) / true - 1)) <= table.error <= 0.02


def test_integer_tables_state_what_long_cells_cost() -> None:
    table = ls.compile(
        sym.past + 1, ["past"], target="table", ranges={"past": (0, 60_000)}, error=0.01
    )
    stated = table.error + fixed_error(table)
    positions = np.floor(2**15 * np.arange(60_001) / 60_000) / 2**15  # of 15 bits
    found = np.abs((1 + 60_000 * positions) / (np.arange(60_001) + 1) - 1)
    assert found.max() <= stated


def test_prompts_that_are_not_tiny_have_tables() -> None:
    expr, _ = formula("dense TTFT")
    ranges = {"prompt": (64, 4096), "batch": (1, 8)}
    table = ls.compile(expr, ["prompt", "batch"], target="table", ranges=ranges, error=0.02)
    rng = np.random.default_rng(2)
    columns = [rng.integers(low, high + 1, 20_000) for low, high in ranges.values()]
    true = ls.compile(expr, ["prompt", "batch"])(*columns)
    assert np.max(np.abs(table(*columns) / true - 1)) <= table.error <= 0.02


def test_one_argument_is_exact_on_both_sides_of_a_kink() -> None:
    expr = Maximum(3 * sym.past + 1000, 7 * sym.past + 11)  # they meet at 247.25
    table = ls.compile(expr, ["past"], target="table", ranges={"past": (0, 4096)}, error=0.001)
    knots = table.grid.axes[0]
    assert {0, 247, 248, 4096} <= set(knots.tolist())
    assert len(knots) < 10
    for past in (0, 247, 248, 4096):
        assert table(past) == max(3 * past + 1000, 7 * past + 11)


def test_no_cell_of_one_argument_could_be_longer() -> None:
    """Greedy cells are the fewest: one unit more breaks the bound."""
    expr = sym.past**2 + 1000
    error = 0.02
    table = ls.compile(expr, ["past"], target="table", ranges={"past": (0, 4096)}, error=error)
    knots = table.grid.axes[0]
    program = lower([expr, expr.diff(sym.past)], (sym.past,))
    for low, high in pairwise(knots[:-1]):
        longer = sample(program, (np.array([low, high + 1]),), (1.0,))
        assert cell_errors(program, longer)[0].max() > error - 1e-5
    assert len(knots) < 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"error": 2}, "error must be between"),
        ({"ranges": {"past": (5, 5)}}, "not empty"),
        ({"ranges": {}}, "not empty"),
    ],
)
def test_bad_tables_are_refused(options: dict[str, Any], message: str) -> None:
    common: dict[str, Any] = {"target": "table", "ranges": {"past": (0, 9)}} | options
    with pytest.raises(SymbolError, match=message):
        ls.compile(sym.past + 1, ["past"], **common)
    with pytest.raises(SymbolError, match="takes 1 arguments"):
        ls.compile(sym.past + 1, ["past"], target="table", ranges={"past": (0, 9)})(1, 2)


def test_integer_tables_need_whole_knots() -> None:
    table = ls.compile(
        1 / sym.bandwidth, ["bandwidth"], target="table", ranges={"bandwidth": (0.1, 0.9)}
    )
    with pytest.raises(SymbolError, match="no whole numbers"):
        table.source("fixed")
