"""Every form of serving answers every question; energies against sums over passes; limits."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from sympy import Add, Expr, Integer, Rational, S, Sum

import lifesym as ls
from lifesym import symbols as sym
from lifesym.convnet import unet
from lifesym.cost import Cost
from lifesym.errors import LifesymError, SymbolError
from lifesym.serving import (
    Group,
    Spoke,
    around_hub,
    at_contexts,
    disaggregate,
    mixed_pass,
    piggyback,
    pipeline,
    prefix_hits,
    speculate,
    steady_state,
    with_prefix,
)
from lifesym.serving.flow import Flow
from lifesym.timed import Timed

SMALL = {
    "model_type": "llama",
    "vocab_size": 30,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
ENCODER = {
    "model_type": "bert",
    "vocab_size": 30,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
MIXTURE = {**SMALL, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}
TARGET, DRAFT = ls.Model.from_hf(SMALL), ls.Model.from_hf(SMALL | {"num_hidden_layers": 1})


def device(name: str, speed: int, power: int = 3) -> ls.Hardware:
    """A device on which operators of the small models are bound by either rate."""
    return ls.Hardware(
        name=name,
        kind="gpu",
        matrix={"bf16": Integer(400 * speed)},
        vector={"bf16": Integer(100 * speed)},
        bandwidth=Integer(300 * speed),
        capacity=Integer(60_000),
        link_bandwidth=Integer(50 * speed),
        link_latency=Rational(1, 7),
        dispatch_time=Rational(1, 9),
        flop_energy=Rational(speed, 5),
        byte_energy=Rational(speed, 3),
        static_power=Integer(power),
    )


SLOW, FAST = device("slow", 1), device("fast", 4, power=11)


def forecast(hardware: ls.Hardware = SLOW, model: ls.Model = TARGET, **more: Any) -> ls.Forecast:
    load = {"prompt": 12, "generate": 5, "batch": 4, "activations": "bf16"} | more
    return ls.forecast(model, hardware, **load)


def two_stages(**more: Any) -> Timed:
    shares = [Rational(1, 4), Rational(3, 4)]
    return pipeline([forecast(), forecast(FAST)], shares=shares, microbatches=2, **more)


def drafted(hardware: ls.Hardware = SLOW, tokens: int = 3) -> Any:
    return speculate(forecast(hardware), forecast(hardware, DRAFT), tokens, Rational(1, 2))


def hub() -> Timed:
    spokes = [Spoke(hardware=SLOW, down=40, up=70), Spoke(hardware=FAST, down=9, up=9, experts=3)]
    return around_hub(forecast(model=ls.Model.from_hf(MIXTURE), chunk=5), spokes)


FORMS: dict[str, Callable[[], Timed]] = {
    "plain": forecast,
    "chunks on two devices": lambda: forecast(chunk=5, tensor_parallel=2, data_parallel=2),
    "prefix": lambda: forecast(prompt=20).prefixed(8),
    "one token": lambda: forecast(generate=1),
    "speculation": drafted,
    "draft on another device": lambda: speculate(forecast(), forecast(FAST, DRAFT), 2, 0.5),
    "modules": lambda: speculate(forecast(chunk=5), None, 2, accepted_rate=Rational(1, 3)),
    "mean tokens": lambda: speculate(forecast(), forecast(model=DRAFT), 2, tokens_per_step=2),
    "rates": lambda: speculate(forecast(), forecast(model=DRAFT), 2, position_rates=[0.5, 0.25]),
    "equal stages": lambda: pipeline(forecast(), 3, 2),
    "stages on two devices": two_stages,
    "chunks handed on": lambda: pipeline(forecast(chunk=5), 3, by_chunk=True),
    "overlapped sends": lambda: pipeline(forecast(), 4, 4, overlap_sends=True),
    "steady state": lambda: steady_state(forecast(chunk=5), 6),
    "disaggregated": lambda: disaggregate(forecast(), forecast(FAST)),
    "disaggregated, nested": lambda: disaggregate(pipeline(forecast(), 2, 2), drafted(FAST), 90, 0),
    "disaggregated, both drafted": lambda: disaggregate(drafted(), drafted(FAST), 90, 0),
    "disaggregated after hits": lambda: disaggregate(
        prefix_hits(forecast(), 7, Rational(1, 3)), two_stages()
    ),
    "piggybacked": lambda: piggyback(forecast(chunk=5), 3, 9),
    "mixed pass": lambda: mixed_pass(
        forecast(), [Group(batch=3, past=9), Group(new=5, logits="none")]
    ),
    "contexts": lambda: at_contexts(forecast(), [3, 5, 5]),
    "sum of contexts": lambda: at_contexts(forecast(), 31),
    "prefix hits": lambda: prefix_hits(forecast(), 7, Rational(1, 3)),
    "prefix hits of a pipeline": lambda: prefix_hits(two_stages(), 7, Rational(1, 3)),
    "prefix hits of a speculation": lambda: prefix_hits(drafted(), 7, Rational(1, 3)),
    "around a hub": hub,
    "encoder": lambda: forecast(model=ls.Model.from_hf(ENCODER), generate=0),
    "U-Net": lambda: unet(
        8, 8, channels=2, image_channels=1, classes=2, levels=2, norm=False
    ).forecast(SLOW),
}
METRICS: dict[str, Callable[[Any], Any]] = {
    "ttft": lambda f: f.ttft,
    "tpot": lambda f: f.tpot,
    "first step": lambda f: f.tpot.first,
    "last step": lambda f: f.tpot.last,
    "mean tpot": lambda f: f.tpot.mean,
    "tps": lambda f: f.tps,
    "latency": lambda f: f.latency,
    "tokens": lambda f: f.tokens,
    "memory": lambda f: f.memory,
    "energy": lambda f: f.energy,
    "tokens per joule": lambda f: f.tokens_per_joule,
    "cost": lambda f: f.cost(2),
    "operations": lambda f: f.flops,
    "bytes": lambda f: f.traffic,
}
REFUSED = {
    "mixed pass": {"ttft"},
    "contexts": {"ttft"},
    "sum of contexts": {"ttft"},
    "encoder": {"tpot", "first step", "last step", "mean tpot", "tps", "tokens per joule", "cost"},
    "U-Net": {"tpot", "first step", "last step", "mean tpot", "tps", "tokens per joule", "cost"},
}
"""What has no meaning for a form."""


def expr(found: Any) -> Expr:
    """The exact value of an answer, at a context of 12 where it has one."""
    formula = getattr(found, "expr", found)
    return sum_of(formula.xreplace({sym.past: Integer(12)})).doit()


def sum_of(formula: Expr) -> Expr:
    """A formula with its open sums added up, one step after the other."""
    written = {}
    for node in formula.atoms(Sum):
        if node.free_symbols:
            continue
        variable, low, high = node.limits[0]
        steps = range(int(low), int(high) + 1)
        written[node] = Add(*(node.function.xreplace({variable: Integer(i)}) for i in steps))
    return formula.xreplace(written)


def answers(form: Timed) -> dict[str, Expr]:
    """Every metric that the form has."""
    found = {}
    for name, metric in METRICS.items():
        try:
            found[name] = expr(metric(form))
        except LifesymError:
            continue
    return found


@pytest.mark.parametrize("name", FORMS)
def test_every_form_answers_every_question(name: str) -> None:
    form = FORMS[name]()
    refused, said = set(), []
    for metric, ask in METRICS.items():
        try:
            answer = ask(form)
        except LifesymError as error:
            refused.add(metric)
            said.append(str(error))
            continue
        assert expr(answer).is_Rational, metric
        if metric != "tpot":
            assert float(answer) == pytest.approx(float(expr(answer)), rel=1e-12)
    assert refused == REFUSED.get(name, set())
    assert not any("\n" in line for line in said)
    assert form.bottleneck("prefill") in ("compute", "memory", "dispatch", "network")
    assert form.fits in (True, False)
    assert isinstance(form.notes, tuple)
    if "tpot" not in refused:
        assert form.bottleneck("decode") in ("compute", "memory", "dispatch", "network")
        assert all(term.place.hardware in (SLOW, FAST) for term in form.terms_of("decode"))


@pytest.mark.parametrize("name", FORMS)
def test_parts_and_terms_add_up(name: str) -> None:
    form = FORMS[name]()
    for ask in METRICS.values():
        try:
            answer = ask(form)
        except LifesymError:
            continue
        for rows in (
            [term.time for term in getattr(answer, "terms", ())],
            [part.value for part in getattr(answer, "parts", ())],
        ):
            assert not rows or expr(Add(*rows)) == expr(answer)


@pytest.mark.parametrize("name", FORMS)
def test_numbers_that_are_opened_give_the_same_formula(name: str) -> None:
    """Every field of `opens` as its symbol, which then gets the number that it had."""
    form = FORMS[name]()
    numbers = answers(form)
    for field, word in form.opens.items():
        value = getattr(form, field)
        if value is None or (field == "generate" and value in (0, 1)):
            continue  # a formula of generated tokens is that of two or more
        symbol = sym.resolve(word)
        opened = replace(form, **{field: symbol})  # type: ignore[type-var]
        for metric, number in numbers.items():
            formula = METRICS[metric](opened)
            bound = getattr(formula, "expr", formula).xreplace({symbol: value})
            assert expr(bound) == number, (field, metric)


def test_what_is_opened_says_the_efficiencies_that_it_had() -> None:
    f = ls.forecast("llama-2-7b", "v100", 512, 128)
    assert (
        f.open().attained == f.attained == "at peaks: an upper bound on speed, operator by operator"
    )
    given = ls.load_hardware("v100").with_(memory_efficiency=Rational(9, 10))
    said = "efficiencies: compute 1 (default), memory 0.9 (option), dispatch 0 (default)"
    assert ls.forecast("llama-2-7b", given, 512, 128).open("batch").attained == said
    symbolic = ls.forecast("llama-2-7b", ls.Hardware.symbolic(), 512, 128)
    assert symbolic.attained == "efficiencies: symbols"
    unknown = ls.forecast("llama-2-7b", "a17-pro", 512, 128)
    assert unknown.attained == "at peaks, of which not all are known: no bound"


def joules(hardware: ls.Hardware, cost: Cost) -> Expr:
    return hardware.flop_energy * cost.flops + hardware.byte_energy * cost.bytes


def cost(f: ls.Forecast, new: int, past: int, logits: Any = "last") -> Cost:
    return f.trace(new, past, logits).cost_at(f.precision)


def test_energy_of_a_speculation_is_that_of_its_passes() -> None:
    """Both prefills, then 4 tokens, each by a share of a step; static power of the one device."""
    target, draft = forecast(), forecast(model=DRAFT)
    form = speculate(target, draft, 3, Rational(1, 2))
    spent = joules(SLOW, cost(target, 12, 0)) + joules(SLOW, cost(draft, 12, 0))
    tokens = 1 + Rational(1, 2) + Rational(1, 4) + Rational(1, 8)
    for context in range(12, 16):
        checked = cost(target, 4, context, "all")
        steps = [checked, *(cost(draft, 1, context + i) for i in range(3))]
        spent += sum(joules(SLOW, each) for each in steps) / tokens
    assert expr(form.energy) == spent + 3 * expr(form.latency)
    apart = speculate(target, forecast(FAST, DRAFT), 3, Rational(1, 2))
    parts = {part.name: expr(part.value) for part in apart.energy.parts}
    assert parts["static power"] == (3 + 11) * expr(apart.latency)


def test_energy_of_a_pipeline_is_spent_where_its_layers_are() -> None:
    """A quarter of the layers and the embedding on one device, the rest and the head on another."""
    form = two_stages()
    total = S.Zero
    for f, share, end in (
        (forecast(batch=2), Rational(1, 4), "embed"),
        (forecast(FAST, batch=2), Rational(3, 4), "head"),
    ):
        for new, past in ((12, 0), *((1, 12 + i) for i in range(4))):
            for section, trace in f.trace(new, past).group_by("section").items():
                part = share if section not in ("embed", "head") else int(section == end)
                total += 2 * part * joules(f.hardware, trace.cost_at(f.precision))
    assert expr(form.energy) == total + (3 + 11) * expr(form.latency)


def test_energy_of_stages_on_devices_of_one_kind() -> None:
    """All the work once, on three pairs of devices that draw power all the time."""
    form = pipeline(forecast(tensor_parallel=2), 3, 2)
    piece = forecast(batch=2, tensor_parallel=2)
    passes = [cost(piece, 12, 0), *(cost(piece, 1, 12 + i) for i in range(4))]
    work = 2 * 2 * sum(joules(SLOW, each) for each in passes)
    assert expr(form.energy) == work + 3 * 2 * 3 * expr(form.latency)


def test_energy_of_a_disaggregation_is_that_of_both_pools() -> None:
    first, second = forecast(), forecast(FAST, tensor_parallel=2)
    form = disaggregate(first, second, 90, 0)
    spent = joules(SLOW, cost(first, 12, 0))
    spent += sum(2 * joules(FAST, cost(second, 1, 12 + i)) for i in range(4))
    assert expr(form.energy) == spent + (3 + 2 * 11) * expr(form.latency)


def test_energy_of_a_steady_state_is_that_of_all_slots() -> None:
    """4 slots, 5 steps of a request: in their time 4 requests' work is done."""
    form, one = steady_state(forecast(generate=4), 4), forecast(batch=4, generate=4)
    assert (form.steps, form.tokens) == (4, 16)
    assert expr(form.flops) == expr(one.flops)
    spent = sum(joules(SLOW, 4 * term.cost) for term in form.tpot.terms)
    assert expr(form.energy) == expr(spent) + 3 * expr(form.latency)
    assert expr(form.latency) == 4 * expr(form.tpot)
    assert expr(form.tps) == expr(form.tokens) / expr(form.latency)


