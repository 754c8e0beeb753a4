"""One header of several models and devices, whose function takes an enumeration."""

import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import CommandLine

import lifesym as ls
from lifesym.codegen.enumerated import enumerated
from lifesym.errors import SymbolError

FLAGS = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-Wconversion"]
MODELS, DEVICES = ("gpt2", "mamba-130m"), ("v100", "rtx-4090")
ASKED = [
    *("export", ",".join(MODELS), "--on", ",".join(DEVICES), "--metric", "tpot,memory"),
    *("--generate", "10", "--args", "batch,past,prompt", "--name", "of"),
    *("--range", "batch=1:8", "--range", "past=0:900", "--range", "prompt=1:900"),
]


def test_every_choice_is_its_forecast(run: CommandLine, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    text = run(*ASKED).stdout
    assert "typedef enum { OF_GPT2_V100, OF_GPT2_RTX_4090, OF_MAMBA_130M_V100" in text
    assert text.count("Relative error of the arithmetic") == 8
    assert text.count("Made by:") == 1
    (tmp_path / "of.h").write_text(text)
    calls = "".join(
        f'{{ of_results r = of((of_choice){i}, 3, 500, 200); printf("%.17g %.17g\\n", r.tpot, '
        "r.memory); }\n"
        for i in range(4)
    )
    main = f'#include <stdio.h>\n#include "of.h"\nint main(void) {{\n{calls}return 0; }}\n'
    (tmp_path / "main.c").write_text(main)
    subprocess.run(["gcc", *FLAGS, "main.c", "-o", "main", "-lm"], cwd=tmp_path, check=True)
    out = subprocess.run(["./main"], cwd=tmp_path, check=True, capture_output=True, text=True)
    rows = [list(map(float, line.split())) for line in out.stdout.splitlines()]
    places = [(model, device) for model in MODELS for device in DEVICES]
    for (model, device), row in zip(places, rows, strict=True):
        f = ls.forecast(model, device, 200, 10, 3)
        step = f.tpot.expr
        tpot = f.tpot.bind({"past": 500}) if step.free_symbols else step
        assert row == pytest.approx([float(tpot), float(f.memory)], rel=1e-12)


def test_other_languages_say_so(run: CommandLine) -> None:
    for more in (["--to", "js"], ["--to", "table"], ["--correct"]):
        failed = run(*ASKED, *more)
        assert failed.returncode == 2
        assert "in C (--to c or float)" in failed.stderr


def test_names_that_are_one() -> None:
    f = ls.forecast("gpt2", "v100", 100, 10).open("batch")
    with pytest.raises(SymbolError, match="are one identifier"):
        enumerated({"a-b": f.ttft, "a b": f.ttft}, ["batch"], name="f")
    with pytest.raises(SymbolError, match="the same results"):
        enumerated({"a": {"x": f.ttft}, "b": {"y": f.ttft}}, ["batch"], name="f")
