"""One language of questions: every option and every metric in every command that asks a formula.

A command answers, or refuses in one line; an option, a metric or a rewrite that is added in one
place reaches all of them.
"""

import importlib
import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from command_line import CommandLine
from command_line import run_here as run
from sympy import Expr, Rational, S

import lifesym as ls
from lifesym.analysis import crossover, design, regimes
from lifesym.cli import commands, rows
from lifesym.errors import LifesymError
from lifesym.kinds import SIZE
from lifesym.metrics import METRICS, Metric, measure
from lifesym.opened import numbers
from lifesym.results import Result
from lifesym.serving import (
    Group,
    at_contexts,
    backlog,
    disaggregate,
    mixed_pass,
    piggyback,
    pipeline,
    prefix_hits,
    speculate,
    steady_state,
)
from lifesym.timed import Timed
from lifesym.trace import Trace
from lifesym.transforms import CachePolicy


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps write a file."""
    monkeypatch.chdir(tmp_path)


MODEL = "tinyllama-1.1b"
EXPERTS = "olmoe-1b-7b"
LATENT = "deepseek-v2-lite"
SIZES = ["--prompt", "24", "--generate", "4"]
ASKED = {
    "count": ["--new", "8", "--json"],
    "forecast": ["--on", "a100", *SIZES, "--json"],
    "derive": ["--metric", "tpot_mean", "--on", "a100", *SIZES, "--format", "json"],
    "sensitivity": ["--on", "a100", "--metric", "tpot_mean", *SIZES, "--json"],
    "regimes": ["--on", "a100", "--metric", "tpot_mean", *SIZES, "--over", "bandwidth", "--json"],
    "crossover": ["--on", "a100", *SIZES, "--over", "bandwidth", "--against", "on=h100", "--json"],
    "design": ["--on", "a100", *SIZES, "--over", "bandwidth", "--at-most", "1", "--json"],
    "export": ["--on", "a100", *SIZES, "--args", "bandwidth", "--to", "python"],
    "fit": ["--on", "a100", *SIZES, "--json"],
    "sweep": ["--on", "a100", *SIZES, "-o", "out.csv"],
}
"""A question of each command, of one model on one device."""
VALUES = {
    "prompt": "16",
    "generate": "3",
    "batch": "2",
    "past": "5",
    "context": "40",
    "new": "3",
    "images": "1",
    "image_size": "--images 1 --image-size 28x28",
    "audio": "1",
    "weights": "int4-g128",
    "activations": "fp16",
    "kv": "int8",
    "roles": "lm_head=fp16",
    "activation_roles": "attn_o=shared-m5-e5-g64",
    "chunk": "8",
    "whole_chunks": "--chunk 8 --whole-chunks",
    "lora": "4",
    "lora_targets": "--lora 4 --lora-targets attn_q+attn_v",
    "lora_adapters": "--lora 4 --lora-adapters 2",
    "lora_merged": "--lora 4 --lora-merged",
    "lora_inline": "--lora 4 --lora-inline",
    "adapter": "4",
    "adapter_tasks": "--adapter 4 --adapter-tasks 3",
    "adapter_used": "--adapter 4 --adapter-tasks 3 --adapter-used 2",
    "adapter_shared": "--adapter 4 --adapter-shared",
    "fusion": "full",
    "tile": "--fusion flash --tile 8",
    "prefix": "4",
    "kv_budget": "8",
    "kv_keep": "0.5",
    "kv_scored": "--kv-budget 8 --kv-scored",
    "kv_rank": "16",
    "kv_share": "2",
    "kv_page": "8",
    "tensor_parallel": "2",
    "all_reduce": "--tensor-parallel 2 --all-reduce tree",
    "sequence_parallel": "--tensor-parallel 2 --sequence-parallel",
    "expert_parallel": "2",
    "data_parallel": "2",
    "pipeline": "2",
    "stages_on": "a100,h100",
    "shares": "--pipeline 2 --shares 0.25,0.75",
    "microbatches": "--pipeline 2 --batch 2 --microbatches 2",
    "overlap_sends": "--pipeline 2 --overlap-sends",
    "by_chunk": "--pipeline 2 --by-chunk",
    "memory": "name=host,bandwidth=1e10,weights=0.5",
    "offload_weights": "--offload-bandwidth 1e10 --offload-weights 0.5",
    "offload_experts": "--offload-bandwidth 1e10 --offload-experts 0.5",
    "offload_kv": "--offload-bandwidth 1e10 --offload-kv 0.5",
    "offload_activations": "--offload-bandwidth 1e10 --offload-activations 0.5",
    "offload_bandwidth": "--offload-bandwidth 1e10 --offload-kv 1",
    "offload_capacity": "--offload-bandwidth 1e10 --offload-kv 1 --offload-capacity 1e12",
    "draft": "self",
    "draft_tokens": "--draft self --draft-tokens 2",
    "acceptance": "--draft self --acceptance 0.5",
    "accepted_rate": "--draft self --accepted-rate 0.5",
    "position_rates": "--draft self --position-rates 0.8,0.5",
    "tokens_per_step": "--draft self --tokens-per-step 2",
    "slots": "4",
    "requests": "--slots 4 --requests 9",
    "preempted": "--slots 4 --preempted 0.5",
    "contexts": "10,20",
    "mixed": "2x1@9,1x8@0:none",
    "piggyback": "2",
    "piggyback_context": "--piggyback 2 --piggyback-context 9",
    "hit_rate": "--prefix 4 --hit-rate 0.5",
    "decode_on": "h100",
    "transfer_bandwidth": "--decode-on h100 --transfer-bandwidth 1e9",
    "transfer_latency": "--decode-on h100 --transfer-latency 1e-3",
    "price": "2",
    "compute_efficiency": "0.5",
    "memory_efficiency": "0.5",
    "dispatch_time": "1e-6",
    "efficiency": "attention.compute=0.5,weights.memory=0.9,mlp_down.dispatch=2e-6",
    "layer_time": "1e-5",
    "sampling_time": "1e-5",
    "score_time": "--engine llama.cpp-unfused --score-time 1e-9",
    "dequantization_rate": "1e12",
    "serial_peak": "--activations shared-m5-e5-g64 --serial-peak 1e15",
    "collective_latency": "1e-5",
    "link_bandwidth": "1e10",
    "link_latency": "1e-6",
    "links": "1e10:1e-6,2e10:0",
    "power": "200",
    "flop_energy": "1e-12",
    "byte_energy": "1e-11",
    "engine": "ideal",
    "overlap": "pass",
    "mla": "expand",
    "causal": "exact",
    "routing": "all",
    "probabilities": "1" + ",1/8" * 56 + ",0" * 7,
    "imbalance": "1.5",
    "image_height": "32",
    "image_width": "48",
    "image_channels": "3",
    "channels": "16",
    "classes": "5",
    "levels": "2",
    "width_multiplier": "0.5",
    "depth_multiplier": "--separable --depth-multiplier 2",
    "norm": "none",
    "upsampling": "bilinear",
}
"""A value of each option, or what it takes to say it."""
OF_EXPERTS = ("routing", "probabilities", "imbalance", "expert_parallel", "offload_experts")


def words(row: rows.Row) -> list[str]:
    """A row's option with a value."""
    if row.kind.switch and row.name not in VALUES:
        return [row.spelt]
    given = VALUES[row.name]
    return shlex.split(given) if given.startswith("--") else [row.spelt, given]


