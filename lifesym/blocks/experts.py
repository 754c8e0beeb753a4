"""The mixture-of-experts block: router, chosen experts, shared experts."""

from dataclasses import dataclass, replace
from typing import ClassVar

from sympy import Expr, sympify

from lifesym.blocks.base import Block, Emitted, NormSpec, offset
from lifesym.blocks.mlp import MLP
from lifesym.operators import (
    Activation,
    Collective,
    Embedding,
    Experts,
    Linear,
    Residual,
    Scale,
    TopK,
)
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class MoE(Block):
    """Exactly ``active`` of ``experts`` MLPs a token, and shared ones for every token.

    Attributes:
        hidden: size of input and output.
        experts: routed experts.
        active: experts chosen a token.
        intermediate: size of one expert.
        activation: activation function of the experts.
        gated: experts have a gate projection.
        bias: experts' projections have biases.
        router_bias: the router has a bias.
        sigmoid: scores are sigmoids instead of a softmax.
        root: scores are square roots of a softplus.
        hashed: the token decides by a table which experts are chosen; scores still weigh them.
            The table is not counted.
        shared: intermediate size of the shared experts together; None without them.
        shared_bias: shared experts' projections have biases.
        shared_gate: a learned sigmoid gate a token on the shared experts' output.
        zero: further experts that give back what they read: a token chooses among both, and of
            its ``active`` ones those that compute are counted by their share of all experts, which
            is what it chooses on average where all are equally likely.
        latent: size of the projection that routed experts see; None where they see the input.
        sum_bias: a bias is added to the sum of the routed experts.
    """

    hidden: Size
    experts: Size
    active: Size
    intermediate: Size
    activation: str
    gated: bool = True
    bias: bool = False
    router_bias: bool = False
    sigmoid: bool = False
    root: bool = False
    hashed: bool = False
    shared: Size | None = None
    shared_bias: bool = False
    shared_gate: bool = False
    zero: Size | None = None
    latent: Size | None = None
    sum_bias: bool = False

    split: ClassVar[tuple[str, ...]] = ("intermediate", "shared")
    repeated: ClassVar[str] = (
        "moe_router moe_topk moe_zero moe_latent_in moe_latent_out moe_bias moe_shared"
    )
    unshared: ClassVar[str] = "moe_zero moe_shared"

    def operators(self, step: ForwardPass) -> Emitted:
        """Router, choice, routed experts, then the shared experts and their sum."""
        tokens: Expr = step.tokens
        every, active = sympify(self.experts), sympify(self.active)
        if self.zero is not None:
            every += self.zero
            active *= self.experts / every
        yield (
            "moe_router",
            Linear(
                tokens=tokens,
                in_features=self.hidden,
                out_features=every,
                bias=self.router_bias,
                role="router",
            ),
        )
        chosen = {"sigmoid": self.sigmoid, "root": self.root, "hashed": self.hashed}
        yield "moe_topk", TopK(tokens=tokens, experts=every, **chosen)
        width = self.hidden if self.latent is None else self.latent
        if self.latent is not None:
            yield "moe_latent_in", self._projection(tokens, self.hidden, width)
        experts = Experts(
            tokens=tokens,
            experts=self.experts,
            active=active,
            hidden=width,
            intermediate=self.intermediate,
            activation=self.activation,
            gated=self.gated,
            bias=self.bias,
            routing=step.routing,
        )
        yield from self.summed("moe_experts", experts, tokens * width)
        if self.zero is not None:  # what it read, times the sum of the weights
            yield "moe_zero", Scale(elements=tokens * width)
            yield "moe_zero", Residual(elements=tokens * width)
        if self.latent is not None:
            yield "moe_latent_out", self._projection(tokens, width, self.hidden)
        if self.sum_bias:
            yield "moe_bias", offset(tokens, self.hidden)
        if self.shared is None:
            return
        shared = MLP(
            hidden=self.hidden,
            intermediate=self.shared,
            activation=self.activation,
            gated=self.gated,
            bias=self.shared_bias,
            devices=self.devices,
        )
        for name, operator in shared.over(tokens):
            if isinstance(operator, Linear):
                operator = replace(operator, part=name.removeprefix("mlp_"))  # noqa: PLW2901
            summed = isinstance(operator, Collective)
            yield "moe_shared_all_reduce" if summed else "moe_shared", operator
        if self.shared_gate:
            yield "moe_shared", Linear(tokens=tokens, in_features=self.hidden, out_features=1)
            yield "moe_shared", Activation(elements=tokens, function="sigmoid")
        yield "moe_shared", Residual(elements=tokens * self.hidden)

    @staticmethod
    def _projection(tokens: Expr, inputs: Size, outputs: Size) -> Linear:
        return Linear(tokens=tokens, in_features=inputs, out_features=outputs)


@dataclass(frozen=True, kw_only=True)
class DenseAndExperts(Block):
    """An MLP and experts side by side, each with norms of its own (Gemma 4).

    The experts read the residual stream itself. Their router normalizes it again, and a learned
    number an expert multiplies its weight in the sum.

    Attributes:
        mlp: the MLP.
        moe: the experts.
        normed: there are such norms and numbers; or else both read the same (LongCat).
    """

    mlp: MLP
    moe: MoE
    normed: bool = True

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = (
        "mlp_out_norm moe_router_norm moe_router_scale moe_norm moe_out_norm moe_sum"
    )

    def operators(self, step: ForwardPass) -> Emitted:
        """MLP, norm; router's norm, experts between two norms; the sum."""
        tokens, moe = step.tokens, self.moe
        norm = NormSpec(features=moe.hidden).over(tokens)
        yield from self.mlp.operators(step)
        if not self.normed:
            yield from moe.operators(step)
            yield "moe_sum", Residual(elements=tokens * moe.hidden)
            return
        yield "mlp_out_norm", norm
        yield "moe_router_norm", norm
        for name, operator in moe.operators(step):
            if name == "moe_experts":
                scale = Embedding(
                    tokens=tokens * moe.active,
                    rows=moe.experts,
                    features=1,
                    added=True,
                    role="router_scale",
                )
                yield "moe_router_scale", scale
                yield "moe_norm", norm
            yield name, operator
        yield "moe_out_norm", norm
        yield "moe_sum", Residual(elements=tokens * moe.hidden)
