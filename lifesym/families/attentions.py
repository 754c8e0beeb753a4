"""Llamas whose attention has one more idea: DiffLlama, JetMoE, Doge, Yuan 2 and ZAYA."""

from typing import Any

from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import (
    AttendedRouter,
    ConvolvedAttention,
    DifferentialAttention,
    FilteredAttention,
    HandedRouter,
    NormSpec,
    RoutedAttention,
    ScaledInput,
    ValueMaskedAttention,
)
from lifesym.families.base import Config, grouped, per_head, refuse, rotated
from lifesym.families.decoder import Ends, decoder, once
from lifesym.families.parts import attention, experts, layer, mlp
from lifesym.families.patterns import listed
from lifesym.model import Model


def diffllama(c: Config) -> Model:
    """DiffLlama: Llama whose pairs of heads give the difference of two attention maps."""
    heads = grouped(c.num_attention_heads, c.num_key_value_heads or c.num_attention_heads)
    refuse(heads % 2 != 0, f"key 'num_key_value_heads': {heads} is odd: heads are pairs")
    return decoder(c, layer(attention(c, of=DifferentialAttention), mlp(c)))


def jetmoe(c: Config) -> Model:
    """JetMoE: experts in every layer, and experts for the projections of queries and outputs."""
    heads = sym.kv_heads * sym.active_experts
    chosen = {"experts": sym.experts, "active": sym.active_experts}
    return decoder(
        c,
        layer(attention(of=RoutedAttention, heads=heads, **chosen), experts(c, sum_bias=True)),
        expert_intermediate=c.intermediate_size,
        kv_heads=c.num_key_value_heads,
        head_dim=c.kv_channels,
    )


def doge(c: Config) -> Model:
    """Doge: masks that values make, normalized queries and keys, weighted residual streams.

    All pairs of queries and keys are computed, as in its class, and those not chosen masked.
    """
    left = Integer(c.keep_window_size)
    mixer = attention(c, of=ValueMaskedAttention, qk_norm="head", top=left)
    return decoder(c, layer(mixer, mlp(c), carried=sym.hidden))


def yuan(c: Config) -> Model:
    """Yuan 2: queries and keys of filtered inputs; M32: experts whose scores attend to each other.

    M32's heads may be wider than its residual stream, and as much of them rotates as if they were
    not.
    """
    heads, hidden, chosen = c.num_attention_heads, c.hidden_size, c.moe_config
    refuse(hidden % 2 == 1, f"key 'hidden_size': {hidden} has no half to filter by")
    usual = per_head(hidden, heads)
    width = c.attention_projection_size or hidden
    own = per_head(width, heads, "attention_projection_size")
    refuse(own < usual, f"key 'attention_projection_size': {width} is less than {hidden}")
    turned = sym.head_dim if own == usual else sym.rotary_dim
    mixer = attention(of=FilteredAttention, kv_heads=sym.heads, rotary_dim=turned)
    if chosen is None or chosen.moe_num_experts == 0:
        return decoder(c, layer(mixer, mlp(c)), head_dim=own, rotary_dim=usual)
    active, every = chosen.moe_top_k, chosen.moe_num_experts
    refuse(active > every, f"key 'moe_config.moe_top_k': {active} of only {every} experts")
    each = layer(mixer, AttendedRouter(moe=experts(c, gated=chosen.gated_linear_unit)))
    sizes = {"experts": every, "active_experts": active, "head_dim": own, "rotary_dim": usual}
    return decoder(c, each, expert_intermediate=chosen.ffn_hidden_size, **sizes)


_PART = 0.5
"""The rotated part of a head of ZAYA where a config has no ``rope_parameters``."""


def _part(c: Config, kind: str) -> float:
    """The rotated part of a head in layers of a kind."""
    if not c.rope_parameters:
        return _PART
    given = c.rope_parameters.get(kind)
    part = given.get("partial_rotary_factor", 1.0) if isinstance(given, dict) else 1.0
    refuse(not isinstance(part, int | float), f"key 'partial_rotary_factor': {part!r} is no number")
    return float(part)


def zaya(c: Config) -> Model:
    """ZAYA 1: experts chosen by small networks that read each other, convolved queries and keys."""
    depth, keys = c.num_hidden_layers, c.num_key_value_heads * c.head_dim
    refuse(keys % 2 == 1, f"key 'head_dim': {keys} elements of values do not halve")
    types = c.layer_types or ["hybrid"] * depth
    spans = {"hybrid": None, "hybrid_sliding": sym.window}
    windowed = any(listed(types, depth, spans))
    refuse(windowed and c.sliding_window is None, "missing key 'sliding_window'")
    turned = {kind: rotated(c.head_dim, _part(c, kind)) for kind in types}
    alike = len(set(turned.values())) == 1
    usual: dict[str, Any] = {"of": ConvolvedAttention, "qk_norm": "plain"}
    usual |= {"kernel": c.cca_time0, "head_kernel": c.cca_time1}
    turns = {kind: sym.rotary_dim if alike else part for kind, part in turned.items()}
    mixers = {
        kind: attention(c, window=spans[kind], rotary_dim=turn, **usual)
        for kind, turn in turns.items()
    }
    width = c.router_hidden_size
    router = {"moe": experts(c), "width": width, "norm": NormSpec(features=width)}
    layers = [
        layer(mixers[kind], HandedRouter(**router, first=i == 0), merged=True)
        for i, kind in enumerate(types)
    ]
    entry = once("input_scale", ScaledInput(hidden=sym.hidden))
    ends = Ends(head_bias=c.lm_head_bias, before=(entry,))
    return decoder(c, layers, ends, rotary_dim=turned[types[0]] if alike else None)
