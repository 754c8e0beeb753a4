"""Ranges and errors of single operations against their worst cases, enumerated at the ends.

Bounds must hold, and those of one operation must be no wider than its worst case: a bound that is
too wide is a certificate that says less than it could.
"""

import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest

from lifesym import symbols as sym
from lifesym.codegen.blocked import _summed as summed_up
from lifesym.codegen.grid import Grid, bends, corners, interpolated, sample
from lifesym.codegen.lowering import lower
from lifesym.codegen.program import Op, Program
from lifesym.codegen.ranges import FLOAT, _constant, _pieces, _range, _summed, _switched
from lifesym.codegen.rules import RULES, remainder
from lifesym.codegen.running import Arithmetic, Range
from lifesym.codegen.table import Table
from lifesym.codegen.table_error import float_error
from lifesym.errors import SymbolError

pytestmark = pytest.mark.fast
TOY = Arithmetic("toy", 2.0**-10, 1e30, 2.0**-40, 2.0**10)
DONE = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "max": max,
    "min": min,
}
BIG = (2**70, 2**80, 1)
A = Range(2.0, 4.0, 0.5, 0.25, 2.0)
B = Range(3.0, 5.0, 0.1, 0.05, 3.0)
NEGATIVE = Range(-4.0, -2.0, 0.5, 0.25, 2.0)
AROUND = Range(-2.0, 3.0, 0.25, math.inf, 0.0)


def ends(a: Range) -> list[tuple[Fraction, Fraction]]:
    """True values at the ends, with computed ones as far off as both errors allow."""
    found = []
    for end in (a.low, a.high):
        true = Fraction(end)
        off = min(Fraction(a.error), Fraction(min(a.relative, 1e9)) * abs(true))
        found += [(true, true + side * off) for side in (-1, 0, 1)]
    return found


def worst(kind: str, a: Range, b: Range) -> tuple[float, float, float, float]:
    """The least and largest true result, and the largest errors found."""
    true, absolute, relative = [], [], []
    for (x, computed_x), (y, computed_y) in product(ends(a), ends(b)):
        exact, off = DONE[kind](x, y), DONE[kind](computed_x, computed_y)
        true.append(exact)
        absolute.append(abs(off - exact))
        relative.append(abs(off / exact - 1) if exact else 0)
    return tuple(map(float, (min(true), max(true), max(absolute), max(relative))))


@pytest.mark.parametrize("kind", DONE)
@pytest.mark.parametrize("a", [A, NEGATIVE, AROUND])
@pytest.mark.parametrize("b", [B, Range(-5.0, -3.0, 0.1, 0.05, 3.0)])
def test_no_rule_is_below_its_worst_case(kind: str, a: Range, b: Range) -> None:
    made = RULES[kind]((a, b), TOY).settled()
    low, high, absolute, relative = worst(kind, a, b)
    assert (made.low, made.high) == pytest.approx((low, high))
    assert made.error >= absolute * (1 - 1e-12)
    assert made.relative >= relative * (1 - 1e-12) or made.low <= 0 <= made.high


@pytest.mark.parametrize("kind", ["add", "mul", "div"])
def test_bounds_of_one_operation_are_its_worst_case(kind: str) -> None:
    """The errors of both operands at the ends where they count most."""
    a, b = Range(2.0, 4.0, 0.5, 0.125, 2.0), Range(3.0, 5.0, 0.3, 0.1, 3.0)
    made = RULES[kind]((a, b), TOY)
    absolute = {"add": 0.5 + 0.3, "mul": 4.5 * 5.3 - 20, "div": 4.5 / 2.7 - 4 / 3}[kind]
    relative = {
        "add": 0.125,
        "mul": 1.125 * 1.1 - 1,
        "div": 1.125 / 0.9 - 1,
    }[kind]
    assert made.error == pytest.approx(absolute)
    assert made.relative == pytest.approx(relative)
    least = {"add": 2.0, "mul": 6.0, "div": 2 / 5}[kind]
    assert made.least == pytest.approx(least)


