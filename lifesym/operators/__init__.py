"""Operators: one frozen dataclass each, one family a module."""

from lifesym.operators.activation import Activation
from lifesym.operators.attention import AttentionScores, AttentionValues, KVAppend, Softmax
from lifesym.operators.base import Operator
from lifesym.operators.chunked import DeltaRule, DualScan
from lifesym.operators.collective import Collective
from lifesym.operators.convolution import Conv1d, Conv2d, DepthwiseConv2d, TransposedConv2d
from lifesym.operators.copies import AdapterMerge, CacheCopy, WeightCopy
from lifesym.operators.elementwise import Gate, Ranking, Residual, Scale
from lifesym.operators.embedding import Embedding
from lifesym.operators.experts import Experts, Routing, TopK
from lifesym.operators.fused import Fused
from lifesym.operators.image import BatchNorm, Concat, Pool2d, Upsample
from lifesym.operators.linear import HeadLinear, LatentExpand, Linear, LMHead
from lifesym.operators.norm import Norm
from lifesym.operators.position import Alibi, Rotary
from lifesym.operators.recurrent import CausalConv, SelectiveScan
from lifesym.operators.rwkv import WKV, TokenShift
from lifesym.operators.streams import MixStreams

__all__ = [
    "WKV",
    "Activation",
    "AdapterMerge",
    "Alibi",
    "AttentionScores",
    "AttentionValues",
    "BatchNorm",
    "CacheCopy",
    "CausalConv",
    "Collective",
    "Concat",
    "Conv1d",
    "Conv2d",
    "DeltaRule",
    "DepthwiseConv2d",
    "DualScan",
    "Embedding",
    "Experts",
    "Fused",
    "Gate",
    "HeadLinear",
    "KVAppend",
    "LMHead",
    "LatentExpand",
    "Linear",
    "MixStreams",
    "Norm",
    "Operator",
    "Pool2d",
    "Ranking",
    "Residual",
    "Rotary",
    "Routing",
    "Scale",
    "SelectiveScan",
    "Softmax",
    "TokenShift",
    "TopK",
    "TransposedConv2d",
    "Upsample",
    "WeightCopy",
]
