"""C headers: two of them in one file, remainders in their bounds, and bounds that say something."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine
from compiled_c import GCC, STRICT, library, needs_gcc
from compiled_c import run as called
from sympy import Expr, Integer, Rational, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.codegen.lowering import lower
from lifesym.codegen.ranges import error_bound, ranges
from lifesym.codegen.remainders import remainders
from lifesym.errors import SymbolError
from lifesym.nodes import FloorDiv
from lifesym.remainders import LastChunk, without_differences

LAST = LastChunk(sym.prompt, sym.chunk)
REST = sym.prompt - 64 * FloorDiv(sym.prompt, 64)
CHUNKED = {
    "mixtral-8x7b, 512": ("mixtral-8x7b", {}, Integer(512)),
    "deepseek-v3, 512": ("deepseek-v3", {}, Integer(512)),
    "mixtral-8x7b, any chunk": ("mixtral-8x7b", {}, sym.chunk),
    "deepseek-v3, any chunk, prompt 4096": ("deepseek-v3", {"prompt": 4096}, sym.chunk),
    "mixtral-8x7b, 512, any batch": ("mixtral-8x7b", {"batch": sym.batch}, Integer(512)),
}
RANGES = {sym.prompt: (1, 131072), sym.chunk: (1, 8192), sym.batch: (1, 64)}


def chunked(name: str) -> tuple[Expr, dict[Symbol, tuple[int, int]]]:
    """A time to first token with its box."""
    model, sizes, chunk = CHUNKED[name]
    device = ls.load_hardware("h100")
    expr = ls.forecast(ls.load_model(model), device, generate=4, chunk=chunk, **sizes).ttft.expr
    return expr, {symbol: RANGES[symbol] for symbol in sym.ordered(expr.free_symbols)}


@pytest.mark.parametrize(
    ("expr", "least", "most"),
    [
        (LAST, 1, 8192),
        (3 * LAST + 200, 203, 3 * 8192 + 200),
        (LAST**2 + LAST, 2, 8192 * 8193),
        (REST, 0, 63),
        (Rational(7, 2) * REST + 1, 1, Rational(7, 2) * 63 + 1),
        (LastChunk(4096, sym.chunk), 1, 4096),
        (sym.prompt - LastChunk(sym.prompt, 512), 0, 130560),
        (3 * sym.prompt - 2 * LastChunk(sym.prompt, 512), 1, 3 * 130560 + 512),
    ],
)
def test_a_remainder_lies_within_its_divisor(expr: Expr, least: int, most: int) -> None:
    """Also multiplied out: 3 last + 200 is a sum of four terms."""
    box = {symbol: RANGES[symbol] for symbol in sym.ordered(expr.free_symbols)}
    (named,), found = remainders([expr])
    assert len(found) == expr.has(FloorDiv)
    assert not named.has(FloorDiv)
    program = lower([expr], list(box))
    rests = [op.value for op in program.ops if op.kind == "rest"]
    assert rests in ([], [0 if expr.has(FloorDiv) else 1])

    made = ranges(program, box)[program.outputs[0]]
    assert made.low == pytest.approx(float(least))
    assert made.high == pytest.approx(float(most))
    function = ls.compile(expr, list(box))
    rng = np.random.default_rng(3)
    for _ in range(200):
        point = {symbol: Integer(int(rng.integers(*ends))) for symbol, ends in box.items()}
        assert function(*(int(each) for each in point.values())) == float(expr.xreplace(point))


def test_a_sum_without_a_difference_is_left_alone() -> None:
    expr = 5 * FloorDiv(sym.prompt, sym.chunk) + 3 * sym.prompt
    assert remainders([expr]) == ([expr], {})
    assert without_differences(sym.prompt + LAST) == sym.prompt + LAST


@needs_gcc
@pytest.mark.parametrize("precision", ["double", "float"])
@pytest.mark.parametrize("name", CHUNKED)
def test_chunked_prefill_of_experts_has_a_tight_bound(
    name: str, precision: str, tmp_path: Path
) -> None:
    """Bounds were 7e15 s, or refused: the last chunk was not known to lie in [1, C]."""
    expr, box = chunked(name)
    header = ls.compile(expr, list(box), target="c", precision=precision, ranges=box, name="f")
    bound = float(re.search(r"error of the arithmetic: at most (\S+) for", header)[1])
    assert bound < {"double": 1e-10, "float": 0.06}[precision]
    rng = np.random.default_rng(5)
    columns = [
        rng.permutation([low, low + 1, high - 1, high, *rng.integers(low, high + 1, 60)])
        for low, high in box.values()
    ]
    made = library(tmp_path, {"f": (header, len(box), precision)})
    found = called(made, "f", columns, precision)
    exact = [
        expr.xreplace(dict(zip(box, map(Integer, map(int, point)), strict=True))).doit()
        for point in zip(*columns, strict=True)
    ]
    errors = [abs(Rational(float(x)) - true) for x, true in zip(found, exact, strict=True)]
    if "Relative" in header:
        errors = [error / true for error, true in zip(errors, exact, strict=True)]
    assert max(errors) <= bound


def test_a_bound_that_says_nothing_is_refused_with_a_way_out() -> None:
    """In steps of 2**-24 a third of a token is lost beside millions of them."""
    difference = (sym.past + Rational(1, 3)) * sym.batch - sym.past * sym.batch
    box = {sym.past: (10**6, 10**7), sym.batch: (1, 2)}
    assert error_bound(lower([difference], list(box)), box).share < 1e-6
    with pytest.raises(SymbolError, match="narrow them, or take double") as caught:
        ls.compile(difference, list(box), target="c", precision="float", ranges=box)
    assert "% of the result" in str(caught.value) or "many times" in str(caught.value)


def in_one_file(folder: Path, headers: list[str], body: str) -> subprocess.CompletedProcess[str]:
    """Headers included twice each in one file, compiled strictly and run."""
    lines = []
    for i, header in enumerate(headers):
        (folder / f"h{i}.h").write_text(header)
        lines += [f'#include "h{i}.h"'] * 2
    (folder / "main.c").write_text(
        "\n".join([*lines, "#include <stdio.h>", f"int main(void) {{ {body} return 0; }}", ""])
    )
    made = folder / "main"
    command = [GCC, *STRICT, "-o", made, folder / "main.c", "-lm"]
    built = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if built.returncode:
        return built
    return subprocess.run([str(made)], capture_output=True, text=True, check=True)


@needs_gcc
def test_two_exported_headers_with_default_names_work_in_one_file(
    run: CommandLine, tmp_path: Path
) -> None:
    """The second used to vanish behind the first one's include guard."""
    base = ("export", "--on", "v100", "--args", "past", "--range", "past=0:4000")
    headers, values = [], []
    for model in ("gpt2", "llama-2-7b"):
        done = run(*base, model)
        assert done.returncode == 0, done.stderr
        headers.append(done.stdout)
        forecast = ls.forecast(ls.load_model(model), ls.load_hardware("v100"), batch=1)
        values.append(float(forecast.tpot.expr.xreplace({sym.past: Integer(1000)})))
    body = r'printf("%.17g %.17g\n", tpot_gpt2(1000.0), tpot_llama_2_7b(1000.0));'
    done = in_one_file(tmp_path, headers, body)
    assert list(map(float, done.stdout.split())) == pytest.approx(values, rel=1e-13)


