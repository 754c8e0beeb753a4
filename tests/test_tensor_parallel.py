"""What one of several devices holds and computes, part by part, and what it exchanges."""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache

import pytest
from sharding_by_name import ByName
from sympy import Integer, expand

import lifesym as ls
from lifesym import blocks, operators
from lifesym import symbols as sym
from lifesym.blocks import (
    MLP,
    AttendedRouter,
    Attention,
    AttentionPool,
    Block,
    BlockIndexer,
    CompressedAttention,
    ConvolvedAttention,
    DecoderLayer,
    DraftLayer,
    Embed,
    EmbeddedLayer,
    GatedRecurrence,
    Head,
    HeadMamba,
    Indexer,
    JoinedStates,
    KimiDelta,
    LightningAttention,
    Link,
    Mamba2,
    MatrixLSTM,
    MoE,
    NormSpec,
    ParallelHead,
    ParallelMixers,
    PatchEmbed,
    PatchPool,
    Projector,
    TaskHead,
    WindowAttention,
)
from lifesym.errors import SymbolError
from lifesym.families import FAMILIES
from lifesym.huggingface import example
from lifesym.operators import (
    AttentionScores,
    Collective,
    KVAppend,
    Linear,
    Norm,
    Operator,
    Residual,
    Scale,
)
from lifesym.specs import names
from lifesym.trace import Entry, ForwardPass, Trace
from lifesym.transforms import Bottleneck, Lora, SequenceParallel, TensorParallel

SHAPES = ((2, 24, 0), (3, 1, 400))
LATER = {
    *(BlockIndexer, CompressedAttention, Indexer, KimiDelta, LightningAttention),
    *(ConvolvedAttention, GatedRecurrence, HeadMamba, MatrixLSTM),
}
"""Blocks that names were never told of: see `test_sparse_brute_force` and `test_split_mixers`."""


def rows(split: Callable[[Trace], Trace], trace: Trace) -> list[Entry] | None:
    """A device's rows, or None if it is refused."""
    try:
        return [replace(entry, origin="") for entry in split(trace)]
    except SymbolError:
        return None


@pytest.mark.parametrize("name", names("models"))
def test_blocks_are_shared_as_their_operators_names_say(name: str) -> None:
    """Every field of every row, whatever the pass and the convention of latents."""
    model = ls.load_model(name).limited(10**4)
    if any(type(each) in LATER for section in model.sections for each in inside(section.block)):
        return
    for shape in SHAPES if model.generates else SHAPES[:1]:
        for mla in ("absorbed", "expand", "decompressed"):
            trace = model.forward(*shape, mla=mla)
            for n in (2, 4, 8):
                mine = rows(TensorParallel(devices=n), trace)
                assert mine == rows(ByName(devices=n), trace), (shape, mla, n)
            if not any(entry.name == "attn_kv_a" for entry in trace):
                break


def inside(block: Block) -> list[Block]:
    """A block and the blocks in it."""
    held = [getattr(block, item.name) for item in fields(block)]
    return [block, *(each for own in held if isinstance(own, Block) for each in inside(own))]


def parts(block: Block) -> list[tuple[str, Operator, Operator]]:
    """Each operator of a block in any pass, and what one of two devices has of it."""
    found = []
    for mla, logits in (("absorbed", "none"), ("expand", "all"), ("decompressed", "last")):
        sizes = {"batch": Integer(2), "new": Integer(3), "past": Integer(5)}
        step = ForwardPass(**sizes, mla=mla, logits=logits)
        halves = block.part(Integer(2)).operators(step)
        own = [(name, each) for name, each in halves if not isinstance(each, Collective)]
        whole = list(block.operators(step))
        assert [name for name, _ in own] == [name for name, _ in whole]
        found += [(name, one, half) for (name, one), (_, half) in zip(whole, own, strict=True)]
    return found


def halved(block: Block) -> bool:
    """Whether it is known how devices share a block, and all that they share in it is even."""
    if any(each.split is None for each in inside(block)):
        return False
    sizes = (getattr(b, name) for b in inside(block) for name in (*(b.split or ()), *b.kept))
    return all(size is None or size % 2 == 0 for size in sizes)


