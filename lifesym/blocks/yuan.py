"""Yuan 2's own parts: attention of filtered inputs, a router whose scores attend to each other."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import sympify

from lifesym.blocks.attention import Attention
from lifesym.blocks.base import Block, Emitted
from lifesym.blocks.experts import MoE
from lifesym.nodes import Minimum
from lifesym.operators import Linear, LocalFilter, Norm, Residual, RouterAttention
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class FilteredAttention(Attention):
    """Attention whose queries and keys are of the filtered input; values are of the input itself.

    Two convolutions over two tokens each, through half of the hidden size, are added to the input,
    and the sum is normalized. Every device filters the whole input. Source: Wu et al., localized
    filtering-based attention, arXiv 2311.15786.
    """

    repeated: ClassVar[str] = "attn_filter attn_filter_residual attn_filter_norm"
    unshared: ClassVar[str] = "attn_filter_residual attn_filter_norm"

    def _projected(self, step: ForwardPass) -> Emitted:
        """The filter, its sum with the input, their norm; then the projections."""
        tokens = step.tokens
        filters = LocalFilter(
            batch=step.batch,
            new=step.new,
            channels=self.hidden,
            inner=sympify(self.hidden) / 2,
            started=Minimum(step.past, 1),
        )
        yield "attn_filter", filters
        yield "attn_filter_residual", Residual(elements=tokens * self.hidden)
        yield "attn_filter_norm", Norm(rows=tokens, features=self.hidden)
        yield from super()._projected(step)


@dataclass(frozen=True, kw_only=True)
class AttendedRouter(Block):
    """Experts whose scores attend to each other before the choice (Yuan 2 M32).

    Source: Wu et al., arXiv 2405.17976.

    Attributes:
        moe: the experts.
    """

    moe: MoE

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "moe_router moe_router_attention"

    def operators(self, step: ForwardPass) -> Emitted:
        """Queries, keys and values of the scores, their attention; then as other experts."""
        shape = {"tokens": step.tokens, "experts": self.moe.experts}
        wide = 3 * sympify(self.moe.experts)
        for name, operator in self.moe.operators(step):
            if name != "moe_router":
                yield name, operator
                continue
            into = {"tokens": step.tokens, "in_features": self.moe.hidden}
            yield name, Linear(**into, out_features=wide, role="router")
            yield "moe_router_attention", RouterAttention(**shape)