PLAIN: dict[str, Callable[[ls.Forecast], Timed]] = {
    "one stage": lambda f: pipeline(f, 1),
    "a list of one stage": lambda f: pipeline([f]),
    "one stage with overlapped sends": lambda f: pipeline(f, 1, overlap_sends=True),
    "one stage by chunk": lambda f: pipeline(f, 1, by_chunk=True),
    "nothing drafted": lambda f: speculate(f, forecast(model=DRAFT), 0, Rational(1, 2)),
    "no hits": lambda f: prefix_hits(f, 7, 0),
    "hits of nothing": lambda f: prefix_hits(f, 0, Rational(1, 3)),
    "no hits of a pipeline": lambda f: prefix_hits(pipeline(f, 1), 7, 0),
    "no prefix": lambda f: with_prefix(f, 0),
}


@pytest.mark.parametrize("limit", PLAIN)
def test_the_plain_forecast_at_every_limit(limit: str) -> None:
    plain = forecast(chunk=5)
    form = PLAIN[limit](plain)
    assert answers(form) == answers(plain)
    assert [form.bottleneck(phase) for phase in ("prefill", "decode")] == [
        plain.bottleneck(phase) for phase in ("prefill", "decode")
    ]
    assert form.fits == plain.fits


@pytest.mark.parametrize(
    "form", [forecast(), two_stages(), drafted()], ids=lambda f: type(f).__name__
)
def test_hits_alone_are_the_prefixed_form(form: Any) -> None:
    assert answers(prefix_hits(form, 7, 1)) == answers(with_prefix(form, 7))


