"""Elasticities against central differences, at ties, and by Euler's identity."""

import random
from collections.abc import Mapping
from fractions import Fraction

import pytest
from exact_values import Exact
from sympy import Dummy, Expr, Integer, Rational, Sum, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import (
    delta_method,
    elasticities,
    gradient,
    if_free,
    local_elasticities,
    monte_carlo,
    regime_at,
    same,
    second_order,
    shares,
    tornado,
)
from lifesym.analysis.products import vanishes
from lifesym.nodes import Active, Maximum

RATES = (sym.peak, sym.vector_peak, sym.bandwidth)
RANGES: Mapping[Symbol, tuple[int, int]] = {
    sym.batch: (1, 512),
    sym.past: (1, 16384),
    sym.peak: (10**13, 10**15),
    sym.vector_peak: (10**12, 10**14),
    sym.bandwidth: (10**11, 4 * 10**12),
    sym.hidden: (512, 8192),
    sym.intermediate: (1024, 32768),
    sym.layers: (2, 100),
    sym.heads: (8, 128),
    sym.kv_heads: (1, 16),
    sym.head_dim: (32, 256),
    sym.vocab: (1000, 200000),
}
POINT: dict[str | Symbol, Expr | int] = {
    "compute_efficiency": Rational(7, 10),
    "memory_efficiency": Rational(4, 5),
    "dispatch_time": Rational(3, 10**6),
}


@pytest.fixture(scope="module")
def llama() -> ls.Forecast:
    return ls.forecast(ls.Model.symbolic("llama"), ls.Hardware.symbolic(), batch=sym.batch)


def drawn(rng: random.Random) -> dict[Symbol, Expr]:
    values = {
        s: Integer(round(low * (high / low) ** rng.random())) for s, (low, high) in RANGES.items()
    }
    return values | {sym.resolve(name): Rational(value) for name, value in POINT.items()}


def test_elasticities_equal_central_differences_in_exact_arithmetic(llama: ls.Forecast) -> None:
    rng = random.Random(5)
    chosen = sym.ordered(llama.tpot.expr.free_symbols)
    formulas = {s: Exact(formula) for s, formula in ls.elasticities(llama.tpot).items()}
    time = Exact(llama.tpot.expr)
    step = Fraction(1, 10**12)
    for case in range(1000):
        values = drawn(rng)
        symbol = chosen[case % len(chosen)]
        at = {s: Fraction(str(value)) for s, value in values.items()}
        down, middle, up = (time({**at, symbol: at[symbol] * (1 + s * step)}) for s in (-1, 0, 1))
        difference = (up - down) / (2 * step * middle)
        # Between two kinks T is a sum of c x^e with |e| <= 2: the error is of order step^2.
        assert abs(formulas[symbol](at) - difference) < 100 * step**2
        if case % 8 == 0:
            (row,) = local_elasticities(llama.tpot, values, of=[symbol])
            assert not row.one_sided
            assert abs(Fraction(str(row.value)) - difference) < 100 * step**2


def test_symbolic_elasticities_are_the_local_ones(llama: ls.Forecast) -> None:
    rng = random.Random(6)
    formulas = ls.elasticities(llama.tpot)
    assert set(formulas) == llama.tpot.expr.free_symbols
    for _ in range(20):
        values = drawn(rng)
        local = {row.symbol: row.value for row in formulas.at(values)}
        assert local == {s: formulas[s].xreplace(values) for s in formulas}


def on_branches(expr: Expr) -> Expr:
    """Every maximum (of two) as a mean of its branches, with the brackets as free weights."""
    replaced: dict[Expr, Expr] = {}
    for node in expr.atoms(Maximum):
        a, b = node.args
        weight = Dummy()
        replaced |= {node: weight * a + (1 - weight) * b}
        replaced |= {Active(a, b): weight, Active(b, a): 1 - weight}
    return expr.xreplace(replaced)


@pytest.mark.parametrize("metric", ["tpot", "ttft"])
def test_euler_identity_of_rates_and_times(llama: ls.Forecast, metric: str) -> None:
    """T(k P, k P_v, k BW, t_d / k) = T / k for every k, so the elasticities add up to -1."""
    result = getattr(llama, metric)
    slopes = gradient(result)
    scaled = sum(s * slopes[s] for s in RATES) - sym.dispatch_time * slopes[sym.dispatch_time]
    assert on_branches(scaled + result.expr).expand() == 0


