"""Our SymPy functions: exact values, folding, derivatives, printing, rebuilding."""

import math
import pickle
import subprocess
import sys
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from strategies import rationals
from sympy import Expr, Integer, Rational, Symbol, lambdify, symbols

from lifesym import symbols as sym
from lifesym.nodes import Active, CeilDiv, FloorDiv, Maximum, Minimum, relax
from lifesym.remainders import ChunksBefore, LastChunk, spelt_out, without_differences

a, b, c = symbols("a b c", positive=True)
x = Symbol("x", real=True)
signed = st.fractions(-50, 50, max_denominator=12).map(Rational)
NODES = (
    Maximum(a, b, 3),
    Minimum(a, 2 * b),
    Active(a, b, c),
    CeilDiv(a, b),
    FloorDiv(a + 1, b),
    Maximum(Minimum(a, b), CeilDiv(a, 7)),
    LastChunk(a, b),
    LastChunk(a, 7),
    ChunksBefore(a, 7) * (ChunksBefore(a, 7) - 1),
)


@given(values=st.lists(signed, min_size=1, max_size=5))
def test_extrema_of_numbers(values: list[Rational]) -> None:
    assert Maximum(*values) == max(values)
    assert Minimum(*values) == min(values)


@given(coefficients=st.lists(signed, min_size=1, max_size=5), value=rationals())
def test_folding_never_changes_a_value(coefficients: list[Rational], value: Rational) -> None:
    """Multiples of a positive symbol, of a real one, and constants, of either sign."""
    for symbol, number in ((a, value), (x, value), (x, -value)):
        terms = [k * symbol for k in coefficients]
        moved = [*terms, *(term + k for term, k in zip(terms, coefficients, strict=True))]
        for args in (terms, [*terms, Integer(0)], [*terms, b], [*terms, coefficients[0]], moved):
            known = {symbol: number, b: Rational(7, 3)}
            exact = [Integer(0) + arg.xreplace(known) for arg in map(sympy.sympify, args)]
            assert Maximum(*args).xreplace(known) == max(exact)
            assert Minimum(*args).xreplace(known) == min(exact)


def test_folding_rules() -> None:
    assert Maximum(2 * a, 3 * a) == 3 * a
    assert Minimum(2 * a, 3 * a) == 2 * a
    assert Maximum(-2 * a, -3 * a) == -2 * a
    assert Maximum(0, a) == a
    assert Maximum(-1, a, b) == Maximum(a, b)
    assert Minimum(0, a) == 0
    assert (Maximum(0, -a), Minimum(0, -a)) == (0, -a)
    assert Maximum(x - 1, x + 2, b) == Maximum(x + 2, b)
    assert Minimum(a + b, a + b - 3) == a + b - 3
    assert Maximum(2 * x, 3 * x).args == (2 * x, 3 * x), "the sign of x is not known"
    assert Maximum(0, x).args == (0, x)
    assert Maximum(a, a) == Maximum(a) == a
    assert Maximum(a, Maximum(b, c)) == Maximum(Maximum(a, b), c) == Maximum(c, b, a)
    assert Maximum(a, Minimum(a, b)).has(Minimum)


@given(data=st.data())
def test_folding_term_by_term_never_changes_a_value(data: st.DataObject) -> None:
    """Sums over the same terms, of numbers of either sign and zero, some of unknown sign."""
    n = Symbol("n", nonnegative=True)
    bases = (Integer(1), a, b, a * (b + 1), n, x)
    numbers = st.lists(st.integers(-2, 2), min_size=len(bases), max_size=len(bases))
    args = [
        sympy.Add(*(k * base for k, base in zip(ks, bases, strict=True)))
        for ks in data.draw(st.lists(numbers, min_size=2, max_size=4))
    ]
    for known in ({a: Rational(1, 9), b: Integer(7), n: Integer(0), x: Integer(-3)},
                  {a: Integer(5), b: Rational(1, 8), n: Integer(2), x: Integer(4)}):  # fmt: skip
        exact = [arg.xreplace(known) for arg in args]
        assert Maximum(*args).xreplace(known) == max(exact)
        assert Minimum(*args).xreplace(known) == min(exact)


