"""Twenty formulas of every kind for the compiled targets, and exact values to hold them to."""

from collections.abc import Callable
from functools import cache, reduce
from math import lcm
from typing import Any

import numpy as np
from sympy import Add, Expr, Mul, Pow, Rational, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.levels import Level
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.remainders import ChunksBefore, LastChunk
from lifesym.serving import speculate
from lifesym.sums import Crossing, SumMax
from lifesym.transforms import CachePolicy

Formula = tuple[Expr, dict[Symbol, tuple[int, int]]]
PAST = {sym.past: (0, 8000), sym.batch: (1, 64)}
PROMPT = {sym.prompt: (1, 4096), sym.batch: (1, 64)}
LENGTHS = {sym.prompt: (1, 4096), sym.generated: (2, 2000)}
POINTS = 10_000


def forecast(model: str = "llama-2-7b", on: str = "v100", **options: Any) -> ls.Forecast:
    return ls.forecast(ls.load_model(model), ls.load_hardware(on), **options)


def _batched(model: str, on: str = "v100", **options: Any) -> ls.Forecast:
    return forecast(model, on, batch=sym.batch, **options)


def _drafted() -> Expr:
    return speculate(_batched("llama-2-7b"), _batched("tinyllama-1.1b"), 4, 0.8).tpot.expr


MAKERS: dict[str, Callable[[], Formula]] = {
    "dense TTFT": lambda: (_batched("llama-2-7b").ttft.expr, PROMPT),
    "dense TPOT": lambda: (_batched("llama-2-7b").tpot.expr, PAST),
    "mean TPOT": lambda: (forecast().tpot.mean.expr, LENGTHS),
    "latency": lambda: (forecast("llama-3.1-8b", "h100").latency.expr, LENGTHS),
    "memory": lambda: (forecast("qwen2.5-7b").memory.expr, LENGTHS),
    "energy": lambda: (forecast("tinyllama-1.1b").energy.expr, LENGTHS),
    "window TPOT": lambda: (_batched("mistral-7b-v0.1").tpot.expr, PAST),
    "window mean": lambda: (forecast("gemma-2-9b", "a100").tpot.mean.expr, LENGTHS),
    "exact causal": lambda: (_batched("mistral-7b-v0.1", causal="exact").ttft.expr, PROMPT),
    "MoE TPOT": lambda: (_batched("mixtral-8x7b", "h100").tpot.expr, PAST),
    "MoE sharded": lambda: (
        _batched("mixtral-8x7b", "h100", expert_parallel=4).tpot.expr,
        {sym.past: (0, 8000), sym.batch: (1, 16)},
    ),
    "MLA TPOT": lambda: (_batched("deepseek-v2", "h200-sxm").tpot.expr, PAST),
    "MLA expanded": lambda: (
        _batched("deepseek-v2-lite", "a100", mla="expand", routing="all").ttft.expr,
        PROMPT,
    ),
    "chunked": lambda: (
        forecast(chunk=sym.chunk).ttft.expr,
        {sym.prompt: (1, 8000), sym.chunk: (16, 2048)},
    ),
    "chunked window": lambda: (
        forecast("mistral-7b-v0.1", chunk=sym.chunk, engine="eager").ttft.expr,
        {sym.prompt: (1, 20000), sym.chunk: (16, 2048)},
    ),
    "sharded": lambda: (_batched("llama-2-70b", "a100", tensor_parallel=8).ttft.expr, PROMPT),
    "int4, budget, pages": lambda: (
        _batched(
            "llama-2-7b", weights="int4-g128", kv="int8", cache=CachePolicy(budget=700, page=48)
        ).tpot.expr,
        PAST,
    ),
    "tiles": lambda: (_batched("llama-2-7b", fusion="flash", tile=75).ttft.expr, PROMPT),
    "speculative": lambda: (_drafted(), PAST),
    "offloaded": lambda: (
        _batched(
            "tinyllama-1.1b",
            levels=[Level(name="host", bandwidth=16 * 10**9, weights=Rational(1, 3), kv=1)],
        ).tpot.expr,
        PAST,
    ),
}


@cache
def formula(name: str) -> Formula:
    expr, box = MAKERS[name]()
    return expr, dict(box)


@cache
def points(name: str) -> tuple[np.ndarray, ...]:
    """Whole numbers in the box, its corners among them."""
    _, box = formula(name)
    rng = np.random.default_rng(len(name))
    columns = [rng.integers(low, high + 1, POINTS) for low, high in box.values()]
    for i, (low, high) in enumerate(box.values()):
        columns[i][:4] = [low, high, low, high][:4] if i else [low, low, high, high]
    return tuple(columns)


