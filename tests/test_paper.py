"""The paper form is the formula: unfolded, read back from text and LaTeX, compiled at any width."""

import re
import shutil
import subprocess
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from sympy import Add, Expr, Rational, S, expand
from sympy.parsing.sympy_parser import parse_expr

import lifesym as ls
from lifesym import symbols as sym
from lifesym.amounts import coefficients
from lifesym.analysis import Approximation
from lifesym.derivation import Shortening, in_numbers
from lifesym.errors import SpecError
from lifesym.families import FAMILIES
from lifesym.paper import Paper
from lifesym.report import paper_form, short_form
from lifesym.spelling import spelling, spelt
from lifesym.tau import written
from tests.latex_reader import Reader
from tests.test_printed_formulas import _FUNCTIONS, DECODERS, point

WIDTHS = (240, 345, 480)
BOX = {sym.batch: (1, 64), sym.past: (0, 2048)}
DENSE = (
    *("llama", "mistral", "qwen3", "gemma2", "gemma3_text", "phi3", "gpt2", "falcon", "olmo2"),
    *("granite", "starcoder2", "cohere", "opt"),
)
EXPERTS = ("mixtral", "qwen3_moe", "gpt_oss", "llama4_text", "granitemoe", "phimoe")
LATENT = ("deepseek_v2", "deepseek_v3", "longcat_flash")
RECURRENT = ("mamba", "mamba2", "jamba")


@cache
def forms(family: str) -> tuple[ls.Result, ...]:
    forecast = ls.forecast(ls.Model.symbolic(family), ls.Hardware.symbolic(), batch=sym.batch)
    return forecast.ttft.in_symbols, forecast.tpot.in_symbols


def names_of(form: Paper) -> dict[str, Expr]:
    """What every name stands for, written out."""
    parts = {name: written(Add(*summands)) for name, summands in form.parts.items()}
    return {**parts, **form.sizes, **form.rates}


def equations(text: str) -> dict[str, str]:
    """The sides of the displayed equations of a LaTeX text."""
    found = {}
    for body in re.findall(r"\\begin\{align\*?\}(.*?)\\end\{align\*?\}", text, re.S):
        lines = re.sub(r"\\label\{.*?\}|\\notag", "", body).split("\\\\\n")
        whole = ""
        for line in lines:
            if "={}" in line and whole:
                name, _, value = whole.partition("={}")
                found[name.strip()] = value
                whole = ""
            whole += line
        name, _, value = whole.partition("={}")
        found[name.strip()] = value
    return found


@pytest.mark.parametrize("family", DECODERS)
def test_paper_form_is_the_formula(family: str) -> None:
    """Unfolded, and read back from its text and from its LaTeX in lines of a column."""
    for result in forms(family):
        form = result.paper()
        names = names_of(form)
        values = point(result.expr, 1)
        stated = result.expr.xreplace(values).doit()
        assert form.unfold().xreplace(values).doit() == stated, result.name
        assert from_text(form, names, result).xreplace(values).doit() == stated, result.name
        sides = equations(paper_form(form, "latex", 240, "eq:one"))
        whole, *rest = sides.values()
        assert Reader(whole, names, _rates()).read().xreplace(values).doit() == stated
        for text, part in zip(rest, form.parts, strict=True):
            read = Reader(text, names, _rates()).read()
            assert read.xreplace(values).doit() == names[part].xreplace(values).doit(), part


def from_text(form: Paper, names: dict[str, Expr], result: ls.Result) -> Expr:
    """The equation of the plain text."""
    main, _, where = paper_form(form).partition("\nwhere\n")
    assert len(where.splitlines()) >= len(form.parts) + len(form.rates)
    for name in sorted(names, key=len, reverse=True):
        main = main.replace(name, f"N_{[*names].index(name)}")
    known = {symbol.name: symbol for symbol in result.expr.free_symbols}
    known |= {f"N_{i}": value for i, value in enumerate(names.values())}
    return parse_expr(" ".join(main.splitlines()[1:]), local_dict={**known, **_FUNCTIONS})


@pytest.mark.parametrize("family", [*DENSE[:1], *EXPERTS[1:2], *LATENT[1:2], *RECURRENT[2:]])
def test_paper_form_is_equal_by_algebra(family: str) -> None:
    for result in forms(family):
        assert expand(result.paper().unfold() - result.expr) == 0


def _rates() -> tuple[Expr, Expr, Expr]:
    return (
        sym.compute_efficiency * sym.peak,
        sym.compute_efficiency * sym.vector_peak,
        sym.memory_efficiency * sym.bandwidth,
    )


def pages(name: str) -> tuple[ls.Result, list[Approximation]]:
    """A model's decode step on an H100 with launches of 3 microseconds, and its short forms."""
    device = ls.load_hardware("h100-sxm-80gb").with_(dispatch_time=Rational(3, 10**6))
    forecast = ls.forecast(name, device, prompt=512, generate=128)
    opened = forecast.tpot.in_symbols
    box = {s: ends for s, ends in BOX.items() if s in opened.expr.free_symbols}
    short = Shortening(box=box, keep=3).of(forecast, opened)
    return forecast.tpot, [short, in_numbers(opened, short)]


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_no_line_is_wider_than_a_column(tmp_path: Path) -> None:
    """The page of `derive --form paper --keep 3 --digits 3`, in three widths, for 25 families."""
    families = (*DENSE, *EXPERTS, *LATENT, *RECURRENT)
    made = [pages(FAMILIES[family].example) for family in families]
    for width in WIDTHS:
        texts = []
        for result, (short, numbers) in made:
            parts = [
                paper_form(result.paper(), "latex", width, "eq:a"),
                short_form(short, "latex", width, label="eq:b"),
                short_form(numbers, "latex", width, digits=3, label="eq:c"),
            ]
            texts.append("\\noindent\n" + "\n\n".join(parts))
        assert compiled(texts, width, tmp_path) == [], width


