"""Mixture of experts: routing, weights read, and the limits where it is a dense layer."""

from fractions import Fraction
from itertools import combinations, product
from math import comb, sqrt

import numpy as np
import pytest
from sympy import Integer, Rational, expand

import lifesym as ls
from lifesym import symbols as sym
from lifesym.blocks import MLP, MoE
from lifesym.formats import Precision
from lifesym.operators import Experts, Routing
from lifesym.trace import ForwardPass


def enumerated(experts: int, active: int, tokens: int) -> Fraction:
    """The expected number of distinct experts over every way that tokens can choose."""
    choices = list(combinations(range(experts), active))
    total = sum(len(set().union(*chosen)) for chosen in product(choices, repeat=tokens))
    return Fraction(total, comb(experts, active) ** tokens)


@pytest.mark.parametrize(
    ("experts", "active", "tokens"),
    [(e, k, m) for e in range(1, 6) for k in range(1, e + 1) for m in range(1, 4)],
)
def test_distinct_experts_equal_enumeration(experts: int, active: int, tokens: int) -> None:
    value = Routing().distinct(Integer(experts), Integer(active), Integer(tokens))
    assert value == Rational(enumerated(experts, active, tokens))


@pytest.mark.parametrize(("experts", "active", "tokens"), [(8, 2, 5), (64, 6, 20), (256, 8, 64)])
def test_distinct_experts_equal_simulation(experts: int, active: int, tokens: int) -> None:
    rng = np.random.default_rng(20260101)
    draws = 2000
    counts = np.empty(draws)
    for draw in range(draws):
        order = rng.random((tokens, experts)).argpartition(active - 1, axis=1)[:, :active]
        counts[draw] = np.unique(order).size
    expected = float(Routing().distinct(Integer(experts), Integer(active), Integer(tokens)))
    assert abs(counts.mean() - expected) < 3 * counts.std(ddof=1) / sqrt(draws)


def test_skewed_routing_equals_simulation_and_uniform_is_its_special_case() -> None:
    chances = tuple(Fraction(n, 10) for n in (9, 5, 3, 2, 1))
    skewed = Routing(kind="skewed", probabilities=chances)
    value = skewed.distinct(Integer(5), Integer(2), Integer(3))
    assert value == sum((1 - (1 - Rational(p)) ** 3 for p in chances), Integer(0))
    even = Routing(kind="skewed", probabilities=(Fraction(2, 5),) * 5)
    uniform = Routing().distinct(Integer(5), Integer(2), Integer(7))
    assert even.distinct(Integer(5), Integer(2), Integer(7)) == uniform
    assert value < Routing().distinct(Integer(5), Integer(2), Integer(3))


def test_one_token_reads_exactly_k_and_many_read_all() -> None:
    single = Routing().distinct(sym.experts, sym.active_experts, Integer(1))
    assert single == sym.active_experts
    many = Routing().distinct(Integer(8), Integer(2), Integer(200))
    assert 8 - many < Rational(1, 10**20)
    assert Routing(kind="all").distinct(Integer(8), Integer(2), Integer(1)) == 8
    assert Routing(kind="active").distinct(Integer(8), Integer(2), Integer(50)) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "skewed"}, "probabilities"),
        ({"probabilities": (Fraction(1),)}, "probabilities"),
        ({"kind": "round-robin"}, "routing must be one of"),
        ({"kind": "skewed", "probabilities": (Fraction(3, 2),)}, "between 0 and 1"),
        ({"imbalance": -1}, "imbalance must be at least 1, .*not -1"),
        ({"imbalance": Fraction(1, 2)}, "imbalance must be at least 1, .*not 1/2"),
    ],
)
def test_bad_routing_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ls.SymbolError, match=message):
        Routing(**settings)  # type: ignore[arg-type]


def test_probabilities_must_match_the_experts() -> None:
    routing = Routing(kind="skewed", probabilities=(Fraction(1, 4), Fraction(3, 4)))
    with pytest.raises(ls.SymbolError, match="2 routing probabilities for 8 experts"):
        routing.distinct(Integer(8), Integer(1), Integer(3))
    half = Routing(kind="skewed", probabilities=(Fraction(1, 4), Fraction(1, 4)))
    with pytest.raises(ls.SymbolError, match="must add up to 1"):
        half.distinct(Integer(2), Integer(1), Integer(3))


def test_one_expert_of_one_is_the_dense_layer() -> None:
    step = ForwardPass(batch=sym.batch, new=sym.new, past=sym.past)
    sizes = {"hidden": sym.hidden, "intermediate": sym.intermediate, "activation": "silu"}
    dense = [op.cost(Precision.of()) for _, op in MLP(**sizes).operators(step)]
    routed = dict(MoE(**sizes, experts=1, active=1).operators(step))
    expert = routed["moe_experts"].cost(Precision.of())
    for field in ("matmul_flops", "weight_bytes"):
        assert expand(getattr(expert, field) - sum(getattr(c, field) for c in dense)) == 0
    assert routed["moe_experts"].parameters == 3 * sym.hidden * sym.intermediate


def test_imbalance_multiplies_work_not_weights() -> None:
    sizes = {"tokens": sym.batch, "experts": 8, "active": 2, "hidden": 16, "intermediate": 32}
    even = Experts(**sizes, activation="silu").cost(Precision.of())
    routing = Routing(imbalance=sym.imbalance)
    loaded = Experts(**sizes, activation="silu", routing=routing).cost(Precision.of())
    assert expand(loaded.matmul_flops - sym.imbalance * even.matmul_flops) == 0
    assert loaded.weight_bytes == even.weight_bytes


def test_experts_read_are_those_of_the_pass() -> None:
    model = ls.load_model("mixtral-8x7b")
    one = model.forward(batch=1, new=1, past=100).cost().weight_bytes
    full = model.forward(batch=1, new=1, past=100, routing=Routing(kind="all")).cost().weight_bytes
    assert full - one == 32 * 6 * 3 * 4096 * 14336 * 2
