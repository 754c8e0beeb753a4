"""Normal forms with proofs, names for parts, asymptotics."""

import random

import pytest
from sympy import Add, Expr, Integer, Rational, Symbol, fraction, lambdify, oo

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import leading, let, same, threshold, tidy
from lifesym.named import unfold
from lifesym.nodes import CeilDiv, Maximum, Minimum

F = ls.forecast(ls.Model.symbolic("llama"), ls.Hardware.symbolic(), batch=sym.batch)
V100 = ls.load_hardware("v100")
DEVICE = V100.numbers(V100.default_format)


@pytest.mark.parametrize("metric", ["tpot", "ttft", "memory"])
def test_a_tidy_formula_is_proven_equal_and_shorter(metric: str) -> None:
    quantity = getattr(F, metric)
    done = tidy(quantity)
    assert done.original == quantity.expr
    assert done.history
    assert done.history[0].before == quantity.expr
    assert done.history[-1].after == done.expr
    assert done.proof() == "equal"
    if metric != "memory":
        assert done.expr.count_ops() < quantity.expr.count_ops()
    rng = random.Random(1)
    for _ in range(5):  # the independent check: exact numbers
        values = {s: Integer(rng.randint(1, 10**4)) for s in quantity.expr.free_symbols}
        assert done.expr.xreplace(values) == quantity.expr.xreplace(values)


def test_times_keep_work_over_rate() -> None:
    """Every argument of every maximum is a sum of F/(e_c P), F/(e_c P_v) and Q/(e_m BW)."""
    rates = {
        sym.compute_efficiency * sym.peak,
        sym.compute_efficiency * sym.vector_peak,
        sym.memory_efficiency * sym.bandwidth,
    }
    nodes = tidy(F.tpot).expr.atoms(Maximum)
    assert len(nodes) == len(F.tpot.expr.atoms(Maximum))
    for node in nodes:
        for arg in node.args:
            for term in Add.make_args(arg):
                numerator, denominator = fraction(term)
                assert denominator in rates
                assert not numerator.free_symbols & {sym.peak, sym.vector_peak, sym.bandwidth}


def test_flops_in_paper_order() -> None:
    flops = F.trace(sym.new, sym.past).cost_at(F.precision).matmul_flops
    done = tidy(flops)
    assert done.proof() == "equal"
    assert 2 * sym.batch * sym.hidden * sym.vocab in done.expr.args


def test_a_wrong_rewrite_is_found_out() -> None:
    done = tidy(F.tpot).rewrite("lose a factor of two", lambda expr: 2 * expr)
    assert done.proof() == "different"
    assert done.rewrite("nothing", lambda expr: expr).history == done.history


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        (sym.batch * (sym.past + 1), sym.batch * sym.past + sym.batch, "equal"),
        (1 / (sym.batch + 1) + 1, (sym.batch + 2) / (sym.batch + 1), "equal"),
        (Maximum(2 * sym.past, 2 * sym.batch), 2 * Maximum(sym.past, sym.batch), "equal"),
        (
            Maximum(sym.past, sym.batch) + Minimum(sym.past, sym.batch),
            sym.past + sym.batch,
            "equal",
        ),
        (Maximum(sym.past, sym.batch), Maximum(sym.past, sym.batch + 1), "different"),
        (CeilDiv(2 * sym.past, 2 * sym.page), CeilDiv(sym.past, sym.page), "undecided"),
        (
            Maximum(sym.past, sym.batch, sym.page) + 1,
            Maximum(sym.past + 1, sym.batch + 1, sym.page + 1),
            "undecided",
        ),
    ],
)
def test_equality_has_three_answers(first: Expr, second: Expr, verdict: str) -> None:
    assert same(first, second) == verdict
    assert same(second, first) == verdict


def test_names_fold_a_formula_and_unfold_it_exactly() -> None:
    moved = (
        2 * sym.batch * sym.hidden
        + 2 * sym.batch * sym.intermediate
        + 2 * sym.hidden * sym.intermediate
    )
    rate = 1 / (sym.bandwidth * sym.memory_efficiency)
    short = let(F.tpot, {"Q_mlp": moved, "t_byte": rate})
    assert short.unfold() == F.tpot.expr
    assert [row.label for row in short.rows] == [row.label for row in F.tpot.rows()]
    assert unfold(Add(*(row.value for row in short.rows))) == Add(*(r.value for r in F.tpot.rows()))
    assert len(str(short.expr)) < 0.9 * len(str(F.tpot.expr))
    assert "Q_mlp" in short.lines("TPOT")[0]
    assert short.lines()[1] == f"Q_mlp = {moved}"
    assert short.expr.free_symbols == F.tpot.expr.free_symbols
    assert r"Q_{\mathrm{mlp}}" in ls.latex(short.expr)
    assert short._repr_latex_().startswith("$$")


