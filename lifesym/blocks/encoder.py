"""The ends of encoders: embeddings or audio frames before the layers, pooler or head after."""

from dataclasses import dataclass
from typing import ClassVar

from lifesym.blocks.base import Block, Emitted, NormSpec
from lifesym.operators import Activation, Conv1d, Embedding, Linear, LMHead
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class EncoderEmbed(Block):
    """Token, position and type embeddings, their norm, and a projection where they are narrow.

    Attributes:
        vocab: rows of the token table.
        width: size of an embedding.
        hidden: size of the residual stream.
        positions: rows of the position table.
        types: rows of the token-type table; None without one.
        projected: a projection with a bias from ``width`` to ``hidden`` follows.
    """

    vocab: Size
    width: Size
    hidden: Size
    positions: Size
    types: Size | None = None
    projected: bool = False

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "positions token_types embedding_norm other_proj"

    def operators(self, step: ForwardPass) -> Emitted:
        """Look-ups, norm, projection."""
        tokens = step.tokens
        wide = {"tokens": tokens, "features": self.width}
        yield from self.looked_up(Embedding(**wide, rows=self.vocab))
        tables = {"positions": self.positions, "token_types": self.types}
        for name, rows in tables.items():
            if rows is not None:
                yield name, Embedding(**wide, rows=rows, added=True, role=name)
        yield "embedding_norm", NormSpec(features=self.width, kind="layer").over(tokens)
        if self.projected:
            yield (
                "other_proj",
                Linear(tokens=tokens, in_features=self.width, out_features=self.hidden, bias=True),
            )


@dataclass(frozen=True, kw_only=True)
class AudioEmbed(Block):
    """Two convolutions over frequency bins, the second of which halves the frames, and positions.

    Attributes:
        bins: frequency bins of a frame.
        hidden: size of the residual stream.
        positions: rows of the position table: the encoder's positions.
        kernel: frames of a window.
    """

    bins: Size
    hidden: Size
    positions: Size
    kernel: Size = 3

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "audio_conv audio_act positions"

    def operators(self, step: ForwardPass) -> Emitted:
        """Convolutions with GELU; the table is as long as the output."""
        frames = 2 * step.new
        shape = {"batch": step.batch, "kernel": self.kernel, "out_channels": self.hidden}
        for inputs, length, stride in ((self.bins, frames, 1), (self.hidden, frames, 2)):
            yield (
                "audio_conv",
                Conv1d(**shape, in_channels=inputs, length=length, stride=stride, bias=True),
            )
            outputs = step.batch * self.hidden * length / stride
            yield "audio_act", Activation(elements=outputs, function="gelu")
        yield (
            "positions",
            Embedding(
                tokens=step.tokens,
                rows=self.positions,
                features=self.hidden,
                added=True,
                role="encoder_positions",
            ),
        )


@dataclass(frozen=True, kw_only=True)
class EncoderHead(Block):
    """The masked-LM head for the tokens whose logits are wanted; without logits the pooler.

    ``logits="none"`` is the bare encoder, whose pooler projects the first token of each sequence.

    Attributes:
        hidden: size of the residual stream.
        width: size that the head's transform projects to.
        vocab: number of logits.
        activation: of the transform.
        tied: the decoder is the token embedding.
        spare_bias: an untied head stores a second bias that nothing reads.
        pooled: the bare encoder has a pooler.
    """

    hidden: Size
    width: Size
    vocab: Size
    activation: str
    tied: bool = True
    spare_bias: bool = False
    pooled: bool = True

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "other_proj pooler_act lm_head"

    def operators(self, step: ForwardPass) -> Emitted:
        """Transform, norm and logits; or the pooler."""
        if step.logits == "none":
            if self.pooled:
                yield "other_proj", self._dense(step.batch, self.hidden)
                yield (
                    "pooler_act",
                    Activation(elements=step.batch * self.hidden, function="tanh"),
                )
            return
        tokens = step.logit_tokens
        yield "lm_head", self._dense(tokens, self.width)
        yield "lm_head", Activation(elements=tokens * self.width, function=self.activation)
        yield "lm_head", NormSpec(features=self.width, kind="layer").over(tokens)
        yield from self.gathered(
            LMHead(
                tokens=tokens,
                hidden=self.width,
                vocab=self.vocab,
                tied=self.tied,
                bias=True,
                spare=self.vocab if self.spare_bias and not self.tied else 0,
            )
        )

    def _dense(self, tokens: Size, outputs: Size) -> Linear:
        return Linear(tokens=tokens, in_features=self.hidden, out_features=outputs, bias=True)
