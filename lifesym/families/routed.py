"""Mixtures of experts of 2024 to 2026, mostly DeepSeek's: they differ in attention before them."""

from collections.abc import Sequence
from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import Ends, decoder
from lifesym.families.llama import period_mixers
from lifesym.families.parts import AROUND, attention, experts, feeds, layers, mixers
from lifesym.families.patterns import dense_layers, listed, never, sparse_steps
from lifesym.families.sizes import shared_size
from lifesym.model import Model


def routed(
    c: Config,
    mixers: Sequence[Block],
    dense: Sequence[bool],
    ends: Ends | None = None,
    *,
    shared: int | None = 0,
    around: dict[str, Any] | None = None,
    sizes: dict[str, int | None] | None = None,
    **options: Any,
) -> Model:
    """A decoder of these mixers, with an MLP in the dense layers and experts in the others.

    ``shared``: size of the shared experts; ``around``: options of the layers (norms, scales);
    ``sizes``: of other symbols; ``options``: of the experts.
    """
    blocks = feeds(c, dense, experts(c, shared=shared, **options))
    own = {"shared_intermediate": shared} | (sizes or {})
    return decoder(c, layers(mixers, blocks, **around or {}), ends, **own)


def deepseek_experts(c: Config, mixers: Sequence[Block], **options: Any) -> Model:
    """DeepSeek's experts after this attention: sigmoid scores, shared experts, dense layers."""
    return routed(c, mixers, dense_layers(c), shared=shared_size(c), sigmoid=True, **options)


def dots1(c: Config) -> Model:
    """dots.llm1: Qwen 3's attention, DeepSeek's experts."""
    return deepseek_experts(c, mixers(c, lambda i: i >= c.max_window_layers, qk_norm="head"))


def hy_v3(c: Config) -> Model:
    """Hunyuan 3: normalized queries and keys, DeepSeek's experts."""
    refuse(shared_size(c) == 0, "key 'num_shared_experts': 0 is not modelled")
    return deepseek_experts(c, mixers(c, never, qk_norm="head"))


def solar_open(c: Config) -> Model:
    """Solar Open: Llama's attention without a bias on its output, DeepSeek's experts."""
    return deepseek_experts(c, mixers(c, never, out_bias=False))


def mellum(c: Config) -> Model:
    """Mellum: Qwen 3 MoE with windows and dense layers as listed."""
    return routed(c, mixers(c, never, qk_norm="head"), dense_layers(c))


def deepseek_ocr2_text(c: Config) -> Model:
    """The text model of DeepSeek-OCR 2: Llama's attention, DeepSeek V2's experts."""
    return routed(c, mixers(c, never), dense_layers(c), shared=shared_size(c))


def exaone_moe(c: Config) -> Model:
    """K-EXAONE: EXAONE 4's attention with norms before it, DeepSeek's experts; Kolibri: and after.

    Both classes have no biases.
    """
    around = AROUND if c.model_type == "kolibri1" else {}
    return deepseek_experts(c, period_mixers(c, qk_norm="head"), around=around)


def afmoe(c: Config) -> Model:
    """Arcee's Trinity: gated attention that rotates in windows alone, norms around both parts.

    What is added to the experts' scores is learned here, as a router's bias is.
    """
    refuse(c.sliding_window is None, "missing key 'sliding_window'")
    gated = period_mixers(c, qk_norm="head", gate="element")
    ends = Ends(scaled=bool(c.mup_enabled))
    return deepseek_experts(c, gated, ends=ends, around=AROUND, router_bias=True)


def flint(c: Config) -> Model:
    """Flint: Qwen 3 MoE with sinks, a shared expert and sigmoid scores."""
    last = c.num_hidden_layers - 1
    sinking = mixers(c, lambda i: i > 1 and i % 4 != 1 and i < last, qk_norm="head", sinks=True)
    c.mlp_only_layers = [0, 1] if c.mlp_only_layers is None else c.mlp_only_layers
    return routed(c, sinking, sparse_steps(c), shared=shared_size(c), sigmoid=True)


def beam(c: Config) -> Model:
    """Beam: gated attention whose full layers rotate nothing but scale queries, by default.

    Norms are around both parts, and the stream is scaled before each is added to it.
    """
    depth, rope = c.num_hidden_layers, c.rope_parameters
    rope = rope or {"full_attention": None, "sliding_attention": {}}
    still = {kind: rotated is None for kind, rotated in rope.items()}
    types = c.layer_types or [
        "sliding_attention" if (i + 1) % 6 and i + 1 < depth else "full_attention"
        for i in range(depth)
    ]
    spans = listed(types, depth, {"full_attention": None, "sliding_attention": sym.window})
    refuse(sym.window in spans and c.sliding_window is None, "missing key 'sliding_window'")
    for kind in set(types):
        refuse(kind not in still, f"key 'rope_parameters': has no {kind!r}")
    usual: dict[str, Any] = {"qk_norm": "head", "gate": "element", "head_gate_bias": True}
    turns: dict[bool, Any] = {True: {"rotary_dim": 0, "query_scaled": True}, False: {}}
    parts = zip(types, spans, strict=True)
    gated = [attention(c, window=span, **usual, **turns[still[kind]]) for kind, span in parts]
    plain = c.mlp_layer_types is None
    return routed(
        c,
        gated,
        [i < 3 for i in range(depth)] if plain else dense_layers(c),
        around=AROUND | {"scaled": True, "stream_scaled": True},
        sigmoid=True,
    )