def test_an_argument_beyond_another_one_term_by_term_takes_its_place() -> None:
    n = Symbol("n", nonnegative=True)
    assert Maximum(a / 7 + Rational(1, 7), a / 3 + Rational(1, 3)) == a / 3 + Rational(1, 3)
    assert Maximum(2 * b * (a + 1), 3 * b * (a + 1) + c) == 3 * b * (a + 1) + c
    assert Minimum(2 * b * (a + 1), 3 * b * (a + 1) + c) == 2 * b * (a + 1)
    assert Maximum(a, a + n) == a + n, "zero is no less"
    assert Maximum(a - b, a) == a
    assert Maximum(a - b, a - 2 * b) == a - b
    assert Maximum(a, a + x).args == (a, a + x), "the sign of x is not known"
    assert len(Maximum(a + 2 * b, 2 * a + b).args) == 2, "each is beyond the other in a term"
    assert Maximum(a, a + b, c, a + b + n).args == Maximum(a + b + n, c).args


@pytest.mark.parametrize("node", NODES, ids=str)
def test_a_node_is_its_arguments(node: Expr) -> None:
    assert node.func(*node.args) == node
    assert pickle.loads(pickle.dumps(node)) == node  # noqa: S301 (its own bytes)
    assert node.xreplace({a: a}) == node


def test_a_pickle_is_read_by_another_process() -> None:
    expr = sym.batch * Maximum(sym.past, CeilDiv(sym.prompt, sym.chunk))
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer))"
    result = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(expr), capture_output=True, check=True
    )
    assert result.stdout.decode().strip() == str(expr)


TRAPS = [(525, 75), (49, 49), (100, 64), (1, 3), (0, 7), (10**9, 49), (7 * 49, 49), (2**24, 75)]


