"""Sweeps: labels, values, files, and the same numbers in chunks."""

import json
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import CommandLine

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import SymbolError

xr = pytest.importorskip("xarray")
pytest.importorskip("dask")

AXES = {
    "hardware": ["v100", "a100"],
    "weights": ["fp16", "int4-g128"],
    "prompt": [1, 100, 999],
    "batch": [1, 8],
}


def make(hardware: str, weights: str) -> ls.Forecast:
    return ls.forecast(
        ls.load_model("tinyllama-1.1b"),
        ls.load_hardware(hardware),
        batch=sym.batch,
        generate=20,
        weights=weights,
    )


@pytest.fixture(scope="module")
def dataset() -> Any:
    return ls.sweep(make, AXES, metrics=("ttft", "tpot", "memory"))


def test_every_point_is_its_own_forecast(dataset: Any) -> None:
    assert list(dataset.sizes.values()) == [2, 2, 3, 2]
    for device, weights, prompt, batch in product(*AXES.values()):
        f = ls.forecast(
            ls.load_model("tinyllama-1.1b"),
            ls.load_hardware(str(device)),
            prompt=prompt,
            generate=20,
            batch=batch,
            weights=weights,
        )
        point = dataset.sel(hardware=device, weights=weights, prompt=prompt, batch=batch)
        assert float(point.ttft) == pytest.approx(float(f.ttft), rel=1e-12)
        assert float(point.tpot) == pytest.approx(float(f.tpot), rel=1e-12)
        assert float(point.memory) == float(f.memory)


def test_labels_have_units_and_meanings(dataset: Any) -> None:
    assert dataset.ttft.attrs == {"long_name": "TTFT", "units": "s"}
    assert dataset.prompt.attrs["long_name"] == "prompt length"
    assert dataset.prompt.attrs["symbol"] == "S"
    assert dataset.attrs["generator"].startswith("lifesym")


def test_chunks_are_lazy_and_equal(dataset: Any) -> None:
    lazy = ls.sweep(make, AXES, metrics=("ttft", "tpot", "memory"), chunks=2)
    assert lazy.ttft.chunks is not None
    for name in ("ttft", "tpot", "memory"):
        assert np.array_equal(lazy[name].compute(), dataset[name])


def test_one_forecast_over_symbols_alone() -> None:
    f = ls.forecast(ls.load_model("tinyllama-1.1b"), ls.load_hardware("v100"), generate=9)
    seen: list[tuple[int, int]] = []
    data = ls.sweep(f, {"prompt": range(1, 9)}, progress=lambda *args: seen.append(args))
    assert data.ttft.dims == ("prompt",)
    assert float(data.ttft[4]) == pytest.approx(float(f.ttft.bind({"prompt": 5})), rel=1e-12)
    assert seen == [(1, 1)]
    steps = ls.sweep(f, {"past": [0, 10]}, metrics=["step"], target="native")
    assert float(steps.step[1]) == pytest.approx(float(f.tpot.bind({"past": 10})), rel=1e-12)


@pytest.mark.parametrize(
    ("axes", "metrics", "message"),
    [
        ({"prompt": []}, ["ttft"], "axis 'prompt' is empty"),
        ({"prompt": [1]}, ["tfft"], "unknown metric 'tfft'; did you mean 'ttft'"),
        ({"batch": [1]}, ["ttft"], "ttft depends on prompt"),
        ({"prompt": [1], "modle": ["x"]}, ["ttft"], "'modle' is no symbol"),
    ],
)
def test_bad_sweeps_are_refused(axes: Any, metrics: Any, message: str) -> None:
    f = ls.forecast(ls.load_model("tinyllama-1.1b"), ls.load_hardware("v100"), generate=9)
    with pytest.raises(SymbolError, match=message):
        ls.sweep(f, axes, metrics)


@pytest.mark.parametrize("values", [[0, 5], [-5], [float("nan")]])
def test_values_that_a_symbol_cannot_have_are_refused(values: list[float]) -> None:
    forecast = ls.forecast(ls.load_model("gpt2"), ls.load_hardware("v100"), generate=8)
    with pytest.raises(SymbolError, match="out of the symbol's range"):
        ls.sweep(forecast, {"prompt": values})


