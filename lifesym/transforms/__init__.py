"""Rewrites: a trace in, a trace out, each term keeping where it came from.

Each class has a ``stage``, by which a forecast orders its plan: caches and adapters change the
whole model, devices then share what there is, and fusion comes last. A rewrite of one's own is any
function of a trace; without a stage it comes before fusion.
"""

from lifesym.transforms.adapter import Bottleneck
from lifesym.transforms.cache import CachePolicy
from lifesym.transforms.fusion import FUSIONS, Fusion, fuse
from lifesym.transforms.lora import Lora
from lifesym.transforms.sequence import SequenceParallel
from lifesym.transforms.sharding import ExpertParallel
from lifesym.transforms.tensor import TensorParallel

__all__ = [
    "FUSIONS",
    "Bottleneck",
    "CachePolicy",
    "ExpertParallel",
    "Fusion",
    "Lora",
    "SequenceParallel",
    "TensorParallel",
    "fuse",
]
