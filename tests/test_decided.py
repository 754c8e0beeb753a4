"""Maxima that are decided: what is left out is never the larger one, on grids of every range."""

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from sympy import Add, Expr, Integer, Mul, Rational, Symbol, log

import lifesym as ls
from lifesym import symbols as sym
from lifesym.decided import decided
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.powers import replaced, sign
from lifesym.spans import end, interval, never_negative
from lifesym.sums import SumMax

B, T, P = sym.batch, sym.past, sym.prompt
Ranges = dict[Symbol, tuple[Any, Any]]


def grid(ranges: Ranges, count: int = 5) -> Iterator[dict[Symbol, Expr]]:
    """Points all over a box, its corners among them."""
    sides = []
    for low, high in ranges.values():
        sides.append([low + (high - low) * Rational(i, count - 1) for i in range(count)])
    for values in product(*sides):
        yield dict(zip(ranges, values, strict=True))


def drawn(rng: random.Random) -> Expr:
    """A sum of a few products, roundings and powers, with numbers of either sign."""
    parts = (
        Integer(1), B, T, P, B * T, B * P, T**2, B * (T + 1), 1 / B, T / B, P / (B + 1),
        CeilDiv(P, 8), FloorDiv(T, 4), Rational(3, 4) ** B, Minimum(T, 6), Maximum(B, T - 2),
        log(P + 1), P - CeilDiv(P, 8),
    )  # fmt: skip
    numbers = (0, 1, 1, 2, 3, 5, -1, -2, Rational(1, 3))
    return Add(*(rng.choice(numbers) * rng.choice(parts) for _ in range(rng.randint(1, 3))))


@pytest.mark.parametrize("seed", range(60))
def test_nothing_that_counts_is_left_out(seed: int) -> None:
    """Random maxima and minima over random ranges: the same value at every point of a grid."""
    rng = random.Random(seed)
    ranges: Ranges = {}
    for symbol, least in ((B, 1), (T, 0), (P, 1)):
        low = Rational(rng.choice((least, least, 3, 7)))
        ranges[symbol] = low, low + rng.choice((0, 1, 4, 30))
    for _ in range(12):
        node = rng.choice((Maximum, Minimum))(*(drawn(rng) for _ in range(rng.choice((2, 2, 3)))))
        short = decided(node, ranges)
        for point in grid(ranges, 4) if short != node else ():
            assert sign(replaced(node - short, point)) == 0, (node, short, point)


@pytest.mark.parametrize("seed", range(20))
def test_intervals_hold_every_value(seed: int) -> None:
    rng = random.Random(seed)
    ranges: Ranges = {B: (Integer(1), Integer(9)), T: (Integer(0), Integer(17)), P: (2, 33)}
    box = {symbol: (end(low), end(high)) for symbol, (low, high) in ranges.items()}
    for _ in range(20):
        expr = Mul(*(drawn(rng) for _ in range(rng.choice((1, 1, 2)))))
        ends = interval(expr, box)
        for point in grid(ranges, 4) if ends else ():
            value = replaced(expr, point)
            assert sign(value - Rational(ends[0])) >= 0 if ends[0] > -float("inf") else True
            assert sign(Rational(ends[1]) - value) >= 0 if ends[1] < float("inf") else True


def test_the_table_says_where_nobody_does() -> None:
    """The batch is at least 1, the context 0; a ratio at most 1."""
    assert decided(Maximum(2 * B * T, T)) == 2 * B * T
    assert decided(Maximum(B, 1)) == B
    assert decided(Maximum(T, 1)) == Maximum(T, 1)
    assert decided(Maximum(1 / sym.memory_efficiency, 1)) == 1 / sym.memory_efficiency
    assert decided(Minimum(sym.acceptance, 1)) == sym.acceptance
    assert decided(Maximum(B**2, B)) == B**2
    either = Maximum(T / (sym.bandwidth * sym.memory_efficiency), B / sym.peak)
    assert decided(either) == either
    assert decided(Maximum(B * T, 3 * T / 2, T)) == Maximum(B * T, 3 * T / 2)


