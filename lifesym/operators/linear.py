"""Matrix products with learned weights."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from sympy import Expr, Integer, S

from lifesym.cost import FLOPS_PER_MAC, Cost
from lifesym.formats import Matrix, Precision, vectors
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.operators.base import Direction, Operator
from lifesym.symbols import Size

Stationary = Literal["inputs", "weights"]
"""The operand of a product of which a buffer keeps a panel (see `lifesym.transforms.buffers`)."""


@dataclass(frozen=True, kw_only=True)
class Linear(Operator):
    r"""$Y = X W^\top + b$ with $X$ of shape (tokens, in) and $W$ of shape (out, in).

    matmul_flops $= 2 \cdot tokens \cdot in \cdot out$; a bias adds $tokens \cdot out$
    vector_flops. $W$ and $b$ are read once, $X$ is read once, $Y$ written once. A fused
    projection (QKV, gate and up) is one `Linear` with the outputs added up: the input is then
    read once instead of two or three times, and there is one dispatch. From ``unpacked_from``
    tokens on its quantized weights are read as a `WeightCopy` has written them. With a ``buffer``
    of so many bytes, which keeps a panel of the ``stationary`` operand, the other one is read once
    a panel (`lifesym.transforms.buffers`).

    >>> from lifesym import symbols as sym
    >>> p = Precision.of()
    >>> op = Linear(tokens=sym.batch, in_features=sym.hidden, out_features=sym.intermediate)
    >>> op.cost(p).matmul_flops, op.cost(p).weight_bytes
    (2*batch*hidden*intermediate, 2*hidden*intermediate)
    """

    tokens: Size
    in_features: Size
    out_features: Size
    bias: bool = False
    role: str = "linear"
    part: str = ""
    unpacked_from: Size | None = None
    buffer: Size | None = None
    stationary: Stationary = "inputs"

    family: ClassVar[str] = "linear"
    counted: ClassVar[str] = "2 FLOPs a multiply-add; bias one addition an output"
    reference: ClassVar[str] = "Kaplan et al., arXiv 2001.08361, Table 1"
    monotone: ClassVar[dict[str, Direction]] = {
        "tokens": "+",
        "in_features": "+",
        "out_features": "+",
    }

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The matrix under its role, the bias as ``vector``."""
        matrix = Matrix(
            role=self.role, part=self.part, rows=self.out_features, columns=self.in_features
        )
        return (matrix, *vectors(self.out_features if self.bias else 0))

    @property
    def parameters(self) -> Expr:
        """The matrix, and the bias."""
        return sum(self.weight_roles.values(), S.Zero)

    def cost(self, precision: Precision) -> Cost:
        """One dense product; dequantization touches each weight once."""
        weights = self.in_features * self.out_features
        once = Cost(
            matmul_flops=FLOPS_PER_MAC * self.tokens * weights,
            vector_flops=self.tokens * self.out_features if self.bias else S.Zero,
            activation_read_bytes=precision.input_bytes(
                self.tokens * self.in_features, self.role, self.part
            ),
            activation_write_bytes=precision.activation_bytes(self.tokens * self.out_features),
            dispatches=Integer(1),
        ) + precision.read_weights(self.matrices_read, self.tokens, self.unpacked_from)
        return once if self.buffer is None else once + self._again(once.weight_bytes, precision)

    def _again(self, weights: Expr, precision: Precision) -> Cost:
        """What is read again: the operand that streams, once for each panel but the first."""
        row = precision.input_bytes(self.in_features, self.role, self.part)
        if self.stationary == "inputs":
            panels = CeilDiv(self.tokens, Maximum(S.One, FloorDiv(self.buffer, row)))
            return Cost(weight_bytes=(panels - 1) * weights)
        column = weights / self.out_features
        panels = CeilDiv(self.out_features, Maximum(S.One, FloorDiv(self.buffer, column)))
        return Cost(activation_read_bytes=(panels - 1) * self.tokens * row)

    def saved(self, precision: Precision) -> Expr:
        """The inputs, once."""
        once = self if self.buffer is None else replace(self, buffer=None)
        return once.cost(precision).activation_read_bytes


