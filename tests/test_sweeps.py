"""Sweeps: labels, values, files, and the same numbers in chunks."""

import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import CommandLine

import lifesym as ls
from lifesym import sweeps
from lifesym import symbols as sym
from lifesym.errors import SymbolError

xr = pytest.importorskip("xarray")
pytest.importorskip("dask")

EXPORT = ["export", "gpt2", "--on", "v100", "--args", "past"]
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
    return ls.sweep(make, AXES, metrics=("ttft", "tpot_mean", "memory"))


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
        assert float(point.tpot_mean) == pytest.approx(float(f.tpot), rel=1e-12)
        assert float(point.memory) == float(f.memory)


def test_labels_have_units_and_meanings(dataset: Any) -> None:
    assert dataset.ttft.attrs == {"long_name": "TTFT", "units": "s"}
    assert dataset.prompt.attrs["long_name"] == "prompt length"
    assert dataset.prompt.attrs["symbol"] == "S"
    assert dataset.attrs["generator"].startswith("lifesym")


def test_chunks_are_lazy_and_equal(dataset: Any) -> None:
    lazy = ls.sweep(make, AXES, metrics=("ttft", "tpot_mean", "memory"), chunks=2)
    assert lazy.ttft.chunks is not None
    for name in ("ttft", "tpot_mean", "memory"):
        assert np.array_equal(lazy[name].compute(), dataset[name])


def test_one_forecast_over_symbols_alone() -> None:
    f = ls.forecast(ls.load_model("tinyllama-1.1b"), ls.load_hardware("v100"), generate=9)
    seen: list[tuple[int, int]] = []
    data = ls.sweep(f, {"prompt": range(1, 9)}, progress=lambda *args: seen.append(args))
    assert data.ttft.dims == ("prompt",)
    assert float(data.ttft[4]) == pytest.approx(float(f.ttft.bind({"prompt": 5})), rel=1e-12)
    assert seen == [(1, 1)]
    steps = ls.sweep(f, {"past": [0, 10]}, metrics=["tpot"], target="native")
    assert float(steps.tpot[1]) == pytest.approx(float(f.tpot.bind({"past": 10})), rel=1e-12)


@pytest.mark.parametrize(
    ("axes", "metrics", "message"),
    [
        ({"prompt": []}, ["ttft"], "axis 'prompt' is empty"),
        ({"prompt": [1]}, ["tfft"], "metric must be one of .*'tfft'; did you mean 'ttft'"),
        ({"batch": [1]}, ["ttft"], "ttft depends on prompt"),
        ({"prompt": [1], "modle": ["x"]}, ["ttft"], "'modle' is no symbol"),
        ({"prompt": [0, 5]}, ["ttft"], "prompt must be at least 1, not 0"),
        ({"prompt": [3, -5]}, ["ttft"], "prompt must be at least 1, not -5"),
        ({"prompt": [1, float("nan")]}, ["ttft"], "list of finite numbers"),
        ({"prompt": [[1, 2]]}, ["ttft"], "list of finite numbers"),
        ({"prompt": ["x"]}, ["ttft"], "list of finite numbers"),
        ({"prompt": [1, 1]}, ["ttft"], "a value twice"),
        ({"prompt": [1]}, [], "metrics is empty"),
    ],
)
def test_bad_sweeps_are_refused(axes: Any, metrics: Any, message: str) -> None:
    f = ls.forecast(ls.load_model("tinyllama-1.1b"), ls.load_hardware("v100"), generate=9)
    with pytest.raises(SymbolError, match=message):
        ls.sweep(f, axes, metrics)


def test_options_may_be_called_like_symbols_and_keep_numbers() -> None:
    def build(batch: int) -> ls.Forecast:
        return ls.forecast(
            ls.load_model("tinyllama-1.1b"), ls.load_hardware("v100"), batch=batch, generate=9
        )

    data = ls.sweep(build, {"batch": [4, 1, 2], "prompt": [10]}, metrics=["ttft"])
    assert data.batch.values.tolist() == [4, 1, 2]
    for batch in (1, 2, 4):
        true = build(batch).ttft.bind({"prompt": 10})
        assert float(data.ttft.sel(batch=batch)[0]) == pytest.approx(float(true), rel=1e-12)
    assert data.batch.attrs == {"long_name": "batch"}


