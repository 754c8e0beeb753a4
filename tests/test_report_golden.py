"""Printed formulas: LaTeX names, paper order, golden files, and that LaTeX compiles."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sympy import Add, expand

import lifesym as ls
from lifesym import symbols as sym
from lifesym.printing import latex, legend
from lifesym.report import equation, legend_table, operator_table
from lifesym.report.breaking import broken, width_of
from lifesym.symbols import TABLE

Golden = Callable[[str, str], None]


def derived(name: str) -> ls.Forecast:
    return ls.forecast(ls.load_model(name), ls.Hardware.symbolic(), batch=sym.batch)


@pytest.mark.parametrize("name", ["llama-2-7b", "mistral-7b-v0.1"])
def test_golden_equations(name: str, golden: Golden) -> None:
    forecast = derived(name)
    for result in (forecast.ttft, forecast.tpot, forecast.memory):
        word = result.name.lower()
        golden(f"{name}-{word}.tex", equation(result, "latex") + "\n")
        golden(f"{name}-{word}.txt", equation(result, "text") + "\n")
    golden(f"{name}-legend.tex", legend_table(forecast.tpot.legend(), "latex") + "\n")


@pytest.mark.parametrize("seed", ["0", "1"])
def test_printing_does_not_depend_on_the_hash_seed(seed: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    selected = [*command, "-k", "golden_equations", "--no-header"]
    result = subprocess.run(selected, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_every_symbol_has_its_own_latex() -> None:
    spelt = [row.latex for row in TABLE.values()]
    assert len(set(spelt)) == len(spelt)
    for row in TABLE.values():
        assert latex(row.symbol) == row.latex


@pytest.mark.parametrize("name", ["llama-2-7b", "gemma-2-9b", "deepseek-v3", "falcon-7b"])
def test_no_name_falls_through_to_sympy(name: str) -> None:
    forecast = ls.forecast(
        ls.Model.symbolic(ls.load_model(name).family), ls.Hardware.symbolic(), batch=sym.batch
    )
    for result in (forecast.ttft, forecast.tpot, forecast.tpot.mean, forecast.memory):
        printed = result.latex()
        words = set(re.findall(r"[a-z]+_[a-z]+", printed))
        assert not words & {row.name for row in TABLE.values()}
        for row in legend(result.expr):
            assert row.latex in printed


@pytest.mark.parametrize("name", ["llama-2-7b", "mixtral-8x7b", "gemma-2-9b"])
def test_rows_add_up_to_the_expression(name: str) -> None:
    forecast = derived(name)
    for result in (forecast.ttft, forecast.tpot, forecast.memory, forecast.latency):
        assert expand(Add(*(row.value for row in result.rows())) - result.expr) == 0


def test_polynomials_are_collected_by_the_workload() -> None:
    model = ls.Model.symbolic("llama")
    flops = model.forward(sym.batch, sym.new, sym.past).cost().matmul_flops
    result = ls.Result(name="FLOPs", unit="FLOP", expr=flops)
    listed = [str(row.value) for row in result.rows()]
    assert listed == [
        "4*batch*head_dim*heads*layers*new_tokens*past",
        "4*batch*head_dim*heads*layers*new_tokens**2",
        "2*batch*hidden*layers*new_tokens"
        "*(2*head_dim*heads + 2*head_dim*kv_heads + 3*intermediate)",
        "2*batch*hidden*vocab",
    ]


def test_tables_have_a_row_for_every_operator() -> None:
    forecast = derived("llama-2-7b")
    table = operator_table(forecast.tpot.terms, "markdown").splitlines()
    assert len(table) == len(forecast.tpot.terms) + 2
    trace = forecast.trace(1, sym.past)
    assert operator_table(trace, "latex").startswith("\\begin{longtable}[l]{@{}lll@{}}\n\\toprule")
    bound = ls.forecast(ls.load_model("llama-2-7b"), ls.load_hardware("v100"), 7, 2).trace(1, 7)
    assert operator_table(bound, "latex").startswith("\\begin{tabular}{llrrr}\n\\toprule")
    assert operator_table(trace, "text").splitlines()[0].split()[:2] == ["section", "operator"]
    lines = trace.table(weights="int8")
    assert [(line["section"], line["operator"]) for line in lines] == [
        (entry.section, entry.name) for entry in trace
    ]
    cost = trace.cost(weights="int8")
    for name, whole in (("operations", cost.flops), ("bytes", cost.bytes)):
        assert expand(Add(*(line[name] for line in lines)) - whole) == 0


def too_wide(source: str, folder: Path) -> list[float]:
    """Compile a document; points by which boxes stick out of the page, more than one each."""
    (folder / "paper.tex").write_text(source, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout[-2000:]
    wide = [float(x) for x in re.findall(r"Overfull \\[hv]box \(([\d.]+)pt", result.stdout)]
    return [points for points in wide if points > 1]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("name", ["llama-2-7b", "mistral-7b-v0.1"])
def test_the_document_compiles_without_overfull_lines(name: str, tmp_path: Path) -> None:
    assert too_wide(ls.document(derived(name), name), tmp_path) == []


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("family", ["gemma2", "gpt_oss"])
def test_everything_of_a_symbolic_family_fits_the_page(family: str, tmp_path: Path) -> None:
    """The widest of the dense and of the mixture families; means are longer than steps."""
    forecast = ls.forecast(ls.Model.symbolic(family), ls.Hardware.symbolic(), batch=sym.batch)
    more = [equation(r, "latex") for r in (forecast.tpot.mean, forecast.memory, forecast.latency)]
    more.append(operator_table(forecast.tpot.terms, "latex"))
    source = ls.document(forecast, family).replace(
        r"\end{document}", "\n".join(more) + r"\end{document}"
    )
    assert too_wide(source, tmp_path) == []
    narrow = equation(forecast.tpot, "latex", width=345)
    narrow += operator_table(forecast.tpot.terms, "latex", width=345)
    head = source[: source.index(r"\section*")].replace("margin=2cm", "textwidth=345pt")
    assert too_wide(head + narrow + r"\end{document}", tmp_path) == []


@pytest.mark.parametrize("family", ["gemma2", "gpt_oss", "falcon"])
def test_broken_lines_are_the_formula(family: str) -> None:
    """Without breaks, signs of continued lines and sizes of fences: the same signs in the order."""
    forecast = ls.forecast(ls.Model.symbolic(family), ls.Hardware.symbolic(), batch=sym.batch)
    for term in (*forecast.tpot.mean.terms, *forecast.ttft.terms):
        printed = latex(term.time)
        for room in (120, 300):
            lines = broken(printed, room)
            assert all(line.count("{") == line.count("}") for line in lines)
            assert signs(" ".join(lines)) == signs(printed)


def test_a_factor_after_a_long_fence_has_its_own_line() -> None:
    """A windowed model's latency: counts of steps that are as long as what they multiply."""
    model = ls.load_model("mistral-7b-v0.1")
    result = ls.forecast(model, ls.Hardware.symbolic(), batch=sym.batch).latency
    for row in result.rows():
        assert max(map(width_of, broken(latex(row.value), 250))) <= 250


def signs(text: str) -> list[str]:
    """Symbols, operators and numbers of a formula, without its fences and fractions."""
    layout = r"\\(left|right|Bigl|Bigr|frac|quad|cdot|,)(?![A-Za-z])[()\[\]]?|[{}\s]"
    found = sorted(re.findall(r"\\?[A-Za-z]+|\d+|[+-]", re.sub(layout, " ", text)))
    return [sign for sign in found if sign != "1"]  # a fraction opened has a numerator of 1
