"""Recurrent mixers over several devices: a device's part is a mixer of fewer channels or heads."""

from typing import Any

import numpy as np
import pytest
from sympy import Integer, expand

import lifesym as ls
from lifesym import symbols as sym
from lifesym.blocks import (
    ChannelMix,
    DeltaNet,
    GatedRecurrence,
    HeadMamba,
    Mamba,
    Mamba2,
    MatrixLSTM,
    TimeMix,
)
from lifesym.model import _named
from lifesym.operators import Operator
from lifesym.serving import disaggregate
from lifesym.trace import Entry, ForwardPass, Trace
from lifesym.transforms import Lora, TensorParallel

SCAN = {"hidden": 24, "head_dim": 4, "state": 5, "kernel": 4, "chunk": 8}
DELTA = {"hidden": 24, "key_dim": 4, "value_dim": 6, "kernel": 4, "chunk": 8}
GRIFFIN = {"hidden": 24, "head_dim": 4, "kernel": 4, "activation": "gelu"}
MEMORY = {"hidden": 24, "key_dim": 4, "value_dim": 6, "chunk": 8}
HEADED = {"hidden": 24, "head_dim": 6, "state": 5, "kernel": 4, "rank": 3, "conv_bias": False}
CHANNELS = {"hidden": 24, "state": 5, "kernel": 4, "rank": 3}
WHOLE_AND_PART: list[tuple[int, Any, Any]] = [
    (2, Mamba(inner=48, **CHANNELS), Mamba(inner=24, **CHANNELS)),
    (3, Mamba(inner=48, norms="affine", **CHANNELS), Mamba(inner=16, norms="affine", **CHANNELS)),
    (2, Mamba2(heads=12, groups=4, **SCAN), Mamba2(heads=6, groups=2, **SCAN)),
    (4, Mamba2(heads=12, groups=4, **SCAN), Mamba2(heads=3, groups=1, **SCAN)),
    (6, Mamba2(heads=12, groups=2, **SCAN), Mamba2(heads=2, groups=1, **SCAN)),
    (
        2,
        DeltaNet(key_heads=4, value_heads=8, **DELTA),
        DeltaNet(key_heads=2, value_heads=4, **DELTA),
    ),
    (
        4,
        DeltaNet(key_heads=4, value_heads=8, inputs="four", **DELTA),
        DeltaNet(key_heads=1, value_heads=2, inputs="four", **DELTA),
    ),
    (
        2,
        DeltaNet(key_heads=2, value_heads=4, inputs="six", negative=True, **DELTA),
        DeltaNet(key_heads=1, value_heads=2, inputs="six", negative=True, **DELTA),
    ),
    (2, GatedRecurrence(heads=6, **GRIFFIN), GatedRecurrence(heads=3, **GRIFFIN)),
    (4, MatrixLSTM(heads=8, **MEMORY), MatrixLSTM(heads=2, **MEMORY)),
    (2, HeadMamba(heads=4, **HEADED), HeadMamba(heads=2, **HEADED)),
    (3, TimeMix(hidden=24, channels=48), TimeMix(hidden=24, channels=16)),
    (4, ChannelMix(hidden=24, intermediate=96), ChannelMix(hidden=24, intermediate=24)),
]


def emitted(block: Any, new: int, past: int) -> Trace:
    step = ForwardPass(batch=Integer(2), new=Integer(new), past=Integer(past))
    rows: list[tuple[str, Operator]] = list(_named(block.operators(step)))
    one = Integer(1)
    return Trace(
        tuple(Entry(section="layers", name=n, count=one, operator=o, copies=one) for n, o in rows)
    )


@pytest.mark.parametrize(("new", "past"), [(1, 9), (13, 0), (13, 9)])
@pytest.mark.parametrize(("devices", "whole", "part"), WHOLE_AND_PART)
def test_a_device_has_a_smaller_mixer(
    devices: int, whole: Any, part: Any, new: int, past: int
) -> None:
    split = emitted(whole.part(Integer(devices)), new, past)
    alone = [e for e in split if e.operator.family != "collective"]
    for entry, expected in zip(alone, emitted(part, new, past), strict=True):
        assert entry.operator == expected.operator, entry.name


def silu(x: Any) -> Any:
    return x / (1 + np.exp(-x))


def test_what_the_devices_of_a_mamba_layer_send_each_other_is_enough() -> None:
    """Four tokens of a small Mamba: each device its channels, partial sums added up twice."""
    random, (hidden, inner, state, rank, tokens) = np.random.default_rng(1), (6, 8, 3, 2, 4)
    x = random.normal(size=(tokens, hidden))
    shapes = {"u": (inner, hidden), "z": (inner, hidden), "x": (rank + 2 * state, inner)}
    shapes |= {"dt": (inner, rank), "a": (inner, state), "d": (inner,), "out": (hidden, inner)}
    w = {name: random.normal(size=shape) / 3 for name, shape in shapes.items()}
    sent: list[int] = []

    def all_reduce(parts: list[Any]) -> Any:
        sent.append(parts[0].size)
        return sum(parts)

    def run(devices: int) -> Any:
        channels = np.split(np.arange(inner), devices)
        u = [silu(x @ w["u"][c].T) for c in channels]
        z = [silu(x @ w["z"][c].T) for c in channels]
        steps = all_reduce([u_ @ w["x"][:, c].T for u_, c in zip(u, channels, strict=True)])
        dt, b, c_ = np.split(steps, [rank, rank + state], axis=1)
        outs = []
        for u_, z_, c in zip(u, z, channels, strict=True):
            delta = np.log1p(np.exp(dt @ w["dt"][c].T))
            h, rows = np.zeros((len(c), state)), []
            for t in range(tokens):
                h = np.exp(-delta[t][:, None] * w["a"][c] ** 2) * h
                h = h + (delta[t] * u_[t])[:, None] * b[t]
                rows.append((h @ c_[t] + w["d"][c] * u_[t]) * z_[t])
            outs.append(np.array(rows) @ w["out"][:, c].T)
        return all_reduce(outs)

    whole = run(1)
    sent.clear()
    assert np.allclose(run(4), whole)
    block = Mamba(hidden=hidden, inner=inner, state=state, kernel=2, rank=rank)
    step = ForwardPass(batch=Integer(1), new=Integer(tokens), past=Integer(0))
    split = [operator for _, operator in block.part(Integer(4)).operators(step)]
    collectives = [operator for operator in split if operator.family == "collective"]
    assert [op.elements for op in collectives] == sent


