"""Engines: conventions by name, and what each of their rewrites does, counted one by one."""

import json
from itertools import product
from pathlib import Path

import pytest
from command_line import run_here as run
from sympy import Expr, Integer, Rational

import lifesym as ls
from lifesym import symbols as sym
from lifesym.engines import Engine, load_engine
from lifesym.errors import SpecError, SymbolError
from lifesym.formats import Precision
from lifesym.hardware import IDEAL
from lifesym.levels import Level
from lifesym.operators import Gate, Routing
from lifesym.operators.linear import TiledLinear
from lifesym.serving import Group, mixed_pass, pipeline, speculate
from lifesym.specs import names
from lifesym.trace import Trace
from lifesym.transforms import (
    Apart,
    CacheCopies,
    CachePolicy,
    Fusion,
    Launches,
    Lora,
    ScorePasses,
    Spills,
    TensorParallel,
    Tiles,
    WholeTables,
)


def moved(trace: Trace, **formats: str) -> Expr:
    """Bytes of the cache that a trace reads and writes."""
    cost = trace.cost(**formats)
    return cost.kv_read_bytes + cost.kv_write_bytes


# -- names, defaults, errors


@pytest.mark.parametrize("name", names("engines"))
def test_every_engine_says_what_it_is_and_where_from(name: str) -> None:
    engine = load_engine(name)
    assert engine.name == name
    assert engine.meaning
    assert all(len(source) > 5 for source in engine.sources.values())
    f = ls.forecast("tinyllama-1.1b", "a100", 600, 4, engine=name)
    assert f.engine == engine
    assert f.open().engine == engine
    assert f.tpot.mean.expr > 0


def test_the_default_is_the_plain_engine() -> None:
    plain = Engine()
    assert plain.name == "eager"
    assert load_engine("eager") == Engine(meaning=load_engine("eager").meaning)
    assert load_engine(IDEAL) == ls.forecast("gpt2", "v100", 4, 2).engine
    for model in ("deepseek-v2-lite", "gemma-2-2b", "t5-small"):
        said = ls.forecast(model, "v100", 64, 8, engine="eager")
        before = ls.forecast(
            model, "v100", 64, 8, fusion="none", overlap="operator", mla="absorbed", causal="full"
        )
        assert said.ttft.expr == before.ttft.expr
        assert said.tpot.expr == before.tpot.expr


def test_an_option_that_is_given_wins() -> None:
    def asked(**options: object) -> ls.Forecast:
        return ls.forecast("deepseek-v2-lite", "a100", 64, 8, engine="ideal", **options)

    plain = {"fusion": "none", "overlap": "operator", "mla": "absorbed", "causal": "full"}
    eager = ls.forecast("deepseek-v2-lite", "a100", 64, 8, engine="eager")
    assert asked(**plain).ttft.expr == eager.ttft.expr
    flash = asked(plan=[Fusion(rules="flash")])
    assert [r.rules for r in flash.rewrites if isinstance(r, Fusion)] == [("flash",)]
    copied = ls.forecast(
        "tinyllama-1.1b", "a100", 64, 8, engine="transformers", plan=[CacheCopies()]
    )
    assert not any(e.name.startswith("kv_concat") for e in copied.trace(1, 64))
    whole = ls.forecast("tinyllama-1.1b", "a100", 1025, 8, engine="llama.cpp", chunk=1025)
    assert whole.chunks.count == 1
    assert ls.forecast("tinyllama-1.1b", "a100", 1025, 8, engine="llama.cpp").chunks.count == 3


