"""Zamba 1 and 2: every layer has a Mamba mixer; shared blocks run before some of them."""

from typing import Any, Literal

from msgspec import field

from lifesym import symbols as sym
from lifesym.blocks import Block, HeadMamba, Link, NormSpec, SharedTransformer
from lifesym.families.base import (
    Count,
    Family,
    StackConfig,
    Whole,
    activation,
    grouped,
    listed,
    refuse,
)
from lifesym.families.decoder import RMS, Ends, attention, layer, mlp, sized
from lifesym.families.mamba import Kernel, check_groups, scan_heads, step_rank
from lifesym.model import Model, Section


class SharedConfig(StackConfig, kw_only=True):
    """What both generations say of attention; other keys only repeat its sizes."""

    num_key_value_heads: Count | None = None
    attention_head_dim: Count | None = None
    attention_hidden_size: Count | None = None
    hidden_act: str = "gelu"
    tie_word_embeddings: bool = True


class ZambaConfig(SharedConfig, kw_only=True):
    """``hybrid`` layers by a period, after one that is always the third, unless listed."""

    intermediate_size: Count
    layers_block_type: list[str] | None = None
    attn_layer_period: Count = 6
    attn_layer_offset: Whole = 4
    scan_heads: Count = field(name="n_mamba_heads", default=2)
    state_size: Count = field(name="mamba_d_state", default=16)
    conv_kernel: Kernel = field(name="mamba_d_conv", default=4)
    mamba_expand: Count = 2
    mamba_dt_rank: Count | Literal["auto"] = "auto"
    mamba_conv_bias: bool = True
    mamba_proj_bias: bool = False
    hidden_mamba_act: str = "silu"


class Zamba2Config(SharedConfig, kw_only=True):
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
    intermediate_size: Count | None = None
    num_mem_blocks: Count = 1
    adapter_rank: Count = 128
    use_shared_attention_adapter: bool = False
    use_mem_rope: bool = False
    use_conv_bias: bool = True
    add_bias_linear: bool = False
    mamba_headdim: Count | None = None


def _head_dims(c: Any, **given: int | None) -> tuple[int, int]:
    """The sizes of an attention head and of a Mamba head, which other keys only repeat."""
    inner, both = int(c.mamba_expand * c.hidden_size), 2 * c.hidden_size
    for key, heads, wide in (
        ("num_attention_heads", c.num_attention_heads, both),
        ("n_mamba_heads", c.scan_heads, inner),
    ):
        refuse(wide % heads != 0, f"key '{key}': {heads} does not divide {wide}")
    head_dim, scan_dim = both // c.num_attention_heads, inner // c.scan_heads
    for key, said, right in (
        ("attention_head_dim", c.attention_head_dim, head_dim),
        ("attention_hidden_size", c.attention_hidden_size, both),
        ("mamba_headdim", given.get("mamba_headdim"), scan_dim),
    ):
        refuse(said not in (None, right), f"key '{key}': {said} should be {right}")
    return head_dim, scan_dim


def _hybrid(c: Any, types: list[str]) -> int:
    """How many layers run a shared block."""
    known = {"mamba": 0, "linear_attention": 0, "hybrid": 1}
    hybrid = sum(listed(types, c.num_hidden_layers, known, "layers_block_type"))
    refuse(hybrid == 0, "key 'layers_block_type': no hybrid layer")
    refuse(not c.tie_word_embeddings, "key 'tie_word_embeddings': false is not modelled")
    return hybrid


