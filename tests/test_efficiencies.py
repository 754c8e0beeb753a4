"""Efficiencies and dispatch times of parts of the work, and LIFE's equations as a special case."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from sympy import Expr, Integer, Rational

import lifesym as ls
from lifesym import operators
from lifesym import symbols as sym
from lifesym.errors import SpecError, SymbolError
from lifesym.levels import Level
from lifesym.report import equation
from lifesym.serving import Group, mixed_pass, speculate
from lifesym.specs import root
from lifesym.trace import Trace

MODEL = "tinyllama-1.1b"


def card(**more: Any) -> ls.Hardware:
    """A device with numbers of few digits."""
    usual = {"compute_efficiency": 0.5, "memory_efficiency": 0.8, "dispatch_time": 4e-6}
    return ls.load_hardware("v100").with_(**(usual | more))


def exactly(value: Any) -> Fraction:
    number = value.expr.doit() if hasattr(value, "expr") else value.doit()
    return Fraction(int(number.p), int(number.q))


# LIFE, arXiv 2508.00904. Eq. 1: t_c = sum of an operator's operations / (its efficiency times
# TOPS); Eq. 2: t_m = sum of its bytes / (its efficiency times the bandwidth); Eq. 3: TTFT = their
# maximum, and dispatches; Eq. 4 and 5: TPOT = t_m and dispatches; Eq. 6: TPS = 1/TPOT.
LIFE_DEVICES = ("cpu", "v100")
COMPUTE = {"linear": Fraction(1, 2), "attention": Fraction(1, 4), "softmax": Fraction(1, 10)}
MEMORY = {"linear": Fraction(7, 10), "attention": Fraction(2, 5), "norm": Fraction(3, 10)}
DISPATCH = {"norm": Fraction(2, 10**6), "lm_head": Fraction(9, 10**6)}
COMPUTE_OF_ALL, MEMORY_OF_ALL, DISPATCH_OF_ALL = Fraction(3, 5), Fraction(1, 2), Fraction(5, 10**6)


def life_device(name: str) -> ls.Hardware:
    """As LIFE states it, with one rate for all operations, and efficiencies of parts."""
    device = ls.load_hardware(root() / "published" / f"life-{name}.toml").with_(
        compute_efficiency=COMPUTE_OF_ALL,
        memory_efficiency=MEMORY_OF_ALL,
        dispatch_time=DISPATCH_OF_ALL,
    )
    for family in dict.fromkeys((*COMPUTE, *MEMORY, *DISPATCH)):
        device = device.with_efficiency(
            family,
            compute=COMPUTE.get(family),
            memory=MEMORY.get(family),
            dispatch=DISPATCH.get(family),
        )
    return device


def life(trace: Trace, name: str, **formats: str) -> tuple[Fraction, Fraction, Fraction]:
    """Compute, memory and dispatch time by LIFE's sums over operators."""
    device = life_device(name)
    rate, bandwidth = exactly(device.vector["fp32"]), exactly(device.bandwidth)
    compute = memory = dispatch = Fraction(0)
    for entry in trace:
        cost = trace.filter(lambda each, entry=entry: each is entry).cost(**formats)  # type: ignore[misc]
        family = entry.operator.family
        compute += exactly(cost.flops) / (COMPUTE.get(family, COMPUTE_OF_ALL) * rate)
        memory += exactly(cost.bytes) / (MEMORY.get(family, MEMORY_OF_ALL) * bandwidth)
        dispatch += exactly(cost.dispatches) * DISPATCH.get(family, DISPATCH_OF_ALL)
    return compute, memory, dispatch


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("weights", ["fp16", "int4-g128"])
@pytest.mark.parametrize("name", LIFE_DEVICES)
def test_one_maximum_of_a_pass_is_lifes_equations(name: str, weights: str) -> None:
    formats = {"weights": weights, "activations": "fp16", "kv": "fp16"}
    model = ls.load_model("llama-2-7b")
    f = ls.forecast(model, life_device(name), 2048, 2, overlap="pass", **formats)  # type: ignore[arg-type]
    compute, memory, dispatch = life(model.forward(1, 2048, 0, logits="last"), name, **formats)
    assert exactly(f.ttft) == max(compute, memory) + dispatch  # Eq. 3
    assert compute > memory
    compute, memory, dispatch = life(model.forward(1, 1, 2048), name, **formats)
    assert exactly(f.tpot.mean) == max(compute, memory) + dispatch
    assert exactly(f.tps) == 1 / exactly(f.tpot.mean)  # Eq. 6
    if name == "v100":
        assert exactly(f.tpot.mean) == memory + dispatch  # Eq. 4 and 5
    else:  # LIFE's "decode depends on memory alone" fails: products alone take longer than moving
        assert compute > memory


