"""Inverse questions, put back exactly; approximations with certified errors; Pareto fronts."""

import random

import numpy as np
import pytest
from sympy import Expr, Integer, Rational, S, Symbol, lambdify, oo

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import approximate, design, largest_share, pareto
from lifesym.analysis.enclosure import enclose
from lifesym.nodes import Active, CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.sums import SumMax

V100 = ls.load_hardware("v100")
DEVICE = V100.numbers(V100.default_format)
F = ls.forecast(ls.load_model("llama-2-7b"), ls.Hardware.symbolic(), batch=sym.batch)


def without(*names: str) -> dict[Symbol | str, Expr]:
    return {s: v for s, v in DEVICE.items() if s.name not in names}


@pytest.mark.parametrize(
    ("over", "at", "target"),
    [
        ("batch", {"past": 1000}, Rational(3, 100)),
        ("batch", {"past": 10}, Rational(35, 1000)),
        ("past", {"batch": 4}, Rational(3, 100)),
        ("bandwidth", {"batch": 1, "past": 1000}, Rational(1, 100)),
        ("peak", {"batch": 300, "past": 10}, Rational(6, 100)),
        ("memory_efficiency", {"batch": 1, "past": 1000}, Rational(2, 100)),
        ("dispatch_time", {"batch": 1, "past": 1000}, Rational(2, 100)),
    ],
)
def test_an_answer_put_back_meets_the_target_and_its_neighbour_misses(
    over: str, at: dict, target: Rational
) -> None:  # type: ignore[type-arg]
    values = {**without(over), **at}
    found = design(F.tpot, over, values, at_most=target)

    def tpot(value: Expr) -> Expr:
        return sym.bind(F.tpot.expr, {**values, over: value})

    assert tpot(found.solution) == target  # the real solution, exactly
    assert found.formula is not None
    assert sym.bind(found.formula, values) == found.solution
    assert found.achieved == tpot(found.answer) <= target
    whole = over in ("batch", "past")
    assert found.answer.is_Integer or not whole
    assert found.want == ("most" if over in ("batch", "past", "dispatch_time") else "least")
    step = 1 if whole else found.answer / 10**9
    beyond = found.answer + (step if found.want == "most" else -step)
    assert tpot(beyond) > target
    assert found.next_misses == (tpot(beyond) if whole else None)


def test_bits_that_meet_a_target() -> None:
    """The format itself is the unknown: bits of a weight as a symbol."""
    from lifesym.formats import Format

    any_bits = Format(name="b bits", bits=sym.weight_bits)
    f = ls.forecast(
        ls.load_model("llama-2-7b"), ls.Hardware.symbolic(), weights=any_bits, activations="fp16"
    )
    found = design(f.tpot, "weight_bits", {**DEVICE, "past": 1000}, at_most=0.01)
    assert found.answer == 10
    assert found.next_misses > Rational(1, 100) >= found.achieved


def test_a_rank_that_meets_a_target() -> None:
    f = ls.forecast(ls.load_model("llama-2-7b"), ls.Hardware.symbolic(), lora=sym.rank)
    found = design(f.tpot, "rank", {**DEVICE, "past": 1000}, at_most=0.0158)
    assert found.next_misses > Rational(158, 10**4) >= found.achieved
    assert sym.bind(f.tpot.expr, {**DEVICE, "past": 1000, "rank": found.answer}) == found.achieved


def test_throughput_and_memory_targets() -> None:
    values = {**DEVICE, "prompt": 1000, "generated": 100}
    least = design(F.tps, "batch", values, at_least=500)
    assert least.want == "least"
    assert least.achieved >= 500 > least.next_misses
    most = design(F.memory, "batch", values, at_most=Rational(32 * 10**9))
    assert most.achieved <= 32 * 10**9 < most.next_misses
    longest = design(
        F.tpot.mean, "generated", {**DEVICE, "prompt": 1000, "batch": 8}, at_most=0.025
    )
    assert longest.achieved <= Rational(25, 1000) < longest.next_misses