def test_a_sum_with_a_small_part_has_the_error_of_the_large_one() -> None:
    """0.5 of a sum of at least 102, where the small part alone is off by a quarter."""
    small, large = Range(2.0, 4.0, 0.5, 0.25, 2.0), Range(100.0, 200.0, 1.0, 0.01, 100.0)
    made = RULES["add"]((small, large), TOY)
    assert made.relative == pytest.approx(0.01 + 0.5 / 102)
    assert RULES["add"]((large, small), TOY).relative == pytest.approx(0.01 + 0.5 / 102)
    assert RULES["add"]((AROUND, large), TOY).relative == math.inf
    assert RULES["add"]((AROUND, large), TOY).least == 0
    whole = RULES["add"]((Range(-2.0, 3.0), Range(1.0, 5.0)), TOY)
    assert (whole.relative, whole.least, whole.error) == (0, 1, 0)


def test_a_divisor_that_rounding_may_make_zero_is_refused() -> None:
    for error in (3.0, 4.0):
        with pytest.raises(SymbolError, match="by its rounding"):
            RULES["div"]((A, Range(3.0, 5.0, error, math.inf, 3.0)), TOY)
    RULES["div"]((A, Range(3.0, 5.0, 2.99, math.inf, 3.0)), TOY)
    for divisor in (Range(0.0, 5.0), Range(-5.0, 0.0), Range(-1.0, 1.0)):
        with pytest.raises(SymbolError, match="a divisor can be zero"):
            RULES["div"]((A, divisor), TOY)


def test_a_choice_has_the_errors_of_either() -> None:
    made = RULES["max"]((A, B), TOY)
    assert (made.error, made.relative, made.least) == (0.5, 0.25, 2.0)
    assert RULES["min"]((Range(1.0, 2.0), Range(3.0, 4.0)), TOY).relative == 0
    assert RULES["max"]((A, AROUND), TOY).relative == math.inf
    picked = RULES["pick"]((AROUND, A, B), TOY)
    assert (picked.low, picked.high, picked.error, picked.relative) == (2.0, 5.0, 0.5, 0.25)
    turned = _switched(picked, [AROUND, A, B])
    assert (turned.error, turned.relative) == (0.5 + 3.0, math.inf)
    for settled in (Range(0.3, 1.0, 0.25), Range(-1.0, -0.25, 0.25), Range(-1.0, 1.0)):
        assert _switched(picked, [settled, A, B]) == picked


def test_rounding_and_underflow_add_their_own() -> None:
    unit = 1.01 * TOY.roundoff
    made = A.rounded(TOY)
    assert made.error == pytest.approx(0.5 + 4.5 * unit)
    assert made.relative == pytest.approx(1.25 * (1 + unit) - 1)
    assert (made.low, made.high, made.least) == (A.low, A.high, A.least)
    assert A.underflown(TOY) == A
    tiny = Range(0.0, 1.0, 0.5, 0.25, TOY.smallest / 4)
    assert tiny.underflown(TOY).error == 0.5 + TOY.smallest
    assert tiny.underflown(TOY).relative == 0.25 + 4
    assert Range(0.0, 1.0, 0.5, 0.25, 0.0).underflown(TOY).relative == math.inf


def test_each_error_is_at_most_what_the_other_allows() -> None:
    assert Range(2.0, 4.0, 9.0, 0.25).settled().error == 1.0
    assert Range(2.0, 4.0, 0.5, 9.0).settled().relative == 0.25
    assert Range(0.25, 4.0, 0.125, 9.0).settled().relative == 0.5
    assert Range(2.0, 4.0, 0.5, 9.0).settled().least == 2.0
    assert Range(-4.0, -2.0, 0.5, 9.0).settled().relative == 0.25
    assert Range(-1.0, 2.0, 0.5, math.inf).settled().relative == math.inf
    assert Range(0.0, 0.0, 0.5, 0.1).settled().error == 0.5
    assert (NEGATIVE.signed, A.signed, AROUND.signed) == (-1, 1, 0)
    assert (NEGATIVE.nearest, A.nearest, AROUND.nearest) == (2.0, 2.0, 0.0)


