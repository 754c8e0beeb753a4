"""Rewrites: a trace in, a trace out, each term keeping where it came from."""

from lifesym.transforms.cache import CachePolicy
from lifesym.transforms.fusion import FUSIONS, Fusion, fuse
from lifesym.transforms.lora import Lora
from lifesym.transforms.sharding import ExpertParallel, TensorParallel

__all__ = ["FUSIONS", "CachePolicy", "ExpertParallel", "Fusion", "Lora", "TensorParallel", "fuse"]
