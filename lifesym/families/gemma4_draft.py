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
    Embed,
    Head,
    JoinedStates,
)
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import once, sized
from lifesym.families.gemma4 import full_rotary, heads_of, mixer, sizes_of, windows
from lifesym.families.parts import AROUND, RMS, layer, mlp
from lifesym.families.sections import sections_of
from lifesym.model import Model


def _head(c: Config) -> Block:
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


def gemma4_assistant(c: Config) -> Model:
    """A draft for Gemma 4: embedding and state of a token are joined, no keys and values.

    Its output becomes the next state. The class's table, if not the head's, is held and not read.
    """
    refuse(
        c.num_kv_shared_layers not in (0, c.num_hidden_layers),
        "key 'num_kv_shared_layers': only what transformers' class takes is modelled",
    )
    kinds = windows(c)
    heads = heads_of(c, kinds)
    sizes, turned = sizes_of(c, heads), full_rotary(c, heads[False].head_dim)
    mixers = [mixer(c, turned, slides=slides, of=BorrowedAttention) for slides in kinds]
    each = [layer(attends, mlp(c), output_scaled=True, **AROUND) for attends in mixers]
    layers, counts = sections_of(each)
    table = Embed(vocab=sym.vocab, width=sym.hidden, hidden=sym.hidden)
    joined = JoinedStates(inputs=2 * sym.target_hidden, hidden=sym.hidden)
    next_state = JoinedStates(inputs=sym.hidden, hidden=sym.target_hidden)
    sections = (
        *(() if c.tie_word_embeddings else (once("embed", table, idle=True),)),
        once("joined", joined),
        *layers,
        once("next_state", next_state),
        once("head", _head(c)),
    )
    sizes |= {symbol.name: value for symbol, value in counts.items()}
    model = sized(c, sections, target_hidden=c.backbone_hidden_size, **sizes)
    note = "draft of Gemma 4: the embedding, keys and values are the target's, and not counted here"
    return replace(model, notes=(note,))
