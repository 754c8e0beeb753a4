"""Attention with one more idea: a difference of two, experts for heads, masks made of values."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from sympy import Expr, sympify

from lifesym.blocks.attention import Attention
from lifesym.blocks.base import Emitted, offset, share
from lifesym.nodes import Minimum
from lifesym.operators import (
    AttentionValues,
    ChooseKeys,
    Linear,
    Norm,
    Residual,
    RoutedLinear,
    Scale,
    TopK,
    ValueScores,
)
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class DifferentialAttention(Attention):
    r"""Every pair of heads gives the difference of two maps, over the values of both.

    $(\mathrm{softmax}(Q_1 K_1^T) - \lambda \, \mathrm{softmax}(Q_2 K_2^T)) [V_1, V_2]$, a norm
    without gains and a constant. As its class does, attention runs twice over all heads, once with
    each half of the values. The few operations that make $\lambda$ of four learned vectors are not
    counted. Source: Ye et al., arXiv 2410.05258, Eq. 1 to 3.
    """

    repeated: ClassVar[str] = ""

    @property
    def pairs(self) -> Expr:
        """Pairs of key and value heads, of which a device has whole ones."""
        return sympify(self.kv_heads) / 2

    def part(self, n: Expr) -> Self:
        """Whole pairs of heads.

        Raises:
            SymbolError: the pairs of key and value heads do not divide.
        """
        share(self, "pairs", n)
        return super().part(n)

    def _core(self, step: ForwardPass) -> Emitted:
        once, elements = list(super()._core(step)), step.tokens * self.heads * self.head_dim
        for name, operator in (*once, *once):
            if isinstance(operator, AttentionValues):
                yield name, replace(operator, kv_heads=self.pairs)
            else:
                yield name, operator
        yield "attn_lambda", Scale(elements=elements, gains=4 * self.head_dim)
        yield "attn_difference", Residual(elements=elements)
        rows = step.tokens * self.heads / 2
        yield "attn_pair_norm", Norm(rows=rows, features=2 * self.head_dim, affine=False)
        yield "attn_pair_scale", Scale(elements=elements)


@dataclass(frozen=True, kw_only=True)
class RoutedAttention(Attention):
    """Experts are the projections of queries and outputs; keys and values are everyone's.

    Each of a token's experts gives one query for every key head. Their outputs are summed, and one
    bias is added. Source: Shen et al., JetMoE, arXiv 2404.07413, section 3.2.

    Attributes:
        experts: pairs of projections.
        active: pairs chosen a token; there are ``active`` times ``kv_heads`` heads.
    """

    experts: Size
    active: Size

    split: ClassVar[tuple[str, ...]] = ("heads", "kv_heads")
    kept: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "attn_router attn_topk attn_o_bias"

    def _projected(self, step: ForwardPass) -> Emitted:
        tokens, width = step.tokens, self.kv_heads * self.head_dim
        linear = {"tokens": tokens, "in_features": self.hidden}
        yield "attn_router", Linear(**linear, out_features=self.experts, role="router")
        yield "attn_topk", TopK(tokens=tokens, experts=self.experts)
        yield "attn_q", self._routed(step, self.hidden, width, part="q")
        yield "attn_kv", Linear(**linear, out_features=2 * width)

    def _joined(self, step: ForwardPass) -> Emitted:
        tokens, hidden = step.tokens, self.hidden
        width = self.kv_heads * self.head_dim
        out = self._routed(step, width, hidden, part="o", summed=True)
        yield from self.summed("attn_o", out, tokens * hidden)
        yield "attn_o_bias", offset(tokens, hidden)

    def _routed(
        self, step: ForwardPass, inputs: Size, outputs: Size, *, part: str, summed: bool = False
    ) -> RoutedLinear:
        return RoutedLinear(
            tokens=step.tokens,
            experts=self.experts,
            active=self.active,
            in_features=inputs,
            out_features=outputs,
            part=part,
            summed=summed,
            routing=step.routing,
        )


@dataclass(frozen=True, kw_only=True)
class ValueMaskedAttention(Attention):
    """The scores of a key head's keys get what their values say, and only the best are left.

    What values say is computed anew for all of them in every pass. As in its class all pairs are
    computed and those that are not chosen masked; the choice is counted however few keys there are.
    Source: Shi et al., Trainable Dynamic Mask Sparse Attention, arXiv 2508.02124, section 3.

    Attributes:
        top: keys that are left for a query, at most.
    """

    top: Size

    split: ClassVar[tuple[str, ...]] = ("heads", "kv_heads")
    kept: ClassVar[tuple[str, ...]] = ()

    def _core(self, step: ForwardPass) -> Emitted:
        batch, keys, top = step.batch, step.past + step.new, sympify(self.top)
        inputs = self.kv_heads * self.head_dim
        scores = ValueScores(
            batch=batch,
            keys=keys,
            inputs=inputs,
            heads=self.kv_heads * self.devices,
            bias=self.qkv_bias,
        )
        yield from self.summed("attn_mask", scores, batch * keys * scores.heads)
        queries = batch * self.kv_heads * step.new
        chosen = queries * Minimum(keys, top)
        yield "attn_choice", ChooseKeys(scores=queries * keys, chosen=chosen)
        for name, operator in super()._core(step):
            yield name, operator
            if name == "attn_qk":
                _, pairs = self.attended(step)
                yield "attn_bias", Residual(elements=batch * self.heads * pairs)
