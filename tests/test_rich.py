"""What notebooks show of objects, and arithmetic of results with their units."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sympy import Rational

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import approximate, crossover, delta_method, design, regime_at
from lifesym.display import Tabular
from lifesym.quantities import product, ratio
from lifesym.serving import pipeline, speculate

F = ls.forecast("llama-2-7b", "v100", prompt=512, generate=128)
OPENED = F.open()


class Cells(HTMLParser):
    """The text of every cell, caption and paragraph; only what tables are made of is allowed."""

    KNOWN = ("table", "caption", "thead", "tbody", "tr", "th", "td", "p", "b", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.KNOWN, tag
        assert all(name == "style" for name, _ in attrs), attrs
        if tag in ("th", "td", "p", "caption"):
            self.found.append("")
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.found[-1] += data


def cells(shown: Any) -> list[str]:
    return Cells(shown._repr_html_()).found


@pytest.fixture(scope="module")
def asked() -> dict[str, tuple[Any, tuple[str, ...]]]:
    """Objects by name, with what their tables must have: numbers worked out here, not there."""
    seconds = float(F.ttft)
    others = {symbol: value for symbol, value in F.point.items() if symbol != sym.prompt}
    solved = design(OPENED.ttft, "prompt", others, at_most=1)
    short = approximate(F.tpot, {"past": (512, 4096)}, keep=1)
    int8 = ls.forecast("llama-2-7b", "v100", prompt=512, generate=128, weights="int8")
    met = crossover(F.open("prompt").ttft, int8.open("prompt").ttft, "prompt", between=(1, 4096))
    regime = regime_at(OPENED.ttft, F.point)
    fit = ls.fit(F)
    return {
        "forecast": (F, (f"{1e3 * seconds:.2f} ms", "13.81 GB", "prompt and generation")),
        "formulas": (OPENED, ("[s], a formula in batch, prompt",)),
        "served": (pipeline(F, 2), ("latency",)),
        "speculation": (speculate(F, F, 2, Rational(1, 2)), ("0.5",)),
        "model": (F.model, ("6738415616", "embed, 32 layers, head")),
        "model of symbols": (ls.Model.symbolic("llama"), ("llama",)),
        "hardware": (F.hardware, ("900 GB/s", "16 GiB", "fp16: 125 TFLOP/svector fp32")),
        "hardware of symbols": (ls.Hardware.symbolic(), ("bandwidth", "not known")),
        "trace": (F.trace(512, 0), ("attn_q", "32", f"{2 * 512 * 4096**2 * 32 / 1e9:.1f} GFLOP")),
        "design": (solved, (f"{int(solved.answer)} tokens", "999.9 ms", "most prompt")),
        "regime": (regime, ("compute-bound", ", ".join(regime.operators("compute")))),
        "approximation": (short, (f"{100 * short.shares[short.kept[0]]:.3g} %", "term [s]")),
        "meeting": (met[0], (f"{float(met[0].value):.6g} tokens", "first")),
        "spread": (
            delta_method(OPENED.ttft, F.point, {"bandwidth": 1e10}),
            (f"{1e3 * seconds:.2f} ms", "100 % of the variance"),
        ),
        "fit": (fit, (f"{int(fit.sequences.expr)} sequence", "17.18 GB")),
    }


Asked = dict[str, tuple[Any, tuple[str, ...]]]


def test_tables_have_the_numbers(asked: Asked) -> None:
    for name, (shown, wanted) in asked.items():
        found = cells(shown)
        for text in wanted:
            assert any(text in cell for cell in found), (name, text, found)
        assert len(shown._repr_html_()) < 20_000, name


def test_every_class_that_is_shown_is_tried(asked: Asked) -> None:
    def below(kind: type) -> set[type]:
        return {kind, *(one for each in kind.__subclasses__() for one in below(each))}

    from lifesym.notebook import _rows

    made = {type(shown) for shown, _ in asked.values()}
    for kind in below(Tabular) - {Tabular}:
        assert _rows.dispatch(kind) is not _rows.dispatch(object), kind
        assert any(issubclass(kind, known) for known in _rows.registry if known is not object)
    shown_by = {_rows.dispatch(kind) for kind in made}
    left = {known for known in _rows.registry if _rows.dispatch(known) not in shown_by}
    assert {kind.__name__ for kind in left} == {"object"}


def test_names_are_escaped() -> None:
    bad = '<b>&"<script>alert(1)</script>'
    model = replace(F.model, name=bad, notes=(bad,))
    f = ls.forecast(model, F.hardware, prompt=512, generate=128)
    for shown in (model, f, ls.fit(f), replace(F.hardware, name=bad)):
        text = shown._repr_html_()
        assert "<script" not in text
        assert "&lt;script&gt;" in text
        assert any(bad in cell for cell in Cells(text).found)
    named = replace(F.ttft, name="<b>")
    assert named._repr_markdown_() == "&lt;b&gt;: 57.86 ms"


def test_what_cannot_be_told_is_said_in_a_line() -> None:
    device = replace(F.hardware, capacity=None)
    found = cells(ls.fit(ls.forecast("llama-2-7b", device, prompt=512, generate=128)))
    assert found[0] == "Fit"
    assert "capacity" in found[1]


def test_long_tables_end() -> None:
    trace = F.trace(512, 0)
    text = type(trace)(trace.entries * 4)._repr_html_()
    assert text.count("<tr>") == 41
    assert "and 32 rows more" in text


def test_results_are_equations() -> None:
    assert F.ttft._repr_markdown_() == "TTFT: 57.86 ms"
    step = F.tpot._repr_markdown_()
    assert step.startswith("TPOT [s]\n\nLet $")
    assert r"\mathrm{TPOT}(B, T) ={} &L (2 \tau_{\mathrm{q,o}}" in step
    assert step.endswith("Mean over the generation: 15.03 ms")
    assert OPENED.tps._repr_markdown_().startswith("TPS [token/s]\n\n$$\n\\begin{aligned}")
    difference = (OPENED.ttft - OPENED.tpot)._repr_markdown_()
    assert r"\mathrm{TTFT} - \overline{\mathrm{TPOT}}" in difference
    assert r"\text{2.5} \cdot \mathrm{TTFT}" in (2.5 * OPENED.ttft)._repr_markdown_()


def test_a_mean_in_the_paper_form_is_divided_by_all_its_steps() -> None:
    assert "/(G - 1)" in OPENED.tpot.mean._repr_markdown_()


def test_formats() -> None:
    assert f"{F.ttft:.3g}" == f"{float(F.ttft):.3g}"
    assert f"{F.tpot:.2e}" == f"{float(F.tpot):.2e}"
    assert (f"{F.ttft}", str(F.tps), str(F.memory)) == ("57.86 ms", "66.52 token/s", "13.81 GB")
    assert str(OPENED.ttft).startswith("TTFT [s], a formula in batch, prompt, ")
    with pytest.raises(ls.SymbolError, match="bind them first"):
        f"{OPENED.ttft:.3g}"


@pytest.mark.parametrize(
    ("made", "unit", "value"),
    [
        (lambda a, b: a.ttft + a.latency, "s", lambda a, b: float(a.ttft) + float(a.latency)),
        (lambda a, b: a.ttft - b.ttft, "s", lambda a, b: float(a.ttft) - float(b.ttft)),
        (lambda a, b: a.ttft + 127 * a.tpot, "s", lambda a, b: float(a.latency)),
        (lambda a, b: -a.memory, "byte", lambda a, b: -float(a.memory)),
        (lambda a, b: a.memory * Rational(1, 3), "byte", lambda a, b: float(a.memory) / 3),
        (lambda a, b: a.memory / 2.5, "byte", lambda a, b: float(a.memory) / 2.5),
        (lambda a, b: a.ttft / b.ttft, "1", lambda a, b: float(a.ttft) / float(b.ttft)),
        (lambda a, b: a.tpot / b.tpot - 1, "1", lambda a, b: float(a.tpot) / float(b.tpot) - 1),
        (lambda a, b: a.memory / a.tpot, "byte/s", lambda a, b: float(a.memory) / float(a.tpot)),
        (lambda a, b: 1 / a.tpot, "1/s", lambda a, b: 1 / float(a.tpot)),
        (lambda a, b: a.tps * a.latency, "token", lambda a, b: float(a.tps) * float(a.latency)),
        (lambda a, b: sum([a.ttft, b.ttft]), "s", lambda a, b: float(a.ttft) + float(b.ttft)),
    ],
)
def test_arithmetic_keeps_units(
    made: Callable[..., ls.Result], unit: str, value: Callable[..., float]
) -> None:
    int8 = ls.forecast("llama-2-7b", "v100", prompt=512, generate=128, weights="int8")
    found = made(F, int8)
    assert found.unit == unit
    assert float(found) == pytest.approx(value(F, int8), rel=1e-12)
    assert not found.expr.free_symbols


def test_symbols_times_results_are_results() -> None:
    found = sym.batch * F.ttft
    assert isinstance(found, ls.Result)
    assert float(found.at({"batch": 2})) == pytest.approx(2 * float(F.ttft))


def test_terms_stay_where_all_do() -> None:
    for made in (F.ttft + F.tpot, 3 * F.ttft, F.ttft / 3):
        assert made.terms
        assert sum(term.time.doit() for term in made.terms) == made.expr.doit()
    for made in (-F.ttft, F.ttft - F.tpot, F.ttft + F.latency, F.ttft / F.tpot, F.ttft * -1):
        assert made.terms == () or made.terms == F.ttft.terms + F.latency.terms
    held = F.memory - F.memory
    assert sum(part.value for part in held.parts) == held.expr == 0
    with pytest.raises(ls.SpecError, match="no interval"):
        (2 * F.ttft).interval()


def test_steps_are_still_asked_for() -> None:
    steps = 2 * ls.forecast("llama-2-7b", "v100", prompt=512).tpot.mean
    with pytest.raises(ls.SymbolError, match="two generated tokens or more"):
        steps.at({"generated": 1})


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: F.ttft + F.memory, "TTFT + memory: both must have the same unit, not s and byte"),
        (lambda: F.ttft - 1, "TTFT - 1: both must have the same unit, not s and 1"),
        (lambda: F.ttft / 0, "TTFT / 0: the divisor is 0"),
        (lambda: F.ttft * "x", "must be a number or a SymPy expression, not 'x'"),
        (lambda: True * F.ttft, "must be a number or a SymPy expression, not True"),
    ],
)
def test_what_has_no_meaning_is_refused(wrong: Callable[[], Any], text: str) -> None:
    with pytest.raises(ls.SymbolError, match=re.escape(text)):
        wrong()


def test_units_multiply_and_cancel() -> None:
    units = ("1", "s", "byte", "token/s", "W·s", "byte/token/s")
    for one in units:
        assert ratio(one, one) == "1"
        for other in units:
            assert sorted(ratio(product(one, other), other)) == sorted(one)


@pytest.mark.notebook
@pytest.mark.filterwarnings("ignore")
def test_a_notebook_shows_them(tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    import nbformat
    from notebook import executed

    sources = [
        'import lifesym as ls\nf = ls.forecast("llama-2-7b", "v100", prompt=512, generate=128)\nf',
        *("f.model", "f.hardware", "f.trace(512, 0)", "ls.fit(f)", "f.ttft", "f.tpot"),
    ]
    written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in sources])
    path = tmp_path / "shown.ipynb"
    nbformat.write(written, path)
    kinds = []
    for cell in executed(path).cells:
        (output,) = cell.outputs
        assert output.output_type != "error", output
        kinds.append(next(k for k in ("text/html", "text/markdown") if k in output.data))
    assert kinds == ["text/html"] * 5 + ["text/markdown"] * 2
