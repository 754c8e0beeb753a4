"""Gemma 4: wide heads in full layers, and experts, or embeddings by layer and shared caches."""

from collections import Counter
from dataclasses import replace

from sympy import Expr, Integer

from lifesym import symbols as sym
from lifesym.blocks import (
    MLP,
    Attention,
    Block,
    DecoderLayer,
    DenseAndExperts,
    EmbeddedLayer,
    LayerEmbeddings,
    MoE,
    NormSpec,
)
from lifesym.families.base import (
    Decoder,
    Family,
    activation,
    assemble,
    grouped,
    layer_sections,
    numbers,
    refuse,
)
from lifesym.families.gemma4_layers import Gemma4Config, full_rotary, heads_of, sharing, windows
from lifesym.model import Model, Section


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
    turned = Integer(full_rotary(c, wide.head_dim))
    norm = NormSpec(features=sym.hidden)
    function = activation(c.hidden_activation)
    mlp, experts = _feed_forward(c, function)
    doubled, _ = _feed_forward(c, function, 2 if c.use_double_wide_mlp else 1)
    embedded = c.hidden_size_per_layer_input > 0

    def layer(window: Expr | None, *, reuses: bool = False) -> Block:
        full = window is None
        plain = DecoderLayer(
            hidden=sym.hidden,
            mixer=Attention(
                hidden=sym.hidden,
                heads=sym.heads,
                kv_heads=sym.full_kv_heads if full else sym.kv_heads,
                head_dim=sym.full_head_dim if full else sym.head_dim,
                qkv_bias=c.attention_bias,
                out_bias=c.attention_bias,
                rotary_dim=turned if full else sym.head_dim,
                qk_norm="head",
                value_norm=not reuses,
                tied_values=full and c.attention_k_eq_v,
                reuses=reuses,
                window=window,
            ),
            mlp=doubled if reuses else mlp,
            mixer_norm=norm,
            mixer_post_norm=norm,
            mlp_norm=norm,
            mlp_post_norm=norm,
            output_scaled=not embedded,
        )
        if not embedded:
            return plain
        return EmbeddedLayer(layer=plain, embedding=sym.layer_embedding, activation=function)

    sections, counts = layer_sections(kinds, layer)
    if any(shares):
        sections = tuple(
            Section(
                label=f"{'shared_' if reuses else ''}{'sliding' if slides else 'full'}_layers",
                count=Integer(count),
                block=layer(sym.window if slides else None, reuses=reuses),
                last=reuses,
            )
            for (reuses, slides), count in Counter(zip(shares, kinds, strict=True)).items()
        )
        counts = {sym.layers: len(kinds)}
    if embedded:
        tables = LayerEmbeddings(
            hidden=sym.hidden,
            layers=sym.layers,
            embedding=sym.layer_embedding,
            vocab=sym.layer_vocab,
        )
        sections = (Section(label="layer_embeddings", count=1, block=tables), *sections)
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
        layer_embedding=c.hidden_size_per_layer_input or None,
        layer_vocab=c.vocab_size_per_layer_input if embedded else None,
        **experts,
    )
    *body, head = ends.around(sections)
    stack = (*body, replace(head, last=any(shares)))
    return assemble(name, c.model_type, stack, counts, sizes)


def _feed_forward(
    c: Gemma4Config, function: str, times: int = 1
) -> tuple[MLP | DenseAndExperts, dict[str, int]]:
    mlp = MLP(hidden=sym.hidden, intermediate=times * sym.intermediate, activation=function)
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
        Gemma4Config, gemma4, "gemma-4-26b-a4b", ignored="expert_intermediate_size"
    )
}