def test_nothing_beside_a_prefill_is_its_forecast() -> None:
    alone, carried = forecast(chunk=5, generate=1), piggyback(forecast(chunk=5, generate=1), 0)
    for metric in ("ttft", "latency", "tokens", "memory", "energy", "cost", "operations", "bytes"):
        assert answers(carried)[metric] == answers(alone)[metric]


def test_one_device_for_both_pools_adds_the_transfer_alone() -> None:
    f = forecast()
    both, plain = answers(disaggregate(f, f, 90, 0)), answers(f)
    sent = expr(disaggregate(f, f, 90, 0).transfer)
    same = ("ttft", "tpot", "mean tpot", "tps", "tokens", "memory", "operations", "bytes")
    assert all(both[metric] == plain[metric] for metric in same)
    assert both["latency"] == plain["latency"] + sent


def test_a_draft_that_the_prefill_lacks_is_filled_before_decoding() -> None:
    form = disaggregate(forecast(), drafted(FAST), 90, 0)
    filled = expr(forecast(FAST, DRAFT).ttft)
    assert [part.name for part in form.latency.parts] == [
        *("prefill", "transfer", "draft prefill", "decode")
    ]
    assert expr(form.latency.parts[2].value) == filled
    whole = disaggregate(drafted(), drafted(FAST), 90, 0)
    assert len(whole.latency.parts) == 3
    assert expr(whole.transfer) == Rational(12 * 4 * (TARGET_CACHE + DRAFT_CACHE), 90)


