"""One header of a server's pass, called by a real C program that serves a recorded trace."""

import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine

import lifesym as ls
from lifesym.errors import SymbolError
from lifesym.metrics import measure

MODEL = "qwen3-30b-a3b"
RANGES = {
    "prefilled": (0, 512),
    "prefilled_past": (0, 4096),
    "decodes": (0, 64),
    "contexts": (0, 262144),
}
EXPORT = [
    *(
        "export",
        MODEL,
        "--on",
        "h100-sxm-80gb",
        "--engine",
        "vllm",
        "--metric",
        "step",
        "--to",
        "c",
    ),
    *(part for n, (a, b) in RANGES.items() for part in ("--range", f"{n}={a}:{b}")),
    *("--args", ",".join(RANGES), "--name", "step"),
]
ARRIVALS, CALLS = 400, 1_000_000
FLAGS = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-Wconversion"]
SERVER = r"""
#include <stdio.h>
#include "step.h"
#define SLOTS 64
#define BUDGET 512
/* Continuous batching: each pass has part of the oldest waiting prompt, and all that decode. */
int main(void)
{
    static double arrived[ARRIVALS];
    static int prompts[ARRIVALS], outputs[ARRIVALS];
    for (int i = 0; i < ARRIVALS; i++)
        if (scanf("%lf %d %d", &arrived[i], &prompts[i], &outputs[i]) != 3) return 1;
    double total = 0.0;
    long calls = 0, passes = 0;
    while (calls < CALLS) {
        int context[SLOTS], left[SLOTS], active = 0, next = 0, done = 0;
        double now = 0.0;
        while (next < ARRIVALS || active > 0) {
            if (active == 0 && now < arrived[next]) now = arrived[next];
            double sum = 0.0;
            for (int i = 0; i < active; i++) sum += context[i];
            int tokens = 0, past = done;
            if (next < ARRIVALS && arrived[next] <= now && active < SLOTS) {
                tokens = prompts[next] - done;
                if (tokens > BUDGET) tokens = BUDGET;
                done += tokens;
            }
            now += step(tokens, past, active, sum);
            calls++;
            if (calls <= PRINTED) printf("%d %d %d %.0f\n", tokens, past, active, sum);
            for (int i = 0; i < active; i++) { context[i]++; left[i]--; }
            for (int i = active - 1; i >= 0; i--)
                if (left[i] == 0) {
                    active--;
                    context[i] = context[active];
                    left[i] = left[active];
                }
            if (tokens > 0 && done == prompts[next]) {
                context[active] = done; left[active] = outputs[next];
                active++; next++; done = 0;
            }
        }
        total = now;
        passes++;
    }
    printf("total %.17g %ld\n", total, calls / passes);
    return 0;
}
"""


def _trace() -> str:
    """Requests as they arrive: seconds, prompt and output tokens."""
    draw, now, lines = random.Random(5), 0.0, []
    for _ in range(ARRIVALS):
        now += draw.expovariate(40)
        lines.append(f"{now:.6f} {draw.randint(20, 3000)} {draw.randint(1, 200)}")
    return "\n".join(lines)


def _served(folder: Path, trace: str, calls: int) -> list[str]:
    """The lines that the C program prints: the first passes, and their total."""
    sizes = {"ARRIVALS": ARRIVALS, "CALLS": calls, "PRINTED": 20_000}
    head = "".join(f"#define {name} {value}\n" for name, value in sizes.items())
    (folder / "server.c").write_text(head + SERVER)
    subprocess.run(["gcc", *FLAGS, "server.c", "-o", "server", "-lm"], cwd=folder, check=True)
    ran = subprocess.run(
        ["./server"], input=trace, cwd=folder, check=True, capture_output=True, text=True
    )
    return ran.stdout.splitlines()


