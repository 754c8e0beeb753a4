"""Options that meet: what one of them must not break in another."""

from dataclasses import replace

import pytest
from sympy import Integer, Rational, cancel

import lifesym as ls
from lifesym import symbols as sym
from lifesym.blocks import Attention
from lifesym.errors import SymbolError
from lifesym.levels import Level
from lifesym.model import _named
from lifesym.operators import Routing
from lifesym.serving import speculate
from lifesym.specs import names
from lifesym.trace import Entry, ForwardPass, Trace
from lifesym.transforms import (
    Bottleneck,
    CachePolicy,
    Fusion,
    Lora,
    SequenceParallel,
    TensorParallel,
)

DECODERS = [
    name
    for name in ("gpt2", "bloom-560m", "mpt-7b", "falcon-40b", "phi-3-mini-4k", "dbrx")
    if name in names("models")
]
SPARSE = ["mixtral-8x7b", "deepseek-v2", "qwen1.5-moe-a2.7b"]


def forecast(name: str = "tinyllama-1.1b", **more: object) -> ls.Forecast:
    workload: dict[str, object] = {"prompt": 40, "generate": 5} | more
    return ls.forecast(ls.load_model(name), ls.load_hardware("a100"), **workload)


@pytest.mark.parametrize("fusion", ["flash", "full", "layer"])
@pytest.mark.parametrize("name", ["tinyllama-1.1b", "deepseek-v2-lite"])
def test_ranked_scores_stay_in_a_fused_kernel(name: str, fusion: str) -> None:
    """Of the ranking only its operations are left: no traffic and no dispatch."""
    plain, ranked = (
        Fusion(rules=fusion)(
            CachePolicy(budget=20, scored=scored)(ls.load_model(name).forward(1, 1, 100))
        ).cost()
        for scored in (False, True)
    )
    assert ranked.vector_flops > plain.vector_flops
    for field in ("activation_read_bytes", "activation_write_bytes", "dispatches"):
        assert getattr(ranked, field) == getattr(plain, field)


@pytest.mark.parametrize("name", [*DECODERS, *SPARSE])
def test_adapters_find_the_projections_of_any_model(name: str) -> None:
    trace = ls.load_model(name).forward(1, 4, 10)
    for rewrite in (Lora(rank=8), Bottleneck(width=8)):
        assert rewrite(trace).cost().weight_bytes > trace.cost().weight_bytes


def test_what_has_no_attention_is_asked_for_targets() -> None:
    trace = ls.load_model("mamba-130m").forward(1, 4, 0)
    assert Lora(rank=0)(trace) == trace
    with pytest.raises(SymbolError, match="no attention projections; name targets"):
        Lora(rank=8)(trace)
    named = Lora(rank=8, targets=("mamba_mixer:in_proj",))(trace)
    assert len(named) == len(trace) + 2


def test_every_adapter_of_a_batch_is_held_and_read() -> None:
    one, five = (forecast(lora=Lora(rank=8, adapters=n)) for n in (1, 5))
    plain = forecast()
    assert five.memory.expr - plain.memory.expr == 5 * (one.memory.expr - plain.memory.expr)
    read = [f.trace(1, 0).cost().weight_bytes for f in (plain, one, five)]
    assert read[2] - read[0] == 5 * (read[1] - read[0])
    with pytest.raises(SymbolError, match="LoRA adapters"):
        _ = forecast(lora=Lora(rank=8, adapters=0)).ttft


def test_adapters_of_quantized_models_are_read_in_16_bits() -> None:
    weights = [forecast(weights="int4-g128", lora=rank).memory.expr for rank in (0, 8)]
    layers, hidden, keys = 22, 2048, 256
    values = layers * 8 * (2 * (hidden + hidden) + 2 * (hidden + keys))
    assert weights[1] - weights[0] == 2 * values


def test_adapters_leave_projections_to_be_fused() -> None:
    trace = ls.load_model("tinyllama-1.1b").forward(1, 4, 10)
    fuse = Fusion(rules=("qkv", "gate_up"))
    targets = ("attn_q", "attn_v", "mlp_up")
    saved = [trace.cost().dispatches - fuse(trace).cost().dispatches]
    adapted = Lora(rank=8, targets=targets)(trace)
    saved.append(adapted.cost().dispatches - fuse(adapted).cost().dispatches)
    assert saved[0] == saved[1] == 22 * 3


