"""Derivatives of compiled formulas against SymPy's, and against differences in high precision."""

import math
import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from sympy import Add, Expr, Integer, Rational, Sum, Symbol, log

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import gradient
from lifesym.codegen.lowering import lower
from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.sums import Crossing, SumMax

DIGITS = 60
RANGES: dict[str, tuple[float, float]] = {
    "bandwidth": (2e11, 5e12),
    "peak": (2e13, 2e15),
    "vector_peak": (5e12, 1e14),
    "compute_efficiency": (0.2, 0.9),
    "memory_efficiency": (0.3, 0.95),
    "dispatch_time": (1e-6, 2e-5),
    "prompt": (20, 3000),
    "generated": (2, 150),
    "past": (1, 6000),
    "batch": (1, 30),
    "chunk": (64, 900),
}
COUNTS = ("generated",)
"""Arguments that are whole: the others lie between whole numbers, where steps are flat."""


def forecast(model: str, **options: Any) -> ls.Forecast:
    return ls.forecast(model, ls.Hardware.symbolic(), **options)


MAKERS: dict[str, Callable[[], Any]] = {
    "dense step": lambda: forecast("llama-3.1-8b", past=sym.past, batch=sym.batch).tpot,
    "MoE step": lambda: forecast("mixtral-8x7b", past=sym.past, batch=sym.batch).tpot,
    "chunks": lambda: forecast("llama-3.1-8b", prompt=sym.prompt, engine="llama.cpp").ttft,
    "windows": lambda: forecast("mistral-7b-v0.1", prompt=sym.prompt, engine="llama.cpp").ttft,
    "two windows": lambda: forecast("gemma-2-9b", prompt=sym.prompt, engine="llama.cpp").ttft,
    "latency": lambda: forecast("llama-3.1-8b", prompt=1000).latency,
    "free chunk": lambda: forecast("llama-2-7b", prompt=2000, chunk=sym.chunk).ttft,
    "open bounds": lambda: (
        forecast(
            "mistral-7b-v0.1",
            prompt=sym.prompt,
            generate=1,
            batch=sym.batch,
            past=sym.past,
            engine="llama.cpp",
        ).ttft
    ),
}


@cache
def formula(name: str) -> tuple[Expr, tuple[Symbol, ...]]:
    expr = MAKERS[name]().expr
    return expr, tuple(sorted(expr.free_symbols, key=str))


def points(symbols: Sequence[Symbol], count: int) -> np.ndarray:
    """Random points, a column each."""
    rng = random.Random(len(symbols))
    columns = []
    for symbol in symbols:
        low, high = RANGES[symbol.name]
        made = [math.exp(rng.uniform(math.log(low), math.log(high))) for _ in range(count)]
        columns.append([float(int(x)) if symbol.name in COUNTS else x for x in made])
    return np.array(columns)


def number(expr: Expr, at: dict[Symbol, Rational]) -> Expr:
    """An exact value; sums without a closed form term by term."""
    return written_out(expr.xreplace(at)).doit()


def written_out(expr: Expr) -> Expr:
    if isinstance(expr, Sum):
        term, (index, low, high) = expr.args
        terms = range(int(low.doit()), int(high.doit()) + 1)
        return Add(*(term.xreplace({index: Integer(i)}).doit() for i in terms))
    return expr.func(*map(written_out, expr.args)) if expr.has(Sum) else expr


@pytest.mark.parametrize("name", MAKERS)
def test_derivatives_are_those_of_the_formula(name: str) -> None:
    """Against SymPy's derivatives, exact numbers at random points, for scalars and arrays."""
    expr, symbols = formula(name)
    columns = points(symbols, 12)
    slopes = gradient(expr)
    made = {each: ls.compile(expr, symbols, each, gradient=True) for each in ("numpy", "native")}
    arrays = made["numpy"](*columns)
    sizes = np.vstack([arrays[:1], arrays[0] / columns])  # where parts cancel, zero is a residue
    assert np.all(np.abs(np.subtract(made["native"](*columns), arrays)) <= 1e-12 * sizes)
    assert np.array_equal(arrays[0], ls.compile(expr, symbols)(*columns))
    for k, point in enumerate(columns.T[:3]):
        at = dict(zip(symbols, map(Rational, point), strict=True))
        value, *found = made["numpy"](*point)
        assert np.all(np.abs([value, *found] - np.array(arrays)[:, k]) <= 1e-13 * sizes[:, k])
        for symbol, slope in zip(symbols, found, strict=True):
            true = float(number(slopes[symbol], at).evalf(DIGITS))
            limit = 1e-13 * value / float(at[symbol])
            assert slope == pytest.approx(true, rel=1e-10, abs=limit), symbol