# what counts for an operator


def term(device: ls.Hardware, name: str, **options: Any) -> Any:
    f = ls.forecast(MODEL, device, 64, 4, **options)
    return next(term for term in f.ttft.terms if term.name == name)


@pytest.mark.usefixtures("eager")
def test_the_first_number_there_is_counts() -> None:
    """The operator's own, its family's, the role's, the device's."""
    device = card()
    plain = term(device, "mlp_down")
    assert (
        plain.compute == 2 * term(device.with_efficiency("linear", compute=1), "mlp_down").compute
    )
    device = device.with_efficiency("linear", compute=1, memory=0.4, dispatch=1e-6)
    device = device.with_efficiency("mlp_down", compute=0.25, memory=0.2, dispatch=3e-6)
    named, alike = term(device, "mlp_down"), term(device, "mlp_up")
    assert (named.compute, named.memory) == (2 * plain.compute, 4 * plain.memory)
    assert named.dispatch == plain.dispatch * Rational(3, 4)
    usual = term(card(), "mlp_up")
    assert (alike.compute, alike.memory) == (usual.compute / 2, 2 * usual.memory)
    assert alike.dispatch == usual.dispatch / 4
    assert term(device, "attn_qk") == term(
        card().with_efficiency("norm", compute=1), "attn_qk"
    ) or (term(device, "attn_qk").time == term(card(), "attn_qk").time)


def test_bytes_by_role_add_up() -> None:
    """A product's weights at 0.9, its activations at 0.8 of the bandwidth of 900 GB/s."""
    device = card().with_efficiency("weights", memory=0.9).with_efficiency("cache", memory=0.5)
    found = term(device, "mlp_down")
    weights = 22 * 5632 * 2048 * 2
    activations = 22 * 64 * (5632 + 2048) * 2
    bandwidth = 900 * 10**9
    assert found.memory == Rational(weights * 10, 9 * bandwidth) + Rational(
        activations * 10, 8 * bandwidth
    )
    appended = term(device, "kv_append")
    read, written = appended.cost.activation_read_bytes, appended.cost.kv_write_bytes
    assert appended.memory == (read * Rational(10, 8) + written * 2) / bandwidth


PARTS = [
    *(f"{family}.{number}" for family in sym.FAMILIES for number in sym.ATTAINED),
    *(f"{role}.memory" for role in sym.ROLES),
]


@pytest.mark.parametrize("overlap", ["operator", "pass", "none"])
@pytest.mark.parametrize("fusion", ["none", "full", "layer"])
def test_the_same_number_for_every_part_is_one_number(overlap: Any, fusion: str) -> None:
    """On a device and a host that serves and computes, of dense and sparse models."""
    device = card()
    usual = {"compute": Rational(1, 2), "memory": Rational(4, 5), "dispatch": Rational(4, 10**6)}
    parted = device
    for key in PARTS:
        part, _, number = key.rpartition(".")
        parted = parted.with_efficiency(part, **{number: usual[number]})
    host = Level(
        name="host", bandwidth=10**11, weights=0.25, kv=1, computes=("attn",), peaks=10**12
    )
    levels = [[]] if fusion == "layer" else [[], [host]]
    for served in levels:
        for model in (MODEL, "olmoe-1b-7b"):
            asked = {"overlap": overlap, "fusion": fusion, "levels": served, "weights": "int8"}
            one = ls.forecast(model, device, 64, 4, 2, **asked)
            many = ls.forecast(model, parted, 64, 4, 2, **asked)
            for found, expected in ((many.ttft, one.ttft), (many.tpot.mean, one.tpot.mean)):
                assert exactly(found) == exactly(expected)
            assert many.energy.expr == one.energy.expr
            assert many.flops.expr == one.flops.expr


