"""Recurrent operators against their own arithmetic, and chunks against single steps.

The same loops as in `test_brute_force`: numbers that report every operation. They compute too, so
that a scan in chunks is seen to give what the recurrence gives.
"""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from sympy import Integer
from test_brute_force import Num, Tally

from lifesym.cost import FLOPS_PER_MAC
from lifesym.formats import Precision
from lifesym.operators import (
    WKV,
    CausalConv,
    ChannelDeltaRule,
    Delay,
    DeltaRule,
    DualScan,
    GatedUnit,
    HeadConv,
    LightningScan,
    LocalFilter,
    MatrixMemory,
    SelectiveScan,
    TokenShift,
)
from lifesym.operators.chunked import ChunkedScan
from lifesym.operators.recurrent import RecentInputs, Recurrent

Array = np.ndarray


def exp(number: Num) -> Num:
    return number.exp()


def softplus(number: Num) -> Num:
    """Exponential, addition, logarithm."""
    return (number.exp() + 1)._do(0, lambda a, _: math.log(a))


def sigmoid(number: Num) -> Num:
    """Exponential, addition, division."""
    return ((-number).exp() + 1)._do(0, lambda a, _: 1 / a)


def zeros(tally: Tally, *shape: int) -> Array:
    return np.array([Num(tally, 0.0) for _ in range(math.prod(shape))], dtype=object).reshape(shape)


def sum_of(numbers: Any) -> Num:
    """One addition for each number after the first."""
    first, *others = numbers
    for each in others:
        first = first + each
    return first


def largest(numbers: Any) -> Num:
    """One comparison for each number after the first."""
    first, *others = numbers
    for each in others:
        first = first.largest(each)
    return first


def padded(tally: Tally, rows: Array, count: int) -> Array:
    return np.concatenate([rows, zeros(tally, count - len(rows), *rows.shape[1:])])


def plain(array: Array) -> Array:
    return np.vectorize(lambda n: n.value, otypes=[float])(array)


def check(operator: Recurrent, tally: Tally, state: int) -> None:
    """Operations and bytes of an execution with bf16 values, and fp32 states of scans."""
    cost = operator.cost(Precision.of())
    width = 2 if isinstance(operator, RecentInputs) else 4
    assert cost.matmul_flops == FLOPS_PER_MAC * tally.macs
    assert cost.vector_flops == tally.ops
    assert cost.weight_bytes == 2 * tally.unique("weight") == 2 * operator.parameters
    assert cost.activation_read_bytes == 2 * tally.unique("activation")
    assert cost.activation_write_bytes == 2 * tally.written
    assert cost.kv_read_bytes == cost.kv_write_bytes == width * state
    assert operator.batch * operator.state_elements == state


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("new", "kernel"), [(1, 2), (1, 4), (2, 2), (5, 3), (9, 4)])
def test_convolution(new: int, kernel: int, bias: bool) -> None:
    """Without padding as many outputs as tokens; with it those of the whole padded input."""
    batch, channels = 2, 3
    tally = Tally()
    x = tally.tensor("activation", batch, channels, new)
    before = tally.tensor("kv", batch, channels, kernel)
    taps = tally.tensor("weight", channels, kernel)
    offset = tally.tensor("weight", channels) if bias else None
    for b, c in product(range(batch), range(channels)):
        inputs = np.concatenate([before[b, c], x[b, c]])
        for t in range(new):
            y = tally.product(inputs[t + 1 : t + 1 + kernel], taps[c])
            tally.write(np.array([y if offset is None else y + offset[c]], dtype=object))
    sizes: dict[str, Any] = {"batch": batch, "new": new, "channels": channels, "kernel": kernel}
    check(CausalConv(**sizes, bias=bias, padded=False), tally, before.size)
    for past in (0, 1, 7):
        state = kernel if past else max(0, kernel - new)
        whole = np.convolve(np.ones(state + new), np.ones(kernel))
        outputs = CausalConv(**sizes, started=min(past, 1)).outputs
        assert outputs == (len(whole) if new > 1 else 2)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("new", "kernel"), [(1, 2), (1, 4), (2, 2), (5, 3)])