@cache
def of_models() -> dict[type[Block], list[Block]]:
    """The blocks of all models by kind, and small ones with options that none of these has."""
    found: dict[type[Block], list[Block]] = {}
    norm = NormSpec(features=8)
    mlp = MLP(hidden=8, intermediate=16, activation="silu")
    attention = Attention(hidden=16, output=8, heads=4, kv_heads=2, head_dim=4)
    layer = DecoderLayer(hidden=8, mixer=attention, mlp=mlp, mixer_norm=norm)
    scan = Mamba2(hidden=8, heads=4, head_dim=4, groups=2, state=3, kernel=2, chunk=4)
    others = (
        TaskHead(hidden=8, labels=2, norm=norm, projected=4, dense="gelu"),
        JoinedStates(inputs=16, hidden=8),
        DraftLayer(layer=layer, norm=norm),
        ParallelHead(hidden=8, vocab=20, layers=1),
        Embed(vocab=20, width=4, hidden=8, projected=True),
        Head(hidden=8, vocab=20, tied=False, norm=norm, projected=4),
        EmbeddedLayer(layer=layer, embedding=4, activation="gelu"),
        Link(hidden=8, intermediate=16, rank=2, attention=True),
        ParallelMixers(hidden=8, attention=replace(attention, hidden=8), scan=scan),
        AttendedRouter(
            moe=MoE(hidden=8, experts=4, active=2, intermediate=6, activation="silu"),
        ),
    )
    models = [*map(ls.load_model, names("models")), *map(example, FAMILIES)]
    for block in (*others, *(part.block for model in models for part in model.bound)):
        for each in inside(block):
            found.setdefault(type(each), []).append(each)
    return found


def test_no_operator_is_repeated_unless_its_block_says_so() -> None:
    """And every block of a language model says what one of its devices has."""
    known = {each for each in vars(blocks).values() if isinstance(each, type)}
    found, of_towers = of_models(), {AttentionPool, PatchEmbed, PatchPool, Projector}
    kinds = {each for each in known if issubclass(each, Block)} - {Block, WindowAttention}
    assert set(found) == kinds - of_towers
    for kind in of_towers:
        assert kind.split is None
    for kind, each in found.items():
        seen: set[str] = set()
        for block in filter(halved, dict.fromkeys(each)):
            held = inside(block)
            said = {name for b in held for name in b.repeated.split()}
            again = {name for name, whole, half in parts(block) if whole == half}
            for name, whole, half in parts(block):  # what is split is not split again by tokens
                if name in block.by_tokens and isinstance(whole, Norm | Residual | Scale):
                    assert whole == half, (kind, name)
            assert again <= said, kind
            seen |= again
        assert set(kind.repeated.split()) <= seen, kind


def test_every_operator_of_a_layer_has_a_part() -> None:
    """Those that no block of a language model has are made by rewrites, or are on images."""
    shared = (block for each in of_models().values() for block in filter(halved, each))
    met = {type(operator) for block in dict.fromkeys(shared) for _, operator, _ in parts(block)}
    made = {"AdapterLinear", "AdapterMerge", "CacheCopy", "Collective", "Fused", "Gate"}
    made |= {"PerShape", "Ranking", "ShardedExperts", "SideBySide", "SomeExperts", "TiledLinear"}
    made |= {"WeightCopy", "Backward", "CrossEntropy", "Dropout", "OptimizerStep"}
    made |= {"HeadConv", "Delay"}  # of ZAYA's attention, which refuses to be shared
    images = {"BatchNorm", "Concat", "Conv2d", "DepthwiseConv2d", "Pool2d", "TransposedConv2d"}
    known = set(operators.__all__) - {"Operator", "Routing", "Upsample"}
    assert {each.__name__ for each in met} | made | images == known


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


TYPICAL = ["llama-3-8b", "mixtral-8x7b", "qwen1.5-moe-a2.7b", "deepseek-v2-lite", "olmoe-1b-7b"]


@pytest.mark.parametrize("name", [*TYPICAL, "gemma-3-1b", "gpt2", "bloom-560m", "dbrx"])
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


