"""The commands on measurements: validate, calibrate, measure, and what a stranger's file does."""

import json
from pathlib import Path

import pytest
from command_line import CommandLine
from measured import FILE

from lifesym.calibration import load, usable
from lifesym.calibration.overlay import own_fits, values
from lifesym.devices import load_hardware, typical
from lifesym.errors import SpecError
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
    assert data["request"] == {"rows": 0}
    assert data["decode"]["mape"] < data["decode"]["baselines"]["one efficiency"]["mape"]
    fitted = data["decode"]["parameters"]["llama.cpp (May 2024) on CUDA"]
    low, high = fitted["intervals"]["memory"]
    assert 0.8 < low <= fitted["values"]["memory"] <= high <= 1
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
    assert 0.8 < float(device.memory_efficiency) <= 1
    assert 0 < float(device.dispatch_time) < 1e-4
    assert "fitted to github XiongjieDai" in device.sources["efficiency"]
    bad = run("calibrate", "published", "--on", "tesla-p40")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "no usable measurement of tesla-p40" in bad.stderr


def test_defaults_by_class_are_the_fits() -> None:
    """To 3 %, or where a flat valley leaves a value to the machine's rounding, to its interval."""
    observations = usable(load(FILE)[0])[0]
    table = read_toml(root() / "efficiencies.toml")
    for kind, usual in table.items():
        rows = [o for o in observations if o.kind == kind and o.devices == 1]
        models = [o.model for o in rows]
        fits = own_fits(rows)
        found = values(fits, max(models, key=models.count))
        for name, phase in (("memory", "decode"), ("compute", "prefill")):
            if name in usual:
                low, high = fits[phase].intervals()[name]  # type: ignore[index]
                middle = found[name][0]
                assert min(low, 0.97 * middle) <= usual[name] <= max(high, 1.03 * middle), kind
        if "dispatch" in usual:
            assert float(usual["dispatch"]) == pytest.approx(found["dispatch"][0], rel=0.03), kind


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
