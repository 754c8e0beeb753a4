"""Sparse attention against its own arithmetic: every query chooses its keys, and they are counted.

The same numbers as in `test_brute_force`, which report what is done with them; and a whole pass of
a layer's attention, token by token, against what its block emits.
"""

import re
from dataclasses import fields
from itertools import product
from typing import Any

import numpy as np
import pytest
from sympy import Integer, Rational
from test_brute_force import Num, Tally, check

import lifesym as ls
from lifesym.blocks import Attention, Block, BlockIndexer, Indexer, LatentAttention
from lifesym.errors import SymbolError
from lifesym.formats import Precision
from lifesym.operators import (
    AttentionScores,
    AttentionValues,
    BlockScores,
    ChooseKeys,
    Collective,
    HeadLinear,
    IndexScores,
    KVAppend,
    LatentExpand,
    Norm,
    Softmax,
    ValueScores,
)
from lifesym.trace import ForwardPass
from lifesym.transforms import CachePolicy, TensorParallel, fuse


def seen_by(new: int, past: int, causal: str) -> list[range]:
    """The keys that each new token scores."""
    return [range(past + (new if causal == "full" else i + 1)) for i in range(new)]


@pytest.mark.parametrize("causal", ["full", "exact"])
@pytest.mark.parametrize(("new", "past", "top"), [(1, 0, 2), (1, 6, 3), (3, 2, 4), (4, 0, 2)])
@pytest.mark.parametrize(("batch", "heads", "size"), [(1, 1, 2), (2, 3, 2)])
def test_scores_and_choice(
    batch: int, heads: int, size: int, new: int, past: int, top: int, causal: str
) -> None:
    """Products of every head with the keys that a query sees, the sum of what is above zero."""
    tally, keys = Tally(), past + new
    q = tally.tensor("activation", batch, new, heads, size)
    weights = tally.tensor("activation", batch, new, heads)
    k = tally.tensor("kv", batch, keys, size)
    seen = seen_by(new, past, causal)
    found: list[list[Num]] = []
    for b, i in product(range(batch), range(new)):
        scaled = weights[b, i] * 0.3
        row = []
        for j in seen[i]:
            above = [s.largest(0) for s in tally.product(q[b, i], k[b, j])]
            row.append(tally.product(scaled, np.array(above, dtype=object)))
        found.append(list(tally.write(np.array(row, dtype=object))))
    pairs = sum(len(row) for row in seen)
    scores = IndexScores(batch=batch, heads=heads, head_dim=size, new=new, keys=keys, pairs=pairs)
    check(scores, tally)

    second, chosen = Tally(), 0
    stored = [second.tensor("activation", len(row)) for row in found]
    for row, kept in zip(found, stored, strict=True):
        for number, copy in zip(row, kept, strict=True):
            copy.value = number.value
            copy.largest(0)  # against the least of the best so far
        best = sorted(range(len(row)), key=lambda j, r=row: -r[j].value)[:top]
        for number in second.tensor("activation", len(best)):
            second.load(number)
        second.written += len(best)
        chosen += len(best)
    check(ChooseKeys(scores=batch * pairs, chosen=chosen), second)


SIZES: dict[str, Any] = {
    **{"hidden": 5, "heads": 2, "kv_rank": 3, "nope_dim": 4, "rope_dim": 2, "value_dim": 3},
    "q_rank": 6,
}


def attention(top: int, *, own: bool = True) -> LatentAttention:
    sizes = {name: Integer(value) for name, value in SIZES.items()}
    indexer = Indexer(
        **{name: sizes[name] for name in ("hidden", "q_rank", "rope_dim")},
        heads=Integer(3),
        head_dim=Integer(4),
        top=Integer(top),
    )
    return LatentAttention(**sizes, top=Integer(top), indexer=indexer if own else None)


PASSES = [(1, 0), (1, 3), (1, 9), (2, 9), (5, 0), (6, 2), (4, 7)]


