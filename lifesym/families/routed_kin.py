"""Mixtures of experts whose layers differ in more: Laguna, Step 3.5, MiMo V2, Hunyuan, Command A.

And those with experts of ``intermediate_size`` in every layer: FlexOlmo, Aria, Granite MoE.
"""

from collections.abc import Sequence
from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block
from lifesym.families.base import Config, expect, refuse
from lifesym.families.decoder import SCALED, Ends
from lifesym.families.llama import granite_mixers
from lifesym.families.parts import AROUND, OFFSETLESS, RMS, attention, mixers
from lifesym.families.patterns import dense_layers, each_layer, never, windows
from lifesym.families.routed import deepseek_experts, routed
from lifesym.families.sizes import head_size
from lifesym.model import Model


def _part(c: Config, span: Any, usual: float) -> int:
    """The rotated elements of a head: ``rope_parameters`` may have the factor by kind of layer."""
    kind = "full_attention" if span is None else "sliding_attention"
    given = (c.rope_parameters or {}).get(kind)
    size = int(head_size(c) * (float(given.get("partial_rotary_factor", 1)) if given else usual))
    refuse(not 0 < size <= head_size(c), f"key 'rope_parameters': {size} elements rotated")
    return size - size % 2


def _by_head(
    c: Config, heads: Sequence[int], spans: Sequence[Any], full: float, **gate: Any
) -> Model:
    """Gated attention with heads by layer, full layers rotated in part; DeepSeek's experts."""
    each_layer(heads, len(spans), "num_attention_heads_per_layer")
    kv_heads, size = c.num_key_value_heads or c.num_attention_heads, head_size(c)
    gated: list[Block] = []
    for span, count in zip(spans, heads, strict=True):
        refuse(count % kv_heads != 0, f"key 'num_attention_heads_per_layer': {count}")
        part = _part(c, span, full if span is None else 1)
        mixer = attention(
            c,
            qk_norm="head",
            window=span,
            heads=sym.heads if len(set(heads)) == 1 else count,
            gate="head" if c.gating is True or c.gating == "per-head" else "element",
            rotary_dim=sym.head_dim if part == size else part,
            **gate,
        )
        gated.append(mixer)
    learned = c.model_type == "laguna"  # what is added to the scores, as in Trinity
    return deepseek_experts(c, gated, router_bias=learned, sizes={"heads": heads[0]})


def laguna(c: Config) -> Model:
    """Laguna: heads by layer, a softplus gate for each; the scores' offsets as in Trinity."""
    spans = windows(c, never)
    heads = c.num_attention_heads_per_layer or [c.num_attention_heads] * len(spans)
    return _by_head(c, heads, spans, 0.5, gate_function="softplus")


def step3p5(c: Config) -> Model:
    """Step 3.5: heads by kind of layer, a sigmoid gate for each, DeepSeek's experts."""
    depth, usual = c.num_hidden_layers, c.num_attention_heads
    if c.layer_types and len(c.layer_types) == depth + c.num_nextn_predict_layers:
        c.layer_types = c.layer_types[:depth]
    if c.moe_layers_enum is not None and c.mlp_layer_types is None:
        chosen = {int(each) for each in c.moe_layers_enum.split(",") if each.strip()}
        c.mlp_layer_types = ["sparse" if i in chosen else "dense" for i in range(depth)]
    spans = windows(c, never)
    other = (c.attention_other_setting or {}).get("num_attention_heads")
    sliding = c.num_sliding_attention_heads or other or usual
    heads = [sliding if span else usual for span in spans]
    for index, own in (c.per_layer_config or {}).items():
        refuse(set(own) != {"num_attention_heads"}, "key 'per_layer_config': only of heads")
        heads[int(index)] = own["num_attention_heads"]
    return _by_head(c, heads, spans, 1)


def _as_flash(c: Config) -> None:
    """What early files say, in the words of the class."""
    fixed = {
        "swa_num_attention_heads": c.num_attention_heads,
        "swa_num_key_value_heads": 2 * (c.num_key_value_heads or c.num_attention_heads),
        "swa_head_dim": head_size(c),
        "swa_v_head_dim": c.v_head_dim,
    }
    for key, usual in fixed.items():
        expect(c, key, usual)
    if c.sliding_window_size is not None:
        c.sliding_window = c.sliding_window_size + 1
    if c.hybrid_layer_pattern is not None and c.layer_types is None:
        words = ("full_attention", "sliding_attention")
        c.layer_types = [words[each] for each in c.hybrid_layer_pattern]
    if c.moe_layer_freq is not None and c.mlp_layer_types is None:
        c.mlp_layer_types = ["sparse" if each else "dense" for each in c.moe_layer_freq]


