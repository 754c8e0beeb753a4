"""ZAYA: attention with convolved projections, routers that hand on their state."""

from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import ConvolvedAttention, HandedRouter, NormSpec, ScaledInput
from lifesym.families.base import Count, Family, StackConfig, listed, refuse, rotated
from lifesym.families.decoder import Ends, decoder, experts, layer
from lifesym.families.mamba import Kernel
from lifesym.model import Model, Section

_PART = 0.5
"""The rotated part of a head where a config has no ``rope_parameters``."""


class ZayaConfig(StackConfig, kw_only=True):
    """All layers are ``hybrid`` unless listed; ``hybrid_sliding`` ones have a window."""

    num_key_value_heads: Count = 2
    head_dim: Count = 128
    moe_intermediate_size: Count
    num_experts: Count = 16
    num_experts_per_tok: Count = 1
    router_hidden_size: Count = 256
    cca_time0: Kernel = 2
    cca_time1: Kernel = 2
    hidden_act: str = "silu"
    sliding_window: Count | None = None
    layer_types: list[str] | None = None
    rope_parameters: dict[str, Any] | None = None
    attention_bias: bool = False
    lm_head_bias: bool = False
    tie_word_embeddings: bool = True


def _part(c: ZayaConfig, kind: str) -> float:
    """The rotated part of a head in layers of a kind.

    Raises:
        SpecError: it is no number.
    """
    if not c.rope_parameters:
        return _PART
    given = c.rope_parameters.get(kind)
    part = given.get("partial_rotary_factor", 1.0) if isinstance(given, dict) else 1.0
    refuse(not isinstance(part, int | float), f"key 'partial_rotary_factor': {part!r} is no number")
    return float(part)


def zaya(c: ZayaConfig, name: str) -> Model:
    """ZAYA 1: experts chosen by small networks that read each other, convolved queries and keys."""
    depth, keys = c.num_hidden_layers, c.num_key_value_heads * c.head_dim
    refuse(c.num_experts_per_tok != 1, "key 'num_experts_per_tok': only 1 is modelled")
    refuse(keys % 2 == 1, f"key 'head_dim': {keys} elements of values do not halve")
    types = c.layer_types or ["hybrid"] * depth
    windowed = listed(types, depth, {"hybrid": False, "hybrid_sliding": True})
    refuse(any(windowed) and c.sliding_window is None, "missing key 'sliding_window'")
    refuse(
        any(windowed) and c.sliding_window == 1,
        "key 'sliding_window': a window of 1 is not modelled",
    )
    turned = {kind: rotated(c.head_dim, _part(c, kind)) for kind in types}
    alike = len(set(turned.values())) == 1
    mixers = {
        kind: ConvolvedAttention(
            hidden=sym.hidden,
            heads=sym.heads,
            kv_heads=sym.kv_heads,
            head_dim=sym.head_dim,
            rotary_dim=sym.rotary_dim if alike else turned[kind],
            qkv_bias=c.attention_bias,
            out_bias=c.attention_bias,
            qk_norm="plain",
            window=sym.window if kind == "hybrid_sliding" else None,
            kernel=c.cca_time0,
            head_kernel=c.cca_time1,
        )
        for kind in turned
    }
    moe, width = experts(c.hidden_act), c.router_hidden_size
    layers = [
        layer(
            mixers[kind],
            HandedRouter(moe=moe, width=width, norm=NormSpec(features=width), first=i == 0),
            merged=True,
        )
        for i, kind in enumerate(types)
    ]
    entry = Section(label="input_scale", count=1, block=ScaledInput(hidden=sym.hidden))
    ends = Ends(head_bias=c.lm_head_bias, before=(entry,))
    rotary = turned[types[0]] if alike else None
    return decoder(c, name, layers, ends, rotary_dim=rotary, window=c.sliding_window)


FAMILIES = {"zaya": Family(ZayaConfig, zaya, "zaya1-8b")}
