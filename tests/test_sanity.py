"""Every option on its own: off is the plain forecast, and more of it moves things one way only.

`test_rewrites` has the symbolic limits of rewrites; here are the others, and the directions.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from sympy import Expr, Integer, Rational, S
from test_simulator import SMALL

import lifesym as ls
from lifesym import serving
from lifesym import symbols as sym
from lifesym.levels import Level
from lifesym.operators import Routing
from lifesym.transforms import Bottleneck, CachePolicy, Lora

Results = dict[str, Expr]
DEVICE = ls.Hardware(
    name="small",
    kind="gpu",
    matrix={"fp32": Integer(500), "bf16": Integer(1000), "int8": Integer(2000)},
    vector={"fp32": Integer(90)},
    bandwidth=Integer(300),
    dispatch_time=Rational(1, 3),
    flop_energy=Integer(2),
    byte_energy=Integer(3),
    static_power=Integer(5),
).with_links((70, Rational(1, 7)))
PLAIN = {"prompt": 12, "generate": 6, "batch": 2, "past": 3}
END = 3 + 12 + 6
"""Tokens of a sequence at the end."""


@cache
def model(name: str) -> ls.Model:
    return ls.Model.from_hf(SMALL[name])


def forecast(name: str, **options: Any) -> ls.Forecast:
    return ls.forecast(model(name), DEVICE, **{**PLAIN, **options})


QUANTITIES: dict[str, Callable[[ls.Forecast], Expr]] = {
    "ttft": lambda f: f.ttft.expr,
    "mean": lambda f: f.tpot.mean.expr,
    "latency": lambda f: f.latency.expr,
    "memory": lambda f: f.memory.expr,
    "capacity": lambda f: f.capacity.expr,
    "energy": lambda f: f.energy.expr,
}


def results(f: ls.Forecast, names: Iterable[str] = tuple(QUANTITIES)) -> Results:
    """Of a whole forecast, in numbers."""
    return {name: QUANTITIES[name](f).doit() for name in names}


def other(**shares: object) -> list[Level]:
    return [Level(name="host", bandwidth=1, **shares)]


EVEN = Routing(kind="skewed", probabilities=(Fraction(1, 2),) * 4)
"""Each of four experts is one of a token's two as often as any other."""
DENSE = ("llama", "windows", "joint", "latents")
FEW = ("windows", "latents")
SPARSE = ("latents", "norm of all heads", "sinks")
OFF: list[tuple[Sequence[str], dict[str, Any]]] = [
    (DENSE, {"cache": CachePolicy(budget=END)}),
    (DENSE, {"cache": CachePolicy(keep=1, page=1)}),
    (("windows",), {"cache": CachePolicy(budget=4)}),
    (("llama", "joint"), {"cache": CachePolicy(share=1)}),
    (DENSE, {"lora": 0}),
    (DENSE, {"lora": Lora(rank=8, merged=True)}),
    (DENSE, {"adapter": 0}),
    (DENSE, {"tensor_parallel": 1, "sequence_parallel": True}),
    (SPARSE, {"expert_parallel": 1}),
    (DENSE, {"data_parallel": 1}),
    (DENSE, {"fusion": "none"}),
    (DENSE, {"chunk": 12}),
    (DENSE, {"chunk": 1000}),
    (SPARSE, {"routing": Routing(imbalance=1)}),
    (SPARSE, {"routing": EVEN}),
    (DENSE, {"unfused_dequant": True}),
    (DENSE, {"roles": {"vector": "bf16", "attn_o": "bf16"}}),
    (DENSE, {"levels": other()}),
    (("llama", "windows"), {"mla": "expand"}),
    (DENSE, {"weights": "bf16", "activations": "bf16", "kv": "bf16"}),
]


def words(value: object) -> str:
    return str(value)


@pytest.mark.parametrize(("names", "options"), OFF, ids=words)
def test_an_option_that_is_off_changes_nothing(
    names: Sequence[str], options: dict[str, Any]
) -> None:
    for name in names:
        assert results(forecast(name, **options)) == results(forecast(name)), name