def answers(command: str, row: rows.Row, folder: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command says with an option; it may refuse it in one line."""
    monkeypatch.chdir(folder)
    model = EXPERTS if row.name in OF_EXPERTS else LATENT if row.name == "mla" else MODEL
    asked, said = ASKED[command], words(row)
    if row.panel == rows.IMAGES:
        model, asked = "unet", of_images(command)
    for word in said:  # an option that is already there is given once
        if word.startswith("--") and word in asked:
            at = asked.index(word)
            asked = asked[:at] + asked[at + 2 :]
    result = run(command, model, *asked, *said)
    assert result.returncode in (0, 2), result.stderr
    if result.returncode == 2:
        assert result.stdout == ""
        lines = result.stderr.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("lifesym: error: ")
    return result.stderr if result.returncode else ""


def of_images(command: str) -> list[str]:
    """The question of a command, asked of a network that sees images."""
    text = " ".join(ASKED[command]).replace(" ".join(SIZES), "").replace("--new 8", "")
    asked = [
        *text.replace("tpot_mean", "ttft").split(),
        "--image-height",
        "64",
        "--image-width",
        "64",
    ]
    metric = "--metrics" if command == "sweep" else "--metric"
    named = command in ("count", "forecast", "fit") or metric in asked
    return asked if named else [*asked, metric, "ttft"]


REFUSED = {
    "images": "no vision tower",
    "image_size": "no vision tower",
    "audio": "no audio tower",
    "mixed": "time to first token",
    "contexts": "time to first token",
}
"""What the small model has nothing for."""
SEVERAL = ("no table of operators", "several values here", "the capacity of offload")
"""Why stages and devices that take turns have no regimes, and no one bandwidth."""


@pytest.mark.parametrize("row", rows.ROWS, ids=lambda row: row.name)
def test_every_option_in_every_command(
    row: rows.Row, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {name: [row.name for row in commands.COMMANDS[name].rows] for name in ASKED}
    for command in ASKED:
        if row.name not in known[command]:
            assert command in ("count", "fit") or row.name in ("context", "new")
            continue
        why = answers(command, row, tmp_path, monkeypatch)
        if why:
            reasons = (REFUSED.get(row.name, ""), *SEVERAL)
            assert any(reason and reason in why for reason in reasons), (command, why)


def test_the_rows_are_in_every_command_that_asks_a_formula() -> None:
    everything = {row.name for row in rows.ROWS}
    for name in ("derive", "sensitivity", "regimes", "crossover", "design", "export", "sweep"):
        assert everything <= {row.name for row in commands.COMMANDS[name].rows}
    assert set(VALUES) | {r.name for r in rows.ROWS if r.kind.switch} == everything


def forms() -> Iterator[tuple[str, Timed]]:
    """A form of each kind."""
    f = ls.forecast(MODEL, "a100", 24, 4, 2)
    yield "plain", f
    yield "encoder", ls.forecast("bert-base", "a100", 24, 0)
    yield "speculation", speculate(f, None, 2, 0.5)
    yield "pipeline", pipeline(f, 2, 2)
    yield "steady state", steady_state(f, 4)
    yield "backlog", backlog(steady_state(f, 4), 9)
    yield "disaggregated", disaggregate(f, f)
    yield "piggybacked", piggyback(f, 2)
    yield "mixed", mixed_pass(f, [Group(batch=2, past=9), Group(new=8, logits="none")])
    yield "contexts", at_contexts(f, [10, 20])
    yield "prefix hits", prefix_hits(f, 4, 0.5)
    yield "network", ls.unet(64, 64, image_channels=3, channels=8, classes=2).forecast("a100")


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_of_every_form(metric: str) -> None:
    for name, form in forms():
        for asked in (form, form.open()):
            try:
                found = measure(asked, metric)
            except LifesymError:
                continue
            assert isinstance(found, Result), name
            assert isinstance(found.expr, Expr), name
            assert found.unit, name


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_in_every_command(metric: str) -> None:
    for command in ("derive", "sensitivity", "design", "regimes", "crossover", "export", "sweep"):
        asked = [word for word in ASKED[command] if word not in ("--metric", "tpot_mean")]
        named = "--metrics" if command == "sweep" else "--metric"
        result = run(command, MODEL, *asked, named, metric)
        assert result.returncode in (0, 2), (command, result.stderr)
        if result.returncode:
            assert result.stderr.count("\n") == 1, (command, result.stderr)


def json_of(result: Any) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout))


def test_an_opened_form_is_the_same_formula() -> None:
    """By putting the numbers back, for every form and every metric that it has."""
    for name, form in forms():
        whole = form.open()
        for metric in ("ttft", "tpot", "memory", "latency", "energy"):
            try:
                closed = measure(form, metric)
            except LifesymError:
                continue
            again = measure(whole, metric).expr.xreplace(form.point).doit()
            here = closed.expr.xreplace(form.point).doit()
            assert again == here, (name, metric)
        assert whole.point == form.point


def sampled() -> Iterator[tuple[str, Timed]]:
    """Forecasts with every option that has numbers, and every form."""
    third, half = Rational(1, 3), Rational(1, 2)
    kept = CachePolicy(keep=third, page=4)
    yield "share kept", ls.forecast(MODEL, "a100", 23, 5, 2, cache=kept)
    kept = CachePolicy(budget=10, keep=half, rank=16, share=2)
    yield "rank", ls.forecast(MODEL, "a100", 23, 5, 2, cache=kept)
    more = {"lora": 4, "adapter": 8, "chunk": 5, "data_parallel": 2}
    yield "adapters", ls.forecast(MODEL, "a100", 23, 5, 3, weights="int4-g128", kv="int8", **more)
    eight = {"weights": "int8", "activations": "int8", "kv": "int8"}
    yield "eight bits", ls.forecast(MODEL, "a100", 23, 5, 2, **eight)
    split = {"tensor_parallel": 4, "fusion": "full", "tile": 8, "engine": "vllm"}
    yield "devices", ls.forecast(MODEL, "a100", 23, 5, 2, **split)
    mixed = {"weights": "q4_k_m", "engine": "llama.cpp"}
    yield "mix", ls.forecast(MODEL, "rtx-4090", 23, 5, 2, 7, **mixed)
    routed = {"weights": "fp8", "expert_parallel": 4}
    yield "experts", ls.forecast(EXPERTS, "h100", 23, 5, 2, **routed)
    yield "latent", ls.forecast(LATENT, "h100", 23, 5, 2, weights="fp8", activations="fp8")
    own = ls.load_hardware("a100").with_efficiency("attention", compute=half)
    yield "parts", ls.forecast("gemma-2-2b", own, 23, 5, 2, prefix=5)
    yield "states", ls.forecast("mamba-2.8b", "a100", 23, 1, 2)
    yield from forms()


KINDS = (
    *("share kept", "rank", "adapters", "eight bits", "devices", "mix", "experts", "latent"),
    *("parts", "states", "plain", "encoder", "speculation", "pipeline", "steady state"),
    *("disaggregated", "piggybacked", "mixed", "contexts", "prefix hits", "network"),
)


@pytest.mark.parametrize("name", KINDS)
def test_every_number_that_opens_gives_its_value_back(name: str) -> None:
    """Exactly, alone, in times, memory and counts: or it is refused."""
    form = dict(sampled())[name]
    at = {ls.symbols.new: S(3), ls.symbols.past: S(9), **form.point}
    closed = {}
    for metric in ("latency", "tpot_last", "memory", "capacity", "bytes"):
        with suppress(LifesymError):
            closed[metric] = measure(form, metric).expr.xreplace(at).doit()
    opened = 0
    for symbol in numbers(form):
        try:
            found = form.open(symbol)
            again = {each: measure(found, each).expr for each in closed}
        except LifesymError:
            continue
        opened += 1
        for metric, expr in again.items():
            assert expr.xreplace(at).doit() == closed[metric], (name, symbol, metric)
    assert opened > 15


def test_a_mean_of_no_steps_is_refused_at_every_door(tmp_path: Any) -> None:
    """Formulas of decode steps are those of two tokens or more; in numbers one token has a mean."""
    g = ls.symbols.generated
    f = ls.forecast(MODEL, "a100", 24, g, 2)
    one = ls.forecast(MODEL, "a100", 24, 1, 2)
    for metric in ("tpot_mean", "tpot_last", "tps"):
        formula = measure(f, metric)
        asks: tuple[Callable[[], object], ...] = (
            lambda formula=formula: formula.bind({"generated": 1}),
            lambda formula=formula: ls.compile(formula, ["generated"])(1),
            lambda formula=formula: ls.compile(formula, ["generated"], ranges={g: (1, 9)}),
            lambda formula=formula: ls.elasticities(formula).at({g: 1}),
            lambda formula=formula: design(formula, g, at_most=1, between=(1, 9)),
            lambda formula=formula: crossover(formula, formula.expr + 1, g, (1, 9)),
            lambda metric=metric: ls.sweep(f, {"generated": [1, 2]}, [metric]),
        )
        for ask in asks:
            with pytest.raises(ls.SymbolError, match=r"two generated tokens or more|at least 2"):
                ask()
        two = formula.bind({"generated": 2})
        assert two == measure(ls.forecast(MODEL, "a100", 24, 2, 2), metric).expr.doit()
        assert "generated tokens (tokens), at least 2" in ls.compile(formula, [g], "c")
        with pytest.raises(ValueError, match="generated must be at least 2"):
            ls.compile(formula, [g], "python")(1)
    for metric in ("ttft", "latency", "energy", "memory", "cost"):  # of which one token has none
        same = measure(f, metric).expr.xreplace({g: S(1)}).doit()
        assert same == measure(one, metric).expr.doit()
    assert measure(one, "tpot_mean").expr == measure(one, "tpot_first").expr
    with pytest.raises(ls.SymbolError, match="two generated tokens or more"):
        regimes(f.tpot.mean, g, (1, 9))
    assert design(f.tpot.mean, g, at_most=Rational(12, 10000)).feasible[0].low == 2
    asked = [MODEL, "--on", "a100", "--prompt", "24", "--metric", "tpot_mean"]
    found = json_of(run("regimes", *asked, "--over", "generated", "--json"))
    assert found["regimes"][0]["from"] == 2
    result = run("export", *asked, "--args", "generated", "--range", "generated=1:9")
    assert "two generated tokens or more" in result.stderr


def test_the_bits_of_activations_alone() -> None:
    """The peak stays that of the format that had the bits."""
    f = ls.forecast(MODEL, "a100", 24, 4, 2, activations="fp16")
    found = f.open("activation_bits").ttft
    assert found.expr.free_symbols == {ls.symbols.activation_bits}
    slower = ls.forecast(MODEL, "a100", 24, 4, 2, activations="fp32").ttft
    assert float(f.ttft) < float(found.bind({"activation_bits": 32})) < float(slower)
    scaled = ls.forecast(MODEL, "a100", 24, 4, 2, weights="int4-g128").open("weight_bits")
    assert scaled.precision.weights.bits_per_value == ls.symbols.weight_bits + Rational(5, 32)


def test_a_number_by_name() -> None:
    f = ls.forecast(MODEL, "a100", 24, 4, 2, tensor_parallel=2, chunk=8)
    words = ("hidden", "devices", "chunk", "weight_bits", "bandwidth")
    whole = f.open(*words)
    free = {symbol.name for symbol in whole.ttft.expr.free_symbols}
    assert free == set(words)
    assert float(whole.ttft.bind({s: f.point[s] for s in whole.ttft.expr.free_symbols})) == (
        pytest.approx(float(f.ttft), rel=1e-12)
    )
    with pytest.raises(ls.SymbolError, match="'rank' is no number here"):
        f.open("rank")
    draft = ls.forecast("llama-2-7b", "a100", 24, 4, 2)
    with pytest.raises(ls.SymbolError, match=r"hidden has several values here \(4096, 2048\)"):
        speculate(draft, f, 2, 0.5).open("hidden")


def test_mixed_precision_has_a_peak_for_each_format() -> None:
    """Products of fp8 weights at the fp8 peak, those of others at that of bf16."""
    f = ls.forecast("deepseek-v3", "h100", 24, 4)
    whole = f.open()
    free = {symbol.name for symbol in whole.ttft.expr.free_symbols}
    assert {"peak", "peak_bf16"} <= free
    h100 = ls.load_hardware("h100")
    assert f.point[ls.symbols.peak] == h100.matrix["fp8"]
    assert f.point[ls.symbols.peak_bf16] == h100.matrix["bf16"]


def test_a_metric_in_one_place_reaches_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(form: Timed) -> Result:
        return replace(form.ttft, name="twice", expr=2 * form.ttft.expr, terms=())

    monkeypatch.setitem(METRICS, "twice", Metric("2 TTFT", twice))  # type: ignore[arg-type]
    one = json_of(run("sensitivity", MODEL, "--on", "a100", "--metric", "ttft", "--json"))
    two = json_of(run("sensitivity", MODEL, "--on", "a100", "--metric", "twice", "--json"))
    assert two["value"] == pytest.approx(2 * one["value"], rel=1e-12)
    for command in ("derive", "design", "regimes", "export"):
        asked = [word for word in ASKED[command] if word not in ("--metric", "tpot_mean")]
        result = run(command, MODEL, *asked, "--metric", "twice")
        known = "operators" in result.stderr  # a regime is of a time with a table of operators
        assert result.returncode == 0 or known, (command, result.stderr)


class Skip:
    """Every n-th layer alone is computed."""

    def __init__(self, every: int) -> None:
        self.every = every

    def __call__(self, trace: Trace) -> Trace:
        ends = ("embed", "head")
        kept = (e if e.section in ends else replace(e, count=e.count / self.every) for e in trace)
        return Trace(tuple(kept))


def test_a_rewrite_of_ones_own_has_a_door() -> None:
    plain = ls.forecast(MODEL, "a100", 24, 4)
    half = ls.forecast(MODEL, "a100", 24, 4, plan=[Skip(2)])
    layers = sum(t.time for t in plain.ttft.terms if t.section not in ("embed", "head"))
    assert half.ttft.expr == plain.ttft.expr - layers / 2
    weights, cache = (part.value for part in plain.memory.parts)
    assert [part.value for part in half.memory.parts] == [weights, cache / 2]
    assert ls.elasticities(half.open().tpot)


def test_an_option_in_one_place_reaches_every_command(
    monkeypatch: pytest.MonkeyPatch, run_new: Callable[..., CommandLine]
) -> None:
    row = rows.Row(
        "skip", SIZE, "Layers of which one is computed.", rewrite=f"{__name__}.Skip.every"
    )
    call = run_new(row)
    plain = json_of(call("forecast", MODEL, *ASKED["forecast"]))
    half = json_of(call("forecast", MODEL, *ASKED["forecast"], "--skip", "2"))
    assert half["ttft_s"] < 0.6 * plain["ttft_s"]
    cache = plain["capacity_bytes"]["KV cache"]
    assert half["memory_bytes"] == plain["memory_bytes"] - cache // 2
    for command, asked in ASKED.items():
        if command != "sweep":
            result = call(command, MODEL, *asked, "--skip", "2")
            assert result.returncode == 0, (command, result.stderr)
    compared = json_of(call("forecast", MODEL, *ASKED["forecast"], "--compare", "skip=2"))
    assert compared["compared"][1]["ttft_s"] == half["ttft_s"]


@pytest.fixture
def run_new(monkeypatch: pytest.MonkeyPatch) -> Callable[[rows.Row], CommandLine]:
    """The command line with one more row."""

    def add(row: rows.Row) -> CommandLine:
        monkeypatch.setattr(rows, "ROWS", (*rows.ROWS, row))
        monkeypatch.setitem(rows.NAMED, row.name, row)  # type: ignore[arg-type]
        for name in ("request", "question", "sweep"):
            module = importlib.import_module(f"lifesym.cli.{name}")
            monkeypatch.setattr(module, "ROWS", rows.ROWS)
        importlib.reload(commands)
        return run

    yield add  # type: ignore[misc]
    monkeypatch.undo()
    importlib.reload(commands)
