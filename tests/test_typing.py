"""What type checkers say of a user's code: the package is typed, and its names have types."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SNIPPET = '''\
"""What a user writes."""

from typing import Literal, assert_type

import lifesym as ls
from lifesym.analysis import Approximation, approximate, design

f = ls.forecast("llama-2-7b", "v100", prompt=512, generate=128, weights="int4")
assert_type(f, ls.Forecast)
assert_type(f.ttft, ls.Result)
assert_type(float(f.ttft), float)
assert_type(f.ttft + 127 * f.tpot - f.latency / 2, ls.Result)
assert_type(f"{f.ttft:.3g}", str)
short = approximate(f.tpot, {"past": (512, 4096)}, error=0.01)
assert_type(short, Approximation)
assert_type(short.error.upper, float)
step = ls.compile(f.tpot, ["past"])
print(step(1024))
with ls.notation("megatron"):
    assert_type(f.tpot.latex(), str)
assert_type(design(f.open().ttft, "prompt", f.point, at_most=1).want, Literal["least", "most"])
'''
WRONG = '\nf.ttft.interval("high")\nls.Workload(promt=512)\n'


def _checked(folder: Path, *command: str) -> None:
    """A checker finds the two wrong calls that follow the snippet, and nothing in it."""
    source = folder / "snippet.py"
    source.write_text(SNIPPET + WRONG)
    done = subprocess.run(
        [*command, source.name],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": str(ROOT)},
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    lines = {int(n) for n in re.findall(r"snippet\.py:(\d+)(?:\:\d+)?(?: -|:) error", said)}
    last = len((SNIPPET + WRONG).splitlines())
    assert lines == {last - 1, last}, said
    assert "promt" in said


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "lifesym" / "py.typed").is_file()


def test_the_wheel_says_so_too(tmp_path: Path) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="hatchling is not installed")
    from zipfile import ZipFile

    (made,) = wheel.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    assert "lifesym/py.typed" in ZipFile(made).namelist()


def test_mypy_accepts_what_users_write(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    strict = ("--strict", "--follow-imports=silent", "--config-file=", "--cache-dir=.cache")
    _checked(tmp_path, sys.executable, "-m", "mypy", *strict)


def test_pyright_accepts_what_users_write(tmp_path: Path) -> None:
    if find_spec("pyright") is None:
        pytest.skip("pyright is not installed")
    works = subprocess.run([sys.executable, "-m", "pyright", "--version"], capture_output=True)
    if works.returncode:
        pytest.skip("pyright cannot be started: it needs Node.js")
    config = {
        "typeCheckingMode": "strict",
        "include": ["snippet.py"],
        "extraPaths": [str(ROOT)],
        "reportMissingTypeStubs": False,  # SymPy has none
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    _checked(tmp_path, sys.executable, "-m", "pyright", "--project", "pyrightconfig.json")
