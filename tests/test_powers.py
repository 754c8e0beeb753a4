"""Long powers: exact numbers that are not written out, in every formula, command and target."""

import pickle
import re
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from command_line import CommandLine
from sympy import Integer, Rational, lambdify

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis.branches import branch_at
from lifesym.analysis.equality import same
from lifesym.analysis.inverse import design
from lifesym.analysis.maps import regime_map
from lifesym.analysis.sensitivity import local_elasticities
from lifesym.formats import load_format
from lifesym.nodes import Active, CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.operators import Routing
from lifesym.powers import LongPower, doubles, replaced, sign, written
from lifesym.printing import latex
from lifesym.sums import Crossing, SumMax

BASE = Rational(31, 32)  # 1 - k/E of DeepSeek-V3: 8 of 256 experts
LONG = LongPower(BASE, Integer(4096))
EXACT = BASE**4096
DIGITS = re.compile(r"\d{60,}")


def test_a_long_power_is_its_number_without_the_digits() -> None:
    assert str(LONG) == "(31/32)**4096"
    assert latex(1 - LONG) == r"1 - \left(\frac{31}{32}\right)^{4096}"
    assert LONG.doit() == EXACT
    assert LONG.doit(powers=False) == LONG
    assert (3 - 2 * LONG).doit() == 3 - 2 * EXACT
    assert LONG.is_number
    assert LONG.is_positive
    assert LONG.is_integer is False
    assert not LONG.free_symbols
    assert LONG.diff(sym.batch) == 0
    assert float(1 - LONG) == float(1 - EXACT)
    assert float(LONG) == pytest.approx(float(Fraction(31, 32) ** 4096), rel=1e-15)
    assert str(LONG.evalf(50)) == str(EXACT.evalf(50))


def test_a_short_power_is_written_out_and_one_of_symbols_is_sympys() -> None:
    assert LongPower(BASE, Integer(128)) == BASE**128
    assert LongPower(BASE, Integer(129)).func is LongPower
    assert LongPower(Rational(999_999, 10**6), Integer(60)).func is LongPower  # 360 digits
    assert LongPower(Rational(0), Integer(4096)) == 0
    assert LongPower(Rational(1), Integer(4096)) == 1
    assert LongPower(BASE, sym.batch) == BASE**sym.batch


OPEN = LongPower(1 - sym.active_experts / sym.experts, Integer(400))


def test_a_power_of_a_sum_with_symbols_stays_closed() -> None:
    """SymPy takes minutes to see the sign of 1 - (1 - k/E)**400: it factors a polynomial."""
    base, at = OPEN.args[0], {sym.active_experts: 8, sym.experts: 256}
    assert LongPower(base, Integer(16)) == base**16
    assert OPEN.func is LongPower
    assert OPEN.doit() == base**400
    read = sym.experts * (1 - OPEN)
    assert (read / (1 + read)).is_nonnegative is None  # in no time
    assert (OPEN.is_nonnegative, OPEN.is_positive, OPEN.is_integer) == (True, None, None)
    odd = LongPower(sym.batch - 5, Integer(17))
    assert (odd.is_nonnegative, odd.is_positive, odd.is_integer) == (None, None, None)
    for symbol in at:
        slope = read.diff(symbol).xreplace(at).doit()
        assert slope == (sym.experts * (1 - base**400)).diff(symbol).xreplace(at)
    assert read.xreplace(at) == 256 - 256 * LongPower(Rational(31, 32), Integer(400))
    for module in ("numpy", "math"):
        made = lambdify([sym.active_experts, sym.experts], read, module)
        assert made(8, 256) == pytest.approx(float(read.xreplace(at)), rel=1e-14)
    assert set(ls.elasticities(read)) == set(at)


def test_rebuilding_and_pickling_keep_a_long_power() -> None:
    assert LONG.func(*LONG.args) == LONG
    code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(1 - LONG), capture_output=True, check=True
    )
    assert loaded.stdout.decode().strip() == "1 - (31/32)**4096"


def test_printed_code_computes_a_long_power() -> None:
    expr = sym.batch * (1 - LongPower(BASE, Integer(200)))
    exact = 3 * (1 - BASE**200)
    for module in ("numpy", "math"):
        assert lambdify([sym.batch], expr, module)(3) == pytest.approx(float(exact), rel=1e-14)
    assert ls.compile(expr, ["batch"])(3) == pytest.approx(float(exact), rel=1e-15)
    assert doubles(sym.batch * EXACT) == sym.batch * EXACT.evalf(17)


def test_numbers_with_long_powers_compare_exactly() -> None:
    below, above = EXACT - Rational(1, 10**400), EXACT + Rational(1, 10**400)
    assert [sign(LONG - each) for each in (below, EXACT, above)] == [1, 0, -1]
    assert Maximum(LONG, below) == LONG
    assert Maximum(LONG, above, sym.batch) == Maximum(above, sym.batch)
    assert Minimum(LONG, above) == LONG
    assert Minimum(3 * LONG, 2 * LONG, Integer(1)) == 2 * LONG
    assert Active(LONG, EXACT) == Rational(1, 2)
    assert (Active(LONG, above), Active(LONG, below)) == (0, 1)
    assert CeilDiv(LONG + 3, Integer(2)) == 2
    assert (FloorDiv(1 / LONG, Integer(1)), FloorDiv(1 / EXACT, Integer(1))) == (
        (1 / EXACT).floor(),
        (1 / EXACT).floor(),
    )
    assert Crossing(-LONG, LONG / 5, Integer(9)) == 5


