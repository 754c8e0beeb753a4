"""How programs read as text: a line for each term, names of operators, nothing too wide."""

import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from formulas import MAKERS, formula, points

import lifesym as ls
from lifesym import symbols as sym
from lifesym.codegen import blocked
from lifesym.codegen.languages import TARGETS
from lifesym.codegen.lowering import lower
from lifesym.codegen.python import source

WIDEST = 110
BOX = {"past": (0, 8192), "batch": (1, 64), "bandwidth": (10**11, 10**13)}
TEXTS = ["c", *TARGETS, "js", "python"]


@cache
def text(target: str, low: int = 10**11) -> str:
    """DeepSeek-V2-Lite's decode step on a V100 whose bandwidth is a symbol."""
    device = ls.load_hardware("v100").with_(bandwidth=sym.bandwidth)
    tpot = ls.forecast(ls.load_model("deepseek-v2-lite"), device, batch=sym.batch).tpot
    ranges = BOX | {"bandwidth": (low, BOX["bandwidth"][1])}
    made: Any = ls.compile(tpot, list(BOX), target=target, ranges=ranges, name="f")  # type: ignore[arg-type]
    return str(made if isinstance(made, str) else made.source)


def body(target: str) -> list[str]:
    """The lines of the function's statements."""
    lines = text(target).splitlines()
    start = next(i for i, line in enumerate(lines) if re.search(r"\bt0 = 1.0 / bandwidth", line))
    return lines[start:]


@pytest.mark.parametrize("target", TEXTS)
def test_no_statement_is_too_wide(target: str) -> None:
    said = "///", "//", " *", '    """', "    Made by", "    Bound by"
    lines = [line for line in text(target).splitlines() if not line.startswith(said)]
    assert max(map(len, lines)) <= WIDEST
    assert len(body(target)) > 20


@pytest.mark.parametrize("target", sorted({*TEXTS} - {"swift"}))
def test_a_long_sum_has_a_term_a_line(target: str) -> None:
    """Each term begins or ends with the only sign outside its parentheses."""
    lines = body(target)
    start = next(i for i, line in enumerate(lines) if " total = " in f" {line.strip()}")
    end = next(i for i, line in enumerate(lines) if line.strip().startswith(("return", "Ok(")))
    signs = []
    for line in lines[start:end]:
        code = re.sub(r"//.*|/\*.*?\*/", "", line)
        while (inner := re.sub(r"\([^()]*\)", "", code)) != code:
            code = inner
        signs.append(code.count("+"))
    assert sum(signs) > 10
    assert max(signs) == 1


def test_terms_say_whose_they_are_and_what_binds_them() -> None:
    lines = [line.strip() for line in body("c")]
    assert "+ t0 * (27.0 * (1024.0 + batch * 2048.0)) /* attn_kv_a_norm: memory */" in lines
    place = lines.index("+ t0 * (batch * 1679360.0)")
    assert lines[place - 2].startswith("/* embedding, attn_rope, kv_append,")
    assert lines[place - 1].endswith("memory */")
    assert "const double attn_core_compute = t2 * 2.8464264968152867e-10;" in lines
    assert "/* mlp_gate, mlp_up, mlp_down */" in lines
    assert "const double mlp_gate_time = mlp_gate_compute > mlp_gate_memory" in lines
    assert "+ 27.0 * attn_q_time" in lines
    assert "_time = " not in text("js")


def test_a_number_below_zero_is_taken_away() -> None:
    made = ls.compile((sym.past - 1) * (2 - sym.batch), ["past", "batch"], target="python")
    assert "return (past - 1.0) * (2.0 + batch * (-1.0))" in made.source


def test_every_operation_is_written_once() -> None:
    """As many sums and products as the program has."""
    for name in MAKERS:
        expr, box = formula(name)
        program = lower([expr], list(box))
        if any(op.kind not in ("const", "arg", "add", "mul", "max", "min") for op in program.ops):
            continue
        written = source(program, "f", [symbol.name for symbol in box], "", [])
        for kind, signs in (("add", " [+-] "), ("mul", r" \* ")):
            found = len(re.findall(signs, written))
            assert found == sum(op.kind == kind for op in program.ops), name


@pytest.mark.parametrize("name", MAKERS)
def test_terms_are_added_in_the_order_of_the_program(name: str) -> None:
    """To the bit, but for powers, which Python and NumPy round differently."""
    expr, box = formula(name)
    program = lower([expr], list(box))
    columns = [column[:200] for column in points(name)]
    (expected,) = blocked.evaluate(program, columns)
    function = ls.compile(expr, list(box), target="python")
    found = [function(*map(int, row)) for row in zip(*columns, strict=True)]
    if any(op.kind in ("pow", "sum") for op in program.ops):
        np.testing.assert_allclose(found, expected, 1e-14)
    else:
        assert found == expected.tolist()