def test_a_prompt_processed_in_chunks_is_searched_at_whole_values() -> None:
    f = ls.forecast(ls.load_model("llama-2-7b"), ls.Hardware.symbolic(), chunk=512)
    found = design(f.ttft, "prompt", DEVICE, at_most=0.5, between=(1, 10**4))
    assert found.achieved <= Rational(1, 2) < found.next_misses
    assert float(found.achieved) == pytest.approx(
        float(
            ls.forecast(ls.load_model("llama-2-7b"), V100, prompt=int(found.answer), chunk=512).ttft
        )
    )


def test_an_interval_in_the_middle_and_a_choice_of_end() -> None:
    expr = sym.batch + 16 / sym.batch
    found = design(expr, "batch", at_most=10)
    assert [(s.low, s.high) for s in found.feasible] == [(2, 8)]
    assert found.answer == 8
    assert design(expr, "batch", at_most=10, want="least").answer == 2
    outside = design(expr, "batch", at_least=10, between=(1, 100))
    assert [(s.low, s.high) for s in outside.feasible] == [(1, 2), (8, 100)]


def test_infeasible_targets_say_why_and_by_which_term() -> None:
    values = {**without("bandwidth"), "batch": 1, "past": 1000}
    with pytest.raises(ls.InfeasibleError, match="as bandwidth grows without limit") as caught:
        design(F.tpot, "bandwidth", values, at_most=1e-5)
    assert "compute time is" in str(caught.value)
    with pytest.raises(ls.InfeasibleError, match=r"at batch = 1, of which mlp_.*'s memory time"):
        design(F.tpot, "batch", {**DEVICE, "past": 1000}, at_most=0.003)
    # 1360 token/s is what ever larger batches come close to
    with pytest.raises(ls.InfeasibleError, match=r"it is at most 1378\.\d*, even as batch grows"):
        design(F.tps, "batch", {**DEVICE, "prompt": 1000, "generated": 100}, at_least=50000)
    with pytest.raises(ls.InfeasibleError, match="no batch"):  # real solutions, but no whole one
        design((sym.batch - Rational(5, 2)) ** 2, "batch", at_most=Rational(1, 5))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: design(F.tpot, "rank", DEVICE, at_most=1), "does not depend on rank"),
        (lambda: design(F.tpot, "batch", DEVICE, at_most=1), "also depends on past"),
        (lambda: design(F.tpot, "batch", {**DEVICE, "past": 1}), "one target"),
        (
            lambda: design(F.tpot, "batch", {**DEVICE, "past": 1}, at_most=1, between=(9, 3)),
            "nothing lies",
        ),
        (lambda: design(sym.past / sym.batch, "batch", {"past": 1}, at_most=1), "no largest one"),
        (
            lambda: design(
                CeilDiv(sym.past, sym.page), "past", {"page": 7}, at_most=3, between=(0, 2**23)
            ),
            "range of at most",
        ),
        (lambda: approximate(F.tpot, {"past": (1, 9)}, DEVICE, keep=1), "also depends on batch"),
        (lambda: approximate(F.tpot, {"past": (1, 9)}, DEVICE, keep=1, share=0.1), "one of share"),
        (lambda: approximate(F.tpot, {"past": (9, 1)}, DEVICE, keep=1), "nothing lies"),
        (
            lambda: approximate(
                Active(sym.past, sym.batch), {"past": (1, 9)}, {"batch": 2}, keep=1
            ),
            "no interval bounds",
        ),
        (lambda: pareto({"a": (1, 2), "b": (1,)}), "same objectives"),
        (lambda: pareto(["a"]), "give the objectives"),
    ],
)
def test_bad_questions_get_clear_answers(ask: object, message: str) -> None:
    with pytest.raises(ls.LifesymError, match=message):
        ask()  # type: ignore[operator]


