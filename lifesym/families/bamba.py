"""Mamba-2 beside attention: in other layers (Bamba), in the same (Falcon-H1), shared (Zamba2)."""

from typing import Any, Literal

from msgspec import field

from lifesym import symbols as sym
from lifesym.blocks import Link, Mamba2, NormSpec, ParallelMixers, SharedTransformer
from lifesym.families.base import (
    Count,
    Family,
    StackConfig,
    Whole,
    activation,
    grouped,
    listed,
    refuse,
    rotated,
)
from lifesym.families.decoder import RMS, Ends, attention, decoder, head_size, layer, mlp, sized
from lifesym.families.mamba import Kernel, check_groups, scan_heads
from lifesym.model import Model, Section


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


class Zamba2Config(StackConfig, kw_only=True):
    """``hybrid`` layers run a shared block before their Mamba layer.

    Untied embeddings are refused: transformers then no longer shares the blocks either.
    """

    layers_block_type: list[str]
    state_size: Count = field(name="mamba_d_state")
    scan_heads: Count = field(name="n_mamba_heads")
    scan_chunk: Count = field(name="chunk_size")
    conv_kernel: Kernel = field(default=4, name="mamba_d_conv")
    mamba_expand: int | float = 2
    scan_groups: Count = field(default=1, name="mamba_ngroups")
    num_key_value_heads: Count | None = None
    intermediate_size: Count | None = None
    num_mem_blocks: Count = 1
    adapter_rank: Count = 128
    use_shared_attention_adapter: bool = False
    use_mem_rope: bool = False
    use_conv_bias: bool = True
    add_bias_linear: bool = False
    hidden_act: str = "gelu"
    tie_word_embeddings: bool = True
    attention_head_dim: Count | None = None
    attention_hidden_size: Count | None = None
    mamba_headdim: Count | None = None


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


def _head_dims(c: Zamba2Config) -> tuple[int, int]:
    """The sizes of an attention head and of a Mamba head, which other keys only repeat."""
    inner, both = int(c.mamba_expand * c.hidden_size), 2 * c.hidden_size
    for key, heads, wide in (
        ("num_attention_heads", c.num_attention_heads, both),
        ("n_mamba_heads", c.scan_heads, inner),
    ):
        refuse(wide % heads != 0, f"key '{key}': {heads} does not divide {wide}")
    head_dim, scan_dim = both // c.num_attention_heads, inner // c.scan_heads
    for key, right in (
        ("attention_head_dim", head_dim),
        ("attention_hidden_size", both),
        ("mamba_headdim", scan_dim),
    ):
        given = getattr(c, key)
        refuse(given not in (None, right), f"key '{key}': {given} should be {right}")
    return head_dim, scan_dim


def _shared(c: Zamba2Config) -> SharedTransformer:
    return SharedTransformer(
        attention=attention(
            hidden=2 * sym.hidden,
            output=sym.hidden,
            rotary_dim=sym.head_dim if c.use_mem_rope else 0,
        ),
        mlp=mlp(c.hidden_act, fused=True, bias=c.add_bias_linear),
        norm=NormSpec(features=2 * sym.hidden),
        mlp_norm=RMS,
    )


def zamba2(c: Zamba2Config, name: str) -> Model:
    """Zamba2: every layer has a Mamba-2 mixer; shared blocks take turns before the hybrid ones."""
    known = {"mamba": 0, "linear_attention": 0, "hybrid": 1}
    hybrid = sum(listed(c.layers_block_type, c.num_hidden_layers, known, "layers_block_type"))
    refuse(hybrid == 0, "key 'layers_block_type': no hybrid layer")
    refuse(not c.tie_word_embeddings, "key 'tie_word_embeddings': false is not modelled")
    refuse(not c.use_conv_bias, "key 'use_conv_bias': false is not modelled")
    heads = c.num_attention_heads
    kv_heads = grouped(heads, c.num_key_value_heads or heads)
    adapters = c.use_shared_attention_adapter
    refuse(adapters and kv_heads != heads, "key 'num_key_value_heads': adapters need all heads")
    head_dim, scan_dim = _head_dims(c)
    check_groups(c.scan_heads, c.scan_groups)
    each = layer(scan_heads(bias=c.add_bias_linear), None)
    link = Link(
        hidden=sym.hidden, intermediate=sym.intermediate, rank=sym.adapter_rank, attention=adapters
    )
    sections = (
        Section(label="recurrent_layers", count=sym.layers, block=each),
        Section(
            label="shared_blocks",
            count=sym.full_layers,
            block=_shared(c),
            shared=True,
            copies=sym.shared_blocks,
        ),
        Section(label="links", count=sym.full_layers, block=link),
    )
    return sized(
        c,
        name,
        Ends().around(sections, tied=True),
        full_layers=hybrid,
        shared_blocks=min(c.num_mem_blocks, hybrid),
        head_dim=head_dim,
        intermediate=c.intermediate_size or 4 * c.hidden_size,
        scan_dim=scan_dim,
    )


_IGNORED = "num_logits_to_keep time_step_limit"
_SCALES = """
    attention_in_multiplier attention_out_multiplier embedding_multiplier key_multiplier
    lm_head_multiplier mlp_multipliers ssm_in_multiplier ssm_multipliers ssm_out_multiplier
"""
_FALCON = """
    attn_layer_indices layer_types layers_block_type mamba_norm_before_gate mamba_use_mlp
    mlp_expansion_factor
"""
_ZAMBA = """
    ffn_hidden_size hybrid_layer_ids kv_channels num_logits_to_keep num_query_groups time_step_floor
    time_step_limit time_step_max time_step_min use_long_context use_mamba_kernels use_mem_eff_path
"""

FAMILIES = {
    "bamba": Family(
        BambaConfig, bamba, "bamba-9b", ignored=_IGNORED + " attn_rotary_emb z_loss_coefficient"
    ),
    "falcon_h1": Family(
        FalconH1Config, falcon_h1, "falcon-h1-7b", ignored=_IGNORED + _SCALES + _FALCON
    ),
    "zamba2": Family(
        Zamba2Config,
        zamba2,
        "zamba2-2.7b",
        {"layer_types": "layers_block_type", "head_dim": "attention_head_dim"},
        ignored=_ZAMBA,
    ),
}
