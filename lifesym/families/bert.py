"""Encoders: bert, roberta, xlm-roberta, distilbert, and albert, whose layers share their weights.

``logits="all"`` is the masked-LM model and ``logits="none"`` the bare encoder with its pooler.
A config whose ``architectures`` name another class has its head (see `lifesym.families.tasks`).
"""

from msgspec import field

from lifesym import symbols as sym
from lifesym.blocks import EncoderEmbed, EncoderHead
from lifesym.families.base import Count, Family, StackConfig, activation, refuse
from lifesym.families.decoder import LAYER_NORM, attention, layer, mlp, sized
from lifesym.model import Model, Section


class BertConfig(StackConfig, kw_only=True):
    """A table of positions is a hard limit; ``is_decoder`` is not modelled."""

    intermediate_size: Count
    max_position_embeddings: Count
    type_vocab_size: int | None = 2
    hidden_act: str = "gelu"
    tie_word_embeddings: bool = True
    is_decoder: bool = False
    add_cross_attention: bool = False
    position_embedding_type: str = "absolute"


class AlbertConfig(BertConfig, kw_only=True):
    """Layers of a group share their weights; published ALBERTs have one group of one layer."""

    embedding_size: Count = 128
    num_hidden_groups: Count = 1
    inner_group_num: Count = 1


class DistilBertConfig(BertConfig, kw_only=True):
    """BERT with half the layers, without token types and pooler."""

    hidden_size: Count = field(name="dim")
    num_hidden_layers: Count = field(name="n_layers")
    num_attention_heads: Count = field(name="n_heads")
    intermediate_size: Count = field(name="hidden_dim")
    hidden_act: str = field(default="gelu", name="activation")


def _encoder(
    c: BertConfig,
    name: str,
    *,
    width: int | None = None,
    groups: int | None = None,
    inner: int = 1,
    pooled: bool = True,
    spare_bias: bool = True,
    reserved: int = 0,
) -> Model:
    refuse(c.is_decoder, "key 'is_decoder': true is not modelled")
    refuse(c.add_cross_attention, "key 'add_cross_attention': true is not modelled")
    refuse(
        c.position_embedding_type != "absolute",
        f"key 'position_embedding_type': {c.position_embedding_type!r} is not modelled",
    )
    narrow = width is not None
    embedding = sym.embedding_dim if narrow else sym.hidden
    each = layer(
        attention(kv_heads=sym.heads, bias=True, rotary_dim=0, bidirectional=True),
        mlp(c.hidden_act, gated=False, bias=True),
        norm=LAYER_NORM,
    )
    embed = EncoderEmbed(
        vocab=sym.vocab,
        width=embedding,
        hidden=sym.hidden,
        positions=sym.positions,
        types=sym.token_types if c.type_vocab_size else None,
        projected=narrow,
    )
    head = EncoderHead(
        hidden=sym.hidden,
        width=embedding,
        vocab=sym.vocab,
        activation=activation(c.hidden_act),
        tied=c.tie_word_embeddings,
        spare_bias=spare_bias,
        pooled=pooled,
    )
    sections = (
        Section(label="embed", count=1, block=embed),
        Section(
            label="layers",
            count=sym.layers * inner,
            block=each,
            shared=groups is not None,
            copies=(groups or 1) * inner,
        ),
        Section(label="head", count=1, block=head),
    )
    model = sized(
        c,
        name,
        sections,
        positions=c.max_position_embeddings,
        token_types=c.type_vocab_size,
        embedding_dim=width,
    )
    return model.limited(c.max_position_embeddings - reserved).encoder()


def bert(c: BertConfig, name: str) -> Model:
    """BERT: its masked-LM head, or alone with its pooler."""
    return _encoder(c, name)


def roberta(c: BertConfig, name: str) -> Model:
    """RoBERTa: two rows of the position table are reserved for padding."""
    return _encoder(c, name, reserved=2)


def albert(c: AlbertConfig, name: str) -> Model:
    """ALBERT: narrow embeddings, and sets of weights that layers share, mostly one for all."""
    groups, inner = c.num_hidden_groups, c.inner_group_num
    layers = c.num_hidden_layers
    refuse(groups > layers, f"key 'num_hidden_groups': {groups} groups of only {layers} layers")
    return _encoder(c, name, width=c.embedding_size, groups=groups, inner=inner)


def distilbert(c: DistilBertConfig, name: str) -> Model:
    """DistilBERT: BERT without token types and pooler."""
    c.type_vocab_size = None
    return _encoder(c, name, pooled=False, spare_bias=False)


FAMILIES = {
    "bert": Family(BertConfig, bert, "bert-base"),
    "roberta": Family(BertConfig, roberta, "roberta-base"),
    "xlm-roberta": Family(BertConfig, roberta, "xlm-roberta-large"),
    "albert": Family(
        AlbertConfig,
        albert,
        "albert-base-v2",
        ignored="classifier_dropout_prob down_scale_factor gap_size net_structure_type "
        "num_memory_blocks",
    ),
    "distilbert": Family(
        DistilBertConfig,
        distilbert,
        "distilbert-base",
        {
            "hidden_size": "dim",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
            "intermediate_size": "hidden_dim",
        },
        "qa_dropout seq_classif_dropout sinusoidal_pos_embds",
    ),
}
