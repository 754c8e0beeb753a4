"""What Zamba2 has beside its Mamba layers: shared transformer blocks, and each layer's own link."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr

from lifesym.blocks.attention import Attention
from lifesym.blocks.base import Block, Emitted, NormSpec, share
from lifesym.blocks.mlp import MLP
from lifesym.operators import Linear, Residual
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class SharedTransformer(Block):
    """Attention over the hidden state and the embedding side by side, then an MLP; no residuals.

    Attributes:
        attention: its input is as wide as both.
        mlp: the feed-forward block.
        norm: norm of the attention's input.
        mlp_norm: norm of the MLP's input.
    """

    attention: Attention
    mlp: MLP
    norm: NormSpec
    mlp_norm: NormSpec

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "attn_norm mlp_norm"

    def operators(self, step: ForwardPass) -> Emitted:
        """Norm, attention, norm, MLP."""
        yield "attn_norm", self.norm.over(step.tokens)
        yield from self.attention.operators(step)
        yield "mlp_norm", self.mlp_norm.over(step.tokens)
        yield from self.mlp.operators(step)


@dataclass(frozen=True, kw_only=True)
class Link(Block):
    """What each use of a shared block owns: adapters on its projections, and a projection after it.

    Attributes:
        hidden: size of the residual stream.
        intermediate: size of the shared MLP.
        rank: rank of the adapters.
        attention: also adapters on queries, keys and values, as wide as the attention's input.
    """

    hidden: Size
    intermediate: Size
    rank: Size
    attention: bool = False

    split: ClassVar[tuple[str, ...]] = ("intermediate",)
    repeated: ClassVar[str] = (
        "attn_q_adapter attn_k_adapter attn_v_adapter mlp_gate_up_adapter "
        "shared_out shared_residual"
    )

    def operators(self, step: ForwardPass) -> Emitted:
        """Adapters, each added to its projection, then the output and its sum."""
        tokens = step.tokens
        if self.attention:
            wide, mine = 2 * self.hidden, 2 * share(self, "hidden", self.devices)
            for part in ("q", "k", "v"):
                yield from self._adapter(f"attn_{part}_adapter", tokens, wide, mine)
        gate_up = 2 * self.intermediate
        yield from self._adapter("mlp_gate_up_adapter", tokens, self.hidden, gate_up)
        link = Linear(tokens=tokens, in_features=self.hidden, out_features=self.hidden)
        yield "shared_out", link
        yield "shared_residual", Residual(elements=tokens * self.hidden)

    def _adapter(self, name: str, tokens: Expr, inputs: Size, outputs: Size) -> Emitted:
        yield name, Linear(tokens=tokens, in_features=inputs, out_features=self.rank)
        yield name, Linear(tokens=tokens, in_features=self.rank, out_features=outputs)
        yield name, Residual(elements=tokens * outputs)
