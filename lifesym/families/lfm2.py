"""LFM2: short convolutions in most layers, grouped queries in the others."""

from lifesym import symbols as sym
from lifesym.blocks import ShortConv
from lifesym.families.base import Count, Family, StackConfig, Whole, listed
from lifesym.families.decoder import attention, decoder, layer, mlp
from lifesym.families.mamba import Kernel
from lifesym.model import Model


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


FAMILIES = {
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
    )
}
