"""Encoders: bert, roberta and kin, distilbert, and albert, whose layers share their weights.

``logits="all"`` is the masked-LM model and ``logits="none"`` the bare encoder with its pooler.
A config whose ``architectures`` name another class has its head (see `lifesym.families.tasks`).
ModernBERT is here as the decoder that some are trained as; GIT's decoder has the layers of BERT.
"""

from lifesym import symbols as sym
from lifesym.blocks import EncoderEmbed, EncoderHead, NormSpec
from lifesym.families.base import Config, activation, refuse
from lifesym.families.decoder import Ends, decoder, once, sized
from lifesym.families.parts import LAYER_NORM, attention, function, layer, mlp
from lifesym.families.patterns import windows
from lifesym.model import Model, Section


def _encoder(
    c: Config,
    *,
    width: int | None = None,
    groups: int | None = None,
    inner: int = 1,
    pooled: bool = True,
    spare_bias: bool = True,
    reserved: int = 0,
) -> Model:
    embedding = sym.hidden if width is None else sym.embedding_dim
    mixer = attention(kv_heads=sym.heads, bias=True, rotary_dim=0, bidirectional=True)
    embed = EncoderEmbed(
        vocab=sym.vocab,
        width=embedding,
        hidden=sym.hidden,
        positions=sym.positions,
        types=sym.token_types if c.type_vocab_size else None,
        projected=width is not None,
    )
    head = EncoderHead(
        hidden=sym.hidden,
        width=embedding,
        vocab=sym.vocab,
        activation=function(c),
        tied=c.tie_word_embeddings,
        spare_bias=spare_bias,
        pooled=pooled,
    )
    layers = Section(
        label="layers",
        count=sym.layers * inner,
        block=layer(mixer, mlp(c, gated=False, bias=True), LAYER_NORM),
        shared=groups is not None,
        copies=(groups or 1) * inner,
    )
    rows = c.max_position_embeddings
    model = sized(
        c,
        (once("embed", embed), layers, once("head", head)),
        positions=rows,
        token_types=c.type_vocab_size,
        embedding_dim=width,
    )
    return model.limited(rows - reserved).encoder()


def bert(c: Config) -> Model:
    """BERT: its masked-LM head, or alone with its pooler."""
    return _encoder(c)


def roberta(c: Config) -> Model:
    """RoBERTa: two rows of the position table are reserved for padding."""
    return _encoder(c, reserved=2)


def albert(c: Config) -> Model:
    """ALBERT: narrow embeddings, and sets of weights that layers share, mostly one for all."""
    groups, layers = c.num_hidden_groups, c.num_hidden_layers
    refuse(groups > layers, f"key 'num_hidden_groups': {groups} groups of only {layers} layers")
    return _encoder(c, width=c.embedding_size, groups=groups, inner=c.inner_group_num)


def distilbert(c: Config) -> Model:
    """DistilBERT: BERT without token types and pooler."""
    c.type_vocab_size = None
    return _encoder(c, pooled=False, spare_bias=False)


def modernbert_decoder(c: Config) -> Model:
    """ModernBERT run as a decoder: ModernBERT's norms, windows and head, a cache beside them."""
    norm = NormSpec(features=sym.hidden, kind="layer", bias=c.norm_bias)
    c.sliding_window = c.sliding_window or (c.local_attention or 0) // 2
    refuse(c.sliding_window == 0, f"key 'local_attention': {c.local_attention} leaves no window")
    mixers = [
        attention(c, kv_heads=sym.heads, window=span)
        for span in windows(c, lambda i: i % c.global_attn_every_n_layers != 0)
    ]
    layers = [layer(mixer, mlp(c, fused=True), norm) for mixer in mixers]
    # the embeddings have just been normalized
    layers[0] = layer(mixers[0], mlp(c, fused=True), norm, mixer_norm=None)
    head = {
        "transform": activation(c.classifier_activation, "classifier_activation"),
        "transform_bias": c.classifier_bias,
    }
    ends = Ends(norm=norm, embedding_norm=norm, head_bias=c.decoder_bias, head=head)
    return decoder(c, layers, ends)


def git(c: Config) -> Model:
    """GIT: BERT's layers run as a decoder, whose prompts begin with the tokens of an image."""
    mixer = attention(kv_heads=sym.heads, bias=True, rotary_dim=0)
    block = layer(mixer, mlp(c, gated=False, bias=True), LAYER_NORM)
    ends = Ends(norm=None, embedding_norm=LAYER_NORM, positions=sym.positions, head_bias=True)
    rows = c.max_position_embeddings
    return decoder(c, block, ends, positions=rows).limited(rows)