def test_euler_identity_of_a_mean_over_a_generation(llama: ls.Forecast) -> None:
    values = drawn(random.Random(7)) | {sym.prompt: Integer(300), sym.generated: Integer(1000)}
    rows = {row.symbol: row.value for row in local_elasticities(llama.tpot.mean, values)}
    assert sum(rows[s] for s in RATES) - rows[sym.dispatch_time] == -1


def test_elasticity_in_the_length_of_a_generation_is_that_of_the_sum() -> None:
    """Decode time over G - 1 steps, against the difference of longer and shorter generations."""
    model = ls.load_model("llama-2-7b")
    f = ls.forecast(model, ls.Hardware.symbolic())
    device = ls.load_hardware("v100")
    values = {**device.numbers(device.default_format), "prompt": 1, "generated": 200}
    (row,) = local_elasticities(f.latency, values, of=["generated"])
    shorter, now, longer = (f.latency.bind({**values, "generated": g}) for g in (199, 200, 201))
    central = (longer - shorter) / 2 * 200 / now
    assert abs(row.value - central) < Rational(1, 10**4)
    symbolic = sym.bind(ls.elasticities(f.latency)[sym.generated], values).doit()
    assert symbolic == row.value


def test_one_sided_values_at_a_tie() -> None:
    expr = 3 * sym.past + Maximum(2 * sym.batch**2, 8 * sym.batch)  # meets at batch = 4
    (row,) = local_elasticities(expr, {"past": 1, "batch": 4}, of=["batch"])
    assert row.at_tie
    assert row.one_sided
    assert (row.left, row.right) == (Rational(32, 35), Rational(64, 35))
    with pytest.raises(ls.SymbolError, match="to the left of a tie"):
        _ = row.value
    (other,) = local_elasticities(expr, {"past": 1, "batch": 4}, of=["past"])
    assert other.at_tie
    assert other.value == Rational(3, 35)


def test_one_sided_values_at_the_ridge_of_an_operator(llama: ls.Forecast) -> None:
    """At the bandwidth at which a projection's two times are equal, T has a kink in bandwidth."""
    values = drawn(random.Random(8))
    term = next(term for term in llama.tpot.terms if term.name == "mlp_gate")
    bare = {s: v for s, v in values.items() if s != sym.bandwidth}
    ratio = (term.memory / term.compute).xreplace(bare)  # proportional to 1/bandwidth
    values[sym.bandwidth] = (ratio * sym.bandwidth).expand()
    assert (term.compute - term.memory).xreplace(values) == 0
    (row,) = local_elasticities(llama.tpot, values, of=["bandwidth"])
    assert row.left < row.right <= 0  # slower memory is memory-bound, faster memory is not
    step = Rational(1, 10**12)
    expr, now = llama.tpot.expr, llama.tpot.expr.xreplace(values)
    for side, sign in ((row.left, -1), (row.right, 1)):
        moved = values | {sym.bandwidth: values[sym.bandwidth] * (1 + sign * step)}
        assert abs(side - sign * (expr.xreplace(moved) - now) / (step * now)) < 10 * step


def test_second_order_against_differences_of_elasticities(llama: ls.Forecast) -> None:
    values = drawn(random.Random(9))
    step = Rational(1, 10**10)
    pair = (sym.batch, sym.bandwidth)
    matrix = second_order(llama.tpot, values, of=pair)
    for y in pair:
        sides = []
        for sign in (-1, 1):
            moved = values | {y: values[y] * (1 + sign * step)}
            sides.append(
                {r.symbol: r.value for r in local_elasticities(llama.tpot, moved, of=pair)}
            )
        for x in pair:
            central = (sides[1][x] - sides[0][x]) / (2 * step)
            assert abs(central - matrix[x, y]) < 100 * step
    assert matrix[pair] == matrix[pair[::-1]]


def test_second_order_of_a_power_is_zero_and_a_kink_is_an_error() -> None:
    assert set(second_order(sym.batch**3 / sym.past, {"batch": 2, "past": 5}).values()) == {0}
    with pytest.raises(ls.SymbolError, match="kink"):
        second_order(Maximum(sym.batch, sym.past), {"batch": 2, "past": 2})


def test_shares_add_up_and_the_tornado_is_exact(llama: ls.Forecast) -> None:
    values = drawn(random.Random(10))
    parts = shares(llama.tpot, values)
    assert sum(parts.values()) == 1
    assert list(parts.values()) == sorted(parts.values(), reverse=True)
    bars = tornado(llama.tpot, values, 0.25)
    assert [bar.swing for bar in bars] == sorted((bar.swing for bar in bars), reverse=True)
    for bar in bars:
        assert bar.at_low == llama.tpot.expr.xreplace(values | {bar.symbol: bar.low})
    assert next(bar for bar in bars if bar.symbol == sym.compute_efficiency).high == Rational(7, 8)


