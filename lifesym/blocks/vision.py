"""The blocks of vision towers: patches to vectors, windows of them, and what makes tokens."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from sympy import Expr, S, sympify

from lifesym import symbols as sym
from lifesym.blocks.attention import Attention
from lifesym.blocks.base import Block, Emitted, NormSpec
from lifesym.nodes import FloorDiv
from lifesym.operators import (
    Activation,
    AttentionScores,
    AttentionValues,
    Embedding,
    Linear,
    Residual,
    Softmax,
)
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class PatchEmbed(Block):
    """A vector of every patch, a class token beside them, positions, norm.

    The convolution whose windows are the patches is a product with each patch's values. A position
    table that is resampled to the image is one look-up a patch all the same.

    Attributes:
        features: values of a patch.
        hidden: size of the residual stream.
        bias: the projection has biases.
        class_token: a learned vector is one more position of every sequence.
        positions: rows of a learned position table; None without one.
        norm: norm of the sum.
    """

    features: Size
    hidden: Size
    bias: bool = False
    class_token: bool = False
    positions: Size | None = None
    norm: NormSpec | None = None

    def operators(self, step: ForwardPass) -> Emitted:
        """Projection, class token, positions, norm."""
        patches = step.tokens - (step.batch if self.class_token else 0)
        yield (
            "patch",
            Linear(
                tokens=patches, in_features=self.features, out_features=self.hidden, bias=self.bias
            ),
        )
        table: dict[str, Any] = {"features": self.hidden}
        if self.class_token:
            yield "class_token", Embedding(tokens=step.batch, rows=1, role="class_token", **table)
        if self.positions is not None:
            yield (
                "positions",
                Embedding(
                    tokens=step.tokens, rows=self.positions, added=True, role="positions", **table
                ),
            )
        if self.norm:
            yield "patch_norm", self.norm.over(step.tokens)


@dataclass(frozen=True, kw_only=True)
class WindowAttention(Attention):
    r"""Attention of every patch to those of its own window of a grid of patches.

    Windows at the right and lower edges hold what is left: with W rows and columns a window, a
    crop's pairs are the product over both sides n of
    $W^2 \lfloor n / W \rfloor + (n \bmod W)^2$.

    Attributes:
        side: rows and columns of patches in a window.
        rows: rows of patches.
        columns: columns of patches.
    """

    side: Size
    rows: Size = sym.patch_rows
    columns: Size = sym.patch_columns

    def attended(self, step: ForwardPass) -> tuple[Expr, Expr]:
        """Every key is read once, by the queries of its window."""
        return step.new, self._squares(self.rows) * self._squares(self.columns)

    def _squares(self, length: Size) -> Expr:
        """The sum of the squares of the windows' sides along one side of the grid."""
        side, whole = sympify(self.side), FloorDiv(sympify(length), sympify(self.side))
        return whole * side**2 + (length - whole * side) ** 2


@dataclass(frozen=True, kw_only=True)
class Projector(Block):
    """Neighbouring patches joined into one vector, a norm, and projections to the model's size.

    Attributes:
        widths: size of the joined vector, of what is in between, and of the result.
        joined: patches that make one vector; a norm of ``norm.features`` elements is over each of
            them or, where these are all, over the joined vector.
        norm: norm before the projections.
        bias: biases on the projections.
        activation: between the projections.
        activated: the activation follows the last one, too.
        prefix: how its operators' names begin.
    """

    widths: tuple[Size, ...]
    joined: Size = 1
    norm: NormSpec | None = None
    bias: bool = True
    activation: str = "gelu"
    activated: bool = False
    prefix: str = "projector"

    def operators(self, step: ForwardPass) -> Emitted:
        """Norm, then each projection and the activation after it."""
        tokens = step.tokens
        if self.norm:
            over_joined = self.norm.features == self.widths[0]
            yield (
                f"{self.prefix}_norm",
                self.norm.over(tokens * (1 if over_joined else self.joined)),
            )
        last = len(self.widths) - 2
        for i, (inputs, outputs) in enumerate(pairwise(self.widths)):
            yield (
                f"{self.prefix}_{i + 1}",
                Linear(tokens=tokens, in_features=inputs, out_features=outputs, bias=self.bias),
            )
            if i < last or self.activated:
                act = Activation(elements=tokens * outputs, function=self.activation)
                yield f"{self.prefix}_act", act


@dataclass(frozen=True, kw_only=True)
class PatchPool(Block):
    """The mean of neighbouring patches, which are one position after it.

    Attributes:
        hidden: size of a patch's vector.
        joined: patches that make one.
        norm: norm of the means.
    """

    hidden: Size
    joined: Size
    norm: NormSpec | None = None

    def operators(self, step: ForwardPass) -> Emitted:
        """One sum an element for each patch after the first, and the norm."""
        yield "pool", Residual(elements=step.tokens * self.hidden, inputs=self.joined)
        if self.norm:
            yield "pool_norm", self.norm.over(step.tokens)


@dataclass(frozen=True, kw_only=True)
class AttentionPool(Block):
    """One learned query that attends to every patch, and an MLP: a vector an image.

    Attributes:
        hidden: size of a patch's vector.
        heads: heads of the attention.
        norm: norm before the MLP.
        mlp: the MLP.
    """

    hidden: Size
    heads: Size
    norm: NormSpec
    mlp: Block

    def operators(self, step: ForwardPass) -> Emitted:
        """Projections, the core, the MLP and the sum."""
        one, tokens = step.batch, step.tokens
        square: dict[str, Any] = {
            "in_features": self.hidden,
            "out_features": self.hidden,
            "bias": True,
        }
        probe = Embedding(tokens=one, rows=1, features=self.hidden, role="pool_probe")
        yield "pool_probe", probe
        for name, rows in (("pool_q", one), ("pool_k", tokens), ("pool_v", tokens)):
            yield name, Linear(tokens=rows, **square)
        shape = {
            "batch": one,
            "heads": self.heads,
            "kv_heads": self.heads,
            "head_dim": self.hidden / sympify(self.heads),
            "new": 1,
            "keys": step.new,
            "pairs": step.new,
            "cached": False,
        }
        yield "pool_qk", AttentionScores(**shape)
        yield "pool_softmax", Softmax(elements=tokens * self.heads)
        yield "pool_av", AttentionValues(**shape)
        yield "pool_o", Linear(tokens=one, **square)
        yield "pool_norm", self.norm.over(one)
        yield from self.mlp.operators(replace(step, new=S.One))
        yield "pool_residual", Residual(elements=one * self.hidden)
