"""Symbols of one's own: made, refused, and asked everything that ours are asked.

The worked case is a radio link, whose rate is Shannon's capacity W log2(1 + s) bits a second
(Shannon, Proc. IRE 37, 1949, p. 10). Right values are computed here by mpmath, from formulas that
are derived by hand.
"""

import doctest
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
import pytest
from compiled_c import called, needs_gcc
from sympy import Dummy, Expr, I, Integer, Rational, S, Symbol, count_ops, exp, log, nan, oo, sqrt

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import (
    approximate,
    crossover,
    delta_method,
    design,
    elasticities,
    gradient,
    if_free,
    largest_share,
    leading,
    local_elasticities,
    meeting_points,
    monte_carlo,
    regime_map,
    regimes,
    ridge_points,
    same,
    second_order,
    shares,
    sobol,
    tornado,
)
from lifesym.analysis.enclosure import enclose
from lifesym.analysis.reasons import limit
from lifesym.analysis.roots import roots
from lifesym.analysis.through import through, undone
from lifesym.errors import InfeasibleError, SymbolError
from lifesym.formats import Format, Precision
from lifesym.levels import Level
from lifesym.nodes import Active, CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.operators import Experts
from lifesym.report import legend_table
from lifesym.serving import pipeline, speculate
from lifesym.symbol_table import BY_NAME

NODE = shutil.which("node")
SNR = {"latex": r"\rho", "meaning": "signal-to-noise ratio of the link", "kind": "rate"}
SPECTRUM = {
    "latex": r"W_{\mathrm{ch}}",
    "unit": "Hz",
    "meaning": "spectrum of the link",
    "kind": "rate",
}


def snr() -> Symbol:
    return ls.symbol("snr", **SNR)


def spectrum() -> Symbol:
    return ls.symbol("spectrum", **SPECTRUM)


def capacity(hertz: Expr | None = None, ratio: Expr | None = None) -> Expr:
    """Bytes a second."""
    hertz, ratio = spectrum() if hertz is None else hertz, snr() if ratio is None else ratio
    return hertz * log(1 + ratio, 2) / 8


def device(**numbers: Any) -> ls.Hardware:
    plain = ls.Hardware(
        name="station",
        kind="gpu",
        matrix={"bf16": Integer(10) ** 14},
        vector={"fp32": Integer(10) ** 13},
        bandwidth=Integer(10) ** 12,
        link_bandwidth=S.One,
        link_latency=S.Zero,
    )
    return plain.with_(**numbers)


def experts_over_a_link(rate: Any) -> ls.Forecast:
    model, hardware = ls.load_model("mixtral-8x7b"), device(link_bandwidth=rate)
    return ls.forecast(model, hardware, prompt=1024, generate=128, expert_parallel=8)


MOVED = 2 * 32 * Fraction(7, 8) * 1024 * 2 * 4096 * 2
"""Bytes of Mixtral's experts on 8 devices: to and from them (2), in each of 32 layers, 7/8 of the
1,024 tokens' 2 copies of 4,096 bf16 values."""


def first_token(hertz: Any, ratio: Any) -> Any:
    """The TTFT by hand: everything else, and the bytes over the capacity."""
    rest = experts_over_a_link(1).ttft.expr - Rational(MOVED.numerator, MOVED.denominator)
    rate = mpmath.mpf(hertz) * mpmath.log(1 + mpmath.mpf(ratio), 2) / 8
    return mpmath.mpf(rest.p) / rest.q + int(MOVED) / rate


@pytest.fixture(autouse=True)
def _fifty_digits() -> Any:
    with mpmath.workdps(50):
        yield


POINT = {"spectrum": 10**8, "snr": 100}


# made


def test_made_again_with_the_same_facts_it_is_the_same() -> None:
    assert snr() is snr()
    assert ls.symbol("gap", meaning="a gap", minimum=0.5) is ls.symbol(
        "gap", meaning="a gap", minimum=Fraction(1, 2), latex=r"\mathrm{gap}"
    )
    assert sym.resolve("snr") is snr()
    row = sym.TABLE[snr()]
    assert (row.word, row.name, row.latex, row.unit) == ("snr", "snr", r"\rho", "1")
    assert (row.kind, row.minimum, row.maximum) == ("rate", None, None)


def test_a_test_leaves_no_symbol_behind() -> None:
    assert "snr" not in BY_NAME
    assert all(hasattr(sym, row.word) for row in sym.TABLE.values())


@pytest.mark.parametrize(
    ("facts", "sign", "least"),
    [
        ({}, "positive", None),
        ({"minimum": 0}, "nonnegative", 0),
        ({"minimum": -30, "maximum": 60}, "real", -30),
        ({"minimum": Fraction(1, 2), "maximum": 0.95}, "positive", Rational(1, 2)),
        ({"kind": "size"}, "positive", 1),
        ({"kind": "bits", "minimum": 0}, "nonnegative", 0),
    ],
)
def test_ranges_and_signs(facts: dict[str, Any], sign: str, least: Any) -> None:
    made = ls.symbol("own", meaning="of one's own", **facts)
    assert made.assumptions0[sign] is True
    assert made.is_real
    assert made.is_integer is None
    assert sym.TABLE[made].minimum == least


