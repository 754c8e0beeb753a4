"""A decoder is a list of layers between its ends: every family of them is put together here."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sympy import Expr, Integer, S, Symbol

from lifesym import symbols as sym
from lifesym.blocks import (
    MLP,
    Attention,
    Block,
    DecoderLayer,
    DenseAndExperts,
    Embed,
    Head,
    LatentAttention,
    MoE,
    NormSpec,
    ShortConv,
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

    ``before`` and ``after`` are sections between the ends and the layers.
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
    before: tuple[Section, ...] = ()
    after: tuple[Section, ...] = ()

    def around(self, sections: tuple[Section, ...], *, tied: bool) -> tuple[Section, ...]:
        """Embedding, the layers, final norm and LM head."""
        projected = self.width is not sym.hidden
        embed = Embed(
            vocab=sym.vocab,
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
    the config has under the key that most families have for it. Sizes that nothing uses fall away.

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
    used = sorted(model.dimensions, key=lambda symbol: symbol.name)
    values = {s: given[s] if s in given else _read(c, s.name) for s in used}
    active, every = values.get(sym.active_experts, 0), values.get(sym.experts, 0)
    refuse(active > every, f"key 'num_experts_per_tok': {active} of only {every} experts")
    return replace(model, values=values)


_KEYS = {
    "layers": ("num_hidden_layers",),
    "hidden": ("hidden_size",),
    "intermediate": ("intermediate_size",),
    "heads": ("num_attention_heads",),
    "vocab": ("vocab_size",),
    "window": ("sliding_window",),
    "experts": ("num_experts", "num_local_experts", "n_routed_experts"),
    "active_experts": ("num_experts_per_tok",),
    "expert_intermediate": ("moe_intermediate_size",),
    "shared_intermediate": ("shared_intermediate_size", "shared_expert_intermediate_size"),
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


Words = tuple[str, str]
"""What tells a kind of layer from others: its mixer, and its feed-forward block ("": none)."""


def sections_of(layers: Sequence[Block]) -> tuple[tuple[Section, ...], dict[Symbol, int]]:
    """The sections of a list of layers, equal ones together, and the values of their counts.

    Layers of one kind are ``layers``, as many as the symbol of that name says. Others are called
    after what differs: the mixer (``full`` attention, ``sliding``, ``chunked``, ``recurrent``,
    ``convolutional``, ``rotary`` where full attention does without positions, ``shared_...``
    where it reads the cache of another layer) and the feed-forward block (``dense``, ``expert``).
    Where the mixers are full attention and one other, counts are made of the symbols
    ``full_layers``, ``dense_layers`` and ``full_dense_layers``, as far as one does not follow
    from the others; with one block a layer, of ``full_layers``, ``dense_layers`` and
    ``expert_layers``. Other counts are numbers, and layers that differ in sizes are numbered.
    """
    kinds = Counter(layers)
    words = _words(list(kinds))
    named = dict(zip(words, kinds, strict=True))
    mixers, feeds = ({word[axis] for word in words} for axis in (0, 1))
    if len(kinds) == 1:
        return (Section(label="layers", count=sym.layers, block=layers[0]),), {
            sym.layers: len(layers)
        }
    single = all("" in word for word in words)
    if len(named) < len(kinds) or not (single or "" not in mixers | feeds):
        numbered = enumerate(kinds.items(), start=1)
        return tuple(
            Section(label=f"layers_{i}", count=Integer(count), block=block)
            for i, (block, count) in numbered
        ), {}
    told = {word: kinds[block] for word, block in named.items()}
    if single and len(mixers - {"", "full"}) <= 1:
        counts, values = _one_block_counts(told)
    elif len(mixers) == 1 or (len(mixers) == 2 and "full" in mixers):
        counts, values = _crossed_counts(told)
    else:
        counts, values = {word: Integer(count) for word, count in told.items()}, {}
    axes = [axis for axis, every in enumerate((mixers, feeds)) if len(every) > 1]
    labels = {word: "_".join([*filter(None, (word[a] for a in axes)), "layers"]) for word in told}
    return tuple(
        Section(label=labels[word], count=count, block=named[word])
        for word, count in counts.items()
    ), values


def _words(layers: Sequence[Any]) -> list[Words]:
    """The words of each of these layers."""
    inner = [getattr(each, "layer", each) for each in layers]
    mixers = [each.mixer for each in inner]
    whole = [m.rotary_dim != 0 for m in mixers if isinstance(m, Attention) and m.window is None]
    still = not all(whole)

    def mixing(mixer: Block | None) -> str:
        match mixer:
            case None:
                return ""
            case Attention(window=None, rotary_dim=turned):
                word = "rotary" if still and turned != 0 else "full"
            case Attention(chunked=chunked):
                word = "chunked" if chunked else "sliding"
            case LatentAttention():
                word = "full"
            case ShortConv():
                word = "convolutional"
            case _:
                word = "recurrent"
        return f"shared_{word}" if getattr(mixer, "reuses", False) else word

    def feeding(block: Block | None) -> str:
        if block is None:
            return ""
        return "expert" if isinstance(block, MoE | DenseAndExperts) else "dense"

    return [(mixing(each.mixer), feeding(each.mlp)) for each in inner]


Counted = tuple[dict[Words, Expr], dict[Symbol, int]]


def _one_block_counts(told: dict[Words, int]) -> Counted:
    """Counts of kinds that have one block each: the first kind is the rest of the layers."""
    symbols = {"full": sym.full_layers, "dense": sym.dense_layers, "expert": sym.expert_layers}
    ranks = ["", *symbols]
    ordered = sorted(told, key=lambda word: ranks.index(_either(word, symbols)))
    values = {sym.layers: sum(told.values())}
    values |= {symbols[_either(word, symbols)]: told[word] for word in ordered[1:]}
    own = {word: symbols[_either(word, symbols)] for word in ordered[1:]}
    return {ordered[0]: sym.layers - sum(own.values(), S.Zero), **own}, values


def _either(word: Words, symbols: dict[str, Symbol]) -> str:
    """The word that has a symbol, or none."""
    return next((part for part in word if part in symbols), "")


def _crossed_counts(told: dict[Words, int]) -> Counted:
    """Counts of the up to four kinds of full attention or another mixer, MLP or experts.

    A count has a symbol of its own only where it does not follow from the others.
    """
    depth = sum(told.values())
    values = {sym.layers: depth}

    def count(part: Callable[[Words], bool], symbol: Symbol) -> tuple[int, Expr]:
        number = sum(each for word, each in told.items() if part(word))
        if number in (0, depth):
            return number, sym.layers if number else S.Zero
        values[symbol] = number
        return number, symbol

    def full(word: Words) -> bool:
        return word[0] == "full"

    def dense(word: Words) -> bool:
        return word[1] != "expert"

    attending, attend = count(full, sym.full_layers)
    ordinary, plain = count(dense, sym.dense_layers)
    both = sum(each for word, each in told.items() if full(word) and dense(word))
    if both in (0, attending, ordinary):
        shared = S.Zero if both == 0 else attend if both == attending else plain
    else:
        _, shared = count(lambda word: full(word) and dense(word), sym.full_dense_layers)
    exprs = {
        (False, True): plain - shared,
        (False, False): sym.layers - attend - plain + shared,
        (True, True): shared,
        (True, False): attend - shared,
    }
    by_kind = {(full(word), dense(word)): word for word in told}
    return {by_kind[kind]: expr for kind, expr in exprs.items() if kind in by_kind}, values