def test_ranges_decide_up_to_their_ends() -> None:
    assert decided(Minimum(T, 4096), {T: (0, 4096)}) == T
    assert decided(Minimum(T, 4096), {T: (0, 4097)}) == Minimum(T, 4096)
    assert decided(Minimum(T, 4096), {T: (4096, 9000)}) == 4096
    assert decided(Maximum(T, B), {T: (0, 8), B: (8, 9)}) == B
    assert decided(Maximum(T, B), {T: (0, 8.5), B: (8, 9)}) == Maximum(T, B)
    assert decided(Maximum(T, B), {T: (5, 5), B: (5, 5)}) in (T, B)
    assert decided(Maximum(T * (10 - T), 26), {T: (0, 10)}) == 26, "the box is halved"
    assert decided(Maximum(T * (10 - T), Rational(249, 10)), {T: (0, 10)}).has(Maximum)


def test_of_equal_arguments_one_is_left() -> None:
    assert decided(Maximum(B * (T + 1), B * T + B)) in (B * (T + 1), B * T + B)
    assert decided(Maximum(B * (T + 1), B * T + B, P)).args[1:] != ()


def test_inner_maxima_are_decided_first() -> None:
    node = Maximum(Minimum(T, 100) + B, T)
    assert decided(node, {T: (0, 100)}) == B + T
    assert decided(3 * B + Maximum(2 * B, Maximum(T, 8) / 8), {T: (0, 8)}) == 5 * B


def test_sums_of_maxima_become_series() -> None:
    node = SumMax(P, B + 3, 2 * B, Integer(4), B)
    assert decided(node) == P * (B + 3) + 2 * B * P * (P - 1) / 2
    assert decided(SumMax(P, B, 2 * B, Integer(4), B)).has(SumMax)
    falling = SumMax(P, 8 * B, Integer(1), Integer(0), Integer(2))
    assert decided(falling, {B: (1, 9), P: (1, 9)}) == 8 * B * P + P * (P - 1) / 2
    assert decided(falling, {B: (1, 9), P: (1, 10)}).has(SumMax)
    for b, p in product((1, 4, 9), (1, 2, 9)):
        at = {B: Integer(b), P: Integer(p)}
        assert falling.xreplace(at) == decided(falling, {B: (1, 9), P: (1, 9)}).xreplace(at)


def test_experts_that_nobody_chooses() -> None:
    """Powers are bounded by intervals: the experts read are at least those of one sequence."""
    read = 128 - 128 * Rational(15, 16) ** B
    assert decided(Maximum(read, 7)) == read
    assert decided(Maximum(read, 9)).has(Maximum)
    assert decided(Maximum(read, 9), {B: (2, 64)}) == read
    assert decided(Maximum(read, 129)) == 129


def test_signs_of_polynomials() -> None:
    x = Symbol("x", real=True)
    box = {B: (end(1), end(3)), x: (end(-2), end(2))}
    assert never_negative(x + 2, box)
    assert not never_negative(x + 1, box)
    assert never_negative((B**2 - 2 * B + 1).expand(), {B: (end(1), float("inf"))})
    assert not never_negative(B * x + 5, box)
    assert never_negative(B * x + 6, box)
    assert not never_negative(sym.prompt + x, box), "a symbol without a range"


@pytest.mark.parametrize("name", ["llama-3.1-8b", "qwen3-30b-a3b", "gemma-3-4b", "deepseek-v3"])
def test_forecasts_keep_their_values(name: str) -> None:
    f = ls.forecast(name, ls.typical("h100"), batch=B)
    ranges: Ranges = {B: (1, 64), P: (512, 8192), T: (0, 32768)}
    for expr in (f.ttft.expr, f.tpot.expr):
        short = decided(expr, ranges)
        assert len(short.atoms(Maximum)) < len(expr.atoms(Maximum))
        for point in product((1, 7, 63), (512, 515, 8191), (0, 999)):
            at = {symbol: Integer(v) for symbol, v in zip(ranges, point, strict=True)}
            assert sign(replaced(expr - short, at)) == 0