@pytest.mark.parametrize("windows", [True, False])
@pytest.mark.parametrize("causal", ["full", "exact"])
@pytest.mark.parametrize("mla", ["absorbed", "expand", "decompressed"])
@pytest.mark.parametrize(("new", "past"), PASSES)
@pytest.mark.parametrize("top", [1, 4, 20])
def test_a_layer_token_by_token(
    top: int, new: int, past: int, mla: str, causal: str, windows: bool
) -> None:
    """What each query scores, takes and reads; where all is computed the mask takes it away."""
    batch = 2
    step = ForwardPass(
        batch=Integer(batch),
        new=Integer(new),
        past=Integer(past),
        mla=mla,
        causal=causal,
        windows=windows,
    )
    scored = taken = 0
    for seen in seen_by(new, past, causal):
        scored += len(seen)
        taken += min(top, len(seen)) if windows else len(seen)
    read = min(past + new, new * top) if windows else past + new
    numbers = sum(min(top, len(seen)) for seen in seen_by(new, past, causal))
    for own in (True, False):
        rows = list(attention(top, own=own).operators(step))
        by_name = dict(rows)
        assert ("index_qk" in by_name) == own
        core = [op for _, op in rows if isinstance(op, AttentionScores | AttentionValues)]
        assert [(op.keys, op.pairs) for op in core] == [(read, taken)] * 2
        (soft,) = [op for _, op in rows if isinstance(op, Softmax)]
        assert soft.elements == batch * SIZES["heads"] * taken
        expanded = [op.tokens for _, op in rows if isinstance(op, LatentExpand)]
        assert expanded == ([batch * read] if mla == "expand" else [])
        assert sum(isinstance(op, HeadLinear) for _, op in rows) == (2 if mla == "absorbed" else 0)
        if own:
            assert by_name["index_qk"].pairs == scored
            assert by_name["index_qk"].keys == past + new
            assert by_name["index_top"] == ChooseKeys(scores=batch * scored, chosen=batch * numbers)


@pytest.mark.parametrize("mla", ["absorbed", "expand", "decompressed"])
def test_the_cache_is_what_is_appended(mla: str) -> None:
    """The latents, or every head's keys and values, and the indexer's keys."""
    step = ForwardPass(batch=Integer(1), new=Integer(1), past=Integer(7), mla=mla)
    own = 2 * (4 + 2 + 3) if mla == "decompressed" else 3 + 2
    for block, width in ((attention(4), own + 4), (attention(4, own=False), own)):
        appended = [op for _, op in block.operators(step) if isinstance(op, KVAppend)]
        assert sum(op.held(Integer(10)) for op in appended) == 10 * width


def test_all_keys_are_what_plain_attention_has() -> None:
    """Where k is not less than the context the core is that of plain latent attention."""
    sparse = attention(50, own=False)
    plain = LatentAttention(**{name: Integer(value) for name, value in SIZES.items()})
    for causal, mla, (new, past) in product(
        ("full", "exact"), ("absorbed", "expand", "decompressed"), PASSES
    ):
        step = ForwardPass(
            batch=Integer(2), new=Integer(new), past=Integer(past), mla=mla, causal=causal
        )
        costs = [
            [operator.cost(ls.formats.Precision.of()) for _, operator in block.operators(step)]
            for block in (sparse, plain)
        ]
        assert costs[0] == costs[1]


@pytest.mark.parametrize(
    "policy",
    [
        {"budget": 64},
        {"keep": Rational(1, 2)},
        {"scored": True},
        {"share": 2},
        {"rank": 4},
        {"page": 16},
    ],
)
def test_no_policy_for_keys_that_are_chosen(policy: dict[str, Any]) -> None:
    trace = ls.load_model("deepseek-v3.2").forward(1, 1, 100)
    with pytest.raises(SymbolError, match="chooses its own keys"):
        CachePolicy(**policy)(trace)


