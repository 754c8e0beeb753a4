"""What a model does for its tokens, in the numbers that the fitted closed forms need."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sympy import Expr, Integer

from lifesym import symbols as sym
from lifesym.cost import FLOPS_PER_MAC
from lifesym.huggingface import load_model
from lifesym.operators import Linear

TILE = 128
"""Rows and columns of a block of a product: what matrix libraries compute at once."""


@dataclass(frozen=True)
class Shape:
    """A model's sizes, from its symbolic forward pass.

    Attributes:
        layers: how many layers.
        hidden: elements of a token between layers, which collectives carry.
        stored: parameters that a pass over so many tokens reads.
        heads: attention heads.
        matrix_flops: FLOPs of one token but for the LM head.
        head_flops: FLOPs of the LM head for one row.
        linear: inputs, outputs and count of each layer's dense products.
    """

    layers: int
    hidden: float
    stored: float
    heads: float
    matrix_flops: float
    head_flops: float
    linear: tuple[tuple[int, int, int], ...]

    def quantized_flops(self, tokens: int, multiprocessors: int) -> float:
        """FLOPs of a pass over so many tokens, with products rounded up to whole waves.

        A product of M rows and N columns is ceil(M/128) ceil(N/128) blocks; each of the
        multiprocessors does one at a time, so the time is that of ceil(blocks/multiprocessors)
        waves. Fewer blocks than multiprocessors are split along the inner dimension.
        """
        plain = self.matrix_flops * tokens
        if not multiprocessors:
            return plain
        for inputs, outputs, count in self.linear:
            blocks = -(-tokens // TILE) * -(-outputs // TILE)
            waves: float = -(-blocks // multiprocessors)
            if blocks < multiprocessors:
                waves = 1 / (multiprocessors // blocks)
            rounded = waves * multiprocessors * TILE * TILE
            plain += 2 * count * inputs * (rounded - tokens * outputs)
        return plain


@cache
def shape(model: str, tokens: int) -> Shape:
    """The sizes of a model; parameters are those that a pass over so many tokens reads."""
    loaded = load_model(model)
    step = loaded.forward(1, 1, 0)
    read = loaded.forward(tokens, 1, 0).cost(weights="int8").weight_bytes
    head = float(step.filter(section="head").cost().matmul_flops)
    linear = [
        (int(entry.operator.in_features), int(entry.operator.out_features), int(entry.count))
        for entry in step
        if isinstance(entry.operator, Linear) and entry.section != "head"
    ]
    return Shape(
        layers=int(loaded.values.get(sym.layers, 0)) or _depth(loaded),
        hidden=float(loaded.values.get(sym.hidden, 0)),
        stored=float(read),
        heads=float(loaded.values.get(sym.heads, 1)),
        matrix_flops=float(step.cost().matmul_flops) - head,
        head_flops=head,
        linear=tuple(linear),
    )


@cache
def attended(model: str, context: int) -> tuple[float, float]:
    """Cached values that a token reads at a context, and its multiply-adds of attention.

    Windows, layers that share a cache and layers of constant state are the model's own.
    """
    values, flops = _attention(model)
    at = {sym.past: Integer(context)}
    return float(values.xreplace(at)), float(flops.xreplace(at)) / FLOPS_PER_MAC


@cache
def _attention(model: str) -> tuple[Expr, Expr]:
    step = load_model(model).forward(1, 1, sym.past)
    cost, empty = step.cost(kv="int8"), load_model(model).forward(1, 1, 0).cost()
    return cost.kv_read_bytes, cost.matmul_flops - empty.matmul_flops


def _depth(model: Any) -> int:
    return sum(int(part.count) for part in model.bound if part.label not in ("embed", "head"))
