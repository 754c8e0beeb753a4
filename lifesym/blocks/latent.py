r"""Multi-head latent attention, in three conventions.

Keys and values of every head are projections of one cached latent of ``kv_rank`` elements, and
all heads share one rotated key of ``rope_dim`` elements. A pass can

- ``expand`` the latents of all past and new positions to keys and values each time, as
  transformers' code does: the cache is small, but the work grows with the context, and so do
  the expanded keys and values that are written and read again;
- keep ``decompressed`` keys and values: the cache of ordinary attention;
- ``absorb`` the projections into queries and outputs, so that scores are taken against the
  latents themselves: the small cache and no expansion, but longer score products.

Sparse attention (DeepSeek-V3.2): each query attends to the best keys that an `Indexer` chooses. Of
several queries' choices no key is read twice, and no more than there are.

Sources: DeepSeek-V2, arXiv 2405.04434, section 2.1 and appendix C; DeepSeek-V3.2, 2512.02556,
section 2.1.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from sympy import Expr

from lifesym.blocks.attention import Attention
from lifesym.blocks.base import Block, Emitted
from lifesym.blocks.indexer import Indexer, chosen_pairs
from lifesym.nodes import Minimum
from lifesym.operators import (
    Activation,
    AttentionScores,
    AttentionValues,
    HeadLinear,
    KVAppend,
    LatentExpand,
    Linear,
    Norm,
    Rotary,
    Scale,
    Softmax,
)
from lifesym.operators.attention import CachedPast
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class LatentAttention(Block):
    """Attention over a compressed cache.

    Attributes:
        hidden: size of input and output.
        heads: attention heads.
        q_rank: rank of the compressed queries; None where queries are not compressed.
        kv_rank: size of the latent.
        nope_dim: elements of a head without position.
        rope_dim: rotated elements of a head, whose key all heads share.
        value_dim: size of a value head.
        bias: biases on the compressing and output projections.
        rotated: the shared key and its part of the queries are rotated.
        gate: a sigmoid gate for each ``head`` or ``element`` of the output, from a projection of
            the input; or one for each element from one with the queries, of the compressed ones
            before and after their norm (``joint``).
        sinks: one learned score a head that takes part in the softmax.
        key_norm: the shared key is normalized.
        query_scaled: queries are multiplied by a learned function of their position.
        window: sliding window.
        reuses: latents and shared keys are those of an earlier layer, and only read.
        top: keys that a query attends to, or all that it sees; None: always all.
        indexer: what chooses them; None where an earlier layer's choice is used.
    """

    hidden: Size
    heads: Size
    kv_rank: Size
    nope_dim: Size
    rope_dim: Size
    value_dim: Size
    q_rank: Size | None = None
    bias: bool = False
    rotated: bool = True
    gate: Literal["none", "head", "element", "joint"] = "none"
    sinks: bool = False
    key_norm: bool = False
    query_scaled: bool = False
    window: Size | None = None
    reuses: bool = False
    top: Size | None = None
    indexer: Indexer | None = None

    split: ClassVar[tuple[str, ...]] = ("heads",)
    repeated: ClassVar[str] = (
        "attn_q_a attn_q_a_norm attn_kv_a attn_kv_a_norm attn_key_norm kv_append"
    )

    def operators(self, step: ForwardPass) -> Emitted:
        """Query, latent, cache, core by convention, gates, output projection."""
        tokens = step.tokens
        head = self.nope_dim + self.rope_dim
        if self.q_rank is None:
            yield "attn_q", self._linear(tokens, self.hidden, self.heads * head)
        else:
            yield "attn_q_a", self._linear(tokens, self.hidden, self.q_rank, bias=self.bias)
            yield "attn_q_a_norm", Norm(rows=tokens, features=self.q_rank)
            joint = self.gate == "joint"
            inputs, outputs = (2 * self.q_rank, self.value_dim) if joint else (self.q_rank, 0)
            yield "attn_q_b", self._linear(tokens, inputs, self.heads * (head + outputs))
        if not self.reuses:
            latent = self.kv_rank + self.rope_dim
            yield "attn_kv_a", self._linear(tokens, self.hidden, latent, bias=self.bias)
            yield "attn_kv_a_norm", Norm(rows=tokens, features=self.kv_rank)
        if self.key_norm:
            yield "attn_key_norm", Norm(rows=tokens, features=self.rope_dim)
        if self.rotated:
            turned = {"kv_heads": 0 if self.reuses else 1, "rotary_dim": self.rope_dim}
            yield "attn_rope", Rotary(tokens=tokens, heads=self.heads, **turned)
        if self.query_scaled:
            scaled = tokens * self.heads * head
            yield "attn_q_scale", Scale(elements=scaled, gains=2 * self.heads)
        if self.indexer is not None:
            yield from self.indexer.operators(step)
        core = self._absorbed if step.mla == "absorbed" else self._explicit
        yield from core(step)
        yield from self._gated(tokens)
        out = self._linear(tokens, self.heads * self.value_dim, self.hidden, bias=self.bias)
        yield from self.summed("attn_o", out, tokens * self.hidden)

    def _gated(self, tokens: Expr) -> Emitted:
        """The gates and their product with the output."""
        width = self.heads * self.value_dim
        if self.gate in ("head", "element"):
            gates = self.heads if self.gate == "head" else width
            yield "attn_gate_proj", self._linear(tokens, self.hidden, gates)
        if self.gate == "head":
            yield "attn_gate_act", Activation(elements=tokens * self.heads, function="sigmoid")
            yield "attn_gate", Scale(elements=tokens * width)
        elif self.gate != "none":
            yield "attn_gate", Activation(elements=tokens * width, function="sigmoid", gated=True)

    def _explicit(self, step: ForwardPass) -> Emitted:
        """Keys and values of every head, expanded from the latents now or when they were new."""
        keys, pairs = self._attended(step)
        up = self.heads * (self.nope_dim + self.value_dim)
        again = step.mla == "expand"
        if again:
            yield from self._appended(step)
            yield (
                "attn_kv_b",
                LatentExpand(
                    tokens=step.batch * keys,
                    in_features=self.kv_rank,
                    out_features=up,
                    rope_dim=self.rope_dim,
                ),
            )
        else:
            yield "attn_kv_b", self._linear(step.tokens, self.kv_rank, up)
            yield from self._appended(step)
        shape: dict[str, Any] = {
            "batch": step.batch,
            "heads": self.heads,
            "kv_heads": self.heads,
            "new": step.new,
            "keys": keys,
            "pairs": pairs,
            "cached": not again,
            "past": self._cached_past(step),
        }
        rotated = self.rope_dim if again else 0  # one rotated key for all heads, or one a head
        own = self.nope_dim + self.rope_dim - rotated
        yield "attn_qk", AttentionScores(**shape, head_dim=own, shared=rotated)
        yield "attn_softmax", self._softmax(step.batch * self.heads * pairs)
        yield "attn_av", AttentionValues(**shape, head_dim=self.value_dim)

    def _appended(self, step: ForwardPass) -> Emitted:
        """The latents and shared keys, or keys and values of every head, of the new tokens."""
        if self.reuses and step.mla != "decompressed":  # the earlier layer's are not of these heads
            return
        reach = None if self.window is None or not step.windows else self.window - 1
        kept: dict[str, Size] = {"elements": self.kv_rank + self.rope_dim}
        if step.mla == "decompressed":
            width = self.nope_dim + self.rope_dim + self.value_dim
            kept = {"heads": self.heads, "elements": width}
        yield "kv_append", KVAppend(tokens=step.tokens, reach=reach, **kept)

    def _absorbed(self, step: ForwardPass) -> Emitted:
        """Scores against the latents: one key of kv_rank + rope_dim elements for all heads."""
        keys, pairs = self._attended(step)
        yield from self._appended(step)
        per_head = {"tokens": step.tokens, "heads": self.heads}
        yield (
            "attn_kv_b",
            HeadLinear(**per_head, in_features=self.nope_dim, out_features=self.kv_rank),
        )
        shape: dict[str, Any] = {
            "batch": step.batch,
            "heads": self.heads,
            "kv_heads": 1,
            "new": step.new,
            "keys": keys,
            "pairs": pairs,
            "past": self._cached_past(step),
        }
        yield "attn_qk", AttentionScores(**shape, head_dim=self.kv_rank + self.rope_dim)
        yield "attn_softmax", self._softmax(step.batch * self.heads * pairs)
        yield "attn_av", AttentionValues(**shape, head_dim=self.kv_rank, in_keys=True)
        yield (
            "attn_kv_b",
            HeadLinear(**per_head, in_features=self.kv_rank, out_features=self.value_dim),
        )

    def _softmax(self, scores: Expr) -> Softmax:
        return Softmax(elements=scores, sinks=self.heads if self.sinks else 0)

    def _plain(self) -> Attention:
        """Ordinary attention of the same heads, for its count of keys and pairs."""
        return Attention(
            hidden=self.hidden,
            heads=self.heads,
            kv_heads=self.heads,
            head_dim=self.value_dim,
            window=self.window,
        )

    def _attended(self, step: ForwardPass) -> tuple[Expr, Expr]:
        """Keys that the pass reads, and (query, key) pairs of one head."""
        keys, pairs = self._plain().attended(step)
        if self.top is None or not step.windows:
            return keys, pairs
        return Minimum(keys, step.new * self.top), chosen_pairs(step, self.top)

    def _cached_past(self, step: ForwardPass) -> CachedPast | None:
        """What the pass finds in the cache."""
        found = self._plain().cached_past(step)
        return found if found is None else replace(found, chosen=self.top is not None)

    @staticmethod
    def _linear(tokens: Expr, inputs: Size, outputs: Size, *, bias: bool = False) -> Linear:
        return Linear(tokens=tokens, in_features=inputs, out_features=outputs, bias=bias)
