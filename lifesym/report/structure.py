"""What a model is made of, in words: its mixers, feed-forward blocks and caches, by section."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from lifesym.blocks import (
    MLP,
    Attention,
    CompressedAttention,
    CrossAttention,
    DeltaNet,
    DenseAndExperts,
    FilteredAttention,
    HyperLayer,
    KimiDelta,
    LatentAttention,
    LightningAttention,
    Mamba,
    Mamba2,
    MoE,
    ShortConv,
    TimeMix,
)
from lifesym.model import Model, Section

_RECURRENT = {
    Mamba: "Mamba",
    Mamba2: "Mamba-2",
    DeltaNet: "gated delta net",
    KimiDelta: "Kimi delta attention",
    LightningAttention: "lightning attention",
    TimeMix: "RWKV time mixing",
    ShortConv: "short convolution",
}


def structure(model: Model) -> dict[str, list[str]]:
    """Descriptions of all layers, by what they describe: mixers, feed-forward and cache.

    >>> from lifesym.huggingface import load_model
    >>> structure(load_model("gemma-2-2b"))["mixers"][1]
    'full_layers: attention, grouped queries, rotary positions, soft cap'
    """
    parts: dict[str, dict[str, dict[str, None]]] = {}
    for section in model.bound:
        if section.idle:
            continue
        for node in _walk(section.block):
            for kind, text in _described(node):
                parts.setdefault(kind, {}).setdefault(text, {})[section.label] = None
    return {
        kind: [f"{', '.join(labels)}: {text}" for text, labels in texts.items()]
        for kind, texts in parts.items()
    }


def sections(model: Model) -> str:
    """The sections with how often they run.

    >>> from lifesym.huggingface import load_model
    >>> sections(load_model("gemma-2-2b"))
    'embed, 13 sliding_layers, 13 full_layers, head'
    """
    return ", ".join(_counted(section) for section in model.bound)


def _counted(section: Section) -> str:
    count = section.label if section.count == 1 else f"{section.count} {section.label}"
    return f"{count} (not run)" if section.idle else count


def _walk(node: Any) -> Iterator[Any]:
    """The blocks in a block, itself first; what is inside of an expert block is told with it."""
    yield node
    if is_dataclass(node) and not isinstance(node, DenseAndExperts):
        for field in fields(node):
            value = getattr(node, field.name)
            if is_dataclass(value):
                yield from _walk(value)


def _described(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, Attention):
        yield "mixers", _attention(node)
        yield "cache", _cache(node)
    elif isinstance(node, LatentAttention):
        kind = "multi-head latent attention (expand, decompressed or absorbed)"
        yield "mixers", kind + (f", {node.top} chosen keys" if node.top is not None else "")
        own = "" if node.indexer is None else ", and the indexer's key"
        yield "cache", f"a latent and a shared key of every token{own}"
    elif isinstance(node, CompressedAttention):
        keys, made = "a window", node.compressor
        if made is not None:
            chosen = "all" if node.indexer is None else f"{node.indexer.top} chosen"
            keys += f" and {chosen} keys of {made.rate} tokens"
        yield "mixers", f"multi-query attention to {keys}"
        yield "cache", f"one key that is a value, of {keys}"
    elif isinstance(node, HyperLayer):
        yield "residual", f"{node.streams} streams, mixed by hyper-connections"
    elif isinstance(node, CrossAttention):
        yield "mixers", "attention to the encoder's output"
        yield "cache", "keys and values of the encoder's output"
    elif isinstance(node, MoE):
        yield "feed-forward", _experts(node)
    elif isinstance(node, DenseAndExperts):
        yield "feed-forward", f"{_mlp(node.mlp)} beside {_experts(node.moe)}"
    elif isinstance(node, MLP):
        yield "feed-forward", _mlp(node)
    for block, name in _RECURRENT.items():
        if isinstance(node, block):
            yield "mixers", name
            yield "cache", "a state of constant size"


def _attention(node: Attention) -> str:
    if node.bidirectional:
        kind = "to the whole sequence, both ways"
    elif node.kv_heads == node.heads:
        kind = "multi-head"
    else:
        kind = "multi-query" if node.kv_heads == 1 else "grouped queries"
    said = (
        ("rotary positions", node.rotary_dim != 0),
        ("relative positions", node.relative),
        ("ALiBi", node.alibi),
        ("normalized queries and keys", node.qk_norm != "none"),
        ("soft cap", node.softcap),
        ("sinks", node.sinks),
        ("gated output", node.gated),
        ("queries and keys of filtered inputs", isinstance(node, FilteredAttention)),
        ("values are keys", node.tied_values),
        ("chosen blocks of keys", node.indexer is not None),
        (f"chunks of {node.window}", node.chunked),
        (f"window of {node.window}", node.window is not None and not node.chunked),
    )
    return ", ".join(["attention", kind, *(text for text, holds in said if holds)])


def _cache(node: Attention) -> str:
    if node.bidirectional:
        return "none"
    if node.reuses:
        return "that of an earlier layer"
    if node.window is None:
        own = ", and two inputs of the filter" * isinstance(node, FilteredAttention)
        return f"keys and values of every token{own}"
    return f"keys and values of the last {node.window - 1} tokens"


def _mlp(node: MLP) -> str:
    return f"{'gated ' if node.gated else ''}MLP, {node.activation}"


def _experts(node: MoE) -> str:
    scores = "sigmoid" if node.sigmoid else "softmax"
    text = f"{node.active} of {node.experts} experts, {scores}"
    gated = ", gated" if node.shared_gate else ""
    return text if node.shared is None else f"{text}, shared experts of {node.shared}{gated}"