@pytest.mark.parametrize("fusion", ["none", "flash", "layer"])
def test_a_model_drafts_for_itself_under_any_fusion(fusion: str) -> None:
    plain = forecast()
    fused = speculate(forecast(fusion=fusion), tokens=1, acceptance=Rational(1, 2))
    alone = speculate(plain, tokens=1, acceptance=Rational(1, 2))
    assert fused.drafting.xreplace({sym.past: Integer(40)}) <= alone.drafting.xreplace(
        {sym.past: Integer(40)}
    )


def test_energy_is_that_of_all_devices() -> None:
    """Eight devices at their power for as long as it takes; what they move adds up."""
    f = forecast("llama-2-7b", tensor_parallel=8)
    power = ls.load_hardware("a100").static_power
    assert f.energy.expr == 8 * power * f.latency.expr
    shared = forecast("llama-2-7b", data_parallel=4, batch=8)
    assert shared.energy.expr == 4 * power * shared.latency.expr


def test_energy_parts_are_charged_where_the_bytes_are() -> None:
    device = ls.Hardware.symbolic().with_(byte_energy=3, flop_energy=0, static_power=0)
    sram = Level(name="sram", bandwidth=10**15, activations=Rational(1, 2), byte_energy=1)
    parts = []
    for levels in ([], [sram]):
        f = ls.forecast(ls.load_model("tinyllama-1.1b"), device, 9, 3, levels=levels)
        parts.append({part.name: part.value for part in f.energy.parts})
    assert parts[1]["activations"] == parts[0]["activations"] / 2
    assert parts[1]["sram"] == parts[0]["activations"] / 6
    assert parts[1]["weights"] == parts[0]["weights"]


def test_capacity_is_that_of_the_last_chunk() -> None:
    """Scores of the last chunk against the whole prompt, and the residual stream beside them."""
    f = forecast("llama-2-7b", prompt=4096, chunk=512)
    parts = {part.name: part.value for part in f.capacity.parts}
    scores = 2 * 2 * 32 * 512 * 4096  # read and written in 16 bits
    assert cancel(parts["activations"] - scores - 2 * 512 * 4096) == 0
    beyond = forecast("llama-2-7b", prompt=64, chunk=512)
    assert beyond.capacity.expr == forecast("llama-2-7b", prompt=64).capacity.expr


def test_a_memory_must_hold_what_it_serves() -> None:
    """Half of the weights and the whole cache."""
    plain = forecast(levels=[])
    weights, cache = (part.value for part in plain.memory.parts)
    needed = weights / 2 + cache
    shares: dict[str, object] = {"weights": Rational(1, 2), "kv": 1}
    for spare in (0, 1):
        host = Level(name="host", bandwidth=10**10, capacity=needed + spare, **shares)
        assert forecast(levels=[host]).memory.expr == weights / 2
    with pytest.raises(SymbolError, match="host: what it serves is 1 bytes too large"):
        forecast(levels=[Level(name="host", bandwidth=10**10, capacity=needed - 1, **shares)])


def test_formats_of_single_kinds_of_weights_and_unfused_dequantization() -> None:
    int4 = forecast(weights="int4-g128")
    head = forecast(weights="int4-g128", roles={"lm_head": "fp16"})
    values = 32000 * 2048
    assert head.memory.expr - int4.memory.expr == values * (16 - Rational("4.15625")) / 8
    apart = forecast(weights="int4-g128", unfused_dequant=True)
    terms = {t.name: t.cost for t in apart.tpot.first.terms}
    whole = {t.name: t.cost for t in int4.tpot.first.terms}
    moved = terms["mlp_up"].activation_write_bytes - whole["mlp_up"].activation_write_bytes
    assert moved == 2 * 22 * 2048 * 5632
    assert terms["mlp_up"].dispatches == 2 * whole["mlp_up"].dispatches