def test_a_sum_of_maxima_with_long_powers_is_exact() -> None:
    at = (Integer(10), LONG, 1 - LONG, Integer(4), LONG / 7)
    exact = SumMax(*(arg.doit() for arg in at))
    assert SumMax(*at).doit() == exact
    assert exact == sum(max(EXACT + (1 - EXACT) * i, 4 + EXACT / 7 * i) for i in range(10))


def test_binding_leaves_a_power_of_a_large_batch_closed() -> None:
    read = Routing().distinct(Integer(256), Integer(8), sym.batch)
    bound = sym.bind(sym.hidden * read, {"batch": 131072})
    assert str(bound) == "hidden*(256 - 256*(31/32)**131072)"
    assert replaced(read, {sym.batch: Integer(2)}) == 256 - 256 * BASE**2
    assert written(bound) == sym.hidden * (256 - 256 * BASE**131072)
    assert same(bound, sym.hidden * (256 - 256 * BASE**131072)) == "equal"


@pytest.mark.parametrize("prompt", [129, 4096, 32768])
def test_a_forecast_with_a_closed_power_equals_the_one_written_out(prompt: int) -> None:
    """The one written out: the formula in a symbolic prompt, bound exactly."""
    model, device = ls.load_model("deepseek-v3"), ls.load_hardware("h100")
    number = ls.forecast(model, device, prompt, 16, 1, chunk=None)
    formula = ls.forecast(model, device, sym.prompt, 16, 1)
    exact = formula.ttft.expr.xreplace({sym.prompt: Integer(prompt)}).doit()
    assert number.ttft.expr.doit() == exact
    assert exact.is_Rational
    assert float(number.ttft) == pytest.approx(float(exact), rel=1e-15)
    assert not DIGITS.search(str(number.ttft.expr))


def test_questions_of_a_closed_formula_have_the_answers_of_the_one_written_out() -> None:
    model, device = ls.load_model("mixtral-8x7b"), ls.load_hardware("h100")
    closed = ls.forecast(model, ls.Hardware.symbolic(), 1000, 16, 1).ttft
    assert closed.expr.has(LongPower)
    point = device.numbers(load_format("bf16")) | {sym.dispatch_time: Integer(0)}
    plain = written(closed.expr)
    assert local_elasticities(closed, point) == local_elasticities(plain, point)
    target = written(closed.expr.xreplace(point)) * Rational(11, 10)
    one, two = (
        design(each, "bandwidth", point, at_most=target, between=(10**9, 10**14))
        for each in (closed, plain)
    )
    assert one.solution == two.solution
    assert one.achieved == target
    assert not DIGITS.search(str(branch_at(closed.expr, point).conditions))
    grid = np.geomspace(1e11, 1e13, 5)
    found = regime_map(closed, ("bandwidth", "peak"), grid, grid * 100, point)
    assert found.ids.shape == (5, 5)


@pytest.mark.parametrize("form", ["text", "latex", "markdown", "json"])
@pytest.mark.parametrize("prompt", [4096, 131072])
def test_derive_prints_what_can_be_read(run: CommandLine, form: str, prompt: int) -> None:
    done = run(
        *("derive", "deepseek-v3", "--metric", "ttft", "--prompt", prompt),
        *("--batch", 1, "--format", form),
    )
    assert done.returncode == 0, done.stderr
    assert not DIGITS.search(done.stdout)
    shown = f"(31/32)**{prompt}" if form in ("text", "json") else rf"\right)^{{{prompt}}}"
    assert shown in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        "derive {m} --on h100 --metric tps --prompt {p} --batch 512 --generate 64",
        "derive {m} --metric latency --prompt {p} --batch 2 --generate 9 --chunk 1000",
        "forecast {m} --on h100 --prompt {p} --generate 16 --chunk 1000 --json",
        "export {m} --on h100 --args bandwidth --metric ttft --prompt {p} --generate 9",
        "sensitivity {m} --on h100 --prompt {p} --generate 16 --metric ttft",
        "regimes {m} --on h100 --prompt {p} --generate 16 --metric ttft --over bandwidth",
        "regimes {m} --on h100 --prompt {p} --generate 16 --metric ttft --over bandwidth,peak",
        "crossover {m} --on h100 --prompt {p} --generate 16 --metric ttft --over bandwidth",
        "design {m} --on h100 --prompt {p} --generate 9 --over bandwidth --metric ttft --at-most 9",
    ],
)
def test_commands_take_long_prompts_of_expert_models(run: CommandLine, command: str) -> None:
    done = run(*command.format(m="mixtral-8x7b", p=32768).split())
    assert done.returncode == 0, done.stderr
    assert not DIGITS.search(re.sub(r"\s", "", done.stdout))
