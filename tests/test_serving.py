"""Serving: mixed passes, speculation, prefixes, steady states, two pools."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from sympy import Add, Expr, Integer, Rational, Sum, expand

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import SymbolError
from lifesym.inference import Forecast
from lifesym.operators import PerShape
from lifesym.roofline import total
from lifesym.serving import (
    Group,
    disaggregate,
    expected_tokens,
    expected_ttft,
    mixed_step,
    piggyback,
    speculate,
    steady_state,
    step_at_contexts,
    with_prefix,
)
from lifesym.serving.mixed import mixed_trace
from lifesym.serving.prediction import prediction_module
from lifesym.sums import SumMax

PLAIN = {"overlap": "operator"}
OPTIONS = [{}, {"fusion": "flash"}, {"fusion": "full"}, {"lora": 8}, {"weights": "int4-g128"}]


def forecast(model: str = "tinyllama-1.1b", **options: object) -> Forecast:
    workload = {"prompt": 64, "generate": 9} | options
    return ls.forecast(ls.load_model(model), ls.load_hardware("v100"), **workload)


@pytest.fixture(scope="module")
def symbolic() -> Forecast:
    return ls.forecast(ls.Model.symbolic("llama"), ls.Hardware.symbolic(), batch=sym.batch)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_groups_of_one_shape_are_one_batch(options: dict[str, object]) -> None:
    f = forecast(batch=6, **options)
    whole = f.tpot.bind({"past": 100})
    assert mixed_step(f, [Group(batch=6, past=100)]).expr == whole
    parts = mixed_step(f, [Group(batch=2, past=100), Group(batch=4, past=100)]).expr
    assert abs(float(parts / whole) - 1) < 1e-3  # attention's maximum is of the sum either way
    assert mixed_step(f, [Group(batch=6, new=64)]).expr == f.ttft.expr


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("model", ["tinyllama-1.1b", "mixtral-8x7b", "deepseek-v2-lite", "gpt2"])
def test_a_mixed_pass_does_the_work_of_its_groups(model: str) -> None:
    """FLOPs add up; weights are read once; experts as all the tokens together choose them."""
    f = forecast(model)
    groups = [Group(batch=3, past=70), Group(new=16, past=32, logits="none"), Group(past=9)]
    mixed = mixed_trace(f, groups).cost_at(f.precision)
    alone = [f.trace(g.new, g.past, g.logits, batch=g.batch).cost_at(f.precision) for g in groups]
    for field in ("matmul_flops", "vector_flops", "kv_read_bytes", "kv_write_bytes"):
        assert getattr(mixed, field) == Add(*(getattr(cost, field) for cost in alone)), field
    tokens = f.trace(20, 0, "last", batch=1)
    experts = tokens.filter(family="experts").cost_at(f.precision).weight_bytes
    merged = mixed_trace(f, groups).filter(family="experts").cost_at(f.precision).weight_bytes
    assert merged == experts
    projections = tokens.filter(name="mlp_down").cost_at(f.precision).weight_bytes
    again = mixed_trace(f, groups).filter(name="mlp_down").cost_at(f.precision).weight_bytes
    assert again == projections
    assert mixed.dispatches == max(cost.dispatches for cost in alone)


def test_unequal_contexts_count_by_their_sum() -> None:
    random = Random(1)
    f = forecast(batch=4)
    for _ in range(20):
        contexts = [random.randint(1, 300) for _ in range(4)]
        one_by_one = step_at_contexts(f, contexts)
        cost = mixed_trace(f, [Group(past=c) for c in contexts]).cost_at(f.precision)
        mean = {sym.past: Rational(sum(contexts), 4)}
        plain = f.trace(1, sym.past).cost_at(f.precision)
        for (name, value), (_, expected) in zip(cost.items(), plain.items(), strict=True):
            assert value == expected.xreplace(mean), name
        assert one_by_one.expr == step_at_contexts(f, sum(contexts)).expr


def test_windows_need_contexts_one_by_one() -> None:
    f = forecast("mistral-7b-v0.1", batch=2)
    with pytest.raises(SymbolError, match="one by one"):
        step_at_contexts(f, 9000)
    assert float(step_at_contexts(f, [10, 8990])) < float(step_at_contexts(f, [4500, 4500]))


RECURRENT = ["mamba-130m", "codestral-mamba-7b", "jamba-v0.1", "qwen3-next-80b-a3b", "rwkv-4-430m"]


@pytest.mark.parametrize("model", RECURRENT)
def test_recurrent_layers_are_mixed_with_prompts(model: str) -> None:
    """Work and states add up; projections read their weights once, the scans once a shape."""
    f = forecast(model)
    groups = [Group(past=5), Group(batch=2, past=70), Group(new=7, past=3)]
    mixed = mixed_trace(f, groups)
    alone = [f.trace(g.new, g.past, g.logits, batch=g.batch).cost_at(f.precision) for g in groups]
    cost = mixed.cost_at(f.precision)
    for field in ("matmul_flops", "vector_flops", "kv_read_bytes", "kv_write_bytes"):
        assert getattr(cost, field) == Add(*(getattr(one, field) for one in alone)), field
    one = f.trace(1, 5)
    assert mixed.weight_roles() == one.weight_roles()
    scans = len([e for e in one if e.operator.family == "recurrent"])
    kernels = [e for e in mixed if isinstance(e.operator, PerShape)]
    assert len(kernels) == scans
    assert all(len(e.operator.parts) == 2 for e in kernels)
    again = Add(*(e.count * e.operator.parameters for e in kernels))
    fixed = (  # experts and rows of the embedding are read by tokens
        trace.filter(lambda e: e.operator.family not in ("experts", "embedding"))
        for trace in (mixed, one)
    )
    read, once = (trace.cost_at(f.precision).weight_bytes for trace in fixed)
    assert read == once + f.precision.weights.bits / 8 * again


def test_a_prompt_of_one_token_is_a_step() -> None:
    """It shares the decodes' kernel, whether anything comes before it or not."""
    f = forecast("mamba-130m")
    pair = mixed_trace(f, [Group(past=5), Group(new=1, past=0)])
    whole = f.trace(1, 5, batch=2)
    assert pair.cost_at(f.precision) == whole.cost_at(f.precision)


