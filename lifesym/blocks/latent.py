r"""Multi-head latent attention, in three conventions.

Keys and values of every head are projections of one cached latent of ``kv_rank`` elements, and
all heads share one rotated key of ``rope_dim`` elements. A pass can

- ``expand`` the latents of all past and new positions to keys and values each time, as
  transformers' code does: the cache is small, but the work grows with the context, and so do
  the expanded keys and values that are written and read again;
- keep ``decompressed`` keys and values: the cache of ordinary attention;
- ``absorb`` the projections into queries and outputs, so that scores are taken against the
  latents themselves: the small cache and no expansion, but longer score products.

Source: DeepSeek-V2, arXiv 2405.04434, section 2.1 and appendix C.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from sympy import Expr

from lifesym.blocks.attention import Attention
from lifesym.blocks.base import Block, Emitted
from lifesym.operators import (
    AttentionScores,
    AttentionValues,
    HeadLinear,
    KVAppend,
    LatentExpand,
    Linear,
    Norm,
    Rotary,
    Softmax,
)
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
    """

    hidden: Size
    heads: Size
    kv_rank: Size
    nope_dim: Size
    rope_dim: Size
    value_dim: Size
    q_rank: Size | None = None
    bias: bool = False

    split: ClassVar[tuple[str, ...]] = ("heads",)
    repeated: ClassVar[str] = "attn_q_a attn_q_a_norm attn_kv_a attn_kv_a_norm kv_append"

    def operators(self, step: ForwardPass) -> Emitted:
        """Query, latent, cache, core by convention, output projection."""
        tokens = step.tokens
        head = self.nope_dim + self.rope_dim
        if self.q_rank is None:
            yield "attn_q", self._linear(tokens, self.hidden, self.heads * head)
        else:
            yield "attn_q_a", self._linear(tokens, self.hidden, self.q_rank, bias=self.bias)
            yield "attn_q_a_norm", Norm(rows=tokens, features=self.q_rank)
            yield "attn_q_b", self._linear(tokens, self.q_rank, self.heads * head)
        latent = self.kv_rank + self.rope_dim
        yield "attn_kv_a", self._linear(tokens, self.hidden, latent, bias=self.bias)
        yield "attn_kv_a_norm", Norm(rows=tokens, features=self.kv_rank)
        yield (
            "attn_rope",
            Rotary(tokens=tokens, heads=self.heads, kv_heads=1, rotary_dim=self.rope_dim),
        )
        core = self._absorbed if step.mla == "absorbed" else self._explicit
        yield from core(step)
        out = self._linear(tokens, self.heads * self.value_dim, self.hidden, bias=self.bias)
        yield from self.summed("attn_o", out, tokens * self.hidden)

    def _explicit(self, step: ForwardPass) -> Emitted:
        """Keys and values of every head, expanded from the latents now or when they were new."""
        keys, pairs = self._plain().attended(step)
        up = self.heads * (self.nope_dim + self.value_dim)
        again = step.mla == "expand"
        if again:
            yield "kv_append", self._append(step)
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
            yield "kv_append", self._append(step)
        shape: dict[str, Any] = {
            "batch": step.batch,
            "heads": self.heads,
            "kv_heads": self.heads,
            "new": step.new,
            "keys": keys,
            "pairs": pairs,
            "cached": not again,
            "past": self._plain().cached_past(step),
        }
        rotated = self.rope_dim if again else 0  # one rotated key for all heads, or one a head
        own = self.nope_dim + self.rope_dim - rotated
        yield "attn_qk", AttentionScores(**shape, head_dim=own, shared=rotated)
        yield "attn_softmax", Softmax(elements=step.batch * self.heads * pairs)
        yield "attn_av", AttentionValues(**shape, head_dim=self.value_dim)

    def _append(self, step: ForwardPass) -> KVAppend:
        if step.mla != "decompressed":
            return KVAppend(tokens=step.tokens, elements=self.kv_rank + self.rope_dim)
        width = self.nope_dim + self.rope_dim + self.value_dim
        return KVAppend(tokens=step.tokens, heads=self.heads, elements=width)

    def _absorbed(self, step: ForwardPass) -> Emitted:
        """Scores against the latents: one key of kv_rank + rope_dim elements for all heads."""
        keys, pairs = self._plain().attended(step)
        yield "kv_append", self._append(step)
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
            "past": self._plain().cached_past(step),
        }
        yield "attn_qk", AttentionScores(**shape, head_dim=self.kv_rank + self.rope_dim)
        yield "attn_softmax", Softmax(elements=step.batch * self.heads * pairs)
        yield "attn_av", AttentionValues(**shape, head_dim=self.kv_rank, in_keys=True)
        yield (
            "attn_kv_b",
            HeadLinear(**per_head, in_features=self.kv_rank, out_features=self.value_dim),
        )

    def _plain(self) -> Attention:
        """Ordinary attention of the same heads, for its count of keys and pairs."""
        return Attention(
            hidden=self.hidden, heads=self.heads, kv_heads=self.heads, head_dim=self.value_dim
        )

    @staticmethod
    def _linear(tokens: Expr, inputs: Size, outputs: Size, *, bias: bool = False) -> Linear:
        return Linear(tokens=tokens, in_features=inputs, out_features=outputs, bias=bias)