def test_no_tile_of_queries_that_choose_their_own_keys() -> None:
    trace = ls.load_model("glm-5.2").forward(1, 8, 100)
    with pytest.raises(SymbolError, match="not their own choice"):
        fuse(trace, "flash", tile=4)


SUMMED = {
    "deepseek-v3.2": {"embedding", "attn_o", "mlp_down", "moe_experts", "moe_shared", "lm_head"},
    "deepseek-v4-flash": {"embedding", "attn_o", "moe_experts", "moe_shared", "lm_head"},
    "minimax-m1": {"embedding", "attn_o", "lightning:mixer", "lightning:out_proj", "lm_head"}
    | {"moe_experts"},
    "kimi-linear-48b-a3b": {"embedding", "attn_o", "kimi_delta:o_proj", "mlp_down", "lm_head"}
    | {"moe_experts", "moe_shared"},
    "ling-3.0-tiny": {"embedding", "attn_o", "kimi_delta:o_proj", "mlp_down", "lm_head"}
    | {"moe_experts", "moe_shared"},
    "xlstm-7b": {"embedding", "mlstm:out_proj", "mlp_down", "lm_head"},
    "zamba-7b-v1": {"embedding", "head_mamba:out_proj", "attn_o", "mlp_down", "lm_head"},
    "minimax-m3": {"embedding", "attn_o", "mlp_down", "moe_experts", "moe_shared", "lm_head"},
}
"""What devices send each other after, by model: products by rows, and norms of all heads."""


@pytest.mark.parametrize("name", SUMMED)
@pytest.mark.parametrize("shape", [(2, 3, 10), (3, 1, 5000)])
def test_two_devices_together_do_all_and_what_is_repeated(
    name: str, shape: tuple[int, int, int]
) -> None:
    """Operations, learned values and cached ones: halves of what is not said to be repeated."""
    model = ls.load_model(name)
    blocks = [each for section in model.bound for each in _inside(section.block)]
    repeated = {word for block in blocks for word in block.repeated.split()}
    whole = model.forward(*shape)
    part = TensorParallel(devices=2)(whole)
    sent = {e.name for e in part if isinstance(e.operator, Collective)}
    assert {re.sub("_all_(reduce|gather)", "", each) for each in sent} == SUMMED[name]
    own = [e for e in part if not isinstance(e.operator, Collective)]
    for one, half in zip(whole, own, strict=True):
        if one.operator == half.operator:
            assert one.name in repeated
        elif one.name not in ("attn_rope", "index_rope", "embedding", "lm_head"):
            # not these: one key head is rotated by all, vocabularies are rounded up
            counted = {"matmul_flops", "vector_flops", "kv_write_bytes", "weight_bytes"}
            if isinstance(one.operator, Norm):  # heads share the gains
                counted -= {"weight_bytes"}
            if one.name == "moe_experts":  # each weighs the partial sums of all its choices
                counted -= {"vector_flops"}
            for field in counted:
                mine, all_ = (getattr(e.operator.cost(Precision.of()), field) for e in (half, one))
                assert 2 * mine == all_, (one.name, field)


def _inside(block: Block) -> list[Block]:
    held = [getattr(block, item.name) for item in fields(block)]
    return [block, *(each for own in held if isinstance(own, Block) for each in _inside(own))]


