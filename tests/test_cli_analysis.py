"""Commands that ask a formula: keys, agreement with Python, one-line errors."""

import json
from pathlib import Path

import pytest
from command_line import CommandLine

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import crossover, local_elasticities


def test_sensitivity(run: CommandLine, tmp_path: Path) -> None:
    picture = tmp_path / "bars.png"
    result = run(
        "sensitivity", "llama-2-7b", "--on", "v100", "--batch", "4", "--context", "1000",
        "--dispatch-time", "3e-6", "--lift", "hidden", "--plot", str(picture), "--json",
    )  # fmt: skip
    data = json.loads(result.stdout)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    found = {row["symbol"]: row["elasticity"] for row in data["elasticities"]}
    device = ls.load_hardware("v100").with_(dispatch_time=3e-6)
    tpot = ls.forecast(ls.load_model("llama-2-7b"), device, batch=4).tpot
    assert data["value"] == pytest.approx(float(tpot.bind({"past": 1000})), rel=1e-12)
    model = ls.load_model("llama-2-7b").lift("hidden")
    symbolic = ls.forecast(
        model,
        ls.Hardware.symbolic(),
        batch=sym.batch,
        weights=device.default_format,
        kv=device.default_format,
    )
    point = {
        **device.numbers(device.default_format),
        "batch": 4,
        "past": 1000,
        "hidden": 4096,
    }
    expected = {
        row.symbol.name: float(row.value) for row in local_elasticities(symbolic.tpot, point)
    }
    assert found == pytest.approx(expected)
    assert sum(data["shares"].values()) == pytest.approx(1)
    assert data["at"]["batch"] == 4
    assert data["bounds"]["mlp_gate"] == "memory"
    assert data["bounds"]["attn_residual"] == "dispatch"


@pytest.mark.parametrize("metric", ["ttft", "tpot_mean", "tps", "latency", "memory"])
def test_sensitivity_of_every_metric(run: CommandLine, metric: str) -> None:
    command = ["sensitivity", "llama-2-7b", "--on", "v100", "--metric", metric]
    data = json.loads(run(*command, "--prompt", 64, "--generate", 9, "--json").stdout)
    whole = ls.forecast(ls.load_model("llama-2-7b"), ls.load_hardware("v100"), 64, 9)
    expected = whole.tpot.mean if metric == "tpot_mean" else getattr(whole, metric)
    assert data["value"] == pytest.approx(float(expected), rel=1e-12)
    assert data["elasticities"]


def test_crossover_gives_formula_and_number(run: CommandLine) -> None:
    command = ["crossover", "llama-2-7b", "--on", "v100", "--over", "batch"]
    data = json.loads(run(*command, "--json").stdout)
    by_operator = {row["operator"]: row for row in data["crossovers"]}
    row = by_operator["attn_q"]
    assert (row["before"], row["after"], row["exact"]) == ("memory", "compute", True)
    # 2 m d^2 / P = 2 (d^2 + 2 m d) / BW
    peak, bandwidth, d = 125e12, 900e9, 4096
    assert row["value"] == pytest.approx(d * peak / (d * bandwidth - 2 * peak))
    assert "peak" in row["formula"]
    assert "attn_q" in run(*command).stdout


def test_crossover_against_another_format(run: CommandLine, tmp_path: Path) -> None:
    picture = tmp_path / "two.png"
    data = json.loads(
        run(
            "crossover", "llama-2-7b", "--on", "v100", "--over", "batch", "--weights", "int4-g128",
            "--activations", "fp16", "--against", "weights=fp16", "--plot", str(picture), "--json",
        ).stdout
    )  # fmt: skip
    (row,) = data["crossovers"]
    assert 100 < row["value"] < 200
    assert row["smaller_above"] == "second"
    assert picture.exists()


def test_regimes_of_a_line_and_of_a_map(run: CommandLine, tmp_path: Path) -> None:
    command = ["regimes", "llama-2-7b", "--on", "v100", "--to", "300", "--json"]
    line = json.loads(run(*command, "--over", "batch", "--plot", str(tmp_path / "a.png")).stdout)
    ends = [(row["from"], row["to"]) for row in line["regimes"]]
    assert ends[0][0] == 1
    assert ends[-1][1] == 300
    assert all(set(row["bounds"].values()) <= {"memory", "compute"} for row in line["regimes"])
    assert all(row["conditions"] for row in line["regimes"])
    chart = json.loads(
        run(*command, "--over", "batch,past", "--plot", str(tmp_path / "b.png")).stdout
    )
    assert sum(row["area"] for row in chart["regimes"]) == pytest.approx(1)
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png"}


