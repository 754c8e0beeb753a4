"""Speed of compiled formulas, as ratios measured in one run.

``python benchmarks/compile.py [POINTS]``: concrete Llama-2-7B TTFT in prompt and batch, against
plain ``sympy.lambdify`` and against the memory bound ``np.add(a, b, out=c)``; a scalar call
against the formula written by hand.
"""

import sys
import timeit
from collections.abc import Callable

import numpy as np
from sympy import lambdify

import lifesym as ls
from lifesym import symbols as sym

ARGS = [sym.prompt, sym.batch]


def best(call: Callable[[], object], repeat: int = 7) -> float:
    """The shortest of several runs, in seconds."""
    return min(timeit.repeat(call, number=1, repeat=repeat))


def by_hand(past: float, batch: float) -> float:
    """A decode step of Llama-2-7B on a V100, as one would write it with the totals at hand."""
    tokens = batch * (past + 1)
    qk = max(tokens * 6.757421656050955e-11, 9.1e-9 * batch + tokens * 9.1e-9)
    av = max(tokens * 6.5536e-11, 9.1e-9 * batch + tokens * 9.1e-9)
    gate = max(batch * 7.2e-7, 1e-4 + batch * 3.4e-8)
    down = max(batch * 7.2e-7, 1e-4 + batch * 3.4e-8)
    square = max(batch * 2.7e-7, 3.7e-5 + batch * 1.8e-8)
    head = max(batch * 2.1e-6, 2.9e-4 + batch * 8e-8)
    softmax = max(tokens * 1e-11, tokens * 1.4e-10)
    act = max(batch * 3.5e-9, batch * 7.3e-8)
    norm = max(batch * 1e-9, 9.1e-9 + batch * 1.8e-8)
    rest = max(batch * 5.2e-10, batch * 2.7e-8) + max(batch * 1.5e-9, batch * 1.8e-8)
    layer = qk + av + 2 * gate + down + 4 * square + softmax + act + 2 * norm + rest
    return 32 * layer + head + norm + batch * 9.1e-9


def main() -> None:
    """Print the ratios."""
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000_000
    model, device = ls.load_model("llama-2-7b"), ls.load_hardware("v100")
    f = ls.forecast(model, device, batch=sym.batch, generate=2)
    rng = np.random.default_rng(0)
    a = rng.integers(1, 4097, points).astype(float)
    b = rng.integers(1, 65, points).astype(float)
    out = np.empty_like(a)
    functions = {
        "lambdify": lambdify(ARGS, f.ttft.expr, "numpy"),
        "numpy": ls.compile(f.ttft, ARGS),
        "native": ls.compile(f.ttft, ARGS, target="native"),
    }
    for function in functions.values():
        function(a[:9], b[:9])
    added = best(lambda: np.add(a, b, out=out))
    times = {name: best(lambda fn=fn: fn(a, b)) for name, fn in functions.items()}
    print(f"TTFT of Llama-2-7B in prompt and batch, {points:,} points")
    for name, seconds in times.items():
        print(
            f"  {name:9} {seconds:8.4f} s   {times['lambdify'] / seconds:6.1f} x lambdify   "
            f"{added / seconds:5.2f} x np.add"
        )
    step = ls.compile(f.tpot, [sym.past, sym.batch], target="python")
    scalar = [
        min(timeit.repeat(lambda g=g: g(777.0, 4.0), number=100_000)) for g in (step, by_hand)
    ]
    print(f"a scalar call of the Python target: {scalar[0] / scalar[1]:.2f} x written by hand")


if __name__ == "__main__":
    main()
