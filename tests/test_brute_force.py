"""Operators against their own arithmetic: run the loop on counting numbers, compare integers.

`Num` is a number that knows where it was stored and reports every operation. NumPy runs real
matrix products and elementwise formulas on arrays of it, so the counts below are those of an
execution, not of a formula.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any, Self

import numpy as np
import pytest
from sympy import Integer

from lifesym.blocks import Attention
from lifesym.cost import FLOPS_PER_MAC, Cost
from lifesym.formats import Precision
from lifesym.operators import (
    Activation,
    AdapterLinear,
    AdapterMerge,
    Alibi,
    AttentionScores,
    AttentionValues,
    BatchNorm,
    CacheCopy,
    Concat,
    Conv1d,
    Embedding,
    Experts,
    Fused,
    Gate,
    HeadLinear,
    KVAppend,
    LatentExpand,
    Linear,
    LMHead,
    Merge,
    MixStreams,
    Norm,
    Operator,
    PerShape,
    Ranking,
    Residual,
    Rotary,
    RoutedLinear,
    RouterAttention,
    Routing,
    Scale,
    SideBySide,
    Softmax,
    SomeExperts,
    SourceAppend,
    TiledLinear,
    TokenShift,
    TopK,
    WeightCopy,
)
from lifesym.operators.fused import chain
from lifesym.trace import ForwardPass

BYTES = 2
"""A bf16 value; every role has that format here."""


class Tally:
    """What an execution did: products, other operations, elements read by role and written."""

    def __init__(self) -> None:
        self.macs = self.ops = self.written = self.cached = 0
        self.read: dict[str, set[tuple[Any, ...]]] = {}
        self.tensors = 0

    def tensor(self, role: str, *shape: int) -> np.ndarray:
        """An array stored in memory in a role: ``weight``, ``activation`` or ``kv``."""
        self.tensors += 1
        array = np.empty(shape, dtype=object)
        for at in np.ndindex(*shape):
            value = math.sin(7 * self.tensors + sum(3**i * j for i, j in enumerate(at)))
            array[at] = Num(self, value, role, (self.tensors, *at))
        return array

    def product(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """A matrix product: its multiplications are multiply-adds, its additions are theirs."""
        before, multiplied = self.ops, Num.products
        result = left @ right
        self.ops = before
        self.macs += Num.products - multiplied
        return result

    def write(self, array: np.ndarray) -> np.ndarray:
        """Store the result as activations."""
        self.written += array.size
        return array

    def load(self, number: "Num") -> "Num":
        """Read without computing, as a look-up does."""
        number.touch()
        return number

    def unique(self, role: str) -> int:
        """Distinct elements read in a role."""
        return len(self.read.get(role, ()))


class Num:
    """A number that reports to a `Tally`; results of operations are in no memory."""

    products = 0

    def __init__(
        self, tally: Tally, value: float, role: str = "", at: tuple[Any, ...] = ()
    ) -> None:
        self.tally, self.value, self.role, self.at = tally, value, role, at

    def touch(self) -> None:
        if self.role:
            self.tally.read.setdefault(self.role, set()).add(self.at)

    def _do(self, other: Any, function: Callable[[float, float], float]) -> "Num":
        self.touch()
        if isinstance(other, Num):
            other.touch()
        self.tally.ops += 1
        right = other.value if isinstance(other, Num) else other
        return Num(self.tally, function(self.value, right))

    def __mul__(self, other: Any) -> "Num":
        Num.products += 1
        return self._do(other, lambda a, b: a * b)

    def __add__(self, other: Any) -> "Num":
        return self._do(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> "Num":
        return self._do(other, lambda a, b: a - b)

    def __truediv__(self, other: Any) -> "Num":
        return self._do(other, lambda a, b: a / b)

    def __neg__(self) -> Self:
        return self

    def largest(self, other: Any) -> "Num":
        return self._do(other, max)

    def exp(self) -> "Num":
        return self._do(0, lambda a, _: math.exp(a))

    def tanh(self) -> "Num":
        return self._do(0, lambda a, _: math.tanh(a))

    def erf(self) -> "Num":
        return self._do(0, lambda a, _: math.erf(a))


def check(operator: Operator, tally: Tally, **also: int) -> None:
    """The cost in bf16 is what the execution did."""
    cost = operator.cost(Precision.of())
    expected = Cost(
        matmul_flops=Integer(FLOPS_PER_MAC * tally.macs),
        vector_flops=Integer(tally.ops),
        weight_bytes=Integer(BYTES * tally.unique("weight")),
        activation_read_bytes=Integer(BYTES * tally.unique("activation")),
        activation_write_bytes=Integer(BYTES * tally.written),
        kv_read_bytes=Integer(BYTES * tally.unique("kv")),
        kv_write_bytes=Integer(BYTES * tally.cached),
        dispatches=Integer(also.get("dispatches", 1)),
    )
    assert dict(cost.items()) == dict(expected.items())


SMALL = list(product((1, 3), (1, 2, 4), (1, 2, 3)))


def test_the_counting_numbers_compute() -> None:
    tally = Tally()
    x, w = tally.tensor("activation", 3, 4), tally.tensor("weight", 4, 2)
    result = np.vectorize(lambda n: n.value)(tally.product(x, w))
    plain = [np.vectorize(lambda n: n.value)(a).astype(float) for a in (x, w)]
    assert np.allclose(result.astype(float), plain[0] @ plain[1])
    assert (tally.macs, tally.ops) == (24, 0)


@pytest.mark.parametrize(("tokens", "inputs", "outputs"), SMALL)
@pytest.mark.parametrize("bias", [False, True])
def test_linear_and_lm_head(tokens: int, inputs: int, outputs: int, bias: bool) -> None:
    tally = Tally()
    x, w = tally.tensor("activation", tokens, inputs), tally.tensor("weight", outputs, inputs)
    y = tally.product(x, w.T)
    tally.write(y + tally.tensor("weight", outputs) if bias else y)
    linear = Linear(tokens=tokens, in_features=inputs, out_features=outputs, bias=bias)
    check(linear, tally)
    assert linear.parameters == tally.unique("weight")
    for tied in (False, True):
        head = LMHead(tokens=tokens, hidden=inputs, vocab=outputs, bias=bias, tied=tied)
        check(head, tally)
        assert head.parameters == linear.parameters - (inputs * outputs if tied else 0)


@pytest.mark.parametrize(("tokens", "inputs", "outputs"), SMALL)
def test_latent_expand(tokens: int, inputs: int, outputs: int) -> None:
    tally, rope = Tally(), 2
    latents, rotated = tally.tensor("kv", tokens, inputs), tally.tensor("kv", tokens, rope)
    w = tally.tensor("weight", outputs, inputs)
    tally.write(tally.product(latents, w.T))
    tally.write(np.vectorize(tally.load)(rotated))
    operator = LatentExpand(tokens=tokens, in_features=inputs, out_features=outputs, rope_dim=rope)
    check(operator, tally)


@pytest.mark.parametrize(("batch", "heads", "new", "keys"), [(1, 1, 1, 4), (2, 3, 2, 5)])
def test_scores_of_expanded_keys(batch: int, heads: int, new: int, keys: int) -> None:
    """The last elements of every head's key are the same memory."""
    tally, own, shared = Tally(), 3, 2
    q = tally.tensor("activation", batch, heads, new, own + shared)
    k = tally.tensor("activation", batch, heads, keys, own)
    rotated = tally.tensor("activation", batch, keys, shared)
    for b, h in np.ndindex(batch, heads):
        whole = np.concatenate([k[b, h], rotated[b]], axis=1)
        tally.write(tally.product(q[b, h], whole.T) * 0.5)
    operator = AttentionScores(
        batch=batch,
        heads=heads,
        kv_heads=heads,
        head_dim=own,
        shared=shared,
        new=new,
        keys=keys,
        pairs=new * keys,
        cached=False,
    )
    check(operator, tally)