@pytest.mark.parametrize("name", MAKERS)
def test_derivatives_are_limits_of_differences(name: str) -> None:
    """Against central differences in rationals, which know of no rule."""
    expr, symbols = formula(name)
    columns = points(symbols, 9)[:, -2:]
    value, *found = ls.compile(expr, symbols, gradient=True)(*columns)
    for k, point in enumerate(columns.T):
        at = dict(zip(symbols, map(Rational, point), strict=True))
        for i, symbol in enumerate(symbols):
            if symbol.name in COUNTS:  # a closed form goes on between whole numbers by convention
                continue
            step = at[symbol] / 10**12
            ends = [number(expr, at | {symbol: at[symbol] + side * step}) for side in (1, -1)]
            slope = float((ends[0] - ends[1]) / (2 * step))
            limit = 1e-9 * value[k] / float(at[symbol])
            assert found[i][k] == pytest.approx(slope, rel=1e-9, abs=limit), symbol


def test_some_derivatives_of_several_formulas() -> None:
    """In the order of the list, formula by formula; as those of all arguments."""
    expr, symbols = formula("open bounds")
    more = expr * sym.batch + sym.past
    columns = points(symbols, 20)
    chosen = ["memory_efficiency", sym.compute_efficiency]
    for target in ("numpy", "native"):
        first, second, *found = ls.compile([expr, more], symbols, target, gradient=chosen)(*columns)
        value, *every = ls.compile(expr, symbols, target, gradient=True)(*columns)
        memory, compute = (
            every[[s.name for s in symbols].index(name)]
            for name in ("memory_efficiency", "compute_efficiency")
        )
        batch = columns[symbols.index(sym.batch)]
        expected = [memory, compute, memory * batch, compute * batch]
        assert np.allclose(found, expected, rtol=1e-12, atol=0)
        assert np.allclose(
            [first, second], [value, value * batch + columns[symbols.index(sym.past)]]
        )
    small = ls.compile(expr, symbols, gradient=chosen).program
    assert len(small.ops) < 2.5 * len(lower([expr], symbols).ops)
    alone = ls.compile(expr, symbols, gradient=[])(*columns)
    assert isinstance(alone, tuple)
    assert len(alone) == 1


X, Y, N = sym.batch, sym.past, sym.generated
RULES: list[tuple[Expr, dict[Symbol, float], dict[Symbol, float]]] = [
    (X * Y * X + 3 * X, {X: 2, Y: 5}, {X: 23, Y: 4}),
    (X**3 / (Y + 1) ** 2, {X: 2, Y: 1}, {X: 3, Y: -2}),
    (X ** Rational(5, 2), {X: 4}, {X: 20}),
    (X**Y, {X: 3, Y: 2}, {X: 6, Y: 9 * math.log(3)}),
    (log(X) * Y, {X: 4, Y: 8}, {X: 2, Y: math.log(4)}),
    (Maximum(X, Y, 3), {X: 5, Y: 4}, {X: 1, Y: 0}),
    (Minimum(X, Y, 30), {X: 5, Y: 4}, {X: 0, Y: 1}),
    (Maximum(2 * X, Y), {X: 2, Y: 4}, {X: 1, Y: 0.5}),
    (Maximum(3 * Y, 2 * Y + X, Y + 2 * X), {X: 4, Y: 4}, {X: 1, Y: 2}),
    (Minimum(3 * Y, 2 * Y + X, Y + 2 * X), {X: 4, Y: 4}, {X: 1, Y: 2}),
    (CeilDiv(X, 4) * Y + FloorDiv(X, 3) * X, {X: 8, Y: 3}, {X: 2, Y: 2}),
    (5 * X - 4 * CeilDiv(X, 4) * Y, {X: 7, Y: 3}, {X: 5, Y: -8}),
    (X + Y - Y * CeilDiv(X, Y), {X: 9, Y: 4}, {X: 1, Y: -2}),
    (Crossing(-X, Integer(2), N) * Y, {X: 100, N: 8, Y: 3}, {X: 0, N: 3, Y: 8}),
    (Crossing(-X, Integer(2), N) * Y, {X: 9, N: 8, Y: 3}, {X: 0, N: 0, Y: 5}),
    (SumMax(N, X, Integer(0), Y, Integer(2)), {N: 6, X: 8, Y: 1}, {N: 12, X: 4, Y: 2}),
]


