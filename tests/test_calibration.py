"""Forecasts against published measurements: the figures that the documentation states.

Every figure is of forecasts of devices, lengths, models or counts that the fit has not seen.
"""

from dataclasses import replace

import numpy as np
import pytest
from measured import (
    FILE,
    accuracy,
    errors,
    leave_device_out,
    llamacpp,
    published,
    seconds,
    served,
)

from lifesym.calibration import Fit, Observation, fit, load, usable
from lifesym.calibration.features import NAMES, active, columns, predict
from lifesym.calibration.fit import matrix
from lifesym.calibration.groups import Calibration, left_out
from lifesym.calibration.workload import TILE, shape
from lifesym.errors import SpecError

pytest.importorskip("scipy")


@pytest.fixture(scope="module")
def observations() -> list[Observation]:
    return published()


def test_rows_are_mapped_or_listed() -> None:
    mapped, unmapped = load(FILE)
    lines = FILE.read_text(encoding="utf-8").count("\n") - 1
    assert lines == 2428
    assert len({o.line for o in mapped} | {item.row for item in unmapped}) == lines
    reasons = [item.reason for item in unmapped]
    assert reasons.count("rejected by its source's own notes") == 26
    assert reasons.count("the context's length is not given") == 28
    assert (
        reasons.count("timed by a client of a cloud service: its queue and network are in the time")
        == 27
    )
    assert reasons.count("the batch is one of clients, whose requests queue") == 3
    assert len(reasons) == 84
    assert len([o for o in mapped if o.phase == "request"]) > 1400
    known, unknown = usable(mapped)
    assert len(known) + len(unknown) == len(mapped)
    assert all("known" in why or "bandwidth allows" in why for _, why in unknown)


def test_decode_of_unseen_nvidia_devices(observations: list[Observation]) -> None:
    rows = llamacpp(observations, "decode")
    assert (len(rows), len({o.device for o in rows})) == (76, 9)
    found = accuracy(rows)
    assert found["mape"] <= 0.06
    assert found["median"] <= 0.05


def test_decode_of_unseen_devices_of_all_vendors(observations: list[Observation]) -> None:
    rows = llamacpp(observations, "decode", nvidia=False)
    assert len(rows) == 115
    assert accuracy(rows)["mape"] <= 0.12


def test_prefill_of_unseen_nvidia_devices(observations: list[Observation]) -> None:
    rows = llamacpp(observations, "prefill")
    assert len(rows) == 76
    assert accuracy(rows)["mape"] <= 0.14


def test_longer_contexts_of_the_same_device(observations: list[Observation]) -> None:
    """Fitted on other devices, shifted by the device's own 512 tokens, forecasting 1k to 8k."""
    rows = [o for o in llamacpp(observations, "decode") if o.model == "llama-3-8b"]
    found: list[float] = []
    for device in {o.device for o in rows}:
        own = [o for o in rows if o.device == device]
        others = fit("decode", [o for o in rows if o.device != device])
        for quantized in {o.quantized for o in own}:
            same = sorted((o for o in own if o.quantized == quantized), key=lambda o: o.context)
            first, *longer = same
            shift = first.seconds - others.forecast([first])[0]
            found += list(errors(shift + others.forecast(longer), longer))
    assert np.mean(found) <= 0.03


def test_larger_model_of_the_same_device(observations: list[Observation]) -> None:
    """Llama-3-70B from the device's own 8B rows alone, in both of their formats."""
    rows = llamacpp(observations, "decode")
    found: list[float] = []
    for device in {o.device for o in rows if o.model == "llama-3-70b"}:
        own = [o for o in rows if o.device == device]
        small = fit("decode", [o for o in own if o.model == "llama-3-8b"])
        large = [o for o in own if o.model == "llama-3-70b"]
        found += list(errors(small.forecast(large), large))
    assert np.mean(found) <= 0.12


@pytest.mark.parametrize("several", [False, True])
def test_batches_of_serving_software(observations: list[Observation], several: bool) -> None:
    own: list[float] = []
    unseen: list[float] = []
    nvidia = ("A100 40GB", "H100 SXM 80GB")
    for software in ("vLLM", "TensorRT-LLM"):
        sets = {name: served(observations, software, name, several) for name in nvidia}
        for name, rows in sets.items():
            own += list(errors(fit("request", rows).forecast(rows), rows))
            others = [o for other in nvidia if other != name for o in sets[other]]
            unseen += list(errors(fit("request", others).forecast(rows), rows))
    amd = served(observations, "vLLM", "MI300X", several)
    own += list(errors(fit("request", amd).forecast(amd), amd))
    assert np.mean(own) <= 0.08
    assert np.mean(unseen) <= 0.15


@pytest.mark.parametrize(
    ("source", "device", "model", "rows"),
    [
        ("FasterTransformer", "A100 SXM 80GB", "gpt-20b", 45),
        ("nemo", "A100 SXM 80GB", "llama-2-7b", 4),
        ("nemo", "H100 SXM 80GB", "llama-2-7b", 4),
    ],
)
def test_eight_devices_from_up_to_four(
    observations: list[Observation], source: str, device: str, model: str, rows: int
) -> None:
    own = [o for o in observations if source in o.source and (o.device, o.model) == (device, model)]
    few, eight = ([o for o in own if (o.devices == 8) == many] for many in (False, True))
    assert len(eight) == rows
    assert np.mean(errors(fit("request", few).forecast(eight), eight)) <= 0.06


