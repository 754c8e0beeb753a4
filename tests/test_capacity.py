"""What fits into a memory: published counts, sequences added one by one, limits, symbols."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import strategies  # noqa: F401 (loads its profile: always the same draws)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from simulator import asked
from simulator.draws import Case, cases
from simulator.options import RefusedError
from simulator.workload import Simulation
from sympy import Expr, Integer, Rational

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import design
from lifesym.capacity import Fit
from lifesym.errors import InfeasibleError, SpecError, SymbolError
from lifesym.levels import Level
from lifesym.serving import pipeline
from lifesym.transforms import CachePolicy, Lora

GIB = 2**30


def gib(text: str) -> Expr:
    return Rational(text) * GIB


def printed(expr: Expr) -> str:
    """Bytes as vLLM's log has them."""
    return f"{float(expr) / GIB:.2f}"


# Published counts


def test_cached_tokens_of_llama_3_3_70b() -> None:
    """github.com/llm-d/llm-d-benchmark issue 345: a cache of 53.20 GiB has 174,336 tokens.

    A token is 2 * 80 layers * 8 heads * 128 * 2 bytes. Those of vLLM are whole blocks of 16, whose
    bytes are 53.20 GiB when rounded.
    """
    f = ls.forecast("llama-3.3-70b", "h100", prompt=1000, generate=24)
    assert ls.fit(f, cache_memory=gib("53.20")).tokens.expr == 174_325
    assert gib("53.20") // 327_680 == 174_325
    whole = ls.fit(f, block=16, cache_memory=174_336 * 327_680)
    assert (whole.blocks.expr, whole.tokens.expr) == (10_896, 174_336)
    assert printed(Integer(174_336 * 327_680)) == "53.20"


@pytest.mark.parametrize(
    ("length", "peak", "cache", "blocks"),
    [(20_000, "17.06", "3.81", 1952), (29_000, "17.98", "2.89", 1478)],
)
def test_blocks_of_llama_3_1_8b_on_one_card(
    length: int, peak: str, cache: str, blocks: int
) -> None:
    """github.com/vllm-project/vllm issue 10517: log of vLLM on an RTX 3090, share 0.9.

    23.58 GiB in all, weights 14.9888 GiB (ours, and a table of 131,072 * 128 rotations in 16 bits),
    a peak of one pass of the whole prompt, 0.35 GiB outside of PyTorch. What vLLM's operators keep
    beside the largest live set is 64 KiB a token or less.
    """
    f = ls.forecast("llama-3.1-8b", "rtx-3090", prompt=length, generate=1, fusion="flash")
    weights, _ = (part.value for part in f.memory.parts)
    table = 131_072 * 128 * 2
    assert f"{float(weights + table) / GIB:.4f}" == "14.9888"
    measured = gib(peak) - weights - table
    live = f.in_flight()
    assert live == 2 * length * (3 * 14_336 + 4096)  # gate, up, their product, the stream
    assert Rational(4, 5) * measured < live < measured < live + length * 2**16
    reserve = gib("0.35") + table + measured - live
    found = ls.fit(f, 0.9, 16, reserve, capacity=gib("23.58"))
    assert abs(found.room.expr - gib(cache)) < gib("0.01")
    # the log rounds to 0.01 GiB, which is 5.12 blocks of 2 MiB
    assert found.room.expr == found.blocks.expr * 2**21 + found.room.expr % 2**21
    assert abs(found.blocks.expr - blocks) <= 6
    logged = ls.fit(f, block=16, cache_memory=blocks * 2**21)
    assert printed(logged.cache_memory) == cache
    assert logged.sequences.expr == blocks * 16 // length


