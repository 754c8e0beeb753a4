"""Certified tables: never beyond their bound, exact on kinks, no longer than needed."""

import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from compiled_c import GCC, library, run
from formulas import MAKERS, exact, exactly, formula, points
from sympy import Expr, Integer, S

import lifesym as ls
from lifesym import symbols as sym
from lifesym.codegen import knots
from lifesym.codegen.grid import sample
from lifesym.codegen.intervals import bounds
from lifesym.codegen.lowering import lower
from lifesym.codegen.program import Op, Program
from lifesym.codegen.proof import EveryPoint, Slopes, _slopes, proof
from lifesym.codegen.ranges import Box
from lifesym.codegen.table import _margin
from lifesym.codegen.table_error import fixed_error, fixed_shift
from lifesym.errors import SymbolError
from lifesym.nodes import Active, CeilDiv, CeilLog2, FloorDiv, Maximum, Minimum
from lifesym.remainders import ChunksBefore
from lifesym.sums import Crossing, SumMax
from lifesym.transforms import CachePolicy

STEPS = {"chunked": 512, "chunked window": 512}
"""Chunks of formulas that jump wherever one is full: in steps, all points can be compared."""


def _asked(name: str) -> tuple[Expr, Box, dict[str, int], tuple[np.ndarray, ...]]:
    """A formula, the box and the units of its table, and points with whole units."""
    expr, box = formula(name)
    if name not in STEPS:
        return expr, box, {}, points(name)
    step, (prompts, chunks) = STEPS[name], points(name)
    top = box[sym.chunk][1]
    box = {**box, sym.chunk: (step, top)}
    return expr, box, {"chunk": step}, (prompts, step * (1 + chunks % (top // step)))


@pytest.mark.parametrize("name", MAKERS)
def test_no_point_is_beyond_the_certificate(name: str, tmp_path: Path) -> None:
    """In NumPy and in C, with floats and with integers; the worst point is reported."""
    expr, box, units, columns = _asked(name)
    table = ls.compile(expr, list(box), target="table", ranges=box, units=units, error=0.01)
    given = [column // units.get(s.name, 1) for s, column in zip(box, columns, strict=True)]
    true = exactly(expr, dict(zip(box, columns, strict=True)))[0] if units else exact(name)[0]
    errors = np.abs(table(*given) / true - 1)
    at = {s.name: int(column[errors.argmax()]) for s, column in zip(box, columns, strict=True)}
    found = f"worst found {errors.max():.2e} at {at}, {table.entries} numbers"
    print(f"{name}: certified {table.error:.2e}, {found}")
    assert errors.max() <= table.error <= 0.01
    assert table.entries < 2000
    if GCC is None:
        return
    whole = replace(table, name="whole")
    made = library(
        tmp_path,
        {
            "formula": (table.source(), len(given), "float"),
            "whole": (whole.source("fixed"), len(given), "uint32_t"),
        },
    )
    assert np.abs(run(made, "formula", given, "float") / true - 1).max() <= table.error
    shifted = run(made, "whole", given, "uint32_t") / 2.0 ** fixed_shift(table)
    assert np.abs(shifted / true - 1).max() <= table.error + fixed_error(table) <= 0.01


def test_what_cannot_be_certified_is_refused() -> None:
    """The last chunk and a window of chunks jump at different prompts."""
    expr, box = formula("chunked window")
    with pytest.raises(SymbolError, match=r"no table of|cannot be reached"):
        ls.compile(expr, list(box), target="table", ranges=box, error=0.05)


def test_prompts_that_are_not_tiny_have_tables() -> None:
    expr, _ = formula("dense TTFT")
    ranges = {"prompt": (64, 4096), "batch": (1, 8)}
    table = ls.compile(expr, ["prompt", "batch"], target="table", ranges=ranges, error=0.02)
    rng = np.random.default_rng(2)
    columns = [rng.integers(low, high + 1, 20_000) for low, high in ranges.values()]
    true = ls.compile(expr, ["prompt", "batch"])(*columns)
    assert np.max(np.abs(table(*columns) / true - 1)) <= table.error <= 0.02


GIGA = {"bandwidth": 10**9, "link_bandwidth": 10**9, "peak": 10**12}
DEVICE = {"bandwidth": (3e11, 3e12), "past": (0, 4096)}
FOUR: dict[str, tuple[dict[str, Any], dict[str, tuple[float, float]], float, int]] = {
    "link": (
        {"tensor_parallel": 4},
        {**DEVICE, "batch": (1, 32), "link_bandwidth": (1e10, 9e11)},
        0.02,
        1000,
    ),
    "peak": ({}, {**DEVICE, "batch": (64, 128), "peak": (2e14, 5e14)}, 0.1, 500),
}


@pytest.mark.parametrize("name", FOUR)
def test_four_arguments(name: str, tmp_path: Path) -> None:
    """Of 200,000 points none is beyond the certificate; two knots do where it is affine."""
    options, ranges, error, most = FOUR[name]
    device = replace(ls.load_hardware("v100"), bandwidth=sym.bandwidth)
    if name == "link":
        device = replace(device, link_bandwidth=sym.link_bandwidth)
    else:
        device = replace(device, matrix={"fp16": sym.peak})
    expr = ls.forecast(ls.load_model("llama-2-7b"), device, batch=sym.batch, **options).tpot.expr
    units = {each: unit for each, unit in GIGA.items() if each in ranges}
    table = ls.compile(expr, [*ranges], target="table", ranges=ranges, units=units, error=error)
    rng = np.random.default_rng(4)
    ends = ((low // units.get(k, 1), high // units.get(k, 1)) for k, (low, high) in ranges.items())
    given = [rng.integers(low, high + 1, 200_000) for low, high in ends]
    true = ls.compile(expr, [*ranges])(
        *(x * float(units.get(k, 1)) for k, x in zip(ranges, given, strict=True))
    )
    worst = np.abs(table(*given) / true - 1).max()
    print(f"{name}: certified {table.error:.2e}, worst {worst:.2e}, {table.entries} numbers")
    assert table.error / 3 < worst <= table.error <= error
    assert table.entries < most
    assert table.grid.axes[1].size == 2
    if GCC is not None:
        made = library(tmp_path, {"formula": (table.source(), 4, "float")})
        assert np.abs(run(made, "formula", given, "float") / true - 1).max() <= table.error


def test_an_affine_argument_has_two_knots_and_no_more() -> None:
    """Its cells are proved at their ends, however long; but not where a quotient is rounded."""
    by_bandwidth = 10**12 / sym.bandwidth
    symbols = (sym.link_latency, sym.bandwidth)
    for expr, affine in (
        (sym.link_latency * by_bandwidth + 5, True),
        (sym.link_latency**2 * by_bandwidth + 5, False),
        (Maximum(sym.link_latency, 3) * by_bandwidth + 5, False),
        (CeilDiv(sym.link_latency, Integer(7)) + by_bandwidth, False),
        (Active(sym.link_latency, Integer(3)) + by_bandwidth, False),
        (Crossing(-sym.link_latency, Integer(2), Integer(9)) + by_bandwidth, False),
        (CeilLog2(sym.link_latency) + by_bandwidth, False),
        (SumMax(9, sym.link_latency, 1, sym.link_latency + 3, 0) + by_bandwidth, True),
    ):
        assert (Slopes(expr, symbols, (0.0, 0.0)).steps[0] == np.inf) == affine


def test_one_argument_is_exact_on_both_sides_of_a_kink() -> None:
    expr = Maximum(3 * sym.past + 1000, 7 * sym.past + 11)  # they meet at 247.25
    table = ls.compile(expr, ["past"], target="table", ranges={"past": (0, 4096)}, error=0.001)
    knots = table.grid.axes[0]
    assert {0, 247, 248, 4096} <= set(knots.tolist())
    assert len(knots) < 10
    for past in (0, 247, 248, 4096):
        assert table(past) == max(3 * past + 1000, 7 * past + 11)


def test_a_kink_on_a_whole_number_has_a_knot() -> None:
    expr = Maximum(3 * sym.past + 1000, 7 * sym.past + 200)  # they meet at 200
    for error in (0.01, 0.05):
        table = ls.compile(expr, ["past"], target="table", ranges={"past": (0, 4096)}, error=error)
        assert table(200) == 1600


def test_a_kink_of_one_of_two_arguments_has_a_knot() -> None:
    expr = (Minimum(sym.past, Integer(500)) + 100) * (sym.batch + 5)
    box = {"past": (0, 4096), "batch": (1, 64)}
    table = ls.compile(expr, list(box), target="table", ranges=box, error=0.05)
    assert 500 in table.grid.axes[0]
    assert table(500, 1) == 3600


def test_no_cell_of_one_argument_could_be_longer() -> None:
    """Greedy cells are the fewest: one unit more breaks the bound."""
    expr = sym.past**2 + 10**5
    error, box = 0.02, {sym.past: (0.0, 4096.0)}
    table = ls.compile(expr, ["past"], target="table", ranges=box, error=error)
    knots = table.grid.axes[0]
    proved = proof(expr, (sym.past,), box, (1.0,))
    for low, high in pairwise(knots[:-1]):
        longer = sample(proved.formula, (np.array([low, high + 1]),), (1.0,))
        assert proved.errors(longer).max() > error - 1e-5
    assert len(knots) < 40


def _paged(page: int) -> Any:
    return ls.forecast(
        ls.load_model("llama-2-7b"),
        ls.load_hardware("h100"),
        batch=64,
        generate=1,
        cache=CachePolicy(page=page),
    ).memory.expr


def _chunked(chunk: int) -> Any:
    device = ls.load_hardware("h100")
    return ls.forecast(ls.load_model("llama-2-7b"), device, chunk=chunk).ttft.expr


JUMPS: list[tuple[Any, tuple[int, int]]] = [
    (_paged(16), (1, 8192)),
    (_paged(64), (1, 8192)),
    (_chunked(128), (1, 8000)),
    (_chunked(300), (1, 8000)),
    (1000 * sym.prompt + 48000 * CeilDiv(sym.prompt, Integer(48)) + 10**5, (1, 8192)),
]


@pytest.mark.parametrize("error", [0.01, 0.05])
@pytest.mark.parametrize("k", range(len(JUMPS)))
def test_jumps_are_within_the_certificate_at_every_whole_number(k: int, error: float) -> None:
    expr, ends = JUMPS[k]
    table = ls.compile(expr, ["prompt"], target="table", ranges={"prompt": ends}, error=error)
    every = np.arange(ends[0], ends[1] + 1)
    found = np.abs(table(every) / ls.compile(expr, ["prompt"])(every) - 1).max()
    assert found <= table.error <= error


def test_intervals_of_products_and_quotients_are_their_corners() -> None:
    """Whatever is known of the signs: nothing is left out, and nothing but rounding is added."""
    rng = np.random.default_rng(5)
    one, other = np.sort(rng.uniform(-3, 3, (2, 2, 500)), axis=1)
    for signs in ((1, 1), (1, 0), (0, 1), (0, 0)):
        ends = [abs(x) if s else x for x, s in zip((one, other), signs, strict=True)]
        (a, b), (c, d) = (np.sort(x, axis=0) for x in ends)
        for kind in ("mul", "div") if signs[1] else ("mul",):
            args = [Op("arg", value=i) for i in (0, 1)]
            program = Program((sym.past, sym.batch), (*args, Op(kind, (0, 1))), (2,))
            ((low, high),) = bounds(program, [a, c], [b, d])
            corners = [x * y if kind == "mul" else x / y for x in (a, b) for y in (c, d)]
            least, most = np.min(corners, axis=0), np.max(corners, axis=0)
            assert np.all(low <= least)
            assert np.allclose(low, least, rtol=1e-15, atol=0)
            assert np.all(high >= most)
            assert np.allclose(high, most, rtol=1e-15, atol=0)


def test_slopes_do_not_prove_what_jumps() -> None:
    """Where points cannot all be compared, a box with a jump is bounded by values."""
    expr = sym.bandwidth + 3 * 10**5 * CeilDiv(sym.bandwidth, Integer(10**6))
    box = {sym.bandwidth: (1e6, 8e6)}
    proved = proof(expr, (sym.bandwidth,), box, (0.0,))
    assert isinstance(proved, Slopes)
    grid = sample(proved.formula, (np.array([1e6, 8e6]),), (0.0,))
    x = np.linspace(1e6, 8e6, 200_001)
    worst = np.abs(grid([x]) / ls.compile(expr, ["bandwidth"])(x) - 1).max()
    assert worst <= proved.errors(grid).max() < 3 * worst
    with pytest.raises(SymbolError, match="cannot be reached"):
        ls.compile(expr, ["bandwidth"], target="table", ranges=box, error=0.01)


SWITCHES = [
    10 + 5 * Active(sym.bandwidth, Integer(40)),
    10 + 5 * Active(sym.bandwidth, Integer(40), 70 - sym.bandwidth),
    10 + Crossing(5 - sym.bandwidth, Integer(2), Integer(10)),
]


@pytest.mark.parametrize("expr", SWITCHES)
def test_slopes_do_not_prove_what_switches(expr: Expr) -> None:
    """A side that becomes active and a crossing that moves have no slope, but jump."""
    ranges = {"bandwidth": (1.0, 100.0)}
    with pytest.raises(SymbolError, match="cannot be reached"):
        ls.compile(expr, ["bandwidth"], target="table", ranges=ranges, error=0.01)
    table = ls.compile(expr, ["bandwidth"], target="table", ranges=ranges, error=0.7)
    x = np.linspace(1, 100, 9999)
    found = np.abs(table(x) / ls.compile(expr, ["bandwidth"])(x) - 1).max()
    assert 0.01 < found <= table.error <= 0.7


def test_a_derivative_that_switches_is_refused() -> None:
    """What one more sequence adds to TPOT jumps where an operator becomes bound by compute."""
    device = replace(ls.load_hardware("v100"), bandwidth=sym.bandwidth)
    tpot = ls.forecast(ls.load_model("llama-2-7b"), device, batch=sym.batch).tpot.expr
    ranges = {"past": (1, 4096), "bandwidth": (4e11, 9e11), "batch": (1, 512)}
    with pytest.raises(SymbolError, match="no table of at most"):
        ls.compile(tpot.diff(sym.batch), [*ranges], target="table", ranges=ranges, error=0.01)


def test_slopes_are_those_of_the_steps() -> None:
    """Not of what is relaxed, in which they have a derivative."""
    before = ChunksBefore(sym.prompt, Integer(16))
    assert _slopes(before, (sym.prompt,)) == [0]
    assert _slopes(before * sym.prompt, (sym.prompt,)) == [CeilDiv(sym.prompt, Integer(16)) - S.One]
    rounds = CeilLog2(sym.devices)
    assert _slopes(rounds, (sym.devices,)) == [rounds.closed_form().diff(sym.devices)]


def test_integer_tables_stay_within_what_was_asked(tmp_path: Path) -> None:
    """Positions in long cells have bits enough; the certificate counts what is cut off."""
    box = {"past": (0, 60_000)}
    table = ls.compile(sym.past + 1, ["past"], target="table", ranges=box, error=0.01)
    assert table.grid.values.size == 2
    (tmp_path / "main.c").write_text(
        "#include <stdio.h>\n" + table.source("fixed") + "int main(void) {\n"
        'for (uint32_t x = 0U; x <= 60000U; x++) { printf("%u\\n", (unsigned)formula(x)); }\n'
        "return 0; }\n"
    )
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not installed")
    program = str(tmp_path / "main")
    subprocess.run([gcc, "-std=c99", str(tmp_path / "main.c"), "-o", program], check=True)
    printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    found = np.array(printed.split(), float) / 2.0 ** fixed_shift(table)
    worst = np.abs(found / (np.arange(60_001) + 1.0) - 1).max()
    assert worst <= table.error + fixed_error(table) <= 0.01
    assert f"{table.error + fixed_error(table):.3g}" in table.source("fixed")


def test_integers_refuse_values_too_far_apart() -> None:
    box = {"past": (0, 2**31)}
    table = ls.compile(sym.past + 1, ["past"], target="table", ranges=box, error=0.01)
    with pytest.raises(SymbolError, match="values differ too much"):
        table.source("fixed")


def test_numpy_source_and_legend() -> None:
    box = {"past": (0, 4096), "batch": (1, 8)}
    expr = sym.past**2 * sym.batch + 10**6 + sym.batch
    table = ls.compile(expr, list(box), target="table", ranges=box, error=0.03)
    scope: dict[str, Any] = {}
    exec(table.source("numpy"), scope)  # noqa: S102 (text that was just made)
    past, batch = np.arange(-5, 5000, 7)[:, None], np.arange(1, 9)
    assert np.allclose(scope["formula"](past, batch), table(past, batch), rtol=1e-14)
    assert "tokens already in the KV cache" in repr(table)
    assert "whole numbers" in table.source()
    with pytest.raises(SymbolError, match="kind must be one of float, fixed, numpy, not 'flaot'"):
        table.source("flaot")  # type: ignore[arg-type]


def test_a_formula_that_reaches_zero_is_refused() -> None:
    with pytest.raises(SymbolError, match="above zero"):
        ls.compile(sym.past, ["past"], target="table", ranges={"past": (0, 100)})


def test_large_values_have_a_negative_shift() -> None:
    box = {"past": (0, 100)}
    table = ls.compile(10**11 + sym.past, ["past"], target="table", ranges=box)
    text = table.source("fixed")
    assert "times 2**6 is" in text
    assert "FORMULA_SHIFT (-6)" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"error": 2}, "error must be between"),
        ({"error": None}, "error must be between"),
        ({"units": 5}, "units is a mapping to numbers, not 5"),
        ({"ranges": {"past": (5, 5)}}, "not empty"),
        ({"ranges": {}}, "not empty"),
        ({"units": {"past": 128}}, "past: no multiple of its unit 128 in 1 to 9"),
    ],
)
def test_bad_tables_are_refused(options: dict[str, Any], message: str) -> None:
    common: dict[str, Any] = {"target": "table", "ranges": {"past": (1, 9)}} | options
    with pytest.raises(SymbolError, match=message):
        ls.compile(sym.past + 1, ["past"], **common)
    with pytest.raises(SymbolError, match="takes 1 arguments"):
        ls.compile(sym.past + 1, ["past"], target="table", ranges={"past": (0, 9)})(1, 2)


@pytest.mark.parametrize("arguments", [1, 2])
def test_what_the_arithmetic_of_a_table_may_lose_is_left_for_it(arguments: int) -> None:
    """A unit of 2^-30 of the largest value at every corner; at most a twentieth of the goal."""
    symbols = (sym.prompt, sym.batch)[:arguments]
    formula = lower([Integer(7) + sum(symbols)], symbols)
    axes = tuple(np.array([1.0, 2.0e5]) for _ in symbols)
    proved = SimpleNamespace(formula=formula)
    ratio = (7 + arguments * 2e5) / (7 + arguments)
    single = {1: 1e-6, 2: 1.5e-6}[arguments]
    integers = {1: 3.6e-9, 2: 6.1e-9}[arguments] * ratio
    assert _margin(proved, axes, 0.5) == pytest.approx(single + integers)
    assert _margin(proved, axes, 1e-5) == pytest.approx(1e-5 / 20)


def test_integer_tables_need_whole_knots() -> None:
    table = ls.compile(
        1 / sym.bandwidth, ["bandwidth"], target="table", ranges={"bandwidth": (0.1, 0.9)}
    )
    with pytest.raises(SymbolError, match="no whole numbers"):
        table.source("fixed")


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


def test_a_table_may_have_as_many_values_as_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not one more: the largest grid that is split on the way is the least limit."""
    name = "chunked window"
    expr, box, units, _ = _asked(name)
    asked = {"target": "table", "ranges": box, "units": units, "error": 0.01}
    sizes, split = [], knots._split_worst

    def seen(proof: Any, grid: Any, *more: Any) -> Any:
        sizes.append(grid.values.size)
        return split(proof, grid, *more)

    monkeypatch.setattr(knots, "_split_worst", seen)
    whole = ls.compile(expr, list(box), **asked)
    monkeypatch.setattr(knots, "LARGEST", max(sizes))
    assert ls.compile(expr, list(box), **asked).entries == whole.entries
    monkeypatch.setattr(knots, "LARGEST", max(sizes) - 1)
    with pytest.raises(SymbolError, match="no table of at most"):
        ls.compile(expr, list(box), **asked)


def test_errors_are_shares_of_values_above_zero() -> None:
    """Of the smallest value in each part of a cell; where that is not above zero none is proved."""
    ends = np.array([2.9999e6, 3.1e6, 4e6])
    through = Slopes(sym.bandwidth - 3 * 10**6, (sym.bandwidth,), (0.0,))
    crossing, above = through.errors(sample(through.formula, (ends,), (0.0,)))
    assert crossing == np.inf
    assert above < 1e-9
    small = Slopes(sym.bandwidth / 10**8, (sym.bandwidth,), (0.0,))  # values below one
    assert small.errors(sample(small.formula, (ends,), (0.0,))).max() < 1e-9
    bent = Slopes(sym.bandwidth**2, (sym.bandwidth,), (0.0,))  # most wrong where it is least
    grid = sample(bent.formula, (np.array([1e3, 1e9]),), (0.0,))
    x = np.linspace(1e3, 1e4, 10_001)
    assert np.abs(grid([x]) / x**2 - 1).max() <= bent.errors(grid).max() < np.inf


def test_few_values_are_compared_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a box, with one to spare for ends between whole values."""
    monkeypatch.setattr("lifesym.codegen.proof.MOST_POINTS", 12)
    expr, symbols = sym.past + 1, (sym.past,)
    assert isinstance(proof(expr, symbols, {sym.past: (0, 10)}, (1,)), EveryPoint)
    assert isinstance(proof(expr, symbols, {sym.past: (0, 11)}, (1,)), Slopes)
    assert isinstance(proof(expr, symbols, {sym.past: (0, 20)}, (2,)), EveryPoint)
