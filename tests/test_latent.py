"""Latent attention: its three conventions differ only where docs/architectures.md says."""

from itertools import pairwise

import pytest
from sympy import Expr, cancel, expand

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import meeting_points
from lifesym.cost import Cost
from lifesym.trace import Entry, Trace
from lifesym.transforms.fusion import fuse

CONVENTIONS = ("expand", "decompressed", "absorbed")
DIFFERENT = {"attn_kv_b", "kv_append", "attn_qk", "attn_av"}
SIGMA = sym.nope_dim + sym.value_dim


@pytest.fixture(scope="module")
def model() -> ls.Model:
    return ls.Model.symbolic("deepseek_v3")


def layer(model: ls.Model, mla: str) -> Trace:
    trace = model.forward(1, sym.new, sym.past, mla=mla)
    return trace.filter(section="expert_layers")


def flops(model: ls.Model, mla: str, *names: str) -> Expr:
    trace = layer(model, mla)
    total = sum(trace.filter(name=name).cost().matmul_flops for name in names)
    return cancel(total / (sym.layers - sym.dense_layers))


def test_table_of_the_docs(model: ls.Model) -> None:
    keys = sym.past + sym.new
    projected = {"expand": keys, "decompressed": sym.new, "absorbed": sym.new}
    wide = dict.fromkeys(CONVENTIONS, SIGMA + sym.rope_dim)
    wide["absorbed"] = 2 * sym.kv_rank + sym.rope_dim
    for mla in CONVENTIONS:
        up = 2 * projected[mla] * sym.kv_rank * sym.heads * SIGMA
        assert expand(flops(model, mla, "attn_kv_b") - up) == 0
        core = 2 * sym.new * keys * sym.heads * wide[mla]
        assert expand(flops(model, mla, "attn_qk", "attn_av") - core) == 0
    small = sym.layers * (sym.kv_rank + sym.rope_dim)
    large = sym.layers * sym.heads * (SIGMA + sym.rope_dim)
    for mla, elements in zip(CONVENTIONS, (small, large, small), strict=True):
        assert expand(model.kv_bytes_per_token("bf16", mla) - 2 * elements) == 0


def moved(model: ls.Model, mla: str, fusion: str, kv: str = "bf16") -> Cost:
    trace = fuse(model.forward(1, 1, 1000, mla=mla), fusion)
    return trace.cost(kv=kv)


@pytest.mark.parametrize("fusion", ["flash", "full", "layer"])
def test_a_fused_kernel_reads_a_latent_once(fusion: str) -> None:
    v3 = ls.load_model("deepseek-v3")
    assert moved(v3, "absorbed", fusion).kv_read_bytes == 61 * 1001 * (512 + 64) * 2
    assert moved(v3, "absorbed", "none").kv_read_bytes == 61 * 1001 * (2 * 512 + 64) * 2
    large = moved(v3, "decompressed", fusion)
    assert large.kv_read_bytes == 61 * 1001 * 128 * (128 + 64 + 128) * 2


def test_expanding_reads_the_small_cache_and_moves_what_it_expands() -> None:
    v3 = ls.load_model("deepseek-v3")
    for kv, width in (("bf16", 2), ("int8", 1)):
        assert moved(v3, "expand", "none", kv).kv_read_bytes == 61 * 1001 * (512 + 64) * width
    plain, wide = (moved(v3, mla, "flash") for mla in ("absorbed", "expand"))
    more = wide.activation_write_bytes - plain.activation_write_bytes
    expanded = 1001 * (128 * 256 + 64)
    absorbed_queries, absorbed_outputs = 128 * 512, 128 * (512 + 128)
    core = 128 * 128  # what the attention itself writes when the values are expanded
    assert more == 61 * 2 * (expanded + core - absorbed_queries - absorbed_outputs)


def test_everything_else_is_the_same(model: ls.Model) -> None:
    def others(mla: str) -> list[Entry]:
        trace = model.forward(sym.batch, sym.new, sym.past, mla=mla)
        return [entry for entry in trace if entry.name not in DIFFERENT]

    for first, second in pairwise(CONVENTIONS):
        assert others(first) == others(second)


def test_same_weights(model: ls.Model) -> None:
    shapes = [model.forward(1, 1, 0, mla=mla).weight_roles() for mla in CONVENTIONS]
    totals = [expand(sum(roles.values())) for roles in shapes]
    assert totals[0] == totals[1] == totals[2]


def test_crossover_of_expanding_and_absorbing(model: ls.Model) -> None:
    names = ("attn_kv_b", "attn_qk", "attn_av")
    costs = [flops(model, mla, *names) for mla in ("expand", "absorbed")]
    (found,) = meeting_points(*costs, sym.past)
    delta = 2 * sym.kv_rank - SIGMA
    stated = sym.new**2 * delta / (sym.kv_rank * SIGMA - sym.new * delta)
    assert cancel(found - stated) == 0
    v3 = {sym.kv_rank: 512, sym.nope_dim: 128, sym.value_dim: 128}
    assert 0 < found.subs({**v3, sym.new: 1}) < 1
    assert (sym.kv_rank * SIGMA / delta).subs(v3) == pytest.approx(170.67, abs=0.01)
    assert found.subs({**v3, sym.new: 170}) > 0 > found.subs({**v3, sym.new: 171})
