"""Served forms of random cases: lifesym against the simulator, exactly (`simulator.serving`)."""

from collections.abc import Callable
from dataclasses import asdict, replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator import asked, serving
from simulator.configs import READERS, shape_of
from simulator.draws import Case, cases, configs, machines
from simulator.options import Group, Level, Options, Policy
from simulator.workload import Simulation
from sympy import Expr, Integer
from test_simulator import answer, met, said, same

import lifesym as ls
from lifesym import serving as served
from lifesym import symbols as sym

counts = st.integers(1, 4)
BY_ROLE = ("weights.memory", "cache.memory", "activations.memory")
Draw = st.DataObject


def equal(found: dict[str, Expr], expected: dict[str, Fraction], context: int = 0) -> None:
    """Each quantity, at a context where it depends on one."""
    at = {sym.past: Integer(context)}
    same({name: asked.bound(e, at) for name, e in found.items()}, expected, "served")


def mixed_passes(f: ls.Forecast, s: Simulation, draw: Draw) -> None:
    group = st.builds(
        Group,
        counts,
        st.sampled_from([1, 1, 1, 2, 5]),
        st.sampled_from([0, 1, 3, 8, 20]),
        st.sampled_from(["last", "last", "none", "all"]),
    )
    groups = draw.draw(st.lists(group, min_size=1, max_size=4))
    compare_mixed(f, s, groups)


def compare_mixed(f: ls.Forecast, s: Simulation, groups: list[Group]) -> None:
    asked_for = [served.Group(**asdict(g)) for g in groups]
    equal({"mixed": served.mixed_step(f, asked_for).expr}, {"mixed": s.time(*groups)})


def unequal_contexts(f: ls.Forecast, s: Simulation, draw: Draw) -> None:
    contexts = draw.draw(st.lists(st.sampled_from([1, 2, 5, 9, 20]), min_size=1, max_size=5))
    step = served.step_at_contexts(f, contexts)
    equal({"step": step.expr}, {"step": serving.at_contexts(s, contexts)})


def speculation(f: ls.Forecast, s: Simulation, draw: Draw) -> None:
    """With a draft of another model, of formats that the device has by itself."""
    config = draw.draw(st.sampled_from(sorted(READERS)).flatmap(configs))
    options = Options(replicas=s.options.replicas)
    roles = {key: n for key, n in s.machine.own.items() if key in BY_ROLE}
    machine = replace(s.machine, own=roles)  # the draft may lack operators of these names
    small = Case(config, Simulation(shape_of(config), machine, options, s.load))
    tokens = draw.draw(st.sampled_from([0, 1, 2, 4]))
    chance = draw.draw(st.sampled_from([Fraction(0), Fraction(1), Fraction(1, 2), Fraction(4, 5)]))
    found = served.speculate(f, asked.forecast(small), tokens, asked.rational(chance))
    expected = serving.Speculation(s, small.simulation, tokens, chance)
    step = expected.step(s.start)
    equal(
        {
            "step": found.step.expr,
            "tpot": found.tpot.expr,
            "speedup": found.speedup.expr,
            "ttft": found.ttft.expr,
            "memory": found.memory.expr,
        },
        {
            "step": step,
            "tpot": step / expected.expected,
            "speedup": s.step(s.start) * expected.expected / step,
            "ttft": expected.both("ttft"),
            "memory": expected.both("memory"),
        },
        s.start,
    )


def self_speculation(f: ls.Forecast, s: Simulation, draw: Draw) -> None:
    """Of models whose layers are all of a kind, which is the module's."""
    if len(set(s.shape.layers)) > 1 or s.shape.norm != "rms":
        return
    compare_module(f, s, draw.draw(st.sampled_from([0, 1, 2, 4])))


