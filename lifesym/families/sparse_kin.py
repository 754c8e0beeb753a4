"""Kin of DeepSeek V3.2 with twists of their own: A.X K2, Hy 4, dots 3 note, Mistral Large 4.

All attend to keys that an indexer chooses, among latents. Constant factors of latents and queries
can be put into weights and are not counted. Source: transformers 5.24, ``axk2``, ``hy_v4``,
``dots3_note`` and ``mistral_large4``, whose eager code computes all scores and masks what is not
chosen: ``windows=False`` here, which windows of dots 3 note are not.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import CollapsedStreams, HyperLayer, LatentAttention, LearnedRotary
from lifesym.families.base import Count, Family, Whole, each_layer, listed, refuse
from lifesym.families.decoder import RMS, Ends, latent, layer
from lifesym.families.deepseek_sparse import (
    SPARSE,
    GlmSparseConfig,
    SparseConfig,
    checked,
    dense,
    feeds,
    indexed,
    indexer,
    put_together,
)
from lifesym.model import Model, Section


class Axk2Config(SparseConfig, kw_only=True):
    """A.X K2: one dense layer, and gates of so low a rank, unless told otherwise."""

    num_key_value_heads: Count | None = None
    q_lora_rank: Count = 384
    index_n_heads: Count = 16
    gated_norm_rank: Count = 16
    first_k_dense_replace: Whole = 1


class HyV4Config(GlmSparseConfig, kw_only=True):
    """Hy 4: its class has keys and values for every head, whatever the config says."""

    q_lora_rank: Count = 1536
    index_n_heads: Count = 16
    first_k_dense_replace: Whole = 1
    hc_mult: Count = 4
    index_topk_freq: int = 4
    index_skip_topk_offset: int = 2


class Dots3Config(SparseConfig, kw_only=True):
    """dots 3 note: layers with windows have sizes of their own, by layer or with ``swa_``."""

    num_key_value_heads: Count | None = None
    q_lora_rank: Count = 1024
    shared_experts_intermediate_size: Count = 1536
    moe_shared_expert_intermediate_size: Count | None = None
    first_k_dense_replace: Whole = 1
    moe_layer_freq: Whole | list[Whole] = 1  # type: ignore[assignment]
    layer_types: list[str] | None = None
    sliding_window: Count | None = None
    sliding_window_size: Count = 512
    use_sliding_window: bool = True
    use_dsa: bool | None = None
    head_dim: Count = 256
    per_layer_config: dict[str, dict[str, Any]] | None = None
    swa_num_attention_heads: Count = 64
    swa_q_lora_rank: Count = 1024
    swa_kv_lora_rank: Count = 1024
    swa_head_dim: Count = 256
    swa_qk_nope_head_dim: Count = 192
    swa_qk_rope_head_dim: Count | None = None
    swa_v_head_dim: Count = 128


class MistralLarge4Config(GlmSparseConfig, kw_only=True):
    """Mistral Large 4: queries are not compressed; lists say what layers lack."""

    index_n_heads: Count = 32
    first_k_dense_replace: Whole = 1
    no_rope_layers: list[Whole] | None = None
    no_rope_layer_interval: Count = 4
    kv_source_layers: list[Whole] | None = None
    final_logit_softcapping: float | None = 30.0


def axk2(c: Axk2Config, name: str) -> Model:
    """A.X K2: gates on its norms' outputs and on attention's, projected with the queries."""
    checked(c)
    blocks, gated = feeds(c), replace(RMS, gate=sym.gate_rank)
    mixer = latent(c, top=sym.index_top, indexer=indexer(), gate="joint")
    layers = [
        layer(mixer, blocks[plain], mixer_norm=gated, mlp_norm=RMS if plain else gated)
        for plain in dense(c)
    ]
    return put_together(c, name, layers, gate_rank=c.gated_norm_rank)


def hy_v4(c: HyV4Config, name: str) -> Model:
    """Hy 4: hyper-connections that keep the streams as they are, gates and sinks of attention."""
    checked(c, grouped=False)
    blocks = feeds(c)
    mixer = latent(c, top=sym.index_top, gate="element", sinks=True)
    mixers = {True: replace(mixer, indexer=indexer()), False: mixer}
    hyper: dict[str, Any] = {"hidden": sym.hidden, "streams": sym.streams}
    layers = [
        HyperLayer(**hyper, mixer=mixers[own], mlp=blocks[plain], norm=RMS)
        for own, plain in zip(indexed(c), dense(c), strict=True)
    ]
    ends = Ends(after=(Section(label="collapse", count=1, block=CollapsedStreams(**hyper)),))
    return put_together(c, name, layers, ends, streams=c.hc_mult)


WINDOW = "sliding_attention"
_OWN = ("num_attention_heads", "q_lora_rank", "kv_lora_rank", "head_dim", "qk_nope_head_dim")
"""Sizes that layers with windows have of their own, besides those that ``_windowed`` adds."""


def _kinds(c: Dots3Config) -> list[str]:
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


def _windowed(c: Dots3Config, kinds: list[str]) -> Mapping[str, int]:
    """The sizes of the layers with windows, which must be alike."""
    sizes = {name: int(getattr(c, f"swa_{name}")) for name in _OWN}
    sizes["v_head_dim"] = c.swa_v_head_dim
    sizes["qk_rope_head_dim"] = (
        c.swa_qk_rope_head_dim or sizes["head_dim"] - sizes["qk_nope_head_dim"]
    )
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


def dots3(c: Dots3Config, name: str) -> Model:
    """Dots 3 note: windows of other sizes beside an indexer, normalized keys, gates for heads."""
    freq = c.moe_layer_freq
    checked(msgspec.structs.replace(c, moe_layer_freq=1))
    kinds, every = _kinds(c), freq if isinstance(freq, list) else None
    own = _windowed(c, kinds)
    usual = latent(c, gate="head", key_norm=True)
    window = replace(
        usual,
        heads=Integer(own["num_attention_heads"]),
        q_rank=Integer(own["q_lora_rank"]),
        kv_rank=Integer(own["kv_lora_rank"]),
        nope_dim=Integer(own["qk_nope_head_dim"]),
        rope_dim=Integer(own["qk_rope_head_dim"]),
        value_dim=Integer(own["v_head_dim"]),
        window=sym.window,
    )
    mixers = {
        WINDOW: window,
        "full_attention": usual,
        "indexed_attention": replace(usual, top=sym.index_top, indexer=indexer()),
    }
    plain = dense(c)
    if c.mlp_layer_types is None and every is not None:
        each_layer(every, len(plain), "moe_layer_freq")
        plain = [first or not on for first, on in zip(plain, every, strict=True)]
    elif c.mlp_layer_types is None:
        plain = [first or i % max(freq, 1) != 0 for i, first in enumerate(plain)]  # type: ignore
    size = c.moe_shared_expert_intermediate_size or c.shared_experts_intermediate_size
    refuse(not c.n_shared_experts, "key 'n_shared_experts': 0 is not modelled")
    blocks = feeds(c)
    return put_together(
        c,
        name,
        [layer(mixers[kind], blocks[alone]) for kind, alone in zip(kinds, plain, strict=True)],
        shared_intermediate=size * (c.n_shared_experts or 1),
        window=c.sliding_window or c.sliding_window_size,
    )


def mistral_large4(c: MistralLarge4Config, name: str) -> Model:
    """Mistral Large 4: layers without positions or latents of their own, scaled queries."""
    checked(c)
    depth = c.num_hidden_layers
    turned = c.no_rope_layers or [(i + 1) % c.no_rope_layer_interval for i in range(depth)]
    refuse(len(turned) < depth, f"key 'no_rope_layers': {len(turned)} entries for {depth} layers")
    sources = c.kv_source_layers or list(range(depth))
    each_layer(sources, depth, "kv_source_layers")
    refuse(
        any(source > i or sources[source] != source for i, source in enumerate(sources)),
        "key 'kv_source_layers': a layer shares latents with an earlier one that has its own",
    )
    refuse(
        any(bool(turned[i]) != bool(turned[source]) for i, source in enumerate(sources)),
        "key 'kv_source_layers': layers that share latents must both have positions, or none",
    )
    blocks = feeds(c, sigmoid=False)
    still = {"rotated": False, "rope_dim": Integer(0), "nope_dim": sym.nope_dim + sym.rope_dim}

    def mixer(i: int, own: bool) -> LatentAttention:
        options: dict[str, Any] = {} if turned[i] else still
        chooses = indexer(q_rank=None, query_scaled=True, rotated=bool(turned[i]))
        return latent(
            c,
            q_rank=None,
            top=sym.index_top,
            query_scaled=True,
            reuses=sources[i] != i,
            indexer=chooses if own else None,
            **options,
        )

    choosing = enumerate(zip(indexed(c), dense(c), strict=True))
    layers = [layer(mixer(i, own), blocks[plain]) for i, (own, plain) in choosing]
    rotary = Section(label="rotary", count=1, block=LearnedRotary(rope_dim=sym.rope_dim))
    ends = Ends(before=(rotary,), softcap=c.final_logit_softcapping is not None)
    return put_together(c, name, layers, ends)


FAMILIES = {
    "axk2": Family(Axk2Config, axk2, "deepseek-v3.2", ignored=SPARSE),
    "hy_v4": Family(
        HyV4Config,
        hy_v4,
        "glm-5",
        ignored=f"{SPARSE} hc_eps hc_magnitude learnable_sink_init swiglu_limit",
    ),
    "dots3_note_text": Family(
        Dots3Config,
        dots3,
        "deepseek-v3.2",
        ignored=f"{SPARSE} swa_num_key_value_heads swa_rope_theta",
        kin=("dots3_note",),  # files have the text model's keys beside the towers'
    ),
    "mistral_large4_text": Family(MistralLarge4Config, mistral_large4, "glm-5", ignored=SPARSE),
}
