"""Compressed keys and hyper-connections against their own arithmetic, number by number.

The same numbers as in `test_brute_force`, and whole passes of a layer token by token, against what
the class of transformers keeps between its passes.
"""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from sympy import Integer
from test_brute_force import Num, Tally, check

import lifesym as ls
from lifesym.blocks import CompressedAttention, CompressedIndexer, Compressor
from lifesym.operators import (
    AttentionScores,
    AttentionValues,
    ChooseKeys,
    CollapseStreams,
    CompressedAppend,
    IndexScores,
    KVAppend,
    PoolTokens,
    Softmax,
    SpreadStreams,
    StreamWeights,
)
from lifesym.trace import ForwardPass


def total(tally: Tally, numbers: Any) -> Num:
    result = Num(tally, 0.0)
    for number in numbers:
        result = result + number
    return result


def softmax(tally: Tally, numbers: Any) -> list[Num]:
    top = Num(tally, -math.inf)
    for number in numbers:
        top = top.largest(number)
    powers = [(number - top).exp() for number in numbers]
    whole = total(tally, powers)
    return [power / whole for power in powers]


def sigmoid(number: Num) -> Num:
    denominator = (-number).exp() + 1
    return Num(denominator.tally, 1.0) / denominator


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize(("new", "features", "rate"), [(3, 1, 3), (4, 2, 2), (2, 3, 4)])
def test_pooled_tokens(new: int, features: int, rate: int, overlap: bool) -> None:
    """One pass after ``rate`` tokens of which the last wait: what is complete, what is left."""
    width, done = (2 if overlap else 1) * features, (rate - 1 + new) // rate
    tally = Tally()
    bias = tally.tensor("weight", rate, width)
    old = tally.tensor("kv", 2, rate - 1, width)
    before = tally.tensor("kv", 2, rate, features) if overlap else None
    fresh = tally.tensor("activation", 2, new, width)
    used = [np.vectorize(tally.load)(old[i]) for i in (0, 1)]
    for i in (0, 1):
        np.vectorize(tally.load)(fresh[i])
    keys, gates = (np.concatenate([used[i], fresh[i]]) for i in (0, 1))
    last = before
    for entry in range(done):
        mine = slice(entry * rate, (entry + 1) * rate)
        biased = gates[mine] + bias
        slots = [(keys[mine][:, -features:], biased[:, -features:])]
        if overlap:
            slots.insert(0, tuple(last))
            last = (keys[mine][:, :features], biased[:, :features])
        for f in range(features):
            weights = softmax(tally, [g[j, f] for _, g in slots for j in range(rate)])
            values = [k[j, f] for k, _ in slots for j in range(rate)]
            total(tally, [v * w for v, w in zip(values, weights, strict=True)])
            tally.written += 1
    left = (rate - 1 + new - done * rate) * 2 * width
    tally.cached = left + (2 * rate * features if overlap else 0)
    recalled = 2 * (rate - 1) * width + (2 * rate * features if overlap else 0)
    operator = PoolTokens(
        **{"tokens": new, "entries": done, "features": features, "rate": rate},
        recalled=recalled,
        stored=tally.cached,
        overlap=overlap,
    )
    check(operator, tally)
    assert operator.parameters == tally.unique("weight")


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("heads", "size"), [(1, 2), (3, 2)])
def test_scores_summed_one_by_one(batch: int, heads: int, size: int) -> None:
    tally, new, keys = Tally(), 2, 3
    q, weights = (tally.tensor("activation", batch, new, heads, *more) for more in ((size,), ()))
    k = tally.tensor("kv", batch, keys, size)
    for b, i in product(range(batch), range(new)):
        scaled = weights[b, i] * 0.3
        for j in range(keys):
            above = [s.largest(0) for s in tally.product(q[b, i], k[b, j])]
            total(tally, [a * w for a, w in zip(above, scaled, strict=True)])
            tally.written += 1
    operator = IndexScores(
        **{"batch": batch, "heads": heads, "head_dim": size, "new": new, "keys": keys},
        pairs=new * keys,
        product=False,
    )
    check(operator, tally)


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize(("spread", "mixed"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize(("tokens", "streams"), [(1, 2), (2, 3)])
def test_weights_of_streams(
    tokens: int, streams: int, spread: bool, mixed: bool, rounds: int
) -> None:
    tally = Tally()
    kinds = 1 + spread + mixed
    scale = tally.tensor("weight", kinds)
    projected = [tally.tensor("activation", tokens, streams) for _ in range(1 + spread)]
    square = tally.tensor("activation", tokens, streams, streams)
    for t in range(tokens):
        for i, weights in enumerate(projected):
            gates = [sigmoid(n * scale[i]) for n in weights[t]]
            tally.write(np.array([g + 0.1 if i == 0 else g * 2 for g in gates], dtype=object))
        if mixed:
            rows = [softmax(tally, row) for row in square[t] * scale[-1]]
            matrix = np.array(rows, dtype=object) + 0.1
            for step in range(2 * rounds - 1):
                sums = [total(tally, column) for column in matrix.T]
                matrix = np.array([row / sums for row in matrix], dtype=object)
                matrix = matrix.T if step < 2 * rounds - 2 else matrix
            tally.write(matrix)
    operator = StreamWeights(
        tokens=tokens, streams=streams, rounds=rounds, spread=spread, mixed=mixed
    )
    check(operator, tally)
    assert operator.parameters == tally.unique("weight")


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(("tokens", "hidden", "streams"), [(1, 1, 2), (2, 3, 2), (1, 4, 3)])
def test_sum_and_spread_of_streams(tokens: int, hidden: int, streams: int, mixed: bool) -> None:
    first, second = Tally(), Tally()
    kept = first.tensor("activation", tokens, streams, hidden)
    weights = first.tensor("activation", tokens, streams)
    for t in range(tokens):
        row = kept[t, 0] * weights[t, 0]
        for i in range(1, streams):
            row = row + kept[t, i] * weights[t, i]
        first.write(row)
    check(CollapseStreams(tokens=tokens, hidden=hidden, streams=streams), first)
    kept = second.tensor("activation", tokens, streams, hidden)
    output = second.tensor("activation", tokens, hidden)
    weights = second.tensor("activation", tokens, streams)
    mixing = second.tensor("activation", tokens, streams, streams)
    for t in range(tokens):
        same = second.product(mixing[t].T, kept[t]) if mixed else kept[t]
        for i in range(streams):
            second.write(output[t] * weights[t, i] + same[i])
    check(SpreadStreams(tokens=tokens, hidden=hidden, streams=streams, mixed=mixed), second)


def attention(rate: int, top: int | None, window: int) -> CompressedAttention:
    """A layer with small sizes; without ``top`` all compressed keys are seen."""
    size = {name: Integer(4) for name in ("hidden", "heads", "head_dim", "q_rank", "out_rank")}
    made = {"hidden": Integer(4), "rate": Integer(rate), "rope_dim": Integer(2)}
    compressor = Compressor(**made, features=Integer(4), overlap=top is not None)
    indexer = None
    if top is not None:
        keys = Compressor(**made, features=Integer(6), overlap=True, label="index")
        indexer = CompressedIndexer(
            compressor=keys, q_rank=Integer(4), heads=Integer(3), top=Integer(top)
        )
    return CompressedAttention(
        **size,
        rope_dim=Integer(2),
        groups=Integer(2),
        window=Integer(window),
        compressor=compressor,
        indexer=indexer,
    )


PASSES = [(1, 0), (1, 3), (1, 9), (2, 9), (5, 0), (6, 2), (4, 7), (17, 5), (25, 0)]


@pytest.mark.parametrize("windows", [True, False])
@pytest.mark.parametrize("causal", ["full", "exact"])
@pytest.mark.parametrize(("new", "past"), PASSES)
@pytest.mark.parametrize(("rate", "top", "window"), [(4, 2, 3), (3, 1, 8), (2, None, 4), (5, 9, 2)])
def test_a_layer_token_by_token(
    rate: int, top: int | None, window: int, new: int, past: int, causal: str, windows: bool
) -> None:
    """What each query sees of the window and of complete compressed keys, and what is read."""
    batch, keys = 2, past + new
    step = ForwardPass(
        batch=Integer(batch),
        new=Integer(new),
        past=Integer(past),
        causal=causal,
        windows=windows,
    )
    seen, chosen, near = 0, 0, 0
    read = new + (min(past, window - 1) if windows else past)
    for at in range(past, keys):
        last = keys if causal == "full" else at + 1
        whole = last // rate
        seen += whole
        chosen += whole if top is None else min(whole, top)
        if causal == "full":
            near += read
        else:
            near += min(at + 1, window) if windows else at + 1
    by_name = dict(attention(rate, top, window).operators(step))
    taken = chosen if windows else seen
    some = min(keys // rate, new * top) if top is not None and windows else keys // rate
    core = [op for op in by_name.values() if isinstance(op, AttentionScores | AttentionValues)]
    assert [(op.keys, op.pairs) for op in core] == [(read + some, near + taken)] * 2
    assert by_name["attn_softmax"] == Softmax(elements=batch * 4 * (near + taken), sinks=4)
    if top is not None:
        index = by_name["index_qk"]
        assert (index.keys, index.pairs) == (keys // rate, seen)
        choice = ChooseKeys(scores=batch * seen, chosen=batch * chosen)
        assert by_name["index_top"] == choice


@pytest.mark.parametrize("steps", [(25,), (3, 1, 1, 1, 1, 1, 5, 9), (1,) * 9, (7, 7, 7)])
@pytest.mark.parametrize(("rate", "top"), [(4, 2), (3, None), (5, 9)])
def test_what_waits_between_passes(rate: int, top: int | None, steps: tuple[int, ...]) -> None:
    """Keys and gates are stored until their compressed key is made, and read for it."""
    past, layer = 0, attention(rate, top, 3)
    each = (2 if top is not None else 1) * 4
    waiting: list[int] = []
    for new in steps:
        step = ForwardPass(batch=Integer(2), new=Integer(new), past=Integer(past))
        by_name = dict(layer.operators(step))
        recalled = stored = made = 0
        old, waiting = len(waiting), [*waiting, *range(past, past + new)]
        had = past >= rate
        while len(waiting) >= rate:
            made, waiting = made + 1, waiting[rate:]
        if made:
            recalled, stored = 2 * each * old, 2 * each * len(waiting)
            if top is not None:
                recalled, stored = recalled + had * 2 * rate * 4, stored + 2 * rate * 4
        else:
            stored = 2 * each * new
        pool = by_name["compress_pool"]
        assert (pool.entries, pool.recalled, pool.stored) == (2 * made, 2 * recalled, 2 * stored)
        past += new
        kept = past // rate * 4 + 2 * each * len(waiting)
        kept += 2 * rate * 4 if top is not None and past >= rate else 0
        assert by_name["compress_append"].held(Integer(past)) == kept
        assert by_name["kv_append"] == KVAppend(tokens=2 * new, elements=4, reach=2)


def test_compressed_keys_in_pages() -> None:
    """Entries are those of whole pages of tokens; what waits is as it is."""
    append = CompressedAppend(tokens=1, elements=10, rate=4, page=16)
    assert append.held(Integer(33)) == 12 * 10 + 2 * 10
    assert append.grown == Integer(10) / 4


def test_the_published_model() -> None:
    """DeepSeek V4 Flash: its parameters by hand, and the cache of a million tokens."""
    model = ls.load_model("deepseek-v4-flash")
    hidden, heads, head, window, vocab, layers = 4096, 64, 512, 128, 129280, 43
    chosen, whole = 21, 20
    hyper = 2 * (24 * (4 * hidden + 1) + 3)
    attention_ = hidden * 1024 + 1024 + 1024 * heads * head + hidden * head + head + heads
    attention_ += heads * head * 1024 + 8 * 1024 * hidden
    experts = 256 * hidden + (256 + 1) * 3 * hidden * 2048
    compressed = chosen * (4 * hidden * head + 4 * 2 * head + head)
    compressed += chosen * (4 * hidden * 128 + 4 * 2 * 128 + 128 + 1024 * 64 * 128 + hidden * 64)
    compressed += whole * (2 * hidden * head + 128 * head + head)
    ends = 2 * vocab * hidden + hidden + 4 * (4 * hidden + 1) + 1
    each = layers * (hyper + attention_ + experts + 2 * hidden)
    assert model.parameters == each + compressed + ends
    tokens = 2**20
    held = layers * (window - 1) * head + chosen * tokens // 4 * (head + 128)
    held += chosen * 2 * 4 * (head + 128) + whole * tokens // 128 * head
    assert model.kv_bytes(tokens) == 2 * held