def compare_module(f: ls.Forecast, s: Simulation, tokens: int) -> None:
    found = served.speculate(f, None, tokens, asked.rational(Fraction(1, 2)))
    expected = serving.SelfSpeculation(s, tokens)
    equal(
        {"step": found.step.expr, "ttft": found.ttft.expr, "memory": found.memory.expr},
        {"step": expected.step(s.start), "ttft": expected.ttft(), "memory": expected.memory()},
        s.start,
    )


def decodes_in_a_prefill(f: ls.Forecast, s: Simulation, draw: Draw) -> None:
    decodes, context = draw.draw(st.integers(0, 3)), draw.draw(st.sampled_from([1, 6, 15]))
    found = served.piggyback(f, decodes, context)
    times = serving.piggybacked(s, decodes, context)
    whole = sum(times, Fraction(0))
    equal(
        {"ttft": found.ttft.expr, "step": found.tpot.expr},
        {"ttft": whole, "step": whole / len(times)},
    )


def affine(s: Simulation) -> bool:
    """Whether costs are affine in contexts and batches: no rounding, window or eviction."""
    o, policy = s.options, s.options.policy
    limited = (policy.budget, policy.keep, policy.page) != (None, 1, 1)
    windows = any(layer.window for layer in s.shape.layers)
    return not (limited or windows or o.causal == "exact" or o.tile or o.sequence)


def backlogs(f: ls.Forecast, s: Simulation, draw: Draw) -> None:
    """Exact where costs are affine in contexts and batches, and prompts are whole."""
    if not affine(s) or len(s.pieces()) > 1:
        return
    rounds = s.load.generate + draw.draw(st.integers(0, 2))
    slots, requests, time = serving.backlog(s, rounds)
    found = served.backlog(served.steady_state(f, slots), requests)
    equal(
        {"latency": found.latency.expr, "rate": found.tps.expr},
        {"latency": time, "rate": requests * s.load.generate / time},
    )


def steady_state(f: ls.Forecast, s: Simulation, draw: Draw) -> None:
    """Exact where costs are affine in contexts and batches."""
    if not affine(s):
        return
    slots, step = serving.steady_step(s, draw.draw(st.integers(1, 2)))
    found = served.steady_state(f, slots)
    steps = len(s.pieces()) + s.load.generate - 1
    throughput = Fraction(slots * s.load.generate, steps) / step
    equal(
        {"step": found.tpot.expr, "throughput": found.tps.expr},
        {"step": step, "throughput": throughput},
    )


def pipelines(f: ls.Forecast, s: Simulation, draw: Draw) -> None:
    """Cuts between layers of one kind, by number and by symbol."""
    layers = s.shape.layers
    if len(set(layers)) > 1 or s.options.overlap == "pass" or s.options.policy.share > 1:
        return
    depth, batch = len(layers), s.load.batch
    stages = draw.draw(st.sampled_from([p for p in range(1, depth + 1) if depth % p == 0]))
    pieces = draw.draw(st.sampled_from([m for m in range(1, batch + 1) if batch % m == 0]))
    expected = serving.Pipeline(s, stages, pieces)
    values = {"ttft": expected.ttft(), "memory": expected.memory(), "bubble": expected.bubble()}
    values["tpot"] = expected.tpot(s.start)
    forms = [
        served.pipeline([f] * stages, microbatches=pieces),
        served.pipeline(f, stages, pieces),
        served.pipeline(f, sym.stages, pieces),
    ]
    for form in forms:
        found = {name: getattr(form, name).expr for name in values}
        by_number = {sym.stages: Integer(stages)}
        equal({n: e.xreplace(by_number) for n, e in found.items()}, values, s.start)


def disaggregation(f: ls.Forecast, s: Simulation, draw: Draw) -> None:
    if s.load.generate == 1:
        return
    other = serving.elsewhere(s, draw.draw(machines()))
    second = replace(f, hardware=asked.hardware(other.machine))
    found, sent = served.disaggregate(f, second), serving.transfer(s)
    decode = sum(other.steps, Fraction(0))
    equal(
        {
            "transfer": found.transfer.expr,
            "latency": found.latency.expr,
            "ratio": found.ratio.expr,
        },
        {"transfer": sent, "latency": s.ttft + sent + decode, "ratio": s.ttft / decode},
    )