def test_powers_have_the_error_of_their_base_by_the_exponent() -> None:
    base, exponent = Range(2.0, 4.0, 0.08, 0.02, 2.0), Range(1.0, 3.0, 0.0, 0.0, 1.0)
    made = RULES["pow"]((base, exponent), replaced(roundoff=0.0))
    assert (made.low, made.high, made.least) == pytest.approx((2.0, 64.0, 2.0))
    assert made.relative == pytest.approx(0.98**-3 - 1)
    assert made.error == pytest.approx(64 * made.relative)
    rounded = RULES["pow"]((base, exponent), TOY)
    assert rounded.relative == pytest.approx(0.98**-3 * (1 + 4 * TOY.roundoff) - 1)
    shaken = RULES["pow"](
        (Range(2.0, 4.0, least=2.0), Range(1.0, 3.0, 0.25)), replaced(roundoff=0.0)
    )
    assert shaken.relative == pytest.approx(4**0.25 - 1)
    fraction = RULES["pow"]((Range(0.25, 0.5, least=0.25), Range(-1.0, 2.0)), TOY)
    assert (fraction.low, fraction.high, fraction.least) == (1 / 16, 4.0, 1 / 16)
    unknown = RULES["pow"]((Range(2.0, 4.0, 4.0, 1.0, 2.0), exponent), TOY)
    assert unknown.relative == math.inf
    wild = RULES["pow"]((Range(2.0, 4.0, 6.0, 1.5, 2.0), exponent), TOY)
    assert wild.relative == math.inf
    zero = RULES["pow"]((Range(0.0, 0.5), Range(1.0, 2.0)), TOY)
    assert (zero.low, zero.high) == (0.0, 0.5)
    with pytest.raises(SymbolError, match="the base of a power can be negative"):
        RULES["pow"]((Range(-0.5, 2.0), exponent), TOY)
    with pytest.raises(SymbolError, match="a power of zero"):
        RULES["pow"]((Range(0.0, 2.0), Range(0.0, 2.0)), TOY)
    with pytest.raises(SymbolError, match="a power leaves the range"):
        RULES["pow"]((Range(2.0, 10.0), Range(1.0, 400.0)), TOY)


def test_powers_by_squarings_have_a_rounding_a_factor() -> None:
    """Three factors of 2 %, and two roundings; of many factors below 1 the most is at e^-1."""
    base, exponent = Range(2.0, 4.0, 0.08, 0.02, 2.0), Range(1.0, 3.0, 0.0, 0.0, 1.0)
    made = RULES["power"]((base, exponent), replaced(roundoff=0.0))
    assert (made.low, made.high, made.error) == pytest.approx((2.0, 64.0, 64 * (1.02**3 - 1)))
    assert made.relative == pytest.approx(1.02**3 - 1)
    assert made.least == pytest.approx(2.0 / 1.02**3)
    rounded = RULES["power"]((base, exponent), TOY)
    assert rounded.relative == pytest.approx((1.02 * (1 + 1.01 * TOY.roundoff)) ** 3 - 1)
    long = RULES["power"]((Range(31 / 32, 31 / 32), Range(1.0, 2.0**24)), FLOAT)
    assert long.error == pytest.approx(1.01 * FLOAT.roundoff / math.e / math.log(32 / 31))
    nothing = RULES["power"]((Range(0.0, 0.0), Range(1.0, 4.0)), FLOAT)
    assert (nothing.low, nothing.high, nothing.error) == (0.0, 0.0, 0.0)
    unknown = RULES["power"]((Range(0.0, 2.0, 0.1, math.inf), Range(1.0, 4.0)), FLOAT)
    assert unknown.relative == unknown.error == math.inf


