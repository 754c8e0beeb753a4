"""Mamba-2 beside attention: in different layers (Bamba), or in the same ones (Falcon-H1)."""

from typing import Any, Literal

from lifesym import symbols as sym
from lifesym.blocks import Mamba2, ParallelMixers
from lifesym.families.base import Count, Family, StackConfig, Whole, activation, refuse, rotated
from lifesym.families.decoder import Ends, attention, decoder, head_size, layer, mlp
from lifesym.families.mamba import Kernel, groups, scan_heads
from lifesym.model import Model


class HeadScanConfig(StackConfig, kw_only=True):
    """Keys of a Mamba-2 mixer, with the defaults that the classes share."""

    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    hidden_act: str = "silu"
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mamba_n_heads: Count = 128
    mamba_d_head: Count | Literal["auto"] = "auto"
    mamba_n_groups: Count = 1
    mamba_d_state: Count = 256
    mamba_d_conv: Kernel = 4
    mamba_expand: Count = 2
    mamba_chunk_size: Count = 256
    mamba_conv_bias: bool = True
    mamba_proj_bias: bool = False


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


def head_scan(c: HeadScanConfig, inner: int | None = None, **options: Any) -> Mamba2:
    """The mixer of a config whose channels are so many, or ``mamba_expand`` times hidden.

    Raises:
        SpecError: heads that do not make up the channels.
    """
    wide = inner or c.mamba_expand * c.hidden_size
    heads, head_dim = c.mamba_n_heads, c.mamba_d_head
    refuse(wide % heads != 0, f"key 'mamba_n_heads': {heads} does not divide {wide} channels")
    refuse(
        head_dim not in ("auto", wide // heads),
        f"key 'mamba_d_head': {head_dim} should be {wide // heads}",
    )
    return scan_heads(
        activation=activation(c.hidden_act),
        conv_bias=c.mamba_conv_bias,
        bias=c.mamba_proj_bias,
        **options,
    )


def scan_sizes(c: HeadScanConfig, inner: int | None = None) -> dict[str, int]:
    """The sizes of the scan."""
    return {
        "scan_heads": c.mamba_n_heads,
        "scan_dim": (inner or c.mamba_expand * c.hidden_size) // c.mamba_n_heads,
        "scan_groups": groups(c.mamba_n_heads, c.mamba_n_groups),
        "scan_chunk": c.mamba_chunk_size,
        "state_size": c.mamba_d_state,
        "conv_kernel": c.mamba_d_conv,
    }


def bamba(c: BambaConfig, name: str) -> Model:
    """Bamba: Mamba-2 layers, and attention with half-rotated heads in the layers listed."""
    block, full = mlp(c.hidden_act, bias=c.mlp_bias), c.attn_layer_indices or ()
    scan, turned = layer(head_scan(c), block), rotated(head_size(c), 0.5)
    attend = layer(attention(rotary_dim=sym.rotary_dim, bias=c.attention_bias), block)
    layers = [attend if i in full else scan for i in range(c.num_hidden_layers)]
    return decoder(c, name, layers, Ends(), rotary_dim=turned, **scan_sizes(c))


def falcon_h1(c: FalconH1Config, name: str) -> Model:
    """Falcon-H1: Mamba-2 and attention side by side in every layer, all branches scaled."""
    scan = head_scan(
        c, c.mamba_d_ssm, out_bias=c.projectors_bias, norm=c.mamba_rms_norm, scaled=True
    )
    mixer = ParallelMixers(hidden=sym.hidden, attention=attention(bias=c.attention_bias), scan=scan)
    each = layer(mixer, mlp(c.hidden_act, bias=c.mlp_bias, scaled=True))
    ends = Ends(scaled=True, head_scaled=True)
    sizes = scan_sizes(c, c.mamba_d_ssm)
    return decoder(c, name, [each] * c.num_hidden_layers, ends, **sizes)


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
