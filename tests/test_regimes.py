"""Regimes: max-free formulas, their regions, exact boundaries; crossovers put back."""

import random
from itertools import pairwise

import numpy as np
import pytest
from sympy import Expr, Integer, Rational, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import (
    branch_at,
    crossover,
    meeting_points,
    part,
    regime_at,
    regime_map,
    regimes,
    ridge_points,
)
from lifesym.analysis.branches import kinks
from lifesym.analysis.regime import operators
from lifesym.analysis.signs import compare, sign_at
from lifesym.nodes import Maximum, Minimum
from lifesym.sums import Crossing, SumMax

V100 = ls.load_hardware("v100")
DEVICE = V100.numbers(V100.default_format) | {sym.dispatch_time: Rational(4, 10**6)}


def forecast(name: str, **options: object) -> ls.Forecast:
    return ls.forecast(ls.load_model(name), ls.Hardware.symbolic(), batch=sym.batch, **options)  # type: ignore[arg-type]


def near_a_boundary(rng: random.Random) -> dict[Symbol, Expr]:
    """Points on both sides of the ridges: peak over bandwidth is drawn near the batch."""
    batch = rng.randint(1, 400)
    return {
        sym.batch: Integer(batch),
        sym.past: Integer(rng.randint(0, 9000)),
        sym.peak: Integer(rng.randint(20, 400)) * 10**12,
        sym.vector_peak: Integer(rng.randint(1, 30)) * 10**12,
        sym.bandwidth: Integer(rng.randint(300, 4000)) * 10**9,
        sym.compute_efficiency: Rational(rng.randint(1, 9), 10),
        sym.memory_efficiency: Rational(rng.randint(1, 9), 10),
        sym.dispatch_time: Rational(rng.randint(0, 9), 10**6),
    }


@pytest.mark.parametrize(("name", "points"), [("llama-2-7b", 1000), ("gemma-2-2b", 300)])
def test_the_max_free_formula_is_exact_inside_its_region_and_differs_outside(
    name: str, points: int
) -> None:
    result = forecast(name).tpot
    rng = random.Random(1)
    inside = outside = 0
    regime = regime_at(result, near_a_boundary(rng))
    for i in range(points):
        values = near_a_boundary(rng)
        if i % 25 == 0:
            regime = regime_at(result, values)
            assert regime.holds(values)
            assert not list(kinks(regime.expr))
        full, short = (expr.xreplace(values) for expr in (result.expr, regime.expr))
        if regime.holds(values):
            inside += 1
            assert full == short
        else:
            outside += 1
            assert full != short
    assert min(inside, outside) > points // 30


def test_a_mean_over_a_generation_has_a_region_too() -> None:
    """The crossing index of a closed sum is resolved: all steps on one line, or on the other."""
    result = forecast("gemma-2-2b").tpot.mean
    rng = random.Random(2)
    for _ in range(15):
        values = near_a_boundary(rng)
        values |= {
            sym.prompt: Integer(rng.randint(1, 9000)),
            sym.generated: Integer(rng.randint(2, 900)),
        }
        values.pop(sym.past)
        branch = branch_at(result.expr, values)
        assert branch.holds(values)
        assert branch.expr.xreplace(values) == result.expr.xreplace(values)
        assert not branch.expr.atoms(Maximum, Minimum)


def test_what_is_multiplied_by_zero_bounds_no_region() -> None:
    """Beyond a window that is not reached nothing is computed, whatever would bind it."""
    beyond = sym.past - Minimum(sym.past, sym.window)
    expr = sym.past + beyond * Maximum(sym.batch, sym.hidden)
    at = {sym.past: Integer(5), sym.window: Integer(9), sym.batch: Integer(1)}
    branch = branch_at(expr, at | {sym.hidden: Integer(2)})
    assert branch.expr == sym.past
    assert [str(condition) for condition in branch.conditions] == ["window >= past"]
    numbers = branch_at(SumMax(Minimum(sym.past, 3) - 3, sym.batch, 1, sym.hidden, 0), at)
    assert numbers.expr == 0
    assert [str(condition) for condition in numbers.conditions] == ["past >= 3"]