@pytest.mark.parametrize(("heads", "inputs", "outputs"), SMALL)
@pytest.mark.parametrize("bias", [False, True])
def test_head_linear(heads: int, inputs: int, outputs: int, bias: bool) -> None:
    tally, tokens = Tally(), 2
    offset = tally.tensor("weight", heads, outputs)
    x = tally.tensor("activation", heads, tokens, inputs)
    w = tally.tensor("weight", heads, inputs, outputs)
    for head in range(heads):
        y = tally.product(x[head], w[head])
        tally.write(y + offset[head] if bias else y)
    operator = HeadLinear(
        tokens=tokens, heads=heads, in_features=inputs, out_features=outputs, bias=bias
    )
    check(operator, tally)
    assert operator.parameters == w.size + (offset.size if bias else 0)


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize(("tokens", "features"), [(1, 1), (2, 3), (4, 2)])
def test_embedding(tokens: int, features: int, added: bool) -> None:
    tally, rows = Tally(), 5
    table = tally.tensor("weight", rows, features)
    found = np.vectorize(tally.load)(table[:tokens])
    tally.write(tally.tensor("activation", tokens, features) + found if added else found)
    operator = Embedding(tokens=tokens, rows=rows, features=features, added=added)
    check(operator, tally)
    assert operator.parameters == table.size


