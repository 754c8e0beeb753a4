"""Means over lengths against sums over whole forecasts, and against samples."""

from fractions import Fraction
from typing import Any

import pytest
from sympy import Expr, Integer, Rational, S, symbols

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import Moments, break_even, expected, mixture, monte_carlo
from lifesym.errors import LifesymError, SymbolError
from lifesym.nodes import CeilDiv, Maximum
from lifesym.results import Result

G = sym.generated
CHANCES = {50: Fraction(1, 2), 200: Fraction(1, 3), 1000: Fraction(1, 6)}


def request(generate: Any = G, prompt: Any = 300, engine: str = "ideal") -> Any:
    return ls.forecast("qwen3-0.6b", "a100-sxm-80gb", prompt, generate, engine=engine)


def moment(power: int, chances: dict[int, Fraction] = CHANCES) -> Fraction:
    return sum((chance * value**power for value, chance in chances.items()), Fraction(0))


@pytest.mark.parametrize("engine", ["ideal", "eager"])
def test_a_distribution_is_a_sum_over_forecasts_of_each_length(engine: str) -> None:
    """A forecast of a number of tokens adds its steps up itself: no symbol is replaced in it."""
    made = expected(request(engine=engine).latency, {"generated": CHANCES})
    whole = sum(
        Rational(p.numerator, p.denominator) * request(g, engine=engine).latency.expr
        for g, p in CHANCES.items()
    )
    assert (made.expr, made.unit, made.conditions) == (whole, "s", ())


def test_moments_give_what_the_distribution_gives() -> None:
    latency = request().latency
    mean, variance = moment(1), moment(2) - moment(1) ** 2
    root = Rational(variance.numerator, variance.denominator) ** Rational(1, 2)
    made = expected(latency, {"generated": Moments(mean=mean, deviation=root)})
    assert made.expr == expected(latency, {"generated": CHANCES}).expr
    at_mean = latency.bind({"generated": mean})
    curve = latency.expr.expand().coeff(G, 2)
    assert curve > 0
    assert made.expr - at_mean == curve * Rational(variance.numerator, variance.denominator)


def test_moments_stay_symbols() -> None:
    mu = ls.symbol("mean_length", meaning="mean of the lengths", unit="token", kind="rate")
    sd = ls.symbol("length_deviation", meaning="deviation of the lengths", kind="rate")
    made = expected(request().latency, {"generated": Moments(mean=mu, deviation=sd)})
    assert made.expr.free_symbols == {mu, sd}
    found = made.bind({"mean_length": 1000, "length_deviation": 400})
    assert (
        found == expected(request().latency, {"generated": Moments(mean=1000, deviation=400)}).expr
    )


def test_a_sample_of_lognormal_lengths_has_that_mean() -> None:
    latency = request().latency
    made = float(expected(latency, {"generated": Moments(mean=2000, deviation=1000)}))
    drawn = monte_carlo(latency, {"generated": 2000}, {"generated": 1000}, samples=40_000)
    assert made == pytest.approx(drawn.mean, rel=5 * drawn.deviation / drawn.mean / 200)


def test_two_independent_lengths() -> None:
    latency = request(prompt=sym.prompt).latency
    prompts, lengths = {100: Fraction(1, 4), 900: Fraction(3, 4)}, {20: Fraction(1, 2), 80: 0.5}
    made = expected(latency, {"prompt": prompts, "generated": lengths})
    whole: Expr = S.Zero
    for prompt, p in prompts.items():
        for length in lengths:
            time = request(length, prompt).latency.expr
            whole += Rational(p.numerator, p.denominator) * time / 2
    assert made.expr == whole
    mixed = expected(latency, {"prompt": prompts, "generated": Moments(mean=50, deviation=30)})
    assert mixed.expr == whole


def test_a_mean_time_of_a_step_is_a_polynomial_too() -> None:
    """It is a sum over G - 1 steps divided by them."""
    made = expected(request().tpot.mean, {"generated": CHANCES})
    spread = Moments(mean=moment(1), deviation=1)
    assert expected(request().tpot.mean, {"generated": spread}).expr == made.expr


def test_a_sample_counts_each_of_its_values() -> None:
    made = expected(1 / G, {"generated": [2, 2, 4, 8]})
    assert made.expr == (Rational(2, 2) + Rational(1, 4) + Rational(1, 8)) / 4


def test_of_a_formula_with_maxima_the_region_is_said() -> None:
    time = Maximum(3 * G, sym.batch) + G**2
    low = expected(time, {"generated": Moments(mean=10, deviation=2)}, {"batch": 100})
    assert low.expr == sym.batch + 104
    assert [str(each) for each in low.conditions] == ["batch >= 3*generated"]
    high = expected(time, {"generated": Moments(mean=50, deviation=2)}, {"batch": 100})
    assert high.expr == 150 + 2504
    inside = Moments(mean=50, deviation=2, between=(40, 60))
    assert expected(time, {"generated": inside}, {"batch": 100}).expr == high.expr
    across = Moments(mean=50, deviation=2, between=(20, 60))
    with pytest.raises(SymbolError, match=r"generated = 33.3333: moments do not say"):
        expected(time, {"generated": across}, {"batch": 100})
    found = expected(time, {"generated": {20: 0.5, 60: 0.5}}).bind({"batch": 100})
    assert found == (Integer(100 + 400) + 180 + 3600) / 2


