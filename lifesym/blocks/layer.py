"""A layer: a token mixer and a feed-forward block, norms and residuals around them."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr

from lifesym.blocks.base import Block, Emitted, NormSpec
from lifesym.operators import Merge, Residual, Scale
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class DecoderLayer(Block):
    """A mixer (attention) and a feed-forward block with norms and residuals around them.

    Attributes:
        hidden: size of the residual stream.
        mixer: the attention or other token mixer; None for layers that have none.
        mlp: the feed-forward block; None for layers that have none.
        mixer_norm: norm of the mixer's input (or, in post-norm models, of the sum after it).
        mlp_norm: the same of the feed-forward block; None in parallel layers that share one.
        mixer_post_norm: a second norm, of the mixer's output.
        mlp_post_norm: a second norm, of the feed-forward block's output.
        cross: attention to an encoder's output, after the mixer; None in most models.
        parallel: mixer and feed-forward block read the same input and are added together.
        scaled: both outputs are multiplied by a constant before they are added.
        gains: these constants are learned, so many: one an element of the residual stream, or 1.
        blended: what is multiplied and added is the output's difference from the normalized input.
        merged: output and residual stream each get a learned offset and factor before their sum.
        output_scaled: the layer's output is multiplied by a constant.
        carried: what is added to each output is multiplied by learned constants, so many.
        stream_scaled: the residual stream is, before each part is added to it.
    """

    hidden: Size
    mixer: Block | None
    mlp: Block | None
    mixer_norm: NormSpec | None
    mlp_norm: NormSpec | None = None
    mixer_post_norm: NormSpec | None = None
    mlp_post_norm: NormSpec | None = None
    cross: Block | None = None
    parallel: bool = False
    scaled: bool = False
    gains: Size = 0
    blended: bool = False
    merged: bool = False
    output_scaled: bool = False
    carried: Size = 0
    stream_scaled: bool = False

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = (
        "attn_norm attn_post_norm attn_scale attn_carry attn_residual cross_norm cross_residual "
        "mlp_norm mlp_post_norm mlp_scale mlp_carry mlp_residual layer_scale "
        "attn_change_residual mlp_change_residual stream_scale "
        "attn_norm_down attn_norm_act attn_norm_up attn_norm_gate "
        "mlp_norm_down mlp_norm_act mlp_norm_up mlp_norm_gate"
    )

    def operators(self, step: ForwardPass) -> Emitted:
        """Norm, mixer, residual, norm, feed-forward block, residual."""
        tokens = step.tokens
        elements = tokens * self.hidden
        if self.mixer_norm:
            yield from self.mixer_norm.gated("attn_norm", tokens)
        if self.mixer:
            yield from self.mixer.operators(step)
            yield from self._added("attn", tokens, self.mixer_post_norm)
        if self.cross:
            if self.mixer_norm:
                yield "cross_norm", self.mixer_norm.over(tokens)
            yield from self.cross.operators(step)
            yield "cross_residual", Residual(elements=elements)
        if self.mlp_norm:
            yield from self.mlp_norm.gated("mlp_norm", tokens)
        if self.mlp:
            yield from self.mlp.operators(step)
            yield from self._added("mlp", tokens, self.mlp_post_norm)
        if self.output_scaled:
            yield "layer_scale", Scale(elements=elements)

    def _added(self, part: str, tokens: Expr, norm: NormSpec | None) -> Emitted:
        """What is done to a part's output until it is in the residual stream."""
        elements = tokens * self.hidden
        if norm:
            yield f"{part}_post_norm", norm.over(tokens)
        if self.blended:
            yield f"{part}_change_residual", Residual(elements=elements)
        if self.scaled:
            yield f"{part}_scale", Scale(elements=elements, gains=self.gains)
        if self.carried != 0:
            yield f"{part}_carry", Scale(elements=elements, gains=self.carried)
        if self.stream_scaled:
            yield "stream_scale", Scale(elements=elements)
        if self.merged:
            yield f"{part}_residual", Merge(elements=elements, features=self.hidden)
        elif part == "mlp" or not self.parallel:
            inputs = 3 if self.parallel else 2
            yield f"{part}_residual", Residual(elements=elements, inputs=inputs)