def test_a_share_that_is_rounded_to_whole_tokens() -> None:
    """The most is at the end of a step: a token more misses the target, however many there are."""
    tokens = 5000
    kept = CeilDiv(S(tokens), 1 / sym.keep)
    for whole in (1, 1234, 4999, 5000):
        found = design(3 * kept + 1, "keep", at_most=3 * whole + 3)
        assert found.answer == Rational(whole, tokens)
        assert found.achieved <= 3 * whole + 3
    least = design(1000 / kept, "keep", at_most=1000 / S(1234))
    assert least.answer == Rational(1234, tokens)  # as much is kept at less, down to a token less
    assert least.achieved == 1000 / S(1234)
    with pytest.raises(ls.InfeasibleError, match="no keep brings"):
        design(kept + 9, "keep", at_most=8)
    nested = FloorDiv(S(10**6), 7 * kept)
    assert design(nested, "keep", at_least=100).answer == Rational(1428, tokens)


BOXES = {
    "decode on one device": (
        "llama-2-7b",
        {"batch": (1, 64), "past": (0, 4096)},
        {"dispatch_time": 5e-6},
        3,
    ),
    "any bandwidth": (
        "llama-2-7b",
        {"batch": (1, 64), "past": (1, 4096), "bandwidth": (3 * 10**11, 3 * 10**12)},
        {"dispatch_time": 5e-6},
        3,
    ),
    "experts": ("mixtral-8x7b", {"batch": (1, 64), "past": (0, 4096)}, {"dispatch_time": 5e-6}, 2),
    "mean with windows": (
        "gpt-oss-20b",
        {"batch": (1, 64), "prompt": (16, 4096), "generated": (16, 512)},
        {"dispatch_time": 5e-6},
        2,
    ),
    "mean with lines that cross": (
        "deepseek-v2-lite",
        {"batch": (1, 64), "prompt": (16, 4096), "generated": (16, 512)},
        {"dispatch_time": 5e-6},
        3,
    ),
}


@pytest.mark.parametrize("case", BOXES)
def test_approximation_bounds_hold_and_are_tight(case: str) -> None:
    name, box, extra, keep = BOXES[case]
    f = ls.forecast(ls.load_model(name), ls.Hardware.symbolic(), batch=sym.batch, mla="expand")
    values = {
        s: v
        for s, v in {**DEVICE, **{sym.resolve(k): v for k, v in extra.items()}}.items()
        if s.name not in box
    }
    result = f.tpot.mean if "generated" in box else f.tpot
    short = approximate(result, box, values, keep=keep)
    assert len(short.kept) == keep
    assert short.dropped
    assert short.error.gap <= 0.10
    assert short.error.complete
    assert short.error.boxes < 5000
    full, brief = (sym.bind(expr, values) for expr in (result.expr, short.expr))
    # the lower bound is reached: exactly, at a point of the box
    at = {s: sym.exact(v) for s, v in short.error.at.items()}
    worst = 1 - brief.xreplace(at) / full.xreplace(at)
    assert worst.evalf(30) >= short.error.lower * (1 - 1e-12)
    assert float(worst) >= 0.9 * short.error.upper
    # and the upper one is exceeded nowhere
    rng = np.random.default_rng(0)
    draws = [rng.uniform(float(low), float(high), 10_000) for low, high in short.box.values()]
    call = lambdify(list(short.box), [full, brief], "numpy", cse=True)
    exact, approximated = call(*draws)
    errors = 1 - approximated / exact
    assert errors.max() <= short.error.upper * (1 + 1e-9)
    assert errors.min() >= -1e-12


def test_dropping_by_share_and_by_error() -> None:
    box = {"batch": (1, 64), "past": (0, 4096)}
    values = {**DEVICE, "dispatch_time": Rational(5, 10**6)}
    by_share = approximate(F.tpot, box, values, share=0.1)
    assert len(by_share.kept) == 3
    assert all(by_share.shares[term] < 0.1 for term in by_share.dropped)
    by_error = approximate(F.tpot, box, values, error=0.2)
    assert by_error.error.upper <= 0.2
    exact = approximate(F.tpot, box, values, error=0)
    assert exact.dropped == ()
    assert exact.error.upper == 0
    assert not exact.expr.atoms(Maximum)  # memory-bound over the whole box: one branch is certain