TARGET_CACHE, DRAFT_CACHE = 4 * 2 * 8 * 2, 1 * 2 * 8 * 2
"""Layers x (keys, values) x 2 heads of 4 x 2 bytes of a token."""


def test_a_prefix_is_a_shorter_prompt_after_a_longer_past() -> None:
    """What `with_prefix` did before the prefix was a field."""
    for chunk in (None, 5):
        long, short = forecast(prompt=20, chunk=chunk), forecast(prompt=12, past=8, chunk=chunk)
        assert answers(with_prefix(long, 8)) == answers(short)
        assert with_prefix(long, 8).capacity.expr == short.capacity.expr
        for serve in (
            lambda f: speculate(f, None, 2, Rational(1, 2)),
            lambda f: pipeline(f, 2, 2),
            lambda f: steady_state(f, 3),
            lambda f: piggyback(f, 2, 9),
        ):
            assert answers(serve(with_prefix(long, 8))) == answers(serve(short))


def simulated(computing: list[int], sends: list[int], pieces: int, rounds: int) -> list[Any]:
    """When each round ends, where every link takes a piece while its stage computes the next."""
    resources = [computing[0]]
    for send, stage in zip(sends, computing[1:], strict=True):
        resources += [send, stage]
    free, ready, ends = [0] * len(resources), [0] * pieces, []
    for _ in range(rounds):
        for piece in range(pieces):
            at = ready[piece]
            for i, time in enumerate(resources):
                at = free[i] = max(at, free[i]) + time
            ready[piece] = at
        ends.append(max(ready))
    return ends


