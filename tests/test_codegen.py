"""Compiled formulas are never wrong: every target against exact fractions at 10,000 points."""

import json
import shutil
import subprocess
import warnings
from fractions import Fraction
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_c import GCC, called, library, needs_gcc, run
from exact_values import Exact
from formulas import MAKERS, exact, farthest, formula, points, worst
from sympy import Integer, Rational, Symbol, log

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import gradient
from lifesym.codegen import blocked, native
from lifesym.codegen.layout import layout
from lifesym.codegen.loop_c import LONG
from lifesym.codegen.lowering import lower
from lifesym.codegen.program import chosen
from lifesym.codegen.ranges import FLOAT, ErrorBound, error_bound
from lifesym.codegen.squarings import squared
from lifesym.decided import decided
from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum

ROUNDING = 1e-12
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def compiled(which: str, target: str, **options: Any) -> Any:
    expr, box = formula(which)
    return ls.compile(expr, list(box), target=target, ranges=box, **options)


@pytest.mark.parametrize("name", MAKERS)
def test_the_exact_values_are_the_formulas(name: str) -> None:
    """Against SymPy's own arithmetic at a few points, and fractions node by node at more."""
    expr, box = formula(name)
    nearest, rest = exact(name)
    walked: Any = Exact(expr)
    for i in range(60):
        at = {s: int(c[i]) for s, c in zip(box, points(name), strict=True)}
        value = walked(at)
        found = Fraction(float(nearest[i])) + Fraction(float(rest[i]))
        assert abs(found - value) <= abs(value) / 2**100
        if i % 15 == 0:
            true = expr.xreplace({s: Integer(n) for s, n in at.items()}).doit()
            assert true == Rational(value.numerator, value.denominator)


@pytest.mark.parametrize("name", MAKERS)
def test_numpy_and_native(name: str) -> None:
    for target in ("numpy", "native"):
        assert worst(name, compiled(name, target)(*points(name))) < ROUNDING


@pytest.mark.parametrize("name", MAKERS)
def test_python(name: str) -> None:
    function = compiled(name, "python")
    rows = zip(*(map(int, column) for column in points(name)), strict=True)
    assert worst(name, [function(*row) for row in rows]) < ROUNDING
    assert "import" not in function.source.replace("from math import", "")


@cache
def single_bound(name: str) -> ErrorBound:
    expr, box = formula(name)
    program = squared(lower([decided(expr, box)], list(box)), box, FLOAT)
    return error_bound(program, box, FLOAT)


@pytest.fixture(scope="module")
def in_c(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, str]]:
    """All formulas in both precisions, compiled at once, and their headers."""
    functions, headers = {}, {}
    for i, name in enumerate(MAKERS):
        for real in ("double", "float"):
            called = f"{real}_{i}"
            headers[called] = compiled(name, "c", precision=real, name=called)
            functions[called] = headers[called], len(points(name)), real
    return library(tmp_path_factory.mktemp("c"), functions), headers


@needs_gcc
@pytest.mark.parametrize("name", MAKERS)
def test_c(name: str, in_c: tuple[Any, dict[str, str]]) -> None:
    (made, headers), i = in_c, list(MAKERS).index(name)
    assert worst(name, run(made, f"double_{i}", points(name), "double")) < ROUNDING
    bound = single_bound(name)
    assert str(bound) in headers[f"float_{i}"]
    measure = worst if bound.relative else farthest
    assert measure(name, run(made, f"float_{i}", points(name), "float")) <= bound.value


def test_bounds_of_single_precision_are_useful() -> None:
    """All but two formulas, which have differences that can vanish, are proved good."""
    bounds = [single_bound(name) for name in MAKERS]
    assert sum(bound.relative and bound.value < 2e-5 for bound in bounds) >= 18


