"""The lightning indexer of sparse attention: it scores all keys and chooses some for each query.

Its scores are those of a small attention of its own, with one key head whose keys are cached. Every
layer that has one writes and reads these; layers after it may use its choice. Of several devices
each chooses for itself: all of it, or (MiniMax M3) for its own heads of keys. Convention: the keys
are in the cache's format (the papers' kernels have them in FP8), and so is nothing else here.
Sources: DeepSeek-V3.2, arXiv 2512.02556, section 2.1; transformers, ``deepseek_v32`` and
``minimax_m3_vl``.
"""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr, sympify

from lifesym.blocks.base import Block, Emitted
from lifesym.nodes import CeilDiv, FloorDiv, Minimum
from lifesym.operators import (
    BlockScores,
    ChooseKeys,
    IndexScores,
    KVAppend,
    Linear,
    Norm,
    Rotary,
    Scale,
)
from lifesym.operators.attention import seen_in_window
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


def chosen_pairs(step: ForwardPass, top: Size) -> Expr:
    """Pairs of a pass whose queries each take ``top`` of the keys they see, or all.

    With ``causal="exact"`` as many as in a window of that length; or else each query takes as many
    as the last one.
    """
    if step.causal == "exact":
        return seen_in_window(step.new, step.past, top)
    return step.new * Minimum(step.past + step.new, sympify(top))


def _scored(step: ForwardPass) -> tuple[Expr, Expr]:
    """Keys, and pairs of a query and a key, that an indexer scores."""
    new, keys = step.new, step.past + step.new
    exact = new * step.past + new * (new + 1) / 2
    return keys, exact if step.causal == "exact" else new * keys


@dataclass(frozen=True, kw_only=True)
class Indexer(Block):
    """What chooses the keys: its queries come from the compressed queries of the attention.

    Attributes:
        hidden: size of the layer's input.
        q_rank: size of the compressed queries; None where queries come from the normalized input.
        heads: query heads.
        head_dim: size of a head.
        rope_dim: rotated elements of a head.
        top: keys chosen for each query.
        rotated: queries and keys are rotated.
        query_scaled: queries are multiplied by a learned function of their position.
    """

    hidden: Size
    q_rank: Size | None
    heads: Size
    head_dim: Size
    rope_dim: Size
    top: Size
    rotated: bool = True
    query_scaled: bool = False

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = (
        "index_q_norm index_q_scale index_q index_k index_k_norm index_rope index_append "
        "index_weights index_qk index_top"
    )

    def operators(self, step: ForwardPass) -> Emitted:
        """Queries, keys, weights of the heads, cache, scores, choice."""
        tokens, width = step.tokens, self.heads * self.head_dim
        if self.q_rank is None:
            yield "index_q_norm", Norm(rows=tokens, features=self.hidden, kind="layer")
        yield "index_q", self._linear(tokens, self.q_rank or self.hidden, width)
        if self.query_scaled:
            yield "index_q_scale", Scale(elements=tokens * width, gains=2 * self.heads)
        yield "index_k", self._linear(tokens, self.hidden, self.head_dim)
        yield "index_k_norm", Norm(rows=tokens, features=self.head_dim, kind="layer")
        if self.rotated:
            yield (
                "index_rope",
                Rotary(tokens=tokens, heads=self.heads, kv_heads=1, rotary_dim=self.rope_dim),
            )
        yield "index_append", KVAppend(tokens=tokens, elements=self.head_dim)
        yield "index_weights", self._linear(tokens, self.hidden, self.heads)
        keys, pairs = _scored(step)
        yield (
            "index_qk",
            IndexScores(
                batch=step.batch,
                heads=self.heads,
                head_dim=self.head_dim,
                new=step.new,
                keys=keys,
                pairs=pairs,
            ),
        )
        chosen = step.batch * chosen_pairs(step, self.top)
        yield "index_top", ChooseKeys(scores=step.batch * pairs, chosen=chosen)

    @staticmethod
    def _linear(tokens: Expr, inputs: Size, outputs: Size) -> Linear:
        return Linear(tokens=tokens, in_features=inputs, out_features=outputs)


