"""Gemma 4: wide heads in full layers, and experts, or embeddings by layer and shared caches."""

from dataclasses import replace
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import MLP, Block, DenseAndExperts, EmbeddedLayer, LayerEmbeddings
from lifesym.families.base import (
    Count,
    Family,
    StackConfig,
    Whole,
    activation,
    grouped,
    layer_kinds,
    refuse,
    rotated,
)
from lifesym.families.decoder import RMS, Ends, attention, decoder, experts, layer, mlp
from lifesym.model import Model, Section


class Gemma4Config(StackConfig, kw_only=True):
    """The text model's keys; defaults are the class's."""

    intermediate_size: Count
    num_key_value_heads: Count
    head_dim: Count = 256
    global_head_dim: Count | None = 512
    num_global_key_value_heads: Count | None = None
    attention_k_eq_v: bool = False
    vocab_size: Count = 262144
    hidden_activation: str = "gelu_pytorch_tanh"
    attention_bias: bool = False
    tie_word_embeddings: bool = True
    sliding_window: Count = 512
    layer_types: list[str] | None = None
    rope_parameters: dict[str, Any] | None = None
    per_layer_config: dict[str, dict[str, Any]] | UnsetType | None = UNSET
    hidden_size_per_layer_input: Whole = 256
    vocab_size_per_layer_input: Count = 262144
    num_kv_shared_layers: Whole = 0
    use_double_wide_mlp: bool = False
    use_bidirectional_attention: str | None = None
    final_logit_softcapping: float | None = None
    enable_moe_block: bool = False
    num_experts: Count | None = None
    top_k_experts: Count | None = None
    moe_intermediate_size: Count | None = None


class Heads(msgspec.Struct, kw_only=True, frozen=True):
    """What layers of one kind may have of their own."""

    head_dim: Count
    num_key_value_heads: Count


def full_rotary(c: Gemma4Config, head_dim: int) -> int:
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


def windows(c: Gemma4Config) -> list[bool]:
    """Which layers have a window; the class makes the last one full whatever the config says."""
    kinds = layer_kinds(
        c.layer_types, c.num_hidden_layers, c.sliding_window, lambda i: (i + 1) % 6 != 0
    )
    return [*kinds[:-1], False]


def heads_of(c: Gemma4Config, kinds: list[bool]) -> dict[bool, Heads]:
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


def sharing(c: Gemma4Config, kinds: list[bool]) -> list[bool]:
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


def _layer(c: Gemma4Config, turned: int, *, slides: bool, reuses: bool) -> Block:
    own = {} if slides else {"kv_heads": sym.full_kv_heads, "head_dim": sym.full_head_dim}
    plain = layer(
        attention(
            bias=c.attention_bias,
            rotary_dim=sym.head_dim if slides else Integer(turned),
            qk_norm="head",
            value_norm=not reuses,
            tied_values=not slides and c.attention_k_eq_v,
            reuses=reuses,
            window=sym.window if slides else None,
            **own,
        ),
        _feed_forward(c, 2 if reuses and c.use_double_wide_mlp else 1),
        mixer_post_norm=RMS,
        mlp_post_norm=RMS,
        output_scaled=not c.hidden_size_per_layer_input,
    )
    if not c.hidden_size_per_layer_input:
        return plain
    function = activation(c.hidden_activation)
    return EmbeddedLayer(layer=plain, embedding=sym.layer_embedding, activation=function)


def _feed_forward(c: Gemma4Config, times: int) -> MLP | DenseAndExperts:
    plain = mlp(c.hidden_activation, intermediate=times * sym.intermediate)
    if not c.enable_moe_block:
        return plain
    every, active, width = c.num_experts, c.top_k_experts, c.moe_intermediate_size
    if every is None or active is None or width is None or active > every:
        refuse(True, "keys 'num_experts', 'top_k_experts', 'moe_intermediate_size': all needed")
    return DenseAndExperts(mlp=plain, moe=experts(c.hidden_activation))


def gemma4(c: Gemma4Config, name: str) -> Model:
    """Gemma 4: experts beside an MLP (26B-A4B), or embeddings by layer and shared caches (E2B).

    Layers that share caches compute the last token only where its logits alone are wanted, as
    transformers' code does.
    """
    refuse(c.use_bidirectional_attention == "all", "key 'use_bidirectional_attention': 'all'")
    kinds = windows(c)
    shares = sharing(c, kinds)
    heads = heads_of(c, kinds)
    for kind in heads.values():
        grouped(c.num_attention_heads, kind.num_key_value_heads)
    wide, narrow = heads[False], heads.get(True)
    turned = full_rotary(c, wide.head_dim)
    layers = [
        _layer(c, turned, slides=slides, reuses=reuses)
        for slides, reuses in zip(kinds, shares, strict=True)
    ]
    before: tuple[Section, ...] = ()
    if c.hidden_size_per_layer_input:
        tables = LayerEmbeddings(
            hidden=sym.hidden,
            layers=sym.layers,
            embedding=sym.layer_embedding,
            vocab=sym.layer_vocab,
        )
        before = (Section(label="layer_embeddings", count=1, block=tables),)
    ends = Ends(scaled=True, softcap=c.final_logit_softcapping is not None, before=before)
    model = decoder(
        c,
        name,
        layers,
        ends,
        kv_heads=None if narrow is None else narrow.num_key_value_heads,
        head_dim=None if narrow is None else narrow.head_dim,
        full_kv_heads=wide.num_key_value_heads,
        full_head_dim=wide.head_dim,
        active_experts=c.top_k_experts,
        layer_embedding=c.hidden_size_per_layer_input,
        layer_vocab=c.vocab_size_per_layer_input,
    )
    if not any(shares):
        return model
    last = [each.label.startswith("shared") or each.label == "head" for each in model.sections]
    sections = zip(model.sections, last, strict=True)
    return replace(model, sections=tuple(replace(each, last=is_last) for each, is_last in sections))


FAMILIES = {
    "gemma4_text": Family(
        Gemma4Config,
        gemma4,
        "gemma-4-26b-a4b",
        ignored="expert_intermediate_size",
        kin=("gemma4_unified_text",),
    )
}