def test_the_algorithm_of_an_all_reduce() -> None:
    messages = {
        kind: sum(t.cost.messages for t in f.tpot.first.terms if t.name == "mlp_down_all_reduce")
        for kind in ("ring", "tree", "halving_doubling")
        for f in [forecast(tensor_parallel=4, all_reduce=kind)]
    }
    assert messages == {"ring": 22 * 6, "tree": 22 * 4, "halving_doubling": 22 * 4}


@pytest.mark.parametrize("fusion", ["flash", "full", "layer"])
@pytest.mark.parametrize("name", ["tinyllama-1.1b", "deepseek-v2-lite", "jamba-v0.1"])
def test_fusion_changes_no_memory(name: str, fusion: str) -> None:
    assert forecast(name, fusion=fusion).memory.expr == forecast(name).memory.expr


def test_projections_are_fused_in_the_layers_that_have_them() -> None:
    """Of two layers that share a cache one has keys and values, in one kernel with its queries."""
    shared = CachePolicy(share=2)(ls.load_model("tinyllama-1.1b").forward(1, 4, 10))
    fused = Fusion(rules=("qkv",))(shared)
    for field in ("matmul_flops", "weight_bytes"):
        assert getattr(fused.cost(), field) == getattr(shared.cost(), field)
    assert shared.cost().dispatches - fused.cost().dispatches == 11 * 2  # of 22 layers
    with pytest.raises(SymbolError, match="layers that share a cache"):
        Fusion(rules=("layer",))(shared)


@pytest.mark.parametrize("fusion", ["none", "full", "layer"])
@pytest.mark.parametrize("overlap", ["operator", "pass"])
def test_offloaded_experts_are_found_in_any_kernel(fusion: str, overlap: str) -> None:
    """All of the experts' matrices behind a slow link: nothing else takes time."""
    sparse, link = ls.load_model("mixtral-8x7b"), 10**6
    host = Level(name="host", bandwidth=link, experts=1)
    f = ls.forecast(
        sparse, ls.load_hardware("a100"), 9, 3, fusion=fusion, overlap=overlap, levels=[host]
    )
    chosen = 32 * 2 * 3 * 4096 * 14336 * 2  # layers, experts, matrices, sizes, bytes
    step = f.tpot.first
    assert sum(term.experts for term in step.terms) == chosen
    assert Rational(chosen, link) <= step.expr < Rational(chosen, link) * Rational(1001, 1000)
    plain = ls.forecast(sparse, ls.load_hardware("a100"), 9, 3, fusion=fusion, overlap=overlap)
    assert plain.memory.expr - f.memory.expr == 32 * 8 * 3 * 4096 * 14336 * 2


def test_a_model_without_experts_has_none_to_offload() -> None:
    with pytest.raises(SymbolError, match="has no experts to offload"):
        forecast(levels=[Level(name="host", bandwidth=1, experts=1)])


@pytest.mark.parametrize(
    "policy", [CachePolicy(rank=3), CachePolicy(share=2), CachePolicy(rank=3, share=4)]
)
@pytest.mark.parametrize("devices", [1, 2])
def test_a_joint_projection_is_that_of_queries_keys_and_values(
    policy: CachePolicy, devices: int
) -> None:
    """Phi-3 projects all three at once, a Llama of its sizes one by one."""
    sizes = {
        "vocab_size": 64,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
    }
    costs = []
    for family in ("phi3", "llama"):
        model = ls.Model.from_hf({"model_type": family, **sizes})
        trace = TensorParallel(devices=devices)(policy(model.forward(2, 3, 20)))
        costs.append((trace.cost(), trace.cache_elements(Integer(23))))
    (joint, held), (apart, expected) = costs
    assert held == expected
    for field in ("matmul_flops", "weight_bytes", "kv_read_bytes", "kv_write_bytes"):
        assert getattr(joint, field) == getattr(apart, field), field


def emitted(blocks: list[tuple[int, Attention]]) -> Trace:
    step = ForwardPass(batch=Integer(2), new=Integer(5), past=Integer(30))
    return Trace(
        tuple(
            Entry(
                section=f"layers_{i}",
                name=name,
                count=Integer(count),
                operator=operator,
                copies=Integer(count),
            )
            for i, (count, block) in enumerate(blocks)
            for name, operator in _named(block.operators(step))
        )
    )