def test_convolution_whose_single_tokens_are_summed_up(new: int, kernel: int, bias: bool) -> None:
    """Several tokens: those of a convolution that is padded on both sides."""
    channels, tally = 3, Tally()
    x = tally.tensor("activation", channels, new)
    before = tally.tensor("kv", channels, kernel - 1)
    taps, offset = tally.tensor("weight", channels, kernel), tally.tensor("weight", channels)
    edge = zeros(tally, kernel - 1)
    for c in range(channels):
        inputs = np.concatenate([before[c] if new == 1 else edge, x[c], edge])
        count = new if new == 1 else new + kernel - 1
        seen = [inputs[t : t + kernel] for t in range(count)]
        outputs = [
            sum_of(each * taps[c]) if new == 1 else tally.product(each, taps[c]) for each in seen
        ]
        for y in outputs[:new]:
            tally.write(np.array([y + offset[c] if bias else y], dtype=object))
    operator = CausalConv(
        batch=1, new=new, channels=channels, kernel=kernel, bias=bias, alone="sum", started=1
    )
    check(operator, tally, before.size)


@pytest.mark.parametrize(("new", "kernel", "inner"), [(1, 2, 2), (4, 2, 3), (3, 3, 2), (1, 3, 1)])
def test_convolution_of_channels_then_of_heads(new: int, kernel: int, inner: int) -> None:
    heads, size, tally = 2, 3, Tally()
    channels = heads * size
    before = tally.tensor("kv", channels, kernel + inner - 2)
    x = np.concatenate([before, tally.tensor("activation", channels, new)], axis=1)
    taps, offsets = tally.tensor("weight", channels, kernel), tally.tensor("weight", 2, channels)
    mixing = tally.tensor("weight", heads, size, size * inner)
    count = new + inner - 1
    first = np.array(
        [
            [tally.product(x[c, t : t + kernel], taps[c]) + offsets[0, c] for t in range(count)]
            for c in range(channels)
        ]
    )
    for head, t in product(range(heads), range(new)):
        own = slice(head * size, head * size + size)
        seen = first[own, t : t + inner].ravel()
        tally.write(tally.product(mixing[head], seen) + offsets[1, own])
    operator = HeadConv(
        batch=1, new=new, channels=channels, head_dim=size, kernel=kernel, head_kernel=inner
    )
    check(operator, tally, before.size)


@pytest.mark.parametrize("started", [0, 1])
@pytest.mark.parametrize(("new", "kernel"), [(1, 2), (4, 2), (3, 3)])
def test_two_convolutions_of_all_channels(new: int, kernel: int, started: int) -> None:
    """Both are padded on both sides, and what is not of the new tokens is dropped."""
    channels, inner, more, tally = 4, 2, kernel - 1, Tally()
    before = tally.tensor("kv", 2 * more, channels)
    x = tally.tensor("activation", new, channels)
    edge = zeros(tally, more, max(channels, inner))
    taps = tally.tensor("weight", inner, kernel * channels), tally.tensor("weight", inner)
    others = tally.tensor("weight", channels, kernel * inner), tally.tensor("weight", channels)

    def convolved(rows: Array, weights: Array, offsets: Array) -> Array:
        """Every window of the padded rows."""
        sides = edge[:, : rows.shape[1]]
        rows = np.concatenate([sides, rows, sides])
        windows = [rows[t : t + kernel].ravel() for t in range(len(rows) - more)]
        return np.array([tally.product(weights, each) + offsets for each in windows])

    first = convolved(np.concatenate([before, x]) if started else x, *taps)
    kept = first[more * started : len(first) - more]
    second = convolved(kept, *others)
    for y in second[more * started : len(second) - more]:
        tally.write(y)
    operator = LocalFilter(
        batch=1, new=new, channels=channels, inner=inner, kernel=kernel, started=started
    )
    assert len(kept) == new + more * started
    check(operator, tally, before.size)


@pytest.mark.parametrize("new", [1, 4])
def test_delay(new: int) -> None:
    tally = Tally()
    x, last = tally.tensor("activation", new, 3), tally.tensor("kv", 1, 3)
    tally.write(np.vectorize(tally.load)(np.concatenate([last, x])[:-1]))
    np.vectorize(tally.load)(x[-1])  # kept for the next pass
    check(Delay(batch=1, new=new, features=3), tally, last.size)


