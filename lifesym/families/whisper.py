"""Whisper: an encoder of audio frames, a decoder with attention to it."""

from dataclasses import replace

from lifesym import symbols as sym
from lifesym.blocks import AudioEmbed, Closing, CrossAttention, DecoderLayer, Embed, Head
from lifesym.families.base import Config, Count, Family, per_head, refuse
from lifesym.families.decoder import LAYER_NORM, attention, layer, mlp, sized
from lifesym.model import Model, Section
from lifesym.symbols import Size


class WhisperConfig(Config, kw_only=True):
    """Both stacks have their own depth, heads and MLP; the source is always of the same length."""

    vocab_size: Count
    d_model: Count
    num_mel_bins: Count = 80
    encoder_layers: Count
    encoder_attention_heads: Count
    encoder_ffn_dim: Count
    decoder_layers: Count
    decoder_attention_heads: Count
    decoder_ffn_dim: Count
    max_source_positions: Count = 1500
    max_target_positions: Count = 448
    activation_function: str = "gelu"
    scale_embedding: bool = False
    tie_word_embeddings: bool = True


def whisper(c: WhisperConfig, name: str) -> Model:
    """Whisper: LayerNorms, biases but on keys, learned positions of the decoder."""
    refuse(c.scale_embedding, "key 'scale_embedding': true is not modelled")
    head_dim = per_head(c.d_model, c.decoder_attention_heads)
    heads_differ = per_head(c.d_model, c.encoder_attention_heads) != head_dim
    refuse(heads_differ, "key 'encoder_attention_heads': must equal decoder_attention_heads")

    def stacked(heads: Size, intermediate: Size, *, decoder: bool) -> DecoderLayer:
        own = attention(
            heads=heads,
            kv_heads=heads,
            bias=True,
            key_bias=False,
            rotary_dim=0,
            bidirectional=not decoder,
        )
        cross = CrossAttention(hidden=sym.hidden, heads=heads, head_dim=sym.head_dim, bias=True)
        block = mlp(c.activation_function, intermediate=intermediate, gated=False, bias=True)
        return layer(own, block, norm=LAYER_NORM, cross=cross if decoder else None)

    audio = AudioEmbed(bins=sym.mel_bins, hidden=sym.hidden, positions=sym.source)
    encoder = stacked(sym.encoder_heads, sym.encoder_intermediate, decoder=False)
    decoder = stacked(sym.heads, sym.intermediate, decoder=True)
    tied = c.tie_word_embeddings
    embed = Embed(
        vocab=sym.vocab, width=sym.hidden, hidden=sym.hidden, positions=sym.positions, tied=tied
    )
    head = Head(hidden=sym.hidden, vocab=sym.vocab, tied=tied, norm=LAYER_NORM)
    sections = (
        Section(label="encoder_embed", count=1, block=audio, encoder=True),
        Section(label="encoder_layers", count=sym.encoder_layers, block=encoder, encoder=True),
        Section(label="encoder_norm", count=1, block=Closing(norm=LAYER_NORM), encoder=True),
        Section(label="embed", count=1, block=embed),
        Section(label="layers", count=sym.layers, block=decoder),
        Section(label="head", count=1, block=head),
    )
    model = sized(
        c,
        name,
        sections,
        hidden=c.d_model,
        heads=c.decoder_attention_heads,
        encoder_heads=c.encoder_attention_heads,
        head_dim=head_dim,
        intermediate=c.decoder_ffn_dim,
        encoder_intermediate=c.encoder_ffn_dim,
        layers=c.decoder_layers,
        positions=c.max_target_positions,
        source=c.max_source_positions,
        mel_bins=c.num_mel_bins,
    )
    return replace(model, kind="encoder-decoder", context_limit=c.max_target_positions)


FAMILIES = {
    "whisper": Family(
        WhisperConfig,
        whisper,
        "whisper-tiny",
        ignored="decoder_layerdrop encoder_layerdrop num_hidden_layers apply_spec_augment "
        "begin_suppress_tokens suppress_tokens mask_feature_length mask_feature_min_masks "
        "mask_feature_prob mask_time_length mask_time_min_masks mask_time_prob median_filter_width "
        "use_weighted_layer_sum classifier_proj_size alignment_heads lang_to_id task_to_id "
        "max_length",
    )
}