@pytest.mark.parametrize(("new", "past"), [(1, 0), (1, 6), (3, 2), (5, 0)])
@pytest.mark.parametrize(("batch", "heads", "size"), [(1, 1, 2), (2, 3, 2)])
def test_scores_of_blocks(batch: int, heads: int, size: int, new: int, past: int) -> None:
    """The largest score of every block of two keys, of those that a query sees."""
    tally, keys, block = Tally(), past + new, 2
    q = tally.tensor("activation", batch, new, heads, size)
    k = tally.tensor("kv", batch, keys, size)
    pairs = blocks = 0
    for b, i, h in product(range(batch), range(new), range(heads)):
        seen = past + i + 1
        scores = tally.product(k[b, :seen], q[b, i, h])
        for first in range(0, seen, block):
            top = Num(tally, float("-inf"))
            for score in scores[first : first + block]:
                top = top.largest(score)
            tally.write(np.array([top], dtype=object))
            blocks += 1
        pairs += seen
    each = batch * heads
    operator = BlockScores(
        **{"batch": batch, "heads": heads, "head_dim": size, "new": new, "keys": keys},
        pairs=pairs // each,
        blocks=blocks // each,
    )
    check(operator, tally)


@pytest.mark.parametrize("windows", [True, False])
@pytest.mark.parametrize("causal", ["full", "exact"])
@pytest.mark.parametrize(
    ("new", "past"), [*PASSES, (1, 12), (1, 13), (1, 30), (17, 5), (25, 0), (8, 12)]
)
@pytest.mark.parametrize(("block", "top"), [(4, 1), (4, 3), (3, 2), (1, 5), (50, 2)])
def test_blocks_of_keys_token_by_token(
    block: int, top: int, new: int, past: int, causal: str, windows: bool
) -> None:
    """Each query takes its own block up to itself and as many full ones as are left."""
    batch, heads = 2, 2
    indexer = BlockIndexer(
        **{name: Integer(4) for name in ("hidden", "head_dim", "rotary_dim")},
        heads=Integer(heads),
        block=Integer(block),
        top=Integer(top),
    )
    sizes = {name: Integer(4) for name in ("hidden", "heads", "head_dim")}
    layer = Attention(**sizes, kv_heads=Integer(heads), indexer=indexer)
    step = ForwardPass(
        batch=Integer(batch),
        new=Integer(new),
        past=Integer(past),
        causal=causal,
        windows=windows,
    )
    keys = past + new
    scored = blocks = chosen = taken = 0
    for at in range(past, keys):
        seen = keys if causal == "full" else at + 1
        whole = -(-seen // block)
        some = min(whole, top)
        scored, blocks, chosen = scored + seen, blocks + whole, chosen + some
        rest = seen - block * (whole - 1)
        most = min(keys, top * block) if causal == "full" else block * (some - 1) + rest
        taken += most if windows else seen
    most = new * top * block if causal == "full" else taken
    by_name = dict(layer.operators(step))
    index, core = by_name["index_qk"], by_name["attn_qk"]
    assert (index.keys, index.pairs, index.blocks) == (keys, scored, blocks)
    each = batch * heads
    assert by_name["index_top"] == ChooseKeys(scores=each * blocks, chosen=each * chosen)
    assert (core.keys, core.pairs) == (min(keys, most) if windows else keys, taken)
    assert core.past.chosen
    appended = [op for _, op in layer.operators(step) if isinstance(op, KVAppend)]
    assert sum(op.held(Integer(10)) for op in appended) == 10 * (2 * heads * 4 + 4)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("batch", "keys", "heads"), [(1, 3, 1), (2, 4, 3)])
def test_what_values_say_of_their_keys(batch: int, keys: int, heads: int, bias: bool) -> None:
    """exp(a softplus(W v + b)) of every key and head; the softplus as log(1 + exp x)."""
    tally, inputs = Tally(), 2 * heads
    weights, a = tally.tensor("weight", heads, inputs), tally.tensor("weight", heads)
    b = tally.tensor("weight", heads)
    for _ in range(batch * keys):
        x = tally.product(weights, tally.tensor("kv", inputs))
        if bias:
            x = x + b
        soft = [(n.exp() + 1).exp() for n in x]  # a logarithm is one operation as well
        tally.write(np.array([(n * f).exp() for n, f in zip(soft, a, strict=True)], dtype=object))
    scores = ValueScores(batch=batch, keys=keys, inputs=inputs, heads=heads, bias=bias)
    check(scores, tally)
