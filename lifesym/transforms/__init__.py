"""Rewrites: a trace in, a trace out, each term keeping where it came from.

A forecast applies them in one `ORDER`: a model is split over devices first; caches and adapters
change what one device has, tokens and experts are then shared, what an engine copies or rounds
follows, and fusion and launches come last. A rewrite of one's own is any function of a trace.
"""

from typing import Any

from lifesym.transforms.adapter import Bottleneck
from lifesym.transforms.buffers import Buffers
from lifesym.transforms.cache import CachePolicy
from lifesym.transforms.copies import CacheCopies, ScoreBlocks, ScorePasses
from lifesym.transforms.fusion import FUSIONS, Fusion, fuse
from lifesym.transforms.kernels import (
    Apart,
    Approximated,
    Launches,
    Spills,
    Tiles,
    WeightCopies,
    WholeTables,
)
from lifesym.transforms.lora import Lora
from lifesym.transforms.sequence import SequenceParallel
from lifesym.transforms.sharding import ExpertParallel
from lifesym.transforms.tensor import TensorParallel

KERNELS = (
    *(CacheCopies, ScorePasses, ScoreBlocks, Apart, Approximated, WholeTables, Spills, Tiles),
    *(WeightCopies, Buffers, Launches),
)
"""What engines do beside fusing; no option of a forecast makes one."""
ORDER: tuple[type, ...] = (
    TensorParallel,
    *(CachePolicy, Lora, Bottleneck),
    *(SequenceParallel, ExpertParallel),
    *(CacheCopies, ScorePasses, ScoreBlocks, Apart, Approximated, WholeTables, Tiles),
    WeightCopies,
    object,
    *(Fusion, Spills, Buffers, Launches),
)
"""In which rewrites are applied; `object` stands for one's own."""


def order(rewrite: Any) -> int:
    """The place of a rewrite in that order."""
    kind = type(rewrite)
    return ORDER.index(kind if kind in ORDER else object)


def is_late(rewrite: Any) -> bool:
    """Whether a rewrite comes with fusion or after it."""
    return order(rewrite) >= ORDER.index(Fusion)


__all__ = [
    "FUSIONS",
    "KERNELS",
    "ORDER",
    "Apart",
    "Approximated",
    "Bottleneck",
    "Buffers",
    "CacheCopies",
    "CachePolicy",
    "ExpertParallel",
    "Fusion",
    "Launches",
    "Lora",
    "ScoreBlocks",
    "ScorePasses",
    "SequenceParallel",
    "Spills",
    "TensorParallel",
    "Tiles",
    "WeightCopies",
    "WholeTables",
    "fuse",
    "is_late",
    "order",
]