@pytest.mark.parametrize(("expr", "at", "slopes"), RULES, ids=str)
def test_rules(expr: Expr, at: dict[Symbol, float], slopes: dict[Symbol, float]) -> None:
    """By hand; at a tie of k lines each counts 1/k, also of nested maxima."""
    symbols = list(at)
    for target in ("numpy", "native"):
        _, *found = ls.compile(expr, symbols, target, gradient=True)(*at.values())
        assert found == pytest.approx([slopes[symbol] for symbol in symbols], rel=1e-15)


def test_a_derivative_that_is_zero_has_the_shape_of_the_others() -> None:
    _, *found = ls.compile(CeilDiv(X, 4) * Y, [X, Y], gradient=True)(np.arange(1, 4), 2.0)
    assert [each.tolist() for each in found] == [[0, 0, 0], [1, 1, 1]]


LINES = Maximum(700 + 3 * sym.index, X + sym.index, Y * sym.index)


def test_a_sum_has_the_derivatives_of_its_terms() -> None:
    """A loop for every argument; rounded bounds are flat, others have no derivative."""
    total = Sum(LINES * (Y + sym.index), (sym.index, 2, CeilDiv(X, 4))) * X
    x, y = np.array([37.0, 801.0, 1399.0]), np.array([3.0, 8.5, 90.0])
    value, *found = ls.compile(total, [X, Y], gradient=True)(x, y)
    true = []
    for a, b in zip(x, y, strict=True):
        rows = []
        for i in range(2, math.ceil(a / 4) + 1):
            lines = {700.0 + 3 * i: (0.0, 0.0), a + i: (1.0, 0.0), b * i: (0.0, float(i))}
            top = max(lines)
            in_x, in_y = lines[top]
            rows.append((top * (b + i), in_x * (b + i), in_y * (b + i) + top))
        sums = np.sum(rows, axis=0)
        true.append((sums[0] * a, sums[1] * a + sums[0], sums[2] * a))
    assert np.allclose(np.array([value, *found]).T, true, rtol=1e-13)
    open_ended = Sum(LINES, (sym.index, 2, X))
    assert ls.compile(open_ended, [X, Y], gradient=["past"])(9, 200.0) == pytest.approx(
        (706 + 709 + 200 * 39, 39)
    )
    with pytest.raises(SymbolError, match="no derivative in its bounds"):
        ls.compile(open_ended, [X, Y], gradient=["batch"])


def test_nested_sums() -> None:
    inner = Sum(Maximum(sym.index * sym.chunk, 90 * Y, X), (sym.index, 1, sym.chunk))
    total = Sum(inner * X, (sym.chunk, 0, CeilDiv(Y, 3))) / 7
    at = {X: Rational(101), Y: Rational(11, 2) * 5}
    _, *found = ls.compile(total, [X, Y], gradient=True)(*map(float, at.values()))
    step = Rational(1, 10**9)
    for symbol, slope in zip(at, found, strict=True):
        ends = []
        for side in (1, -1):
            x, y = (at | {symbol: at[symbol] + side * step}).values()
            rows = range(math.ceil(y / 3) + 1)
            ends.append(sum(max(i * c, 90 * y, x) * x for c in rows for i in range(1, c + 1)) / 7)
        assert slope == pytest.approx(float((ends[0] - ends[1]) / (2 * step)), rel=1e-12)


BAD: list[tuple[Any, str]] = [
    (["memory_eficiency"], "memory_efficiency"),
    (["window"], "a derivative of window, which is no argument"),
    ("past", "gradient is True, False or a list of arguments, not 'past'"),
    (None, "gradient is True, False or a list of arguments, not None"),
    (1, "gradient is True, False or a list of arguments, not 1"),
    (["past", sym.past], "a derivative is given twice: past"),
    ([3], "a symbol or its name, not 3"),
]


@pytest.mark.parametrize(("given", "message"), BAD, ids=str)
def test_unknown_derivatives_are_refused(given: Any, message: str) -> None:
    with pytest.raises(SymbolError, match=message) as problem:
        ls.compile(X * Y, [X, Y], gradient=given)
    assert "\n" not in str(problem.value)
