"""The command line's contract: keys, exact values, one JSON object, messages on stderr."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine

import lifesym as ls
from lifesym.serving import pipeline, speculate

COUNT_KEYS = {
    "matmul_flops",
    "vector_flops",
    "dequant_ops",
    "weight_bytes",
    "activation_read_bytes",
    "activation_write_bytes",
    "kv_read_bytes",
    "kv_write_bytes",
    "dispatches",
    "parameters",
    "kv_bytes_per_token",
    "by_operator",
    "weights",
    "activations",
    "kv",
    "origins",
    "notes",
}
FORECAST_KEYS = {
    "ttft_s",
    "tpot_s",
    "tpot_first_s",
    "tpot_last_s",
    "tps",
    "latency_s",
    "memory_bytes",
    "bottleneck",
    "terms",
}


def test_count_is_exact(run: CommandLine) -> None:
    result = run("count", "llama-2-7b", "--batch", "1", "--new", "128", "--logits", "all", "--json")
    data = json.loads(result.stdout)
    assert result.stderr == ""
    assert set(data) == COUNT_KEYS
    assert data["matmul_flops"] == 1700001742848  # FlopCounterMode on the real model
    assert data["parameters"] == 6738415616
    assert data["kv_bytes_per_token"] == 524288
    assert sum(data["by_operator"].values()) == data["matmul_flops"]
    said = {"by_operator", "weights", "activations", "kv", "origins", "notes"}
    assert all(isinstance(value, int) for key, value in data.items() if key not in said)


def test_count_equals_the_python_api(run: CommandLine, tmp_path: Path) -> None:
    config = {
        "model_type": "llama",
        "hidden_size": 48,
        "intermediate_size": 100,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "vocab_size": 77,
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    options = ["--batch", "2", "--new", "5", "--past", "9", "--weights", "q4_0", "--kv", "int8"]
    data = json.loads(run("count", str(path), *options, "--json").stdout)
    cost = ls.Model.from_hf(config).forward(2, 5, 9).cost(weights="q4_0", kv="int8")
    assert data["matmul_flops"] == cost.matmul_flops
    assert data["dequant_ops"] == cost.dequant_ops
    assert data["weight_bytes"] - cost.weight_bytes < 1


def test_forecast_has_the_contract_keys(run: CommandLine) -> None:
    command = [
        "forecast",
        "llama-2-7b",
        "--on",
        "v100",
        "--prompt",
        "512",
        "--generate",
        "128",
        "--batch",
        "2",
        "--json",
    ]
    result = run(*command)
    data = json.loads(result.stdout)
    assert set(data) >= FORECAST_KEYS
    assert data["tpot_first_s"] < data["tpot_s"] < data["tpot_last_s"]
    assert data["latency_s"] == pytest.approx(data["ttft_s"] + 127 * data["tpot_s"])
    assert data["tps"] == pytest.approx(2 / data["tpot_s"])
    assert data["bottleneck"] == {"prefill": "compute", "decode": "memory"}
    for phase, seconds in (("prefill", data["ttft_s"]), ("decode", data["tpot_s"])):
        assert sum(t["time_s"] for t in data["terms"][phase]) == pytest.approx(seconds)
        assert sum(t["share"] for t in data["terms"][phase]) == pytest.approx(1)


@pytest.mark.parametrize(
    "options",
    [
        ["--weights", "int4-g128", "--kv", "int8"],
        ["--chunk", "100"],
        ["--lora", "16", "--fusion", "full"],
        ["--tensor-parallel", "4", "--overlap", "pass"],
        ["--compute-efficiency", "0.7", "--memory-efficiency", "0.8", "--dispatch-time", "5e-6"],
        ["--kv-budget", "256", "--causal", "exact"],
        ["--adapter", "64", "--kv-rank", "32", "--kv-share", "2", "--kv-page", "16"],
        ["--prefix", "256", "--weights", "int4-g128", "--chunk", "64", "--tensor-parallel", "2"],
        ["--tensor-parallel", "4", "--sequence-parallel", "--data-parallel", "2", "--batch", "4"],
        ["--offload-weights", "0.25", "--offload-kv", "1", "--offload-bandwidth", "16e9"],
    ],
)
def test_forecast_options_combine(run: CommandLine, options: list[str]) -> None:
    base = ["forecast", "llama-2-7b", "--on", "v100", "--prompt", "512", "--generate", "32"]
    result = run(*base, *options, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["ttft_s"] > 0


def test_forecast_of_several_forecasts(run: CommandLine) -> None:
    base = ["forecast", "llama-2-7b", "--on", "v100", "--prompt", "512", "--generate", "32"]
    drafted = run(*base, "--draft", "tinyllama-1.1b", "--draft-tokens", "3", "--json")
    spec = json.loads(drafted.stdout)["speculative"]
    assert spec["tokens_per_step"] == pytest.approx(1 + 0.8 + 0.64 + 0.512)
    assert spec["tpot_s"] == pytest.approx(spec["step_s"] / spec["tokens_per_step"])
    own = run(*base, "--draft", "self", "--draft-tokens", "1", "--json")
    assert json.loads(own.stdout)["speculative"]["speedup"] > 1
    piped = run(*base, "--pipeline", "4", "--microbatches", "2", "--batch", "4", "--json")
    assert 0 < json.loads(piped.stdout)["pipeline"]["bubble"] < 1
    whole = json.loads(piped.stdout)
    assert whole["pipeline"]["memory_bytes"] < whole["memory_bytes"] / 3
    assert "in a pipeline" in run(*base, "--pipeline", "2").stdout


def test_an_encoder_has_one_pass(run: CommandLine) -> None:
    base = ["forecast", "bert-base", "--on", "v100", "--prompt", "128", "--batch", "8"]
    data = json.loads(run(*base, "--generate", "0", "--json").stdout)
    assert data["ttft_s"] == data["latency_s"] > 0
    assert data["tpot_s"] is data["tps"] is data["bottleneck"]["decode"] is None
    model = ls.load_model("bert-base")
    least = int(model.forward(8, 128, logits="all").cost().matmul_flops)
    done = sum(term["compute_s"] for term in data["terms"]["prefill"])
    assert done > least / float(ls.load_hardware("v100").matrix["fp16"])
    shown = run(*base, "--generate", "0").stdout
    assert "latency" in shown
    assert "TPOT" not in shown
    wrong = run(*base, "--generate", "4")
    assert (wrong.returncode, "generates no tokens" in wrong.stderr) == (2, True)
    assert "prompt" in run("derive", "bert-base", "--metric", "ttft").stdout
    assert "must be an integer" in run(*base[:1], "gpt2", *base[2:], "--generate", "0").stderr


def test_skewed_routing_and_imbalance(run: CommandLine, tmp_path: Path) -> None:
    base = ["count", "mixtral-8x7b", "--batch", "4"]
    even = json.loads(run(*base, "--json").stdout)
    file = tmp_path / "load.txt"
    file.write_text("1 1/2 0.25 1/4\n0 0 0 0\n", encoding="utf-8")
    uniform = 8 * (1 - Fraction(3, 4) ** 4)
    skewed = 1 + (1 - Fraction(1, 2) ** 4) + 2 * (1 - Fraction(3, 4) ** 4)
    for given in (str(file), "1,0.5,1/4,1/4,0,0,0,0"):
        data = json.loads(run(*base, "--probabilities", given, "--json").stdout)
        saved = 32 * 3 * 4096 * 14336 * 2 * (uniform - skewed)
        assert even["weight_bytes"] - data["weight_bytes"] == saved
    loaded = json.loads(run(*base, "--imbalance", "1.5", "--json").stdout)["by_operator"]
    assert loaded["moe_experts"] == Fraction(3, 2) * even["by_operator"]["moe_experts"]
    work = ["--on", "v100", "--prompt", "64", "--generate", "4"]
    slow = ["forecast", "mixtral-8x7b", *work, "--json"]
    times = [json.loads(run(*slow, *more).stdout) for more in ([], ["--imbalance", "8"])]
    assert times[0]["ttft_s"] < times[1]["ttft_s"]
    for wrong, message in (
        (["--imbalance", "0.5"], "imbalance must be at least 1"),
        (["--probabilities", "1,x"], "'x' is not a number"),
        (["--probabilities", "1,1"], "2 routing probabilities for 8 experts"),
        (["--probabilities", "1,1", "--routing", "all"], "leave out --routing all"),
    ):
        result = run(*base, *wrong)
        assert (result.returncode, message in result.stderr) == (2, True), result.stderr


def test_a_draft_runs_as_its_target_does(run: CommandLine) -> None:
    base = ["forecast", "llama-2-7b", "--on", "v100", "--prompt", "512", "--generate", "32"]
    shared = ["--overlap", "none", "--batch", "4", "--data-parallel", "2", "--json"]
    drafted = json.loads(run(*base, *shared, "--draft", "tinyllama-1.1b").stdout)
    alone = json.loads(run("forecast", "tinyllama-1.1b", *base[2:], *shared).stdout)
    for key in ("memory_bytes", "ttft_s"):
        assert drafted["speculative"][key] == pytest.approx(drafted[key] + alone[key])
    spec, steps = drafted["speculative"], 4 * alone["tpot_s"]
    assert spec["step_s"] > steps * 0.99 + drafted["tpot_first_s"]
    own = json.loads(run(*base, "--draft", "self", "--json").stdout)
    assert own["speculative"]["memory_bytes"] > own["memory_bytes"]


def test_options_that_refine_others(run: CommandLine) -> None:
    base = ["forecast", "llama-2-7b", "--on", "v100", "--prompt", "512", "--generate", "32"]

    def data(*options: str) -> dict[str, Any]:
        result = run(*base, *options, "--json")
        assert result.returncode == 0, result.stderr
        return dict(json.loads(result.stdout))

    plain = data()
    assert sum(plain["capacity_bytes"].values()) > plain["memory_bytes"]
    kept = data("--kv-keep", "0.5", "--kv-scored", "--fusion", "none")
    assert kept["capacity_bytes"]["KV cache"] == plain["capacity_bytes"]["KV cache"] / 2
    assert any(term["name"] == "kv_ranking" for term in kept["terms"]["decode"])
    int4 = data("--weights", "int4-g128")
    mixed = data("--weights", "int4-g128", "--roles", "lm_head=fp16")
    assert mixed["memory_bytes"] > int4["memory_bytes"]
    assert data("--weights", "int4-g128", "--unfused-dequant")["tpot_s"] > int4["tpot_s"]
    adapters = [
        data("--lora", "8", "--lora-targets", "attn_q,mlp_up", "--lora-adapters", count)
        for count in ("1", "3")
    ]
    held = [row["memory_bytes"] - plain["memory_bytes"] for row in adapters]
    assert held[1] == 3 * held[0] > 0
    assert data("--lora", "8", "--lora-merged")["tpot_s"] == plain["tpot_s"]
    flash = data("--fusion", "flash")
    assert data("--fusion", "flash", "--tile", "16")["ttft_s"] > flash["ttft_s"]
    served = data("--slots", "8", "--contexts", "100,300", "--price", "2")
    assert served["continuous"]["tps"] > plain["tps"]
    assert served["contexts"]["step_s"] == pytest.approx(data("--batch", "2")["tpot_s"], rel=0.1)
    price = 2 / 3600 * plain["latency_s"] / 32 * 1e6
    assert served["cost_per_million_tokens"] == pytest.approx(price)
    spread = ("--tensor-parallel", "4", "--link-bandwidth", "1e10", "--link-latency")
    slow = data(*spread, "1e-3", "--all-reduce", "ring")["tpot_s"]
    assert data(*spread, "1e-6")["tpot_s"] < data(*spread, "1e-3", "--all-reduce", "tree")["tpot_s"]
    assert data(*spread, "1e-3", "--all-reduce", "tree")["tpot_s"] < slow


def test_derive_of_encoders(run: CommandLine) -> None:
    data = json.loads(
        run("derive", "bert", "--symbolic", "--metric", "flops", "--format", "json").stdout
    )
    assert "new_tokens**2" in json.dumps(data)
    assert run("derive", "bert-base", "--metric", "parameters").returncode == 0
    assert "is an encoder" in run("derive", "bert", "--symbolic", "--metric", "tpot").stderr


def test_count_of_encoder_decoders(run: CommandLine) -> None:
    whole = run("count", "t5-small", "--new", "4", "--source", "9", "--json")
    assert json.loads(whole.stdout)["parameters"] == 60506624
    later = run("count", "t5-small", "--past", "4", "--source", "9", "--json")
    assert json.loads(later.stdout)["matmul_flops"] < json.loads(whole.stdout)["matmul_flops"]
    missing = run("count", "t5-small", "--new", "4")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "give its positions with --source" in missing.stderr
    assert run("count", "whisper-tiny", "--past", "5", "--json").returncode == 0
    assert run("count", "gpt2", "--source", "5").returncode == 2


def test_compare_puts_options_side_by_side(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = ["forecast", "llama-2-7b", "--on", "v100", "--prompt", "512", "--generate", "32"]
    sets = ["weights=int4-g128", "weights=int4-g128,kv=int8,lora=16", "chunk=128,mla=expand"]
    options = [part for text in sets for part in ("--compare", text)]
    result = run(*base, *options, "--json")
    rows = json.loads(result.stdout)["compared"]
    assert [row["options"] for row in rows] == ["base", *sets]
    alone = run(*base, "--weights", "int4-g128", "--json")
    assert rows[1]["tpot_s"] == json.loads(alone.stdout)["tpot_s"]
    table = run(*base, *options)
    assert "1.00x" in table.stdout
    monkeypatch.setenv("COLUMNS", "80")
    narrow = run(*base, "--compare", "weights=int4-g128, tensor-parallel=4")
    assert "int4-g128" in narrow.stdout
    assert "tensor-parallel" in narrow.stdout
    assert "base" in table.stdout


def test_compare_warns_of_every_set_that_does_not_fit(run: CommandLine) -> None:
    """By hand: the cache of 640 tokens in fp16 is 640 x 524,288 bytes a sequence, the weights take
    13.48 GB, and the V100 has 16 GB; an int4-g128 weight takes 4.15625 bits.
    """
    command = ["forecast", "llama-2-7b", "--on", "v100", "--prompt", "512", "--generate", "128"]
    sets = ["weights=int4-g128", "batch=64", "batch=1", "draft=self,draft-tokens=1,batch=40"]
    options = [part for text in sets for part in ("--compare", text)]
    for extra in ([], ["--json"]):
        result = run(*command, "--batch", "32", *options[:6], *extra)
        assert result.returncode == 0
        assert result.stderr.splitlines() == [
            f"lifesym: warning: {name}: {size} GB do not fit in the 16 GiB (17.2 GB) "
            "of NVIDIA V100 SXM2 16GB"
            for name, size in (("base", "24.2"), ("batch=64", "35.0"))
        ]
    drafted = run(*command, "--compare", sets[3])
    assert [line.split(": ")[2] for line in drafted.stderr.splitlines()] == [sets[3]]


def test_compare_has_pipelines_and_speculation(run: CommandLine) -> None:
    """With the numbers of their own forecasts; TPOT is the mean of every step's."""
    base = ["forecast", "llama-2-7b", "--on", "v100", "--prompt", "512", "--generate", "33"]
    base += ["--batch", "4", "--json"]
    sets = ["pipeline=4,microbatches=2", "draft=tinyllama-1.1b,draft-tokens=3"]
    rows = json.loads(run(*base, *(o for s in sets for o in ("--compare", s))).stdout)["compared"]
    piped = json.loads(run(*base, "--pipeline", "4", "--microbatches", "2").stdout)["pipeline"]
    drafted = run(*base, "--draft", "tinyllama-1.1b", "--draft-tokens", "3")
    for row, alone in zip(
        rows[1:], (piped, json.loads(drafted.stdout)["speculative"]), strict=True
    ):
        for key in ("ttft_s", "tpot_s", "memory_bytes"):
            assert row[key] == alone[key]
        assert row["tps"] == pytest.approx(4 / alone["tpot_s"])
        assert row["latency_s"] == pytest.approx(alone["ttft_s"] + 32 * alone["tpot_s"])
    target, draft = (
        ls.forecast(ls.load_model(name), ls.load_hardware("v100"), 512, 33, batch=4)
        for name in ("llama-2-7b", "tinyllama-1.1b")
    )
    for step, row in (
        (pipeline(target, 4, 2).tpot, rows[1]),
        (speculate(target, draft, 3, 0.8).tpot, rows[2]),
    ):
        steps = [float(step.bind({"past": 512 + i})) for i in range(32)]
        assert row["tpot_s"] == pytest.approx(sum(steps) / 32, rel=1e-12)
    encoder = ["forecast", "bert-base", "--on", "v100", "--prompt", "64", "--generate", "0"]
    compared = run(*encoder, "--compare", "weights=int8", "--json")
    assert [row["tps"] for row in json.loads(compared.stdout)["compared"]] == [None, None]
    assert "none" in run(*encoder, "--compare", "weights=int8").stdout
    steady = json.loads(run("forecast", "mamba-130m", *base[2:], "--pipeline", "1").stdout)
    assert steady["pipeline"]["tpot_s"] == steady["tpot_s"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--compare", "kk=3"], "unknown option 'kk'; did you mean 'kv'?"),
        (["--compare", "chunk"], "'chunk' is not NAME=VALUE"),
        (["--compare", "chunk=-1"], "chunk: '-1' is not a whole number"),
        (["--compare", "sequence-parallel=maybe"], "is not yes or no"),
        (["--offload-kv", "0.5"], "needs --offload-bandwidth"),
        (["--offload-kv", "5", "--offload-bandwidth", "1e9"], "between 0 and 1"),
        (["--draft", "self", "--acceptance", "2"], "acceptance must be between 0 and 1"),
        (["--prefix", "512"], "leaves none of 512"),
        (["--pipeline", "2", "--microbatches", "3", "--batch", "4"], "not cut into 3"),
        (["--pipeline", "64"], "64 stages are more than the 32 layers"),
        (["--microbatches", "2"], "--microbatches needs --pipeline"),
        (["--pipeline", "2", "--compare", "draft=self"], "of one form"),
        (["--compare", "pipeline=0"], "pipeline: '0' is not a whole number of at least 1"),
        (["--compare", "microbatches=2"], "--microbatches needs --pipeline"),
        (["--acceptance", "0.5"], "--acceptance needs --draft"),
        (["--sequence-parallel"], "--sequence-parallel needs --tensor-parallel"),
        (["--offload-bandwidth", "1e9"], "--offload-bandwidth needs --offload-weights"),
        (["--tile", "64"], "--tile needs --fusion"),
        (["--lora-adapters", "2"], "--lora-adapters needs --lora"),
        (["--roles", "lm_head"], "'lm_head' is not ROLE=FMT"),
        (["--contexts", "3,x"], "is not a whole number"),
        (["--kv-keep", "2"], "keep must be above 0 and at most 1"),
    ],
)
def test_bad_options_are_one_line(run: CommandLine, options: list[str], message: str) -> None:
    base = ["forecast", "llama-2-7b", "--on", "v100", "--prompt", "512", "--generate", "32"]
    result = run(*base, *options)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_forecast_warns_when_it_does_not_fit(run: CommandLine) -> None:
    command = [
        "forecast",
        "llama-2-70b",
        "--on",
        "v100",
        "--prompt",
        "8",
        "--generate",
        "2",
        "--json",
    ]
    result = run(*command)
    assert "do not fit in the 16 GiB (17.2 GB) of" in result.stderr
    assert result.stderr.count("\n") == 1
    json.loads(result.stdout)