def mimo_v2_flash(c: Config) -> Model:
    """MiMo V2 Flash: windowed layers with sinks and twice the key-value heads, narrower values."""
    _as_flash(c)
    usual = {"qkv_bias": c.attention_bias, "value_dim": sym.value_dim, "rotary_dim": sym.rotary_dim}
    whole = attention(**usual)
    near = attention(**usual, window=sym.window, kv_heads=2 * sym.kv_heads, sinks=True)
    spans = windows(c, lambda i: i > 0 and (i + 1) % 6 != 0)
    narrow = [whole if span is None else near for span in spans]
    return deepseek_experts(
        c, narrow, sizes={"rotary_dim": _part(c, None, c.partial_rotary_factor)}
    )


def _one(c: Config, key: str) -> int:
    """A number, or the one that every layer has."""
    given = getattr(c, key)
    listed = given if isinstance(given, list) else [given]
    refuse(len(set(listed)) != 1, f"key {key!r}: layers that differ are not modelled")
    return int(listed[0])


def hunyuan_v1_moe(c: Config) -> Model:
    """Hunyuan A13B: a shared MLP beside the experts, normalized queries and keys."""
    width, depth = c.intermediate_size, c.num_hidden_layers
    for key, usual in (("moe_intermediate_size", width), ("num_shared_expert", 1)):
        if getattr(c, key) is not None:
            refuse(_one(c, key) != usual, f"key {key!r}: only {usual} is modelled")
    sizes: dict[str, int | None] = {
        "experts": _one(c, "num_experts"),
        "active_experts": _one(c, "moe_topk"),
        "expert_intermediate": width,
    }
    each = [attention(c, qk_norm="head")] * depth
    return routed(c, each, [False] * depth, shared=width, sizes=sizes)


def _sole(c: Config, mixers: Sequence[Block], **options: Any) -> Model:
    """Experts of ``intermediate_size`` in every layer."""
    sizes: dict[str, int | None] = {"expert_intermediate": c.intermediate_size}
    return routed(c, mixers, [False] * len(mixers), sizes=sizes, **options)


def flex_olmo(c: Config) -> Model:
    """FlexOlmo: OLMo 2 with experts."""
    return _sole(c, mixers(c, never, qk_norm="all"), around={"norm": None, **AROUND})


def aria_text(c: Config) -> Model:
    """Aria's language model: Llama with experts and shared ones."""
    shared = c.num_shared_experts * c.intermediate_size
    return _sole(c, mixers(c, never), shared=shared, shared_bias=c.mlp_bias)


def granitemoe_swa(c: Config) -> Model:
    """Granite MoE with windows and sinks."""
    shared = c.shared_intermediate_size
    return _sole(c, granite_mixers(c), ends=SCALED, around={"scaled": True}, shared=shared)


def cohere2_moe(c: Config) -> Model:
    """Command A with experts: attention and experts side by side, windows in three of four."""
    first, period = c.first_k_dense_replace, c.sliding_window_pattern
    prefix, width = c.prefix_dense_sliding_window_pattern, c.prefix_dense_intermediate_size
    norm, dense = OFFSETLESS if c.rms_norm_eps is None else RMS, dense_layers(c)
    refuse(any(dense) and width is None, "missing key 'prefix_dense_intermediate_size'")

    def slides(i: int) -> bool:
        return bool((i + 1) % prefix if i < first else (i - first + 1) % period)

    def turns(span: Any, alone: bool) -> Any:
        rotates = span or c.sliding_window is None or (alone and prefix == 1)
        return sym.head_dim if rotates else 0

    spans = windows(c, slides)
    return routed(
        c,
        [
            attention(c, window=span, rotary_dim=turns(span, alone))
            for span, alone in zip(spans, dense, strict=True)
        ],
        dense,
        Ends(norm=norm, head_scaled=True),
        shared=c.num_shared_experts * c.intermediate_size,
        around={"norm": norm, "parallel": True, "mlp_norm": None},
        sizes={"intermediate": width, "expert_intermediate": c.intermediate_size},
        sigmoid=c.expert_selection_fn == "sigmoid",
    )
