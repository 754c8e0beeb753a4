"""What must hold of any such model: scaling, monotonicity, convexity, Euler, limits, chunks."""

from collections.abc import Callable
from functools import cache
from itertools import product
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import DENSE, RATES, device, points, rationals
from sympy import Expr, Integer, S, Symbol, expand, lambdify

import lifesym as ls
from lifesym import symbols as sym
from lifesym.formats import symbolic_format
from lifesym.nodes import Active, Maximum
from lifesym.symbols import TABLE, ordered

FORMATS = {
    "weights": symbolic_format("weight"),
    "activations": symbolic_format("activation"),
    "kv": symbolic_format("kv"),
}
METRICS: dict[str, Callable[[ls.Forecast], Expr]] = {
    "ttft": lambda f: f.ttft.expr,
    "tpot": lambda f: f.tpot.expr,
    "mean": lambda f: f.tpot.mean.expr,
    "latency": lambda f: f.latency.expr,
}
FEW = ("llama", "gemma2", "gpt_neox", "falcon")
EXPERTS = ("mixtral", "deepseek_v3")
"""In prefill the chance that an expert is chosen is a huge exact fraction: decode only."""


@cache
def forecast(family: str, overlap: str = "operator") -> ls.Forecast:
    """A forecast in which everything is a symbol: sizes, bits, rates."""
    return ls.forecast(
        ls.Model.symbolic(family),
        device(),
        prompt=sym.prompt,
        generate=sym.generated,
        batch=sym.batch,
        overlap=overlap,
        **FORMATS,
    )


def at(draw: st.DrawFn, expr: Expr) -> dict[Symbol, Expr]:
    """A point at which the expression can be evaluated: more than one token is generated."""
    values = draw(points(expr.free_symbols))
    if sym.generated in values:
        values[sym.generated] += 1
    return values


@pytest.mark.parametrize("overlap", ["operator", "pass", "none"])
@pytest.mark.parametrize("family", [*FEW, *EXPERTS])
def test_faster_devices_are_faster_by_their_factor(family: str, overlap: str) -> None:
    """Rates k times higher and dispatch k times shorter: every time is divided by k, exactly."""
    factor = Integer(3)
    faster = {rate: factor * rate for rate in RATES}
    faster[sym.dispatch_time] = sym.dispatch_time / factor
    whole = forecast(family, overlap)
    for metric in (whole.ttft, whole.tpot):
        for term in metric.terms:
            for time in (term.compute, term.memory, term.dispatch):
                assert expand(time.xreplace(faster) - time / factor) == 0


@pytest.mark.parametrize("metric", METRICS)
@given(data=st.data())
@settings(max_examples=15)
def test_times_scale_exactly_at_any_point(metric: str, data: st.DataObject) -> None:
    expr = METRICS[metric](forecast("gemma2"))
    values = at(data.draw, expr)
    factor = data.draw(rationals(30))
    faster = {rate: factor * values[rate] for rate in RATES}
    faster[sym.dispatch_time] = values[sym.dispatch_time] / factor
    slow, fast = expr.xreplace(values).doit(), expr.xreplace(values | faster).doit()
    assert slow == factor * fast


GROWING = {sym.batch, sym.prompt, sym.past, sym.dispatch_time}
GROWING |= {row.symbol for row in TABLE.values() if row.kind == "bits"}


@pytest.mark.parametrize(
    ("family", "metric"), [*product(FEW, METRICS), *product(EXPERTS, ["tpot", "mean"])]
)
@given(data=st.data())
@settings(max_examples=10)
def test_times_rise_and_fall_with_their_symbols(
    family: str, metric: str, data: st.DataObject
) -> None:
    expr = METRICS[metric](forecast(family))
    values = at(data.draw, expr)
    before = expr.xreplace(values).doit()
    for symbol in ordered(expr.free_symbols & (GROWING | set(RATES))):
        more = expr.xreplace(values | {symbol: values[symbol] + data.draw(st.integers(1, 50))})
        change = more.doit() - before
        assert change <= 0 if symbol in RATES else change >= 0, symbol


def test_quantities_grow_with_the_workload() -> None:
    """Costs and memory, symbolically: every coefficient of the polynomials is positive."""
    whole = forecast("llama")
    costs = [value for term in whole.ttft.terms for _, value in term.cost.items()]
    for expr in (*costs, whole.memory.expr):
        polynomial = expand(expr).as_poly(*ordered(expr.free_symbols))
        assert polynomial is None or all(k > 0 for k in polynomial.coeffs())


@pytest.mark.parametrize("metric", ["ttft", "tpot"])
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2", "bloom", "falcon"])
@given(data=st.data())
@settings(max_examples=40)
def test_times_are_log_log_convex(family: str, metric: str, data: st.DataObject) -> None:
    """Posynomials, their maxima and sums: T at the geometric mean is at most the mean of T."""
    expr = METRICS[metric](forecast(family))
    arguments, function = compiled(family, metric)
    low, high = (np.array([data.draw(st.floats(-3, 12)) for _ in arguments]) for _ in range(2))
    middle = function(*np.exp((low + high) / 2))
    ends = log(function(*np.exp(low))) + log(function(*np.exp(high)))
    assert middle <= exp(ends / 2) * (1 + 1e-9)
    assert expr.free_symbols == set(arguments)


