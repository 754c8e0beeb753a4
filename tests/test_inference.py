"""Forecasts: means equal the steps they are the mean of, and parts add up to their wholes."""

from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import device
from sympy import Expr, Integer, Rational, S, Sum, expand

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import SpecError, SymbolError
from lifesym.nodes import Maximum

RATES = {
    sym.peak: Integer(312 * 10**12),
    sym.vector_peak: Integer(195 * 10**11),
    sym.bandwidth: Integer(1555 * 10**9),
    sym.dispatch_time: Rational(1, 2 * 10**5),
}
FULL = {
    "model_type": "llama",
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 176,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
}
SLIDING = FULL | {"model_type": "mistral", "sliding_window": 24}
MIXED = FULL | {
    "model_type": "gemma2",
    "head_dim": 8,
    "sliding_window": 17,
}
CONFIGS = {"full": FULL, "sliding": SLIDING, "mixed": MIXED}
CROSSING = {sym.peak: Integer(10**6), sym.vector_peak: Integer(10**5), sym.dispatch_time: S.Zero}
"""A device slow enough that attention crosses from one bound to the other in a short context."""


def ridge(random: Random) -> dict[object, Expr]:
    """Rates around the point where memory and compute take the same time."""
    return CROSSING | {sym.bandwidth: Integer(random.randint(10**4, 10**7))}


@cache
def model(name: str) -> ls.Model:
    return ls.Model.from_hf(CONFIGS[name])


def forecast(name: str, **workload: object) -> ls.Forecast:
    return ls.forecast(model(name), device(), **workload)


@pytest.mark.parametrize("overlap", ["operator", "pass", "none"])
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(4))
def test_the_mean_is_the_mean_of_the_steps(name: str, overlap: str, seed: int) -> None:
    random = Random(seed)
    prompt, generate = random.randint(1, 40), random.randint(2, 30)
    past, batch = random.choice([0, 7]), random.choice([1, 3, 64])
    f = forecast(name, prompt=prompt, generate=generate, past=past, batch=batch, overlap=overlap)
    for rates in (RATES, ridge(random), ridge(random)):
        steps = [
            f.tpot.expr.xreplace(rates | {sym.past: Integer(past + prompt + i)})
            for i in range(generate - 1)
        ]
        assert f.tpot.mean.expr.xreplace(rates).doit() == sum(steps) / (generate - 1)
        assert f.tpot.first.expr.xreplace(rates) == steps[0]
        assert f.tpot.last.expr.xreplace(rates) == steps[-1]
        latency = f.ttft.expr.xreplace(rates) + sum(steps)
        assert f.latency.expr.xreplace(rates).doit() == latency


@pytest.mark.parametrize("name", CONFIGS)
def test_a_symbolic_generation_is_the_same(name: str) -> None:
    """Derived once in prompt and generated tokens, bound afterwards."""
    f = forecast(name, prompt=sym.prompt, generate=sym.generated)
    random = Random(name)
    for _ in range(10):
        prompt, generate = random.randint(1, 40), random.randint(2, 30)
        rates = random.choice([RATES, ridge(random)])
        numbers = {sym.prompt: Integer(prompt), sym.generated: Integer(generate)} | rates
        direct = forecast(name, prompt=prompt, generate=generate)
        for late, early in ((f.tpot.mean, direct.tpot.mean), (f.latency, direct.latency)):
            assert late.expr.xreplace(numbers).doit() == early.expr.xreplace(rates).doit()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_mean_does_not_grow_with_the_generation(name: str) -> None:
    sizes = {
        generate: forecast(name, prompt=10, generate=generate).tpot.mean.expr.count_ops()
        for generate in (50, 5000, 5_000_000)
    }
    assert max(sizes.values()) <= 1.2 * min(sizes.values())
    symbolic = forecast(name, prompt=sym.prompt, generate=sym.generated).tpot.mean.expr
    assert not symbolic.has(Sum)
    assert symbolic.count_ops() < 4000


@pytest.mark.parametrize("name", ["llama-2-7b", "mistral-7b-v0.1", "gemma-2-9b"])
def test_means_of_real_models(name: str) -> None:
    """Full, sliding and mixed: around the window, with a batch."""
    loaded = ls.load_model(name)
    f = ls.forecast(loaded, device(), prompt=4080, generate=41, batch=16)
    steps = sum(f.tpot.expr.xreplace(RATES | {sym.past: Integer(4080 + i)}) for i in range(40))
    assert f.tpot.mean.expr.xreplace(RATES).doit() == steps / 40


