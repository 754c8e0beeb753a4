"""Gemma 4's assistants: small drafts whose layers read the keys and values of their target.

Sources: transformers 5.24 ``models/gemma4_assistant`` and ``generation/candidate_generator.py``
(``SinglePositionMultiTokenCandidateGenerator``).
"""

from dataclasses import replace

from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import (
    Block,
    BorrowedAttention,
    ClusteredHead,
    DecoderLayer,
    Embed,
    Head,
    JoinedStates,
)
from lifesym.families.base import Count, Family, Whole, grouped, refuse
from lifesym.families.decoder import RMS, layer, mlp, sized
from lifesym.families.gemma4 import Gemma4Config, full_rotary, heads_of, windows
from lifesym.families.sections import sections_of
from lifesym.model import Model, Section


class AssistantConfig(Gemma4Config, kw_only=True):
    """``text_config``'s keys and those beside it; ``backbone_hidden_size`` is the target's."""

    hidden_size_per_layer_input: Whole = 0
    vocab_size_per_layer_input: Whole = 0
    backbone_hidden_size: Count = 1536
    use_ordered_embeddings: bool = False
    num_centroids: Count = 2048
    centroid_intermediate_top_k: Count = 32


def _layer(c: AssistantConfig, turned: int, *, slides: bool) -> DecoderLayer:
    """A layer of Gemma 4 without keys and values of its own."""
    kind = (sym.kv_heads, sym.head_dim) if slides else (sym.full_kv_heads, sym.full_head_dim)
    mixer = BorrowedAttention(
        hidden=sym.hidden,
        heads=sym.heads,
        kv_heads=kind[0],
        head_dim=kind[1],
        qkv_bias=c.attention_bias,
        out_bias=c.attention_bias,
        rotary_dim=sym.head_dim if slides else Integer(turned),
        qk_norm="head",
        window=sym.window if slides else None,
    )
    post = {"mixer_post_norm": RMS, "mlp_post_norm": RMS}
    block = mlp(c.hidden_activation, "hidden_activation")
    return layer(mixer, block, output_scaled=True, **post)


def _head(c: AssistantConfig) -> Block:
    """Logits of all tokens, or of those in the best clusters."""
    if not c.use_ordered_embeddings:
        return Head(hidden=sym.hidden, vocab=sym.vocab, tied=False, norm=RMS)
    clusters, top = c.num_centroids, c.centroid_intermediate_top_k
    refuse(
        c.vocab_size % clusters != 0, f"key 'num_centroids': {clusters} is no part of the tokens"
    )
    refuse(top > clusters, f"key 'centroid_intermediate_top_k': {top} of only {clusters} clusters")
    return ClusteredHead(
        hidden=sym.hidden,
        vocab=sym.vocab,
        clusters=Integer(clusters),
        top=Integer(top),
        norm=RMS,
    )


def assistant(c: AssistantConfig, name: str) -> Model:
    """A draft for Gemma 4: embedding and state of a token are joined, no keys and values.

    Its output becomes the next state. The class's table, if not the head's, is held and not read.
    """
    depth = c.num_hidden_layers
    none = "only what transformers' class takes is modelled"
    refuse(c.num_kv_shared_layers not in (0, depth), f"key 'num_kv_shared_layers': {none}")
    for key in ("hidden_size_per_layer_input", "enable_moe_block", "use_double_wide_mlp"):
        refuse(bool(getattr(c, key)), f"key {key!r}: {none}")
    kinds = windows(c)
    heads = heads_of(c, kinds)
    for kind in heads.values():
        grouped(c.num_attention_heads, kind.num_key_value_heads)
    wide, narrow = heads[False], heads.get(True)
    turned = full_rotary(c, wide.head_dim)
    layers, counts = sections_of([_layer(c, turned, slides=slides) for slides in kinds])
    joined = JoinedStates(inputs=2 * sym.target_hidden, hidden=sym.hidden)
    next_state = JoinedStates(inputs=sym.hidden, hidden=sym.target_hidden)
    table = Embed(vocab=sym.vocab, width=sym.hidden, hidden=sym.hidden)
    idle = Section(label="embed", count=1, block=table, idle=True)
    sections = (
        *(() if c.tie_word_embeddings else (idle,)),
        Section(label="joined", count=1, block=joined),
        *layers,
        Section(label="next_state", count=1, block=next_state),
        Section(label="head", count=1, block=_head(c)),
    )
    model = sized(
        c,
        name,
        sections,
        kv_heads=None if narrow is None else narrow.num_key_value_heads,
        head_dim=None if narrow is None else narrow.head_dim,
        full_kv_heads=wide.num_key_value_heads,
        full_head_dim=wide.head_dim,
        target_hidden=c.backbone_hidden_size,
        **{symbol.name: value for symbol, value in counts.items()},
    )
    note = "draft of Gemma 4: the embedding, keys and values are the target's, and not counted here"
    return replace(model, notes=(note,))


FAMILIES = {
    "gemma4_assistant": Family(
        AssistantConfig,
        assistant,
        "gemma-4-31b-assistant",
        ignored="expert_intermediate_size",
        kin=("gemma4_unified_assistant",),
    )
}