def test_tiled_attention_with_weights_of_its_own_is_mixed() -> None:
    """Sinks are learned: two kernels, each of its own tiles."""
    f = forecast("gpt-oss-20b", fusion="flash", tile=16)
    both = mixed_trace(f, [Group(past=9), Group(new=40)])
    alone = [f.trace(1, 9), f.trace(40, 0)]
    assert both.weight_roles() == alone[0].weight_roles()
    for field in ("matmul_flops", "kv_read_bytes"):
        parts = (getattr(trace.cost_at(f.precision), field) for trace in alone)
        assert getattr(both.cost_at(f.precision), field) == Add(*parts)


def test_steps_of_recurrent_models_beside_prompts() -> None:
    chunked = forecast("mamba-130m", chunk=20)
    assert float(piggyback(chunked, 3).ttft) > float(chunked.ttft)
    f = forecast("mamba-130m")
    step = steady_state(f, 5).tpot.terms
    prompts = f.trace(f.prompt, 0, batch=5).cost_at(f.precision).matmul_flops
    decode = 8 * f.trace(1, 64, batch=5).cost_at(f.precision).matmul_flops
    assert expand(9 * Add(*(t.cost.matmul_flops for t in step)) - prompts - decode) == 0


@pytest.mark.parametrize("model", ["mamba-130m", "jamba-v0.1", "rwkv-4-430m"])
def test_recurrent_layers_decode_at_unequal_contexts(model: str) -> None:
    """A step of a state does not depend on the context: batches add up."""
    f = forecast(model, batch=3)
    cost = mixed_trace(f, [Group(past=70), Group(batch=2, past=31)]).cost_at(f.precision)
    middle = f.trace(1, sym.past).cost_at(f.precision)
    for (name, value), (_, expected) in zip(cost.items(), middle.items(), strict=True):
        assert value == expected.xreplace({sym.past: Integer(44)}), name


def test_expected_tokens_are_what_a_simulation_accepts() -> None:
    random = Random(7)
    for gamma, alpha in ((1, 0.5), (4, 0.8), (7, 0.95), (5, 0.0), (3, 1.0)):
        trials = []
        for _ in range(20_000):
            accepted = 0
            while accepted < gamma and random.random() < alpha:
                accepted += 1
            trials.append(accepted + 1)
        mean = sum(trials) / len(trials)
        spread = (sum((t - mean) ** 2 for t in trials) / len(trials)) ** 0.5
        error = 3 * spread / len(trials) ** 0.5
        assert abs(float(expected_tokens(gamma, alpha)) - mean) <= error + 1e-12


