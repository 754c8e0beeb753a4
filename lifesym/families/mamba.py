"""Recurrent layers alone: mamba, falcon_mamba, mamba2 and rwkv (RWKV-4).

Their cost does not depend on the past.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import field

from lifesym import symbols as sym
from lifesym.blocks import ChannelMix, Mamba, Mamba2, TimeMix
from lifesym.families.base import Config, Count, Family, activation, refuse
from lifesym.families.decoder import LAYER_NORM, Ends, decoder, layer
from lifesym.model import Model

Kernel = Annotated[int, msgspec.Meta(ge=2, le=2**10)]
"""Taps of a convolution: with one there is nothing to convolve."""


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


class StateSpaceConfig(Config, kw_only=True):
    """``intermediate_size`` is the number of channels; ``expand`` times hidden where not given."""

    vocab_size: Count
    hidden_size: Count
    num_hidden_layers: Count
    state_size: Count
    expand: int | float = 2
    intermediate_size: Count | None = None
    conv_kernel: Kernel = 4
    use_bias: bool = False
    use_conv_bias: bool = True
    hidden_act: str = "silu"
    rms_norm: bool = True

    @property
    def inner_size(self) -> int:
        """The number of channels."""
        width = self.intermediate_size or int(self.expand * self.hidden_size)
        refuse(width < 1, f"key 'expand': {self.expand} times hidden_size is no size")
        return width


class MambaConfig(StateSpaceConfig, kw_only=True):
    """``time_step_rank`` "auto": hidden / 16, rounded up."""

    time_step_rank: Count | Literal["auto"] = "auto"
    tie_word_embeddings: bool = True


class Mamba2Config(StateSpaceConfig, kw_only=True):
    """Heads times their size are the channels."""

    scan_heads: Count = field(name="num_heads")
    scan_dim: Count = field(name="head_dim")
    scan_groups: Count = field(name="n_groups")
    scan_chunk: Count = field(name="chunk_size")
    tie_word_embeddings: bool = False


class RwkvConfig(Config, kw_only=True):
    """``intermediate_size`` absent: four times hidden."""

    vocab_size: Count
    hidden_size: Count
    num_hidden_layers: Count
    attention_hidden_size: Count | None = None
    intermediate_size: Count | None = None
    tie_word_embeddings: bool = False


def step_rank(rank: int | Literal["auto"], hidden: int) -> int:
    """The rank of the time steps: given, or hidden / 16 rounded up.

    >>> step_rank("auto", 2560), step_rank("auto", 20), step_rank(7, 20)
    (160, 2, 7)
    """
    return -(-hidden // 16) if rank == "auto" else rank


def _model(c: MambaConfig | Mamba2Config, name: str, mixer: Mamba | Mamba2, **sizes: int) -> Model:
    refuse(not c.rms_norm, "key 'rms_norm': false is not modelled")
    return decoder(c, name, [layer(mixer, None)] * c.num_hidden_layers, Ends(), **sizes)


def mamba(c: MambaConfig, name: str) -> Model:
    """Mamba; Falcon Mamba, which normalizes time steps, B and C without gains."""
    mixer = Mamba(
        hidden=sym.hidden,
        inner=sym.inner_size,
        state=sym.state_size,
        kernel=sym.conv_kernel,
        rank=sym.step_rank,
        activation=activation(c.hidden_act),
        conv_bias=c.use_conv_bias,
        bias=c.use_bias,
        norms="plain" if c.model_type == "falcon_mamba" else "none",
    )
    rank = step_rank(c.time_step_rank, c.hidden_size)
    return _model(c, name, mixer, step_rank=rank)


def mamba2(c: Mamba2Config, name: str) -> Model:
    """Mamba-2: a scan of heads in chunks."""
    wide = int(c.expand * c.hidden_size)
    refuse(
        not c.inner_size == wide == c.scan_heads * c.scan_dim,
        f"keys 'num_heads', 'head_dim': {c.scan_heads} x {c.scan_dim} and 'intermediate_size'"
        f" must be expand x hidden_size = {wide}",
    )
    mixer = scan_heads(
        activation=activation(c.hidden_act), conv_bias=c.use_conv_bias, bias=c.use_bias
    )
    check_groups(c.scan_heads, c.scan_groups)
    return _model(c, name, mixer)


def check_groups(heads: int, groups: int) -> None:
    """Refuse a number of groups that does not divide that of the heads."""
    refuse(heads % groups != 0, f"key 'n_groups': {groups} does not divide {heads} heads")


def rwkv(c: RwkvConfig, name: str) -> Model:
    """RWKV-4: the embedding is normalized once, then every layer has time and channel mixing."""
    refuse(
        c.attention_hidden_size not in (None, c.hidden_size),
        f"key 'attention_hidden_size': only hidden_size = {c.hidden_size} is modelled",
    )
    each = layer(
        TimeMix(hidden=sym.hidden, channels=sym.hidden),
        ChannelMix(hidden=sym.hidden, intermediate=sym.intermediate),
        norm=LAYER_NORM,
    )
    ends = Ends(norm=LAYER_NORM, embedding_norm=LAYER_NORM)
    width = c.intermediate_size or 4 * c.hidden_size
    return decoder(c, name, [each] * c.num_hidden_layers, ends, intermediate=width)


_IGNORED = """
    d_inner d_model fused_add_norm mixer_rms_eps n_layer norm_before_gate pad_vocab_size_multiple
    rescale_prenorm_residual residual_in_fp32 ssm_cfg time_step_floor time_step_init_scheme
    time_step_limit time_step_max time_step_min time_step_scale use_associative_scan
    use_falcon_mambapy use_mamba_kernels use_mambapy
"""
"""How time steps are initialized and clamped, and which implementation scans."""

FAMILIES = {
    "mamba": Family(MambaConfig, mamba, "mamba-2.8b", ignored=_IGNORED),
    "falcon_mamba": Family(MambaConfig, mamba, "falcon-mamba-7b", ignored=_IGNORED),
    "mamba2": Family(
        Mamba2Config, mamba2, "codestral-mamba-7b", ignored=_IGNORED + " time_step_rank"
    ),
    "rwkv": Family(RwkvConfig, rwkv, "rwkv-4-7b", ignored="context_length rescale_every"),
}