@pytest.mark.parametrize(
    "metric",
    [
        "ttft",
        "tpot",
        "tpot_mean",
        "tps",
        "latency",
        "memory",
        "energy",
        "flops",
        "vector_flops",
        "bytes",
        "weight_bytes",
        "kv_bytes",
        "parameters",
    ],
)
def test_derive_gives_every_metric(run: CommandLine, metric: str) -> None:
    result = run("derive", "llama-2-7b", "--metric", metric, "--format", "json")
    data = json.loads(result.stdout)
    assert data["metric"] == metric
    assert data["expr"]
    assert all(row["latex"] and row["meaning"] for row in data["legend"])


@pytest.mark.parametrize("fmt", ["text", "latex", "markdown"])
def test_derive_lifts_and_prints_a_legend(run: CommandLine, fmt: str) -> None:
    command = ["derive", "llama-2-7b", "--metric", "flops", "--lift", "hidden, layers"]
    result = run(*command, "--format", fmt)
    assert result.returncode == 0, result.stderr
    assert "hidden size" in result.stdout
    assert "number of layers" in result.stdout


def test_derive_breaks_lines_for_the_width_of_a_column(run: CommandLine) -> None:
    command = ["derive", "gemma2", "--symbolic", "--metric", "ttft"]
    page = run(*command, "--format", "latex").stdout
    column = run(*command, "--format", "latex", "--width", "345").stdout
    assert column.count(r"\\") > page.count(r"\\") > 20
    assert "--width does nothing to --format text" in run(*command, "--width", "345").stderr


