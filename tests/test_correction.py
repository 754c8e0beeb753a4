"""Scales that measured passes correct: of a whole log in Python, and pass by pass in C."""

import csv
import json
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine

import lifesym as ls
from lifesym.calibration import fit_log
from lifesym.calibration.log import read_log, read_scales
from lifesym.codegen.correction import corrected
from lifesym.errors import SpecError, SymbolError
from lifesym.metrics import measure
from lifesym.operator_groups import times_by_group

MODEL, DEVICE = "llama-3.1-8b", "h100-sxm-80gb"
ARGUMENTS = ("prefilled", "prefilled_past", "decodes", "contexts")
NOISE = 0.05
FLAGS = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-Wconversion"]


@pytest.fixture(scope="module")
def step() -> ls.Result:
    device = ls.load_hardware(DEVICE).with_(dispatch_time=ls.symbols.exact(3e-6))
    return measure(ls.forecast(MODEL, device, 512, 2, 1, engine="vllm"), "step")


@pytest.fixture(scope="module")
def log(step) -> dict[str, np.ndarray]:
    """A server's passes: groups take 30 % more or less than by the formula, with 5 % noise."""
    draw = random.Random(3)
    rows = []
    for _ in range(1064):
        decodes = draw.randint(1, 128)
        prefilled = draw.choice([0, 0, 256, 512, 2048])
        past = draw.randint(0, 4000) if prefilled else 0
        rows.append([prefilled, past, decodes, decodes * draw.randint(50, 6000)])
    columns = dict(zip(ARGUMENTS, np.array(rows, dtype=float).T, strict=True))
    groups = times_by_group(step.terms)
    times = ls.compile(list(groups.values()), list(ARGUMENTS))(**columns)
    wrong = [0.7 if i % 3 == 2 else 1.3 for i in range(len(groups))]
    truth = sum(scale * np.asarray(each) for scale, each in zip(wrong, times, strict=True))
    noise = np.random.default_rng(4).normal(1, NOISE, len(truth))
    return {**columns, "truth": truth, "seconds": truth * noise}


def test_groups_add_up(step) -> None:
    groups = times_by_group(step.terms)
    assert set(groups) >= {"projections", "feed-forward", "attention", "launches"}
    at = {"prefilled": 300, "prefilled_past": 10, "decodes": 7, "contexts": 900}
    total = sum(float(ls.symbols.bind(time, at)) for time in groups.values())
    assert total == pytest.approx(float(step.bind(at)), rel=1e-12)


def test_64_passes_are_enough(step, log) -> None:
    few = {name: column[:64] for name, column in log.items()}
    found = fit_log(times_by_group(step.terms), few)
    assert found.before > 0.1
    assert found.after < 0.06
    groups = times_by_group(step.terms)
    times = ls.compile(list(groups.values()), list(ARGUMENTS))(*(log[n][64:] for n in ARGUMENTS))
    seconds = sum(found.scale[g] * np.asarray(t) for g, t in zip(groups, times, strict=True))
    errors = np.abs(seconds / log["seconds"][64:] - 1)
    assert np.mean(errors) < 0.06  # of passes it has not seen, whose noise is 5 %
    assert np.mean(np.abs(seconds / log["truth"][64:] - 1)) < 0.03


