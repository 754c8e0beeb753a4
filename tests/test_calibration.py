"""Forecasts against published measurements: the figures that the documentation states.

Every figure is of forecasts for devices that the fit has not seen.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine

from lifesym.calibration import Fit, Observation, by_family, fit, left_out, load, summary
from lifesym.calibration.fit import usable
from lifesym.devices import load_hardware
from lifesym.errors import SpecError
from lifesym.specs import root

pytest.importorskip("scipy")
FILE = root() / "measurements" / "published.csv"
HEADER = "source,hardware,peak_tflops,mem_bw_gbs,framework,model,weight_bits,kv_bits,batch,n_gpus"
HEADER += ",prompt,output_or_ctx,ttft_ms,tpot_ms,notes"


@pytest.fixture(scope="module")
def observations() -> list[Observation]:
    return usable(load(FILE)[0])[0]


def llamacpp(observations: list[Observation], phase: str, nvidia: bool = True) -> list[Observation]:
    """The homogeneous set: one source, one device, one sequence."""
    return [
        o
        for o in observations
        if o.phase == phase
        and "XiongjieDai" in o.source
        and (o.devices, o.batch) == (1, 1)
        and (not nvidia or ("@aa72e0e" in o.source and not o.device.startswith("M")))
    ]


def accuracy(rows: list[Observation]) -> dict[str, float]:
    """Of forecasts for devices left out of the fit."""
    seconds = left_out(rows[0].phase, rows, lambda o: o.device)
    return summary(seconds, np.array([o.seconds for o in rows]))


def test_rows_are_mapped_or_listed() -> None:
    mapped, unmapped = load(FILE)
    lines = FILE.read_text(encoding="utf-8").count("\n") - 1
    assert lines == 2316
    assert {item.reason for item in unmapped} == {"end to end only: neither phase was measured"}
    assert len(unmapped) == 1455
    assert len([o for o in mapped if o.phase == "decode"]) == 816
    known, unknown = usable(mapped)
    assert len(known) + len(unknown) == len(mapped)
    assert all("not known" in reason or "is known" in reason for _, reason in unknown)


def test_decode_of_unseen_nvidia_devices(observations: list[Observation]) -> None:
    rows = llamacpp(observations, "decode")
    assert (len(rows), len({o.device for o in rows})) == (76, 9)
    found = accuracy(rows)
    assert found["mape"] <= 0.05
    assert found["median"] <= 0.04


def test_decode_of_unseen_devices_of_all_vendors(observations: list[Observation]) -> None:
    assert accuracy(llamacpp(observations, "decode", nvidia=False))["mape"] <= 0.105


def test_prefill_of_unseen_nvidia_devices(observations: list[Observation]) -> None:
    """The goal, 14 %, is missed: eight rows of two devices are slower than their own Q4 rows."""
    rows = llamacpp(observations, "prefill")
    found = accuracy(rows)
    assert found["mape"] <= 0.16
    assert found["median"] <= 0.08
    odd = [o for o in rows if o.device in ("A100 SXM 80GB", "L40S") and not o.quantized]
    assert len(odd) == 8
    seconds = left_out("prefill", rows, lambda o: o.device)
    errors = np.abs(seconds / np.array([o.seconds for o in rows]) - 1)
    others = [e for e, o in zip(errors, rows, strict=True) if o not in odd]
    assert np.mean(others) <= 0.12


def test_longer_contexts_of_the_same_device(observations: list[Observation]) -> None:
    """Fitted on other devices, shifted by the device's own 512 tokens, forecasting 1k to 8k.

    The goal, 3 %, is missed by a little: attention of that build slows down faster than linearly.
    """
    rows = [o for o in llamacpp(observations, "decode") if o.model == "llama-3-8b"]
    errors = []
    for device in {o.device for o in rows}:
        own = [o for o in rows if o.device == device]
        found = fit("decode", [o for o in rows if o.device != device])
        for quantized in {o.quantized for o in own}:
            same = sorted((o for o in own if o.quantized == quantized), key=lambda o: o.context)
            first, *longer = same
            shift = first.seconds - found.forecast([first])[0]
            seconds = shift + found.forecast(longer)
            errors += list(np.abs(seconds / np.array([o.seconds for o in longer]) - 1))
    assert np.mean(errors) <= 0.032


def test_parameters_are_physical(observations: list[Observation]) -> None:
    for phase in ("decode", "prefill"):
        for one in by_family(phase, observations).values():  # type: ignore[arg-type]
            for name, value in one.parameters().items():
                assert value >= 0, name
                if name in ("memory", "compute"):
                    assert 0 < value <= 1


def test_a_fit_finds_what_made_the_data(observations: list[Observation]) -> None:
    rows = llamacpp(observations, "decode")
    true = Fit("decode", np.array([1.15, 8e-5, 7.0, 30.0, 1.0, 0.0]), None, 0)
    seconds = true.forecast(rows)
    made = [
        Observation(**({k: getattr(o, k) for k in o.__dataclass_fields__} | {"seconds": float(s)}))
        for o, s in zip(rows, seconds, strict=True)
    ]
    found = fit("decode", made)
    assert found.forecast(rows) == pytest.approx(seconds, rel=0.02)
    assert found.theta[[0, 1, 3]] == pytest.approx(true.theta[[0, 1, 3]], rel=0.03)
    assert found.unidentified == ("compute", "collective")
    assert np.isnan(found.spread[4])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "missing columns source"),
        (
            HEADER + "\nx,V100,x,900,llama.cpp,Llama-2-7B,4.5,16,1,1,5,5,5,5,\n",
            "line 2: peak_tflops",
        ),
        (HEADER + "\nx,V100,1,900,llama.cpp,Llama-2-7B,4.5,16,1,1,5,5,nan,5,\n", "line 2: ttft_ms"),
    ],
)
def test_bad_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        load(path)
    with pytest.raises(SpecError, match="No such file"):
        load(tmp_path / "none.csv")


def test_command_line(run: CommandLine, tmp_path: Path) -> None:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    part = [line for line in lines[1:] if "XiongjieDai" in line][:60]
    small = tmp_path / "small.csv"
    small.write_text("\n".join([lines[0], *part]) + "\n")
    result = run("validate", str(small), "--fit", "published", "--json")
    assert result.returncode == 0, result.stderr
    data = json.loads(result.stdout)
    for phase in ("decode", "prefill"):
        keys = {"rows", "mape", "median", "p90", "bias", "by_device"}
        assert keys <= set(data[phase])
        assert 0 < data[phase]["mape"] < 1
    assert data["decode"]["mape"] < data["decode"]["baselines"]["one efficiency"]["mape"]
    shown = run("validate", str(small))
    assert "forecast against measured" in shown.stdout
    bad = run("validate", str(tmp_path / "none.csv"))
    assert bad.returncode == 2
    assert "No such file" in bad.stderr


def test_this_machine_becomes_a_spec(run: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "here.toml"
    result = run("measure", "--seconds", "1.5", "--name", 'my "box"', "-o", str(path))
    assert result.returncode == 0, result.stderr
    assert "measuring memory bandwidth" in result.stderr
    device = load_hardware(path)
    assert device.name == "my box"
    assert 1e8 < float(device.bandwidth) < 1e13
    assert 1e8 < float(device.matrix["fp32"]) < 1e15
    assert 0 < float(device.dispatch_time) < 1e-3
    forecast = run(
        *["forecast", "gpt2", "--on", str(path), "--prompt", "32", "--generate", "4", "--json"]
    )
    assert json.loads(forecast.stdout)["ttft_s"] > 0
    bad = run("measure", "--seconds", "0")
    assert (bad.returncode, bad.stdout) == (2, "")


def test_other_models_of_the_same_device(observations: list[Observation]) -> None:
    """Llama-3-70B from other devices' 8B fit, scaled by the device's own 8B."""
    rows = [o for o in llamacpp(observations, "decode") if o.quantized]
    errors = []
    for device in {o.device for o in rows if o.model == "llama-3-70b"}:
        own = [o for o in rows if o.device == device]
        small = [o for o in own if o.model == "llama-3-8b"]
        large = [o for o in own if o.model == "llama-3-70b"]
        found = fit("decode", [o for o in rows if o.device != device and o.model == "llama-3-8b"])
        factor = np.mean([o.seconds for o in small] / found.forecast(small))
        seconds = factor * found.forecast(large)
        errors += list(np.abs(seconds / np.array([o.seconds for o in large]) - 1))
    assert np.mean(errors) <= 0.12
