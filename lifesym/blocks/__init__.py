"""The blocks that models are built of; each emits its operators for a forward pass."""

from lifesym.blocks.attention import Attention
from lifesym.blocks.base import Block, Emitted, NormSpec
from lifesym.blocks.ends import Embed, Head
from lifesym.blocks.experts import MoE
from lifesym.blocks.latent import LatentAttention
from lifesym.blocks.layer import DecoderLayer
from lifesym.blocks.mlp import MLP

__all__ = [
    "MLP",
    "Attention",
    "Block",
    "DecoderLayer",
    "Embed",
    "Emitted",
    "Head",
    "LatentAttention",
    "MoE",
    "NormSpec",
]
