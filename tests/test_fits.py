"""What does not fit is marked in every view.

Llama-2-7B in fp16 is 6,738,415,616 values of 2 bytes, and keeps 32 layers' keys and values of 4096
elements a token: 524,288 bytes. A V100 has 16 GiB.
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run_here as run

import lifesym as ls
from lifesym import plots
from lifesym import symbols as sym
from lifesym.analysis import design, regime_map
from lifesym.errors import SpecError
from lifesym.metrics import measure
from lifesym.plots.room import stretches
from lifesym.serving import disaggregate, pipeline, speculate
from lifesym.sweeps import write

ROOM = 16 * 2**30 - 2 * 6738415616
TOKEN = 524288
BATCH = ROOM / (640 * TOKEN)
"""Sequences of 640 tokens that a V100 holds, about 11.04."""
V100 = ["--on", "v100", "--prompt", "512", "--generate", "128"]
F = ls.forecast("llama-2-7b", "v100", 512, 128, sym.batch)


def answered(*words: str) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout))


# forms


def test_what_is_left() -> None:
    assert F.spare.expr.expand() == ROOM - 640 * TOKEN * sym.batch
    assert measure(F, "spare").expr == F.spare.expr
    assert F.fits is None
    assert ls.forecast("llama-2-7b", "v100", 512, 128, 11).fits is True
    assert ls.forecast("llama-2-7b", "v100", 512, 128, 12).fits is False


def test_what_is_left_at_a_context() -> None:
    """A step at a context holds its tokens and one more, but no less than the workload's."""
    step = F.in_step.spare.expr
    for context, tokens in ((0, 640), (639, 640), (640, 641), (4000, 4001)):
        at = step.xreplace({sym.past: sym.exact(context), sym.batch: sym.exact(2)})
        assert at.doit() == ROOM - 2 * tokens * TOKEN
    assert ls.forecast("bert-base", "v100", 64, 0).in_step.fits


def test_a_capacity_that_is_not_known() -> None:
    f = ls.forecast("llama-2-7b", ls.Hardware.symbolic(), 512, 128)
    assert f.fits is None
    with pytest.raises(SpecError, match="capacity of symbolic is not known"):
        f.spare.expr  # noqa: B018


def test_several_devices_have_least_where_least_is_left() -> None:
    f = ls.forecast("llama-2-7b", "v100", 512, 128, 12)
    big = ls.forecast("llama-2-7b", "a100", 512, 128, 12)
    half = pipeline(f, 2)
    assert half.fits
    assert not disaggregate(f, big).fits
    assert disaggregate(f, big).spare.expr == f.spare.expr == ROOM - 12 * 640 * TOKEN
    both = speculate(big, big, 4, 0.8)
    assert both.spare.expr == big.hardware.capacity - 2 * big.memory.expr


# sweeps


def test_a_sweep_says_what_fits() -> None:
    data = ls.sweep(F, {"batch": [1, 11, 12, 64]}, ["tpot_mean", "spare"])
    assert data.fits.dtype == bool
    assert data.fits.values.tolist() == [True, True, False, False]
    assert data.spare.values.tolist() == [ROOM - 640 * TOKEN * b for b in (1, 11, 12, 64)]
    lazy = ls.sweep(F, {"batch": [1, 12], "past": [639, 7999]}, ["tpot"], chunks=1)
    assert lazy.chunks
    assert lazy.fits.values.tolist() == [[True, False], [False, False]]


def test_a_sweep_over_devices_of_which_one_says_nothing(tmp_path: Path) -> None:
    unknown = ls.load_hardware("v100")
    devices = {"v100": unknown, "other": replace(unknown, capacity=None)}

    def of(device: str) -> Any:
        return ls.forecast("llama-2-7b", devices[device], 512, 128, sym.batch)

    axes = {"device": ["v100", "other"], "batch": [1, 12]}
    data = ls.sweep(of, axes)
    assert np.array_equal(data.fits.values, [[1, 0], [np.nan, np.nan]], equal_nan=True)
    write(data, tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "device,batch,ttft,tpot_mean,fits"
    assert [line.rpartition(",")[2] for line in lines[1:]] == ["1.0", "0.0", "", ""]
    assert "fits" not in ls.sweep(of, {**axes, "device": ["other"]})
    open_prompt = ls.forecast("llama-2-7b", "v100", batch=sym.batch)
    assert "fits" not in ls.sweep(open_prompt, {"batch": [1], "past": [3]}, ["tpot"])


def test_a_sweep_keeps_options_that_are_no_axes(tmp_path: Path) -> None:
    """Switches and formats of roles too: half of the weights' embedding and head is in int8."""
    file = tmp_path / "out.csv"
    asked = ["tinyllama-1.1b", *V100, "--metrics", "memory", "-o", str(file)]
    found = []
    for more in ([], ["--roles", "lm_head=int8"]):
        assert run("sweep", *asked, *more).returncode == 0
        found.append(float(file.read_text().splitlines()[1].split(",")[-2]))
    assert found[0] - found[1] == 32000 * 2048


# answers


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        (["--batch", "11"], True),
        (["--batch", "12"], False),
        (["--batch", "11", "--context", "4000"], False),
        (["--batch", "12", "--kv", "int8"], True),
    ],
)
def test_answers_say_whether_the_point_fits(words: list[str], fits: bool) -> None:
    asked = ["llama-2-7b", *V100, *words]
    over = ["--over", "bandwidth"]
    assert answered("sensitivity", *asked)["fits"] is fits
    assert answered("regimes", *asked, *over)["fits"] is fits
    assert answered("crossover", *asked, *over)["fits"] is fits
    assert answered("design", *asked, *over, "--at-most", "1")["fits"] is fits