@pytest.mark.parametrize("name", CONFIGS)
def test_results_are_the_sums_of_their_terms(name: str) -> None:
    f = forecast(name, prompt=sym.prompt, generate=sym.generated, batch=sym.batch)
    for result in (f.ttft, f.tpot, f.tpot.first, f.tpot.last, f.tpot.mean):
        assert result.terms
        assert expand(result.expr - sum(term.time for term in result.terms)) == 0
    for result in (f.latency, f.memory, f.energy):
        assert expand(result.expr - sum(part.value for part in result.parts)) == 0
    for term in f.ttft.terms:
        parts = Maximum(term.compute, term.memory) + term.dispatch
        values = RATES | {sym.prompt: Integer(19), sym.batch: Integer(3)}
        assert term.time.xreplace(values) == parts.xreplace(values)
    assert f.tps.expr * f.tpot.mean.expr == sym.batch


@given(prompt=st.integers(1, 60), generate=st.integers(1, 20), batch=st.integers(1, 4))
@settings(max_examples=20)
def test_memory_is_weights_and_the_cache(prompt: int, generate: int, batch: int) -> None:
    for name in CONFIGS:
        f = forecast(name, prompt=prompt, generate=generate, batch=batch, kv="int8")
        weights = model(name).weight_bytes("bf16")
        cache_ = model(name).kv_bytes(prompt + generate, "int8", batch)
        assert f.memory.expr == weights + cache_


def test_one_token_comes_from_the_prefill() -> None:
    f = forecast("full", prompt=12, generate=1)
    assert f.latency.expr == f.ttft.expr
    assert f.tpot.mean.expr.xreplace(RATES) == f.tpot.first.expr.xreplace(RATES)


@pytest.mark.usefixtures("eager")
def test_energy_is_operations_traffic_and_time() -> None:
    f = forecast("sliding", prompt=20, generate=10)
    steps = [model("sliding").forward(1, 1, 20 + i).cost_at(f.precision) for i in range(9)]
    prefill = model("sliding").forward(1, 20, 0).cost_at(f.precision)
    flops = prefill.flops + sum((step.flops for step in steps), S.Zero)
    moved = prefill.bytes + sum((step.bytes for step in steps), S.Zero)
    power = sym.static_power * f.latency.expr
    energy = sym.flop_energy * flops + sym.byte_energy * moved + power
    assert f.energy.expr.xreplace(RATES).doit().expand() == energy.xreplace(RATES).doit().expand()


def test_formats_choose_each_other() -> None:
    hardware = device()
    llama = model("full")
    for given_, expected in (
        ({}, ("bf16", "bf16", "bf16")),
        ({"weights": "fp16"}, ("fp16", "fp16", "fp16")),
        ({"weights": "int4-g128"}, ("int4-g128", "bf16", "bf16")),
        ({"weights": "int8", "activations": "int8"}, ("int8", "int8", "bf16")),
        ({"kv": "fp8"}, ("bf16", "bf16", "fp8")),
        ({"activations": "fp32"}, ("fp32", "fp32", "fp32")),
    ):
        p = ls.forecast(llama, hardware, **given_).precision
        assert (p.weights.name, p.activations.name, p.kv.name) == expected


def gpu(**more: Expr) -> ls.Hardware:
    """A device of numbers."""
    return ls.Hardware(
        name="numbers",
        kind="gpu",
        matrix={"bf16": RATES[sym.peak]},
        vector={"fp32": RATES[sym.vector_peak]},
        bandwidth=RATES[sym.bandwidth],
        **more,
    )


def test_bottlenecks() -> None:
    """A long prompt is bound by compute, a decode step by memory, both by a very slow driver."""
    llama = ls.load_model("llama-2-7b")
    f = ls.forecast(llama, gpu(), prompt=512, generate=2)
    assert (f.bottleneck("prefill"), f.bottleneck("decode")) == ("compute", "memory")
    slow = ls.forecast(llama, gpu(dispatch_time=Integer(1)), prompt=512, generate=2)
    assert slow.bottleneck("prefill") == slow.bottleneck("decode") == "dispatch"
    with pytest.raises(SymbolError, match="the bottleneck depends on bandwidth"):
        forecast("full", prompt=4000).bottleneck("prefill")


