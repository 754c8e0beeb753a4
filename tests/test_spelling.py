"""Letters of symbols: published notations, one's own, and what is printed in them."""

import re
from collections import Counter
from typing import Any

import pytest
from sympy import Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.metrics import METRICS, measure
from lifesym.printing import legend
from lifesym.report import equation, legend_table, paper_form, short_form
from lifesym.report.equations import left_hand_side
from lifesym.spelling import STYLES, letter, notation, spelling, spelt
from lifesym.symbols import TABLE
from tests.latex_reader import Reader

PAIRS = ("d=h,prompt=s", "past=d,batch=n", "megatron,past=t_0", "past=gamma,batch=h")


@pytest.mark.parametrize("style", [*STYLES, *PAIRS])
def test_no_two_symbols_are_spelt_alike(style: str) -> None:
    """Of the whole table, and so of every formula; but prompt and sequence, which none has both."""
    with notation(style):
        spelt_ = Counter(spelling(symbol) for symbol in TABLE)
        alike = {text for text, count in spelt_.items() if count > 1}
        assert alike <= {spelling(sym.prompt)}
        holders = {TABLE[symbol].word for symbol in TABLE if spelling(symbol) in alike}
        assert holders <= {"prompt", "sequence"}


PLAIN = [symbol for symbol, row in TABLE.items() if "'" not in row.latex]


@pytest.mark.parametrize("symbol", PLAIN, ids=lambda symbol: TABLE[symbol].word)
def test_any_letter_can_go_to_another_symbol(symbol: Symbol) -> None:
    """Whose letter it was is then spelt as nothing else is."""
    taker = sym.past if symbol != sym.past else sym.batch
    with notation(names={taker: TABLE[symbol].latex}):
        assert spelling(taker) == TABLE[symbol].latex
        assert max(Counter(map(spelling, TABLE)).values()) == 1


@pytest.mark.parametrize("family", ["llama", "deepseek_v3", "jamba", "gpt_oss", "whisper"])
@pytest.mark.parametrize("style", ["megatron", "pope", "kaplan"])
def test_formulas_in_published_letters_are_read_back(style: str, family: str) -> None:
    form = ls.forecast(ls.Model.symbolic(family), ls.Hardware.symbolic(), batch=sym.batch)
    with notation(style):
        expr = form.memory.expr
        read = Reader(ls.latex(expr), {}).read().xreplace({sym.sequence: sym.prompt})
        assert read - expr == 0
        spelt_ = [spelling(symbol) for symbol in form.ttft.expr.free_symbols]
        assert len({*spelt_}) == len(spelt_)


def test_published_letters_are_those_of_the_papers() -> None:
    """A few that each paper names in its notation; see the sources in `lifesym.spelling`."""
    said = {
        "megatron": {"hidden": "h", "heads": "a", "layers": "L", "prompt": "s", "batch": "b"},
        "pope": {
            **{"hidden": "E", "intermediate": "F", "heads": "H", "prompt": "L", "batch": "B"},
            "layers": r"n_{\mathrm{layers}}",
            "devices": r"n_{\mathrm{chips}}",
        },
        "kaplan": {
            **{"hidden": r"d_{\mathrm{model}}", "layers": r"n_{\mathrm{layer}}"},
            **{"intermediate": r"d_{\mathrm{ff}}", "prompt": r"n_{\mathrm{ctx}}"},
        },
    }
    for style, letters in said.items():
        with notation(style):
            assert {word: spelling(getattr(sym, word)) for word in letters} == letters


@pytest.mark.parametrize(
    ("pairs", "shown"),
    [
        ("d=h", {"hidden": "h", "heads": r"n_{\mathrm{heads}}"}),
        ("hidden=h,heads=a", {"hidden": "h", "heads": "a"}),
        ("past=d", {"past": "d", "hidden": r"n_{\mathrm{hidden}}"}),
        ("past=\u03c0", {"past": r"\pi", "hourly_price": r"n_{\mathrm{hourly~price}}"}),
        (r"past=\hat{T}", {"past": r"\hat{T}", "batch": "B"}),
        ("alpha=x", {"acceptance": "x"}),
        ("h_kv=k", {"kv_heads": "k"}),
        ("megatron,hidden=H", {"hidden": "H", "batch": "b"}),
        (r"batch=n_{\mathrm{past}},hidden=T", {"past": r"\mathrm{past}", "hidden": "T"}),
        ("", {"hidden": "d", "past": "T"}),
    ],
)
def test_letters_of_ones_own(pairs: str, shown: dict[str, str]) -> None:
    with notation(pairs):
        assert {word: spelling(sym.resolve(word)) for word in shown} == shown


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("megatrn", "unknown notation 'megatrn'; did you mean 'megatron'"),
        ("d", "unknown notation 'd': one of lifesym, megatron, pope, kaplan, or pairs"),
        ("d=", "'' is no name"),
        ("=h", "no symbol before = in =h"),
        ("d=h,prompt=h", "hidden and prompt would both be spelt h"),
        ("pope,batch=E", "batch and hidden would both be spelt E"),
        ("d=h;prompt=s", "is no name: letters, digits and _"),
        ("d=x^2", "is no name"),
        ("d=_h", "'_h' is no name"),
        ("d=$x$", "is no name"),
        (r"d=\mathrm{h", "is no LaTeX of a symbol"),
        ("foo=h", "unknown symbol 'foo'"),
        ("hiden=h", "did you mean 'hidden'"),
    ],
)
def test_bad_letters_are_refused_in_one_line(pairs: str, message: str) -> None:
    with pytest.raises(ls.SymbolError, match=re.escape(message)) as told, notation(pairs):
        pass
    assert "\n" not in str(told.value)
    assert spelling(sym.hidden) == "d"


