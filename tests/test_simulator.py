"""Random models, machines and options: lifesym against a simulator, exactly (`simulator`)."""

from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from simulator import asked
from simulator.configs import READERS, shape_of
from simulator.draws import Case, cases
from simulator.families import MAKERS, configs
from simulator.kernels import FIELDS
from simulator.options import Group, Options, RefusedError
from simulator.passes import run
from simulator.workload import Load, Simulation
from strategies import DENSE

import lifesym as ls
from lifesym.errors import LifesymError

PASSES = [(2, 5, "all"), (3, 9, "none")]
"""Passes that no forecast has, beside the prompt's and the first step's."""


def answer(case: Case) -> ls.Forecast | None:
    """The library's forecast; None if both refuse the case. Neither may refuse it alone."""
    try:
        case.simulation.step(case.simulation.start)
    except RefusedError as error:
        note(f"refused: {error}")
        with pytest.raises(LifesymError):
            _ = asked.forecast(case).tpot.first.expr
        return None
    return asked.forecast(case)


def same(found: Mapping[str, Fraction], expected: Mapping[str, Fraction], what: str) -> None:
    """Equal, or say in what the library and the simulator differ."""
    wrong = {n: (found[n], expected[n]) for n in expected if found[n] != expected[n]}
    assert not wrong, f"{what}: (lifesym, simulator) {wrong}"


def compare_costs(case: Case, f: ls.Forecast) -> None:
    s = case.simulation
    shapes = [(s.load.prompt, s.load.past, "last"), (1, s.start, "last"), *PASSES]
    for new, past, logits in shapes:
        expected = s.cost(Group(s.batch, new, past, logits))
        cost = f.trace(new, past, logits).cost_at(f.precision)
        found = {name: asked.fraction(getattr(cost, name)) for name in FIELDS}
        same(found, expected, f"a pass of {new} tokens after {past}, logits {logits}")


def check(case: Case) -> None:
    """Every cost field of passes, then every quantity of the forecast."""
    note(case)
    f = answer(case)
    if f is None:
        return
    compare_costs(case, f)
    expected = case.simulation.results()
    found = {
        name: asked.fraction(expr)
        for name, expr in asked.results(f, case.simulation.load.generate > 1).items()
    }
    same(found, expected, "the forecast")


@given(case=cases())
@settings(max_examples=60)
def test_forecasts_equal_the_simulator(case: Case) -> None:
    check(case)


@pytest.mark.fuzz
@given(case=cases())
@settings(max_examples=3000, derandomize=False)
def test_many_forecasts_equal_the_simulator(case: Case) -> None:
    check(case)