def test_ranges_are_checked_where_it_is_bound() -> None:
    decibels = ls.symbol("snr_db", meaning="in decibels", unit="dB", minimum=-30, maximum=60)
    assert sym.bind(decibels + 1, {"snr_db": -30}) == -29
    with pytest.raises(SymbolError, match="snr_db must be at least -30 and at most 60, not -31"):
        sym.bind(decibels, {decibels: -31})
    share = ls.symbol("own", meaning="of one's own", minimum=Fraction(1, 2), maximum=0.95)
    with pytest.raises(SymbolError, match="own must be at least 1/2 and at most 19/20, not 0"):
        sym.bind(share, {"own": 0})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"word": "batch"}, "word 'batch' is a symbol of lifesym's: take it from lifesym.symbols"),
    ({"word": "new_tokens"}, "'new_tokens' is a symbol of lifesym's"),
    ({"word": "i"}, "'i' is a symbol of lifesym's"),
    ({"word": "two words"}, "is not a plain identifier"),
    ({"word": "2x"}, "is not a plain identifier"),
    ({"word": "t1"}, "is not a plain identifier"),
    ({"word": "i0"}, "is not a plain identifier"),
    ({"word": "w" * 32}, "of at most 31 characters"),
    ({"word": "double"}, "reserved word"),
    ({"word": "lambda"}, "reserved word"),
    ({"word": "log"}, "reserved word"),
    ({"word": "W"}, "W: the LaTeX 'W' is that of 'window': give another"),
    ({"latex": r"\lambda"}, "is that of 'imbalance'"),
    ({"meaning": ""}, "own: meaning must be one line of text, not ''"),
    ({"meaning": "two\nlines"}, "meaning must be one line"),
    ({"unit": " "}, "own: unit must be one line"),
    ({"kind": "speed"}, "kind must be one of size, bits, rate"),
    ({"minimum": 2, "maximum": 1}, "own: nothing is at least 2 and at most 1"),
    ({"maximum": 0}, "own: nothing is above 0 and at most 0"),
    ({"minimum": sym.batch}, "own: minimum must be a number, not batch"),
    ({"maximum": sqrt(2)}, "own: maximum must be a rational number"),
    ({"maximum": math.inf}, "own: maximum must be finite"),
    ({"kind": "size", "minimum": 0.5}, "own: minimum must be a whole number, not 1/2"),
    *(
        ({"latex": latex}, "is no single symbol")
        for latex in (
            "",
            "$x$",
            "ab",
            "a+b",
            "a b",
            "2x",
            "x_a_b",
            "x^{2}^{3}",
            "x_{a_b_c}",
            "x_",
            "x^{",
            "x}",
            "_x",
            "{x}",
            "x%",
            "x&",
            "x#",
            "x\n",
            r"\\",
            r"\left(x\right)",
        )
    ),
]


@pytest.mark.parametrize(("facts", "message"), REFUSED)
def test_what_cannot_be_a_symbol(facts: dict[str, Any], message: str) -> None:
    before = dict(sym.TABLE)
    with pytest.raises(SymbolError, match=re.escape(message)):
        ls.symbol(**{"word": "own", "meaning": "of one's own"} | facts)
    assert before == sym.TABLE


@pytest.mark.parametrize("fact", ["latex", "unit", "meaning", "kind", "minimum", "maximum"])
def test_other_facts_are_refused(fact: str) -> None:
    snr()
    other = {"latex": "q", "unit": "dB", "meaning": "x", "kind": "ratio", "minimum": 1}
    with pytest.raises(SymbolError, match=f"symbol 'snr' was made with {fact} .*another word"):
        ls.symbol("snr", **SNR | {fact: other.get(fact, 5)})


@pytest.mark.parametrize(
    "latex",
    [
        "x",
        "x'",
        "x_2",
        r"\rho",
        r"\rho_{\max}",
        r"\mathrm{S,N}",
        r"\hat{s}_{\mathrm{a}}^{2}",
        "x_a^b",
    ],
)
def test_latex_that_is_a_symbol(latex: str) -> None:
    made = ls.symbol("own", meaning="of one's own", latex=latex)
    assert ls.latex(2 * made) == rf"2\,{latex}"
    assert ls.latex(1 / made) == rf"\frac{{1}}{{{latex}}}"


# refused where it enters