def test_regions_of_chunked_windows_are_no_smaller_than_the_formula() -> None:
    result = forecast("gemma-2-2b", chunk=512).ttft
    values = near_a_boundary(random.Random(6)) | {sym.prompt: Integer(2508)}
    del values[sym.past]
    regime = regime_at(result, values)
    assert all(condition.margin.free_symbols for condition in regime.conditions)
    rng = random.Random(7)
    for _ in range(20):
        other = near_a_boundary(rng)
        key = rng.choice(sorted(set(other) - {sym.past}, key=str))
        moved = values | {key: other[key]}
        same = result.expr.xreplace(moved).doit() == regime.expr.xreplace(moved).doit()
        assert regime.holds(moved) == same


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("over", ["batch", "past"])
def test_the_regimes_of_a_line_are_exact_and_complete(over: str) -> None:
    result = forecast("llama-2-7b").tpot
    fixed = {**DEVICE, "batch": 60, "past": 700}
    del fixed[over]
    line = regimes(result, over, (1, 1000), fixed)
    assert len(line) > 2
    assert (line[0].low, line[-1].high) == (1, 1000)
    symbol = sym.resolve(over)
    rng = random.Random(3)
    for before, after in pairwise(line):
        assert before.high == after.low
        assert after.exact
        assert after.changes or before.regime.expr != after.regime.expr
        # At a boundary both formulas hold, and the two resources that change places are equal.
        at = {sym.resolve(k): v for k, v in fixed.items()} | {symbol: after.low}
        values = {k: sym.exact(v) for k, v in at.items()}
        assert before.regime.expr.xreplace(values) == after.regime.expr.xreplace(values)
        terms = {term.name: term for term in result.terms}
        for operator, left, right in after.changes:
            times = [getattr(terms[operator], which).xreplace(values) for which in (left, right)]
            assert times[0] == times[1]
    for stretch in line:
        for _ in range(5):
            spot = stretch.low + (stretch.high - stretch.low) * Rational(rng.randint(1, 999), 1000)
            assert regime_at(result, {**fixed, over: spot}).bounds == stretch.regime.bounds


def test_a_boundary_that_is_not_a_root_of_a_polynomial_is_a_tight_bracket() -> None:
    """Distinct experts of a batch: (1 - k/E)^batch."""
    result = forecast("mixtral-8x7b").tpot
    line = regimes(result, "batch", (1, 1000), {**DEVICE, "past": 100})
    rough = [s for s in line if not s.exact]
    assert [change[0] for s in rough for change in s.changes] == ["moe_experts"]
    term = next(term for term in result.terms if term.name == "moe_experts")
    gap = sym.bind(term.compute - term.memory, {**DEVICE, "past": 100})
    low, high = (
        gap.xreplace({sym.batch: rough[0].low * f})
        for f in (1 - Rational(1, 10**9), 1 + Rational(1, 10**9))
    )
    assert low.evalf(30) < 0 < high.evalf(30)


def test_the_map_agrees_with_exact_regimes() -> None:
    result = forecast("llama-2-7b").tpot
    columns, rows = np.arange(1, 401, 7), np.arange(0, 4000, 97)
    chart = regime_map(result, ("batch", "past"), columns, rows, DEVICE)
    assert chart.ids.shape == (len(rows), len(columns))
    counts = np.bincount(chart.ids.ravel())
    assert list(counts) == sorted(counts, reverse=True)
    rng = random.Random(4)
    for _ in range(60):
        i, j = rng.randrange(len(rows)), rng.randrange(len(columns))
        exact = regime_at(result, {**DEVICE, "batch": int(columns[j]), "past": int(rows[i])})
        assert exact.bounds == chart.regimes[chart.ids[i, j]]


def test_ridge_points_put_back_make_both_times_equal() -> None:
    """The critical batch of a projection in closed form."""
    f = ls.forecast(ls.Model.symbolic("llama"), ls.Hardware.symbolic(), batch=sym.batch)
    points = ridge_points(f.tpot, "batch")
    assert {"attn_q", "mlp_gate", "lm_head"} <= set(points)
    assert "attn_av" not in points  # both its times are proportional to the batch
    terms = {term.name: term for term in f.tpot.terms}
    for name, point in points.items():
        gap = (terms[name].compute - terms[name].memory).xreplace({sym.batch: point})
        assert gap.cancel() == 0


