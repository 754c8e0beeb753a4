"""Leading terms: sums of maxima, experts, windows, chunks; and what is refused."""

import time

import pytest
from sympy import Expr, Float, Integer, Rational, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import leading, threshold
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.sums import SumMax

V100 = ls.load_hardware("v100")
DEVICE = V100.numbers(V100.default_format) | {sym.dispatch_time: Rational(4, 10**6)}
FAMILIES = ["mixtral", "qwen2_moe", "qwen3_moe", "deepseek_v2", "deepseek_v3"]


def forecast(name: str, **options: object) -> ls.Forecast:
    return ls.forecast(ls.load_model(name), ls.Hardware.symbolic(), batch=sym.batch, **options)  # type: ignore[arg-type]


def ratio_goes_to_one(quantity: ls.Result, over: str, far: tuple[float, float]) -> None:
    found = leading(quantity, over)
    values: dict[Symbol, Expr] = {s: Integer(200) for s in quantity.expr.free_symbols}
    values |= {s: v for s, v in DEVICE.items() if s in values}
    del values[found.symbol]
    ratio = (quantity.expr / found.expr).xreplace(values)
    gaps = [
        abs(float(ratio.xreplace({found.symbol: Float(value, 60)}).doit().evalf(30)) - 1)
        for value in far
    ]
    assert gaps[1] < 1e-2
    assert gaps[1] <= gaps[0] / 5 or gaps[0] < 1e-6


@pytest.mark.parametrize("name", ["llama-2-7b", "mistral-7b-v0.1", "mixtral-8x7b"])
@pytest.mark.parametrize(
    ("metric", "over", "degree"),
    [
        ("tps", "batch", 0),
        ("mean", "batch", 1),
        ("latency", "bandwidth", 0),
    ],
)
def test_sums_over_a_generation(name: str, metric: str, over: str, degree: int) -> None:
    f = forecast(name)
    quantity = f.tpot.mean if metric == "mean" else getattr(f, metric)
    assert leading(quantity, over).degree == degree
    far = (1e21, 1e23) if over == "bandwidth" else (1e7, 1e9)
    ratio_goes_to_one(quantity, over, far)


@pytest.mark.parametrize("name", ["llama-2-7b", "mistral-7b-v0.1", "mixtral-8x7b"])
def test_the_prompt_of_a_whole_generation(name: str) -> None:
    latency = forecast(name).latency
    # a window leaves every token as many scores
    assert leading(latency, "prompt").degree == (1 if name.startswith("mistral") else 2)
    ratio_goes_to_one(latency, "prompt", (1e7, 1e9))


@pytest.mark.parametrize(("name", "degree"), [("llama-2-7b", 2), ("mistral-7b-v0.1", 1)])
def test_the_length_of_a_generation(name: str, degree: int) -> None:
    """Full attention grows with the square of the tokens, a window in proportion."""
    latency = forecast(name).latency
    assert leading(latency, "generated").degree == degree
    ratio_goes_to_one(latency, "generated", (1e8, 1e10))


def test_chunked_prefill() -> None:
    ttft = forecast("llama-2-7b", chunk=sym.chunk).ttft
    assert leading(ttft, "prompt").degree == 2
    ratio_goes_to_one(ttft, "prompt", (2e7, 2e9))
    whole = forecast("llama-2-7b").ttft
    assert leading(ttft, "chunk").expr.equals(whole.expr)
    assert leading(CeilDiv(sym.prompt, sym.chunk), "chunk").expr == 1
    assert leading(FloorDiv(sym.prompt, sym.chunk) + 2, "chunk").expr == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_symbolic_experts(family: str) -> None:
    """A large batch reads every expert; of many experts a step reads k for each token."""
    f = ls.forecast(ls.Model.symbolic(family), ls.Hardware.symbolic(), batch=sym.batch)
    assert leading(f.tpot, "batch").degree == 1
    assert leading(f.tpot, "experts").degree in (0, 1)  # the router grows with the experts
    with pytest.raises(ls.SymbolError, match="bind its exponent"):
        leading(f.tpot, "active_experts")


def test_many_experts_read_as_many_as_tokens_choose() -> None:
    chosen, experts, batch = sym.active_experts, sym.experts, sym.batch
    read = experts * (1 - (1 - chosen / experts) ** batch)
    assert leading(read, "experts").expr == chosen * batch
    assert leading(read, "batch").expr == experts


def test_sums_of_two_lines() -> None:
    n, a, b, c = sym.generated, sym.past, sym.batch, sym.hidden
    assert leading(SumMax(n, a, b, c, 0), "generated").expr == b * n**2 / 2
    assert leading(SumMax(n, a, 0, c, 0), "generated").expr == n * Maximum(a, c)
    assert leading(SumMax(n, a, b, c, 0), "past").expr == a * n
    assert leading(SumMax(n, a, b, c, sym.heads), "hidden").expr == c * n
    steepest = Maximum(b / 2, sym.heads / 2)
    assert leading(SumMax(n, a, b, c, sym.heads), "generated").expr == steepest * n**2


def test_a_window_that_is_passed_holds_no_further_tokens() -> None:
    left = Maximum(0, sym.window - sym.past)
    assert leading(left + sym.batch, "past").expr == sym.batch
    assert leading(Minimum(sym.generated, left) * sym.past + sym.hidden, "past").expr == sym.hidden
    assert leading(Minimum(sym.past, sym.window), "past").expr == sym.window


def test_terms_that_cancel_only_when_multiplied_out() -> None:
    h, b, p = sym.hidden, sym.batch, sym.past
    found = leading((h * (b + 1)) * p - h * b * p - h * p + 5, "past")
    assert (found.degree, found.expr) == (0, 5)


def test_the_threshold_of_an_exponential_is_quick() -> None:
    """(3/4)**batch is not written out at batch = 10**12."""
    f = forecast("mixtral-8x7b")
    start = time.perf_counter()
    first = threshold(f.tpot, "batch", DEVICE | {sym.past: Integer(5000)}, within=Rational(1, 10))
    assert time.perf_counter() - start < 20
    expr = sym.bind(leading(f.tpot, "batch").expr / f.tpot.expr, {**DEVICE, "past": 5000})
    for factor in (2, 5):
        assert abs(float(expr.xreplace({sym.batch: Integer(first * factor)}).evalf(20)) - 1) < 0.1


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: leading(CeilDiv(sym.past, sym.past + sym.batch), "past"), "not known"),
        (lambda: leading(sym.batch**sym.past, "past"), "bind its base"),
        (lambda: leading(sym.past**sym.batch, "past"), "bind its exponent"),
    ],
)
def test_growth_that_is_not_known(ask: object, message: str) -> None:
    with pytest.raises(ls.SymbolError, match=message):
        ask()  # type: ignore[operator]


def test_a_mean_over_steps_that_all_lie_beyond_the_window_is_bounded() -> None:
    """No step is left before the window: min(n - 1, max(0, W - prompt)) is 0, and not unknown."""
    model, device = ls.load_model("mistral-7b-v0.1"), ls.load_hardware("v100")
    mean = ls.forecast(model, device, sym.prompt, sym.generated).tpot.mean
    found = leading(mean, "prompt")
    assert found.degree == 0
    at = {sym.generated: Integer(128)}
    assert found.expr.xreplace(at) == mean.expr.xreplace({**at, sym.prompt: Integer(10**6)})