@dataclass(frozen=True, kw_only=True)
class BlockIndexer(Block):
    """What chooses whole blocks of keys, apart for each head of keys (MiniMax M3).

    Each head chooses ``top`` blocks for a query, among them the query's own, of which it sees the
    tokens up to itself; the others are full. With ``causal="full"`` all are counted full.

    Attributes:
        hidden: size of the layer's input.
        heads: query heads, one a key head of the attention.
        head_dim: size of a head.
        rotary_dim: rotated elements of a head.
        block: tokens of a block.
        top: blocks chosen for each query.
    """

    hidden: Size
    heads: Size
    head_dim: Size
    rotary_dim: Size
    block: Size
    top: Size

    split: ClassVar[tuple[str, ...]] = ()
    kept: ClassVar[tuple[str, ...]] = ("heads",)
    repeated: ClassVar[str] = "index_k index_k_norm index_append"

    def operators(self, step: ForwardPass) -> Emitted:
        """Queries, keys, their norms, cache, scores, choice."""
        tokens, width = step.tokens, self.heads * self.head_dim
        linear = {"tokens": tokens, "in_features": self.hidden}
        yield "index_q", Linear(**linear, out_features=width)
        yield "index_k", Linear(**linear, out_features=self.head_dim)
        yield "index_q_norm", Norm(rows=tokens * self.heads, features=self.head_dim)
        yield "index_k_norm", Norm(rows=tokens, features=self.head_dim)
        yield (
            "index_rope",
            Rotary(tokens=tokens, heads=self.heads, kv_heads=1, rotary_dim=self.rotary_dim),
        )
        yield "index_append", KVAppend(tokens=tokens, elements=self.head_dim)
        keys, pairs = _scored(step)
        blocks, chosen = self._blocks(step)
        yield (
            "index_qk",
            BlockScores(
                batch=step.batch,
                heads=self.heads,
                head_dim=self.head_dim,
                new=step.new,
                keys=keys,
                pairs=pairs,
                blocks=blocks,
            ),
        )
        each = step.batch * self.heads
        yield "index_top", ChooseKeys(scores=each * blocks, chosen=each * chosen)

    def attended(self, step: ForwardPass) -> tuple[Expr, Expr]:
        """Keys that a pass of the attention reads a head, and pairs of one head."""
        keys = step.past + step.new
        if step.causal == "full":
            most = self.top * self.block
            return Minimum(keys, step.new * most), step.new * Minimum(keys, most)
        begun = step.past - self.block * FloorDiv(step.past, sympify(self.block))
        if step.new == 1:
            pairs = 1 + Minimum(step.past, (self.top - 1) * self.block + begun)
        else:
            pairs = self._seen(keys) - self._seen(step.past)
        return Minimum(keys, pairs), pairs

    def _blocks(self, step: ForwardPass) -> tuple[Expr, Expr]:
        """Pairs of a query and a block that it sees, and those that are chosen."""
        size, keys = sympify(self.block), step.past + step.new
        if step.causal == "full":
            whole = CeilDiv(keys, size)
            return step.new * whole, step.new * Minimum(whole, sympify(self.top))
        before = FloorDiv(step.past, size)
        if step.new == 1:
            return 1 + before, 1 + Minimum(before, self.top - 1)
        after, rest = FloorDiv(keys, size), keys - size * FloorDiv(keys, size)
        seen = size * after * (after - 1) / 2 + rest * after
        seen -= size * before * (before - 1) / 2 + (step.past - size * before) * before
        full = self._full(keys) - self._full(step.past)
        return step.new + seen, step.new + full

    def _seen(self, tokens: Expr) -> Expr:
        """Pairs of the first so many tokens of a sequence."""
        size = sympify(self.block)
        whole = FloorDiv(tokens, size)
        rest = tokens - whole * size
        own = whole * size * (size + 1) / 2 + rest * (rest + 1) / 2
        return own + size * self._full(tokens)

    def _full(self, tokens: Expr) -> Expr:
        """Blocks that so many tokens choose beside their own: min(i, top - 1) in the ith."""
        size, most = sympify(self.block), self.top - 1
        whole = FloorDiv(tokens, size)
        rising = Minimum(whole, sympify(self.top))
        before = rising * (rising - 1) / 2 + (whole - rising) * most
        return size * before + (tokens - whole * size) * Minimum(whole, most)