@dataclass(frozen=True, kw_only=True)
class TiledLinear(Linear):
    r"""A dense product whose time is that of whole tiles, in whole waves.

    $Y$ has $\lceil tokens/rows \rceil \lceil out/columns \rceil$ tiles; each of ``processors``
    multiprocessors computes one at a time, so the product takes as long as
    $\lceil tiles/processors \rceil$ waves of tiles. Fewer tiles than multiprocessors are split
    along the inner dimension, over as many as there are for each. A product of fewer tokens than a
    tile has rows is done by other kernels, whose rounding is not modelled.

    >>> product = TiledLinear(
    ...     tokens=256, in_features=8, out_features=512, rows=128, columns=128, processors=6
    ... )
    >>> product.idle  # 8 tiles take two waves of 6
    1048576
    """

    rows: Size
    columns: Size
    processors: Size

    reference: ClassVar[str] = "NVIDIA, Matrix Multiplication Background (DU-09799-001), chapter 3"
    monotone: ClassVar[dict[str, Direction]] = {
        **Linear.monotone,
        "rows": "0",
        "columns": "0",
        "processors": "0",
    }

    @property
    def idle(self) -> Expr:
        """Operations of the tiles' margins, and of multiprocessors that wait in the last wave."""
        tiles = CeilDiv(self.tokens, self.rows) * CeilDiv(self.out_features, self.columns)
        for_each = Maximum(S.One, FloorDiv(self.processors, tiles))
        waves = CeilDiv(tiles, self.processors) / for_each
        elements = waves * self.processors * self.rows * self.columns
        tiled = Minimum(S.One, FloorDiv(self.tokens, self.rows))
        wasted = elements - self.tokens * self.out_features
        return FLOPS_PER_MAC * self.in_features * tiled * wasted


@dataclass(frozen=True, kw_only=True)
class AdapterLinear(Linear):
    """A thin product with ``copies`` different matrices, of which a batch reads ``used``, or all.

    ``accumulate``: the result is added to an output that is already there, which is read once
    more, one addition an element.

    >>> from lifesym import symbols as sym
    >>> up = AdapterLinear(
    ...     tokens=1, in_features=sym.rank, out_features=sym.hidden, copies=2, accumulate=True
    ... )
    >>> up.cost(Precision.of()).weight_bytes, up.cost(Precision.of()).vector_flops
    (4*hidden*rank, hidden)
    """

    copies: Size = 1
    accumulate: bool = False
    used: Size | None = None

    reference: ClassVar[str] = "Hu et al., arXiv 2106.09685, section 4.1; S-LoRA, 2311.03285"
    monotone: ClassVar[dict[str, Direction]] = {**Linear.monotone, "copies": "+"}

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """Every copy's matrix: all are held."""
        return tuple(matrix.times(self.copies) for matrix in super().matrices)

    @property
    def matrices_read(self) -> tuple[Matrix, ...]:
        """Those of the copies that are used, each once."""
        used = self.copies if self.used is None else self.used
        return tuple(matrix.times(used) for matrix in super().matrices)

    def cost(self, precision: Precision) -> Cost:
        """The product of every token with one of the matrices, and the sum."""
        product = super().cost(precision)
        if not self.accumulate:
            return product
        out = self.tokens * self.out_features
        read = precision.activation_bytes(out)
        return product + Cost(vector_flops=out, activation_read_bytes=read)


@dataclass(frozen=True, kw_only=True)
class LatentExpand(Linear):
    r"""Cached latents to the keys and values of every head, as intermediates.

    FLOPs and weights are `Linear`'s. The input comes from the cache, ``read`` tokens of it (whole
    pages) if not just those that are expanded, and beside each latent of
    ``in_features`` the ``rope_dim`` rotated elements of the key that all heads share; these pass
    through to the keys that are written.

    >>> from lifesym import symbols as sym
    >>> op = LatentExpand(
    ...     tokens=1, in_features=sym.kv_rank, out_features=sym.hidden, rope_dim=sym.rope_dim
    ... )
    >>> op.cost(Precision.of()).kv_read_bytes, op.cost(Precision.of()).activation_read_bytes
    (2*kv_rank + 2*rope_dim, 0)
    """

    rope_dim: Size = 0
    read: Size | None = None

    reference: ClassVar[str] = "DeepSeek-V2, arXiv 2405.04434, section 2.1"
    monotone: ClassVar[dict[str, Direction]] = {**Linear.monotone, "rope_dim": "+"}

    def cost(self, precision: Precision) -> Cost:
        """A dense product that reads the cache instead of activations."""
        read = self.tokens if self.read is None else self.read
        moved = Cost(
            activation_read_bytes=-precision.input_bytes(
                self.tokens * self.in_features, self.role, self.part
            ),
            activation_write_bytes=precision.activation_bytes(self.tokens * self.rope_dim),
        )
        cached = precision.read_cache(read * (self.in_features + self.rope_dim))
        return super().cost(precision) + moved + cached


