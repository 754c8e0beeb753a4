"""Numbers as people write them: rounded formulas read back are near the exact ones."""

import random
import re
from fractions import Fraction
from typing import Any

import pytest
from sympy import Add, Expr, Integer, Pow, Rational, S, Symbol
from sympy.parsing.sympy_parser import parse_expr

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import SpecError
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.report import equation, work_table
from lifesym.report.rounded import rounded
from lifesym.report.units import prefixed, quantity
from tests.latex_reader import Reader

b, past, prompt = sym.batch, sym.past, sym.prompt
LETTERS = {"B": b, "T": past, "S": prompt, "N": sym.new, "G": sym.generated}
POWERS = {"T": 12, "G": 9, "M": 6, "k": 3, "": 0, "m": -3, "µ": -6, "n": -9, "p": -12}
FUNCTIONS = {"max": Maximum, "min": Minimum, "CeilDiv": CeilDiv, "FloorDiv": FloorDiv}
UNITS = {"s": "s", "byte": "B", "J": "J", "FLOP": "FLOP", "1": ""}


def exact(text: str) -> Rational:
    """A decimal as it is written."""
    return Rational(Fraction(text))


def read_text(text: str, unit: str) -> Expr:
    """Text with its units multiplied out."""
    ending = UNITS[unit]
    numbers = re.compile(rf"(?<![\w.])(\d+(?:\.\d+)?(?:e-?\d+)?) ([TGMkmµnp]?){ending}(?!\w)")
    known: dict[str, Any] = {**LETTERS, **FUNCTIONS}

    def name_of(value: Rational) -> str:
        known[f"number_{len(known)}"] = value
        return f"number_{len(known) - 1}"

    if ending:
        text = numbers.sub(lambda m: name_of(exact(m[1]) * S(10) ** POWERS[m[2]]), text)
    text = re.sub(r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?", lambda m: name_of(exact(m[0])), text)
    return parse_expr(text.replace("·", "*").replace("^", "**"), local_dict=known)


def read_latex(text: str) -> Expr:
    """LaTeX with its units multiplied out; those of siunitx too."""
    words = {"milli": "m", "micro": "u", "nano": "n", "pico": "p", "kilo": "k", "mega": "M"}
    words |= {"giga": "G", "tera": "T", "second": "s", "byte": "B", "joule": "J"}

    def plainly(found: re.Match[str]) -> str:
        letters = "".join(words[word] for word in re.findall(r"\\(\w+)", found[2]))
        return rf"{found[1]}\,\mathrm{{{letters}}}"

    text = re.sub(r"\\qty\{([^}]*)\}\{([^}]*)\}", plainly, text)
    text = text.replace(r"\mu\mathrm{", r"\mathrm{u")
    names = {
        rf"\mathrm{{{prefix.replace('µ', 'u')}{end}}}": S(10) ** power
        for prefix, power in POWERS.items()
        for end in filter(None, UNITS.values())
    }

    def fractions(found: re.Match[str]) -> str:
        value = exact(found[0])
        return rf"\frac{{{value.p}}}{{{value.q}}}"

    return Reader(re.sub(r"\d+\.\d+", fractions, text), names).read()


def monomial(rng: random.Random) -> Expr:
    """A number times symbols of the workload, of any size."""
    number = Rational(rng.randint(1, 10**6), rng.choice((1, 7, 350 * 10**3, 989 * 10**12)))
    factors = (b, past, prompt, prompt**2, b * past, 1 / (b + Rational(1, 3)), S.One)
    kinds = (*factors, Pow(Rational(3, 4), b), CeilDiv(prompt, 256))
    return number * rng.choice(kinds) * rng.choice((S.One, b, past + 1))


def formula(rng: random.Random) -> Expr:
    """A sum of such, some in maxima, some taken away."""
    terms = []
    for _ in range(rng.randint(1, 4)):
        each = monomial(rng)
        if rng.random() < 0.4:
            kind = rng.choice((Maximum, Minimum))
            count = rng.choice((S.One, Integer(32), Rational(1, 7), 64 * b))
            each = count * kind(each, monomial(rng) + monomial(rng))
        terms.append(each if rng.random() < 0.8 else -each)
    return Add(*terms)


def size_of(expr: Expr, at: dict[Symbol, Expr]) -> Expr:
    """Its value with every term counted as positive, in maxima too."""
    return Add(*(abs(term.xreplace(at).doit()) for term in Add.make_args(expr.expand())))


@pytest.mark.parametrize("seed", range(60))
def test_text_and_latex_are_read_back(seed: int) -> None:
    rng = random.Random(seed)
    expr, unit, digits = formula(rng), rng.choice(list(UNITS)), rng.randint(2, 6)
    shown = {
        "text": read_text(rounded(expr, unit, digits), unit),
        "latex": read_latex(rounded(expr, unit, digits, "latex")),
        "siunitx": read_latex(rounded(expr, unit, digits, "latex", siunitx=True)),
    }
    for _ in range(4):
        at = {s: Integer(rng.randint(1, 600)) for s in (b, past, prompt)}
        true, most = expr.xreplace(at).doit(), size_of(expr, at)
        for name, read in shown.items():
            value = read.xreplace(at).doit()
            apart = float(abs(value - true) / most) if most else float(abs(value))
            # half a unit of the last digit, of which there may be as few as 1.0
            assert apart <= 0.501 * 10 ** (1 - digits), (name, expr, at)


@pytest.mark.parametrize("seed", range(40))
def test_signs_and_fractions_are_clean(seed: int) -> None:
    rng = random.Random(seed)
    expr = formula(rng)
    for text in (rounded(expr, "s", 3), rounded(expr, "s", 3, "latex")):
        assert "+ -" not in text
        assert "- -" not in text
        assert not re.search(r"\d/\d|\\frac\{\d+\}\{\d+\}", text)
        assert not re.search(r"\d\.\d{5,}", text)


@pytest.mark.parametrize(
    ("number", "unit", "digits", "shown"),
    [
        (0.0147, "s", 3, "14.7 ms"),
        (999.96, "s", 4, "1 ks"),
        (999.94, "s", 4, "999.9 s"),
        (0.99996, "s", 4, "1 s"),
        (9.9996e-7, "s", 4, "1 µs"),
        (1e-12, "s", 3, "1 ps"),
        (4e-16, "s", 3, "0.0004 ps"),
        (0, "byte", 3, "0 B"),
        (-0.0147, "s", 3, "-14.7 ms"),
        (-999.96, "J", 4, "-1 kJ"),
        (1.23456e16, "FLOP", 3, "12300 TFLOP"),
        (5e20, "FLOP", 1, "500000000 TFLOP"),
        (0.25, "token/s", 3, "0.25 token/s"),
        (1e-12, "token/s", 3, "0.000000000001 token/s"),
        (5920, "byte", 1, "6 kB"),
    ],
)
def test_prefixes_at_their_edges(number: float, unit: str, digits: int, shown: str) -> None:
    assert quantity(number, unit, digits) == shown


@pytest.mark.parametrize("seed", range(20))
def test_a_prefix_changes_no_number(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(50):
        number = rng.choice((-1, 1)) * 10 ** rng.uniform(-15, 17)
        digits, unit = rng.randint(1, 15), rng.choice(("s", "byte", "1", "token/s"))
        shown, prefix = prefixed(number, unit, digits)
        value = exact(shown) * S(10) ** POWERS[prefix]
        assert abs(value / exact(repr(number)) - 1) <= Rational(501, 1000) * S(10) ** (1 - digits)
        mantissa = abs(exact(shown))
        assert mantissa < 1000 or prefix == "T"
        assert mantissa >= 1 or prefix in ("p", "")


@pytest.mark.parametrize(
    ("expr", "text", "latex"),
    [
        (S.Zero, "0 s", r"0\,\mathrm{s}"),
        (-b / 7, "-143 ms·B", r"-143\,\mathrm{ms}\,B"),
        (b / 7 - Rational(1, 3), "143 ms·B - 333 ms", r"143\,\mathrm{ms}\,B - 333\,\mathrm{ms}"),
        (
            64 * Maximum(b / 3, past / 7),
            "64·max(333 ms·B, 143 ms·T)",
            r"64\,\max\left(333\,\mathrm{ms}\,B, 143\,\mathrm{ms}\,T\right)",
        ),
        (
            Maximum(b, past) / 9,
            "max(111 ms·B, 111 ms·T)",
            r"\max\left(111\,\mathrm{ms}\,B, 111\,\mathrm{ms}\,T\right)",
        ),
        (
            (1 - Rational(3, 4) ** b) / 3,
            "333 ms - 333 ms·0.75^B",
            r"333\,\mathrm{ms} - 333\,\mathrm{ms}\,{0.75}^{B}",
        ),
        (b / (b + Rational(1, 3)), "3 s·B/(3·B + 1)", r"3\,\mathrm{s}\,\frac{B}{3\,B + 1}"),
    ],
)
def test_how_formulas_look(expr: Expr, text: str, latex: str) -> None:
    assert rounded(expr, "s", 3) == text
    assert rounded(expr, "s", 3, "latex") == latex


def test_numbers_without_a_physical_unit_stand_alone() -> None:
    """A prefix alone would be read as a symbol: G tokens, T of the context."""
    assert rounded(Integer(8030261248), "parameters", 3) == "8.03e9"
    assert rounded(Integer(8030261248), "parameters", 3, "latex") == r"8.03 \cdot 10^{9}"
    assert rounded(3 * 10**6 * b + 4, "1", 3) == "4 + 3e6·B"
    assert rounded(Maximum(S.Zero, b - 5), "sequence", 3) == "max(0, B - 5)"
    assert rounded(b / 70000, "price", 3) == "1.43e-5·B"


def test_siunitx_where_the_package_has_the_unit() -> None:
    assert rounded(b / 3000000, "s", 3, "latex", siunitx=True) == r"\qty{333}{\nano\second}\,B"
    assert rounded(b * 131072, "byte", 3, "latex", siunitx=True) == r"\qty{131}{\kilo\byte}\,B"
    assert rounded(2 * b, "FLOP", 3, "latex", siunitx=True) == r"2\,\mathrm{FLOP}\,B"


def test_the_line_of_the_issue() -> None:
    """TPOT = 14.7 ms + 14.4 µs·B + 0.592 µs·B·T, with a prefix where that is shorter."""
    expr = Rational("0.0147") + Rational("14.4e-6") * b + Rational("0.592e-6") * b * past
    assert rounded(expr, "s") == "14.7 ms + 14.4 µs·B + 592 ns·B·T"


def test_what_stands_behind_a_minus_sign_keeps_its_signs() -> None:
    """A product of a sum is spread out: every part of it is taken away."""
    expr = 7 * Maximum(b, past) - 2 * (b + past) * prompt
    for fmt in ("text", "latex"):
        shown = equation(ls.Result(name="x", unit="s", expr=expr), fmt, digits=3)
        body = shown.partition("=")[2]
        if fmt == "text":
            read = read_text(" ".join(body.split()), "s")
        else:
            read = read_latex(body.partition("={}")[2] or body.removeprefix("{}").split(r"\end")[0])
        at = {b: Integer(3), past: Integer(5), prompt: Integer(11)}
        assert read.xreplace(at) == expr.xreplace(at)


def test_a_rate_is_in_letters_throughout() -> None:
    form = ls.forecast("llama-2-7b", "v100", batch=b)
    shown = equation(form.tps.at({"prompt": 100, "generated": 20}), digits=3)
    assert shown.startswith("TPS [token/s] = B / (\n")
    assert "batch" not in shown


@pytest.mark.parametrize("name", ["llama-3.1-8b", "gemma-2-2b", "mixtral-8x7b"])
def test_printed_metrics_are_read_back(name: str) -> None:
    form = ls.forecast(name, "h100-sxm-80gb", batch=b)
    for result in (form.tpot, form.ttft):
        shown = equation(result, digits=4).partition("=")[2]
        body = " ".join(line.partition("#")[0].strip() for line in shown.splitlines())
        read = read_text(body, "s")
        for size in (1, 9, 300):
            at = {b: Integer(size), past: Integer(7 * size), prompt: Integer(900)}
            true = result.expr.xreplace(at).doit()
            assert abs(read.xreplace(at).doit() / true - 1) < 2e-3


@pytest.mark.parametrize("digits", [0, -1, 16])
def test_digits_that_no_number_has_are_refused(digits: int) -> None:
    form = ls.forecast("llama-2-7b", "v100", prompt=64, generate=2)
    for ask in (
        lambda: rounded(b / 3, "s", digits),
        lambda: rounded(b / 3, "1", digits),
        lambda: equation(form.memory, digits=digits),
        lambda: work_table(form.ttft, {}, digits=digits),
    ):
        with pytest.raises(SpecError, match=f"at least 1 and at most 15, not {digits}"):
            ask()


def test_symbols_of_other_units_are_refused() -> None:
    with pytest.raises(SpecError, match="need numbers for bandwidth: name a device"):
        rounded(b / sym.bandwidth, "s")