def test_a_fused_kernel_is_of_the_family_of_its_products() -> None:
    device = card().with_efficiency("attention", compute=0.25, memory=0.2, dispatch=1e-6)
    for name, fusion in (("attn_core", "flash"), ("mlp_up_act", "full")):
        plain, found = (term(each, name, fusion=fusion) for each in (card(), device))
        if name == "attn_core":  # softmax, too, is done at the attention's efficiency
            assert (found.compute, found.memory) == (2 * plain.compute, 4 * plain.memory)
            assert found.dispatch == plain.dispatch / 4
        else:
            assert found.time == plain.time
    linear = card().with_efficiency("linear", compute=0.25)
    assert term(linear, "mlp_up_act", fusion="full").compute == (
        2 * term(card(), "mlp_up_act", fusion="full").compute
    )


@pytest.mark.usefixtures("eager")
def test_a_kernel_of_several_families_computes_each_at_its_own() -> None:
    device = card().with_efficiency("attention", compute=0.25, memory=0.2, dispatch=1)
    plain, found = (term(each, "layer", fusion="layer") for each in (card(), device))
    scores = [term(card(), name).compute for name in ("attn_qk", "attn_av")]
    assert found.compute == plain.compute + sum(scores)
    assert (found.memory, found.dispatch) == (plain.memory, plain.dispatch)
    whole = device.with_efficiency("fused", compute=0.1, memory=0.4, dispatch=8e-6)
    found = term(whole, "layer", fusion="layer")
    assert (found.compute, found.memory) == (5 * plain.compute, 2 * plain.memory)
    assert found.dispatch == 2 * plain.dispatch


def test_layers_collectives_and_unpacking() -> None:
    """22 layers; two all-reduces a layer, one after the embedding, and a gather of the logits."""
    asked = {"tensor_parallel": 2, "weights": "int4-g128"}
    plain = ls.forecast(MODEL, card(link_bandwidth=1e10, link_latency=0), 64, 4, **asked)  # type: ignore[arg-type]
    more = {"layer_time": 1e-5, "collective_latency": 1e-4}
    f = ls.forecast(MODEL, plain.hardware.with_(**more), 64, 4, **asked)  # type: ignore[arg-type]
    after = 22 * Rational(1, 10**5) + (2 * 22 + 2) * Rational(1, 10**4)
    assert f.ttft.expr - plain.ttft.expr == after
    assert f.tpot.first.expr - plain.tpot.first.expr == after
    whole = ls.forecast(MODEL, f.hardware, 64, 4, overlap="pass", **asked)  # type: ignore[arg-type]
    (one,) = whole.ttft.terms
    once = ls.forecast(MODEL, plain.hardware, 64, 4, overlap="pass", **asked)  # type: ignore[arg-type]
    assert one.time - once.ttft.terms[0].time == after
    rate = plain.hardware.vector["fp32"]
    same = ls.forecast(MODEL, plain.hardware.with_(dequantization_rate=rate), 64, 4, **asked)  # type: ignore[arg-type]
    assert same.ttft.expr == plain.ttft.expr
    slow = plain.hardware.with_(dequantization_rate=rate / 100)
    down, before = (term(each, "mlp_down", **asked) for each in (slow, plain.hardware))
    assert down.compute - before.compute == 99 * before.cost.dequant_ops * 2 / rate


