"""Rewrites: a trace in, a trace out, each term keeping where it came from."""

from lifesym.transforms.fusion import FUSIONS, fuse
from lifesym.transforms.lora import Lora, add_lora

__all__ = ["FUSIONS", "Lora", "add_lora", "fuse"]
