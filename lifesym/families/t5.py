"""T5 and Flan-T5: an encoder of the source, a decoder with attention to it."""

from dataclasses import replace

from lifesym import symbols as sym
from lifesym.blocks import Closing, CrossAttention, DecoderLayer, Embed, Head, RelativePositions
from lifesym.families.base import Config, Count, Family, refuse
from lifesym.families.decoder import RMS, attention, layer, mlp, sized
from lifesym.model import Model, Section


class T5Config(Config, kw_only=True):
    """Keys of T5 1.0 and 1.1; the inner width is ``num_heads * d_kv`` whatever ``d_model`` is."""

    vocab_size: Count = 32128
    d_model: Count = 512
    d_kv: Count = 64
    d_ff: Count = 2048
    num_layers: Count = 6
    num_decoder_layers: Count | None = None
    num_heads: Count = 8
    relative_attention_num_buckets: Count = 32
    feed_forward_proj: str = "relu"
    is_gated_act: bool | None = None
    scale_decoder_outputs: bool | None = None
    tie_word_embeddings: bool = True
    is_encoder_decoder: bool = True


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

    def stacked(*, decoder: bool) -> DecoderLayer:
        own = attention(kv_heads=sym.heads, rotary_dim=0, relative=True, bidirectional=not decoder)
        cross = CrossAttention(hidden=sym.hidden, heads=sym.heads, head_dim=sym.head_dim)
        return layer(own, mlp(function, gated=bool(gated)), cross=cross if decoder else None)

    tied = c.tie_word_embeddings
    embed = Embed(vocab=sym.vocab, width=sym.hidden, hidden=sym.hidden, tied=tied)
    positions = RelativePositions(buckets=sym.position_buckets, heads=sym.heads)
    head = Head(hidden=sym.hidden, vocab=sym.vocab, tied=tied, norm=None)
    said = c.scale_decoder_outputs
    closing = Closing(norm=RMS, scaled=tied if said is None else said)
    encoder = (
        Section(label="encoder_embed", count=1, block=embed, encoder=True),
        Section(label="encoder_positions", count=1, block=positions, encoder=True),
        Section(
            label="encoder_layers",
            count=sym.encoder_layers,
            block=stacked(decoder=False),
            encoder=True,
        ),
        Section(label="encoder_norm", count=1, block=Closing(norm=RMS), encoder=True),
    )
    decoder = (
        Section(label="embed", count=1, block=embed, shared=True, copies=0),
        Section(label="positions", count=1, block=positions),
        Section(label="layers", count=sym.layers, block=stacked(decoder=True)),
        Section(label="closing", count=1, block=closing),
        Section(label="head", count=1, block=head),
    )
    model = sized(
        c,
        name,
        encoder + decoder,
        hidden=c.d_model,
        heads=c.num_heads,
        head_dim=c.d_kv,
        intermediate=c.d_ff,
        layers=c.num_decoder_layers or c.num_layers,
        encoder_layers=c.num_layers,
        position_buckets=c.relative_attention_num_buckets,
    )
    return replace(model, kind="encoder-decoder")


FAMILIES = {
    "t5": Family(
        T5Config,
        t5,
        "t5-small",
        ignored="dense_act_fn dropout_rate is_decoder n_positions relative_attention_max_distance",
        kin=("mt5",),
    )
}