SAME: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("llama", {"fusion": "flash", "tile": 12}, {"fusion": "flash"}),
    ("windows", {"fusion": "full", "tile": 1000}, {"fusion": "full"}),
    ("llama", {"prompt": 1, "causal": "exact"}, {"prompt": 1}),
    ("some windows", {"prompt": 1, "causal": "exact"}, {"prompt": 1}),
    ("latents", {"batch": 1, "prompt": 1, "routing": "active"}, {"batch": 1, "prompt": 1}),
    ("sinks", {"batch": 1, "prompt": 1, "routing": "active"}, {"batch": 1, "prompt": 1}),
    ("llama", {"tensor_parallel": 2, "all_reduce": "halving_doubling"}, {"tensor_parallel": 2}),
    ("llama", {"batch": 3, "data_parallel": 3}, {"batch": 3, "data_parallel": 3, "chunk": 12}),
    ("llama", {"lora": Lora(rank=4, adapters=1)}, {"lora": 4}),
    ("llama", {"adapter": Bottleneck(width=4)}, {"adapter": 4}),
]


@pytest.mark.parametrize(("name", "options", "like"), SAME, ids=words)
def test_an_option_at_its_limit_is_like_another(
    name: str, options: dict[str, Any], like: dict[str, Any]
) -> None:
    assert results(forecast(name, **options)) == results(forecast(name, **like))


TIMES = ("ttft", "mean", "latency")
ALL = tuple(QUANTITIES)


def each(name: str, values: Iterable[object]) -> list[dict[str, Any]]:
    """An option at several values, from the least to the most."""
    return [{name: value} for value in values]


def policies(**fields: Sequence[Any]) -> list[dict[str, Any]]:
    ((name, values),) = fields.items()
    return each("cache", [CachePolicy(**{name: value}) for value in values])


HALVES = [Rational(1, 4), Rational(1, 2), Rational(3, 4), S.One]
PARTS = [0, Rational(1, 3), Rational(2, 3), 1]
SKEW = Routing(
    kind="skewed",
    probabilities=(Fraction(1), Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)),
)
UP: list[tuple[Sequence[str], list[dict[str, Any]], Sequence[str]]] = [
    (DENSE, policies(budget=[1, 3, 8, 20, 50]), ("mean", "memory", "energy")),
    (DENSE, policies(keep=HALVES), ("mean", "memory")),
    (DENSE, policies(page=[1, 2, 4, 16]), (*TIMES, "memory", "energy")),
    (DENSE, policies(scored=[False, True]), ALL),
    (("llama", "windows", "joint"), policies(rank=[1, 2, 3, 4]), ("mean", "memory")),
    (("llama", "windows", "joint"), policies(share=[3, 2, 1]), ALL),
    (DENSE, each("lora", [0, 1, 4, 16]), ALL),
    (DENSE, each("lora", [Lora(rank=2, adapters=n) for n in (1, 2, 5)]), ALL),
    (DENSE, each("adapter", [0, 1, 4, 16]), ALL),
    (("llama", "latents"), [{"fusion": "flash", "tile": t} for t in (50, 5, 2, 1)], ALL),
    (DENSE, each("fusion", ["layer", "full", "flash", "none"]), (*TIMES, "energy")),
    (DENSE, each("overlap", ["pass", "operator", "none"]), TIMES),
    (DENSE, each("unfused_dequant", [False, True]), ALL),
    (DENSE, [{"weights": "int8", "unfused_dequant": on} for on in (False, True)], ALL),
    (DENSE, each("causal", ["exact", "full"]), ALL),
    (("chunks", "some windows"), each("causal", ["exact", "full"]), ALL),
    (FEW, [{"causal": "exact", "chunk": c} for c in (12, 6, 4, 1)], TIMES),
    (SPARSE, each("routing", ["active", "uniform", "all"]), (*TIMES, "energy")),
    (SPARSE, each("routing", [SKEW, "uniform"]), (*TIMES, "energy")),
    (SPARSE, each("routing", [Routing(imbalance=x) for x in (1, 2, 3)]), ALL),
    (DENSE, each("tensor_parallel", [4, 2, 1]), ("memory", "capacity")),
    (DENSE, [{"tensor_parallel": 2, "sequence_parallel": on} for on in (True, False)], ALL),
    (SPARSE, each("expert_parallel", [4, 2, 1]), ("memory",)),
    (DENSE, [{"batch": 6, "data_parallel": n} for n in (3, 2, 1)], ("ttft", "memory", "mean")),
    (("latents",), each("mla", ["absorbed", "decompressed"]), ("memory",)),
    (FEW, [{"levels": other(weights=x)} for x in PARTS], (*TIMES,)),
    (FEW, [{"levels": other(kv=x)} for x in PARTS], TIMES),
    (FEW, [{"levels": other(activations=x)} for x in PARTS], TIMES),
    (SPARSE, [{"levels": other(experts=x)} for x in PARTS], TIMES),
    (FEW, [{"levels": other(weights=x)} for x in reversed(PARTS)], ("memory",)),
    (FEW, [{"levels": other(kv=x)} for x in reversed(PARTS)], ("memory",)),
    (DENSE, each("weights", ["int4", "int8", "bf16"]), ("memory",)),
    (DENSE, each("kv", ["int4", "int8", "bf16"]), ("memory",)),
    (DENSE, each("roles", [{"attn_o": kind} for kind in ("int4", "int8", "fp32")]), ("memory",)),
]
"""Models, an option from where it costs least to where it costs most, and what must not fall."""