FOREIGN = Symbol("x", positive=True)
ENTRANCES: dict[str, Callable[[], Any]] = {
    "with_": lambda: device(bandwidth=2 * FOREIGN),
    "peak": lambda: device(peak=FOREIGN),
    "links": lambda: device().with_links((1, 0), (FOREIGN, 0)),
    "latency": lambda: device().with_links((1, FOREIGN)),
    "Hardware": lambda: ls.Hardware(
        name="d", kind="gpu", matrix={"bf16": FOREIGN}, vector={}, bandwidth=S.One
    ),
    **{
        name: lambda name=name: ls.forecast("llama-2-7b", device(), **{name: FOREIGN})
        for name in ("prompt", "generate", "batch", "past", "chunk", "lora", "tensor_parallel")
    },
    "level": lambda: Level(name="host", bandwidth=FOREIGN, weights=1),
    "share": lambda: Level(name="host", bandwidth=1, weights=FOREIGN),
    "format": lambda: Format(name="own", bits=FOREIGN),
    "acceptance": lambda: speculate(experts_over_a_link(1), acceptance=FOREIGN),
    "bind": lambda: sym.bind(sym.batch, {"batch": FOREIGN}),
    "exact": lambda: sym.exact(FOREIGN),
    "size": lambda: sym.size(FOREIGN, "n"),
    "latex": lambda: ls.latex(FOREIGN),
    "legend": lambda: ls.legend(FOREIGN),
    "elasticities": lambda: ls.elasticities(FOREIGN),
    "compile": lambda: ls.compile(FOREIGN, [FOREIGN]),
}


@pytest.mark.parametrize("where", ENTRANCES)
def test_foreign_symbols_are_refused_where_they_enter(where: str) -> None:
    with pytest.raises(SymbolError, match=r"symbol 'x' is not lifesym's: .* with lifesym\.symbol"):
        ENTRANCES[where]()


def test_symbols_that_stand_for_later_values_are_let_through() -> None:
    held = Dummy("held", positive=True)
    assert sym.exact(held + sym.index) == held + sym.index


@pytest.mark.parametrize(
    ("number", "value", "message"),
    [
        ("bandwidth", lambda w: -w, "bandwidth must be above 0, not -spectrum"),
        ("bandwidth", lambda w: w - w, "bandwidth must be above 0, not 0"),
        ("bandwidth", lambda w: I * w, "bandwidth must be above 0"),
        ("bandwidth", lambda _: nan, "bandwidth must be above 0, not nan"),
        ("link_bandwidth", lambda w: w * log(S.Half), "link_bandwidth must be above 0"),
        ("link_latency", lambda w: -1 / w, "link_latency must be at least 0"),
        (
            "compute_efficiency",
            lambda w: 1 + w,
            r"must be above 0 and at most 1, not spectrum \+ 1",
        ),
        ("peak", lambda w: -w, "peak must be above 0"),
        ("bandwith", lambda w: w, r"one of bandwidth, .*; did you mean 'bandwidth'\?"),
        ("capacity", lambda w: w, "a number of a device must be one of"),
    ],
)
def test_what_a_device_cannot_have(number: str, value: Any, message: str) -> None:
    with pytest.raises(SymbolError, match=message):
        device(**{number: value(spectrum())})


def test_floats_in_expressions_are_exact() -> None:
    made = device(bandwidth=0.1 * spectrum() * log(1 + snr(), 2)).bandwidth
    assert made == spectrum() * log(1 + snr(), 2) / 10
    assert sym.exact(sym.batch * (0.1 + 0.2)) == sym.batch * Rational("0.30000000000000004")


def test_a_peak_is_of_every_type() -> None:
    clock = ls.symbol("core_clock", latex="f", unit="Hz", meaning="clock", kind="rate")
    both = device(peak=1024 * clock, vector_peak=64 * clock)
    assert both.matrix == {"bf16": 1024 * clock}
    assert both.vector == {"fp32": 64 * clock}
    assert ls.Hardware.symbolic().with_(peak=clock).matrix["int8"] == clock


# the formula


def test_the_time_is_the_one_by_hand() -> None:
    ttft = experts_over_a_link(capacity()).ttft
    assert ttft.expr.free_symbols == {spectrum(), snr()}
    network = sum(term.network for term in ttft.terms)
    assert network == Rational(int(MOVED)) * 8 * log(2) / (spectrum() * log(1 + snr()))
    for hertz, ratio in ((10**8, 100), (2 * 10**7, Fraction(1, 2)), (10**9, 10**4)):
        found = ttft.bind({"spectrum": hertz, "snr": ratio})
        right = first_token(hertz, mpmath.mpf(ratio.numerator) / ratio.denominator)
        assert abs(mpmath.mpf(str(found.evalf(40))) / right - 1) < 1e-35


def test_legend_latex_and_tables() -> None:
    ttft = experts_over_a_link(capacity()).ttft
    assert [row.word for row in ttft.legend()] == ["spectrum", "snr"]
    assert ttft.latex().endswith(
        r"\frac{7516192768\,\log{\left(2 \right)}}{W_{\mathrm{ch}}\,\log{\left(\rho + 1 \right)}}"
    )
    for fmt, line in (
        ("text", "snr       signal-to-noise ratio of the link  1"),
        ("markdown", r"| $\rho$ | signal-to-noise ratio of the link | 1 |"),
        ("latex", r"$W_{\mathrm{ch}}$ & spectrum of the link & Hz \\"),
    ):
        assert line in legend_table(ttft.legend(), fmt)
    page = ls.document(experts_over_a_link(capacity()), "A radio link")
    assert r"$\rho$ & signal-to-noise ratio of the link &  & 1 \\" in page
    assert page.count(r"\log{\left(\rho + 1 \right)}") == 2  # TTFT and TPOT
    bar = ls.symbol("bar", meaning="either | or", latex=r"\bar{b}")
    assert r"either \| or" in legend_table(ls.legend(bar), "markdown")