def test_overlapped_sends_equal_the_simulation() -> None:
    random = Random(5)
    for _ in range(500):
        computing = [random.randint(0, 20) for _ in range(random.randint(1, 4))]
        sends = [random.randint(0, 20) for _ in computing[1:]]
        pieces = random.randint(1, 6)
        times, hops = ([*map(Integer, row)] for row in (computing, sends))
        flow = Flow.of(times, hops, overlap=True)
        ends = simulated(computing, sends, pieces, rounds=14)
        assert flow.makespan(Integer(pieces)) == ends[0]
        assert flow.cycle(Integer(pieces)) == ends[-1] - ends[-2]


@pytest.mark.parametrize("overlap", [False, True])
def test_equal_stages_are_a_list_of_them(overlap: bool) -> None:
    for link in (1, 50, 10_000):
        f = forecast(SLOW.with_(link_bandwidth=link))
        for stages in (1, 2, 3, 4):
            closed = pipeline(f, sym.stages, 2, overlap_sends=overlap)
            numbers = pipeline(f, stages, 2, overlap_sends=overlap)
            listed = pipeline([f] * stages, microbatches=2, overlap_sends=overlap)
            assert answers(numbers) == answers(listed)
            assert numbers.prefill == listed.prefill
            assert expr(numbers.bubble) == expr(listed.bubble)
            for metric in ("ttft", "tpot", "mean tpot", "memory", "energy"):
                formula = METRICS[metric](closed).expr.xreplace({sym.stages: Integer(stages)})
                assert expr(formula) == answers(listed)[metric]


def test_overlapped_sends_save_time_only_beside_other_pieces() -> None:
    f = forecast(SLOW.with_(link_bandwidth=20))
    apart, joined = (
        [pipeline(f, 3, pieces, overlap_sends=overlap) for pieces in (1, 4)]
        for overlap in (False, True)
    )
    assert expr(apart[0].ttft) == expr(joined[0].ttft)
    assert expr(joined[1].ttft) < expr(apart[1].ttft)
    assert expr(joined[1].tpot) <= expr(apart[1].tpot)


