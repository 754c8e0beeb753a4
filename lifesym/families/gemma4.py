"""Gemma 4: wider heads and fewer of keys in full layers, experts beside an MLP."""

from typing import Any

import msgspec
from sympy import Expr, Integer

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention, DecoderLayer, DenseAndExperts, MoE, NormSpec
from lifesym.families.base import (
    Config,
    Count,
    Decoder,
    Family,
    activation,
    assemble,
    grouped,
    layer_kinds,
    layer_sections,
    numbers,
    refuse,
    rotated,
)
from lifesym.model import Model


class Gemma4Config(Config, kw_only=True):
    """The text model's keys; defaults are the class's."""

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    num_key_value_heads: Count
    head_dim: Count = 256
    global_head_dim: Count = 512
    num_global_key_value_heads: Count | None = None
    attention_k_eq_v: bool = False
    vocab_size: Count = 262144
    hidden_activation: str = "gelu_pytorch_tanh"
    attention_bias: bool = False
    tie_word_embeddings: bool = True
    sliding_window: Count = 512
    layer_types: list[str] | None = None
    rope_parameters: dict[str, Any] | None = None
    per_layer_config: dict[str, dict[str, Any]] | None = None
    hidden_size_per_layer_input: int = 256
    num_kv_shared_layers: int = 0
    use_bidirectional_attention: str | None = None
    final_logit_softcapping: float | None = None
    enable_moe_block: bool = False
    num_experts: Count | None = None
    top_k_experts: Count | None = None
    moe_intermediate_size: Count | None = None


class _Heads(msgspec.Struct, kw_only=True, frozen=True):
    """What layers of one kind may have of their own."""

    head_dim: Count
    num_key_value_heads: Count


def _full_rotary(c: Gemma4Config, head_dim: int) -> int:
    """Rotated elements of a head in full layers."""
    if c.rope_parameters is None:
        return rotated(head_dim, 0.25)
    rope = c.rope_parameters.get("full_attention", {})
    factor = rope.get("partial_rotary_factor", 1.0) if isinstance(rope, dict) else None
    refuse(not isinstance(factor, float | int), "key 'rope_parameters.full_attention'")
    return rotated(head_dim, msgspec.convert(factor, float))


def _kinds(c: Gemma4Config) -> list[bool]:
    """Which layers have a window; the class makes the last one full whatever the config says."""
    kinds = layer_kinds(
        c.layer_types, c.num_hidden_layers, c.sliding_window, lambda i: (i + 1) % 6 != 0
    )
    return [*kinds[:-1], False]


def _heads(c: Gemma4Config, kinds: list[bool]) -> dict[bool, _Heads]:
    """Size and number of key-value heads of sliding (True) and full (False) layers.

    ``per_layer_config`` has what differs from the config by layer; where it is given, the keys
    of full layers are not read. Positions are one table a kind, so a kind is alike throughout.
    """
    usual = _Heads(head_dim=c.head_dim, num_key_value_heads=c.num_key_value_heads)
    if c.per_layer_config is None:
        full_kv = c.num_global_key_value_heads if c.attention_k_eq_v else None
        full = _Heads(
            head_dim=c.global_head_dim, num_key_value_heads=full_kv or c.num_key_value_heads
        )
        return {True: usual, False: full}
    layers = [usual] * len(kinds)
    for index, values in c.per_layer_config.items():
        where = f"key 'per_layer_config[{index}]'"
        known = index.isdecimal() and int(index) < len(kinds)
        refuse(not known, f"{where}: not one of {len(kinds)} layers")
        own = {k: v for k, v in values.items() if v != getattr(c, k, None)}
        for key in own:
            refuse(key not in _Heads.__struct_fields__, f"{where}: {key!r} is not modelled")
        try:
            layers[int(index)] = msgspec.convert(msgspec.structs.asdict(usual) | own, _Heads)
        except msgspec.ValidationError as error:
            refuse(True, f"{where}: {error}")
    found = {}
    for kind in set(kinds):
        alike = {heads for heads, each in zip(layers, kinds, strict=True) if each == kind}
        name = "sliding" if kind else "full"
        refuse(len(alike) > 1, f"key 'per_layer_config': {name} layers must be alike")
        found[kind] = alike.pop()
    return found