def test_channels_of_rwkv_need_nothing_from_each_other() -> None:
    """Its channel mixing on four devices: the sum of the rows' parts comes before the gate."""
    random, (hidden, wide, tokens) = np.random.default_rng(3), (6, 8, 4)
    k, r = random.normal(size=(tokens, hidden)), random.normal(size=(tokens, hidden))
    up, down = random.normal(size=(wide, hidden)), random.normal(size=(hidden, wide))
    gate = 1 / (1 + np.exp(-r))
    whole = gate * (np.maximum(k @ up.T, 0) ** 2 @ down.T)
    parts = [np.maximum(k @ up[c].T, 0) ** 2 @ down[:, c].T for c in np.split(np.arange(wide), 4)]
    assert np.allclose(gate * sum(parts), whole)
    split = emitted(ChannelMix(hidden=24, intermediate=96).part(Integer(4)), 5, 0)
    names = [entry.name for entry in split]
    assert names.index("channel_mix:value_all_reduce") < names.index("channel_mix:gate")


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_the_norm_of_mamba_2_needs_one_number_a_token(groups: int) -> None:
    """None where a device has whole groups."""
    random, (tokens, inner) = np.random.default_rng(2), (5, 24)
    y = random.normal(size=(tokens, inner))
    by_group = y.reshape(tokens, groups, -1)
    whole = by_group / np.sqrt((by_group**2).mean(axis=2, keepdims=True))
    mine, sharing = max(1, groups // 4), max(1, 4 // groups)
    parts = [part.reshape(tokens, mine, -1) for part in np.split(y, 4, axis=1)]
    sent = [(part**2).sum(axis=2) for part in parts]
    again = []
    for device, part in enumerate(parts):
        first = device // sharing * sharing
        squares = sum(sent[first : first + sharing])
        again.append(part / np.sqrt(squares * groups / inner)[:, :, None])
    joined = np.concatenate([part.reshape(tokens, -1) for part in again], axis=1)
    assert np.allclose(joined, whole.reshape(tokens, -1))
    split = emitted(Mamba2(heads=24, groups=groups, **SCAN).part(Integer(4)), tokens, 0)
    sums = [e.operator for e in split if e.operator.family == "collective"]
    norms = [(2 * sent[0].size, sharing)] if sharing > 1 else []
    assert [(s.elements, s.devices) for s in sums] == [*norms, (2 * tokens * 24, 4)]


@pytest.mark.parametrize(
    "name", ["mamba-130m", "jamba-v0.1", "qwen3-next-80b-a3b", "zamba2-2.7b", "rwkv-4-430m"]
)
def test_devices_hold_their_part_of_the_states(name: str) -> None:
    model, device = ls.load_model(name), ls.load_hardware("a100")
    one, two = (
        ls.forecast(model, device, 30, 4, batch=2, weights="bf16", tensor_parallel=n)
        for n in (1, 2)
    )
    states = [f.trace(1, 0).state_bytes(f.precision) for f in (one, two)]
    assert states[0] == model.kv_bytes(0, one.precision.kv)
    replicated = 2 * states[1] - states[0]  # B and C of one group; the last token of RWKV
    assert 0 <= replicated < states[0] / 3
    assert (replicated == 0) == (name not in ("zamba2-2.7b", "rwkv-4-430m"))
    held = [{part.name: part.value for part in f.memory.parts}["KV cache"] for f in (one, two)]
    assert 2 * held[1] - held[0] == 2 * replicated
    sent = [disaggregate(f, f, bandwidth=1, latency=0).transfer.expr for f in (one, two)]
    assert 2 * sent[1] - sent[0] == 2 * replicated


def test_one_device_does_everything() -> None:
    for family in ("mamba", "mamba2", "qwen3_next"):
        trace = ls.Model.symbolic(family).forward(sym.batch, sym.new, sym.past)
        part = TensorParallel(devices=sym.devices)(trace)
        at = {sym.devices: Integer(1), sym.kv_heads: Integer(4), sym.scan_groups: Integer(3)}
        for (name, whole), (_, one) in zip(trace.cost().items(), part.cost().items(), strict=True):
            assert expand((one - whole).xreplace(at)) == 0, (family, name)


def test_adapters_of_a_mixer_follow_its_projections() -> None:
    targets = ("mamba2_mixer:in_proj", "mamba2_mixer:out_proj")
    model = ls.load_model("codestral-mamba-7b").part(2)
    split = {e.name: e.operator for e in Lora(rank=4, targets=targets)(model.forward(1, 3, 0))}
    into, out = (split[name] for name in targets)
    assert split[f"{targets[0]}_lora_b"].out_features == into.out_features
    assert split[f"{targets[1]}_lora_a"].in_features == out.in_features
    assert (
        split[f"{targets[0]}_lora_a"].out_features,
        split[f"{targets[1]}_lora_b"].out_features,
    ) == (
        4,
        out.out_features,
    )
    assert sum("all_reduce" in name for name in split) == 2  # embedding, out_proj
