"""C++, Rust, Go, Kotlin and Swift give the formulas' values.

In each language all cases are one program, compiled once. Every line of its input is a case and its
arguments, every line of its output a value: NaN where the arguments were refused.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from command_line import CommandLine
from compiled_c import STRICT
from formulas import MAKERS, exact, formula, points, worst
from sympy import Sum, Symbol, log

import lifesym as ls
from lifesym import symbols as sym
from lifesym.codegen.languages import TARGETS
from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum

ROUNDING = 1e-12
NAN = float("nan")
DOC = "of specs/*.toml */ int x; ??/\nsecond \\ line\\"
"""What must not end a comment."""


@dataclass(frozen=True)
class Case:
    """A function: what it is of, what of it is asked for, and at which points."""

    expr: Any
    args: Sequence[Symbol]
    columns: Any
    ranges: dict[Symbol, tuple[int, int]] | None = None
    field: str = ""

    def text(self, target: str, name: str) -> str:
        options = {"name": name, "ranges": self.ranges, "doc": DOC}
        return ls.compile(self.expr, self.args, target=target, **options)


def _powers() -> tuple[Any, Any]:
    """Bases and exponents of all sizes, of results that are normal numbers."""
    rng = np.random.default_rng(7)
    base = np.concatenate([rng.uniform(0, 2, 300), 10 ** rng.uniform(-300, 300, 300), [1, 1, 0.5]])
    exponent = np.concatenate(
        [rng.uniform(-900, 900, 300), rng.uniform(-1, 1, 300), [0, 7.5, 1000]]
    )
    exponent[:100] = np.round(exponent[:100])
    kept = np.abs(exponent * np.log(base)) < 700
    return base[kept], exponent[kept]


TWO = [sym.prompt, sym.generated]
A, B = TWO
UNDEFINED = np.array([[3, 5, NAN, 5, NAN], [5, 3, 5, NAN, NAN]])
MIXED = Maximum(A, B) + Minimum(A * A, B) + CeilDiv(A, B) + FloorDiv(A, B)
SUM = Sum(Maximum(700 + 3 * sym.index, A + sym.index), (sym.index, 2, B)) / 7
OUTSIDE = np.array([[0, 8000, -1, 8001, NAN, 5, 5], [1, 64, 1, 1, 1, 0.5, NAN]])


@cache
def cases() -> dict[str, Case]:
    made = {}
    for name in MAKERS:
        expr, box = formula(name)
        made[name] = Case(expr, list(box), points(name), box)
    expr, box = formula("dense TPOT")
    made["outside"] = Case(expr, list(box), OUTSIDE, box)
    made["undefined"] = Case(MIXED, TWO, UNDEFINED)
    made["signs"] = Case(MIXED, TWO, np.array([[-3, -7.5, 1e17, 0], [2, 2, 3, 5]]))
    made["sum"] = Case(SUM, TWO, np.array([[1, 900, 17, 3], [2, 300, 1, NAN]]))
    made["power"] = Case(A**B, TWO, _powers())
    made["logarithm"] = Case(log(A), [A], _powers()[:1])
    form = ls.forecast("llama-2-7b", "v100")
    pair = [form.ttft, form.tpot.mean, form.ttft.expr * 3]
    lengths = np.array([[1, 700, 4096], [2, 9, 300]])
    device = ls.load_hardware("v100").with_(bandwidth=sym.bandwidth)
    named = ls.forecast(ls.load_model("deepseek-v2-lite"), device, batch=sym.batch).tpot
    contested = {sym.past: (0, 8192), sym.batch: (1, 64), sym.bandwidth: (10**11, 10**13)}
    columns = np.array([[0, 8192, 700, 5], [1, 64, 33, 7], [1e11, 1e13, 9e12, 3e12]])
    made["operators"] = Case(named, list(contested), columns, contested)
    for field in ("ttft", "result_2"):
        made[f"several: {field}"] = Case(pair, TWO, lengths, {A: (1, 4096)}, field)
    return made


def expected(name: str) -> np.ndarray:
    """Values of the cases that are not of the twenty."""
    case = cases()[name]
    rows = np.array(case.columns, dtype=float).T
    if name == "power":
        return np.array([float(mpmath.mpf(x) ** mpmath.mpf(y)) for x, y in rows])
    if name == "logarithm":
        return np.array([float(mpmath.log(mpmath.mpf(x))) for (x,) in rows])
    place = {"several: ttft": 0, "several: result_2": 2}.get(name)
    values = ls.compile(case.expr, case.args)(*rows.T)
    values = values if place is None else values[place]
    inside = [
        all(low <= x <= high for x, (low, high) in zip(row, case.ranges.values(), strict=False))
        for row in (rows if case.ranges else [])
    ]
    return np.where(inside, values, NAN) if inside else np.asarray(values)


def texts(target: str) -> list[str]:
    """Of every case; a number in the name is kept from the one of a version by a letter."""
    return [case.text(target, f"case_{i}_f") for i, case in enumerate(cases().values())]


def arms(pattern: Callable[[int, str, str], str], value: str) -> str:
    """A branch for every case: number, arguments, field."""
    lines = []
    for i, case in enumerate(cases().values()):
        given = ", ".join(value.format(k) for k in range(len(case.args)))
        lines.append(pattern(i, given, case.field))
    return "\n".join(lines)


@cache
def lines(without: str) -> str:
    """The input."""
    return "".join(
        " ".join([str(i), *map(str, row.tolist())]).replace("nan", "NaN") + "\n"
        for i, (name, case) in enumerate(cases().items())
        if name != without
        for row in np.array(case.columns, dtype=float).T
    )


def values(command: Sequence[str | Path], folder: Path, without: str = "") -> dict[str, np.ndarray]:
    """What a program gives, by case."""
    done = run(command, folder, lines(without))
    found = np.array([float(line) for line in done.split()])
    asked = {name: case for name, case in cases().items() if name != without}
    sizes = [np.shape(case.columns)[1] for case in asked.values()]
    assert len(found) == sum(sizes)
    return dict(zip(asked, np.split(found, np.cumsum(sizes)[:-1]), strict=True))


def run(command: Sequence[str | Path], folder: Path, given: str = "") -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, input=given, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return done.stdout


def tool(*names: str) -> str:
    """A compiler, or a skipped test."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"{' or '.join(names)} is not installed")
    return found


