"""Operators: one frozen dataclass each, one family a module."""

from lifesym.operators.activation import Activation
from lifesym.operators.attention import (
    AttentionScores,
    AttentionValues,
    KVAppend,
    Softmax,
    SourceAppend,
)
from lifesym.operators.base import Operator
from lifesym.operators.chunked import DeltaRule, DualScan
from lifesym.operators.collective import Collective
from lifesym.operators.convolution import Conv1d, Conv2d, DepthwiseConv2d, TransposedConv2d
from lifesym.operators.copies import AdapterMerge, CacheCopy, WeightCopy
from lifesym.operators.elementwise import Gate, Merge, Ranking, Residual, Scale
from lifesym.operators.embedding import Embedding
from lifesym.operators.experts import (
    Experts,
    RoutedLinear,
    Routing,
    ShardedExperts,
    SomeExperts,
    TopK,
)
from lifesym.operators.fused import Fused, PerShape, SideBySide
from lifesym.operators.image import BatchNorm, Concat, Pool2d, Upsample
from lifesym.operators.linear import (
    AdapterLinear,
    HeadLinear,
    LatentExpand,
    Linear,
    LMHead,
    TiledLinear,
)
from lifesym.operators.linear_attention import ChannelDeltaRule, LightningScan, MatrixMemory
from lifesym.operators.mixed_inputs import Delay, HeadConv, LocalFilter
from lifesym.operators.norm import Norm
from lifesym.operators.position import Alibi, Rotary
from lifesym.operators.recurrent import CausalConv, GatedUnit, SelectiveScan
from lifesym.operators.router import RouterAttention
from lifesym.operators.rwkv import WKV, TokenShift
from lifesym.operators.sparse import (
    BlockScores,
    ChooseKeys,
    CompressedAppend,
    IndexScores,
    PoolTokens,
    ValueScores,
)
from lifesym.operators.streams import CollapseStreams, MixStreams, SpreadStreams, StreamWeights
from lifesym.operators.training import Backward, CrossEntropy, Dropout, OptimizerStep

__all__ = [
    "WKV",
    "Activation",
    "AdapterLinear",
    "AdapterMerge",
    "Alibi",
    "AttentionScores",
    "AttentionValues",
    "Backward",
    "BatchNorm",
    "BlockScores",
    "CacheCopy",
    "CausalConv",
    "ChannelDeltaRule",
    "ChooseKeys",
    "CollapseStreams",
    "Collective",
    "CompressedAppend",
    "Concat",
    "Conv1d",
    "Conv2d",
    "CrossEntropy",
    "Delay",
    "DeltaRule",
    "DepthwiseConv2d",
    "Dropout",
    "DualScan",
    "Embedding",
    "Experts",
    "Fused",
    "Gate",
    "GatedUnit",
    "HeadConv",
    "HeadLinear",
    "IndexScores",
    "KVAppend",
    "LMHead",
    "LatentExpand",
    "LightningScan",
    "Linear",
    "LocalFilter",
    "MatrixMemory",
    "Merge",
    "MixStreams",
    "Norm",
    "Operator",
    "OptimizerStep",
    "PerShape",
    "Pool2d",
    "PoolTokens",
    "Ranking",
    "Residual",
    "Rotary",
    "RoutedLinear",
    "RouterAttention",
    "Routing",
    "Scale",
    "SelectiveScan",
    "ShardedExperts",
    "SideBySide",
    "Softmax",
    "SomeExperts",
    "SourceAppend",
    "SpreadStreams",
    "StreamWeights",
    "TiledLinear",
    "TokenShift",
    "TopK",
    "TransposedConv2d",
    "Upsample",
    "ValueScores",
    "WeightCopy",
]
