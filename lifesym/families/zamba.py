"""Zamba 1 and 2: every layer has a Mamba mixer; shared blocks run before some of them."""

from lifesym import symbols as sym
from lifesym.blocks import Block, HeadMamba, Link, NormSpec, SharedTransformer
from lifesym.families.base import Config, activation, expect, grouped, refuse
from lifesym.families.decoder import Ends, sized
from lifesym.families.mamba import check_groups, scan_heads, step_rank
from lifesym.families.parts import RMS, attention, layer, mlp
from lifesym.families.patterns import listed
from lifesym.model import Model, Section


def _head_dims(c: Config) -> dict[str, int]:
    """The sizes of an attention head and of a Mamba head, which other keys only repeat."""
    inner, both = int(c.mamba_expand * c.hidden_size), 2 * c.hidden_size
    for key, wide in (("num_attention_heads", both), ("n_mamba_heads", inner)):
        heads = getattr(c, key)
        refuse(wide % heads != 0, f"key '{key}': {heads} does not divide {wide}")
    head_dim, scan_dim = both // c.num_attention_heads, inner // c.n_mamba_heads
    for key, right in (
        ("attention_head_dim", head_dim),
        ("attention_hidden_size", both),
        ("mamba_headdim", scan_dim),
    ):
        expect(c, key, right)
    return {"head_dim": head_dim, "scan_dim": scan_dim}


def _hybrid(c: Config, types: list[str]) -> int:
    """How many layers run a shared block."""
    known = {"mamba": 0, "linear_attention": 0, "hybrid": 1}
    hybrid = sum(listed(types, c.num_hidden_layers, known, "layers_block_type"))
    refuse(hybrid == 0, "key 'layers_block_type': no hybrid layer")
    return hybrid


def _shared(
    c: Config,
    mixer: Block,
    link: Link,
    *,
    bias: bool = False,
    fused: bool = False,
    rotary: bool = False,
    **sizes: int,
) -> Model:
    """Layers of that mixer, and blocks of attention and MLP that take turns before some of them."""
    turns = sym.head_dim if rotary else 0
    block = SharedTransformer(
        attention=attention(hidden=2 * sym.hidden, output=sym.hidden, rotary_dim=turns),
        mlp=mlp(c, fused=fused, bias=bias),
        norm=NormSpec(features=2 * sym.hidden),
        mlp_norm=RMS,
    )
    count, copies = sym.full_layers, sym.shared_blocks
    sections = (
        Section(label="recurrent_layers", count=sym.layers, block=layer(mixer, None)),
        Section(label="shared_blocks", count=count, block=block, shared=True, copies=copies),
        Section(label="links", count=count, block=link),
    )
    return sized(c, Ends(tied=True).around(sections, c), **sizes, **_head_dims(c))


def zamba(c: Config) -> Model:
    """Zamba: Mamba mixers in heads, and one shared block before the hybrid layers."""
    depth, period, offset = c.num_hidden_layers, c.attn_layer_period, c.attn_layer_offset
    usual = ["hybrid" if i % period == offset else "mamba" for i in range(depth - 3)]
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
        mixer,
        Link(hidden=sym.hidden, intermediate=sym.intermediate),
        full_layers=_hybrid(c, c.layers_block_type or ["mamba", "mamba", "hybrid", *usual]),
        shared_blocks=1,
        step_rank=step_rank(c.mamba_dt_rank, c.hidden_size),
    )


def zamba2(c: Config) -> Model:
    """Zamba2: every layer has a Mamba-2 mixer; shared blocks take turns before the hybrid ones."""
    heads, adapters = c.num_attention_heads, c.use_shared_attention_adapter
    kv_heads = grouped(heads, c.num_key_value_heads or heads)
    refuse(adapters and kv_heads != heads, "key 'num_key_value_heads': adapters need all heads")
    check_groups(c.n_mamba_heads, c.mamba_ngroups)
    hybrid, bias = _hybrid(c, c.layers_block_type), c.add_bias_linear
    sizes = {"hidden": sym.hidden, "intermediate": sym.intermediate}
    return _shared(
        c,
        scan_heads(bias=bias),
        Link(**sizes, rank=sym.adapter_rank, attention=adapters),
        bias=bias,
        fused=True,
        rotary=c.use_mem_rope,
        full_layers=hybrid,
        shared_blocks=min(c.num_mem_blocks, hybrid),
        intermediate=c.intermediate_size or 4 * c.hidden_size,
    )