@dataclass(frozen=True, kw_only=True)
class LMHead(Operator):
    r"""The projection to logits, $2 \cdot tokens \cdot hidden \cdot vocab$ FLOPs.

    A tied head owns no parameters, but its matrix (the embedding's) is still read in the pass.
    ``spare`` learned values are stored beside it and never used.

    >>> from lifesym import symbols as sym
    >>> op = LMHead(tokens=sym.batch, hidden=sym.hidden, vocab=sym.vocab, tied=True)
    >>> op.cost(Precision.of()).weight_bytes, op.parameters
    (2*hidden*vocab, 0)
    """

    tokens: Size
    hidden: Size
    vocab: Size
    tied: bool = False
    bias: bool = False
    spare: Size = 0

    family: ClassVar[str] = "lm_head"
    counted: ClassVar[str] = "2 FLOPs a multiply-add; bias one addition a logit"
    reference: ClassVar[str] = "Press and Wolf, arXiv 1608.05859 (tied weights), section 3"
    monotone: ClassVar[dict[str, Direction]] = {
        "tokens": "+",
        "hidden": "+",
        "vocab": "+",
        "spare": "0",
    }

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The matrix unless it is the embedding's, the bias, and what is spare."""
        own = () if self.tied else (Matrix(role="lm_head", rows=self.vocab, columns=self.hidden),)
        return (*own, *vectors((self.vocab if self.bias else S.Zero) + self.spare))

    @property
    def parameters(self) -> Expr:
        """The matrix unless tied, the bias, and what is spare."""
        return sum(self.weight_roles.values(), S.Zero)

    @property
    def matrices_read(self) -> tuple[Matrix, ...]:
        """The matrix, whose role is the embedding's where it is tied, and the bias."""
        return self._product.matrices

    @property
    def _product(self) -> Linear:
        return Linear(
            tokens=self.tokens,
            in_features=self.hidden,
            out_features=self.vocab,
            bias=self.bias,
            role="tied_embedding" if self.tied else "lm_head",
        )

    def cost(self, precision: Precision) -> Cost:
        """One dense product over the vocabulary; a tied matrix has the embedding's format."""
        return self._product.cost(precision)


@dataclass(frozen=True, kw_only=True)
class HeadLinear(Operator):
    r"""A matrix of its own for every head: $2 \cdot tokens \cdot heads \cdot in \cdot out$ FLOPs.

    It is a batched product, as in absorbed latent attention and grouped projections. A bias adds
    $tokens \cdot heads \cdot out$ vector_flops.

    >>> from lifesym import symbols as sym
    >>> op = HeadLinear(tokens=1, heads=sym.heads, in_features=sym.nope_dim,
    ...                 out_features=sym.kv_rank)
    >>> op.cost(Precision.of()).matmul_flops
    2*heads*kv_rank*nope_dim
    """

    tokens: Size
    heads: Size
    in_features: Size
    out_features: Size
    bias: bool = False
    role: str = "linear"

    family: ClassVar[str] = "linear"
    counted: ClassVar[str] = "2 FLOPs a multiply-add; bias one addition an output"
    reference: ClassVar[str] = "DeepSeek-V2, arXiv 2405.04434, appendix C"
    monotone: ClassVar[dict[str, Direction]] = {
        "tokens": "+",
        "heads": "+",
        "in_features": "+",
        "out_features": "+",
    }

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The heads' matrices under their role, the bias as ``vector``."""
        return (
            Matrix(
                role=self.role,
                rows=self.out_features,
                columns=self.in_features,
                count=self.heads,
            ),
            *vectors(self.heads * self.out_features if self.bias else 0),
        )

    @property
    def parameters(self) -> Expr:
        """Heads times in times out, and the bias."""
        return sum(self.weight_roles.values(), S.Zero)

    def cost(self, precision: Precision) -> Cost:
        """One batched product; inputs and outputs are one vector a head and token."""
        rows = self.tokens * self.heads
        return Cost(
            matmul_flops=FLOPS_PER_MAC * rows * self.in_features * self.out_features,
            vector_flops=rows * self.out_features if self.bias else S.Zero,
            activation_read_bytes=precision.input_bytes(rows * self.in_features, self.role),
            activation_write_bytes=precision.activation_bytes(rows * self.out_features),
            dispatches=Integer(1),
        ) + precision.read_weights(self.matrices)
