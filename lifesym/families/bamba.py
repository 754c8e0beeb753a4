"""Mamba-2 beside attention: in different layers (Bamba), or in the same ones (Falcon-H1)."""

from typing import Any, Literal

from lifesym import symbols as sym
from lifesym.blocks import MLP, DecoderLayer, Mamba2, NormSpec, ParallelMixers
from lifesym.families.base import (
    Config,
    Count,
    Decoder,
    Family,
    Whole,
    activation,
    assemble,
    grouped,
    numbers,
    per_head,
    refuse,
    rotated,
)
from lifesym.families.hybrid import attention, pruned
from lifesym.families.mamba import Kernel, groups, scan_heads
from lifesym.families.mixed import mixed_sections
from lifesym.families.moe import pre_norm_layer
from lifesym.model import Model, Section


class HeadScanConfig(Config, kw_only=True):
    """Keys of a Mamba-2 mixer, with the defaults that the classes share."""

    vocab_size: Count
    hidden_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
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


def scan_sizes(c: HeadScanConfig, inner: int | None = None, **more: int | None) -> dict[Any, int]:
    """The sizes of attention and of the scan."""
    heads = c.num_attention_heads
    return numbers(
        hidden=c.hidden_size,
        vocab=c.vocab_size,
        heads=heads,
        kv_heads=grouped(heads, c.num_key_value_heads or heads),
        head_dim=c.head_dim or per_head(c.hidden_size, heads),
        scan_heads=c.mamba_n_heads,
        scan_dim=(inner or c.mamba_expand * c.hidden_size) // c.mamba_n_heads,
        scan_groups=groups(c.mamba_n_heads, c.mamba_n_groups),
        scan_chunk=c.mamba_chunk_size,
        state_size=c.mamba_d_state,
        conv_kernel=c.mamba_d_conv,
        **more,
    )


def _mlp(c: BambaConfig | FalconH1Config, *, scaled: bool = False) -> MLP:
    return MLP(
        hidden=sym.hidden,
        intermediate=sym.intermediate,
        activation=activation(c.hidden_act),
        bias=c.mlp_bias,
        scaled=scaled,
    )


def bamba(c: BambaConfig, name: str) -> Model:
    """Bamba: Mamba-2 layers, and attention with half-rotated heads in the layers listed."""
    scan, bias = head_scan(c), c.attention_bias
    turned = rotated(c.head_dim or per_head(c.hidden_size, c.num_attention_heads), 0.5)
    attend = attention(rotary_dim=sym.rotary_dim, qkv_bias=bias, out_bias=bias)

    def layer(full: bool, _dense: bool) -> DecoderLayer:
        return pre_norm_layer(attend if full else scan, _mlp(c))

    full = [i in (c.attn_layer_indices or ()) for i in range(c.num_hidden_layers)]
    sections, counts = mixed_sections(full, [True] * len(full), layer)
    ends = Decoder(norm=NormSpec(features=sym.hidden), tied=c.tie_word_embeddings)
    sizes = scan_sizes(c, rotary_dim=turned, intermediate=c.intermediate_size)
    return pruned(assemble(name, c.model_type, ends.around(sections), counts, sizes))


def falcon_h1(c: FalconH1Config, name: str) -> Model:
    """Falcon-H1: Mamba-2 and attention side by side in every layer, all branches scaled."""
    bias = c.attention_bias
    mixer = ParallelMixers(
        hidden=sym.hidden,
        attention=attention(rotary_dim=sym.head_dim, qkv_bias=bias, out_bias=bias),
        scan=head_scan(
            c,
            c.mamba_d_ssm,
            out_bias=c.projectors_bias,
            norm=c.mamba_rms_norm,
            scaled=True,
        ),
    )
    layer = pre_norm_layer(mixer, _mlp(c, scaled=True))
    ends = Decoder(
        norm=NormSpec(features=sym.hidden),
        tied=c.tie_word_embeddings,
        scaled=True,
        head_scaled=True,
    )
    sections = ends.around((Section(label="layers", count=sym.layers, block=layer),))
    sizes = scan_sizes(
        c, c.mamba_d_ssm, layers=c.num_hidden_layers, intermediate=c.intermediate_size
    )
    return assemble(name, c.model_type, sections, sizes)


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