# questions


def test_elasticities_are_those_by_hand() -> None:
    r"""T = c + K/(W log(1+s)): of W it is -f, of s -f s/((1+s) ln(1+s)), f the link's share."""
    ttft = experts_over_a_link(capacity()).ttft
    whole = first_token(10**8, 100)
    link = int(MOVED) * 8 / (10**8 * mpmath.log(101, 2)) / whole
    right = {"spectrum": -link, "snr": -link * 100 / (101 * mpmath.log(101))}
    for rows in (local_elasticities(ttft, POINT), ls.elasticities(ttft).at(POINT)):
        found = {row.word: row.value for row in rows}
        for word, value in right.items():
            assert abs(mpmath.mpf(str(found[word].evalf(40))) - value) < 1e-35
    # -0.937 and -0.201 in another study of such a link at 20 dB, whose spectrum it does not say
    ratio = float(right["snr"] / right["spectrum"])
    assert 0.2005 / 0.9375 < ratio < 0.2015 / 0.9365
    slopes = gradient(ttft)
    assert slopes[snr()] == -8 * int(MOVED) * log(2) / (
        spectrum() * (1 + snr()) * log(1 + snr()) ** 2
    )
    mixed = second_order(ttft, POINT)[spectrum(), snr()]
    one, other = right["spectrum"], right["snr"]
    assert abs(mpmath.mpf(str(mixed.evalf(40))) - (-other - one * other)) < 1e-35


def test_questions_of_uncertainty() -> None:
    ttft = experts_over_a_link(capacity()).ttft
    spread = delta_method(ttft, POINT, {"snr": 1})
    slope = 8 * int(MOVED) / mpmath.mpf(10**8) * mpmath.log(2) / (101 * mpmath.log(101) ** 2)
    assert abs(float(spread.deviation) / float(slope) - 1) < 1e-12
    drawn = monte_carlo(ttft, POINT, {"snr": 1}, samples=4000)
    assert abs(drawn.deviation / float(slope) - 1) < 0.05
    if_rated = {freed.symbol: freed for freed in if_free(ttft, POINT)}
    assert all(freed.value is oo for freed in if_rated.values())
    rest = ttft.expr.xreplace({spectrum(): oo})
    assert {freed.left for freed in if_rated.values()} == {rest}
    assert rest == sum(term.time - term.network for term in ttft.terms)
    assert [bar.symbol for bar in tornado(ttft, POINT)] == [spectrum(), snr()]
    assert float(sum(shares(ttft, POINT).values())) == pytest.approx(1, abs=1e-14)


def test_sobol_indices() -> None:
    pytest.importorskip("SALib")
    ttft = experts_over_a_link(capacity()).ttft
    box = {"spectrum": (10**8, 2 * 10**8), "snr": (99, 101)}
    found = sobol(ttft, box, samples=64)
    assert found.total[spectrum()] > 0.95
    assert found.total[snr()] < 0.05


def test_designs_over_both_with_their_formulas() -> None:
    """c + K/(W ln(1+s)) = T at W = K/((T-c) ln(1+s)), and s = exp(K/((T-c) W)) - 1."""
    ttft = experts_over_a_link(capacity()).ttft
    rest = mpmath.mpf(str(ttft.expr.xreplace({spectrum(): oo}).evalf(45)))
    k = 8 * int(MOVED) * mpmath.log(2)
    wide = design(ttft, "spectrum", {"snr": 100}, at_most=5)
    assert wide.want == "least"
    assert (
        abs(mpmath.mpf(str(wide.answer.evalf(40))) * (5 - rest) * mpmath.log(101) / k - 1) < 1e-30
    )
    loud = design(ttft, "snr", {"spectrum": 10**8}, at_most=20)
    right = mpmath.exp(k / ((20 - rest) * 10**8)) - 1
    assert abs(mpmath.mpf(str(loud.answer.evalf(40))) / right - 1) < 1e-30
    assert loud.achieved == 20
    assert loud.formula is not None
    assert loud.formula.xreplace({spectrum(): Integer(10) ** 8}) == loud.answer
    assert loud.feasible[0].high is oo
    inside = design(ttft, "snr", {"spectrum": 10**8}, at_most=20, between=(1, 1000))
    assert inside.answer == loud.answer
    (met,) = crossover(ttft, S(20), "snr", (1, 1000), {"spectrum": 10**8})
    assert met.exact
    assert met.value == loud.answer
    assert meeting_points(ttft.expr, S(20), "snr") == (loud.formula,)


def test_designs_that_cannot_be() -> None:
    ttft = experts_over_a_link(capacity()).ttft
    with pytest.raises(InfeasibleError, match=r"no snr brings TTFT to 0\.1: .*without limit"):
        design(ttft, "snr", {"spectrum": 10**8}, at_most=0.1)
    with pytest.raises(InfeasibleError, match=r"no snr brings .* at snr = 1000"):
        design(ttft, "snr", {"spectrum": 10**8}, at_most=1, between=(1, 1000))
    rest = float(ttft.expr.xreplace({spectrum(): oo}))
    with pytest.raises(InfeasibleError, match="no snr of a double's size brings"):
        design(ttft, "snr", {"spectrum": 10**8}, at_most=rest + 1e-4)