@pytest.mark.parametrize("off", [0.0, 2.0**-24])
def test_no_power_by_squarings_is_farther_than_its_bound(off: float) -> None:
    """Every exponent up to 300 of bases around 1, as single precision rounds them."""
    counts = Range(0.0, 300.0, 0.0, 0.0, 1.0)
    for base in np.random.default_rng(3).uniform(0.7, 1.1, 12).astype(np.float32):
        true = Fraction(float(base)) * (1 + Fraction(off))
        size = float(true)
        bound = RULES["power"]((Range(size, size, size * off, off, size), counts), FLOAT)
        for n in range(301):
            error = abs(Fraction(float(by_squarings(base, n))) - true**n)
            assert error <= bound.error
            assert error <= bound.relative * true**n


def by_squarings(base: np.float32, n: int) -> np.float32:
    """As the C of a header does it."""
    product, square = np.float32(1), base
    while n:
        product, square, n = product * square if n % 2 else product, square * square, n // 2
    return product


def replaced(**numbers: float) -> Arithmetic:
    given = {"roundoff": TOY.roundoff, "largest": 1e30, "smallest": 0.0, "whole": 2.0**10}
    return Arithmetic("toy", **(given | numbers))


def test_logarithms_turn_relative_errors_into_absolute_ones() -> None:
    made = RULES["log"]((Range(2.0, 4.0, 0.4, 0.1, 2.0),), replaced(roundoff=0.0))
    assert (made.low, made.high) == (math.log(2), math.log(4))
    assert made.error == pytest.approx(0.1 / 0.9)
    assert made.error >= -math.log(0.9)
    rounded = RULES["log"]((Range(0.125, 4.0),), TOY)
    assert rounded.error == pytest.approx(2 * TOY.roundoff * math.log(8))
    with pytest.raises(SymbolError, match="by its rounding"):
        RULES["log"]((Range(2.0, 4.0, 4.0, 1.0),), TOY)
    for low in (0.0, -1.0):
        with pytest.raises(SymbolError, match="zero or less in this box"):
            RULES["log"]((Range(low, 4.0),), TOY)


@pytest.mark.parametrize("kind", ["ceil", "floor"])
def test_rounded_quotients_of_whole_numbers_are_exact(kind: str) -> None:
    made = RULES[kind]((Range(7.0, 1024.0), Range(2.0, 4.0)), TOY)
    assert made == Range(2.0 if kind == "ceil" else 1.0, 512.0, 0.0, 0.0, made.low)
    exact = RULES[kind]((Range(6.0, 8.0), Range(2.0, 3.0)), TOY)
    assert (exact.low, exact.high) == (2.0, 4.0)
    for top, bottom in ((1025.0, 4.0), (7.0, 1025.0)):
        off = RULES[kind]((Range(7.0, top), Range(2.0, bottom)), TOY)
        assert off.error == pytest.approx(1 + top / 2 * 1.01 * TOY.roundoff)
        assert off.relative == math.inf
    shaken = RULES[kind]((Range(7.0, 9.0, 0.5, 0.1), Range(2.0, 2.0)), TOY)
    assert shaken.error == pytest.approx(1 + 0.25 + (4.5 + 0.25) * 1.01 * TOY.roundoff)