@pytest.mark.parametrize(("batch", "new", "channels"), [(1, 1, 2), (2, 3, 1), (1, 4, 3)])
def test_gated_unit(batch: int, new: int, channels: int) -> None:
    tally = Tally()
    x, into, decay = (tally.tensor("activation", batch, new, channels) for _ in range(3))
    rates, h = tally.tensor("weight", channels), tally.tensor("kv", batch, channels)
    size = h.size
    for b, t, c in product(range(batch), range(new), range(channels)):
        a = (sigmoid(decay[b, t, c]) * rates[c]).exp()
        root = (Num(tally, 1.0) - a * a)._do(0, lambda n, _: math.sqrt(abs(n)))
        h[b, c] = h[b, c] * a + x[b, t, c] * sigmoid(into[b, t, c]) * root
        tally.write(np.array([h[b, c]], dtype=object))
    check(GatedUnit(batch=batch, new=new, channels=channels), tally, size)


@pytest.mark.parametrize(
    ("batch", "new", "inner", "state", "groups"),
    [(1, 1, 2, 3, 1), (2, 3, 1, 2, 1), (1, 2, 4, 3, 2)],
)
def test_selective_scan(batch: int, new: int, inner: int, state: int, groups: int) -> None:
    tally = Tally()
    x, steps, z = (tally.tensor("activation", batch, new, inner) for _ in range(3))
    shared = [tally.tensor("activation", batch, new, groups, state) for _ in range(2)]
    into, out = (each.repeat(inner // groups, axis=2) for each in shared)
    decay, skip = tally.tensor("weight", inner, state), tally.tensor("weight", inner)
    h = tally.tensor("kv", batch, inner, state)
    size = h.size
    for b, t, c in product(range(batch), range(new), range(inner)):
        step = softplus(steps[b, t, c])
        for n in range(state):
            kept = h[b, c, n] * (step * decay[c, n]).exp()
            h[b, c, n] = kept + step * into[b, t, c, n] * x[b, t, c]
        y = tally.product(h[b, c], out[b, t, c]) + x[b, t, c] * skip[c]
        gate = z[b, t, c] * sigmoid(z[b, t, c])
        tally.write(np.array([y * gate], dtype=object))
    operator = SelectiveScan(batch=batch, new=new, inner=inner, state=state, groups=groups)
    check(operator, tally, size)


class Dual:
    """The scan of Mamba-2 for one sequence and one head, both ways."""

    def __init__(self, new: int, wide: int, deep: int) -> None:
        self.tally, self.new, self.wide, self.deep = Tally(), new, wide, deep
        tally = self.tally
        self.x = tally.tensor("activation", new, wide)
        self.steps = tally.tensor("activation", new)
        self.into, self.out = (tally.tensor("activation", new, deep) for _ in range(2))
        self.bias, self.decay, self.skip = tally.tensor("weight", 3)
        self.h = tally.tensor("kv", wide, deep)

    def inputs(self) -> tuple[Array, Array]:
        """Inputs and logarithms of decays, times the time steps."""
        steps = [softplus(step + self.bias) for step in self.steps]
        logs = np.array([step * self.decay for step in steps], dtype=object)
        return np.array([x * s for x, s in zip(self.x, steps, strict=True)]), logs

    def outputs(self, y: Array) -> Array:
        return self.tally.write(y + self.x * self.skip)

    def stepwise(self) -> Array:
        x, logs = self.inputs()
        rows = []
        for t in range(self.new):
            self.h = self.h * exp(logs[t]) + np.multiply.outer(x[t], self.into[t])
            rows.append(self.tally.product(self.h, self.out[t]))
        return self.outputs(np.array(rows))

    def chunked(self, length: int) -> Array:
        tally = self.tally
        count = -(-self.new // length)
        x, logs = self.inputs()
        x, logs, into, out = (
            padded(tally, rows, count * length).reshape(count, length, *rows.shape[1:])
            for rows in (x, logs, self.into, self.out)
        )
        states, sums, inside = [self.h], [], []
        for c in range(count):
            total, sum_c = Num(tally, 0.0), []
            for step in logs[c]:
                total = total + step
                sum_c.append(total)
            scores = tally.product(out[c], into[c].T)
            for i, j in np.ndindex(length, length):
                weight = (sum_c[i] - sum_c[j]).exp()
                scores[i, j] = scores[i, j] * (weight if j <= i else Num(tally, 0.0))
            inside.append(tally.product(scores, x[c]))
            left = np.array([(sum_c[-1] - each).exp() for each in sum_c])
            states.append(tally.product(x[c].T, into[c] * left[:, None]))
            sums.append(sum_c)
        ends = np.cumsum([0.0] + [sum_c[-1].value for sum_c in sums])
        between = np.tril(np.exp(np.minimum(ends[:, None] - ends[None, :], 0)))
        factors = np.vectorize(lambda value: Num(tally, value))(between)
        flat = tally.product(factors, np.array([state.ravel() for state in states]))
        rows = []
        for c in range(count):
            before = flat[c].reshape(self.wide, self.deep)
            scale = np.array([exp(each) for each in sums[c]])
            rows.append(tally.product(out[c], before.T) * scale[:, None] + inside[c])
        return self.outputs(np.concatenate(rows)[: self.new])


class Delta:
    """The gated delta rule for one sequence and one head, both ways."""

    def __init__(self, new: int, wide: int, deep: int) -> None:
        self.tally, self.new, self.wide, self.deep = Tally(), new, wide, deep
        tally = self.tally
        self.q, self.k = (tally.tensor("activation", new, deep) for _ in range(2))
        self.v = tally.tensor("activation", new, wide)
        self.a, self.b = (tally.tensor("activation", new) for _ in range(2))
        self.bias, self.decay = tally.tensor("weight", 2)
        self.h = tally.tensor("kv", deep, wide)

    def gates(self) -> tuple[Array, Array]:
        logs = [softplus(a + self.bias) * self.decay for a in self.a]
        return np.array(logs), np.array([sigmoid(b) for b in self.b])

    def stepwise(self) -> Array:
        logs, betas = self.gates()
        zero, rows = zeros(self.tally, self.wide), []
        for t in range(self.new):
            state = self.h * exp(logs[t])
            memory = sum(state * self.k[t][:, None], zero)
            error = (self.v[t] - memory) * betas[t]
            self.h = state + np.multiply.outer(self.k[t], error)
            rows.append(sum(self.h * self.q[t][:, None], zero))
        return self.tally.write(np.array(rows))

    def chunked(self, length: int) -> Array:
        tally = self.tally
        count = -(-self.new // length)
        logs, betas = self.gates()
        parts = (self.q, self.k, self.v, logs, betas)
        chunks = zip(
            *(
                padded(tally, rows, count * length).reshape(count, length, *rows.shape[1:])
                for rows in parts
            ),
            strict=True,
        )
        return tally.write(np.concatenate([self._chunk(*each) for each in chunks])[: self.new])

    def _chunk(self, q: Array, k: Array, v: Array, logs: Array, betas: Array) -> Array:
        tally, length = self.tally, len(q)
        total, sums = Num(tally, 0.0), []
        for step in logs:
            total = total + step
            sums.append(total)
        v_beta, k_beta = v * betas[:, None], k * betas[:, None]
        system, scores = tally.product(k_beta, k.T), tally.product(q, k.T)
        for i, j in np.ndindex(length, length):
            weight = (sums[i] - sums[j]).exp()
            weight = weight if j <= i else Num(tally, 0.0)
            system[i, j], scores[i, j] = system[i, j] * weight, scores[i, j] * weight
        grown = np.array([exp(each) for each in sums])
        right = np.concatenate([v_beta, k_beta * grown[:, None]], axis=1)
        for i in range(length):
            for j in range(i):
                right[i] = right[i] - right[j] * system[i, j]
        values, keys = right[:, : self.wide], right[:, self.wide :]
        fresh = values - tally.product(keys, self.h)
        y = tally.product(q * grown[:, None], self.h) + tally.product(scores, fresh)
        left = np.array([(sums[-1] - each).exp() for each in sums])
        self.h = self.h * grown[-1] + tally.product((k * left[:, None]).T, fresh)
        return y


class ChannelDelta(Delta):
    """The same with a decay a channel, whose scores of a chunk are no matrix products."""

    def __init__(self, new: int, wide: int, deep: int) -> None:
        super().__init__(new, wide, deep)
        self.tally = tally = Tally()
        self.q, self.k = (tally.tensor("activation", new, deep) for _ in range(2))
        self.v, self.a = (
            tally.tensor("activation", new, wide),
            tally.tensor("activation", new, deep),
        )
        self.b = tally.tensor("activation", new)
        self.bias, self.decay = tally.tensor("weight", deep), tally.tensor("weight", 1)[0]
        self.h = tally.tensor("kv", deep, wide)

    def gates(self) -> tuple[Array, Array]:
        logs = [[softplus(n) * self.decay for n in a + self.bias] for a in self.a]
        return np.array(logs), np.array([sigmoid(b) for b in self.b])

    def stepwise(self) -> Array:
        logs, betas = self.gates()
        zero, rows = zeros(self.tally, self.wide), []
        for t in range(self.new):
            state = self.h * np.array([exp(each) for each in logs[t]])[:, None]
            memory = sum(state * self.k[t][:, None], zero)
            error = (self.v[t] - memory) * betas[t]
            self.h = state + np.multiply.outer(self.k[t], error)
            rows.append(sum(self.h * self.q[t][:, None], zero))
        return self.tally.write(np.array(rows))

    def _chunk(self, q: Array, k: Array, v: Array, logs: Array, betas: Array) -> Array:
        tally, length = self.tally, len(q)
        total, sums = zeros(tally, self.deep), []
        for step in logs:
            total = total + step
            sums.append(total)
        v_beta, k_beta = v * betas[:, None], k * betas[:, None]
        zero = Num(tally, 0.0)
        system, scores = (np.empty((length, length), dtype=object) for _ in range(2))
        for i, j in np.ndindex(length, length):
            weights = np.array([each.exp() for each in sums[i] - sums[j]])
            for table, rows in ((system, k_beta), (scores, q)):
                entry = sum(rows[i] * k[j] * weights, zero)
                table[i, j] = entry if j <= i and (table is scores or j < i) else zero
        inverse = np.vectorize(lambda n: Num(tally, -n.value))(system)
        for i in range(1, length):
            row, above = inverse[i, :i].copy(), inverse[:i, :i].copy()
            inverse[i, :i] = sum(row[:, None] * above, row)
        for i in range(length):
            inverse[i, i] = Num(tally, 1.0)
        grown = np.array([[exp(each) for each in row] for row in sums])
        values, keys = tally.product(inverse, v_beta), tally.product(inverse, k_beta * grown)
        fresh = values - tally.product(keys, self.h)
        y = tally.product(q * grown, self.h) + tally.product(scores, fresh)
        left = np.array([[each.exp() for each in sums[-1] - row] for row in sums])
        self.h = self.h * grown[-1][:, None] + tally.product((k * left).T, fresh)
        return y


class BoundedDelta(ChannelDelta):
    """The same whose decays have a bound."""

    def gates(self) -> tuple[Array, Array]:
        logs = [[sigmoid(n * self.decay) * -5.0 for n in a + self.bias] for a in self.a]
        return np.array(logs), np.array([sigmoid(b) for b in self.b])


class Lightning:
    """Linear attention with a fixed decay for one sequence and one head, both ways."""

    decay = 0.9

    def __init__(self, new: int, wide: int, deep: int) -> None:
        self.tally, self.new, self.wide = Tally(), new, wide
        tally = self.tally
        self.q, self.k, self.v = (tally.tensor("activation", new, wide) for _ in range(3))
        self.h = tally.tensor("kv", wide, wide)

    def stepwise(self) -> Array:
        rows = []
        for q, k, v in zip(self.q, self.k, self.v, strict=True):
            self.h = self.h * self.decay + self.tally.product(k[:, None], v[None, :])
            rows.append(self.tally.product(q, self.h))
        return self.tally.write(np.array(rows))

    def chunked(self, length: int) -> Array:
        tally, rows = self.tally, []
        for first in range(0, self.new, length):
            q, k, v = (each[first : first + length] for each in (self.q, self.k, self.v))
            size = len(q)
            ages = np.arange(1, size + 1)
            apart = ages[:, None] - ages[None, :]
            inside = np.where(apart >= 0, self.decay ** np.maximum(apart, 0), 0.0)
            scores = tally.product(q, k.T) * inside
            before = tally.product(q * (self.decay**ages)[:, None], self.h)
            rows += list(before + tally.product(scores, v))
            left = k * (self.decay ** (size - ages))[:, None]
            self.h = self.h * self.decay**size + tally.product(left.T, v)
        return tally.write(np.array(rows))


class Memory:
    """The mLSTM for one sequence and one head: matrix, normalizer and exponent in one state."""

    def __init__(self, new: int, wide: int, deep: int) -> None:
        self.tally, self.new, self.wide, self.deep = Tally(), new, wide, deep
        tally = self.tally
        self.q, self.k = (tally.tensor("activation", new, deep) for _ in range(2))
        self.v = tally.tensor("activation", new, wide)
        self.into, self.forget = (tally.tensor("activation", new) for _ in range(2))
        self.h = tally.tensor("kv", deep * wide + deep + 1)
        self.scale = deep**-0.5

    def state(self) -> tuple[Array, Array, Num]:
        matrix = self.h[: -self.deep - 1].reshape(self.deep, self.wide)
        return matrix, self.h[-self.deep - 1 : -1], self.h[-1]

    def keep(self, matrix: Array, total: Array, top: Num) -> None:
        self.h = np.concatenate([matrix.ravel(), total, [top]])

    def minus(self, number: Num) -> Num:
        """Free, as a sign is."""
        return Num(self.tally, -number.value)

    def log_sigmoid(self, number: Num) -> Num:
        number.touch()
        return self.minus(softplus(self.minus(number)))

    def divided(self, above: Array, below: Num, top: Num) -> Array:
        size = below._do(0, lambda n, _: abs(n)).largest(self.minus(top).exp()) + 1e-6
        return above / size

    def stepwise(self, first: int = 0) -> Array:
        rows = []
        for t in range(first, self.new):
            matrix, total, old = self.state()
            carried = self.log_sigmoid(self.forget[t]) + old
            top = carried.largest(self.into[t])
            forget, into = (carried - top).exp(), (self.into[t] - top).exp()
            q = self.q[t] * self.scale
            outer = self.tally.product(self.k[t][:, None], self.v[t][None, :])
            self.keep(matrix * forget + outer * into, total * forget + self.k[t] * into, top)
            matrix, total, top = self.state()
            below = self.tally.product(q, total)
            rows.append(self.divided(self.tally.product(q, matrix), below, top))
        return self.tally.write(np.array(rows))

    def chunked(self, length: int) -> Array:
        whole = self.new // length * length
        rows = [self.chunk(slice(first, first + length)) for first in range(0, whole, length)]
        done = [self.tally.write(np.concatenate(rows))] if rows else []
        return np.concatenate([*done, self.stepwise(whole)] if whole < self.new else done)

    def chunk(self, part: slice) -> Array:
        q, k, v, into = self.q[part], self.k[part], self.v[part], self.into[part]
        tally, (matrix, total, old) = self.tally, self.state()
        grown, last = [], Num(tally, 0.0)
        for number in self.forget[part]:
            last = last + self.log_sigmoid(number)
            grown.append(last)
        before, rows = [each + old for each in grown], []
        logs = np.array([[b - a + i for a, i in zip(grown, into, strict=True)] for b in grown])
        seen = np.tril(np.ones(logs.shape)) > 0
        logs = np.where(seen, logs, Num(tally, -1e9))
        tops = [largest([b, *row]) for b, row in zip(before, logs, strict=True)]
        weights = np.array(
            [[(n - m).exp() for n in row] for m, row in zip(tops, logs, strict=True)]
        )
        scores = tally.product(q, k.T) * self.scale * weights
        kept = np.array([(b - m).exp() for b, m in zip(before, tops, strict=True)])
        gated = q * kept[:, None] * self.scale
        above = tally.product(gated, matrix) + tally.product(scores, v)
        below = tally.product(gated, total[:, None])[:, 0]
        for i, top in enumerate(tops):
            rows.append(self.divided(above[i], sum_of([below[i], *scores[i]]), top))
        left = [last - a + i for a, i in zip(grown, into, strict=True)]
        carried = last + old
        top = largest([carried, *left])
        keys = k * np.array([(each - top).exp() for each in left])[:, None]
        forget = (carried - top).exp()
        sums = [sum_of([n * forget, *column]) for n, column in zip(total, keys.T, strict=True)]
        self.keep(matrix * forget + tally.product(keys.T, v), np.array(sums), top)
        return np.array(rows)


def _dual(**more: Any) -> DualScan:
    return DualScan(batch=1, heads=1, groups=1, head_dim=2, state=3, **more)


def _delta(**more: Any) -> DeltaRule:
    return DeltaRule(batch=1, heads=1, key_heads=1, value_dim=2, key_dim=3, **more)


def _channel_delta(**more: Any) -> ChannelDeltaRule:
    return ChannelDeltaRule(batch=1, heads=1, key_heads=1, value_dim=2, key_dim=3, **more)


def _bounded_delta(**more: Any) -> ChannelDeltaRule:
    return _channel_delta(bounded=True, **more)


def _lightning(**more: Any) -> LightningScan:
    return LightningScan(batch=1, heads=1, head_dim=2, **more)


def _memory(**more: Any) -> MatrixMemory:
    return MatrixMemory(batch=1, heads=1, value_dim=2, key_dim=3, **more)


BOTH = [
    (Memory, _memory),
    *((Dual, _dual), (Delta, _delta)),
    *((ChannelDelta, _channel_delta), (BoundedDelta, _bounded_delta), (Lightning, _lightning)),
]


@pytest.mark.parametrize(("run", "operator"), BOTH)
@pytest.mark.parametrize("new", [1, 2, 5])
def test_steps(run: Any, operator: Callable[..., ChunkedScan], new: int) -> None:
    execution = run(new, 2, 3)
    execution.stepwise()
    check(operator(new=new), execution.tally, execution.h.size)


@pytest.mark.parametrize(("run", "operator"), BOTH)
@pytest.mark.parametrize(("new", "length"), [(2, 4), (4, 4), (5, 2), (7, 3), (3, 1)])
def test_chunks_count_as_stated_and_compute_the_recurrence(
    run: Any, operator: Callable[..., ChunkedScan], new: int, length: int
) -> None:
    execution, other = run(new, 2, 3), run(new, 2, 3)
    result = execution.chunked(length)
    check(operator(new=new, chunk=Integer(length)), execution.tally, execution.h.size)
    assert np.allclose(plain(result), plain(other.stepwise()))


@pytest.mark.parametrize(("run", "operator"), BOTH)
def test_one_token_is_one_step_in_any_chunk(run: Any, operator: Callable[..., ChunkedScan]) -> None:
    step = operator(new=1).cost(Precision.of())
    assert operator(new=1, chunk=Integer(64)).cost(Precision.of()) == step


@pytest.mark.parametrize(("new", "features", "mixes"), [(1, 2, 3), (4, 3, 2)])
def test_token_shift(new: int, features: int, mixes: int) -> None:
    tally = Tally()
    x, last = tally.tensor("activation", new, features), tally.tensor("kv", 1, features)
    shares = tally.tensor("weight", mixes, features)
    rest = np.vectorize(lambda n: Num(tally, 1 - n.value))(shares)
    shifted = np.concatenate([last, x[:-1]])
    for share, other in zip(shares, rest, strict=True):
        tally.write(x * share + shifted * other)
    operator = TokenShift(batch=1, new=new, features=features, mixes=mixes)
    check(operator, tally, last.size)


@pytest.mark.parametrize("new", [1, 3])
def test_wkv(new: int) -> None:
    """The stable form: the largest exponent so far is kept apart."""
    tally, channels = Tally(), 2
    keys, values = (tally.tensor("activation", new, channels) for _ in range(2))
    decay, bonus = (tally.tensor("weight", channels) for _ in range(2))
    state = tally.tensor("kv", 3, channels)
    for t, c in product(range(new), range(channels)):
        above, below, top = state[:, c]
        key, value = keys[t, c], values[t, c]
        now = key + bonus[c]
        largest = top.largest(now)
        old, fresh = (top - largest).exp(), (now - largest).exp()
        weighted = old * above + fresh * value
        tally.write(np.array([weighted / (old * below + fresh)], dtype=object))
        faded = top + decay[c]
        largest = faded.largest(key)
        old, fresh = (faded - largest).exp(), (key - largest).exp()
        state[:, c] = old * above + fresh * value, old * below + fresh, largest
    check(WKV(batch=1, new=new, channels=channels), tally, 3 * channels)