def test_noise_that_grows_with_the_spectrum_needs_a_range() -> None:
    """W log2(1 + 1/(N W)): W is inside of the logarithm and outside, N is only inside."""
    density = ls.symbol("noise", latex="N_0", unit="1/Hz", meaning="noise a hertz over the signal")
    rate = capacity(ratio=1 / (density * spectrum()))
    ttft = experts_over_a_link(rate).ttft
    with pytest.raises(SymbolError, match="give a finite range"):
        design(ttft, "spectrum", {"noise": 1e-9}, at_most=20)
    for low in (0, 10**6):
        span = (low, 10**10)
        found = design(ttft, "spectrum", {"noise": 1e-9}, at_most=20, between=span)
        hertz = mpmath.mpf(str(found.answer.evalf(30)))
        assert abs(first_token(hertz, 1 / (hertz * mpmath.mpf("1e-9"))) / 20 - 1) < 1e-11
    loud = design(ttft, "noise", {"spectrum": 10**8}, at_most=20)
    ratio = 1 / (mpmath.mpf(str(loud.answer.evalf(40))) * 10**8)
    assert abs(first_token(10**8, ratio) / 20 - 1) < 1e-30
    assert loud.want == "most"
    (freed,) = if_free(ttft, {"noise": 1e-9, "spectrum": 10**8})
    assert freed.symbol == density  # its limit is known; that of the spectrum is not
    assert freed.left == sum(term.time - term.network for term in ttft.terms)


def test_decibels() -> None:
    """s = 10^(x/10): x may be below zero, and is solved for through both functions."""
    decibels = ls.symbol("snr_db", unit="dB", meaning="in decibels", minimum=-30, maximum=60)
    ttft = experts_over_a_link(capacity(Integer(10) ** 8, 10 ** (decibels / 10))).ttft
    assert abs(ttft.bind({"snr_db": 20}).evalf(30) - Rational(str(first_token(10**8, 100)))) < 1e-25
    found = design(ttft, "snr_db", at_most=150)
    level = mpmath.mpf(str(found.answer.evalf(40)))
    assert level < 0
    assert abs(first_token(10**8, mpmath.mpf(10) ** (level / 10)) / 150 - 1) < 1e-30
    # dT/dx = W's elasticity times d ln log(1+s) / dx, at 20 dB
    link = 1 - first_token(10**12, 100) / first_token(10**8, 100)
    (row,) = local_elasticities(ttft, {"snr_db": 20})
    right = -20 * mpmath.log(10) / 10 * 100 / (101 * mpmath.log(101)) * link * 10**4 / (10**4 - 1)
    assert abs(float(row.value) - float(right)) < 1e-12


def shannon_memory() -> ls.Forecast:
    hardware = device(bandwidth=capacity())
    return ls.forecast("llama-2-7b", hardware, prompt=512, generate=8)


def test_regimes_bend_where_capacity_meets_compute() -> None:
    """A product of n x d and d x d in bf16: 2 n d^2 FLOPs, 2 (d^2 + 2 n d) bytes."""
    ttft = shannon_memory().ttft
    n, d = 512, 4096
    rate = Fraction(2 * (d * d + 2 * n * d) * 10**14, 2 * n * d * d)
    right = mpmath.expm1(
        8 * rate.numerator * mpmath.log(2) / (rate.denominator * mpmath.mpf(10**12))
    )
    ridge = ridge_points(ttft, "snr")["attn_q"].xreplace({spectrum(): Integer(10) ** 12})
    assert abs(mpmath.mpf(str(ridge.evalf(40))) / right - 1) < 1e-30
    line = regimes(ttft, "snr", (Fraction(1, 100), 1000), {"spectrum": 10**12})
    joint = next(each for each in line if any(name == "attn_q" for name, *_ in each.changes))
    assert ("attn_q", "memory", "compute") in joint.changes
    assert joint.exact
    assert joint.low == ridge
    crossed = regime_map(ttft, ("spectrum", "snr"), [1e10, 1e13], [1, 100], {})
    assert len(np.unique(crossed.ids)) > 1
    ends = {spectrum(): (10**10, 10**13), snr(): (1, 1000)}
    short = approximate(ttft, ends, error=Fraction(1, 100))
    assert short.error.upper <= 0.01
    assert count_ops(short.expr) < count_ops(ttft.expr)
    largest = largest_share(ttft.terms[2].time, ttft.expr, ends)
    assert 0 < largest.lower <= largest.upper < 1


def test_growth_in_a_logarithm_is_no_power() -> None:
    ttft = experts_over_a_link(capacity()).ttft
    assert leading(ttft, "spectrum").degree == 0
    with pytest.raises(SymbolError, match="the growth of a logarithm of snr is no power of it"):
        leading(ttft, "snr")