def test_remainders_lie_within_their_divisor() -> None:
    """7 to 9 over 1 to 4: what is left is 0 to 3 after rounding down, 1 to 4 after rounding up."""
    top, bottom = Range(7.0, 9.0), Range(1.0, 4.0)
    for least in (0, 1):
        made = remainder((top, Range(4.0, 8.0), bottom), least, TOY)
        assert (made.low, made.high) == (max(least, -1), 3.0 + least)
        assert (made.error, made.relative, made.least) == (0.0, 0.0, 1.0)
    assert remainder((top, Range(2.0, 4.0), bottom), 0, TOY).low == 3.0
    small = remainder((Range(1.0, 2.0), Range(0.0, 4.0), Range(1.0, 64.0)), 1, TOY)
    assert small.high == 2.0
    below = remainder((Range(0.0, 2.0), Range(0.0, 4.0), Range(1.0, 64.0)), 1, TOY)
    assert below.high == 64.0
    shaken = remainder((Range(7.0, 9.0, 0.5), Range(4.0, 8.0, 0.25), bottom), 0, TOY)
    assert shaken.error == pytest.approx(0.75 + 4 + 17 * 1.01 * TOY.roundoff)
    assert (shaken.low, shaken.high, shaken.relative) == (0.0, 4.0, math.inf)
    wide = remainder((Range(7.0, 1025.0), Range(4.0, 8.0), bottom), 0, TOY)
    assert wide.error > 4


def test_a_sum_loses_a_little_of_the_sum_of_sizes() -> None:
    """Terms of 2 to 4, off by a quarter: at most 8 of them, at least 3."""
    body = Program((sym.prompt, sym.batch), (Op("arg", (), 0), Op("arg", (), 1)), (1,))
    unit = 3 * TOY.roundoff + 8 * 8 * TOY.roundoff**2
    made = _summed(body, [Range(2.0, 7.0), A], TOY)
    assert (made.low, made.high) == (3 * 2.0, 8 * 4.0)
    assert made.error == pytest.approx(8 * (0.5 + 4.5 * unit + TOY.smallest))
    assert made.relative == pytest.approx(1.25 * (1 + unit) - 1 + 8 * TOY.smallest / 2, rel=1e-9)
    falling = _summed(body, [Range(2.0, 7.0), NEGATIVE], TOY)
    assert (falling.low, falling.high) == (-32.0, -6.0)
    assert _summed(body, [Range(-3.0, -1.0), A], TOY) == Range(0.0, 0.0, 0.0, 0.0, 1.0)
    assert _summed(body, [Range(-3.0, 0.0), A], TOY).high == 4.0
    for last in (Range(2.0, 7.0, 0.5), Range(2.0, 2.0**10)):
        with pytest.raises(SymbolError, match="cannot count the terms"):
            _summed(body, [last, A], TOY)
    _summed(body, [Range(2.0, 2.0**10 - 1), A], TOY)


def test_constants_and_whole_numbers_of_a_format() -> None:
    assert _constant(Fraction(3), TOY) == Range(3.0, 3.0, 0.0, 0.0, 3.0)
    assert _constant(Fraction(0), TOY).least == 1.0
    third = _constant(Fraction(1, 4), TOY)
    assert (third.error, third.relative) == (TOY.roundoff / 4, TOY.roundoff)
    assert _constant(Fraction(-4000), TOY).error == 4000 * TOY.roundoff
    with pytest.raises(SymbolError, match="a constant of 2e\\+30"):
        _constant(Fraction(2 * 10**30), TOY)
    adding = Op("add", (0, 1))
    exact = _range(adding, [Range(2.0, 500.0), Range(1.0, 523.0)], [], TOY)
    assert exact.error == 0
    for top in (525.0, 900.0):
        off = _range(adding, [Range(2.0, 500.0), Range(1.0, top)], [], TOY)
        assert off.error == pytest.approx((500 + top) * 1.01 * TOY.roundoff)
    assert FLOAT.roundoff == float(np.finfo(np.float32).eps) / 2
    assert FLOAT.smallest == pytest.approx(float(np.finfo(np.float32).tiny), rel=0.03)


