"""Attention to a window of tokens and to compressed keys of all before them (DeepSeek V4).

One head of keys serves all query heads and is its own values. Every ``rate`` tokens one compressed
key joins those that later queries see: all of them, or those that an indexer chooses, which scores
compressed keys of its own. Conventions: all that waits for its compressed key, and what an indexer
keeps, is in the cache's format. Compressors and indexers are whole on every one of several devices.
Source: transformers 5.24, ``deepseek_v4``.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sympy import Expr, S, sympify

from lifesym.blocks.attention import Attention
from lifesym.blocks.base import Block, Emitted
from lifesym.nodes import FloorDiv, Minimum
from lifesym.operators import (
    AttentionScores,
    AttentionValues,
    ChooseKeys,
    CompressedAppend,
    HeadLinear,
    IndexScores,
    KVAppend,
    Linear,
    Norm,
    PoolTokens,
    Rotary,
    Softmax,
)
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class Compressor(Block):
    """What makes one key of ``rate`` tokens.

    Attributes:
        hidden: size of the layer's input.
        features: size of a key.
        rate: tokens of a compressed key.
        rope_dim: rotated elements of a key.
        overlap: a key is made of the ``rate`` tokens before, too, by projections of their own.
        label: what the names of its operators begin with.
    """

    hidden: Size
    features: Size
    rate: Size
    rope_dim: Size
    overlap: bool = False
    label: str = "compress"

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = (
        "compress_kv compress_gate compress_pool compress_norm compress_rope compress_append "
        "index_kv index_gate index_pool index_norm index_key_rope index_append"
    )

    def operators(self, step: ForwardPass) -> Emitted:
        """Keys and gates of the new tokens; what they and those that wait make; cache."""
        name, tokens = self.label, step.tokens
        width = (2 if self.overlap else 1) * self.features
        for each in ("kv", "gate"):
            linear = Linear(tokens=tokens, in_features=self.hidden, out_features=width)
            yield f"{name}_{each}", linear
        before, made = self.entries(step.past), self.made(step)
        some, waiting = Minimum(S.One, made), step.past - self.rate * before
        left = step.past + step.new - self.rate * self.entries(step.past + step.new)
        recalled, stored = waiting * some * 2 * width, (left - waiting * (1 - some)) * 2 * width
        if self.overlap:  # the half of the last whole one that the next one takes
            half = 2 * self.rate * self.features
            recalled += some * Minimum(S.One, before) * half
            stored += some * half
        entries = step.batch * made
        yield (
            f"{name}_pool",
            PoolTokens(
                tokens=tokens,
                entries=entries,
                features=self.features,
                rate=self.rate,
                recalled=step.batch * recalled,
                stored=step.batch * stored,
                overlap=self.overlap,
            ),
        )
        yield f"{name}_norm", Norm(rows=entries, features=self.features)
        rotated = Rotary(tokens=entries, heads=0, kv_heads=1, rotary_dim=self.rope_dim)
        yield f"{name}_key_rope" if name == "index" else f"{name}_rope", rotated
        yield (
            f"{name}_append",
            CompressedAppend(
                tokens=entries, elements=self.features, rate=self.rate, overlap=self.overlap
            ),
        )

    def entries(self, tokens: Expr) -> Expr:
        """Compressed keys of so many tokens."""
        return FloorDiv(tokens, sympify(self.rate))

    def made(self, step: ForwardPass) -> Expr:
        """Compressed keys of one sequence that a pass makes."""
        return self.entries(step.past + step.new) - self.entries(step.past)

    def seen(self, step: ForwardPass, top: Size | None = None) -> Expr:
        """Pairs of a query and a compressed key that it sees, or of the ``top`` that it chooses."""
        keys = step.past + step.new
        if step.causal == "full" or step.new == 1:
            every = self.entries(keys)
            return step.new * (every if top is None else Minimum(every, sympify(top)))
        return self._seen(keys, top) - self._seen(step.past, top)

    def _seen(self, tokens: Expr, top: Size | None) -> Expr:
        """Those of the first so many tokens: the sum of floor(j / rate), each at most ``top``."""
        every = self.entries(tokens)
        most = every if top is None else Minimum(every, sympify(top))
        return self.rate * most * (most - 1) / 2 + most * (tokens - self.rate * most + 1)


@dataclass(frozen=True, kw_only=True)
class CompressedIndexer(Block):
    """What chooses compressed keys for each query, by scores of smaller ones.

    Attributes:
        compressor: what makes its keys.
        q_rank: size of the compressed queries of the attention.
        heads: query heads.
        top: keys chosen for each query.
    """

    compressor: Compressor
    q_rank: Size
    heads: Size
    top: Size

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "index_q index_rope index_weights index_qk index_top"

    def operators(self, step: ForwardPass) -> Emitted:
        """Keys, queries, weights of the heads, scores, choice."""
        tokens, keys = step.tokens, self.compressor
        yield from keys.operators(step)
        width = self.heads * keys.features
        yield "index_q", Linear(tokens=tokens, in_features=self.q_rank, out_features=width)
        yield "index_rope", Rotary(tokens=tokens, heads=self.heads, rotary_dim=keys.rope_dim)
        weights = Linear(tokens=tokens, in_features=keys.hidden, out_features=self.heads)
        yield "index_weights", weights
        pairs = keys.seen(step)
        yield (
            "index_qk",
            IndexScores(
                batch=step.batch,
                heads=self.heads,
                head_dim=keys.features,
                new=step.new,
                keys=keys.entries(step.past + step.new),
                pairs=pairs,
                product=False,
            ),
        )
        chosen = step.batch * keys.seen(step, self.top)
        yield "index_top", ChooseKeys(scores=step.batch * pairs, chosen=chosen)


@dataclass(frozen=True, kw_only=True)
class CompressedAttention(Block):
    """Queries from a compressed one, one head of keys that are values, an output in groups.

    Attributes:
        hidden: size of input and output.
        heads: query heads, each with a sink.
        head_dim: size of a head.
        rope_dim: rotated elements of a head; of the output they are turned back.
        q_rank: size of the compressed queries.
        groups: groups of heads, whose outputs are projected apart.
        out_rank: size of a group's output.
        window: sliding window.
        compressor: what makes compressed keys; None: the window alone is seen.
        indexer: what chooses among them; None: all are seen.
    """

    hidden: Size
    heads: Size
    head_dim: Size
    rope_dim: Size
    q_rank: Size
    groups: Size
    out_rank: Size
    window: Size
    compressor: Compressor | None = None
    indexer: CompressedIndexer | None = None

    split: ClassVar[tuple[str, ...]] = ("heads", "groups")
    repeated: ClassVar[str] = "attn_q_a attn_q_a_norm attn_kv_a attn_kv_a_norm kv_append"

    def operators(self, step: ForwardPass) -> Emitted:
        """Queries, key, cache, compressed keys, core, output projections."""
        tokens, width = step.tokens, self.heads * self.head_dim
        yield "attn_q_a", self._linear(tokens, self.hidden, self.q_rank)
        yield "attn_q_a_norm", Norm(rows=tokens, features=self.q_rank)
        yield "attn_q_b", self._linear(tokens, self.q_rank, width)
        heads = Norm(rows=tokens * self.heads, features=self.head_dim, affine=False)
        yield "attn_q_norm", heads
        yield "attn_kv_a", self._linear(tokens, self.hidden, self.head_dim)
        yield "attn_kv_a_norm", Norm(rows=tokens, features=self.head_dim)
        turned = Rotary(tokens=tokens, heads=self.heads, kv_heads=1, rotary_dim=self.rope_dim)
        yield "attn_rope", turned
        reach = self.window - 1 if step.windows else None
        yield "kv_append", KVAppend(tokens=tokens, elements=self.head_dim, reach=reach)
        for part in (self.compressor, self.indexer):
            if part is not None:
                yield from part.operators(step)
        yield from self._core(step)
        yield "attn_out_rope", replace(turned, kv_heads=0)
        each = width / sympify(self.groups)
        grouped = {"tokens": tokens, "heads": self.groups, "in_features": each}
        yield "attn_o_a", HeadLinear(**grouped, out_features=self.out_rank)
        out = self._linear(tokens, self.groups * self.out_rank, self.hidden)
        yield from self.summed("attn_o", out, tokens * self.hidden)

    def _core(self, step: ForwardPass) -> Emitted:
        own = Attention(
            hidden=self.hidden, heads=self.heads, kv_heads=1, head_dim=self.head_dim,
            window=self.window,
        )  # fmt: skip
        keys, pairs = own.attended(step)
        past = own.cached_past(step)
        if self.compressor is not None:
            top = self.indexer.top if self.indexer and step.windows else None
            every = self.compressor.entries(step.past + step.new)
            keys += every if top is None else Minimum(every, step.new * top)
            pairs += self.compressor.seen(step, top)
            past = past and replace(past, chosen=True)
        shape: dict[str, Any] = {
            "batch": step.batch,
            "heads": self.heads,
            "kv_heads": 1,
            "head_dim": self.head_dim,
            "new": step.new,
            "keys": keys,
            "pairs": pairs,
            "past": past,
        }
        yield "attn_qk", AttentionScores(**shape)
        scores = step.batch * self.heads * pairs
        yield "attn_softmax", Softmax(elements=scores, sinks=self.heads)
        yield "attn_av", AttentionValues(**shape, in_keys=True)

    @staticmethod
    def _linear(tokens: Expr, inputs: Size, outputs: Size) -> Linear:
        return Linear(tokens=tokens, in_features=inputs, out_features=outputs)