def test_expected_tokens_of_symbols() -> None:
    closed = expected_tokens()
    for gamma in range(6):
        polynomial = expected_tokens(gamma)
        for alpha in (Rational(1, 3), Rational(9, 10)):
            at = {sym.draft: Integer(gamma), sym.acceptance: alpha}
            assert closed.xreplace(at) == polynomial.xreplace(at)
    assert expected_tokens(3, 0) == 1
    assert expected_tokens(sym.draft, 0) == 1
    assert expected_tokens(sym.draft, 1) == sym.draft + 1
    with pytest.raises(SymbolError, match="between 0 and 1"):
        expected_tokens(3, 1.5)


def test_drafting_nothing_is_plain_decoding(symbolic: Forecast) -> None:
    for draft in (symbolic, None):
        plain = speculate(symbolic, draft, tokens=0, acceptance=sym.acceptance)
        assert expand(plain.tpot.expr - symbolic.tpot.expr) == 0
        assert plain.ttft.expr == symbolic.ttft.expr
        assert plain.memory.expr == symbolic.memory.expr


def test_a_speculative_step_is_its_draft_steps_and_one_pass() -> None:
    target, draft = forecast("llama-2-7b"), forecast("tinyllama-1.1b")
    spec = speculate(target, draft, tokens=3, acceptance=Rational(4, 5))
    steps = sum(draft.tpot.bind({"past": 50 + i}) for i in range(3))
    check = sum(t.time for t in target.timed(target.trace(4, 50, "all")))
    assert spec.step.bind({"past": 50}) == steps + check
    tokens = 1 + Rational(4, 5) + Rational(16, 25) + Rational(64, 125)
    assert spec.tpot.bind({"past": 50}) == (steps + check) / tokens
    never = speculate(target, draft, tokens=3, acceptance=0)
    assert never.tpot.bind({"past": 50}) == steps + check
    with pytest.raises(SymbolError, match="same batch"):
        speculate(target, forecast(batch=2))


def test_prediction_modules_cost_a_layer_and_a_head() -> None:
    f = forecast("deepseek-v3", prompt=8, generate=2)
    spec = speculate(f, tokens=1, acceptance=Rational(17, 20))
    assert 0 < float(total(spec.drafting).subs(sym.past, 8)) < 0.1 * float(f.tpot.bind({"past": 8}))


@pytest.mark.parametrize("name", ["deepseek-v3", "llama-2-7b"])
def test_a_module_prefills_and_reads_a_cache_of_its_own(name: str) -> None:
    """Both in chunks, beside loops over chunks and drafted tokens."""
    f = forecast(name, prompt=50, generate=4, chunk=20, batch=2, tensor_parallel=2)
    spec = speculate(f, tokens=3, acceptance=Rational(1, 2))

    def module(new: int, past: int, logits: Any = "last") -> Expr:
        trace = prediction_module(f, Integer(new), Integer(past), logits)
        return Add(*(term.time for term in f.timed(trace)))

    filled = module(20, 0, "none") + module(20, 20, "none") + module(10, 40)
    assert expand(total(spec.filling).doit() - filled) == 0
    assert expand(spec.ttft.expr.doit() - f.ttft.expr.doit() - filled) == 0
    steps = Add(*(module(1, 70 + i) for i in range(3)))
    assert expand(sym.bind(total(spec.drafting), {"past": 70}).doit() - steps) == 0
    joined = next(e.operator for e in prediction_module(f, Integer(20)) if e.name == "mtp_proj")
    assert joined.tokens == 40


def test_a_draft_prefills_its_prompt_and_keeps_its_cache() -> None:
    target, draft = forecast("llama-2-7b"), forecast("tinyllama-1.1b")
    spec = speculate(target, draft, tokens=3, acceptance=0)
    assert spec.ttft.expr == target.ttft.expr + draft.ttft.expr
    assert spec.memory.expr == target.memory.expr + draft.memory.expr
    with pytest.raises(SymbolError, match="same batch and prompt"):
        speculate(target, forecast("tinyllama-1.1b", prompt=9))