@pytest.mark.parametrize(("names", "steps", "rising"), UP, ids=words)
def test_an_option_moves_one_way(
    names: Sequence[str], steps: list[dict[str, Any]], rising: Sequence[str]
) -> None:
    for name in names:
        found = [results(forecast(name, **options), rising) for options in steps]
        for quantity in rising:
            values = [result[quantity] for result in found]
            assert values == sorted(values), f"{name}: {quantity} {values}"
        changes = [quantity for quantity in rising if found[0][quantity] != found[-1][quantity]]
        assert changes or steps[0].keys() & STILL, f"{name}: nothing changes"


STILL = {"unfused_dequant", "causal", "cache"}
"""Options that do nothing for some models: native formats, a window that is smaller."""


def context(result: Any) -> Expr:
    """A result at the context at which the generation starts."""
    return result.expr.xreplace({sym.past: Integer(15)}).doit()


def test_served_forms_at_their_limits() -> None:
    """Nothing drafted, nothing piggybacked, one stage, one group, no prefix: the forecast."""
    f = forecast("llama", chunk=5)
    plain = results(f)
    none = serving.speculate(f, forecast("latents"), 0, Rational(1, 2))
    assert none.ttft.expr.doit() == plain["ttft"]
    assert none.memory.expr.doit() == plain["memory"]
    assert context(none.tpot) == f.tpot.first.expr.doit()
    assert context(none.speedup) == 1
    assert serving.piggyback(f, 0).ttft.expr.doit() == plain["ttft"]
    for one in (serving.pipeline(f, 1), serving.pipeline([f])):
        assert one.ttft.expr.doit() == plain["ttft"]
        assert one.memory.expr.doit() == plain["memory"]
        assert context(one.tpot) == f.tpot.first.expr.doit()
        assert one.bubble.expr.doit() == 0
    group = serving.Group(batch=2, new=1, past=15)
    assert serving.mixed_step(f, [group]).expr.doit() == f.tpot.first.expr.doit()
    assert serving.step_at_contexts(f, [15, 15]).expr.doit() == f.tpot.first.expr.doit()
    for prefix, rate in ((0, 1), (7, 0)):
        assert serving.expected_ttft(f, prefix, rate).expr.doit() == plain["ttft"]
    hit = serving.with_prefix(f, 7).ttft.expr.doit()
    assert serving.expected_ttft(f, 7, 1).expr.doit() == hit
    same = serving.disaggregate(f, f)
    assert same.latency.expr.doit() == plain["latency"] + same.transfer.expr.doit()


