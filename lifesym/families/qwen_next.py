"""Qwen3-Next and Qwen3.5: gated delta nets, every fourth layer gated full attention."""

from typing import Any

from msgspec import field

from lifesym import symbols as sym
from lifesym.blocks import Block, DeltaNet
from lifesym.families.base import Count, Family, StackConfig, activation, listed, refuse
from lifesym.families.decoder import attention, decoder, experts, layer, mlp, turned
from lifesym.families.mamba import Kernel, check_groups
from lifesym.model import Model

CHUNK = 64
"""Tokens of a chunk: a constant of transformers' code, not of the config."""


class QwenNextConfig(StackConfig, kw_only=True):
    """``layer_types`` absent: attention in every ``full_attention_interval``-th layer."""

    num_key_value_heads: Count
    linear_key_dim: Count = field(name="linear_key_head_dim")
    linear_value_dim: Count = field(name="linear_value_head_dim")
    linear_key_heads: Count = field(name="linear_num_key_heads")
    linear_value_heads: Count = field(name="linear_num_value_heads")
    conv_kernel: Kernel = field(default=4, name="linear_conv_kernel_dim")
    head_dim: Count = 256
    intermediate_size: Count | None = None
    partial_rotary_factor: float = 0.25
    full_attention_interval: Count = 4
    layer_types: list[str] | None = None
    attn_output_gate: bool = True
    attention_bias: bool = False
    hidden_act: str = "silu"
    mamba_ssm_dtype: str = "float32"
    use_sliding_window: bool = False
    mlp_only_layers: list[int] | None = None
    tie_word_embeddings: bool = False


class QwenNextMoeConfig(QwenNextConfig, kw_only=True):
    """Experts in every ``decoder_sparse_step``-th layer, unless listed in ``mlp_only_layers``."""

    num_experts: Count
    num_experts_per_tok: Count
    moe_intermediate_size: Count
    shared_expert_intermediate_size: Count
    decoder_sparse_step: Count = 1


class LaraConfig(StackConfig, kw_only=True):
    """Delta nets, windows and full attention in turn, unless listed."""

    num_key_value_heads: Count = 4
    head_dim: Count = 128
    linear_key_dim: Count = field(name="linear_key_head_dim", default=128)
    linear_value_dim: Count = field(name="linear_value_head_dim", default=128)
    linear_key_heads: Count = field(name="linear_num_key_heads", default=8)
    linear_value_heads: Count = field(name="linear_num_value_heads", default=16)
    conv_kernel: Kernel = field(name="linear_conv_kernel_dim", default=4)
    num_experts: Count = 128
    num_experts_per_tok: Count = 4
    moe_intermediate_size: Count = 512
    shared_expert_intermediate_size: Count = 512
    sliding_window: Count = 512
    layer_types: list[str] | None = None
    partial_rotary_factor: float = 1.0
    attention_bias: bool = False
    hidden_act: str = "silu"
    tie_word_embeddings: bool = True


def _full(c: QwenNextConfig) -> list[bool]:
    """Which layers have attention."""
    depth = c.num_hidden_layers
    if c.layer_types is None:
        return [(i + 1) % c.full_attention_interval == 0 for i in range(depth)]
    return listed(c.layer_types, depth, {"linear_attention": False, "full_attention": True})


def _check(c: QwenNextConfig) -> None:
    refuse(not c.attn_output_gate, "key 'attn_output_gate': false is not modelled")
    refuse(c.use_sliding_window, "key 'use_sliding_window': true is not modelled")
    dtype = c.mamba_ssm_dtype
    refuse(dtype != "float32", f"key 'mamba_ssm_dtype': {dtype!r} is not modelled")


def _mlps(c: QwenNextConfig) -> list[Block]:
    """The MLP or the experts of every layer."""
    plain: Block = mlp(c.hidden_act)
    if not isinstance(c, QwenNextMoeConfig):
        return [plain] * c.num_hidden_layers
    moe = experts(c.hidden_act, shared=True, shared_gate=True)
    only, step = set(c.mlp_only_layers or ()), c.decoder_sparse_step
    dense = [i in only or (i + 1) % step != 0 for i in range(c.num_hidden_layers)]
    return [plain if each else moe for each in dense]


def delta_net(c: Any, **options: Any) -> DeltaNet:
    """A gated delta net of four input projections unless told otherwise, its sizes symbols."""
    usual: dict[str, Any] = {"inputs": "four"}
    return DeltaNet(
        hidden=sym.hidden,
        key_heads=sym.linear_key_heads,
        value_heads=sym.linear_value_heads,
        key_dim=sym.linear_key_dim,
        value_dim=sym.linear_value_dim,
        kernel=sym.conv_kernel,
        chunk=sym.scan_chunk,
        activation=activation(c.hidden_act),
        **usual | options,
    )


_PATTERN = "linear sliding linear full sliding"
"""The mixers of Lara's layers, in turn."""


def lara(c: LaraConfig, name: str) -> Model:
    """Lara mini: Qwen 3.5's delta nets, Qwen 3's attention with and without windows, experts."""
    pattern = [f"{word}_attention" for word in _PATTERN.split()]
    depth, bias, turns = c.num_hidden_layers, c.attention_bias, turned(c)
    refuse(c.sliding_window == 1, "key 'sliding_window': a window of 1 is not modelled")
    mixers: dict[str, Block] = {
        "linear_attention": delta_net(c),
        "full_attention": attention(bias=bias, qk_norm="head", rotary_dim=turns),
        "sliding_attention": attention(
            bias=bias, qk_norm="head", rotary_dim=turns, window=sym.window
        ),
    }
    types = c.layer_types or [pattern[i % len(pattern)] for i in range(depth)]
    moe = experts(c.hidden_act, shared=True)
    layers = [layer(mixer, moe) for mixer in listed(types, depth, mixers)]
    check_groups(c.linear_value_heads, c.linear_key_heads)
    return decoder(c, name, layers, scan_chunk=CHUNK)


def qwen_next(c: QwenNextConfig, name: str) -> Model:
    """Qwen3-Next and 3.5: gated delta nets, and gated attention with partly rotated heads.

    Qwen3.5 has four input projections in a delta net, not two. Its checkpoints are
    multimodal: the vision tower is not part of the formula.
    """
    _check(c)
    mixers: dict[bool, Block] = {
        True: attention(
            gated=True, qk_norm="head", bias=c.attention_bias, rotary_dim=sym.rotary_dim
        ),
        False: delta_net(c, inputs="two" if c.model_type == "qwen3_next" else "four"),
    }
    check_groups(c.linear_value_heads, c.linear_key_heads)
    parts = zip(_full(c), _mlps(c), strict=True)
    layers = [layer(mixers[full], block) for full, block in parts]
    return decoder(c, name, layers, scan_chunk=CHUNK)


_IGNORED = "mtp_num_hidden_layers mtp_use_dedicated_embeddings"
"""The multi-token-prediction module is not part of an ordinary pass."""

FAMILIES = {
    "lara_mini": Family(LaraConfig, lara, "lara-mini"),
    "qwen3_next": Family(
        QwenNextMoeConfig, qwen_next, "qwen3-next-80b-a3b", {"num_local_experts": "num_experts"}
    ),
    "qwen3_5_text": Family(QwenNextConfig, qwen_next, "qwen3.5-27b", ignored=_IGNORED),
    "qwen3_5_moe_text": Family(
        QwenNextMoeConfig,
        qwen_next,
        "qwen3.5-35b-a3b",
        {"num_local_experts": "num_experts"},
        ignored=_IGNORED,
    ),
}