def test_cached_prefixes(symbolic: Forecast) -> None:
    assert with_prefix(symbolic, 0) == symbolic
    assert expand(expected_ttft(symbolic, sym.window, 0).expr - symbolic.ttft.expr) == 0
    f = forecast(prompt=100)
    hit = with_prefix(f, 60)
    assert hit.ttft.expr == forecast(prompt=40, past=60).ttft.expr
    assert hit.tpot.mean.expr == f.tpot.mean.expr
    half = expected_ttft(f, 60, Rational(1, 2)).expr
    assert half == (hit.ttft.expr + f.ttft.expr) / 2
    with pytest.raises(SymbolError, match="leaves none"):
        with_prefix(f, 100)
    with pytest.raises(SymbolError, match="between 0 and 1"):
        expected_ttft(f, 60, 2)


def test_steady_states_do_all_the_work() -> None:
    """Over G steps of n slots: n prompts, which give a token each, and n (G - 1) decode steps."""
    f = forecast()
    state = steady_state(f, 5)
    step = Add(*(term.cost.matmul_flops for term in state.tpot.terms))
    prompts = f.trace(f.prompt, 0, batch=5).cost_at(f.precision).matmul_flops
    decode = sum(f.trace(1, 64 + i, batch=5).cost_at(f.precision).matmul_flops for i in range(8))
    assert expand(step * 9 - prompts - decode) == 0
    rates = [float(steady_state(f, n).tps) for n in (1, 4, 16)]
    assert rates == sorted(rates)
    assert state.requests.expr == state.tps.expr / 9


def test_chunked_prompts_of_a_steady_state() -> None:
    """64 tokens in chunks of 20 and 9 generated: 12 steps a request, 8 of them of decoding."""
    f = forecast(chunk=20)
    state = steady_state(f, 6)
    step = Add(*(term.cost.matmul_flops for term in state.tpot.terms))
    cuts = [(20, 0, "none"), (20, 20, "none"), (20, 40, "none"), (4, 60, "last")]
    passes = [f.trace(new, past, logits, batch=6) for new, past, logits in cuts]
    passes += [f.trace(1, 64 + i, batch=6) for i in range(8)]
    work = Add(*(trace.cost_at(f.precision).matmul_flops for trace in passes))
    assert expand(12 * step - work) == 0
    assert state.tps.expr == 6 * Rational(9, 12) / state.tpot.expr
    whole = replace(f, chunk=Integer(64))
    assert steady_state(whole, 6).tpot.expr == steady_state(forecast(), 6).tpot.expr


def test_two_pools_on_one_device_are_one_device() -> None:
    f = forecast("llama-2-7b", batch=2)
    split = disaggregate(f, f, bandwidth=10**9, latency=0)
    sent = 2 * 64 * ls.load_model("llama-2-7b").kv_bytes_per_token("fp16")
    assert split.transfer.expr == sent / Integer(10**9)
    assert split.latency.expr == f.latency.expr + split.transfer.expr
    assert split.ratio.expr == f.ttft.expr / (f.latency.expr - f.ttft.expr)
    with pytest.raises(SymbolError, match="one model and one workload"):
        disaggregate(f, forecast("llama-2-7b", prompt=9))


@pytest.mark.parametrize("model", ["tinyllama-1.1b", "mixtral-8x7b"])
def test_decodes_in_the_chunks_of_a_prefill_equal_the_loop(model: str) -> None:
    random = Random(model)
    for _ in range(6):
        prompt, chunk, decodes, context = (random.randint(1, 90) for _ in range(4))
        f = forecast(model, prompt=prompt, chunk=chunk, batch=2, past=7)
        both = piggyback(f, decodes, context)
        loop, starts = Integer(0), range(0, prompt, chunk)
        for i, at in enumerate(starts):
            last = at == starts[-1]
            new = min(chunk, prompt - at)
            prefill = Group(batch=2, new=new, past=7 + at, logits="last" if last else "none")
            loop += mixed_step(f, [prefill, Group(batch=decodes, past=context + i)]).expr
        assert both.ttft.expr.doit() == loop.doit()
        assert both.tpot.expr.doit() == loop.doit() / len(starts)


def test_no_decodes_are_the_plain_prefill(symbolic: Forecast) -> None:
    chunked = replace(symbolic, chunk=sym.chunk)
    assert piggyback(chunked, 0).ttft.expr == chunked.ttft.expr
    closed = piggyback(chunked, sym.budget, sym.page).ttft.expr
    assert closed.has(SumMax)
    assert not closed.has(Sum)


def test_slots_are_those_of_all_replicas() -> None:
    four = steady_state(forecast(data_parallel=4), 20)
    assert four.tpot.expr == steady_state(forecast(), 5).tpot.expr
    assert four.tps.expr == 4 * steady_state(forecast(), 5).tps.expr