def test_options_and_chunks_are_checked() -> None:
    with pytest.raises(SymbolError, match="'v100' twice"):
        ls.sweep(make, AXES | {"hardware": ["v100", "v100"]})
    for chunks in (0, -3):
        with pytest.raises(SymbolError, match="chunks must be at least 1"):
            ls.sweep(make, AXES, chunks=chunks)


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


def test_chunks_are_written_in_pieces(
    run: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options of every kind are axes, and chunks give the same files as all at once."""
    base = ["sweep", "gpt2", "--on", "v100", "--prompt", "1,64,799", "--chunk", "16,100"]
    base += ["--lora", "8", "--tensor-parallel", "1,2", "--fusion", "flash", "--metrics", "ttft"]
    chunked = run(*base, "--chunks", "2", "-o", str(tmp_path / "chunked.nc"))
    assert chunked.returncode == 0, chunked.stderr
    found = xr.load_dataset(tmp_path / "chunked.nc", engine="h5netcdf").squeeze(drop=True)

    def build(tensor_parallel: int) -> ls.Forecast:
        options: Any = {"chunk": sym.chunk, "lora": 8, "fusion": "flash"}
        model, device = ls.load_model("gpt2"), ls.load_hardware("v100")
        return ls.forecast(model, device, tensor_parallel=tensor_parallel, **options)

    axes = {"tensor_parallel": [1, 2], "prompt": [1, 64, 799], "chunk": [16, 100]}
    whole, lazy = (ls.sweep(build, axes, ["ttft"], chunks=chunks) for chunks in (None, 2))
    assert np.allclose(found.ttft.transpose(*axes), whole.ttft, rtol=1e-14, atol=0)
    monkeypatch.setattr(sweeps, "_ROWS", 5)
    for name, data in (("whole", whole), ("lazy", lazy)):
        sweeps.write(data, tmp_path / f"{name}.csv")
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "lazy.csv").read_text()
    assert len((tmp_path / "whole.csv").read_text().splitlines()) == 1 + whole.ttft.size
    point = float(whole.ttft.sel(tensor_parallel=2, prompt=799, chunk=100))
    f = build(2).ttft.bind({"prompt": 799, "chunk": 100})
    assert point == pytest.approx(float(f), rel=1e-12)


def test_a_full_disk_is_one_line(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    export = ["export", "gpt2", "--on", "v100", "--args", "past", "--to", "js", "-o", "/dev/full"]
    result = run(*export)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "lifesym: error: /dev/full: No space left on device\n"
    f = ls.forecast(ls.load_model("gpt2"), ls.load_hardware("v100"), generate=9)
    data = ls.sweep(f, {"prompt": [1, 2]}, ["ttft"])
    usage = sweeps.shutil.disk_usage("/")._replace(free=7)
    monkeypatch.setattr(sweeps.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="No space left"):
        sweeps.write(data, Path("sweep.nc"))


def test_help_shows_ranges_as_they_are_typed(run: CommandLine) -> None:
    """Not as emoji, which Rich makes of a letter between two colons."""
    shown = run("sweep", "--help").stdout
    assert "1:4096:50 is 50 values" in " ".join(shown.split())
    assert max(shown) < "\N{NEGATIVE SQUARED LATIN CAPITAL LETTER A}"


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
    assert "static inline float tpot_tinyllama_1_1b(" in header.read_text()
    table = run(*base, *ranges, "--to", "fixed", "--error", "0.02", "--name", "fast").stdout
    assert "static inline uint32_t fast(" in table
    assert "export function tpot" in run(*base, "--to", "js").stdout
    assert "constexpr double tpot_tinyllama_1_1b(" in run(*base, "--to", "cpp").stdout
    assert "func TpotTinyllama1_1b(past, batch float64)" in run(*base, "--to", "go").stdout
    arrays: dict[str, Any] = {}
    exec(run(*base, "--to", "numpy").stdout, arrays)  # noqa: S102
    past, batch = np.arange(0, 2000, 7, dtype=np.int32)[:, None], np.arange(1, 9, dtype=np.int32)
    true = ls.compile(
        ls.forecast(
            ls.load_model("tinyllama-1.1b"), ls.load_hardware("v100"), batch=sym.batch
        ).tpot,
        ["past", "batch"],
    )(past, batch)
    assert np.allclose(arrays["tpot"](past, batch), true, rtol=1e-13)
    exec(run(*base, *ranges, "--to", "numpy-table", "--error", "0.02").stdout, arrays)  # noqa: S102
    assert np.max(np.abs(arrays["tpot"](past, batch) / true - 1)) <= 0.02
    chunked = run(
        "export", "gpt2", "--on", "v100", "--args", "prompt,chunk", "--metric", "ttft", "--to", "js"
    )
    assert "function ttft(prompt, chunk)" in chunked.stdout
    assert "ttft of gpt2 on NVIDIA V100 SXM2 16GB, in s, with batch 1." in chunked.stdout
    symbolic = run("export", "gpt2", "--on", "symbolic", "--args", "past", "--to", "js")
    assert "depends on" in symbolic.stderr
    assert symbolic.returncode == 2


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["export", "gpt2", "--on", "v100", "--args", "pas"], "unknown symbol 'pas'"),
        (
            ["export", "gpt2", "--on", "v100", "--args", "past", "--range", "past=3"],
            "a range is LOW:HIGH",
        ),
        (
            ["export", "gpt2", "--on", "v100", "--args", "past", "--to", "js", "-o", "/no/x.js"],
            "No such file or directory",
        ),
        ([*EXPORT, "--to", "table", "--range", "past=0:1e400"], "two finite numbers in order"),
        ([*EXPORT, "--to", "table", "--range", "past=0:9", "--unit", "past=0"], "above 0, not '0'"),
        ([*EXPORT, "--to", "table", "--range", "past=0:9", "--unit", "past=x"], "above 0, not 'x'"),
        ([*EXPORT, "--to", "table", "--range", "past=0:9", "--unit", "pst=3"], "unknown symbol"),
        ([*EXPORT, "--range", "past=0:9", "--unit", "past=3"], "units are of tables"),
        ([*EXPORT, "--range", "past=-5:10"], "past must be at least 0"),
        ([*EXPORT, "--range", "past=0:9", "--name", "exp"], "reserved word"),
        ([*EXPORT[:-1], "past,batch", "--batch", "3"], "batch is an argument"),
        (["sweep", "gpt2,gpt2", "--on", "v100", "-o", "x.nc"], "'gpt2' twice"),
        (["sweep", "gpt2", "--on", "v100", "--chunks", "0", "-o", "x.nc"], "at least 1"),
        (
            ["sweep", "gpt2", "--on", "v100", "--metrics", "tfft", "-o", "x.nc"],
            "metric must be one of",
        ),
        (["sweep", "gpt2", "--on", "v1000", "-o", "x.nc"], "v1000"),
        (["sweep", "gpt2", "--on", "v100", "--scheduler", "x", "-o", "x.nc"], "needs --chunks"),
        (["sweep", "gpt2", "--on", "v100", "--tensor-parallel", "0", "-o", "x.nc"], "--tensor-p"),
        (["sweep", "gpt2", "--on", "v100", "-o", "x.txt"], "must end in .nc or .csv"),
        (["sweep", "gpt2", "--on", "v100", "--prompt", "1:x:3", "-o", "x.nc"], "is not A:B:N"),
        (["sweep", "gpt2", "--on", "v100", "--prompt", "0", "-o", "x.nc"], "at least 1"),
        (["sweep", "gpt2", "--on", "v100", "-o", "/no/x.nc"], "/no/x.nc"),
    ],
)
def test_bad_commands_are_one_line(run: CommandLine, command: list[str], message: str) -> None:
    result: subprocess.CompletedProcess[str] = run(*command)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