def test_what_is_not_given_is_not_known_to_fit() -> None:
    asked = ["llama-2-7b", "--on", "v100", "--metric", "latency", "--over", "generated"]
    found = answered("design", *asked, "--at-most", "10")
    assert found["fits"] is None
    assert found["fits_there"] is True
    symbolic = ["llama-2-7b", "--on", "symbolic", "--over", "batch", "--against", "weights=int8"]
    assert run("crossover", *symbolic).returncode == 2  # no point without a device's numbers


def test_a_design_says_whether_its_answer_fits() -> None:
    """25 sequences at a context of 1000 take 13.12 GB beside weights of 13.48 GB."""
    asked = ["llama-2-7b", "--on", "v100", "--over", "batch", "--context", "1000"]
    found = answered("design", *asked, "--at-most", "0.03")
    assert (found["answer"], found["fits"], found["fits_there"]) == (25, True, False)
    printed = run("design", *asked, "--at-most", "0.03").stdout
    assert "does not fit: 26.6 GB of 16 GiB" in printed


def test_the_most_that_fits_is_a_design() -> None:
    asked = ["llama-2-7b", *V100, "--over", "batch", "--metric", "spare", "--at-least", "0"]
    found = answered("design", *asked)
    assert (found["answer"], found["fits_there"]) == (11, True)
    assert found["solution"] == pytest.approx(BATCH, rel=1e-12)


def test_printed_answers_have_a_line_where_it_does_not_fit() -> None:
    asked = ["llama-2-7b", *V100, "--batch", "32"]
    line = "does not fit: 24.2 GB of 16 GiB"
    assert line in run("sensitivity", *asked).stdout
    assert line in run("regimes", *asked, "--over", "bandwidth").stdout
    assert "fit:" not in run("sensitivity", *asked, "--kv", "fp8", "--batch", "4").stdout


def test_an_exported_function_says_so_in_its_comment() -> None:
    asked = ["llama-2-7b", *V100, "--args", "bandwidth", "--to", "python"]
    said = "It does not fit: 24.2 GB of 16 GiB."
    assert said in " ".join(run("export", *asked, "--batch", "32").stdout.split())
    assert "not fit" not in run("export", *asked).stdout
    sizes = ["llama-2-7b", "--on", "v100", "--args", "batch,past", "--to", "python"]
    assert "not fit" not in run("export", *sizes).stdout


def test_sections_of_served_forms_say_it() -> None:
    asked = ["llama-2-7b", *V100, "--batch", "12"]
    found = answered("forecast", *asked, "--draft", "self", "--pipeline", "2")
    assert (found["fits"], found["speculative"]["fits"], found["pipeline"]["fits"]) == (
        False,
        False,
        True,
    )
    printed = run("forecast", *asked, "--pipeline", "2").stdout
    assert re.search(r"fits +│ yes +│ in a pipeline", printed)


# plots


def test_the_part_that_does_not_fit_begins_where_memory_is_full() -> None:
    room = F.spare.expr
    ((low, high),) = stretches(room, sym.batch, np.geomspace(1, 64, 40))
    assert low == pytest.approx(BATCH, rel=1e-14)
    assert high == pytest.approx(64, rel=1e-14)
    assert stretches(room, sym.batch, [1, 5, 11]) == []
    assert stretches(room, sym.batch, [20.0, 30.0]) == [(20.0, 30.0)]
    back = (sym.batch - 3) * (sym.batch - 5)
    ((low, high),) = stretches(back, sym.batch, [1.0, 2.0, 4.0, 8.0])
    assert (low, high) == (pytest.approx(3), pytest.approx(5))


POINT = ls.load_hardware("v100").numbers(ls.load_hardware("v100").default_format)
OPEN = ls.forecast("llama-2-7b", ls.Hardware.symbolic(), 512, 128, sym.batch)
HERE = {**POINT, sym.dispatch_time: 0, sym.past: 512}


def drawn(made: Any) -> list[str]:
    """The labels of all legends of a figure."""
    legends = [*made.legends, *(each for axes in made.axes if (each := axes.get_legend()))]
    return [text.get_text() for one in legends for text in one.get_texts()]


def test_every_plot_over_a_size_marks_it() -> None:
    room = F.spare.expr
    grid = np.linspace(1, 20, 30)
    shown = {
        "stacked": plots.stacked_time(OPEN.tpot, "batch", grid, HERE, room=room),
        "target": plots.against_target(
            OPEN.tpot,
            design(OPEN.tpot, "batch", HERE, at_most=0.03),
            HERE,
            "s",
            "TPOT",
            room=room,
        ),
        "map": plots.regime_chart(
            regime_map(OPEN.tpot, ("batch", "past"), grid, [0, 100, 900], POINT | {"past": 1}),
            room=F.in_step.spare.expr,
        ),
    }
    for name, made in shown.items():
        assert drawn(made).count("does not fit") == 1, name
    fitting = plots.stacked_time(OPEN.tpot, "batch", [1, 2, 3], HERE, room=room)
    assert "does not fit" not in drawn(fitting)


def test_two_curves_have_a_part_each() -> None:
    one = sym.bind(OPEN.tpot.expr, HERE)
    ends = (1, 64)
    room = F.spare.expr
    curves = {"a": one, "b": 2 * one}

    def labels(*rooms: Any) -> list[str]:
        pair = dict(zip("ab", rooms, strict=True))
        made = plots.two_curves(curves, sym.batch, ends, [], OPEN.tpot, rooms=pair)
        return [text for text in drawn(made) if "fit" in text]

    assert labels(room, room) == ["does not fit"]
    assert labels(room, room + 10**9) == ["a: does not fit", "b: does not fit"]
    assert labels(room, None) == ["a: does not fit"]
    assert labels(None, None) == []
