"""A decoder is a list of layers between its ends: every family of them is put together here."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block, Embed, Head, NormSpec
from lifesym.families.base import Config, refuse
from lifesym.families.parts import RMS
from lifesym.families.sections import sections_of
from lifesym.families.sizes import size_of
from lifesym.model import Model, Section
from lifesym.symbols import Size


def once(label: str, block: Block, **options: Any) -> Section:
    """A section of one block."""
    return Section(label=label, count=1, block=block, **options)


@dataclass(frozen=True, kw_only=True)
class Ends:
    """What is around the layers of a decoder; None: as the config says.

    ``before`` and ``after`` are sections between the ends and the layers; ``rows`` those of the
    token table, which may have more than there are logits; ``head``: more of the LM head's options.
    """

    norm: NormSpec | None = RMS
    tied: bool | None = None
    softcap: bool | None = None
    scaled: bool = False
    head_bias: bool = False
    head_scaled: bool = False
    positions: Size | None = None
    embedding_norm: NormSpec | None = None
    width: Size = sym.hidden
    rows: Size = sym.vocab
    before: tuple[Section, ...] = ()
    after: tuple[Section, ...] = ()
    head: dict[str, Any] = field(default_factory=dict)

    def around(self, sections: tuple[Section, ...], c: Config) -> tuple[Section, ...]:
        """Embedding, the layers, final norm and LM head."""
        tied = c.tie_word_embeddings if self.tied is None else self.tied
        capped = getattr(c, "final_logit_softcapping", None) is not None
        projected = self.width is not sym.hidden
        embed = Embed(
            vocab=self.rows,
            width=self.width,
            hidden=sym.hidden,
            positions=self.positions,
            scaled=self.scaled,
            norm=self.embedding_norm,
            projected=projected,
            tied=tied,
        )
        head = Head(
            hidden=sym.hidden,
            vocab=sym.vocab,
            tied=tied,
            norm=self.norm,
            bias=self.head_bias,
            softcap=capped if self.softcap is None else self.softcap,
            scaled=self.head_scaled,
            projected=self.width if projected else None,
            **self.head,
        )
        return (once("embed", embed), *self.before, *sections, *self.after, once("head", head))


SCALED = Ends(scaled=True, head_scaled=True)
"""Constants that multiply embeddings and logits."""


def decoder(
    c: Config, layers: Block | Sequence[Block], ends: Ends | None = None, **sizes: int | None
) -> Model:
    """The model of a config that has these layers, one for each index, between its ends.

    A family is a list of layers, or one layer where all are alike. Their sizes are symbols (or
    numbers, where layers differ in them):

        def llama(c: Config) -> Model:
            return decoder(c, layer(attention(c), mlp(c)))

    Equal layers are one section, whatever their order (the cost of a pass is a sum); label and
    count of a section follow from what differs: see `sections_of`. The number of every symbol
    that they use is that of ``sizes`` (by the symbol's name in `lifesym.symbols`), or else that of
    the key of its name, or of a key that families have for it. Sizes that nothing uses fall away.

    Raises:
        SpecError: a size that layers use is not in the config, or no whole number of heads;
            more experts chosen than there are.
    """
    each = [layers] * c.num_hidden_layers if isinstance(layers, Block) else layers
    ends = ends or Ends()
    sections, values = sections_of(each)
    counts = {symbol.name: value for symbol, value in values.items()}
    return sized(c, ends.around(sections, c), **sizes | counts)


def sized(c: Config, sections: tuple[Section, ...], **sizes: int | None) -> Model:
    """A model of these sections: `decoder` says where the numbers of its symbols are from."""
    model = Model(name="", family=c.model_type, sections=sections, values={})
    given = {getattr(sym, size): value for size, value in sizes.items() if value is not None}
    chosen = {sym.source} - given.keys()  # a text for an encoder is as long as it is
    used = sorted(model.dimensions - chosen, key=lambda symbol: symbol.name)
    values = {s: given[s] if s in given else size_of(c, s.name) for s in used}
    active, every = values.get(sym.active_experts, 0), values.get(sym.experts, 0)
    refuse(active > every, f"key 'num_experts_per_tok': {active} of only {every} experts")
    # a window of a single token leaves no past to attend to
    refuse(values.get(sym.window) == 1, "key 'sliding_window': a window of 1 is not modelled")
    return replace(model, values=values)
