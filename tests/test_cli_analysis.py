"""Commands that ask a formula: keys, agreement with Python, one-line errors."""

import json
from pathlib import Path

import pytest
from command_line import CommandLine

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import device_point, local_elasticities


def test_sensitivity(run: CommandLine, tmp_path: Path) -> None:
    picture = tmp_path / "bars.png"
    result = run(
        "sensitivity", "llama-2-7b", "--on", "v100", "--batch", "4", "--past", "1000",
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
        **device_point(device, device.default_format),
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
            "--activations", "fp16", "--against-weights", "fp16", "--plot", str(picture), "--json",
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
    command = ["design", "llama-2-7b", "--on", "v100", "--past", "1000", "--over", "batch"]
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
        (["sensitivity", "llama-2-7b", "--on", "v100", "--lift", "hiden"], "did you mean 'hidden'"),
        (["crossover", "llama-2-7b", "--on", "v100", "--over", "rank"], "does not depend on rank"),
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
