"""Options that meet: what one of them must not break in another."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from sharding_by_name import ByName
from sympy import Integer, Rational, cancel

import lifesym as ls
from lifesym import symbols as sym
from lifesym.blocks import Attention, Block, Emitted
from lifesym.errors import SymbolError
from lifesym.levels import Level
from lifesym.model import Section, _named
from lifesym.operators import Residual, Routing
from lifesym.roofline import total
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


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("fusion", ["none", "flash", "layer"])
def test_a_model_drafts_for_itself_under_any_fusion(fusion: str) -> None:
    plain = forecast()
    fused = speculate(forecast(fusion=fusion), tokens=1, acceptance=Rational(1, 2))
    alone = speculate(plain, tokens=1, acceptance=Rational(1, 2))
    assert total(fused.drafting).xreplace({sym.past: Integer(40)}) <= total(
        alone.drafting
    ).xreplace({sym.past: Integer(40)})


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


@pytest.mark.usefixtures("eager")
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
    short = Level(name="host", bandwidth=10**10, capacity=needed - 1, **shares)
    assert forecast(levels=[short]).fits is False


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
        for kind in ("ring", "tree", "halving_doubling", "recursive_doubling")
        for f in [forecast(tensor_parallel=4, all_reduce=kind)]
    }
    assert messages.pop("recursive_doubling") == 22 * 2
    assert messages == {"ring": 22 * 6, "tree": 22 * 4, "halving_doubling": 22 * 4}


def test_the_halves_of_an_all_reduce_are_of_its_algorithm() -> None:
    """Log2 n messages each, for n - 1 of a ring, and the same bytes."""
    sent = {}
    for kind in ("ring", "halving_doubling"):
        f = forecast(tensor_parallel=4, sequence_parallel=True, all_reduce=kind)
        halves = ("mlp_down_reduce_scatter", "mlp_down_all_gather")
        terms = [t.cost for t in f.tpot.first.terms if t.name in halves]
        sent[kind] = {t.messages for t in terms}, {t.network_bytes for t in terms}
    assert [messages for messages, _ in sent.values()] == [{22 * 3}, {22 * 2}]
    assert len({frozenset(moved) for _, moved in sent.values()}) == 1
    with pytest.raises(SymbolError, match="all_reduce must be ring or halving_doubling"):
        forecast(tensor_parallel=4, sequence_parallel=True, all_reduce="tree")


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
    assert sum(work.weight_bytes for term in step.terms for work in term.work[1:]) == chosen
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
        trace = policy(TensorParallel(devices=devices)(model.forward(2, 3, 20)))
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
    model, adapters = ls.load_model("tinyllama-1.1b").forward(2, 8, 0), Bottleneck(width=8)
    plain = adapters(model)
    split = SequenceParallel(devices=2)(adapters(TensorParallel(devices=2)(model)))
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
    split = TensorParallel(devices=2)(trace)
    for first, second in (
        (policy(adapters(trace)), adapters(policy(trace))),
        (policy(adapters(split)), adapters(policy(split))),
        (policy(split), ByName(devices=2)(policy(trace))),
    ):
        assert first.cost() == second.cost()
        assert first.weight_roles() == second.weight_roles()


@pytest.mark.usefixtures("eager")
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
            "sequence parallelism halves an all-reduce",
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


def pairs_left(
    new: int, past: int, kept: int, window: int | None = None, chunk: int | None = None
) -> int:
    """Pairs of a causal mask, one by one, where of the past in reach the last tokens are kept."""
    reach = past if window is None and chunk is None else min(past, (window or chunk or 0) - 1)
    cached = set(range(past - min(kept, reach), past))
    seen = 0
    for query in range(past, past + new):
        first = 0 if window is None else query - window + 1
        first = first if chunk is None else query - query % chunk
        seen += sum(key >= first for key in cached | set(range(past, query + 1)))
    return seen


@pytest.mark.parametrize(("new", "past"), [(1, 0), (1, 9), (4, 3), (7, 20), (12, 5)])
@pytest.mark.parametrize("budget", [1, 3, 5, 30])
@pytest.mark.parametrize("shape", [{}, {"window": 6}, {"window": 6, "chunked": True}])
def test_exact_counts_of_a_budget_are_those_of_the_mask(
    new: int, past: int, budget: int, shape: dict[str, int]
) -> None:
    """What a causal mask leaves of the tokens kept and of the new ones, counted one by one."""
    block = Attention(hidden=8, heads=2, kv_heads=1, head_dim=4, **shape)
    step = ForwardPass(
        batch=Integer(1), new=Integer(new), past=Integer(past), causal="exact", mla="absorbed"
    )
    one = Integer(1)
    entries = [
        Entry(section="layers", name=name, count=one, operator=operator, copies=one)
        for name, operator in _named(block.operators(step))
    ]
    mask = {"chunk" if "chunked" in shape else "window": shape.get("window")}
    trace = CachePolicy(budget=budget)(Trace(tuple(entries)))
    expected = pairs_left(new, past, budget, **mask)
    for name in ("attn_qk", "attn_av"):
        (entry,) = trace.filter(name=name)
        assert entry.operator.pairs == expected


def test_a_small_budget_of_long_prompts_counts_what_new_tokens_see_of_each_other() -> None:
    """512 new tokens alone have 512 * 513 / 2 pairs; 16 kept ones are seen by all within 4,096."""
    trace = CachePolicy(budget=16)(
        ls.load_model("mistral-7b-v0.1").forward(1, 512, 8000, causal="exact")
    )
    (scores,) = trace.filter(name="attn_qk")
    assert scores.operator.pairs == 512 * 16 + 512 * 513 // 2
    chunked = CachePolicy(budget=16)(
        ls.load_model("llama-4-scout").forward(1, 512, 16384, causal="exact")
    )
    counted = {e.operator.pairs for e in chunked.filter(name="attn_qk")}
    # chunks of 8,192 tokens: the past ends with one, and layers without chunks see all that is kept
    assert counted == {512 * 513 // 2, 512 * 16 + 512 * 513 // 2}


@pytest.mark.usefixtures("eager")
def test_a_kept_share_holds_what_a_step_reads() -> None:
    """Half of the 4,095 tokens that a window of 4,096 has before the new one, in 32 layers."""
    f = forecast(
        "mistral-7b-v0.1", prompt=32768, generate=1, cache=CachePolicy(keep=Rational(1, 2))
    )
    token, kept = 32 * 2 * 8 * 128 * 2, 2048
    assert f.cache_bytes == kept * token
    (scores,) = f.trace(1, 32768).filter(name="attn_qk")
    assert scores.operator.keys == kept + 1


@pytest.mark.parametrize(("page", "read"), [(None, 65), (16, 80)])
def test_only_latents_that_are_kept_are_expanded(page: int | None, read: int) -> None:
    """27 layers: 64 kept latents of 512 and the new one, to 16 heads of 128 + 128 elements."""
    policy = CachePolicy(budget=64, page=page)
    trace = policy(ls.load_model("deepseek-v2-lite").forward(1, 1, 100_000, mla="expand"))
    cost = trace.filter(name="attn_kv_b").cost()
    assert cost.matmul_flops == 27 * 65 * 2 * 512 * 16 * 256
    assert cost.kv_read_bytes == 27 * read * (512 + 64) * 2


def test_dequantized_matrices_of_expanded_latents_are_written_and_read() -> None:
    """A kernel of its own writes the 16-bit matrix, and the product reads it: 2 bytes twice."""
    precision = ls.forecast(
        ls.load_model("deepseek-v2-lite"),
        ls.load_hardware("a100"),
        weights="int4-g128",
        activations="bf16",
        unfused_dequant=True,
    ).precision
    trace = ls.load_model("deepseek-v2-lite").forward(1, 1, 10, mla="expand")
    fused = replace(precision, unfused_dequant=False)
    part = trace.filter(name="attn_kv_b")
    apart, together = part.cost_at(precision), part.cost_at(fused)
    matrix = 27 * 512 * 16 * 256
    assert apart.activation_read_bytes - together.activation_read_bytes == 2 * matrix
    assert apart.activation_write_bytes - together.activation_write_bytes == 2 * matrix
    assert apart.dispatches - together.dispatches == 27


def test_an_adapter_stands_between_a_projection_and_its_activation() -> None:
    """The activation is not in the projection's epilogue, and runs once in a kernel of its own."""
    model = ls.load_model("llama-2-7b")
    adapted = Lora(rank=8, targets=("mlp_up",))(model.forward(1, 8, 0))
    fused = Fusion(rules=("activation",))(adapted)
    assert fused == adapted
    beside = Lora(rank=8, targets=("attn_q",))(model.forward(1, 8, 0))
    assert [e.name for e in Fusion(rules=("activation",))(beside)].count("mlp_up_act") == 1