def test_a_server_in_c_agrees_with_the_forecast(run: CommandLine, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    made = run(*EXPORT)
    assert "attn_core_time" in made.stdout
    (tmp_path / "step.h").write_text(made.stdout)
    printed = 20_000
    source = (
        f"#define ARRIVALS {ARRIVALS}\n#define CALLS {CALLS}\n#define PRINTED {printed}\n{SERVER}"
    )
    (tmp_path / "server.c").write_text(source)
    subprocess.run(["gcc", *FLAGS, "server.c", "-o", "server", "-lm"], cwd=tmp_path, check=True)
    out = subprocess.run(
        ["./server"], input=_trace(), cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    _, total, each = out[-1].split()
    passes = np.array([list(map(float, line.split())) for line in out[:-1]][: int(each)])
    assert len(passes) == int(each)  # one round through the trace, all of it
    form = ls.forecast(MODEL, "h100-sxm-80gb", 512, 2, 1, engine="vllm")
    seconds = ls.compile(measure(form, "step"), list(RANGES))(*passes.T)
    first = float(_trace().split()[0])
    waited = float(total) - float(np.sum(seconds))
    assert waited >= first  # the server is idle before the first request, and now and then
    at = dict(zip(RANGES, map(int, passes[len(passes) // 2]), strict=True))
    exact = float(measure(form, "step").bind(at))
    assert seconds[len(passes) // 2] == pytest.approx(exact, rel=1e-12)


def test_a_busy_server_is_the_sum_of_its_passes(run: CommandLine, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    (tmp_path / "step.h").write_text(run(*EXPORT).stdout)
    at_once = "\n".join(f"0 {' '.join(line.split()[1:])}" for line in _trace().splitlines())
    out = _served(tmp_path, at_once, 1)
    passes = np.array([list(map(float, line.split())) for line in out[:-1]])
    form = ls.forecast(MODEL, "h100-sxm-80gb", 512, 2, 1, engine="vllm")
    total = float(np.sum(ls.compile(measure(form, "step"), list(RANGES))(*passes.T)))
    assert float(out[-1].split()[1]) == pytest.approx(total, rel=1e-9)


def test_a_file_is_checked_by_what_it_says(run: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "step.h"
    run(*EXPORT, "-o", str(path))
    text = path.read_text()
    assert "Made by: lifesym export qwen3-30b-a3b" in text
    assert "SPDX-License-Identifier: CC0-1.0" in text
    assert " -o " not in text.partition("Made by: ")[2].splitlines()[0]
    assert "is what its command gives" in run("export", "--check", str(path)).stderr
    path.write_text(text.replace("0.9375", "0.9376"))
    failed = run("export", "--check", str(path))
    assert failed.returncode == 2
    assert "export again" in failed.stderr
    (tmp_path / "other.h").write_text("int x;\n")
    failed = run("export", "--check", str(tmp_path / "other.h"))
    assert failed.returncode == 2
    assert "was not exported by lifesym" in failed.stderr


def test_several_metrics_are_one_struct(run: CommandLine, tmp_path: Path) -> None:
    asked = ["export", "llama-3.1-8b", "--on", "v100", "--metric", "ttft,tpot,memory"]
    asked += ["--generate", "100", "--args", "prompt,past,batch"]
    asked += ["--range", "prompt=1:4096", "--range", "past=0:4096", "--range", "batch=1:32"]
    made = run(*asked, "--to", "float", "--name", "f").stdout
    assert "typedef struct { float ttft, tpot, memory; } f_results;" in made
    for metric in ("ttft", "tpot", "memory"):
        assert f"* {metric}: Relative error of the arithmetic: at most" in made
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    (tmp_path / "f.h").write_text(made)
    main = '#include <stdio.h>\n#include "f.h"\nint main(void) {\n'
    main += "f_results r = f(1000, 2000, 3);\n"
    main += 'printf("%.9g %.9g %.9g", (double)r.ttft, (double)r.tpot, (double)r.memory); }\n'
    (tmp_path / "f.c").write_text(main)
    subprocess.run(["gcc", *FLAGS, "f.c", "-o", "f", "-lm"], cwd=tmp_path, check=True)
    out = subprocess.run(["./f"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    form = ls.forecast("llama-3.1-8b", "v100", 1000, 100, 3)
    expected = [float(form.ttft), float(form.tpot.bind({"past": 2000})), float(form.memory)]
    assert list(map(float, out.split())) == pytest.approx(expected, rel=1e-5)


def test_names_of_a_struct() -> None:
    form = ls.forecast("gpt2", "v100", 100, 10).open("batch")
    header = ls.compile({"a": form.ttft, "b": form.tpot}, ["batch", "past"], target="c")
    assert "{ double a, b; } formula_results" in header
    with pytest.raises(SymbolError, match="name of a result"):
        ls.compile({"a b": form.ttft}, ["batch"], target="c")
    text = ls.compile([form.ttft, form.memory], ["batch"], target="js")
    assert "return [" in text


def test_what_binds_is_what_the_numbers_say() -> None:
    """With tiles and windows, too; an operator of which neither side is known is in no list."""
    box = {"prompt": (5000, 8000)}
    for model in ("llama-2-7b", "mistral-7b-v0.1", "gpt-oss-20b"):
        form = ls.forecast(model, "v100", generate=2, batch=1, engine="vllm")
        result = form.open("prompt").ttft
        header = ls.compile(result, ["prompt"], target="c", ranges=box)
        said = {
            side: line.partition(": ")[2].rstrip(".").split(", ")
            for side in ("compute", "memory")
            for line in header.splitlines()
            if f"Bound by {side} everywhere" in line
        }
        assert said
        for prompt in (5000, 6500, 8000):
            for term in result.terms:
                parts = (
                    ls.symbols.bind(part, {"prompt": prompt})
                    for part in (term.compute, term.memory)
                )
                compute, memory = (float(part.doit()) for part in parts)
                if term.name in said.get("compute", ()):
                    assert compute >= memory, (model, term.name)
                if term.name in said.get("memory", ()):
                    assert memory >= compute, (model, term.name)


def test_arguments_stand_in_the_order_of_the_page(run: CommandLine) -> None:
    made = run("export", "gpt2", "--on", "v100", "--metric", "step").stdout
    assert (
        "(const double prefilled, const double prefilled_past, const double decodes, "
        "const double contexts)" in made
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--metric", "step", "--batch", "4"],
            "--batch: a server's pass is a function of",
        ),
        (["--metric", "step", "--prompt", "77"], "--prompt: a server's pass"),
        (["--metric", ","], "--metric names what is exported"),
        (["--metric", "step", "--args", "prefilled"], "it is an argument of the pass"),
        (["--metric", "tpot", "--check", "x.h"], "--check stands alone"),
    ],
)
def test_what_a_pass_does_not_take(run: CommandLine, words: list[str], said: str) -> None:
    result = run("export", "gpt2", "--on", "v100", *words)
    assert result.returncode == 2
    assert said in result.stderr


def test_memory_of_a_pass(run: CommandLine) -> None:
    made = run("export", "gpt2", "--on", "v100", "--metric", "step,step_memory").stdout
    assert "{ double step, step_memory; } forecast_gpt2_results" in made
