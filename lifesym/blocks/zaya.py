"""ZAYA's own parts: convolved projections of attention, a router that reads the one before."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import sympify

from lifesym.blocks.attention import Attention
from lifesym.blocks.base import Block, Emitted, NormSpec
from lifesym.blocks.experts import MoE
from lifesym.nodes import Minimum
from lifesym.operators import (
    Activation,
    Delay,
    HeadConv,
    Linear,
    Merge,
    Residual,
    Scale,
    TopK,
)
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class ConvolvedAttention(Attention):
    """Attention whose queries and keys are convolved, and half of whose values come a token late.

    Means of queries and their keys are added to what the convolutions give; a learned number a
    head multiplies the keys. How devices would share it is not known.

    Attributes:
        kernel: taps of the convolution of each channel.
        head_kernel: taps of that of each head's channels.
    """

    kernel: Size
    head_kernel: Size

    split: ClassVar[tuple[str, ...] | None] = None

    def operators(self, step: ForwardPass) -> Emitted:
        """Those of attention, with what stands between projections and norms."""
        for name, operator in super().operators(step):
            if name == "attn_v":
                yield from self._mixed(step)
                continue
            yield name, operator
            if name == "attn_k_norm":
                keys = step.tokens * self.kv_heads * self.head_dim
                yield "attn_k_scale", Scale(elements=keys, gains=self.kv_heads)

    def _mixed(self, step: ForwardPass) -> Emitted:
        """Both halves of the values, convolutions and means.

        Where there is no past, the late half of a vector of zeros is projected, too.
        """
        tokens, keys = step.tokens, sympify(self.kv_heads) * self.head_dim
        queries, shape = sympify(self.heads) * self.head_dim, {"batch": step.batch, "new": step.new}
        late = tokens + step.batch * (1 - Minimum(step.past, 1))
        for count in (tokens, late):
            wide = {"tokens": count, "in_features": self.hidden, "bias": self.qkv_bias}
            yield "attn_v", Linear(**wide, out_features=keys / 2)
        yield "attn_mean", Residual(elements=tokens * queries)
        yield "attn_mean", Scale(elements=tokens * queries)
        groups = sympify(self.heads) / self.kv_heads
        yield "attn_mean", Residual(elements=tokens * keys, inputs=groups)
        yield (
            "attn_conv",
            HeadConv(
                **shape,
                channels=queries + keys,
                head_dim=self.head_dim,
                kernel=self.kernel,
                head_kernel=self.head_kernel,
            ),
        )
        yield "attn_conv", Residual(elements=tokens * (queries + keys))
        yield "attn_delay", Delay(**shape, features=keys / 2)


@dataclass(frozen=True, kw_only=True)
class HandedRouter(Block):
    """Experts whose router is a small network that reads the state of the layer before's, too.

    One choice more than there are experts stands for none of them. Tokens that choose it are
    computed by an expert all the same, with a weight of 0, as transformers does.

    Attributes:
        moe: the experts.
        width: size of the router's state.
        norm: norm of the state.
        first: no layer came before.
    """

    moe: MoE
    width: Size
    norm: NormSpec
    first: bool = False

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "moe_router moe_router_sum moe_router_norm moe_router_act moe_topk"

    def operators(self, step: ForwardPass) -> Emitted:
        """Router's state, its sum with the one before, two layers; the experts."""
        for name, operator in self.moe.operators(step):
            if name == "moe_router":
                yield from self._router(step)
            elif name == "moe_topk":
                yield name, TopK(tokens=step.tokens, experts=self.moe.experts + 1)
            else:
                yield name, operator

    def _router(self, step: ForwardPass) -> Emitted:
        tokens, state = step.tokens, step.tokens * self.width
        wide = {"tokens": tokens, "role": "router"}
        narrow = {**wide, "in_features": self.width}
        into = Linear(**wide, in_features=self.moe.hidden, out_features=self.width, bias=True)
        yield "moe_router", into
        if not self.first:
            yield "moe_router_sum", Scale(elements=state, gains=self.width)
            yield "moe_router_sum", Residual(elements=state)
        yield "moe_router_norm", self.norm.over(tokens)
        for _ in range(2):
            yield "moe_router", Linear(**narrow, out_features=self.width, bias=True)
            yield "moe_router_act", Activation(elements=state, function="gelu")
        yield "moe_router", Linear(**narrow, out_features=self.moe.experts + 1)


@dataclass(frozen=True, kw_only=True)
class ScaledInput(Block):
    """A learned offset and factor for each element of the embeddings.

    Attributes:
        hidden: size of the residual stream.
    """

    hidden: Size

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "input_scale"

    def operators(self, step: ForwardPass) -> Emitted:
        """One operator."""
        elements = step.tokens * self.hidden
        yield "input_scale", Merge(elements=elements, features=self.hidden, inputs=1)