@pytest.mark.parametrize("share", [2, 3, 6])
def test_a_shared_cache_is_that_of_layers_that_reuse_one(share: int) -> None:
    """As Gemma 3n's layers do: a borrower has no keys, norms of keys or rotations of its own."""
    own = Attention(
        hidden=24,
        heads=6,
        kv_heads=2,
        head_dim=4,
        rotary_dim=4,
        qk_norm="head",
        value_norm=True,
    )
    policy = CachePolicy(share=share)(emitted([(6, own)]))
    borrower = replace(own, reuses=True, value_norm=False)
    native = emitted([(6 // share, own), (6 - 6 // share, borrower)])
    assert policy.cost() == native.cost()
    assert policy.cache_elements(Integer(35)) == native.cache_elements(Integer(35))


def test_devices_of_sequence_parallelism_share_the_tokens_of_adapters() -> None:
    plain = Bottleneck(width=8)(ls.load_model("tinyllama-1.1b").forward(2, 8, 0))
    split = SequenceParallel(devices=2)(TensorParallel(devices=2)(plain))
    for part in ("down", "act", "up", "residual"):
        whole, mine = (t.filter(name=f"mlp_down_adapter_{part}").cost() for t in (plain, split))
        assert 2 * mine.flops == whole.flops
        assert 2 * mine.activation_read_bytes == whole.activation_read_bytes
        assert mine.weight_bytes == whole.weight_bytes


def test_layers_that_share_a_cache_are_whole() -> None:
    """Of 22 layers every third has a cache of its own, the last one too."""
    trace = CachePolicy(share=3)(ls.load_model("tinyllama-1.1b").forward(1, 4, 10))
    assert {e.count for e in trace if e.name in ("attn_k", "attn_v", "kv_append")} == {8}
    assert sum(e.count for e in trace if e.name == "attn_rope") == 22


@pytest.mark.parametrize("name", ["qwen3-8b", "phi-3-mini-4k", "olmoe-1b-7b", "zamba2-2.7b"])
def test_adapters_and_devices_follow_a_shared_low_rank_cache(name: str) -> None:
    trace = ls.load_model(name).forward(2, 3, 20)
    policy, adapters = CachePolicy(rank=16, share=3), Lora(rank=4)
    for other in (adapters, TensorParallel(devices=2)):
        first, second = policy(other(trace)), other(policy(trace))
        assert first.cost() == second.cost()
        assert first.weight_roles() == second.weight_roles()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gpt2", {"roles": {"lm_head": "int8"}}, "has no weights of role 'lm_head'"),
        ("tinyllama-1.1b", {"expert_parallel": 2}, "the model has no experts"),
        ("tinyllama-1.1b", {"routing": Routing(imbalance=2)}, "no experts that tokens could"),
        ("tinyllama-1.1b", {"tile": 64}, "needs the fusion rule 'flash'"),
        ("tinyllama-1.1b", {"tile": 64, "fusion": "layer"}, "needs the fusion rule 'flash'"),
        (
            "tinyllama-1.1b",
            {"tensor_parallel": 2, "sequence_parallel": True, "all_reduce": "tree"},
            "sequence parallelism has ring collectives",
        ),
        ("mamba-130m", {"cache": CachePolicy(budget=8)}, "keeps no keys and values"),
        ("rwkv-4-430m", {"cache": CachePolicy(page=16)}, "keeps no keys and values"),
        ("deepseek-v2-lite", {"cache": CachePolicy(rank=8)}, "latent attention keeps latents"),
        ("deepseek-v2-lite", {"cache": CachePolicy(share=3)}, "latent attention keeps latents"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(SymbolError, match=message):
        _ = forecast(name, **options).ttft


def test_several_adapters_cannot_be_merged() -> None:
    with pytest.raises(SymbolError, match="2 LoRA adapters cannot be merged"):
        Lora(rank=8, adapters=2, merged=True)
