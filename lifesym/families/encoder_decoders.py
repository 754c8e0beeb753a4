"""An encoder of text or sound, and a decoder that attends to it: bart, mbart, t5, mt5, whisper."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import (
    AudioEmbed,
    Block,
    Closing,
    CrossAttention,
    Embed,
    Head,
    LearnedPositions,
    RelativePositions,
)
from lifesym.families.base import Config, expect, per_head, refuse
from lifesym.families.decoder import sized
from lifesym.families.parts import HEADS, LAYER_NORM, RMS, TABLE, attention, layer, mlp
from lifesym.model import Model, Section

RESERVED = 2
"""Rows of a position table that no token has."""


def _model(
    c: Config, encoder: Mapping[str, Block], decoder: Mapping[str, Block], **sizes: int | None
) -> Model:
    """Both stacks, by their sections' labels; the decoder's table may be the encoder's."""
    counts = {"encoder_layers": sym.encoder_layers, "layers": sym.layers}
    sections = []
    for label, block in (*encoder.items(), *decoder.items()):
        again = label == "embed" and block is encoder["encoder_embed"]
        section = Section(
            label=label,
            count=counts.get(label, 1),
            block=block,
            shared=again,
            copies=0 if again else 1,
            encoder=label in encoder,
        )
        sections.append(section)
    return replace(sized(c, tuple(sections), **sizes), kind="encoder-decoder")


def bart(c: Config) -> Model:
    """BART: a LayerNorm after each part; mBART: one before, and one more at a stack's end.

    The constant zero bias of the logits is not counted.
    """
    head_dim = per_head(c.d_model, c.decoder_attention_heads, "d_model", "decoder_attention_heads")
    expect(c, "encoder_attention_heads", c.decoder_attention_heads, "decoder_attention_heads")
    usual = {"kv_heads": sym.heads, "bias": True, "rotary_dim": 0}
    block = mlp(c, gated=False, bias=True)
    wide = replace(block, intermediate=sym.encoder_intermediate)
    embed = Embed(**TABLE, scaled=c.scale_embedding, tied=True)
    places = LearnedPositions(rows=sym.positions, hidden=sym.hidden, norm=LAYER_NORM)
    final = LAYER_NORM if c.model_type == "mbart" else None
    cross = CrossAttention(**HEADS, bias=True, key_bias=True)
    encoder: dict[str, Block] = {
        "encoder_embed": embed,
        "encoder_positions": places,
        "encoder_layers": layer(attention(**usual, bidirectional=True), wide, LAYER_NORM),
        **({"encoder_norm": Closing(norm=final)} if final else {}),
    }
    decoder = {
        "embed": embed,
        "positions": places,
        "layers": layer(attention(**usual), block, LAYER_NORM, cross=cross),
        "head": Head(hidden=sym.hidden, vocab=sym.vocab, tied=True, norm=final),
    }
    rows = c.max_position_embeddings
    model = _model(c, encoder, decoder, head_dim=head_dim, positions=rows + RESERVED)
    return model.limited(rows)


def t5(c: Config) -> Model:
    """T5: RMSNorms, no biases; relative positions are looked up once a stack for all its layers.

    With tied embeddings (T5 1.0), or where it says so, the decoder's output is scaled before the
    LM head.
    """
    gated, _, function = c.feed_forward_proj.rpartition("-")
    refuse(gated not in ("", "gated"), f"key 'feed_forward_proj': {c.feed_forward_proj!r}")
    refuse(c.is_gated_act not in (None, bool(gated)), "key 'is_gated_act': see 'feed_forward_proj'")
    function = "gelu_new" if c.feed_forward_proj == "gated-gelu" else function
    usual = {"kv_heads": sym.heads, "rotary_dim": 0, "relative": True}
    block, tied = mlp(function, gated=bool(gated)), c.tie_word_embeddings
    scaled = tied if c.scale_decoder_outputs is None else c.scale_decoder_outputs
    embed = Embed(**TABLE, tied=tied)
    positions = RelativePositions(buckets=sym.position_buckets, heads=sym.heads)
    encoder = {
        "encoder_embed": embed,
        "encoder_positions": positions,
        "encoder_layers": layer(attention(**usual, bidirectional=True), block),
        "encoder_norm": Closing(norm=RMS),
    }
    decoder = {
        "embed": embed,
        "positions": positions,
        "layers": layer(attention(**usual), block, cross=CrossAttention(**HEADS)),
        "closing": Closing(norm=RMS, scaled=scaled),
        "head": Head(hidden=sym.hidden, vocab=sym.vocab, tied=tied, norm=None),
    }
    return _model(c, encoder, decoder, layers=c.num_decoder_layers or c.encoder_layers)


def whisper(c: Config) -> Model:
    """Whisper: LayerNorms, biases but on keys, learned positions of the decoder."""
    head_dim = per_head(c.d_model, c.decoder_attention_heads)
    heads_differ = per_head(c.d_model, c.encoder_attention_heads) != head_dim
    refuse(heads_differ, "key 'encoder_attention_heads': must equal decoder_attention_heads")
    usual: dict[str, Any] = {"bias": True, "key_bias": False, "rotary_dim": 0}
    block, tied = mlp(c, gated=False, bias=True), c.tie_word_embeddings
    wide = replace(block, intermediate=sym.encoder_intermediate)
    heads = {"heads": sym.encoder_heads, "kv_heads": sym.encoder_heads}
    listening = attention(**usual, **heads, bidirectional=True)
    writing, cross = attention(**usual, kv_heads=sym.heads), CrossAttention(**HEADS, bias=True)
    encoder = {
        "encoder_embed": AudioEmbed(bins=sym.mel_bins, hidden=sym.hidden, positions=sym.source),
        "encoder_layers": layer(listening, wide, LAYER_NORM),
        "encoder_norm": Closing(norm=LAYER_NORM),
    }
    decoder = {
        "embed": Embed(**TABLE, positions=sym.positions, tied=tied),
        "layers": layer(writing, block, LAYER_NORM, cross=cross),
        "head": Head(hidden=sym.hidden, vocab=sym.vocab, tied=tied, norm=LAYER_NORM),
    }
    rows, source = c.max_target_positions, c.max_source_positions
    model = _model(c, encoder, decoder, head_dim=head_dim, positions=rows, source=source)
    return model.limited(rows)