LAYERS = ("encoder_layers", "layers")


@pytest.mark.parametrize("name", ["whisper-tiny", "t5-small", "bart-base"])
def test_both_stacks_of_an_encoder_decoder_are_shared(name: str) -> None:
    """Half of every cached key and value, that of the source included; and of the products."""
    device = ls.load_hardware("h100-sxm-80gb")
    one, two = (ls.forecast(name, device, 20, 4, engine="eager", tensor_parallel=n) for n in (1, 2))
    assert 2 * two.memory.parts[1].value == one.memory.parts[1].value
    for mine, theirs in ((one.ttft, two.ttft), (one.tpot, two.tpot)):
        products = [
            sum(t.compute for t in result.terms if t.family == "linear" and t.section in LAYERS)
            for result in (mine, theirs)
        ]
        assert 1 <= 2 * products[1] / products[0] < 1.001  # biases after sums are added whole
        assert not any(term.network for term in mine.terms)
        assert any(term.network for term in theirs.terms)


@pytest.mark.parametrize("n", [2, 8])
@pytest.mark.parametrize("family", ["diffllama", "jetmoe", "doge"])
def test_devices_do_the_work_of_a_variant_of_attention_together(family: str, n: int) -> None:
    """Their products add up, but for what each does whole; caches do in any case."""
    model = example(family)
    plain = model.forward(2, 3, 10)
    part = TensorParallel(devices=n)(plain)
    held = [each for section in model.sections for each in inside(section.block)]
    whole = {name for each in held for name in each.repeated.split()}
    work, mine = plain.by_name(), part.by_name()
    assert set(work) == set(mine)
    for name, flops in work.items():
        assert flops == (1 if name in whole else n) * mine[name], name
    tokens = Integer(40)
    assert plain.cache_elements(tokens) == n * part.cache_elements(tokens)
    reduced = {entry.name for entry in part if isinstance(entry.operator, Collective)}
    summed = {"attn_o_all_reduce", "embedding_all_reduce", "lm_head_all_gather"}
    more = {"doge": {"attn_mask_all_reduce"}}.get(family, set())
    feeds = {"moe_experts_all_reduce" if family == "jetmoe" else "mlp_down_all_reduce"}
    assert reduced == summed | more | feeds


def test_whole_pairs_of_heads_are_shared() -> None:
    plain = example("diffllama").forward(2, 3, 10)  # 32 key heads: 16 pairs
    with pytest.raises(SymbolError, match="pairs = 16 cannot be split over 32 devices"):
        TensorParallel(devices=32)(plain)


SHARING = [
    "diffllama",
    "doge",
    "falcon_h1",
    "gemma3n_text",
    "gemma4_text",
    "minimax_m3",
    "yuan",
    "zamba2",
    "deepseek_v32",
]


@pytest.mark.parametrize("family", SHARING)
def test_a_shared_sequence_splits_only_what_every_device_repeats(family: str) -> None:
    """And all norms of the residual stream, each once."""
    model = example(family)
    plain = model.forward(2, 3, 10)
    part = TensorParallel(devices=2)(plain)
    own = SequenceParallel(devices=2)(part)
    whole = {(entry.path, entry.operator) for entry in plain}
    mine = [e for e in part if not isinstance(e.operator, Collective)]
    shared = [e for e in own if not isinstance(e.operator, Collective)]
    changed = [a for a, b in zip(mine, shared, strict=True) if a.operator != b.operator]
    assert {(entry.path, entry.operator) for entry in changed} <= whole
    stream = {e.path for e in part if e.name.endswith(("attn_norm", "mlp_norm", "final_norm"))}
    assert stream <= {entry.path for entry in changed}


def test_norms_of_heads_that_devices_split_are_not_split_again() -> None:
    """Each of two devices norms the queries of its own heads, of all tokens."""
    part = TensorParallel(devices=2)(example("minimax_m3").forward(2, 3, 10))
    rows = {e.operator for e in part if e.name == "index_q_norm"}
    assert rows == {
        e.operator for e in SequenceParallel(devices=2)(part) if e.name == "index_q_norm"
    }
