"""The end of a model that is run for something else than text: a score, labels, or a vector."""

from dataclasses import dataclass
from typing import ClassVar

from lifesym.blocks.base import Block, Emitted, NormSpec
from lifesym.operators import Activation, Linear
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class TaskHead(Block):
    """What follows the layers in place of an LM head.

    Attributes:
        hidden: size of the residual stream.
        labels: outputs of the projection; None for the bare model, whose vectors are the answer.
        bias: of the projection.
        norm: norm before it, over every new token.
        projected: size projected to before it.
        dense: activation of a square layer before the projection; None without one.
        first: the square layer and the projection see one token of each sequence, not all.
    """

    hidden: Size
    labels: Size | None = None
    bias: bool = False
    norm: NormSpec | None = None
    projected: Size | None = None
    dense: str | None = None
    first: bool = False

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "final_norm other_proj pooler_act score"

    def operators(self, step: ForwardPass) -> Emitted:
        """Norm and projection of every token; the head, whatever logits are wanted."""
        width = self.hidden if self.projected is None else self.projected
        if self.norm:
            yield "final_norm", self.norm.over(step.tokens)
        if self.projected is not None:
            yield (
                "other_proj",
                Linear(tokens=step.tokens, in_features=self.hidden, out_features=width),
            )
        tokens = step.batch if self.first else step.tokens
        if self.dense is not None:
            square = Linear(tokens=tokens, in_features=width, out_features=width, bias=True)
            yield "other_proj", square
            yield "pooler_act", Activation(elements=tokens * width, function=self.dense)
        if self.labels is not None:
            yield (
                "score",
                Linear(tokens=tokens, in_features=width, out_features=self.labels, bias=self.bias),
            )