@cache
def compiled(family: str, metric: str) -> tuple[list[Symbol], Callable[..., float]]:
    expr = METRICS[metric](forecast(family))
    arguments = ordered(expr.free_symbols)
    return arguments, lambdify(arguments, expr, "numpy", cse=True)


def point_of(expr: Expr) -> dict[Symbol, Expr]:
    """Some point: the n-th symbol is n + 2."""
    return {symbol: Integer(n + 2) for n, symbol in enumerate(ordered(expr.free_symbols))}


def elasticity(expr: Expr, symbol: Symbol) -> Expr:
    """The symbol's share in the expression times its value: not yet divided by it."""
    return symbol * expr.diff(symbol)


def opened(expr: Expr) -> Expr:
    """Every maximum as the sum of its branches where they are active."""
    return expr.replace(
        lambda node: isinstance(node, Maximum),
        lambda node: sum(
            arg * Active(arg, *(other for other in node.args if other is not arg))
            for arg in node.args
        ),
    )


@pytest.mark.parametrize("metric", ["ttft", "tpot"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_elasticities_of_the_rates_add_up_to_minus_one(family: str, metric: str) -> None:
    """Euler: rates together, with dispatch time counting against them; symbol for symbol."""
    expr = METRICS[metric](forecast(family))
    euler = sum(elasticity(expr, rate) for rate in RATES) - elasticity(expr, sym.dispatch_time)
    assert expand(euler + opened(expr)) == 0


@pytest.mark.parametrize("metric", METRICS)
@given(data=st.data())
@settings(max_examples=5)
def test_euler_at_any_point(metric: str, data: st.DataObject) -> None:
    """Exactly, for closed sums and windows too."""
    expr = METRICS[metric](forecast("gemma2"))
    values = at(data.draw, expr)
    kept = {s: v for s, v in values.items() if s not in (*RATES, sym.dispatch_time)}
    bound = expr.xreplace(kept)
    euler = sum(elasticity(bound, rate) for rate in RATES) - elasticity(bound, sym.dispatch_time)
    assert (euler + bound).xreplace(values).doit() == 0


@pytest.mark.parametrize("family", DENSE)
@given(data=st.data())
@settings(max_examples=8)
def test_numpy_equals_the_exact_value(family: str, data: st.DataObject) -> None:
    for metric in ("ttft", "tpot", "mean"):
        expr = METRICS[metric](forecast(family))
        values = at(data.draw, expr)
        arguments, function = compiled(family, metric)
        exact = float(expr.xreplace(values).doit())
        assert function(*(np.float64(values[s]) for s in arguments)) == pytest.approx(
            exact, rel=1e-12
        )


BASE = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "head_dim": 4,
}
GROUPED = BASE | {"num_key_value_heads": 2}


def cost_of(config: dict[str, object], **workload: object) -> dict[str, Expr]:
    """All fields of the cost of a pass."""
    return dict(ls.Model.from_hf(config).forward(sym.batch, **workload).cost(**FORMATS).items())


def test_as_many_key_heads_as_heads_is_multi_head_attention() -> None:
    llama = BASE | {"model_type": "llama"}
    for new, past in ((sym.new, sym.past), (1, sym.past), (sym.prompt, 0)):
        grouped = cost_of(llama | {"num_key_value_heads": 8}, new=new, past=past)
        assert grouped == cost_of(llama, new=new, past=past)


@given(data=st.data())
def test_a_window_beyond_the_context_is_full_attention(data: st.DataObject) -> None:
    new, past = data.draw(st.integers(2, 60)), data.draw(st.integers(0, 60))
    mistral = GROUPED | {"model_type": "mistral"}
    causal = data.draw(st.sampled_from(["full", "exact"]))
    full = cost_of(mistral, new=new, past=past, causal=causal)
    wide = mistral | {"sliding_window": past + new + data.draw(st.integers(0, 9))}
    assert cost_of(wide, new=new, past=past, causal=causal) == full
    narrow = mistral | {"sliding_window": data.draw(st.integers(2, past + new))}
    windowed = cost_of(narrow, new=new, past=past, causal=causal)
    assert expand(full["matmul_flops"] - windowed["matmul_flops"]).as_coeff_Mul()[0] >= 0


def test_one_new_token_is_a_decode_step() -> None:
    """The same operators: a prefill of one token after T, and a step at context T."""
    model = ls.Model.symbolic("gemma2")
    step = model.forward(sym.batch, 1, sym.past).cost()
    prefill = model.forward(sym.batch, sym.new, sym.past).cost()
    for (_, one), (_, many) in zip(step.items(), prefill.items(), strict=True):
        assert expand(one - many.xreplace({sym.new: S.One})) == 0


def test_batches_share_weights_and_nothing_else() -> None:
    cost = ls.Model.symbolic("llama").forward(sym.batch, sym.new, sym.past).cost()
    twice = {sym.batch: 2 * sym.batch}
    shared = {"weight_bytes", "dispatches"}
    for name, value in cost.items():
        if name not in shared:
            assert expand(value.xreplace(twice) - 2 * value) == 0, name
    rows = sym.batch * sym.new * sym.hidden * 2
    assert expand(cost.weight_bytes.xreplace(twice) - cost.weight_bytes - rows) == 0


def test_attention_is_what_is_quadratic_in_the_prompt() -> None:
    flops = ls.Model.symbolic("llama").forward(1, sym.prompt, 0).cost().matmul_flops
    quadratic = expand(flops).coeff(sym.prompt, 2)
    assert quadratic == 4 * sym.layers * sym.heads * sym.head_dim
    exact = ls.Model.symbolic("llama").forward(1, sym.prompt, 0, causal="exact").cost()
    assert expand(exact.matmul_flops).coeff(sym.prompt, 2) == quadratic / 2


INFINITE = Integer(10**60)


def test_without_compute_limits_time_is_traffic_over_bandwidth() -> None:
    whole = forecast("llama")
    for result in (whole.ttft, whole.tpot):
        values = point_of(result.expr) | {sym.peak: INFINITE, sym.vector_peak: INFINITE}
        moved = sum((term.cost.bytes for term in result.terms), S.Zero)
        dispatches = sum((term.cost.dispatches for term in result.terms), S.Zero)
        traffic = moved / sym.bandwidth + dispatches * sym.dispatch_time
        assert result.expr.xreplace(values) == traffic.xreplace(values)


def test_without_memory_limits_time_is_operations_over_peaks() -> None:
    whole = forecast("llama")
    for result in (whole.ttft, whole.tpot):
        values = point_of(result.expr) | {sym.bandwidth: INFINITE}
        values[sym.dispatch_time] = S.Zero
        matrix = sum((term.cost.matmul_flops for term in result.terms), S.Zero)
        vector = sum((term.cost.flops - term.cost.matmul_flops for term in result.terms), S.Zero)
        free = [term for term in result.terms if term.compute.is_zero]
        busy = matrix / sym.peak + vector / sym.vector_peak
        moved = sum((term.memory for term in free), S.Zero)
        assert result.expr.xreplace(values) == (busy + moved).xreplace(values)


@given(data=st.data())
@settings(max_examples=25)
def test_bounds_of_overlap(data: st.DataObject) -> None:
    """One maximum over the totals <= the sum of maxima <= compute plus memory <= twice that."""
    for metric in ("ttft", "mean"):
        exprs = [
            METRICS[metric](forecast("gemma2", overlap)) for overlap in ("pass", "operator", "none")
        ]
        values = at(data.draw, exprs[1])
        least, between, most = (expr.xreplace(values).doit() for expr in exprs)
        assert least <= between <= most <= 2 * between


@given(chunk=st.integers(1, 40), count=st.integers(1, 5), rest=st.integers(0, 39), data=st.data())
@settings(max_examples=30)
def test_exact_causal_chunks_add_up_to_one_prefill(
    chunk: int, count: int, rest: int, data: st.DataObject
) -> None:
    """With the triangle counted, cutting a prompt changes no matrix FLOP: windows too."""
    family = data.draw(st.sampled_from(["mistral", "gemma2", "gpt2", "qwen2"]))
    window = data.draw(st.integers(2, 90))
    config = {
        "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512},
        "gemma2": GROUPED | {"sliding_window": window},
        "mistral": GROUPED | {"sliding_window": window},
        "qwen2": GROUPED,
    }[family]
    model = ls.Model.from_hf({"vocab_size": 100} | config | {"model_type": family})
    sizes = [chunk] * count + [rest % chunk] * (rest % chunk > 0)
    done, flops, written = 0, S.Zero, S.Zero
    for size in sizes:
        last = done + size == sum(sizes)
        cost = model.forward(
            2, size, done, logits="last" if last else "none", causal="exact"
        ).cost()
        done, flops, written = done + size, flops + cost.matmul_flops, written + cost.kv_write_bytes
    whole = model.forward(2, done, 0, causal="exact").cost()
    assert (flops, written) == (whole.matmul_flops, whole.kv_write_bytes)
    assert whole.matmul_flops <= model.forward(2, done, 0).cost().matmul_flops


@given(steps=st.integers(1, 20), past=st.integers(0, 30), window=st.integers(2, 40))
def test_decode_steps_add_up_to_an_exact_prefill(steps: int, past: int, window: int) -> None:
    """Token by token or at once: the same scores."""
    config = GROUPED | {"model_type": "mistral", "sliding_window": window}
    model = ls.Model.from_hf(config)
    one_by_one = sum(
        model.forward(1, 1, past + i, logits="none").cost().matmul_flops for i in range(steps)
    )
    at_once = model.forward(1, steps, past, logits="none", causal="exact").cost().matmul_flops
    assert one_by_one == at_once
