"""What stands between layers that run several times with the same weights."""

from dataclasses import dataclass
from typing import ClassVar

from lifesym.blocks.base import Block, Emitted, NormSpec
from lifesym.operators import Embedding, Residual
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class Loop(Block):
    """Around each turn of a loop: a state is normalized and added to another one.

    Attributes:
        hidden: size of the residual stream.
        norm: the norm.
        summed_up: whether a sum follows.
    """

    hidden: Size
    norm: NormSpec
    summed_up: bool = True

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "loop_norm loop_residual"

    def operators(self, step: ForwardPass) -> Emitted:
        """Norm and sum."""
        yield "loop_norm", self.norm.over(step.tokens)
        if self.summed_up:
            yield "loop_residual", Residual(elements=step.tokens * self.hidden)


@dataclass(frozen=True, kw_only=True)
class LearnedState(Block):
    """The state that a loop starts with: one learned vector, copied for every token.

    Attributes:
        hidden: size of the residual stream.
    """

    hidden: Size

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "loop_start"

    def operators(self, step: ForwardPass) -> Emitted:
        """A table of one row."""
        wide = {"tokens": step.tokens, "rows": 1, "features": self.hidden}
        yield "loop_start", Embedding(**wide, whole=True, role="positions")