def test_design(run: CommandLine, tmp_path: Path) -> None:
    command = ["design", "llama-2-7b", "--on", "v100", "--context", "1000", "--over", "batch"]
    result = run(*command, "--at-most", "0.03", "--plot", str(tmp_path / "d.pdf"), "--json")
    data = json.loads(result.stdout)
    assert data["answer"] == 25
    assert data["achieved"] <= 0.03 < data["next_misses"]
    assert "past" in data["formula"]
    tpot = ls.forecast(ls.load_model("llama-2-7b"), ls.load_hardware("v100"), batch=25).tpot
    assert data["achieved"] == pytest.approx(float(tpot.bind({"past": 1000})))
    assert "25" in run(*command, "--at-most", "0.03").stdout


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["sensitivity", "llama-2-7b", "--on", "v10"], "did you mean"),
        (["sensitivity", "llama-2-7b", "--on", "v100", "--plot", "a.gif"], ".png, .pdf or .svg"),
        (["regimes", "llama-2-7b", "--on", "v100", "--over", "batch", "--width", "9"], "--plot"),
        (["sensitivity", "llama-2-7b", "--on", "v100", "--lift", "hiden"], "did you mean 'hidden'"),
        (
            ["crossover", "llama-2-7b", "--on", "v100", "--over", "source"],
            "'source' is no number here",
        ),
        (
            ["crossover", "llama-2-7b", "--on", "v100", "--over", "past", "--parts", "attn"],
            "two beginnings",
        ),
        (
            ["regimes", "llama-2-7b", "--on", "v100", "--over", "batch", "--metric", "latency"],
            "latency has no table of operators",
        ),
        (
            ["regimes", "llama-2-7b", "--on", "v100", "--over", "batch,past,peak"],
            "one symbol, or two",
        ),
        (
            [
                "regimes",
                "llama-2-7b",
                "--on",
                "v100",
                "--over",
                "batch",
                "--from",
                "9",
                "--to",
                "3",
            ],
            "nothing lies",
        ),
        (
            ["design", "llama-2-7b", "--on", "v100", "--over", "batch", "--at-most", "1e-5"],
            "it is at least",
        ),
        (["design", "llama-2-7b", "--on", "v100", "--over", "batch"], "one target"),
    ],
)
def test_bad_questions_end_with_one_line(
    run: CommandLine, command: list[str], message: str
) -> None:
    result = run(*command)
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def wide(picture: Path) -> float:
    """How many points wide a PNG of 200 dots an inch is."""
    head = picture.read_bytes()[:24]
    assert head[:4] == b"\x89PNG"
    return 72.27 * int.from_bytes(head[16:20], "big") / 200


@pytest.mark.parametrize("chart", ["bars", "tornado", "map", "roofline", "throughput", "memory"])
def test_charts_of_sensitivity(run: CommandLine, tmp_path: Path, chart: str) -> None:
    picture = tmp_path / f"{chart}.png"
    run(
        "sensitivity", "llama-2-7b", "--on", "v100", "--plot", str(picture), "--chart", chart,
        "--devices", "a100-40gb" if chart in ("map", "roofline", "throughput") else "",
        "--width", "240",
    )  # fmt: skip
    assert wide(picture) == pytest.approx(240, abs=1)


