"""Rewrites: a trace in, a trace out, each term keeping where it came from.

Each class has a ``stage``, by which a forecast orders its plan: caches and adapters change the
whole model, devices then share what there is, what an engine copies or rounds follows, and fusion
and launches come last. A rewrite of one's own is any function of a trace; without a stage it comes
before fusion.
"""

from lifesym.transforms.adapter import Bottleneck
from lifesym.transforms.cache import CachePolicy
from lifesym.transforms.copies import CacheCopies, ScorePasses
from lifesym.transforms.fusion import FUSIONS, Fusion, fuse
from lifesym.transforms.kernels import Apart, Launches, Spills, Tiles, WeightCopies, WholeTables
from lifesym.transforms.lora import Lora
from lifesym.transforms.sequence import SequenceParallel
from lifesym.transforms.sharding import ExpertParallel
from lifesym.transforms.tensor import TensorParallel

KERNELS = (*(CacheCopies, ScorePasses, Apart, WholeTables, Spills, Tiles, WeightCopies, Launches),)
"""What engines do beside fusing; no option of a forecast makes one."""

__all__ = [
    "FUSIONS",
    "KERNELS",
    "Apart",
    "Bottleneck",
    "CacheCopies",
    "CachePolicy",
    "ExpertParallel",
    "Fusion",
    "Launches",
    "Lora",
    "ScorePasses",
    "SequenceParallel",
    "Spills",
    "TensorParallel",
    "Tiles",
    "WeightCopies",
    "WholeTables",
    "fuse",
]
