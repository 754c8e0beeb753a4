"""What would leave single precision on the way to its result is scaled, and stays in bounds."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_c import called, needs_gcc
from exact_values import Exact
from sympy import Integer, Rational

import lifesym as ls
from lifesym import symbols as sym
from lifesym.codegen.lowering import lower
from lifesym.codegen.ranges import FLOAT, error_bound
from lifesym.codegen.scaling import fitted
from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, Maximum

TEN = Integer(10)
PROMPT, RATE, BATCH = (sym.prompt, (1e3, 1e6)), (sym.bandwidth, (1e9, 1e13)), (sym.batch, (1, 1e5))
CASES = {
    "large product": (
        Maximum(sym.batch**3 * sym.prompt**4 / sym.bandwidth, sym.prompt / sym.bandwidth) / TEN**12,
        [PROMPT, RATE, (sym.batch, (1e3, 1e5))],
    ),
    "small constant": (sym.prompt**2 * sym.batch / TEN**46, [PROMPT, (sym.batch, (1e3, 1e5))]),
    "subnormal reciprocals": (
        TEN**25 * sym.prompt**5 / sym.bandwidth**4 + 1 / sym.bandwidth**3,
        [PROMPT, RATE],
    ),
    "large divisor": (10**39 / (sym.prompt * TEN**30 + sym.batch), [PROMPT, BATCH]),
    "rounded": (
        CeilDiv(sym.prompt * TEN**36, 3 * TEN**36) * sym.batch**9 / TEN**20,
        [PROMPT, BATCH],
    ),
    "choice": (
        Maximum(TEN**30 * sym.prompt**3, TEN**40 * sym.batch).diff(sym.prompt) / TEN**30
        + TEN**14,  # a bound of more than 1 % of the result is refused
        [PROMPT, BATCH],
    ),
}


def spread(low: float, high: float, seed: int) -> np.ndarray:
    """Whole single-precision numbers of every size in a range, its ends among them."""
    shares = np.random.default_rng(seed).uniform(0, 1, 300)
    found = np.rint(low * (high / low) ** shares).astype(np.float32)
    found[:2] = low, high
    return found.clip(low, high)


@needs_gcc
@pytest.mark.parametrize("name", CASES)
def test_what_would_overflow_is_scaled(name: str, tmp_path: Path) -> None:
    expr, sides = CASES[name]
    box = dict(sides)
    with pytest.raises(SymbolError, match=r"leaves the range of float|too small for float"):
        error_bound(lower([expr], list(box)), box, FLOAT)
    header = ls.compile(expr, list(box), target="c", precision="float", ranges=box)
    _, (bound,) = fitted(lower([expr], list(box)), box, FLOAT)
    assert str(bound) in header
    columns = [spread(*ends, seed) for seed, ends in enumerate(box.values())]
    columns[0][1] = columns[0][0]  # smallest with largest, too
    found = called(tmp_path, header, columns, "float")
    value: Any = Exact(expr)
    for i, made in enumerate(found):
        at = {s: Fraction(float(column[i])) for s, column in zip(box, columns, strict=True)}
        true = Fraction(value(at))
        assert abs(Fraction(float(made)) - true) <= bound.value * (
            abs(true) if bound.relative else 1
        )
    assert bound.value < (3e-6 if name != "choice" else 1e-2)


def test_what_fits_is_left_alone() -> None:
    box = {sym.prompt: (1, 4096)}
    program = lower([3 * sym.prompt**2 + Rational(1, 7)], list(box))
    assert fitted(program, box, FLOAT)[0] is program
