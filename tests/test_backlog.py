"""Slots that memories have room for, requests that go through them, and preempted ones.

Each is checked against the passes written out one by one, or against counted tokens.
"""

from fractions import Fraction
from typing import Any

import pytest
from command_line import run_here as run
from sympy import Add, Expr, Integer, Rational, expand

import lifesym as ls
from lifesym.capacity import Fit, in_slots
from lifesym.errors import SymbolError
from lifesym.levels import Level
from lifesym.serving import Group, backlog, mixed_step, steady_state
from lifesym.serving.mixed import mixed_trace

PROMPT, GENERATED = 20, 6
CACHE = Level(name="ddr", bandwidth=10**11, kv=1, capacity=10**8)


def forecast(model: str = "tinyllama-1.1b", **options: Any) -> ls.Forecast:
    return ls.forecast(model, "v100", PROMPT, GENERATED, engine="eager", **options)


def ages(entering: int, first: int, last: int) -> list[Group]:
    """The sequences of a pass that are in some of their steps, the first of which is 1."""
    groups = []
    for age in range(first, last + 1):
        new, past = (PROMPT, 0) if age == 1 else (1, PROMPT + age - 2)
        groups.append(Group(batch=entering, new=new, past=past))
    return groups


def passes(entering: int, rounds: int) -> list[list[Group]]:
    """Every pass of a backlog, in each of the first ``rounds`` of which some sequences enter."""
    steps = range(rounds + GENERATED - 1)
    return [ages(entering, max(1, step - rounds + 2), min(GENERATED, step + 1)) for step in steps]


@pytest.mark.parametrize("overlap", ["operator", "pass", "none"])
def test_a_backlog_is_the_loop_over_its_passes(overlap: Any) -> None:
    f = forecast(overlap=overlap)
    made = backlog(steady_state(f, 2 * GENERATED), 20)
    each = passes(2, 10)
    assert made.passes.expr == len(each) == 15
    loop = sum((mixed_step(f, groups).expr for groups in each), Integer(0)).doit()
    assert float(made.latency) == pytest.approx(float(loop), rel=1e-12)
    assert made.tokens == 20 * GENERATED
    assert float(made.tps) == pytest.approx(120 / float(loop), rel=1e-12)


def test_the_work_of_a_backlog_is_that_of_its_passes() -> None:
    """Operations and bytes, and the energy that they and the time take."""
    f = forecast()
    made = backlog(steady_state(f, GENERATED), 9)
    costs = [mixed_trace(f, groups).cost_at(f.precision) for groups in passes(1, 9)]
    assert expand(made.flops.expr - Add(*(cost.flops for cost in costs))) == 0
    assert expand(made.traffic.expr - Add(*(cost.bytes for cost in costs))) == 0
    assert made.energy.expr == f.hardware.static_power * made.latency.expr


def test_many_requests_are_the_steady_state() -> None:
    state = steady_state(forecast(), 12)
    rates = [float(backlog(state, count).tps) for count in (12, 120, 12 * 10**6)]
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(float(state.tps), rel=1e-5)
    alone = steady_state(ls.forecast("tinyllama-1.1b", "v100", PROMPT, 1), 4)
    assert float(backlog(alone, 8).tps) == pytest.approx(float(alone.tps), rel=1e-12)