@cache
def exact(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The exact values at the points of a formula."""
    expr, box = formula(name)
    return exactly(expr, dict(zip(box, points(name), strict=True)))


def exactly(expr: Expr, at: dict[Symbol, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Exact values at whole numbers, by a walk over the expression, as sums of two doubles.

    The first is the nearest double, the second what is left: together they are off by 2**-106.
    """
    values = {s: (np.array([int(n) for n in column], dtype=object), 1) for s, column in at.items()}
    above, below = _walk(expr, values, {})
    above, below = np.broadcast_arrays(above, np.asarray(below, dtype=object))
    nearest = np.array([n / d for n, d in zip(above, below, strict=True)])
    parts = (x.as_integer_ratio() for x in nearest.tolist())
    rest = [(n * q - p * d) / (d * q) for n, d, (p, q) in zip(above, below, parts, strict=True)]
    return nearest, np.array(rest)


Ratio = tuple[Any, Any]
"""Whole numbers above and below a line: of all points, and of all points or one for all."""


def _sum(a: Ratio, b: Ratio) -> Ratio:
    (n, d), (p, q) = _alike(a, b)
    assert d is q
    return n + p, d


def _alike(a: Ratio, b: Ratio) -> tuple[Ratio, Ratio]:
    """Two ratios above one line."""
    (n, d), (p, q) = a, b
    if d is q:
        return a, b
    both = lcm(d, q) if isinstance(d, int) and isinstance(q, int) else d * q
    return (n * (both // d), both), (p * (both // q), both)


def _extreme(choose: Callable[..., Any]) -> Callable[[Ratio, Ratio], Ratio]:
    def rule(a: Ratio, b: Ratio) -> Ratio:
        (n, d), (p, _) = _alike(a, b)
        return choose(n, p), d

    return rule


def _power(a: Ratio, b: Ratio) -> Ratio:
    exponent = b[0]
    assert b[1] == 1
    if isinstance(exponent, int) and exponent < 0:
        n, d = a
        assert isinstance(n, int) or (n > 0).all()
        return d**-exponent, n**-exponent
    assert isinstance(exponent, int) or (exponent >= 0).all()
    return a[0] ** exponent, a[1] ** exponent


def _up(a: Ratio, b: Ratio) -> Ratio:
    (n, _), (p, _) = _alike(a, b)
    return -(-n // p), 1


def _down(a: Ratio, b: Ratio) -> Ratio:
    (n, _), (p, _) = _alike(a, b)
    return n // p, 1


def _crossed(p: Ratio, q: Ratio, n: Ratio) -> Ratio:
    """How many of p + q*i, i < n, are negative."""
    (first, _), (step, _) = _alike(p, q)
    assert n[1] == 1
    return _count(first, step, n[0]), 1


def _below(first: int, step: int, n: int) -> int:
    if first >= 0:
        return 0
    return n if step == 0 else min(n, -(first // step))


_count = np.frompyfunc(_below, 3, 1)
_RULES: dict[Any, Callable[..., Ratio]] = {
    Add: _sum,
    Mul: lambda a, b: (a[0] * b[0], a[1] * b[1]),
    Pow: _power,
    Maximum: _extreme(np.maximum),
    Minimum: _extreme(np.minimum),
    CeilDiv: _up,
    FloorDiv: _down,
    Crossing: _crossed,
}


def _walk(expr: Expr, values: dict[Symbol, Ratio], seen: dict[Expr, Ratio]) -> Ratio:
    if expr not in seen:
        seen[expr] = _value(expr, values, seen)
    return seen[expr]


def _value(expr: Expr, values: dict[Symbol, Ratio], seen: dict[Expr, Ratio]) -> Ratio:
    if expr.is_Symbol:
        return values[expr]
    if expr.is_Rational:
        return int(expr.p), int(expr.q)
    if isinstance(expr, SumMax | LastChunk | ChunksBefore):
        return _walk(expr.closed_form(), values, seen)
    parts = [_walk(arg, values, seen) for arg in expr.args]
    rule = _RULES[expr.func]
    return rule(*parts) if expr.func is Crossing else reduce(rule, parts)


def worst(name: str, found: Any) -> float:
    """The largest relative error of some values."""
    return float(np.max(_errors(name, found) / np.abs(exact(name)[0])))


def farthest(name: str, found: Any) -> float:
    """The largest absolute error of some values."""
    return float(np.max(_errors(name, found)))


def _errors(name: str, found: Any) -> np.ndarray:
    """Distances from the exact values; of values close to them they are exact to a double."""
    nearest, rest = exact(name)
    return np.abs((np.asarray(found, dtype=float).ravel() - nearest) - rest)
