"""Closed sums equal the loop they replace, exactly."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import rationals
from sympy import Expr, Integer, Rational, Sum, Symbol, expand, lambdify, symbols

from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.sums import Crossing, SumMax, sum_over
from lifesym.symbols import index

n = Symbol("n", positive=True)
a, c, w = symbols("a c w", positive=True)
b, d = symbols("b d", nonnegative=True)
LINES = (a, b, c, d)


def loop(expr: Expr, count: int, values: dict[Symbol, Expr]) -> Expr:
    """The sum by adding up."""
    bound = expr.xreplace(values)
    return sum((bound.xreplace({index: Integer(i)}) for i in range(count)), Integer(0))


def agrees(expr: Expr, count: int, values: dict[Symbol, Expr]) -> bool:
    """The symbolic sum, bound, and the sum of the bound expression are both the loop's value."""
    expected = loop(expr, count, values)
    symbolic = sum_over(expr, n).xreplace(values | {n: Integer(count)}).doit()
    early = sum_over(expr.xreplace(values), Integer(count)).doit()
    return symbolic == expected == early


def rational(random: Random, low: int = 0) -> Rational:
    return Rational(random.randint(low, 60), random.choice([1, 1, 1, 2, 3, 7]))


@pytest.mark.parametrize("seed", range(10))
def test_maxima_of_two_lines(seed: int) -> None:
    """Slopes either way, parallel and equal lines, ties on a grid point, crossings outside."""
    random = Random(seed)
    expr = Maximum(a + b * index, c + d * index)
    symbolic = sum_over(expr, n)
    for _ in range(200):
        count = random.randint(1, 25)
        values = {symbol: rational(random, low=symbol in (a, c)) for symbol in LINES}
        kind = random.choice(["free", "free", "parallel", "tie", "equal"])
        if kind == "parallel":
            values[d] = values[b]
        elif kind == "tie":
            at = random.randint(0, count)
            values[c] = max(values[a] + (values[b] - values[d]) * at, Integer(1))
        elif kind == "equal":
            values[c], values[d] = values[a], values[b]
        bound = symbolic.xreplace(values | {n: Integer(count)})
        assert bound.doit() == loop(expr, count, values), values


@pytest.mark.parametrize("seed", range(5))
def test_lines_that_fall(seed: int) -> None:
    """Numbers of either sign: ``SumMax`` does not need its lines to rise."""
    random = Random(100 + seed)
    lines = symbols("p q r s", real=True)
    numeric = lambdify([n, *lines], SumMax(n, *lines), "numpy")
    for _ in range(100):
        count = random.randint(1, 20)
        p, q, r, s = (rational(random, low=-60) for _ in range(4))
        expected = sum(max(p + q * i, r + s * i) for i in range(count))
        assert SumMax(Integer(count), p, q, r, s) == expected
        value = numeric(np.array([float(count)]), *map(float, (p, q, r, s)))
        assert value[0] == pytest.approx(float(expected), rel=1e-12, abs=1e-9)


WINDOWED = (
    Minimum(a + index, w),
    3 * Minimum(a + index, w) + index**2,
    Maximum(5 * c, 2 * Minimum(a + index, w) + 7),
    Maximum(c + Minimum(a + index, w), 2 * Minimum(a + index, w)),
    Maximum(c + d * index, Minimum(a + index, w)) + Minimum(a + index, w),
    Minimum(a + b * index + index, w, c),
    c * (a + Minimum(a + index, w)) * (1 + Minimum(a + index, w)),
)


@pytest.mark.parametrize("expr", WINDOWED, ids=str)
def test_windows(expr: Expr) -> None:
    """The window binds from the start, in the middle, on the last step, or never."""
    random = Random(str(expr))
    for _ in range(40):
        values = {symbol: Integer(random.randint(1, 30)) for symbol in (a, c, w)}
        values |= {symbol: Integer(random.randint(0, 4)) for symbol in (b, d)}
        assert agrees(expr, random.randint(1, 25), values), values


@given(
    coefficients=st.lists(rationals(20), min_size=1, max_size=4),
    count=st.integers(1, 30),
)
def test_polynomials(coefficients: list[Rational], count: int) -> None:
    expr = sum((k * index**power for power, k in enumerate(coefficients)), Integer(0))
    assert agrees(expr, count, {})
    assert not sum_over(expr, n).has(Sum)


