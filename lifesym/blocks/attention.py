"""Self-attention with a growing cache of keys and values."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from sympy import Expr, S, sympify

from lifesym.blocks.base import Block, Emitted
from lifesym.blocks.indexer import BlockIndexer
from lifesym.nodes import FloorDiv, Minimum
from lifesym.operators import (
    Activation,
    Alibi,
    AttentionScores,
    AttentionValues,
    KVAppend,
    Linear,
    Norm,
    Residual,
    Rotary,
    Scale,
    Softmax,
)
from lifesym.operators.attention import CachedPast, seen_in_window
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class Attention(Block):
    """Self-attention with grouped queries, and its cache.

    Attributes:
        hidden: size of the block's input.
        heads: query heads.
        kv_heads: key and value heads (1: multi-query; ``heads``: multi-head).
        head_dim: size of a head.
        output: size of the block's output; ``hidden`` unless given.
        fused: one QKV projection instead of three.
        qkv_bias: biases on the query, key and value projections.
        key_bias: keys have one too, where queries and values have.
        out_bias: bias on the output projection.
        rotary_dim: rotated elements of a head; 0 for models without rotary positions.
        qk_norm: norm of queries and keys: over each head, with gains that heads share, without
            any (``plain``) or with each head's own (``each``), or over all heads together.
        qk_norm_kind: RMSNorm, or LayerNorm.
        relative: learned biases of relative positions on the scores.
        alibi: linear position biases on the scores.
        softcap: soft cap on the scores.
        sinks: one learned score a head that takes part in the softmax.
        window: sliding window: a token sees itself and the window - 1 tokens before it.
        chunked: the window does not slide: a token sees the tokens of its own chunk up to itself.
            The cache, and the rectangle of scores, are those of a sliding window as long.
        query_scaled: queries are multiplied by a factor of their position.
        bidirectional: no causal mask and no cache (encoders).
        value_norm: values are normalized over each head, without gains.
        tied_values: values are the keys' projection, without one of their own.
        reuses: keys and values are those of an earlier layer, and only read.
        gated: the query projection also gives a sigmoid gate for every element of the output.
        indexer: what chooses the blocks of keys that each query attends to; None: all.
        gate: a projection of its own gives a gate for every ``element`` of the output, or one for
            each ``head``.
        head_gate_bias: a learned number a head is added to its gates.
        gate_function: the gate's activation function.
        gate_bias: bias of the gate's projection.
        out_norm: the heads' outputs are normalized together before the output projection.
        gains: queries and gates are multiplied by learned vectors; the last norm has no gains.
        value_dim: size of a value head; ``head_dim`` unless given.
        key_devices: devices that have a norm of all key heads together.
    """

    hidden: Size
    heads: Size
    kv_heads: Size
    head_dim: Size
    output: Size | None = None
    fused: bool = False
    qkv_bias: bool = False
    key_bias: bool = True
    out_bias: bool = False
    rotary_dim: Size = 0
    qk_norm: Literal["none", "head", "plain", "each", "all"] = "none"
    qk_norm_kind: Literal["rms", "layer"] = "rms"
    relative: bool = False
    alibi: bool = False
    softcap: bool = False
    sinks: bool = False
    window: Size | None = None
    chunked: bool = False
    query_scaled: bool = False
    bidirectional: bool = False
    value_norm: bool = False
    tied_values: bool = False
    reuses: bool = False
    gated: bool = False
    indexer: BlockIndexer | None = None
    gate: Literal["none", "element", "head"] = "none"
    head_gate_bias: bool = False
    gate_function: str = "sigmoid"
    gate_bias: bool = False
    out_norm: bool = False
    gains: bool = False
    value_dim: Size | None = None

    key_devices: Size = 1

    split: ClassVar[tuple[str, ...] | None] = ("heads",)
    kept: ClassVar[tuple[str, ...]] = ("kv_heads",)

    @property
    def value_size(self) -> Size:
        """The size of a value head."""
        return self.head_dim if self.value_dim is None else self.value_dim

    def part(self, n: Expr) -> Self:
        """Its heads, with at least one of keys and values, which other devices may have, too."""
        several = Minimum(S.One, sympify(self.kv_heads) - 1)  # none where all have the same head
        return replace(super().part(n), key_devices=1 + (n - 1) * several)

    def attended(self, step: ForwardPass) -> tuple[Expr, Expr]:
        """Keys that the pass reads, and (query, key) pairs of one head."""
        new, past = step.new, step.past
        if self.bidirectional:
            return new, new * new
        if self.indexer is not None and step.windows:
            return self.indexer.attended(step)
        fresh, window = new if step.earlier is None else step.earlier, self._window(step)
        keys = fresh + _in_reach(past + new - fresh, window)
        if step.causal == "full":
            return keys, new * keys
        if window is None:
            return keys, new * past + new * (new + 1) / 2
        if self.chunked:
            before = _seen_in_chunks(past, window)
            return keys, _seen_in_chunks(past + new, window) - before
        return keys, seen_in_window(new, past, window)

    def cached_past(self, step: ForwardPass) -> CachedPast | None:
        """What the pass finds in the cache; None where nothing is cached."""
        if self.bidirectional:
            return None
        fresh = S.Zero if step.earlier is None else step.earlier - step.new
        window = self._window(step)
        alone = step.new == 1 and fresh == 0 and not self.chunked  # it sees all that is read
        masked = step.causal == "exact" and not alone
        return CachedPast(
            tokens=_in_reach(step.past - fresh, window),
            window=window if masked else None,
            before=step.past,
            fresh=fresh,
            chunked=self.chunked,
            chosen=self.indexer is not None,
        )

    def _window(self, step: ForwardPass) -> Size | None:
        """The window, where the pass makes something of it."""
        return self.window if step.windows else None

    def operators(self, step: ForwardPass) -> Emitted:
        """Projections, positions, cache, core and output projection."""
        tokens, width = step.tokens, self.heads * self.value_size
        yield from self._projected(step)
        if self.qk_norm != "none":
            yield from self._norm("attn_q_norm", tokens, self.heads, self.devices)
            if not self.reuses:
                yield from self._norm("attn_k_norm", tokens, self.kv_heads, self.key_devices)
        if self.value_norm:
            rows = tokens * self.kv_heads
            yield "attn_v_norm", Norm(rows=rows, features=self.head_dim, affine=False)
        if self.rotary_dim != 0:
            yield (
                "attn_rope",
                Rotary(
                    tokens=tokens,
                    heads=self.heads,
                    kv_heads=0 if self.reuses else self.kv_heads,
                    rotary_dim=self.rotary_dim,
                ),
            )
        if self.query_scaled:
            yield "attn_q_scale", self._scale(tokens, self.heads * self.head_dim)
        if not (self.bidirectional or self.reuses):
            per_head = self.head_dim + self.value_size
            window = self._window(step)
            reach = None if window is None else window - 1
            yield (
                "kv_append",
                KVAppend(tokens=tokens, heads=self.kv_heads, elements=per_head, reach=reach),
            )
        if self.indexer is not None:
            yield from self.indexer.operators(step)
        yield from self._core(step)
        if self.gated:
            gate = Activation(elements=tokens * width, function="sigmoid", gated=True)
            yield "attn_gate", gate
        yield from self._gated(tokens, width)
        if self.out_norm:
            norm = Norm(rows=tokens, features=width, affine=not self.gains)
            yield from self.summed("attn_out_norm", norm, tokens)
        yield from self._joined(step)

    def _projected(self, step: ForwardPass) -> Emitted:
        """Queries, keys and values of the new tokens."""
        key_width, value_width = self.kv_heads * self.head_dim, self.kv_heads * self.value_size
        queries = (2 if self.gated else 1) * self.heads * self.head_dim
        projections = [("attn_q", queries), ("attn_k", key_width), ("attn_v", value_width)]
        if self.reuses or self.tied_values:
            del projections[1 if self.reuses else 2 :]
        elif self.fused:
            projections = [("attn_qkv_fused", queries + key_width + value_width)]
        for name, out in projections:
            yield (
                name,
                Linear(
                    tokens=step.tokens,
                    in_features=self.hidden,
                    out_features=out,
                    bias=self.qkv_bias and (self.key_bias or name != "attn_k"),
                ),
            )

    def _joined(self, step: ForwardPass) -> Emitted:
        """The heads' outputs, joined by the output projection."""
        width, outputs = self.heads * self.value_size, self.output
        out_features = self.hidden if outputs is None else outputs
        out = Linear(
            tokens=step.tokens, in_features=width, out_features=out_features, bias=self.out_bias
        )
        yield from self.summed("attn_o", out, step.tokens * out_features)

    def _gated(self, tokens: Expr, width: Size) -> Emitted:
        """The gates that a projection of their own gives, and their product with the output."""
        if self.gate == "none":
            return
        each = self.gate == "element"
        gates = width if each else self.heads
        wide = {"tokens": tokens, "in_features": self.hidden, "bias": self.gate_bias}
        yield "attn_g", Linear(**wide, out_features=gates)
        if self.gains:
            yield "attn_g_scale", self._scale(tokens, gates)
        if self.head_gate_bias:  # an addition costs what a product does
            yield "attn_gate_bias", Scale(elements=tokens * gates, gains=self.heads)
        function = self.gate_function
        yield "attn_gate", Activation(elements=tokens * gates, function=function, gated=each)
        if not each:  # one number multiplies the whole output of a head
            yield "attn_gate", Scale(elements=tokens * width)

    def _scale(self, tokens: Expr, features: Size) -> Scale:
        """A product with a constant, or with a learned vector."""
        return Scale(elements=tokens * features, gains=features if self.gains else 0)

    def _norm(self, name: str, tokens: Expr, heads: Size, devices: Size) -> Emitted:
        """The norm of so many heads' queries or keys; one of all adds up the devices' squares."""
        if self.qk_norm == "all":
            norm = Norm(rows=tokens, features=heads * self.head_dim, kind=self.qk_norm_kind)
            yield from self.summed(name, norm, tokens, devices)
            return
        own = self.qk_norm == "each"
        norm = Norm(
            rows=tokens * heads,
            features=self.head_dim,
            kind=self.qk_norm_kind,
            affine=self.qk_norm != "plain",
            bias=not own,
            sets=heads if own else 1,
        )
        yield name, norm

    def _core(self, step: ForwardPass) -> Emitted:
        keys, pairs = self.attended(step)
        scores = step.batch * self.heads * pairs
        shape = {
            "batch": step.batch,
            "heads": self.heads,
            "kv_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "new": step.new,
            "keys": keys,
            "pairs": pairs,
            "cached": not self.bidirectional,
            "past": self.cached_past(step),
        }
        yield "attn_qk", AttentionScores(**shape)
        if self.softcap:
            yield "attn_softcap", Scale(elements=scores, softcap=True)
        if self.relative:
            yield "attn_bias", Residual(elements=scores)
        if self.alibi:
            yield "attn_alibi", Alibi(elements=scores)
        sinks = self.heads if self.sinks else 0
        yield "attn_softmax", Softmax(elements=scores, sinks=sinks)
        yield "attn_av", AttentionValues(**shape | {"head_dim": self.value_size})


def _in_reach(cached: Expr, window: Size | None) -> Expr:
    """Tokens of so many in the cache that a window lets a new token see."""
    return cached if window is None or cached.is_zero else Minimum(cached, window - 1)


def _seen_in_chunks(tokens: Expr, chunk: Size) -> Expr:
    """Pairs of the first so many tokens of a sequence: those of whole chunks, and of the last."""
    whole = FloorDiv(tokens, sympify(chunk))
    rest = tokens - whole * chunk
    return whole * chunk * (chunk + 1) / 2 + rest * (rest + 1) / 2
