"""A decoder is a list of layers between its ends: every family of them is put together here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sympy import Symbol

from lifesym import symbols as sym
from lifesym.blocks import (
    MLP,
    Attention,
    Block,
    DecoderLayer,
    Embed,
    Head,
    LatentAttention,
    MoE,
    NormSpec,
)
from lifesym.families.base import (
    Config,
    activation,
    grouped,
    layer_kinds,
    per_head,
    refuse,
    rotated,
)
from lifesym.families.sections import sections_of
from lifesym.model import Model, Section
from lifesym.symbols import Size

RMS = NormSpec(features=sym.hidden)
LAYER_NORM = NormSpec(features=sym.hidden, kind="layer")


def attention(*, bias: bool = False, **options: Any) -> Attention:
    """Grouped queries with whole heads rotated, its sizes symbols; ``bias``: on all projections."""
    usual: dict[str, Any] = {
        "hidden": sym.hidden,
        "heads": sym.heads,
        "kv_heads": sym.kv_heads,
        "head_dim": sym.head_dim,
        "rotary_dim": sym.head_dim,
        "qkv_bias": bias,
        "out_bias": bias,
    }
    return Attention(**usual | options)


def latent(c: Any, **options: Any) -> LatentAttention:
    """Latent attention, its sizes symbols; queries are compressed, and have biases, as c says."""
    usual: dict[str, Any] = {
        "hidden": sym.hidden,
        "heads": sym.heads,
        "q_rank": None if c.q_lora_rank is None else sym.q_rank,
        "kv_rank": sym.kv_rank,
        "nope_dim": sym.nope_dim,
        "rope_dim": sym.rope_dim,
        "value_dim": sym.value_dim,
        "bias": c.attention_bias,
    }
    return LatentAttention(**usual | options)


def mlp(function: str, key: str = "hidden_act", **options: Any) -> MLP:
    """A gated MLP of a config's activation function (under that key), its sizes symbols."""
    usual = {"hidden": sym.hidden, "intermediate": sym.intermediate}
    return MLP(activation=activation(function, key), **usual | options)


def experts(function: str, *, shared: bool = False, **options: Any) -> MoE:
    """Experts with a config's activation function, perhaps shared ones; their sizes symbols."""
    usual: dict[str, Any] = {
        "hidden": sym.hidden,
        "experts": sym.experts,
        "active": sym.active_experts,
        "intermediate": sym.expert_intermediate,
        "shared": sym.shared_intermediate if shared else None,
    }
    return MoE(activation=activation(function), **usual | options)


def layer(
    mixer: Block | None, mlp: Block | None, norm: NormSpec | None = RMS, **options: Any
) -> DecoderLayer:
    """A layer with a norm before each of its parts, of which it may lack one."""
    usual: dict[str, Any] = {
        "mixer_norm": norm if mixer else None,
        "mlp_norm": norm if mlp else None,
    }
    return DecoderLayer(hidden=sym.hidden, mixer=mixer, mlp=mlp, **usual | options)


@dataclass(frozen=True, kw_only=True)
class Ends:
    """What is around the layers of a decoder; ``tied`` None: as ``tie_word_embeddings`` says.

    ``before`` and ``after`` are sections between the ends and the layers; ``rows`` those of the
    token table, which may have more than there are logits; ``head``: more of the LM head's options.
    """

    norm: NormSpec | None = RMS
    tied: bool | None = None
    scaled: bool = False
    softcap: bool = False
    head_bias: bool = False
    head_scaled: bool = False
    positions: Size | None = None
    embedding_norm: NormSpec | None = None
    width: Size = sym.hidden
    rows: Size = sym.vocab
    before: tuple[Section, ...] = ()
    after: tuple[Section, ...] = ()
    head: dict[str, Any] = field(default_factory=dict)

    def around(self, sections: tuple[Section, ...], *, tied: bool) -> tuple[Section, ...]:
        """Embedding, the layers, final norm and LM head."""
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
            softcap=self.softcap,
            scaled=self.head_scaled,
            projected=self.width if projected else None,
            **self.head,
        )
        return (
            Section(label="embed", count=1, block=embed),
            *self.before,
            *sections,
            *self.after,
            Section(label="head", count=1, block=head),
        )