@pytest.mark.parametrize(("numerator", "denominator"), TRAPS)
def test_division_traps(numerator: int, denominator: int) -> None:
    """Multiplying by a reciprocal gives 8 for 525/75 and 0 for 49/49."""
    up, down = -(-numerator // denominator), numerator // denominator
    assert CeilDiv(Integer(numerator), Integer(denominator)) == up
    assert FloorDiv(Integer(numerator), Integer(denominator)) == down
    for node, value in ((CeilDiv(a, b), up), (FloorDiv(a, b), down)):
        for modules in ("numpy", "math"):
            function = lambdify([a, b], node, modules)
            assert function(float(numerator), float(denominator)) == value


@pytest.mark.parametrize("divisor", [1, 2, 3, 7, 49, 64, 75, 98, 147])
def test_division_by_numpy_equals_integers(divisor: int) -> None:
    sizes = np.arange(0, 20_000)
    for node, exact in (
        (CeilDiv(a, Integer(divisor)), -(-sizes // divisor)),
        (FloorDiv(a, Integer(divisor)), sizes // divisor),
    ):
        assert np.array_equal(lambdify([a], node, "numpy")(sizes.astype(float)), exact)


@given(numerator=st.fractions(-100, 100, max_denominator=20), denominator=rationals(40))
def test_division_of_rationals(numerator: Fraction, denominator: Rational) -> None:
    top = Rational(numerator)
    quotient = Fraction(numerator) / Fraction(int(denominator.p), int(denominator.q))
    assert CeilDiv(top, denominator) == math.ceil(quotient)
    assert FloorDiv(top, denominator) == math.floor(quotient)


@given(numerator=st.integers(0, 400), denominator=st.integers(1, 40))
def test_the_bound_of_a_rounded_quotient(numerator: int, denominator: int) -> None:
    known = {a: Integer(numerator), b: Integer(denominator)}
    node = CeilDiv(a, b)
    relaxed, exact, bound = (e.xreplace(known) for e in (node.relax(), node, node.bound()))
    assert relaxed <= exact <= bound


def test_division_rules() -> None:
    assert CeilDiv(a, 1) == a
    assert CeilDiv(a, b).relax() == a / b
    assert CeilDiv(a, b).diff(a) == 1 / b
    assert sympy.expand(FloorDiv(a, b).diff(b) + a / b**2) == 0
    with pytest.raises(ZeroDivisionError):
        CeilDiv(Integer(3), Integer(0))


def test_active_counts_ties() -> None:
    one, two = Integer(1), Integer(2)
    assert Active(two, one) == 1
    assert Active(one, two) == 0
    assert Active(two, two) == Rational(1, 2)
    assert Active(two, two, two) == Rational(1, 3)
    assert Active(two, two, one) == Rational(1, 2)
    assert Active(a, b).diff(a) == 0


@given(values=st.lists(st.integers(1, 3).map(Integer), min_size=2, max_size=4))
def test_shares_add_up_to_one(values: list[Integer]) -> None:
    shares = [Active(v, *values[:i], *values[i + 1 :]) for i, v in enumerate(values)]
    assert sum(shares) == 1


@given(point=st.tuples(rationals(60), rationals(60), rationals(60)))
def test_derivatives_equal_central_differences(point: tuple[Rational, ...]) -> None:
    """Exactly: the functions are linear on either side of a tie."""
    step = Rational(1, 10**9)
    for node in (
        Maximum(2 * a + b, 3 * c, a + c),
        Minimum(2 * a + b, 3 * c, a + c),
        a * Maximum(b, 2 * c),
    ):
        known = dict(zip((a, b, c), point, strict=True))
        extrema = node.atoms(Maximum, Minimum)
        lines = [arg.xreplace(known) for extremum in extrema for arg in extremum.args]
        if any(abs(p - q) < 100 * step for i, p in enumerate(lines) for q in lines[:i]):
            continue
        for symbol in (a, b, c):
            ahead, behind = (
                node.xreplace(known | {symbol: known[symbol] + side * step}) for side in (1, -1)
            )
            assert node.diff(symbol).xreplace(known) == (ahead - behind) / (2 * step)


def test_a_tie_has_the_average_slope() -> None:
    tie = {a: Integer(2), b: Integer(1)}
    assert Maximum(a, 2 * b).diff(a).xreplace(tie) == Rational(1, 2)
    assert Minimum(a, 2 * b).diff(b).xreplace(tie) == 1


@given(values=st.tuples(rationals(), rationals(), rationals()))
def test_numpy_and_python_print_the_exact_value(values: tuple[Rational, ...]) -> None:
    known = dict(zip((a, b, c), values, strict=True))
    floats = [float(value) for value in values]
    for node in (*NODES[:3], NODES[1].diff(a)):
        exact = node.xreplace(known)
        by_numpy = lambdify([a, b, c], node, "numpy")(*(np.array([f]) for f in floats))
        assert float(by_numpy[0] if np.ndim(by_numpy) else by_numpy) == pytest.approx(
            float(exact), rel=1e-12
        )


def test_latex_and_c() -> None:
    assert sympy.latex(Maximum(a, b)) == r"\max\left(a, b\right)"
    assert sympy.latex(Minimum(a, b) ** 2) == r"\min^{2}\left(a, b\right)"
    assert sympy.latex(CeilDiv(a, b)) == r"\left\lceil \frac{a}{b} \right\rceil"
    assert sympy.latex(FloorDiv(a, b)) == r"\left\lfloor \frac{a}{b} \right\rfloor"
    assert sympy.latex(Active(a, b)) == r"\left[a \ge b\right]"
    assert sympy.ccode(Maximum(a, b, c)) == "fmax(fmax(a, b), c)"
    assert sympy.ccode(Minimum(a, b)) == "fmin(a, b)"
    assert sympy.ccode(CeilDiv(a + 1, b)) == "ceil((double)(a + 1)/((double)(b)))"
    assert str(Maximum(a, b)) == "max(a, b)"


@given(values=st.tuples(rationals(), rationals(), rationals()))
def test_the_smooth_maximum_is_above_and_close(values: tuple[Rational, ...]) -> None:
    known = dict(zip((a, b, c), values, strict=True))
    node = Maximum(a, b, c)
    largest = float(node.xreplace(known))
    smooth = float(node.relax(order=16).xreplace(known))
    assert largest * (1 - 1e-12) <= smooth <= largest * 3 ** (1 / 16) * (1 + 1e-12)


def test_relax_reaches_inside() -> None:
    assert relax(a * CeilDiv(b, c) + FloorDiv(a, 2)) == a * b / c + a / 2


def test_multiples_of_what_may_be_negative_stay_apart() -> None:
    """Which is the larger depends on the sign, and the sign is not known."""
    step = a - b
    for args in permutations((step, 2 * step, -step, Integer(0))):
        assert set(Maximum(*args).args) == set(args)
        for value in (-3, 0, 4):
            at = {a: Integer(value + 10), b: Integer(10)}
            assert Maximum(*args).xreplace(at) == max(arg.xreplace(at) for arg in args)
            assert Minimum(*args).xreplace(at) == min(arg.xreplace(at) for arg in args)


def test_the_last_chunk_is_what_a_loop_leaves() -> None:
    """For every prompt and chunk up to 24; also as its difference, printed for NumPy and in C."""
    call = lambdify([a, b], [LastChunk(a, b), ChunksBefore(a, b)], "numpy")
    for prompt in range(1, 25):
        for chunk in range(1, 25):
            left, before = prompt, 0
            while left > chunk:
                left, before = left - chunk, before + 1
            at = {a: Integer(prompt), b: Integer(chunk)}
            assert (LastChunk(a, b).xreplace(at), ChunksBefore(a, b).xreplace(at)) == (left, before)
            assert spelt_out(LastChunk(a, b) + ChunksBefore(a, b)).xreplace(at) == left + before
            assert tuple(map(int, call(prompt, chunk))) == (left, before)
            assert 1 <= left <= chunk


def test_a_last_chunk_knows_its_sign_and_stays_in_print() -> None:
    last, before = LastChunk(a, b), ChunksBefore(a, b)
    assert last.is_positive
    assert before.is_nonnegative
    assert Maximum(0, 3 * last) == 3 * last
    assert (LastChunk(a, a), LastChunk(a, 1), ChunksBefore(a, a), ChunksBefore(a, 1)) == (
        *(a, 1),
        *(0, CeilDiv(a, 1) - 1),
    )
    assert str(2 * before * last) == "2*(CeilDiv(a, b) - 1)*LastChunk(a, b)"
    assert sympy.latex(last**2 * before**2) == (
        r"\left(\left\lceil \frac{a}{b} \right\rceil - 1\right)^{2} R_{a,b}^{2}"
    )
    assert (last.diff(a), last.diff(b), relax(last)) == (0, 1, b)
    assert relax(a - last) == a - b


@given(data=st.data())
def test_differences_are_written_without_them_at_the_same_value(data: st.DataObject) -> None:
    last = LastChunk(a, b)
    parts = (a, last, a * last, last**2, c * a, c * last, a - last, b, Integer(1), CeilDiv(a, b))
    numbers = st.lists(st.integers(-3, 3), min_size=len(parts), max_size=len(parts))
    expr = sympy.Add(*(k * part for k, part in zip(data.draw(numbers), parts, strict=True)))
    made = without_differences(expr)
    for prompt, chunk in ((1, 5), (5, 5), (6, 5), (29, 4), (28, 4)):
        at = {a: Integer(prompt), b: Integer(chunk), c: Rational(2, 3)}
        assert made.xreplace(at) == expr.xreplace(at)


def test_what_is_before_the_last_chunk_is_no_difference() -> None:
    last = LastChunk(a, b)
    assert without_differences(a - last) == b * ChunksBefore(a, b)
    assert without_differences(a * last - last**2) == b * ChunksBefore(a, b) * last
    assert without_differences(8192 - LastChunk(8192, b)) == b * ChunksBefore(8192, b)
    assert without_differences(a - c + c - last + 1) == b * ChunksBefore(a, b) + 1
    top = LastChunk(a - 7, b)
    assert without_differences(a - top) == b * ChunksBefore(a - 7, b) + 7