@needs_gcc
@pytest.mark.parametrize("target", ["c", "table"])
def test_two_formulas_under_one_name_are_a_compile_error(target: str, tmp_path: Path) -> None:
    texts = []
    for factor in (2, 3):
        made = ls.compile(
            factor * sym.past + 7, ["past"], target=target, name="f", ranges={"past": (1, 9)}
        )
        texts.append(made if isinstance(made, str) else made.source("float"))
    assert in_one_file(tmp_path, texts[:1], "(void)f(3);").returncode == 0
    assert "redefinition of" in in_one_file(tmp_path, texts, "(void)f(3);").stderr


def test_default_names_are_identifiers_of_31_letters(run: CommandLine) -> None:
    names = set()
    for model in ("deepseek-v2-lite", "qwen3-next-80b-a3b", "llama-4-scout", "gemma-3n-e4b"):
        for metric in ("latency", "energy"):
            done = run(
                *("export", model, "--on", "v100", "--args", "batch", "--metric", metric),
                *("--prompt", 8, "--generate", 4),
            )
            names.add(re.search(r"static inline double (\w+)\(", done.stdout)[1])
    assert len(names) == 8
    assert max(map(len, names)) <= 31


POWER = 1 - Rational(3, 4) ** sym.batch


@needs_gcc
@pytest.mark.parametrize("precision", ["double", "float"])
def test_a_power_that_counts_is_by_squarings(precision: str, tmp_path: Path) -> None:
    """Without ``pow``: NaN is NaN, a fraction is dropped, what no integer holds is refused."""
    header = ls.compile(
        POWER, ["batch"], target="c", precision=precision, ranges={"batch": (1, 64)}, name="f"
    )
    assert "f_power(0.75" in header
    assert "pow(" not in header
    assert "powf(" not in header
    columns = [[0, 1, 2, 3, 7, 64, 7.5, 4e9, float("nan"), -1, 2.0**32, float("inf")]]
    made = library(tmp_path, {"f": (header, 1, precision)})
    found = called(made, "f", columns, precision)
    assert found.tolist()[:3] == [0, 0.25, 0.4375]
    assert found[3:8] == pytest.approx([1 - 0.75**n for n in (3, 7, 64, 7, 4e9)], rel=1e-6)
    assert np.isnan(found[8:]).all()


def test_other_powers_are_the_librarys() -> None:
    """Of exponents that do not count, without ranges, or that can be below zero."""
    own = ls.symbol("own_exponent", meaning="any number")
    box = {sym.batch: (1, 64), own: (1, 2)}
    for exponent, ranges_ in (
        (sym.batch / 2, box),
        (sym.batch + own, box),
        (own, box),
        (sym.batch - 2, box),
        (sym.batch, None),
    ):
        args = sym.ordered(exponent.free_symbols)
        ends = ranges_ and {symbol: ranges_[symbol] for symbol in args}
        header = ls.compile(2 + Rational(3, 4) ** exponent, args, target="c", ranges=ends)
        assert "power" not in header
        assert "pow(0.75" in header
    taken = ls.symbol("f_power", meaning="a name")
    with pytest.raises(SymbolError, match="takes 'f_power' for itself"):
        ls.compile(taken + 1, [taken], target="c", name="f")