def test_whole_waves_of_blocks() -> None:
    """The rounded FLOPs of a pass, counted block by block."""
    s = shape("llama-3-8b", 1)
    for tokens, multiprocessors in ((512, 108), (512, 128), (96, 46), (1, 142)):
        extra = 0.0
        for inputs, outputs, count in s.linear:
            blocks = len(range(0, tokens, TILE)) * len(range(0, outputs, TILE))
            if blocks >= multiprocessors:
                waves = float(len(range(0, blocks, multiprocessors)))
            else:
                waves = 1 / (multiprocessors // blocks)
            done = waves * multiprocessors * TILE * TILE
            extra += 2 * count * inputs * (done - tokens * outputs)
        found = s.quantized_flops(tokens, multiprocessors)
        assert found == pytest.approx(s.matrix_flops * tokens + extra)
    assert s.quantized_flops(512, 0) == s.matrix_flops * 512


def test_the_jacobian_is_that_of_the_closed_form(observations: list[Observation]) -> None:
    for phase in ("decode", "prefill", "request"):
        rows = [o for o in observations if o.phase == phase][:40]
        factors = matrix(phase, rows)  # type: ignore[arg-type]
        scale = np.maximum(factors.max(axis=(0, 1)), 1e-300)
        spread = np.random.default_rng(7).uniform(0.1, 0.5, len(scale))
        theta = np.where(scale > 1e-200, spread / scale * seconds(rows).mean(), 0.0)
        exact = active(phase, factors, theta).sum(axis=1)
        for i in range(len(NAMES[phase])):
            step = np.zeros(len(theta))
            step[i] = 1e-7 * theta[i]
            change = predict(phase, factors, theta + step) - predict(phase, factors, theta - step)
            assert change == pytest.approx(2 * exact[:, i] * step[i], rel=1e-4, abs=1e-15)


def test_parameters_are_physical_or_flagged(observations: list[Observation]) -> None:
    for phase in ("decode", "prefill", "request"):
        rows = [o for o in observations if o.phase == phase]
        one = Calibration(phase, rows).fit("all")  # type: ignore[arg-type]
        report = one.report()
        for name, value in report["values"].items():
            assert value >= 0, name
            if name in ("memory", "compute"):
                assert 0 < value <= 1
            interval = report["intervals"][name]
            if interval is not None:
                assert interval[0] <= value * (1 + 1e-9)
                assert interval[1] >= min(value, 1) * (1 - 1e-9) or name not in report["flags"]
    rows = llamacpp(observations, "prefill")
    assert fit("prefill", rows).flags()["memory"] == "at its bound of 1"


def test_a_fit_finds_what_made_the_data(observations: list[Observation]) -> None:
    rows = llamacpp(observations, "decode")
    values = {"memory": 1.15, "layer": 8e-5, "stored_quantized": 7.0, "stored_16": 30.0}
    values |= {"serial": 1.3e-8, "compute": 1.0}
    true = Fit("decode", np.array([values.get(n, 0.0) for n in NAMES["decode"]]), None, 0)
    made = [replace(o, seconds=float(s)) for o, s in zip(rows, true.forecast(rows), strict=True)]
    found = fit("decode", made)
    assert found.forecast(rows) == pytest.approx(true.forecast(rows), rel=0.02)
    parameters = found.parameters()
    assert parameters["memory"] == pytest.approx(1 / 1.15, rel=0.02)
    assert parameters["layer"] == pytest.approx(8e-5, rel=0.03)
    assert parameters["serial"] == pytest.approx(1.3e-8, rel=0.03)
    assert found.unidentified == ("compute", "products", "collective", "link")
    assert found.flags()["compute"] == "not determined by these measurements"


def test_measurements_are_forecast_by_those_most_like_them(
    observations: list[Observation],
) -> None:
    calibration = Calibration("decode", observations)
    row = next(o for o in llamacpp(observations, "decode") if o.device == "RTX 4090")
    assert calibration.group(row) == "llama.cpp (May 2024) on CUDA"
    assert calibration.group(replace(row, framework="llama.cpp b9999")) == "llama.cpp on CUDA"
    assert calibration.group(replace(row, framework="unheard of")) == "all"
    rows = llamacpp(observations, "decode")
    whole = left_out("decode", rows, lambda o: o.device)
    assert whole == pytest.approx(leave_device_out(rows))
    with pytest.raises(SpecError, match="none is left to fit to"):
        left_out("decode", [row], lambda o: o.device)


def test_impossible_measurements_are_left_aside(observations: list[Observation]) -> None:
    row = llamacpp(observations, "decode")[0]
    floor = sum(part.get("memory", 0.0) for part in columns(row))
    _, bad = usable([replace(row, seconds=0.5 * floor)])
    assert "faster than the memory's bandwidth allows" in bad[0][1]