def test_derive_of_a_family_has_only_symbols(run: CommandLine) -> None:
    result = run("derive", "llama", "--symbolic", "--metric", "parameters", "--format", "json")
    words = {row["word"] for row in json.loads(result.stdout)["legend"]}
    assert words == {"hidden", "heads", "kv_heads", "head_dim", "intermediate", "vocab", "layers"}


def test_specs_of_a_family_by_its_usual_name(run: CommandLine) -> None:
    short, full = (
        json.loads(run("specs", n, "--json").stdout) for n in ("gemma3n", "gemma3n_text")
    )
    assert short | {"name": ""} == full | {"name": ""}
    assert "sliding_window" in short["keys"]
    assert short["cache"][-1] == "layers_5, layers_6: that of an earlier layer"


def test_specs_of_a_family_says_what_its_layers_are(run: CommandLine) -> None:
    shown = json.loads(run("specs", "granitemoeshared", "--json").stdout)
    assert shown["model types"] == ["granitemoe", "granitemoeshared"]
    assert shown["feed-forward"] == ["layers: 8 of 40 experts, softmax"]
    shown = json.loads(run("specs", "llama4", "--json").stdout)
    assert shown["sections"] == "embed, 36 chunked_layers, 12 full_layers, head"
    assert [line.split(": ")[0] for line in shown["mixers"]] == ["chunked_layers", "full_layers"]
    assert shown["cache"][0] == "chunked_layers: keys and values of the last 8191 tokens"


