"""Experts around a hub: sums written out by hand, counted choices, splits of a bandwidth."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product
from random import Random
from typing import Any

import pytest
from sympy import Add, Expr, Integer, Rational, S, log

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import LifesymError, SpecError, SymbolError
from lifesym.operators import Experts, SomeExperts
from lifesym.operators.experts import Routing
from lifesym.serving import Spoke, around_hub, balanced_bandwidth, busiest
from lifesym.serving.busiest import _bounds

MIXTURE = ls.Model.from_hf(
    {
        "model_type": "mixtral",
        "vocab_size": 30,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    }
)


def device(speed: int = 1) -> ls.Hardware:
    return ls.Hardware(
        name=f"device {speed}",
        kind="gpu",
        matrix={"bf16": Integer(400 * speed)},
        vector={"bf16": Integer(100 * speed)},
        bandwidth=Integer(300 * speed),
        capacity=Integer(9_000),
        dispatch_time=Rational(1, 9),
        flop_energy=Rational(speed, 5),
        byte_energy=Rational(speed, 3),
        static_power=Integer(speed),
    )


def forecast(**more: Any) -> ls.Forecast:
    given = {"prompt": 12, "generate": 5, "batch": 2, "activations": "bf16"} | more
    return ls.forecast(MIXTURE, device(3), **given)


def spokes() -> list[Spoke]:
    """Three unlike devices, of which one has two experts."""
    return [
        Spoke(hardware=device(1), down=50, up=20, latency=Rational(1, 7)),
        Spoke(hardware=device(2), down=9, up=90),
        Spoke(hardware=device(5), down=70, up=70, experts=2),
    ]


def by_hand(f: ls.Forecast, there: list[Spoke], tokens: int, imbalance: Expr = S.One) -> Expr:
    """Seconds of three layers of experts: hidden 16, width 24, 2 of 4 experts, 2 bytes a value."""
    times = []
    for spoke in there:
        h, held = spoke.hardware, Integer(int(spoke.experts))
        choices = imbalance * tokens * 2 * held / 4
        flops, vector = 2 * choices * 3 * 16 * 24, choices * (5 * 24 + 24 * 0 + 2 * 16)
        distinct = held * (1 - (1 - Rational(1, 2)) ** tokens)
        moved = 2 * (distinct * 3 * 16 * 24 + choices * (2 * 16 + 6 * 24) + tokens * 16 * held / 4)
        compute = flops / h.matrix["bf16"] + vector / h.vector["bf16"]
        memory = moved / h.bandwidth
        link = 2 * spoke.latency + 2 * 16 * choices * (1 / spoke.down + 1 / spoke.up)
        times.append(max(compute, memory) + 5 * h.dispatch_time + link)
    return 3 * max(times)


def rest(f: ls.Forecast, new: int, past: int, logits: Any = "last") -> Expr:
    """Seconds of everything but the experts on the hub."""
    return Add(*(t.time for t in f.timed(f.trace(new, past, logits)) if t.family != "experts"))


def test_a_layer_waits_for_the_last_device() -> None:
    f, there = forecast(engine="eager"), spokes()
    hub = around_hub(f, there)
    assert hub.ttft.expr == rest(f, 12, 0) + by_hand(f, there, 24)
    steps = [rest(f, 1, 12 + i) + by_hand(f, there, 2) for i in range(4)]
    assert hub.tpot.first.expr.doit() == steps[0]
    assert hub.tpot.mean.expr.doit() == Add(*steps) / 4
    assert hub.latency.expr.doit() == hub.ttft.expr + Add(*steps)
    assert hub.more["wait_for_devices"].expr == by_hand(f, there, 2)  # type: ignore[union-attr]
    skewed = forecast(engine="eager", routing=Routing(imbalance=Rational(3, 2)))
    found = around_hub(skewed, there)
    assert found.ttft.expr == rest(skewed, 12, 0) + by_hand(f, there, 24, Rational(3, 2))


def test_chunks_wait_one_by_one() -> None:
    f, there = forecast(engine="eager", chunk=5), spokes()
    away = 2 * by_hand(f, there, 10) + by_hand(f, there, 4)
    here = [rest(f, 5, 0, "none"), rest(f, 5, 5, "none"), rest(f, 2, 10)]
    assert around_hub(f, there).ttft.expr.doit() == Add(*here, away)


@pytest.mark.parametrize("engine", ["ideal", "eager"])
def test_one_device_like_the_hub_only_adds_the_sends(engine: str) -> None:
    f = forecast(engine=engine)
    alone = around_hub(f, [Spoke(hardware=f.hardware, down=70, up=30, experts=4)])
    sends = 3 * 2 * 16 * 48 * (Rational(1, 70) + Rational(1, 30))
    assert alone.ttft.expr == f.ttft.expr + sends
    for name in ("flops", "traffic"):
        assert getattr(alone, name).expr.doit() == getattr(f, name).expr.doit()
    power = 2 * f.hardware.static_power * alone.latency.expr
    spent = f.energy.expr - f.hardware.static_power * f.latency.expr
    assert (alone.energy.expr - spent - power).doit() == 0


def test_every_device_has_the_bytes_of_its_experts() -> None:
    f, expert = forecast(), 3 * 3 * 16 * 24 * 2
    hub = around_hub(f, spokes())
    held = [int(each) for each, _ in hub.residents]
    assert held[1:] == [expert, expert, 2 * expert]
    assert held[0] == int(f.memory.expr) - 4 * expert
    assert hub.memory.expr == max(held)
    assert hub.fits is False
    assert [place.hardware.name for place in hub.places] == [
        f"device {speed}" for speed in (3, 1, 2, 5)
    ]


def test_a_star_moves_more_than_an_exchange() -> None:
    """The hub brings all the tokens; of an all-to-all each device keeps its own share."""
    f = replace(forecast(), hardware=replace(device(3), link_bandwidth=Integer(5)))
    spread = ls.forecast(MIXTURE, f.hardware, 12, 5, batch=2, expert_parallel=4)
    exchanged = [t for t in spread.ttft.terms if t.name in ("moe_dispatch", "moe_combine")]
    hub = around_hub(f, [Spoke(hardware=device(3), down=1, up=1) for _ in range(4)])
    star = [t for t in hub.prefill_terms if t.name in ("send", "receive")]
    moved = [Add(*(t.cost.network_bytes for t in terms)) for terms in (star, exchanged)]
    assert moved[0] / moved[1] == Rational(4, 3)


def test_rates_may_be_formulas_of_ones_own_symbols() -> None:
    width = ls.symbol("hub_spectrum", unit="Hz", kind="rate", meaning="spectrum of a device")
    radio = [
        Spoke(hardware=device(1), down=width * log(1 + s, 2) / 8, up=width / 8)
        for s in (3, 7, 1, 15)
    ]
    hub = around_hub(forecast(), radio)
    assert hub.ttft.expr.free_symbols == {width}
    rates = [Spoke(hardware=device(1), down=10 * n, up=10) for n in (2, 3, 1, 4)]
    assert hub.ttft.bind({"hub_spectrum": 80}).simplify() == around_hub(forecast(), rates).ttft.expr
    (slope,) = ls.elasticities(hub.ttft).at({"hub_spectrum": 80})
    assert -1 < float(slope.value) < 0
    opened = hub.open("prompt")
    assert opened.ttft.bind({"prompt": 12, "hub_spectrum": 80}) == hub.ttft.bind(
        {"hub_spectrum": 80}
    )


def test_what_cannot_be_around_a_hub_is_refused() -> None:
    f, one = forecast(), Spoke(hardware=device(1), down=1, up=1)
    dense = ls.forecast("qwen3-0.6b", "a100-sxm-80gb", 9, 2)
    linked = replace(device(3), link_bandwidth=Integer(5))
    half = Rational(1, 2)
    cases: list[tuple[Any, list[Spoke], str]] = [
        (dense, [one], "no experts to put on devices"),
        (f, [], "at least one device"),
        (f, [one] * 3, "devices have 3 experts of each layer's 4"),
        (
            ls.forecast(MIXTURE, linked, 12, 5, tensor_parallel=2),
            [one] * 4,
            "split over devices already",
        ),
        (
            forecast(routing=Routing(kind="skewed", probabilities=(half,) * 4)),  # type: ignore[arg-type]
            [one] * 4,
            "probabilities of their own",
        ),
    ]
    for form, there, message in cases:
        with pytest.raises(LifesymError, match=message):
            around_hub(form, there)
    for wrong in ({"down": 0}, {"up": -1}, {"latency": -1}, {"experts": 0}, {"down": "fast"}):
        with pytest.raises(SymbolError):
            Spoke(**({"hardware": device(1), "down": 1, "up": 1} | wrong))
    with pytest.raises(SpecError):
        around_hub(dense, [one])


def test_parts_of_the_experts_add_up_to_all_of_them() -> None:
    sizes: Any = {"tokens": 5, "experts": 8, "active": 3, "hidden": 16, "intermediate": 24}
    whole = Experts(**sizes, activation="silu", bias=True)
    held = [SomeExperts(**vars(whole), held=n) for n in (1, 2, 5)]
    for field, value in whole.cost(forecast().precision).items():
        parts = [getattr(each.cost(forecast().precision), field) for each in held]
        assert Add(*parts) == (3 if field == "dispatches" else 1) * value, field
    assert Add(*(each.parameters for each in held)) == whole.parameters
    assert Add(*(each.distinct() for each in held)) == whole.distinct()


def counted(tokens: int, experts: int, active: int, devices: int) -> Fraction:
    """The mean of the largest count over every choice of all the tokens."""
    sets = list(combinations(range(experts), active))
    largest = 0
    for chosen in product(sets, repeat=tokens):
        loads = Counter(e * devices // experts for each in chosen for e in each)
        largest += max(loads.values())
    return Fraction(largest, len(sets) ** tokens)


@pytest.mark.parametrize(
    "sizes", [(1, 4, 2, 4), (3, 4, 2, 4), (4, 4, 1, 2), (3, 6, 2, 3), (2, 6, 3, 2), (2, 4, 4, 4)]
)
def test_the_busiest_device_by_every_choice(sizes: tuple[int, int, int, int]) -> None:
    found = busiest(*sizes)
    expected = counted(*sizes)
    assert found.exact
    assert found.lower == Rational(expected.numerator, expected.denominator)
    assert found.mean == Rational(sizes[0] * sizes[2], sizes[3])
    lower, upper = _bounds(*sizes)
    assert lower <= found.lower <= upper


@pytest.mark.parametrize("sizes", [(128, 8, 2, 8), (60, 16, 4, 4)])
def test_the_busiest_device_of_a_sample_is_within_the_bounds(
    sizes: tuple[int, int, int, int],
) -> None:
    tokens, experts, active, devices = sizes
    random, draws, largest = Random(1), 1500, 0
    for _ in range(draws):
        loads: Counter[int] = Counter()
        for _ in range(tokens):
            loads.update(e * devices // experts for e in random.sample(range(experts), active))
        largest += max(loads.values())
    found = busiest(*sizes)
    assert not found.exact
    assert found.mean < found.lower < found.upper < Rational(105, 100) * found.lower
    assert float(found.lower) < largest / draws < float(found.upper)
    assert found.imbalance == found.upper / found.mean


def test_the_imbalance_is_what_a_forecast_takes() -> None:
    found = busiest(24, 4, 2, 4)
    f = forecast(engine="eager", routing=Routing(imbalance=found.imbalance))
    assert around_hub(f, spokes()).ttft.expr == rest(f, 12, 0) + by_hand(
        f, spokes(), 24, found.imbalance
    )


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 8, 2, 8), "tokens must be an integer"),
        ((sym.batch, 8, 2, 8), "tokens must be a number here"),
        ((4, 8, 9, 8), "9 of 8 experts cannot be chosen"),
        ((4, 8, 2, 3), "8 experts do not divide among 3"),
        ((2**15, 8, 2, 8), "choices are more than"),
    ],
)
def test_counts_that_are_none(sizes: Any, message: str) -> None:
    with pytest.raises(SymbolError, match=message):
        busiest(*sizes)


@pytest.mark.parametrize("fixed", [0, Rational(1, 3), [1, 2, 1, 2], [3, 0, 1, 2]])
def test_no_other_split_of_a_bandwidth_is_faster(fixed: Any) -> None:
    loads, whole = [5, 1, 3, 2], Integer(7)
    found = balanced_bandwidth(loads, whole, fixed)
    times = fixed if isinstance(fixed, list) else [fixed] * 4
    for load, part, time in zip(loads, found.parts, times, strict=True):
        assert (load / part + time - found.time).simplify() == 0
    left = float(whole - Add(*found.parts))
    assert abs(left) < 1e-15
    assert left >= -1e-15
    random = Random(2)
    for _ in range(300):
        weights = [float(part) * random.uniform(0.9, 1.1) for part in found.parts]
        parts = [7 * weight / sum(weights) for weight in weights]
        last = max(a / b + float(c) for a, b, c in zip(loads, parts, times, strict=True))
        assert last >= float(found.time) - 1e-12


def test_closed_forms_of_a_split_keep_symbols() -> None:
    whole, c = sym.link_bandwidth, sym.dispatch_time
    found = balanced_bandwidth([log(3, 2), 2], whole, c)
    assert found.time == c + (log(3, 2) + 2) / whole
    two = balanced_bandwidth([6, 2], whole, [c, 0])
    point = {whole: Integer(4), c: Integer(1)}
    assert sum(part.xreplace(point) for part in two.parts).simplify() == 4
    assert found.parts[1].xreplace(point).equals(8 / (log(3, 2) + 2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([], 1), "0 loads"),
        (([1, 2], 1, [1]), "2 loads and 1 fixed times"),
        (([1, 0], 1), "must be above 0"),
        (([1], 0), "must be above 0"),
        (([1], 1, -1), "must not be negative"),
        (([1, 1, 1], sym.bandwidth, [0, 1, 2]), "must be numbers"),
    ],
)
def test_splits_that_are_none(given: Any, message: str) -> None:
    with pytest.raises(SymbolError, match=message):
        balanced_bandwidth(*given)