def decoder(
    c: Config, name: str, layers: Sequence[Block], ends: Ends | None = None, **sizes: int | None
) -> Model:
    """The model of a config that has these layers, one for each index, between its ends.

    A family is a list of layers, whose sizes are symbols (or numbers, where layers differ in them):

        def llama(c: LlamaConfig, name: str) -> Model:
            return decoder(c, name, [layer(attention(), mlp(c.hidden_act))] * c.num_hidden_layers)

    Equal layers are one section, whatever their order (the cost of a pass is a sum); label and
    count of a section follow from what differs: see `sections_of`. The number of every symbol
    that they use is that of ``sizes`` (by the symbol's name in `lifesym.symbols`), or else what
    the config has: in a field of the symbol's name (``scan_heads: Count = field(name="num_heads")``
    reads the key ``num_heads``), or of the key that most families have for it. Sizes that nothing
    uses fall away.

    Raises:
        SpecError: a size that layers use is not in the config, or no whole number of heads;
            more experts chosen than there are.
    """
    ends = ends or Ends()
    sections, values = sections_of(layers)
    tied = ends.tied
    around = ends.around(sections, tied=c.tie_word_embeddings if tied is None else tied)  # type: ignore[attr-defined]
    return sized(c, name, around, **sizes | {symbol.name: values[symbol] for symbol in values})


def sized(c: Config, name: str, sections: tuple[Section, ...], **sizes: int | None) -> Model:
    """A model of these sections: `decoder` says where the numbers of its symbols are from."""
    model = Model(name=name, family=c.model_type, sections=sections, values={})
    given = {getattr(sym, size): value for size, value in sizes.items() if value is not None}
    chosen = {sym.source} - given.keys()  # a text for an encoder is as long as it is
    used = sorted(model.dimensions - chosen, key=lambda symbol: symbol.name)
    values = {s: given[s] if s in given else _read(c, s.name) for s in used}
    active, every = values.get(sym.active_experts, 0), values.get(sym.experts, 0)
    refuse(active > every, f"key 'num_experts_per_tok': {active} of only {every} experts")
    return replace(model, values=values)


_KEYS = {
    "layers": ("num_hidden_layers", "decoder_layers"),
    "hidden": ("hidden_size", "d_model"),
    "intermediate": ("intermediate_size", "decoder_ffn_dim"),
    "heads": ("num_attention_heads", "decoder_attention_heads"),
    "encoder_heads": ("encoder_attention_heads",),
    "encoder_intermediate": ("encoder_ffn_dim",),
    "mel_bins": ("num_mel_bins",),
    "vocab": ("vocab_size",),
    "window": ("sliding_window",),
    "experts": ("num_experts", "num_local_experts", "n_routed_experts"),
    "active_experts": ("num_experts_per_tok",),
    "q_rank": ("q_lora_rank",),
    "kv_rank": ("kv_lora_rank",),
    "nope_dim": ("qk_nope_head_dim",),
    "rope_dim": ("qk_rope_head_dim",),
    "value_dim": ("v_head_dim",),
    "expert_intermediate": ("moe_intermediate_size",),
    "shared_intermediate": (
        "shared_intermediate_size",
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
    ),
}
"""Where configs have a size, by the name of its symbol."""


def _read(c: Any, size: str) -> int:
    """The number of a size under the usual keys of a config."""
    match size:
        case "kv_heads":
            heads: int = c.num_attention_heads
            return grouped(heads, c.num_key_value_heads or heads)
        case "head_dim":
            return head_size(c)
        case "rotary_dim" if getattr(c, "rotary_dim", None) is None:
            return rotated(head_size(c), c.partial_rotary_factor)
    keys = _KEYS.get(size, (size,))
    found = [value for key in keys if (value := getattr(c, key, None)) is not None]
    refuse(not found, f"missing key '{keys[0]}'")
    return int(found[0])


def head_size(c: Any) -> int:
    """The size of a head: given, or hidden / heads."""
    given: int | None = getattr(c, "head_dim", None)
    return given or per_head(c.hidden_size, c.num_attention_heads)


def rounded_head(c: Any) -> int:
    """Hidden / heads, rounded down as some classes do that take no remainder for a fault."""
    size: int = c.hidden_size // c.num_attention_heads
    refuse(size == 0, f"key 'hidden_size': {c.hidden_size} is less than num_attention_heads")
    return size


def turned(c: Any, *, pairs: bool = False) -> Symbol:
    """The rotated elements of a head by ``partial_rotary_factor``: all of them, or some.

    Raises:
        SpecError: a factor not in (0, 1]; with ``pairs``: an odd number, with which some of the
            classes make a head longer.
    """
    size, factor = head_size(c), c.partial_rotary_factor
    elements = int(size * factor)
    refuse(
        pairs and elements % 2 != 0,
        f"key 'partial_rotary_factor': {factor} rotates {elements}, no pairs",
    )
    return sym.head_dim if rotated(size, factor) == size else sym.rotary_dim


def windows(
    c: Any, window: int | None, slides: Callable[[int], bool] = lambda _: True, **options: Any
) -> list[Symbol | None]:
    """The window of every layer, None for full attention: see `layer_kinds`."""
    kinds = layer_kinds(c.layer_types, c.num_hidden_layers, window, slides, **options)
    return [sym.window if kind else None for kind in kinds]
