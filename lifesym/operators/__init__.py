"""Operators: one frozen dataclass each, one family a module."""

from lifesym.operators.attention import AttentionScores, AttentionValues, KVAppend, Softmax
from lifesym.operators.base import Operator
from lifesym.operators.elementwise import (
    Activation,
    Alibi,
    Embedding,
    Norm,
    Residual,
    Rotary,
    Scale,
)
from lifesym.operators.linear import Linear, LMHead

__all__ = [
    "Activation",
    "Alibi",
    "AttentionScores",
    "AttentionValues",
    "Embedding",
    "KVAppend",
    "LMHead",
    "Linear",
    "Norm",
    "Operator",
    "Residual",
    "Rotary",
    "Scale",
    "Softmax",
]
