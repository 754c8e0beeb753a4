"""Sums without a closed form are loops in every target, and give their exact values."""

import json
import shutil
import subprocess
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_c import called, needs_gcc
from sympy import Add, Integer, Rational, Sum

import lifesym as ls
from lifesym import symbols as sym
from lifesym.codegen.blocked import BLOCK
from lifesym.codegen.lowering import lower
from lifesym.codegen.ranges import FLOAT, error_bound
from lifesym.errors import SymbolError
from lifesym.levels import Level
from lifesym.nodes import CeilDiv, Maximum

ARGS = [sym.prompt, sym.generated]
BOX = {sym.prompt: (1, 4096), sym.generated: (2, 300)}
POINTS = np.array([[1, 2], [1, 3], [17, 2], [700, 41], [4096, 90], [5, 77]]).T
LINES = Maximum(700 + 3 * sym.index, sym.prompt + sym.index, 7 * sym.index)
TAIL = Sum(LINES * CeilDiv(sym.prompt + sym.index, Integer(16)), (sym.index, 2, sym.generated))
INNER = Sum(Maximum(sym.index * sym.chunk, 90, sym.prompt), (sym.index, 1, sym.chunk))
NESTED = Sum(INNER * sym.prompt, (sym.chunk, 0, Maximum(3, 9 - sym.generated))) / 7


def _host_cache() -> Any:
    """A mean step with parts of cache and activations elsewhere: maxima of three lines."""
    host = Level(name="host", bandwidth=9 * 10**11, weights=0, kv=0.8, activations=0.3)
    device = replace(ls.load_hardware("v100"), compute_efficiency=Rational(1, 20))
    return ls.forecast(ls.load_model("tinyllama-1.1b"), device, levels=[host]).tpot.mean.expr


FORMULAS = {"host cache": _host_cache, "tail": lambda: TAIL, "nested": lambda: NESTED}


def exact(expr: Any) -> np.ndarray:
    """Every sum written out, term by term, in rationals."""
    points = [{s: Integer(int(n)) for s, n in zip(ARGS, point, strict=True)} for point in POINTS.T]
    return np.array([float(_written_out(expr.xreplace(point))) for point in points])


def _written_out(expr: Any) -> Any:
    if isinstance(expr, Sum):
        term, *inner, (index, low, high) = expr.args
        term = Sum(term, *inner) if inner else term
        indices = map(Integer, range(int(low), int(high) + 1))
        return Add(*(_written_out(term.xreplace({index: i})) for i in indices))
    return expr.func(*map(_written_out, expr.args)) if expr.has(Sum) else expr


