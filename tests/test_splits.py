"""Tables of formulas that jump: pages, chunks and tiles as pieces and what the last of them has."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_c import GCC, library, run
from sympy import Expr, Integer

import lifesym as ls
from lifesym import symbols as sym
from lifesym.codegen.split import smooth
from lifesym.codegen.table_error import fixed_error, fixed_shift
from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, FloorDiv, Maximum
from lifesym.remainders import ChunksBefore, LastChunk
from lifesym.transforms import CachePolicy

PAST = {sym.past: (0.0, 300.0), sym.batch: (1.0, 8.0)}
Q = CeilDiv(sym.past + 1, Integer(16))
SMOOTH: dict[str, tuple[Expr, dict[Any, tuple[float, float]]]] = {
    "pages": (Q * sym.batch + 5, PAST),
    "whole pages more": (Q**2 + CeilDiv(sym.past + 33, Integer(16)) * sym.batch, PAST),
    "none": (CeilDiv(sym.past, Integer(16)) + LastChunk(sym.past, Integer(16)) + sym.batch, PAST),
    "rounded down": (FloorDiv(sym.past, Integer(16)) + Maximum(sym.past, 7 * sym.batch), PAST),
    "two ways": (Q * sym.batch + FloorDiv(sym.past + 32, Integer(16)), PAST),
    "chunks": (
        LastChunk(sym.prompt, sym.chunk) ** 2 + ChunksBefore(sym.prompt, sym.chunk) * sym.batch,
        {sym.prompt: (1.0, 300.0), sym.chunk: (16.0, 64.0), sym.batch: (1.0, 8.0)},
    ),
}


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("name", SMOOTH)
def test_pieces_and_the_last_one_give_the_same(name: str, held: bool) -> None:
    """At every whole number, and with no quotient that is rounded."""
    expr, box = SMOOTH[name]
    symbols = tuple(s for s in box if s in expr.free_symbols)
    found = smooth(expr, symbols, {s: box[s] for s in symbols}, held=held)
    assert found
    assert not found.expr.atoms(CeilDiv, FloorDiv, LastChunk, ChunksBefore)
    mesh = np.meshgrid(*(np.arange(box[s][0], box[s][1] + 1) for s in symbols))
    columns = [each.ravel() for each in mesh]
    places = found.split(columns)
    for symbol, place in zip(found.symbols, places, strict=True):
        low, high = found.box[symbol]
        assert low <= place.min() <= place.max() <= high
    rows = list(zip(*columns, strict=True))[::97]
    parts = list(zip(*places, strict=True))[::97]
    for row, part in zip(rows, parts, strict=True):
        true = expr.xreplace(dict(zip(symbols, map(Integer, row), strict=True)))
        there = dict(zip(found.symbols, map(Integer, part), strict=True))
        assert found.expr.xreplace(there) == true


@pytest.mark.parametrize(
    ("expr", "box"),
    [
        (sym.past + 1 + sym.batch, PAST),  # does not jump
        (Q + CeilDiv(sym.batch, Integer(4)), PAST),  # of two arguments
        (Q + CeilDiv(sym.past, Integer(7)), PAST),  # unequal pieces
        (Q + CeilDiv(sym.past, Integer(16)), PAST),  # that do not end together
        (CeilDiv(sym.past * sym.batch, Integer(16)), PAST),
        (CeilDiv(sym.past + 1, Integer(400)) * sym.batch, PAST),  # one piece
        (CeilDiv(sym.past - 5, Integer(16)) + sym.batch, PAST),  # less than none
        (CeilDiv(sym.batch, sym.past) + 1, PAST),  # pieces of nothing
        (Q + 1, {sym.past: (0.0, 2.0**25)}),  # no floats
        (CeilDiv(sym.bandwidth, Integer(16)), {sym.bandwidth: (1.0, 300.0)}),  # not whole
        (Q + 1, {sym.past: (0.5, 300.0)}),
    ],
)
def test_what_is_no_formula_of_pieces(expr: Expr, box: Any) -> None:
    assert smooth(expr, tuple(box), box) is None


def _device() -> Any:
    return replace(ls.load_hardware("v100"), bandwidth=sym.bandwidth)


def _forecast(device: Any, **options: Any) -> Any:
    return ls.forecast(ls.load_model("llama-2-7b"), device, **options)


BANDWIDTH = {"bandwidth": (3e11, 3e12)}
Case = tuple[Any, dict[str, tuple[float, float]], float, int]
CASES: dict[str, Case] = {
    "pages": (
        lambda: _forecast(_device(), batch=sym.batch, cache=CachePolicy(page=16)).tpot.expr,
        {"past": (0, 8192), "batch": (1, 32), **BANDWIDTH},
        0.02,
        60,
    ),
    "pages of memory": (
        lambda: (
            (
                _forecast(_device(), batch=sym.batch, generate=1, cache=CachePolicy(page=48)).memory
            ).expr
        ),
        {"prompt": (1, 8192), "batch": (1, 64)},
        0.01,
        8,
    ),
    "chunks": (
        lambda: _forecast(ls.load_hardware("v100"), chunk=512).ttft.expr,
        {"prompt": (1, 8192)},
        0.01,
        45,
    ),
    "chunks of any size": (
        lambda: _forecast(ls.load_hardware("v100"), chunk=sym.chunk).ttft.expr,
        {"prompt": (1, 2048), "chunk": (128, 512)},
        0.1,
        150,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_no_point_is_beyond_the_certificate(name: str, tmp_path: Path) -> None:
    """Of 200,000, in NumPy and in C; arguments outside are moved to the nearest end."""
    make, ranges, error, most = CASES[name]
    expr = make()
    unit = {each: 10**9 for each in ranges if each == "bandwidth"}
    table = ls.compile(expr, [*ranges], target="table", ranges=ranges, units=unit, error=error)
    assert table.split
    assert table.entries <= most
    scale = [float(unit.get(each, 1)) for each in ranges]
    ends = [(low / u, high / u) for (low, high), u in zip(ranges.values(), scale, strict=True)]
    rng = np.random.default_rng(6)
    given = [rng.integers(low, high + 1, 200_000) for low, high in ends]
    true = ls.compile(expr, [*ranges])(*(x * u for x, u in zip(given, scale, strict=True)))
    worst = np.abs(table(*given) / true - 1).max()
    print(f"{name}: certified {table.error:.2e}, worst {worst:.2e}, {table.entries} numbers")
    assert worst <= table.error <= error
    scope: dict[str, Any] = {}
    exec(table.source("numpy"), scope)  # noqa: S102 (text that was just made)
    wide = [rng.integers(0, 2 * high, 1000) for _, high in ends]
    inside = [np.clip(x, low, high) for x, (low, high) in zip(wide, ends, strict=True)]
    assert np.allclose(table(*wide), table(*inside), rtol=1e-14, atol=0)
    assert np.allclose(scope["formula"](*wide), table(*inside), rtol=1e-13, atol=0)
    if GCC is None:
        return
    whole = replace(table, name="whole")
    texts = {
        "formula": (table.source(), len(given), "float"),
        "whole": (whole.source("fixed"), len(given), "uint32_t"),
    }
    made = library(tmp_path, texts)
    assert np.abs(run(made, "formula", given, "float") / true - 1).max() <= table.error
    found = run(made, "whole", given, "uint32_t") / 2.0 ** fixed_shift(table)
    assert np.abs(found / true - 1).max() <= table.error + fixed_error(table) <= error
    outside = run(made, "whole", wide, "uint32_t")
    assert np.array_equal(outside, run(made, "whole", inside, "uint32_t"))


def test_the_smaller_table_is_made() -> None:
    """A knot on both sides of each jump where there are few."""
    expr = 10**6 + sym.prompt**2 + 10**4 * CeilDiv(sym.prompt, Integer(4000))
    ranges = {"prompt": (1, 8000)}
    plain = ls.compile(expr, ["prompt"], target="table", ranges=ranges, error=0.2)
    assert plain.split is None
    many = expr.xreplace({Integer(4000): Integer(40)})
    assert ls.compile(many, ["prompt"], target="table", ranges=ranges, error=0.001).split


def test_arguments_in_units() -> None:
    """Prompts in tens, and chunks in hundreds: what is looked up is in tokens."""
    expr = (
        10**4 + 3 * LastChunk(sym.prompt, sym.chunk) ** 2 + 10**3 * CeilDiv(sym.prompt, sym.chunk)
    )
    ranges = {"prompt": (10, 2000), "chunk": (100, 500)}
    units = {"prompt": 10, "chunk": 100}
    table = ls.compile(expr, [*ranges], target="table", ranges=ranges, units=units, error=0.05)
    prompt, chunk = (each.ravel() for each in np.meshgrid(np.arange(1, 201), np.arange(1, 6)))
    true = ls.compile(expr, [*ranges])(prompt * 10, chunk * 100)
    assert np.abs(table(prompt, chunk) / true - 1).max() <= table.error <= 0.05


def test_parts_of_whole_numbers_are_no_pieces() -> None:
    """In units of half a token sizes are not whole: points are compared, as before."""
    expr = 10**3 + sym.past + 100 * CeilDiv(sym.past, Integer(16))
    ranges, units = {"past": (1, 100)}, {"past": 0.5}
    table = ls.compile(expr, ["past"], target="table", ranges=ranges, units=units, error=0.05)
    assert table.split is None


def test_jumps_of_two_arguments_are_refused() -> None:
    """Where their points are too many."""
    expr = 10**3 * CeilDiv(sym.past + 1, Integer(16)) * CeilDiv(sym.prompt, Integer(48)) + 1
    ranges = {"past": (0, 9000), "prompt": (1, 9000)}
    with pytest.raises(SymbolError, match=r"no table of|cannot be reached"):
        ls.compile(expr, [*ranges], target="table", ranges=ranges, error=0.01)


BESIDE: dict[str, tuple[Expr, bool]] = {
    "less than none": (sym.past + CeilDiv(sym.past, 16) / Integer(10) + 10, True),
    # so steep that the table of pieces loses too much in single precision
    "more than most": (8193 - sym.past + CeilDiv(sym.past + 1, 16) / Integer(1000), False),
}


@pytest.mark.parametrize("name", BESIDE)
def test_numbers_that_the_last_piece_cannot_have_are_no_hindrance(name: str) -> None:
    """Beside the range a formula need not be above zero; and small jumps need no pieces."""
    expr, split = BESIDE[name]
    expr = expr + 10**10 / sym.bandwidth
    ranges = {"past": (0, 8192), "bandwidth": (1e9, 1e10)}
    table = ls.compile(expr, [*ranges], target="table", ranges=ranges, error=0.05)
    assert bool(table.split) == split
    past, bandwidth = np.arange(8193)[:, None], np.linspace(1e9, 1e10, 100)
    true = ls.compile(expr, [*ranges])(past, bandwidth)
    assert np.abs(table(past, bandwidth) / true - 1).max() <= table.error <= 0.05


def test_a_piece_of_nothing_is_refused() -> None:
    ranges = {"prompt": (1, 64), "past": (0, 64)}
    with pytest.raises(SymbolError, match="not finite everywhere"):
        ls.compile(1 + CeilDiv(sym.prompt, sym.past), [*ranges], target="table", ranges=ranges)