def test_specs_lists_and_shows_sources(run: CommandLine) -> None:
    listed = json.loads(run("specs", "--json").stdout)
    assert {"llama-2-7b", "gpt2"} <= set(listed["models"])
    assert len(listed["hardware"]) >= 40
    assert all(device["sources"] for device in listed["hardware"].values())
    assert json.loads(run("specs", "llama-2-7b", "--json").stdout)["_source"]
    shown = json.loads(run("specs", "v100", "--json").stdout)
    assert set(shown["sources"]) >= {"peak.matrix", "memory"}
    assert (shown["static_power"], shown["link_bandwidth"]) == (300, 150 * 10**9)
    assert (shown["multiprocessors"], shown["link_latency"]) == (80, None)
    assert (shown["memory_efficiency"], shown["dispatch_time"]) == (1, 0)
    for name in ("llama", "int4-g128"):
        assert run("specs", name).returncode == 0


@pytest.mark.parametrize("columns", ["80", "120"])
def test_tables_fit_the_terminal(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    commands = [
        ["count", "llama-2-7b", "--new", "128"],
        ["forecast", "llama-2-7b", "--on", "v100", "--prompt", "512", "--generate", "8"],
        ["specs"],
    ]
    for command in commands:
        result = run(*command)
        assert result.returncode == 0
        assert max(map(len, result.stdout.splitlines())) <= int(columns)


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['lifesym', '--help']\n"
        "from lifesym.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'sympy', 'numpy', 'msgspec', 'matplotlib', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    broken = script.replace("from lifesym", "import msgspec\nfrom lifesym")
    result = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True)
    assert result.returncode != 0, "the test above cannot fail"


def test_a_closed_pipe_is_not_an_error() -> None:
    command = f"{sys.executable} -m lifesym specs | head -1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in result.stderr


def test_version(run_process: CommandLine) -> None:
    assert run_process("--version").stdout == f"lifesym {ls.__version__}\n"
