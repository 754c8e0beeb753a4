"""Attention in some layers, something shorter in most: jamba (Mamba) and lfm2 (convolutions)."""

from typing import Literal

from msgspec import field

from lifesym import symbols as sym
from lifesym.blocks import Mamba, ShortConv
from lifesym.families.base import Count, Family, StackConfig, Whole, activation, listed, refuse
from lifesym.families.decoder import attention, decoder, experts, layer, mlp
from lifesym.families.mamba import Kernel, step_rank
from lifesym.model import Model


class JambaConfig(StackConfig, kw_only=True):
    """One layer in a period has attention, one in another period experts."""

    intermediate_size: Count
    num_key_value_heads: Count
    state_size: Count = field(name="mamba_d_state")
    num_experts: Count = 16
    num_experts_per_tok: Count = 2
    expert_layer_period: Count = 2
    expert_layer_offset: int = 1
    attn_layer_period: Count = 8
    attn_layer_offset: int = 4
    conv_kernel: Kernel = field(default=4, name="mamba_d_conv")
    mamba_expand: Count = 2
    mamba_dt_rank: Count | Literal["auto"] = "auto"
    mamba_conv_bias: bool = True
    mamba_proj_bias: bool = False
    mamba_inner_layernorms: bool = True
    hidden_act: str = "silu"
    tie_word_embeddings: bool = False
    sliding_window: Count | None = None


class Lfm2Config(StackConfig, kw_only=True):
    """The MLP is two thirds of ``intermediate_size``, rounded up, unless told not to adjust it."""

    vocab_size: Count = 65536
    intermediate_size: Count
    num_key_value_heads: Count = 8
    head_dim: Count | None = None
    tie_word_embeddings: bool = True
    conv_bias: bool = False
    conv_kernel: Kernel = 3
    block_multiple_of: Count = 256
    block_ffn_dim_multiplier: float | None = 1.0
    block_auto_adjust_ff_dim: bool = True
    full_attn_idxs: list[Whole] | None = None
    layer_types: list[str] | None = None

    @property
    def width(self) -> int:
        """The size of the MLP."""
        if not self.block_auto_adjust_ff_dim:
            return self.intermediate_size
        width = int(2 * self.intermediate_size / 3)
        if self.block_ffn_dim_multiplier is None:
            return width
        width = int(self.block_ffn_dim_multiplier * width)
        return -(-width // self.block_multiple_of) * self.block_multiple_of


def jamba(c: JambaConfig, name: str) -> Model:
    """Jamba: Mamba layers that normalize time steps, B and C, among attention without positions."""
    for part in ("expert", "attn"):
        offset, period = getattr(c, f"{part}_layer_offset"), getattr(c, f"{part}_layer_period")
        refuse(
            not 0 <= offset < period,
            f"key '{part}_layer_offset': {offset} is not below {part}_layer_period = {period}",
        )
    refuse(not c.mamba_inner_layernorms, "key 'mamba_inner_layernorms': false is not modelled")
    refuse(c.sliding_window is not None, "key 'sliding_window': only null is modelled")
    mixers = {
        True: attention(rotary_dim=0),
        False: Mamba(
            hidden=sym.hidden,
            inner=sym.inner_size,
            state=sym.state_size,
            kernel=sym.conv_kernel,
            rank=sym.step_rank,
            activation=activation(c.hidden_act),
            conv_bias=c.mamba_conv_bias,
            bias=c.mamba_proj_bias,
            norms="affine",
        ),
    }
    blocks = {True: experts(c.hidden_act, intermediate=sym.intermediate), False: mlp(c.hidden_act)}
    layers = [
        layer(
            mixers[i % c.attn_layer_period == c.attn_layer_offset],
            blocks[c.num_experts > 1 and i % c.expert_layer_period == c.expert_layer_offset],
        )
        for i in range(c.num_hidden_layers)
    ]
    return decoder(
        c,
        name,
        layers,
        inner_size=c.mamba_expand * c.hidden_size,
        step_rank=step_rank(c.mamba_dt_rank, c.hidden_size),
    )


def lfm2(c: Lfm2Config, name: str) -> Model:
    """LFM2: gated short convolutions, and attention with normalized queries and keys."""
    depth = c.num_hidden_layers
    chosen = range(depth) if c.full_attn_idxs is None else c.full_attn_idxs
    types = c.layer_types or ["full_attention" if i in chosen else "conv" for i in range(depth)]
    block = mlp("silu")
    layers = {
        "full_attention": layer(attention(qk_norm="head"), block),
        "conv": layer(
            ShortConv(hidden=sym.hidden, kernel=sym.conv_kernel, bias=c.conv_bias), block
        ),
    }
    return decoder(c, name, listed(types, depth, layers), intermediate=c.width)


_IGNORED = """
    calc_logits_for_entire_prompt num_logits_to_keep use_associative_scan use_mamba_kernels
    use_mambapy
"""

FAMILIES = {
    "jamba": Family(
        JambaConfig, jamba, "jamba-v0.1", {"num_local_experts": "num_experts"}, ignored=_IGNORED
    ),
    "lfm2": Family(
        Lfm2Config,
        lfm2,
        "lfm2-2.6b",
        {
            "tie_embedding": "tie_word_embeddings",
            "block_ff_dim": "intermediate_size",
            "conv_L_cache": "conv_kernel",
        },
        ignored="block_dim block_mlp_init_scale block_norm_eps block_out_init_scale "
        "block_use_swiglu block_use_xavier_init conv_dim conv_dim_out conv_use_xavier_init "
        "norm_eps num_heads use_pos_enc",
    ),
}