def test_blocks_of_qwen2_5_14b_on_two_cards() -> None:
    """github.com/vllm-project/vllm issue 13061: two RTX 4090, share 0.98, tensor parallel.

    The log of the second card: 23.08 of 23.55 GiB, weights 13.9476, 0.25 outside of PyTorch,
    activations 0.19, and 8.69 left for the cache: 5,932 blocks. vLLM takes the fewest blocks of
    any card, 5,096 (81,536 tokens), as the first one also samples: 1.22 GiB more.
    """
    f = ls.forecast(
        "qwen2.5-14b", "rtx-4090", prompt=131_072, generate=1, tensor_parallel=2, fusion="flash"
    )
    weights, _ = (part.value for part in f.memory.parts)
    assert weights == 14_770_530_304  # a half of everything but norms: 13.76 GiB
    live = f.in_flight(Integer(2048))
    assert live == 2 * 2048 * (3 * 13_824 // 2 + 5120)
    measured = gib("13.9476") + gib("0.25") + gib("0.19")
    reserve = measured - weights - live
    assert 0 < reserve < gib("0.6")
    found = ls.fit(f, 0.98, 16, reserve, batched=2048, capacity=gib("23.55"))
    assert printed(found.granted.expr) == "23.08"
    assert printed(found.room.expr) == "8.69"
    assert found.blocks.expr == found.room.expr // (16 * 2 * 48 * 4 * 128 * 2)
    assert abs(found.blocks.expr - 5932) <= 4
    sampling = ls.fit(f, 0.98, 16, reserve + gib("1.22"), batched=2048, capacity=gib("23.55"))
    assert abs(sampling.blocks.expr - 5096) <= 8
    assert (sampling.sequences.expr, found.sequences.expr) == (0, 0)
    assert sampling.missing.expr == 8192 * 16 * 98_304 + 16 * 98_304 - sampling.room.expr


def test_blocks_of_qwen2_5_14b_with_nothing_reserved() -> None:
    """The same two cards at share 0.9 of what their data sheet says, by hand."""
    f = ls.forecast(
        "qwen2.5-14b", "rtx-4090", prompt=1000, generate=24, tensor_parallel=2, fusion="flash"
    )
    found = ls.fit(f, 0.9, 16)
    live = 2 * 1000 * (3 * 6912 + 5120)
    room = Rational(9, 10) * 24 * GIB - 14_770_530_304 - live
    assert found.room.expr == room
    assert found.blocks.expr == room // (16 * 98_304) == 5321
    assert found.sequences.expr == 5321 // 64 == 83
    assert f.hardware.link_bandwidth is None  # no byte crosses a link
    with pytest.raises(SpecError, match="no link bandwidth"):
        _ = f.ttft


# By definition: sequences added one by one


def one_sequence(s: Simulation, block: int | None) -> Fraction:
    """Bytes that one keeps on the device, in blocks."""
    if block is not None:
        policy = replace(s.options.policy, page=block)
        s = replace(s, options=replace(s.options, policy=policy))
    alone = replace(s, load=replace(s.load, batch=1))
    return alone.here("kv") * alone.cache(alone.end)


def counted(limit: Fraction, fixed: Fraction, each: Fraction) -> int:
    """How many of them fit, one after the other."""
    count = 0
    while fixed + (count + 1) * each <= limit:
        count += 1
    return count


@given(case=cases(), data=st.data())
@settings(max_examples=40)
def test_sequences_added_one_by_one(case: Case, data: st.DataObject) -> None:
    """Random models, options, shares and blocks against the simulator's own bytes.

    Windows, latents, devices, policies and other memories are drawn with the case.
    """
    block = data.draw(st.sampled_from([None, 1, 3, 16]))
    if block is not None:
        assume(case.simulation.options.policy.page == 1)
    try:
        each = one_sequence(case.simulation, block)
    except RefusedError:
        assume(False)
    assume(each > 0)
    s = case.simulation
    reserve, wanted = data.draw(st.integers(0, 99)), data.draw(st.integers(0, 9))
    share = data.draw(st.sampled_from([Fraction(1), Fraction(9, 10), Fraction(1, 3)]))
    more = data.draw(st.sampled_from([Fraction(0), Fraction(1, 7), -Fraction(1)]))
    fixed = sum(s.weights().values(), s.capacity - s.memory) + reserve
    limit = fixed + wanted * each + more
    found = ls.fit(
        asked.forecast(case), share, block, reserve, capacity=asked.rational(limit / share)
    )
    assert asked.fraction(found.sequence.expr) == each
    assert found.sequences.expr == counted(limit, fixed, each)
    assert asked.fraction(found.spare.expr) == limit - fixed - s.batch * each
    assert asked.fraction(found.missing.expr) == max(Fraction(0), fixed + each - limit)


WINDOWS = {1023: 29, 10**9: 5}
"""Gemma 3 4B has 34 layers: in all but every sixth a token sees 1,023 before itself (config.json:
sliding_window 1024, sliding_window_pattern 6), and no more of them are kept."""


@pytest.mark.parametrize("block", [None, 16, 100])
@pytest.mark.parametrize("length", [100, 1024, 5000])
def test_a_window_bounds_a_sequence(length: int, block: int | None) -> None:
    f = ls.forecast("gemma-3-4b", "rtx-4090", prompt=length - 1, generate=1)
    found = ls.fit(f, 0.5, block)
    size = block or 1

    def held(tokens: int) -> int:
        """Bytes of a layer: 4 heads of keys and values of 256 elements."""
        return -(-tokens // size) * size * 2 * 4 * 256 * 2

    each = sum(layers * held(min(length, window)) for window, layers in WINDOWS.items())
    assert found.sequence.expr == each
    room = asked.fraction(found.room.expr)
    assert found.sequences.expr == counted(room, Fraction(0), Fraction(each))
    assert found.tokens.expr == found.room.expr // (34 * held(size)) * size


def test_states_are_those_of_a_sequence() -> None:
    """mamba-2.8b: 64 layers of 5120 channels: 16 elements of state in fp32, 4 taps in bf16."""
    state = 64 * 5120 * (16 * 4 + 4 * 2)
    for length in (10, 1000):
        f = ls.forecast("mamba-2.8b", "rtx-4090", prompt=length, generate=1, kv="bf16")
        found = ls.fit(f, 0.9, 16)
        assert found.sequence.expr == state
        room = asked.fraction(found.room.expr)
        assert found.sequences.expr == counted(room, Fraction(0), Fraction(state))
        names = [result.name for result in found.results]
        assert names[2:] == ["sequences", "slots", "spare memory", "missing memory"]
        with pytest.raises(SymbolError, match="keeps nothing of a token"):
            _ = found.tokens


def test_latents_are_cached_whole_on_every_device() -> None:
    """DeepSeek-V2-Lite: 27 layers, a latent of 512 and a key of 64 a token, 2 bytes each."""
    for devices in (1, 2):
        f = ls.forecast(
            "deepseek-v2-lite", "a100", prompt=1000, generate=24, tensor_parallel=devices
        )
        assert ls.fit(f).sequence.expr == 27 * 576 * 2 * 1024


def test_an_encoder_decoder_caches_its_source_once() -> None:
    """t5-small: 6 decoder layers of 8 heads of 64, self- and cross-attention, 2 bytes."""
    f = ls.forecast("t5-small", "a100", prompt=10, generate=5, kv="bf16")
    token = 6 * 2 * 8 * 64 * 2
    assert f.cache_bytes == token * (1 + 5) + token * 10
    assert ls.fit(f, block=16).sequence.expr == token * (16 + 16)


@pytest.mark.parametrize(("devices", "heads"), [(1, 8), (2, 4), (8, 1), (16, 1)])
def test_key_heads_repeat_on_devices(devices: int, heads: int) -> None:
    """Llama-3-70B: 80 layers, 8 heads of keys and values; 16 devices hold one each."""
    f = ls.forecast("llama-3-70b", "a100", prompt=1023, generate=1, tensor_parallel=devices)
    found = ls.fit(f, 0.9)
    assert found.sequence.expr == 1024 * 80 * 2 * heads * 128 * 2
    weights, _ = (part.value for part in f.memory.parts)
    assert found.room.expr == Rational(9, 10) * f.hardware.capacity - weights - f.in_flight()


def test_a_device_of_experts_holds_its_share_of_them() -> None:
    one, four = (
        ls.fit(ls.forecast("mixtral-8x7b", "h200", prompt=99, generate=1, expert_parallel=n))
        for n in (1, 4)
    )
    experts = 32 * 8 * 3 * 4096 * 14_336 * 2
    assert four.room.expr - one.room.expr == experts - experts // 4
    assert four.sequence.expr == one.sequence.expr


def test_stages_hold_their_layers_and_the_larger_end() -> None:
    """Llama-2-7B: 32 layers of 202,383,360 weights, ends of 32,000 * 4096."""
    f = ls.forecast("llama-2-7b", "rtx-4090", prompt=1023, generate=1, fusion="flash")
    layer, end = 2 * 202_383_360, 2 * 32_000 * 4096
    for stages in (1, 2, 4):
        found = ls.fit(f, 0.9, 16, stages=stages)
        ends = 2 * end + 2 * 4096 if stages == 1 else end + 2 * 4096
        weights = 32 // stages * layer + ends
        room = Rational(9, 10) * 24 * GIB - weights - f.in_flight()
        assert found.room.expr == room
        assert found.sequence.expr == 32 // stages * 1024 * 2 * 4096 * 2
    full = pipeline(f, 2).memory.expr
    assert ls.fit(f, stages=2).spare.expr == 24 * GIB - full - f.in_flight()


def test_other_memories_bound_it_too() -> None:
    """Llama-2-7B: a token is 2 * 32 * 4096 * 2 bytes, of which a quarter is elsewhere."""
    f: dict[str, Any] = {"prompt": 1000, "generate": 24, "fusion": "flash", "lora": 16}

    def found(capacity: int | None, **shares: Any) -> Fit:
        host = Level(name="host", bandwidth=10**10, capacity=capacity, **shares)
        return ls.fit(ls.forecast("llama-2-7b", "rtx-4090", levels=[host], **f), 0.9)

    each = 1024 * 524_288
    quarter = {"kv": Rational(1, 4)}
    assert found(None, **quarter).sequence.expr == each * Rational(3, 4)
    by_device = found(None, **quarter).sequences.expr
    assert by_device == found(10**13, **quarter).sequences.expr
    assert found(10 * each // 4, **quarter).sequences.expr == 10 < by_device
    assert found(10 * each // 4 + each // 4 - 1, **quarter).sequences.expr == 10
    assert found(10 * each, kv=1).sequences.expr == 10
    assert found(10 * each, kv=1).tokens.expr == 10 * 1024
    assert found(10 * each, kv=1).spare.expr == 9 * each
    with pytest.raises(SymbolError, match="the capacity of host, which holds a sequence, is not"):
        _ = found(None, kv=1).sequences
    with pytest.raises(SymbolError, match="which stage uses host is not known"):
        ls.fit(found(10**13, **quarter).forecast, stages=2)


@pytest.mark.parametrize("held", [1, 3])
def test_adapters_beside_the_batch(held: int) -> None:
    """Llama-2-7B, rank 16 on four square projections of 32 layers, in 16 bits."""
    each = 32 * 4 * 2 * 4096 * 16 * 2
    f = ls.forecast(
        "llama-2-7b",
        "rtx-4090",
        prompt=1000,
        generate=24,
        batch=4,
        weights="int4-g128",
        lora=Lora(rank=16, adapters=held),
        fusion="flash",
    )
    found = ls.fit(f, 0.9)
    plain = ls.forecast(
        "llama-2-7b",
        "rtx-4090",
        prompt=1000,
        generate=24,
        batch=4,
        weights="int4-g128",
        fusion="flash",
    )
    fixed = plain.memory.expr + f.in_flight()
    limit = Fraction(9, 10) * 24 * GIB
    assert found.adapters.expr == counted(limit, asked.fraction(fixed), Fraction(each))
    assert "adapters" in [result.name for result in found.results]
    with pytest.raises(SymbolError, match="adapters of which rank"):
        _ = ls.fit(plain).adapters
    with pytest.raises(SymbolError, match="says nothing of adapters"):
        _ = ls.fit(f, cache_memory=GIB).adapters


def test_a_quantized_cache_holds_more() -> None:
    whole, half = (
        ls.fit(ls.forecast("llama-2-7b", "rtx-4090", prompt=99, generate=1, kv=kv)).sequence.expr
        for kv in ("bf16", "int8")
    )
    assert (whole, half) == (100 * 524_288, 100 * 262_144)


def test_pages_of_the_policy_are_blocks() -> None:
    paged = ls.forecast("llama-2-7b", "rtx-4090", prompt=99, generate=1, cache=CachePolicy(page=16))
    plain = ls.forecast("llama-2-7b", "rtx-4090", prompt=99, generate=1)
    mine, asked_for = ls.fit(paged, 0.9), ls.fit(plain, 0.9, 16)
    for name in ("sequences", "tokens", "blocks"):
        assert getattr(mine, name).expr == getattr(asked_for, name).expr
    assert ls.fit(paged, block=16).blocks.expr == ls.fit(paged).blocks.expr
    with pytest.raises(SymbolError, match="pages of 16 tokens: leave out block=8"):
        ls.fit(paged, block=8)


# Activations in flight


@pytest.mark.usefixtures("eager")
def test_the_largest_live_set_of_a_llama_layer() -> None:
    """TinyLlama-1.1B: width 2048, MLP 5632, 32 heads, vocabulary 32,000; 2 bytes each."""

    def live(prompt: int, generate: int = 1, **options: Any) -> Expr:
        f = ls.forecast("tinyllama-1.1b", "a100", prompt=prompt, generate=generate, **options)
        return f.in_flight() / 2

    flash: dict[str, Any] = {"fusion": "flash"}
    assert live(1, **flash) == 2048 + 32_000 + 2048  # the head
    assert live(100, **flash) == 100 * (3 * 5632 + 2048)  # gate, up, their product
    assert live(1000) == 2 * 32 * 1000**2 + 1000 * 2048  # scores and probabilities
    assert live(100, chunk=30, **flash) == 30 * (3 * 5632 + 2048)
    assert live(1, 5000) == 2 * 32 * 5000 + 2048  # the last step's scores of 5,000 keys
    assert live(100, 2, batch=8, **flash) == 8 * live(100, **flash)


def test_a_pass_of_so_many_tokens() -> None:
    f = ls.forecast("tinyllama-1.1b", "a100", prompt=100, generate=1, fusion="flash", batch=7)
    token = 2 * (3 * 5632 + 2048)
    assert f.in_flight(Integer(64)) == 64 * token
    assert f.in_flight(Integer(250)) == 300 * token  # three prompts
    assert ls.fit(f, batched=64).room.expr - ls.fit(f).room.expr == (700 - 64) * token
    host = [Level(name="buffer", bandwidth=1, activations=1)]
    away = ls.forecast("tinyllama-1.1b", "a100", prompt=100, generate=1, levels=host)
    assert away.in_flight() == 0


def test_devices_of_a_split_sequence_keep_their_part_of_the_stream() -> None:
    f, g = (
        ls.forecast(
            "tinyllama-1.1b",
            "a100",
            prompt=101,
            generate=1,
            fusion="flash",
            tensor_parallel=2,
            sequence_parallel=split,
        )
        for split in (False, True)
    )
    assert f.in_flight() - g.in_flight() == 2 * 50 * 2048


# Symbols, limits, designs

POINT = {"prompt": 900, "generated": 24, "batch": 3}


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("llama-2-7b", {"lora": 8, "block": 16}),
        ("gemma-3-4b", {"block": 16, "reserve": 10**9}),
        ("deepseek-v2-lite", {"tensor_parallel": 4}),
        ("bamba-9b", {"block": 16, "stages": 2}),
        ("gpt-oss-20b", {"kv": "int8", "chunk": 512, "batched": 256}),
    ],
)
def test_symbols_bound_are_the_numbers(model: str, options: dict[str, Any]) -> None:
    own = {name: options[name] for name in options if name in Fit.__dataclass_fields__}
    rest = {name: options[name] for name in options if name not in own}
    words = {"prompt": "prompt", "generate": "generated", "batch": "batch"}
    names = {name: getattr(sym, word) for name, word in words.items()}
    point = {name: POINT[word] for name, word in words.items()}
    numbers = ls.fit(ls.forecast(model, "h100", **point, **rest), 0.9, **own)
    symbols = ls.fit(ls.forecast(model, "h100", **names, **rest), sym.memory_share, **own)
    at = POINT | {"memory_share": Rational(9, 10)}
    for mine, theirs in zip(symbols.results, numbers.results, strict=True):
        assert mine.name == theirs.name
        assert mine.bind(at) == theirs.expr, mine.name
        assert theirs.expr.is_Rational


def test_the_model_may_be_symbols() -> None:
    f = ls.forecast(ls.Model.symbolic("llama"), "a100", generate=1, fusion="flash")
    found = ls.fit(f, sym.memory_share, sym.page)
    tiny = ls.load_model("tinyllama-1.1b")
    values: Any = tiny.values
    at = {**values, sym.memory_share: Rational(1, 2), sym.page: 16, sym.prompt: 99}
    alone = ls.fit(ls.forecast(tiny, "a100", prompt=99, generate=1, fusion="flash"), 0.5, 16)
    for name in ("sequences", "tokens", "blocks"):
        assert getattr(found, name).bind(at) == getattr(alone, name).expr


def test_nothing_fits_and_by_how_much() -> None:
    f = ls.forecast("llama-2-70b", "rtx-4090", prompt=1000, generate=24)
    found = ls.fit(f, 0.9)
    assert found.room.expr < 0
    assert (found.sequences.expr, found.tokens.expr) == (0, 0)
    assert found.missing.expr == found.sequence.expr - found.room.expr
    enough = ls.fit(f, 0.9, capacity=24 * GIB + found.missing.expr / Rational(9, 10))
    assert (enough.sequences.expr, enough.missing.expr) == (1, 0)
    less = ls.fit(f, 0.9, capacity=24 * GIB + found.missing.expr / Rational(9, 10) - 1)
    assert less.sequences.expr == 0


def test_designs_of_the_same_formulas() -> None:
    """The batch, context and share that fit are met exactly, and the next one does not fit."""

    def forecast(prompt: Any, batch: Any) -> ls.Forecast:
        return ls.forecast(
            "llama-2-7b", "rtx-4090", prompt=prompt, generate=24, batch=batch, fusion="flash"
        )

    free = ls.fit(forecast(sym.prompt, sym.batch), 0.9)
    for over, at in (("batch", {"prompt": 1000}), ("prompt", {"batch": 3})):
        found = design(free.spare, over, at, at_least=0)
        for step, fits in ((0, True), (1, False)):
            sizes = {"prompt": 1000, "batch": 3} | {over: int(found.answer) + step}
            alone = ls.fit(forecast(**sizes), 0.9)
            assert bool(alone.spare.expr >= 0) is fits
            assert bool(alone.granted.expr >= alone.forecast.capacity.expr) is fits
    paged = ls.fit(forecast(sym.prompt, 3), 0.9, 16)
    longest = int(design(paged.spare, "prompt", at_least=0).answer)
    assert (longest + 24) % 16 == 0
    assert ls.fit(forecast(longest, 3), 0.9, 16).spare.expr >= 0
    share = design(ls.fit(forecast(1000, 4), sym.memory_share).spare, "memory_share", at_least=0)
    needed = forecast(1000, 4).capacity.expr / (24 * GIB)
    assert (share.answer, share.want) == (needed, "least")
    ten = design(free.sequences, "prompt", {"batch": 1}, at_least=10, between=(1, 4096))
    assert ls.fit(forecast(ten.answer, 1), 0.9).sequences.expr == 10
    assert ls.fit(forecast(ten.answer + 1, 1), 0.9).sequences.expr == 9
    with pytest.raises(InfeasibleError, match="memory_share"):
        design(ls.fit(forecast(9000, 9), sym.memory_share).spare, "memory_share", at_least=0)


def test_what_is_refused() -> None:
    f = ls.forecast("tinyllama-1.1b", "a100", prompt=10, generate=5)
    for options, message in (
        ({"share": 0}, "share must be above 0 and at most 1, not 0"),
        ({"share": 1.5}, "share must be above 0 and at most 1"),
        ({"share": "0.9"}, "share must be a number"),
        ({"block": 0}, "block must be an integer of at least 1"),
        ({"block": 1.5}, "block must be an integer"),
        ({"batched": 0}, "batched must be an integer of at least 1"),
        ({"stages": 0}, "stages must be an integer of at least 1"),
        ({"reserve": -1}, "reserve must be at least 0 bytes, not -1"),
        ({"communication": -1}, "communication must be at least 0 bytes"),
        ({"capacity": -1}, "capacity must be at least 0 bytes"),
        ({"cache_memory": -1}, "cache_memory must be at least 0 bytes"),
    ):
        with pytest.raises(SymbolError, match=message):
            ls.fit(f, **options)  # type: ignore[arg-type]
    with pytest.raises(SymbolError, match="how many tokens a block has is not known"):
        _ = ls.fit(f).blocks
    nameless = ls.forecast("tinyllama-1.1b", ls.Hardware.symbolic(), prompt=10, generate=5)
    with pytest.raises(SpecError, match=r"key 'memory\.capacity' is not known"):
        _ = ls.fit(nameless).sequences
    assert ls.fit(nameless, capacity=80 * GIB).sequences.expr > 0
    encoder = ls.forecast("bert-base", "a100", prompt=10, generate=0)
    with pytest.raises(SymbolError, match="bert-base keeps nothing of a sequence"):
        _ = ls.fit(encoder).sequences


def test_a_reserve_a_buffer_and_a_share_take_their_bytes() -> None:
    f = ls.forecast("tinyllama-1.1b", "a100", prompt=10, generate=5)
    plain = ls.fit(f).room.expr
    assert ls.fit(f, reserve=7).room.expr == plain - 7
    assert ls.fit(f, communication=8 * 2**20).room.expr == plain - 8 * 2**20
    assert plain - ls.fit(f, 0.5).room.expr == f.hardware.capacity / 2
    assert (
        sum(part.value for part in ls.fit(f, 0.5, reserve=3).room.parts)
        == ls.fit(f, 0.5, reserve=3).room.expr
    )
