"""Analysis as ratios of one run: elasticities against SymPy's own route, and each question's time.

Run: python benchmarks/analysis.py
"""

import time
from collections.abc import Callable
from fractions import Fraction
from statistics import median

import numpy as np
import sympy
from sympy import Expr, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import (
    approximate,
    crossover,
    design,
    elasticities,
    local_elasticities,
    regime_at,
    regime_map,
    regimes,
    tidy,
)
from lifesym.nodes import Maximum

MODELS = {"dense": "llama-2-7b", "experts": "mixtral-8x7b", "latent": "deepseek-v2-lite"}


def timed(action: Callable[[], object], runs: int = 3) -> float:
    """Median seconds of several runs, each with SymPy's cache empty."""
    seconds = []
    for _ in range(runs):
        sympy.core.cache.clear_cache()
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def own_route(expr: Expr, of: list[Symbol]) -> list[Expr]:
    """SymPy's own way to elasticities: `Max`, `diff`, `simplify`."""
    with_max = expr.replace(Maximum, sympy.Max)
    return [sympy.simplify(symbol * sympy.diff(with_max, symbol) / with_max) for symbol in of]


def against_sympy() -> None:
    """All elasticities of symbolic Llama TPOT, by both routes, every symbol measured."""
    model, device = ls.Model.symbolic("llama"), ls.Hardware.symbolic()
    expr = ls.forecast(model, device, batch=sym.batch).tpot.expr
    every = sym.ordered(expr.free_symbols)
    ours = timed(lambda: elasticities(expr))
    with_max = expr.replace(Maximum, sympy.Max)
    without = timed(lambda: [s * sympy.diff(with_max, s) / with_max for s in every])
    theirs = timed(lambda: own_route(expr, every), runs=1)
    print(f"elasticities of symbolic Llama TPOT in all {len(every)} symbols: {1e3 * ours:.0f} ms")
    print(f"  Max, diff, simplify: {theirs:.1f} s, {theirs / ours:.0f} times ours (goal: 20)")
    print(f"  Max, diff, as it comes: {without:.2f} s, {without / ours:.1f} times ours")


def questions(name: str) -> dict[str, float]:
    """Seconds of each question about one model's TPOT."""
    device = ls.load_hardware("v100")
    options = {"activations": "fp16"}
    f = ls.forecast(ls.load_model(name), ls.Hardware.symbolic(), batch=sym.batch, **options)
    int4 = ls.forecast(
        ls.load_model(name), ls.Hardware.symbolic(), batch=sym.batch, weights="int4-g128", **options
    )
    tpot, other = f.tpot, int4.tpot
    point = device.numbers(device.default_format) | {sym.dispatch_time: sym.exact(4e-6)}
    here = {**point, sym.batch: 16, sym.past: 2048}
    line = {s: v for s, v in here.items() if s != sym.batch}
    x, y = np.geomspace(1, 1000, 200), np.linspace(0, 16384, 200)
    box = {"batch": (1, 64), "past": (0, 4096)}
    context = {s: v for s, v in here.items() if s != sym.past}
    seconds = {
        "elasticities, formulas": timed(lambda: elasticities(tpot)),
        "elasticities at a point": timed(lambda: local_elasticities(tpot, here)),
        "regime at a point": timed(lambda: regime_at(tpot, here)),
        "regimes over the batch": timed(lambda: regimes(tpot, "batch", (1, 1000), line)),
        "regimes on a 200x200 grid": timed(
            lambda: regime_map(tpot, ("batch", "past"), x, y, point)
        ),
        "int4 against fp16": timed(lambda: crossover(other, tpot, "batch", (1, 1000), line)),
        "context for a target": timed(
            lambda: design(tpot, "past", context, at_most=2 * sym.bind(tpot.expr, here))
        ),
        "certified 3-term formula": timed(lambda: approximate(tpot, box, point, keep=3)),
        "normal form": timed(lambda: tidy(tpot)),
        "its proof": timed(lambda: tidy(tpot).proof()),
    }
    assert local_elasticities(tpot, here)[0].value >= Fraction(-1)
    return seconds


def main() -> None:
    """Print the tables."""
    against_sympy()
    columns = {kind: questions(name) for kind, name in MODELS.items()}
    print(f"\n{'milliseconds':28}" + "".join(f"{MODELS[kind]:>18}" for kind in columns))
    for row in columns["dense"]:
        cells = "".join(f"{1e3 * column[row]:18.0f}" for column in columns.values())
        print(f"{row:28}{cells}")


if __name__ == "__main__":
    main()