def _shared(
    c: Any,
    name: str,
    mixer: Block,
    link: Link,
    *,
    bias: bool = False,
    fused: bool = False,
    rotary: bool = False,
    **sizes: int,
) -> Model:
    """Layers of that mixer, and blocks of attention and MLP that take turns before some of them."""
    block = SharedTransformer(
        attention=attention(
            hidden=2 * sym.hidden, output=sym.hidden, rotary_dim=sym.head_dim if rotary else 0
        ),
        mlp=mlp(c.hidden_act, fused=fused, bias=bias),
        norm=NormSpec(features=2 * sym.hidden),
        mlp_norm=RMS,
    )
    sections = (
        Section(label="recurrent_layers", count=sym.layers, block=layer(mixer, None)),
        Section(
            label="shared_blocks",
            count=sym.full_layers,
            block=block,
            shared=True,
            copies=sym.shared_blocks,
        ),
        Section(label="links", count=sym.full_layers, block=link),
    )
    return sized(c, name, Ends().around(sections, tied=True), **sizes)


def zamba(c: ZambaConfig, name: str) -> Model:
    """Zamba: Mamba mixers in heads, and one shared block before the hybrid layers."""
    depth, period, offset = c.num_hidden_layers, c.attn_layer_period, c.attn_layer_offset
    usual = ["hybrid" if i % period == offset else "mamba" for i in range(depth - 3)]
    hybrid = _hybrid(c, c.layers_block_type or ["mamba", "mamba", "hybrid", *usual])
    head_dim, scan_dim = _head_dims(c)
    mixer = HeadMamba(
        hidden=sym.hidden,
        heads=sym.scan_heads,
        head_dim=sym.scan_dim,
        state=sym.state_size,
        kernel=sym.conv_kernel,
        rank=sym.step_rank,
        activation=activation(c.hidden_mamba_act, "hidden_mamba_act"),
        conv_bias=c.mamba_conv_bias,
        bias=c.mamba_proj_bias,
    )
    return _shared(
        c,
        name,
        mixer,
        Link(hidden=sym.hidden, intermediate=sym.intermediate),
        full_layers=hybrid,
        shared_blocks=1,
        head_dim=head_dim,
        scan_dim=scan_dim,
        step_rank=step_rank(c.mamba_dt_rank, c.hidden_size),
    )


def zamba2(c: Zamba2Config, name: str) -> Model:
    """Zamba2: every layer has a Mamba-2 mixer; shared blocks take turns before the hybrid ones."""
    hybrid = _hybrid(c, c.layers_block_type)
    refuse(not c.use_conv_bias, "key 'use_conv_bias': false is not modelled")
    heads = c.num_attention_heads
    kv_heads = grouped(heads, c.num_key_value_heads or heads)
    adapters = c.use_shared_attention_adapter
    refuse(adapters and kv_heads != heads, "key 'num_key_value_heads': adapters need all heads")
    head_dim, scan_dim = _head_dims(c, mamba_headdim=c.mamba_headdim)
    check_groups(c.scan_heads, c.scan_groups)
    link = Link(
        hidden=sym.hidden, intermediate=sym.intermediate, rank=sym.adapter_rank, attention=adapters
    )
    return _shared(
        c,
        name,
        scan_heads(bias=c.add_bias_linear),
        link,
        bias=c.add_bias_linear,
        fused=True,
        rotary=c.use_mem_rope,
        full_layers=hybrid,
        shared_blocks=min(c.num_mem_blocks, hybrid),
        head_dim=head_dim,
        intermediate=c.intermediate_size or 4 * c.hidden_size,
        scan_dim=scan_dim,
    )


_SPELT = {"layer_types": "layers_block_type", "head_dim": "attention_head_dim"}
_ZAMBA = """
    ffn_hidden_size hybrid_layer_ids kv_channels num_logits_to_keep num_query_groups time_step_floor
    time_step_limit time_step_max time_step_min use_long_context use_mamba_kernels use_mem_eff_path
"""

FAMILIES = {
    "zamba": Family(
        ZambaConfig, zamba, "zamba-7b-v1", _SPELT, ignored=f"{_ZAMBA} use_associative_scan"
    ),
    "zamba2": Family(
        Zamba2Config,
        zamba2,
        "zamba2-2.7b",
        _SPELT,
        ignored=_ZAMBA,
    ),
}