@pytest.mark.parametrize(
    ("name", "mla"), [("deepseek-v2-lite", "expand"), ("bert-base", "absorbed")]
)
def test_a_tile_is_refused_where_no_cache_is_read(name: str, mla: str) -> None:
    trace = ls.load_model(name).forward(1, 8, 0, mla=mla)
    with pytest.raises(SymbolError, match="are not cached; leave out tile"):
        Fusion(rules="flash", tile=4)(trace)


@pytest.mark.parametrize(
    ("name", "devices"),
    [("gemma-3-1b", (2, 4)), ("olmoe-1b-7b", (2, 4)), ("olmo-2-1b", (2,)), ("falcon-h1-3b", (2,))],
)
def test_a_number_of_devices_may_be_a_symbol(name: str, devices: tuple[int, ...]) -> None:
    """Key heads fewer than devices, norms over all heads: messages and bytes are the same."""
    trace = ls.load_model(name).forward(1, 1, 100)
    symbolic = TensorParallel(devices=sym.devices)(trace).cost()
    for n in devices:
        number = TensorParallel(devices=n)(trace).cost()
        for field, value in symbolic.items():
            bound = value.xreplace({sym.devices: Integer(n)})
            assert bound == getattr(number, field), (n, field)


@pytest.mark.parametrize("n", [2, 4])
def test_short_convolutions_are_split_by_channels(n: int) -> None:
    """LFM2-2.6B: a projection to 3 x 2,048 columns, a convolution and a projection back."""
    trace = ls.load_model("lfm2-2.6b").forward(1, 7, 0)
    part = TensorParallel(devices=n)(trace)
    conv = [e for e in trace if e.name.startswith("short_conv")]
    mine = [e for e in part if e.name.startswith("short_conv") and "reduce" not in e.name]
    for whole, one in zip(conv, mine, strict=True):
        flops = whole.operator.cost(ls.formats.Precision.of()).flops
        assert one.operator.cost(ls.formats.Precision.of()).flops == flops / n
    sums = part.filter(name="short_conv:out_proj_all_reduce")
    assert [e.operator.elements for e in sums] == [7 * e.operator.out_features for e in conv[-1:]]