def test_enclosures_enclose() -> None:
    """Values and elasticities of random formulas at random points of random boxes."""
    rng = random.Random(3)
    x, y = sym.batch, sym.past
    formulas = [
        x * y + 3 * x**2,
        Maximum(x * 5, y) / (1 + x),
        Minimum(x, y) + 7 / y,
        8 * (1 - Rational(3, 4) ** x) + y,
        (x + y) ** Rational(1, 2) / 3,
        Maximum(x, 2 * y, Integer(9)) * (x + 1) ** -2,
        SumMax(Integer(9), x * y, x, y**2 + 3, Rational(5)),
    ]
    for expr in formulas:
        for _ in range(40):
            low = [rng.uniform(1, 50) for _ in range(2)]
            high = [value * rng.uniform(1, 3) for value in low]
            box = enclose(expr, (x, y), np.array([low]).T, np.array([high]).T)
            for _ in range(5):
                spot = [rng.uniform(a, b) for a, b in zip(low, high, strict=True)]
                at = {x: Rational(spot[0]), y: Rational(spot[1])}
                assert box.low[0] <= expr.xreplace(at).evalf(30) <= box.high[0]
                for i, s in enumerate((x, y)):
                    slope = (s * expr.diff(s) / expr).xreplace(at).evalf(30)
                    assert box.least[i, 0] <= slope <= box.most[i, 0]


def test_shares_with_steps_are_certified() -> None:
    """Rounded quotients jump: the bound holds beside the steps, too."""
    x, page = sym.past, sym.page
    part, rest = 200 * CeilDiv(x, page), x + 10
    box = {x: (Integer(1), Integer(4000)), page: (Integer(16), Integer(999))}
    found = largest_share(part, rest, box)
    assert found.complete
    assert found.gap <= 0.05
    rng = random.Random(8)
    for _ in range(500):
        at = {
            x: Integer(rng.randint(1, 4000)),
            page: Integer(rng.choice([16, rng.randint(16, 999)])),
        }
        assert part.xreplace(at) / (part + rest).xreplace(at) <= found.upper
    exact = {symbol: sym.exact(value) for symbol, value in found.at.items()}
    assert part.xreplace(exact) / (part + rest).xreplace(exact) >= found.lower


def test_a_share_that_peaks_inside_the_box() -> None:
    """x / (1 + x)^2 is largest at 1: no face of the box has the maximum."""
    part, rest = sym.bandwidth, 1 + sym.bandwidth + sym.bandwidth**2
    found = largest_share(part, rest, {sym.bandwidth: (Rational(1, 50), Integer(40))}, gap=0.001)
    assert found.lower <= 0.25 <= found.upper
    assert found.gap <= 0.001


def test_a_box_that_is_a_point_ends_at_once() -> None:
    found = largest_share(
        sym.bandwidth, Integer(2), {sym.bandwidth: (Integer(1), Integer(1))}, gap=0
    )
    assert found.boxes == 1
    assert found.lower == pytest.approx(found.upper)
    assert found.lower <= Rational(1, 3) <= found.upper


def test_the_upper_bound_covers_boxes_that_were_dropped_early() -> None:
    """Two peaks, of which branch and bound may leave the smaller one long before it ends."""
    x = sym.bandwidth
    part, rest = x**2 + 3, 1 + x**3 / 9 + 2 / x
    call = lambdify([x], part / (part + rest), "numpy")
    truth = call(np.geomspace(0.01, 100, 200_001)).max()
    for gap in (0.3, 0.1, 0.01, 0.0001):
        found = largest_share(part, rest, {x: (Rational(1, 100), Integer(100))}, gap=gap)
        assert found.lower <= truth * (1 + 1e-9)
        assert truth <= found.upper
        assert found.gap <= gap + 1e-12