def test_links_of_unlike_rates() -> None:
    """A collective waits for the slowest: 10 dB less on half the spectrum, and 10 ms."""
    hardware = device().with_links((capacity(), 0), (capacity(spectrum() / 2, snr() / 10), 0.01))
    model = ls.load_model("mixtral-8x7b")
    ttft = ls.forecast(model, hardware, prompt=1024, generate=2, expert_parallel=8).ttft
    slow = first_token(5 * 10**7, 10) + 64 * mpmath.mpf("0.01") * (8 - 1)
    found = mpmath.mpf(str(ttft.bind(POINT).evalf(40)))
    assert abs(found / slow - 1) < 1e-30


def test_served_forms() -> None:
    hardware = device(link_bandwidth=capacity(), static_power=spectrum() / 10**6)
    f = ls.forecast("llama-2-7b", hardware, prompt=512, generate=8, batch=8)
    staged = pipeline(f, stages=2, microbatches=4)
    assert staged.ttft.expr.free_symbols == {spectrum(), snr()}
    found = design(staged.ttft, "snr", {"spectrum": 10**8}, at_most=3)
    reached = staged.ttft.bind({"spectrum": 10**8, "snr": found.answer})
    assert abs(reached.evalf(40) - 3) < 1e-35
    assert found.achieved == 3
    assert f.energy.expr.free_symbols == {spectrum()}


def test_levels_take_rates_of_ones_own() -> None:
    host = Level(name="host", bandwidth=capacity(), weights=Fraction(1, 2))
    tpot = ls.forecast("llama-2-7b", device(), prompt=8, generate=2, levels=[host]).tpot
    assert {spectrum(), snr()} < tpot.expr.free_symbols


# distributed experts over a radio link (arXiv 2411.06681, 2405.03131): a base station, 8 devices

EXPERT = {"hidden": 4096, "intermediate": 14336, "activation": "silu"}


def test_work_and_bits_of_an_expert() -> None:
    one = Experts(tokens=1, experts=8, active=1, **EXPERT).cost(Precision.of("bf16"))
    d, wide = 4096, 14336
    assert one.flops == 6 * d * wide + 5 * wide + 2 * d == 352_401_408  # 352.4 MFLOP a token


def test_spectrum_among_unlike_devices() -> None:
    """1,024 tokens, 2 of 8 experts, 100 MHz: 7 devices at 20 and 10 dB, one at 0 and -3 dB.

    T_k = n (L/(B log2(1+d)) + L/(B log2(1+u)) + F/C) with L = 16 d bits, n = 256. An equal split
    waits for the weak device; the best one has all T_k equal: T = sum(a_k)/W + n F/C, with a_k the
    bits over the two efficiencies. 3.64 s and 0.975 s a layer, of which the devices' own 18 TFLOP/s
    (not stated) take 5 ms.
    """
    down = ls.symbol("snr_down", latex=r"\rho_{\downarrow}", meaning="ratio to the device")
    up = ls.symbol("snr_up", latex=r"\rho_{\uparrow}", meaning="ratio from the device")
    part = ls.symbol("part", latex=r"\sigma_{\mathrm{ch}}", meaning="of it", minimum=0, maximum=1)
    bits, tokens = 16 * 4096, 256
    done = tokens * Experts(tokens=1, experts=8, active=1, **EXPERT).cost(Precision.of()).flops
    computing = done / (18 * Integer(10) ** 12)
    sent = tokens * bits * (1 / log(1 + down, 2) + 1 / log(1 + up, 2))
    one = sent / (part * spectrum()) + computing
    weak_ratio = Rational("0.501187233627272285")  # 10^-0.3
    whole = {"spectrum": 10**8}
    weak = sym.bind(one, whole | {"snr_down": 1, "snr_up": weak_ratio})
    strong = sym.bind(one, whole | {"snr_down": 100, "snr_up": 10})

    def a(*ratios: Any) -> Any:
        return sum(tokens * bits / mpmath.log(1 + mpmath.mpf(each), 2) for each in ratios)

    strong_bits, weak_bits = a(100, 10), a(1, mpmath.mpf(10) ** mpmath.mpf("-0.3"))
    c = mpmath.mpf(int(done)) / (18 * 10**12)
    equal = sym.bind(Maximum(weak, strong), {"part": Fraction(1, 8)})
    assert abs(float(equal) - float(8 * weak_bits / 10**8 + c)) < 1e-12
    assert round(float(equal), 2) == 3.64
    others = strong.xreplace({part: (1 - part) / 7})
    best = design(weak - others, part, at_most=0, between=(Fraction(1, 100), Fraction(99, 100)))
    reached = sym.bind(weak, {"part": best.answer})
    right = (7 * strong_bits + weak_bits) / 10**8 + c
    assert abs(float(reached) - float(right)) < 1e-12
    assert round(float(reached), 3) == 0.975
    assert abs(float(best.answer) - float(weak_bits / (7 * strong_bits + weak_bits))) < 1e-12


# compiled

BOX = {"spectrum": (1e7, 1e9), "snr": (0.5, 1000.0)}


def points() -> tuple[Any, Any]:
    random = np.random.default_rng(7)
    return tuple(
        np.exp(random.uniform(math.log(low), math.log(high), 60)) for low, high in BOX.values()
    )