def test_notations_nest_and_are_left() -> None:
    assert spelling(sym.hidden) == "d"
    with notation("megatron"):
        with notation("kaplan"):
            assert (spelling(sym.hidden), spelling(sym.batch)) == (r"d_{\mathrm{model}}", "B")
        assert (spelling(sym.hidden), spelling(sym.batch)) == ("h", "b")
        with pytest.raises(RuntimeError), notation("pope"):
            raise RuntimeError
        assert spelling(sym.hidden) == "h"
    assert (spelling(sym.hidden), spelling(sym.batch)) == ("d", "B")


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("x", "x"),
        ("beta", r"\beta"),
        ("kv_bytes", r"\mathrm{kv~bytes}"),
        ("M_w", r"M_{\mathrm{w}}"),
        ("x_1", "x_{1}"),
        ("pi_linear", r"\pi_{\mathrm{linear}}"),
        ("tau_q,o", r"\tau_{\mathrm{q,o}}"),
        ("spare memory", r"\mathrm{spare~memory}"),
    ],
)
def test_how_names_are_spelt(name: str, latex: str) -> None:
    assert spelt(name) == latex


@pytest.mark.parametrize("metric", METRICS)
def test_no_name_of_a_metric_is_printed_broken(metric: str) -> None:
    form = ls.forecast("llama-2-7b", "v100", batch=sym.batch)
    result = measure(form, metric)
    shown = left_hand_side(result.name, result.unit, result.expr)
    outside = re.sub(r"_\{(?:[^{}]|\{[^{}]*\})*\}", "", shown)
    assert "_" not in outside
    assert " " not in re.sub(r"\(.*\)", "", shown)
    if " " in result.name.replace("_", " "):
        assert r"\mathrm{" in shown


def test_everything_that_is_printed_follows() -> None:
    form = ls.forecast("llama-3.2-1b", "h100-sxm-80gb", batch=sym.batch)
    step = form.tpot
    with notation("batch=n,past=c"):
        assert left_hand_side(step.name, step.unit, step.expr) == r"\mathrm{TPOT}(n, c)"
        for text in (
            equation(step, "latex"),
            equation(step, "markdown"),
            legend_table(legend(step.expr), "latex"),
            paper_form(step.paper(), "latex", 240),
            ls.document(form, "A title", "two"),
        ):
            assert re.search(r"(?<![A-Za-z])n(?![A-Za-z])", text)
            assert re.search(r"(?<![A-Za-z])c(?![A-Za-z])", text)
            assert not re.search(r"(?<![A-Za-z{_])B\\,|B, T|\$B\$|\$T\$", text)
        short = ls.analysis.approximate(
            step, {"batch": (1, 8), "past": (0, 99)}, keep=2, group="role"
        )
        assert "1 <= n <= 8 and 0 <= c <= 99" in short_form(short)
        assert r"1 \le n \le 8" in short_form(short, "latex")
        assert "µs·n" in short_form(short, digits=3)
        assert letter(sym.past) == "c"
    assert letter(sym.past) == "T"


def test_axes_follow() -> None:
    from lifesym.plots import stacked_time

    step: Any = ls.forecast("llama-3.2-1b", "h100-sxm-80gb", batch=4).tpot
    with notation("past=c"):
        axes = stacked_time(step, sym.past, [1, 100, 1000], {}).axes[0]
        assert axes.get_xlabel().startswith("context $c$")
    axes = stacked_time(step, sym.past, [1, 100, 1000], {}).axes[0]
    assert axes.get_xlabel().startswith("context $T$")
