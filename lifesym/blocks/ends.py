"""The ends of a language model: embeddings before the layers, logits after them."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import sympify

from lifesym.blocks.base import Block, Emitted, NormSpec
from lifesym.operators import (
    Activation,
    Embedding,
    Linear,
    LMHead,
    Scale,
)
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


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
        tied: the LM head uses the same table.
    """

    vocab: Size
    width: Size
    hidden: Size
    positions: Size | None = None
    scaled: bool = False
    norm: NormSpec | None = None
    projected: bool = False
    tied: bool = False

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "embedding_scale other_proj positions embedding_norm"

    def operators(self, step: ForwardPass) -> Emitted:
        """Look-up, scale, projection, positions, norm."""
        tokens = step.tokens
        role = "tied_embedding" if self.tied else "embedding"
        table = Embedding(tokens=tokens, rows=self.vocab, features=self.width, role=role)
        yield from self.looked_up(table)
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
        scaled: logits are multiplied by a constant.
        projected: size projected to before the LM head.
        transform: activation function of a square layer before the LM head, after which the norm
            is applied again; None without one.
        transform_bias: bias of that layer.
        gains: the constants that multiply logits are learned, one for each.
    """

    hidden: Size
    vocab: Size
    tied: bool
    norm: NormSpec | None
    bias: bool = False
    softcap: bool = False
    scaled: bool = False
    projected: Size | None = None
    transform: str | None = None
    transform_bias: bool = False
    gains: bool = False

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = (
        "final_norm other_proj logits_act logits_norm logits_scale logits_softcap"
    )
    unshared: ClassVar[str] = "logits_norm logits_scale logits_softcap"

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
        if self.transform is not None:
            bias = self.transform_bias
            square = Linear(tokens=tokens, in_features=width, out_features=width, bias=bias)
            yield "other_proj", square
            yield "logits_act", Activation(elements=tokens * width, function=self.transform)
            if self.norm:
                yield "logits_norm", self.norm.over(tokens)
        yield from self.gathered(
            LMHead(tokens=tokens, hidden=width, vocab=self.vocab, tied=self.tied, bias=self.bias)
        )
        if self.scaled:
            gains = self.vocab if self.gains else 0
            yield "logits_scale", Scale(elements=tokens * self.vocab, gains=gains)
        if self.softcap:
            yield "logits_softcap", Scale(elements=tokens * self.vocab, softcap=True)


@dataclass(frozen=True, kw_only=True)
class LearnedRotary(Block):
    """Before the layers: the rotations' frequencies are multiplied by learned factors.

    Attributes:
        rope_dim: rotated elements of a head, two for each frequency.
    """

    rope_dim: Size

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "rotary_scale"
    unshared: ClassVar[str] = "rotary_scale"

    def operators(self, step: ForwardPass) -> Emitted:
        """One product a frequency, whatever the tokens."""
        pairs = self.rope_dim / sympify(2)
        yield "rotary_scale", Scale(elements=pairs, gains=pairs)