def test_what_has_no_closed_form_is_still_exact() -> None:
    three_lines = Maximum(a + index, 2 * index, c)
    assert sum_over(three_lines, n).has(Sum)
    assert agrees(three_lines, 9, {a: Integer(3), c: Integer(5)})
    two_windows = Maximum(Minimum(a + index, w), Minimum(c + index, 2 * w))
    assert sum_over(two_windows, n).has(Sum)
    assert agrees(two_windows, 12, {a: Integer(1), c: Integer(2), w: Integer(5)})


def test_terms_without_the_index_are_multiplied() -> None:
    assert sum_over(a * c, n) == a * c * n
    assert sum_over(a * Maximum(c, w), n) == n * a * Maximum(c, w)
    assert sum_over(a * index, Integer(1)) == 0
    assert expand(sum_over(a + index, n) - (a * n + n * (n - 1) / 2)) == 0


def test_known_upper_lines_are_plain_series() -> None:
    assert not sum_over(Maximum(a + index, a + 2 * index), n).has(SumMax)
    assert not sum_over(Maximum(a, a + c + index), n).has(SumMax)


@given(p=st.integers(-30, 30), q=st.integers(0, 6), count=st.integers(0, 12))
def test_crossing_counts_negative_values(p: int, q: int, count: int) -> None:
    exact = sum(p + q * i < 0 for i in range(count))
    assert Crossing(Integer(p), Integer(q), Integer(count)) == exact
    x, y = symbols("x y", real=True)
    numeric = lambdify([x, y, n], Crossing(x, y, n), "numpy")
    arrays = (np.array([float(value)]) for value in (p, q, count))
    assert numeric(*arrays)[0] == exact
    assert lambdify([x, y, n], Crossing(x, y, n), "math")(float(p), float(q), float(count)) == exact


def test_a_sum_rebuilds_and_binds_in_any_order() -> None:
    node = SumMax(n, a, b, c, d)
    assert node.func(*node.args) == node
    values = {n: Integer(9), a: Integer(2), b: Integer(3), c: Integer(7), d: Integer(1)}
    at_once = node.xreplace(values)
    one_by_one: Expr = node
    for symbol, value in reversed(values.items()):
        one_by_one = one_by_one.xreplace({symbol: value})
    assert at_once == one_by_one == node.closed_form().xreplace(values)
    assert at_once == sum(max(2 + 3 * i, 7 + i) for i in range(9))


def test_the_derivative_of_a_sum_is_the_sum_of_derivatives() -> None:
    node = SumMax(n, a, b, c, d)
    values = {n: Integer(9), a: Integer(2), b: Integer(3), c: Integer(7), d: Integer(1)}
    upper = [2 + 3 * i > 7 + i for i in range(9)]
    assert node.diff(a).xreplace(values) == sum(upper)
    assert node.diff(b).xreplace(values) == sum(i for i in range(9) if upper[i])
    assert node.diff(d).xreplace(values) == sum(i for i in range(9) if not upper[i])


def test_pages_and_chunks_keep_their_steps() -> None:
    """Rounded quotients of the index have no polynomial form and stay exact sums."""
    for node in (CeilDiv(a + index, Integer(7)), FloorDiv(a + index, Integer(7))):
        assert agrees(node, 20, {a: Integer(3)})


@pytest.mark.parametrize("count", [1, 7, 40, 131])
def test_rounded_quotients_split_a_range_of_known_length(count: int) -> None:
    pages, chunks = CeilDiv(3 * index + 5, Integer(16)), FloorDiv(index + 29, Integer(32))
    left = index + 29 - 32 * chunks
    for expr in (
        pages**2 * index,
        Maximum(left, 3 * pages + Integer(1)),
        Minimum(index, Integer(50)) * chunks + left**2,
    ):
        closed = sum_over(expr, Integer(count))
        assert closed == loop(expr, count, {})  # no `Sum` left to evaluate
    many = FloorDiv(5 * index, Integer(2))
    assert sum_over(many, Integer(count)).doit() == loop(many, count, {})
    nested = FloorDiv(chunks + index, Integer(3))
    assert sum_over(nested, Integer(count)).doit() == loop(nested, count, {})
