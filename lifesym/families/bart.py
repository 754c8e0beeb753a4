"""BART and mBART: an encoder and a decoder of text with learned positions and one vocabulary."""

from dataclasses import replace

from lifesym import symbols as sym
from lifesym.blocks import Closing, CrossAttention, DecoderLayer, Embed, Head, LearnedPositions
from lifesym.families.base import Config, Count, Family, per_head, refuse
from lifesym.families.decoder import LAYER_NORM, attention, layer, mlp, sized
from lifesym.model import Model, Section
from lifesym.symbols import Size

RESERVED = 2
"""Rows of a position table that no token has."""


class BartConfig(Config, kw_only=True):
    """Each stack has its own depth and MLP; the defaults are the class's."""

    vocab_size: Count = 50265
    d_model: Count = 1024
    encoder_layers: Count = 12
    encoder_attention_heads: Count = 16
    encoder_ffn_dim: Count = 4096
    decoder_layers: Count = 12
    decoder_attention_heads: Count = 16
    decoder_ffn_dim: Count = 4096
    max_position_embeddings: Count = 1024
    activation_function: str = "gelu"
    scale_embedding: bool = False
    tie_word_embeddings: bool = True
    is_encoder_decoder: bool = True


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

    def stacked(intermediate: Size, *, decoder: bool) -> DecoderLayer:
        sizes = {"hidden": sym.hidden, "heads": sym.heads, "head_dim": sym.head_dim}
        own = attention(kv_heads=sym.heads, bias=True, rotary_dim=0, bidirectional=not decoder)
        block = mlp(
            c.activation_function,
            "activation_function",
            intermediate=intermediate,
            gated=False,
            bias=True,
        )
        cross = CrossAttention(**sizes, bias=True, key_bias=True) if decoder else None
        return layer(own, block, norm=LAYER_NORM, cross=cross)

    embed = Embed(
        vocab=sym.vocab, width=sym.hidden, hidden=sym.hidden, scaled=c.scale_embedding, tied=True
    )
    places = LearnedPositions(rows=sym.positions, hidden=sym.hidden, norm=LAYER_NORM)
    pre_norm = c.model_type == "mbart"
    encoder: tuple[Section, ...] = (
        Section(label="encoder_embed", count=1, block=embed, encoder=True),
        Section(label="encoder_positions", count=1, block=places, encoder=True),
        Section(
            label="encoder_layers",
            count=sym.encoder_layers,
            block=stacked(sym.encoder_intermediate, decoder=False),
            encoder=True,
        ),
    )
    if pre_norm:
        closing = Section(
            label="encoder_norm", count=1, block=Closing(norm=LAYER_NORM), encoder=True
        )
        encoder = (*encoder, closing)
    head = Head(
        hidden=sym.hidden, vocab=sym.vocab, tied=True, norm=LAYER_NORM if pre_norm else None
    )
    decoder = (
        Section(label="embed", count=1, block=embed, shared=True, copies=0),
        Section(label="positions", count=1, block=places),
        Section(label="layers", count=sym.layers, block=stacked(sym.intermediate, decoder=True)),
        Section(label="head", count=1, block=head),
    )
    model = sized(
        c,
        name,
        encoder + decoder,
        hidden=c.d_model,
        heads=c.decoder_attention_heads,
        head_dim=head_dim,
        intermediate=c.decoder_ffn_dim,
        encoder_intermediate=c.encoder_ffn_dim,
        layers=c.decoder_layers,
        positions=c.max_position_embeddings + RESERVED,
    )
    return replace(model, kind="encoder-decoder", context_limit=c.max_position_embeddings)


_IGNORED = """
    _num_labels add_bias_logits add_final_layer_norm classif_dropout decoder_layerdrop
    early_stopping encoder_layerdrop force_bos_token_to_be_generated is_decoder length_penalty
    max_length min_length no_repeat_ngram_size normalize_before normalize_embedding num_beams
    num_hidden_layers
"""
"""How text is generated, and keys of the code that BART was trained with."""

FAMILIES = {
    "bart": Family(BartConfig, bart, "bart-large-cnn", ignored=_IGNORED, kin=("mbart",)),
}
