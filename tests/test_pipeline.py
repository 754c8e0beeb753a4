"""Pipelines against a simulation of every microbatch on every stage."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from sympy import Expr, Integer, Rational, S, Symbol, cancel, expand

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import SpecError, SymbolError
from lifesym.nodes import Maximum
from lifesym.serving import balanced_shares, disaggregate, pipeline, shared_time
from lifesym.serving.flow import Flow


def simulate(times: list[Any], microbatches: int, rounds: int = 1) -> list[Any]:
    """When each round ends; a microbatch starts its next round once its last one is over."""
    free = [0] * len(times)
    ready = [0] * microbatches
    ends = []
    for _ in range(rounds):
        for m in range(microbatches):
            at = ready[m]
            for stage, time in enumerate(times):
                at = max(at, free[stage]) + time
                free[stage] = at
            ready[m] = at
        ends.append(max(ready))
    return ends


def through(times: list[Any]) -> Flow:
    """Stages of which the times have the sends in them."""
    return Flow.of(times, [S.Zero] * (len(times) - 1), overlap=False)


@pytest.mark.parametrize("seed", range(4))
def test_makespan_and_bubble_equal_the_simulation(seed: int) -> None:
    random = Random(seed)
    cut = {count: pipeline([forecast()] * count) for count in range(1, 6)}
    for _ in range(500):
        stages = [Rational(random.randint(0, 30), random.choice([1, 2, 3, 7])) for _ in range(5)]
        stages = stages[: random.randint(1, 5)]
        if random.random() < 0.3:
            stages = [stages[0]] * len(stages)
        count = random.randint(1, 9)
        end = simulate(stages, count)[0]
        assert through(stages).makespan(Integer(count)) == end
        if end:
            piped = replace(cut[len(stages)], microbatches=Integer(count))
            piped.__dict__["_prefill"] = through(stages)  # in place of the forecasts' times
            idle = sum(end - count * stage for stage in stages)
            assert piped.bubble.expr == idle / (end * len(stages))


@pytest.mark.parametrize("seed", range(4))
def test_cycle_is_the_steady_state_of_the_simulation(seed: int) -> None:
    random = Random(100 + seed)
    for _ in range(500):
        stages = [random.randint(1, 20) for _ in range(random.randint(1, 4))]
        count = random.randint(1, 6)
        ends = simulate(stages, count, rounds=12)
        times = [Integer(stage) for stage in stages]
        assert ends[-1] - ends[-2] == through(times).cycle(Integer(count))


def test_the_bubble_of_equal_stages() -> None:
    """GPipe: (p - 1) / (m + p - 1) of the time."""
    t, m = sym.dispatch_time, sym.microbatches
    whole = through([t] * 4).makespan(m)
    assert expand(whole - (m + 3) * t) == 0
    assert cancel(1 - 4 * m * t / (4 * whole) - 3 / (m + 3)) == 0


def forecast(**more: object) -> ls.Forecast:
    model = ls.load_model("tinyllama-1.1b")
    return ls.forecast(model, ls.load_hardware("a100"), prompt=64, generate=8, **more)


def test_one_stage_is_the_plain_forecast() -> None:
    plain = ls.forecast(ls.Model.symbolic("llama"), ls.Hardware.symbolic(), batch=sym.batch)
    piped = pipeline(plain, 1)
    assert expand(piped.ttft.expr - plain.ttft.expr) == 0
    assert expand(piped.tpot.expr - plain.tpot.expr) == 0
    chunked = replace(plain, chunk=sym.chunk)
    assert expand(pipeline(chunked, 1).ttft.expr - chunked.ttft.expr) == 0
    assert expand(piped.memory.expr - plain.memory.expr) == 0


def test_a_stage_holds_its_layers_and_its_ends() -> None:
    """Two stages of a tied model hold it once, and the shared matrix twice."""
    f = ls.forecast(
        ls.load_model("llama-3.2-1b"), ls.load_hardware("a100"), prompt=64, generate=8, batch=4
    )
    embedding = 2 * 128256 * 2048
    layers = f.memory.expr - embedding
    norm = 2 * 2048
    last = (layers - norm) / 2 + norm + embedding
    assert pipeline(f, 2, microbatches=2).memory.expr == last
    uneven = pipeline(f, 2, shares=[Rational(3, 4), Rational(1, 4)])
    assert uneven.memory.expr == (layers - norm) * Rational(3, 4) + embedding


def test_the_slowest_link_counts_in_any_order() -> None:
    hardware, slow, fast = ls.load_hardware("a100"), (10**9, 0), (10**11, 0)
    times, transfers = set(), set()
    for links in ((slow, fast), (fast, slow), (slow,)):
        linked = hardware.with_links(*links)
        f = ls.forecast(ls.load_model("tinyllama-1.1b"), linked, prompt=64, generate=8)
        times.add(pipeline(f, 4).ttft.expr)
        transfers.add(disaggregate(f, f).transfer.expr)
    assert len(times) == len(transfers) == 1


def test_stages_of_a_model() -> None:
    plain = forecast(batch=8)
    piped = pipeline(plain, 4, microbatches=4)
    times = piped.prefill
    part = forecast(batch=2)
    assert sum(times) > part.ttft.expr  # the hops come on top
    assert piped.ttft.expr == sum(times) + 3 * max(times)
    assert float(piped.ttft) == float(simulate(list(times), 4)[0])
    assert 0 < float(piped.bubble) < 1


def test_stages_on_different_devices() -> None:
    slow, fast = (
        forecast(),
        ls.forecast(
            ls.load_model("tinyllama-1.1b"), ls.load_hardware("h100"), prompt=64, generate=8
        ),
    )
    shares = balanced_shares([slow.ttft.expr, fast.ttft.expr])
    assert sum(shares) == 1
    assert shared_time([slow.ttft.expr, fast.ttft.expr], shares) == 1 / (
        1 / slow.ttft.expr + 1 / fast.ttft.expr
    )
    times = pipeline([slow, fast], shares=shares).prefill
    assert len(times) == 2
    part = sym.device_share
    in_symbols = pipeline([slow, fast], shares=[part, 1 - part])
    for share in (Rational(1, 3), shares[0], S.One):
        numbers = pipeline([slow, fast], shares=[share, 1 - share])
        for measure in MEASURES:
            bound = getattr(in_symbols, measure).bind({part: share})
            assert bound == getattr(numbers, measure).expr.doit()
    assert isinstance(shared_time([sym.dispatch_time, sym.link_latency], [1, 2]), Maximum)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": 0}, "stages must be an integer"),
        ({"stages": None}, "say how many, as a number or a symbol"),
        ({"stages": sym.stages, "shares": [1]}, "not of a symbol"),
        ({"stages": 2, "shares": [1]}, "2 stages need as many shares"),
        ({"stages": 2, "shares": [1, 1]}, "add up to 1"),
        ({"stages": 2, "microbatches": 3}, "not cut into 3 microbatches"),
    ],
)
def test_bad_pipelines_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SymbolError, match=message):
        pipeline(forecast(batch=8), **options)


def test_stages_need_a_link() -> None:
    alone = replace(ls.load_hardware("a100"), link_bandwidth=None)
    f = ls.forecast(ls.load_model("tinyllama-1.1b"), alone, prompt=8, generate=2)
    with pytest.raises(SpecError, match="no link bandwidth"):
        _ = pipeline(f, 2).ttft


MEASURES = ("ttft", "tpot", "bubble", "memory")


def at(expr: Expr, numbers: dict[Symbol, Expr]) -> Expr:
    bound = expr.xreplace(numbers)
    assert not bound.free_symbols, bound.free_symbols
    return bound.doit()


@pytest.mark.parametrize("name", ["llama-3.2-1b", "mixtral-8x7b"])
def test_a_symbol_of_equal_stages_is_every_number_of_them(name: str) -> None:
    """Tied; untied and sparse; stages and microbatches as symbols against a list of stages."""
    random = Random(name)
    f = ls.forecast(
        ls.load_model(name), ls.load_hardware("a100"), 64, 8, batch=24, chunk=24, fusion="flash"
    )
    closed = pipeline(f, sym.stages, sym.microbatches)
    for stages in (1, 2, 7):
        pieces = random.choice([1, 2, 3, 6, 12])
        numbers = {sym.stages: stages, sym.microbatches: pieces, sym.past: random.randint(1, 500)}
        exact = {symbol: Integer(value) for symbol, value in numbers.items()}
        listed = pipeline([f] * stages, microbatches=pieces)
        for measure in MEASURES:
            found, expected = (at(getattr(p, measure).expr, exact) for p in (closed, listed))
            assert found == expected, (measure, numbers)


def test_equal_stages_against_the_simulation() -> None:
    """Times of layers, ends and sending on as symbols, then 2,000 random numbers, ties included."""
    random, (x, e, h, s) = Random(3), (sym.peak, sym.bandwidth, sym.vector_peak, sym.static_power)
    seconds = {"embed": e, "layers": x, "head": h}
    whole = Flow.equal(seconds, sym.stages, s, overlap=False).makespan(sym.microbatches)
    for _ in range(2000):
        numbers = {
            t: Rational(random.randint(0, 12), random.choice([1, 2, 3])) for t in (x, e, h, s)
        }
        stages, pieces = random.randint(1, 9), random.randint(1, 6)
        times = [numbers[x] / stages + numbers[s]] * stages
        times[0] += numbers[e]
        times[-1] += numbers[h] - numbers[s]
        counts = {sym.stages: Integer(stages), sym.microbatches: Integer(pieces)}
        assert at(whole, numbers | counts) == simulate(times, pieces)[0]


def test_the_bubble_of_many_stages_without_ends() -> None:
    """GPipe's (p - 1) / (m + p - 1), where only layers take time."""
    x, p, m = sym.dispatch_time, sym.stages, sym.microbatches
    flow = Flow.equal({"embed": S.Zero, "layers": x, "head": S.Zero}, p, S.Zero, overlap=False)
    bubble = 1 - m * flow.busy / (p * flow.makespan(m))
    assert cancel(bubble - (p - 1) / (m + p - 1)) == 0
    one = pipeline(forecast(batch=8), 1)
    assert one.ttft.expr == forecast(batch=8).ttft.expr