@pytest.fixture(scope="module")
def in_javascript(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """All formulas as one module, at all of their points in one run."""
    folder = tmp_path_factory.mktemp("js")
    texts = [compiled(name, "js", name=f"f{i}") for i, name in enumerate(MAKERS)]
    (folder / "formulas.mjs").write_text("\n".join(texts))
    columns = [[column.tolist() for column in points(name)] for name in MAKERS]
    (folder / "points.json").write_text(json.dumps(columns))
    (folder / "main.mjs").write_text(
        'import * as all from "./formulas.mjs";\nimport { readFileSync } from "node:fs";\n'
        'const points = JSON.parse(readFileSync("points.json"));\n'
        "const rows = points.map((columns, i) =>\n"
        '  columns[0].map((_, k) => all["f" + i](...columns.map((c) => c[k]))));\n'
        "process.stdout.write(JSON.stringify(rows));\n"
    )
    command = [str(NODE), "main.mjs"]
    result = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return dict(zip(MAKERS, json.loads(result.stdout), strict=True))


@needs_node
@pytest.mark.parametrize("name", MAKERS)
def test_javascript(name: str, in_javascript: dict[str, list[float]]) -> None:
    assert worst(name, in_javascript[name]) < ROUNDING


def value(expr: Any, at: dict[Symbol, int]) -> Any:
    if expr.has(log):
        return expr.xreplace({symbol: Integer(n) for symbol, n in at.items()}).doit()
    return Exact(expr)(at)


@pytest.mark.parametrize("name", ["dense TPOT", "MoE TPOT", "window mean", "chunked"])
def test_gradients_are_those_of_the_formula(name: str) -> None:
    expr, box = formula(name)
    columns = [column[:40] for column in points(name)]
    rows = [dict(zip(box, map(int, point), strict=True)) for point in zip(*columns, strict=True)]
    # where two arguments tie at an end of the box, the slope is that of the larger one inside it
    slopes = [gradient(decided(expr, box))[symbol] for symbol in box]
    true = np.array([[float(value(slope, row)) for row in rows] for slope in slopes])
    for target in ("numpy", "native"):
        _, *found = compiled(name, target, gradient=True)(*columns)
        assert np.allclose(found, true, rtol=1e-9, atol=1e-18)


def test_derivatives_of_maxima_of_three_lines_at_their_ties(tmp_path: Path) -> None:
    """The mean slope of the lines that tie, in every target; in C also where lines are rounded."""
    slope = Maximum(3 * sym.past, 2 * sym.past + sym.batch, sym.past + 2 * sym.batch).diff(sym.past)
    args = [sym.past, sym.batch]
    past, batch = (each.ravel() for each in np.mgrid[1:9, 1:9])
    points = list(zip(map(int, past), map(int, batch), strict=True))
    true = np.array([float(value(slope, {sym.past: p, sym.batch: b})) for p, b in points])
    assert set(true) == {1, 2, 3}
    for target in ("numpy", "native"):
        found = ls.compile(slope, args, target=target)(past, batch)
        assert np.allclose(found, true, rtol=1e-15)
    python = ls.compile(slope, args, target="python")
    assert np.allclose([python(*point) for point in points], true, rtol=1e-15)
    box = {sym.past: (1, 9), sym.batch: (1, 9)}
    rounded = Maximum(sym.past / 7, sym.past / 3 - sym.batch, sym.batch / 11).diff(sym.past)
    for precision in ("double", "float") if GCC else ():
        (tmp_path / precision).mkdir()
        # a line that rounding puts ahead changes the slope by up to 3: of 1000 that is little
        header = ls.compile(slope + 1000, args, target="c", ranges=box, precision=precision)
        found = called(tmp_path / precision, header, [past, batch], precision)
        assert np.allclose(found - 1000, true, rtol=1e-7)
        near = ls.compile(rounded + 1000, args, target="c", ranges=box, precision=precision)
        assert "Relative error of the arithmetic: at most 0.00303" in near
        with pytest.raises(SymbolError, match="of the result somewhere in these ranges: narrow"):
            ls.compile(rounded, args, target="c", ranges=box, precision=precision)


def test_shapes_broadcast_and_scalars_stay_scalars() -> None:
    expr, box = formula("dense TPOT")
    past, batch = np.arange(7.0)[:, None], np.arange(1, 4)
    for target in ("numpy", "native"):
        function = ls.compile(expr, list(box), target=target)
        table = function(past, batch)
        assert table.shape == (7, 3)
        assert table[5, 1] == pytest.approx(float(function(5, 2)), rel=1e-15)
        assert np.ndim(function(5, 2)) == 0
        assert function(batch=2, past=past)[5, 0] == table[5, 1]
        assert function(np.empty((0, 3)), 1).shape == (0, 3)
        several = ls.compile([expr, 2 * expr], list(box), target=target)
        first, second = several(past, 1)
        assert np.allclose(2 * first, second, rtol=1e-15)
        assert "tokens already in the KV cache" in repr(function)
    threads = ls.compile(expr, list(box), target="native", threads=2)
    long = np.arange(100_001.0)
    assert np.array_equal(threads(long, 3), ls.compile(expr, list(box), target="native")(long, 3))


def views(low: int) -> list[Any]:
    """Numbers in many layouts that broadcast with one another."""
    block = np.random.default_rng(low).integers(low, 99, (4, 3, 5)).astype(float)
    record = np.zeros((4, 3, 5), dtype=[("skip", "f4"), ("kept", "f8")])
    record["kept"] = block
    plain = [block, block[0], block[0, 0], block[:, :1], block[..., :1], block[:1, :, :1]]
    odd = [
        block[::-1],
        block[..., ::-1],
        np.asfortranarray(block),
        block.transpose(2, 1, 0)[:4, :, :1],
    ]
    other = [block.astype(np.int32), block.astype(">f8"), record["kept"], np.float32(low + 2)]
    return [*plain, *odd, *other, np.broadcast_to(block[:1, :, :1], block.shape), low + 1]


def test_long_rows_are_as_short_ones() -> None:
    """Those whose results are written past the cache, from any address on, in threads too."""
    exprs = [Maximum(sym.past * 3, sym.batch**2 + 1), sym.past / sym.batch]
    count = LONG + 777
    past, batch = np.arange(2 * count, dtype=float).reshape(2, count), np.array([[3.0], [5.0]])
    short = ls.compile(exprs, ["past", "batch"])(past, batch)
    for threads in (1, 2):
        function = ls.compile(exprs, ["past", "batch"], target="native", threads=threads)
        for found, true in zip(function(past, batch), short, strict=True):
            assert np.allclose(found, true, rtol=1e-15, atol=0)
    alone = ls.compile(exprs[1], ["past", "batch"], target="native")
    for first in range(3):
        found = alone(past[0, first:], past[1, first:])
        assert np.allclose(found, past[0, first:] / past[1, first:], rtol=1e-15, atol=0)


def test_native_code_reads_any_layout() -> None:
    """Steps of zero, negative, unaligned and foreign ones give what NumPy gives."""
    expr = sym.past * sym.batch**2 + Maximum(sym.past, 7 * sym.batch)
    plain = ls.compile(expr, ["past", "batch"])
    function = ls.compile(expr, ["past", "batch"], target="native")
    threads = ls.compile(expr, ["past", "batch"], target="native", threads=3)
    for past, batch in product(views(0), views(1)):
        for run_ in (function, threads):
            found, true = run_(past, batch), plain(past, batch)
            assert found.shape == true.shape
            assert np.array_equal(found, true)
    row, column = np.arange(5.0), np.arange(3.0)[:, None]
    seen = layout([row, column, 2.0])
    assert (seen.outer, seen.length, seen.steps) == ((3,), 5, ((0, 1, 0),))
    assert all(np.shares_memory(a, b) for a, b in zip(seen.arrays, (row, column), strict=False))


TRAPS = [
    (FloorDiv(sym.prompt, Integer(49)), 49, 1),
    (CeilDiv(sym.prompt, Integer(75)), 525, 7),
    (CeilDiv(sym.prompt, Integer(64)), 100, 2),
    (3 / sym.prompt, 2, 1.5),
    (2 * sym.prompt * sym.prompt**2, 8192, 1099511627776),
    (sym.prompt / 3, 1, 1 / 3),
]


@pytest.mark.parametrize(("expr", "at", "value"), TRAPS, ids=str)
def test_traps_of_other_code_generators(expr: Any, at: int, value: float, tmp_path: Path) -> None:
    """Reciprocals that round, integer divisions, integer overflow: each was a wrong answer."""
    args, box = [sym.prompt], {sym.prompt: (1, 2**20)}
    for target in ("numpy", "native", "python"):
        assert ls.compile(expr, args, target=target)(at) == value
    if GCC:
        header = ls.compile(expr, args, target="c", ranges=box)
        assert called(tmp_path, header, [[at]])[0] == value


def test_rounding_up_is_exact_wherever_whole_numbers_are() -> None:
    for divisor in (7, 49, 75, 96, 125, 333):
        function = ls.compile(CeilDiv(sym.prompt, Integer(divisor)), [sym.prompt])
        n = np.arange(1, 200_001)
        assert np.array_equal(function(n), -(-n // divisor))
    text = ls.compile(
        CeilDiv(sym.prompt, Integer(75)),
        [sym.prompt],
        target="c",
        precision="float",
        ranges={"prompt": (1, 2**24)},
    )
    assert "ceilf(prompt / 75.0F)" in text


def test_single_precision_refuses_what_it_cannot_count() -> None:
    wide = ls.compile(
        CeilDiv(sym.prompt, Integer(75)) + 1,
        [sym.prompt],
        target="c",
        precision="float",
        ranges={"prompt": (1, 2**26)},
    )
    bound = float(wide.split("at most ")[1].split()[0])  # it says that a page may be missed
    n = np.arange(2**24, 2**26, 1001)
    single = np.ceil(n.astype(np.float32) / np.float32(75)).astype(float) + 1
    found = np.max(np.abs(single / (-(-n // 75) + 1) - 1))
    assert 0 < found <= bound < 1e-4
    with pytest.raises(SymbolError, match="leaves the range of float"):
        ls.compile(
            sym.prompt**12, [sym.prompt], target="c", precision="float", ranges={"prompt": (1, 1e6)}
        )


LIMITS = [
    (sym.prompt * sym.batch * Rational(1, 10**54), "too small for float"),
    (10**50 / (sym.prompt + sym.batch), "leaves the range of float"),
    (sym.batch + sym.prompt * Integer(10) ** 400, "leaves the range of double"),
]


@pytest.mark.parametrize(("expr", "message"), LIMITS, ids=["small", "large", "huge"])
def test_results_outside_the_format_are_refused(expr: Any, message: str) -> None:
    box = {"prompt": (1e4, 1e6), "batch": (1e4, 1e5)}
    with pytest.raises(SymbolError, match=message):
        ls.compile(expr, list(box), target="c", precision="float", ranges=box)


def test_a_tiny_addend_costs_next_to_nothing() -> None:
    """All but one expert chosen by 512 tokens: (3/4)**512 beside 1 is lost and not missed."""
    expr = 1 - Rational(3, 4) ** sym.batch / 2
    box = {"batch": (1, 512)}
    text = ls.compile(expr, ["batch"], target="c", precision="float", ranges=box)
    assert 0 < float(text.split("at most ")[1].split()[0]) < 1e-5


def neighbours(x: float) -> np.ndarray:
    """A few single-precision numbers on both sides of one."""
    found = [np.float32(x)]
    for _ in range(6):
        found.append(np.nextafter(found[-1], np.float32(np.inf)))
        found.insert(0, np.nextafter(found[0], np.float32(0)))
    return np.array(found)


@needs_gcc
def test_bounds_count_a_choice_that_rounding_turns(tmp_path: Path) -> None:
    share = Maximum(sym.bandwidth / 123456789013, Integer(1)).diff(sym.bandwidth)
    expr, box = share + Rational(1, 10**8), {sym.bandwidth: (1e11, 1e12)}
    bound = error_bound(lower([expr], list(box)), box, FLOAT)
    assert bound.value > 10**8 / 123456789013
    header = ls.compile(expr, list(box), target="c", precision="float", ranges=box)
    points = neighbours(123456789013)
    out = called(tmp_path, header, [points], "float")
    true = [float(expr.xreplace({sym.bandwidth: Integer(int(x))})) for x in points]
    assert np.max(np.abs(out / np.array(true) - 1)) <= bound.value


def test_bounds_of_doubles_count_every_rounding() -> None:
    """A constant's, a product's and a sum's, each of half a unit in the last place."""
    expr = 423703 * sym.past * sym.batch / 1000 + Rational(2, 3)
    box = {sym.past: (1, 4000), sym.batch: (1, 64)}
    bound = error_bound(lower([expr], list(box)), box)
    function = ls.compile(expr, list(box), target="python")
    errors = [
        abs(Fraction(function(past, batch)) / Fraction(int(true.p), int(true.q)) - 1)
        for past in range(1, 4000, 97)
        for batch in range(1, 64, 7)
        for true in [expr.xreplace({sym.past: Integer(past), sym.batch: Integer(batch)})]
    ]
    assert 2.2e-16 < max(errors) <= bound.value < 4e-16


def test_bounds_of_rounded_quotients_of_wide_integers() -> None:
    expr, box = CeilDiv(sym.prompt, Integer(3)), {sym.prompt: (2.0**29, 2.0**30)}
    bound = error_bound(lower([expr], list(box)), box, FLOAT)
    n = np.random.default_rng(0).integers(2**29, 2**30, 100_000)
    found = np.ceil(n.astype(np.float32) / np.float32(3)).astype(float)
    assert 1e-8 < np.max(np.abs(found / -(-n // 3) - 1)) <= bound.value < 1e-6


def test_rounding_up_clears_fractions() -> None:
    expr = CeilDiv(sym.prompt / 10, Rational(1, 10))
    n = np.arange(1, 1000)
    assert np.array_equal(ls.compile(expr, ["prompt"])(n), n)


NAN_FORMULAS = [
    Minimum(sym.past, Integer(500)),
    Maximum(sym.batch, sym.past),
    Maximum(sym.past, 2 * sym.batch, sym.past * sym.batch),
]


@pytest.mark.parametrize("expr", NAN_FORMULAS, ids=str)
def test_nan_stays_nan(expr: Any, tmp_path: Path) -> None:
    args = [s for s in (sym.past, sym.batch) if s in expr.free_symbols]
    nan = float("nan")
    rows = [[nan if i == k else 3.0 for i in range(len(args))] for k in range(len(args))]
    for target in ("numpy", "native", "python"):
        function = ls.compile(expr, args, target=target)
        assert not np.isnan(function(*[3.0] * len(args)))
        for row in rows:
            values = row if target == "python" else [np.full(5, x) for x in row]
            assert np.all(np.isnan(function(*values)))
    if NODE:
        (tmp_path / "f.mjs").write_text(
            ls.compile(expr, args, target="js")
            + f"console.log({', '.join(f'formula({_numbers(row)})' for row in rows)});\n"
        )
        command = [NODE, str(tmp_path / "f.mjs")]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        assert result.stdout.split() == ["NaN"] * len(rows)


def _numbers(row: list[float]) -> str:
    return ", ".join("NaN" if np.isnan(x) else str(x) for x in row)


TWO = {"past": (0, 9), "batch": (1, 2)}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"args": ["past", "batch", "window"]}, "does not depend on window"),
    ({"args": ["past"]}, "depends on batch, which is no argument"),
    ({"args": ["past", "past", "batch"]}, "given twice"),
    ({"name": "double"}, "reserved word"),
    ({"name": "2fast"}, "not a plain identifier"),
    ({"name": "t1"}, "not a plain identifier"),
    ({"target": "cobol"}, "target must be one of"),
    ({"target": "table"}, "past needs a range"),
    ({"target": "c", "precision": "float"}, "past needs a range"),
    ({"target": "c", "ranges": {"past": (5, 1), "batch": (1, 2)}}, "two finite numbers in order"),
    ({"target": "numpy", "cells": 3}, "unknown option 'cells'"),
    ({"target": "table", "cells": 3}, "unknown option 'cells'"),
    ({"target": "table", "ranges": TWO, "units": {"window": 2}}, "window, which is no argument"),
    ({"target": "table", "ranges": TWO, "units": {"past": 0}}, "a unit is a number above 0"),
    ({"name": "isnan"}, "reserved word"),
    ({"name": "fmaxf"}, "reserved word"),
    ({"name": "HUGE_VAL"}, "reserved word"),
    ({"name": "arguments"}, "reserved word"),
    ({"name": "M_PI"}, "reserved word"),
    ({"name": "printf"}, "reserved word"),
    ({"name": 5}, "not a plain identifier"),
    ({"args": "past"}, "args is a list of symbols or names"),
    ({"args": [5, "batch"]}, "a symbol or its name, not 5"),
    ({"ranges": {"past": (5, 1)}}, "two finite numbers in order"),
    ({"ranges": {"past": (5, 1, 2)}}, "a range is two numbers"),
    ({"ranges": {"past": 5}}, "a range is two numbers"),
    ({"ranges": {"past": "a"}}, "a range is two numbers"),
    ({"ranges": {"window": (1, 2)}}, "window, which is no argument"),
    ({"ranges": {"past": (-5, 2)}}, "past must be at least 0"),
    ({"target": "native", "threads": 0}, "threads must be"),
    ({"target": "native", "threads": 2.5}, "threads must be"),
    ({"threads": 2}, "of the target native"),
    ({"target": "c", "gradient": True}, "gradient is of the targets"),
    ({"target": "numpy", "precision": "float"}, "precision is of the target c"),
    ({"target": "c", "precision": "half"}, "precision must be"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=str)
def test_bad_questions_are_refused(options: dict[str, Any], message: str) -> None:
    expr, box = formula("dense TPOT")
    with pytest.raises(SymbolError, match=message):
        ls.compile(expr, **({"args": list(box)} | options))


class Shown(str):
    """A text that is shown without quotes."""

    __repr__ = str.__str__


def test_bad_calls_are_refused() -> None:
    expr, box = formula("dense TPOT")
    function = ls.compile(expr, list(box), ranges=box)
    for call, message in (
        (lambda: function(1), "needs batch"),
        (lambda: function(1, 2, 3), "takes 2 arguments"),
        (lambda: function(1, past=2, batch=3), "given twice"),
        (lambda: function(1, bach=2), "no argument 'bach'; did you mean 'batch'"),
        (lambda: function(1, 65), "batch must be between 1 and 64"),
        (lambda: function(float("nan"), 1), "past must be between"),
    ):
        with pytest.raises(SymbolError, match=message):
            call()
    for at in ((8000, 64), (0, 1)):
        assert function(*at) == pytest.approx(float(expr.subs(dict(zip(box, at, strict=True)))))
    for length, shown in ((60, "x" * 60), (61, "x" * 57 + "...")):
        with pytest.raises(SymbolError, match=f"not '?{shown}'?$"):
            function(Shown("x" * length), 1)
    objects = np.array([1, 2], dtype=object)
    for target in ("numpy", "native"):
        plain = ls.compile(expr, list(box), target=target)
        assert np.array_equal(plain(objects, 1), plain([1, 2], 1))
        for value in ("many", "5", None, 1j, 10**400, [[1], [2, 3]], np.ma.array([1], mask=True)):
            with pytest.raises(SymbolError, match="past must be numbers"):
                plain(value, 1)
        with pytest.raises(SymbolError, match=r"do not broadcast: past \(3,\), batch \(2,\)"):
            plain(np.ones(3), np.ones(2))
    with pytest.raises(SymbolError, match="no formula"):
        ls.compile([], [])
    with pytest.raises(SymbolError, match="one formula at a time"):
        ls.compile([expr, expr], list(box), target="table", ranges=box)
    with pytest.raises(SymbolError, match="only expressions"):
        ls.compile("past", ["past"])
    with pytest.raises(SymbolError):
        ls.compile(Maximum(sym.past, Symbol("x")), ["past"])


def test_without_a_compiler_numpy_does_the_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expr, box = formula("dense TPOT")
    function = ls.compile(expr, list(box), target="native")
    plain = ls.compile(expr, list(box))
    past = np.arange(5.0)
    native._compiled.cache_clear()
    monkeypatch.setattr(native.shutil, "which", lambda _: None)
    with pytest.warns(native.NoCompilerWarning, match="no C compiler"):
        assert np.array_equal(function(past, 2), plain(past, 2))
    monkeypatch.undo()
    native._compiled.cache_clear()
    blocker = tmp_path / "file"
    blocker.write_text("no folder")
    monkeypatch.setattr(native, "_folders", lambda: [blocker / "a", blocker / "b"])
    with pytest.warns(native.NoCompilerWarning, match="no folder"):
        assert np.array_equal(function(past, 2), plain(past, 2))
    native._compiled.cache_clear()


@needs_gcc
def test_a_compiler_that_fails_is_named_by_the_first_line_of_what_it_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expr, box = formula("dense TPOT")
    function = ls.compile(expr, list(box), target="native")
    error = subprocess.CalledProcessError(1, "cc", stderr=b"no such flag\nsecond line\n")

    def failing(*_: Any) -> None:
        raise error

    monkeypatch.setattr(native, "_build", failing)
    monkeypatch.setattr(native, "_folders", lambda: [tmp_path])
    native._compiled.cache_clear()
    with pytest.warns(native.NoCompilerWarning, match="failed: no such flag: NumPy is used"):
        function(np.arange(5.0), 2)
    native._compiled.cache_clear()


@needs_gcc
def test_a_checked_build_refuses_arguments_outside_the_box(tmp_path: Path) -> None:
    expr, box = formula("dense TPOT")
    header = "#define FORMULA_CHECKED\n" + ls.compile(expr, list(box), target="c", ranges=box)
    out = called(tmp_path, header, [[5, 9000, -1], [1, 1, 1]])
    assert out[0] > 0
    assert np.isnan(out[1:]).all()


def test_texts_with_ranges_check_them() -> None:
    expr, box = formula("dense TPOT")
    python = ls.compile(expr, list(box), target="python", ranges=box)
    assert python(8000, 64) > 0
    for past in (8001, -1, float("nan")):
        with pytest.raises(ValueError, match="past must be between 0 and 8000"):
            python(past, 1)
    text = ls.compile(expr, list(box), target="js", ranges=box)
    assert 'throw new RangeError("batch must be between 1 and 64")' in text
    assert "RangeError" not in ls.compile(expr, list(box), target="js")


@needs_gcc
def test_comments_cannot_break_the_code(tmp_path: Path) -> None:
    doc = "of specs/*.toml */ int x; ??/\nsecond \\ line\\"
    python = ls.compile(sym.past + 1, ["past"], target="python", doc=doc + '""" \\x')
    assert python(1) == 2
    for options in ({"target": "c"}, {"target": "table"}):
        made = ls.compile(sym.past + 1, ["past"], ranges={"past": (0, 9)}, doc=doc, **options)
        header, real = (made, "double") if isinstance(made, str) else (made.source(), "float")
        (tmp_path / real).mkdir()
        assert called(tmp_path / real, header, [[1]], real) == [2]


def test_texts_say_what_they_give_and_whence() -> None:
    result = ls.forecast(ls.load_model("gpt2"), ls.load_hardware("v100")).tpot
    origin = f"TPOT, in s.\n * Generated by lifesym {ls.__version__}.\n * past: tokens"
    ranges = {"past": (0, 900)}
    assert origin in ls.compile(result, ["past"], target="c", ranges=ranges)
    assert origin in ls.compile(result, ["past"], target="js")
    table = ls.compile(result, ["past"], target="table", ranges=ranges)
    assert origin in table.source()
    assert "Generated by" in table.source("numpy")
    assert "TPOT, in s." in ls.compile(result, ["past"]).source
    assert "TPOT" not in ls.compile(result, ["past"], target="c", ranges=ranges, doc="Of a device.")


@needs_gcc
def test_code_for_another_processor_is_not_reused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expr, box = formula("dense TPOT")
    monkeypatch.setattr(native, "_folders", lambda: [tmp_path])
    for machine in ("one", "two"):
        native._compiled.cache_clear()
        monkeypatch.setattr(native, "_machine", lambda machine=machine: machine)
        ls.compile(expr, list(box), target="native")(np.arange(3.0), 1)
    assert len(list(tmp_path.glob("*.so"))) == 2
    native._compiled.cache_clear()


@pytest.mark.parametrize("name", MAKERS)
def test_numpy_source_stands_alone(name: str) -> None:
    scope: dict[str, Any] = {}
    exec(compiled(name, "numpy").source, scope)  # noqa: S102 (text that was just made)
    assert worst(name, scope["formula"](*points(name))) < ROUNDING


def test_compiled_code_is_reused() -> None:
    expr, box = formula("dense TPOT")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        native._compiled.cache_clear()
        ls.compile(expr, list(box), target="native")(np.arange(3.0), 1)
        ls.compile(expr, list(box), target="native")(np.arange(9.0), 2)
    assert native._compiled.cache_info().misses <= 1


def test_a_header_without_ranges_has_all_of_the_formula_and_no_proof() -> None:
    """Within ranges, what no maximum can be is left out: as of what is decided beforehand."""
    expr, box = formula("dense TPOT")
    open_ended, settled = (ls.compile(e, list(box), target="c") for e in (expr, decided(expr, box)))
    proved = ls.compile(expr, list(box), target="c", ranges=box)
    code = [text[text.index("#endif") :] for text in (proved, settled, open_ended)]
    assert code[0] == code[1]
    assert code[0].count(" ? ") < code[2].count(" ? ")
    assert "past: tokens already in the KV cache (tokens), at least 0\n" in open_ended
    assert "No bound of the arithmetic's error is proved without a range of" in open_ended
    half = ls.compile(expr, list(box), target="c", ranges={"past": box[sym.resolve("past")]})
    assert half.count("return NAN") == 1


def test_small_powers_are_squarings_and_large_ones_a_call() -> None:
    """Up to the sixteenth; a reciprocal of one is a division more."""
    x = sym.batch
    for exponent in (15, 16, 17):
        kinds = [op.kind for op in lower([x**exponent], [x]).ops]
        assert ("pow" in kinds) == (exponent > 16), exponent
        assert kinds.count("mul") == (0 if exponent > 16 else {15: 6, 16: 4}[exponent])
    assert [op.kind for op in lower([x**-2], [x]).ops].count("div") == 1


def test_some_results_of_several_are_a_program_of_their_own() -> None:
    """With the arguments that they need, and nothing of the others."""
    made = [formula(which) for which in ("dense TPOT", "dense TTFT")]
    args = sym.ordered({symbol for _, box in made for symbol in box})
    whole = lower([expr for expr, _ in made], args)
    for number, (expr, _) in enumerate(made):
        part, places = chosen(whole, [number])
        own = [symbol for symbol in args if symbol in expr.free_symbols]
        assert list(part.args) == own == [args[place] for place in places]
        assert len(part.ops) < len(whole.ops)
        values = [float(3 + place) for place in range(len(args))]
        (expected,) = blocked.evaluate(lower([expr], own), [values[place] for place in places])
        (found,) = blocked.evaluate(part, [values[place] for place in places])
        assert found == pytest.approx(expected, rel=ROUNDING)
    both, _ = chosen(whole, [1, 0])
    assert blocked.evaluate(both, values) == blocked.evaluate(whole, values)[::-1]