def test_every_row_of_logits_is_sampled() -> None:
    """By hand, at 10 us a token: rows of each pass, on one device, whatever is fused or split."""
    seconds = Rational(1, 10**5)

    def more(of: Callable[[ls.Hardware], Any]) -> list[Expr]:
        forms = [of(card(**given, link_bandwidth=1e10)) for given in ({}, {"sampling_time": 1e-5})]
        metrics = [[f.ttft.expr, f.tpot.first.expr, f.tpot.mean.expr] for f in forms]
        return [(b - a).doit() / seconds for a, b in zip(*metrics, strict=True)]

    def asked(device: ls.Hardware, **options: Any) -> ls.Forecast:
        given: dict[str, Any] = {"prompt": 64, "generate": 4, "batch": 6} | options
        return ls.forecast(MODEL, device, **given)

    for options in (
        {},
        {"fusion": "full"},
        {"fusion": "layer"},
        {"overlap": "pass"},
        {"tensor_parallel": 2},  # each device's share of every row
        {"chunk": 20},  # chunks before the last have no logits
        {"past": 9, "prompt": 1},
    ):
        assert more(lambda device, options=options: asked(device, **options)) == [6, 6, 6]
    assert more(lambda device: asked(device, data_parallel=2)) == [3, 3, 3]
    groups = [Group(batch=3, past=9), Group(new=5, logits="none"), Group(new=7)]
    before, after = (
        mixed_pass(asked(device), groups).tpot.expr.doit()
        for device in (card(), card(sampling_time=1e-5))
    )
    assert after - before == (3 + 0 + 1) * seconds
    before, after = (
        speculate(asked(device), asked(device), 3, Rational(1, 2))
        for device in (card(), card(sampling_time=1e-5))
    )
    assert (after.ttft.expr - before.ttft.expr).doit() == 2 * 6 * seconds
    drafted, checked = 3 * 6, (3 + 1) * 6
    assert (after.step.expr - before.step.expr).doit() == (drafted + checked) * seconds
    f, plain = asked(card(sampling_time=1e-5)), asked(card())
    assert f.latency.expr.doit() - plain.latency.expr.doit() == 4 * 6 * seconds
    assert f.open().ttft.expr.xreplace(f.point).doit() == f.ttft.expr.doit()
    assert "sampling 1e-05 (option)" in f.attained


