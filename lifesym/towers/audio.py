"""Whisper's encoder as the tower of Qwen2-Audio and Voxtral: pieces of 30 seconds of audio.

Sources: Radford et al., arXiv 2212.04356, section 2.2; Qwen2-Audio, 2407.10759; transformers 5.24
``models/qwen2_audio`` and ``voxtral``.
"""

from dataclasses import dataclass

import msgspec
from sympy import Integer

from lifesym.blocks import (
    MLP,
    Attention,
    AudioEmbed,
    Closing,
    DecoderLayer,
    NormSpec,
    PatchPool,
    Projector,
)
from lifesym.families.base import Count, activation, per_head, refuse
from lifesym.tower import Grid, Stage, Tower
from lifesym.towers.base import PATCHES, Whole


class Encoder(msgspec.Struct, kw_only=True):
    """Keys as Voxtral spells them."""

    hidden_size: Count = 1280
    intermediate_size: Count = 5120
    num_hidden_layers: Count = 32
    num_attention_heads: Count = 20
    num_mel_bins: Count = 128
    max_source_positions: Count = 1500
    activation_function: str = "gelu"
    scale_embedding: bool = False


class WhisperEncoder(msgspec.Struct, kw_only=True):
    """Keys as Whisper spells them."""

    d_model: Count = 1280
    encoder_ffn_dim: Count = 5120
    encoder_layers: Count = 32
    encoder_attention_heads: Count = 20
    num_mel_bins: Count = 128
    max_source_positions: Count = 1500
    activation_function: str = "gelu"
    scale_embedding: bool = False


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """A piece of audio is as long as the position table, however much of it is silence.

    Attributes:
        positions: positions of the encoder.
        tokens: tokens of the prompt.
    """

    positions: int
    tokens: int

    def __call__(self, height: int, width: int) -> Grid:
        """The same always."""
        return Grid(rows=self.positions, columns=1, tokens=self.tokens)


def _layers(c: Encoder) -> tuple[Stage, ...]:
    """Convolutions, positions and layers."""
    refuse(c.scale_embedding, "key 'audio_config.scale_embedding': true is not modelled")
    norm = NormSpec(features=c.hidden_size, kind="layer")
    layer = DecoderLayer(
        hidden=c.hidden_size,
        mixer=Attention(
            hidden=c.hidden_size,
            heads=c.num_attention_heads,
            kv_heads=c.num_attention_heads,
            head_dim=per_head(c.hidden_size, c.num_attention_heads),
            qkv_bias=True,
            key_bias=False,
            out_bias=True,
            bidirectional=True,
        ),
        mlp=MLP(
            hidden=c.hidden_size,
            intermediate=c.intermediate_size,
            activation=activation(c.activation_function, "activation_function"),
            gated=False,
            bias=True,
        ),
        mixer_norm=norm,
        mlp_norm=norm,
    )
    embed = AudioEmbed(bins=c.num_mel_bins, hidden=c.hidden_size, positions=c.max_source_positions)
    return (
        Stage(label="embed", count=1, block=embed, positions=PATCHES),
        Stage(label="layers", count=c.num_hidden_layers, block=layer, positions=PATCHES),
    )


def _tower(stages: tuple[Stage, ...], positions: int, tokens: int) -> tuple[Tower, ...]:
    rule = Pieces(positions=positions, tokens=tokens)
    return (Tower(label="audio", stages=stages, rule=rule, size=(positions, 1)),)


def qwen2_audio(whole: Whole) -> tuple[Tower, ...]:
    """Means of two positions, their norm, and one projection."""
    keys = whole.read("audio_config", WhisperEncoder)
    c = Encoder(
        hidden_size=keys.d_model,
        intermediate_size=keys.encoder_ffn_dim,
        num_hidden_layers=keys.encoder_layers,
        num_attention_heads=keys.encoder_attention_heads,
        num_mel_bins=keys.num_mel_bins,
        max_source_positions=keys.max_source_positions,
        activation_function=keys.activation_function,
        scale_embedding=keys.scale_embedding,
    )
    norm = NormSpec(features=c.hidden_size, kind="layer")
    pool = PatchPool(hidden=c.hidden_size, joined=2, norm=norm)
    project = Projector(widths=(c.hidden_size, whole.hidden))
    stages = (
        *_layers(c),
        Stage(label="pooling", count=1, block=pool, positions=PATCHES / 2),
        Stage(label="projector", count=1, block=project, positions=PATCHES / 2),
    )
    return _tower(stages, c.max_source_positions, c.max_source_positions // 2)


class _Voxtral(msgspec.Struct, kw_only=True):
    projector_hidden_act: str = "gelu"


def voxtral(whole: Whole) -> tuple[Tower, ...]:
    """A norm, and a projector of positions joined to the size of the MLP."""
    c = whole.read("audio_config", Encoder)
    joined = Integer(c.intermediate_size) / c.hidden_size
    refuse(not joined.is_Integer, "key 'audio_config.intermediate_size': joins no whole positions")
    closing = Closing(norm=NormSpec(features=c.hidden_size, kind="layer"))
    project = Projector(
        widths=(c.intermediate_size, whole.hidden, whole.hidden),
        bias=False,
        activation=activation(whole.outer(_Voxtral).projector_hidden_act, "projector_hidden_act"),
    )
    stages = (
        *_layers(c),
        Stage(label="norm", count=1, block=closing, positions=PATCHES),
        Stage(label="projector", count=1, block=project, positions=PATCHES / joined),
    )
    return _tower(stages, c.max_source_positions, c.max_source_positions // int(joined))
