"""Rounded quotients on a line: elasticities at and between steps, regimes cut at every one."""

import random
from itertools import pairwise

import pytest
from sympy import Expr, Integer, Rational, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import (
    elasticities,
    gradient,
    local_elasticities,
    regime_at,
    regimes,
    second_order,
)
from lifesym.analysis.line import pieces
from lifesym.nodes import CeilDiv, FloorDiv, Maximum

V100 = ls.load_hardware("v100")
DEVICE = V100.numbers(V100.default_format) | {sym.dispatch_time: Rational(4, 10**6)}
POINT: dict[Symbol, Expr] = DEVICE | {sym.batch: Integer(3)}


def ttft(chunk: object) -> ls.Result:
    f = ls.forecast(
        ls.load_model("llama-2-7b"),
        ls.Hardware.symbolic(),
        batch=sym.batch,
        chunk=chunk,  # type: ignore[arg-type]
        activations="fp16",
    )
    return f.ttft


@pytest.fixture(scope="module")
def chunked() -> ls.Result:
    return ttft(sym.chunk)


def test_a_single_partial_chunk_is_no_chunk(chunked: ls.Result) -> None:
    """100 tokens in chunks of 1000: the chunk has no effect, and the prompt that of one pass."""
    at = POINT | {sym.prompt: Integer(100), sym.chunk: Integer(1000)}
    rows = {row.symbol: row.value for row in local_elasticities(chunked, at)}
    whole = {row.symbol: row.value for row in local_elasticities(ttft(None), at)}
    assert rows.pop(sym.chunk) == 0
    assert rows == whole


@pytest.mark.parametrize(("prompt", "chunk"), [(4000, 256), (100, 1000), (999, 100), (5000, 640)])
def test_formulas_and_numbers_agree_between_steps(
    chunked: ls.Result, prompt: int, chunk: int
) -> None:
    """Exact central differences, the formulas of `elasticities`, and the active branch."""
    at = POINT | {sym.prompt: Integer(prompt), sym.chunk: Integer(chunk)}
    local = {row.symbol: row.value for row in local_elasticities(chunked, at)}
    level = sym.bind(chunked.expr, at)
    formulas = elasticities(chunked, of=[sym.prompt, sym.chunk])
    for symbol, formula in formulas.items():
        assert sym.bind(formula, at) == local[symbol]
        ends = [
            chunked.expr.xreplace(at | {symbol: at[symbol] + side * Rational(1, 10**9)}).doit()
            for side in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / 2 * 10**9 * at[symbol] / level
        assert float(local[symbol]) == pytest.approx(float(slope), rel=1e-6, abs=1e-12)


def test_at_a_step_the_two_sides_are_those_of_the_formulas_beside_it(chunked: ls.Result) -> None:
    at = POINT | {sym.prompt: Integer(1000), sym.chunk: Integer(100)}
    rows = {row.symbol: row for row in local_elasticities(chunked, at)}
    assert all(row.at_tie for row in rows.values())
    assert not rows[sym.bandwidth].one_sided
    tiny = Rational(1, 10**9)
    for symbol in (sym.prompt, sym.chunk):
        row = rows[symbol]
        for side, value in ((-1, row.left), (1, row.right)):
            near, far = (
                chunked.expr.xreplace(at | {symbol: at[symbol] + side * k * tiny}).doit()
                for k in (1, 2)
            )
            slope = (far - near) / (side * tiny) * at[symbol] / near
            assert float(value) == pytest.approx(float(slope), rel=1e-5, abs=1e-9)
    assert rows[sym.prompt].one_sided
    with pytest.raises(ls.SymbolError, match="kink"):
        second_order(chunked, at, of=["prompt"])


def test_the_gradient_has_no_slope_of_a_rounded_quotient() -> None:
    assert gradient(CeilDiv(sym.prompt, sym.chunk) * sym.batch) == {
        sym.batch: CeilDiv(sym.prompt, sym.chunk),
        sym.prompt: 0,
        sym.chunk: 0,
    }


@pytest.mark.parametrize("node", [CeilDiv, FloorDiv])
def test_a_line_is_cut_at_every_step(node: type) -> None:
    expr = Maximum(node(sym.prompt, 256) * 7, 40) + sym.prompt
    found = pieces(expr, sym.prompt, Integer(1), Integer(3000))
    for before, after in pairwise(found):
        assert before.high == after.low
    for piece in found:
        assert not piece.expr.atoms(Maximum, CeilDiv, FloorDiv)
        inside = (piece.low + 2 * piece.high) / 3
        at = {sym.prompt: inside}
        assert piece.expr.xreplace(at) == expr.xreplace(at)
    assert len(found) in (7, 8)


@pytest.mark.parametrize(
    ("chunk", "over", "ends"),
    [(256, "prompt", (1, 3000)), (sym.chunk, "chunk", (150, 600))],
)
def test_regimes_hold_at_every_whole_value(chunk: object, over: str, ends: tuple[int, int]) -> None:
    result = ttft(chunk)
    symbol = sym.resolve(over)
    here = POINT | ({sym.prompt: Integer(1000)} if over == "chunk" else {})
    line = regimes(result, over, ends, here)
    rng = random.Random(8)
    for value in (rng.randint(*ends) for _ in range(40)):
        stretch = next(s for s in line if s.low <= value <= s.high)
        at = {sym.resolve(k): v for k, v in here.items()} | {symbol: Integer(value)}
        if stretch.low < value < stretch.high:
            assert stretch.regime.holds(at)
            assert stretch.regime.expr.xreplace(at) == result.expr.xreplace(at).doit()
            assert regime_at(result, at).bounds == stretch.regime.bounds


def test_more_steps_than_can_be_cut_at_is_a_clear_error() -> None:
    with pytest.raises(ls.SymbolError, match="steps over this range of prompt: give a shorter"):
        regimes(ttft(2), "prompt", (1, 20000), POINT)