def compiled(pages: list[str], width: int, folder: Path) -> list[str]:
    """What pdflatex says of pages of such a width: overfull boxes and errors."""
    head = rf"""\documentclass[10pt]{{article}}
\usepackage[textwidth={width}pt,textheight=1000pt,paperwidth={width + 60}pt,
  paperheight=1100pt]{{geometry}}
\usepackage{{amsmath}}
\begin{{document}}\sloppy
"""
    text = head + "\n\\newpage\n".join(pages) + "\n\\end{document}\n"
    (folder / "pages.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "pages.tex"]
    said = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    lines = said.stdout.decode("latin-1").splitlines()
    return [line for line in lines if line.startswith(("Overfull \\hbox", "!"))]


def test_a_decode_step_takes_twelve_lines_of_a_column() -> None:
    forecast = ls.forecast("llama-3.1-8b", "h100-sxm-80gb", weights="int4")
    text = paper_form(forecast.tpot.paper(), "latex", 240, "eq:tpot")
    bodies = re.findall(r"\\begin\{align\*?\}\n(.*?)\n\\end\{align\*?\}", text, re.S)
    assert sum(body.count("\\\\\n") + 1 for body in bodies) <= 12


def test_operators_of_one_work_are_gathered() -> None:
    form = forms("llama")[1].paper()
    assert form.operators["tau_mlp"] == ("mlp_gate", "mlp_up", "mlp_down")
    (count, summands), (alone, _) = form.groups
    assert (count, alone) == (sym.layers, S.One)
    assert str(summands[-1]) == "3*tau_mlp"
    assert [*form.sizes] == ["d_q", "d_kv"]


def test_sections_share_what_is_equal_in_them() -> None:
    """The projections of dense and expert layers are those of all layers."""
    counts = [count for count, _ in forms("deepseek_v3")[1].paper().groups]
    assert counts == [sym.layers, sym.dense_layers, sym.layers - sym.dense_layers, S.One]


def test_chunks_and_means_have_a_paper_form() -> None:
    forecast = ls.forecast(
        "llama-2-7b", "v100", prompt=1000, generate=20, batch=sym.batch, chunk=256
    )
    for result in (forecast.ttft, forecast.tpot.mean):
        whole = result.in_symbols
        values = {**point(whole.expr, 5), sym.prompt: S(1000), sym.generated: S(20)}
        values = {symbol: v for symbol, v in values.items() if symbol in whole.expr.free_symbols}
        unfolded = result.paper().unfold()
        assert unfolded.xreplace(values).doit() == whole.expr.xreplace(values).doit()


def test_only_sums_of_times_have_one() -> None:
    forecast = ls.forecast("llama-2-7b", "v100", prompt=100, generate=20)
    with pytest.raises(SpecError, match="memory is no sum of operators' times"):
        forecast.memory.paper()


def test_own_efficiencies_have_rates_of_their_own() -> None:
    device = ls.load_hardware("v100").with_efficiency("linear", compute=Rational(1, 2))
    result = ls.forecast("llama-2-7b", device, prompt=100, generate=20).tpot
    form = result.paper()
    assert "pi_linear" in form.rates
    assert expand(form.unfold() - result.in_symbols.expr) == 0
    assert r"\pi_{\mathrm{linear}}" in paper_form(form, "latex", 345)


def test_coefficients_of_a_group_are_named_by_its_workload() -> None:
    rate = sym.memory_efficiency * sym.bandwidth
    shown, names = coefficients(expand(sym.hidden * sym.batch * (sym.past + 2)) / rate, "m")
    assert written(shown) - sym.hidden * sym.batch * (sym.past + 2) / rate == 0
    assert names == {"m": sym.hidden}
    missed = (1 - sym.active_experts / sym.experts) ** sym.batch
    amount = sym.hidden + sym.vocab * (1 - missed)
    shown, names = coefficients(amount / rate, "M_w")
    assert expand(written(shown) - amount / rate) == 0
    assert {*names.values()} == {sym.hidden, sym.vocab}


def test_no_name_is_spelt_like_a_symbol() -> None:
    """Neither in the table's letters nor in others."""
    for family in ("qwen3_next", "deepseek_v4", "llama"):
        for style in ("", "megatron", "d=w,heads=d_q"):
            with ls.notation(style):
                result = forms(family)[1]
                form = result.paper()
                spelt_ = {spelling(symbol) for symbol in result.expr.free_symbols}
                names = [spelt(name) for name in names_of(form)]
                assert not spelt_ & {*names}
                assert len({*names}) == len(names)
                values = point(result.expr, 2)
                unfolded = form.unfold().xreplace(values).doit()
                assert unfolded == result.expr.xreplace(values).doit()


def test_pairs_of_widths_break_alike() -> None:
    """A wider line never takes more lines."""
    form = forms("deepseek_v3")[1].paper()
    counts = [paper_form(form, "latex", width).count("\\\\\n") for width in WIDTHS]
    assert all(wider <= narrower for narrower, wider in pairwise(counts))
