"""Twenty formulas of every kind for the compiled targets, and exact values to hold them to."""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from sympy import Add, Expr, Mul, Pow, Rational, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.levels import Level
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
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
        forecast("mistral-7b-v0.1", chunk=sym.chunk).ttft.expr,
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
def exact(name: str) -> np.ndarray:
    """The exact values: fractions, by a walk over the expression itself."""
    expr, box = formula(name)
    fractions = np.frompyfunc(lambda n: Fraction(int(n)), 1, 1)
    values = {s: fractions(c) for s, c in zip(box, points(name), strict=True)}
    return np.asarray(_walk(expr, values, {}), dtype=object)


_maximum = np.frompyfunc(max, 2, 1)
_minimum = np.frompyfunc(min, 2, 1)
_power = np.frompyfunc(lambda a, b: a ** int(b), 2, 1)
_up = np.frompyfunc(lambda a, b: Fraction(-((-a) // b)), 2, 1)
_down = np.frompyfunc(lambda a, b: Fraction(a // b), 2, 1)


def _crossed(p: Fraction, q: Fraction, n: Fraction) -> Fraction:
    return Fraction(0) if p >= 0 else _below(p, q, n)


def _below(p: Fraction, q: Fraction, n: Fraction) -> Fraction:
    """How many of p + q*i, i < n, are negative."""
    return n if q == 0 else min(n, Fraction(-(p // q)))


_cross = np.frompyfunc(_crossed, 3, 1)


def _walk(expr: Expr, values: dict[Symbol, Any], seen: dict[Expr, Any]) -> Any:
    if expr not in seen:
        seen[expr] = _value(expr, values, seen)
    return seen[expr]


def _value(expr: Expr, values: dict[Symbol, Any], seen: dict[Expr, Any]) -> Any:
    if expr.is_Symbol:
        return values[expr]
    if expr.is_Rational:
        return Fraction(int(expr.p), int(expr.q))
    if isinstance(expr, SumMax):
        return _walk(expr.closed_form(), values, seen)
    if expr.is_Function or isinstance(expr, Add | Mul | Pow):
        parts = [_walk(arg, values, seen) for arg in expr.args]
        rule = {
            Add: lambda a, b: a + b,
            Mul: lambda a, b: a * b,
            Pow: _power,
            Maximum: _maximum,
            Minimum: _minimum,
            CeilDiv: _up,
            FloorDiv: _down,
        }.get(type(expr))
        if isinstance(expr, Crossing):
            return _cross(*parts)
        assert rule is not None, expr
        total = parts[0]
        for part in parts[1:]:
            total = rule(total, part)
        return total
    raise AssertionError(expr)


def worst(name: str, found: Any) -> float:
    """The largest relative error of some values."""
    truth = exact(name)
    errors = [
        abs(Fraction(float(value)) / true - 1)
        for value, true in zip(np.asarray(found).ravel(), truth, strict=True)
    ]
    return float(max(errors))


def farthest(name: str, found: Any) -> float:
    """The largest absolute error of some values."""
    pairs = zip(np.asarray(found).ravel(), exact(name), strict=True)
    return float(max(abs(Fraction(float(value)) - true) for value, true in pairs))