def test_stages_of_different_workloads_are_refused() -> None:
    with pytest.raises(SymbolError, match="one model and one workload"):
        pipeline([forecast(batch=2), forecast(batch=4)])


# -- chunk by chunk, against a recursion over chunks and stages


def chunk_times(f: ls.Forecast, stages: int) -> list[list[Expr]]:
    """Every chunk's time on every stage with its send, from a pass of its own."""
    prompt, chunk, past = (int(n) for n in (f.prompt, f.chunk or f.prompt, f.cached_before))
    begins = range(0, prompt, chunk)
    rows = []
    for begin in begins:
        new, last = min(chunk, prompt - begin), begin == begins[-1]
        logits = "last" if last else "none"
        layers = embed = head = S.Zero
        for term in f.timed(f.trace(Integer(new), Integer(past + begin), logits=logits)):
            if term.section == "embed":
                embed += term.time
            elif term.section == "head" and last:
                head += term.time
            else:  # a norm after the layers of a chunk without logits, too
                layers += term.time
        moved = f.batch * new * f.model.values[sym.hidden] * 2
        sent = f.hardware.link_latency + moved / f.hardware.link_bandwidth
        times = [layers / stages + (sent if k < stages - 1 else 0) for k in range(stages)]
        times[0] += embed
        times[-1] += head
        rows.append(times)
    return rows


