"""The blocks that models are built of; each emits its operators for a forward pass."""

from lifesym.blocks.altup import (
    AltUpLayer,
    CloseStreams,
    EmbeddedLayer,
    LayerEmbeddings,
    OpenStreams,
)
from lifesym.blocks.attention import Attention
from lifesym.blocks.base import Block, Emitted, NormSpec
from lifesym.blocks.compressed import CompressedAttention, CompressedIndexer, Compressor
from lifesym.blocks.cross import Closing, CrossAttention, LearnedPositions, RelativePositions
from lifesym.blocks.draft import (
    BorrowedAttention,
    ClusteredHead,
    DraftLayer,
    JoinedStates,
    ParallelHead,
)
from lifesym.blocks.encoder import AudioEmbed, EncoderEmbed, EncoderHead
from lifesym.blocks.ends import Embed, Head, LearnedRotary
from lifesym.blocks.experts import DenseAndExperts, MoE
from lifesym.blocks.hyper import CollapsedStreams, HyperLayer
from lifesym.blocks.indexer import BlockIndexer, Indexer
from lifesym.blocks.latent import LatentAttention
from lifesym.blocks.layer import DecoderLayer
from lifesym.blocks.linear_attention import KimiDelta, LightningAttention
from lifesym.blocks.loops import LearnedState, Loop
from lifesym.blocks.mamba2 import Mamba2
from lifesym.blocks.mlp import MLP
from lifesym.blocks.parallel import ParallelMixers
from lifesym.blocks.recurrent import DeltaNet, GatedRecurrence, Mamba, MatrixLSTM
from lifesym.blocks.rwkv import ChannelMix, TimeMix
from lifesym.blocks.short_conv import ShortConv
from lifesym.blocks.task import TaskHead
from lifesym.blocks.variants import (
    DifferentialAttention,
    RoutedAttention,
    ValueMaskedAttention,
)
from lifesym.blocks.vision import (
    AttentionPool,
    PatchEmbed,
    PatchPool,
    Projector,
    WindowAttention,
)
from lifesym.blocks.yuan import AttendedRouter, FilteredAttention
from lifesym.blocks.zamba import HeadMamba, Link, SharedTransformer
from lifesym.blocks.zaya import ConvolvedAttention, HandedRouter, ScaledInput

__all__ = [
    "MLP",
    "AltUpLayer",
    "AttendedRouter",
    "Attention",
    "AttentionPool",
    "AudioEmbed",
    "Block",
    "BlockIndexer",
    "BorrowedAttention",
    "ChannelMix",
    "CloseStreams",
    "Closing",
    "ClusteredHead",
    "CollapsedStreams",
    "CompressedAttention",
    "CompressedIndexer",
    "Compressor",
    "ConvolvedAttention",
    "CrossAttention",
    "DecoderLayer",
    "DeltaNet",
    "DenseAndExperts",
    "DifferentialAttention",
    "DraftLayer",
    "Embed",
    "EmbeddedLayer",
    "Emitted",
    "EncoderEmbed",
    "EncoderHead",
    "FilteredAttention",
    "GatedRecurrence",
    "HandedRouter",
    "Head",
    "HeadMamba",
    "HyperLayer",
    "Indexer",
    "JoinedStates",
    "KimiDelta",
    "LatentAttention",
    "LayerEmbeddings",
    "LearnedPositions",
    "LearnedRotary",
    "LearnedState",
    "LightningAttention",
    "Link",
    "Loop",
    "Mamba",
    "Mamba2",
    "MatrixLSTM",
    "MoE",
    "NormSpec",
    "OpenStreams",
    "ParallelHead",
    "ParallelMixers",
    "PatchEmbed",
    "PatchPool",
    "Projector",
    "RelativePositions",
    "RoutedAttention",
    "ScaledInput",
    "SharedTransformer",
    "ShortConv",
    "TaskHead",
    "TimeMix",
    "ValueMaskedAttention",
    "WindowAttention",
]
