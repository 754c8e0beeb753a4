"""Gemma 4: wide heads in full layers, and experts, or embeddings by layer and shared caches.

Its assistants are small drafts whose layers read the keys and values of their target. Sources:
transformers 5.24 ``models/gemma4_assistant`` and ``generation/candidate_generator.py``
(``SinglePositionMultiTokenCandidateGenerator``).
"""

from dataclasses import replace
from typing import Any

import msgspec
from msgspec import UNSET
from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import (
    MLP,
    Block,
    BorrowedAttention,
    ClusteredHead,
    DenseAndExperts,
    Embed,
    EmbeddedLayer,
    Head,
    JoinedStates,
    LayerEmbeddings,
)
from lifesym.families.base import Config, Count, grouped, refuse, rotated
from lifesym.families.decoder import Ends, decoder, once, sized
from lifesym.families.parts import (
    AROUND,
    BY_LAYER,
    RMS,
    TABLE,
    attention,
    experts,
    function,
    layer,
    mlp,
)
from lifesym.families.patterns import windows
from lifesym.families.sections import sections_of
from lifesym.model import Model, Section


class Heads(msgspec.Struct, kw_only=True, frozen=True):
    """What layers of one kind may have of their own."""

    head_dim: Count
    num_key_value_heads: Count


def full_rotary(c: Config, head_dim: int) -> int:
    """Rotated elements of a head in full layers: a part, of angles that are zero elsewhere.

    Raises:
        SpecError: the head itself has no pairs, as the code turns all of it.
    """
    refuse(head_dim % 2 == 1, f"key 'global_head_dim': {head_dim} is odd, and not turned in pairs")
    if c.rope_parameters is None:
        return rotated(head_dim, 0.25)
    rope = c.rope_parameters.get("full_attention", {})
    factor = rope.get("partial_rotary_factor", 1.0) if isinstance(rope, dict) else None
    refuse(not isinstance(factor, float | int), "key 'rope_parameters.full_attention'")
    return rotated(head_dim, msgspec.convert(factor, float))


def _windowed(c: Config) -> list[bool]:
    """Which layers have a window; the class makes the last one full whatever the config says."""
    return [*(span is not None for span in windows(c, lambda i: (i + 1) % 6 != 0)[:-1]), False]


def heads_of(c: Config, kinds: list[bool]) -> dict[bool, Heads]:
    """Size and number of key-value heads of sliding (True) and full (False) layers.

    ``per_layer_config`` has what differs from the config by layer; where it is given, the keys
    of full layers are not read. Positions are one table a kind, so a kind is alike throughout.
    """
    usual = Heads(head_dim=c.head_dim, num_key_value_heads=c.num_key_value_heads)
    if c.per_layer_config is UNSET:
        full_kv = c.num_global_key_value_heads if c.attention_k_eq_v else None
        wide = c.global_head_dim or 0
        refuse(not wide, "key 'global_head_dim': null is no size without 'per_layer_config'")
        full = Heads(head_dim=wide, num_key_value_heads=full_kv or c.num_key_value_heads)
        return {True: usual, False: full}
    layers = [usual] * len(kinds)
    for index, values in (c.per_layer_config or {}).items():
        where = f"key 'per_layer_config[{index}]'"
        known = index.isdecimal() and int(index) < len(kinds)
        refuse(not known, f"{where}: not one of {len(kinds)} layers")
        own = {k: v for k, v in values.items() if v != getattr(c, k, None)}
        for key in own:
            refuse(key not in Heads.__struct_fields__, f"{where}: {key!r} is not modelled")
        try:
            layers[int(index)] = msgspec.convert(msgspec.structs.asdict(usual) | own, Heads)
        except msgspec.ValidationError as error:
            refuse(True, f"{where}: {error}")
    found = {}
    for kind in set(kinds):
        alike = {heads for heads, each in zip(layers, kinds, strict=True) if each == kind}
        name = "sliding" if kind else "full"
        refuse(len(alike) > 1, f"key 'per_layer_config': {name} layers must be alike")
        found[kind] = alike.pop()
    return found


def sharing(c: Config, kinds: list[bool]) -> list[bool]:
    """Which layers use the keys and values of the last layer of their kind before all of them.

    Raises:
        SpecError: no layer is left to share its cache, or layers without embeddings share.
    """
    key = "key 'num_kv_shared_layers'"
    count = c.num_kv_shared_layers
    if count == 0:
        return [False] * len(kinds)
    first = len(kinds) - count
    left = set(kinds[: max(first, 0)])
    refuse(left != set(kinds), f"{key}: leaves no layer whose cache could be shared")
    embedded = c.hidden_size_per_layer_input > 0
    refuse(not embedded, f"{key}: needs a 'hidden_size_per_layer_input' in the class's code")
    return [i >= first for i in range(len(kinds))]


def sizes_of(c: Config, heads: dict[bool, Heads]) -> dict[str, int | None]:
    """The sizes of the heads of both kinds, which must group the query heads."""
    for kind in heads.values():
        grouped(c.num_attention_heads, kind.num_key_value_heads)
    wide, narrow = heads[False], heads.get(True)
    return {
        "kv_heads": None if narrow is None else narrow.num_key_value_heads,
        "head_dim": None if narrow is None else narrow.head_dim,
        "full_kv_heads": wide.num_key_value_heads,
        "full_head_dim": wide.head_dim,
    }