def test_a_tornado_takes_whole_sizes(llama: ls.Forecast) -> None:
    bars = tornado(llama.tpot, drawn(random.Random(10)) | {sym.batch: 1, sym.past: 25}, 0.1)
    ends = {bar.symbol: (bar.low, bar.high) for bar in bars}
    assert ends[sym.batch] == (1, 2)
    assert ends[sym.past] == (22, 28)


def test_amdahl_limits(llama: ls.Forecast) -> None:
    values = drawn(random.Random(11))
    free = {one.symbol: one for one in if_free(llama.tpot, values)}
    now = llama.tpot.expr.xreplace(values)
    without = sum(
        max(term.compute.xreplace(values), 0) + term.dispatch.xreplace(values)
        for term in llama.tpot.terms
    )
    assert free[sym.bandwidth].left == without
    assert free[sym.bandwidth].speedup == now / without
    assert free[sym.dispatch_time].left == now - sum(
        t.dispatch.xreplace(values) for t in llama.tpot.terms
    )
    assert sym.batch not in free
    assert if_free(sym.past / sym.bandwidth, {"past": 3, "bandwidth": 2})[0].left == 0


def test_delta_method_and_monte_carlo() -> None:
    expr = sym.past / sym.bandwidth + sym.dispatch_time
    at = {"past": 100, "bandwidth": 10, "dispatch_time": 2}
    spread = delta_method(expr, at, {"bandwidth": 1, "dispatch_time": Rational(3, 4)})
    assert spread.variance == Integer(1) + Rational(9, 16)  # (100/10^2)^2 and (3/4)^2
    assert spread.deviation == Rational(5, 4)
    assert spread.parts == {sym.bandwidth: Rational(16, 25), sym.dispatch_time: Rational(9, 25)}
    sample = monte_carlo(expr, at, {"bandwidth": 0.1, "dispatch_time": 0.05}, samples=40_000)
    small = delta_method(expr, at, {"bandwidth": 0.1, "dispatch_time": 0.05})
    assert sample.mean == pytest.approx(12, rel=1e-3)
    assert sample.deviation == pytest.approx(float(small.deviation), rel=0.03)
    assert sample == monte_carlo(
        expr, at, {"bandwidth": 0.1, "dispatch_time": 0.05}, samples=40_000
    )
    uniform = monte_carlo(expr, at, {"dispatch_time": 0.05}, distribution="uniform")
    assert uniform.deviation == pytest.approx(0.05, rel=0.03)


def test_sobol_indices_of_a_linear_function() -> None:
    """For a sum of independent terms the index of each is its part of the variance."""
    pytest.importorskip("SALib")
    from lifesym.analysis import sobol

    expr = 3 * sym.past + 4 * sym.prompt
    indices = sobol(expr, {"past": (1, 11), "prompt": (1, 11)}, samples=512)
    assert indices.first[sym.past] == pytest.approx(9 / 25, abs=0.03)
    assert indices.total[sym.prompt] == pytest.approx(16 / 25, abs=0.03)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda f: local_elasticities(f.tpot, {"batch": 1}), "also depends on"),
        (lambda f: ls.elasticities(f.tpot, of=["rank"]), "does not depend on rank"),
        (lambda f: ls.elasticities(f.tpot, of=["bandwith"]), "did you mean 'bandwidth'"),
        (lambda f: ls.elasticities("TPOT"), "expected a result or a SymPy expression"),
        (lambda f: ls.elasticities(Symbol("x")), "not lifesym's"),
        (lambda f: local_elasticities(sym.past, {"past": -1}), "at least 0"),
        (lambda f: local_elasticities(sym.past, {"past": 0}), "zero at this point"),
        (lambda f: local_elasticities(sym.past, {"past": sym.batch}), "must be a number"),
        (lambda f: shares(f.tps, {}), "operators"),
        (lambda f: tornado(sym.past, {"past": 1}, 2), "above 0 and below 1"),
        (lambda f: delta_method(sym.past, {"past": 1}, {"past": -1}), "negative"),
    ],
)
def test_bad_questions_get_clear_answers(llama: ls.Forecast, ask: object, message: str) -> None:
    with pytest.raises(ls.SymbolError, match=message):
        ask(llama)  # type: ignore[operator]