def test_scores_of_one_query_are_blocks_of_threads_where_an_engine_starts_them() -> None:
    """By hand, at 1 ns a score: of decode steps, and of prompts of one token."""
    layers, heads, seconds = 22, 32, Rational(1, 10**9)

    def more(**options: Any) -> list[Expr]:
        given: dict[str, Any] = {"prompt": 64, "generate": 4, "batch": 6} | options
        given = {"engine": "llama.cpp-unfused"} | given
        forms = [ls.forecast(MODEL, card(**more), **given) for more in ({}, {"score_time": 1e-9})]
        metrics = [[f.ttft.expr, f.tpot.first.expr, f.tpot.last.expr] for f in forms]
        return [(b - a).doit() / seconds for a, b in zip(*metrics, strict=True)]

    each = 6 * layers * heads
    assert more() == [0, 65 * each, 67 * each]
    assert more(past=9, prompt=1) == [10 * each, 11 * each, 13 * each]
    assert more(chunk=21) == [64 * each, 65 * each, 67 * each]  # the last chunk is one token
    assert more(tensor_parallel=2) == [0, 65 * each // 2, 67 * each // 2]
    assert more(fusion="flash") == more(engine="llama.cpp") == [0, 0, 0]
    prompt = ls.symbols.prompt
    forms = [ls.forecast(MODEL, card(score_time=1e-9), prompt, 4, 6, engine="llama.cpp-unfused")]
    for n in (1, 2, 30):
        asked = ls.forecast(MODEL, card(score_time=1e-9), n, 4, 6, engine="llama.cpp-unfused")
        assert forms[0].ttft.expr.xreplace({prompt: Integer(n)}).doit() == asked.ttft.expr.doit()
    assert "score 1e-09 (option)" in forms[0].attained
    assert forms[0].notes == ()
    (note,) = ls.forecast(MODEL, card(score_time=1e-9), 64, 4, engine="vllm").notes
    assert note == "score_time is not used: engine vllm starts no block a score"


def test_one_device_waits_for_no_collective() -> None:
    device = ls.Hardware.symbolic("collective_latency")
    f = ls.forecast(MODEL, device, 64, 4, tensor_parallel=sym.devices)
    assert sym.collective_latency in f.ttft.expr.free_symbols
    assert (
        sym.collective_latency not in f.ttft.expr.xreplace({sym.devices: Integer(1)}).free_symbols
    )


@pytest.mark.parametrize("model", ["llama-2-7b", "deepseek-v2-lite", "gemma-3-1b", "jamba-v0.1"])
def test_every_layer_is_in_one_section_of_layers(model: str) -> None:
    """`num_hidden_layers` of the configs; Zamba's shared blocks run beside its own layers."""
    layers = {"llama-2-7b": 32, "deepseek-v2-lite": 27, "gemma-3-1b": 26, "jamba-v0.1": 32}
    assert sum(ls.load_model(model).forward(1, 4, 8).layers().values()) == layers[model]


@pytest.mark.parametrize(
    "key", ["attention.compute", "mlp_up.memory", "cache.memory", "norm.dispatch"]
)
def test_more_of_an_efficiency_is_never_slower(key: str) -> None:
    part, _, number = key.rpartition(".")
    values = (Rational(1, 9), Rational(1, 2), Integer(1))
    for overlap in ("operator", "pass", "none"):
        devices = [card().with_efficiency(part, **{number: value}) for value in values]
        times = [ls.forecast(MODEL, each, 640, 4, overlap=overlap) for each in devices]  # type: ignore[arg-type]
        for of in ("ttft", "latency"):
            found = [exactly(getattr(f, of)) for f in times]
            assert found == sorted(found, reverse=number != "dispatch")


# as symbols


def test_the_families_are_those_of_the_operators() -> None:
    classes = [getattr(operators, name) for name in operators.__all__]
    families = {kind.family for kind in classes if hasattr(kind, "family")}
    assert families - {"collective"} == set(sym.FAMILIES)


def test_symbols_of_parts_are_rows_of_the_table() -> None:
    for key in PARTS:
        row = sym.TABLE[sym.own(key)]
        assert getattr(sym, row.word) is row.symbol
    attention = sym.TABLE[sym.own("attention.compute")]
    assert attention.latex == r"e_{\mathrm{c,attn}}"
    assert attention.meaning == "attained fraction of peak (attention)"
    assert sym.TABLE[sym.own("norm.dispatch")].latex == r"t_{\mathrm{d,norm}}"
    scan = sym.TABLE[sym.own("delta_net:mixer.memory")]
    assert (scan.name, scan.latex) == (
        "memory_efficiency_delta_net_mixer",
        r"e_{\mathrm{m,delta\_net:mixer}}",
    )
    with pytest.raises(SymbolError, match="is a symbol of lifesym's"):
        ls.symbol("compute_efficiency_mine", meaning="mine")


def test_a_symbolic_device_has_the_parts_it_is_asked_for() -> None:
    device = ls.Hardware.symbolic("attention.compute", "weights.memory", "layer_time")
    f = ls.forecast(ls.Model.symbolic("llama"), device, overlap="pass")
    printed = equation(f.ttft, "latex")
    for latex in (r"e_{\mathrm{c,attn}}", r"e_{\mathrm{m,w}}", r"t_{\ell}"):
        assert latex in printed
    words = {row.word for row in ls.legend(f.ttft.expr)}
    assert {"compute_efficiency_attention", "memory_efficiency_weights", "layer_time"} <= words
    assert not {"collective_latency", "dequantization_rate"} & words
    with pytest.raises(SymbolError, match=r"'bandwith' is not PART\.NUMBER"):
        ls.Hardware.symbolic("bandwith")


def own_device() -> ls.Hardware:
    device = card(layer_time=1e-5).with_efficiency("linear", compute=0.6)
    return device.with_efficiency("mlp_down", compute=0.45).with_efficiency("weights", memory=0.9)


def test_opening_opens_what_a_device_has() -> None:
    f = ls.forecast(MODEL, own_device(), 512, 4, 4)
    whole = f.open()
    words = {symbol.name for symbol in whole.ttft.expr.free_symbols}
    mine = {
        "compute_efficiency_linear",
        "compute_efficiency_mlp_down",
        "memory_efficiency_weights",
        "layer_time",
    }
    assert mine <= words
    assert whole.ttft.expr.xreplace(f.point).doit() == f.ttft.expr.doit()
    found = {row.word: row.value for row in ls.elasticities(whole.ttft).at(f.point)}
    down = next(t for t in f.ttft.terms if t.name == "mlp_down")
    assert found["compute_efficiency_mlp_down"] == -(down.compute / f.ttft.expr).doit()
    layers = 22 * Rational(1, 10**5)
    assert found["layer_time"] == (layers / f.ttft.expr).doit()
    some = f.open("compute_efficiency_linear").ttft
    assert {symbol.name for symbol in some.expr.free_symbols} == {"compute_efficiency_linear"}
    step = ls.compile(
        f.open("memory_efficiency_weights").tpot, ["memory_efficiency_weights", "past"]
    )
    assert step(0.9, 512) == pytest.approx(float(f.tpot.first), rel=1e-12)


def test_a_number_may_be_an_expression() -> None:
    """An efficiency that falls with what others do."""
    load = ls.symbol("load", meaning="share of the bandwidth that others take", maximum=1)
    device = card().with_efficiency("cache", memory=1 - load / 2)
    f = ls.forecast(MODEL, device, 512, 4)
    assert f.tpot.expr.free_symbols == {sym.past, load}
    half = ls.forecast(MODEL, card().with_efficiency("cache", memory=0.75), 512, 4)
    assert exactly(f.tpot.first.bind({"load": 0.5})) == exactly(half.tpot.first)


# what is said, and what is refused


def test_a_device_says_what_it_attains() -> None:
    assert ls.load_hardware("v100").with_efficiency("norm", memory=1, dispatch=0).bounded
    assert not ls.load_hardware("v100").with_efficiency("norm", memory=0.9).bounded
    said = ls.forecast(MODEL, own_device(), 64, 4).attained
    assert said == (
        "efficiencies: compute 0.5 (option), memory 0.8 (option), dispatch 4e-06 (option), "
        "layer 1e-05 (option), linear.compute 0.6 (option), mlp_down.compute 0.45 (option), "
        "weights.memory 0.9 (option)"
    )
    assert ls.forecast(MODEL, own_device(), 64, 4).open().attained == said


@pytest.mark.parametrize(
    ("part", "numbers", "message"),
    [
        ("attention", {}, "attention: give it compute, memory or dispatch"),
        ("weights", {"compute": 0.5}, "weights are bytes: they have a memory efficiency alone"),
        ("collective", {"dispatch": 1e-6}, "give it a collective_latency"),
        ("attention", {"compute": 1.5}, "compute_efficiency_attention must be above 0 and at most"),
        ("attention", {"memory": 0}, "must be above 0 and at most 1, not 0"),
        ("attn core", {"compute": 0.5}, r"'attn core.compute' is not PART\.NUMBER"),
        ("attention", {"dispatch": -1}, "must be at least 0, not -1"),
    ],
)
def test_numbers_that_no_part_has(part: str, numbers: Mapping[str, Any], message: str) -> None:
    with pytest.raises(SymbolError, match=message):
        card().with_efficiency(part, **numbers)


def test_an_operator_that_the_model_does_not_have() -> None:
    device = card().with_efficiency("mlp_dwn", compute=0.5)
    with pytest.raises(SymbolError, match=r"no operator 'mlp_dwn'; did you mean 'mlp_down'\?"):
        ls.forecast(MODEL, device, 64, 4)
    down = card().with_efficiency("mlp_down", compute=0.5)
    with pytest.raises(SymbolError, match="operators: embedding, layer, final_norm, lm_head"):
        ls.forecast(MODEL, down, 64, 4, fusion="layer")
    with pytest.raises(SymbolError, match="has no operator 'mlp_down'"):
        ls.unet(64, 64, image_channels=3, channels=8, classes=2).forecast(down)
    experts = card().with_efficiency("experts", compute=0.5)  # of families all may be
    assert (
        ls.forecast(MODEL, experts, 64, 4).ttft.expr == ls.forecast(MODEL, card(), 64, 4).ttft.expr
    )


SPEC = """
extends = "v100"
[efficiency]
compute = "50 %"
source = "a test of mine"
[efficiency.attention]
compute = 0.3
memory = 0.7
[efficiency.weights]
memory = 0.9
source = "another test of mine"
[dispatch]
time = "4 us"
layer = "20 us"
sampling = "15 us"
source = "a third test of mine"
[dispatch.attention]
time = "9 us"
[link]
bandwidth = "32 GB/s"
collective = "8 us"
source = "a fourth test of mine"
[dequantization]
rate = "2 TOPS"
source = "a fifth test of mine"
"""


def spec(folder: Path, text: str) -> ls.Hardware:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return ls.load_hardware(path)


def test_a_file_says_all_of_it(tmp_path: Path) -> None:
    device = spec(tmp_path, SPEC)
    assert device.own == {
        "attention.compute": Rational(3, 10),
        "attention.memory": Rational(7, 10),
        "weights.memory": Rational(9, 10),
        "attention.dispatch": Rational(9, 10**6),
    }
    assert (device.compute_efficiency, device.memory_efficiency) == (Rational(1, 2), 1)
    assert device.layer_time == Rational(20, 10**6)
    assert device.sampling_time == Rational(15, 10**6)
    assert device.collective_latency == Rational(8, 10**6)
    assert device.dequantization_rate == 2 * 10**12
    assert device.sources["efficiency.weights"] == "another test of mine"
    assert device.sources["efficiency.attention"] == "a test of mine"
    assert "attention.compute 0.3 (the spec)" in device.attained
    alone = spec(tmp_path, SPEC.replace('compute = "50 %"\n', ""))
    assert alone.compute_efficiency == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("compute = 0.3", "compute = 30", r"key 'efficiency.attention.compute': must be above 0"),
        ("compute = 0.3", "speed = 1", r"unknown key 'efficiency.attention.speed'"),
        ("memory = 0.9", "compute = 0.9", "weights are bytes"),
        ('time = "9 us"', 'time = "9"', r"key 'dispatch.attention.time': '9' has no unit"),
        ('time = "9 us"', "", r"missing key 'dispatch.attention.time'"),
        (
            'time = "4 us"\nlayer = "20 us"\nsampling = "15 us"\nsource = "a third test of mine"\n'
            '[dispatch.attention]\ntime = "9 us"',
            'source = "a third test of mine"',
            r"missing key 'dispatch.time'",
        ),
        ("[efficiency.attention]", "[efficiency.atten-tion]", r"is not PART\.NUMBER"),
        ('rate = "2 TOPS"', "rate = 2", r"key 'dequantization.rate': 2 FLOP/s is too small"),
        ('source = "a test of mine"', "", r"missing key 'efficiency.attention.source'"),
    ],
)
def test_what_a_file_may_not_say(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in SPEC
    with pytest.raises(SpecError, match=message) as caught:
        spec(tmp_path, SPEC.replace(old, new))
    assert "\n" not in str(caught.value)


def test_usual_efficiencies_stand_beside_those_of_parts(tmp_path: Path) -> None:
    """Those of its class, where a file has none for all of the work."""
    text = 'extends = "v100"\n[efficiency.norm]\nmemory = 0.3\nsource = "a test of mine"\n'
    usual = ls.typical(spec(tmp_path, text))
    assert usual.own == {"norm.memory": Rational(3, 10)}
    assert usual.memory_efficiency == ls.typical("v100").memory_efficiency


def test_the_option_of_the_command_line(run: Any) -> None:
    asked = ["forecast", MODEL, "--on", "v100", "--prompt", "64", "--generate", "4", "--json"]
    given = "attention.compute=0.3,weights.memory=90 %,mlp_down.dispatch=2 us"
    f = ls.forecast(
        MODEL,
        ls.load_hardware("v100")
        .with_efficiency("attention", compute=0.3)
        .with_efficiency("weights", memory=0.9)
        .with_efficiency("mlp_down", dispatch=2e-6),
        64,
        4,
    )
    result = run(*asked, "--efficiency", given)
    assert f'"ttft_s": {float(f.ttft)!r}' in result.stdout
    for wrong, message in (
        ("attention.compute", "still depends on compute_efficiency_attention"),
        ("attention.compute=0.3,attention.compute=0.4", "'attention.compute' is given twice"),
        ("attention.compute=x", "'attention.compute': must be above 0 and at most 1"),
        ("", "is not PART.NUMBER"),
    ):
        refused = run(*asked, "--efficiency", wrong)
        assert refused.returncode == 2
        assert refused.stderr.count("\n") == 1
        assert message in refused.stderr
    derived = run("derive", "llama", "--symbolic", "--metric", "ttft", "--overlap", "pass",
                  "--efficiency", "attention.compute,weights.memory")  # fmt: skip
    assert "attained fraction of peak (attention)" in derived.stdout