def flow_shop(rows: list[list[Any]]) -> Any:
    """When the last stage is done with the last chunk; all go through all stages in order."""
    ends = [S.Zero] * len(rows[0])
    for row in rows:
        before = S.Zero
        for k, time in enumerate(row):
            before = ends[k] = max(before, ends[k]) + time
    return ends[-1]


def linked(name: str, bandwidth: int, latency: Rational, **more: Any) -> ls.Forecast:
    device = ls.load_hardware("rtx-4090").with_(
        link_bandwidth=bandwidth, link_latency=latency, compute_efficiency=Rational(1, 2)
    )
    return ls.forecast(name, device, generate=3, activations="fp16", **more)


CUTS = [(16, 4), (30, 20), (30, 16), (33, 16), (17, 16), (5, 20), (64, 8), (9, 9)]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("llama-2-7b", {"engine": "llama.cpp"}),
        ("llama-3.2-1b", {"batch": 3, "overlap": "pass", "past": 5}),
        ("gemma-2-2b", {"causal": "exact", "fusion": "full", "weights": "int4-g128"}),
        ("mamba-130m", {}),
        ("qwen1.5-moe-a2.7b", {"routing": "uniform"}),
    ],
)
def test_chunks_go_through_stages_as_in_the_recursion(name: str, more: dict[str, Any]) -> None:
    random = Random(name)
    for prompt, chunk in CUTS:
        slow, wait = 10 ** random.choice([5, 6, 8, 10]), Rational(random.choice([0, 1]), 10**4)
        f = linked(name, slow, wait, prompt=prompt, chunk=chunk, **more)
        closed = pipeline(f, sym.stages, by_chunk=True)
        for stages in (1, 2, 3, 5):
            piped = pipeline(f, stages, by_chunk=True)
            rows = chunk_times(f, stages)
            end = flow_shop(rows)
            assert piped.ttft.expr.doit() == end, (prompt, chunk, stages)
            assert closed.ttft.bind({"stages": stages}) == end
            busy = sum(sum(row) for row in rows)
            assert piped.bubble.expr.doit() == 1 - busy / (stages * end)
            assert closed.bubble.bind({"stages": stages}) == 1 - busy / (stages * end)
            assert sum(piped.prefill).doit() == busy
            hops = [term for term in piped.prefill_terms if term.name == "send"]
            messages = sum(term.cost.messages for term in hops)
            assert messages == (stages - 1) * len(rows)