def worst(found: Any) -> float:
    pairs = zip(*points(), strict=True)
    right = [first_token(hertz, ratio) for hertz, ratio in pairs]
    return max(abs(float(mpmath.mpf(float(x)) / y - 1)) for x, y in zip(found, right, strict=True))


def compiled(target: str, **options: Any) -> Any:
    ttft = experts_over_a_link(capacity()).ttft
    return ls.compile(ttft, ["spectrum", "snr"], target=target, **options)


@pytest.mark.parametrize("target", ["numpy", "native"])
def test_arrays(target: Any) -> None:
    assert worst(compiled(target, ranges=BOX)(*points())) < 1e-12
    value, *slopes = compiled(target, gradient=True)(1e8, 100.0)
    ttft = experts_over_a_link(capacity()).ttft
    for symbol, slope in zip((spectrum(), snr()), slopes, strict=True):
        right = float(gradient(ttft)[symbol].xreplace({spectrum(): S(10**8), snr(): S(100)}))
        assert slope == pytest.approx(right, rel=1e-12)
    assert value == pytest.approx(float(first_token(10**8, 100)), rel=1e-12)


def test_numpy_and_python_modules() -> None:
    module = loaded(compiled("numpy").source)
    assert worst(module["formula"](*points())) < 1e-12
    scalar = compiled("python", ranges=BOX)
    assert worst([scalar(float(x), float(y)) for x, y in zip(*points(), strict=True)]) < 1e-12
    with pytest.raises(ValueError, match="snr must be between"):
        scalar(1e8, 0.1)


def loaded(source: str) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    exec(source, scope)  # noqa: S102 (our own text)
    return scope


def stated(header: str) -> float:
    return float(re.search(r"Relative error of the arithmetic: at most (\S+)", header)[1])


@needs_gcc
@pytest.mark.parametrize(("precision", "most"), [("double", 1e-12), ("float", 1e-5)])
def test_c_is_within_the_bound_it_states(precision: Any, most: float, tmp_path: Path) -> None:
    header = compiled("c", ranges=BOX, precision=precision)
    assert "snr: signal-to-noise ratio of the link (1), 0.5 to 1000" in header
    found = called(tmp_path, header, points(), precision)
    rounded = 0.0
    if precision == "float":  # the points themselves, which the bound counts as rounded
        rounded = 2e-7
    assert worst(found) <= stated(header) + rounded
    assert stated(header) < most


@needs_gcc
def test_single_precision_at_a_millionth(tmp_path: Path) -> None:
    header = compiled("c", ranges=BOX, precision="float")
    assert worst(called(tmp_path, header, points(), "float")) < 1e-6


def test_c_refuses_what_has_no_bound() -> None:
    tiny = {"spectrum": (1e7, 1e9), "snr": (1e-7, 1.0)}
    with pytest.raises(SymbolError, match="bound of the arithmetic's error in float"):
        compiled("c", ranges=tiny, precision="float")
    ttft = experts_over_a_link(spectrum() * log(snr(), 2)).ttft
    box = {"spectrum": (1, 2), "snr": (0.5, 2)}
    with pytest.raises(SymbolError, match="a divisor can be zero in this box"):
        ls.compile(ttft, ["spectrum", "snr"], "c", ranges=box)


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_javascript(tmp_path: Path) -> None:
    (tmp_path / "formula.mjs").write_text(compiled("js"))
    (tmp_path / "main.mjs").write_text(
        'import { formula } from "./formula.mjs";\n'
        f"const points = {json.dumps([column.tolist() for column in points()])};\n"
        "const found = points[0].map((x, i) => formula(x, points[1][i]));\n"
        "process.stdout.write(JSON.stringify(found));\n"
    )
    command = [str(NODE), "main.mjs"]
    result = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert worst(json.loads(result.stdout)) < 1e-12


def test_a_table_is_within_its_error() -> None:
    table = compiled("table", ranges=BOX, error=0.02)
    assert worst(table(*points())) <= table.error <= 0.02
    module = loaded(table.source("numpy"))
    assert worst(module["formula"](*points())) <= table.error


def test_names_of_arguments_meet_none_of_the_tables_own(tmp_path: Path) -> None:
    """A module for NumPy has names of its own: cells, shares, points."""
    cells = ls.symbol("cells", meaning="cells", kind="rate")
    shares_ = ls.symbol("shares", meaning="shares", kind="rate")
    box = {"cells": (1, 2), "shares": (1, 2)}
    table = ls.compile(cells + 2 * shares_, ["cells", "shares"], "table", ranges=box)
    module = loaded(table.source("numpy"))
    assert module["formula"](1.25, 1.5) == pytest.approx(4.25, rel=0.01)
    taken = ls.symbol("formula_v", meaning="taken")
    with pytest.raises(SymbolError, match="'formula' takes 'formula_v' for itself"):
        ls.compile(taken, [taken], "c")
    own = ls.symbol("self", meaning="an argument's name in Python")
    assert ls.compile(2 * own, [own])(self=4.0) == 8