def test_devices_share_what_scales_their_heads_and_columns() -> None:
    """Falcon-H1 multiplies keys, gates and the scan's inputs by constants: a device its own."""
    trace = ls.load_model("falcon-h1-3b").forward(1, 3, 0)
    part = TensorParallel(devices=2)(trace)
    for name, share in (("attn_k_scale", 2), ("mlp_gate_scale", 2), ("mixer_scale", 1)):
        whole = [e.operator.elements for e in trace.filter(name=name)]
        assert [e.operator.elements for e in part.filter(name=name)] == [w / share for w in whole]
    kinds = [type(e.operator).__name__ for e in part if e.name == "mamba2_mixer:mixer"]
    assert kinds == [type(e.operator).__name__ for e in trace if e.name == "mamba2_mixer:mixer"]


@dataclass(frozen=True, kw_only=True)
class Unknown(Block):
    def operators(self, step: ForwardPass) -> Emitted:
        yield "new", Residual(elements=step.tokens)


@dataclass(frozen=True, kw_only=True)
class Enclosing(Block):
    inner: Block

    split: ClassVar[tuple[str, ...]] = ()

    def operators(self, step: ForwardPass) -> Emitted:
        return self.inner.operators(step)


def test_what_devices_would_share_in_an_unknown_way_is_refused() -> None:
    model = ls.load_model("llama-3-8b")
    alone = Section(label="new", count=1, block=Unknown())
    for sections in ((alone,), (replace(alone, block=Enclosing(inner=Unknown())),)):
        with pytest.raises(SymbolError, match="how devices would share Unknown is not known"):
            TensorParallel(devices=2)(replace(model, sections=sections).forward(1, 1, 0))
