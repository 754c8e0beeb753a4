"""The commands on measurements: validate, calibrate, measure, and what a stranger's file does."""

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import CommandLine
from measured import FILE

import lifesym as ls
from lifesym.calibration import load, usable
from lifesym.calibration.overlay import usual
from lifesym.devices import load_hardware, typical
from lifesym.errors import SpecError, SymbolError
from lifesym.specs import read_toml, root

pytest.importorskip("scipy")
LINES = FILE.read_text(encoding="utf-8").splitlines()
HEADER = LINES[0]
ROW = next(line for line in LINES if "RTX 3070" in line)


def write(path: Path, *rows: str) -> str:
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return str(path)


def changed(**cells: str) -> str:
    """The row of an RTX 3070 with other cells."""
    import csv
    import io

    row = dict(zip(HEADER.split(","), next(csv.reader([ROW])), strict=True)) | cells
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(row.values())
    return out.getvalue()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "missing columns source"),
        (f"{HEADER}\n{changed(peak_tflops='x')}\n", "line 2: peak_tflops must be a number"),
        (f"{HEADER}\n{changed(ttft_ms='nan')}\n", "line 2: ttft_ms"),
        (f"{HEADER}\n{changed(batch='1.5')}\n", "line 2: batch must be a whole number"),
        (f"{HEADER}\n{changed(batch='0')}\n", "line 2: batch must be at least 1"),
        (f"{HEADER}\n{changed(weight_bits='400')}\n", "line 2: weight_bits must be at most 64"),
    ],
)
def test_bad_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        load(path)
    with pytest.raises(SpecError, match="No such file"):
        load(tmp_path / "none.csv")


def test_what_cannot_be_mapped_is_listed(tmp_path: Path) -> None:
    rows = [
        changed(),
        changed(model="bert-base"),
        changed(model="t5-small"),
        changed(model="nobody-9b"),
        "short,row",
    ]
    observations, unmapped = load(write(tmp_path / "few.csv", *rows))
    assert {o.line for o in observations} == {2}
    assert [item.row for item in unmapped] == [3, 4, 5, 6]
    assert "no decoder" in unmapped[0].reason
    assert "not in the database" in unmapped[2].reason


def test_names_as_people_write_them(tmp_path: Path) -> None:
    rows = [
        changed(hardware="NVIDIA GeForce RTX 4090", mem_bw_gbs="", peak_tflops=""),
        changed(model="meta-llama/Llama-3-8B-Instruct"),
        changed(ttft_ms="", tpot_ms=""),
    ]
    observations, unmapped = load(write(tmp_path / "names.csv", *rows))
    assert not unmapped
    assert len(usable(observations)[0]) == 6
    named, _, rated = (o for o in observations if o.phase == "decode")
    assert named.device == "NVIDIA GeForce RTX 4090"
    assert rated.seconds == pytest.approx(named.seconds, rel=1e-3)


def test_validate(run: CommandLine, tmp_path: Path) -> None:
    small = write(tmp_path / "small.csv", *[line for line in LINES if "XiongjieDai" in line][:60])
    picture = tmp_path / "accuracy.png"
    result = run("validate", small, "--fit", "published", "--plot", str(picture), "--json")
    assert result.returncode == 0, result.stderr
    data = json.loads(result.stdout)
    for phase in ("decode", "prefill"):
        keys = {"rows", "mape", "median", "p90", "bias", "kendall_tau", "by_device", "by_class"}
        assert keys <= set(data[phase])
        assert 0 < data[phase]["mape"] < 0.3
        assert data[phase]["coverage"]["measured"] > 0.8
    assert data["request"] == {"rows": 0}
    assert data["decode"]["mape"] < data["decode"]["baselines"]["one efficiency"]["mape"]
    fitted = data["parameters"]["llama.cpp on CUDA"]
    low, high = fitted["intervals"]["memory_efficiency"]
    assert 0.7 < low <= fitted["values"]["memory_efficiency"] <= high <= 1
    assert picture.stat().st_size > 10_000
    shown = run("validate", small)
    assert "forecast against measured" in shown.stdout
    assert "not to be believed" in shown.stdout