def test_an_engine_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nmeaning = "m"\nsource = "s"\n'
        '[products]\nunpack = 2.5\ntype = "int8"\nsource = "s"\n',
        encoding="utf-8",
    )
    f = ls.forecast("llama-2-7b", "a100", 64, 8, weights="q4_0", engine=path)
    linear = f.trace(1, 64).filter(name="mlp_up").cost_at(f.precision)
    assert linear.dequant_ops == Rational(5, 2) * 32 * 4096 * 11008
    assert f.precision.compute is not None
    assert f.precision.compute.name == "int8"
    wide = ls.forecast("llama-2-7b", "a100", 64, 8, activations="fp16", weights="q4_0", engine=path)
    assert wide.precision.compute is None
    old = ls.forecast("llama-2-7b", "v100", 64, 8, weights="q4_0", engine=path)
    assert old.precision.compute is None  # no int8 there
    for name in names("engines"):
        said = ls.forecast("llama-2-7b", "a100", 64, 8, weights="q4_0", engine=name).precision
        assert said.compute is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "x"\n', "missing key 'meaning'"),
        ('name = "x"\nmeaning = "m"\nsource = "s"\nfused = 1\n', "unknown key 'fused'"),
        (
            'name = "x"\nmeaning = "m"\nsource = "s"\n[fusion]\nrules = "flsh"\nsource = "s"\n',
            r"fusion must be one of .*flash",
        ),
        (
            'name = "x"\nmeaning = "m"\nsource = "s"\n[attention]\nmla = "both"\nsource = "s"\n',
            "key 'attention.mla': Invalid enum value 'both'",
        ),
        (
            'name = "x"\nmeaning = "m"\nsource = "s"\n[fusion]\ntile = 4\nsource = "s"\n',
            "a tile is that of fused attention",
        ),
        ('name = "x"\nmeaning = "m"\nsource = "s"\n[cache]\ncopied = true\n', "unknown key"),
        (
            'name = "x"\nmeaning = "m"\nsource = "s"\n[products]\nload = -0.5\nsource = "s"\n',
            "engine.toml: key 'products.load' must be at least 0, not -1/2",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_line(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "engine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=message) as caught:
        load_engine(path)
    assert "\n" not in str(caught.value)


def test_an_unknown_engine_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(SpecError, match=r"unknown engine 'vlm'.*vllm"):
        ls.forecast("gpt2", "v100", 4, 2, engine="vlm")


@pytest.mark.parametrize("name", names("engines"))
def test_the_database_has_every_engine_in_json(name: str) -> None:
    found = json.loads(run("specs", name, "--json").stdout)
    engine = load_engine(name)
    assert found["sources"] == engine.sources
    for key in ("unpack", "unpack_row", "load"):
        assert found.get(key) == getattr(engine, key)


def test_answers_name_the_engine() -> None:
    asked = ["forecast", "tinyllama-1.1b", "--on", "a100", "--prompt", "64", "--generate", "8"]
    for name in ("eager", "ideal"):
        options = [] if name == IDEAL else ["--engine", name]
        assert json.loads(run(*asked, *options, "--json").stdout)["engine"] == name
        assert f"engine {name}, at peaks" in run(*asked, *options).stdout
    sensitivity = ["sensitivity", "tinyllama-1.1b", "--on", "a100", "--engine", "vllm", "--json"]
    assert json.loads(run(*sensitivity, "--metric", "tpot").stdout)["engine"] == "vllm"
    assert "unknown engine" in run(*asked, "--engine", "vlm").stderr


# -- the convention of latents by phase


@pytest.mark.parametrize("engine", ["ideal", "vllm"])
def test_latents_are_expanded_in_a_prefill_and_absorbed_in_decode(engine: str) -> None:
    """DeepSeek-V3, 4,096 tokens: the better form of each phase, under one option."""

    def asked(**options: object) -> ls.Forecast:
        return ls.forecast("deepseek-v3", "h200-sxm", 4096, 16, engine=engine, **options)

    chosen, expand, absorbed = asked(), asked(mla="expand"), asked(mla="absorbed")
    assert chosen.ttft.expr == expand.ttft.expr < absorbed.ttft.expr
    assert chosen.tpot.first.expr == absorbed.tpot.first.expr <= expand.tpot.first.expr
    assert chosen.memory.expr == expand.memory.expr == absorbed.memory.expr


def test_the_forms_of_latents_do_what_they_must() -> None:
    """FLOPs by hand: 61 layers of 128 heads, latents of 512, heads of 128 + 64 and 128."""
    f = ls.forecast("deepseek-v3", "h200-sxm", 4096, 16, engine="ideal", fusion="none")
    s, heads, rank, nope, rope, value, layers = 4096, 128, 512, 128, 64, 128, 61
    pairs = s * (s + 1) // 2
    prefill = f.trace(s, 0).by_name()
    assert prefill["attn_kv_b"] == layers * 2 * s * rank * heads * (nope + value)
    assert prefill["attn_qk"] == layers * 2 * heads * pairs * (nope + rope)
    step = f.trace(1, s).by_name()
    assert step["attn_qk"] == layers * 2 * heads * (s + 1) * (rank + rope)
    assert step["attn_av"] == layers * 2 * heads * (s + 1) * rank


def test_passes_that_decode_absorb_whatever_their_length() -> None:
    f = ls.forecast("deepseek-v2-lite", "a100", 64, 8, engine="vllm")
    checked = speculate(f, None, 3, 0.8)
    absorbed = ls.forecast("deepseek-v2-lite", "a100", 64, 8, engine="vllm", mla="absorbed")
    assert checked.tpot.expr == speculate(absorbed, None, 3, 0.8).tpot.expr
    groups = [Group(batch=2, past=90), Group(new=32, past=16)]
    mixed, same = mixed_pass(f, groups), mixed_pass(absorbed, groups)
    assert mixed.tpot.expr == same.tpot.expr


# -- copies of the cache, against loops over tokens and heads


def copied(
    heads: int, kv_heads: int, dim: int, past: int, new: int, engine: str
) -> tuple[int, int]:
    """Bytes of 16-bit keys and values that one layer of one sequence reads and writes."""
    read = written = 0
    for _tensor, _element in product(range(2), range(dim)):
        cached = [[(head, token) for token in range(past)] for head in range(kv_heads)]
        fresh = kv_heads * new
        written += fresh  # appended
        if engine == "transformers":
            read += sum(map(len, cached))
            written += sum(map(len, cached))
        keys = kv_heads * (past + new)
        if engine == "transformers" and heads != kv_heads:
            read += keys
            written += heads * (past + new)
            keys = heads * (past + new)
        if engine == "life":
            written += heads * (past + new)
        read += keys  # by the product
    return 2 * read, 2 * written


@pytest.mark.parametrize("engine", ["eager", "transformers", "life"])
@pytest.mark.parametrize("heads", [(4, 4), (6, 2), (5, 1)])
@pytest.mark.parametrize(("past", "new"), [(0, 5), (9, 1), (7, 3)])
def test_copies_are_those_of_a_loop(
    engine: str, heads: tuple[int, int], past: int, new: int
) -> None:
    model = tiny(*heads)
    trace = ls.forecast(model, "a100", new, 2, engine=engine).trace(new, past)
    cost = trace.filter(section="layers").cost("fp16", "fp16", "fp16")
    assert (cost.kv_read_bytes, cost.kv_write_bytes) == copied(*heads, 8, past, new, engine)


def tiny(heads: int, kv_heads: int) -> ls.Model:
    return ls.Model.from_hf(
        {
            "model_type": "llama",
            "vocab_size": 40,
            "hidden_size": 8 * heads,
            "intermediate_size": 24,
            "num_hidden_layers": 1,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
        }
    )


def test_copies_in_symbols_are_those_in_numbers() -> None:
    symbolic = ls.Model.symbolic("llama")
    rewrite = CacheCopies(concatenated=True, repeated="heads")
    formula = moved(rewrite(symbolic.forward(sym.batch, 1, sym.past)))
    for heads, kv_heads in ((4, 4), (6, 2), (5, 1)):
        number = moved(rewrite(tiny(heads, kv_heads).forward(3, 1, 11)))
        sizes = {"batch": 3, "past": 11, "layers": 1, "heads": heads, "kv_heads": kv_heads}
        assert sym.bind(formula, {**sizes, "head_dim": 8}) == number


def test_what_is_copied_is_what_is_cached() -> None:
    """Windows of 4,096, a budget, latents, and the cache of an encoder, which does not grow."""

    def concatenated(name: str, past: int, policy: CachePolicy | None = None) -> Expr:
        trace = ls.load_model(name).forward(2, 1, past)
        trace = trace if policy is None else policy(trace)
        copies = CacheCopies(concatenated=True)(trace)
        return copies.filter(name="kv_concat").cost("fp16", "fp16", "fp16").kv_read_bytes

    token = 32 * 2 * 8 * 128 * 2
    assert concatenated("mistral-7b-v0.1", 10_000) == 2 * 4095 * token
    assert concatenated("mistral-7b-v0.1", 10_000, CachePolicy(budget=100)) == 2 * 100 * token
    assert concatenated("deepseek-v2-lite", 70) == 2 * 70 * 27 * (512 + 64) * 2
    whisper = ls.load_model("whisper-tiny").forward(1, 1, 20)
    copies = CacheCopies(concatenated=True, repeated="heads")(whisper)
    assert copies.filter(name="kv_concat").cost("fp16", "fp16", "fp16").kv_read_bytes == (
        20 * 4 * 2 * 384 * 2
    )


def test_latents_are_not_repeated_and_devices_copy_their_own() -> None:
    repeated = CacheCopies(repeated="heads")
    for mla in ("absorbed", "expand", "decompressed"):
        trace = ls.load_model("deepseek-v2-lite").forward(1, 1, 30, mla=mla)
        assert repeated(trace) == trace
    spread = CacheCopies(repeated="layout")
    latents = ls.load_model("deepseek-v2-lite").forward(1, 1, 30)
    assert spread(latents) == latents
    whole = ls.load_model("llama-3-8b").forward(1, 1, 30)
    for n in (2, 8):
        mine = repeated(TensorParallel(devices=n)(whole))
        assert n * moved(mine) == moved(repeated(whole))


def test_a_fused_kernel_keeps_what_it_would_copy() -> None:
    trace = ls.load_model("llama-2-7b").forward(1, 1, 1000)
    spread = CacheCopies(repeated="layout")(trace)
    one = 32 * 4096 * 1001 * 2
    assert moved(spread) - moved(trace) == 2 * one
    assert moved(Fusion(rules="flash")(spread)) - moved(trace) == one
    assert moved(Fusion(rules="layer")(spread)) == moved(trace)
    with pytest.raises(SymbolError, match="comes before fusion"):
        CacheCopies(concatenated=True)(Fusion(rules="flash")(trace))


# -- passes over scores


def test_passes_over_scores() -> None:
    """One that reads and one that writes each, of 2 bytes; two more are the products'."""
    model = tiny(4, 4)
    plain = model.forward(3, 7, 5)
    scores = 3 * 4 * 7 * 12
    assert moved_scores(ScorePasses(passes=5)(plain)) - moved_scores(plain) == 4 * 2 * scores * 2
    fused = Fusion(rules="flash")
    assert fused(ScorePasses(passes=5)(plain)).cost() == fused(plain).cost()
    spilled = Spills(passes=2)(fused(plain))
    assert moved_scores(spilled) - moved_scores(fused(plain)) == 2 * 2 * scores * 2
    assert Spills(passes=2)(plain) == plain


def moved_scores(trace: Trace) -> Expr:
    cost = trace.cost()
    return cost.activation_read_bytes + cost.activation_write_bytes


# -- tiles and waves, against an assignment of tiles to multiprocessors


def busy(rows: int, columns: int, processors: int, tile: tuple[int, int]) -> Rational:
    """Tile times until the last multiprocessor is done; a tile may be split among idle ones."""
    tiles = [(i, j) for i in range(0, rows, tile[0]) for j in range(0, columns, tile[1])]
    if len(tiles) < processors:
        helpers = [0] * len(tiles)
        while sum(helpers) + len(tiles) <= processors:
            helpers = [count + 1 for count in helpers]
        return Rational(1, helpers[0])
    queues = [0] * processors
    for _ in tiles:
        queues[queues.index(min(queues))] += 1
    return Rational(max(queues))


SHAPES = [
    (4, 9, 5),
    (7, 12, 3),
    (8, 3, 1),
    (16, 40, 6),
    (3, 40, 6),
    (9, 2, 40),
    (4, 4, 4),
    (1, 64, 7),
]


@pytest.mark.parametrize(("tokens", "outputs", "processors"), SHAPES)
def test_products_take_whole_waves_of_whole_tiles(
    tokens: int, outputs: int, processors: int
) -> None:
    tile, inner = (4, 3), 5
    product_ = TiledLinear(
        tokens=tokens,
        in_features=inner,
        out_features=outputs,
        rows=tile[0],
        columns=tile[1],
        processors=processors,
    )
    flops = 2 * inner * tokens * outputs
    time = busy(tokens, outputs, processors, tile) * processors * tile[0] * tile[1] * 2 * inner
    expected = time - flops if tokens >= tile[0] else 0
    assert product_.idle == expected
    symbolic = TiledLinear(
        tokens=sym.prompt,
        in_features=sym.hidden,
        out_features=sym.intermediate,
        rows=tile[0],
        columns=tile[1],
        processors=sym.devices,
    )
    numbers = {"prompt": tokens, "hidden": inner, "intermediate": outputs, "devices": processors}
    assert sym.bind(symbolic.idle, numbers) == expected
    assert product_.cost(Precision.of()).matmul_flops == flops


def test_rounding_is_of_time_and_not_of_operations() -> None:
    """Of fused projections as of others; on devices whose multiprocessors are known."""
    a100 = ls.load_hardware("a100")
    f = ls.forecast("llama-2-7b", a100, 300, 4, engine="vllm")
    plain = ls.forecast(
        "llama-2-7b", a100, 300, 4, engine="vllm", plan=[Tiles(processors=1, rows=1, columns=1)]
    )
    assert f.flops.expr == plain.flops.expr
    later = {t.name: t.compute for t in f.ttft.terms}
    sooner = {t.name: t.compute for t in plain.ttft.terms}
    assert later["lm_head"] == sooner["lm_head"]
    assert a100.multiprocessors == 108
    # 3 rows of tiles; all the outputs of one input are one product
    for name, outputs in (("attn_qkv_fused", 3 * 4096), ("mlp_gate_up_fused", 2 * 11008)):
        waves = -(-3 * outputs // 128 // 108)
        extra = 32 * 2 * 4096 * (waves * 108 * 128**2 - 300 * outputs)
        assert later[name] - sooner[name] == Rational(extra, 312 * 10**12)
    grouped = ls.forecast("tinyllama-1.1b", a100, 300, 4, engine="vllm").trace(300, 0)
    (qkv,) = grouped.filter(name="attn_qkv_fused")
    # 3 x 20 tiles of 32 heads and twice 4, in one wave
    assert qkv.operator.idle == 2 * 2048 * (108 * 128**2 - 300 * (32 + 2 * 4) * 64)
    apple = ls.load_hardware("m2-max-30-core-gpu")
    assert apple.multiprocessors is None
    assert not any(isinstance(r, Tiles) for r in load_engine("vllm").rewrites(apple))


@pytest.mark.parametrize("engine", ["vllm", "llama.cpp"])
@pytest.mark.parametrize("prompt", [100, 300, 1100])
def test_multiprocessors_may_be_a_symbol(engine: str, prompt: int) -> None:
    """At its own numbers a symbolic device takes the time of the device, tiles and waves too."""
    a100 = ls.load_hardware("a100").with_(compute_efficiency=0.5)
    told = {"prompt": prompt, "generate": 4, "batch": 2, "engine": engine, "activations": "fp16"}
    f = ls.forecast("tinyllama-1.1b", a100, **told)
    symbolic = ls.Hardware.symbolic("multiprocessors")
    g = ls.forecast("tinyllama-1.1b", symbolic, **told)
    assert sym.multiprocessors in g.ttft.expr.free_symbols
    assert sym.multiprocessors not in f.open().ttft.expr.free_symbols
    point = {**f.point, sym.multiprocessors: a100.multiprocessors}
    for mine, its in ((f.ttft, g.ttft), (f.tpot.first, g.tpot.first), (f.latency, g.latency)):
        assert its.expr.xreplace(point).doit() == mine.expr.doit()
    few, many = (
        g.ttft.expr.xreplace({**point, sym.multiprocessors: Integer(n)}).doit() for n in (108, 1)
    )
    assert few != many
    row = sym.TABLE[sym.multiprocessors]
    assert (row.whole, row.minimum) == (True, 1)
    assert sym.multiprocessors not in (
        ls.forecast("tinyllama-1.1b", ls.Hardware.symbolic(), **told).ttft.expr.free_symbols
    )


def test_a_pass_is_rounded_product_by_product() -> None:
    given = {"engine": "vllm", "overlap": "pass", "weights": "fp16"}
    f = ls.forecast("llama-2-7b", "a100", 300, 4, **given)
    apart = ls.forecast("llama-2-7b", "a100", 300, 4, **{**given, "overlap": "operator"})
    (whole,) = f.ttft.terms
    assert whole.compute == sum(term.compute for term in apart.ttft.terms)
    groups = [Group(batch=100, past=200), Group(new=200)]
    mixed = mixed_pass(apart, groups)  # 300 tokens as before
    rows = {term.name: term for term in apart.ttft.terms}
    both = {term.name: term for term in mixed.tpot.terms}
    assert both["mlp_down"].compute == rows["mlp_down"].compute


# -- operations a stored weight, in products of one row and of others

LAYERS_OF_7B = 32 * (4 * 4096**2 + 3 * 4096 * 11008)
HEAD_OF_7B = 32_000 * 4096
LLAMA_CPP = ("llama.cpp",)


def unpacked(f: ls.Forecast, new: int, past: int) -> Expr:
    """Operations on stored weights: of layers and head, without the rows of the embedding."""
    trace = f.trace(Integer(new), Integer(past)).filter(lambda entry: entry.name != "embedding")
    return trace.cost_at(f.precision).dequant_ops


@pytest.mark.parametrize("engine", LLAMA_CPP)
@pytest.mark.parametrize("weights", ["int4-g128", "q4_0", "fp16"])
def test_weights_of_one_row_take_operations_of_their_own(engine: str, weights: str) -> None:
    """By hand: 2 a quantized weight, 1 in a product of one row; 4 there of 16 bits, else none."""
    many, one = (0, 4) if weights == "fp16" else (2, 1)
    stored: dict[str, str] = {"weights": weights, "activations": "fp16", "engine": engine}
    f, two = (ls.forecast("llama-2-7b", "a100", 300, 4, batch, **stored) for batch in (1, 2))
    assert unpacked(f, 1, 300) == one * (LAYERS_OF_7B + HEAD_OF_7B)
    assert unpacked(two, 1, 300) == many * (LAYERS_OF_7B + HEAD_OF_7B)
    # a prefill's head is of the last token alone: one row of one sequence, two rows of two
    assert unpacked(f, 300, 0) == many * LAYERS_OF_7B + one * HEAD_OF_7B
    assert unpacked(two, 300, 0) == many * (LAYERS_OF_7B + HEAD_OF_7B)
    assert unpacked(f, 1, 0) == one * (LAYERS_OF_7B + HEAD_OF_7B)
    batch = ls.forecast("llama-2-7b", "a100", 300, 4, sym.batch, **stored)
    formula = unpacked(batch, 1, 300)
    for sequences, expected in ((1, f), (2, two)):
        bound = formula.xreplace({sym.batch: Integer(sequences)}).doit()
        assert bound == unpacked(expected, 1, 300)


def test_operations_of_one_row_take_their_time() -> None:
    """At 10^12 a second: 4 a weight of the slowest kernel, in a decode step alone."""
    device = ls.load_hardware("a100").with_(dequantization_rate=10**12, bandwidth=10**15)
    down = [
        next(t for t in terms if t.name == "mlp_down").compute
        for f in (ls.forecast("llama-2-7b", device, 64, 4, weights="fp16", engine="llama.cpp"),)
        for terms in (f.tpot.first.terms, f.ttft.terms)
    ]
    product_ = Rational(2 * 32 * 4096 * 11008, 312 * 10**12)
    assert down == [product_ + Rational(4 * 32 * 4096 * 11008, 10**12), 64 * product_]


def test_engines_without_such_operations_are_as_before() -> None:
    """What a weight takes is its format's: 1 of a scale alone, whatever the rows."""
    for engine in ("eager", "ideal", "life"):
        made = load_engine(engine)
        assert (made.unpack, made.unpack_row, made.load) == (None, None, None)
        stored = {"weights": "q4_0", "activations": "fp16", "engine": engine}
        for batch in (1, 2):
            f = ls.forecast("llama-2-7b", "a100", 64, 4, batch, fusion="none", **stored)
            for new, past in ((1, 64), (64, 0)):
                assert unpacked(f, new, past) == LAYERS_OF_7B + HEAD_OF_7B
            plain = ls.forecast("llama-2-7b", "a100", 64, 4, batch, engine=engine)
            assert plain.trace(1, 64).cost_at(plain.precision).dequant_ops == 0
    for engine in ("vllm", "tensorrt-llm", "sdpa", "transformers"):  # one, of zero points too
        zero = {"weights": "int4-g128", "activations": "fp16", "engine": engine}
        for batch in (1, 2):
            f = ls.forecast("llama-2-7b", "a100", 64, 4, batch, **zero)
            assert f.precision.weights.dequant_ops_per_value == 2
            layers = f.trace(1, 64).filter(section="layers").cost_at(f.precision)
            assert layers.dequant_ops == LAYERS_OF_7B


def test_biases_experts_and_other_products_are_of_many_rows() -> None:
    """Loading a weight is of dense matrices: experts' products take none, nor do their scales."""
    row = Engine(load=Integer(4), unpack_row=Integer(3))
    f = ls.forecast("gpt2", "a100", 64, 4, engine=row)
    matrices = 12 * (4 * 768**2 + 2 * 768 * 3072) + 768 * 50257  # of biased projections
    assert f.trace(1, 64).cost_at(f.precision).dequant_ops == 4 * matrices
    sparse = ls.forecast("qwen3-30b-a3b", "a100", 64, 4, engine=row)
    names_ = {
        entry.name
        for entry in sparse.trace(1, 64)
        if not entry.cost(sparse.precision).dequant_ops.is_zero
    }
    assert "lm_head" in names_
    assert not {name for name in names_ if "expert" in name}
    quantized = {"weights": "q4_0", "activations": "fp16", "engine": row}
    experts = [
        ls.forecast("qwen3-30b-a3b", "a100", 64, 4, batch, routing="all", **quantized)
        for batch in (1, 2)
    ]
    ops = [
        [e.cost(f.precision).dequant_ops for e in f.trace(1, 64) if "expert" in e.name]
        for f in experts
    ]
    assert ops[0] == ops[1]
    dense = [
        unpacked(ls.forecast("llama-2-7b", "a100", 64, 4, b, **quantized), 1, 64) for b in (1, 2)
    ]
    assert dense == [3 * (LAYERS_OF_7B + HEAD_OF_7B), LAYERS_OF_7B + HEAD_OF_7B]
    # of kernels that dequantize apart, then load what they have written
    apart = ls.forecast("llama-2-7b", "a100", 64, 4, unfused_dequant=True, **quantized)
    assert unpacked(apart, 1, 64) == (1 + 4) * (LAYERS_OF_7B + HEAD_OF_7B)
    plain, loaded = (
        ls.forecast("llama-2-7b", "a100", 64, 4, unfused_dequant=True, weights="fp16", engine=e)
        for e in (Engine(), row)
    )
    before, after = (f.trace(1, 64).cost_at(f.precision) for f in (plain, loaded))
    assert (before.bytes, before.dispatches) == (after.bytes, after.dispatches)


# -- launches


def test_launches_take_their_time() -> None:
    """19 a layer and 3 at the ends: LIFE's of a decode step (gallery/test_life.py)."""
    timed = ls.load_hardware("a100").with_(dispatch_time=1)
    late = ls.forecast("llama-2-7b", timed, 128, 2, engine="life", overlap="operator")
    assert sum(term.dispatch for term in late.tpot.first.terms) == 19 * 32 + 3


def test_launches_where_layers_are_of_two_kinds() -> None:
    """Of 22 layers 8 have a cache; every layer has so many launches on average."""
    shared = CachePolicy(share=3)(ls.load_model("tinyllama-1.1b").forward(1, 1, 10))
    assert Launches(layer=5, ends=2)(shared).cost().dispatches == 22 * 5 + 2
    plain = ls.load_model("deepseek-v2-lite").forward(1, 1, 10)
    launched = Launches(layer=7)(plain)
    ends = sum(
        entry.cost(Precision.of()).dispatches
        for entry in plain
        if entry.section in ("embed", "head")
    )
    assert launched.cost().dispatches == 27 * 7 + ends
    f = ls.forecast("deepseek-v3", "h200-sxm", 64, 8, plan=[Launches(layer=7)])
    assert speculate(f, None, 2, 0.5).tpot.expr > 0


# -- gates apart, whole tables


def test_gates_apart_move_what_is_activated_once_more() -> None:
    """By hand: a Llama of 22 layers, 5,632 wide, 3 x 7 tokens, and its head without any."""
    plain = ls.load_model("tinyllama-1.1b").forward(3, 7, 5)
    apart = Apart()(plain)
    elements = 22 * 3 * 7 * 5632
    before, after = plain.cost(), apart.cost()
    assert after.flops == before.flops
    assert after.activation_read_bytes - before.activation_read_bytes == 2 * elements
    assert after.activation_write_bytes - before.activation_write_bytes == 2 * elements
    assert after.dispatches - before.dispatches == 22
    ungated = ls.load_model("gpt2").forward(3, 7, 5)
    assert Apart()(ungated) == ungated
    for rules in ("layer", "full"):  # whole layers are one kernel either way
        fused = Fusion(rules=rules)(apart).cost()
        joined = Fusion(rules=rules)(plain).cost()
        assert (fused == joined) == (rules == "layer")
    with pytest.raises(SymbolError, match="comes before fusion"):
        Apart()(Fusion(rules="layer")(plain))


@pytest.mark.parametrize("name", ["tinyllama-1.1b", "phi-3-mini-4k"])
def test_gates_apart_are_split_as_gates_are(name: str) -> None:
    """On two devices each has half of every gate."""
    trace = ls.load_model(name).forward(1, 4, 0)
    whole, half = (
        [e.operator.elements for e in Apart()(each) if isinstance(e.operator, Gate)]
        for each in (trace, TensorParallel(devices=2)(trace))
    )
    assert [2 * elements for elements in half] == whole
    assert whole


def test_whole_tables_are_read_by_every_pass() -> None:
    plain = ls.load_model("gpt2").forward(2, 3, 0)  # tokens and positions, 768 wide
    whole = WholeTables()(plain)
    more = 768 * (50257 + 1024 - 2 * 2 * 3) * 2
    assert whole.cost().weight_bytes - plain.cost().weight_bytes == more
    assert whole.weight_roles() == plain.weight_roles()
    halves = WholeTables()(TensorParallel(devices=2)(ls.load_model("llama-2-7b").forward(1, 1, 0)))
    (table,) = halves.filter(name="embedding")
    assert table.cost(Precision.of()).weight_bytes == 32000 // 2 * 4096 * 2


# -- adapters merged in line


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("name", ["tinyllama-1.1b", "phi-3-mini-4k", "qwen1.5-moe-a2.7b"])
def test_devices_merge_their_own_part(name: str, n: int) -> None:
    """Projections are split by columns or rows, keys by whole heads; and so are their merges."""
    trace = ls.load_model(name).forward(1, 3, 0)
    lora = Lora(rank=4, merged="inline")
    merged = lora(TensorParallel(devices=n)(trace))
    for entry in merged:
        target, _, merge = entry.name.partition("_lora_merge")
        if merge or not entry.name.endswith("_lora_merge"):
            continue
        (base,) = merged.filter(name=target, section=entry.section)
        assert (entry.operator.in_features, entry.operator.out_features) == (
            base.operator.in_features,
            base.operator.out_features,
        )
    assert any(entry.name.endswith("_lora_merge") for entry in merged)


def test_a_mixed_pass_merges_once() -> None:
    f = ls.forecast("tinyllama-1.1b", "a100", 64, 8, lora=Lora(rank=4, merged="inline"))
    mixed = mixed_pass(f, [Group(batch=2, past=9), Group(new=8)])
    merges = [t for t in mixed.tpot.terms if t.name == "attn_q_lora_merge"]
    assert [t.cost.flops for t in merges] == [22 * 2048**2 * 10]
    asked = ["count", "tinyllama-1.1b", "--lora", "4", "--lora-inline", "--json"]
    assert "attn_q_lora_merge" in json.loads(run(*asked).stdout)["by_operator"]


# -- whole layers, windows, bounds


@pytest.mark.parametrize("share", [2, 3, 6])
@pytest.mark.parametrize("lora", [None, 4])
def test_whole_layers_of_two_kinds(share: int, lora: int | None) -> None:
    """Layers with a cache of their own and layers that borrow one: a kernel of each kind."""
    trace = ls.load_model("tinyllama-1.1b").forward(2, 4, 10)
    shared = CachePolicy(share=share)(trace)
    shared = shared if lora is None else Lora(rank=lora)(shared)
    fused = Fusion(rules="layer")(shared)
    kernels = fused.filter(name="layer")
    owners = -(-22 // share)
    assert [entry.count for entry in kernels] == [owners, 22 - owners]
    for field in ("matmul_flops", "weight_bytes", "kv_read_bytes", "kv_write_bytes"):
        assert getattr(fused.cost(), field) == getattr(shared.cost(), field)
    stream = 22 * 2 * 4 * 2048 * 2
    assert kernels.cost().activation_write_bytes == kernels.cost().activation_read_bytes == stream
    assert fused.cache_elements(Integer(14)) == shared.cache_elements(Integer(14))


@pytest.mark.parametrize("name", ["whisper-tiny", "t5-small", "bart-base"])
@pytest.mark.parametrize("engine", ["ideal", "vllm", "transformers"])
def test_encoder_decoders_have_engines_too(name: str, engine: str) -> None:
    eager, other = (ls.forecast(name, "a100", 64, 8, engine=e) for e in ("eager", engine))
    exact = ls.forecast(name, "a100", 64, 8, causal=other.causal)
    assert other.flops.expr == exact.flops.expr
    slower = engine == "transformers"
    assert (other.tpot.mean.expr > eager.tpot.mean.expr) == slower
    crossed = {t.name for t in ls.forecast(name, "a100", 64, 8, fusion="flash").tpot.terms}
    assert "cross_core" in crossed


def test_a_whole_layer_has_experts_of_uneven_load() -> None:
    """The busiest device's mean work need not be a whole number of elements."""
    uneven = Routing(imbalance=Rational(11, 10))
    f = ls.forecast("qwen3-30b-a3b", "h100", 64, 8, 2, engine="roofline", routing=uneven)
    even = ls.forecast("qwen3-30b-a3b", "h100", 64, 8, 2, engine="roofline")
    assert f.ttft.terms[0].compute > even.ttft.terms[0].compute


def test_an_engine_may_know_no_windows() -> None:
    """Gemma 3: layers with a window then compute and keep what those without one do."""
    known, blind = Engine(), Engine(windows=False)
    for causal in ("full", "exact"):
        f, g = (
            ls.forecast("gemma-3-4b", "a100", 3000, 8, engine=e, causal=causal)
            for e in (known, blind)
        )
        few, all_ = (
            {e.operator.pairs for e in each.trace(1, 5000).filter(name="attn_qk")}
            for each in (f, g)
        )
        assert few == {1024, 5001}
        assert all_ == {5001}
        assert {e.operator.pairs for e in g.trace(3000, 0).filter(name="attn_qk")} == {
            3000**2 if causal == "full" else 3000 * 3001 // 2
        }
        assert g.cache_bytes == 34 * 2 * 4 * 256 * 2 * 3008


def test_a_long_prompt_on_a_small_card() -> None:
    """10,000 tokens of Qwen3-4B were computed in 0.714 s on an RTX 4090: no bound may be above."""
    assert ls.forecast("qwen3-4b", "rtx-4090", 10_000, 2, engine="ideal").ttft.expr <= Rational(
        714, 1000
    )


@pytest.mark.parametrize("engine", [name for name in names("engines") if name != "roofline"])
@pytest.mark.parametrize("name", ["llama-3-8b", "deepseek-v2-lite", "gemma-2-2b"])
def test_no_engine_is_faster_than_the_roofline(name: str, engine: str) -> None:
    least = ls.forecast(name, "a100", 1500, 16, 2, engine="roofline")
    other = ls.forecast(name, "a100", 1500, 16, 2, engine=engine)
    assert least.ttft.expr <= other.ttft.expr
    for past in (1500, 1515):
        at = {sym.past: Integer(past)}
        assert least.tpot.expr.xreplace(at) <= other.tpot.expr.xreplace(at)


@pytest.mark.parametrize("name", ["llama-3-8b", "deepseek-v2-lite", "gemma-2-2b"])
def test_no_kernels_of_an_operator_each_are_faster_than_the_ideal(name: str) -> None:
    """Joining operators takes some activations off: 4 % of a prompt, 0.02 % of a step at most."""
    ideal = ls.forecast(name, "a100", 1500, 16, 2)
    for engine in ("eager", "sdpa", "transformers", "llama.cpp"):
        other = ls.forecast(name, "a100", 1500, 16, 2, engine=engine)
        assert ideal.ttft.expr <= other.ttft.expr
        assert ideal.tpot.first.expr <= other.tpot.first.expr
    joined = ls.forecast(name, "a100", 1500, 16, 2, engine="vllm", overlap="operator")
    assert joined.ttft.expr > Rational(96, 100) * ideal.ttft.expr
    assert joined.tpot.first.expr > Rational(9998, 10000) * ideal.tpot.first.expr


def test_a_forecast_says_what_it_is_a_bound_of() -> None:
    def said(**options: object) -> str:
        return ls.forecast("deepseek-v2-lite", "a100", 64, 8, **options).attained

    assert said() == "at peaks: an upper bound on speed, operator by operator"
    assert said(engine="roofline") == "at peaks: an upper bound on speed"
    for option in (
        *({"engine": "eager"}, {"fusion": "none"}, {"causal": "full"}, {"mla": "expand"}),
        *({"overlap": "none"}, {"unfused_dequant": True}, {"engine": "vllm"}),
    ):
        assert said(**option) == "at peaks: an upper bound on speed of these kernels", option
    served = pipeline(ls.forecast("llama-2-7b", "a100", 64, 8), 2)
    assert served.attained == said()


def test_weights_unpacked_by_kernels_of_their_own(tmp_path: Path) -> None:
    """By hand, from 32 tokens on: n stored weights of 4 bits are read, written and read in 16."""
    path = tmp_path / "copies.toml"
    path.write_text(
        'name = "copies"\nmeaning = "a test"\nsource = "here"\n'
        '[products]\nunpack = 5\nunpacked_from = 32\nsource = "here"\n'
    )
    given = {"weights": "int4-g128", "activations": "fp16"}
    f = ls.forecast("llama-2-7b", "a100", 300, 4, engine=path, **given)
    eager = ls.forecast("llama-2-7b", "a100", 300, 4, engine="eager", **given)
    n = LAYERS_OF_7B
    stored = sum(
        e.count * e.once(eager.precision).weight_bytes
        for e in eager.trace(32, 0)
        if e.section not in ("embed", "head") and e.operator.family == "linear"
    )
    for new, many in ((31, False), (32, True), (300, True)):
        plain, copied = (x.trace(new, 0).cost_at(x.precision) for x in (eager, f))
        assert copied.bytes - plain.bytes == (4 * n if many else 0)
        assert copied.weight_bytes == plain.weight_bytes
        assert copied.dispatches - plain.dispatches == (32 * 7 if many else 0)
        assert copied.matmul_flops == plain.matmul_flops
        kernels = [e for e in f.trace(new, 0) if e.name.endswith("_unpack")]
        assert len(kernels) == 7
        costs = [e.count * e.once(f.precision) for e in kernels]
        assert sum(c.dequant_ops for c in costs) == (5 * n if many else 0)
        assert sum(c.activation_write_bytes for c in costs) == (2 * n if many else 0)
        assert sum(c.activation_read_bytes for c in costs) == (stored if many else 0)
    assert unpacked(f, 300, 0) == 5 * (n + HEAD_OF_7B)
    wide = ls.forecast("llama-2-7b", "a100", 300, 4, engine=path, weights="fp16")
    same = ls.forecast("llama-2-7b", "a100", 300, 4, engine="eager", weights="fp16")
    assert wide.ttft.expr == same.ttft.expr
    prompt = ls.forecast("llama-2-7b", "a100", sym.prompt, 4, engine=path, **given).ttft
    assert prompt.bind({"prompt": 300}) == f.ttft.expr.doit()
    held = {"levels": [Level(name="host", bandwidth=10**10, weights=Rational(1, 2))]}
    split = ls.forecast("llama-2-7b", "a100", 300, 4, engine=path, **given, **held)
    assert split.ttft.expr > f.ttft.expr
