"""What heads that draft for a target have: they start from its hidden states."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr

from lifesym.blocks.attention import Attention
from lifesym.blocks.base import Block, Emitted, NormSpec
from lifesym.blocks.layer import DecoderLayer
from lifesym.nodes import Minimum
from lifesym.operators import Activation, ChooseKeys, Linear, LMHead, Residual, RoutedLinear
from lifesym.operators.attention import CachedPast
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class JoinedStates(Block):
    """One projection of several vectors of a token, side by side, to the residual stream.

    Attributes:
        inputs: their size together.
        hidden: size of the residual stream.
        bias: of the projection.
    """

    inputs: Size
    hidden: Size
    bias: bool = False

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "draft_proj"

    def operators(self, step: ForwardPass) -> Emitted:
        """The projection of every new token."""
        yield (
            "draft_proj",
            Linear(
                tokens=step.tokens,
                in_features=self.inputs,
                out_features=self.hidden,
                bias=self.bias,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class DraftLayer(Block):
    """A layer whose attention reads embedding and state side by side, each with its own norm.

    Attributes:
        layer: the layer, whose attention has an input as wide as both; its norm is the embedding's.
        norm: norm of the state.
    """

    layer: DecoderLayer
    norm: NormSpec

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "attn_norm"

    def operators(self, step: ForwardPass) -> Emitted:
        """The second norm, then the layer."""
        yield "attn_norm", self.norm.over(step.tokens)
        yield from self.layer.operators(step)


@dataclass(frozen=True, kw_only=True)
class ParallelHead(Block):
    """One of several heads that each draft a token further: residual layers, then logits.

    Attributes:
        hidden: size of the target's states.
        vocab: tokens that it can draft.
        layers: residual layers of one projection.
        bias: of those projections.
        shared: its logits are by the target's LM head, which it has no copy of.
    """

    hidden: Size
    vocab: Size
    layers: int
    bias: bool = False
    shared: bool = False

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "draft_proj draft_act draft_residual"

    def operators(self, step: ForwardPass) -> Emitted:
        """For the tokens whose logits are wanted."""
        tokens = step.logit_tokens
        if step.logits == "none":
            return
        elements = tokens * self.hidden
        for _ in range(self.layers):
            yield (
                "draft_proj",
                Linear(
                    tokens=tokens,
                    in_features=self.hidden,
                    out_features=self.hidden,
                    bias=self.bias,
                ),
            )
            yield "draft_act", Activation(elements=elements, function="silu")
            yield "draft_residual", Residual(elements=elements)
        yield from self.gathered(
            LMHead(tokens=tokens, hidden=self.hidden, vocab=self.vocab, tied=self.shared)
        )


@dataclass(frozen=True, kw_only=True)
class BorrowedAttention(Attention):
    """Queries alone, which read the keys and values that another model has cached.

    New tokens have none themselves, so that each sees all that is cached, or its last window.
    """

    reuses: bool = True

    def attended(self, step: ForwardPass) -> tuple[Expr, Expr]:
        """What is cached, and a pair with each of it for every new token."""
        window = self._window(step)
        keys = step.past if window is None else Minimum(step.past, window)
        return keys, step.new * keys

    def cached_past(self, step: ForwardPass) -> CachedPast:
        """All that it reads."""
        return CachedPast(tokens=self.attended(step)[0])


@dataclass(frozen=True, kw_only=True)
class ClusteredHead(Block):
    """Logits of the tokens in the clusters that score best, and of no others.

    Every device has the whole of it.

    Attributes:
        hidden: size of the residual stream.
        vocab: tokens, in clusters of one size.
        clusters: their number.
        top: clusters whose tokens get logits.
        norm: norm of every new token before it.
    """

    hidden: Size
    vocab: Size
    clusters: Size
    top: Size
    norm: NormSpec

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "final_norm cluster_scores cluster_choice cluster_logits"

    def operators(self, step: ForwardPass) -> Emitted:
        """Norm; scores of clusters, the best of them, products with their tokens."""
        tokens, size = step.logit_tokens, self.vocab / self.clusters
        yield "final_norm", self.norm.over(step.tokens)
        if step.logits == "none":
            return
        scores = Linear(tokens=tokens, in_features=self.hidden, out_features=self.clusters)
        yield "cluster_scores", scores
        chosen = ChooseKeys(scores=tokens * self.clusters, chosen=tokens * self.top)
        yield "cluster_choice", chosen
        logits = RoutedLinear(
            tokens=tokens,
            experts=self.clusters,
            active=self.top,
            in_features=self.hidden,
            out_features=size,
            role="lm_head",
            routing=step.routing,
        )
        yield "cluster_logits", logits