def test_validate_of_one_row_is_json(run: CommandLine, tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", changed(ttft_ms=""))
    result = run("validate", one, "--json")
    data = json.loads(result.stdout, parse_constant=pytest.fail)
    assert data["decode"]["in_sample"] is True
    assert data["decode"]["kendall_tau"] is None
    assert "the fit has seen what it forecasts" in result.stderr


def test_validate_refuses_in_one_line(run: CommandLine, tmp_path: Path) -> None:
    for name in (str(tmp_path / "none.csv"), write(tmp_path / "e.csv", changed(model="nobody"))):
        bad = run("validate", name)
        assert (bad.returncode, bad.stdout) == (2, "")
        assert len(bad.stderr.strip().splitlines()) == 1


def test_commands_that_fit_have_one_thread(
    run: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the environment says how many: those of other commands measure this machine."""
    name = "OPENBLAS_NUM_THREADS"
    monkeypatch.setenv(name, "2")
    none = str(tmp_path / "none.csv")
    run("validate", none)
    assert os.environ[name] == "2"
    monkeypatch.delenv(name)
    run("fit-log", none, "llama-2-7b", "--on", "v100")
    assert name not in os.environ
    run("validate", none)
    assert os.environ[name] == "1"


def test_a_fit_without_a_phase_says_so(run: CommandLine, tmp_path: Path) -> None:
    decode = write(tmp_path / "decode.csv", changed(ttft_ms="", pp_tok_s=""))
    both = write(tmp_path / "both.csv", changed())
    result = run("validate", both, "--fit", decode, "--json")
    assert result.returncode == 0, result.stderr
    assert "nothing to fit prefill to" in result.stderr


def test_calibrate_writes_an_overlay(run: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "calibrated.toml"
    result = run(
        *["calibrate", "published", "--on", "rtx-4090", "--framework", "llama.cpp (May"],
        *["-o", str(path)],
    )
    assert result.returncode == 0, result.stderr
    device, plain = load_hardware(path), load_hardware("rtx-4090")
    assert (device.name, device.bandwidth) == (plain.name, plain.bandwidth)
    assert device.engine == "llama.cpp-unfused"
    assert 0.8 < float(device.memory_efficiency) <= 1
    assert 0 < float(device.layer_time) < 2e-4
    assert "fitted to github XiongjieDai" in device.sources["efficiency"]
    bad = run("calibrate", "published", "--on", "tesla-p40")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "no usable measurement of tesla-p40" in bad.stderr


def test_defaults_by_class_are_the_fits() -> None:
    found = usual(usable(load(FILE)[0])[0])
    for kind, table in read_toml(root() / "efficiencies.toml").items():
        for name in {"memory", "compute", "dispatch"} & set(table):
            assert float(table[name]) == pytest.approx(found[kind][name], rel=0.03), (kind, name)


def test_an_overlay_forecasts_what_was_fitted(run: CommandLine, tmp_path: Path) -> None:
    """The printed formula on the file errs no more on the device's rows than the fit did."""
    path = tmp_path / "own.toml"
    asked = ["calibrate", "published", "--on", "rtx-4090", "--framework", "llama.cpp (May"]
    fitted = json.loads(run(*asked, "-o", str(path), "--json").stdout)["mape"]
    found: dict[str, list[float]] = {"decode": [], "prefill": []}
    for o in load(FILE)[0]:
        if o.device != "RTX 4090" or "May 2024" not in o.framework or o.devices > 1:
            continue
        weights = "q4_k_m" if o.quantized else "fp16"
        given = {"weights": weights, "activations": "fp16", "kv": "fp16"}
        if o.phase == "decode":
            time = ls.forecast(o.model, path, int(o.context), 2, **given).tpot.first
        else:
            time = ls.forecast(o.model, path, o.prompt, 1, **given).ttft
        found[o.phase].append(abs(float(time) / o.seconds - 1))
    for phase, errors in found.items():
        assert sum(errors) / len(errors) <= 1.1 * fitted[phase], phase


def test_intervals_of_a_fitted_device(run: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    run("calibrate", "published", "--on", "rtx-3070", "-o", str(path))
    f = ls.forecast("llama-3-8b", path, 512, 64, weights="q4_k_m")
    for time in (f.ttft, f.tpot, f.tpot.mean, f.latency):
        (low, high), (lower, higher) = time.interval(0.5), time.interval(0.9)
        middle = float(f.tpot.mean if time is f.tpot else time)
        assert lower < low < middle < high < higher
        assert low * high == pytest.approx(middle**2)
    device = f.hardware.fit
    known = replace(device, covariance=((0.0,) * len(device.parameters),) * len(device.parameters))
    sure = ls.forecast("llama-3-8b", replace(f.hardware, fit=known), 512, 64, weights="q4_k_m")
    low, high = sure.ttft.interval(0.9)  # the error of a row alone: 0.05, widened, at 1.645
    assert high / low == pytest.approx(math.exp(2 * 1.644854 * 0.05 * device.wider["ttft"]))
    shown = run("forecast", "llama-3-8b", "--on", str(path), "--weights", "q4_k_m", "--prompt")
    assert shown.returncode == 2
    asked = ["--on", str(path), "--weights", "q4_k_m", "--prompt", "512", "--generate", "64"]
    data = json.loads(run("forecast", "llama-3-8b", *asked, "--interval", "90", "--json").stdout)
    assert data["intervals"]["ttft_s"] == pytest.approx(f.ttft.interval(0.9))
    with pytest.raises(SpecError, match="its efficiencies were not fitted"):
        ls.forecast("llama-3-8b", "v100", 512, 64).ttft.interval(0.9)
    with pytest.raises(SymbolError, match="level must be between 0 and 1"):
        f.ttft.interval(90)
    with pytest.raises(SymbolError, match="an interval is of numbers"):
        ls.forecast("llama-3-8b", path, generate=64).ttft.interval(0.9)
    with pytest.raises(SpecError, match="has no interval"):
        f.memory.interval(0.9)


def test_a_wrong_fit_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "o.toml"
    table = 'error = 0.05\nwider = { ttft = 1.0 }\nsource = "here"\n'
    for text, message in (
        ('parameters = ["bandwidth"]\ncovariance = [[1.0, 2.0]]', "must have 1 rows of 1 numbers"),
        ('parameters = ["nobody"]\ncovariance = [[1.0]]', "'nobody' is no symbol"),
    ):
        path.write_text(f'extends = "v100"\n[fit]\n{text}\n{table}')
        with pytest.raises(SpecError, match=message):
            load_hardware(path)


def test_typical_devices() -> None:
    plain = load_hardware("rtx-4090")
    device = typical(plain)
    assert 0.8 < float(device.memory_efficiency) < 1
    assert "usual for a device of its class" in device.sources["typical"]
    assert typical(load_hardware("mi300x")).dispatch_time == device.dispatch_time


def test_an_overlay_of_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "o.toml"
    for text, message in (
        ('extends = "rtx-409"', "unknown hardware 'rtx-409'; did you mean"),
        ("extends = 3", "must be the name of a device"),
    ):
        path.write_text(text)
        with pytest.raises(SpecError, match=message):
            load_hardware(path)


def test_this_machine_becomes_a_spec(run: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "here.toml"
    result = run("measure", "--seconds", "1", "--name", 'my "box"', "-o", str(path))
    assert result.returncode == 0, result.stderr
    assert "measuring memory bandwidth" in result.stderr
    device = load_hardware(path)
    assert device.name == "my box"
    assert 1e8 < float(device.bandwidth) < 1e13
    assert 1e8 < float(device.matrix["fp32"]) < 1e15
    assert 0 < float(device.memory_efficiency) <= 1
    assert 0 < float(device.dispatch_time) < 1e-2
    forecast = run(
        *["forecast", "gpt2", "--on", str(path), "--prompt", "32", "--generate", "4", "--json"]
    )
    assert json.loads(forecast.stdout)["ttft_s"] > 0
    bad = run("measure", "--seconds", "0")
    assert (bad.returncode, bad.stdout) == (2, "")