def gemma4(c: Gemma4Config, name: str) -> Model:
    """Gemma 4 26B-A4B and 31B: no embeddings by layer, no shared caches."""
    refuse(
        c.hidden_size_per_layer_input != 0,
        "key 'hidden_size_per_layer_input': only 0 is modelled (no embeddings by layer)",
    )
    refuse(c.num_kv_shared_layers != 0, "key 'num_kv_shared_layers': only 0 is modelled")
    refuse(c.use_bidirectional_attention == "all", "key 'use_bidirectional_attention': 'all'")
    kinds = _kinds(c)
    heads = _heads(c, kinds)
    for kind in heads.values():
        grouped(c.num_attention_heads, kind.num_key_value_heads)
    wide, narrow = heads[False], heads.get(True)
    norm = NormSpec(features=sym.hidden)
    mlp, experts = _feed_forward(c)

    def layer(window: Expr | None) -> DecoderLayer:
        full = window is None
        return DecoderLayer(
            hidden=sym.hidden,
            mixer=Attention(
                hidden=sym.hidden,
                heads=sym.heads,
                kv_heads=sym.full_kv_heads if full else sym.kv_heads,
                head_dim=sym.full_head_dim if full else sym.head_dim,
                qkv_bias=c.attention_bias,
                out_bias=c.attention_bias,
                rotary_dim=Integer(_full_rotary(c, wide.head_dim)) if full else sym.head_dim,
                qk_norm="head",
                value_norm=True,
                tied_values=full and c.attention_k_eq_v,
                window=window,
            ),
            mlp=mlp,
            mixer_norm=norm,
            mixer_post_norm=norm,
            mlp_norm=norm,
            mlp_post_norm=norm,
            output_scaled=True,
        )

    sections, counts = layer_sections(kinds, layer)
    ends = Decoder(
        norm=norm,
        tied=c.tie_word_embeddings,
        scaled=True,
        softcap=c.final_logit_softcapping is not None,
    )
    sizes = numbers(
        hidden=c.hidden_size,
        intermediate=c.intermediate_size,
        heads=c.num_attention_heads,
        kv_heads=None if narrow is None else narrow.num_key_value_heads,
        head_dim=None if narrow is None else narrow.head_dim,
        full_kv_heads=wide.num_key_value_heads,
        full_head_dim=wide.head_dim,
        vocab=c.vocab_size,
        window=c.sliding_window if any(kinds) else None,
        **experts,
    )
    return assemble(name, c.model_type, ends.around(sections), counts, sizes)


def _feed_forward(c: Gemma4Config) -> tuple[MLP | DenseAndExperts, dict[str, int]]:
    function = activation(c.hidden_activation)
    mlp = MLP(hidden=sym.hidden, intermediate=sym.intermediate, activation=function)
    if not c.enable_moe_block:
        return mlp, {}
    experts, active, width = c.num_experts, c.top_k_experts, c.moe_intermediate_size
    if experts is None or active is None or width is None or active > experts:
        refuse(True, "keys 'num_experts', 'top_k_experts', 'moe_intermediate_size': all needed")
    moe = MoE(
        hidden=sym.hidden,
        experts=sym.experts,
        active=sym.active_experts,
        intermediate=sym.expert_intermediate,
        activation=function,
    )
    sizes = {"experts": experts, "active_experts": active, "expert_intermediate": width}
    return DenseAndExperts(mlp=mlp, moe=moe), {k: v for k, v in sizes.items() if v is not None}


FAMILIES = {
    "gemma4_text": Family(
        Gemma4Config,
        gemma4,
        "gemma-4-26b-a4b",
        ignored="expert_intermediate_size use_double_wide_mlp vocab_size_per_layer_input",
    )
}
