"""Kin of DeepSeek V3.2 with twists of their own: A.X K2, Hy 4, dots 3 note, Mistral Large 4.

All attend to keys that an indexer chooses, among latents. Constant factors of latents and queries
can be put into weights and are not counted. Source: transformers 5.24, ``axk2``, ``hy_v4``,
``dots3_note`` and ``mistral_large4``, whose eager code computes all scores and masks what is not
chosen: ``windows=False`` here, which windows of dots 3 note are not.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import CollapsedStreams, HyperLayer, LatentAttention, LearnedRotary
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import Ends, decoder, once
from lifesym.families.deepseek import indexed, indexer, sparse_feed
from lifesym.families.parts import RMS, STREAMS, feeds, latent, layer, layers
from lifesym.families.patterns import dense_layers, each_layer, listed, still_layers
from lifesym.families.sizes import own_keys
from lifesym.model import Model


def axk2(c: Config) -> Model:
    """A.X K2: gates on its norms' outputs and on attention's, projected with the queries."""
    own_keys(c)
    dense, gated = dense_layers(c), replace(RMS, gate=sym.gate_rank)
    mixer = latent(c, top=sym.index_top, indexer=indexer(c), gate="joint")
    each = [
        layer(mixer, block, mixer_norm=gated, mlp_norm=RMS if plain else gated)
        for block, plain in zip(feeds(c, dense, sparse_feed(c)), dense, strict=True)
    ]
    return decoder(c, each, gate_rank=c.gated_norm_rank)


def hy_v4(c: Config) -> Model:
    """Hy 4: hyper-connections that keep the streams as they are, gates and sinks of attention."""
    mixer = latent(c, top=sym.index_top, gate="element", sinks=True)
    mixers = {True: replace(mixer, indexer=indexer(c)), False: mixer}
    blocks = feeds(c, dense_layers(c), sparse_feed(c))
    each = [
        HyperLayer(**STREAMS, mixer=mixers[own], mlp=block, norm=RMS)
        for own, block in zip(indexed(c), blocks, strict=True)
    ]
    return decoder(c, each, Ends(after=(once("collapse", CollapsedStreams(**STREAMS)),)))


WINDOW = "sliding_attention"
_OWN = {
    "num_attention_heads": "heads",
    "q_lora_rank": "q_rank",
    "kv_lora_rank": "kv_rank",
    "qk_nope_head_dim": "nope_dim",
    "qk_rope_head_dim": "rope_dim",
    "v_head_dim": "value_dim",
}
"""Sizes that layers with windows have of their own, and what a block calls them."""


def _kinds(c: Config) -> list[str]:
    """What each layer of dots 3 note attends to."""
    depth, words = c.num_hidden_layers, c.layer_types
    whole = "full_attention" if c.use_dsa is False else "indexed_attention"
    if words is None:
        every = [not c.use_sliding_window or i < 2 or i % 4 == 1 for i in range(depth)]
        return [whole if each else WINDOW for each in every]
    legacy = c.use_dsa if c.per_layer_config is not None else c.use_dsa is not False
    meant = {WINDOW: WINDOW, "full_attention": "full_attention"}
    meant |= {"indexed_attention": "indexed_attention"}
    if legacy is not None:  # early files call all other layers full attention
        meant |= dict.fromkeys(("full_attention", "indexed_attention"), whole)
    return listed(words, depth, meant)


def _windowed(c: Config, kinds: list[str]) -> Mapping[str, int]:
    """The sizes of the layers with windows, which must be alike."""
    rotated = c.swa_qk_rope_head_dim or c.swa_head_dim - c.swa_qk_nope_head_dim
    sizes = {name: getattr(c, f"swa_{name}") for name in ("head_dim", *_OWN)}
    sizes["qk_rope_head_dim"] = rotated
    if c.per_layer_config is not None:
        usual = {name: getattr(c, name, 0) for name in sizes}
        given = {int(i): own for i, own in c.per_layer_config.items()}
        each = [usual | given.get(i, {}) for i, kind in enumerate(kinds) if kind == WINDOW]
        refuse(any(one != each[0] for one in each), "key 'per_layer_config': windows must be alike")
        refuse(
            any(kinds[i : i + 1] not in ([WINDOW], []) for i in given),
            "key 'per_layer_config': only layers with windows have sizes of their own",
        )
        sizes = {name: int(each[0][name]) for name in sizes} if each else sizes
    whole = sizes["qk_nope_head_dim"] + sizes["qk_rope_head_dim"]
    refuse(
        WINDOW in kinds and sizes["head_dim"] != whole,
        f"key 'swa_head_dim': {sizes['head_dim']} is not {whole}, its parts' sum",
    )
    return sizes


def _dense(c: Config) -> list[bool]:
    """Which layers of dots 3 note have no experts: experts may be in every n-th, or as listed."""
    plain, freq = dense_layers(c), c.moe_layer_freq
    if c.mlp_layer_types is not None:
        return plain
    if isinstance(freq, list):
        each_layer(freq, len(plain), "moe_layer_freq")
        return [first or not on for first, on in zip(plain, freq, strict=True)]
    return [first or i % max(freq, 1) != 0 for i, first in enumerate(plain)]


def dots3_note_text(c: Config) -> Model:
    """Dots 3 note: windows of other sizes beside an indexer, normalized keys, gates for heads."""
    own_keys(c)
    kinds = _kinds(c)
    own = _windowed(c, kinds)
    usual = latent(c, gate="head", key_norm=True)
    sizes: dict[str, Any] = {field: Integer(own[key]) for key, field in _OWN.items()}
    window = replace(usual, window=sym.window, **sizes)
    mixers = {
        WINDOW: window,
        "full_attention": usual,
        "indexed_attention": replace(usual, top=sym.index_top, indexer=indexer(c)),
    }
    refuse(not c.n_shared_experts, "key 'n_shared_experts': 0 is not modelled")
    size = c.moe_shared_expert_intermediate_size or c.shared_experts_intermediate_size
    return decoder(
        c,
        layers([mixers[kind] for kind in kinds], feeds(c, _dense(c), sparse_feed(c))),
        shared_intermediate=size * c.n_shared_experts,
        window=c.sliding_window or c.sliding_window_size,
    )


def mistral_large4_text(c: Config) -> Model:
    """Mistral Large 4: layers without positions or latents of their own, scaled queries."""
    own_keys(c)
    depth = c.num_hidden_layers
    c.no_rope_layers = (c.no_rope_layers or [])[:depth]
    still, sources = still_layers(c), c.kv_source_layers or list(range(depth))
    each_layer(sources, depth, "kv_source_layers")
    refuse(
        any(source > i or sources[source] != source for i, source in enumerate(sources)),
        "key 'kv_source_layers': a layer shares latents with an earlier one that has its own",
    )
    refuse(
        any(still[i] != still[source] for i, source in enumerate(sources)),
        "key 'kv_source_layers': layers that share latents must both have positions, or none",
    )
    unrotated = {"rotated": False, "rope_dim": Integer(0), "nope_dim": sym.nope_dim + sym.rope_dim}

    def mixer(i: int, own: bool) -> LatentAttention:
        options: dict[str, Any] = unrotated if still[i] else {}
        chooses = indexer(c, q_rank=None, query_scaled=True, rotated=not still[i])
        return latent(
            c,
            q_rank=None,
            top=sym.index_top,
            query_scaled=True,
            reuses=sources[i] != i,
            indexer=chooses if own else None,
            **options,
        )

    blocks = feeds(c, dense_layers(c), sparse_feed(c, sigmoid=False))
    mixers = [mixer(i, own) for i, own in enumerate(indexed(c))]
    rotary = once("rotary", LearnedRotary(rope_dim=sym.rope_dim))
    return decoder(c, layers(mixers, blocks), Ends(before=(rotary,)))