@pytest.mark.parametrize("name", FORMULAS)
def test_every_target_gives_the_exact_sum(name: str, tmp_path: Path) -> None:
    expr = FORMULAS[name]()
    assert expr.has(Sum)
    true = exact(expr)
    found = {
        target: ls.compile(expr, ARGS, target=target)(*POINTS) for target in ("numpy", "native")
    }
    python = ls.compile(expr, ARGS, target="python")
    found["python"] = [python(*map(int, point)) for point in POINTS.T]
    scope: dict[str, Any] = {}
    exec(ls.compile(expr, ARGS).source, scope)  # noqa: S102 (text that was just made)
    found["source"] = scope["formula"](*POINTS)
    if node := shutil.which("node"):
        text = ls.compile(expr, ARGS, target="js")
        text += f"console.log(JSON.stringify({POINTS.T.tolist()}.map((x) => formula(...x))));\n"
        (tmp_path / "f.mjs").write_text(text)
        command = [node, str(tmp_path / "f.mjs")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found["js"] = json.loads(done.stdout)
    for target, values in found.items():
        assert np.max(np.abs(np.array(values) / true - 1)) < 1e-14, target


@needs_gcc
@pytest.mark.parametrize("name", FORMULAS)
def test_c_sums_within_its_bound(name: str, tmp_path: Path) -> None:
    expr = FORMULAS[name]()
    header = ls.compile(expr, ARGS, target="c", ranges=BOX)
    assert np.max(np.abs(called(tmp_path, header, POINTS) / exact(expr) - 1)) < 1e-14
    single = ls.compile(expr, ARGS, target="c", ranges=BOX, precision="float")
    bound = error_bound(lower([expr], ARGS), BOX, FLOAT)
    assert bound.relative
    assert bound.value < 1e-5
    (tmp_path / "float").mkdir()
    found = called(tmp_path / "float", single, POINTS, "float")
    assert np.max(np.abs(found / exact(expr) - 1)) <= bound.value


def test_ends_of_sums() -> None:
    """No terms, ends that are not finite, and shapes."""
    expr = Sum(LINES, (sym.index, 0, sym.generated - 5))
    for target in ("numpy", "native"):
        function = ls.compile(expr, ARGS, target=target)
        assert function(np.array([3.0, np.nan]), 4).tolist() == [0, 0]  # there is no term
        assert function(3, np.array([1, 5])).tolist() == [0, 700]
        ends = np.array([np.nan, np.inf, -np.inf, 6.0])
        assert np.isnan(function(np.array([3, 3, 3, np.nan]), ends)).all()
        assert function(np.ones((2, 1)), np.array([5, 6, 7])).shape == (2, 3)


@pytest.mark.parametrize("target", ["numpy", "native"])
def test_many_terms_at_once_are_the_exact_sum(target: str) -> None:
    """More terms than a block, over points whose last index differs, some of them not finite."""
    index, last = sym.index, sym.generated
    expr = Sum(Maximum(3 * index, sym.prompt) * CeilDiv(index, Integer(7)), (index, 0, last))
    function = ls.compile(expr, ARGS, target=target)
    ends = np.array([0, 1, 6, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 5, 3, np.nan, np.inf, -1])
    prompts = np.array([1, 5, 9, 20, 700, 40_000, 3, 100, np.nan, 2, 2, 2])

    def written_out(prompt: float, end: float) -> float:
        terms = (max(3 * i, int(prompt)) * -(-i // 7) for i in range(int(end) + 1))
        return float(sum(terms))  # in whole numbers

    true = [written_out(*point) for point in zip(prompts[:8], ends[:8], strict=True)]
    found = function(prompts, ends)
    assert np.max(np.abs(found[1:8] / true[1:] - 1)) < 1e-14
    assert found[0] == true[0] == 0
    assert np.isnan(found[8:11]).all()
    assert found[11] == 0  # no term
    for end in (5, BLOCK, BLOCK + 1):  # one last index for all points, and one point
        expected = [written_out(prompt, end) for prompt in prompts[:8]]
        assert np.max(np.abs(function(prompts[:8], end) / expected - 1)) < 1e-14
        assert abs(function(float(prompts[4]), end) / expected[4] - 1) < 1e-14


def test_many_terms_of_many_points_stay_in_the_cache() -> None:
    """A block of points times all of a sum's terms would take gigabytes."""
    function = ls.compile(Sum(LINES, (sym.index, 0, sym.generated)), ARGS, target="numpy")
    prompts = np.full(2 * BLOCK, 7.0)
    tracemalloc.start()
    found = function(prompts, 3000)
    (_, most), _ = tracemalloc.get_traced_memory(), tracemalloc.stop()
    expected = sum(max(700 + 3 * i, 7 + i, 7 * i) for i in range(3001))
    assert set(found) == {expected}
    assert most < 40 * BLOCK * 8


def test_a_table_is_sampled_from_the_sum() -> None:
    ranges = {"prompt": (500, 1500), "generated": (100, 108)}
    table = ls.compile(TAIL, ARGS, target="table", ranges=ranges, error=0.05)
    prompt, generated = np.arange(500, 1501)[:, None], np.arange(100, 109)
    true = ls.compile(TAIL, ARGS, target="native")(prompt, generated)
    assert np.max(np.abs(table(prompt, generated) / true - 1)) <= table.error <= 0.05
    wide = {"prompt": (1, 10**6), "generated": (2, 200)}
    with pytest.raises(SymbolError, match="needs whole arguments, of at most 2,097,152 values"):
        ls.compile(TAIL, ARGS, target="table", ranges=wide)


def test_what_a_loop_cannot_do_is_refused() -> None:
    with pytest.raises(SymbolError, match="no derivative in its bounds"):
        ls.compile(TAIL, ARGS, gradient=True)
    wide = {"prompt": (1, 100), "generated": (2, 2**25)}
    with pytest.raises(SymbolError, match="float cannot count the terms of a sum"):
        ls.compile(TAIL, ARGS, target="c", precision="float", ranges=wide)