def test_sums_inside_the_mean_keep_their_own_index() -> None:
    """A draft of two windows, whose pass is one maximum: its steps, and their mean, stay open."""
    config = SMALL | {"model_type": "gemma2", "head_dim": 4, "sliding_window": 14}
    draft = ls.Model.from_hf(config)
    target = forecast(generate=9, overlap="pass")
    form = speculate(target, forecast(model=draft, generate=9, overlap="pass"), 3, Rational(1, 2))
    steps = [expr(form.tpot.expr.xreplace({sym.past: Integer(12 + i)})) for i in range(8)]
    assert float(form.tpot) == pytest.approx(float(sum(steps) / 8), rel=1e-12)
    assert float(form.latency) == pytest.approx(float(expr(form.ttft) + sum(steps)), rel=1e-12)


def test_memories_that_hold_what_they_must() -> None:
    weights = forecast().memory.expr
    roomy, small = (replace(SLOW, capacity=capacity) for capacity in (weights, weights - 1))
    assert forecast(roomy).fits is True
    assert forecast(small).fits is False
    assert forecast(replace(SLOW, capacity=None)).fits is None
    assert forecast(roomy, prompt=sym.prompt).fits is None
    assert pipeline([forecast(roomy), forecast(replace(small, capacity=S.One))]).fits is False
    assert disaggregate(forecast(roomy), forecast(replace(SLOW, capacity=None)), 9, 0).fits is None


def test_a_generation_of_one_token_has_the_mean_of_its_first_step() -> None:
    for form in (
        forecast(generate=1),
        pipeline(forecast(generate=1), 2),
        steady_state(forecast(generate=1), 3),
    ):
        assert expr(form.tpot.mean) == expr(form.tpot.first)
        assert expr(form.latency) == expr(form.ttft)


@pytest.mark.parametrize(
    ("nest", "message"),
    [
        (lambda: pipeline(drafted(), 2), "pipeline: forecasts must be a Forecast"),
        (lambda: pipeline([drafted()]), "pipeline: forecasts must be a Forecast"),
        (lambda: steady_state(drafted(), 4), "steady_state: forecast must be a Forecast"),
        (lambda: steady_state(two_stages(), 4), "forecast must be a Forecast, not a Pipeline"),
        (lambda: speculate(two_stages(), None, 2), "target must be a Forecast, not a Pipeline"),
        (lambda: piggyback(drafted(), 4), "piggyback: forecast must be a Forecast"),
        (lambda: mixed_pass(two_stages(), [Group()]), "forecast must be a Forecast"),
        (
            lambda: disaggregate(forecast(), steady_state(forecast(), 4)),
            "decode must be a Generation, not a SteadyState",
        ),
        (
            lambda: with_prefix(prefix_hits(forecast(), 2, 0.5), 3),
            "prefix hits have a prefix: give one number of tokens",
        ),
        (lambda: with_prefix(mixed_pass(forecast(), [Group()]), 3), "form must be a Generation"),
        (lambda: prefix_hits(forecast(), 12, 0.5), "a prefix of 12 tokens leaves none of 12"),
        (lambda: disaggregate(forecast(), pipeline(forecast(prompt=9), 2)), "one workload"),
        (lambda: pipeline([forecast()], 1), "leave out their number"),
        (lambda: pipeline(forecast(), 5), "5 stages are more than the 4 layers of the model"),
        (lambda: pipeline(forecast(), sym.stages).parts, "a share of each of stages"),
    ],
)
def test_what_cannot_be_nested_is_refused(nest: Callable[[], Any], message: str) -> None:
    with pytest.raises(LifesymError, match=message) as caught:
        nest()
    assert "\n" not in str(caught.value)


def test_rates_by_position_are_for_a_number_of_tokens() -> None:
    form = speculate(forecast(), None, 2, position_rates=[0.5, 0.25])
    with pytest.raises(SymbolError, match="2 position rates for draft drafted tokens"):
        _ = replace(form, drafted=sym.draft).tpot