def test_command_line_writes_netcdf_and_csv(run: CommandLine, tmp_path: Path) -> None:
    base = ["sweep", "tinyllama-1.1b,gpt2", "--on", "v100,a100", "--prompt", "1:1000:4"]
    base += ["--generate", "8", "--weights", "fp16,int4-g128"]
    for name in ("out.nc", "out.csv"):
        result = run(*base, "-o", str(tmp_path / name))
        assert result.returncode == 0, result.stderr
        assert "2 x 2 x 2" in result.stderr
        assert result.stdout == ""
    data = xr.load_dataset(tmp_path / "out.nc")
    assert data.prompt.values.tolist() == [1, 334, 667, 1000]
    point = data.sel(model="gpt2", hardware="a100", weights="int4-g128", prompt=334)
    f = ls.forecast(
        ls.load_model("gpt2"),
        ls.load_hardware("a100"),
        prompt=334,
        generate=8,
        weights="int4-g128",
    )
    assert float(point.ttft.squeeze()) == pytest.approx(float(f.ttft), rel=1e-12)
    assert (tmp_path / "out.csv").read_text().startswith("model,hardware,weights,")


def test_command_line_exports_functions(run: CommandLine, tmp_path: Path) -> None:
    base = ["export", "tinyllama-1.1b", "--on", "v100", "--args", "past,batch"]
    ranges = ["--range", "past=0:2048", "--range", "batch=1:8"]
    text = run(*base, "--to", "python").stdout
    scope: dict[str, Any] = {}
    exec(text, scope)  # noqa: S102 (what the command has just written)
    f = ls.forecast(ls.load_model("tinyllama-1.1b"), ls.load_hardware("v100"), batch=3)
    assert scope["tpot"](100, 3) == pytest.approx(float(f.tpot.bind({"past": 100})), rel=1e-12)
    header = tmp_path / "tpot.h"
    assert run(*base, *ranges, "--to", "float", "-o", str(header)).returncode == 0
    assert "static inline float tpot(" in header.read_text()
    table = run(*base, *ranges, "--to", "fixed", "--error", "0.02", "--name", "fast").stdout
    assert "static inline uint32_t fast(" in table
    assert "export function tpot" in run(*base, "--to", "js").stdout
    symbolic = run("export", "gpt2", "--on", "symbolic", "--args", "past", "--to", "js")
    assert "depends on" in symbolic.stderr
    assert symbolic.returncode == 2


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["export", "gpt2", "--on", "v100", "--args", "past"], "past needs a range"),
        (["export", "gpt2", "--on", "v100", "--args", "pas"], "unknown symbol 'pas'"),
        (
            ["export", "gpt2", "--on", "v100", "--args", "past", "--range", "past=3"],
            "a range is LOW:HIGH",
        ),
        (
            ["export", "gpt2", "--on", "v100", "--args", "past", "--to", "js", "-o", "/no/x.js"],
            "No such file or directory",
        ),
        (["sweep", "gpt2", "--on", "v100", "-o", "x.txt"], "must end in .nc or .csv"),
        (["sweep", "gpt2", "--on", "v100", "--prompt", "1:x:3", "-o", "x.nc"], "is not A:B:N"),
        (["sweep", "gpt2", "--on", "v100", "--prompt", "0", "-o", "x.nc"], "at least 1"),
        (["sweep", "gpt2", "--on", "v100", "-o", "/no/x.nc"], "/no/x.nc"),
        (["sweep", "gpt2,gpt2", "--on", "v100", "-o", "x.nc"], "axis 'model' has a value twice"),
        (["sweep", "gpt2", "--on", "v100", "--chunks", "0", "-o", "x.nc"], "at least 1 point"),
        (
            ["export", "gpt2", "--on", "v100", "--args", "past", "--range", "past=0:1e400"],
            "two finite ends",
        ),
        (["export", "gpt2", "--on", "v100", "--args", "past", "--unit", "past=abc"], "a number"),
        (["export", "gpt2", "--on", "v100", "--args", "past", "--unit", "past=0"], "above 0"),
        (["export", "gpt2", "--on", "v100", "--args", "past", "--unit", "pst=3"], "'past'"),
        (["export", "gpt2", "--on", "v100", "--args", "past", "--name", "sqrt"], "reserved"),
    ],
)
def test_bad_commands_are_one_line(run: CommandLine, command: list[str], message: str) -> None:
    result: subprocess.CompletedProcess[str] = run(*command)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert json.dumps(result.stderr).count("Traceback") == 0
