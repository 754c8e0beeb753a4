"""The feed-forward block."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr

from lifesym.blocks.base import Block, Emitted
from lifesym.operators import (
    Activation,
    Linear,
    Norm,
    Scale,
)
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


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
        scaled: gate and output are multiplied by constants.
        inner_norm: what the activation gives is normalized.
        gains: gate and up are multiplied by learned vectors; the norm in between has none.
        prefix: how its operators' names begin.
    """

    hidden: Size
    intermediate: Size
    activation: str
    gated: bool = True
    fused: bool = False
    bias: bool = False
    scaled: bool = False
    inner_norm: bool = False
    gains: bool = False
    prefix: str = "mlp"

    split: ClassVar[tuple[str, ...]] = ("intermediate",)
    repeated: ClassVar[str] = "mlp_out_scale"

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
        if self.scaled:
            yield f"{self.prefix}_gate_scale", Scale(elements=tokens * self.intermediate)
        if self.gains:
            gains = Scale(elements=tokens * self.intermediate, gains=self.intermediate)
            if self.gated:
                yield f"{self.prefix}_gate_scale", gains
            yield f"{self.prefix}_up_scale", gains
        yield (
            f"{self.prefix}_act",
            Activation(
                elements=tokens * self.intermediate, function=self.activation, gated=self.gated
            ),
        )
        if self.inner_norm:
            norm = Norm(rows=tokens, features=self.intermediate, affine=not self.gains)
            yield from self.summed(f"{self.prefix}_inner_norm", norm, tokens)
        down = Linear(
            tokens=tokens,
            in_features=self.intermediate,
            out_features=self.hidden,
            bias=self.bias,
        )
        yield from self.summed(f"{self.prefix}_down", down, tokens * self.hidden)
        if self.scaled:
            yield f"{self.prefix}_out_scale", Scale(elements=tokens * self.hidden)
