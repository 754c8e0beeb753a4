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
from lifesym.report import document, equation, legend_table, operator_table
from lifesym.report.equations import rows
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
        assert expand(Add(*(row.value for row in rows(result))) - result.expr) == 0


def test_polynomials_are_collected_by_the_workload() -> None:
    model = ls.Model.symbolic("llama")
    flops = model.forward(sym.batch, sym.new, sym.past).cost().matmul_flops
    result = ls.Result(name="FLOPs", unit="FLOP", expr=flops)
    listed = [str(row.value) for row in rows(result)]
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
    assert operator_table(trace, "latex").startswith("\\begin{tabular}{llrrr}\n\\toprule")
    assert operator_table(trace, "text").splitlines()[0].split()[:2] == ["section", "operator"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("name", ["llama-2-7b", "mistral-7b-v0.1"])
def test_the_document_compiles_without_overfull_lines(name: str, tmp_path: Path) -> None:
    source = tmp_path / "paper.tex"
    source.write_text(document(derived(name), name), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", source.name]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout[-2000:]
    wide = [float(x) for x in re.findall(r"Overfull \\hbox \(([\d.]+)pt", result.stdout)]
    assert not [points for points in wide if points > 1], result.stdout[-3000:]