def test_a_crossing_inside_the_generation_is_no_polynomial() -> None:
    """Where a step passes from one bound to the other, the number of steps before is no power."""
    device = ls.Hardware.symbolic()
    latency = ls.forecast("qwen3-0.6b", device, 64, G, batch=64).latency
    at = {"peak": 1e13, "vector_peak": 2e12, "bandwidth": 2e12, "dispatch_time": 1e-6}
    at |= {"compute_efficiency": 1, "memory_efficiency": 1}
    made = expected(latency, {"generated": Moments(mean=100, deviation=20)}, at)
    assert made.conditions
    chances = {80: Fraction(1, 2), 120: Fraction(1, 2)}
    exact = expected(latency, {"generated": chances}).bind(at)
    assert made.bind(at) == exact


THIRD = {"higher": (14,)}
REFUSED = {
    "name a length": (G, {}),
    "does not depend on prompt": (G, {"prompt": [1]}),
    "add up to 1, not 3/4": (G, {"generated": {1: 0.5, 2: 0.25}}),
    "must not be negative": (G, {"generated": {1: 1.5, 2: -0.5}}),
    "of no values": (G, {"generated": []}),
    "at least 1, not 0": (G, {"generated": [0, 2]}),
    "generated must be a number": (G, {"generated": [sym.batch]}),
    "must be a mapping|must be": (G, {"generated": 5}),
    "deviation of generated is negative": (G, {"generated": Moments(mean=2, deviation=-1)}),
    "mean of 9 is not between 1 and 5": (G, {"generated": Moments(mean=9, between=(1, 5))}),
    r"E\[X\^3\] is needed": (G**3, {"generated": Moments(mean=2, deviation=1)}),
    "no polynomial: its mean": (1 / G, {"generated": Moments(mean=2, deviation=1)}),
    "whole numbers: its mean": (CeilDiv(G, 16), {"generated": Moments(mean=20, deviation=1)}),
    "also depends on batch": (Maximum(G, sym.batch), {"generated": Moments(mean=2)}),
    "symbol 'x' is not lifesym's": (G, {"generated": Moments(mean=symbols("x"))}),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_has_no_mean_is_refused_in_a_line(message: str) -> None:
    quantity, over = REFUSED[message]
    with pytest.raises(LifesymError, match=message) as caught:
        expected(quantity, over)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_third_moment() -> None:
    made = expected(G**3, {"generated": Moments(mean=2, deviation=1, **THIRD)})  # type: ignore[arg-type]
    assert made.expr == 14


def test_one_token_has_no_decode_step() -> None:
    with pytest.raises(SymbolError, match="two generated tokens or more"):
        expected(request().tpot.mean, {"generated": [1, 5]})
    alone = expected(request().latency, {"generated": [1]})
    assert alone.expr == request(1).latency.expr


def test_kinds_of_requests() -> None:
    fast, slow = request(100).latency, request(900).latency
    mean = mixture([(Rational(1, 3), fast), (Rational(2, 3), slow)])
    one = expected(request().latency, {"generated": {100: Fraction(1, 3), 900: Fraction(2, 3)}})
    assert (mean.expr, mean.unit) == (one.expr, "s")
    assert [part.name for part in mean.parts] == ["latency", "latency"]
    assert break_even(fast, slow, mean) == Rational(1, 3)
    p = sym.hit_rate
    share = break_even(fast, slow, mixture([(p, fast), (1 - p, slow)]))
    assert (share - p).expand().simplify() == 0


def test_mixtures_that_are_none() -> None:
    fast, slow = request(100).latency, request(900).latency
    for message, kinds in {
        "give a share": [],
        "add up to 1, not 3/2": [(1, fast), (0.5, slow)],
        "must not be negative": [(1.5, fast), (-0.5, slow)],
        "one unit are needed, not of s and byte": [(0.5, fast), (0.5, request(9).memory)],
    }.items():
        with pytest.raises(SymbolError, match=message):
            mixture(kinds)
    with pytest.raises(SymbolError, match="both kinds take the same"):
        break_even(fast, fast, fast)
    with pytest.raises(SymbolError, match="a mean of 1 and 5 is between them, not 9"):
        break_even(S.One, Integer(5), Integer(9))


def test_an_expected_time_is_a_result() -> None:
    made = expected(request().latency, {"generated": CHANCES})
    assert isinstance(made, Result)
    assert (made.name, float(made)) == ("expected latency", pytest.approx(float(made.expr)))