def check(first: Expr, second: Expr, values: dict, found: tuple) -> None:  # type: ignore[type-arg]
    gap = sym.bind(first - second, values)
    for meeting in found:
        at = gap.xreplace({meeting.symbol: meeting.value})
        if meeting.exact:
            assert at.expand() == 0
        if meeting.formula is not None:
            assert sym.bind(meeting.formula, values) == meeting.value
        if meeting.smaller != "neither":
            sides = [
                gap.xreplace({meeting.symbol: meeting.value * f})
                for f in (Rational(999, 1000), Rational(1001, 1000))
            ]
            assert sides[0] * sides[1] < 0
            assert (sides[1] < 0) == (meeting.smaller == "first")


def test_context_where_attention_overtakes_the_mlp() -> None:
    f = forecast("llama-2-7b")
    values = {**DEVICE, "batch": 1}
    attention, mlp = part(f.tpot, "attn"), part(f.tpot, "mlp")
    found = crossover(attention, mlp, "past", (0, 10**5), values)
    assert len(found) == 1
    assert found[0].exact
    assert found[0].formula is not None
    assert found[0].smaller == "second"
    check(attention, mlp, values, found)


def test_int4_against_bf16_over_the_batch() -> None:
    """Fewer bytes win until dequantization makes the batch compute-bound."""
    int4, full = (
        forecast("llama-2-7b", weights=name, activations="fp16").tpot
        for name in ("int4-g128", "fp16")
    )
    values = {**DEVICE, "past": 100}
    (found,) = crossover(int4, full, "batch", (1, 10**4), values)
    assert found.smaller == "second"
    assert 100 < found.value < 200
    check(int4.expr, full.expr, values, (found,))


def test_absorbed_against_decompressed_latent_attention() -> None:
    absorbed, decompressed = (
        forecast("deepseek-v2-lite", mla=name).tpot for name in ("absorbed", "decompressed")
    )
    values = {**DEVICE, "batch": 16}
    found = crossover(absorbed, decompressed, "past", (0, 10**4), values)
    assert [m.smaller for m in found] == ["first"]
    check(absorbed.expr, decompressed.expr, values, found)


@pytest.mark.usefixtures("eager")
def test_prompt_where_chunking_starts_to_pay() -> None:
    """Rounded quotients: whole prompts, compared one by one in exact arithmetic at each change."""
    model, device = ls.load_model("llama-2-7b"), ls.Hardware.symbolic()
    chunked, whole = (ls.forecast(model, device, chunk=c).ttft for c in (512, None))
    found = crossover(chunked, whole, "prompt", (1, 3000), DEVICE)
    assert found
    gap = sym.bind(chunked.expr - whole.expr, DEVICE)

    def sign(prompt: Expr) -> int:
        return int(bool(gap.xreplace({sym.prompt: prompt}).doit() < 0))

    for meeting in found:
        assert sign(meeting.low) != sign(meeting.high)
        assert sign(meeting.high) == (meeting.smaller == "first")
    slow = [k for k in range(2, 3001, 199) if sign(Integer(k))]
    runs = (
        [m.high for m in found if m.smaller == "first"],
        [m.low for m in found if m.smaller == "second"],
    )
    for k in slow:
        assert any(a <= k and (i >= len(runs[1]) or k <= runs[1][i]) for i, a in enumerate(runs[0]))


def test_two_devices_and_two_roots() -> None:
    first = sym.batch**2 + 16
    second = 10 * sym.batch
    found = crossover(first, second, "batch", (1, 20))
    assert [(m.value, m.smaller) for m in found] == [(2, "first"), (8, "second")]
    touching = crossover(sym.batch**2 + 9, 6 * sym.batch, "batch", (1, 20))
    assert [(m.value, m.smaller) for m in touching] == [(3, "neither")]
    irrational = crossover(sym.batch**2, Integer(2), "batch", (1, 20))
    assert irrational[0].value ** 2 == 2
    kinked = crossover(Maximum(sym.batch, 5), Integer(5), "batch", (1, 20))
    assert kinked == ()  # equal up to 5: no single meeting point


