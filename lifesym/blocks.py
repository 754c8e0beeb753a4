"""The blocks that decoder models are built of; each emits its operators for a forward pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sympy import Expr, S

from lifesym.nodes import Maximum, Minimum
from lifesym.operators import (
    Activation,
    Alibi,
    AttentionScores,
    AttentionValues,
    Embedding,
    KVAppend,
    Linear,
    LMHead,
    Norm,
    Operator,
    Residual,
    Rotary,
    Scale,
    Softmax,
)
from lifesym.symbols import Size
from lifesym.trace import MLA, ForwardPass

Emitted = Iterator[tuple[str, Operator]]


class Block:
    """A part of a model: it emits operators and says what it keeps between passes."""

    def operators(self, step: ForwardPass) -> Emitted:
        """The operators of one pass, in order, each with its name."""
        raise NotImplementedError

    def per_token(self, mla: MLA = "absorbed") -> Expr:
        """Elements that one more token of a sequence adds to the cache, below any window."""
        return S.Zero

    def cached(self, tokens: Expr, mla: MLA = "absorbed") -> Expr:
        """Elements of the cache of one sequence of so many tokens."""
        return tokens * self.per_token(mla)


@dataclass(frozen=True, kw_only=True)
class NormSpec:
    """A normalization over the hidden size (or another, with ``features``)."""

    features: Size
    kind: Literal["rms", "layer"] = "rms"
    affine: bool = True
    bias: bool = True

    def over(self, rows: Expr) -> Norm:
        """The operator over so many vectors."""
        return Norm(
            rows=rows, features=self.features, kind=self.kind, affine=self.affine, bias=self.bias
        )


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
        out_bias: bias on the output projection.
        rotary_dim: rotated elements of a head; 0 for models without rotary positions.
        qk_norm: RMSNorm of queries and keys, over each head or over all heads together.
        alibi: linear position biases on the scores.
        softcap: soft cap on the scores.
        window: sliding window: a token sees itself and the window - 1 tokens before it.
        bidirectional: no causal mask (encoders).
    """

    hidden: Size
    heads: Size
    kv_heads: Size
    head_dim: Size
    output: Size | None = None
    fused: bool = False
    qkv_bias: bool = False
    out_bias: bool = False
    rotary_dim: Size = 0
    qk_norm: Literal["none", "head", "all"] = "none"
    alibi: bool = False
    softcap: bool = False
    window: Size | None = None
    bidirectional: bool = False

    def attended(self, step: ForwardPass) -> tuple[Expr, Expr]:
        """Keys that the pass reads, and (query, key) pairs of one head."""
        new, past = step.new, step.past
        keys = new + (past if self.window is None else Minimum(past, self.window - 1))
        if step.causal == "full" or self.bidirectional:
            return keys, new * keys
        if self.window is None:
            return keys, new * past + new * (new + 1) / 2
        rising = Minimum(new, Maximum(S.Zero, self.window - past))
        pairs = rising * past + rising * (rising + 1) / 2 + (new - rising) * self.window
        return keys, pairs

    def operators(self, step: ForwardPass) -> Emitted:
        """Projections, positions, cache, core and output projection."""
        tokens, width = step.tokens, self.heads * self.head_dim
        kv_width = self.kv_heads * self.head_dim
        projections = (("attn_q", width), ("attn_k", kv_width), ("attn_v", kv_width))
        if self.fused:
            projections = (("attn_qkv_fused", width + 2 * kv_width),)  # type: ignore[assignment]
        for name, out in projections:
            yield (
                name,
                Linear(
                    tokens=tokens, in_features=self.hidden, out_features=out, bias=self.qkv_bias
                ),
            )
        if self.qk_norm == "head":
            yield "attn_q_norm", Norm(rows=tokens * self.heads, features=self.head_dim)
            yield "attn_k_norm", Norm(rows=tokens * self.kv_heads, features=self.head_dim)
        elif self.qk_norm == "all":
            yield "attn_q_norm", Norm(rows=tokens, features=width)
            yield "attn_k_norm", Norm(rows=tokens, features=kv_width)
        if self.rotary_dim != 0:
            rotated = self.heads + self.kv_heads
            yield "attn_rope", Rotary(tokens=tokens, heads=rotated, rotary_dim=self.rotary_dim)
        yield "kv_append", KVAppend(tokens=tokens, elements=2 * kv_width)
        yield from self._core(step)
        out_features = self.hidden if self.output is None else self.output
        yield (
            "attn_o",
            Linear(tokens=tokens, in_features=width, out_features=out_features, bias=self.out_bias),
        )

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
        }
        yield "attn_qk", AttentionScores(**shape)
        if self.softcap:
            yield "attn_softcap", Scale(elements=scores, softcap=True)
        if self.alibi:
            yield "attn_alibi", Alibi(elements=scores)
        yield "attn_softmax", Softmax(elements=scores)
        yield "attn_av", AttentionValues(**shape)

    def per_token(self, mla: MLA = "absorbed") -> Expr:
        """A key and a value of every key-value head."""
        return 2 * self.kv_heads * self.head_dim

    def cached(self, tokens: Expr, mla: MLA = "absorbed") -> Expr:
        """Keys and values of every token, or of the last window - 1 tokens."""
        held = tokens if self.window is None else Minimum(tokens, self.window - 1)
        return held * self.per_token(mla)


