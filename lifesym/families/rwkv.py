"""RWKV-4: a recurrence in place of attention, so that the cost does not depend on the past."""

from lifesym import symbols as sym
from lifesym.blocks import ChannelMix, DecoderLayer, NormSpec, TimeMix
from lifesym.families.base import Config, Count, Decoder, Family, assemble, numbers, refuse
from lifesym.model import Model, Section


class RwkvConfig(Config, kw_only=True):
    """``intermediate_size`` absent: four times hidden."""

    vocab_size: Count
    hidden_size: Count
    num_hidden_layers: Count
    attention_hidden_size: Count | None = None
    intermediate_size: Count | None = None
    tie_word_embeddings: bool = False


def rwkv(c: RwkvConfig, name: str) -> Model:
    """RWKV-4: the embedding is normalized once, then every layer has time and channel mixing."""
    refuse(
        c.attention_hidden_size not in (None, c.hidden_size),
        f"key 'attention_hidden_size': only hidden_size = {c.hidden_size} is modelled",
    )
    norm = NormSpec(features=sym.hidden, kind="layer")
    layer = DecoderLayer(
        hidden=sym.hidden,
        mixer=TimeMix(hidden=sym.hidden, channels=sym.hidden),
        mlp=ChannelMix(hidden=sym.hidden, intermediate=sym.intermediate),
        mixer_norm=norm,
        mlp_norm=norm,
    )
    ends = Decoder(norm=norm, tied=c.tie_word_embeddings, embedding_norm=norm)
    sections = ends.around((Section(label="layers", count=sym.layers, block=layer),))
    sizes = numbers(
        layers=c.num_hidden_layers,
        hidden=c.hidden_size,
        intermediate=c.intermediate_size or 4 * c.hidden_size,
        vocab=c.vocab_size,
    )
    return assemble(name, c.model_type, sections, sizes)


FAMILIES = {
    "rwkv": Family(RwkvConfig, rwkv, "rwkv-4-7b", ignored="context_length rescale_every"),
}