def test_numbers_are_floats_and_symbols_are_named() -> None:
    f = ls.forecast(ls.load_model("llama-2-7b"), gpu(), prompt=128, generate=9, batch=2)
    assert float(f.tps) == pytest.approx(2 / float(f.tpot), rel=1e-12)
    assert float(f.latency) == pytest.approx(float(f.ttft) + 8 * float(f.tpot), rel=1e-12)
    assert float(f.tpot.first) <= float(f.tpot) <= float(f.tpot.last)
    with pytest.raises(SymbolError, match="TTFT still depends on peak, vector_peak"):
        float(forecast("full", prompt=40).ttft)
    with pytest.raises(SpecError, match="numbers has no power figure"):
        _ = f.energy


def test_results_bind_by_name() -> None:
    f = forecast("full", prompt=40, generate=8)
    values = {symbol.name: value for symbol, value in RATES.items()}
    bound = f.ttft.bind(values)
    assert bound.is_Rational
    assert float(bound) > 0
    assert [row.word for row in f.ttft.legend()] == [
        "peak",
        "vector_peak",
        "bandwidth",
        "dispatch_time",
    ]


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        ({"prompt": 0}, "prompt must be an integer of at least 1, not 0"),
        ({"prompt": 1.5}, "prompt must be an integer or a SymPy expression"),
        ({"generate": Rational(1, 2)}, "generate must be an integer of at least 1"),
        ({"batch": -1}, "batch must be an integer of at least 1, not -1"),
        ({"past": -1}, "past must be an integer of at least 0, not -1"),
        ({"prompt": sym.past}, "prompt cannot depend on 'past'"),
        ({"overlap": "perfect"}, "overlap must be one of operator, pass, none"),
        ({"causal": "half"}, "causal must be one of full, exact"),
        ({"mla": "magic"}, "mla must be one of"),
        ({"routing": "round"}, "routing must be one of uniform, all, active, skewed"),
        ({"fusion": "fulll"}, "fusion must be one of none, flash, full, layer.*mean 'full'"),
        ({"fusion": ["flash", "qvk"]}, "fusion rule must be one of .*did you mean 'qkv'"),
        ({"fusion": "flash", "tile": 0}, "tile must be an integer of at least 1"),
        ({"all_reduce": "star"}, "all_reduce must be one of ring, halving_doubling, recursive"),
        ({"lora": -1}, "LoRA rank must be an integer of at least 0"),
        ({"adapter": -1}, "adapter width must be an integer of at least 0"),
    ],
)
def test_bad_workloads_are_refused_at_once(workload: dict[str, object], message: str) -> None:
    with pytest.raises(SymbolError, match=message):
        forecast("full", **workload)


def test_power_and_positions_that_are_not_there() -> None:
    gpt2 = ls.load_model("gpt2")
    with pytest.raises(SymbolError, match=r"gpt2 has a table of 1024 positions, so 1025 tokens"):
        _ = ls.forecast(gpt2, device(), prompt=1025).ttft
    with pytest.raises(SymbolError, match=r"gpt2 has a table of 1024 positions, so 1025 tokens"):
        ls.forecast(gpt2, device(), past=20, prompt=1000, generate=6)
    for prompt, generate in ((1024, 1), (1000, 25)):  # the last token is never fed back
        f = ls.forecast(gpt2, device(), prompt=prompt, generate=generate)
        assert f.ttft.expr.free_symbols
        assert f.tpot.last.expr.free_symbols
    with pytest.raises(SpecError, match="unknown number format"):
        forecast("full", weights="int5")


def test_decode_is_bound_by_what_takes_most_of_the_generation() -> None:
    """The first step is bound by compute, but the cache grows."""
    model, v100 = ls.load_model("llama-2-7b"), ls.load_hardware("v100")
    grown = ls.forecast(model, v100, prompt=1, generate=2000, batch=150)
    assert grown.bottleneck("decode") == "memory"
    assert (
        ls.forecast(model, v100, prompt=1, generate=2, batch=150).bottleneck("decode") == "compute"
    )