def hold(found: dict[str, np.ndarray]) -> None:
    for name, each in found.items():
        if name in MAKERS:
            assert worst(name, each) < ROUNDING, name
        else:
            np.testing.assert_allclose(each, expected(name), ROUNDING, 0, err_msg=name)


CPP = """\
#include <cstdio>
#include <cstdlib>
#include <cmath>
%s
%s
static double value(int which, const double *x)
{
    switch (which) {
%s
    default: std::abort();
    }
}
int main()
{
    char line[400];
    while (std::fgets(line, sizeof line, stdin)) {
        char *at = line;
        const int which = static_cast<int>(std::strtol(at, &at, 10));
        double x[4] = {0, 0, 0, 0};
        for (double &each : x) each = std::strtod(at, &at);
        double found;
        try {
            found = value(which, x);
        } catch (const std::out_of_range &) {
            found = std::nan("");
        }
        std::printf("%%.17g\\n", found);
    }
}
"""


def constants() -> str:
    """Every formula as a constant of the compiler, at the first and the last of its points."""
    made = []
    for i, name in enumerate(MAKERS):
        for k in (0, -1):
            given = ", ".join(repr(float(column[k])) for column in points(name))
            true = float(exact(name)[0][k])
            ends = true * (1 - ROUNDING), true * (1 + ROUNDING)
            call = f"case_{i}_f({given})"
            made.append(f'static_assert({call} >= {ends[0]!r} && {call} <= {ends[1]!r}, "{name}");')
    return "\n".join(made)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_cpp(compiler: str, tmp_path: Path) -> None:
    cpp = tool(compiler)
    branches = arms(
        lambda i, given, field: f"case {i}: return case_{i}_f({given}){field and '.'}{field};",
        "x[{0}]",
    )
    parts = "\n".join(texts("cpp")), constants(), branches
    (tmp_path / "all.cpp").write_text(CPP % parts)
    flags = ["-std=c++14", *STRICT[1:], "-Wshadow", "-O1"]
    run([cpp, *flags, "all.cpp", "-o", "all"], tmp_path)
    hold(values([tmp_path / "all"], tmp_path))
    wrong = "#include <cmath>\n" + cases()["dense TPOT"].text("cpp", "f")
    (tmp_path / "wrong.cpp").write_text(wrong + "constexpr double outside = f(8001.0, 1.0);\n")
    done = subprocess.run([cpp, "-std=c++17", "-c", "wrong.cpp"], cwd=tmp_path, capture_output=True)
    assert done.returncode != 0
    assert b"past must be between 0 and 8000" in done.stderr


