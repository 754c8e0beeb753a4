"""What is printed is what is meant: every family's formulas as text, read back and evaluated."""

import random

import pytest
from sympy import Expr, Integer
from sympy.parsing.sympy_parser import parse_expr

import lifesym as ls
from lifesym import symbols as sym
from lifesym.families import FAMILIES
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.report import equation
from lifesym.sums import SumMax

FUNCTIONS = {
    **{"max": Maximum, "min": Minimum, "SumMax": SumMax},
    **{"CeilDiv": CeilDiv, "FloorDiv": FloorDiv},
}
DECODERS = [name for name in sorted(FAMILIES) if "decoder" in ls.Model.symbolic(name).kind]


def numbers(expr: Expr, seed: int) -> dict[Expr, Expr]:
    """Small values, with fewer layers of a kind than layers."""
    random_ = random.Random(seed)
    names = sorted(expr.free_symbols, key=str)
    values = {symbol: Integer(random_.randint(2, 9)) for symbol in names}
    return values | ({sym.layers: Integer(20)} if sym.layers in values else {})


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("metric", ["ttft", "tpot", "memory"])
def test_printed_text_is_the_formula(name: str, metric: str) -> None:
    forecast = ls.forecast(ls.Model.symbolic(name), ls.Hardware.symbolic(), batch=sym.batch)
    result = getattr(forecast, metric)
    lines = equation(result, "text").splitlines()[1:]
    text = " ".join(line.split("    #")[0].strip() for line in lines)
    known = {str(symbol): symbol for symbol in result.expr.free_symbols}
    read = parse_expr(text, local_dict={**known, **FUNCTIONS})
    for seed in range(3):
        values = numbers(result.expr, seed)
        assert read.xreplace(values).doit() == result.expr.xreplace(values).doit()
