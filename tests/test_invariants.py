"""What no option may break: nothing negative, memory for what is read, work that was there."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from simulator import asked
from simulator.draws import Case, cases
from simulator.options import Options, Policy
from simulator.symbols import all_symbols_of
from sympy import Add, Expr, Integer, Symbol, expand
from test_simulator import MEETINGS, MET, answer, met

import lifesym as ls
from lifesym import symbols as sym
from lifesym.cost import FIELDS, Cost

PASSES = [
    (1, 1, 0),
    (2, 1, 1),
    (1, 3, 0),
    (3, 7, 2),
    (1, 2, 29),
    (2, 40, 100),
    (1, 9, 7),
    (2, 2, 15),
]
POLICIES = [(1, 1), (4, 16), (50, 3)]
POINTS = [
    {
        **{sym.batch: Integer(batch), sym.new: Integer(new), sym.past: Integer(past)},
        **{sym.budget: Integer(budget), sym.page: Integer(page)},
    }
    for batch, new, past in PASSES
    for budget, page in POLICIES
]
"""Sizes at which what is not proved is computed; windows and budgets lie between them."""
Values = dict[Symbol, Expr]


def given_options(case: Case, **changes: object) -> Case:
    """The case under other options."""
    simulation = case.simulation
    options = replace(simulation.options, **changes)
    return replace(case, simulation=replace(simulation, options=options))


def total(f: ls.Forecast, new: int, past: int) -> Cost:
    """The cost of a pass in numbers."""
    cost = f.trace(new, past).cost_at(f.precision)
    return Cost(**{name: expr.doit() for name, expr in cost.items()})


def proved(expr: Expr) -> bool:
    """Whether every term of the sum is known not to be negative, whatever the sizes."""
    if expr.is_nonnegative:
        return True
    parts = (term.as_coeff_Mul() for term in Add.make_args(expand(expr)))
    return all(factor.is_nonnegative and rest.is_nonnegative for factor, rest in parts)


def negative_at(expr: Expr, values: Values | None = None) -> Values | None:
    """Sizes at which a cost is below zero, if it is at one of the points."""
    if proved(expr):
        return None
    fixed = values or {}
    return next((at for at in POINTS if expr.xreplace({**fixed, **at}).doit() < 0), None)


def check_signs(case: Case) -> None:
    """Of every operator in a pass of any size, under a policy of any size."""
    if answer(case) is None:
        return
    changes, values = all_symbols_of(case)
    f = asked.forecast(case, **changes)
    for entry in f.trace(sym.new, sym.past, "all", batch=sym.batch):
        for name, expr in entry.operator.cost(f.precision).items():
            assert negative_at(expr, values) is None, f"{entry.path}.{name} = {expr}"


@given(case=cases())
@settings(max_examples=15)
def test_no_operator_has_a_negative_cost(case: Case) -> None:
    check_signs(case)


@pytest.mark.parametrize(("model", "options"), MEETINGS, ids=MET)
def test_no_operator_is_negative_where_options_meet(model: str, options: Options) -> None:
    check_signs(met(model, options))


@pytest.mark.fuzz
@given(case=cases())
@settings(max_examples=1000, derandomize=False)
def test_no_operator_of_many_has_a_negative_cost(case: Case) -> None:
    check_signs(case)


def test_signs_are_proved_or_found_wrong() -> None:
    """The judge itself: a sum of positive terms, a difference that is positive, and one not."""
    assert proved(sym.new * (sym.past + 1) / 2)
    assert not proved(sym.new + 1 - sym.past)
    assert negative_at(sym.new * sym.past + 1 - sym.past) is None
    assert negative_at(sym.new - sym.past) is not None


@given(case=cases())
@settings(max_examples=25)
def test_memory_holds_what_a_step_reads(case: Case) -> None:
    """A step reads the cache that is held, and what it adds itself, each in whole pages.

    Of latents that are read for scores and again for values one reading counts, and of layers that
    share a cache those that own it.
    """
    s = case.simulation
    policy = replace(s.options.policy, share=1)
    case = given_options(case, rules=(), tile=None, policy=policy)
    f = answer(case)
    if f is None:
        return
    again = s.shape.latent is not None and s.options.mla == "absorbed"
    for context in (1, 5, 16, 40):
        entries = [e for e in f.trace(1, context) if not (again and e.name == "attn_av")]
        costs = [entry.cost(f.precision) for entry in entries]
        read = asked.fraction(Add(*(cost.kv_read_bytes for cost in costs)))
        added = asked.fraction(Add(*(cost.kv_write_bytes for cost in costs)))
        held = asked.fraction(f.cached(Integer(context)))
        assert read <= held + policy.page * added


@given(case=cases(), new=st.integers(1, 12), past=st.integers(0, 30))
@settings(max_examples=25)
def test_fusion_computes_the_same_and_moves_no_more(case: Case, new: int, past: int) -> None:
    """Only a tile reads more: the cache, once for each."""
    fused = given_options(case, rules=case.simulation.options.rules or ("flash", "norm"))
    fused = given_options(fused, tile=None)
    first, second = answer(fused), answer(given_options(fused, rules=()))
    if first is None or second is None:
        return
    one, apart = total(first, new, past), total(second, new, past)
    for name in FIELDS:
        less = getattr(apart, name) - getattr(one, name)
        moved = name.startswith(("activation", "kv_read", "dispatches"))
        read_once = name == "dequant_ops"  # of keys that hold the values, too
        assert less >= 0 if moved or read_once else less == 0, name


@given(case=cases(), new=st.integers(1, 12), past=st.integers(0, 30))
@settings(max_examples=25)
def test_eviction_removes_no_more_than_the_past(case: Case, new: int, past: int) -> None:
    """Between a pass that attends to everything and one that has nothing to attend to."""
    kept = case.simulation.options.policy
    limited = Policy(budget=kept.budget or 3, keep=kept.keep)
    chunked = any(layer.chunked for layer in case.simulation.shape.layers)
    assume(not (chunked and case.simulation.options.causal == "exact"))  # a past moves their ends
    evicted = answer(given_options(case, policy=limited))
    whole = answer(given_options(case, policy=Policy()))
    if evicted is None or whole is None:
        return
    least, some, most = total(whole, new, 0), total(evicted, new, past), total(whole, new, past)
    for name in FIELDS:
        assert getattr(least, name) <= getattr(some, name) <= getattr(most, name), name


@given(case=cases(), new=st.integers(1, 12), past=st.integers(0, 30))
@settings(max_examples=25)
def test_a_mask_removes_no_more_than_the_rectangle_has(case: Case, new: int, past: int) -> None:
    """Scores below the diagonal stay: each new token sees itself at least."""
    full, exact = (answer(given_options(case, causal=kind)) for kind in ("full", "exact"))
    if full is None or exact is None:
        return
    whole, masked = total(full, new, past), total(exact, new, past)
    for name in FIELDS:
        less = getattr(whole, name) - getattr(masked, name)
        scores = name in ("matmul_flops", "vector_flops") or name.startswith("activation")
        assert less >= 0 if scores else less == 0, name
        assert getattr(masked, name) * new >= getattr(whole, name) or not scores, name


@given(case=cases(), new=st.integers(1, 12), past=st.integers(0, 30))
@settings(max_examples=25)
def test_devices_do_all_of_the_work_together(case: Case, new: int, past: int) -> None:
    """What is split adds up to the whole; what is repeated, to more."""
    several = case.simulation.options.tensor
    split = answer(case if several > 1 else given_options(case, tensor=2))
    alone = answer(given_options(case, tensor=1, sequence=False))
    if split is None or alone is None:
        return
    devices = max(several, 2)
    part, whole = total(split, new, past), total(alone, new, past)
    unsplit = {"dispatches", "network_bytes", "messages"}
    for name in FIELDS:
        if name not in unsplit:
            assert devices * getattr(part, name) >= getattr(whole, name), name
            assert getattr(part, name) <= getattr(whole, name), name


@given(case=cases())
@settings(max_examples=15)
def test_results_have_no_sign(case: Case) -> None:
    """Times, bytes and joules, in numbers."""
    f = answer(case)
    if f is not None:
        generates = case.simulation.load.generate > 1
        found = asked.results(f, generates)
        assert all(asked.fraction(expr) >= 0 for expr in found.values())