def test_sweeps() -> None:
    pytest.importorskip("xarray")
    f = experts_over_a_link(capacity())
    for options in ({}, {"target": "native"}, {"chunks": 2}):
        swept = ls.sweep(f, {"snr": [1, 100], "spectrum": [1e7, 1e8, 1e9]}, ["ttft"], **options)
        assert swept.ttft.dims == ("snr", "spectrum")
        right = [[float(first_token(w, s)) for w in (10**7, 10**8, 10**9)] for s in (1, 100)]
        np.testing.assert_allclose(swept.ttft.values, right, rtol=1e-12)
    assert swept.snr.attrs["long_name"] == SNR["meaning"]
    assert swept.spectrum.attrs["units"] == "Hz"
    with pytest.raises(SymbolError, match="snr must be above 0, not 0"):
        ls.sweep(f, {"snr": [0, 1], "spectrum": [1e7]})
    with pytest.raises(SymbolError, match="ttft depends on spectrum: give it an axis"):
        ls.sweep(f, {"snr": [1, 2]})


# what logarithms ask of the parts


def test_maxima_and_quotients_of_irrational_numbers() -> None:
    assert Maximum(log(3) / log(2), log(5) / log(4), Rational(8, 5)) == Rational(8, 5)
    assert Maximum(log(4), 2 * log(2)) in (log(4), 2 * log(2))
    assert Minimum(log(4), 1, sqrt(2)) == 1
    assert Active(log(4), 2 * log(2)) == S.Half
    assert CeilDiv(log(100), log(2)) == 7
    assert CeilDiv(log(4), log(2)) == 2
    assert FloorDiv(sqrt(2), S.One) == 1


def test_equality_of_logarithms() -> None:
    assert same(log(4 * snr()), 2 * log(2) + log(snr())) != "different"
    assert same(log(4 * snr()), 2 * log(2) + log(2 * snr())) == "different"
    assert same(log(1 + snr(), 2), log(1 + snr()) / log(2)) == "equal"


def test_enclosures_hold_every_value_and_elasticity() -> None:
    formula = spectrum() + 3 / log(1 + snr(), 2) + log(2 + spectrum() * snr())
    names = (spectrum(), snr())
    random = np.random.default_rng(3)
    low = random.uniform(0.1, 5, (2, 50))
    high = low * random.uniform(1, 2, (2, 50))
    found = enclose(formula, names, low, high)
    for _ in range(20):
        x = low + (high - low) * random.uniform(0, 1, low.shape)
        values = [
            formula.xreplace(dict(zip(names, map(Rational, p), strict=True))) for p in x.T.tolist()
        ]
        exact = np.array([float(value) for value in values])
        assert np.all((found.low <= exact) & (exact <= found.high))
    rows = elasticities(formula)
    for k in range(10):
        at = {
            name: Rational(float(x)) for name, x in zip(names, (low[0, k], high[1, k]), strict=True)
        }
        for i, name in enumerate(names):
            assert found.least[i, k] <= float(rows[name].xreplace(at)) <= found.most[i, k]
    with pytest.raises(SymbolError, match="logarithm of less than 1"):
        enclose(log(snr()), (snr(),), np.array([[0.5]]), np.array([[2.0]]))


def test_zeros_through_a_function() -> None:
    s = snr()
    (found,) = roots(log(1 + s) ** 2 - 3 * log(1 + s) + 2, s, exp(1), oo)
    assert found.value == exp(2) - 1
    assert found.exact
    assert roots(1 / log(1 + s) - Rational(1, 10**4), s, S.Zero, oo) == ()  # at e^10000
    assert through(s * log(1 + s), s) is None
    assert through(log(1 + s) + log(2 + s), s) is None
    assert undone(log(s + s**2), s, S.One) is S.NaN
    with pytest.raises(SymbolError, match="not of the size of a double"):
        undone(log(1 + s), s, S(10) ** 9)
    with pytest.raises(SymbolError, match="no real number"):
        roots(s + log(s - 5), s, S.One, S(10))


@pytest.mark.parametrize(
    ("formula", "right"),
    [
        (lambda s: 3 + 1 / (1 + s), 4),
        (lambda s: 3 + 1 / s, oo),
        (lambda s: 3 + 1 / log(1 + s), oo),
        (lambda s: 3 + 1 / log(1 + 1 / s), 3),
        (lambda s: Maximum(1 / s, 1 / (2 * s)), oo),
    ],
)
def test_what_is_left_at_zero(formula: Callable[[Symbol], Expr], right: Any) -> None:
    assert limit(formula(snr()), snr(), S.Zero) == right


def test_the_example_of_the_documentation() -> None:
    page = Path(__file__).parent.parent / "docs" / "analysis.md"
    tried = doctest.testfile(str(page), module_relative=False, verbose=False)
    assert tried.failed == 0
    assert tried.attempted > 8


def test_whole_answers_for_what_is_counted() -> None:
    antennas = ls.symbol("antennas", latex=r"n_{\mathrm{ant}}", meaning="antennas", kind="size")
    found = design(1 / log(1 + antennas, 2), "antennas", at_most=Fraction(1, 3))
    assert (found.answer, found.next_misses) == (7, 1 / log(7, 2))
    result = SimpleNamespace(expr=1 / log(1 + antennas, 2), name="time")
    assert design(result, "antennas", at_most=0.3).answer == 10  # 2^(10/3) - 1 = 9.08