RUST = """\
use std::io::{BufRead, Write};

fn value(which: usize, x: &[f64]) -> Result<f64, &'static str> {
    match which {
%s
        _ => unreachable!(),
    }
}

fn main() {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let mut words = line.split_whitespace();
        let which = words.next().unwrap().parse().unwrap();
        let x: Vec<f64> = words.map(|word| word.parse().unwrap()).collect();
        writeln!(out, "{:e}", value(which, &x).unwrap_or(f64::NAN)).unwrap();
    }
}
"""


def test_rust(tmp_path: Path) -> None:
    rustc = tool("rustc")
    head = "#![no_std]\n#![deny(warnings, missing_docs)]\n//! Formulas.\n"
    (tmp_path / "formulas.rs").write_text(head + "\n".join(texts("rust")))

    def arm(i: int, given: str, field: str) -> str:
        call = f"formulas::case_{i}_f({given})"
        if field:
            return f"        {i} => {call}.map(|all| all.{field}),"
        fails = "-> Result" in texts("rust")[i]
        return f"        {i} => {call if fails else f'Ok({call})'},"

    (tmp_path / "main.rs").write_text(RUST % arms(arm, "x[{0}]"))
    common = [rustc, "--edition", "2021", "-D", "warnings", "-C", "opt-level=1"]
    run([*common, "--crate-type", "lib", "formulas.rs"], tmp_path)
    run([*common, "-L", ".", "--extern", "formulas=libformulas.rlib", "main.rs"], tmp_path)
    hold(values([tmp_path / "main"], tmp_path))


GO = """\
package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"example.com/lifesym/lifesym"
)

func value(which int, x []float64) (float64, error) {
	switch which {
%s
	}
	panic("no such case")
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		which, _ := strconv.Atoi(words[0])
		var x []float64
		for _, word := range words[1:] {
			each, _ := strconv.ParseFloat(word, 64)
			x = append(x, each)
		}
		found, err := value(which, x)
		if err != nil {
			found = math.NaN()
		}
		fmt.Fprintln(out, strconv.FormatFloat(found, 'g', -1, 64))
	}
}
"""


def test_go(tmp_path: Path) -> None:
    go = tool("go")
    package = tmp_path / "lifesym"
    package.mkdir()
    (tmp_path / "go.mod").write_text("module example.com/lifesym\n\ngo 1.18\n")
    made = texts("go")
    for i, text in enumerate(made):
        (package / f"f{i}.go").write_text(text)

    def arm(i: int, given: str, field: str) -> str:
        call = f"lifesym.Case{i}F({given})"
        if field:
            found = f"all, err := {call}; return all.{field.title().replace('_', '')}, err"
        else:
            found = f"return {call}" + ("" if "errors.New" in made[i] else ", nil")
        return f"case {i}:\n\t\t{found}"

    (tmp_path / "main.go").write_text(GO % arms(arm, "x[{0}]"))
    assert run([tool("gofmt"), "-l", "."], package) == ""
    run([go, "vet", "./..."], tmp_path)
    run([go, "build", "-o", "all", "."], tmp_path)
    hold(values([tmp_path / "all"], tmp_path))


KOTLIN = """\
package lifesym

fun value(which: Int, x: List<Double>): Double = when (which) {
%s
    else -> error("no such case")
}

fun main() {
    val out = StringBuilder()
    for (line in generateSequence(::readLine)) {
        val words = line.split(" ")
        val found = try {
            value(words[0].toInt(), words.drop(1).map { it.toDouble() })
        } catch (refused: IllegalArgumentException) {
            Double.NaN
        }
        out.append(found).append("\\n")
    }
    print(out)
}
"""


def test_kotlin(tmp_path: Path) -> None:
    kotlinc, java = tool("kotlinc"), tool("java")
    names = []
    for i, text in enumerate(texts("kotlin")):
        names.append(f"F{i}.kt")
        (tmp_path / names[-1]).write_text(text)
    branches = arms(
        lambda i, given, field: f"    {i} -> case{i}F({given}){field and '.'}{camel(field)}",
        "x[{0}]",
    )
    (tmp_path / "Main.kt").write_text(KOTLIN % branches)
    command = [kotlinc, "-Werror", "-include-runtime", "-d", "all.jar", "Main.kt", *names]
    run(command, tmp_path)
    hold(values([java, "-cp", "all.jar", "lifesym.MainKt"], tmp_path))


def camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


SWIFT = """\
import Foundation

func value(_ which: Int, _ x: [Double]) -> Double {
    switch which {
%s
    default: fatalError()
    }
}

while let line = readLine() {
    let words = line.split(separator: " ")
    print(value(Int(words[0])!, words.dropFirst().map { Double($0)! }))
}
"""


def test_swift(tmp_path: Path) -> None:
    """Refused arguments end the program, so these are asked for last."""
    swiftc = tool("swiftc")
    names = []
    for i, text in enumerate(texts("swift")):
        names.append(f"f{i}.swift")
        (tmp_path / names[-1]).write_text(text)

    def arm(i: int, given: str, field: str) -> str:
        symbols = cases()[list(cases())[i]].args
        named = given.split(", ")
        labels = ", ".join(f"{s.name}: {x}" for s, x in zip(symbols, named, strict=True))
        return f"    case {i}: return case{i}F({labels}){field and '.'}{camel(field)}"

    (tmp_path / "main.swift").write_text(SWIFT % arms(arm, "x[{0}]"))
    run([swiftc, "-O", "-warnings-as-errors", "-o", "all", "main.swift", *names], tmp_path)
    hold(values([tmp_path / "all"], tmp_path, without="outside"))
    place = list(cases()).index("outside")
    for row in OUTSIDE.T[2:]:
        given = " ".join([str(place), *map(str, row.tolist())]).replace("nan", "NaN")
        done = subprocess.run([tmp_path / "all"], input=given.encode(), capture_output=True)
        assert done.returncode != 0


def test_swifts_grammar() -> None:
    """Where its compiler is not to be had (Debian has one from 13 on), a parser reads the text."""
    tree_sitter = pytest.importorskip("tree_sitter")
    swift = pytest.importorskip("tree_sitter_swift")
    parser = tree_sitter.Parser(tree_sitter.Language(swift.language()))
    for text in texts("swift"):
        assert not parser.parse(text.encode()).root_node.has_error
        assert parser.parse(text.replace(" = ", " = = ").encode()).root_node.has_error


def test_names_are_those_of_the_language() -> None:
    heads = {
        "cpp": "constexpr double tpot_llama_2_7b(const double kv_heads, const double past)",
        "rust": "pub fn tpot_llama_2_7b(kv_heads: f64, past: f64) -> f64 {",
        "go": "func TpotLlama2_7b(kvHeads, past float64) float64 {",
        "kotlin": "fun tpotLlama2_7b(kvHeads: Double, past: Double): Double {",
        "swift": "public func tpotLlama2_7b(kvHeads: Double, past: Double) -> Double {",
    }
    assert heads.keys() == TARGETS.keys()
    for target, head in heads.items():
        args = [sym.kv_heads, sym.past]
        text = ls.compile(sym.kv_heads * sym.past, args, target=target, name="tpot_llama_2_7b")
        assert head in text


def test_words_of_a_language_are_no_names() -> None:
    own = [ls.symbol(name, meaning=name) for name in ("match", "func", "val", "inout", "x_1", "x1")]
    expr = sum(own)
    assert "match_: f64, func: f64, val: f64, inout: f64" in ls.compile(expr, own, target="rust")
    assert "match, func_, val, inout, x1, x1_ float64" in ls.compile(expr, own, target="go")
    assert "val_: Double, inout: Double" in ls.compile(expr, own, target="kotlin")
    assert "fun fun_(" in ls.compile(expr, own, target="kotlin", name="fun")
    assert "inout_: Double, x1: Double, x1_: Double" in ls.compile(expr, own, target="swift")


def test_the_examples_of_the_documentation(run: CommandLine) -> None:
    page = (Path(__file__).parent.parent / "docs" / "compile.md").read_text(encoding="utf-8")
    command = "export mistral-7b-v0.1 --on v100 --args past --range past=0:8000 --name tpot_mistral"
    assert command in page
    for target in TARGETS:
        (example,) = re.findall(rf"^```{target}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        assert example in run(*command.split(), "--to", target).stdout


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_language_does_not_do_is_refused(target: Any) -> None:
    for options in ({"gradient": True}, {"precision": "float"}, {"threads": 2}, {"error": 0.1}):
        with pytest.raises(SymbolError, match=target):
            ls.compile(sym.past + 1, ["past"], target=target, **options)
