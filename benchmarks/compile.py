"""Speed of compiled formulas, as ratios measured in one run.

``python benchmarks/compile.py [POINTS]``: concrete Llama-2-7B TTFT in prompt and batch, against
plain ``sympy.lambdify`` and against the memory bound ``np.add(a, b, out=c)``; a scalar call
against the formula written by hand.
"""

import sys
import timeit
from collections.abc import Callable
from typing import Any

import numpy as np
from sympy import lambdify

import lifesym as ls
from lifesym import symbols as sym

ARGS = [sym.prompt, sym.batch]


def rounds(calls: dict[str, Callable[[], object]], repeat: int, number: int = 1) -> Any:
    """Seconds of every call in every round; calls take turns, so that a busy machine slows all."""
    times = [
        [timeit.timeit(call, number=number) / number for call in calls.values()]
        for _ in range(repeat)
    ]
    return dict(zip(calls, np.array(times).T, strict=True))


def ratios(times: Any, of: str, to: str) -> str:
    """How much faster one is than another: shortest times, and the median of the rounds."""
    shortest = times[to].min() / times[of].min()
    return f"{shortest:6.2f} x {to} (median {np.median(times[to] / times[of]):.2f})"


def by_hand(past: float, batch: float) -> float:
    """A decode step of Llama-2-7B on a V100: the formula's own maxima, as one would type them."""
    cache = 5.825422222222223e-07 * batch * (past + 1.0)
    small = 5.916444444444445e-07 + 8.219306666666667e-06 * batch
    wide = 6.9256347648e-05 * batch
    wide_bytes = 0.009618937173333333 + 3.2221866666666666e-06 * batch
    square = 3.4359738368e-05 * batch
    square_bytes = 0.004772185884444445 + 2.330168888888889e-06 * batch
    head = 2.097152e-06 * batch
    head_bytes = 0.0002912711111111111 + 8.021333333333333e-08 * batch
    return (
        (head if head > head_bytes else head_bytes)
        + (square if square > square_bytes else square_bytes)
        + (wide if wide > wide_bytes else wide_bytes)
        + cache
        + small
    )


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
    calls = {name: lambda fn=fn: fn(a, b) for name, fn in functions.items()}
    times = rounds({"np.add": lambda: np.add(a, b, out=out), **calls}, repeat=9)
    print(f"TTFT of Llama-2-7B in prompt and batch, {points:,} points")
    for name in functions:
        compared = "   ".join(ratios(times, name, each) for each in ("lambdify", "np.add"))
        print(f"  {name:9} {times[name].min():8.4f} s   {compared}")
    step = ls.compile(f.tpot, [sym.past, sym.batch], target="python")
    for past, batch in ((0.0, 1.0), (777.0, 4.0), (4000.0, 300.0)):
        assert abs(step(past, batch) / by_hand(past, batch) - 1) < 1e-12  # the same formula
    both = {"python": step, "written by hand": by_hand}
    scalar = rounds(
        {name: lambda fn=fn: fn(777.0, 4.0) for name, fn in both.items()}, repeat=15, number=20_000
    )
    python, hand = scalar.values()
    print(
        f"a scalar call of the Python target: {python.min() / hand.min():.2f} x the time of one "
        f"written by hand (median {np.median(python / hand):.2f})"
    )


if __name__ == "__main__":
    main()