def test_a_budget_that_runs_out_still_bounds() -> None:
    found = largest_share(
        sym.bandwidth,
        1 + sym.bandwidth**2,
        {sym.bandwidth: (Rational(1, 50), Integer(40))},
        gap=0,
        budget=5,
    )
    assert found.lower <= Rational(1, 3) <= found.upper
    assert found.gap > 0


def test_pareto_front_against_its_definition() -> None:
    rng = random.Random(1)
    options = {i: (rng.randint(0, 9), rng.randint(0, 9), rng.randint(0, 9)) for i in range(60)}
    front = pareto(options)
    for i, score in options.items():
        beaten = any(
            all(a <= b for a, b in zip(other, score, strict=True)) and other != score
            for other in options.values()
        )
        assert (i in front) == (not beaten)


def test_pareto_of_formats_and_batches() -> None:
    """Latency against throughput of a real model over discrete options."""
    options = [(fmt, batch) for fmt in ("fp16", "int4-g128") for batch in (1, 8, 64)]
    model = ls.load_model("llama-2-7b")

    def objectives(option: tuple[str, int]) -> tuple[float, float]:
        f = ls.forecast(
            model,
            V100,
            prompt=128,
            generate=64,
            batch=option[1],
            weights=option[0],
            activations="fp16",
        )
        return float(f.tpot), -float(f.tps)

    front = pareto(options, objectives)
    assert ("int4-g128", 1) in front
    assert ("fp16", 1) not in front
    assert oo not in front


@pytest.mark.parametrize("over", ["bandwidth", "peak"])
def test_rates_for_the_mean_of_a_generation(over: str) -> None:
    """Sums of maxima, whose crossing moves with the rate."""
    forecast = ls.forecast(ls.load_model("llama-2-7b"), ls.Hardware.symbolic(), 512, 64, batch=8)
    result = forecast.latency
    values = without(over)
    full = float(sym.bind(result.expr, DEVICE))
    found = design(result, over, values, at_most=Rational(str(round(1.5 * full, 4))))
    reached = sym.bind(result.expr, {**values, over: found.solution})
    assert float(reached) == pytest.approx(1.5 * full, rel=1e-4)
    with pytest.raises(ls.InfeasibleError, match=f"no {over} brings latency to 0"):
        design(result, over, values, at_most=Rational(1, 10**4))


@pytest.mark.parametrize(
    ("metric", "over"),
    [("mean", "bandwidth"), ("mean", "peak"), ("latency", "vector_peak"), ("chunked", "bandwidth")],
)
def test_rates_of_sums_are_put_back(metric: str, over: str) -> None:
    """The crossing of a sum of maxima lies inside its range, and moves with the rate."""
    chunk = 64 if metric == "chunked" else None
    f = ls.forecast(
        ls.load_model("llama-2-7b"), ls.Hardware.symbolic(), 640, 65, batch=8, chunk=chunk
    )
    result = {"mean": f.tpot.mean, "latency": f.latency, "chunked": f.ttft}[metric]
    values = without(over)
    full = sym.bind(result.expr, DEVICE)
    slower = full * Rational(101, 100)
    found = design(result, over, values, at_most=slower)
    assert found.answer < DEVICE[sym.resolve(over)]
    reached = sym.bind(result.expr, {**values, over: found.solution})
    assert float(reached / slower) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "metric"), [("mixtral-8x7b", "tpot"), ("deepseek-v2-lite", "tps")]
)
def test_experts_need_no_range(name: str, metric: str) -> None:
    f = ls.forecast(ls.load_model(name), ls.Hardware.symbolic(), 100, 2, batch=sym.batch)
    result = getattr(f, metric)
    at = {**without("batch"), "past": 100}
    here = sym.bind(result.expr, {**at, "batch": 40})
    options = {"at_most": here} if metric == "tpot" else {"at_least": here}
    found = design(result, "batch", at, **options)  # type: ignore[arg-type]
    assert found.answer == 40
    with pytest.raises(ls.SymbolError, match="up to 1048576 meets the target"):
        design(f.tpot, "batch", at, at_most=10**9)


