"""Mamba-2 beside attention: in other layers (Bamba), in the same (Falcon-H1)."""

from typing import Any, Literal

from msgspec import field

from lifesym import symbols as sym
from lifesym.blocks import Mamba2, ParallelMixers
from lifesym.families.base import (
    Count,
    Family,
    StackConfig,
    Whole,
    activation,
    refuse,
    rotated,
)
from lifesym.families.decoder import Ends, attention, decoder, head_size, layer, mlp
from lifesym.families.mamba import Kernel, check_groups, scan_heads
from lifesym.model import Model


class HeadScanConfig(StackConfig, kw_only=True):
    """Keys of a Mamba-2 mixer, with the defaults that the classes share."""

    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    hidden_act: str = "silu"
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    scan_heads: Count = field(default=128, name="mamba_n_heads")
    mamba_d_head: Count | Literal["auto"] = "auto"
    scan_groups: Count = field(default=1, name="mamba_n_groups")
    state_size: Count = field(default=256, name="mamba_d_state")
    conv_kernel: Kernel = field(default=4, name="mamba_d_conv")
    mamba_expand: Count = 2
    scan_chunk: Count = field(default=256, name="mamba_chunk_size")
    mamba_conv_bias: bool = True
    mamba_proj_bias: bool = False

    @property
    def channels(self) -> int:
        """How wide the scan is."""
        return self.mamba_expand * self.hidden_size

    @property
    def scan_dim(self) -> int:
        """The size of a head of the scan."""
        return self.channels // self.scan_heads


class BambaConfig(HeadScanConfig, kw_only=True):
    """Attention in the layers listed; half of each head is rotated, whatever the config says."""

    intermediate_size: Count = 14336
    num_key_value_heads: Count | None = 8
    attn_layer_indices: list[Whole] | None = None
    mlp_bias: bool = False


class FalconH1Config(HeadScanConfig, kw_only=True):
    """The scan is as wide as ``mamba_d_ssm``; null: as wide as ``mamba_expand`` says."""

    intermediate_size: Count = 14336
    num_key_value_heads: Count | None = 8
    mamba_d_ssm: Count | None = 1024
    mamba_rms_norm: bool = False
    mlp_bias: bool = False
    projectors_bias: bool = False

    @property
    def channels(self) -> int:
        """How wide the scan is."""
        return self.mamba_d_ssm or super().channels


def head_scan(c: HeadScanConfig, **options: Any) -> Mamba2:
    """The mixer of a config.

    Raises:
        SpecError: heads that do not make up the channels, or groups that do not divide heads.
    """
    wide, heads, head_dim = c.channels, c.scan_heads, c.mamba_d_head
    refuse(wide % heads != 0, f"key 'mamba_n_heads': {heads} does not divide {wide} channels")
    refuse(
        head_dim not in ("auto", wide // heads),
        f"key 'mamba_d_head': {head_dim} should be {wide // heads}",
    )
    check_groups(heads, c.scan_groups)
    return scan_heads(
        activation=activation(c.hidden_act),
        conv_bias=c.mamba_conv_bias,
        bias=c.mamba_proj_bias,
        **options,
    )


def bamba(c: BambaConfig, name: str) -> Model:
    """Bamba: Mamba-2 layers, and attention with half-rotated heads in the layers listed."""
    block, full = mlp(c.hidden_act, bias=c.mlp_bias), c.attn_layer_indices or ()
    scan, turned = layer(head_scan(c), block), rotated(head_size(c), 0.5)
    attend = layer(attention(rotary_dim=sym.rotary_dim, bias=c.attention_bias), block)
    layers = [attend if i in full else scan for i in range(c.num_hidden_layers)]
    return decoder(c, name, layers, rotary_dim=turned)


def falcon_h1(c: FalconH1Config, name: str) -> Model:
    """Falcon-H1: Mamba-2 and attention side by side in every layer, all branches scaled."""
    scan = head_scan(c, out_bias=c.projectors_bias, norm=c.mamba_rms_norm, scaled=True)
    mixer = ParallelMixers(hidden=sym.hidden, attention=attention(bias=c.attention_bias), scan=scan)
    each = layer(mixer, mlp(c.hidden_act, bias=c.mlp_bias, scaled=True))
    ends = Ends(scaled=True, head_scaled=True)
    return decoder(c, name, [each] * c.num_hidden_layers, ends)


_IGNORED = "num_logits_to_keep time_step_limit"
_SCALES = """
    attention_in_multiplier attention_out_multiplier embedding_multiplier key_multiplier
    lm_head_multiplier mlp_multipliers ssm_in_multiplier ssm_multipliers ssm_out_multiplier
"""
_FALCON = """
    attn_layer_indices layer_types layers_block_type mamba_norm_before_gate mamba_use_mlp
    mlp_expansion_factor
"""
FAMILIES = {
    "bamba": Family(
        BambaConfig, bamba, "bamba-9b", ignored=_IGNORED + " attn_rotary_emb z_loss_coefficient"
    ),
    "falcon_h1": Family(
        FalconH1Config, falcon_h1, "falcon-h1-7b", ignored=_IGNORED + _SCALES + _FALCON
    ),
}
