"""The sections of a list of layers: which are alike, what they are called, how many there are."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sympy import Expr, Integer, Matrix, Symbol

from lifesym import symbols as sym
from lifesym.blocks import (
    AttendedRouter,
    Attention,
    Block,
    CompressedAttention,
    DenseAndExperts,
    HandedRouter,
    LatentAttention,
    MoE,
    ShortConv,
)
from lifesym.model import Section

Words = tuple[str, str]
"""What tells a kind of layer from others: its mixer, and its feed-forward block ("": none)."""


def sections_of(layers: Sequence[Block]) -> tuple[tuple[Section, ...], dict[Symbol, int]]:
    """The sections of a list of layers, equal ones together, and the values of their counts.

    Layers of one kind are ``layers``, as many as the symbol of that name says. Others are called
    after what differs: the mixer (``full`` attention, ``sliding``, ``chunked``, ``recurrent``,
    ``convolutional``, ``rotary`` where full attention does without positions, ``shared_...``
    where it reads the cache of another layer, ``indexed`` where it chooses its keys, ``following``
    where it has an earlier one's choice, ``compressed`` where it sees all compressed keys) and the
    feed-forward block (``dense``, ``expert``, or ``hashed`` where tokens decide on experts); layers
    that differ in sizes are numbered. See `_counts` for how many there are.
    """
    kinds = Counter(layers)
    if len(kinds) == 1:
        one = Section(label="layers", count=sym.layers, block=layers[0])
        return (one,), {sym.layers: len(layers)}
    words = _words(list(kinds))
    mixers, feeds = ({word[axis] for word in words} for axis in (0, 1))
    single = all("" in word for word in words)
    if len(set(words)) < len(words) or not (single or "" not in mixers | feeds):
        return tuple(
            Section(label=f"layers_{i}", count=Integer(count), block=block)
            for i, (block, count) in enumerate(kinds.items(), start=1)
        ), {}
    counts, values = _counts(dict(zip(words, kinds.values(), strict=True)))
    blocks = dict(zip(words, kinds, strict=True))
    axes = [axis for axis, every in enumerate((mixers, feeds)) if len(every) > 1]
    return tuple(
        Section(
            label="_".join([*filter(None, (word[axis] for axis in axes)), "layers"]),
            count=count,
            block=blocks[word],
        )
        for word, count in counts.items()
    ), values


def _words(layers: Sequence[Any]) -> list[Words]:
    """The words of each of these layers."""
    inner = [getattr(each, "layer", each) for each in layers]
    whole = [m for m in (each.mixer for each in inner) if isinstance(m, Attention) and not m.window]
    still = any(mixer.rotary_dim == 0 for mixer in whole)

    def mixing(mixer: Block | None) -> str:
        match mixer:
            case None:
                return ""
            case Attention(indexer=indexer) if indexer is not None:
                word = "indexed"
            case Attention(window=None, rotary_dim=turned):
                word = "rotary" if still and turned != 0 else "full"
            case Attention(chunked=chunked):
                word = "chunked" if chunked else "sliding"
            case LatentAttention(top=top, indexer=indexer) if top is not None:
                word = "following" if indexer is None else "indexed"
            case LatentAttention(window=window):
                word = "full" if window is None else "sliding"
            case CompressedAttention(compressor=None):
                word = "sliding"
            case CompressedAttention(indexer=indexer):
                word = "compressed" if indexer is None else "indexed"
            case ShortConv():
                word = "convolutional"
            case _:
                word = "recurrent"
        return f"shared_{word}" if getattr(mixer, "reuses", False) else word

    def feeding(block: Block | None) -> str:
        if block is None:
            return ""
        if isinstance(block, MoE) and block.hashed:
            return "hashed"
        routed = MoE | DenseAndExperts | HandedRouter | AttendedRouter
        return "expert" if isinstance(block, routed) else "dense"

    return [(mixing(each.mixer), feeding(each.mlp)) for each in inner]


def _counts(told: dict[Words, int]) -> tuple[dict[Words, Expr], dict[Symbol, int]]:
    """The counts of kinds of layers, and the values of the symbols that they are made of.

    The symbols are ``layers``, ``full_layers``, ``dense_layers``, ``expert_layers`` and
    ``full_dense_layers``, each where it does not follow from those before it: the counts are the
    solution of what they say. Where they do not say all (two mixers that are no full attention),
    the counts are numbers.
    """
    ranks = {"full": 1, "dense": 0, "expert": 1}
    ordered = sorted(told, key=lambda word: (word[0] == "", *(ranks.get(w, 0) for w in word)))
    said = {
        sym.layers: [1] * len(told),
        sym.full_layers: [int(mixer == "full") for mixer, _ in ordered],
        sym.dense_layers: [int(feed == "dense") for _, feed in ordered],
        sym.expert_layers: [int(feed == "expert") for _, feed in ordered],
        sym.full_dense_layers: [int(word == ("full", "dense")) for word in ordered],
    }
    used: list[Symbol] = []
    for symbol in said:
        if Matrix([said[each] for each in (*used, symbol)]).rank() > len(used):
            used.append(symbol)
    if len(used) < len(told):
        return {word: Integer(count) for word, count in told.items()}, {}
    solved = Matrix([said[symbol] for symbol in used]).inv() * Matrix(used)
    numbers = [told[word] for word in ordered]
    values = {
        symbol: sum(n for n, counted in zip(numbers, said[symbol], strict=True) if counted)
        for symbol in used
    }
    return dict(zip(ordered, solved, strict=True)), values