def test_the_largest_chunk_needs_no_range() -> None:
    f = ls.forecast(ls.load_model("llama-2-7b"), ls.Hardware.symbolic(), 700, 2, chunk=sym.chunk)
    found = design(f.ttft, "chunk", DEVICE, at_most=sym.bind(f.ttft.expr, {**DEVICE, "chunk": 80}))
    assert found.answer <= 80
    assert found.next_misses is not None
    assert found.achieved <= found.target < found.next_misses


def test_the_best_value_that_is_named_is_the_best() -> None:
    """Also a limit of quotients that both grow, a chunk inside the range, a mean of no steps."""
    tps = ls.forecast(ls.load_model("llama-2-7b"), V100, 1000, 128, batch=sym.batch).tps
    far = float(sym.bind(tps.expr, {"batch": 10**9}))
    with pytest.raises(ls.InfeasibleError, match=rf"at most {far:g}, even as batch grows"):
        design(tps, "batch", at_least=1.001 * far)
    ttft = ls.forecast(ls.load_model("llama-2-7b"), V100, 3000, chunk=sym.chunk).ttft
    times = {n: sym.bind(ttft.expr, {"chunk": n}) for n in range(300, 700)}
    best = min(times, key=lambda n: times[n])
    with pytest.raises(ls.InfeasibleError, match=f"at chunk = {best}, of which"):
        design(ttft, "chunk", at_most=times[best] * Rational(99, 100), between=(300, 699))
    tps = ls.forecast(ls.load_model("gpt-oss-20b"), V100, 1000, sym.generated).tps
    with pytest.raises(ls.InfeasibleError, match=r"at most [1-9].*at generated = 2"):
        design(tps, "generated", at_least=10**6)


def test_a_target_that_a_whole_batch_meets_exactly_is_met_there() -> None:
    """The batch is an exponent: the zero is a bracket, unless a whole number in it is the zero."""
    tpot = ls.forecast(ls.load_model("qwen3-30b-a3b"), V100, batch=sym.batch).tpot
    at = {sym.past: Integer(700)}
    found = design(tpot, "batch", at, at_most=sym.bind(tpot.expr, {**at, "batch": 140}))
    assert found.answer == found.solution == found.feasible[-1].high == 140
    assert found.next_misses is not None
    assert found.next_misses > found.target == found.achieved


def test_designs_of_prefills_of_experts_end_at_once() -> None:
    """Tokens are an exponent, their square is in attention: quadratic, with irrational roots."""
    ttft = ls.forecast(ls.load_model("mixtral-8x7b"), V100, sym.prompt).ttft
    found = design(ttft, "prompt", at_most=1)
    assert found.next_misses is not None
    assert found.achieved <= 1 < found.next_misses


@pytest.mark.parametrize(
    ("name", "keep", "most"), [("llama-3.1-8b", 6, 0.04), ("qwen3-30b-a3b", 5, 0.04)]
)
def test_a_chunked_prefill_is_approximated_with_a_tight_error(
    name: str, keep: int, most: float
) -> None:
    """The bound holds at every prompt of the range, and is reached at one."""
    ttft = ls.forecast(name, ls.typical("h100"), chunk=512).ttft
    short = approximate(ttft, {"prompt": (1, 2048)}, keep=keep)
    assert short.error.complete
    assert short.error.gap <= 0.05
    assert short.error.upper <= most
    call = ls.compile([ttft.expr, short.expr], ["prompt"])
    full, brief = call(np.arange(1, 2049))
    errors = 1 - brief / full
    assert errors.min() >= -1e-12
    assert short.error.lower <= errors.max() * (1 + 1e-9) <= short.error.upper * (1 + 2e-9)
    at = short.error.at[sym.prompt]
    assert errors[int(at) - 1] == pytest.approx(short.error.lower, rel=1e-9)
