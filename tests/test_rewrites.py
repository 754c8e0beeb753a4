"""Rewrites of a trace: what reduces to nothing, what commutes, what never lowers the work."""

from collections.abc import Callable
from itertools import combinations
from random import Random

import pytest
from sharding_by_name import ByName
from sympy import Add, Expr, Integer, Rational, cancel, expand

import lifesym as ls
from lifesym import symbols as sym
from lifesym.cost import FIELDS, Cost
from lifesym.errors import SymbolError
from lifesym.levels import Level
from lifesym.operators import ShardedExperts
from lifesym.trace import Trace
from lifesym.transforms import (
    Bottleneck,
    CachePolicy,
    ExpertParallel,
    Fusion,
    Launches,
    Lora,
    SequenceParallel,
    TensorParallel,
    is_late,
)

MODEL = ls.Model.symbolic("llama")
HARDWARE = ls.Hardware.symbolic()
NOTHING: dict[str, dict[str, object]] = {
    "LoRA of rank 0": {"lora": 0},
    "merged LoRA": {"lora": Lora(rank=sym.rank, merged=True)},
    "adapters of width 0": {"adapter": 0},
    "one device": {"tensor_parallel": 1},
    "one device, sequence": {"tensor_parallel": 1, "sequence_parallel": True},
    "one expert device": {"expert_parallel": 1},
    "one replica": {"data_parallel": 1},
    "no fusion": {"fusion": ()},
    "a policy that keeps everything": {"cache": CachePolicy()},
    "a level that serves nothing": {"levels": [Level(name="host", bandwidth=1)]},
    "one chunk": {"chunk": sym.prompt},
}


@pytest.mark.parametrize("options", NOTHING.values(), ids=NOTHING)
def test_reduces_to_the_plain_formula(options: dict[str, object]) -> None:
    plain = ls.forecast(MODEL, HARDWARE, batch=sym.batch, engine="eager")
    same = ls.forecast(MODEL, HARDWARE, batch=sym.batch, engine="eager", **options)
    for first, second in (
        (plain.ttft, same.ttft),
        (plain.tpot, same.tpot),
        (plain.memory, same.memory),
    ):
        assert expand(first.expr - second.expr) == 0


def test_a_budget_beyond_the_context_keeps_everything() -> None:
    model = ls.load_model("tinyllama-1.1b")
    plain = ls.forecast(model, HARDWARE, prompt=50, generate=10)
    kept = ls.forecast(model, HARDWARE, prompt=50, generate=10, cache=CachePolicy(budget=60))
    for name in ("ttft", "memory"):
        assert getattr(plain, name).expr == getattr(kept, name).expr
    assert expand((plain.tpot.mean.expr - kept.tpot.mean.expr).doit()) == 0


@pytest.mark.parametrize("spare", [0, 7])
def test_a_budget_beyond_the_context_is_the_plain_formula(spare: int) -> None:
    """In symbols: the whole context or more, and pages of one token."""
    plain = ls.forecast(MODEL, HARDWARE, batch=sym.batch)
    for policy in (CachePolicy(budget=sym.prompt + sym.generated + spare), CachePolicy(page=1)):
        same = ls.forecast(MODEL, HARDWARE, batch=sym.batch, cache=policy)
        for name in ("ttft", "latency", "memory"):
            assert expand(getattr(plain, name).expr - getattr(same, name).expr) == 0, name
        assert expand(plain.tpot.mean.expr - same.tpot.mean.expr) == 0


REWRITES: dict[str, Callable[[Trace], Trace]] = {
    "LoRA": Lora(rank=4),
    "adapters": Bottleneck(width=8),
    "budget": CachePolicy(budget=40),
    "cache form": CachePolicy(rank=8, share=3),
    "tensor": TensorParallel(devices=2),
    "qkv": Fusion(rules=("qkv",)),
    "flash": Fusion(rules=("flash",)),
    "gate_up": Fusion(rules=("gate_up",)),
}
FUSED_LAST = ("qkv", "flash", "gate_up")
ORDERED = {
    *(frozenset({"tensor", other}) for other in REWRITES),  # a model's own pass is split
    *(frozenset({policy, fusion}) for fusion in FUSED_LAST for policy in ("budget", "cache form")),
    frozenset({"LoRA", "qkv"}),  # a fused projection is no target of adapters
}
"""Pairs of which one comes first; `lifesym.forecast` applies all in that order."""


def trace() -> Trace:
    return ls.load_model("tinyllama-1.1b").forward(3, 5, 100)


def same(first: Cost, second: Cost) -> bool:
    return all(getattr(first, name) == getattr(second, name) for name in FIELDS)


@pytest.mark.parametrize(
    "pair", [p for p in combinations(REWRITES, 2) if frozenset(p) not in ORDERED], ids=str
)
def test_commute(pair: tuple[str, str]) -> None:
    first, second = (REWRITES[name] for name in pair)
    assert same(second(first(trace())).cost(), first(second(trace())).cost())