@dataclass(frozen=True, kw_only=True)
class MLP(Block):
    """A feed-forward block: up (and gate), activation, down.

    Attributes:
        hidden: size of input and output.
        intermediate: size in between.
        activation: a name of `lifesym.operators.activation.ACTIVATION_OPS`.
        gated: a gate projection whose activation multiplies the up projection.
        fused: gate and up in one projection.
        bias: biases on every projection.
        prefix: how its operators' names begin.
    """

    hidden: Size
    intermediate: Size
    activation: str
    gated: bool = True
    fused: bool = False
    bias: bool = False
    prefix: str = "mlp"

    def operators(self, step: ForwardPass) -> Emitted:
        """The projections and the activation."""
        return self.over(step.tokens)

    def over(self, tokens: Expr) -> Emitted:
        """The same for any number of tokens."""
        wide = {"tokens": tokens, "in_features": self.hidden, "bias": self.bias}
        if self.gated and self.fused:
            fused = Linear(**wide, out_features=2 * self.intermediate)
            yield f"{self.prefix}_gate_up_fused", fused
        else:
            if self.gated:
                yield f"{self.prefix}_gate", Linear(**wide, out_features=self.intermediate)
            yield f"{self.prefix}_up", Linear(**wide, out_features=self.intermediate)
        yield (
            f"{self.prefix}_act",
            Activation(
                elements=tokens * self.intermediate, function=self.activation, gated=self.gated
            ),
        )
        yield (
            f"{self.prefix}_down",
            Linear(
                tokens=tokens,
                in_features=self.intermediate,
                out_features=self.hidden,
                bias=self.bias,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class DecoderLayer(Block):
    """A mixer (attention) and a feed-forward block with norms and residuals around them.

    Attributes:
        hidden: size of the residual stream.
        mixer: the attention or other token mixer.
        mlp: the feed-forward block; None for layers that have none.
        mixer_norm: norm of the mixer's input (or, in post-norm models, of the sum after it).
        mlp_norm: the same of the feed-forward block; None in parallel layers that share one.
        mixer_post_norm: a second norm, of the mixer's output.
        mlp_post_norm: a second norm, of the feed-forward block's output.
        parallel: mixer and feed-forward block read the same input and are added together.
    """

    hidden: Size
    mixer: Block
    mlp: Block | None
    mixer_norm: NormSpec | None
    mlp_norm: NormSpec | None = None
    mixer_post_norm: NormSpec | None = None
    mlp_post_norm: NormSpec | None = None
    parallel: bool = False

    def operators(self, step: ForwardPass) -> Emitted:
        """Norm, mixer, residual, norm, feed-forward block, residual."""
        tokens = step.tokens
        elements = tokens * self.hidden
        if self.mixer_norm:
            yield "attn_norm", self.mixer_norm.over(tokens)
        yield from self.mixer.operators(step)
        if self.mixer_post_norm:
            yield "attn_post_norm", self.mixer_post_norm.over(tokens)
        if not self.parallel:
            yield "attn_residual", Residual(elements=elements)
        if self.mlp_norm:
            yield "mlp_norm", self.mlp_norm.over(tokens)
        if self.mlp:
            yield from self.mlp.operators(step)
            if self.mlp_post_norm:
                yield "mlp_post_norm", self.mlp_post_norm.over(tokens)
            inputs = 3 if self.parallel else 2
            yield "mlp_residual", Residual(elements=elements, inputs=inputs)

    def per_token(self, mla: MLA = "absorbed") -> Expr:
        """What its mixer adds."""
        return self.mixer.per_token(mla)

    def cached(self, tokens: Expr, mla: MLA = "absorbed") -> Expr:
        """What its mixer keeps."""
        return self.mixer.cached(tokens, mla)


@dataclass(frozen=True, kw_only=True)
class Embed(Block):
    """Token embedding, and what follows it before the first layer.

    Attributes:
        vocab: rows of the token table.
        width: size of an embedding.
        hidden: size of the residual stream; a projection follows where it differs.
        positions: rows of a learned position table, as wide as the residual stream.
        scaled: embeddings are multiplied by a constant.
        norm: norm of the embeddings.
        projected: a projection from ``width`` to ``hidden`` follows.
    """

    vocab: Size
    width: Size
    hidden: Size
    positions: Size | None = None
    scaled: bool = False
    norm: NormSpec | None = None
    projected: bool = False

    def operators(self, step: ForwardPass) -> Emitted:
        """Look-up, scale, projection, positions, norm."""
        tokens = step.tokens
        yield "embedding", Embedding(tokens=tokens, rows=self.vocab, features=self.width)
        if self.scaled:
            yield "embedding_scale", Scale(elements=tokens * self.width)
        if self.projected:
            yield (
                "other_proj",
                Linear(tokens=tokens, in_features=self.width, out_features=self.hidden),
            )
        if self.positions is not None:
            yield (
                "positions",
                Embedding(
                    tokens=tokens,
                    rows=self.positions,
                    features=self.hidden,
                    added=True,
                    role="positions",
                ),
            )
        if self.norm:
            yield "embedding_norm", self.norm.over(tokens)


@dataclass(frozen=True, kw_only=True)
class Head(Block):
    """Final norm, LM head, soft cap of the logits.

    Attributes:
        hidden: size of the residual stream.
        vocab: number of logits.
        tied: the LM head is the token embedding.
        norm: norm before the LM head, over every new token.
        bias: bias of the LM head.
        softcap: soft cap on the logits.
        projected: size projected to before the LM head.
    """

    hidden: Size
    vocab: Size
    tied: bool
    norm: NormSpec | None
    bias: bool = False
    softcap: bool = False
    projected: Size | None = None

    def operators(self, step: ForwardPass) -> Emitted:
        """The norm always; the rest for the tokens whose logits are wanted."""
        tokens = step.logit_tokens
        width = self.hidden if self.projected is None else self.projected
        if self.norm:
            yield "final_norm", self.norm.over(step.tokens)
        if self.projected is not None:
            yield (
                "other_proj",
                Linear(tokens=step.tokens, in_features=self.hidden, out_features=width),
            )
        if step.logits == "none":
            return
        yield (
            "lm_head",
            LMHead(tokens=tokens, hidden=width, vocab=self.vocab, tied=self.tied, bias=self.bias),
        )
        if self.softcap:
            yield "logits_softcap", Scale(elements=tokens * self.vocab, softcap=True)