def test_a_folded_formula_has_the_same_value_and_derivative() -> None:
    short = let(F.memory, {"heads_kv": sym.kv_heads * sym.head_dim})
    values = {s: Integer(i + 2) for i, s in enumerate(sym.ordered(F.memory.expr.free_symbols))}
    assert short.expr.xreplace(values) == F.memory.expr.xreplace(values)
    slope = short.expr.diff(sym.head_dim)
    assert slope.xreplace(values) == F.memory.expr.diff(sym.head_dim).xreplace(values) != 0


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"w": sym.rank + 1}, "does not contain"),
        ({"batch": sym.hidden * sym.vocab}, "cannot be a name"),
        ({"a b": sym.hidden * sym.vocab}, "cannot be a name"),
    ],
)
def test_bad_names_get_clear_answers(names: dict[str, Expr], message: str) -> None:
    with pytest.raises(ls.SymbolError, match=message):
        let(F.tpot, names)


@pytest.mark.parametrize(
    ("quantity", "over", "degree"),
    [
        (F.tpot, "past", 1),
        (F.tpot, "batch", 1),
        (F.tpot, "bandwidth", 0),
        (F.tpot, "layers", 1),
        (F.tpot, "intermediate", 1),
        (F.ttft, "prompt", 2),
        (F.memory, "hidden", 1),
        (
            ls.forecast(
                ls.load_model("mixtral-8x7b"), ls.Hardware.symbolic(), batch=sym.batch
            ).tpot,
            "batch",
            1,
        ),
        (ls.forecast(ls.load_model("mistral-7b-v0.1"), ls.Hardware.symbolic()).tpot, "past", 0),
    ],
)
def test_leading_terms_are_the_limit_of_the_ratio(
    quantity: ls.Result, over: str, degree: int
) -> None:
    """Evaluated exactly, far out: the ratio of the formula to its leading term goes to 1."""
    found = leading(quantity, over)
    assert found.degree == degree
    assert not found.coefficient.has(found.symbol)
    values: dict[Symbol, Expr] = {s: Integer(1000) for s in quantity.expr.free_symbols}
    values |= {s: v for s, v in DEVICE.items() if s in values}
    gaps = []
    ratio = (quantity.expr / found.expr).xreplace(
        {s: v for s, v in values.items() if s != found.symbol}
    )
    call = lambdify([found.symbol], ratio, "math")
    for far in (1e9, 1e12) if over != "bandwidth" else (1e19, 1e22):
        gaps.append(abs(call(far) - 1))
    assert gaps[1] < 1e-2
    assert gaps[1] <= gaps[0] / 5 or gaps[0] == 0


def test_order_and_limit() -> None:
    assert leading(F.ttft, "prompt").theta == "Θ(prompt**2)"
    assert leading(F.ttft, "prompt").limit is oo
    assert leading(sym.past / sym.bandwidth, "bandwidth").limit == 0
    assert leading(F.tpot, "bandwidth").limit.xreplace({sym.dispatch_time: Integer(0)}) != 0
    assert leading(CeilDiv(sym.prompt, sym.chunk), "prompt").expr == sym.prompt / sym.chunk


def test_the_threshold_is_where_the_error_falls_below_the_bound() -> None:
    f = ls.forecast(ls.load_model("llama-2-7b"), ls.Hardware.symbolic())
    start = threshold(f.ttft, "prompt", DEVICE, within=Rational(1, 10))
    ratio = sym.bind(leading(f.ttft, "prompt").expr / f.ttft.expr, DEVICE)
    gap = abs(ratio.xreplace({sym.prompt: start}).evalf(40) - 1)
    assert abs(gap - Rational(1, 10)) < Rational(1, 10**30)
    for factor in (2, 10, 1000):
        later = ratio.xreplace({sym.prompt: start * factor})
        assert abs(float(later.evalf(20)) - 1) < 0.1
    assert abs(float(ratio.xreplace({sym.prompt: start / 2}).evalf(20)) - 1) > 0.1


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: leading(F.tpot, "rank"), "does not depend on rank"),
        (
            lambda: leading(sym.past - sym.past * sym.batch / sym.batch + sym.batch, "past"),
            "does not depend",
        ),
        (lambda: leading(sym.batch**sym.past, "past"), "bind its base"),
        (lambda: threshold(sym.past + 10**9, "past", up_to=10**6), "up to 1000000"),
    ],
)
def test_bad_questions_get_clear_answers(ask: object, message: str) -> None:
    with pytest.raises(ls.LifesymError, match=message):
        ask()  # type: ignore[operator]


def test_a_product_in_a_denominator_has_a_name() -> None:
    folded = let(F.tpot, {"attained": sym.bandwidth * sym.memory_efficiency})
    assert "bandwidth" not in folded.lines()[0]
    assert "/attained" in folded.lines()[0]
    assert folded.unfold() == F.tpot.expr
