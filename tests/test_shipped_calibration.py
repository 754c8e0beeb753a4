"""The calibration that comes with lifesym: what it keeps of a fit, and what it says of a device."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine

import lifesym as ls
from lifesym.calibration import load, usable
from lifesym.calibration.parameters import NAMES
from lifesym.calibration.pooled import Calibration, Pooled, effects, fit
from lifesym.calibration.shipped import path, shipped, written
from lifesym.specs import names, root

FILE = root() / "measurements" / "published.csv"
DEVICE = "RTX 4090"


@pytest.fixture(scope="module")
def fitted() -> tuple[Pooled, object]:
    """A fit to the rows of two models on NVIDIA devices, and its rows."""
    rows, _ = usable(
        [
            o
            for o in load(FILE)[0]
            if o.framework == "llama.cpp (May 2024)" and o.model == "llama-3-8b" and o.devices == 1
        ]
    )
    places = [i for i, o in enumerate(rows.observations) if o.place == "llama.cpp on CUDA"]
    some = rows.take(places)
    return fit(some), some


def test_what_is_written_is_read(
    fitted: tuple[Pooled, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parameters are kept; so is how well they are known of a device that was never seen."""
    whole, rows = fitted
    file = tmp_path / "calibration.json"
    file.write_text(written(Calibration({"llama.cpp on CUDA": whole}), "a test"), encoding="utf-8")
    monkeypatch.setattr("lifesym.calibration.shipped.path", lambda: file)
    shipped.cache_clear()
    read = shipped().fits["llama.cpp on CUDA"]
    shipped.cache_clear()
    for o in rows.observations:
        assert read.point(o) == pytest.approx(whole.point(o), rel=1e-6)
    never = replace(rows.observations[0], device="RTX 9999")
    assert read.covariance(never) == pytest.approx(whole.covariance(never), rel=1e-3, abs=1e-8)


def test_two_rows_move_a_device_from_its_kin(fitted: tuple[Pooled, object]) -> None:
    """Rows that all take longer by a fifth take the forecasts a part of the way."""
    _, rows = fitted
    whole = fit(rows.take([i for i, o in enumerate(rows.observations) if o.device != DEVICE]))
    few = rows.take([i for i, o in enumerate(rows.observations) if o.device == DEVICE][:2])
    slower = type(few)(
        tuple(replace(o, seconds=1.2 * o.seconds) for o in few.observations),
        few.groups,
        few.times,
        few.sides,
        few.rest,
    )
    before, after = whole.forecast(few), fit(slower, prior=whole).forecast(few)
    nearer = fit(few, prior=whole).forecast(few)
    assert (before < after).all()
    assert (after > nearer).all()
    assert (after < 1.2 * before).all()
    measured = [o.seconds for o in few.observations]
    assert (abs(nearer - measured) <= abs(before - measured)).all()


def test_effects_keep_their_covariance(fitted: tuple[Pooled, object]) -> None:
    whole, rows = fitted
    o = rows.observations[0]
    values, covariance = whole.joint(effects(o))
    size = len(NAMES)
    summed = covariance.reshape(5, size, 5, size).sum(axis=(0, 2))
    assert values.sum(axis=0) + whole.usual - whole.values[0] == pytest.approx(whole.point(o))
    assert summed == pytest.approx(whole.covariance(o), rel=1e-6, abs=1e-12)
    picked = np.zeros((size, whole.values.size))
    for each in effects(o):
        at = whole.places[each] * size
        picked[:, at : at + size] += np.eye(size)
    direct = picked @ np.linalg.solve(whole.curvature, picked.T)
    assert whole.covariance(o) == pytest.approx(direct, rel=1e-6, abs=1e-12)


def test_it_is_of_every_row_of_the_database() -> None:
    """The numbers of rows that its file states: `python benchmarks/calibration.py` writes it."""
    found = json.loads(path().read_text(encoding="utf-8"))
    rows = sum(one["rows"] for one in found["fits"].values())
    assert f"{rows} rows" in found["source"]
    assert all(name in found["source"] for name in names("measurements"))
    assert found["parameters"] == [*NAMES]


def test_a_device_that_nobody_measured(run: CommandLine, tmp_path: Path) -> None:
    """Its class, maker and software say what it attains; the intervals say how well."""
    file = tmp_path / "own.toml"
    made = run("calibrate", "shipped", "--on", "l4", "--framework", "vllm", "-o", str(file))
    assert made.returncode == 0, made.stderr
    assert "fitted to other rows of vllm on CUDA" in made.stderr
    asked = ("llama-3-8b", "--prompt", "512", "--generate", "16")
    said = run("forecast", *asked, "--on", str(file), "--interval", "90", "--json")
    assert said.returncode == 0, said.stderr
    data = json.loads(said.stdout)
    ideal = ls.forecast("llama-3-8b", "l4", 512, 16)
    assert data["engine"] == "vllm"
    assert float(ideal.tpot.mean) < data["tpot_s"] < 2 * float(ideal.tpot.mean)
    known = run("calibrate", "shipped", "--on", "rtx-4090", "--json")
    assert json.loads(known.stdout)["rows"] == 0
    refused = run("calibrate", "shipped", "--on", "l4", "--framework", "nobody")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert (
        "no measurements of nobody on CUDA; there are some of llama.cpp on CUDA" in refused.stderr
    )


def test_rows_are_forecast_by_it(run: CommandLine, tmp_path: Path) -> None:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    file = tmp_path / "some.csv"
    file.write_text("\n".join([lines[0], *lines[1:3]]) + "\n", encoding="utf-8")
    result = run("validate", str(file), "--fit", "shipped", "--json")
    assert result.returncode == 0, result.stderr
    data = json.loads(result.stdout)
    assert data["decode"]["mape"] < 0.1
    assert not data["decode"]["in_sample"]