def mixer(c: Config, turned: int, *, slides: bool, **options: Any) -> Any:
    """Attention of a sliding layer, or of a full one with heads of its own, rotated in part."""
    own = {"window": sym.window, "rotary_dim": sym.head_dim}
    if not slides:
        own = {"kv_heads": sym.full_kv_heads, "head_dim": sym.full_head_dim}
        own |= {"rotary_dim": Integer(turned)}
    return attention(c, qk_norm="head", **own, **options)


def _layer(c: Config, turned: int, *, slides: bool, reuses: bool) -> Block:
    tied = not slides and c.attention_k_eq_v
    shared = {"value_norm": not reuses, "tied_values": tied, "reuses": reuses}
    times, embedded = 2 if reuses and c.use_double_wide_mlp else 1, c.hidden_size_per_layer_input
    attends, feeds = mixer(c, turned, slides=slides, **shared), _feed_forward(c, times)
    plain = layer(attends, feeds, output_scaled=not embedded, **AROUND)
    if not embedded:
        return plain
    return EmbeddedLayer(layer=plain, embedding=sym.layer_embedding, activation=function(c))


def _feed_forward(c: Config, times: int) -> MLP | DenseAndExperts:
    plain = mlp(c, intermediate=times * sym.intermediate)
    if not c.enable_moe_block:
        return plain
    every, active, width = c.num_experts, c.top_k_experts, c.moe_intermediate_size
    refuse(
        None in (every, active, width) or active > every,
        "keys 'num_experts', 'top_k_experts', 'moe_intermediate_size': all needed",
    )
    return DenseAndExperts(mlp=plain, moe=experts(c))


def gemma4_text(c: Config) -> Model:
    """Gemma 4: experts beside an MLP (26B-A4B), or embeddings by layer and shared caches (E2B).

    Layers that share caches compute the last token only where its logits alone are wanted, as
    transformers' code does.
    """
    refuse(c.use_bidirectional_attention == "all", "key 'use_bidirectional_attention': 'all'")
    kinds = _windowed(c)
    shares, heads = sharing(c, kinds), heads_of(c, kinds)
    sizes, turned = sizes_of(c, heads), full_rotary(c, heads[False].head_dim)
    layers = [
        _layer(c, turned, slides=slides, reuses=reuses)
        for slides, reuses in zip(kinds, shares, strict=True)
    ]
    before: tuple[Section, ...] = ()
    if c.hidden_size_per_layer_input:
        before = (once("layer_embeddings", LayerEmbeddings(hidden=sym.hidden, **BY_LAYER)),)
    model = decoder(c, layers, Ends(scaled=True, before=before), **sizes)
    if not any(shares):
        return model
    last = [each.label.startswith("shared") or each.label == "head" for each in model.sections]
    sections = zip(model.sections, last, strict=True)
    return replace(model, sections=tuple(replace(each, last=is_last) for each, is_last in sections))


def _head(c: Config) -> Block:
    """Logits of all tokens, or of those in the best clusters."""
    if not c.use_ordered_embeddings:
        return Head(hidden=sym.hidden, vocab=sym.vocab, tied=False, norm=RMS)
    clusters, top = c.num_centroids, c.centroid_intermediate_top_k
    refuse(
        c.vocab_size % clusters != 0, f"key 'num_centroids': {clusters} is no part of the tokens"
    )
    refuse(top > clusters, f"key 'centroid_intermediate_top_k': {top} of only {clusters} clusters")
    return ClusteredHead(
        hidden=sym.hidden, vocab=sym.vocab, clusters=Integer(clusters), top=Integer(top), norm=RMS
    )


def gemma4_assistant(c: Config) -> Model:
    """A draft for Gemma 4: embedding and state of a token are joined, no keys and values.

    Its output becomes the next state. The class's table, if not the head's, is held and not read.
    """
    refuse(
        c.num_kv_shared_layers not in (0, c.num_hidden_layers),
        "key 'num_kv_shared_layers': only what transformers' class takes is modelled",
    )
    kinds = _windowed(c)
    heads = heads_of(c, kinds)
    sizes, turned = sizes_of(c, heads), full_rotary(c, heads[False].head_dim)
    mixers = [mixer(c, turned, slides=slides, of=BorrowedAttention) for slides in kinds]
    each = [layer(attends, mlp(c), output_scaled=True, **AROUND) for attends in mixers]
    layers, counts = sections_of(each)
    table = Embed(**TABLE)
    joined = JoinedStates(inputs=2 * sym.target_hidden, hidden=sym.hidden)
    next_state = JoinedStates(inputs=sym.hidden, hidden=sym.target_hidden)
    sections = (
        *(() if c.tie_word_embeddings else (once("embed", table, idle=True),)),
        once("joined", joined),
        *layers,
        once("next_state", next_state),
        once("head", _head(c)),
    )
    sizes |= {symbol.name: value for symbol, value in counts.items()}
    model = sized(c, sections, target_hidden=c.backbone_hidden_size, **sizes)
    note = "draft of Gemma 4: the embedding, keys and values are the target's, and not counted here"
    return replace(model, notes=(note,))