def speculation(tokens: int, acceptance: object) -> serving.speculative.Speculation:
    return serving.speculate(forecast("llama"), forecast("windows"), tokens, acceptance)


@pytest.mark.parametrize("tokens", [1, 3])
def test_acceptance_is_between_one_token_and_all(tokens: int) -> None:
    """A step gives one token if all are refused and one more than are drafted if none is."""
    never, always = (speculation(tokens, chance) for chance in (0, 1))
    assert context(never.tpot) == context(never.step)
    assert context(always.tpot) * (tokens + 1) == context(always.step)


def rising(values: Iterable[Expr]) -> bool:
    return all(low <= high for low, high in pairwise(values))


SERVED: dict[str, Callable[[], list[Expr]]] = {
    "a refusal costs time": lambda: [context(speculation(3, c).tpot) for c in (1, HALVES[1], 0)],
    "drafts cost time": lambda: [context(speculation(n, 1).step) for n in (0, 1, 2, 4)],
    "drafts take memory": lambda: [speculation(n, 1).memory.expr.doit() for n in (0, 1)],
    "a prefix saves time": lambda: [
        serving.with_prefix(forecast("llama"), n).ttft.expr.doit() for n in (11, 6, 1, 0)
    ],
    "hits save time": lambda: [
        serving.expected_ttft(forecast("llama"), 6, rate).expr.doit() for rate in (1, HALVES[0], 0)
    ],
    "decodes take time": lambda: [
        serving.piggyback(forecast("llama", chunk=4), n).ttft.expr.doit() for n in (0, 1, 2, 5)
    ],
    "long contexts take time": lambda: [
        serving.piggyback(forecast("windows"), 2, t).ttft.expr.doit() for t in (1, 3, 9, 30)
    ],
    "slots take time": lambda: [
        serving.steady_state(forecast("llama"), n).tpot.expr.doit() for n in (6, 12, 60)
    ],
    "slots give tokens": lambda: [
        serving.steady_state(forecast("llama"), n).tps.expr.doit() for n in (6, 12, 60)
    ],
    "stages save memory": lambda: [
        serving.pipeline(forecast("llama"), n).memory.expr.doit() for n in (3, 1)
    ],
    "stages wait": lambda: [
        serving.pipeline(forecast("llama"), n).bubble.expr.doit() for n in (1, 2, 3)
    ],
    "microbatches wait less": lambda: [
        serving.pipeline(forecast("llama", batch=2 * n), 3, n).bubble.expr.doit() for n in (8, 3, 1)
    ],
    "a slow link takes time": lambda: [
        serving.disaggregate(forecast("llama"), forecast("llama"), rate).transfer.expr.doit()
        for rate in (1000, 70, 1)
    ],
    "more groups take time": lambda: [
        serving.mixed_step(forecast("llama"), [serving.Group(batch=1, new=3, past=2)] * n).expr
        for n in (1, 2, 4)
    ],
    "long contexts in a step": lambda: [
        serving.step_at_contexts(forecast("windows"), [t, 2]).expr.doit() for t in (1, 3, 9, 30)
    ],
}


@pytest.mark.parametrize("form", SERVED)
def test_a_served_form_moves_one_way(form: str) -> None:
    values = SERVED[form]()
    assert rising(values), values
    assert values[0] != values[-1]


def test_a_faster_second_device_shortens_the_decode() -> None:
    f = forecast("llama")
    twice = replace(f, hardware=DEVICE.with_(bandwidth=600))
    slow, fast = (serving.disaggregate(f, g) for g in (f, twice))
    assert fast.latency.expr.doit() < slow.latency.expr.doit()
    assert fast.ratio.expr.doit() > slow.ratio.expr.doit()