@pytest.mark.parametrize("name", ["LoRA", "adapters", "budget", "cache form"])
def test_a_model_is_split_before_anything_else(name: str) -> None:
    """What comes after works on a device's part as on all, shared by operators' names."""
    other = REWRITES[name]
    with pytest.raises(SymbolError, match="tensor parallelism comes before other rewrites"):
        REWRITES["tensor"](other(trace()))
    split = other(REWRITES["tensor"](trace()))
    assert same(split.cost(), ByName(devices=2)(other(trace())).cost())


@pytest.mark.parametrize("fusion", FUSED_LAST)
@pytest.mark.parametrize("rewrite", ["tensor", "budget"])
def test_fusion_comes_last(rewrite: str, fusion: str) -> None:
    with pytest.raises(SymbolError, match="before fusion"):
        REWRITES[rewrite](REWRITES[fusion](trace()))


TWICE: dict[str, Callable[[Trace], Trace]] = {
    "choice of cached tokens": CachePolicy(keep=Rational(1, 2)),
    "another form": CachePolicy(rank=8),
    "tensor parallelism": TensorParallel(devices=2),
    "sequence parallelism": SequenceParallel(devices=2),
    "expert parallelism": ExpertParallel(devices=2),
}


@pytest.mark.parametrize("before", ["nothing", "tensor"])
@pytest.mark.parametrize("what", TWICE)
def test_a_second_rewrite_of_a_kind_is_refused(what: str, before: str) -> None:
    """It does not add up with the first: half of the tokens, twice, is not half of them."""
    once = ls.load_model("mixtral-8x7b").forward(3, 5, 100)
    if before == "tensor" and what != "tensor parallelism":
        once = TWICE["tensor parallelism"](once)
    once = TWICE[what](once)
    with pytest.raises(SymbolError, match=f"{what}.* already"):
        TWICE[what](once)


WORK = ("matmul_flops", "vector_flops")
LESS = ("tensor", "budget", "cache form")


@pytest.mark.parametrize("name", [name for name in REWRITES if name not in LESS])
def test_no_rewrite_lowers_the_work(name: str) -> None:
    """But those that drop tokens or split the work over devices, which say so."""
    before, after = trace().cost(), REWRITES[name](trace()).cost()
    for field in (*WORK, "weight_bytes"):
        assert getattr(after, field) >= getattr(before, field)


@pytest.mark.parametrize("devices", [2, 4])
@pytest.mark.parametrize("sequence", [False, True])
def test_devices_share_the_products(devices: int, sequence: bool) -> None:
    """All devices together do the products of one, but for keys and values held twice."""
    plain = ls.load_model("tinyllama-1.1b").forward(4, 8, 100)
    split = TensorParallel(devices=devices)(plain)
    if sequence:
        split = SequenceParallel(devices=devices)(split)
    assert devices * split.cost().matmul_flops == plain.cost().matmul_flops
    reduce = split.filter(family="collective").cost().network_bytes
    ring = TensorParallel(devices=devices)(plain).filter(family="collective").cost()
    assert reduce == ring.network_bytes
    if sequence:
        for name in ("attn_norm", "mlp_norm", "attn_residual"):
            part, whole = (t.filter(name=name).cost().vector_flops for t in (split, plain))
            assert devices * part == whole


def test_expert_devices_share_the_experts() -> None:
    model = ls.load_model("mixtral-8x7b")
    plain = model.forward(16, 1, 100)
    split = ExpertParallel(devices=4)(plain)
    experts = [t.filter(family="experts").cost() for t in (plain, split)]
    assert experts[0].matmul_flops == experts[1].matmul_flops  # each brings its own tokens
    everyone = model.forward(64, 1, 100).filter(family="experts").cost()
    assert 4 * experts[1].weight_bytes == everyone.weight_bytes


def test_bottleneck_adapters_cost_two_thin_projections() -> None:
    plain, adapted = (t.cost() for t in (trace(), Bottleneck(width=8)(trace())))
    layers, hidden, tokens = 22, 2048, 15
    macs = 2 * layers * 2 * tokens * hidden * 8
    assert adapted.matmul_flops - plain.matmul_flops == 2 * macs
    weights = layers * 2 * (2 * hidden * 8 + 8 + hidden)
    assert adapted.weight_bytes - plain.weight_bytes == 2 * weights
    with pytest.raises(SymbolError, match="not a projection"):
        Bottleneck(width=8, after=("nothing",))(trace())