def test_symbols_of_chunks_by_chunk_are_numbers_of_them() -> None:
    """A prompt of fewer tokens than a chunk is one, however long a chunk's send would take."""
    f = linked("tinyllama-1.1b", 10**4, S.Zero, prompt=sym.prompt, chunk=sym.chunk)
    closed = pipeline(f, sym.stages, by_chunk=True)
    for prompt, chunk in CUTS:
        g = linked("tinyllama-1.1b", 10**4, S.Zero, prompt=prompt, chunk=chunk)
        for stages in (1, 2, 5):
            end = flow_shop(chunk_times(g, stages))
            sizes = {"prompt": prompt, "chunk": chunk, "stages": stages}
            assert closed.ttft.bind(sizes) == end


def test_by_chunk_is_sooner_where_there_are_chunks() -> None:
    f = linked("tinyllama-1.1b", 10**10, S.Zero, prompt=64, chunk=8)
    whole, sooner = pipeline(f, 4), pipeline(f, 4, by_chunk=True)
    assert sooner.ttft.expr.doit() < whole.ttft.expr.doit()
    for measure in ("tpot", "memory"):
        assert getattr(sooner, measure).expr == getattr(whole, measure).expr
    one = replace(f, chunk=None)
    assert pipeline(one, 4, by_chunk=True).ttft.expr == pipeline(one, 4).ttft.expr
    assert pipeline(f, 1, by_chunk=True).ttft.expr == f.ttft.expr


def test_chunks_are_handed_on_between_equal_stages_alone() -> None:
    f = forecast(batch=8, chunk=16)
    message = "by_chunk is of equal stages, one microbatch and no overlapped sends"
    for options in (
        {"microbatches": 2},
        {"overlap_sends": True},
        {"shares": [Rational(1, 2), Rational(1, 2)]},
    ):
        with pytest.raises(SymbolError, match=message):
            pipeline(f, 2, by_chunk=True, **options)
    with pytest.raises(SymbolError, match=message):
        pipeline([f, f], by_chunk=True)
    with pytest.raises(SymbolError, match="'microbatches' is no number here"):
        pipeline(f, 2, by_chunk=True).open("microbatches")