def held(tokens: int, page: int = 1) -> int:
    """Bytes of tinyllama's cache, in whole pages."""
    return 22 * 2 * 4 * 64 * 2 * page * -(-tokens // page)


@pytest.mark.parametrize("page", [None, 1, 4, 16])
def test_slots_are_those_of_requests_in_every_step(page: int | None) -> None:
    """One sequence in each of its steps keeps so much; as many of them fit as of their mean."""
    found = Fit(forecast=forecast(levels=[CACHE]), block=page)
    each = [held(PROMPT + step, page or 1) for step in range(GENERATED)]
    mean = Fraction(sum(each), GENERATED)
    assert found.slots.expr == int(10**8 / mean)
    assert found.slots.expr >= found.sequences.expr == 10**8 // held(PROMPT + GENERATED, page or 1)


def test_slots_of_prompts_in_chunks() -> None:
    """A prompt of 20 in chunks of 8 keeps 8 and 16 tokens before it keeps 20."""
    found = Fit(forecast=forecast(levels=[CACHE], chunk=8))
    each = [held(n) for n in (8, 16, *range(PROMPT, PROMPT + GENERATED))]
    assert found.slots.expr == int(10**8 / Fraction(sum(each), len(each)))


def test_slots_fill_what_they_were_counted_for() -> None:
    state = in_slots(forecast(levels=[CACHE]), "fit")
    (kept,) = state.elsewhere
    mean = Fraction(sum(held(PROMPT + step) for step in range(GENERATED)), GENERATED)
    assert kept.expr == state.slots * Rational(mean.numerator, mean.denominator)
    assert 0 <= 10**8 - kept.expr < mean
    assert state.fits
    whole = steady_state(forecast(levels=[CACHE]), state.slots)
    assert whole.fits is False  # with room for a whole request in each


def test_slots_of_replicas_are_those_of_all() -> None:
    one, two = (forecast(levels=[CACHE], data_parallel=n) for n in (1, 2))
    assert Fit(forecast=two).slots.expr == 2 * Fit(forecast=one).slots.expr
    assert in_slots(two, "fit").tpot.expr == in_slots(one, "fit").tpot.expr


def test_a_preempted_request_computes_its_context_again() -> None:
    """Half of the requests once: a pass over the mean context in place of a decode step."""
    f = forecast("mixtral-8x7b", routing="all")
    state = steady_state(f, 2 * GENERATED, preempted=Rational(1, 2))
    context = PROMPT + Rational(GENERATED - 2, 2)
    groups = [
        Group(batch=2, new=PROMPT),
        Group(batch=2 * GENERATED - 3, past=context),  # two less a half of two
        Group(batch=1, new=context + 1),
    ]
    by_hand: Expr = mixed_step(f, groups).expr
    assert state.tpot.expr.doit() == by_hand.doit()
    assert state.tokens == 2 * GENERATED * GENERATED
    assert float(state.tps) < float(steady_state(f, 2 * GENERATED).tps)
    assert steady_state(f, 12, preempted=0).tpot.expr == steady_state(f, 12).tpot.expr


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda f: backlog(steady_state(f, 12), 11), "11 requests never take 12 slots"),
        (lambda f: steady_state(f, 4, preempted=6), "has 5 decode steps in which it may be, not 6"),
        (lambda f: steady_state(f, 4, preempted=-1), "decode steps in which it may be, not -1"),
        (lambda f: backlog(steady_state(f, 4, preempted=1), 9), "preempted: when requests"),
        (
            lambda f: backlog(steady_state(forecast(chunk=8), 4), 9),
            "computes whole prompts: leave out the chunk",
        ),
        (
            lambda f: in_slots(forecast(levels=[Level(name="x", bandwidth=1, kv=1)]), "fit"),
            "the capacity of x, which holds a sequence, is not known",
        ),
        (
            lambda f: in_slots(
                forecast(levels=[Level(name="x", bandwidth=1, kv=1, capacity=10)]), "fit"
            ),
            "slots: not one sequence of tinyllama-1.1b fits",
        ),
    ],
)
def test_what_is_refused(ask: Any, message: str) -> None:
    with pytest.raises(SymbolError, match=message):
        ask(forecast())


def test_from_the_command_line() -> None:
    asked = ["forecast", "tinyllama-1.1b", "--on", "a100", "--prompt", 64, "--generate", 9]
    text = run(*asked, "--slots", "fit", "--requests", 10**6)
    assert text.returncode == 0, text.stderr
    for words, message in (
        (["--slots", "all"], "'all' is not a whole number of at least 1, nor 'fit'"),
        (["--requests", 9], "--requests needs --slots"),
        (["--slots", 4, "--requests", 3], "3 requests never take 4 slots"),
        (["--slots", 4, "--preempted", 9], "preempted: a request has 8 decode steps"),
    ):
        refused = run(*asked, *words)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert refused.stderr.count("\n") <= 4
