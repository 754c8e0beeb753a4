"""Build times as ratios of one run: formulas against `simplify`, depth, imports, --help.

Run: python benchmarks/build.py
"""

import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import sympy
from sympy import Expr, preorder_traversal

import lifesym as ls
from lifesym import symbols as sym
from lifesym.nodes import Maximum


def timed(action: Callable[[], object], runs: int = 5) -> float:
    """Median seconds of several runs."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def paired(command: list[str], other: list[str], runs: int = 9) -> float:
    """Median ratio of the wall times of two commands, run in turn."""

    def once(argv: list[str]) -> float:
        return timed(lambda: subprocess.run(argv, check=True, capture_output=True), runs=1)

    once(command), once(other)
    return median(once(command) / once(other) for _ in range(runs))


def nodes(expr: Expr) -> int:
    """Nodes of the expression tree."""
    return sum(1 for _ in preorder_traversal(expr))


def build(name: str) -> tuple[Expr, Expr]:
    """Symbolic TTFT and TPOT with every workload and hardware symbol free."""
    model = ls.load_model(name)
    forecast = ls.forecast(model, ls.Hardware.symbolic(), batch=sym.batch)
    return forecast.ttft.expr, forecast.tpot.expr


def fresh(name: str) -> float:
    """Seconds to build the formulas of a model with SymPy's cache empty."""

    def action() -> None:
        sympy.core.cache.clear_cache()
        build(name)

    return timed(action, runs=1)


def main() -> None:
    """Print the table."""
    small, large = "llama-2-7b", "llama-2-70b"
    grouped, deep = "llama-3.1-8b", "llama-3.1-70b"
    chosen = (small, large, grouped, deep)
    expressions = {name: build(name) for name in chosen}
    runs = [{name: fresh(name) for name in chosen} for _ in range(9)]
    for name, (ttft, tpot) in expressions.items():
        print(f"{name:13} TTFT {nodes(ttft)} nodes, TPOT {nodes(tpot)} nodes")
    for one, other, why in (
        (large, small, "grouped queries: other keys than queries"),
        (deep, grouped, "depth alone"),
    ):
        ratio = median(run[one] / run[other] for run in runs)
        print(f"{one} / {other}: build time x{ratio:.2f} ({why})")

    seconds = median(run[small] for run in runs)
    tpot = expressions[small][1]
    for kind, formula in (("", tpot), (", with Max", tpot.replace(Maximum, sympy.Max))):
        sympy.core.cache.clear_cache()
        simplify = timed(lambda formula=formula: sympy.simplify(formula), runs=1)
        print(
            f"symbolic TTFT + TPOT: {seconds * 1e3:.0f} ms; one sympy.simplify of the TPOT{kind}: "
            f"{simplify * 1e3:.0f} ms; ratio {seconds / simplify:.3f} (goal: under 0.2)"
        )

    python = sys.executable
    ratio = paired(
        [python, "-c", "import lifesym, lifesym.forecasting"], [python, "-c", "import sympy, numpy"]
    )
    print(f"import lifesym with the engine / import sympy, numpy: {ratio:.2f} (goal: under 1.3)")
    ratio = paired([python, "-m", "lifesym", "--help"], [python, "-c", "import typer"])
    print(f"lifesym --help / import typer: {ratio:.2f} (goal: under 2)")


if __name__ == "__main__":
    main()