@pytest.mark.parametrize(("tokens", "features"), [(1, 1), (2, 3)])
def test_embedding_by_one_hot_rows(tokens: int, features: int) -> None:
    """All of the table is read: what is not looked up counts nothing."""
    tally, rows = Tally(), 5
    table = np.vectorize(tally.load)(tally.tensor("weight", rows, features))
    tally.write(table[:tokens])
    operator = Embedding(tokens=tokens, rows=rows, features=features, whole=True)
    check(operator, tally)


ATTENTION = [
    (batch, group, kv_heads, new, past, window, causal)
    for batch, group, kv_heads in ((1, 1, 1), (2, 2, 1), (1, 3, 2))
    for new, past in ((1, 0), (4, 0), (1, 3), (3, 2), (2, 5))
    for window in (None, 1, 2, 4, 9)
    for causal in ("full", "exact")
]


@pytest.mark.parametrize(
    ("batch", "group", "kv_heads", "new", "past", "window", "causal"), ATTENTION
)
def test_scores_and_values(
    batch: int, group: int, kv_heads: int, new: int, past: int, window: int | None, causal: Any
) -> None:
    """Keys are those that the oldest new query still sees; a mask leaves out single pairs."""
    head_dim, heads = 2, group * kv_heads
    held = past if window is None else min(past, window - 1)
    keys = held + new
    seen = [
        (i, j)
        for i, j in product(range(new), range(keys))
        if causal == "full" or (j <= held + i and (window is None or held + i - j < window))
    ]
    block = Attention(
        hidden=1,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        window=None if window is None else Integer(window),
    )
    step = ForwardPass(batch=Integer(batch), new=Integer(new), past=Integer(past), causal=causal)
    counted_keys, pairs = block.attended(step)
    assert (counted_keys, pairs) == (keys, len(seen))
    shape = {"batch": batch, "heads": heads, "kv_heads": kv_heads, "head_dim": head_dim}

    tally = Tally()
    q = tally.tensor("activation", batch, heads, new, head_dim)
    k = tally.tensor("kv", batch, kv_heads, keys, head_dim)
    for b, h, (i, j) in product(range(batch), range(heads), seen):
        score = tally.product(q[b, h, i], k[b, h // group, j])
        tally.write(np.array([score * 0.5], dtype=object))
    check(AttentionScores(**shape, new=new, keys=keys, pairs=pairs), tally)

    tally = Tally()
    p = tally.tensor("activation", batch, heads, new, keys)
    v = tally.tensor("kv", batch, kv_heads, keys, head_dim)
    for b, h, i in product(range(batch), range(heads), range(new)):
        columns = [j for row, j in seen if row == i]
        tally.write(tally.product(p[b, h, i, columns], v[b, h // group, columns]))
    check(AttentionValues(**shape, new=new, keys=keys, pairs=pairs), tally)


@pytest.mark.parametrize(("new", "past"), [(1, 0), (1, 2), (1, 6), (7, 0), (9, 2), (4, 8)])
def test_attention_in_chunks(new: int, past: int) -> None:
    """A token sees what of its own chunk of three is not after it."""
    block = Attention(hidden=1, heads=1, kv_heads=1, head_dim=1, window=Integer(3), chunked=True)
    step = ForwardPass(batch=Integer(1), new=Integer(new), past=Integer(past), causal="exact")
    seen = [(i, j) for i in range(past, past + new) for j in range(i + 1) if i // 3 == j // 3]
    assert block.attended(step) == (new + min(past, 2), len(seen))


def _softmax(tally: Tally, row: Any) -> np.ndarray:
    top = Num(tally, -math.inf)
    for score in row:
        top = top.largest(score)
    powers = [(score - top).exp() for score in row]
    total = _total(tally, powers)
    return np.array([power / total for power in powers], dtype=object)


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (2, 3), (4, 5)])
def test_softmax(rows: int, length: int) -> None:
    tally = Tally()
    scores = tally.tensor("activation", rows, length)
    for row in scores:
        probabilities = tally.write(_softmax(tally, row))
        assert math.isclose(sum(p.value for p in probabilities), 1)
    check(Softmax(elements=rows * length), tally)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("tokens", "hidden", "streams"), [(1, 1, 2), (2, 3, 2), (1, 4, 3)])
def test_mixed_streams(tokens: int, hidden: int, streams: int, scaled: bool) -> None:
    tally = Tally()
    before = tally.tensor("activation", tokens, streams, hidden)
    mixing = tally.tensor("activation", tokens, streams, streams)
    predicted = tally.tensor("activation", tokens, streams, hidden)
    output = tally.tensor("activation", tokens, hidden)
    weights = tally.tensor("activation", tokens, streams)
    vector = tally.tensor("weight", hidden)
    for t in range(tokens):
        tally.write(tally.product(mixing[t], before[t]) + before[t])
        innovation = output[t] - predicted[t, 0]
        rows = [innovation * w + p for w, p in zip(weights[t], predicted[t], strict=True)]
        corrected = tally.write(np.array(rows, dtype=object))
        if scaled:
            tally.write(corrected[0] * vector)
    operator = MixStreams(tokens=tokens, hidden=hidden, streams=streams, scaled=scaled)
    check(operator, tally, dispatches=2)
    assert operator.parameters == tally.unique("weight")


@pytest.mark.parametrize("kind", ["rms", "layer"])
@pytest.mark.parametrize(("rows", "features"), [(1, 1), (2, 3), (4, 2)])
def test_norm(rows: int, features: int, kind: str) -> None:
    tally = Tally()
    x, gain = tally.tensor("activation", rows, features), tally.tensor("weight", features)
    offset = tally.tensor("weight", features) if kind == "layer" else None
    for row in x:
        centred = row
        if offset is not None:
            mean = _total(tally, row).value / features
            centred = np.array([n - mean for n in row], dtype=object)
        squares = [n * n for n in centred]
        scale = 1 / math.sqrt(_total(tally, squares).value / features + 1e-6)
        if offset is not None:
            centred = np.array([n - mean for n in row], dtype=object)
        scaled = [n * scale for n in centred]
        result = [n * g for n, g in zip(scaled, gain, strict=True)]
        if offset is not None:
            result = [n + b for n, b in zip(result, offset, strict=True)]
        tally.write(np.array(result, dtype=object))
    operator = Norm(rows=rows, features=features, kind=kind)
    check(operator, tally)
    assert operator.parameters == tally.unique("weight")


def _total(tally: Tally, numbers: Any) -> Num:
    total = Num(tally, 0.0)
    for number in numbers:
        total = total + number
    return total


@pytest.mark.parametrize(("tokens", "heads", "rotary_dim"), [(1, 1, 2), (2, 3, 4), (3, 2, 2)])
def test_rotary(tokens: int, heads: int, rotary_dim: int) -> None:
    tally = Tally()
    x = tally.tensor("activation", tokens, heads, rotary_dim // 2, 2)
    table = tally.tensor("activation", tokens, rotary_dim // 2, 2)
    for t, h, p in np.ndindex(tokens, heads, rotary_dim // 2):
        (a, b), (cosine, sine) = x[t, h, p], table[t, p]
        turned = [a * cosine - b * sine, a * sine + b * cosine]
        tally.write(np.array(turned, dtype=object))
    check(Rotary(tokens=tokens, heads=heads, rotary_dim=rotary_dim), tally)


ACTIVATIONS: dict[str, Callable[[Num], Num]] = {
    "relu": lambda x: x.largest(0),
    "relu2": lambda x: _square(x.largest(0)),
    "silu": lambda x: x * _over(1, (-x).exp() + 1),
    "gelu": lambda x: x * ((x * 0.7071).erf() + 1) * 0.5,
    "gelu_tanh": lambda x: x * (((_square(x) * x * 0.0447 + x) * 0.798).tanh() + 1) * 0.5,
    "quick_gelu": lambda x: x * _over(1, (-(x * 1.702)).exp() + 1),
    "sigmoid": lambda x: _over(1, (-x).exp() + 1),
    "tanh": lambda x: x.tanh(),
}


def _square(x: Num) -> Num:
    return x * x


def _over(one: int, x: Num) -> Num:
    return Num(x.tally, one) / x


@pytest.mark.parametrize("function", sorted(ACTIVATIONS))
@pytest.mark.parametrize("gated", [False, True])
def test_activation(function: str, gated: bool) -> None:
    tally = Tally()
    x, up = tally.tensor("activation", 5), tally.tensor("activation", 5)
    results = [ACTIVATIONS[function](n) for n in x]
    if gated:
        results = [n * u for n, u in zip(results, up, strict=True)]
    tally.write(np.array(results, dtype=object))
    check(Activation(elements=5, function=function, gated=gated), tally)


@pytest.mark.parametrize("inputs", [2, 3])
def test_residual(inputs: int) -> None:
    tally = Tally()
    tally.write(
        sum(
            (tally.tensor("activation", 4) for _ in range(inputs - 1)),
            start=tally.tensor("activation", 4),
        )
    )
    check(Residual(elements=4, inputs=inputs), tally)


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_merge(inputs: int) -> None:
    tally = Tally()
    total: Any = None
    for _ in range(inputs):
        offset, factor = tally.tensor("weight", 3), tally.tensor("weight", 3)
        each = (tally.tensor("activation", 2, 3) + offset) * factor
        total = each if total is None else total + each
    tally.write(total)
    operator = Merge(elements=6, features=3, inputs=inputs)
    check(operator, tally)
    assert operator.parameters == tally.unique("weight")


def test_scale_softcap_alibi() -> None:
    for operator, function in (
        (Scale(elements=4), lambda n: n * 3.0),
        (Scale(elements=4, softcap=True), lambda n: (n / 30.0).tanh() * 30.0),
        (Alibi(elements=4), lambda n: n + -0.5),
    ):
        tally = Tally()
        results = [function(n) for n in tally.tensor("activation", 4)]
        tally.write(np.array(results, dtype=object))
        check(operator, tally)


def test_gate() -> None:
    tally = Tally()
    tally.write(tally.tensor("activation", 4) * tally.tensor("activation", 4))
    check(Gate(elements=4), tally)


def test_learned_gains() -> None:
    tally = Tally()
    gains = tally.tensor("weight", 4)
    results = tally.tensor("activation", 3, 4) * gains
    tally.write(results)
    check(Scale(elements=12, gains=4), tally)


def test_kv_append() -> None:
    tally = Tally()
    for number in tally.tensor("activation", 3, 8).flat:
        tally.load(number)
        tally.cached += 1
    check(KVAppend(tokens=3, elements=8), tally)


def test_keys_of_a_source_do_not_grow() -> None:
    """Two sequences' 3 positions are appended once; a sequence holds 3 whatever it generates."""
    tally = Tally()
    for number in tally.tensor("activation", 2 * 3, 8).flat:
        tally.load(number)
        tally.cached += 1
    append = SourceAppend(tokens=6, source=3, heads=2, elements=4)
    check(append, tally)
    for generated in (0, 99):
        assert 2 * append.held(Integer(generated)) == tally.cached


def test_ranked_scores() -> None:
    """Each score is added to its token's total, which is compared with the lowest one kept."""
    tally = Tally()
    total = Num(tally, 0.0)
    for score in tally.tensor("activation", 5):
        (total + score).largest(0)
    check(Ranking(elements=5), tally)


@pytest.mark.parametrize("accumulate", [False, True])
def test_adapters_of_a_batch(accumulate: bool) -> None:
    """Four tokens, of which two each use one of two matrices."""
    tally = Tally()
    x, out = tally.tensor("activation", 4, 3), tally.tensor("activation", 4, 5)
    for i, matrix in enumerate(tally.tensor("weight", 2, 5, 3)):
        mine = slice(2 * i, 2 * i + 2)
        y = tally.product(x[mine], matrix.T)
        tally.write(out[mine] + y if accumulate else y)
    thin = {"tokens": 4, "in_features": 3, "out_features": 5, "copies": 2}
    adapter = AdapterLinear(**thin, accumulate=accumulate)
    check(adapter, tally)
    assert adapter.parameters == tally.unique("weight")
    held = AdapterLinear(**{**thin, "copies": 3}, used=2, accumulate=accumulate)
    check(held, tally)
    assert held.parameters == tally.unique("weight") * 3 // 2


def test_a_copy_of_weights() -> None:
    """Fifteen codes and their scales become numbers of two bytes, for four tokens or more."""
    stored = Precision.of(weights="int8")
    product_ = Linear(tokens=4, in_features=3, out_features=5)
    codes = product_.cost(stored).weight_bytes
    copies = [
        WeightCopy(tokens=n, in_features=3, out_features=5, least=4).cost(stored) for n in (3, 4)
    ]
    assert [(c.activation_read_bytes, c.activation_write_bytes) for c in copies] == [
        (0, 0),
        (codes, 15 * BYTES),
    ]
    assert 15 <= codes < 15 * BYTES
    assert [c.dispatches for c in copies] == [0, 1]


def test_operators_in_one_kernel() -> None:
    """What is between them stays in registers."""
    tally = Tally()
    tally.write((tally.tensor("activation", 4) * 3.0) * tally.tensor("activation", 4))
    parts = (Scale(elements=4), Gate(elements=4))
    check(Fused(parts=parts, unread=4, unwritten=4), tally)
    assert chain(parts) == Fused(parts=parts, unread=4, unwritten=4)


def test_projections_side_by_side() -> None:
    """One product: its input is read once, and its tiles are those of all outputs."""
    tally = Tally()
    x, w = tally.tensor("activation", 4, 2), tally.tensor("weight", 6, 2)
    tally.write(tally.product(x, w.T))
    tiles = {"tokens": 4, "in_features": 2, "rows": 4, "columns": 4, "processors": 1}
    two = tuple(TiledLinear(**tiles, out_features=out) for out in (2, 4))
    joined = SideBySide(parts=two, unread=4 * 2, unwritten=0)
    check(joined, tally)
    assert joined.idle == FLOPS_PER_MAC * 2 * (2 * 4 * 4 - 4 * 6)  # of two tiles


def test_a_kernel_for_each_shape() -> None:
    """Five tokens of one sequence, then one of three others: the weights are read by both."""
    shifts = [TokenShift(batch=b, new=n, features=4, mixes=2) for b, n in ((1, 5), (3, 1))]
    both, apart = PerShape(parts=tuple(shifts)), [each.cost(Precision.of()) for each in shifts]
    for name, value in both.cost(Precision.of()).items():
        assert value == sum(getattr(each, name) for each in apart)
    assert both.parameters == shifts[0].parameters == shifts[1].parameters


@pytest.mark.parametrize(("stride", "bias"), [(1, False), (2, True), (3, False)])
def test_convolution_of_a_sequence(stride: int, bias: bool) -> None:
    """Every output's window of 3, zeros beyond the ends, as one product."""
    batch, length, inputs, outputs, kernel = 2, 7, 3, 2, 3
    tally = Tally()
    x, w = (
        tally.tensor("activation", batch, length, inputs),
        tally.tensor("weight", outputs, kernel * inputs),
    )
    offsets = tally.tensor("weight", outputs)
    zero = np.array([Num(tally, 0.0)] * inputs, dtype=object)
    for sequence in x:
        padded = [zero, *sequence, zero]
        for start in range(0, length, stride):
            y = tally.product(w, np.concatenate(padded[start : start + kernel]))
            tally.write(y + offsets if bias else y)
    shape = {"batch": batch, "length": length, "in_channels": inputs, "out_channels": outputs}
    conv = Conv1d(**shape, kernel=kernel, stride=stride, bias=bias)
    check(conv, tally)
    assert conv.parameters == tally.unique("weight")


def test_batch_norm_and_concat() -> None:
    image = {"batch": 2, "height": 3, "width": 2}
    tally = Tally()
    x = tally.tensor("activation", 2, 3, 2, 4)
    tally.write(x * tally.tensor("weight", 4) + tally.tensor("weight", 4))
    check(BatchNorm(**image, channels=4), tally)
    tally = Tally()
    for channels in (1, 3):
        for number in tally.tensor("activation", 2, 3, 2, channels).flat:
            tally.load(number)
            tally.written += 1
    check(Concat(**image, channels=4), tally)


def test_cache_copy() -> None:
    """Three cached vectors of 4 elements, each written for 2 query heads."""
    tally = Tally()
    for number in tally.tensor("kv", 3, 4).flat:
        tally.load(number)
        tally.cached += 2
    check(CacheCopy(read=12, written=24), tally)


def test_adapter_merge() -> None:
    """The sum of a matrix of 5 x 3 and the scaled product of 5 x 2 and 2 x 3."""
    tally = Tally()
    matrix, up, down = (
        tally.tensor(role, *shape)
        for role, shape in (("activation", (5, 3)), ("weight", (5, 2)), ("weight", (2, 3)))
    )
    tally.write(matrix + tally.product(up, down) * 0.5)
    check(AdapterMerge(in_features=3, out_features=5, rank=2), tally, dispatches=2)


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("function", ["softmax", "sigmoid", "root"])
def test_top_k(function: str, hashed: bool) -> None:
    tally = Tally()
    for row in tally.tensor("activation", 3, 4):
        if function == "sigmoid":
            chances = [ACTIVATIONS["sigmoid"](n) for n in row]
        elif function == "root":
            roots = [n.exp() + 1 for n in row]  # of the logarithm of this
            for function_of in (math.log, math.sqrt):
                roots = [n._do(0, lambda a, _, f=function_of: f(a)) for n in roots]
            chances = roots
        else:
            chances = _softmax(tally, row)
        for chance in () if hashed else chances:
            chance.largest(0)
    options = {} if function == "softmax" else {function: True}
    check(TopK(tokens=3, experts=4, hashed=hashed, **options), tally)


def test_scores_of_experts_that_attend_to_each_other() -> None:
    tokens, experts, tally = 2, 3, Tally()
    for _ in range(tokens):
        query, key, value = (tally.tensor("activation", experts) for _ in range(3))
        crossed = tally.product(query[:, None], key[None, :])
        chances = np.array([_softmax(tally, row) for row in crossed])
        tally.write(tally.product(chances, value))
    check(RouterAttention(tokens=tokens, experts=experts), tally)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_experts(gated: bool, bias: bool) -> None:
    """Two tokens that both choose experts 0 and 2: exactly ``active`` are read."""
    tokens, experts, chosen, hidden, width = 2, 3, (0, 2), 2, 3
    tally = Tally()
    shapes = [(width, hidden)] * (2 if gated else 1) + [(hidden, width)]
    weights = [[tally.tensor("weight", *shape) for shape in shapes] for _ in range(experts)]
    biases = [[tally.tensor("weight", shape[0]) for shape in shapes] for _ in range(experts)]

    def stored(values: Any) -> np.ndarray:
        """Written by one kernel and read by the next."""
        array = tally.tensor("activation", len(values))
        return tally.write(array)

    def project(expert: int, matrix: int, x: np.ndarray) -> np.ndarray:
        y = tally.product(weights[expert][matrix], x)
        return stored(y + biases[expert][matrix] if bias else y)

    for _ in range(tokens):
        outputs = []
        for expert in chosen:
            x = tally.tensor("activation", hidden)
            wide = [project(expert, matrix, x) for matrix in range(len(shapes) - 1)]
            acted = [ACTIVATIONS["silu"](n) for n in wide[0]]
            if gated:
                acted = [n * u for n, u in zip(acted, wide[1], strict=True)]
            outputs.append(project(expert, -1, stored(acted)))
        total = np.array([Num(tally, 0.0)] * hidden, dtype=object)
        for output in outputs:
            total = total + output * 0.5
        tally.write(total)
    operator = Experts(
        tokens=tokens,
        experts=experts,
        active=len(chosen),
        hidden=hidden,
        intermediate=width,
        activation="silu",
        gated=gated,
        bias=bias,
        routing=Routing(kind="active"),
    )
    check(operator, tally, dispatches=len(shapes) + 2)
    assert operator.parameters * len(chosen) == tally.unique("weight") * experts
    one = SomeExperts(**vars(operator), held=1)  # a device an expert: they did all of it together
    parts, whole = experts * one.cost(Precision.of()), operator.cost(Precision.of())
    assert replace(parts, dispatches=whole.dispatches) == whole
    assert one.parameters * experts == operator.parameters


@pytest.mark.parametrize("summed", [False, True])
def test_products_of_chosen_experts(summed: bool) -> None:
    """Two tokens that both choose experts 0 and 2; their results are kept apart, or summed."""
    tokens, experts, chosen, inputs, outputs = 2, 3, (0, 2), 4, 3
    tally = Tally()
    weights = [tally.tensor("weight", outputs, inputs) for _ in range(experts)]
    for _ in range(tokens):
        total = np.array([Num(tally, 0.0)] * outputs, dtype=object)
        for expert in chosen:
            y = tally.write(tally.product(weights[expert], tally.tensor("activation", inputs)))
            if summed:
                total = total + tally.tensor("activation", len(y)) * 0.5
        if summed:
            tally.write(total)
    operator = RoutedLinear(
        tokens=tokens,
        experts=experts,
        active=len(chosen),
        in_features=inputs,
        out_features=outputs,
        summed=summed,
        routing=Routing(kind="active"),
    )
    check(operator, tally, dispatches=2 if summed else 1)
    assert operator.parameters * len(chosen) == tally.unique("weight") * experts