def test_a_cubic_is_met_exactly() -> None:
    (found,) = crossover(sym.batch**3 + sym.batch, Integer(11), "batch", (1, 20))
    assert found.exact
    assert (found.value**3 + found.value - 11).is_zero or abs(
        (found.value**3 + found.value - 11).evalf(50)
    ) < 1e-40


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: crossover(sym.past, sym.batch, "rank", (0, 9)), "neither formula depends on rank"),
        (
            lambda: crossover(sym.past, sym.batch, "past", (9, 9), {"batch": 1}),
            "nothing lies between",
        ),
        (lambda: crossover(sym.past, sym.batch, "past", (0, 9)), "also depends on batch"),
        (lambda: crossover(sym.past, sym.batch, "batch", (0, 9), {"past": 1}), "at least 1"),
        (lambda: meeting_points(Maximum(sym.past, sym.batch), sym.batch, "past"), "not rational"),
        (lambda: part(forecast("llama-2-7b").tpot, "conv"), "no operator 'conv'"),
        (lambda: regimes(sym.past, "past", (0, 9)), "operators"),
        (lambda: regimes(forecast("llama-2-7b").tpot, "past", (5, 2), DEVICE), "nothing lies"),
        (
            lambda: regime_map(forecast("llama-2-7b").tpot, ("past", "past"), [1, 2], [1, 2]),
            "two different",
        ),
    ],
)
def test_bad_questions_get_clear_answers(ask: object, message: str) -> None:
    with pytest.raises(ls.SymbolError, match=message):
        ask()  # type: ignore[operator]


@pytest.mark.parametrize("over", ["bandwidth", "peak"])
def test_crossovers_of_means_over_a_rate(over: str) -> None:
    one, two = (
        ls.forecast(
            ls.load_model("llama-2-7b"), ls.Hardware.symbolic(), 600, 65, batch=64, weights=name
        ).tpot.mean
        for name in ("int4-g128", "fp16")
    )
    here = float(DEVICE[sym.resolve(over)])
    values = {s: v for s, v in DEVICE.items() if s.name != over}
    found = crossover(one, two, over, (here / 50, here * 50), values)
    for meeting in found:
        ends = [
            sym.bind(one.expr - two.expr, {**values, over: end * factor})
            for end, factor in (
                (meeting.low, Rational(999999, 10**6)),
                (meeting.high, Rational(1000001, 10**6)),
            )
        ]
        assert ends[0] * ends[1] < 0
    assert found


def test_maps_need_ascending_values() -> None:
    with pytest.raises(ls.SymbolError, match="values of batch must ascend"):
        regime_map(forecast("llama-2-7b").tpot, ("batch", "past"), [1, 9, 5, 20], [1, 2], DEVICE)


def test_latency_has_no_operators() -> None:
    with pytest.raises(ls.SymbolError, match="latency has no table of operators"):
        regimes(
            forecast("llama-2-7b").latency,
            "batch",
            (1, 9),
            {**DEVICE, "prompt": 9, "generated": 9},
        )


@pytest.mark.parametrize(
    ("name", "metric", "over", "most"),
    [
        ("mixtral-8x7b", "ttft", "batch", 10**6),
        ("gpt-oss-20b", "tpot", "batch", 10**6),
        ("qwen3-30b-a3b", "ttft", "prompt", 10**5),
    ],
)
def test_regimes_over_ranges_in_which_powers_have_a_million_digits(
    name: str, metric: str, over: str, most: int
) -> None:
    """(1 - k/E)^tokens is not written out; each boundary still has its change on both sides."""
    result = getattr(forecast(name), metric)
    fixed = {**DEVICE, "batch": 4, "past": 700, "prompt": 100}
    del fixed[over]
    line = regimes(result, over, (1, most), fixed)
    assert len(line) > 2
    values = {sym.resolve(k): sym.exact(v) for k, v in fixed.items()}
    terms = dict(operators(result))
    for stretch in line[1:]:
        for operator, before, after in stretch.changes:
            gap = getattr(terms[operator], after) - getattr(terms[operator], before)
            ends = (stretch.low * (1 + side * Rational(1, 10**9)) for side in (-1, 1))
            signs = [sign_at(gap, {**values, sym.resolve(over): end}) for end in ends]
            assert signs == [-1, 1]


