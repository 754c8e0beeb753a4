"""Certified shares are of positive formulas: anything else is refused, and budgets are kept."""

import random

import pytest
from sympy import Integer, Rational

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import approximate, largest_share
from lifesym.analysis.approximation import terms_over
from lifesym.nodes import Maximum, Minimum

V100 = ls.load_hardware("v100")
DEVICE = V100.numbers(V100.default_format) | {sym.dispatch_time: Rational(4, 10**6)}


def test_a_maximum_of_a_difference_is_not_decided_by_its_middle() -> None:
    box = {sym.batch: (Integer(1), Integer(30))}
    node = Maximum(sym.batch - 10, 5)
    assert terms_over(node, box, {}) == [node]
    short = approximate(node + sym.batch, {"batch": (1, 30)}, keep=1)
    for batch in range(1, 31):
        at = {sym.batch: Integer(batch)}
        full = (node + sym.batch).xreplace(at)
        assert 0 <= (full - short.expr.xreplace(at)) / full <= short.error.upper


@pytest.mark.parametrize(
    "ask",
    [
        lambda: approximate(
            100 - sym.batch + sym.hidden, {"batch": (1, 90)}, {"hidden": 3}, keep=1
        ),
        lambda: largest_share(
            sym.past, sym.hidden - sym.past, {sym.past: (1, 9), sym.hidden: (1, 9)}
        ),
    ],
)
def test_negative_terms_are_refused(ask: object) -> None:
    with pytest.raises(ls.SymbolError, match=r"is negative at|shown to be positive"):
        ask()  # type: ignore[operator]


def test_what_cannot_be_shown_to_be_positive_is_refused() -> None:
    """(x - y)^2 + 1/1000 is positive, but not for interval arithmetic over wide boxes."""
    x, y = sym.past, sym.hidden
    ends = (Integer(1), Integer(9))
    wide = x**2 - 2 * x * y + y**2 + Rational(1, 10**9)
    with pytest.raises(ls.SymbolError, match="shown to be positive"):
        largest_share(wide, x, {x: ends, y: ends}, budget=500)


def test_the_tokens_beyond_a_window_are_not_negative() -> None:
    """a - min(a, b) is enclosed as max(0, a - b)."""
    beyond = sym.past - Minimum(sym.past, sym.window)
    ends = (Integer(1), Integer(100))
    found = largest_share(beyond, sym.window + 0, {sym.past: ends, sym.window: ends})
    assert found.lower <= 99 / 100 <= found.upper
    assert found.complete


def test_a_budget_is_kept_and_what_it_left_open_is_said() -> None:
    tpot = ls.forecast(ls.load_model("llama-2-7b"), ls.Hardware.symbolic(), batch=sym.batch).tpot
    box = {sym.batch: (Integer(1), Integer(512)), sym.past: (Integer(0), Integer(32768))}
    parts = terms_over(tpot.expr, box, DEVICE)
    numeric = [part.xreplace(DEVICE) for part in parts]
    whole = sum(numeric)
    rough = largest_share(numeric[0], whole - numeric[0], box, gap=1e-6, budget=60)
    assert rough.boxes <= 60
    assert not rough.complete
    fine = largest_share(numeric[0], whole - numeric[0], box, gap=0.01)
    assert fine.complete
    assert rough.lower <= fine.upper
    assert fine.lower <= rough.upper
    rng = random.Random(1)
    for _ in range(200):
        at = {sym.batch: Integer(rng.randint(1, 512)), sym.past: Integer(rng.randint(0, 32768))}
        assert numeric[0].xreplace(at) / whole.xreplace(at) <= fine.upper


def test_bounds_close_where_two_variables_meet_at_a_kink() -> None:
    """Steps before the end of a window: the share is largest where P + n is the window."""
    n, p, b = sym.generated, sym.prompt, sym.batch
    before = Maximum(0, 4096 - p) / n
    part = b * p * Minimum(1, before)
    rest = 400_000 + 8_000 * b * Maximum(0, 1 - before)
    box = {
        b: (Integer(1), Integer(64)),
        p: (Integer(16), Integer(8000)),
        n: (Integer(1), Integer(999)),
    }
    found = largest_share(part, rest, box, budget=4000)
    assert found.complete
    assert found.gap <= 0.05
    best = Rational(64 * 4095, 64 * 4095 + 400_000)  # one step, the last one before the end
    assert found.lower <= best <= found.upper
    rng = random.Random(4)
    for _ in range(300):
        at = {n: Integer(rng.randint(1, 9)), p: Integer(rng.randint(4000, 4200)), b: Integer(64)}
        top, bottom = part.xreplace(at), rest.xreplace(at)
        assert top / (top + bottom) <= found.upper


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"error": -1}, "error must be at least 0"),
        ({"share": 2}, "share must be at least 0 and at most 1"),
        ({"keep": 0}, "keep must be at least 1"),
        ({"keep": 1, "gap": 1}, "gap must be"),
        ({"keep": 1, "gap": float("nan")}, "gap must be"),
    ],
)
def test_bad_rules_get_clear_answers(options: dict[str, float], message: str) -> None:
    with pytest.raises(ls.SymbolError, match=message):
        approximate(sym.batch + sym.past, {"batch": (1, 9)}, {"past": 3}, **options)  # type: ignore[arg-type]
