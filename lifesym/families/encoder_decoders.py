"""An encoder of text or sound, and a decoder that attends to it: bart, mbart, t5, mt5, whisper."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from msgspec import field

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
from lifesym.families.base import Config, Count, Family, per_head, refuse
from lifesym.families.decoder import LAYER_NORM, RMS, attention, layer, mlp, sized
from lifesym.model import Model, Section

RESERVED = 2
"""Rows of a position table that no token has."""


class TwoStacksConfig(Config, kw_only=True):
    """Each stack has its own depth, heads and MLP."""

    vocab_size: Count
    d_model: Count
    encoder_layers: Count
    encoder_attention_heads: Count
    encoder_ffn_dim: Count
    decoder_layers: Count
    decoder_attention_heads: Count
    decoder_ffn_dim: Count
    activation_function: str = "gelu"
    scale_embedding: bool = False
    tie_word_embeddings: bool = True


class BartConfig(TwoStacksConfig, kw_only=True):
    """The defaults are the class's."""

    vocab_size: Count = 50265
    d_model: Count = 1024
    encoder_layers: Count = 12
    encoder_attention_heads: Count = 16
    encoder_ffn_dim: Count = 4096
    decoder_layers: Count = 12
    decoder_attention_heads: Count = 16
    decoder_ffn_dim: Count = 4096
    max_position_embeddings: Count = 1024
    is_encoder_decoder: bool = True


class T5Config(Config, kw_only=True):
    """Keys of T5 1.0 and 1.1; the inner width is ``num_heads * d_kv`` whatever ``d_model`` is."""

    vocab_size: Count = 32128
    d_model: Count = 512
    head_dim: Count = field(default=64, name="d_kv")
    intermediate_size: Count = field(default=2048, name="d_ff")
    encoder_layers: Count = field(default=6, name="num_layers")
    num_decoder_layers: Count | None = None
    num_attention_heads: Count = field(default=8, name="num_heads")
    position_buckets: Count = field(default=32, name="relative_attention_num_buckets")
    feed_forward_proj: str = "relu"
    is_gated_act: bool | None = None
    scale_decoder_outputs: bool | None = None
    tie_word_embeddings: bool = True
    is_encoder_decoder: bool = True


class WhisperConfig(TwoStacksConfig, kw_only=True):
    """The source is always of the same length."""

    num_mel_bins: Count = 80
    max_source_positions: Count = 1500
    max_target_positions: Count = 448


def _model(
    c: Config,
    name: str,
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
    return replace(sized(c, name, tuple(sections), **sizes), kind="encoder-decoder")


def bart(c: BartConfig, name: str) -> Model:
    """BART: a LayerNorm after each part; mBART: one before, and one more at a stack's end.

    The constant zero bias of the logits is not counted.
    """
    refuse(not c.is_encoder_decoder, "key 'is_encoder_decoder': false is not modelled")
    refuse(not c.tie_word_embeddings, "key 'tie_word_embeddings': false is not modelled")
    head_dim = per_head(c.d_model, c.decoder_attention_heads, "d_model", "decoder_attention_heads")
    refuse(
        c.encoder_attention_heads != c.decoder_attention_heads,
        "key 'encoder_attention_heads': must equal decoder_attention_heads",
    )
    parts = {"hidden": sym.hidden, "heads": sym.heads, "head_dim": sym.head_dim}
    usual = {"kv_heads": sym.heads, "bias": True, "rotary_dim": 0}
    block = mlp(c.activation_function, "activation_function", gated=False, bias=True)
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
        c, name, encoder, decoder, head_dim=head_dim, positions=c.max_position_embeddings + RESERVED
    ).limited(c.max_position_embeddings)


def t5(c: T5Config, name: str) -> Model:
    """T5: RMSNorms, no biases; relative positions are looked up once a stack for all its layers.

    With tied embeddings (T5 1.0), or where it says so, the decoder's output is scaled before the
    LM head.
    """
    refuse(not c.is_encoder_decoder, "key 'is_encoder_decoder': false is not modelled")
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
    return _model(c, name, encoder, decoder, layers=depth)


def whisper(c: WhisperConfig, name: str) -> Model:
    """Whisper: LayerNorms, biases but on keys, learned positions of the decoder."""
    refuse(c.scale_embedding, "key 'scale_embedding': true is not modelled")
    head_dim = per_head(c.d_model, c.decoder_attention_heads)
    heads_differ = per_head(c.d_model, c.encoder_attention_heads) != head_dim
    refuse(heads_differ, "key 'encoder_attention_heads': must equal decoder_attention_heads")
    usual: dict[str, Any] = {"bias": True, "key_bias": False, "rotary_dim": 0}
    block, tied = mlp(c.activation_function, gated=False, bias=True), c.tie_word_embeddings
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
        name,
        encoder,
        decoder,
        head_dim=head_dim,
        positions=c.max_target_positions,
        source=c.max_source_positions,
    ).limited(c.max_target_positions)


_IGNORED = """
    _num_labels add_bias_logits add_final_layer_norm classif_dropout decoder_layerdrop
    early_stopping encoder_layerdrop force_bos_token_to_be_generated is_decoder length_penalty
    max_length min_length no_repeat_ngram_size normalize_before normalize_embedding num_beams
    num_hidden_layers
"""
"""How text is generated, and keys of the code that BART was trained with."""

FAMILIES = {
    "bart": Family(BartConfig, bart, "bart-large-cnn", ignored=_IGNORED, kin=("mbart",)),
    "t5": Family(
        T5Config,
        t5,
        "t5-small",
        ignored="dense_act_fn dropout_rate is_decoder n_positions relative_attention_max_distance",
        kin=("mt5",),
    ),
    "whisper": Family(
        WhisperConfig,
        whisper,
        "whisper-tiny",
        ignored="decoder_layerdrop encoder_layerdrop num_hidden_layers apply_spec_augment "
        "begin_suppress_tokens suppress_tokens mask_feature_length mask_feature_min_masks "
        "mask_feature_prob mask_time_length mask_time_min_masks mask_time_prob median_filter_width "
        "use_weighted_layer_sum classifier_proj_size alignment_heads lang_to_id task_to_id "
        "max_length",
    ),
}
