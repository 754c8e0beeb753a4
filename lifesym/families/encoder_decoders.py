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
from lifesym.families.base import Config, per_head, refuse
from lifesym.families.decoder import sized
from lifesym.families.parts import LAYER_NORM, RMS, attention, layer, mlp
from lifesym.model import Model, Section

RESERVED = 2
"""Rows of a position table that no token has."""


def _model(
    c: Config,
    encoder: Mapping[str, Block],
    decoder: Mapping[str, Block],
    **sizes: int | None,
) -> Model:
    """Both stacks, by their sections' labels; the decoder's table may be the encoder's."""
    counts = {"encoder_layers": sym.encoder_layers, "layers": sym.layers}
    sections = []
    for label, block in (*encoder.items(), *decoder.items()):
        again = label == "embed" and block is encoder["encoder_embed"]
        sections.append(
            Section(
                label=label,
                count=counts.get(label, 1),
                block=block,
                shared=again,
                copies=0 if again else 1,
                encoder=label in encoder,
            )
        )
    return replace(sized(c, tuple(sections), **sizes), kind="encoder-decoder")


def bart(c: Config) -> Model:
    """BART: a LayerNorm after each part; mBART: one before, and one more at a stack's end.

    The constant zero bias of the logits is not counted.
    """
    head_dim = per_head(c.d_model, c.decoder_attention_heads, "d_model", "decoder_attention_heads")
    refuse(
        c.encoder_attention_heads != c.decoder_attention_heads,
        "key 'encoder_attention_heads': must equal decoder_attention_heads",
    )
    parts = {"hidden": sym.hidden, "heads": sym.heads, "head_dim": sym.head_dim}
    usual = {"kv_heads": sym.heads, "bias": True, "rotary_dim": 0}
    block = mlp(c, gated=False, bias=True)
    embed = Embed(
        vocab=sym.vocab, width=sym.hidden, hidden=sym.hidden, scaled=c.scale_embedding, tied=True
    )
    places = LearnedPositions(rows=sym.positions, hidden=sym.hidden, norm=LAYER_NORM)
    final = LAYER_NORM if c.model_type == "mbart" else None
    encoder: dict[str, Block] = {
        "encoder_embed": embed,
        "encoder_positions": places,
        "encoder_layers": layer(
            attention(**usual, bidirectional=True),
            replace(block, intermediate=sym.encoder_intermediate),
            norm=LAYER_NORM,
        ),
    }
    if final:
        encoder["encoder_norm"] = Closing(norm=final)
    decoder = {
        "embed": embed,
        "positions": places,
        "layers": layer(
            attention(**usual),
            block,
            norm=LAYER_NORM,
            cross=CrossAttention(**parts, bias=True, key_bias=True),
        ),
        "head": Head(hidden=sym.hidden, vocab=sym.vocab, tied=True, norm=final),
    }
    return _model(
        c, encoder, decoder, head_dim=head_dim, positions=c.max_position_embeddings + RESERVED
    ).limited(c.max_position_embeddings)


def t5(c: Config) -> Model:
    """T5: RMSNorms, no biases; relative positions are looked up once a stack for all its layers.

    With tied embeddings (T5 1.0), or where it says so, the decoder's output is scaled before the
    LM head.
    """
    gated, _, function = c.feed_forward_proj.rpartition("-")
    refuse(gated not in ("", "gated"), f"key 'feed_forward_proj': {c.feed_forward_proj!r}")
    refuse(c.is_gated_act not in (None, bool(gated)), "key 'is_gated_act': see 'feed_forward_proj'")
    function = "gelu_new" if c.feed_forward_proj == "gated-gelu" else function
    parts = {"hidden": sym.hidden, "heads": sym.heads, "head_dim": sym.head_dim}
    usual = {"kv_heads": sym.heads, "rotary_dim": 0, "relative": True}
    block, tied = mlp(function, gated=bool(gated)), c.tie_word_embeddings
    embed = Embed(vocab=sym.vocab, width=sym.hidden, hidden=sym.hidden, tied=tied)
    positions = RelativePositions(buckets=sym.position_buckets, heads=sym.heads)
    said = c.scale_decoder_outputs
    encoder = {
        "encoder_embed": embed,
        "encoder_positions": positions,
        "encoder_layers": layer(attention(**usual, bidirectional=True), block),
        "encoder_norm": Closing(norm=RMS),
    }
    decoder = {
        "embed": embed,
        "positions": positions,
        "layers": layer(attention(**usual), block, cross=CrossAttention(**parts)),
        "closing": Closing(norm=RMS, scaled=tied if said is None else said),
        "head": Head(hidden=sym.hidden, vocab=sym.vocab, tied=tied, norm=None),
    }
    depth = c.num_decoder_layers or c.encoder_layers
    return _model(c, encoder, decoder, layers=depth)


def whisper(c: Config) -> Model:
    """Whisper: LayerNorms, biases but on keys, learned positions of the decoder."""
    head_dim = per_head(c.d_model, c.decoder_attention_heads)
    heads_differ = per_head(c.d_model, c.encoder_attention_heads) != head_dim
    refuse(heads_differ, "key 'encoder_attention_heads': must equal decoder_attention_heads")
    usual: dict[str, Any] = {"bias": True, "key_bias": False, "rotary_dim": 0}
    block, tied = mlp(c, gated=False, bias=True), c.tie_word_embeddings
    listening = attention(
        **usual, heads=sym.encoder_heads, kv_heads=sym.encoder_heads, bidirectional=True
    )
    cross = CrossAttention(hidden=sym.hidden, heads=sym.heads, head_dim=sym.head_dim, bias=True)
    encoder = {
        "encoder_embed": AudioEmbed(bins=sym.mel_bins, hidden=sym.hidden, positions=sym.source),
        "encoder_layers": layer(
            listening, replace(block, intermediate=sym.encoder_intermediate), norm=LAYER_NORM
        ),
        "encoder_norm": Closing(norm=LAYER_NORM),
    }
    decoder = {
        "embed": Embed(
            vocab=sym.vocab, width=sym.hidden, hidden=sym.hidden, positions=sym.positions, tied=tied
        ),
        "layers": layer(
            attention(**usual, kv_heads=sym.heads), block, norm=LAYER_NORM, cross=cross
        ),
        "head": Head(hidden=sym.hidden, vocab=sym.vocab, tied=tied, norm=LAYER_NORM),
    }
    return _model(
        c,
        encoder,
        decoder,
        head_dim=head_dim,
        positions=c.max_target_positions,
        source=c.max_source_positions,
    ).limited(c.max_target_positions)
