"""What one of several devices holds and computes, part by part, and what it exchanges."""

import pytest
from sympy import Integer, expand

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import SymbolError
from lifesym.operators import AttentionScores, KVAppend, Linear
from lifesym.trace import Trace
from lifesym.transforms import Bottleneck, Lora, TensorParallel


def split(name: str, devices: int) -> tuple[Trace, Trace]:
    plain = ls.load_model(name).forward(2, 3, 10)
    return plain, TensorParallel(devices=devices)(plain)


def outputs(trace: Trace, name: str) -> int:
    return next(int(e.operator.out_features) for e in trace if e.name == name)


@pytest.mark.parametrize(("devices", "heads"), [(2, 4), (8, 1), (16, 1), (32, 1)])
def test_a_device_projects_the_keys_and_values_that_it_caches(devices: int, heads: int) -> None:
    """Llama 3 8B: 8 heads of 128; falcon-40b: 128 query heads and 8 others of 64 in one matrix."""
    _, part = split("llama-3-8b", devices)
    assert outputs(part, "attn_k") == outputs(part, "attn_v") == 128 * heads
    cached = next(e.operator for e in part if isinstance(e.operator, KVAppend))
    core = next(e.operator for e in part if isinstance(e.operator, AttentionScores))
    assert cached.heads == core.kv_heads == heads
    _, fused = split("falcon-40b", devices)
    assert outputs(fused, "attn_qkv_fused") == 64 * (128 // devices + 2 * heads)


def test_an_adapter_of_keys_follows_them() -> None:
    part = Lora(rank=4)(split("llama-3-8b", 16)[1])
    assert outputs(part, "attn_k_lora_a") == 4
    assert outputs(part, "attn_k_lora_b") == 128


MODELS = ["llama-3-8b", "mixtral-8x7b", "qwen1.5-moe-a2.7b", "deepseek-v2-lite", "olmoe-1b-7b"]


@pytest.mark.parametrize("name", [*MODELS, "gemma-3-1b", "gpt2", "bloom-560m", "dbrx"])
def test_products_fit_together(name: str) -> None:
    """Every product by rows reads what the devices' columns before it gave, and is summed up."""
    plain, part = split(name, 2)
    for trace, share in ((plain, 1), (part, 2)):
        for entry in trace:
            operator = entry.operator
            if not isinstance(operator, Linear) or not entry.name.endswith(("attn_o", "_down")):
                continue
            whole = next(e.operator for e in plain if e.path == entry.path)
            assert share * operator.in_features == whole.in_features
            assert operator.out_features == whole.out_features
    reduces = {e.path for e in part if e.name.endswith("all_reduce") and "norm" not in e.name}
    summed = {
        e.path
        for e in plain
        if e.name in ("attn_o", "mlp_down", "moe_experts", "embedding", "moe_shared")
    }
    assert {path.removesuffix("_all_reduce") for path in reduces} == summed


@pytest.mark.parametrize("name", ["qwen1.5-moe-a2.7b", "deepseek-v2-lite"])
def test_shared_experts_are_an_mlp(name: str) -> None:
    """Columns, then rows; the gate of one output is repeated; one all-reduce."""
    plain, part = (
        [e.operator for e in trace if e.name == "moe_shared" and isinstance(e.operator, Linear)]
        for trace in split(name, 2)
    )
    sides = [
        (whole.in_features / half.in_features, whole.out_features / half.out_features)
        for whole, half in zip(plain, part, strict=True)
    ]
    assert sides == [(1, 2), (1, 2), (2, 1), (1, 1)][: len(plain)]


def test_the_vocabulary_is_split_and_rounded_up() -> None:
    _, part = split("gpt2", 4)
    roles = part.weight_roles()
    assert roles["tied_embedding"] == 12565 * 768  # 50257 / 4, rounded up; tied to the head
    messages = part.filter(name="embedding_all_reduce").cost().messages
    assert messages == 2 * 3
    head = part.filter(name="lm_head").cost()
    assert head.weight_bytes == 2 * 12565 * 768


def test_a_device_holds_a_share_of_all_matrices() -> None:
    plain, part = (
        {role: n for role, n in trace.weight_roles().items() if role != "vector"}
        for trace in split("llama-3-8b", 8)
    )
    assert {role: 8 * n for role, n in part.items()} == plain


def test_norms_of_queries_and_keys() -> None:
    """Over each head: rows are split. Over all heads: features are, and the squares summed up."""
    _, part = split("gemma-3-1b", 4)  # 4 query heads, 1 key head
    norms = {e.name: e.operator for e in part if e.name in ("attn_q_norm", "attn_k_norm")}
    assert norms["attn_q_norm"].rows == norms["attn_k_norm"].rows == 6
    _, part = split("olmoe-1b-7b", 4)
    norm = next(e.operator for e in part if e.name == "attn_q_norm")
    assert (norm.rows, norm.features) == (6, 512)
    summed = next(e.operator for e in part if e.name == "attn_q_norm_all_reduce")
    assert summed.elements == 6


def test_bottleneck_adapters_are_repeated() -> None:
    """They read what is summed up, a low-rank adapter's part of it included."""
    alone, adapted = (Bottleneck(width=8)(Lora(rank=4)(t)) for t in split("llama-3-8b", 2))
    names = [entry.name for entry in adapted.filter(section="layers")]
    first = names.index("attn_o")
    after = ("_lora_a", "_lora_b", "_all_reduce", "_adapter_down")
    assert names[first + 1 : first + 5] == [f"attn_o{part}" for part in after]
    for name in ("attn_o_adapter_down", "attn_o_adapter_up", "mlp_down_adapter_act"):
        assert adapted.filter(name=name).cost() == alone.filter(name=name).cost()


def test_one_device_does_everything() -> None:
    trace = ls.Model.symbolic("llama").forward(sym.batch, sym.new, sym.past)
    part = TensorParallel(devices=sym.devices)(trace)
    at = {sym.devices: Integer(1), sym.kv_heads: Integer(4)}
    for (name, whole), (_, one) in zip(trace.cost().items(), part.cost().items(), strict=True):
        assert expand((one - whole).xreplace(at)) == 0, name


@pytest.mark.parametrize(
    ("name", "devices", "message"),
    [
        ("gpt2-xl", 2, "Attention: heads = 25 cannot be split over 2 devices"),
        ("phi-3-medium", 4, "kv_heads = 10 and 4 devices do not divide"),
        ("mamba-130m", 5, "Mamba: inner = 1536 cannot be split over 5 devices"),
        ("codestral-mamba-7b", 3, "Mamba2: heads = 128 cannot be split over 3 devices"),
        ("qwen3-next-80b-a3b", 32, "DeltaNet: key_heads = 16 cannot be split over 32 devices"),
        ("rwkv-4-430m", 3, "TimeMix: channels = 1024 cannot be split over 3 devices"),
    ],
)
def test_what_cannot_be_split_is_named(name: str, devices: int, message: str) -> None:
    with pytest.raises(SymbolError, match=message):
        split(name, devices)