def prefixes(f: ls.Forecast, s: Simulation, draw: Draw) -> None:
    if s.load.prompt == 1:
        return
    prefix = draw.draw(st.integers(0, s.load.prompt - 1))
    rate = draw.draw(st.sampled_from([Fraction(0), Fraction(1), Fraction(1, 3)]))
    found = served.expected_ttft(f, prefix, asked.rational(rate)).expr
    hit = serving.with_prefix(s, prefix).ttft
    equal({"ttft": found}, {"ttft": rate * hit + (1 - rate) * s.ttft})


FORMS: dict[str, Callable[[ls.Forecast, Simulation, Draw], None]] = {
    "mixed passes": mixed_passes,
    "unequal contexts": unequal_contexts,
    "speculation": speculation,
    "self-speculation": self_speculation,
    "decodes in a prefill": decodes_in_a_prefill,
    "steady state": steady_state,
    "backlogs": backlogs,
    "pipelines": pipelines,
    "disaggregation": disaggregation,
    "prefixes": prefixes,
}


def check(form: str, case: Case, draw: Draw) -> None:
    f = answer(case)
    if f is not None:
        FORMS[form](f, case.simulation, draw)


@pytest.mark.parametrize("form", FORMS)
@given(case=cases(), data=st.data())
@settings(max_examples=8)
def test_served_forms_equal_the_simulator(form: str, case: Case, data: Draw) -> None:
    check(form, case, data)


HALF_THE_CACHE = Level(name="host", bandwidth=Fraction(70), kv=Fraction(1, 2))
DRAFTING: list[tuple[str, Options]] = [
    ("llama", Options()),
    ("llama", Options(rules=("layer",), tensor=2)),
    ("llama", Options(policy=Policy(share=2))),
    ("joint", Options(policy=Policy(share=3, budget=3))),
    ("llama", Options(levels=(HALF_THE_CACHE,))),
    ("no experts", Options()),
]


@pytest.mark.parametrize(
    ("model", "options"), DRAFTING, ids=[f"{model}, {said(o)}" for model, o in DRAFTING]
)
def test_a_model_that_drafts_for_itself(model: str, options: Options) -> None:
    """One layer with a cache of its own, where the model's layers share, or lie elsewhere."""
    case = met(model, options)
    compare_module(asked.forecast(case), case.simulation, 2)


TOGETHER = [Group(2, 5, 3, "none"), Group(3, 1, 9), Group(1, 7, 0)]
MIXED: list[tuple[str, Options]] = [
    *(("latents", Options(mla=kind)) for kind in ("absorbed", "expand", "decompressed")),
    ("latents", Options(mla="expand", policy=Policy(budget=2, page=4))),
    ("latents", Options(mla="expand", policy=Policy(keep=Fraction(1, 3)), rules=("layer",))),
    ("some windows", Options(tensor=4, sequence=True)),
    ("sinks", Options(rules=("flash",), tile=2)),
    ("sinks", Options(rules=("flash",), policy=Policy(budget=3, page=2, scored=True))),
    ("chunks", Options(causal="exact", policy=Policy(keep=Fraction(1, 2)))),
    ("norm of all heads", Options(expert_devices=2, tensor=2, sequence=True)),
]


@pytest.mark.parametrize(
    ("model", "options"), MIXED, ids=[f"{model}, {said(o)}" for model, o in MIXED]
)
def test_chunks_and_decodes_in_one_pass(model: str, options: Options) -> None:
    case = met(model, options)
    compare_mixed(asked.forecast(case), case.simulation, TOGETHER)


@pytest.mark.fuzz
@pytest.mark.parametrize("form", FORMS)
@given(case=cases(), data=st.data())
@settings(max_examples=500, derandomize=False)
def test_many_served_forms_equal_the_simulator(form: str, case: Case, data: Draw) -> None:
    check(form, case, data)
