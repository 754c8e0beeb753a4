"""Recurrent layers: mamba, falcon_mamba, mamba2, rwkv (RWKV-4), recurrent_gemma, xlstm.

Their cost does not depend on the past, but for RecurrentGemma's, which has local attention as well.
"""

from typing import Any, Literal

from lifesym import symbols as sym
from lifesym.blocks import ChannelMix, GatedRecurrence, Mamba, Mamba2, MatrixLSTM, TimeMix
from lifesym.families.base import Config, expect, per_head, refuse
from lifesym.families.decoder import Ends, decoder
from lifesym.families.parts import LAYER_NORM, attention, function, layer, mlp
from lifesym.families.sizes import turned
from lifesym.model import Model


def scan(c: Config, **options: Any) -> Mamba:
    """The mixer of Mamba with every size a symbol."""
    return Mamba(
        hidden=sym.hidden,
        inner=sym.inner_size,
        state=sym.state_size,
        kernel=sym.conv_kernel,
        rank=sym.step_rank,
        activation=function(c),
        **options,
    )


def scan_heads(**options: Any) -> Mamba2:
    """The mixer of Mamba-2 with every size a symbol."""
    return Mamba2(
        hidden=sym.hidden,
        heads=sym.scan_heads,
        head_dim=sym.scan_dim,
        groups=sym.scan_groups,
        state=sym.state_size,
        kernel=sym.conv_kernel,
        chunk=sym.scan_chunk,
        **options,
    )


def step_rank(rank: int | Literal["auto"], hidden: int) -> int:
    """The rank of the time steps: given, or hidden / 16 rounded up.

    >>> step_rank("auto", 2560), step_rank("auto", 20), step_rank(7, 20)
    (160, 2, 7)
    """
    return -(-hidden // 16) if rank == "auto" else rank


def check_groups(heads: int, groups: int) -> None:
    """Refuse a number of groups that does not divide that of the heads."""
    refuse(heads % groups != 0, f"key 'n_groups': {groups} does not divide {heads} heads")


def _channels(c: Config) -> int:
    """The number of channels: given, or ``expand`` times the hidden size."""
    width = int(c.intermediate_size or c.expand * c.hidden_size)
    refuse(width < 1, f"key 'expand': {c.expand} times hidden_size is no size")
    return width


def mamba(c: Config) -> Model:
    """Mamba; Falcon Mamba, which normalizes time steps, B and C without gains."""
    norms = "plain" if c.model_type == "falcon_mamba" else "none"
    mixer = scan(c, conv_bias=c.use_conv_bias, bias=c.use_bias, norms=norms)
    rank = step_rank(c.time_step_rank, c.hidden_size)
    return decoder(c, layer(mixer, None), step_rank=rank, inner_size=_channels(c))


def mamba2(c: Config) -> Model:
    """Mamba-2: a scan of heads in chunks."""
    wide, heads, size = int(c.expand * c.hidden_size), c.num_heads, c.head_dim
    refuse(
        not _channels(c) == wide == heads * size,
        f"keys 'num_heads', 'head_dim': {heads} x {size} and 'intermediate_size'"
        f" must be expand x hidden_size = {wide}",
    )
    check_groups(heads, c.n_groups)
    mixer = scan_heads(activation=function(c), conv_bias=c.use_conv_bias, bias=c.use_bias)
    return decoder(c, layer(mixer, None))


def rwkv(c: Config) -> Model:
    """RWKV-4: the embedding is normalized once, then every layer has time and channel mixing."""
    expect(c, "attention_hidden_size", c.hidden_size, "hidden_size")
    mixing = TimeMix(hidden=sym.hidden, channels=sym.hidden)
    feeding = ChannelMix(hidden=sym.hidden, intermediate=sym.intermediate)
    ends = Ends(norm=LAYER_NORM, embedding_norm=LAYER_NORM)
    width = c.intermediate_size or 4 * c.hidden_size
    return decoder(c, layer(mixing, feeding, LAYER_NORM), ends, intermediate=width)


def recurrent_gemma(c: Config) -> Model:
    """RecurrentGemma: RG-LRUs behind short convolutions, and local attention in every third layer.

    A chunk of a prompt that goes on is computed as transformers does: its convolution begins anew.
    """
    heads, width = c.num_attention_heads, c.lru_width or c.hidden_size
    kinds = ["recurrent", "recurrent", "attention"] if c.block_types is None else c.block_types
    refuse(not kinds, "key 'block_types': empty")
    refuse(c.intermediate_size < 2, "key 'intermediate_size': 1 is that of no gate and up")
    recurrence = GatedRecurrence(
        hidden=sym.hidden,
        heads=sym.scan_heads,
        head_dim=sym.scan_dim,
        kernel=sym.conv_kernel,
        activation=function(c),
    )
    local = attention(c, out_bias=True, window=sym.window, rotary_dim=turned(c))
    block, mixers = mlp(c, bias=True), {"recurrent": recurrence, "attention": local}
    return decoder(
        c,
        [layer(mixers[kinds[i % len(kinds)]], block) for i in range(c.num_hidden_layers)],
        Ends(scaled=True, softcap=True),
        intermediate=c.intermediate_size // 2,
        scan_heads=heads,
        scan_dim=per_head(width, heads, "lru_width"),
    )


def xlstm(c: Config) -> Model:
    """xLSTM: mLSTMs, which keep a matrix a head, and MLPs of rounded size."""
    sizes = {}
    for key, factor in (("qk_dim_factor", c.qk_dim_factor), ("v_dim_factor", c.v_dim_factor)):
        size = int(c.hidden_size * factor)
        refuse(size < 1 or size % 64 != 0, f"key '{key}': {size} is no multiple of 64")
        sizes[key] = per_head(size, c.num_heads, key, "num_heads")
    step = c.ffn_round_up_to_multiple_of
    wide = int((c.hidden_size * c.ffn_proj_factor + step - 1) // step * step)
    refuse(wide < 1, f"key 'ffn_proj_factor': {c.ffn_proj_factor} times hidden_size is no size")
    mixer = MatrixLSTM(
        hidden=sym.hidden,
        heads=sym.linear_value_heads,
        key_dim=sym.linear_key_dim,
        value_dim=sym.linear_value_dim,
        chunk=sym.scan_chunk,
        capped=c.gate_soft_cap is not None,
    )
    return decoder(
        c,
        layer(mixer, mlp("silu")),
        Ends(tied=False, softcap=c.output_logit_soft_cap is not None),
        linear_value_heads=c.num_heads,
        linear_key_dim=sizes["qk_dim_factor"],
        linear_value_dim=sizes["v_dim_factor"],
        intermediate=wide,
    )