def test_signs_are_exact_where_long_powers_are_all_that_is_left() -> None:
    power = Rational(3, 4) ** sym.batch
    million = {sym.batch: Integer(10**6)}
    assert sign_at(power, million) == sign_at(1 + power - 1, million) == 1
    assert sign_at((5 + power) * sym.past - 5 * sym.past, {**million, sym.past: Integer(7)}) == 1
    assert sign_at(sym.past * (1 - power) - sym.past, {**million, sym.past: Integer(7)}) == -1
    assert compare(8 * (1 - power), Integer(8), million) == -1
    assert compare(power - power**2, Integer(0), {sym.batch: Rational(7, 2)}) == 1
    # Against the powers written out.
    rng = random.Random(6)
    for _ in range(50):
        n, k = rng.randint(1000, 1100), rng.randint(-1, 1)
        written = Rational(3, 4) ** n
        assert sign_at(power - written - k * Rational(1, 10**400), {sym.batch: Integer(n)}) == -k


def summed(values: dict[Symbol, Expr]) -> Expr:
    n, a, b, c, d = (values[symbol] for symbol in LINES)
    return sum((max(a + b * i, c + d * i) for i in range(int(n))), Integer(0))


LINES = (sym.generated, sym.past, sym.hidden, sym.intermediate, sym.vocab)


def test_a_sum_of_two_lines_has_regions_and_one_sided_slopes() -> None:
    """Where one line is the larger throughout it is that line's series; slopes by differences."""
    node, rng, tied = SumMax(*LINES), random.Random(4), 0
    step = Rational(1, 10**6)
    for _ in range(60):
        values = {symbol: Integer(rng.randint(1, 5)) for symbol in LINES}
        branch = branch_at(node, values)
        assert branch.holds(values)
        assert not branch.expr.atoms(Maximum, Minimum, Crossing)
        assert branch.expr.xreplace(values) == summed(values)
        tied += bool(branch.tied)
        for symbol in LINES[1:]:
            for side in (-1, 1):
                moved = summed({**values, symbol: values[symbol] + side * step})
                slope = (moved - summed(values)) / (side * step)
                toward = branch_at(node, values, (symbol, side))
                assert toward.expr.diff(symbol).xreplace(values) == slope
                assert branch.tied or branch.expr.diff(symbol).xreplace(values) == slope
        for _ in range(5):
            other = {symbol: Integer(rng.randint(1, 5)) for symbol in LINES}
            if branch.holds(other):
                assert branch.expr.xreplace(other) == summed(other)
    assert tied > 10


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("llama-2-7b", {"chunk": 512}),
        ("llama-2-7b", {"fusion": "flash", "tile": 75}),
        ("deepseek-v2-lite", {"mla": "decompressed"}),
    ],
)
def test_regions_of_rounded_quotients_and_sums_are_exact(name: str, options: dict) -> None:  # type: ignore[type-arg]
    """What a smaller argument of a maximum would branch into does not narrow the region."""
    result = forecast(name, **options).ttft if name[0] == "l" else forecast(name, **options).tpot
    rng = random.Random(5)
    inside = outside = 0
    for _ in range(6):
        drawn = [near_a_boundary(rng) | {sym.prompt: Integer(rng.randint(1, 3000))} for _ in "ab"]
        regime = regime_at(result, drawn[0])
        for _ in range(8):
            values = {s: drawn[rng.random() < 0.3][s] for s in drawn[0]}
            same = result.expr.xreplace(values) == regime.expr.xreplace(values)
            assert same == regime.holds(values)
            inside, outside = inside + same, outside + (not same)
    assert min(inside, outside) > 5