def test_levels_serve_their_shares() -> None:
    """Time is the longest of the memories'; an offloaded half is read through the slow link."""
    model, device = ls.load_model("tinyllama-1.1b"), ls.load_hardware("a100")
    link = 16 * 10**9
    half = Level(name="host", bandwidth=link, weights=Rational(1, 2), byte_energy=1)
    plain = ls.forecast(model, device, prompt=8, generate=2)
    f = ls.forecast(model, device, prompt=8, generate=2, levels=[half])
    term = next(t for t in f.tpot.terms if t.name == "mlp_down")
    base = next(t for t in plain.tpot.terms if t.name == "mlp_down")
    assert term.memory == base.cost.weight_bytes / 2 / link
    moved = Add(*(t.cost.weight_bytes for t in (*f.ttft.terms, *f.tpot.first.terms))) / 2
    host = next(part for part in f.energy.parts if part.name == "host")
    assert host.value == moved
    buffer = Level(name="SRAM", bandwidth=10**15, activations=1)
    quick = ls.forecast(model, device, prompt=8, generate=2, levels=[buffer])
    assert quick.ttft.expr < plain.ttft.expr
    for bad, message in (
        ({"weights": 2}, "between 0 and 1"),
        ({"bandwidth": 0}, "above 0"),
    ):
        with pytest.raises(SymbolError, match=message):
            Level(**({"name": "x", "bandwidth": 1} | bad))
    with pytest.raises(SymbolError, match="at most 1"):
        ls.forecast(model, device, levels=[half, half, half])


def test_a_collective_waits_for_the_slowest_link() -> None:
    model = ls.load_model("tinyllama-1.1b")
    slow, fast = (10**8, 0.005), (10**9, 0.02)
    device = ls.load_hardware("a100")
    both = device.with_links(slow, fast)

    def network(hardware: ls.Hardware) -> list[Expr]:
        f = ls.forecast(model, hardware, prompt=100, generate=2, tensor_parallel=4)
        return [term.network for term in f.ttft.terms if term.family == "collective"]

    alone = [network(device.with_links(link)) for link in (slow, fast)]
    assert network(both) == [max(pair) for pair in zip(*alone, strict=True)]


def test_replicas_take_their_part_of_the_batch() -> None:
    model, device = ls.load_model("tinyllama-1.1b"), ls.load_hardware("a100")
    shared = ls.forecast(model, device, prompt=9, generate=5, batch=10, data_parallel=4)
    alone = ls.forecast(model, device, prompt=9, generate=5, batch=3)
    assert shared.ttft.expr == alone.ttft.expr
    assert shared.memory.expr == alone.memory.expr
    assert shared.tps.expr == 10 / alone.tpot.mean.expr


def test_capacity_by_role_and_the_price_of_tokens() -> None:
    model, device = ls.load_model("tinyllama-1.1b"), ls.load_hardware("a100")
    f = ls.forecast(model, device, prompt=9, generate=5, batch=2)
    parts = {part.name: part.value for part in f.capacity.parts}
    assert Add(*parts.values()) == f.capacity.expr
    assert f.capacity.expr - parts["activations"] == f.memory.expr
    logits = 2 * 2 * (2048 + 32000)
    assert parts["activations"] >= logits
    price = f.cost(Rational(18, 5)).expr
    assert cancel(price - f.latency.expr / 1000 / 10 * 10**6) == 0
    assert ls.symbols.hourly_price in f.cost().expr.free_symbols


def test_options_combine() -> None:
    model = ls.load_model("llama-2-7b")
    f = ls.forecast(
        model,
        ls.load_hardware("a100"),
        prompt=1000,
        generate=20,
        batch=Integer(4),
        weights="int4-g128",
        kv="int8",
        lora=16,
        adapter=32,
        chunk=256,
        fusion="flash",
        cache=CachePolicy(budget=512),
        tensor_parallel=4,
        sequence_parallel=True,
    )
    assert 0 < float(f.ttft) < float(f.latency)
    assert float(f.energy) > 0


def test_what_another_level_holds_is_not_on_the_device() -> None:
    model, device = ls.load_model("mixtral-8x7b"), ls.load_hardware("a100")
    plain = ls.forecast(model, device, prompt=9, generate=5)
    host = Level(name="host", bandwidth=16 * 10**9, experts=1, kv=Rational(1, 2))
    moved = ls.forecast(model, device, prompt=9, generate=5, levels=[host])
    weights, cache = (part.value for part in plain.memory.parts)
    experts = next(part.value for part in plain.capacity.parts if part.name == "experts")
    assert moved.memory.expr == weights - experts + cache / 2


def test_distinct_experts_of_a_device_equal_simulation() -> None:
    """Each of n devices holds E/n experts and brings its own tokens."""
    random = Random(5)
    experts, active, tokens, devices = 8, 2, 3, 4
    sharded = ShardedExperts(
        tokens=tokens,
        experts=experts,
        active=active,
        hidden=1,
        intermediate=1,
        activation="silu",
        devices=devices,
    )
    trials = []
    for _ in range(20_000):
        chosen = {e for _ in range(tokens * devices) for e in random.sample(range(8), active)}
        trials.append(len([e for e in chosen if e < experts // devices]))
    mean = sum(trials) / len(trials)
    spread = (sum((t - mean) ** 2 for t in trials) / len(trials)) ** 0.5
    assert abs(float(sharded.distinct()) - mean) < 3 * spread / len(trials) ** 0.5


def test_fusion_and_launches_come_late_and_what_is_ones_own_before() -> None:
    assert is_late(Fusion())
    assert is_late(Launches(layer=3))
    assert not is_late(Lora(rank=2))
    assert not is_late(lambda trace: trace)
