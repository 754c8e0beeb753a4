"""RWKV-4: a recurrence in place of attention, so that the cost does not depend on the past."""

from lifesym import symbols as sym
from lifesym.blocks import ChannelMix, TimeMix
from lifesym.families.base import Config, Count, Family, refuse
from lifesym.families.decoder import LAYER_NORM, Ends, decoder, layer
from lifesym.model import Model


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
    each = layer(
        TimeMix(hidden=sym.hidden, channels=sym.hidden),
        ChannelMix(hidden=sym.hidden, intermediate=sym.intermediate),
        norm=LAYER_NORM,
    )
    ends = Ends(norm=LAYER_NORM, embedding_norm=LAYER_NORM)
    width = c.intermediate_size or 4 * c.hidden_size
    return decoder(c, name, [each] * c.num_hidden_layers, ends, intermediate=width)


FAMILIES = {
    "rwkv": Family(RwkvConfig, rwkv, "rwkv-4-7b", ignored="context_length rescale_every"),
}
