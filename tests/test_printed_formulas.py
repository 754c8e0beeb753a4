"""What is printed is what is meant: formulas as text, read back and evaluated."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sympy import Add, Expr, Integer, Sum, Symbol
from sympy.parsing.sympy_parser import parse_expr

import lifesym as ls
from lifesym import symbols as sym
from lifesym.families import FAMILIES
from lifesym.nodes import Active, CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.remainders import LastChunk
from lifesym.report import equation, function_table
from lifesym.report.equations import signed
from lifesym.summands import Row
from lifesym.sums import Crossing, SumMax
from tests.latex_reader import Reader

_STEPS = ("ttft", "tpot", "memory")
_GENERATIONS = ("mean", "latency", "tps", "energy")
_FUNCTIONS: dict[str, Any] = {
    "max": Maximum,
    "min": Minimum,
    **{
        kind.__name__: kind
        for kind in (Active, CeilDiv, FloorDiv, LastChunk, Crossing, SumMax, Sum)
    },
}
DECODERS = [name for name in sorted(FAMILIES) if "decoder" in ls.Model.symbolic(name).kind]


GENERATING = ["llama", "gemma2", "gpt_oss", "deepseek_v3", "jamba"]
"""Families of every shape of formula: windows, experts, latent attention, states."""


def results(forecast: ls.Forecast, metrics: tuple[str, ...]) -> Iterator[ls.Result]:
    for metric in metrics:
        yield forecast.tpot.mean if metric == "mean" else getattr(forecast, metric)


def point(expr: Expr, seed: int) -> dict[Symbol, Expr]:
    """Whole numbers for every symbol; subsets of layers are smaller than all of them."""
    rng = random.Random(seed)
    values = {symbol: Integer(rng.randint(2, 9)) for symbol in sorted(expr.free_symbols, key=str)}
    if sym.layers in values:
        values[sym.layers] = Integer(rng.randint(40, 60))
    if sym.expert_layers in values:
        values[sym.expert_layers] = Integer(20)
    return values


def read(result: ls.Result) -> Expr:
    """The printed text as an expression again."""
    lines = [line.partition("    # ")[0] for line in equation(result, "text").splitlines()]
    text = " ".join([lines[0].partition("] =")[2].strip(), *lines[1:]]).strip()
    known = {symbol.name: symbol for symbol in (*result.expr.free_symbols, sym.index)}
    return parse_expr(text, local_dict={**known, **_FUNCTIONS})


def check(result: ls.Result, seeds: int) -> None:
    """The text of each row, and the LaTeX of the whole, are the expression."""
    printed, latex = read(result), Reader(result.latex(), {}).read()
    for seed in range(seeds):
        values = point(result.expr, seed)
        stated = result.expr.xreplace(values).doit()
        assert printed.xreplace(values).doit() == stated, result.name
        if not seed:
            assert latex.xreplace(values).doit() == stated, result.name


@pytest.mark.parametrize("family", DECODERS)
def test_text_of_a_symbolic_model_is_its_formula(family: str) -> None:
    forecast = ls.forecast(ls.Model.symbolic(family), ls.Hardware.symbolic(), batch=sym.batch)
    for result in results(forecast, _STEPS):
        check(result, seeds=2)


@pytest.mark.parametrize("name", ["llama-3.1-8b", "qwen3-30b-a3b", "deepseek-v3", "gemma-3-4b"])
@pytest.mark.parametrize("chunk", [sym.chunk, 5])
def test_text_of_a_chunked_prefill_is_its_formula(name: str, chunk: Any) -> None:
    """The last chunk has a name, which the legend of functions explains."""
    result = ls.forecast(name, ls.Hardware.symbolic(), batch=sym.batch, chunk=chunk).ttft
    check(result, seeds=3)
    text = str(result.expr)
    assert "LastChunk(prompt, " in text
    assert "a - b*(CeilDiv(a, b) - 1), from 1 to b" in function_table(result.expr)
    assert "a/b rounded up" in function_table(result.expr)


@pytest.mark.parametrize("family", GENERATING)
def test_text_of_a_generation_is_its_formula(family: str) -> None:
    forecast = ls.forecast(ls.Model.symbolic(family), ls.Hardware.symbolic(), batch=sym.batch)
    for result in results(forecast, _GENERATIONS):
        check(result, seeds=1)


@pytest.mark.parametrize("name", ["gemma-2-9b", "gemma-3-4b", "gpt-oss-20b"])
@pytest.mark.parametrize("names", [["layers"], ["full_layers"], ["full_layers", "layers"]])
def test_text_of_a_partly_lifted_model_is_its_formula(name: str, names: list[str]) -> None:
    model = ls.load_model(name).lift(*names)
    forecast = ls.forecast(model, ls.Hardware.symbolic(), batch=sym.batch)
    for result in (forecast.ttft, forecast.tpot):
        check(result, seeds=2)


def test_a_sum_with_a_leading_minus_is_one_operand() -> None:
    a, b = sym.layers, sym.full_layers
    listed = [Row(a, ""), Row(-a + 2 * b, ""), Row(-3 * a, "")]
    assert signed(listed, str, "(%s)") == [
        ("+", "layers"),
        ("+", "2*full_layers - layers"),
        ("-", "3*layers"),
    ]
    negative = [Row(-a - b, "")]
    assert signed(negative, str, "(%s)") == [("+", "(-full_layers - layers)")]


@pytest.mark.usefixtures("eager")
def test_two_kinds_of_layers_keep_their_counts_as_factors() -> None:
    forecast = ls.forecast(ls.Model.symbolic("gemma2"), ls.Hardware.symbolic(), batch=sym.batch)
    printed = equation(forecast.tpot)
    assert "4*(-full_layers + layers)*max(" in printed
    assert "  + 5*dispatch_time*(4*layers + 1)    # dispatch" in printed
    assert "min(0," not in equation(forecast.ttft)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("metric", ["latency", "tps", "energy"])
def test_long_sums_are_printed_one_summand_a_line(metric: str) -> None:
    forecast = ls.forecast(
        ls.load_model("llama-2-7b"), ls.Hardware.symbolic(), sym.prompt, sym.generated, sym.batch
    )
    result = getattr(forecast, metric)
    for fmt in ("text", "latex"):
        lines = equation(result, fmt).splitlines()
        assert len(lines) > 12
        assert max(map(len, lines)) < 600
    assert "SumMax(n, a, b, c, d)" in function_table(result.expr)


def test_terms_are_busy_time_dispatch_and_link() -> None:
    forecast = ls.forecast(ls.Model.symbolic("gemma2"), ls.Hardware.symbolic(), batch=sym.batch)
    for term in forecast.tpot.terms:
        assert term.time == term.busy + term.dispatch + term.network
    assert Add(*(term.time for term in forecast.tpot.terms)) == forecast.tpot.expr


def test_only_functions_in_use_are_explained() -> None:
    assert function_table(sym.batch * sym.past) == ""
    assert function_table(FloorDiv(sym.prompt, sym.chunk)).splitlines()[1:] == [
        "FloorDiv(a, b)  a/b rounded down"
    ]


def test_a_title_is_text(tmp_path: Path) -> None:
    forecast = ls.forecast(ls.load_model("llama-2-7b"), ls.Hardware.symbolic())
    source = ls.document(forecast, "llama_2 & 7b % #{}")
    assert r"\section*{llama\_2 \& 7b \% \#\{\}}" in source