@pytest.mark.parametrize(("low", "high"), [(1.0, 4096.0), (8.0, 30.0), (0.0, 64.0)])
def test_a_box_is_cut_into_equal_pieces(low: float, high: float) -> None:
    """By ratio where it is wide, else by length; they cover the box and no more."""
    program = lower([sym.prompt], [sym.prompt])
    sides = [piece[sym.prompt] for piece in _pieces(program, {sym.prompt: (low, high)})]
    assert len(sides) == 64
    assert (sides[0][0], sides[-1][1]) == (low, high)
    assert all(before[1] == after[0] for before, after in pairwise(sides))
    wide = high > 4 * low > 0
    sizes = [b / a if wide else b - a for a, b in sides]
    assert sizes == pytest.approx([sizes[0]] * 64)
    both = lower([sym.prompt + sym.batch], [sym.prompt, sym.batch])
    box = {sym.prompt: (low, high), sym.batch: (3.0, 3.0)}
    assert len(list(_pieces(both, box))) == 8


def test_a_long_sum_keeps_what_its_first_term_would_swallow() -> None:
    """2^70 and then ones: 2^18 apart are the doubles there, and a block has 2^14 terms."""
    index, big, steep, one = Op("arg", (), 0), *(Op("const", (), Fraction(n)) for n in BIG)
    ops = (index, big, steep, one, Op("mul", (0, 2)), Op("add", (4, 3)), Op("div", (1, 5)))
    body = Program((sym.prompt,), (*ops, Op("add", (6, 3))), (7,))
    count = 40 * 2**14
    found = float(summed_up(body, float(count - 1)))
    assert abs(found - 2.0**70 - count) <= 2**18


def test_single_precision_of_knots_counts_as_a_share_of_their_cell() -> None:
    """Values 1 and 2 at 0.1 and 0.3: 5 units of the position, 6 of knots of 1.5 cells, and one."""
    axis, values = np.array([0.1, 0.3]), np.array([1.0, 2.0])
    grid = Grid((axis,), values, (0.0,))
    table = Table("f", (sym.past,), grid, 0.0, 0.1, (1.0,), ())
    assert float_error(table) == pytest.approx((1 + 5 + 6 * 1.5) * 2.0**-24 * 1.01)
    whole = replace(table, grid=Grid((np.array([1.0, 3.0]),), values[::-1], (0.0,)))
    assert float_error(whole) == pytest.approx((1 + 5 + 4 * 1) * 2.0**-24 * 1.01)


# -- grids


def test_pieces_of_cells_are_halves_of_what_has_two_values() -> None:
    """A cell of one step has its ends alone; a longer one is cut."""
    grid = Grid((np.array([0.0, 1.0, 5.0]),), np.zeros(3), (1.0,))
    (lows,), (highs,) = corners(grid, (4,))
    assert lows.tolist() == [0, 0, 1, 1, 1, 2, 3, 4]
    assert highs.tolist() == [0, 0, 1, 1, 2, 3, 4, 5]
    smooth = Grid((np.array([0.0, 1.0]),), np.zeros(2), (0.0,))
    (lows,), (highs,) = corners(smooth, (4,))
    assert (lows.tolist(), highs.tolist()) == ([0, 0.25, 0.5, 0.75], [0.25, 0.5, 0.75, 1])


def test_bends_are_the_distance_of_a_chord_from_the_middle() -> None:
    """Of x^2 + 3 y on a cell of 4 by 2: (4 / 2)^2 along x, none along y."""
    program = lower([sym.prompt**2 + 3 * sym.batch], [sym.prompt, sym.batch])
    cell = sample(program, (np.array([1.0, 5.0]), np.array([2.0, 4.0])), (0.0, 0.0))
    assert bends(program, cell) == pytest.approx([4.0, 0.0])


def test_interpolation_is_between_the_knots_of_each_cell() -> None:
    values, knots = np.array([0.0, 10.0, 30.0, 70.0]), np.array([0.0, 1.0, 2.0, 4.0])
    points = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 9.0])
    expected = [0.0, 0.0, 5.0, 10.0, 20.0, 30.0, 50.0, 70.0, 70.0]
    assert interpolated(values, knots, points, 0).tolist() == expected
    assert Grid((knots,), values, (0.0,))([points]).tolist() == expected