@pytest.mark.parametrize(("prompt", "chunk"), [(100, 1000), (4000, 300), (4001, 256)])
def test_chunks_are_whole_numbers_until_the_next_one(prompt: int, chunk: int) -> None:
    """Between two steps a chunked prefill has the slope that its neighbours show."""
    model = ls.load_model("llama-2-7b")
    ttft = ls.forecast(model, ls.load_hardware("v100"), chunk=sym.chunk, generate=2).ttft
    at = {"prompt": prompt, "chunk": chunk}
    local = {row.word: row for row in local_elasticities(ttft, at)}
    level = sym.bind(ttft.expr, at)
    step = Rational(1, 10**6)
    for word in ("prompt", "chunk"):
        up, down = (sym.bind(ttft.expr, at | {word: at[word] + s}) for s in (step, -step))
        slope = (up - down) / (2 * step) * at[word] / level
        if not local[word].at_tie:
            assert float(local[word].value) == pytest.approx(float(slope), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "metric"),
    [("llama", "tpot"), ("mixtral", "tpot"), ("gpt-oss-20b", "mean"), ("deepseek-v2-lite", "mean")],
)
def test_same_proves_that_the_elasticities_in_rates_add_up(name: str, metric: str) -> None:
    """Of symbolic families, and of means over a generation with windows and crossing lines."""
    model = ls.load_model(name) if "-" in name else ls.Model.symbolic(name)
    f = ls.forecast(model, ls.Hardware.symbolic(), batch=sym.batch)
    result = f.tpot.mean if metric == "mean" else f.tpot
    parts = elasticities(result, of=[*RATES, sym.dispatch_time])
    total = sum(parts[s] for s in RATES) - parts[sym.dispatch_time]
    assert same(total, Integer(-1)) == "equal"
    assert not vanishes(total + parts[sym.bandwidth] + 1)
    assert same(total + parts[sym.bandwidth], Integer(-1)) == "different"


@pytest.mark.parametrize(
    ("deviations", "distribution", "message"),
    [
        ({"bandwidth": 8e11}, "uniform", "a uniform bandwidth of this deviation goes from -"),
        ({"memory_efficiency": 0.3}, "lognormal", "must be from 0 to 1"),
        ({"bandwidth": -1}, "lognormal", "is negative"),
        ({"bandwidth": float("nan")}, "lognormal", "finite"),
    ],
)
def test_draws_that_nothing_can_have_are_refused(
    deviations: dict[str | Symbol, float], distribution: str, message: str
) -> None:
    v100 = ls.load_hardware("v100")
    f = ls.forecast(ls.load_model("llama-2-7b"), ls.Hardware.symbolic())
    at = v100.numbers(v100.default_format) | {sym.past: Integer(1000)}
    at |= {sym.memory_efficiency: Rational(9, 10)}
    with pytest.raises(ls.SymbolError, match=message):
        monte_carlo(f.tpot, at, deviations, distribution=distribution)  # type: ignore[arg-type]
    small = monte_carlo(f.tpot, at, {"bandwidth": 1e11}, samples=500, distribution="uniform")
    assert small.mean == pytest.approx(float(sym.bind(f.tpot.expr, at)), rel=0.05)


def test_a_sum_without_a_closed_form_is_written_out() -> None:
    """Its formula holds for one number of steps, which has no elasticity; the others do."""
    f = ls.forecast(
        ls.load_model("mistral-7b-v0.1"), ls.Hardware.symbolic(), causal="exact", chunk=512
    )
    assert f.ttft.expr.atoms(Sum)
    v100 = ls.load_hardware("v100")
    at = v100.numbers(v100.default_format) | {sym.prompt: Integer(5000)}
    rows = {row.symbol: row.value for row in local_elasticities(f.ttft, at)}
    assert sym.prompt not in rows
    step = Rational(1, 10**9)
    level, up, down = (
        f.ttft.expr.xreplace({**at, sym.peak: at[sym.peak] * (1 + side * step)}).doit()
        for side in (0, 1, -1)
    )
    assert float((up - down) / (2 * step * level)) == pytest.approx(float(rows[sym.peak]), rel=1e-9)
    with pytest.raises(ls.SymbolError, match="no elasticity in prompt"):
        local_elasticities(f.ttft, at, ["prompt"])
    regime = regime_at(f.ttft, at)
    assert regime.expr.xreplace(at) == level
    assert not regime.holds({**at, sym.prompt: Integer(5000 + 512)})