def test_a_sweep_is_drawn_over_its_longest_axis(run: CommandLine, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    command = ("sweep", "llama-2-7b", "--on", "v100", "--batch", "1,2,3", "--prompt", "8,9,10")
    run(*command, "-o", str(tmp_path / "a.csv"), "--plot", str(picture))
    assert wide(picture) == pytest.approx(6.2 * 72.27, abs=1)
    many = [*command, "--generate", "2,3,4,5", "-o", str(tmp_path / "b.csv")]
    refused = run(*many, "--plot", str(picture))
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "9 curves are too many" in refused.stderr
    assert not (tmp_path / "b.csv").exists()


def test_shares_are_printed(run: CommandLine) -> None:
    shown = run("sensitivity", "llama-2-7b", "--on", "v100").stdout
    assert "share" in shown
    assert "mlp_gate" in shown


def test_options_are_asked_about_like_sizes(run: CommandLine) -> None:
    """Bits, ranks and chunks: the answer is put back through a forecast of its own."""
    command = ["design", "llama-2-7b", "--on", "v100", "--json"]
    bits = json.loads(run(*command, "--over", "weight_bits", "--at-most", "0.01").stdout)
    assert bits["answer"] == 10
    assert bits["achieved"] <= 0.01 < bits["next_misses"]
    rank = json.loads(
        run(*command, "--over", "rank", "--metric", "ttft", "--at-most", "0.075").stdout
    )
    f = ls.forecast(
        ls.load_model("llama-2-7b"), ls.load_hardware("v100"), 512, 128, lora=rank["answer"]
    )
    assert rank["achieved"] == pytest.approx(float(f.ttft), rel=1e-12)
    assert rank["achieved"] <= 0.075 < rank["next_misses"]
    chunk = json.loads(
        run(*command, "--over", "chunk", "--metric", "ttft", "--at-most", "0.1").stdout
    )
    cut = ls.forecast(
        ls.load_model("llama-2-7b"), ls.load_hardware("v100"), 512, 128, chunk=chunk["answer"]
    )
    assert chunk["achieved"] == pytest.approx(float(cut.ttft), rel=1e-12)
    lifted = json.loads(
        run("sensitivity", "llama-2-7b", "--on", "v100", "--lift", "weight_bits", "--json").stdout
    )
    assert lifted["at"]["weight_bits"] == 16


def test_crossovers_of_options_and_of_parts(run: CommandLine) -> None:
    latent = json.loads(
        run(
            "crossover", "deepseek-v2-lite", "--on", "v100", "--batch", "16", "--over", "past",
            "--dispatch-time", "4e-6", "--against", "mla=decompressed", "--json",
        ).stdout
    )  # fmt: skip
    (row,) = latent["crossovers"]
    device = ls.load_hardware("v100").with_(dispatch_time=4e-6)
    absorbed, decompressed = (
        ls.forecast("deepseek-v2-lite", device, batch=16, mla=name).tpot  # type: ignore[typeddict-item]
        for name in ("absorbed", "decompressed")
    )
    (expected,) = crossover(absorbed, decompressed, "past", (0, 4096))
    assert row["value"] == pytest.approx(float(expected.value), rel=1e-12)
    assert row["smaller_above"] == expected.smaller
    assert "batch" in row["formula"]
    chunks = json.loads(
        run(
            "crossover", "llama-2-7b", "--on", "v100", "--metric", "ttft", "--over", "prompt",
            "--to", "3000", "--chunk", "512", "--against", "chunk=none", "--engine", "eager",
            "--json",
        ).stdout
    )  # fmt: skip
    assert chunks["crossovers"]
    assert all(row["high"] == row["low"] + 1 for row in chunks["crossovers"])
    parts = json.loads(
        run(
            "crossover", "llama-2-7b", "--on", "v100", "--over", "past", "--parts", "attn,mlp",
            "--json",
        ).stdout
    )  # fmt: skip
    (row,) = parts["crossovers"]
    assert row["smaller_above"] == "second"
    assert row["formula"]
    cache = run(
        "crossover", "llama-2-7b", "--on", "v100", "--over", "past", "--against", "kv=int8",
        "--json",
    )  # fmt: skip
    assert json.loads(cache.stdout)["crossovers"] == []


def test_crossovers_along_open_sums(run: CommandLine, tmp_path: Path) -> None:
    """Chunks of a prompt under a window have sums without a closed form: they are drawn, too."""
    asked = {"causal": "exact", "chunk": 512}
    command = ["crossover", "mistral-7b-v0.1", "--on", "a100", "--over", "prompt"]
    command += ["--metric", "ttft", "--causal", "exact", "--chunk", "512", "--to", "2000"]
    plot = ["--plot", str(tmp_path / "drawn.png"), "--json"]
    slow = ["--dispatch-time", "3e-6", "--against", "dispatch-time=0,compute-efficiency=0.9"]
    rows = json.loads(run(*command, *slow, *plot).stdout)["crossovers"]
    row = next(row for row in rows if row["smaller_above"] == "first")
    device = ls.load_hardware("a100")
    late, weak = device.with_(dispatch_time=3e-6), device.with_(compute_efficiency=0.9)
    ahead = [
        float(ls.forecast("mistral-7b-v0.1", late, prompt, 1, **asked).ttft)
        < float(ls.forecast("mistral-7b-v0.1", weak, prompt, 1, **asked).ttft)
        for prompt in (row["low"], row["high"])
    ]
    assert ahead == [False, True]
    drawn = run(*command, "--to", "1200", *plot)
    assert drawn.returncode == 0, drawn.stderr


def test_whole_answers_are_printed_in_full(run: CommandLine) -> None:
    shown = run(
        "design", "llama-2-7b", "--on", "v100", "--over", "past", "--at-most", "0.02",
    ).stdout  # fmt: skip
    lines = {
        line.split("│")[1].strip(): line.split("│")[2].strip()
        for line in shown.splitlines()
        if "│" in line
    }
    assert lines["most past"].isdecimal()
    assert lines["tpot there"] != lines["tpot one further"]


def test_regimes_of_a_map_name_the_operators(run: CommandLine) -> None:
    shown = run("regimes", "llama-2-7b", "--on", "v100", "--over", "batch,past", "--to", "300")
    assert "compute: " in shown.stdout
    assert "attn_q" in shown.stdout


def test_a_range_that_is_not_given_has_few_steps(run: CommandLine) -> None:
    """Of a chunked prefill: the plain range would have hundreds."""
    command = ["regimes", "llama-2-7b", "--on", "v100", "--metric", "ttft", "--prompt", "4000"]
    prompts = run(*command, "--chunk", "2048", "--over", "prompt", "--json")
    rows = json.loads(prompts.stdout)["regimes"]
    assert (rows[0]["from"], rows[-1]["to"]) == (1, 16 * 2048)
    assert "prompt goes from 1 to 32768 here" in prompts.stderr
    given = run(*command, "--chunk", "16", "--over", "prompt", "--to", "60")
    assert given.stderr == ""
    assert "(step)" in given.stdout
