"""Zamba2: Mamba-2 layers, and a few transformer blocks that several layers share."""

from lifesym import symbols as sym
from lifesym.blocks import Link, NormSpec, SharedTransformer
from lifesym.families.base import Count, Family, StackConfig, grouped, listed, refuse
from lifesym.families.decoder import RMS, Ends, attention, layer, mlp, sized
from lifesym.families.mamba import Kernel, groups, scan_heads
from lifesym.model import Model, Section


class Zamba2Config(StackConfig, kw_only=True):
    """``hybrid`` layers run a shared block before their Mamba layer.

    Untied embeddings are refused: transformers then no longer shares the blocks either.
    """

    layers_block_type: list[str]
    mamba_d_state: Count
    n_mamba_heads: Count
    chunk_size: Count
    mamba_d_conv: Kernel = 4
    mamba_expand: int | float = 2
    mamba_ngroups: Count = 1
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


def _head_dims(c: Zamba2Config) -> tuple[int, int]:
    """The sizes of an attention head and of a Mamba head, which other keys only repeat."""
    inner, both = int(c.mamba_expand * c.hidden_size), 2 * c.hidden_size
    for key, heads, wide in (
        ("num_attention_heads", c.num_attention_heads, both),
        ("n_mamba_heads", c.n_mamba_heads, inner),
    ):
        refuse(wide % heads != 0, f"key '{key}': {heads} does not divide {wide}")
    head_dim, scan_dim = both // c.num_attention_heads, inner // c.n_mamba_heads
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
        adapter_rank=c.adapter_rank,
        scan_heads=c.n_mamba_heads,
        scan_dim=scan_dim,
        scan_groups=groups(c.n_mamba_heads, c.mamba_ngroups),
        scan_chunk=c.chunk_size,
        state_size=c.mamba_d_state,
        conv_kernel=c.mamba_d_conv,
    )


_IGNORED = """
    ffn_hidden_size hybrid_layer_ids kv_channels num_logits_to_keep num_query_groups time_step_floor
    time_step_limit time_step_max time_step_min use_long_context use_mamba_kernels use_mem_eff_path
"""

FAMILIES = {
    "zamba2": Family(
        Zamba2Config,
        zamba2,
        "zamba2-2.7b",
        {"layer_types": "layers_block_type", "head_dim": "attention_head_dim"},
        ignored=_IGNORED,
    )
}