def test_all_at_once_is_pass_by_pass(step, log, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    header = corrected(times_by_group(step.terms), ARGUMENTS, name="step")
    (tmp_path / "step.h").write_text(header)
    count = 64
    main = """#include <stdio.h>
#include "step.h"
int main(void)
{
    step_correction c = step_begin();
    double a, b, d, e, s, off = 0.0;
    for (int i = 0; i < ROWS && scanf("%lf %lf %lf %lf %lf", &a, &b, &d, &e, &s) == 5; i++) {
        if (i < FITTED) step_update(&c, a, b, d, e, s);
        else off += s > step(&c, a, b, d, e) ? 1 - step(&c, a, b, d, e) / s
                                             : step(&c, a, b, d, e) / s - 1;
        if (i == FITTED - 1)
            for (int k = 0; k < (int)(sizeof c.scale / sizeof c.scale[0]); k++)
                printf("%.12g ", c.scale[k]);
    }
    step_update(&c, 0.0, 0.0, 0.0, 0.0, -1.0);
    printf("%.12g", off / (ROWS - FITTED));
    return 0;
}
"""
    rows = np.array([log[name] for name in (*ARGUMENTS, "seconds")]).T
    sizes = f"#define ROWS {len(rows)}\n#define FITTED {count}\n"
    (tmp_path / "main.c").write_text(sizes + main)
    subprocess.run(["gcc", *FLAGS, "main.c", "-o", "main", "-lm"], cwd=tmp_path, check=True)
    text = "\n".join(" ".join(map(repr, map(float, row))) for row in rows)
    out = subprocess.run(
        ["./main"], input=text, cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.split()
    few = {name: column[:count] for name, column in log.items()}
    found = fit_log(times_by_group(step.terms), few)
    assert list(map(float, out[:-1])) == pytest.approx(list(found.scale.values()), rel=1e-6)
    assert float(out[-1]) < 0.06


def test_the_command_and_the_header_take_turns(run: CommandLine, step, log, tmp_path: Path) -> None:
    path, scales = tmp_path / "log.csv", tmp_path / "scales.json"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*ARGUMENTS, "seconds"])
        writer.writerows(np.array([log[n][:64] for n in (*ARGUMENTS, "seconds")]).T.tolist())
    asked = [MODEL, "--on", DEVICE, "--engine", "vllm", "--dispatch-time", "3us"]
    made = run("fit-log", str(path), *asked, "-o", str(scales), "--json")
    found = json.loads(made.stdout)
    few = {name: column[:64] for name, column in log.items()}
    expected = fit_log(times_by_group(step.terms), few)
    assert found["scale"] == pytest.approx(expected.scale, rel=1e-9)
    assert found["rows"] == 64
    assert "attention" in run("fit-log", str(path), *asked).stdout
    header = run(
        *("export", *asked, "--metric", "step", "--correct", "--scales", str(scales)),
    ).stdout
    assert "_begin(void)" in header
    assert f"{found['scale']['projections']!r}" in header
    for more, what in (
        (["--to", "js"], "--correct is of C"),
        (["--metric", "memory"], "sum of operators' times"),
    ):
        failed = run("export", *asked, "--metric", "step", "--correct", *more)
        assert failed.returncode == 2
        assert what in failed.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prefilled,seconds\n1,2\n", "there is no column 'prefilled_past'"),
        ("prefilled,prefilled_past,decodes,contexts,seconds\n", "there are no rows"),
        (
            "prefilled,prefilled_past,decodes,contexts,seconds\n1,0,1,x,2\n",
            ":2: contexts must be a number of at least 0, not 'x'",
        ),
        (
            "prefilled,prefilled_past,decodes,contexts,seconds\n1,0,1,1,0\n",
            ":2: seconds must be a number above 0, not '0'",
        ),
    ],
)
def test_logs_that_say_nothing(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(SpecError, match=said):
        read_log(path, ARGUMENTS)


def test_scales_of_no_group(step) -> None:
    with pytest.raises(SymbolError, match="a scale of 'mlp': the groups are projections"):
        corrected(times_by_group(step.terms), ARGUMENTS, name="step", scales={"mlp": 1.0})
    with pytest.raises(SymbolError, match="above 0"):
        corrected(times_by_group(step.terms), ARGUMENTS, name="step", scales={"attention": -1.0})


def test_no_scale_is_below_its_least(step, log, tmp_path: Path) -> None:
    """Of a server whose attention takes hardly any time: in Python, and in C as the header says."""
    groups = times_by_group(step.terms)
    times = ls.compile(list(groups.values()), list(ARGUMENTS))(*(log[n] for n in ARGUMENTS))
    seconds = sum(
        np.asarray(each) * (-0.1 if name == "attention" else 1)
        for (name, _), each in zip(groups.items(), times, strict=True)
    )
    found = fit_log(groups, {**log, "seconds": np.maximum(seconds, 1e-4)})
    assert found.scale["attention"] == 0.05
    assert all(scale >= 0.05 for scale in found.scale.values())
    assert "if (c->scale[i] < 0.05) c->scale[i] = 0.05;" in corrected(groups, ARGUMENTS, name="f")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}', "'scale' must be an object"),
        ('{"scale": [1]}', "'scale' must be an object"),
        ('{"scale": {}}', "'scale' must be an object"),
        ('{"scale": {"attention": "x"}}', "scale of 'attention' must be a number above 0"),
        ('{"scale": {"attention": null}}', "scale of 'attention' must be a number above 0"),
        ('{"scale": {"attention": true}}', "scale of 'attention' must be a number above 0"),
        ('{"scale": {"attention": -1}}', "scale of 'attention' must be a number above 0"),
        ('{"scale": {"attention": 1}, "of": {"model": "gpt2"}}', "scales of the model gpt2"),
    ],
)
def test_scales_that_are_none(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "scales.json"
    path.write_text(text)
    with pytest.raises(SpecError, match=said):
        read_scales(path, {"model": "llama-3.1-8b"})


def test_a_whole_pass_has_no_groups() -> None:
    form = ls.forecast("gpt2", "v100", 100, 10, overlap="pass")
    with pytest.raises(SymbolError, match="operators are not told apart"):
        times_by_group(form.ttft.terms)
